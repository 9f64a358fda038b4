//! Which calls of a flow were taken already: ids with their time, for as long as they are remembered and no more than
//! fit.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// Most ids remembered of one flow.
const MOST_IDS: usize = 100_000;
/// Most that are forgotten when one is added: enough to keep up, few enough for one write.
const FORGOTTEN_AT_ONCE: usize = 8;

/// The ids of one flow, the oldest first.
#[derive(Debug, Default)]
pub struct Seen {
    known: HashSet<String>,
    order: VecDeque<(DateTime<Utc>, String)>,
}

impl Seen {
    /// From what was stored, in any order.
    pub fn of(mut stored: Vec<(DateTime<Utc>, String)>) -> Self {
        stored.sort();
        let known = stored.iter().map(|(_, id)| id.clone()).collect();
        Self { known, order: stored.into() }
    }

    /// Whether it was taken, and is still remembered.
    pub fn has(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    /// Remembers one. What is forgotten for it is given back.
    pub fn add(&mut self, id: &str, now: DateTime<Utc>, window: Duration) -> Vec<String> {
        self.known.insert(id.to_owned());
        self.order.push_back((now, id.to_owned()));
        let window = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
        let mut gone = Vec::new();
        while gone.len() < FORGOTTEN_AT_ONCE
            && let Some((at, _)) = self.order.front()
            && (now - *at > window || self.order.len() > MOST_IDS)
            && let Some((_, id)) = self.order.pop_front()
        {
            if self.known.remove(&id) {
                gone.push(id);
            }
        }
        gone
    }

    /// Forgets one that was not taken after all.
    pub fn take_back(&mut self, id: &str) {
        self.known.remove(id);
        self.order.retain(|(_, known)| known != id);
    }

    /// With another flow's, which this one was formerly.
    pub fn join(&mut self, other: Self) {
        *self = Self::of(std::mem::take(&mut self.order).into_iter().chain(other.order).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn an_id_is_known_for_its_window_and_then_forgotten() {
        let mut seen = Seen::of(vec![(at(20), "b".to_owned()), (at(10), "a".to_owned())]);
        let window = Duration::from_secs(30);
        assert!(seen.has("a") && seen.has("b") && !seen.has("c"));
        assert_eq!(seen.add("c", at(40), window), Vec::<String>::new());
        assert_eq!(seen.add("d", at(41), window), ["a"]);
        assert!(!seen.has("a") && seen.has("b"));
        seen.take_back("d");
        assert!(!seen.has("d"));
    }

    #[test]
    fn no_more_ids_are_kept_than_fit_and_the_oldest_go_first() {
        let mut seen = Seen::of((0..MOST_IDS).map(|i| (at(0), format!("{i:06}"))).collect());
        assert_eq!(seen.add("new", at(0), Duration::from_secs(30)), ["000000"]);
        assert_eq!(seen.order.len(), MOST_IDS);
    }

    #[test]
    fn a_flow_that_was_renamed_knows_what_it_knew() {
        let mut seen = Seen::of(vec![(at(20), "b".to_owned())]);
        seen.join(Seen::of(vec![(at(10), "a".to_owned())]));
        assert!(seen.has("a") && seen.has("b"));
        assert_eq!(seen.add("c", at(45), Duration::from_secs(30)), ["a"]);
    }
}
