//! An agent's own file: read alone, far from any project.

use super::decode::agent::{self, KEYS};
use super::decode::file::{File, Finding};
use super::decode::source::Sources;
use super::decode::table::Table;
use super::decode::{self};
use super::diagnostic::Diagnostic;
use super::{Env, diagnostic::Severity};
use crate::model::agent::AgentFile;
use crate::value::secret::Secret;
use std::io::Read;
use std::path::Path;

pub use super::decode::agent::server_url;

/// Largest file.
const MOST_BYTES: u64 = 1024 * 1024;

/// Reads and judges it: what it says, unless there are errors, and everything found. Relative file names in it begin
/// at its own folder.
pub fn load(path: &Path, env: &dyn Env) -> std::io::Result<(Option<AgentFile>, Vec<Diagnostic>)> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = File::new(Path::new(path.file_name().unwrap_or_default()), &text, KEYS);
    if text.len() as u64 == MOST_BYTES {
        file.report(Finding::error("too-large", "this file is larger than 1 MiB"));
    }
    let sources = Sources::new(folder, env);
    let found = decode::parse(&file, &text).map(|table| agent::own(&Table::root(&file, &table), &sources));
    let diagnostics = file.finish();
    let failed = diagnostics.iter().any(|one| one.severity == Severity::Error);
    Ok((found.filter(|_| !failed), diagnostics))
}

/// A token in a file of its own.
pub fn token_file(path: &Path) -> Result<Secret, String> {
    decode::source::secret_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Empty;
    impl Env for Empty {
        fn var(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn of(text: &str) -> (Option<AgentFile>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agent.toml"), text).unwrap();
        std::fs::write(dir.path().join("token"), "s3cret\n").unwrap();
        std::process::Command::new("chmod").args(["600"]).arg(dir.path().join("token")).status().unwrap();
        let (file, found) = load(&dir.path().join("agent.toml"), &Empty).unwrap();
        let text = |one: &Diagnostic| format!("{}:{}: {} [{}]", one.line, one.column, one.message, one.code);
        (file, found.iter().map(text).collect())
    }

    #[test]
    fn the_file_of_the_format_is_understood() {
        let (file, found) = of("server = \"https://flows.example:9380\"\ntoken = { file = \"token\" }\n\
                                allow = [\"erp.internal:443\", \"[fd00::1]:8443\"]\n");
        assert_eq!(found, Vec::<String>::new());
        let file = file.unwrap();
        assert_eq!(file.server.unwrap().as_str(), "https://flows.example:9380/");
        assert_eq!(file.token.unwrap().unwrap().reveal(), "s3cret");
        assert_eq!(
            file.allow.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["erp.internal:443", "[fd00::1]:8443"]
        );
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place() {
        let (file, found) =
            of("server = \"http://flows.example\"\ntoken = \"s3cret\"\nallow = [\"*.internal:443\"]\nalow = []\n");
        assert!(file.is_none());
        assert_eq!(found.len(), 4, "{found:?}");
        for (one, part) in found.iter().zip(["1:10: \"http", "2:", "3:10: \"*", "4:1: unknown key `alow`"]) {
            assert!(one.starts_with(part) && !one.contains("s3cret"), "{one}");
        }
    }
}
