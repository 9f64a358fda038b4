//! Figures over time that never take more room than they had at the start: pure, without a clock.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Buckets of a run. When they are used up, two become one and each is twice as long.
const MOST: usize = 120;
/// The first ones are this long.
const FIRST_MS: i64 = 500;

/// What happened to a run in one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) exported: u64,
    pub(super) delivered: u64,
    pub(super) filtered: u64,
    pub(super) failed: u64,
    pub(super) pages: u64,
    /// The most at once.
    pub(super) in_flight: u32,
    /// The most that stood in line.
    pub(super) waiting: u32,
    /// The longest anyone had stood there.
    pub(super) oldest_ms: u64,
    /// For how long requests stood in line because an API had said to wait.
    pub(super) paused_ms: u64,
}

impl Bucket {
    pub(super) fn add(&mut self, other: Self) {
        self.exported += other.exported;
        self.delivered += other.delivered;
        self.filtered += other.filtered;
        self.failed += other.failed;
        self.pages += other.pages;
        self.in_flight = self.in_flight.max(other.in_flight);
        self.waiting = self.waiting.max(other.waiting);
        self.oldest_ms = self.oldest_ms.max(other.oldest_ms);
        self.paused_ms += other.paused_ms;
    }
}

/// A run from when it was first seen.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    begun: DateTime<Utc>,
    width_ms: i64,
    buckets: Vec<Bucket>,
}

impl Curve {
    pub(super) fn new(begun: DateTime<Utc>) -> Self {
        Self { begun, width_ms: FIRST_MS, buckets: Vec::new() }
    }

    /// Adds to the bucket of this moment. A clock that was put back adds to the last one.
    pub(super) fn note(&mut self, at: DateTime<Utc>, sample: Bucket) {
        let since = (at - self.begun).num_milliseconds().max(0);
        while since / self.width_ms >= i64::try_from(MOST).unwrap_or(i64::MAX) {
            self.buckets = self.buckets.chunks(2).map(joined).collect();
            self.width_ms = self.width_ms.saturating_mul(2);
        }
        let place = usize::try_from(since / self.width_ms).unwrap_or(0).max(self.buckets.len().saturating_sub(1));
        if self.buckets.len() <= place {
            self.buckets.resize(place + 1, Bucket::default());
        }
        self.buckets[place].add(sample);
    }

    /// A list a figure, as charts want it.
    pub(super) fn document(&self) -> Value {
        let list = |of: fn(&Bucket) -> u64| self.buckets.iter().map(of).collect::<Vec<u64>>();
        json!({
            "begun": crate::app::status::time(self.begun),
            "step_ms": self.width_ms,
            "exported": list(|one| one.exported),
            "delivered": list(|one| one.delivered),
            "filtered": list(|one| one.filtered),
            "failed": list(|one| one.failed),
            "pages": list(|one| one.pages),
            "in_flight": list(|one| one.in_flight.into()),
            "waiting": list(|one| one.waiting.into()),
            "oldest_ms": list(|one| one.oldest_ms),
            "paused_ms": list(|one| one.paused_ms),
        })
    }
}

fn joined(two: &[Bucket]) -> Bucket {
    two.iter().fold(Bucket::default(), |mut sum, one| {
        sum.add(*one);
        sum
    })
}

/// The last so many steps of something, the newest last.
#[derive(Debug, Clone)]
pub(super) struct Ring<T> {
    step_ms: i64,
    most: usize,
    /// Number of the newest step since the epoch.
    newest: i64,
    steps: VecDeque<T>,
}

impl<T: Clone + Default> Ring<T> {
    pub(super) fn new(step_ms: i64, most: usize) -> Self {
        Self { step_ms, most, newest: i64::MIN, steps: VecDeque::new() }
    }

    /// The step of this moment; those between are empty.
    pub(super) fn at(&mut self, now: DateTime<Utc>) -> &mut T {
        self.move_to(now);
        // There is one: it was just moved to.
        let last = self.steps.len().saturating_sub(1);
        if self.steps.is_empty() {
            self.steps.push_back(T::default());
        }
        &mut self.steps[last]
    }

    fn move_to(&mut self, now: DateTime<Utc>) {
        let step = now.timestamp_millis().div_euclid(self.step_ms);
        let ahead = usize::try_from(step.saturating_sub(self.newest)).unwrap_or(0).min(self.most);
        for _ in 0..ahead {
            self.steps.push_back(T::default());
        }
        while self.steps.len() > self.most {
            self.steps.pop_front();
        }
        self.newest = self.newest.max(step);
    }

    /// Whether nothing of it is recent.
    pub(super) fn is_over(&self, now: DateTime<Utc>) -> bool {
        let step = now.timestamp_millis().div_euclid(self.step_ms);
        usize::try_from(step.saturating_sub(self.newest)).is_ok_and(|ahead| ahead >= self.most)
    }

    /// All steps up to now, and when the last one ends.
    pub(super) fn until(&self, now: DateTime<Utc>) -> (String, Vec<T>) {
        let mut whole = self.clone();
        whole.move_to(now);
        let lacking = whole.most.saturating_sub(whole.steps.len());
        let steps = std::iter::repeat_n(T::default(), lacking).chain(whole.steps).collect();
        let ends = whole.newest.saturating_add(1).saturating_mul(self.step_ms);
        let ends = DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::milliseconds(ends)).unwrap_or(now);
        (crate::app::status::time(ends), steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    proptest! {
        #[test]
        fn a_curve_loses_no_record_and_stays_small(moments in proptest::collection::vec((0..200_000_000_i64, 0..9_u64), 1..300)) {
            let mut curve = Curve::new(at(0));
            let mut sum = 0;
            for (ms, delivered) in moments {
                curve.note(at(ms), Bucket { delivered, in_flight: 3, ..Bucket::default() });
                sum += delivered;
                prop_assert!(curve.buckets.len() <= MOST);
            }
            prop_assert_eq!(curve.buckets.iter().map(|one| one.delivered).sum::<u64>(), sum);
            prop_assert_eq!(curve.buckets.iter().map(|one| one.in_flight).max(), Some(3));
        }
    }

    #[test]
    fn buckets_double_when_they_are_used_up() {
        let mut curve = Curve::new(at(0));
        for step in 0..120 {
            curve.note(at(step * 500), Bucket { delivered: 1, ..Bucket::default() });
        }
        assert_eq!((curve.buckets.len(), curve.width_ms), (120, 500));
        curve.note(at(60_000), Bucket { delivered: 1, ..Bucket::default() });
        assert_eq!((curve.buckets.len(), curve.width_ms, curve.buckets[59].delivered), (61, 1_000, 2));
        // A year later.
        curve.note(at(31_536_000_000), Bucket::default());
        assert!(curve.buckets.len() <= MOST && curve.buckets[0].delivered == 121);
    }

    #[test]
    fn a_ring_keeps_the_last_steps_and_shows_gaps() {
        let mut ring: Ring<u32> = Ring::new(1_000, 4);
        *ring.at(at(10_500)) += 1;
        *ring.at(at(10_900)) += 1;
        *ring.at(at(12_000)) += 5;
        assert_eq!(ring.until(at(13_000)), ("1970-01-01T00:00:14.000Z".to_owned(), vec![2, 0, 5, 0]));
        // A clock put back adds to the newest step.
        *ring.at(at(9_000)) += 1;
        assert_eq!(ring.until(at(12_999)).1, [0, 2, 0, 6]);
        *ring.at(at(60_000)) += 7;
        assert_eq!(ring.until(at(60_000)).1, [0, 0, 0, 7]);
        assert!(!ring.is_over(at(63_999)) && ring.is_over(at(64_000)));
    }
}
