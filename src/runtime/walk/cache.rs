//! Answers of lookups that are kept for a while: the one used longest ago leaves first, bounded by number and bytes.
//! In memory only, and never a failure.

use super::found::Found;
use crate::model::step::CacheSettings;
use crate::value::id::FlowId;
use crate::value::time::Mono;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of all answers of one step.
const MOST_BYTES: usize = 32 << 20;

/// What a lookup asks: a digest of its request as it leaves.
pub type Key = [u8; 32];

/// The caches of all flows of one generation.
#[derive(Debug, Default)]
pub struct AllCaches(Mutex<HashMap<(FlowId, String), Arc<Caches>>>);

/// The caches of a flow, by step. Runs share them.
#[derive(Debug, Default)]
pub struct Caches(Mutex<HashMap<String, Cache>>);

/// The answers of one step.
#[derive(Debug, Default)]
struct Cache {
    kept: HashMap<Key, Kept>,
    /// By when they were used last.
    order: BTreeMap<u64, Key>,
    bytes: usize,
    count: u64,
}

#[derive(Debug)]
struct Kept {
    found: Arc<Found>,
    until: Mono,
    used: u64,
}

impl AllCaches {
    /// Those of a flow as its text is.
    pub fn of(&self, flow: &FlowId, hash: &str) -> Arc<Caches> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((flow.clone(), hash.to_owned())).or_default().clone()
    }
}

impl Caches {
    /// An answer that still holds.
    pub fn get(&self, step: &str, key: &Key, now: Mono) -> Option<Arc<Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(step)?.get(key, now)
    }

    /// Keeps an answer.
    pub fn put(&self, step: &str, key: Key, found: &Arc<Found>, settings: CacheSettings, now: Mono) {
        let mut caches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        caches.entry(step.to_owned()).or_default().put(key, found, settings, now);
    }
}

impl Cache {
    fn get(&mut self, key: &Key, now: Mono) -> Option<Arc<Found>> {
        if self.kept.get(key)?.until <= now {
            self.drop(key);
            return None;
        }
        self.count += 1;
        let kept = self.kept.get_mut(key)?;
        self.order.remove(&kept.used);
        kept.used = self.count;
        self.order.insert(kept.used, *key);
        Some(kept.found.clone())
    }

    fn put(&mut self, key: Key, found: &Arc<Found>, settings: CacheSettings, now: Mono) {
        self.drop(&key);
        let bytes = found.bytes();
        if bytes > MOST_BYTES {
            return;
        }
        while self.kept.len() >= settings.size || self.bytes + bytes > MOST_BYTES {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = *oldest;
            self.drop(&oldest);
        }
        self.count += 1;
        self.bytes += bytes;
        self.order.insert(self.count, key);
        let kept = Kept { found: found.clone(), until: now.plus(settings.ttl), used: self.count };
        self.kept.insert(key, kept);
    }

    fn drop(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.order.remove(&kept.used);
            self.bytes -= kept.found.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;
    use crate::value::record::Record;
    use proptest::prelude::*;
    use std::time::Duration;

    fn found(bytes: usize) -> Arc<Found> {
        let text = format!("\"{}\"", "x".repeat(bytes));
        Arc::new(Found::new(&[Record::new(Json::parse(text).unwrap())], 200, Vec::new()))
    }

    fn key(n: u8) -> Key {
        [n; 32]
    }

    fn settings(size: usize) -> CacheSettings {
        CacheSettings { ttl: Duration::from_mins(1), size }
    }

    #[test]
    fn an_answer_holds_for_its_time_and_no_longer() {
        let (caches, start) = (Caches::default(), Mono::default());
        caches.put("a", key(1), &found(1), settings(9), start);
        assert!(caches.get("a", &key(1), start.plus(Duration::from_millis(59_999))).is_some());
        assert!(caches.get("b", &key(1), start).is_none(), "each step has its own");
        assert!(caches.get("a", &key(1), start.plus(Duration::from_mins(1))).is_none());
    }

    #[test]
    fn the_one_used_longest_ago_leaves_first() {
        let mut cache = Cache::default();
        for n in 1..=3 {
            cache.put(key(n), &found(1), settings(3), Mono::default());
        }
        cache.get(&key(1), Mono::default());
        cache.put(key(4), &found(1), settings(3), Mono::default());
        let left: Vec<u8> = (1..=4).filter(|n| cache.kept.contains_key(&key(*n))).collect();
        assert_eq!(left, [1, 3, 4]);
    }

    #[test]
    fn bytes_are_bounded_whatever_the_number() {
        let mut cache = Cache::default();
        for n in 0..40 {
            cache.put(key(n), &found(1 << 20), settings(1_000), Mono::default());
        }
        assert!(cache.bytes <= MOST_BYTES && cache.kept.len() >= 30, "{} {}", cache.bytes, cache.kept.len());
    }

    proptest! {
        #[test]
        fn what_it_says_it_holds_is_what_it_holds(steps in proptest::collection::vec((0..6u8, 0..3u8, 0..100u64), 0..60)) {
            let mut cache = Cache::default();
            let mut now = Mono::default();
            for (n, what, after) in steps {
                now = now.plus(Duration::from_secs(after));
                match what {
                    0 => { cache.get(&key(n), now); }
                    _ => cache.put(key(n), &found(usize::from(n) * 10), settings(4), now),
                }
                prop_assert!(cache.kept.len() <= 4);
                prop_assert_eq!(cache.kept.len(), cache.order.len());
                let bytes: usize = cache.kept.values().map(|kept| kept.found.bytes()).sum();
                prop_assert_eq!(bytes, cache.bytes);
            }
        }
    }
}
