//! `[notify]`: what is told to people over a connection.

use crate::http::request::RequestSpec;
use crate::value::id::ConnectionId;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// A run failed.
    RunFailed,
    /// The first error record of a flow that had none open.
    FirstError,
    /// A connection went offline.
    Offline,
}

impl Occasion {
    /// All.
    pub const ALL: [Self; 3] = [Self::RunFailed, Self::FirstError, Self::Offline];

    /// As written.
    pub fn word(self) -> &'static str {
        match self {
            Self::RunFailed => "run_failed",
            Self::FirstError => "first_error",
            Self::Offline => "offline",
        }
    }
}

/// A valid `[notify]`.
#[derive(Debug, Clone)]
pub struct Notify {
    /// `connection`
    pub connection: ConnectionId,
    /// The request: `relative_uri`, `body` …; without a body `{"text": …}` is sent.
    pub request: RequestSpec,
    /// `on`
    pub on: Vec<Occasion>,
    /// All of it as text, taken before it is used: what is compiled remembers its use.
    says: Box<str>,
}

impl Notify {
    /// Of a table that was just read.
    pub fn new(connection: ConnectionId, request: RequestSpec, on: Vec<Occasion>) -> Self {
        let says = format!("{connection:?} {request:?} {on:?}").into();
        Self { connection, request, on, says }
    }

    /// Whether two tables say the same. Secrets are no part of a table.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.says == other.says
    }
}
