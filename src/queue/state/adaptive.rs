//! `concurrency_level = { max, adaptive = true }`: additive increase, multiplicative decrease, as a pure state.
//!
//! Attempts are judged in rounds of at least as many answers as the level. A round in which the level was used up and
//! answers came as fast as ever raises it by one. A refusal halves it at once, a round of slow answers takes a quarter
//! away. What began before the last decrease says nothing about the level after it.

use crate::queue::limits::{Cause, Signal};
use crate::value::time::Mono;
use std::num::NonZeroU32;
use std::time::Duration;

/// Fewest answers that say something about latency.
const FEWEST: u32 = 5;
/// Answers are slow when they take more than twice as long as they do at best, and this much more.
const SLACK: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub(super) struct Adaptive {
    most: u32,
    level: u32,
    /// When the level was last lowered.
    lowered: Option<Mono>,
    round: Round,
    /// The mean of a good round; follows slower ones slowly, so that an API that has become slower is believed in time.
    best: Option<Duration>,
}

/// What the answers since the last decision say.
#[derive(Clone, Default)]
struct Round {
    since: Mono,
    answers: u32,
    total: Duration,
    /// The level was used up: more could have been sent.
    full: bool,
    /// Some attempt came to nothing.
    troubled: bool,
}

impl Adaptive {
    /// Begins at one: what an API stands is learnt from below.
    pub(super) fn new(most: NonZeroU32) -> Self {
        Self { most: most.get(), level: 1, lowered: None, round: Round::default(), best: None }
    }

    pub(super) fn level(&self) -> u32 {
        self.level
    }

    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// Takes another upper bound over, what was learnt stays.
    pub(super) fn set_most(&mut self, most: NonZeroU32) {
        self.most = most.get();
        self.level = self.level.min(self.most);
    }

    /// One attempt that began at `started` has ended; `in_flight` counts it still. Why the level changed, if it did.
    pub(super) fn ended(&mut self, signal: Signal, started: Mono, now: Mono, in_flight: u32) -> Option<Cause> {
        if self.lowered.is_some_and(|lowered| started <= lowered) {
            return None;
        }
        if signal == Signal::Limited {
            self.begin(now);
            return self.lower(self.level / 2, now).then_some(Cause::Limited);
        }
        if started < self.round.since {
            return None;
        }
        let round = &mut self.round;
        round.answers += 1;
        round.total = round.total.saturating_add(now.since(started));
        round.full |= in_flight >= self.level;
        round.troubled |= signal == Signal::Failed;
        if round.answers < self.level.max(FEWEST) {
            return None;
        }
        self.judge(now)
    }

    fn judge(&mut self, now: Mono) -> Option<Cause> {
        let Round { answers, total, full, troubled, .. } = self.begin(now);
        let mean = total / answers.max(1);
        let best = *self.best.get_or_insert(mean);
        let slow = mean > best.saturating_mul(2).saturating_add(SLACK);
        let longer = mean.saturating_sub(best);
        if !longer.is_zero() {
            self.best = Some(best.saturating_add(longer / 16));
        } else if !troubled {
            self.best = Some(mean);
        }
        if slow {
            return self.lower(self.level - self.level.div_ceil(4), now).then_some(Cause::Slow);
        }
        let room = full && !troubled && self.level < self.most;
        self.level += u32::from(room);
        room.then_some(Cause::Room)
    }

    fn begin(&mut self, now: Mono) -> Round {
        std::mem::replace(&mut self.round, Round { since: now, ..Round::default() })
    }

    fn lower(&mut self, to: u32, now: Mono) -> bool {
        let to = to.max(1);
        let lowers = to < self.level;
        if lowers {
            self.level = to;
            self.lowered = Some(now);
        }
        lowers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    fn adaptive(most: u32) -> Adaptive {
        Adaptive::new(NonZeroU32::new(most).unwrap())
    }

    /// Whole rounds of attempts at the full level, one after the other; gives the time they end.
    fn rounds(state: &mut Adaptive, count: u32, took: u64, mut now: u64) -> u64 {
        for _ in 0..count {
            for _ in 0..state.level.max(FEWEST) {
                now += took;
                state.ended(Signal::Passed, at(now - took), at(now), state.level);
            }
        }
        now
    }

    #[test]
    fn full_rounds_of_good_answers_raise_by_one_up_to_the_most_and_no_further() {
        let mut state = adaptive(4);
        assert_eq!(state.level(), 1);
        let mut now = 0;
        for level in [2, 3, 4, 4, 4] {
            now = rounds(&mut state, 1, 20, now);
            assert_eq!(state.level(), level);
        }
    }

    #[test]
    fn an_idle_line_raises_nothing() {
        let mut state = adaptive(8);
        rounds(&mut state, 3, 20, 0);
        for n in 0..100 {
            assert_eq!(state.ended(Signal::Passed, at(1000 + n), at(1020 + n), 1), None);
        }
        assert_eq!(state.level(), 4);
    }

    #[test]
    fn requests_refused_together_halve_it_once_and_later_ones_again() {
        let mut state = adaptive(20);
        let now = rounds(&mut state, 15, 20, 0);
        assert_eq!(state.level(), 16);
        let mut refuse = |started, ended| state.ended(Signal::Limited, at(now + started), at(now + ended), 16);
        assert_eq!(refuse(1, 50), Some(Cause::Limited));
        for n in 0..15 {
            assert_eq!(refuse(n, 51 + n), None, "sent before the level was lowered");
        }
        assert_eq!(refuse(51, 90), Some(Cause::Limited));
        assert_eq!(state.level(), 4);
        for n in 0..5 {
            state.ended(Signal::Limited, at(now + 100 + 10 * n), at(now + 105 + 10 * n), 1);
        }
        assert_eq!(state.level(), 1, "never below one");
    }

    #[test]
    fn slow_rounds_lower_it_by_a_quarter_and_an_api_that_stays_slow_is_believed() {
        let mut state = adaptive(20);
        let mut now = rounds(&mut state, 11, 50, 0);
        assert_eq!(state.level(), 12);
        now = rounds(&mut state, 1, 105, now);
        assert_eq!(state.level(), 13, "twice as long is not slow yet");
        let took = 400;
        let mut causes = Vec::new();
        for _ in 0..40 {
            now += took;
            causes.extend(state.ended(Signal::Passed, at(now - took), at(now), 13));
        }
        assert_eq!(causes[0], Cause::Slow);
        assert!(state.level() <= 9, "{}", state.level());
        rounds(&mut state, 100, took, now);
        assert!(state.level() > 9, "{}", state.level());
    }

    #[test]
    fn a_round_with_a_failure_raises_nothing() {
        let mut state = adaptive(9);
        for n in 0..4 {
            state.ended(Signal::Passed, at(n * 10), at(n * 10 + 10), 1);
        }
        assert_eq!(state.ended(Signal::Failed, at(40), at(41), 1), None);
        assert_eq!(state.level(), 1);
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_the_most_and_moves_by_its_rules(
            most in 1..40_u32,
            steps in prop::collection::vec((0..10_u8, 0..60_u64, 0..400_u64, 0..50_u32), 1..400),
        ) {
            let mut state = adaptive(most);
            let mut now = 400;
            for (signal, pass, took, in_flight) in steps {
                now += pass;
                let signal = match signal { 0 => Signal::Limited, 1 => Signal::Failed, _ => Signal::Passed };
                let (before, lowered) = (state.level(), state.lowered);
                let started = at(now - took);
                let cause = state.ended(signal, started, at(now), in_flight);
                let after = state.level();
                prop_assert!((1..=most).contains(&after));
                match cause {
                    None => prop_assert_eq!(after, before),
                    Some(Cause::Room) => prop_assert_eq!(after, before + 1),
                    Some(Cause::Slow) => prop_assert_eq!(after, before - before.div_ceil(4)),
                    Some(Cause::Limited) => {
                        prop_assert_eq!(after, before / 2);
                        prop_assert!(lowered.is_none_or(|lowered| started > lowered));
                    }
                }
            }
        }

        #[test]
        fn a_server_that_refuses_above_its_capacity_is_met_near_it(capacity in 2..30_u32) {
            let mut state = adaptive(64);
            let (mut now, mut refused, mut sent) = (0, 0_u32, 0_u32);
            let mut highest = 0;
            for round in 0..2_000 {
                let level = state.level();
                let started = now;
                now += 20;
                for n in 0..level {
                    let limited = n >= capacity;
                    sent += 1;
                    refused += u32::from(limited);
                    let signal = if limited { Signal::Limited } else { Signal::Passed };
                    state.ended(signal, at(started + 1), at(now), level);
                }
                if round > 1_000 {
                    highest = highest.max(state.level());
                }
                prop_assert!(state.level() <= capacity + 1);
            }
            prop_assert!(highest >= capacity, "it comes back up to {highest} of {capacity}");
            prop_assert!(refused * 10 <= sent, "{refused} of {sent} refused");
        }
    }
}
