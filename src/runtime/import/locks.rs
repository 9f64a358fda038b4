//! `lock_key`: who may go now, and who waits behind others with the same key. Pure; knows neither records nor requests.
//!
//! Whoever comes takes a place in the line of each of its keys at once, and goes when it is first in all of them. So the
//! one that came first of all can always go, nobody is overtaken in any line, and no two wait for each other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Those under way and those that wait, in the order they came.
pub struct Locks<T> {
    /// By key: who holds it, and behind them who waits for it.
    lines: HashMap<Arc<str>, VecDeque<u64>>,
    waiting: BTreeMap<u64, Waiting<T>>,
    next: u64,
}

struct Waiting<T> {
    what: T,
    /// Lines in which somebody stands before it.
    behind: usize,
}

impl<T> Default for Locks<T> {
    fn default() -> Self {
        Self { lines: HashMap::new(), waiting: BTreeMap::new(), next: 0 }
    }
}

impl<T> Locks<T> {
    /// Takes a place for each key. Gives back what may go at once, and keeps what has to wait.
    pub fn enter(&mut self, keys: &[Arc<str>], what: T) -> Option<T> {
        let ticket = self.next;
        self.next += 1;
        let mut behind = 0;
        for key in keys {
            let line = self.lines.entry(key.clone()).or_default();
            if line.back() == Some(&ticket) {
                continue;
            }
            behind += usize::from(!line.is_empty());
            line.push_back(ticket);
        }
        if behind == 0 {
            return Some(what);
        }
        self.waiting.insert(ticket, Waiting { what, behind });
        None
    }

    /// What held these keys is done with. Gives what may go now, in the order it came.
    pub fn leave(&mut self, keys: &[Arc<str>]) -> Vec<T> {
        let mut free = Vec::new();
        let mut left: Option<u64> = None;
        for key in keys {
            let Some(line) = self.lines.get_mut(key) else { continue };
            // A key that is named twice was left already.
            if left.is_some_and(|ticket| line.front() != Some(&ticket)) {
                continue;
            }
            left = line.pop_front();
            match line.front() {
                None => drop(self.lines.remove(key)),
                Some(first) => {
                    if let Some(waiting) = self.waiting.get_mut(first) {
                        waiting.behind -= 1;
                        if waiting.behind == 0 {
                            free.push(*first);
                        }
                    }
                }
            }
        }
        free.sort_unstable();
        free.iter().filter_map(|ticket| self.waiting.remove(ticket)).map(|waiting| waiting.what).collect()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(names: &[u8]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(name.to_string())).collect()
    }

    #[test]
    fn the_second_of_a_key_waits_for_the_first_and_nobody_else() {
        let mut locks = Locks::default();
        assert_eq!(locks.enter(&keys(&[1]), "a"), Some("a"));
        assert_eq!(locks.enter(&keys(&[1]), "b"), None);
        assert_eq!(locks.enter(&keys(&[2]), "c"), Some("c"));
        assert_eq!(locks.enter(&[], "d"), Some("d"));
        assert_eq!(locks.leave(&keys(&[2])), Vec::<&str>::new());
        assert_eq!(locks.leave(&keys(&[1])), ["b"]);
        assert!(locks.leave(&keys(&[1])).is_empty());
        assert!(locks.lines.is_empty() && locks.waiting() == 0);
    }

    #[test]
    fn one_with_several_keys_waits_for_all_and_holds_those_behind_it() {
        let mut locks = Locks::default();
        locks.enter(&keys(&[1]), 0);
        locks.enter(&keys(&[2]), 1);
        assert_eq!(locks.enter(&keys(&[1, 2]), 2), None);
        // Key 2 is soon free, but somebody stands before it there.
        assert_eq!(locks.enter(&keys(&[2, 3]), 3), None);
        assert!(locks.leave(&keys(&[2])).is_empty());
        assert_eq!(locks.leave(&keys(&[1])), [2]);
        assert_eq!(locks.leave(&keys(&[1, 2])), [3]);
    }

    #[test]
    fn a_key_named_twice_is_one() {
        let mut locks = Locks::default();
        assert_eq!(locks.enter(&keys(&[1, 1]), 0), Some(0));
        assert_eq!(locks.enter(&keys(&[1]), 1), None);
        assert_eq!(locks.leave(&keys(&[1, 1])), [1]);
        assert!(locks.leave(&keys(&[1])).is_empty() && locks.lines.is_empty());
    }

    proptest! {
        /// Against the rule itself: nobody shares a key with another under way, each key is served in order, and
        /// whenever somebody waits somebody is under way.
        #[test]
        fn no_two_of_a_key_go_together_all_go_in_order_and_none_is_forgotten(
            arrivals in prop::collection::vec((prop::collection::btree_set(0u8..6, 0..4), any::<u8>()), 1..80)
        ) {
            let mut locks = Locks::default();
            let mut under_way: Vec<usize> = Vec::new();
            let mut served: Vec<usize> = Vec::new();
            let names = |at: usize| -> Vec<u8> { arrivals[at].0.iter().copied().collect() };
            let mut ended = 0;
            for (at, (_, chance)) in arrivals.iter().enumerate() {
                if let Some(at) = locks.enter(&keys(&names(at)), at) {
                    under_way.push(at);
                    served.push(at);
                }
                // Some end meanwhile, in any order.
                for _ in 0..chance % 3 {
                    if under_way.is_empty() { break; }
                    let done = under_way.remove(usize::from(*chance) % under_way.len());
                    ended += 1;
                    let free = locks.leave(&keys(&names(done)));
                    under_way.extend(&free);
                    served.extend(&free);
                }
                for (n, one) in under_way.iter().enumerate() {
                    for other in &under_way[n + 1..] {
                        prop_assert!(arrivals[*one].0.is_disjoint(&arrivals[*other].0), "{one} and {other}");
                    }
                }
                prop_assert_eq!(ended + under_way.len() + locks.waiting(), at + 1);
                prop_assert!(locks.waiting() == 0 || !under_way.is_empty());
            }
            while let Some(done) = under_way.pop() {
                let free = locks.leave(&keys(&names(done)));
                under_way.extend(&free);
                served.extend(&free);
            }
            prop_assert_eq!(served.len(), arrivals.len());
            prop_assert!(locks.lines.is_empty());
            for key in 0..6 {
                let of_key: Vec<_> = served.iter().filter(|at| arrivals[**at].0.contains(&key)).collect();
                prop_assert!(of_key.is_sorted(), "key {key}: {of_key:?}");
            }
        }
    }
}
