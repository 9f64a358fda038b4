//! Text to `Snapshot`: scan, decode (spanned), resolve, diagnose. Every error of every file at once.

pub mod diagnostic;
pub mod files;
pub mod watch;

use crate::model::snapshot::Snapshot;
use diagnostic::Diagnostic;

/// What a project directory holds, judged whole.
pub struct Loaded {
    /// Present when there are no errors.
    pub snapshot: Option<Snapshot>,
    /// Errors and warnings, by file and place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Decodes a scanned tree.
pub fn load(_tree: &files::Tree, _env: &dyn Env) -> Loaded {
    todo!()
}

/// Environment variables, injected.
pub trait Env: Send + Sync {
    /// The variable, if set and valid Unicode.
    fn var(&self, name: &str) -> Option<String>;
}
