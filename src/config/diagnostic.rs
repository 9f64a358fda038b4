//! One finding about configuration, with its place, cause and remedy.

use std::ops::Range;
use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The project cannot be applied.
    Error,
    /// It can; `--deny-warnings` says no.
    Warning,
}

impl Severity {
    /// As written in every format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Stable code such as `unknown-key`.
    pub code: &'static str,
    /// Relative to the project directory.
    pub file: PathBuf,
    /// 1-based; 1 when the finding is about the file as a whole.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Length of the marked part on that line, in characters.
    pub length: usize,
    /// `export.paging.token.path`; empty for the file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The source line, secrets masked; none when the finding is about the file as a whole.
    pub source_line: Option<String>,
    /// The marked part of `source_line`, in characters. Differs from `column` only behind a masked secret.
    pub caret: Range<usize>,
}

/// How many findings of each severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
}

impl Counts {
    /// Counts them.
    pub fn of(findings: &[Diagnostic]) -> Self {
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        Self { errors, warnings: findings.len() - errors }
    }
}
