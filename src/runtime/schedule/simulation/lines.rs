//! Cron lines with their meaning in plain code, and when they fire by the written rule: from the wall clock of each
//! minute, read forward from UTC, without the schedule's own code.

use crate::model::schedule::{MakeUp, Missed, Overlap, Schedule};
use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeDelta, Timelike as _};
use chrono_tz::Tz;
use std::collections::HashSet;
use std::time::Duration;

/// A line of whole minutes.
pub(super) struct Line {
    pub(super) cron: &'static str,
    matches: fn(NaiveDateTime) -> bool,
    /// A star in minute or hour: fires on every real interval.
    interval: bool,
    /// How common it is.
    pub(super) weight: u32,
}

const fn line(cron: &'static str, weight: u32, interval: bool, matches: fn(NaiveDateTime) -> bool) -> Line {
    Line { cron, matches, interval, weight }
}

fn at(t: NaiveDateTime, hour: u32, minute: u32) -> bool {
    (t.hour(), t.minute()) == (hour, minute)
}

pub(super) const LINES: &[Line] = &[
    line("* * * * *", 1, true, |_| true),
    line("*/5 * * * *", 6, true, |t| t.minute() % 5 == 0),
    line("*/15 * * * *", 50, true, |t| t.minute() % 15 == 0),
    line("7 * * * *", 120, true, |t| t.minute() == 7),
    line("0 */3 * * *", 100, true, |t| t.hour() % 3 == 0 && t.minute() == 0),
    line("0,30 1-3 * * *", 60, false, |t| (1..=3).contains(&t.hour()) && t.minute() % 30 == 0),
    line("30 2 * * *", 80, false, |t| at(t, 2, 30)),
    line("30 1 * * *", 40, false, |t| at(t, 1, 30)),
    line("0 0 * * *", 60, false, |t| at(t, 0, 0)),
    line("15 0,12 * * *", 60, false, |t| at(t, 0, 15) || at(t, 12, 15)),
    line("0 9 * * 1-5", 40, false, |t| at(t, 9, 0) && t.weekday().num_days_from_monday() < 5),
    line("45 23 * * 0", 20, false, |t| at(t, 23, 45) && t.weekday().num_days_from_monday() == 6),
    line("0 3 1 * *", 10, false, |t| at(t, 3, 0) && t.day() == 1),
];

pub(super) const ZONES: &[Tz] = &[
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::America__Los_Angeles,
    Tz::Australia__Lord_Howe,
    Tz::Australia__Sydney,
    Tz::America__Santiago,
    Tz::Asia__Kathmandu,
    Tz::Pacific__Kiritimati,
];

/// Rules for missed occurrences, with the default twice.
pub(super) const RULES: &[(Missed, Overlap)] = &[
    (rule(MakeUp::One, 24, 0, 1), Overlap::Skip),
    (rule(MakeUp::One, 24, 30, 1), Overlap::Queue),
    (rule(MakeUp::One, 2, 300, 1), Overlap::Skip),
    (rule(MakeUp::None, 24, 0, 1), Overlap::Skip),
    (rule(MakeUp::All, 24, 30, 5), Overlap::Skip),
    (rule(MakeUp::All, 6, 0, 3), Overlap::Queue),
];

const fn rule(run: MakeUp, hours: u64, jitter: u64, max: u32) -> Missed {
    Missed { run, window: Duration::from_hours(hours), jitter: Duration::from_secs(jitter), max }
}

/// A schedule of the product.
pub(super) fn schedule(line: usize, zone: usize, rule: usize) -> Option<Schedule> {
    let (missed, overlap) = RULES[rule];
    let mut schedule = Schedule::parse(LINES[line].cron, ZONES[zone], overlap, DateTime::UNIX_EPOCH).ok()?;
    schedule.missed = missed;
    Some(schedule)
}

/// When a line fires in a zone, seconds since 1970, after `from` and up to `until`.
pub(super) fn instants(line: usize, zone: usize, from: i64, until: i64) -> Vec<i64> {
    const DAY: i64 = 86_400;
    let (line, zone) = (&LINES[line], ZONES[zone]);
    let minute = TimeDelta::minutes(1);
    let mut fires = Vec::new();
    let mut shown = HashSet::new();
    let mut last: Option<NaiveDateTime> = None;
    // Begins a day early, to know what the clock has shown before.
    for second in (from - DAY..=until).step_by(60) {
        let Some(civil) = DateTime::from_timestamp(second, 0).map(|at| at.with_timezone(&zone).naive_local()) else {
            continue;
        };
        let mut fire = (line.matches)(civil);
        if !line.interval {
            // Not in the second pass of a fold; after a gap for what was skipped in it.
            fire = fire && shown.insert(civil);
            let mut skipped = last.map_or(civil, |last| last + minute);
            while skipped < civil {
                fire |= (line.matches)(skipped);
                skipped += minute;
            }
        }
        last = Some(civil);
        if fire && second > from {
            fires.push(second);
        }
    }
    fires
}
