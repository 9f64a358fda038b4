//! The store on one machine's disk: an SQLite database, and files of page bodies beside it.
//!
//! One thread writes, one reads; what they are asked stands in queues, so that no async thread ever waits for a disk.

mod code;
mod fault;
mod files;
mod gather;
mod inspect;
mod open;
mod quarantine;
mod read;
mod reader;
mod repair;
mod row;
mod salvage;
mod schema;
mod segments;
mod tables;
#[cfg(test)]
mod tests;
mod transfer;
mod trouble;
mod verify;
mod witness;
mod writer;

pub use inspect::{Checked, check_state, repair_state};
pub use open::{OpenError, open, open_read_only};
pub use transfer::{TransferError, export_state, import_state};

use super::api::{Damage, ErrorFilter, Health, Pending, RunFilter, Store, StoreError, Usage};
use super::batch::{Receipt, Refusal, Write};
use super::rows::{ErrorRow, FlowTally, IntentRow, PageRow, RunRow, Space};
use crate::value::id::FlowId;
use fault::Fault;
use reader::{Question, Slot};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use tokio::sync::{oneshot, watch};
use writer::Ask;

/// Name of the database in the state directory.
const DATABASE: &str = "state.db";
/// Name of the directory of page bodies in it.
const PAGES_DIR: &str = "pages";

/// A store on disk.
struct SqliteStore {
    dir: PathBuf,
    /// None for a store that is only read.
    asks: Option<Sender<Ask>>,
    nudges: Sender<()>,
    questions: Sender<Question>,
    slot: Slot,
    closing: AtomicBool,
    health: watch::Receiver<Health>,
    page_bytes: Arc<AtomicU64>,
    damage: Vec<Damage>,
}

fn ready<T: Send + 'static>(answer: Result<T, StoreError>) -> Pending<T> {
    Box::pin(std::future::ready(answer))
}

impl SqliteStore {
    fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Pending<T> {
        if self.closing.load(Ordering::Acquire) {
            return ready(Err(StoreError::Closed));
        }
        let (answer, waiting) = oneshot::channel();
        let question: Question = Box::new(move |slot| drop(answer.send(slot.read(read))));
        if self.questions.send(question).is_err() {
            return ready(Err(StoreError::Closed));
        }
        Box::pin(async move { waiting.await.unwrap_or(Err(StoreError::Closed)) })
    }
}

impl Store for SqliteStore {
    fn commit(&self, batch: Vec<Write>) -> Pending<Receipt> {
        if self.closing.load(Ordering::Acquire) {
            return ready(Err(StoreError::Closed));
        }
        let Some(asks) = &self.asks else {
            let text = "the state is only read here: it belongs to the process that runs on it".to_owned();
            return ready(Err(StoreError::Refused(Refusal::Unfit(text))));
        };
        let (answer, waiting) = oneshot::channel();
        if asks.send(Ask::Commit(batch, answer)).is_err() {
            return ready(Err(StoreError::Closed));
        }
        Box::pin(async move { waiting.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn run(&self, id: &str) -> Pending<Option<RunRow>> {
        let id = id.to_owned();
        self.ask(move |connection| tables::run(connection, &id))
    }

    fn runs(&self, filter: RunFilter) -> Pending<Vec<RunRow>> {
        self.ask(move |connection| read::runs(connection, &filter))
    }

    fn pages(&self, run: &str) -> Pending<Vec<PageRow>> {
        let run = run.to_owned();
        self.ask(move |connection| read::pages(connection, &run))
    }

    fn body(&self, run: &str, page: u64) -> Pending<Option<Vec<u8>>> {
        let (run, dir) = (run.to_owned(), self.dir.join(PAGES_DIR));
        self.ask(move |connection| read::body(connection, &dir, &run, page))
    }

    fn intents(&self, run: &str) -> Pending<Vec<IntentRow>> {
        let run = run.to_owned();
        self.ask(move |connection| read::intents(connection, &run))
    }

    fn errors(&self, filter: ErrorFilter) -> Pending<Vec<ErrorRow>> {
        self.ask(move |connection| read::errors(connection, &filter))
    }

    fn open_traces(&self, flow: &FlowId) -> Pending<Vec<String>> {
        let flow = flow.clone();
        self.ask(move |connection| read::open_traces(connection, &flow))
    }

    fn tallies(&self) -> Pending<Vec<FlowTally>> {
        self.ask(read::tallies)
    }

    fn value(&self, space: Space, key: &str) -> Pending<Option<String>> {
        let key = key.to_owned();
        self.ask(move |connection| tables::value(connection, space, &key))
    }

    fn values(&self, space: Space) -> Pending<Vec<(String, String)>> {
        self.ask(move |connection| read::values(connection, space))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    fn usage(&self) -> Pending<Usage> {
        let (dir, pages) = (self.dir.clone(), self.page_bytes.clone());
        self.ask(move |_| Ok(Usage { database: database_bytes(&dir), pages: pages.load(Ordering::Relaxed) }))
    }

    fn damage(&self) -> Vec<Damage> {
        self.damage.clone()
    }

    fn close(&self) -> Pending<()> {
        if self.closing.swap(true, Ordering::AcqRel) {
            return ready(Err(StoreError::Closed));
        }
        let Some(asks) = &self.asks else {
            self.slot.shut();
            return ready(Ok(()));
        };
        let (closed, waiting) = oneshot::channel();
        let asked = asks.send(Ask::Close(closed)).is_ok();
        // A group that waits for the disk tries once more at once.
        let _ = self.nudges.send(());
        Box::pin(async move { if asked && waiting.await.is_ok() { Ok(()) } else { Err(StoreError::Closed) } })
    }
}

/// The database, its log and the log's index.
fn database_bytes(dir: &Path) -> u64 {
    let size = |ending: &str| std::fs::metadata(dir.join(format!("{DATABASE}{ending}"))).map_or(0, |found| found.len());
    size("") + size("-wal") + size("-shm")
}
