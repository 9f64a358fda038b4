//! Text to `Snapshot`: scan, decode (spanned), resolve, diagnose. Every error of every file at once.

mod after;
pub mod agent;
mod command;
mod decode;
pub mod diagnostic;
pub mod files;
mod load;
mod place;
mod remedy;
pub mod render;
mod resolve;
pub mod schema;
mod suggest;
#[cfg(test)]
mod tests;
mod text;
pub mod watch;

use crate::model::snapshot::Snapshot;
use diagnostic::Diagnostic;
use std::path::{Path, PathBuf};

/// What a project directory holds, judged whole.
pub struct Loaded {
    /// Present when there are no errors.
    pub snapshot: Option<Snapshot>,
    /// Errors and warnings, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// Files that configuration names (absolute), present or not: they are watched too.
    pub named_files: Vec<PathBuf>,
}

/// Decodes a scanned tree.
pub fn load(tree: &files::Tree, env: &dyn Env) -> Loaded {
    load::load(tree, env)
}

/// Scans and decodes a project directory.
pub fn load_dir(root: &Path, env: &dyn Env) -> std::io::Result<Loaded> {
    Ok(load(&files::scan(root)?, env))
}

/// Environment variables and other programs, injected.
pub trait Env: Send + Sync {
    /// The variable, if set and valid Unicode.
    fn var(&self, name: &str) -> Option<String>;

    /// What a command of the configuration writes; none where commands are not run.
    fn output(&self, root: &Path, command: &[String]) -> Option<Result<String, String>> {
        let _ = (root, command);
        None
    }
}

/// An environment that runs no commands: to judge files must not mean to do what they say.
pub struct WithoutCommands<'a>(pub &'a dyn Env);

impl Env for WithoutCommands<'_> {
    fn var(&self, name: &str) -> Option<String> {
        self.0.var(name)
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "the one place the environment enters configuration")]
    fn var(&self, name: &str) -> Option<String> {
        // The standard library panics on such names.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok()
    }

    fn output(&self, root: &Path, command: &[String]) -> Option<Result<String, String>> {
        Some(command::output(root, command))
    }
}

/// A content hash, hexadecimal.
fn hash(bytes: &[u8]) -> String {
    use sha2::Digest;
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in sha2::Sha256::digest(bytes) {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}
