//! The time between two instants, cut into windows: each ends one granularity before the next begins.

use super::step::Step;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// From one instant to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its beginning.
    pub since: DateTime<Utc>,
    /// Its end.
    pub until: DateTime<Utc>,
}

impl Span {
    /// One that does not end before it begins: a clock that went back asks for nothing, not for the impossible.
    pub fn new(since: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self { since, until: until.max(since) }
    }

    /// Its windows; one when there is no step.
    pub fn windows(self, step: Option<Step>, granularity: Step) -> Windows {
        Windows { whole: self, step: step.filter(|step| !step.is_zero()), granularity }
    }
}

/// The windows of a span, by number from 0.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    whole: Span,
    step: Option<Step>,
    granularity: Step,
}

impl Windows {
    /// One of them; none behind the last.
    pub fn get(&self, index: u32) -> Option<Span> {
        let since = self.beginning(index)?;
        let next = index.checked_add(1).and_then(|next| self.beginning(next));
        let until = next.map_or(self.whole.until, |next| self.granularity.before(next).max(since));
        Some(Span { since, until })
    }

    /// How many there are, counted up to `most`.
    pub fn count(&self, most: u32) -> u32 {
        (0..most).take_while(|index| self.beginning(*index).is_some()).last().map_or(0, |last| last + 1)
    }

    /// Where one begins. The end of the whole is a beginning only where the window before does not reach it.
    fn beginning(&self, index: u32) -> Option<DateTime<Utc>> {
        if index == 0 {
            return Some(self.whole.since);
        }
        let at = self.step?.after(self.whole.since, index)?;
        let is_inside = if self.granularity.is_zero() { at < self.whole.until } else { at <= self.whole.until };
        is_inside.then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, Days, NaiveDate, TimeDelta};
    use proptest::prelude::*;

    fn day(text: &str) -> DateTime<Utc> {
        text.parse::<NaiveDate>().unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc()
    }

    fn all(windows: Windows) -> Vec<Span> {
        (0..).map_while(|index| windows.get(index)).collect()
    }

    fn shown(since: &str, until: &str, step: &str, granularity: &str) -> Vec<String> {
        let step = Some(Step::parse(step).unwrap());
        let windows = Span::new(day(since), day(until)).windows(step, Step::parse(granularity).unwrap());
        all(windows).iter().map(|w| format!("{}..{}", w.since.format("%m-%d"), w.until.format("%m-%d"))).collect()
    }

    #[test]
    fn months_are_cut_at_their_days_and_the_last_window_ends_with_the_whole() {
        assert_eq!(shown("2024-01-01", "2024-03-10", "1mo", "1d"), ["01-01..01-31", "02-01..02-29", "03-01..03-10"]);
        assert_eq!(
            shown("2023-01-31", "2023-05-02", "1mo", "1d"),
            ["01-31..02-27", "02-28..03-30", "03-31..04-29", "04-30..05-02"]
        );
    }

    #[test]
    fn an_end_that_is_a_beginning_is_covered_once() {
        assert_eq!(shown("2024-01-01", "2024-02-01", "1mo", "1d"), ["01-01..01-31", "02-01..02-01"]);
        assert_eq!(shown("2024-01-01", "2024-02-01", "1mo", "0s"), ["01-01..02-01"]);
        assert_eq!(shown("2024-01-01", "2024-01-01", "1mo", "0s"), ["01-01..01-01"]);
    }

    #[test]
    fn without_a_step_there_is_one_window_and_a_clock_that_went_back_asks_for_an_empty_one() {
        let span = Span::new(day("2024-05-01"), day("2024-04-01"));
        let windows = span.windows(None, Step::default());
        assert_eq!(all(windows), [Span { since: day("2024-05-01"), until: day("2024-05-01") }]);
        let endless = Span::new(super::super::step::LAST, super::super::step::LAST);
        assert_eq!(endless.windows(Step::parse("1y").ok(), Step::parse("1d").unwrap()).count(9), 1);
    }

    #[test]
    fn counting_stops_where_it_is_told_to() {
        let windows = Span::new(day("2000-01-01"), day("2024-01-01")).windows(Step::parse("1d").ok(), Step::default());
        assert_eq!((windows.count(100), windows.count(100_000)), (100, 8766));
    }

    /// Walks day by day: a month later is the same day of the next month, or its last.
    fn naive_month(from: NaiveDate, count: u32) -> NaiveDate {
        let (mut year, mut month) = (from.year(), from.month());
        for _ in 0..count {
            month += 1;
            if month > 12 {
                month = 1;
                year += 1;
            }
        }
        let mut date = NaiveDate::from_ymd_opt(year, month, 1).unwrap();
        while date.day() < from.day() && date.succ_opt().unwrap().month() == month {
            date = date.succ_opt().unwrap();
        }
        date
    }

    proptest! {
        #[test]
        fn day_windows_are_what_a_walk_over_the_days_gives(
            from in 0u64..20_000, length in 0u64..900, months in 1u32..8
        ) {
            let first = day("1990-01-01").date_naive() + Days::new(from);
            let last = first + Days::new(length);
            let midnight = |date: NaiveDate| date.and_hms_opt(0, 0, 0).unwrap().and_utc();
            let step = Step::parse(&format!("{months}mo")).ok();
            let windows = Span::new(midnight(first), midnight(last)).windows(step, Step::parse("1d").unwrap());
            let begins: Vec<NaiveDate> = (0..1_000).map(|n| naive_month(first, n * months)).take_while(|d| *d <= last).collect();
            // Each day lies in the window of the last beginning up to it.
            let mut walked: Vec<(NaiveDate, NaiveDate)> = Vec::new();
            let mut date = first;
            while date <= last {
                match walked.last_mut() {
                    Some(window) if !begins.contains(&date) => window.1 = date,
                    _ => walked.push((date, date)),
                }
                date = date.succ_opt().unwrap();
            }
            let found: Vec<_> = all(windows).iter().map(|w| (w.since.date_naive(), w.until.date_naive())).collect();
            prop_assert_eq!(found, walked);
        }

        #[test]
        fn windows_cover_everything_once(
            from in 0i64..4_000_000_000, length in 0u32..40_000_000, step in 60u32..2_000_000, grain in 0u32..60
        ) {
            let since = DateTime::from_timestamp(from, 0).unwrap();
            let until = since + TimeDelta::seconds(i64::from(length));
            let grain_step = Step::parse(&format!("{grain}s")).unwrap();
            let windows = Span::new(since, until).windows(Step::parse(&format!("{}s", step.max(length / 500))).ok(), grain_step);
            let found = all(windows);
            prop_assert_eq!(found.len(), windows.count(u32::MAX) as usize);
            prop_assert_eq!((found[0].since, found[found.len() - 1].until), (since, until));
            for pair in found.windows(2) {
                prop_assert!(pair[0].since <= pair[0].until && pair[0].since < pair[1].since);
                prop_assert_eq!(pair[1].since - pair[0].until, TimeDelta::seconds(i64::from(grain)));
            }
        }
    }
}
