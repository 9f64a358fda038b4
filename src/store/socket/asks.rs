//! What can be asked of the owner. Reads are answered from its store, writes are carried out by it: a state directory
//! has one writer.

use super::views::{Act, View};
use crate::store::ErrorFilter;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Most flows, runs or error records named in one question.
pub const MOST_NAMED: usize = 10_000;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Everything `status` shows.
    Status,
    /// Look at the files now; the answer says what came of it.
    Reload,
    /// Run flows now. The answer is a list of [`StartedRun`].
    Run(RunAsk),
    /// What became of these runs: live figures, reports, rows.
    Runs(Vec<String>),
    /// Something about error records.
    Errors(ErrorAsk),
    /// Try open error records again. At most a page of them; the answer is [`RetryBegun`].
    Retry(ErrorFilter),
    /// Write a stored value, or let it go.
    Set(ValueAsk),
    /// Ask a connection's API whether it works.
    Ping(String),
    /// Keep a credential somebody has logged in for.
    Token(TokenAsk),
    /// Look at something.
    View(View),
    /// Change what goes on.
    Act(Act),
}

/// A renewed credential. Its record is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAsk {
    /// Which connection.
    pub connection: String,
    /// As the store keeps it.
    pub record: String,
}

impl std::fmt::Debug for TokenAsk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenAsk({})", self.connection)
    }
}

/// Which flows to run, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAsk {
    /// Which.
    pub flows: Vec<FlowId>,
    /// At most so many records of each.
    #[serde(default)]
    pub limit: Option<u64>,
    /// The exports to be read, by name; none = all.
    #[serde(default)]
    pub exports: Vec<String>,
    /// Of delta exports: what changed since then.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// And until then.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// A run that did not end is given up, not taken up again.
    #[serde(default)]
    pub fresh: bool,
}

/// What is to be done with error records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ErrorAsk {
    /// One by one, the newest first. At most a page of them; the answer says where the next one begins.
    List {
        /// Which.
        filter: ErrorFilter,
        /// With everything that is stored of each, the record included.
        whole: bool,
    },
    /// By what they have in common.
    Groups {
        /// Which.
        filter: ErrorFilter,
    },
    /// Settled by hand: dismissed.
    Resolve {
        /// Which.
        filter: ErrorFilter,
    },
    /// Let settled ones go.
    Purge {
        /// Which.
        filter: ErrorFilter,
        /// Open ones too: they count as dismissed.
        open: bool,
    },
    /// Another record in the place of the one stored.
    Edit {
        /// Which.
        id: u64,
        /// When it had last changed as its editor saw it: a later change is not overwritten.
        seen: DateTime<Utc>,
        /// The new record: JSON.
        payload: String,
    },
}

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueAsk {
    /// Name of the space.
    pub space: String,
    /// Under what.
    pub key: String,
    /// What; none lets it go.
    pub value: Option<String>,
}

/// A run that was started for somebody, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedRun {
    /// Which flow.
    pub flow: FlowId,
    /// The run's identity; none when there is none.
    pub run: Option<String>,
    /// Whether a run that did not end goes on.
    #[serde(default)]
    pub resumed: bool,
    /// Error records it tries again.
    #[serde(default)]
    pub errors: u64,
    /// Why there is no run.
    #[serde(default)]
    pub refused: Option<String>,
    /// Whether it may start later.
    #[serde(default)]
    pub later: bool,
}

/// Runs that try a page of error records again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RetryBegun {
    /// One run a flow.
    pub runs: Vec<StartedRun>,
    /// The lowest id of the page, when more may follow: the next page is below it.
    pub next: Option<u64>,
}
