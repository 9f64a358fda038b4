//! Figures of a flow, kept beside the rows they sum up: cheap to read at every scrape, and a second witness by which
//! lost rows are noticed.

use super::rows::{ErrorRow, ErrorState, FlowTally, Phase, RunKind, RunRow};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Sums over a flow's stored rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Stored runs.
    pub runs: u64,
    /// Stored pages.
    pub pages: u64,
    /// Stored error records.
    pub errors: u64,
    /// Records that the open ones of these stand for.
    pub open: u64,
    pub exported: u64,
    pub delivered: u64,
    pub filtered: u64,
    pub dismissed: u64,
    pub in_flight: u64,
}

impl Figures {
    /// What one run adds.
    pub fn of_run(row: &RunRow) -> Self {
        let tally = &row.tally;
        // A retry's records were counted by the runs they came from.
        if row.kind == RunKind::Retry {
            return Self { runs: 1, ..Self::default() };
        }
        Self {
            runs: 1,
            exported: tally.exported,
            delivered: tally.delivered.saturating_add(tally.redelivered),
            filtered: tally.filtered.saturating_add(tally.refiltered),
            dismissed: tally.dismissed,
            in_flight: if is_over(row.phase) { 0 } else { left(row) },
            ..Self::default()
        }
    }

    /// What one page adds.
    pub fn of_page() -> Self {
        Self { pages: 1, ..Self::default() }
    }

    /// What one error record adds.
    pub fn of_error(row: &ErrorRow) -> Self {
        Self { errors: 1, open: if row.state == ErrorState::Open { row.weight() } else { 0 }, ..Self::default() }
    }

    /// With the other's.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// Without the other's.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    fn each(self, other: Self, f: fn(u64, u64) -> u64) -> Self {
        Self {
            runs: f(self.runs, other.runs),
            pages: f(self.pages, other.pages),
            errors: f(self.errors, other.errors),
            open: f(self.open, other.open),
            exported: f(self.exported, other.exported),
            delivered: f(self.delivered, other.delivered),
            filtered: f(self.filtered, other.filtered),
            dismissed: f(self.dismissed, other.dismissed),
            in_flight: f(self.in_flight, other.in_flight),
        }
    }

    /// As the store's readers see it.
    pub fn tally(self, flow: FlowId, oldest_open: Option<DateTime<Utc>>) -> FlowTally {
        FlowTally {
            flow,
            exported: self.exported,
            delivered: self.delivered,
            filtered: self.filtered,
            open: self.open,
            dismissed: self.dismissed,
            in_flight: self.in_flight,
            oldest_open,
        }
    }
}

/// Whether a run is over for good.
pub(super) fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::Ended | Phase::Dismissed)
}

/// Records of a run that nothing became of yet.
pub(super) fn left(row: &RunRow) -> u64 {
    let tally = &row.tally;
    tally.exported.saturating_sub(tally.delivered).saturating_sub(tally.filtered).saturating_sub(tally.failed)
}
