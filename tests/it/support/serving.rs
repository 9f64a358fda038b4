//! `flowgate serve` as a child: its log lines as events, signals, and its end.

use super::{PATIENCE, now};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};

/// A running child; killed when the test drops it.
pub struct Serving {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    addr: Option<SocketAddr>,
}

impl Serving {
    /// Starts a command made by [`flowgate`](super::command::flowgate).
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = child.stderr.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        // Read to nowhere, so that a full pipe never stops the child.
        std::thread::spawn(move || std::io::copy(&mut { stdout }, &mut std::io::sink()));
        Self { child, lines, seen: Vec::new(), addr: None }
    }

    /// Waits for a log line with `marker` in it, also among those already seen since the last wait's hit.
    #[track_caller]
    pub fn wait_for_line(&mut self, marker: &str) -> String {
        let until = now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {marker:?}; seen:\n{}", self.seen.join("\n"))
            };
            self.seen.push(line.clone());
            if line.contains(marker) {
                return line;
            }
        }
    }

    /// Waits until it says where it listens; the address, also when it was asked for port 0.
    #[track_caller]
    pub fn wait_until_listening(&mut self) -> SocketAddr {
        if let Some(addr) = self.addr {
            return addr;
        }
        let line = self.wait_for_line("listening");
        let addr = address_in(&line).unwrap_or_else(|| panic!("no address in {line:?}"));
        self.addr = Some(addr);
        addr
    }

    /// Sends a signal to the child.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: the exit code, and all it logged. Its last lines end when its standard error does.
    #[track_caller]
    pub fn wait_for_end(mut self) -> (Option<i32>, Vec<String>) {
        let until = now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(now())) {
            self.seen.push(line);
        }
        assert!(now() < until, "did not end; seen:\n{}", self.seen.join("\n"));
        let code = self.child.wait().unwrap().code();
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The loopback address in a log line, text or JSON.
fn address_in(line: &str) -> Option<SocketAddr> {
    let begin = line.find("127.0.0.1:")?;
    let rest = &line[begin..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[test]
fn an_address_is_found_in_text_and_in_json() {
    let addr = "127.0.0.1:9380".parse().ok();
    assert_eq!(address_in("INFO listening address=127.0.0.1:9380"), addr);
    assert_eq!(address_in(r#"{"event":"listening","address":"127.0.0.1:9380"}"#), addr);
    assert_eq!(address_in("listening"), None);
}
