//! Sorted maps with a list of what to take back.

use crate::store::figures::{Figures, is_over};
use crate::store::rows::{ErrorRow, ErrorState, FlowTally, IntentRow, PageRow, RunRow, Space};
use crate::store::tables::{Body, Tables};
use crate::value::id::FlowId;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// A map that remembers what it held before the batch.
#[derive(Debug)]
struct Table<K, V> {
    rows: BTreeMap<K, V>,
    before: Vec<(K, Option<V>)>,
}

impl<K: Ord, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), before: Vec::new() }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    fn put(&mut self, key: K, value: V) {
        let old = self.rows.insert(key.clone(), value);
        self.before.push((key, old));
    }

    fn drop(&mut self, key: &K) {
        if let Some(old) = self.rows.remove(key) {
            self.before.push((key.clone(), Some(old)));
        }
    }

    fn keep(&mut self) {
        self.before.clear();
    }

    fn take_back(&mut self) {
        while let Some((key, old)) = self.before.pop() {
            match old {
                Some(old) => self.rows.insert(key, old),
                None => self.rows.remove(&key),
            };
        }
    }
}

type PageKey = (String, u64);

/// Everything stored.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By their place in order.
    runs: Table<u64, RunRow>,
    places: Table<String, u64>,
    pages: Table<PageKey, PageRow>,
    bodies: Table<PageKey, Bytes>,
    intents: Table<(String, u64, u32), IntentRow>,
    errors: Table<u64, ErrorRow>,
    values: Table<(&'static str, String), String>,
    figures: Table<FlowId, Figures>,
    /// Last place and last error id given; a batch taken back may leave gaps in them.
    last_place: u64,
    last_error: u64,
}

impl Memory {
    pub fn keep(&mut self) {
        self.runs.keep();
        self.places.keep();
        self.pages.keep();
        self.bodies.keep();
        self.intents.keep();
        self.errors.keep();
        self.values.keep();
        self.figures.keep();
    }

    pub fn take_back(&mut self) {
        self.runs.take_back();
        self.places.take_back();
        self.pages.take_back();
        self.bodies.take_back();
        self.intents.take_back();
        self.errors.take_back();
        self.values.take_back();
        self.figures.take_back();
    }

    pub fn run_row(&self, id: &str) -> Option<RunRow> {
        self.places.rows.get(id).and_then(|place| self.runs.rows.get(place)).cloned()
    }

    pub fn runs_newest_first(&self) -> impl Iterator<Item = &RunRow> {
        self.runs.rows.values().rev()
    }

    pub fn page_rows(&self, run: &str) -> impl Iterator<Item = &PageRow> {
        self.pages.rows.range((run.to_owned(), 0)..=(run.to_owned(), u64::MAX)).map(|(_, row)| row)
    }

    pub fn body(&self, run: &str, page: u64) -> Option<Vec<u8>> {
        self.bodies.rows.get(&(run.to_owned(), page)).map(|body| body.to_vec())
    }

    pub fn body_bytes(&self) -> u64 {
        self.bodies.rows.values().map(|body| body.len() as u64).sum()
    }

    pub fn intent_rows(&self, run: &str) -> impl Iterator<Item = &IntentRow> {
        let whole = (run.to_owned(), 0, 0)..=(run.to_owned(), u64::MAX, u32::MAX);
        self.intents.rows.range(whole).map(|(_, row)| row)
    }

    pub fn errors_newest_first(&self) -> impl Iterator<Item = &ErrorRow> {
        self.errors.rows.values().rev()
    }

    fn open_errors(&self) -> impl Iterator<Item = &ErrorRow> {
        self.errors.rows.values().filter(|row| row.state == ErrorState::Open)
    }

    pub fn tallies(&self) -> Vec<FlowTally> {
        let oldest = |flow: &FlowId| self.open_errors().filter(|row| row.flow == *flow).map(|row| row.opened).min();
        self.figures.rows.iter().map(|(flow, figures)| figures.tally(flow.clone(), oldest(flow))).collect()
    }

    pub fn value_of(&self, space: Space, key: &str) -> Option<String> {
        self.values.rows.get(&(space.name(), key.to_owned())).cloned()
    }

    pub fn values_of(&self, space: Space) -> Vec<(String, String)> {
        let of = self.values.rows.iter().filter(|((name, _), _)| *name == space.name());
        of.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }
}

impl Tables for Memory {
    type Fault = Infallible;

    fn run(&mut self, id: &str) -> Result<Option<RunRow>, Infallible> {
        Ok(self.run_row(id))
    }
    fn put_run(&mut self, row: &RunRow) -> Result<(), Infallible> {
        let place = self.places.rows.get(&row.id).copied().unwrap_or_else(|| {
            self.last_place += 1;
            self.last_place
        });
        self.places.put(row.id.clone(), place);
        self.runs.put(place, row.clone());
        Ok(())
    }
    fn drop_run(&mut self, id: &str) -> Result<(), Infallible> {
        if let Some(place) = self.places.rows.get(id).copied() {
            self.places.drop(&id.to_owned());
            self.runs.drop(&place);
        }
        Ok(())
    }
    fn run_of(&mut self, flow: &FlowId, occurrence: DateTime<Utc>) -> Result<Option<String>, Infallible> {
        let of = |row: &&RunRow| row.flow == *flow && row.occurrence == Some(occurrence);
        Ok(self.runs.rows.values().find(of).map(|row| row.id.clone()))
    }
    fn runs_of(&mut self, flow: &FlowId) -> Result<Vec<RunRow>, Infallible> {
        Ok(self.runs.rows.values().filter(|row| row.flow == *flow).cloned().collect())
    }
    fn runs_over_before(&mut self, at: DateTime<Utc>) -> Result<Vec<RunRow>, Infallible> {
        let old = |row: &&RunRow| is_over(row.phase) && row.ended.is_some_and(|ended| ended < at);
        Ok(self.runs.rows.values().filter(old).cloned().collect())
    }
    fn unused_meanings(&mut self) -> Result<Vec<String>, Infallible> {
        let used: BTreeSet<&str> = self.runs.rows.values().map(|row| row.meaning.as_str()).collect();
        let all = self.values_of(Space::Meaning).into_iter().map(|(key, _)| key);
        Ok(all.filter(|key| !used.contains(key.as_str())).collect())
    }

    fn page(&mut self, run: &str, number: u64) -> Result<Option<PageRow>, Infallible> {
        Ok(self.pages.rows.get(&(run.to_owned(), number)).cloned())
    }
    fn pages(&mut self, run: &str) -> Result<Vec<PageRow>, Infallible> {
        Ok(self.page_rows(run).cloned().collect())
    }
    fn put_page(&mut self, run: &str, row: &PageRow, body: Body) -> Result<(), Infallible> {
        let key = (run.to_owned(), row.number);
        match body {
            Body::Keep => {}
            Body::Drop => self.bodies.drop(&key),
            Body::New(body) => self.bodies.put(key.clone(), body),
        }
        let has_body = self.bodies.rows.contains_key(&key);
        self.pages.put(key, PageRow { has_body, ..row.clone() });
        Ok(())
    }
    fn drop_page(&mut self, run: &str, number: u64) -> Result<(), Infallible> {
        let key = (run.to_owned(), number);
        self.pages.drop(&key);
        self.bodies.drop(&key);
        Ok(())
    }

    fn put_intents(&mut self, run: &str, page: u64, rows: &[IntentRow]) -> Result<(), Infallible> {
        for row in rows {
            self.intents.put((run.to_owned(), page, row.record), row.clone());
        }
        Ok(())
    }
    fn drop_intents(&mut self, run: &str, page: Option<u64>) -> Result<(), Infallible> {
        let of = |row: &&IntentRow| page.is_none_or(|page| row.page == page);
        let gone: Vec<_> = self.intent_rows(run).filter(of).map(|row| (run.to_owned(), row.page, row.record)).collect();
        for key in &gone {
            self.intents.drop(key);
        }
        Ok(())
    }

    fn error(&mut self, id: u64) -> Result<Option<ErrorRow>, Infallible> {
        Ok(self.errors.rows.get(&id).cloned())
    }
    fn next_error(&mut self) -> Result<u64, Infallible> {
        self.last_error += 1;
        Ok(self.last_error)
    }
    fn put_error(&mut self, row: &ErrorRow) -> Result<(), Infallible> {
        self.errors.put(row.id, row.clone());
        Ok(())
    }
    fn drop_error(&mut self, id: u64) -> Result<(), Infallible> {
        self.errors.drop(&id);
        Ok(())
    }
    fn errors_of(&mut self, flow: &FlowId) -> Result<Vec<u64>, Infallible> {
        Ok(self.errors.rows.values().filter(|row| row.flow == *flow).map(|row| row.id).collect())
    }
    fn errors_opened_before(&mut self, at: DateTime<Utc>) -> Result<Vec<u64>, Infallible> {
        Ok(self.errors.rows.values().filter(|row| row.opened < at).map(|row| row.id).collect())
    }
    fn open_errors_traced(&mut self, flow: &FlowId, trace: &str) -> Result<Vec<u64>, Infallible> {
        let with = self.open_errors().filter(|row| row.flow == *flow && row.trace_key.as_deref() == Some(trace));
        Ok(with.map(|row| row.id).collect())
    }
    fn has_open_errors(&mut self, run: &str) -> Result<bool, Infallible> {
        Ok(self.open_errors().any(|row| row.run == run))
    }

    fn value(&mut self, space: Space, key: &str) -> Result<Option<String>, Infallible> {
        Ok(self.value_of(space, key))
    }
    fn keys(&mut self, space: Space) -> Result<Vec<String>, Infallible> {
        Ok(self.values_of(space).into_iter().map(|(key, _)| key).collect())
    }
    fn put_value(&mut self, space: Space, key: &str, value: &str) -> Result<(), Infallible> {
        self.values.put((space.name(), key.to_owned()), value.to_owned());
        Ok(())
    }
    fn drop_value(&mut self, space: Space, key: &str) -> Result<(), Infallible> {
        self.values.drop(&(space.name(), key.to_owned()));
        Ok(())
    }

    fn figures(&mut self, flow: &FlowId) -> Result<Figures, Infallible> {
        Ok(self.figures.rows.get(flow).copied().unwrap_or_default())
    }
    fn put_figures(&mut self, flow: &FlowId, figures: &Figures) -> Result<(), Infallible> {
        if *figures == Figures::default() {
            self.figures.drop(flow);
        } else {
            self.figures.put(flow.clone(), *figures);
        }
        Ok(())
    }
}
