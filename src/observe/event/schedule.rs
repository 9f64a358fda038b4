//! Occurrences of schedules.

use super::{instant, seconds};
use crate::observe::meters::{FlowMeters, SchedulerMeters, SkipReason};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// An occurrence came due.
pub fn schedule_due(meters: &SchedulerMeters, flow: &FlowId, occurrence: DateTime<Utc>, lateness: Duration) {
    meters.due(lateness);
    tracing::info!(%flow, occurrence = instant(occurrence), lateness = seconds(lateness), "schedule due");
}

/// A due occurrence started no run.
pub fn schedule_skipped(meters: &SchedulerMeters, flow: &FlowId, occurrence: DateTime<Utc>, reason: SkipReason) {
    meters.skipped(reason);
    tracing::warn!(%flow, occurrence = instant(occurrence), reason = reason.label(), "schedule skipped");
}

/// Occurrences before this one passed while nobody kept time (a sleeping machine, a clock set forward); this one
/// stands for all of them.
pub fn schedule_missed(meters: &SchedulerMeters, flow: &FlowId, occurrence: DateTime<Utc>, missed: u64) {
    meters.missed(missed);
    tracing::warn!(%flow, occurrence = instant(occurrence), missed, "schedule missed");
}

/// A due occurrence follows the run that is under way (`overlap = "queue"`).
pub fn schedule_kept(flow: &FlowId, occurrence: DateTime<Utc>) {
    tracing::info!(%flow, occurrence = instant(occurrence), "schedule kept");
}

/// The next occurrence is known; `None` when the flow has no schedule any more.
pub fn next_run(meters: &FlowMeters, flow: &FlowId, at: Option<DateTime<Utc>>) {
    meters.next_run(at);
    tracing::debug!(%flow, at = at.map(instant), "next run");
}
