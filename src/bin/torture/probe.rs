//! How long this disk takes to flush a few bytes, asked all the time: what an answer may be forgotten for, and an end may
//! be late by, grows with it. Without it a busy disk would be held against the process.

use crate::rig::Rig;
use std::fs::File;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(50);

/// The flushes so far.
#[derive(Default)]
pub struct Probe {
    /// Start and length of each; the last one may still be under way.
    flushes: Mutex<Vec<(Duration, Option<Duration>)>>,
    over: AtomicBool,
}

impl Probe {
    /// Probes while `during` goes on.
    pub fn while_doing<T>(&self, rig: &Rig, during: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            scope.spawn(|| self.keep_flushing(rig));
            let result = during();
            self.over.store(true, Ordering::Relaxed);
            result
        })
    }

    /// The slowest flush that began after an instant of the rig's clock, or was under way then.
    pub fn slowest(&self, rig: &Rig, since: Duration) -> Duration {
        let now = rig.now();
        let flushes = self.flushes.lock().unwrap_or_else(PoisonError::into_inner);
        let took = |(began, took): &(Duration, Option<Duration>)| {
            let took = took.unwrap_or(now.saturating_sub(*began));
            (*began + took >= since).then_some(took)
        };
        flushes.iter().filter_map(took).max().unwrap_or_default()
    }

    fn keep_flushing(&self, rig: &Rig) {
        let path = format!("flowgate-torture-{}-{}-flush", std::process::id(), rig.next_stage());
        let path = std::env::temp_dir().join(path);
        // A disk that cannot be asked excuses nothing.
        if let Ok(mut file) = File::create(&path) {
            while !self.over.load(Ordering::Relaxed) {
                let began = rig.now();
                self.note((began, None), false);
                if file.write_all(b"flush").and_then(|()| file.sync_all()).is_err() {
                    break;
                }
                self.note((began, Some(rig.since(began))), true);
                rig.pause(EVERY);
            }
        }
        let _ = std::fs::remove_file(&path);
    }

    fn note(&self, flush: (Duration, Option<Duration>), again: bool) {
        let mut flushes = self.flushes.lock().unwrap_or_else(PoisonError::into_inner);
        if again {
            flushes.pop();
        }
        flushes.push(flush);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::Parser as _;

    #[test]
    fn the_slowest_flush_since_an_instant_is_told_also_while_it_is_under_way() {
        let args = Args::parse_from(["torture", "hostile", "--binary", "/proc/self/exe"]);
        let rig = Rig::new(&args).unwrap();
        let probe = Probe::default();
        let second = Duration::from_secs;
        probe.note((second(0), Some(second(3))), false);
        probe.note((second(5), Some(second(1))), false);
        assert_eq!(probe.slowest(&rig, second(2)), second(3), "under way at that instant");
        assert_eq!(probe.slowest(&rig, second(4)), second(1));
        assert_eq!(probe.slowest(&rig, second(7)), Duration::ZERO);
        probe.note((Duration::ZERO, None), false);
        rig.pause(Duration::from_millis(5));
        assert!(probe.slowest(&rig, rig.now()) >= Duration::from_millis(5));
    }
}
