//! Handles to metric series, taken once per connection or flow so that counting costs no lookup.
//!
//! Install the recorder before the first handle is taken: handles taken earlier count nowhere.

mod agent;
mod connection;
mod flow;
mod process;
mod store;

pub use agent::AgentMeters;
pub use connection::{ConnectionMeters, RequestOutcome};
pub use flow::{ErrorMeters, FlowMeters, RecordOutcome, RunOutcome, TriggerKind, WebhookMeters};
pub use process::{
    ConfigMeters, NoticeMeters, NoticeOutcome, ProcessMeters, ReloadOutcome, SchedulerMeters, SkipReason,
};
pub use store::StoreMeters;

use super::names::{Kind, Metric};
use chrono::{DateTime, Utc};
use metrics::{Counter, Gauge, Histogram, Label};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError, RwLock};

/// Held shared while several series of one account change, alone while all are read: a scrape sees whole changes.
static ACCOUNT: RwLock<()> = RwLock::new(());

/// A series that can be let go.
enum Series {
    Counter(Counter),
    Gauge(Gauge),
}

/// All of them: whose they are, then by name and labels. The exporter lets go what nobody has touched for a while, so
/// those that stay are touched before they are read.
type Kept = HashMap<Owner, HashMap<String, Series>>;

#[cfg(not(test))]
static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

// Tests install a recorder each, in their own thread.
#[cfg(test)]
thread_local! {
    static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);
}

#[cfg(not(test))]
fn with_kept(change: impl FnOnce(&mut Kept)) {
    change(&mut KEPT.lock().unwrap_or_else(PoisonError::into_inner));
}

#[cfg(test)]
fn with_kept(change: impl FnOnce(&mut Kept)) {
    KEPT.with(|kept| change(&mut kept.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// Whose a series is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// The process': never let go.
    Process,
    /// A flow's.
    Flow(String),
    /// A connection's.
    Connection(String),
}

impl Owner {
    fn of(metric: &Metric, values: &[&str]) -> Self {
        let value =
            |name| metric.labels.iter().zip(values).find(|(label, _)| label.name == name).map(|(_, value)| *value);
        match (value("flow"), value("connection")) {
            (Some(flow), _) => Self::Flow(flow.to_owned()),
            (None, Some(connection)) => Self::Connection(connection.to_owned()),
            (None, None) => Self::Process,
        }
    }
}

fn keep(metric: &Metric, values: &[&str], series: Series) {
    let name = [&[metric.name], values].concat().join("\0");
    with_kept(|kept| {
        kept.entry(Owner::of(metric, values)).or_default().insert(name, series);
    });
}

/// Marks the series of those that live as wanted, and forgets the others.
pub(super) fn touch(lives: impl Fn(&Owner) -> bool) {
    with_kept(|kept| {
        kept.retain(|owner, _| lives(owner));
        for series in kept.values().flat_map(HashMap::values) {
            match series {
                Series::Counter(counter) => counter.increment(0),
                Series::Gauge(gauge) => gauge.increment(0.0),
            }
        }
    });
}

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
    keep(metric, values, Series::Counter(counter.clone()));
    counter
}

/// The gauge, created at 0 where it is new.
#[expect(clippy::disallowed_macros, reason = "the one place gauges are taken")]
fn gauge(metric: &Metric, values: &[&str]) -> Gauge {
    debug_assert_eq!(metric.kind, Kind::Gauge);
    let gauge = metrics::gauge!(metric.name, labels(metric, values));
    gauge.increment(0.0);
    keep(metric, values, Series::Gauge(gauge.clone()));
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
