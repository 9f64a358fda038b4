//! As much of SOCKS 5 (RFC 1928, RFC 1929) as our own HTTP client speaks: user name and password, `CONNECT`.

use crate::value::target::Target;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reply {
    Open = 0,
    Barred = 2,
    Unreachable = 4,
}

/// Reads who asks (the user name) for what. An error ends the conversation.
pub(super) async fn hear<T>(io: &mut T, knows: impl Fn(&str) -> bool) -> io::Result<(String, Target)>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    expect(io, VERSION).await?;
    if !short(io).await?.contains(&PASSWORD) {
        io.write_all(&[VERSION, NO_METHOD]).await?;
        return Err(refused("no password is offered"));
    }
    io.write_all(&[VERSION, PASSWORD]).await?;
    expect(io, 1).await?;
    let (name, password) = (short(io).await?, short(io).await?);
    if !std::str::from_utf8(&password).is_ok_and(knows) {
        io.write_all(&[1, 1]).await?;
        return Err(refused("the password is another one"));
    }
    io.write_all(&[1, 0]).await?;
    expect(io, VERSION).await?;
    expect(io, CONNECT).await?;
    io.read_u8().await?;
    let host = match io.read_u8().await? {
        1 => Ipv4Addr::from(io.read_u32().await?).to_string(),
        3 => text(short(io).await?)?,
        4 => format!("[{}]", Ipv6Addr::from(io.read_u128().await?)),
        _ => return Err(refused("an address of an unknown kind")),
    };
    let target = Target::new(&host, io.read_u16().await?).map_err(refused)?;
    Ok((text(name)?, target))
}

/// Says what became of it.
pub(super) async fn answer(io: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<()> {
    io.write_all(&[VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

async fn expect(io: &mut (impl AsyncRead + Unpin), byte: u8) -> io::Result<()> {
    if io.read_u8().await? == byte { Ok(()) } else { Err(refused("this is no SOCKS 5")) }
}

/// A length in one byte, and so many more.
async fn short(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(io.read_u8().await?)];
    io.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| refused("no text"))
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(said: &[u8]) -> (io::Result<(String, Target)>, Vec<u8>) {
        let (mut ours, mut theirs) = tokio::io::duplex(1_024);
        theirs.write_all(said).await.unwrap();
        theirs.shutdown().await.unwrap();
        let heard = hear(&mut ours, |guess| guess == "pass").await;
        drop(ours);
        let mut answers = Vec::new();
        theirs.read_to_end(&mut answers).await.unwrap();
        (heard, answers)
    }

    const HELLO: &[u8] = b"\x05\x02\x00\x02\x01\x03erp\x04pass";

    #[tokio::test]
    async fn names_and_addresses_are_understood() {
        for (asked, shown) in [
            (&b"\x05\x01\x00\x03\x0cerp.internal\x01\xbb"[..], "erp.internal:443"),
            (b"\x05\x01\x00\x01\x0a\x00\x00\x07\x00\x50", "10.0.0.7:80"),
            (b"\x05\x01\x00\x04\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50", "[fd00::1]:80"),
        ] {
            let (heard, answers) = heard(&[HELLO, asked].concat()).await;
            let (name, target) = heard.unwrap();
            assert_eq!(
                (name.as_str(), target.to_string().as_str(), &answers[..]),
                ("erp", shown, &b"\x05\x02\x01\x00"[..])
            );
        }
    }

    #[tokio::test]
    async fn strangers_and_nonsense_are_turned_away() {
        let wrong = heard(b"\x05\x01\x02\x01\x03erp\x04word\x05\x01\x00\x03\x01a\x00\x50").await;
        assert!(wrong.0.is_err() && wrong.1 == b"\x05\x02\x01\x01");
        let open = heard(b"\x05\x01\x00").await;
        assert!(open.0.is_err() && open.1 == b"\x05\xff");
        for said in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"",
            b"\x05",
            &[HELLO, b"\x05\x02\x00\x03\x01a\x00\x50"].concat(),
            &[HELLO, b"\x05\x01\x00\x09\x01a\x00\x50"].concat(),
            &[HELLO, b"\x05\x01\x00\x03\x03a/b\x00\x50"].concat(),
            &[HELLO, b"\x05\x01\x00\x03\xffshort"].concat(),
        ] {
            assert!(heard(said).await.0.is_err(), "{said:?}");
        }
    }
}
