//! A run from its start to its end.

use super::seconds;
use crate::observe::meters::{FlowMeters, RunOutcome, TriggerKind};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The end of a run in figures.
#[derive(Debug, Clone)]
pub struct RunSummary<'a> {
    /// Which flow.
    pub flow: &'a FlowId,
    /// Which run.
    pub run: &'a str,
    /// What started it.
    pub trigger: TriggerKind,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Records that left the export.
    pub exported: u64,
    /// Taken by an import.
    pub delivered: u64,
    /// Left by a rule.
    pub filtered: u64,
    /// With an error record.
    pub failed: u64,
    /// Neither, when the run was stopped.
    pub in_flight: u64,
    /// Pages read.
    pub pages: u64,
    /// Import requests.
    pub requests: u64,
    /// Duration.
    pub took: Duration,
    /// What ended it early.
    pub cause: Option<String>,
}

impl<'a> RunSummary<'a> {
    /// All figures 0.
    pub fn new(flow: &'a FlowId, run: &'a str, trigger: TriggerKind, outcome: RunOutcome) -> Self {
        Self {
            flow,
            run,
            trigger,
            outcome,
            exported: 0,
            delivered: 0,
            filtered: 0,
            failed: 0,
            in_flight: 0,
            pages: 0,
            requests: 0,
            took: Duration::ZERO,
            cause: None,
        }
    }
}

/// A delta export has neither a mark nor a `start`.
pub fn delta_from_the_beginning(flow: &FlowId, export: &str) {
    tracing::info!(%flow, export, "delta from the beginning");
}

/// A flow was started because another one, which it runs after, ended without open errors.
pub fn run_after_started(flow: &FlowId, of: &FlowId, run: &str) {
    tracing::info!(%flow, %of, run, "runs after");
}

/// One more run follows the one that is under way, because another flow ended.
pub fn run_after_kept(flow: &FlowId, of: &FlowId) {
    tracing::info!(%flow, %of, "run after kept");
}

/// The end of another flow started no run.
pub fn run_after_skipped(flow: &FlowId, of: &FlowId, reason: &str) {
    tracing::warn!(%flow, %of, reason, "run after skipped");
}

/// A run began.
pub fn run_started(meters: &FlowMeters, flow: &FlowId, run: &str, trigger: TriggerKind) {
    meters.run_started();
    tracing::info!(%flow, run, trigger = trigger.label(), "run started");
}

/// A run ended: its level follows its outcome.
pub fn run_finished(meters: &FlowMeters, end: &RunSummary<'_>, at: DateTime<Utc>) {
    meters.run_finished(end.outcome, end.trigger, end.took, at);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                flow = %end.flow,
                run = end.run,
                trigger = end.trigger.label(),
                outcome = end.outcome.label(),
                exported = end.exported,
                delivered = end.delivered,
                filtered = end.filtered,
                failed = end.failed,
                in_flight = end.in_flight,
                pages = end.pages,
                requests = end.requests,
                seconds = seconds(end.took),
                cause = end.cause.as_deref(),
                "run finished"
            )
        };
    }
    match end.outcome {
        RunOutcome::Succeeded => line!(info),
        RunOutcome::Errors | RunOutcome::Cancelled => line!(warn),
        RunOutcome::Failed => line!(error),
    }
}

/// A page was read.
pub fn page_read(flow: &FlowId, run: &str, page: u64, records: usize, bytes: usize) {
    tracing::debug!(%flow, run, page, records, bytes, "page read");
}

/// A run that did not end is taken up again.
pub fn run_resumed(flow: &FlowId, run: &str, pages: u64, in_flight: u64, crashes: u32) {
    tracing::info!(%flow, run, pages, in_flight, crashes, "run resumed");
}

/// A run that did not end was given up by hand.
pub fn run_dismissed(flow: &FlowId, run: &str, in_flight: u64) {
    tracing::warn!(%flow, run, dismissed = in_flight, "run given up");
}

/// A page from before a restart is worked off.
pub fn page_resumed(flow: &FlowId, run: &str, page: u64, in_flight: u32) {
    tracing::debug!(%flow, run, page, in_flight, "page resumed");
}

/// A page that was in flight at several unclean exits is parked.
pub fn page_quarantined(flow: &FlowId, run: &str, page: u64, crashes: u32) {
    tracing::error!(%flow, run, page, crashes, "page quarantined: its records are open errors now");
}

/// Why a record was not delivered.
#[derive(Debug, Clone, Copy)]
pub struct RecordFailure<'a> {
    /// `keep`, a step's name, or `import`.
    pub step: &'a str,
    /// Page number.
    pub page: u64,
    /// Position in the page.
    pub record: u64,
    /// Kind of failure.
    pub class: &'a str,
    /// What is wrong, without secrets.
    pub text: &'a str,
}

/// A step of a record failed, and the record went on (`on_error = "proceed"`). Only the first of each step is a warning.
pub fn step_passed(flow: &FlowId, run: &str, failure: &RecordFailure<'_>, first: bool) {
    let RecordFailure { step, page, record, text, .. } = *failure;
    if first {
        tracing::warn!(%flow, run, step, page, record, cause = text, "step failed and was passed by; further ones are counted");
    } else {
        tracing::debug!(%flow, run, step, page, record, cause = text, "step failed and was passed by");
    }
}

/// A record was not delivered. Only the first of a run is a warning: a destination that refuses everything must not
/// flood the log; the run's end says how many.
pub fn record_failed(flow: &FlowId, run: &str, failure: &RecordFailure<'_>, first: bool) {
    let RecordFailure { step, page, record, class, text } = *failure;
    if first {
        tracing::warn!(%flow, run, step, page, record, class, cause = text, "record failed");
    } else {
        tracing::debug!(%flow, run, step, page, record, class, cause = text, "record failed");
    }
}

/// A destination took a record, and knows it by an id (`response.id`).
pub fn record_taken(flow: &FlowId, run: &str, step: &str, (page, record): (u64, u64), id: &str) {
    tracing::debug!(%flow, run, step, page, record, id, "record taken");
}

/// A destination answered for more records than it was sent: its answers may belong to others.
pub fn answers_left_over(flow: &FlowId, run: &str, step: &str, sent: usize, more: usize) {
    tracing::warn!(%flow, run, step, sent, more, "more answers than records");
}
