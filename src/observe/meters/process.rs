//! Series without an owner in configuration: the process, its snapshot, the scheduler.

use super::{counter, float, gauge, histogram, timestamp};
use crate::observe::names;
use crate::observe::series::{Counter, Gauge, Histogram};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// What became of a changed project tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// In force.
    Applied,
    /// Errors; the old snapshot stays.
    Rejected,
}

impl ReloadOutcome {
    /// The label's value.
    pub fn label(self) -> &'static str {
        names::RELOAD_OUTCOMES[self as usize]
    }
}

/// The snapshot's series.
pub struct ConfigMeters {
    reloads: [Counter; names::RELOAD_OUTCOMES.len()],
    last_reload: Gauge,
    valid: Gauge,
    flows: Gauge,
    connections: Gauge,
}

impl ConfigMeters {
    /// Creates (or finds) the series.
    pub fn take() -> Self {
        Self {
            reloads: std::array::from_fn(|i| counter(&names::CONFIG_RELOADS, &[names::RELOAD_OUTCOMES[i]])),
            last_reload: gauge(&names::CONFIG_LAST_RELOAD, &[]),
            valid: gauge(&names::CONFIG_VALID, &[]),
            flows: gauge(&names::CONFIG_FLOWS, &[]),
            connections: gauge(&names::CONFIG_CONNECTIONS, &[]),
        }
    }
    /// The first snapshot of the process is in force: not a reload.
    pub fn started(&self, flows: usize, connections: usize, at: DateTime<Utc>) {
        self.last_reload.set(timestamp(at));
        self.valid.set(1.0);
        self.flows.set(float(flows as u64));
        self.connections.set(float(connections as u64));
    }
    /// A changed tree is in force.
    pub fn applied(&self, flows: usize, connections: usize, at: DateTime<Utc>) {
        self.reloads[ReloadOutcome::Applied as usize].increment(1);
        self.started(flows, connections, at);
    }
    /// A changed tree was rejected.
    pub fn rejected(&self) {
        self.reloads[ReloadOutcome::Rejected as usize].increment(1);
        self.valid.set(0.0);
    }
    /// The files are again those of the snapshot in force.
    pub fn reverted(&self) {
        self.valid.set(1.0);
    }
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// Its receiver took it.
    Sent,
    /// It was not taken, or could not be sent.
    Failed,
    /// Too many waited.
    Dropped,
    /// The same was told not long before.
    Suppressed,
}

/// The series of notices.
pub struct NoticeMeters([Counter; names::NOTICE_OUTCOMES.len()]);

impl NoticeMeters {
    /// Creates (or finds) the series.
    pub fn take() -> Self {
        Self(std::array::from_fn(|i| counter(&names::NOTICES, &[names::NOTICE_OUTCOMES[i]])))
    }
    /// Counts one.
    pub fn count(&self, outcome: NoticeOutcome) {
        self.0[outcome as usize].increment(1);
    }
}

/// Why a request was refused at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A token is needed and none came.
    NoToken,
    /// It is not the token.
    WrongToken,
    /// It is the token of no agent.
    AgentToken,
    /// The server is not known by the name that was asked for.
    Host,
    /// A page of another site asked.
    Origin,
    /// A change that did not come as JSON.
    ContentType,
}

impl Refused {
    /// How many reasons there are.
    pub const COUNT: usize = names::DOOR_REASONS.len();

    /// The label's value.
    pub fn label(self) -> &'static str {
        names::DOOR_REASONS[self as usize]
    }
}

/// The series of the server's door.
pub struct DoorMeters([Counter; Refused::COUNT]);

impl DoorMeters {
    /// Creates (or finds) the series.
    pub fn take() -> Self {
        Self(std::array::from_fn(|i| counter(&names::SERVER_REFUSED, &[names::DOOR_REASONS[i]])))
    }
    /// Counts one.
    pub fn refused(&self, why: Refused) {
        self.0[why as usize].increment(1);
    }
}

/// What became of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanFate {
    /// The collector took it.
    Sent,
    /// It did not.
    Failed,
    /// Too many waited.
    Dropped,
}

/// The series of traces.
pub struct SpanMeters([Counter; names::SPAN_FATES.len()]);

impl SpanMeters {
    /// Creates (or finds) the series.
    pub fn take() -> Self {
        Self(std::array::from_fn(|i| counter(&names::TRACE_SPANS, &[names::SPAN_FATES[i]])))
    }
    /// So many more.
    pub fn count(&self, fate: SpanFate, count: u64) {
        self.0[fate as usize].increment(count);
    }
}

/// Why a due occurrence started no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// A run of the flow is still under way (`overlap`).
    Overlap,
    /// Too long ago, or more than `missed` allows.
    Missed,
    /// The process is shutting down.
    Draining,
    /// The flow was removed or disabled while its occurrence was due.
    Gone,
    /// The flow was paused by hand.
    Paused,
}

impl SkipReason {
    /// The label's value.
    pub fn label(self) -> &'static str {
        names::SKIP_REASONS[self as usize]
    }
}

/// One scheduled flow's series; lateness is shared by all of them.
pub struct SchedulerMeters {
    due: Counter,
    skipped: [Counter; names::SKIP_REASONS.len()],
    lateness: Histogram,
}

impl SchedulerMeters {
    /// Creates (or finds) the series of a scheduled flow, counters at 0.
    pub fn of(id: &FlowId) -> Self {
        let flow = id.as_str();
        Self {
            due: counter(&names::SCHEDULE_DUE, &[flow]),
            skipped: std::array::from_fn(|i| counter(&names::SCHEDULE_SKIPPED, &[flow, names::SKIP_REASONS[i]])),
            lateness: histogram(&names::SCHEDULE_LATENESS, &[]),
        }
    }
    /// An occurrence came due and was handled so much later.
    pub fn due(&self, lateness: Duration) {
        self.due.increment(1);
        self.lateness.record(lateness.as_secs_f64());
    }
    /// So many occurrences came due and start no run.
    pub fn passed(&self, count: u64, reason: SkipReason) {
        self.due.increment(count);
        self.skipped[reason as usize].increment(count);
    }
    /// A due occurrence started no run.
    pub fn skipped(&self, reason: SkipReason) {
        self.skipped[reason as usize].increment(1);
    }
}

/// The process's own series.
pub struct ProcessMeters;

impl ProcessMeters {
    /// Says when the process started and which version runs.
    pub fn started(at: DateTime<Utc>) {
        gauge(&names::PROCESS_START, &[]).set(timestamp(at));
        gauge(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
    }
}
