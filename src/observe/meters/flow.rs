//! A flow's series: runs and records.

use super::{as_one_change, counter, float, gauge, histogram, timestamp};
use crate::observe::names;
use crate::observe::series::{Counter, Gauge, Histogram};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::sync::OnceLock;
use std::time::Duration;

/// Outcome label of `flowgate_flow_records_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOutcome {
    /// Left `records`.
    Exported,
    /// Taken by at least one import.
    Delivered,
    /// Left by a rule.
    Filtered,
    /// Has an error record.
    Failed,
    /// Given up by hand, or not there any more when it was read again.
    Dismissed,
}

impl RecordOutcome {
    /// The label's value.
    pub fn label(self) -> &'static str {
        names::RECORD_OUTCOMES[self as usize]
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// Every record delivered or filtered.
    Succeeded,
    /// To the end, with open errors.
    Errors,
    /// Not to the end: the export failed, a connection is offline, a fault.
    Failed,
    /// Stopped from outside: a signal, a drain cut short.
    Cancelled,
}

impl RunOutcome {
    /// The label's value.
    pub fn label(self) -> &'static str {
        names::RUN_OUTCOMES[self as usize]
    }
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerKind {
    /// A person: `run`, `demo`.
    Manual,
    /// The flow's schedule.
    Schedule,
    /// Error records are tried again.
    Retry,
    /// Payloads came to the flow's webhook.
    Webhook,
    /// A flow it runs after ended without open errors.
    RunAfter,
}

impl TriggerKind {
    /// The label's value.
    pub fn label(self) -> &'static str {
        names::TRIGGERS[self as usize]
    }
}

/// A flow's series.
pub struct FlowMeters {
    runs: [[Counter; names::TRIGGERS.len()]; names::RUN_OUTCOMES.len()],
    records: [Counter; names::RECORD_OUTCOMES.len()],
    in_flight: Gauge,
    running: Gauge,
    run_seconds: OnceLock<Histogram>,
    flow: String,
    last_success: Gauge,
    next_run: Gauge,
    interval: Gauge,
    /// Only so that they exist from the beginning.
    _errors: ErrorMeters,
}

impl FlowMeters {
    /// Creates (or finds) the series of a flow, counters at 0.
    pub fn of(id: &FlowId) -> Self {
        let flow = id.as_str();
        Self {
            runs: std::array::from_fn(|outcome| {
                std::array::from_fn(|trigger| {
                    let of = &[flow, names::RUN_OUTCOMES[outcome], names::TRIGGERS[trigger]];
                    counter(&names::FLOW_RUNS, of)
                })
            }),
            records: std::array::from_fn(|i| counter(&names::FLOW_RECORDS, &[flow, names::RECORD_OUTCOMES[i]])),
            in_flight: gauge(&names::FLOW_RECORDS_IN_FLIGHT, &[flow]),
            running: gauge(&names::FLOW_RUNNING, &[flow]),
            run_seconds: OnceLock::new(),
            flow: flow.to_owned(),
            last_success: gauge(&names::FLOW_LAST_SUCCESS, &[flow]),
            next_run: gauge(&names::FLOW_NEXT_RUN, &[flow]),
            interval: gauge(&names::FLOW_INTERVAL, &[flow]),
            _errors: ErrorMeters::of(id),
        }
    }

    /// So many records had these outcomes, as one change: no scrape sees a part of it.
    pub fn settle(&self, outcomes: impl IntoIterator<Item = (RecordOutcome, u64)>) {
        as_one_change(|| outcomes.into_iter().for_each(|(outcome, count)| self.add(outcome, count)));
    }

    /// So many records had this outcome. Keeps the gauge of records in flight: exported ones enter it, all
    /// others leave it.
    pub fn records(&self, outcome: RecordOutcome, count: u64) {
        self.settle([(outcome, count)]);
    }

    fn add(&self, outcome: RecordOutcome, count: u64) {
        if count == 0 {
            return;
        }
        self.records[outcome as usize].increment(count);
        match outcome {
            RecordOutcome::Exported => self.in_flight.increment(float(count)),
            RecordOutcome::Delivered | RecordOutcome::Filtered | RecordOutcome::Failed | RecordOutcome::Dismissed => {
                self.in_flight.decrement(float(count));
            }
        }
    }
    /// A run began.
    pub fn run_started(&self) {
        self.running.increment(1.0);
    }
    /// A run ended; `at` is its end.
    pub fn run_finished(&self, outcome: RunOutcome, trigger: TriggerKind, took: Duration, at: DateTime<Utc>) {
        self.running.decrement(1.0);
        self.runs[outcome as usize][trigger as usize].increment(1);
        let seconds = self.run_seconds.get_or_init(|| histogram(&names::FLOW_RUN_SECONDS, &[&self.flow]));
        seconds.record(took.as_secs_f64());
        if outcome == RunOutcome::Succeeded {
            self.succeeded(at);
        }
    }
    /// When a run last ended without errors.
    pub fn succeeded(&self, at: DateTime<Utc>) {
        self.last_success.set(timestamp(at));
    }
    /// The next occurrence of the schedule, and the longest gap around it; `None` without one.
    pub fn next_run(&self, at: Option<DateTime<Utc>>, interval: Option<Duration>) {
        self.next_run.set(at.map_or(0.0, timestamp));
        self.interval.set(interval.map_or(0.0, |interval| interval.as_secs_f64()));
    }
}

/// The series of a flow's webhook.
pub struct WebhookMeters {
    calls: [Counter; names::WEBHOOK_OUTCOMES.len()],
    waiting: Gauge,
}

impl WebhookMeters {
    /// Creates (or finds) the series, counters at 0.
    pub fn of(id: &FlowId) -> Self {
        let flow = id.as_str();
        let outcome = |i: usize| counter(&names::WEBHOOK_CALLS, &[flow, names::WEBHOOK_OUTCOMES[i]]);
        Self { calls: std::array::from_fn(outcome), waiting: gauge(&names::WEBHOOK_WAITING, &[flow]) }
    }

    /// A call ended, with the outcome at this place of [`names::WEBHOOK_OUTCOMES`].
    pub fn called(&self, outcome: usize) {
        if let Some(counter) = self.calls.get(outcome) {
            counter.increment(1);
        }
    }

    /// So many payloads wait.
    pub fn waiting(&self, count: u64) {
        self.waiting.set(float(count));
    }
}

/// A flow's open error records.
pub struct ErrorMeters {
    open: Gauge,
    oldest: Gauge,
}

impl ErrorMeters {
    /// Creates (or finds) the series, at 0 where they are new.
    pub fn of(id: &FlowId) -> Self {
        let flow = id.as_str();
        Self { open: gauge(&names::ERRORS_OPEN, &[flow]), oldest: gauge(&names::ERRORS_OLDEST, &[flow]) }
    }

    /// How many are open, and for how long the oldest one has been.
    pub fn show(&self, open: u64, oldest: Duration) {
        self.open.set(float(open));
        self.oldest.set(oldest.as_secs_f64());
    }
}
