//! A cron line on a plain calendar: the dates and times it names, without a zone.
//!
//! The `cron` crate steps from one match to the next; we hand it plain number lists and treat its UTC as "no
//! zone". Zones are `zone`'s business, because the crate skips gaps, doubles folds and can step backwards there.

use super::field::{DAY, Field, HOUR, Kind, MINUTE, MONTH, SECOND, WEEKDAY};
use crate::value::issue::Issue;
use chrono::{NaiveDateTime, TimeDelta};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;

/// A line longer than this is refused unread.
const LONGEST: usize = 1024;

/// A valid line.
#[derive(Debug)]
pub(super) struct Line {
    /// One schedule, or two whose matches are joined: days of the month, and weekdays.
    parts: Vec<cron::Schedule>,
    /// Whether hour or minute was written with a star: fires on each real interval, in both passes of a fold.
    pub(super) interval: bool,
    /// Where the fields that choose the date stand, for "never fires".
    pub(super) days: Range<usize>,
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts && self.interval == other.interval
    }
}

impl Line {
    /// Parses 5 fields, 6 with leading seconds, or a nickname such as `@daily`.
    pub(super) fn parse(source: &str) -> Result<Self, Issue> {
        let whole = 0..source.len();
        if source.len() > LONGEST {
            return Err(Issue::new(whole, format!("a cron line is longer than {LONGEST} bytes")));
        }
        let words = words(source);
        if let Some(at) = words.first().filter(|at| source[(*at).clone()].starts_with('@')) {
            return nickname(&source[at.clone()], &words, whole);
        }
        let (second, fields) = match words.len() {
            5 => (None, &words[..]),
            6 => (words.first(), &words[1..]),
            count => return Err(wrong_count(&words, count, whole)),
        };
        let read = |kind: &Kind, at: &Range<usize>| kind.parse(&source[at.clone()], at);
        let second = second.map_or(Ok(Field::only(0)), |at| read(&SECOND, at))?;
        let minute = read(&MINUTE, &fields[0])?;
        let hour = read(&HOUR, &fields[1])?;
        let day = read(&DAY, &fields[2])?;
        let month = read(&MONTH, &fields[3])?;
        let weekday = read(&WEEKDAY, &fields[4])?;
        let parts = parts([second, minute, hour, day, month, weekday])
            .map_err(|cause| Issue::new(whole, format!("this cron line cannot be stepped: {cause}")))?;
        Ok(Self { parts, interval: minute.star || hour.star, days: fields[2].start..fields[4].end })
    }

    /// A stable hash of what it matches, of its kind and of a zone's name.
    pub(super) fn fingerprint(&self, zone: &str) -> u64 {
        let mut hash = Sha256::new();
        for part in &self.parts {
            // The number lists we handed to the crate, not what the user wrote.
            hash.update(part.source());
            hash.update([0]);
        }
        hash.update([u8::from(self.interval)]);
        hash.update(zone);
        hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// The first match later than `at`.
    pub(super) fn after(&self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let at = at.and_utc();
        self.parts.iter().filter_map(|part| part.after(&at).next()).map(|found| found.naive_utc()).min()
    }

    /// The first match at or later than `at`.
    pub(super) fn from(&self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        self.after(at.checked_sub_signed(TimeDelta::seconds(1))?)
    }
}

/// Crontab joins day of month and weekday by "or" when neither is written with a star; the crate by "and".
fn parts([second, minute, hour, day, month, weekday]: [Field; 6]) -> Result<Vec<cron::Schedule>, cron::error::Error> {
    let part = |day: &str, weekday: &str| {
        let line = format!("{} {} {} {day} {} {weekday}", list(second), list(minute), list(hour), list(month));
        cron::Schedule::from_str(&line)
    };
    let weekdays = weekday.numbers().map(|n| (n + 1).to_string()).collect::<Vec<_>>().join(",");
    if day.star || weekday.star {
        Ok(vec![part(&list(day), &weekdays)?])
    } else {
        Ok(vec![part(&list(day), "*")?, part("*", &weekdays)?])
    }
}

fn list(field: Field) -> String {
    let mut text = String::new();
    for number in field.numbers() {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{number}");
    }
    text
}

/// The places of the words of a line.
fn words(source: &str) -> Vec<Range<usize>> {
    let start = source.as_ptr() as usize;
    source
        .split_ascii_whitespace()
        .map(|word| {
            let at = word.as_ptr() as usize - start;
            at..at + word.len()
        })
        .collect()
}

fn nickname(name: &str, words: &[Range<usize>], whole: Range<usize>) -> Result<Line, Issue> {
    let line = match name.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            return Err(Issue::new(whole, "this nickname is not known").help(
                "@hourly, @daily, @weekly, @monthly and @yearly are; for every 5 minutes write \"*/5 * * * *\"",
            ));
        }
    };
    if words.len() > 1 {
        return Err(Issue::new(whole, "a nickname stands alone").help(format!("\"{name}\" means \"{line}\"")));
    }
    Ok(Line { days: whole, ..Line::parse(line)? })
}

fn wrong_count(words: &[Range<usize>], count: usize, whole: Range<usize>) -> Issue {
    let help = "minute hour day-of-month month weekday, for example \"*/15 * * * *\"";
    let issue = Issue::new(whole, format!("a cron line has 5 fields, or 6 with leading seconds; this has {count}"));
    match words.get(6) {
        Some(at) if count == 7 => Issue { at: at.clone(), ..issue }.help("leave out the year, the seventh field"),
        _ => issue.help(help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(source: &str) -> Issue {
        Line::parse(source).unwrap_err()
    }

    #[test]
    fn positions_count_bytes_in_the_line_as_written() {
        assert_eq!(issue("  0  25 * * *").at, 5..7);
        assert_eq!(issue("*/5 * * * MOO").at, 10..13);
        assert_eq!(issue("0 0 0 1 1 9").at, 10..11, "6 fields: the last is the weekday");
        assert_eq!(issue("61 0 0 1 1 *").message, "61 is not a valid second");
    }

    #[test]
    fn a_wrong_number_of_fields_says_which_are_expected() {
        assert!(issue("").message.contains("this has 0"));
        assert!(issue("* * * *").message.contains("this has 4"));
        let year = issue("0 0 0 1 1 * 2020");
        assert_eq!(year.at, 12..16);
        assert!(year.help.is_some_and(|help| help.contains("year")));
        assert!(issue(&"*".repeat(LONGEST + 1)).message.contains("longer"));
    }

    #[test]
    fn nicknames_stand_for_lines() {
        for (name, line) in [("@daily", "0 0 * * *"), ("@Weekly", "0 0 * * sun"), ("@annually", "0 0 1 1 *")] {
            assert_eq!(Line::parse(name).unwrap(), Line::parse(line).unwrap());
        }
        assert!(issue("@reboot").message.contains("not known"));
        assert!(issue("@every 5m").help.is_some_and(|help| help.contains("*/5")));
        assert!(issue("@daily 3").message.contains("alone"));
    }

    #[test]
    fn only_a_star_in_hour_or_minute_makes_an_interval() {
        let interval = |line: &str| Line::parse(line).unwrap().interval;
        assert!(interval("*/5 2 * * *") && interval("0 * * * *"));
        assert!(!interval("0,30 1-3 * * *"));
        assert!(!interval("* 30 1 * * *"), "seconds do not count");
        assert!(!interval("0 0-23 * * *"), "a full range is a list of fixed times");
    }
}
