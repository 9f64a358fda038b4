//! The program as a child: started through whatever stands before it, watched through /proc, and its end.

use crate::rig::Rig;
use crate::stage::Stage;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// How to start it.
#[derive(Default)]
pub struct Launch {
    /// Programs that end up being it: `strace -D …`, `unshare -m …`.
    pub before: Vec<OsString>,
    /// Variables it is given.
    pub env: Vec<(&'static str, String)>,
}

/// A running or ended child.
pub struct Child {
    process: std::process::Child,
    /// When it was started, by the rig's clock.
    pub started: Duration,
    /// Its standard error.
    pub log: PathBuf,
    /// Its standard output.
    pub out: PathBuf,
    ended: Option<ExitStatus>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

impl Launch {
    /// Starts the program in a project with these arguments.
    pub fn start(&self, rig: &Rig, stage: &Stage, arguments: &[&str]) -> io::Result<Child> {
        let mut words: Vec<OsString> = self.before.clone();
        words.push(rig.binary.clone().into());
        let (program, rest) = words.split_first().ok_or_else(|| io::Error::other("nothing to start"))?;
        let number = rig.next_stage();
        let (log, out) = (stage.path(&format!("log-{number}")), stage.path(&format!("out-{number}")));
        let mut command = Command::new(program);
        command.args(rest).arg("-C").arg(stage.dir()).args(arguments).current_dir(stage.dir());
        command.env("NO_COLOR", "1").envs(self.env.iter().map(|(name, value)| (*name, value)));
        command.stdin(Stdio::null()).stderr(File::create(&log)?).stdout(File::create(&out)?);
        let started = rig.now();
        Ok(Child { process: command.spawn()?, started, log, out, ended: None })
    }
}

/// Starts it plainly.
pub fn start(rig: &Rig, stage: &Stage, arguments: &[&str]) -> io::Result<Child> {
    Launch::default().start(rig, stage, arguments)
}

/// Starts it plainly and waits for its end.
pub fn run(rig: &Rig, stage: &Stage, arguments: &[&str], patience: Duration) -> io::Result<(Option<End>, Child)> {
    let mut child = start(rig, stage, arguments)?;
    let end = child.wait(rig, patience);
    Ok((end, child))
}

impl Child {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its end, if it has ended.
    pub fn end(&mut self) -> Option<End> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait().ok().flatten();
        }
        let ended = self.ended?;
        Some(match (ended.code(), ended.signal()) {
            (Some(code), _) => End::Code(code),
            (None, signal) => End::Signal(signal.unwrap_or(0)),
        })
    }

    /// Waits for its end.
    pub fn wait(&mut self, rig: &Rig, patience: Duration) -> Option<End> {
        rig.wait(patience, || self.end())
    }

    /// Sends a signal; it may have ended already.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.process), signal);
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        if let Ok(ended) = self.process.wait() {
            self.ended = Some(ended);
        }
    }

    /// What it wrote on standard error.
    pub fn said(&self) -> String {
        std::fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// What it wrote on standard output.
    pub fn printed(&self) -> String {
        std::fs::read(&self.out).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// The last lines it said, for a message.
    pub fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        let text = lines[lines.len().saturating_sub(3)..].join(" | ");
        text.chars().take(600).collect()
    }

    /// A figure of /proc/…/status in KiB: `VmRSS`, `VmHWM`; none once it has ended.
    pub fn memory(&self, key: &str) -> Option<u64> {
        self.status(key)?.trim_end_matches("kB").trim().parse().ok()
    }

    /// Threads it has.
    pub fn threads(&self) -> Option<u64> {
        self.status("Threads")?.parse().ok()
    }

    /// Files it has open.
    pub fn files(&self) -> Option<u64> {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).ok()?;
        Some(entries.count() as u64)
    }

    fn status(&self, key: &str) -> Option<String> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.end().is_none() {
            self.kill();
        }
    }
}
