//! A flow: when it runs, what it reads, what it writes.

use super::export::Export;
use super::import::Import;
use super::schedule::Schedule;
use super::step::Step;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::json::Json;
use std::num::NonZeroU32;

/// A valid `flows/<id>.toml`.
#[derive(Debug, Clone)]
pub struct Flow {
    /// From the file path.
    pub id: FlowId,
    /// `title`
    pub title: Option<String>,
    /// `formerly`
    pub formerly: Vec<FlowId>,
    /// `enabled`
    pub enabled: bool,
    /// `weight`
    pub weight: NonZeroU32,
    /// `flow` root: `{"id": …, "vars": {…}}`
    pub context: Json,
    /// `[vars]` without a value (key path and reason): its records cannot be judged rightly while there are any.
    pub unresolved: Vec<String>,
    /// `[schedule]`
    pub schedule: Option<Schedule>,
    /// `[export]`
    pub export: Export,
    /// `[[step]]`, in order, before the import.
    pub steps: Vec<Step>,
    /// `[import]`; none = export-only.
    pub import: Option<Import>,
    /// Hash of the file's bytes and of everything it names.
    pub hash: String,
}

impl Flow {
    /// The connections its requests use.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionId> {
        std::iter::once(&self.export.connection).chain(self.import.as_ref().map(|import| &import.connection))
    }
}
