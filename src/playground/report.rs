//! The ledger as others read it: a plain copy with a verdict, as JSON for another process and as text
//! for a person. Nothing in it comes from the runner's own counters.

use super::traffic::TrafficReport;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything the playground saw, read at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub version: u32,
    /// The limit the destinations were said to bear together.
    pub limit: Option<u64>,
    /// Arrivals that found more than `limit` in flight.
    pub over_limit: u64,
    /// Source requests.
    pub sources: TrafficReport,
    /// Requests to all destinations together.
    pub sinks: TrafficReport,
    /// Both together.
    pub all: TrafficReport,
    /// Each destination, by name.
    pub destinations: Vec<Destination>,
}

/// One destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// `orders`, `customers`, or the name in `/sink/<name>`.
    pub name: String,
    /// Its records.
    pub records: Delivered,
    /// Its requests.
    pub traffic: TrafficReport,
}

/// What became of the records of one destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Ids the source has shown.
    pub expected: u64,
    /// Different ids taken.
    pub once: u64,
    /// Ids neither taken nor refused.
    pub missing: u64,
    /// Records taken whose id had been taken before.
    pub duplicates: u64,
    /// Records with an id the source never showed.
    pub foreign: u64,
    /// Different ids refused with 422.
    pub refused: u64,
    /// Refused ids that were sent again.
    pub refused_again: u64,
    /// Records taken whose fields are not what the mapping should give.
    pub wrong_mapping: u64,
    /// Bodies that are no record, list of records, or list under one key.
    pub unreadable: u64,
    /// The first thing wrong with a record or body.
    pub first_fault: Option<String>,
}

/// The judge's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent promise")]
pub struct Verdict {
    /// Every destination that was used took each id exactly once (refused ids aside), and no other.
    pub exactly_once: bool,
    /// Every record compared had the fields the mapping should give.
    pub mapped_right: bool,
    /// The destinations never had more than the limit in flight (true without a limit).
    pub limit_held: bool,
    /// Nobody came early after a 429, but who was on his way.
    pub pauses_held: bool,
}

impl Delivered {
    /// Each id exactly once, and nothing else.
    pub fn is_exactly_once(&self) -> bool {
        self.missing == 0 && self.duplicates == 0 && self.foreign == 0 && self.refused_again == 0
    }
}

impl Report {
    /// The judge's answers; a playground no record reached has nothing exactly once.
    pub fn verdict(&self) -> Verdict {
        let records = || self.destinations.iter().map(|d| &d.records);
        Verdict {
            exactly_once: !self.destinations.is_empty() && records().all(Delivered::is_exactly_once),
            mapped_right: records().all(|r| r.wrong_mapping == 0 && r.unreadable == 0),
            limit_held: self.over_limit == 0,
            pauses_held: self.sources.pauses_held() && self.sinks.pauses_held(),
        }
    }

    /// A destination by name; an empty one when nothing ever reached it.
    pub fn destination(&self, name: &str) -> Destination {
        self.destinations.iter().find(|d| d.name == name).cloned().unwrap_or_default()
    }
}

impl Verdict {
    /// Whether every promise was kept.
    pub fn holds(self) -> bool {
        self.exactly_once && self.mapped_right && self.limit_held && self.pauses_held
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say =
            |f: &mut fmt::Formatter<'_>, holds: bool, yes: &str, no: &str| f.write_str(if holds { yes } else { no });
        say(f, self.exactly_once, "every record exactly once", "NOT every record exactly once")?;
        say(f, self.mapped_right, ", every field right", ", fields WRONG")?;
        say(f, self.limit_held, ", limit never exceeded", ", limit EXCEEDED")?;
        say(f, self.pauses_held, "", ", pauses NOT kept")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.destinations.iter().map(|d| d.name.chars().count()).max().unwrap_or(0).max(11);
        writeln!(f, "{:width$}  expected      once  missing  again  foreign  refused  wrong", "destination")?;
        for Destination { name, records: r, .. } in &self.destinations {
            let wrong = r.wrong_mapping + r.unreadable;
            writeln!(
                f,
                "{name:width$}  {:>8}  {:>8}  {:>7}  {:>5}  {:>7}  {:>7}  {wrong:>5}",
                r.expected, r.once, r.missing, r.duplicates, r.foreign, r.refused
            )?;
        }
        for fault in self.destinations.iter().filter_map(|d| d.records.first_fault.as_deref()) {
            writeln!(f, "first fault: {fault}")?;
        }
        write!(
            f,
            "requests to the destinations: {}, most at once: {}",
            self.sinks.requests, self.sinks.most_in_flight
        )?;
        if let Some(limit) = self.limit {
            write!(f, " (limit {limit})")?;
        }
        writeln!(f)?;
        write!(f, "verdict: {}", self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(records: Delivered) -> Report {
        let destination = Destination { name: "orders".into(), records, traffic: TrafficReport::default() };
        Report { limit: Some(4), destinations: vec![destination], ..Report::default() }
    }

    #[test]
    fn each_broken_promise_shows_in_the_verdict() {
        assert!(report(Delivered { expected: 2, once: 2, ..Delivered::default() }).verdict().holds());
        for records in [
            Delivered { missing: 1, ..Delivered::default() },
            Delivered { duplicates: 1, ..Delivered::default() },
            Delivered { foreign: 1, ..Delivered::default() },
            Delivered { refused_again: 1, ..Delivered::default() },
        ] {
            assert!(!report(records).verdict().exactly_once);
        }
        assert!(!report(Delivered { wrong_mapping: 1, ..Delivered::default() }).verdict().mapped_right);
        assert!(!report(Delivered { unreadable: 1, ..Delivered::default() }).verdict().mapped_right);
        assert!(!Report { over_limit: 1, ..report(Delivered::default()) }.verdict().limit_held);
        let early = TrafficReport { early: 1, limited: 1, most_in_flight: 1, ..TrafficReport::default() };
        assert!(!Report { sinks: early, ..report(Delivered::default()) }.verdict().pauses_held);
    }

    #[test]
    fn a_playground_nothing_reached_has_nothing_exactly_once() {
        assert!(!Report::default().verdict().exactly_once);
    }

    #[test]
    fn a_person_reads_the_verdict_last() {
        let text = report(Delivered { expected: 12, once: 11, missing: 1, ..Delivered::default() }).to_string();
        assert!(
            text.ends_with("verdict: NOT every record exactly once, every field right, limit never exceeded"),
            "{text}"
        );
        assert!(text.contains("orders             12        11        1"), "{text}");
    }
}
