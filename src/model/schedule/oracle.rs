//! Two independent judges over every IANA zone and every clock change from 2025 to 2037.
//!
//! The first walks real time second-wise blind to our rule: it reads the wall clock of each half minute from UTC (the
//! unambiguous direction), notes which civil times were skipped or shown twice, and says by the written rule what
//! should have fired. The second is the `croner` crate, where its rule and ours agree. It differs on purpose in two
//! places, which are left to the first judge: it takes lists and ranges in hour or minute for intervals (crontab and we
//! take only a star for one), and it drops a skipped time when the instant after the gap falls on a day the line does
//! not name (we fire it: a skipped run is late, not lost).

use super::{Overlap, Schedule};
use chrono::{
    DateTime, Datelike as _, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Timelike as _, Utc, Weekday,
};
use chrono_tz::{TZ_VARIANTS, Tz};
use std::collections::{BTreeMap, HashSet};

const TICK: i64 = 30;
const DAY: i64 = 86_400;
/// Looked at before and after each clock change.
const AROUND: i64 = DAY;

/// A line, and what it means in plain code.
struct Case {
    line: &'static str,
    matches: fn(NaiveDateTime) -> bool,
    /// Fires on every real interval; otherwise a fixed time.
    interval: bool,
    /// Whether `croner` means the same by it.
    croner: bool,
}

const fn fixed(line: &'static str, matches: fn(NaiveDateTime) -> bool) -> Case {
    Case { line, matches, interval: false, croner: true }
}

const fn list(line: &'static str, matches: fn(NaiveDateTime) -> bool) -> Case {
    Case { line, matches, interval: false, croner: false }
}

const fn interval(line: &'static str, matches: fn(NaiveDateTime) -> bool) -> Case {
    Case { line, matches, interval: true, croner: true }
}

fn at(t: NaiveDateTime, hour: u32, minute: u32) -> bool {
    t.hour() == hour && t.minute() == minute && t.second() == 0
}

const CASES: &[Case] = &[
    fixed("30 2 * * *", |t| at(t, 2, 30)),
    fixed("30 1 * * *", |t| at(t, 1, 30)),
    fixed("0 0 * * *", |t| at(t, 0, 0)),
    fixed("0 3 * * *", |t| at(t, 3, 0)),
    fixed("45 23 * * *", |t| at(t, 23, 45)),
    fixed("30 15 2 * * *", |t| t.hour() == 2 && t.minute() == 15 && t.second() == 30),
    list("0 2 * * 0", |t| at(t, 2, 0) && t.weekday() == Weekday::Sun),
    list("30 0 * * fri", |t| at(t, 0, 30) && t.weekday() == Weekday::Fri),
    list("0,15,30,45 1-3 * * *", |t| t.minute() % 15 == 0 && t.second() == 0 && (1..=3).contains(&t.hour())),
    list("0 0-23 * * *", |t| t.minute() == 0 && t.second() == 0),
    list("10 1 25-31 * 7", |t| at(t, 1, 10) && (t.day() >= 25 || t.weekday() == Weekday::Sun)),
    interval("*/15 * * * *", |t| t.minute() % 15 == 0 && t.second() == 0),
    interval("0 * * * *", |t| t.minute() == 0 && t.second() == 0),
    interval("0 */2 * * *", |t| t.minute() == 0 && t.second() == 0 && t.hour() % 2 == 0),
    interval("*/20 1 * * *", |t| t.hour() == 1 && t.minute() % 20 == 0 && t.second() == 0),
    interval("30 7 * * * *", |t| t.minute() == 7 && t.second() == 30),
];

fn offset(zone: Tz, at: i64) -> i32 {
    let instant = DateTime::from_timestamp(at, 0).unwrap();
    zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
}

/// Every clock change of every zone. Zones that change alike at one instant look alike around it: one stands for all.
fn changes() -> BTreeMap<(i64, i32, i32), Tz> {
    let from = Utc.with_ymd_and_hms(2025, 1, 1, 0, 0, 0).unwrap().timestamp();
    let until = Utc.with_ymd_and_hms(2038, 1, 1, 0, 0, 0).unwrap().timestamp();
    let mut changes = BTreeMap::new();
    for zone in TZ_VARIANTS {
        let mut before = offset(zone, from);
        for day in (from..until).step_by(usize::try_from(DAY).unwrap()) {
            let after = offset(zone, day + DAY);
            if after == before {
                continue;
            }
            let (mut low, mut high) = (day, day + DAY);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if offset(zone, middle) == before { low = middle } else { high = middle }
            }
            changes.entry((high, before, after)).or_insert(zone);
            before = after;
        }
    }
    changes
}

/// The wall clock of each tick of a window.
fn clock(zone: Tz, from: i64, until: i64) -> Vec<(i64, NaiveDateTime)> {
    (from..=until)
        .step_by(usize::try_from(TICK).unwrap())
        .map(|at| (at, DateTime::from_timestamp(at, 0).unwrap().with_timezone(&zone).naive_local()))
        .collect()
}

/// What must fire by the written rule.
fn expected(case: &Case, clock: &[(i64, NaiveDateTime)]) -> Vec<i64> {
    let tick = TimeDelta::seconds(TICK);
    let mut shown = HashSet::new();
    let mut fires = Vec::new();
    let mut last: Option<NaiveDateTime> = None;
    for &(at, civil) in clock {
        let mut fire = (case.matches)(civil);
        if !case.interval {
            // Not in the second pass.
            fire = fire && shown.insert(civil);
            let mut skipped = last.map_or(civil, |last| last + tick);
            while skipped < civil {
                fire |= (case.matches)(skipped);
                skipped += tick;
            }
        }
        if fire {
            fires.push(at);
        }
        last = Some(civil);
    }
    fires
}

fn ours(schedule: &Schedule, from: i64, until: i64) -> Vec<i64> {
    let step = |after: DateTime<Utc>| schedule.next_after(after).filter(|next| next.timestamp() <= until);
    let first = step(DateTime::from_timestamp(from, 0).unwrap());
    std::iter::successors(first, |last| step(*last)).map(|t| t.timestamp()).collect()
}

fn croners(line: &str, zone: Tz, from: i64, until: i64) -> Vec<i64> {
    let cron: croner::Cron = line.parse().unwrap();
    let step =
        |after: DateTime<Tz>| cron.find_next_occurrence(&after, false).ok().filter(|next| next.timestamp() <= until);
    let first = step(DateTime::from_timestamp(from, 0).unwrap().with_timezone(&zone));
    std::iter::successors(first, |last| step(*last)).map(|t| t.timestamp()).collect()
}

#[test]
fn every_zone_and_clock_change_agrees_with_the_written_rule() {
    let changes = changes();
    assert!(TZ_VARIANTS.len() > 400 && changes.len() > 300, "{} changes", changes.len());
    let mut checked = 0;
    for (&(instant, before, after), &zone) in &changes {
        let (from, until) = (instant - AROUND, instant + AROUND);
        let clock = clock(zone, from, until);
        for case in CASES {
            let schedule = Schedule::parse(case.line, zone, Overlap::Skip, DateTime::UNIX_EPOCH).unwrap();
            let mut expected = expected(case, &clock);
            expected.retain(|at| *at > from);
            let ours = ours(&schedule, from, until);
            assert_eq!(ours, expected, "{} in {zone} at {instant}: {before} -> {after}", case.line);
            checked += ours.len();
        }
    }
    assert!(checked > 100_000, "{checked}");
}

#[test]
fn every_zone_and_clock_change_agrees_with_croner() {
    for (&(instant, before, after), &zone) in &changes() {
        let (from, until) = (instant - DAY, instant + DAY);
        for case in CASES.iter().filter(|case| case.croner) {
            let schedule = Schedule::parse(case.line, zone, Overlap::Skip, DateTime::UNIX_EPOCH).unwrap();
            let (ours, theirs) = (ours(&schedule, from, until), croners(case.line, zone, from, until));
            assert_eq!(ours, theirs, "{} in {zone} at {instant}: {before} -> {after}", case.line);
        }
    }
}

#[test]
fn every_start_inside_a_window_gives_the_next_of_the_same_series() {
    for (&(instant, _, _), &zone) in changes().iter().step_by(7) {
        let (from, until) = (instant - DAY, instant + DAY);
        for case in CASES {
            let schedule = Schedule::parse(case.line, zone, Overlap::Skip, DateTime::UNIX_EPOCH).unwrap();
            let series = ours(&schedule, from, until);
            for ask in (instant - 3 * 3600..instant + 3 * 3600).step_by(571) {
                let next = schedule.next_after(DateTime::from_timestamp(ask, 0).unwrap()).unwrap().timestamp();
                let expected = series.iter().copied().find(|at| *at > ask);
                assert_eq!(Some(next).filter(|at| *at <= until), expected, "{} in {zone} after {ask}", case.line);
            }
        }
    }
}
