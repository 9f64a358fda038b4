//! How many records may still be taken: of an export over all that is read of it, and of the run over all its exports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One allowance; none = no end. Shared by all that draw on it.
#[derive(Debug, Clone, Default)]
pub struct Allowance(Option<Arc<AtomicU64>>);

impl Allowance {
    /// So many records.
    pub fn of(left: Option<u64>) -> Self {
        Self(left.map(|left| Arc::new(AtomicU64::new(left))))
    }

    /// How many are left.
    pub fn left(&self) -> Option<u64> {
        self.0.as_ref().map(|left| left.load(Ordering::Relaxed))
    }

    /// Takes up to so many; gives how many it got.
    fn take(&self, wanted: u64) -> u64 {
        let Some(left) = &self.0 else { return wanted };
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(wanted)));
        taken.map_or(wanted, |left| left.min(wanted))
    }

    fn give_back(&self, count: u64) {
        if let Some(left) = &self.0 {
            left.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// The allowances a reader draws on.
#[derive(Debug, Clone, Default)]
pub struct Quota {
    /// The export's `limit`.
    pub export: Allowance,
    /// The run's `--limit`.
    pub run: Allowance,
}

impl Quota {
    /// One of its own.
    pub fn of(left: Option<u64>) -> Self {
        Self { export: Allowance::of(left), run: Allowance::default() }
    }

    /// How many records may still be taken; none = all.
    pub fn left(&self) -> Option<u64> {
        match (self.export.left(), self.run.left()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether none may be taken any more.
    pub fn is_spent(&self) -> bool {
        self.left() == Some(0)
    }

    /// Takes up to so many; gives how many it got.
    pub fn take(&self, wanted: u64) -> u64 {
        let of_run = self.run.take(wanted);
        let taken = self.export.take(of_run);
        self.run.give_back(of_run - taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_allowance_decides_and_the_other_keeps_what_was_not_taken() {
        let run = Allowance::of(Some(5));
        let orders = Quota { export: Allowance::of(Some(3)), run: run.clone() };
        let customers = Quota { export: Allowance::default(), run };
        assert_eq!((orders.take(4), orders.left(), orders.is_spent()), (3, Some(0), true));
        assert_eq!((customers.left(), customers.take(4), customers.take(4)), (Some(2), 2, 0));
        assert_eq!((Quota::default().take(9), Quota::default().left()), (9, None));
    }
}
