//! `flowgate serve` as a child: its log lines as events, signals, and its end.

use super::client;
use super::command::{flowgate, run};
use super::project::Project;
use super::{PATIENCE, now};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
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

    /// `flowgate serve` in a project, up and listening on a free port.
    #[track_caller]
    pub fn of(project: &Project) -> Self {
        Self::with(project, &[])
    }

    /// The same with further arguments.
    #[track_caller]
    pub fn with(project: &Project, arguments: &[&str]) -> Self {
        if !project.path("flowgate.toml").exists() {
            project.settings("");
        }
        let mut command = flowgate(project.dir());
        command.arg("serve").args(arguments);
        let mut serving = Self::start(command);
        serving.wait_until_listening();
        serving
    }

    /// Waits for the next log line with this message; its fields.
    #[track_caller]
    pub fn wait_for(&mut self, message: &str) -> Value {
        self.wait_for_one(message, |_| true)
    }

    /// Waits for the next log line with this message about this flow.
    #[track_caller]
    pub fn wait_for_flow(&mut self, message: &str, flow: &str) -> Value {
        self.wait_for_one(message, |line| line["flow"] == flow)
    }

    /// Waits for the next log line with this message that `fits`.
    #[track_caller]
    pub fn wait_for_one(&mut self, message: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let marker = format!("\"message\":\"{message}\"");
        loop {
            let line = self.wait_for_line(&marker);
            let line: Value = serde_json::from_str(&line).unwrap();
            if fits(&line) {
                return line;
            }
        }
    }

    /// The messages before the next line with this one.
    #[track_caller]
    pub fn messages_before(&mut self, message: &str) -> Vec<String> {
        let begin = self.seen.len();
        self.wait_for(message);
        let lines = self.seen[begin..self.seen.len() - 1].iter();
        let parsed = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// `/metrics` now.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let got = client::get(self.addr.unwrap(), "/metrics");
        assert_eq!(got.status, 200, "{}", got.body);
        got.body
    }

    /// One series of `/metrics` now.
    #[track_caller]
    pub fn sample(&self, series: &str) -> f64 {
        let metrics = self.metrics();
        client::sample(&metrics, series).unwrap_or_else(|| panic!("no {series} in\n{metrics}"))
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All log lines read so far with this message.
    pub fn lines_of(&self, message: &str) -> Vec<Value> {
        let marker = format!("\"message\":\"{message}\"");
        let lines = self.seen.iter().filter(|line| line.contains(&marker));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
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

/// What `flowgate status --json` says of a project's running `serve`.
#[track_caller]
pub fn status(project: &Project) -> Value {
    let ended = run(project.dir(), &["status", "--json"]).expect_code(0);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Asks until `found` is true of the status; asking takes its time, so there is no other wait.
#[track_caller]
pub fn status_until(project: &Project, found: impl Fn(&Value) -> bool) -> Value {
    let until = now() + PATIENCE;
    loop {
        let status = status(project);
        if found(&status) {
            return status;
        }
        assert!(now() < until, "it never came to that: {status:#}");
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
