//! One finding about configuration, with its place, cause and remedy.

use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The project cannot be applied.
    Error,
    /// It can; `--deny-warnings` says no.
    Warning,
}

/// A finding.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Stable code such as `unknown-key`.
    pub code: &'static str,
    /// Relative to the project directory.
    pub file: PathBuf,
    /// 1-based; 0 when the finding is about the file as a whole.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Length of the marked part, in characters.
    pub length: usize,
    /// `export.paging.token.path`; empty for the file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The source line, secrets masked.
    pub source_line: Option<String>,
}
