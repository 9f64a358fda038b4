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

/// So many occurrences up to `newest` start no run; the newest itself may, in their stead.
pub fn schedule_passed(meters: &SchedulerMeters, flow: &FlowId, newest: DateTime<Utc>, count: u64, reason: SkipReason) {
    meters.passed(count, reason);
    tracing::warn!(%flow, occurrence = instant(newest), count, reason = reason.label(), "schedule missed");
}

/// What was remembered of a flow's schedule is not believed.
pub fn schedule_mark_ignored(flow: &FlowId, mark: &str, cause: &str) {
    tracing::warn!(%flow, mark, cause, "schedule mark ignored");
}

/// A due occurrence follows the run that is under way (`overlap = "queue"`).
pub fn schedule_kept(flow: &FlowId, occurrence: DateTime<Utc>) {
    tracing::info!(%flow, occurrence = instant(occurrence), "schedule kept");
}

/// The next occurrence is known; `None` when the flow has no schedule any more.
pub fn next_run(meters: &FlowMeters, flow: &FlowId, at: Option<DateTime<Utc>>, interval: Option<Duration>) {
    meters.next_run(at, interval);
    tracing::debug!(%flow, at = at.map(instant), interval = interval.map(seconds), "next run");
}
