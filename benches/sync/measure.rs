//! What a program costs: processor time, wall time and peak memory of one child process.
//!
//! Read from /proc, with nothing unsafe: a dead child keeps its times until it is waited for, so it is looked
//! at in that state. Its peak memory is a high-water mark that goes with its memory, so it is read while the
//! child lives, every few milliseconds. Times have the kernel's resolution of 10 ms: measure a second of work.

use super::Failure;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The unit of times in /proc: the same on every Linux in use.
const TICKS_A_SECOND: f64 = 100.0;
const EVERY: Duration = Duration::from_millis(4);

/// What one run cost.
pub struct Cost {
    pub success: bool,
    pub user_s: f64,
    pub system_s: f64,
    pub wall_s: f64,
    pub peak_rss_kib: u64,
}

/// Runs a program to its end, or ends it when its time is up.
pub fn run(command: &mut Command, patience: Duration) -> Result<Cost, Failure> {
    let begin = now();
    let mut child = command.spawn()?;
    let pid = Pid::from_child(&child);
    let (over, is_over) = channel::<()>();
    let (wall, peak_rss_kib) = std::thread::scope(|scope| {
        let watcher = scope.spawn(move || watch(pid, &is_over, begin, patience));
        // Not reaped yet: the process's times can still be read, and its id is not given to another.
        let waited = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let wall = now() - begin;
        drop(over);
        let peak = watcher.join().unwrap_or(0);
        waited.map(|_| (wall, peak))
    })?;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    let status = child.wait()?;
    let (user_s, system_s) = times(&stat).ok_or("no times in /proc/<pid>/stat")?;
    Ok(Cost { success: status.success(), user_s, system_s, wall_s: wall.as_secs_f64(), peak_rss_kib })
}

/// Reads the peak of its memory until it is over; ends it when its time is up.
fn watch(pid: Pid, is_over: &Receiver<()>, begin: Instant, patience: Duration) -> u64 {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|n| n.trim().parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        if now() - begin > patience {
            // It may just have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        if is_over.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
            return peak;
        }
    }
}

/// User and system seconds of a process and the children it waited for, from /proc/<pid>/stat. The second
/// field is the program's name in parentheses and may hold anything, so count from the last of them.
fn times(stat: &str) -> Option<(f64, f64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let seconds = |at: usize| fields.get(at)?.parse::<f64>().ok().map(|ticks| ticks / TICKS_A_SECOND);
    Some((seconds(11)? + seconds(13)?, seconds(12)? + seconds(14)?))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
