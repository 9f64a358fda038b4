//! The store that forgets: for tests, dry runs and `demo`. Same rules as on disk, nothing else kept.

mod tables;

use super::api::{Damage, ErrorFilter, Health, Pending, RunFilter, Store, StoreError, Usage};
use super::batch::{Receipt, Write};
use super::rows::{ErrorRow, ErrorState, FlowTally, IntentRow, PageRow, RunRow, Space};
use super::rules;
use super::tables::Stop;
use crate::value::id::FlowId;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tables::Memory;
use tokio::sync::watch;

/// A store in memory.
pub struct MemoryStore {
    /// None once closed.
    memory: Mutex<Option<Memory>>,
    health: watch::Sender<Health>,
}

impl MemoryStore {
    /// An empty one.
    #[expect(clippy::new_ret_no_self, reason = "a store is only ever used as one behind the trait")]
    pub fn new() -> Arc<dyn Store> {
        Arc::new(Self { memory: Mutex::new(Some(Memory::default())), health: watch::Sender::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_now(&self, batch: &[Write]) -> Result<Receipt, StoreError> {
        let mut memory = self.lock();
        let memory = memory.as_mut().ok_or(StoreError::Closed)?;
        match rules::apply(memory, batch) {
            Ok(receipt) => {
                memory.keep();
                Ok(receipt)
            }
            Err(stop) => {
                memory.take_back();
                let refusal = match stop {
                    Stop::Refused(refusal) => refusal,
                    Stop::Fault::<Infallible>(never) => match never {},
                };
                Err(StoreError::Refused(refusal))
            }
        }
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&Memory) -> T) -> Pending<T> {
        ready(self.lock().as_ref().map(read).ok_or(StoreError::Closed))
    }
}

fn ready<T: Send + 'static>(answer: Result<T, StoreError>) -> Pending<T> {
    Box::pin(std::future::ready(answer))
}

impl Store for MemoryStore {
    fn commit(&self, batch: Vec<Write>) -> Pending<Receipt> {
        ready(self.commit_now(&batch))
    }

    fn run(&self, id: &str) -> Pending<Option<RunRow>> {
        self.read(|memory| memory.run_row(id))
    }

    fn runs(&self, filter: RunFilter) -> Pending<Vec<RunRow>> {
        self.read(|memory| limited(memory.runs_newest_first().filter(|row| filter.matches(row)), filter.limit))
    }

    fn pages(&self, run: &str) -> Pending<Vec<PageRow>> {
        self.read(|memory| memory.page_rows(run).cloned().collect())
    }

    fn body(&self, run: &str, page: u64) -> Pending<Option<Vec<u8>>> {
        self.read(|memory| memory.body(run, page))
    }

    fn intents(&self, run: &str) -> Pending<Vec<IntentRow>> {
        self.read(|memory| memory.intent_rows(run).cloned().collect())
    }

    fn errors(&self, filter: ErrorFilter) -> Pending<Vec<ErrorRow>> {
        self.read(|memory| limited(memory.errors_newest_first().filter(|row| filter.matches(row)), filter.limit))
    }

    fn open_traces(&self, flow: &FlowId) -> Pending<Vec<String>> {
        self.read(|memory| {
            let open = memory.errors_newest_first().filter(|row| row.flow == *flow && row.state == ErrorState::Open);
            let mut traces: Vec<_> = open.filter_map(|row| row.trace_key.clone()).collect();
            traces.sort();
            traces.dedup();
            traces
        })
    }

    fn tallies(&self) -> Pending<Vec<FlowTally>> {
        self.read(Memory::tallies)
    }

    fn value(&self, space: Space, key: &str) -> Pending<Option<String>> {
        self.read(|memory| memory.value_of(space, key))
    }

    fn values(&self, space: Space) -> Pending<Vec<(String, String)>> {
        self.read(|memory| memory.values_of(space))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn usage(&self) -> Pending<Usage> {
        self.read(|memory| Usage { database: 0, pages: memory.body_bytes() })
    }

    fn damage(&self) -> Vec<Damage> {
        Vec::new()
    }

    fn close(&self) -> Pending<()> {
        *self.lock() = None;
        ready(Ok(()))
    }
}

fn limited<'a, T: Clone + 'a>(rows: impl Iterator<Item = &'a T>, limit: Option<u32>) -> Vec<T> {
    rows.take(limit.map_or(usize::MAX, |limit| limit as usize)).cloned().collect()
}
