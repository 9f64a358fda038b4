//! Spreads the starts of flows that catch up, so that ten thousand of them do not start within one second.

use crate::value::id::FlowId;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// At most so many flows start to catch up within one second of the clock. Occurrences that are on time are not
/// held up by it.
pub const PER_SECOND: u32 = 50;

/// Lets [`PER_SECOND`] flows pass each second and tells the others when to come again.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The second of the last pass, and how many passed in it.
    second: i64,
    passed: u32,
    /// How many were told to come in a second still ahead.
    planned: BTreeMap<i64, u32>,
    /// Seconds from the first up to the second of these have no room.
    full: (i64, i64),
}

impl Gate {
    /// Whether one more may start now.
    pub(super) fn pass(&mut self, now: DateTime<Utc>) -> bool {
        if now.timestamp() != self.second {
            (self.second, self.passed) = (now.timestamp(), 0);
        }
        let room = self.passed < PER_SECOND;
        self.passed += u32::from(room);
        room
    }

    /// When one that may not start now comes again: in the first later second that has room.
    pub(super) fn plan(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        let mut second = now.timestamp() + 1;
        self.planned = self.planned.split_off(&second);
        let (from, to) = self.full;
        if (from..to).contains(&second) {
            second = to;
        }
        let from = second;
        let told = loop {
            let told = self.planned.entry(second).or_default();
            if *told < PER_SECOND {
                break told;
            }
            second += 1;
        };
        *told += 1;
        self.full = (if (self.full.0..=self.full.1).contains(&from) { self.full.0 } else { from }, second);
        DateTime::from_timestamp(second, 0).unwrap_or(now + TimeDelta::seconds(1))
    }

    /// The clock was set back: nothing that was planned holds.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// How much later than possible a flow starts to catch up: the same for the same flow and occurrence, spread evenly
/// over all of them.
pub(super) fn jitter(flow: &FlowId, occurrence: DateTime<Utc>, most: Duration) -> TimeDelta {
    let mut hash = Sha256::new();
    hash.update(flow.as_str());
    hash.update([0]);
    hash.update(occurrence.timestamp().to_be_bytes());
    let number = hash.finalize().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    let millis = if most == u64::MAX { number } else { number % (most + 1) };
    TimeDelta::try_milliseconds(i64::try_from(millis).unwrap_or(i64::MAX)).unwrap_or(TimeDelta::days(1))
}
