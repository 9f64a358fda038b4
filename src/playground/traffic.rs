//! What hit one place and when: requests at once, gaps, and who came too early after a 429.
//!
//! Times are the receiver's: a request begins when its head has been read and ends when its answer is
//! handed to the connection, so a sender that keeps its promises is never accused.

use crate::value::time::Mono;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most instants kept for each place.
const KEPT: usize = 65_536;

/// A place's running account.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    requests: u64,
    in_flight: u64,
    most_in_flight: u64,
    limited: u64,
    failed: u64,
    unauthorized: u64,
    early: u64,
    pause: Option<Pause>,
    last_end: Option<Mono>,
    smallest_gap_us: Option<u64>,
    arrivals_us: Vec<u64>,
    gaps_us: Vec<u64>,
    early_us: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    answered: Mono,
    until: Mono,
}

/// How a request was answered, as far as traffic cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// Served, or refused for what it carried.
    Normally,
    /// 429, with the pause it asked for.
    Limited(Duration),
    /// 500 on demand.
    Failed,
    /// 401.
    Unauthorized,
    /// The sender went away first.
    Never,
}

/// A place's account, read at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficReport {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests being answered at this moment.
    pub in_flight: u64,
    /// The most requests being answered at once.
    pub most_in_flight: u64,
    /// Answered 429.
    pub limited: u64,
    /// Answered 500 on demand.
    pub failed: u64,
    /// Answered 401.
    pub unauthorized: u64,
    /// Arrived before the pause of an earlier 429 was over.
    pub early: u64,
    /// The shortest time from the end of an answer to the next arrival, with nothing else in flight.
    pub smallest_gap_us: Option<u64>,
    /// How long after that 429 each early request came (the first 65,536).
    pub early_us: Vec<u64>,
    /// When each request came, since the playground's start (the first 65,536).
    pub arrivals_us: Vec<u64>,
    /// Every such gap (the first 65,536).
    pub gaps_us: Vec<u64>,
}

impl Traffic {
    /// Counts an arrival; gives the number of this request (from 1) and how many are now in flight.
    pub(super) fn arrive(&mut self, now: Mono) -> (u64, u64) {
        self.requests += 1;
        if self.in_flight == 0
            && let Some(end) = self.last_end
        {
            let gap = micros(now.since(end));
            self.smallest_gap_us = Some(self.smallest_gap_us.map_or(gap, |least| least.min(gap)));
            keep(&mut self.gaps_us, gap);
        }
        if let Some(pause) = self.pause
            && now < pause.until
        {
            self.early += 1;
            keep(&mut self.early_us, micros(now.since(pause.answered)));
        }
        keep(&mut self.arrivals_us, micros(now.0));
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        (self.requests, self.in_flight)
    }

    /// Counts an answer.
    pub(super) fn end(&mut self, now: Mono, answered: Answered) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.last_end = Some(now);
        match answered {
            Answered::Normally | Answered::Never => {}
            Answered::Failed => self.failed += 1,
            Answered::Unauthorized => self.unauthorized += 1,
            Answered::Limited(pause) => {
                self.limited += 1;
                let until = now.plus(pause);
                if self.pause.is_none_or(|p| p.until < until) {
                    self.pause = Some(Pause { answered: now, until });
                }
            }
        }
    }

    /// A copy for reading.
    pub(super) fn report(&self) -> TrafficReport {
        TrafficReport {
            early_us: self.early_us.clone(),
            arrivals_us: self.arrivals_us.clone(),
            gaps_us: self.gaps_us.clone(),
            ..self.counts()
        }
    }

    /// The same without the lists: cheap enough to look at on every request.
    pub(super) fn counts(&self) -> TrafficReport {
        TrafficReport {
            requests: self.requests,
            in_flight: self.in_flight,
            most_in_flight: self.most_in_flight,
            limited: self.limited,
            failed: self.failed,
            unauthorized: self.unauthorized,
            early: self.early,
            smallest_gap_us: self.smallest_gap_us,
            early_us: Vec::new(),
            arrivals_us: Vec::new(),
            gaps_us: Vec::new(),
        }
    }
}

impl TrafficReport {
    /// [`smallest_gap_us`](Self::smallest_gap_us) as a duration.
    pub fn smallest_gap(&self) -> Option<Duration> {
        self.smallest_gap_us.map(Duration::from_micros)
    }

    /// Whether no request came early but those that can have been on their way when a 429 was answered:
    /// one less than were ever in flight, for each 429.
    pub fn pauses_held(&self) -> bool {
        self.early <= self.limited.saturating_mul(self.most_in_flight.saturating_sub(1))
    }
}

fn keep(list: &mut Vec<u64>, micros: u64) {
    if list.len() < KEPT {
        list.push(micros);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    #[test]
    fn the_most_at_once_and_the_gaps_between_are_kept() {
        let mut traffic = Traffic::default();
        assert_eq!(traffic.arrive(at(0)), (1, 1));
        assert_eq!(traffic.arrive(at(1)), (2, 2));
        traffic.end(at(5), Answered::Normally);
        traffic.end(at(6), Answered::Normally);
        traffic.arrive(at(56));
        traffic.end(at(60), Answered::Normally);
        traffic.arrive(at(100));
        let seen = traffic.report();
        assert_eq!((seen.requests, seen.most_in_flight, seen.in_flight), (4, 2, 1));
        assert_eq!(seen.gaps_us, [50_000, 40_000]);
        assert_eq!(seen.smallest_gap(), Some(Duration::from_millis(40)));
    }

    #[test]
    fn an_arrival_inside_a_pause_is_early_and_one_after_it_is_not() {
        let mut traffic = Traffic::default();
        traffic.arrive(at(0));
        traffic.end(at(1), Answered::Limited(Duration::from_secs(2)));
        traffic.arrive(at(2_000));
        traffic.end(at(2_000), Answered::Normally);
        traffic.arrive(at(2_001));
        let seen = traffic.report();
        assert_eq!((seen.early, seen.early_us.as_slice()), (1, [1_999_000].as_slice()));
        assert!(!seen.pauses_held());
    }

    #[test]
    fn a_shorter_pause_does_not_end_a_longer_one() {
        let mut traffic = Traffic::default();
        traffic.arrive(at(0));
        traffic.arrive(at(0));
        traffic.end(at(1), Answered::Limited(Duration::from_secs(2)));
        traffic.end(at(2), Answered::Limited(Duration::ZERO));
        traffic.arrive(at(100));
        assert_eq!(traffic.report().early, 1);
    }

    #[test]
    fn what_was_on_its_way_at_a_429_does_not_break_the_pause() {
        let mut traffic = Traffic::default();
        for _ in 0..3 {
            traffic.arrive(at(0));
        }
        traffic.end(at(1), Answered::Limited(Duration::from_secs(2)));
        traffic.arrive(at(2));
        traffic.arrive(at(2));
        assert!(traffic.report().pauses_held());
        for _ in 0..10 {
            traffic.arrive(at(3));
            traffic.end(at(3), Answered::Normally);
        }
        assert!(!traffic.report().pauses_held());
    }
}
