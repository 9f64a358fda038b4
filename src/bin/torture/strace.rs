//! strace in front of the program: kills it at the n-th call of a kind, or makes calls fail.
//!
//! strace counts calls per thread and threads race, so a point is drawn, not replayed; the ledger judges whatever
//! happened.

use crate::child::{End, Launch};
use crate::rig::Rig;
use crate::stage::Stage;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Calls at which a process is killed: what writes to disk, and what goes over the wire.
pub const KILL_AT: &[&str] = &[
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "renameat",
    "unlink",
    "unlinkat",
    "openat",
    "connect",
    "sendto",
    "recvfrom",
];

/// Calls that a full or broken disk fails.
pub const DISK: &[&str] = &["pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate"];

/// What strace is to do.
pub enum Inject<'a> {
    /// Kill at the n-th call.
    Kill(&'a str, u64),
    /// Fail the n-th call, or all from it on with a step.
    Fail(&'a str, &'a str, String),
}

impl Inject<'_> {
    /// strace with this injection, to stand before the program. The program is the child, strace its grandchild.
    pub fn words(&self) -> Vec<OsString> {
        let (call, what) = match self {
            Self::Kill(call, nth) => (call, format!("signal=KILL:when={nth}")),
            Self::Fail(call, error, when) => (call, format!("error={error}:when={when}")),
        };
        let words = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e"];
        let mut words: Vec<OsString> = words.iter().map(OsString::from).collect();
        words.extend([format!("trace={call}").into(), "-e".into(), format!("inject={call}:{what}").into()]);
        words
    }
}

/// Longest time for one undisturbed run under strace.
const COUNTING: Duration = Duration::from_secs(20);

/// Whether strace works here; else what is missing. Tried for good: a child must be killed at its second call.
pub fn missing() -> Option<&'static str> {
    let words = Inject::Kill("getppid", 1).words();
    let mut command = Command::new(&words[0]);
    // A shell asks for its parent once at its start.
    command.args(&words[1..]).args(["sh", "-c", "exit 0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.signal() == Some(9) => None,
        Ok(_) => Some("ptrace (strace could not kill a child at a call)"),
        Err(_) => Some("strace (not installed)"),
    }
}

/// How many calls of each kind the busiest thread of one undisturbed `run copy` makes: that is how strace counts.
pub fn count(rig: &Rig, stage: &Stage, calls: &[&str]) -> std::io::Result<BTreeMap<String, u64>> {
    let list = stage.path("calls");
    let words = ["strace", "-D", "-f", "-qq", "-e", "signal=none", "-s", "0", "-o"];
    let mut before: Vec<OsString> = words.iter().map(OsString::from).collect();
    before.extend([list.clone().into(), "-e".into(), format!("trace={}", calls.join(",")).into()]);
    // On a busy machine strace now and then loses its child before it has it.
    for left in (0..3).rev() {
        let mut child = Launch { before: before.clone(), ..Launch::default() }.start(rig, stage, &["run", "copy"])?;
        if child.wait(rig, COUNTING) == Some(End::Code(0)) {
            break;
        }
        if left == 0 {
            let said = child.last_words();
            return Err(std::io::Error::other(format!("the run under strace did not succeed: {said}")));
        }
    }
    let text = std::fs::read_to_string(&list)?;
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for call in text.lines().filter_map(call) {
        *counts.entry(call).or_default() += 1;
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in counts {
        let seen: &mut u64 = most.entry(call.to_owned()).or_default();
        *seen = count.max(*seen);
    }
    Ok(most)
}

/// Thread and call of a line such as `12 pwrite64(7, ...`; none where a call merely goes on.
fn call(line: &str) -> Option<(&str, &str)> {
    let (thread, rest) = line.trim_start().split_once(' ')?;
    let (call, _) = rest.trim_start().split_once('(')?;
    call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_').then_some((thread, call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_counted_once_also_when_it_is_interrupted() {
        assert_eq!(call("123 sendto(9, \"\"..., 31, MSG_NOSIGNAL, NULL, 0) = 31"), Some(("123", "sendto")));
        assert_eq!(call("7   fsync(5 <unfinished ...>"), Some(("7", "fsync")));
        assert_eq!(call("7   <... fsync resumed>) = 0"), None);
        assert_eq!(call("7   +++ exited with 0 +++"), None);
    }

    #[test]
    fn an_injection_names_call_and_place() {
        let words = Inject::Fail("fsync", "EIO", "3+2".into()).words();
        assert_eq!(words.last().unwrap(), "inject=fsync:error=EIO:when=3+2");
    }
}
