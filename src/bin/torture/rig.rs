//! What all commands share: the program under torment, time, chance, and folders to work in.

use crate::args::Args;
use flowgate::value::time::{Mono, SharedClock, SystemClock};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long anything that should happen soon may take before it counts as never.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The rig.
pub struct Rig {
    /// The program under torment.
    pub binary: PathBuf,
    /// This program.
    pub own: PathBuf,
    /// `--seed`
    pub seed: u64,
    /// `--lanes`
    pub lanes: u8,
    /// `--keep`
    pub keep: Option<PathBuf>,
    clock: SharedClock,
    waiting: tokio::runtime::Runtime,
    stages: AtomicU64,
}

impl Rig {
    /// Finds the program.
    pub fn new(args: &Args) -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let binary = args.binary.clone().unwrap_or_else(|| own.with_file_name("flowgate"));
        if !binary.is_file() {
            return Err(io::Error::other(format!("{} is not there; name it with --binary", binary.display())));
        }
        let waiting = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
        let (seed, lanes, keep) = (args.seed, args.lanes, args.keep.clone());
        let entered = waiting.enter();
        let clock = SystemClock::start();
        drop(entered);
        Ok(Self { binary, own, seed, lanes, keep, clock, waiting, stages: AtomicU64::new(0) })
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.clock.mono().0
    }

    /// Time since an earlier instant.
    pub fn since(&self, earlier: Duration) -> Duration {
        self.now().saturating_sub(earlier)
    }

    /// Lets time pass.
    pub fn pause(&self, time: Duration) {
        let until = self.clock.mono().plus(time);
        self.waiting.block_on(async { self.clock.sleep_until(Mono(until.0)).await });
    }

    /// Asks every few milliseconds until there is an answer or `patience` is over.
    pub fn wait<T>(&self, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
        let until = self.now() + patience;
        loop {
            if let Some(answer) = ask() {
                return Some(answer);
            }
            if self.now() >= until {
                return None;
            }
            self.pause(Duration::from_millis(3));
        }
    }

    /// A number for the next folder.
    pub fn next_stage(&self) -> u64 {
        self.stages.fetch_add(1, Ordering::Relaxed)
    }

    /// Does `round` for the numbers from 0 until it says to stop, on all lanes.
    pub fn rounds(&self, round: impl Fn(u64) -> bool + Sync) {
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.lanes {
                scope.spawn(|| while round(next.fetch_add(1, Ordering::Relaxed)) {});
            }
        });
    }
}

/// Milliseconds, for figures.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
