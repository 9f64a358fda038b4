//! The seam between what runs and what remembers: one object-safe trait, shaped in batches, so that one fsync (or
//! one round trip to a server) serves many.

use super::batch::{Receipt, Refusal, Write};
use super::rows::{ErrorRow, ErrorState, FlowTally, IntentRow, PageRow, Phase, RunRow, Space};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// An answer of the store that is still on its way. The question was asked when the method returned, not at the
/// first poll; dropping this takes nothing back.
pub type Pending<T> = BoxFuture<'static, Result<T, StoreError>>;

/// Why the store has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What the batch asked for contradicts what is stored; nothing of it was written.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// What was asked for cannot be read back as it was written.
    #[error(
        "the stored state is damaged: {0}; see `flowgate state check`, `flowgate state repair` saves what can be saved"
    )]
    Damaged(String),
    /// Reading failed.
    #[error(
        "the state cannot be read: {0}; `flowgate state check` says whether it is damaged, `flowgate state repair` saves what can be saved"
    )]
    Unreadable(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// Yes.
    #[default]
    Good,
    /// Writes wait: the disk is full or broken. They are tried again until they succeed.
    Failing {
        /// Since when.
        since: DateTime<Utc>,
        /// What the system says.
        cause: String,
    },
}

/// What the state takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of the database and its log.
    pub database: u64,
    /// Bytes of page bodies.
    pub pages: u64,
}

/// Something stored that could not be read back when the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The flow it belongs to, when that much could be read. Its runs wait until it is repaired.
    pub flow: Option<FlowId>,
    /// What is damaged, where, and what became of the file.
    pub text: String,
}

/// Which runs are asked for.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this flow.
    pub flow: Option<FlowId>,
    /// In one of these phases; empty = any.
    pub phases: Vec<Phase>,
    /// That began before.
    pub before: Option<DateTime<Utc>>,
    /// At most so many, the newest first; none = all.
    pub limit: Option<u32>,
}

/// Which error records are asked for. All given tests must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorFilter {
    /// These records; empty = any.
    pub ids: Vec<u64>,
    /// Of this flow.
    pub flow: Option<FlowId>,
    /// Of this run.
    pub run: Option<String>,
    /// Of this class.
    pub class: Option<String>,
    /// With this fingerprint, or one that begins so.
    pub fingerprint: Option<String>,
    /// Opened before.
    pub before: Option<DateTime<Utc>>,
    /// Given a lower id than this one: what follows a page of them.
    pub below: Option<u64>,
    /// Only open ones.
    pub open_only: bool,
    /// Whose next automatic retry is due by then.
    pub due_by: Option<DateTime<Utc>>,
    /// At most so many, the newest first; none = all.
    pub limit: Option<u32>,
}

impl RunFilter {
    /// Whether all tests hold; the limit is none.
    pub fn matches(&self, row: &RunRow) -> bool {
        self.flow.as_ref().is_none_or(|flow| row.flow == *flow)
            && (self.phases.is_empty() || self.phases.contains(&row.phase))
            && self.before.is_none_or(|before| row.started < before)
    }
}

impl ErrorFilter {
    /// Whether all tests hold; the limit is none.
    pub fn matches(&self, row: &ErrorRow) -> bool {
        (self.ids.is_empty() || self.ids.contains(&row.id))
            && self.flow.as_ref().is_none_or(|flow| row.flow == *flow)
            && self.run.as_ref().is_none_or(|run| row.run == *run)
            && self.class.as_ref().is_none_or(|class| row.class == *class)
            && self.fingerprint.as_ref().is_none_or(|begin| row.fingerprint.starts_with(begin))
            && self.before.is_none_or(|before| row.opened < before)
            && self.below.is_none_or(|below| row.id < below)
            && (!self.open_only || row.state == ErrorState::Open)
            && self.due_by.is_none_or(|due| row.next_retry.is_some_and(|next| next <= due))
    }
}

/// What survives a restart.
///
/// Batches take effect whole or not at all, in the order in which [`Store::commit`] was called: no later one is
/// durable before an earlier one. Reads see every batch whose commit has resolved.
pub trait Store: Send + Sync + 'static {
    /// Writes a batch. Resolves when it is durable. While the disk refuses, it waits and is tried again:
    /// [`Store::health`] tells. The only errors are a refusal and a closed store.
    fn commit(&self, batch: Vec<Write>) -> Pending<Receipt>;

    /// One run.
    fn run(&self, id: &str) -> Pending<Option<RunRow>>;

    /// Runs, newest first.
    fn runs(&self, filter: RunFilter) -> Pending<Vec<RunRow>>;

    /// The pages of a run, by number: those not finished, and the last one.
    fn pages(&self, run: &str) -> Pending<Vec<PageRow>>;

    /// The stored body of a page; none when it was stored without.
    fn body(&self, run: &str, page: u64) -> Pending<Option<Vec<u8>>>;

    /// What a run intended to send and has not settled, by page and record.
    fn intents(&self, run: &str) -> Pending<Vec<IntentRow>>;

    /// Error records, newest first.
    fn errors(&self, filter: ErrorFilter) -> Pending<Vec<ErrorRow>>;

    /// Trace keys of a flow's open error records.
    fn open_traces(&self, flow: &FlowId) -> Pending<Vec<String>>;

    /// For each flow with stored runs or errors: its figures.
    fn tallies(&self) -> Pending<Vec<FlowTally>>;

    /// A stored value.
    fn value(&self, space: Space, key: &str) -> Pending<Option<String>>;

    /// All values of a space, by key.
    fn values(&self, space: Space) -> Pending<Vec<(String, String)>>;

    /// Whether writes go through, and every change of that.
    fn health(&self) -> watch::Receiver<Health>;

    /// What the state takes up.
    fn usage(&self) -> Pending<Usage>;

    /// What was found damaged when the store was opened.
    fn damage(&self) -> Vec<Damage>;

    /// Finishes what was committed and closes. Everything after this is an error.
    fn close(&self) -> Pending<()>;
}
