//! Over a schedule's occurrences without stepping through each: a line that fires each second and slept for a year
//! has 31 million of them.

use crate::model::schedule::Schedule;
use chrono::{DateTime, TimeDelta, Utc};

/// Occurrences of one flow that are counted one by one; of more it is said that there are at least so many.
pub(super) const MOST_COUNTED: u64 = 10_000;
/// Steps that counting may take between two looks at the clock, for all flows together. Beyond that a flow's missed
/// occurrences are counted as at least one: thousands of flows after a long sleep must not hold up those on time.
pub(super) const STEPS: u64 = 250_000;

/// The newest occurrence from `known`, which is one and not after `now`, up to `now`.
pub(super) fn newest(schedule: &Schedule, known: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let until_now = |after| schedule.next_after(after).filter(|next| *next <= now);
    let (mut newest, mut end) = (known, now);
    // Halves the stretch in which the newest lies: after `newest`, not after `end`.
    while end - newest > TimeDelta::seconds(1) {
        let Some(next) = until_now(newest) else { return newest };
        newest = next;
        let middle = newest + (end - newest) / 2;
        match until_now(middle) {
            Some(next) => newest = next,
            None => end = middle,
        }
    }
    until_now(newest).unwrap_or(newest)
}

/// How many occurrences there are from `first`, which is one, up to but not including `last`: at least so many where
/// they are too many to count.
pub(super) fn count(schedule: &Schedule, first: DateTime<Utc>, last: DateTime<Utc>, steps: &mut u64) -> u64 {
    let (mut at, mut counted) = (first, 0);
    while at < last {
        counted += 1;
        if counted >= MOST_COUNTED || *steps == 0 {
            break;
        }
        *steps -= 1;
        match schedule.next_after(at) {
            Some(next) => at = next,
            None => break,
        }
    }
    counted
}

/// The oldest of the newest `most` occurrences from `first`, which is one, up to `now`.
pub(super) fn oldest_of_newest(
    schedule: &Schedule,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
    most: u32,
) -> DateTime<Utc> {
    let fits = |from: DateTime<Utc>| {
        let mut at = Some(from);
        for _ in 0..most {
            at = at.and_then(|at| schedule.next_after(at)).filter(|at| *at <= now);
        }
        at.is_none()
    };
    if fits(first) {
        return first;
    }
    // From `before`, an occurrence, on there are too many; after `enough` there are not.
    let (mut before, mut enough) = (first, now);
    while enough - before > TimeDelta::seconds(1) {
        let middle = before + (enough - before) / 2;
        match schedule.next_after(middle).filter(|next| *next <= now && !fits(*next)) {
            Some(next) => before = next,
            None => enough = middle,
        }
    }
    while let Some(next) = schedule.next_after(before).filter(|next| *next <= now) {
        if fits(next) {
            return next;
        }
        before = next;
    }
    before
}
