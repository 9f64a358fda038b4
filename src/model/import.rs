//! Where records go.

use super::step::OnError;
use crate::http::request::RequestSpec;
use crate::value::document::BodyPath;
use crate::value::expression::Expression;
use crate::value::id::ConnectionId;
use crate::value::rule::Rule;
use crate::value::template::Template;
use crate::value::tree::Tree;
use std::num::NonZeroU32;

/// `[import]`
#[derive(Debug, Clone)]
pub struct Import {
    /// What its error records name: `import`, or its `name`.
    pub name: String,
    /// `when`: records for which it is false are skipped.
    pub when: Option<Expression>,
    /// `on_error`
    pub on_error: OnError,
    /// `connection`
    pub connection: ConnectionId,
    /// The request; its `body` absent = the record itself.
    pub request: RequestSpec,
    /// What is read in the answers to it.
    pub answers: Answers,
    /// `batch_size`
    pub batch_size: NonZeroU32,
    /// `wrap`
    pub wrap: Option<String>,
    /// `drop_empty`: what is empty is left out of bodies.
    pub drop_empty: bool,
    /// `on_reject = "bisect"`: a batch that is refused whole is divided until those at fault stand alone.
    pub bisects: bool,
    /// `merge`: members of the record, from what the destination answered.
    pub merge: Option<Tree>,
    /// `lock_key`: two records of one key are never in flight together.
    pub lock_key: Option<Template>,
    /// `idempotency_key`
    pub idempotency_key: Option<Template>,
    /// `idempotency_header`
    pub idempotency_header: String,
    /// Whether the key rendered after a restart is the same: it reads nothing but the record and configuration.
    pub key_is_lasting: bool,
    /// `unknown_outcome`
    pub unknown: UnknownOutcome,
    /// `[import.upsert]`
    pub upsert: Option<Upsert>,
}

/// `[import.upsert]`: what is there already is updated.
#[derive(Debug, Clone)]
pub struct Upsert {
    /// `exists`: present and not empty = it is there.
    pub exists: Tree,
    /// `update`, over the import's own request.
    pub update: RequestSpec,
    /// What is read in the answers to it.
    pub answers: Answers,
    /// What holds for updates, where it is not what holds for the import.
    pub unknown: Option<UnknownOutcome>,
}

/// The two ways to write a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// By the import's own request.
    #[default]
    Create,
    /// By `upsert.update`.
    Update,
}

/// What is read in the answers to an import, beside `response`.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// `response.records`: each record of a batch has an answer of its own.
    pub each: Option<EachAnswer>,
    /// `response.id`, in that answer.
    pub id: Option<BodyPath>,
}

/// `response` with `records`: its rules hold for each record's answer.
#[derive(Debug, Clone)]
pub struct EachAnswer {
    /// Where they are, in the order sent.
    pub records: BodyPath,
    /// `failure`; without rules: `error_path` is present and truthy.
    pub failure: Option<Rule>,
    /// `success`
    pub success: Option<Rule>,
    /// `error_path`
    pub error_path: Option<BodyPath>,
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
    /// The request of one way.
    pub fn request_of(&self, way: Way) -> &RequestSpec {
        self.update(way).map_or(&self.request, |upsert| &upsert.update)
    }

    /// What is read in the answers to it.
    pub fn answers_of(&self, way: Way) -> &Answers {
        self.update(way).map_or(&self.answers, |upsert| &upsert.answers)
    }

    /// What becomes of a write whose outcome is unknown.
    pub fn unknown_of(&self, way: Way) -> &UnknownOutcome {
        self.update(way).and_then(|upsert| upsert.unknown.as_ref()).unwrap_or(&self.unknown)
    }

    fn update(&self, way: Way) -> Option<&Upsert> {
        self.upsert.as_ref().filter(|_| way == Way::Update)
    }

    /// Whether it must be durable that a record is about to be sent, before it is: what was not intended was not sent.
    /// Where a repetition is recognised, and its key comes out the same, nothing is gained by it.
    pub fn needs_intents(&self) -> bool {
        self.leaves_open() || (self.idempotency_key.is_some() && !self.key_is_lasting)
    }

    /// Whether there are writes that are not simply sent again when nobody knows whether they arrived.
    pub fn leaves_open(&self) -> bool {
        [Way::Create, Way::Update].iter().any(|way| !matches!(self.unknown_of(*way), UnknownOutcome::Retry))
    }

    /// The connection that is asked about unknown outcomes.
    pub fn check(&self) -> Option<&Check> {
        match &self.unknown {
            UnknownOutcome::Check(check) => Some(check),
            UnknownOutcome::Retry | UnknownOutcome::Park => None,
        }
    }
}
