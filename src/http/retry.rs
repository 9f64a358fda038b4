//! Which failures are worth another attempt, and how long to wait before it: doubling, with full jitter.

use super::request::Prepared;
use crate::value::time::Rng;
use std::num::NonZeroU32;
use std::time::Duration;

/// `[retry]`
#[derive(Debug, Clone)]
pub struct Retry {
    /// Attempts in all.
    pub max_attempts: NonZeroU32,
    /// First back-off.
    pub initial: Duration,
    /// Longest back-off.
    pub max: Duration,
    /// Methods that are not idempotent may be sent again after bytes left.
    pub unsafe_methods: bool,
}

impl Retry {
    /// The longest wait before the retry after so many failures (1 = the first).
    pub(super) fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }

    /// Full jitter: anything up to the ceiling, so that clients that failed together do not return together.
    pub(super) fn backoff(&self, failures: u32, rng: &dyn Rng) -> Duration {
        rng.up_to(self.ceiling(failures))
    }

    /// Whether a request of which a byte may have left may be sent again, whatever was answered.
    pub(super) fn may_repeat(&self, request: &Prepared) -> bool {
        self.unsafe_methods || request.is_repeatable()
    }
}

/// Statuses that say "not now" rather than "no".
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425) || (matches!(status, 500..=599) && !matches!(status, 501 | 505))
}

/// Whether an answer of this status leaves open whether a write took effect.
pub(super) fn leaves_open(status: u16) -> bool {
    matches!(status, 500..=599)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time::SeededRng;

    fn retry(initial: u64, max: u64) -> Retry {
        Retry {
            max_attempts: NonZeroU32::MIN,
            initial: Duration::from_secs(initial),
            max: Duration::from_secs(max),
            unsafe_methods: false,
        }
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_longest_back_off() {
        let seconds: Vec<u64> = (1..=8).map(|n| retry(1, 60).ceiling(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry(u64::MAX, 60).ceiling(u32::MAX).as_secs(), 60);
    }

    #[test]
    fn jitter_uses_the_whole_range_and_never_more() {
        let rng = SeededRng::seeded(1);
        let waits: Vec<Duration> = (0..500).map(|_| retry(1, 60).backoff(3, &*rng)).collect();
        assert!(waits.iter().all(|w| *w <= Duration::from_secs(4)));
        assert!(waits.iter().any(|w| *w < Duration::from_millis(200)));
        assert!(waits.iter().any(|w| *w > Duration::from_millis(3800)));
    }

    #[test]
    fn only_passing_troubles_are_transient() {
        let transient: Vec<u16> = (100..=599).filter(|s| is_transient(*s)).collect();
        assert!([408, 425, 500, 502, 503, 504, 599].iter().all(|s| transient.contains(s)));
        assert!([400, 401, 404, 409, 429, 501, 505].iter().all(|s| !transient.contains(s)));
    }
}
