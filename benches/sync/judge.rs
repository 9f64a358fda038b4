//! The judge: a playground in a process of its own, asked over HTTP.

use super::Failure;
use flowgate::playground::{Playground, Report, Settings};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Is the judge: says where, and serves until standard input ends.
pub fn be() -> Result<(), Failure> {
    let playground = Playground::start(Settings::default())?;
    println!("{}", playground.addr());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

/// A judge at work; it ends with this.
pub struct Judge {
    child: Child,
    host: String,
    base: String,
}

impl Judge {
    pub fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--judge")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut host = String::new();
        let said = child.stdout.take().ok_or("the judge has no output")?;
        BufReader::new(said).read_line(&mut host)?;
        let host = host.trim().to_owned();
        if host.is_empty() {
            return Err("the judge did not start".into());
        }
        Ok(Self { child, base: format!("http://{host}"), host })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn reset(&self, records: u64, size: usize) -> Result<(), Failure> {
        self.ask(&format!("/reset?n={records}&size={size}")).map(|_| ())
    }

    pub fn ledger(&self) -> Result<Report, Failure> {
        Ok(serde_json::from_str(&self.ask("/ledger")?)?)
    }

    fn ask(&self, target: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(&self.host)?;
        write!(stream, "GET {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.host)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the judge gave no answer")?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(format!("the judge refused {target}: {body}").into());
        }
        Ok(body.to_owned())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends by itself; waiting only keeps it from staying a zombie.
        let _ = self.child.wait();
    }
}
