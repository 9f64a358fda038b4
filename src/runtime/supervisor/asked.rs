//! How a run is asked for, and what the answer can be.

use crate::runtime::export::delta::Asked;
use crate::runtime::run::report::{Progress, Report};
use crate::runtime::schedule::Mark;
use crate::value::id::FlowId;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How a run is wanted.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// At most so many records.
    pub limit: Option<u64>,
    /// The exports to be read, by name; none = all.
    pub exports: Vec<String>,
    /// Render, do not send imports.
    pub dry_run: bool,
    /// Of delta exports: from when and until when.
    pub asked: Asked,
    /// A run that did not end is given up, not taken up again.
    pub fresh: bool,
    /// The scheduled instant this run is for: the mark that becomes durable with its begin.
    pub occurrence: Option<Mark>,
}

/// A run that was started.
pub struct Started {
    /// Its identity.
    pub run: String,
    /// Whether a run that did not end goes on.
    pub resumed: bool,
    /// Live figures.
    pub progress: Arc<Progress>,
    /// Its report, once.
    pub report: oneshot::Receiver<Report>,
}

/// Why no run was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such flow in the snapshot in force.
    #[error("there is no flow `{0}`")]
    Unknown(String),
    /// `enabled = false`.
    #[error("flow `{0}` is disabled (`enabled = false`)")]
    Disabled(FlowId),
    /// It is running and `overlap` says skip.
    #[error("flow `{0}` is still running")]
    Running(FlowId),
    /// It is running; one more run follows (`overlap = "queue"`).
    #[error("flow `{0}` is still running; one more run follows")]
    Kept(FlowId),
    /// One more run is already kept for later.
    #[error("flow `{0}` is still running; one more run waits already")]
    Queued(FlowId),
    /// It takes payloads, and none waits.
    #[error("flow `{0}` works off what comes to its webhook, and nothing waits; `serve` is where payloads come in")]
    NothingWaits(FlowId),
    /// Somebody paused it.
    #[error("flow `{0}` is paused since {1}: `flowgate resume {0}` lets it run again")]
    Paused(FlowId, String),
    /// What is stored of it is damaged.
    #[error("the stored state of flow `{0}` is damaged: {1}; see `flowgate state check` and `flowgate state repair`")]
    Damaged(FlowId, String),
    /// The process is ending.
    #[error("the process is shutting down")]
    Draining,
}
