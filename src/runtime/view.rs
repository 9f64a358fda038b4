//! Flows and runs as `status` shows them.

use super::run::report::Ending;
use super::run::state::Counts;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};

/// A run in progress, for `status`.
#[derive(Debug, Clone)]
pub struct RunView {
    /// Identity.
    pub run: String,
    /// Since when.
    pub started: DateTime<Utc>,
    /// Counts so far.
    pub counts: Counts,
    /// Pages so far.
    pub pages: u64,
    /// How many records are expected, when the source said so.
    pub total: Option<u64>,
    /// It has its turn among the runs that may work at once.
    pub begun: bool,
    /// It was asked to stop.
    pub stopping: bool,
}

/// The last run that ended, for `status`.
#[derive(Debug, Clone)]
pub struct LastRun {
    /// Identity.
    pub run: String,
    /// When it ended.
    pub ended: DateTime<Utc>,
    /// How.
    pub ending: Ending,
    /// Counts.
    pub counts: Counts,
}

/// A flow, for `status`.
#[derive(Debug, Clone)]
pub struct FlowView {
    /// Which.
    pub id: FlowId,
    /// The run in progress.
    pub running: Option<RunView>,
    /// Whether one more run waits for it.
    pub queued: bool,
    /// The last run that ended.
    pub last: Option<LastRun>,
    /// The last success.
    pub last_success: Option<DateTime<Utc>>,
    /// Since when it starts nothing, because somebody said so.
    pub paused: Option<DateTime<Utc>>,
}

impl FlowView {
    /// Of which only the id is known.
    pub fn unknown(id: FlowId) -> Self {
        Self { id, running: None, queued: false, last: None, last_success: None, paused: None }
    }
}
