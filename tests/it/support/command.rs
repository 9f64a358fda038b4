//! The real binary, run to its end.

use super::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What a run left behind.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Fails the test, showing everything, when the exit code is another.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// The binary in a project, with nothing inherited from the environment that could change what it does.
pub fn flowgate(dir: &Path) -> Command {
    command(env!("CARGO_BIN_EXE_flowgate"), dir)
}

/// Runs `flowgate -C dir args…` to its end.
pub fn run<A: AsRef<OsStr>>(dir: &Path, args: &[A]) -> Ended {
    let mut command = flowgate(dir);
    command.args(args);
    finish(command, PATIENCE)
}

fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-C").arg(dir).env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end; one that takes longer is killed and fails the test.
pub fn finish(mut command: Command, patience: Duration) -> Ended {
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (stdout, stderr) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
    let (ended, end) = mpsc::channel();
    let waiter = std::thread::spawn(move || ended.send(child.wait().unwrap()));
    let status = end.recv_timeout(patience);
    if status.is_err() {
        let _ = kill_process(pid, Signal::KILL);
    }
    waiter.join().unwrap().unwrap();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Ok(status) = status else { panic!("not ended after {patience:?}\nstdout:\n{stdout}\nstderr:\n{stderr}") };
    Ended { code: status.code(), stdout, stderr }
}

fn read(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    })
}

#[test]
fn output_and_exit_code_of_a_command_are_caught() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo out; echo err >&2; exit 7"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = finish(command, PATIENCE).expect_code(7);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
#[should_panic(expected = "not ended after")]
fn a_command_that_never_ends_fails_the_test() {
    let mut command = Command::new("sh");
    command.args(["-c", "exec tail -f /dev/null"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_millis(50));
}
