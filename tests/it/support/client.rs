//! A plain HTTP/1.1 client, one connection a request: for `/metrics`, health and the scripted APIs themselves.

use super::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// An answer as it came.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    /// Lower case.
    pub head: String,
    pub body: String,
}

pub fn get(addr: SocketAddr, target: &str) -> Got {
    send(addr, "GET", target, "", "")
}

/// The status of an answer to a request that names another host than the one it goes to.
pub fn get_as(addr: SocketAddr, host: &str, target: &str) -> u16 {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer[9..12].parse().unwrap()
}

/// Sends a request; `headers` are whole lines, each ended by CR LF.
pub fn send(addr: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Got {
    let answer = exchange(addr, method, target, headers, body).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {answer:?}"));
    Got { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), body: body.to_owned() }
}

/// All bytes until the server closes.
pub fn exchange(addr: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The value of one series of a `/metrics` text, named as it is written there, labels and all.
pub fn sample(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
}

#[test]
fn a_series_is_found_by_its_whole_name() {
    let metrics = "# HELP a_total A.\na_total{flow=\"x\"} 3\na_total{flow=\"xy\"} 4\n";
    assert_eq!(sample(metrics, "a_total{flow=\"x\"}"), Some(3.0));
    assert_eq!(sample(metrics, "a_total"), None);
}
