//! Where the browser comes back to: a door on loopback that answers one question and closes.

use super::LoginError;
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// The path of the redirect.
const PATH: &str = "/callback";
/// Longest request head read.
const MOST: usize = 16 * 1024;

/// The open door.
pub struct Landing {
    listener: TcpListener,
    port: u16,
}

impl Landing {
    /// Opens it, on any free port for 0.
    pub async fn open(port: u16) -> Result<Self, std::io::Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// The redirect URI.
    pub fn redirect(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the code. What comes with another state, or to another path, is turned away and waited past: any page
    /// in the same browser can send it.
    pub(super) async fn wait(&self, state: &str) -> Result<String, LoginError> {
        loop {
            let (mut stream, _) = self.listener.accept().await.map_err(LoginError::Landing)?;
            let Some(target) = target(&mut stream).await else { continue };
            match judge(&target, state) {
                Answer::Code(code) => {
                    say(&mut stream, 200, "Logged in. This window may be closed.").await;
                    return Ok(code);
                }
                Answer::Refused(why) => {
                    say(&mut stream, 200, "The login was refused; the terminal says why.").await;
                    return Err(LoginError::Refused(why));
                }
                Answer::Stranger => say(&mut stream, 400, "This is no answer to the login that waits here.").await,
                Answer::Elsewhere => say(&mut stream, 404, "There is nothing here.").await,
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Code(String),
    Refused(String),
    Stranger,
    Elsewhere,
}

fn judge(target: &str, state: &str) -> Answer {
    let Ok(url) = Url::parse("http://127.0.0.1").and_then(|base| base.join(target)) else { return Answer::Elsewhere };
    if url.path() != PATH {
        return Answer::Elsewhere;
    }
    let get = |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    if !get("state").is_some_and(|given| is_same(&given, state)) {
        return Answer::Stranger;
    }
    match (get("code").filter(|code| !code.is_empty()), get("error")) {
        (_, Some(error)) => {
            let described = get("error_description").map(|text| format!(": {text}")).unwrap_or_default();
            Answer::Refused(format!("{error}{described}"))
        }
        (Some(code), None) => Answer::Code(code),
        (None, None) => Answer::Stranger,
    }
}

/// In a time that does not tell how much of it was right.
fn is_same(given: &str, expected: &str) -> bool {
    let differing = given.bytes().zip(expected.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == expected.len() && differing == 0
}

/// The target of a GET; nothing for anything else.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() > MOST || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let line = String::from_utf8_lossy(&head).lines().next()?.to_owned();
    let mut words = line.split(' ');
    (words.next() == Some("GET")).then(|| words.next().map(str::to_owned)).flatten()
}

/// A page of one sentence that loads nothing and tells no other site where it was.
async fn say(stream: &mut TcpStream, status: u16, text: &str) {
    let body = format!("<!doctype html><meta charset=\"utf-8\"><title>flowgate</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         content-security-policy: default-src 'none'\r\nreferrer-policy: no-referrer\r\ncache-control: no-store\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    // The browser may be gone already.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_state_that_was_drawn_is_answered() {
        assert_eq!(judge("/callback?code=c%2B1&state=right", "right"), Answer::Code("c+1".to_owned()));
        for stranger in
            ["/callback?code=c", "/callback?code=c&state=wrong", "/callback?state=right", "/callback?code=&state=right"]
        {
            assert_eq!(judge(stranger, "right"), Answer::Stranger, "{stranger}");
        }
        assert_eq!(judge("/callback?error=no&state=wrong", "right"), Answer::Stranger);
        let refused = judge("/callback?error=access_denied&error_description=not+today&state=right", "right");
        assert_eq!(refused, Answer::Refused("access_denied: not today".to_owned()));
        for elsewhere in ["/", "/favicon.ico", "/callback/x?code=c&state=right", "//evil.example/callback?state=right"]
        {
            assert!(matches!(judge(elsewhere, "right"), Answer::Elsewhere | Answer::Stranger), "{elsewhere}");
        }
    }
}
