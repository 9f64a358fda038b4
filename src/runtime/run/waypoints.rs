//! What imports on the way took of records: remembered until the record is resolved, so that after a restart, or when
//! a record that failed is tried again, nothing is sent twice.

use crate::runtime::import::Item;
use crate::runtime::scope::{Scope, Work};
use crate::runtime::walk::{Remembered, Sent, Together};
use crate::store::{Space, StoreError, Write, waypoint_key};
use crate::value::json::Json;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The last import, where its records come from error records: no step has this name.
const LAST: &str = "=";
/// Longest answer that is kept for `merge`.
const MOST_ANSWER: usize = 1 << 20;
/// Most bytes kept of one record: beyond that its answers are let go.
const MOST_BYTES: usize = 8 << 20;

/// One record's, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Waypoint {
    /// Of the record as it was exported: another one at its place has taken no way yet.
    hash: u64,
    /// By step, and item of `many`.
    steps: BTreeMap<String, Stop>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stop {
    /// About to be sent, with this key.
    Sent(Option<String>),
    /// The same, in one request with others.
    Joined(Option<String>, Together),
    /// Taken, with this answer where `merge` wants it.
    Taken(Option<String>),
}

impl Waypoint {
    /// Whether it is this record's. An error record may have been edited: it is the same one all the same.
    fn is_of(&self, item: &Item) -> bool {
        item.error.is_some() || self.hash == item.hash
    }
}

/// Those of all records in flight.
#[derive(Default)]
pub(super) struct Waypoints {
    known: HashMap<String, Waypoint>,
    /// The store knows another state of these, or none.
    dirty: BTreeSet<String>,
}

impl Waypoints {
    /// What an earlier process, or an earlier run, left.
    pub(super) async fn load(scope: &Scope) -> Result<Self, StoreError> {
        let mut known = HashMap::new();
        let again = matches!(scope.work, Work::Retry(_)) && scope.flow.import.is_some();
        if !scope.work.is_taken_up() || !(again || scope.flow.writes_on_the_way()) {
            return Ok(Self::default());
        }
        if let Work::Retry(errors) = &scope.work {
            for row in errors {
                let key = waypoint_key(&row.run, row.page, row.record);
                let value = scope.store.value(Space::Waypoint, &key).await?;
                known.extend(value.and_then(|value| Some((key, serde_json::from_str(&value).ok()?))));
            }
            return Ok(Self { known, dirty: BTreeSet::new() });
        }
        let of_run = format!("{} ", scope.run);
        for (key, value) in scope.store.values(Space::Waypoint).await? {
            if let Some(waypoint) = key.starts_with(&of_run).then(|| serde_json::from_str(&value).ok()).flatten() {
                known.insert(key, waypoint);
            }
        }
        Ok(Self { known, dirty: BTreeSet::new() })
    }

    /// What is known of a record: by step, and item of `many`.
    pub(super) fn of(&self, scope: &Scope, item: &Item) -> HashMap<String, Remembered> {
        let Some(waypoint) = self.known.get(&key_of(scope, item)) else { return HashMap::new() };
        if !waypoint.is_of(item) {
            return HashMap::new();
        }
        let stop = |stop: &Stop| match stop {
            Stop::Sent(key) => Remembered::Sent(Sent { key: key.clone(), together: None }),
            Stop::Joined(key, together) => Remembered::Sent(Sent { key: key.clone(), together: Some(*together) }),
            Stop::Taken(answer) => Remembered::Taken(answer.as_ref().and_then(|text| Json::parse(text.as_str()).ok())),
        };
        waypoint.steps.iter().map(|(place, at)| (place.clone(), stop(at))).collect()
    }

    /// With what the last import may have sent a record that is tried again; none where it has not.
    pub(super) fn sent_last(&self, scope: &Scope, item: &Item) -> Option<Sent> {
        item.error.as_ref()?;
        match self.known.get(&key_of(scope, item))?.steps.get(LAST)? {
            Stop::Sent(key) | Stop::Joined(key, _) => Some(Sent { key: key.clone(), together: None }),
            Stop::Taken(_) => None,
        }
    }

    /// The last import is about to send a record, or may have sent it.
    pub(super) fn sending_last(&mut self, scope: &Scope, item: &Item, key: Option<String>) {
        self.set(scope, item, LAST, Stop::Sent(key));
    }

    /// The last import has not sent it.
    pub(super) fn not_sent_last(&mut self, scope: &Scope, item: &Item) {
        self.not_taken(scope, item, LAST);
    }

    /// Whether something may have been sent of a record, and nobody knows.
    pub(super) fn is_unknown(&self, scope: &Scope, item: &Item) -> bool {
        let waypoint = self.known.get(&key_of(scope, item)).filter(|waypoint| waypoint.is_of(item));
        waypoint.is_some_and(|waypoint| waypoint.steps.values().any(|stop| !matches!(stop, Stop::Taken(_))))
    }

    /// A record is about to be sent.
    pub(super) fn sending(&mut self, scope: &Scope, item: &Item, place: &str, sent: Sent) {
        let Sent { key, together } = sent;
        let stop = together.map_or_else(|| Stop::Sent(key.clone()), |together| Stop::Joined(key.clone(), together));
        self.set(scope, item, place, stop);
    }

    /// A record was taken.
    pub(super) fn taken(&mut self, scope: &Scope, item: &Item, place: &str, answer: Option<&Json>) {
        let answer = answer.map(Json::text).filter(|text| text.len() <= MOST_ANSWER).map(str::to_owned);
        self.set(scope, item, place, Stop::Taken(answer));
    }

    /// It was not taken, and is not on its way any more.
    pub(super) fn not_taken(&mut self, scope: &Scope, item: &Item, place: &str) {
        let key = key_of(scope, item);
        if let Some(waypoint) = self.known.get_mut(&key)
            && waypoint.steps.remove(place).is_some()
        {
            self.dirty.insert(key);
        }
    }

    fn set(&mut self, scope: &Scope, item: &Item, place: &str, stop: Stop) {
        let key = key_of(scope, item);
        let waypoint = self.known.entry(key.clone()).or_default();
        if !waypoint.is_of(item) {
            *waypoint = Waypoint { hash: item.hash, steps: BTreeMap::new() };
        }
        waypoint.steps.insert(place.to_owned(), stop);
        self.dirty.insert(key);
    }

    /// What is known of another record that stood at the place of this one is let go.
    pub(super) fn of_another(&mut self, scope: &Scope, item: &Item) {
        let key = key_of(scope, item);
        if self.known.get(&key).is_some_and(|waypoint| !waypoint.is_of(item)) {
            self.known.remove(&key);
            self.dirty.insert(key);
        }
    }

    /// A record is resolved. What was taken of one that failed stays with its error record.
    pub(super) fn resolved(&mut self, scope: &Scope, item: &Item, failed: bool) {
        if self.known.is_empty() {
            return;
        }
        let key = key_of(scope, item);
        let Some(waypoint) = self.known.get_mut(&key) else { return };
        // Another record stands at its place now: what was taken was not this one.
        let failed = failed && waypoint.is_of(item);
        if failed {
            waypoint.steps.retain(|_, stop| matches!(stop, Stop::Taken(_)));
        }
        if !failed || waypoint.steps.is_empty() {
            self.known.remove(&key);
        }
        self.dirty.insert(key);
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// What the store lacks.
    pub(super) fn take_writes(&mut self) -> Vec<Write> {
        let space = Space::Waypoint;
        let dirty = std::mem::take(&mut self.dirty);
        let write = |key: String| match self.known.get(&key).filter(|waypoint| !waypoint.steps.is_empty()) {
            Some(waypoint) => Write::Put { space, value: text(waypoint), key },
            None => Write::Delete { space, key },
        };
        dirty.into_iter().map(write).collect()
    }
}

/// As it is stored: where it is too much, without the answers.
fn text(waypoint: &Waypoint) -> String {
    let text = serde_json::to_string(waypoint).unwrap_or_default();
    if text.len() <= MOST_BYTES {
        return text;
    }
    let mut short = waypoint.clone();
    for stop in short.steps.values_mut() {
        if let Stop::Taken(answer) = stop {
            *answer = None;
        }
    }
    serde_json::to_string(&short).unwrap_or_default()
}

/// Under the run and the place where the record was exported, whatever run tries it again.
pub(super) fn key_of(scope: &Scope, item: &Item) -> String {
    match &item.error {
        Some(error) => waypoint_key(&error.run, error.page, error.record),
        None => waypoint_key(&scope.run, item.page, item.position),
    }
}
