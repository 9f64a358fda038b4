//! How long to pause when a server limits us. The back-off grows with each pause that did not help, not with each
//! refused request: ten requests refused together are one piece of news.

use super::retry::Retry;
use super::verdict::RateLimit;
use crate::value::time::{Mono, Rng};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The pauses of one connection. One lock, held for a few instructions, never across a wait.
#[derive(Default)]
pub(super) struct Pauses(Mutex<State>);

#[derive(Default)]
struct State {
    /// Pauses in a row that did not help.
    streak: u32,
    /// When the last one was decided.
    decided: Option<Mono>,
}

/// A pause decided on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// How long.
    pub length: Duration,
    /// The server asked for more than `max_pause`.
    pub clamped: bool,
    /// Not the echo of a pause already decided for requests sent together with this one.
    pub fresh: bool,
}

impl Pauses {
    /// An attempt that began at `started` was refused at `now`.
    pub(super) fn decide(
        &self,
        (started, now): (Mono, Mono),
        asked: Option<Duration>,
        (limits, retry): (&RateLimit, &Retry),
        rng: &dyn Rng,
    ) -> Pause {
        let (streak, fresh) = self.refused(started, now);
        // Half of it is certain: a jitter that may come out as nothing would hammer a server that says no.
        let half = retry.ceiling(streak) / 2;
        let backoff = half + rng.up_to(half);
        let wish = asked.unwrap_or_default();
        let clamped = wish > limits.max_pause;
        let pause = wish.max(backoff).max(limits.min_pause).min(limits.max_pause);
        // Clients that were refused together shall not all return in the same instant.
        let spread = rng.up_to((pause / 20).min(Duration::from_secs(1)));
        Pause { length: (pause + spread).min(limits.max_pause).max(limits.min_pause), clamped, fresh }
    }

    fn refused(&self, started: Mono, now: Mono) -> (u32, bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = state.decided.is_none_or(|decided| started > decided);
        if fresh {
            state.streak = state.streak.saturating_add(1);
            state.decided = Some(now);
        }
        (state.streak, fresh)
    }

    /// An attempt that began at `started` was not refused.
    pub(super) fn passed(&self, started: Mono) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.decided.is_none_or(|decided| started > decided) {
            state.streak = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::RetryAfterUnit;
    use super::*;
    use crate::queue::limits::PauseScope;
    use crate::value::time::SeededRng;
    use std::num::NonZeroU32;

    fn decide(pauses: &Pauses, started: u64, now: u64, asked: Option<u64>) -> Pause {
        let limits = RateLimit {
            rule: None,
            retry_after_header: None,
            retry_after_unit: RetryAfterUnit::Seconds,
            max_pause: Duration::from_mins(5),
            min_pause: Duration::from_millis(200),
            scope: PauseScope::Pool,
            remaining_header: None,
            reset_header: None,
        };
        let retry = Retry {
            max_attempts: NonZeroU32::MIN,
            initial: Duration::from_secs(1),
            max: Duration::from_mins(1),
            unsafe_methods: false,
        };
        let at = |seconds| Mono(Duration::from_secs(seconds));
        let asked = asked.map(Duration::from_secs);
        pauses.decide((at(started), at(now)), asked, (&limits, &retry), &*SeededRng::seeded(now))
    }

    #[test]
    fn the_longer_of_wish_and_back_off_holds_within_the_caps() {
        let pause = decide(&Pauses::default(), 0, 1, Some(20));
        assert!((20..=21).contains(&pause.length.as_secs()), "{pause:?}");
        assert!(!pause.clamped);
        for absurd in [301, 1_000_000_000, u64::MAX / 4] {
            let pause = decide(&Pauses::default(), 0, 1, Some(absurd));
            assert_eq!(pause, Pause { length: Duration::from_mins(5), clamped: true, fresh: true });
        }
        for none in [None, Some(0)] {
            let length = decide(&Pauses::default(), 0, 1, none).length;
            assert!(length >= Duration::from_millis(500) && length <= Duration::from_millis(1050), "{length:?}");
        }
    }

    #[test]
    fn requests_refused_together_count_once() {
        let pauses = Pauses::default();
        for n in 0..100 {
            let pause = decide(&pauses, 0, 1, None);
            assert!(pause.length <= Duration::from_millis(1050));
            assert_eq!(pause.fresh, n == 0);
        }
        assert!(decide(&pauses, 3, 4, None).length >= Duration::from_secs(1), "a pause that did not help doubles it");
        assert!(decide(&pauses, 7, 8, None).length >= Duration::from_secs(2));
    }

    #[test]
    fn an_attempt_let_through_after_the_pause_ends_the_streak() {
        let pauses = Pauses::default();
        for n in 0..6 {
            decide(&pauses, n * 100 + 1, n * 100 + 2, None);
        }
        pauses.passed(Mono(Duration::from_secs(1)));
        assert!(decide(&pauses, 700, 701, None).length >= Duration::from_secs(30), "a straggler says nothing");
        pauses.passed(Mono(Duration::from_secs(800)));
        assert!(decide(&pauses, 900, 901, None).length <= Duration::from_millis(1050));
    }
}
