//! The files of a project as read in one scan: bounded, regular files only, identified by content hash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One scan of a project directory.
#[derive(Clone)]
pub struct Tree {
    /// The project directory, absolute.
    pub root: PathBuf,
    /// `flowgate.toml`, `connections/**`, `flows/**`: relative path to content or the reason it could not be read.
    pub files: BTreeMap<PathBuf, Result<Source, Unreadable>>,
    /// Hash over all names and contents, and over files named by configuration.
    pub hash: String,
}

/// A file's text.
#[derive(Clone)]
pub struct Source {
    /// Content.
    pub text: std::sync::Arc<str>,
    /// Hash of the content.
    pub hash: String,
}

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Scans the project directory.
pub fn scan(_root: &Path) -> std::io::Result<Tree> {
    todo!()
}
