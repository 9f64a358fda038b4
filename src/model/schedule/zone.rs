//! From civil time to instants: what a line does where clocks go forward (gap) or back (fold).
//!
//! A line of fixed times fires once for each time it names: at the first of two passes through a fold, and at the
//! first instant after a gap when the time itself was skipped. Several skipped times share that one instant. An
//! interval line (a star in hour or minute) follows the clock on the wall: it fires in both passes of a fold, and
//! times inside a gap do not exist for it.
//!
//! Every answer is later than the question, whatever the zone data hold.

use super::civil::Line;
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::{GapInfo, Tz};

/// The calendar of the stepping crate ends soon after; nothing is scheduled beyond.
const END: i64 = 4_102_444_800; // 2100-01-01T00:00:00Z

/// How many civil matches may be passed over before giving up; a handful is the most that real zones need.
const PATIENCE: usize = 10_000;

/// The first instant of `line` in `zone` strictly after `after`.
pub(super) fn next_after(line: &Line, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let after = after.max(DateTime::UNIX_EPOCH - TimeDelta::seconds(1));
    if after.timestamp() >= END {
        return None;
    }
    if line.interval { next_interval(line, zone, after) } else { next_fixed(line, zone, after) }
}

fn next_fixed(line: &Line, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = civil(zone, after);
    let mut found = match pass(zone, local, after) {
        // Everything up to the fold's end has fired in the first pass.
        Pass::Second { fold } => line.from(fold.end)?,
        Pass::First { .. } | Pass::Plain => line.after(local)?,
    };
    for _ in 0..PATIENCE {
        let instant = match zone.from_local_datetime(&found) {
            MappedLocalTime::Single(t) | MappedLocalTime::Ambiguous(t, _) => Some(t.to_utc()),
            MappedLocalTime::None => gap_end(zone, found),
        };
        match instant {
            Some(instant) if instant > after => return Some(instant),
            _ => found = line.after(found)?,
        }
    }
    None
}

fn next_interval(line: &Line, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = civil(zone, after);
    let mut found = match pass(zone, local, after) {
        Pass::First { fold } => {
            let found = line.after(local)?;
            if found < fold.end {
                // Still the first pass, whose offset is the one in force at `after`.
                return after.with_nanosecond(0)?.checked_add_signed(found - local);
            }
            line.from(fold.start)?
        }
        Pass::Second { .. } | Pass::Plain => line.after(local)?,
    };
    for _ in 0..PATIENCE {
        let instant = match zone.from_local_datetime(&found) {
            MappedLocalTime::Single(t) => Some(t.to_utc()),
            MappedLocalTime::Ambiguous(first, second) => {
                let first = first.to_utc();
                Some(if first > after { first } else { second.to_utc() })
            }
            MappedLocalTime::None => None,
        };
        match instant {
            Some(instant) if instant > after => return Some(instant),
            Some(_) => found = line.after(found)?,
            None => {
                found = match gap_end(zone, found) {
                    Some(end) => line.from(civil(zone, end).max(found + TimeDelta::seconds(1)))?,
                    None => line.after(found)?,
                }
            }
        }
    }
    None
}

/// The civil times that a fold repeats: `start` up to but not including `end`.
struct Fold {
    start: NaiveDateTime,
    end: NaiveDateTime,
}

/// Where an instant stands towards a fold.
enum Pass {
    Plain,
    First { fold: Fold },
    Second { fold: Fold },
}

fn pass(zone: Tz, local: NaiveDateTime, instant: DateTime<Utc>) -> Pass {
    let MappedLocalTime::Ambiguous(first, second) = zone.from_local_datetime(&local) else {
        return Pass::Plain;
    };
    let (first, second) = (first.to_utc(), second.to_utc());
    let fold = fold_between(zone, first, second);
    if instant < second { Pass::First { fold } } else { Pass::Second { fold } }
}

/// Finds the transition between two instants of equal civil time by halving.
fn fold_between(zone: Tz, first: DateTime<Utc>, second: DateTime<Utc>) -> Fold {
    let length = second - first;
    let before = offset(zone, first);
    let (mut low, mut high) = (first.timestamp(), second.timestamp());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let same = DateTime::from_timestamp(middle, 0).is_some_and(|t| offset(zone, t) == before);
        if same { low = middle } else { high = middle }
    }
    let start = civil(zone, DateTime::from_timestamp(high, 0).unwrap_or(second));
    Fold { start, end: start + length }
}

/// The first instant after the gap that `local` stands in.
fn gap_end(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    GapInfo::new(&local, &zone)?.end.map(|end| end.to_utc())
}

fn offset(zone: Tz, instant: DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
}

/// The wall clock at an instant, whole seconds.
fn civil(zone: Tz, instant: DateTime<Utc>) -> NaiveDateTime {
    let local = instant.with_timezone(&zone).naive_local();
    local.with_nanosecond(0).unwrap_or(local)
}
