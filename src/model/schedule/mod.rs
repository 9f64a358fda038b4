//! When a flow runs: a cron line in civil time, a zone, and the rule that maps civil time to instants.
//!
//! - [`missed`]: what becomes of occurrences nobody was awake for
//! - [`field`]: one field of a cron line, read as crontab reads it
//! - [`civil`]: a whole line, stepped on a calendar without a zone
//! - [`zone`]: civil time to instants where clocks go forward (gap) or back (fold)
//!
//! Nothing here waits; `runtime::schedule` does.

mod civil;
mod field;
mod missed;
mod zone;

#[cfg(test)]
mod oracle;

pub use missed::{MakeUp, Missed};

use crate::value::issue::Issue;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// A valid `[schedule]`. Two are equal when they fire at the same instants and treat overlapping and missed ones alike.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// As written.
    pub source: String,
    /// `timezone`
    pub zone: chrono_tz::Tz,
    /// `overlap`
    pub overlap: Overlap,
    /// `missed`
    pub missed: Missed,
    line: Arc<civil::Line>,
}

/// `overlap`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// A due run is skipped while one is running.
    #[default]
    Skip,
    /// One more run is kept for later.
    Queue,
}

impl Schedule {
    /// Parses 5 or 6 fields; refuses lines that never fire. What is missed is treated by default.
    pub fn parse(cron: &str, zone: chrono_tz::Tz, overlap: Overlap, now: DateTime<Utc>) -> Result<Self, Issue> {
        let line = civil::Line::parse(cron)?;
        let schedule = Self { source: cron.to_owned(), zone, overlap, missed: Missed::default(), line: Arc::new(line) };
        if schedule.next_after(now).is_none() {
            return Err(Issue::new(schedule.line.days.clone(), "this schedule never fires: no date matches")
                .help("check the day of the month against the month; 30 and 31 do not exist in every month"));
        }
        Ok(schedule)
    }

    /// The first instant strictly after `after`; none when no date before the year 2100 matches.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        zone::next_after(&self.line, self.zone, after)
    }

    /// Whether both fire at the same instants; `overlap` and `missed` may differ.
    pub fn same_instants(&self, other: &Self) -> bool {
        self.zone == other.zone && self.line == other.line
    }

    /// A number for the instants it fires at: equal for schedules that [`Self::same_instants`] calls the same, and
    /// from one version to the next, so that it can be stored.
    pub fn fingerprint(&self) -> u64 {
        self.line.fingerprint(self.zone.name())
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.overlap == other.overlap && self.missed == other.missed && self.same_instants(other)
    }
}

impl Eq for Schedule {}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use chrono_tz::Tz;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn schedule(cron: &str, zone: Tz) -> Schedule {
        Schedule::parse(cron, zone, Overlap::Skip, at("2026-01-01T00:00:00Z")).unwrap()
    }

    fn next(cron: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
        let schedule = schedule(cron, zone);
        let first = schedule.next_after(at(after));
        std::iter::successors(first, |last| schedule.next_after(*last))
            .take(count)
            .map(|t| t.with_timezone(&zone).format("%m-%d %H:%M:%S%z").to_string())
            .collect()
    }

    #[test]
    fn a_fixed_time_inside_a_gap_fires_at_the_first_instant_after_it() {
        assert_eq!(
            next("30 2 * * *", Tz::America__New_York, "2027-03-13T00:00:00Z", 3),
            ["03-13 02:30:00-0500", "03-14 03:00:00-0400", "03-15 02:30:00-0400"]
        );
        assert_eq!(
            next("0 0 * * *", Tz::Africa__Cairo, "2027-04-29T12:00:00Z", 2),
            ["04-30 01:00:00+0300", "05-01 00:00:00+0300"]
        );
    }

    #[test]
    fn several_fixed_times_inside_a_gap_fire_once_together() {
        assert_eq!(
            next("0,30 2,3 * * *", Tz::America__New_York, "2027-03-14T05:00:00Z", 3),
            ["03-14 03:00:00-0400", "03-14 03:30:00-0400", "03-15 02:00:00-0400"]
        );
    }

    #[test]
    fn a_fixed_time_in_a_fold_fires_once_at_the_first() {
        assert_eq!(
            next("30 1 * * *", Tz::America__New_York, "2027-11-07T04:00:00Z", 2),
            ["11-07 01:30:00-0400", "11-08 01:30:00-0500"]
        );
        assert_eq!(
            next("30 1 * * *", Tz::America__New_York, "2027-11-07T06:05:00Z", 1),
            ["11-08 01:30:00-0500"],
            "asked in the second pass"
        );
    }

    #[test]
    fn an_interval_fires_on_every_real_interval_of_a_fold() {
        assert_eq!(
            next("*/30 * * * *", Tz::America__New_York, "2027-11-07T04:45:00Z", 6),
            [
                "11-07 01:00:00-0400",
                "11-07 01:30:00-0400",
                "11-07 01:00:00-0500",
                "11-07 01:30:00-0500",
                "11-07 02:00:00-0500",
                "11-07 02:30:00-0500"
            ]
        );
        assert_eq!(
            next("*/15 * * * *", Tz::Australia__Lord_Howe, "2027-04-03T14:20:00Z", 5),
            [
                "04-04 01:30:00+1100",
                "04-04 01:45:00+1100",
                "04-04 01:30:00+1030",
                "04-04 01:45:00+1030",
                "04-04 02:00:00+1030"
            ]
        );
    }

    #[test]
    fn an_interval_carries_on_through_a_gap() {
        assert_eq!(
            next("*/30 * * * *", Tz::America__New_York, "2027-03-14T06:15:00Z", 3),
            ["03-14 01:30:00-0500", "03-14 03:00:00-0400", "03-14 03:30:00-0400"]
        );
    }

    #[test]
    fn weekdays_are_numbered_as_in_crontab() {
        let days = |field: &str| {
            let schedule = schedule(&format!("0 0 * * {field}"), Tz::UTC);
            let first = schedule.next_after(at("2027-05-01T12:00:00Z"));
            std::iter::successors(first, |last| schedule.next_after(*last))
                .take_while(|t| *t < at("2027-05-09T00:00:00Z"))
                .map(|t| t.format("%a").to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(days("0"), "Sun");
        assert_eq!(days("7"), "Sun");
        assert_eq!(days("1"), "Mon");
        assert_eq!(days("1-5"), "Mon Tue Wed Thu Fri");
        assert_eq!(days("5-7"), "Sun Fri Sat");
        assert_eq!(days("FRI-SUN"), "Sun Fri Sat");
        assert_eq!(days("0-2"), "Sun Mon Tue");
        assert_eq!(days("Mon,wed,6"), "Mon Wed Sat");
        assert_eq!(days("*/2"), "Sun Tue Thu Sat");
        assert_eq!(days("1/3"), "Sun Mon Thu", "1, 4 and 7");
    }

    #[test]
    fn day_of_month_and_weekday_are_joined_by_or_when_both_are_restricted() {
        assert_eq!(
            next("0 0 13 * 5", Tz::UTC, "2027-05-01T00:00:00Z", 4),
            ["05-07 00:00:00+0000", "05-13 00:00:00+0000", "05-14 00:00:00+0000", "05-21 00:00:00+0000"]
        );
        assert_eq!(
            next("0 0 */2 * 1", Tz::UTC, "2027-05-01T00:00:00Z", 2),
            ["05-03 00:00:00+0000", "05-17 00:00:00+0000"],
            "a field that begins with a star restricts further"
        );
    }

    #[test]
    fn lines_that_never_fire_are_refused_at_the_day_field() {
        for (cron, at_byte) in [("0 0 31 2 *", 4), ("0 0 0 30 feb ?", 6), ("0 0 31 4,6,9,11 *", 4)] {
            let issue = Schedule::parse(cron, Tz::UTC, Overlap::Skip, at("2027-01-01T00:00:00Z")).unwrap_err();
            assert!(issue.message.contains("never fires"), "{cron}: {}", issue.message);
            assert_eq!(issue.at.start, at_byte, "{cron}");
        }
        assert!(Schedule::parse("0 0 29 2 *", Tz::UTC, Overlap::Skip, at("2027-01-01T00:00:00Z")).is_ok());
        assert!(Schedule::parse("0 0 31 2 1", Tz::UTC, Overlap::Skip, at("2027-01-01T00:00:00Z")).is_ok(), "or");
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        let every_second = schedule("* * * * * *", Tz::Pacific__Kiritimati);
        assert!(every_second.next_after(DateTime::<Utc>::MIN_UTC).is_some());
        assert_eq!(every_second.next_after(DateTime::<Utc>::MAX_UTC), None);
    }

    #[test]
    fn equal_means_the_same_instants_and_overlap() {
        assert_eq!(schedule("*/15 * * * *", Tz::UTC), schedule("0 */15 * * * *", Tz::UTC));
        assert_ne!(schedule("0 1 * * *", Tz::UTC), schedule("0 1 * * *", Tz::Europe__Berlin));
        assert_ne!(schedule("0 0-23 * * *", Tz::UTC), schedule("0 * * * *", Tz::UTC), "fixed against interval");
        let queue = Schedule { overlap: Overlap::Queue, ..schedule("0 1 * * *", Tz::UTC) };
        assert_ne!(queue, schedule("0 1 * * *", Tz::UTC));
        let none = Missed { run: MakeUp::None, ..Missed::default() };
        assert_ne!(Schedule { missed: none, ..queue.clone() }, queue);
    }

    #[test]
    fn the_fingerprint_tells_instants_apart_and_nothing_else() {
        let print = |cron, zone| schedule(cron, zone).fingerprint();
        assert_eq!(print("*/15 * * * *", Tz::UTC), print("0 */15 * * * *", Tz::UTC));
        assert_eq!(print("*/15 * * * *", Tz::UTC), 0xbb4d_d4e4_1f01_64f7, "stored: must never change");
        let queue = Schedule { overlap: Overlap::Queue, ..schedule("0 1 * * *", Tz::UTC) };
        assert_eq!(queue.fingerprint(), print("0 1 * * *", Tz::UTC));
        let others = [
            print("*/15 * * * *", Tz::Europe__Berlin),
            print("0,15,30,45 0-23 * * *", Tz::UTC),
            print("*/20 * * * *", Tz::UTC),
            print("0 0 1 * *", Tz::UTC),
            print("0 0 1 * 1", Tz::UTC),
        ];
        let distinct: std::collections::BTreeSet<_> = others.iter().collect();
        assert_eq!(distinct.len(), others.len());
        assert!(!others.contains(&print("*/15 * * * *", Tz::UTC)));
    }

    fn any_field(min: u32, max: u32) -> impl Strategy<Value = String> {
        let point = min..=max;
        prop_oneof![
            3 => Just("*".to_owned()),
            2 => point.clone().prop_map(|n| n.to_string()),
            1 => (1..=(max - min)).prop_map(|n| format!("*/{n}")),
            1 => (point.clone(), point.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            1 => (point.clone(), point).prop_map(|(a, b)| format!("{a},{b}")),
        ]
    }

    fn any_line() -> impl Strategy<Value = String> {
        (any_field(0, 59), any_field(0, 59), any_field(0, 23), any_field(1, 28), any_field(1, 12), any_field(0, 7))
            .prop_map(|(s, m, h, dom, mon, dow)| format!("{s} {m} {h} {dom} {mon} {dow}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_next_is_later_than_the_last(
            cron in any_line(),
            zone in proptest::sample::select(&chrono_tz::TZ_VARIANTS[..]),
            secs in 0_i64..4_000_000_000,
            nanos in 0_u32..1_999_999_999,
        ) {
            let schedule = schedule(&cron, zone);
            let mut last = Utc.timestamp_opt(secs, nanos).single().unwrap_or(DateTime::UNIX_EPOCH);
            for _ in 0..20 {
                let Some(next) = schedule.next_after(last) else { break };
                prop_assert!(next > last, "{cron} {zone}: {next} after {last}");
                last = next;
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[-0-9*/,?@a-zA-Z# \\PC]{0,40}") {
            if let Err(issue) = Schedule::parse(&text, Tz::UTC, Overlap::Skip, DateTime::UNIX_EPOCH) {
                prop_assert!(issue.at.end <= text.len() && text.is_char_boundary(issue.at.start));
                prop_assert!(text.is_char_boundary(issue.at.end));
            }
        }
    }
}
