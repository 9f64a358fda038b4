//! Lengths of time on a calendar: `30s`, `1d`, `1w`, `1mo`, `1y`. Months keep the day, or take the last one there is.

use chrono::{DateTime, Months, TimeDelta, Utc};

/// The first and the last instant that every format here can write.
pub const FIRST: DateTime<Utc> = DateTime::UNIX_EPOCH;
/// The end of the year 9999.
pub const LAST: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(last) => last,
    None => DateTime::UNIX_EPOCH,
};

/// A length of time: months, or milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    months: u32,
    millis: i64,
}

impl Step {
    /// Parses a count and a unit.
    pub fn parse(text: &str) -> Result<Self, String> {
        const UNITS: &str = "`ms`, `s`, `m`, `h`, `d`, `w`, `mo` or `y`";
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        if digits.is_empty() || unit.is_empty() {
            return Err(format!(
                "`{text}` is not a whole number with a unit; write one of {UNITS}, as in `30s` or `1mo`"
            ));
        }
        let too_long = || format!("`{text}` is longer than a thousand years");
        let count: u32 = digits.parse().map_err(|_| too_long())?;
        let (months, millis) = match unit {
            "ms" => (0, 1),
            "s" => (0, 1_000),
            "m" => (0, 60_000),
            "h" => (0, 3_600_000),
            "d" => (0, 86_400_000),
            "w" => (0, 7 * 86_400_000),
            "mo" => (1, 0),
            "y" => (12, 0),
            _ => return Err(format!("`{unit}` is no unit of time; use {UNITS}")),
        };
        let step = Self { months: count.saturating_mul(months), millis: i64::from(count).saturating_mul(millis) };
        if step.months > 12_000 || step.millis > 365_250 * 86_400_000 {
            return Err(too_long());
        }
        Ok(step)
    }

    /// Whether it is no time at all.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// `count` of them after an instant: counted from it at once, so that months do not drift at their ends. None
    /// beyond the year 9999.
    pub fn after(self, at: DateTime<Utc>, count: u32) -> Option<DateTime<Utc>> {
        let months = Months::new(self.months.checked_mul(count)?);
        let by = TimeDelta::try_milliseconds(self.millis.checked_mul(i64::from(count))?)?;
        at.checked_add_months(months)?.checked_add_signed(by).filter(|at| *at <= LAST)
    }

    /// One of them before an instant; no earlier than 1970.
    pub fn before(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let by = TimeDelta::try_milliseconds(self.millis).unwrap_or_default();
        let before = at.checked_sub_months(Months::new(self.months)).and_then(|at| at.checked_sub_signed(by));
        before.map_or(FIRST, |at| at.max(FIRST))
    }

    /// Whether it is shorter than another, wherever on the calendar.
    pub fn is_shorter_than(self, other: Self) -> bool {
        if self.millis == 0 && other.millis == 0 {
            return self.months < other.months;
        }
        let day = 86_400_000;
        i64::from(self.months) * 31 * day + self.millis < i64::from(other.months) * 28 * day + other.millis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn months_keep_the_day_or_take_the_last_one_and_do_not_drift() {
        let month = Step::parse("1mo").unwrap();
        let after = |count| month.after(at("2024-01-31T08:00:00Z"), count).unwrap().format("%m-%d").to_string();
        assert_eq!([1, 2, 3, 13].map(after), ["02-29", "03-31", "04-30", "02-28"]);
        assert_eq!(month.before(at("2023-03-31T00:00:00Z")), at("2023-02-28T00:00:00Z"));
        assert_eq!(Step::parse("1y").unwrap().after(at("2024-02-29T00:00:00Z"), 1), Some(at("2025-02-28T00:00:00Z")));
    }

    #[test]
    fn the_ends_of_the_calendar_hold() {
        let year = Step::parse("1000y").unwrap();
        assert_eq!(year.after(at("9990-01-01T00:00:00Z"), 1), None);
        assert_eq!(year.after(FIRST, u32::MAX), None);
        assert_eq!(year.before(at("2024-01-01T00:00:00Z")), FIRST);
    }

    #[test]
    fn what_has_no_unit_or_no_end_is_refused() {
        for text in ["", "1", "mo", "-1d", "1.5d", "1 d", "1q", "1001y", "99999999999d", "١d"] {
            assert!(Step::parse(text).is_err(), "{text}");
        }
        assert!(Step::parse("0s").unwrap().is_zero());
    }

    #[test]
    fn a_step_is_shorter_only_where_it_always_is() {
        let step = |text| Step::parse(text).unwrap();
        for (a, b, shorter) in [
            ("1d", "1mo", true),
            ("28d", "1mo", false),
            ("27d", "1mo", true),
            ("1mo", "1mo", false),
            ("1mo", "31d", false),
            ("1mo", "32d", true),
            ("11mo", "1y", true),
            ("0s", "1ms", true),
        ] {
            assert_eq!(step(a).is_shorter_than(step(b)), shorter, "{a} {b}");
        }
    }
}
