//! What happens, told while it happens to whoever listens: live views and notices. Nobody has to listen, and who is slow
//! misses some: what is promised stands in the store.

use super::run::report::Report;
use crate::observe::meters::TriggerKind;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Kept for who is slow.
const KEPT: usize = 1_024;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Happening {
    /// A run was started, or goes on.
    RunStarted {
        /// Which flow.
        flow: FlowId,
        /// Which run.
        run: String,
        /// Why.
        trigger: TriggerKind,
        /// When.
        at: DateTime<Utc>,
    },
    /// A run ended, one way or another.
    RunEnded {
        /// Its report, without single error records.
        report: Arc<Report>,
        /// When.
        at: DateTime<Utc>,
    },
    /// A flow starts nothing from now on.
    FlowPaused(FlowId),
    /// It may again.
    FlowResumed(FlowId),
    /// Another snapshot is in force, or files were rejected.
    Reloaded {
        /// Id of the report.
        report: String,
        /// `applied`, `unchanged` or `rejected`.
        verdict: &'static str,
    },
    /// The first error record of a flow that had none open.
    FirstError {
        /// Which flow.
        flow: FlowId,
        /// How many are open.
        open: u64,
    },
    /// Requests of a connection wait.
    Offline {
        /// Which connection.
        connection: String,
        /// Why; fit to be shown.
        reason: String,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Its requests go on.
    Online {
        /// Which connection.
        connection: String,
    },
}

/// Where things are told.
#[derive(Debug, Clone)]
pub struct Happenings(broadcast::Sender<Happening>);

impl Default for Happenings {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Happenings {
    /// Tells it.
    pub fn tell(&self, what: Happening) {
        // Nobody listens: normal.
        let _ = self.0.send(what);
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Happening> {
        self.0.subscribe()
    }
}
