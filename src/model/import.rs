//! Where records go.

use crate::http::request::RequestSpec;
use crate::value::document::BodyPath;
use crate::value::id::ConnectionId;
use crate::value::template::Template;
use std::num::NonZeroU32;

/// `[import]`
#[derive(Debug, Clone)]
pub struct Import {
    /// What its error records name: `import`, or the step's name.
    pub name: String,
    /// `connection`
    pub connection: ConnectionId,
    /// The request; its `body` absent = the record itself.
    pub request: RequestSpec,
    /// `batch_size`
    pub batch_size: NonZeroU32,
    /// `wrap`
    pub wrap: Option<String>,
    /// `idempotency_key`
    pub idempotency_key: Option<Template>,
    /// `idempotency_header`
    pub idempotency_header: String,
    /// Whether the key rendered after a restart is the same: it reads nothing but the record and configuration.
    pub key_is_lasting: bool,
    /// `unknown_outcome`
    pub unknown: UnknownOutcome,
}

/// What becomes of a write that may or may not have arrived.
#[derive(Debug, Clone)]
pub enum UnknownOutcome {
    /// It is sent again.
    Retry,
    /// It becomes an error record: a person looks.
    Park,
    /// The destination is asked.
    Check(Box<Check>),
}

/// `[import.check]`: found = delivered.
#[derive(Debug, Clone)]
pub struct Check {
    /// `connection`; the import's own when absent.
    pub connection: ConnectionId,
    /// The request.
    pub request: RequestSpec,
    /// `records`; none = the body.
    pub records: Option<BodyPath>,
}

impl Import {
    /// Whether it must be durable that a record is about to be sent, before it is: what was not intended was not sent.
    /// Where a repetition is recognised, and its key comes out the same, nothing is gained by it.
    pub fn needs_intents(&self) -> bool {
        match self.unknown {
            UnknownOutcome::Retry => self.idempotency_key.is_some() && !self.key_is_lasting,
            UnknownOutcome::Park | UnknownOutcome::Check(_) => true,
        }
    }

    /// The connection that is asked about unknown outcomes.
    pub fn check(&self) -> Option<&Check> {
        match &self.unknown {
            UnknownOutcome::Check(check) => Some(check),
            UnknownOutcome::Retry | UnknownOutcome::Park => None,
        }
    }
}
