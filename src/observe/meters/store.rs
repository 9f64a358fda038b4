//! The store's series.

use super::{counter, float, gauge, histogram};
use crate::observe::names;
use crate::observe::series::{Counter, Gauge, Histogram};
use std::time::Duration;

/// The store's series.
pub struct StoreMeters {
    commits: Counter,
    batches: Counter,
    seconds: Histogram,
    failing: Gauge,
    bytes: [Gauge; names::STORE_KINDS.len()],
}

impl StoreMeters {
    /// Creates (or finds) the series.
    pub fn take() -> Self {
        Self {
            commits: counter(&names::STORE_COMMITS, &[]),
            batches: counter(&names::STORE_BATCHES, &[]),
            seconds: histogram(&names::STORE_COMMIT_SECONDS, &[]),
            failing: gauge(&names::STORE_FAILING, &[]),
            bytes: std::array::from_fn(|i| gauge(&names::STORE_BYTES, &[names::STORE_KINDS[i]])),
        }
    }
    /// So many batches became durable as one, after so long.
    pub fn committed(&self, took: Duration, batches: usize) {
        self.commits.increment(1);
        self.batches.increment(batches as u64);
        self.seconds.record(took.as_secs_f64());
    }
    /// Whether writes wait for the disk.
    pub fn failing(&self, failing: bool) {
        self.failing.set(f64::from(u8::from(failing)));
    }
    /// What the state takes up: database with its log, page bodies.
    pub fn bytes(&self, database: u64, pages: u64) {
        self.bytes[0].set(float(database));
        self.bytes[1].set(float(pages));
    }
}
