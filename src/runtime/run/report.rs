//! What a run has to say: live progress while it goes, a report when it ends.

use super::state::Counts;
use crate::observe::event::{RecordFailure, RunSummary};
use crate::observe::meters::{RunOutcome, TriggerKind};
use crate::store::StepTally;
use crate::value::id::FlowId;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Error records kept with their details; more are only counted.
pub const KEPT_ERRORS: usize = 1_000;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything delivered or filtered.
    Succeeded,
    /// It went through, with error records.
    WithErrors,
    /// Reading failed; what was read before was worked on.
    ExportFailed(RunError),
    /// The connection's credentials were refused or are missing.
    Offline(RunError),
    /// A fault inside flowgate.
    Fault(RunError),
    /// It opened as many error records as `max_errors` allows.
    Stopped(RunError),
    /// It was stopped before its end.
    Cancelled,
}

impl Ending {
    /// As counted in metrics.
    pub fn outcome(&self) -> RunOutcome {
        match self {
            Self::Succeeded => RunOutcome::Succeeded,
            Self::WithErrors => RunOutcome::Errors,
            Self::ExportFailed(_) | Self::Offline(_) | Self::Fault(_) | Self::Stopped(_) => RunOutcome::Failed,
            Self::Cancelled => RunOutcome::Cancelled,
        }
    }

    /// The word shown to people, in `status` and summaries.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::WithErrors => "with errors",
            Self::ExportFailed(_) | Self::Fault(_) => "failed",
            Self::Offline(_) => "offline",
            Self::Stopped(_) => "stopped",
            Self::Cancelled => "cancelled",
        }
    }

    /// What went wrong with the run as a whole.
    pub fn error(&self) -> Option<&RunError> {
        match self {
            Self::ExportFailed(error) | Self::Offline(error) | Self::Fault(error) | Self::Stopped(error) => Some(error),
            Self::Succeeded | Self::WithErrors | Self::Cancelled => None,
        }
    }
}

/// What ended a run early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// `export page 3`, `import` …
    pub place: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// A record that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordError {
    /// Its number in the store, for `flowgate errors show`; none when it was not stored.
    pub id: Option<u64>,
    /// `keep`, a step's name, or `import`.
    pub step: String,
    /// Page number, from 1.
    pub page: u64,
    /// Position in the page, from 1.
    pub record: u64,
    /// `rejected`, `unreachable`, `unknown`, `record` …
    pub class: String,
    /// What is wrong.
    pub text: String,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// Attempts made.
    pub attempts: u32,
    /// The request, redacted; empty when none was made.
    pub request: String,
    /// The record, cut short.
    pub excerpt: String,
}

impl RecordError {
    /// What the log says of it: everything but the record itself.
    pub fn summary(&self) -> RecordFailure<'_> {
        RecordFailure { step: &self.step, page: self.page, record: self.record, class: &self.class, text: &self.text }
    }
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which flow.
    pub flow: FlowId,
    /// Which run.
    pub run: String,
    /// How it ended.
    pub ending: Ending,
    /// Records.
    pub counts: Counts,
    /// Pages read.
    pub pages: u64,
    /// Import requests finished.
    pub requests: u64,
    /// How long it took.
    pub took: Duration,
    /// The first [`KEPT_ERRORS`] error records.
    pub errors: Vec<RecordError>,
    /// How many errors each step went on after (`on_error = "proceed"`).
    #[serde(default)]
    pub passed: Vec<(String, u64)>,
    /// Where records ended.
    #[serde(default)]
    pub steps: Vec<StepTally>,
}

impl Report {
    /// The report in figures, for log and metrics.
    pub fn summary(&self, trigger: TriggerKind) -> RunSummary<'_> {
        RunSummary {
            exported: self.counts.exported,
            delivered: self.counts.delivered,
            filtered: self.counts.filtered,
            failed: self.counts.failed,
            in_flight: self.counts.in_flight,
            pages: self.pages,
            requests: self.requests,
            took: self.took,
            cause: self.ending.error().map(ToString::to_string),
            ..RunSummary::new(&self.flow, &self.run, trigger, self.ending.outcome())
        }
    }
}

/// Live figures of a run, read by progress bars, `status` and metrics. Written by the run's task only.
#[derive(Debug, Default)]
pub struct Progress {
    exported: AtomicU64,
    delivered: AtomicU64,
    filtered: AtomicU64,
    failed: AtomicU64,
    pages: AtomicU64,
    total: AtomicU64,
    begun: AtomicBool,
}

impl Progress {
    /// The run has its turn.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Publishes the counts.
    pub fn publish(&self, counts: Counts, pages: u64) {
        self.exported.store(counts.exported, Ordering::Relaxed);
        self.delivered.store(counts.delivered, Ordering::Relaxed);
        self.filtered.store(counts.filtered, Ordering::Relaxed);
        self.failed.store(counts.failed, Ordering::Relaxed);
        self.pages.store(pages, Ordering::Relaxed);
    }

    /// Publishes how many records the source says there are.
    pub fn expect_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// The counts as last published.
    pub fn counts(&self) -> Counts {
        let load = |field: &AtomicU64| field.load(Ordering::Relaxed);
        let (exported, delivered) = (load(&self.exported), load(&self.delivered));
        let (filtered, failed) = (load(&self.filtered), load(&self.failed));
        let in_flight = exported.saturating_sub(delivered + filtered + failed);
        Counts { exported, delivered, filtered, failed, in_flight }
    }

    /// Pages read so far.
    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    /// How many records are expected, when the source said so.
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
    }
}
