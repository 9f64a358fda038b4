//! Sources: values that stand outside the files: in the environment, in files of their own, or with another program.

use super::file::Finding;
use super::table::Reported;
use super::value::Value;
use crate::config::Env;
use crate::value::secret::Secret;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Largest file a value may come from.
const MOST_BYTES: u64 = 64 * 1024;
/// Largest file of certificates: a system's whole bundle has a quarter of that.
pub(in crate::config) const MOST_CERTIFICATES: u64 = 1024 * 1024;

/// Where values outside the files are found, and which files were asked for.
pub(in crate::config) struct Sources<'a> {
    root: &'a Path,
    env: &'a dyn Env,
    /// Absolute path to hash of the content, `absent` when it could not be read.
    named: RefCell<BTreeMap<PathBuf, String>>,
    /// Hashes of what commands gave: a value that changed makes its connection another one.
    given: RefCell<Vec<String>>,
}

impl<'a> Sources<'a> {
    pub(in crate::config) fn new(root: &'a Path, env: &'a dyn Env) -> Self {
        Self { root, env, named: RefCell::default(), given: RefCell::default() }
    }

    /// Files named so far with the hashes of their contents, and hashes of what commands gave.
    pub(in crate::config) fn named(self) -> (BTreeMap<PathBuf, String>, Vec<String>) {
        (self.named.into_inner(), self.given.into_inner())
    }

    /// An environment variable, as it is.
    pub(in crate::config) fn env(&self, name: &str) -> Option<String> {
        self.env.var(name)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        self.env.var(name).ok_or_else(|| format!("environment variable `{name}` is not set"))
    }

    /// Runs a command, where commands are run at all.
    fn command(&self, words: &[String]) -> Option<Result<String, String>> {
        let output = self.env.output(self.root, words)?;
        if let Ok(text) = &output {
            self.given.borrow_mut().push(crate::config::hash(text.as_bytes()));
        }
        Some(output)
    }

    /// Reads a file; the second part says whether everybody on this machine may read it too.
    fn file(&self, name: &str, most: u64) -> Result<(Vec<u8>, bool), String> {
        let path = self.root.join(name);
        let read = read(&path, most).map_err(|reason| format!("file `{name}` {reason}"));
        let hash = read.as_ref().map_or_else(|_| "absent".to_owned(), |(bytes, _)| crate::config::hash(bytes));
        self.named.borrow_mut().insert(path, hash);
        read
    }

    /// The content of a file that holds data, no secret.
    pub(in crate::config) fn data(&self, name: &str, most: u64) -> Result<Vec<u8>, String> {
        self.file(name, most).map(|(bytes, _)| bytes)
    }
}

/// A secret from a file that a command line names.
pub(in crate::config) fn secret_file(path: &Path) -> Result<Secret, String> {
    match read(path, MOST_BYTES)? {
        (_, true) => Err("is readable by everybody on this machine: `chmod o-r` takes that away".to_owned()),
        (bytes, false) => {
            let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
            Ok(Secret::new(trimmed(text)))
        }
    }
}

/// Takes one trailing newline off.
fn trimmed(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

fn read(path: &Path, most: u64) -> Result<(Vec<u8>, bool), String> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file =
        std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::NotFound => "does not exist".to_owned(),
                _ => format!("cannot be read: {error}"),
            }
        })?;
    let facts = file.metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if !facts.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    match file.take(most + 1).read_to_end(&mut bytes) {
        Err(error) => Err(format!("cannot be read: {error}")),
        Ok(_) if bytes.len() as u64 > most => Err(format!("is larger than {} KiB", most / 1024)),
        Ok(_) => Ok((bytes, facts.permissions().mode() & 0o004 != 0)),
    }
}

/// What stands in a source: a key or certificates.
pub(in crate::config) struct Material {
    pub(in crate::config) bytes: Vec<u8>,
    /// Anyone on this machine may read it.
    pub(in crate::config) open: bool,
}

/// A source as found.
struct Found {
    value: Result<Vec<u8>, String>,
    /// What it is, for messages.
    name: String,
    /// Anyone on this machine may read it.
    open: bool,
    /// Nobody has looked: it is a command, and commands are not run here.
    unseen: bool,
}

impl Found {
    fn closed(name: &str, value: Result<String, String>) -> Self {
        Self { value: value.map(String::into_bytes), name: name.to_owned(), open: false, unseen: false }
    }

    /// As text, without the line end that editors leave.
    fn text(&self) -> Result<String, String> {
        let text = String::from_utf8(self.value.clone()?);
        text.map(trimmed).map_err(|_| format!("{} is not UTF-8 text", self.name))
    }
}

impl Value<'_> {
    /// Reads `{ env }`, `{ file }` or `{ command }`; `default` is allowed where the value is no secret.
    fn source(&self, sources: &Sources<'_>, with_default: bool, most: u64) -> Option<Found> {
        let table = self.table()?;
        let kinds = ["env", "file", "command"].map(|name| table.take(name));
        let default = if with_default { table.take("default") } else { None };
        table.finish();
        let mut given: Vec<_> = kinds.iter().flatten().collect();
        given.sort_by_key(|value| value.key_at().start);
        if let [_, second, ..] = given[..] {
            let finding = Finding::error("conflicting-keys", "a source is one of `env`, `file` and `command`");
            second.report_key(finding.help("keep one of them"));
            return None;
        }
        let found = match kinds {
            [Some(env), ..] => Found::closed("the variable", sources.variable(env.string()?)),
            [_, Some(file), _] => {
                let name = format!("file `{}`", file.string()?);
                match sources.file(file.string()?, most) {
                    Ok((value, open)) => Found { value: Ok(value), name, open, unseen: false },
                    Err(reason) => Found::closed(&name, Err(reason)),
                }
            }
            [.., Some(command)] => {
                let output = sources.command(&command.words()?);
                let unseen = output.is_none();
                let output = output.unwrap_or_else(|| Err("its command is not run here".to_owned()));
                Found { unseen, ..Found::closed("its output", output) }
            }
            [None, None, None] => {
                let finding = Finding::error("missing-key", format!("`{}` names no source", self.key)).key(&self.key);
                let help =
                    "write `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ command = [\"program\", \"argument\"] }`";
                table.report(finding.help(help));
                return None;
            }
        };
        match (&found.value, default) {
            (Err(_), Some(default)) => Some(Found::closed("the default", Ok(default.string()?.to_owned()))),
            _ => Some(found),
        }
    }

    /// A program and its arguments.
    fn words(&self) -> Option<Vec<String>> {
        if self.raw_str().is_some() {
            let finding = Finding::error("wrong-type", format!("`{}` takes a list, not a string", self.key));
            self.report(finding.help("there is no shell: write `[\"program\", \"argument\"]`"));
            return None;
        }
        let words = self.strings()?;
        if words.first().is_none_or(String::is_empty) {
            self.report(Finding::error("out-of-range", format!("`{}` names no program", self.key)));
            return None;
        }
        Some(words)
    }

    pub(in crate::config) fn unresolved(&self, reason: &str, unseen: bool) {
        if unseen {
            return;
        }
        let finding = Finding::warning("unresolved-source", format!("`{}` does not resolve: {reason}", self.key));
        self.report(finding.help("until it does, whatever needs it is offline"));
    }

    /// A secret: a source, never a literal. The inner result is what the process will find.
    pub(in crate::config) fn secret(&self, sources: &Sources<'_>) -> Option<Result<Secret, String>> {
        if !self.is_table() {
            self.literal_source();
            return None;
        }
        let found = self.source(sources, false, MOST_BYTES)?;
        if found.open {
            self.readable_by_all();
            return None;
        }
        Some(match found.text() {
            Ok(value) => Ok(Secret::new(value)),
            Err(reason) => {
                self.unresolved(&reason, found.unseen);
                Err(reason)
            }
        })
    }

    /// Reports a file that holds a secret and is open to everybody.
    pub(in crate::config) fn readable_by_all(&self) {
        let message = format!("the file of `{}` is readable by everybody on this machine", self.key);
        self.report(Finding::error("secret-file-mode", message).help("take that right away: `chmod o-r` on the file"));
    }

    /// A source of keys or certificates, as bytes. The inner error says why there is nothing yet.
    pub(in crate::config) fn material(&self, sources: &Sources<'_>, most: u64) -> Option<Result<Material, String>> {
        let found = self.source(sources, false, most)?;
        Some(match found.value {
            Ok(bytes) => Ok(Material { bytes, open: found.open }),
            Err(reason) => {
                self.unresolved(&reason, found.unseen);
                Err(reason)
            }
        })
    }

    /// Text that everybody may read, such as a certificate: a source all the same. The inner result is what the process
    /// will find.
    pub(in crate::config) fn open_text(&self, sources: &Sources<'_>) -> Option<Result<String, String>> {
        let found = self.material(sources, MOST_CERTIFICATES)?;
        Some(found.and_then(|found| String::from_utf8(found.bytes).map_err(|_| "is not UTF-8 text".to_owned())))
    }

    /// An entry of `[vars]`: a constant, or a source with an optional default. The inner result is the value or why
    /// there is none yet.
    pub(in crate::config) fn variable(
        &self,
        sources: &Sources<'_>,
    ) -> Result<Result<serde_json::Value, String>, Reported> {
        let is_source = self.table_has(&["env", "file", "command"]);
        if !is_source {
            return self.json().map(Ok).ok_or(Reported);
        }
        let found = self.source(sources, true, MOST_BYTES).ok_or(Reported)?;
        Ok(match found.text() {
            Ok(text) => Ok(serde_json::Value::String(text)),
            Err(reason) => {
                self.unresolved(&reason, found.unseen);
                Err(reason)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_newline_is_taken_off_and_no_more() {
        assert_eq!(trimmed("x\n".to_owned()), "x");
        assert_eq!(trimmed("x\r\n".to_owned()), "x");
        assert_eq!(trimmed("x\n\n".to_owned()), "x\n");
    }

    #[test]
    fn folders_large_files_and_other_encodings_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("big"), vec![b'a'; 70_000]).unwrap();
        std::fs::write(at("latin"), [0xe9, 0x20]).unwrap();
        let read = |path: &Path| read(path, MOST_BYTES).map(|(bytes, _)| bytes);
        assert_eq!(read(dir.path()), Err("is no regular file".to_owned()));
        assert_eq!(read(&at("big")), Err("is larger than 64 KiB".to_owned()));
        assert_eq!(read(&at("none")), Err("does not exist".to_owned()));
        let found = Found { value: read(&at("latin")), ..Found::closed("file `latin`", Ok(String::new())) };
        assert_eq!(found.text(), Err("file `latin` is not UTF-8 text".to_owned()));
    }
}
