//! A flow: when it runs, what it reads, what it writes.

use super::export::Export;
use super::import::Import;
use super::schedule::Schedule;
use super::step::Step;
use super::webhook::Webhook;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::json::Json;
use crate::value::table::Tables;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

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
    /// `run_after`: the end of any of these starts it.
    pub run_after: Vec<FlowId>,
    /// `[webhook]`: what is exported comes by itself, and nothing is asked for.
    pub webhook: Option<Arc<Webhook>>,
    /// `[export]`, or each `[[export]]`; of a webhook: what of one it has too. At least one.
    pub exports: Vec<Arc<Export>>,
    /// `[[step]]`, in order, before the import.
    pub steps: Vec<Step>,
    /// `[import]`; none = export-only.
    pub import: Option<Import>,
    /// `[tables]`
    pub tables: Tables,
    /// `durability`
    pub durability: Durability,
    /// `missing = "empty"`: what is missing is empty everywhere.
    pub missing_is_empty: bool,
    /// `max_errors`: a run that opens so many error records stops.
    pub max_errors: Option<NonZeroU64>,
    /// The file's text: a run that outlives it ends by it.
    pub text: Arc<str>,
    /// Hash of the file's bytes and of everything it names.
    pub hash: String,
}

/// What of a page is stored before it is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// All of it: after a crash the run goes on with it as it was read.
    #[default]
    Full,
    /// Its place only: after a crash the page is read again.
    Checkpoint,
}

impl Flow {
    /// The connections its requests use.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionId> {
        let import = self.import.as_ref();
        let check = import.and_then(|import| import.check()).map(|check| &check.connection);
        let steps = self.steps.iter().flat_map(Step::connections);
        let exports = self.exports.iter().flat_map(|export| export.connections());
        exports.chain(steps).chain(import.map(|import| &import.connection)).chain(check)
    }

    /// Whether a record needs requests between its export and the last import.
    pub fn asks_on_the_way(&self) -> bool {
        !self.steps.iter().all(Step::is_pure)
    }

    /// Whether records are written before the last import.
    pub fn writes_on_the_way(&self) -> bool {
        self.steps.iter().any(|step| !step.imports().is_empty())
    }

    /// Whether it writes anywhere; else its records go to standard output.
    pub fn has_import(&self) -> bool {
        self.import.is_some() || self.writes_on_the_way()
    }

    /// The export of a name; the first where none has it any more.
    pub fn export(&self, name: &str) -> Option<&Arc<Export>> {
        self.exports.iter().find(|export| export.name == name).or_else(|| self.exports.first())
    }
}
