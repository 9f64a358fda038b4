//! As much of a browser as a login needs: it follows redirects, and keeps every cookie.

use std::io::{Read, Write};
use std::net::TcpStream;
use url::Url;

/// Most redirects followed.
const MOST: usize = 20;

pub struct Page {
    pub status: u16,
    /// Where it redirects to.
    pub location: Option<Url>,
    pub body: String,
}

/// One page; `cookies` are sent, and what the answer sets joins them.
pub fn get(url: &str, cookies: &mut Vec<(String, String)>) -> Page {
    let url = Url::parse(url).unwrap();
    let place = format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap());
    let target = url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let kept: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut stream = TcpStream::connect(&place).unwrap();
    let head = format!("GET {target} HTTP/1.0\r\nhost: {place}\r\ncookie: {}\r\n\r\n", kept.join("; "));
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer from {url}: {text:?}"));
    let mut location = None;
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "location" => location = Some(url.join(value.trim()).unwrap()),
            "set-cookie" => {
                let pair = value.split(';').next().unwrap_or_default();
                let (name, value) = pair.split_once('=').unwrap();
                let name = name.trim().to_owned();
                cookies.retain(|(other, _)| *other != name);
                if !value.is_empty() {
                    cookies.push((name, value.to_owned()));
                }
            }
            _ => {}
        }
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Page { status, location, body: body.to_owned() }
}

/// Goes where it is sent, `changing` each address on the way; the last page.
pub fn browse(url: &str, changing: impl Fn(&mut Url)) -> Page {
    let (mut at, mut cookies) = (Url::parse(url).unwrap(), Vec::new());
    for _ in 0..MOST {
        let page = get(at.as_str(), &mut cookies);
        let Some(mut next) = page.location.clone() else { return page };
        changing(&mut next);
        at = next;
    }
    panic!("redirected more than {MOST} times, at last to {at}")
}
