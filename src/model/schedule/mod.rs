//! When a flow runs: a cron line in civil time, a zone, and the rule that maps civil time to instants.

use chrono::{DateTime, Utc};

/// A valid `[schedule]`.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// As written.
    pub source: String,
    /// `timezone`
    pub zone: chrono_tz::Tz,
    /// `overlap`
    pub overlap: Overlap,
}

/// `overlap`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// A due run is skipped while one is running.
    #[default]
    Skip,
    /// One more run is kept for later.
    Queue,
}

impl Schedule {
    /// Parses 5 or 6 fields; refuses lines that never fire.
    pub fn parse(
        _cron: &str,
        _zone: chrono_tz::Tz,
        _overlap: Overlap,
        _now: DateTime<Utc>,
    ) -> Result<Self, crate::value::issue::Issue> {
        todo!()
    }
    /// The first instant strictly after `after`.
    pub fn next_after(&self, _after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        todo!()
    }
}
