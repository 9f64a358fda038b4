//! Series that are counted on: a counter, a gauge, a histogram. Handles are cheap to clone and never wait.
//!
//! What a handle counts is read by `registry`, which made it; one that is `noop` counts nowhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Only grows.
#[derive(Debug, Clone)]
pub struct Counter(pub(super) Option<Arc<AtomicU64>>);

impl Counter {
    /// Counts nowhere.
    pub fn noop() -> Self {
        Self(None)
    }

    /// So many more.
    pub fn increment(&self, by: u64) {
        if let Some(value) = &self.0 {
            value.fetch_add(by, Ordering::Relaxed);
        }
    }
}

/// Goes up and down. A floating point number, kept by its bits.
#[derive(Debug, Clone)]
pub struct Gauge(pub(super) Option<Arc<AtomicU64>>);

impl Gauge {
    /// Shows nothing.
    pub fn noop() -> Self {
        Self(None)
    }

    /// It is this now.
    pub fn set(&self, to: f64) {
        if let Some(value) = &self.0 {
            value.store(to.to_bits(), Ordering::Relaxed);
        }
    }

    /// So much more.
    pub fn increment(&self, by: f64) {
        if let Some(value) = &self.0 {
            add(value, by);
        }
    }

    /// So much less.
    pub fn decrement(&self, by: f64) {
        self.increment(-by);
    }
}

/// Counts observations by upper bounds.
#[derive(Debug, Clone)]
pub struct Histogram(pub(super) Option<Arc<Spread>>);

impl Histogram {
    /// Keeps nothing.
    pub fn noop() -> Self {
        Self(None)
    }

    /// One observation.
    pub fn record(&self, seen: f64) {
        if let Some(spread) = &self.0 {
            spread.record(seen);
        }
    }
}

/// Observations of a histogram: how many in each bucket alone, and their sum.
#[derive(Debug)]
pub(super) struct Spread {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Spread {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        // The last one is for what is above all bounds.
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    fn record(&self, seen: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < seen);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        add(&self.sum, seen);
    }

    /// Each bound with the number of observations up to it; the last is of all of them and has none.
    pub(super) fn up_to(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(&self.counts).scan(0, |all, (bound, count)| {
            *all += count.load(Ordering::Relaxed);
            Some((bound, *all))
        })
    }

    pub(super) fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }
}

fn add(value: &AtomicU64, by: f64) {
    let more = |bits| Some((f64::from_bits(bits) + by).to_bits());
    // It always gives a number: there is no refusal.
    let _ = value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_not_above_its_bound_and_the_last_one_everything() {
        let spread = Spread::new(&[0.1, 1.0, 5.0]);
        for seen in [0.05, 0.1, 0.100_001, 1.0, 5.0, 5.1, 1e9] {
            spread.record(seen);
        }
        let counts: Vec<_> = spread.up_to().collect();
        assert_eq!(counts, [(Some(0.1), 2), (Some(1.0), 4), (Some(5.0), 5), (None, 7)]);
        assert!((spread.sum() - 1_000_000_011.350_001).abs() < 1e-3, "{}", spread.sum());
    }

    #[test]
    fn changes_from_many_threads_are_all_counted() {
        let (counter, gauge) = (Counter(Some(Arc::default())), Gauge(Some(Arc::default())));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        counter.increment(1);
                        gauge.increment(1.5);
                        gauge.decrement(0.5);
                    }
                });
            }
        });
        assert_eq!(counter.0.unwrap().load(Ordering::Relaxed), 40_000);
        assert!((f64::from_bits(gauge.0.unwrap().load(Ordering::Relaxed)) - 40_000.0).abs() < 1e-9);
    }
}
