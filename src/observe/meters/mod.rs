//! Handles to metric series, taken once per connection or flow so that counting costs no lookup.
//!
//! Names and labels come from the table in `names`; nobody outside takes series.

mod agent;
mod connection;
mod flow;
mod process;
mod store;

pub use agent::AgentMeters;
pub use connection::{ConnectionMeters, RequestOutcome};
pub use flow::{ErrorMeters, FlowMeters, RecordOutcome, RunOutcome, TriggerKind, WebhookMeters};
pub use process::{
    ConfigMeters, DoorMeters, NoticeMeters, NoticeOutcome, ProcessMeters, Refused, ReloadOutcome, SchedulerMeters,
    SkipReason, SpanFate, SpanMeters,
};
pub use store::StoreMeters;

use super::names::Metric;
use super::registry::{as_one_change, with};
use super::series::{Counter, Gauge, Histogram};
use chrono::{DateTime, Utc};

/// The counter, created at 0.
fn counter(metric: &Metric, values: &[&str]) -> Counter {
    with(|registry| registry.counter(metric, values))
}

/// The gauge, created at 0 where it is new.
fn gauge(metric: &Metric, values: &[&str]) -> Gauge {
    with(|registry| registry.gauge(metric, values))
}

/// The histogram.
fn histogram(metric: &Metric, values: &[&str]) -> Histogram {
    with(|registry| registry.histogram(metric, values))
}

/// Metrics are floating point; counts and instants stay far below where that loses anything.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay far below 2^53")]
fn timestamp(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}
