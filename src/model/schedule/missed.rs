//! `schedule.missed`: what becomes of occurrences that passed while nobody kept time.

use std::time::Duration;

/// `missed`, as a word or as a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// `run`
    pub run: MakeUp,
    /// `window`: how far back an occurrence is made up for.
    pub window: Duration,
    /// `jitter`: a flow that catches up starts up to so much later.
    pub jitter: Duration,
    /// `max`: under [`MakeUp::All`] at most so many, the newest.
    pub max: u32,
}

/// How many missed occurrences are made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MakeUp {
    /// None; they are counted.
    None,
    /// The newest within the window stands for all of them.
    #[default]
    One,
    /// Each one within the window, oldest first.
    All,
}

impl Missed {
    /// The window without one written.
    pub const WINDOW: Duration = Duration::from_hours(24);
    /// `max` without one written: a day of minutes.
    pub const MAX: u32 = 1_440;
}

impl Default for Missed {
    fn default() -> Self {
        Self { run: MakeUp::default(), window: Self::WINDOW, jitter: Duration::ZERO, max: Self::MAX }
    }
}
