//! Handles to metric series, taken once per connection or flow so that counting costs no lookup.
//!
//! Install the recorder before the first handle is taken: handles taken earlier count nowhere.

mod connection;
mod flow;
mod process;
mod store;

pub use connection::{ConnectionMeters, RequestOutcome};
pub use flow::{ErrorMeters, FlowMeters, RecordOutcome, RunOutcome, TriggerKind};
pub use process::{ConfigMeters, ProcessMeters, ReloadOutcome, SchedulerMeters, SkipReason};
pub use store::StoreMeters;

use super::names::{Kind, Metric};
use chrono::{DateTime, Utc};
use metrics::{Counter, Gauge, Histogram, Label};
use std::sync::{PoisonError, RwLock};

/// Held shared while several series of one account change, alone while all are read: a scrape sees whole changes.
static ACCOUNT: RwLock<()> = RwLock::new(());

/// Reads all series between two changes of an account.
pub(super) fn between_changes<T>(read: impl FnOnce() -> T) -> T {
    let _alone = ACCOUNT.write().unwrap_or_else(PoisonError::into_inner);
    read()
}

/// Changes series that must agree with each other in every scrape.
fn as_one_change(change: impl FnOnce()) {
    let _shared = ACCOUNT.read().unwrap_or_else(PoisonError::into_inner);
    change();
}

fn labels(metric: &Metric, values: &[&str]) -> Vec<Label> {
    debug_assert_eq!(metric.labels.len(), values.len(), "{} takes other labels", metric.name);
    metric.labels.iter().zip(values).map(|(label, value)| Label::new(label.name, (*value).to_owned())).collect()
}

/// The counter, created at 0.
#[expect(clippy::disallowed_macros, reason = "the one place counters are taken")]
fn counter(metric: &Metric, values: &[&str]) -> Counter {
    debug_assert_eq!(metric.kind, Kind::Counter);
    let counter = metrics::counter!(metric.name, labels(metric, values));
    counter.increment(0);
    counter
}

/// The gauge, created at 0 where it is new.
#[expect(clippy::disallowed_macros, reason = "the one place gauges are taken")]
fn gauge(metric: &Metric, values: &[&str]) -> Gauge {
    debug_assert_eq!(metric.kind, Kind::Gauge);
    let gauge = metrics::gauge!(metric.name, labels(metric, values));
    gauge.increment(0.0);
    gauge
}

/// The histogram.
#[expect(clippy::disallowed_macros, reason = "the one place histograms are taken")]
fn histogram(metric: &Metric, values: &[&str]) -> Histogram {
    debug_assert!(matches!(metric.kind, Kind::Histogram(_)));
    metrics::histogram!(metric.name, labels(metric, values))
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
