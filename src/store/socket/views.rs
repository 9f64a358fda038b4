//! What can be looked at and done while a process serves: the same questions over its socket and through its API.

use crate::store::{ErrorFilter, Phase};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A look that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// The snapshot in force, the store, the process.
    Snapshot,
    /// What became of the files, the newest first.
    Reloads,
    /// One of those, resource by resource.
    Reload(String),
    /// Flows, a page at a time, and figures over all of them.
    Flows(FlowsAsk),
    /// One flow.
    Flow(String),
    /// Runs, the newest first.
    Runs(RunsAsk),
    /// One run, with its pages.
    Run(String),
    /// The log lines of one run.
    RunLog(String),
    /// Every pool and what waits in it.
    Queues,
    /// Every connection.
    Connections,
    /// One connection.
    Connection(String),
    /// Error records, or groups of them.
    Errors(ErrorsAsk),
    /// One error record with its payload.
    Error(u64),
    /// Why something waits.
    Explain(Subject),
}

/// Which flows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowsAsk {
    /// Whose id or title has this in it.
    pub q: Option<String>,
    /// In this state: `running`, `failed`, `paused` …
    pub state: Option<String>,
    /// Behind this id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunsAsk {
    /// Of this flow.
    pub flow: Option<FlowId>,
    /// In this phase.
    pub phase: Option<Phase>,
    /// That began before: what follows a page.
    pub before: Option<DateTime<Utc>>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Which error records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorsAsk {
    /// Which.
    pub filter: ErrorFilter,
    /// By what they have in common, in place of one by one.
    pub groups: bool,
}

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// A run, a flow or a connection; whichever has the name when it is not said.
    #[serde(default)]
    pub kind: Option<SubjectKind>,
    /// Its id.
    pub id: String,
}

/// What kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A run.
    Run,
    /// A flow.
    Flow,
    /// A connection.
    Connection,
}

/// A change of what goes on; none of what is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// These flows start nothing more.
    Pause(Vec<FlowId>),
    /// They may again.
    Resume(Vec<FlowId>),
    /// Stop what is under way.
    Cancel(CancelAsk),
    /// Finish what is in flight, and end.
    Drain,
    /// Look at the files now, without waiting for the verdict.
    Look,
}

/// Which run is to be stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CancelAsk {
    /// This run.
    pub run: Option<String>,
    /// The run of this flow.
    pub flow: Option<FlowId>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Which kind of reason.
    pub kind: Denial,
    /// What is wrong and what to do.
    pub text: String,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// The question makes no sense.
    Invalid,
    /// There is no such thing.
    Unknown,
    /// Not as things stand.
    Conflict,
    /// Not now.
    Unavailable,
}

impl Denied {
    /// The question makes no sense.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self { kind: Denial::Invalid, text: text.into() }
    }

    /// There is no such thing.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self { kind: Denial::Unknown, text: text.into() }
    }

    /// Not as things stand.
    pub fn conflict(text: impl Into<String>) -> Self {
        Self { kind: Denial::Conflict, text: text.into() }
    }

    /// Not now.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self { kind: Denial::Unavailable, text: text.into() }
    }
}

impl From<String> for Denied {
    fn from(text: String) -> Self {
        Self::conflict(text)
    }
}
