//! The retry budget of a connection: when everything fails, retries must not multiply the load. A spent budget
//! delays a retry; it never refuses one.

use crate::value::time::Mono;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// First attempts the share is taken of.
const WINDOW: u64 = 1000;
/// One retry is earned by so many first attempts.
const SHARE: u64 = 10;
/// Retries a minute that need not be earned.
const FLOOR: usize = 10;
/// The floor's period.
const PERIOD: Duration = Duration::from_mins(1);

/// Counts first attempts and retries. One lock, held for a few instructions, never across a wait.
#[derive(Default)]
pub(super) struct Budget(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// First attempts so far.
    firsts: u64,
    /// For each earned retry of the window, how many first attempts there had been.
    earned: VecDeque<u64>,
    /// When the last retries of the floor go out; later ones may lie ahead.
    floor: VecDeque<Mono>,
}

impl Budget {
    /// A request is sent for the first time.
    pub(super) fn first_attempt(&self) {
        let mut counts = self.lock();
        counts.firsts = counts.firsts.saturating_add(1);
    }

    /// Takes one retry and says when it may go out, `now` at the earliest.
    pub(super) fn take(&self, now: Mono) -> Mono {
        let mut counts = self.lock();
        if counts.unspent() > 0 {
            let firsts = counts.firsts;
            counts.earned.push_back(firsts);
            return now;
        }
        let at = match counts.floor.len().checked_sub(FLOOR) {
            Some(nth) => counts.floor[nth].plus(PERIOD).max(now),
            None => now,
        };
        counts.floor.push_back(at);
        if counts.floor.len() > FLOOR {
            counts.floor.pop_front();
        }
        at
    }

    /// How many retries would go out at once.
    pub(super) fn left(&self, now: Mono) -> u64 {
        let mut counts = self.lock();
        let free = counts.floor.len().saturating_sub(FLOOR);
        let waiting = counts.floor.iter().skip(free).filter(|at| at.plus(PERIOD) > now).count();
        counts.unspent() + FLOOR.saturating_sub(waiting) as u64
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Earned retries that were not taken yet.
    fn unspent(&mut self) -> u64 {
        let firsts = self.firsts;
        while self.earned.front().is_some_and(|at| at.saturating_add(WINDOW) <= firsts) {
            self.earned.pop_front();
        }
        (firsts.min(WINDOW) / SHARE).saturating_sub(self.earned.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn ten_a_minute_are_free_and_the_next_ones_wait_their_turn() {
        let budget = Budget::default();
        let times: Vec<Mono> = (0..25).map(|_| budget.take(at(5))).collect();
        assert!(times[..10].iter().all(|t| *t == at(5)));
        assert!(times[10..20].iter().all(|t| *t == at(65)));
        assert!(times[20..].iter().all(|t| *t == at(125)));
        assert_eq!(budget.take(at(1000)), at(1000));
    }

    #[test]
    fn one_retry_is_earned_by_ten_first_attempts_of_the_window() {
        let budget = Budget::default();
        for _ in 0..5000 {
            budget.first_attempt();
        }
        assert_eq!(budget.left(at(0)), 110);
        let now = (0..200).filter(|_| budget.take(at(0)) == at(0)).count();
        assert_eq!(now, 110, "100 earned by the last 1000, 10 of the floor");
        for _ in 0..1000 {
            budget.first_attempt();
        }
        assert_eq!(budget.take(at(0)), at(0), "a new window earns anew");
    }

    #[test]
    fn what_is_left_is_what_would_go_out_at_once() {
        let budget = Budget::default();
        for taken in 0..10 {
            assert_eq!(budget.left(at(5)), 10 - taken);
            assert_eq!(budget.take(at(5)), at(5));
        }
        assert_eq!(budget.left(at(64)), 0);
        assert_eq!(budget.left(at(65)), 10, "a minute later they are free again");
        assert!(budget.take(at(6)) > at(6), "one is promised ahead of its time");
        assert_eq!(budget.left(at(65)), 9);
        for _ in 0..10 {
            budget.first_attempt();
        }
        assert_eq!(budget.left(at(6)), 1, "one is earned");
        assert_eq!((budget.take(at(6)), budget.left(at(6))), (at(6), 0));
    }
}
