//! What every command knows: where the project is, how to speak. Data goes to stdout, everything else to stderr.

use super::Exit;
use super::args::{Format, GlobalArgs};
use super::style::{Style, Tone, paint};
use crate::config::files;
use crate::observe::logs;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Flags of every command, made ready.
#[derive(Debug, Clone)]
pub struct Globals {
    /// The project directory.
    pub root: PathBuf,
    /// `--state`
    pub state: Option<PathBuf>,
    /// `--log-level`
    pub log_level: Option<String>,
    /// `--format`, `--json`
    pub format: Format,
    /// Colours.
    pub style: Style,
    /// What was said so far, for programs.
    pub told: Arc<Told>,
}

/// What a program that reads the output has got.
#[derive(Debug, Default)]
pub struct Told {
    /// A document; it has the answer in it, also where that is no success.
    answered: AtomicBool,
    /// Records or stages; documents are not for between them.
    streams: AtomicBool,
    complaints: Mutex<Vec<String>>,
    /// Why data could not be written, once some could not.
    unwritten: OnceLock<String>,
}

impl Told {
    /// Takes note of what became of data. A reader that went away (`| head`) is nobody's error.
    fn note(&self, written: io::Result<()>) {
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let _ = self.unwritten.set(format!("stdout: {error}"));
        }
    }
}

impl Globals {
    /// From the flags, or what is wrong with them.
    pub fn new(args: GlobalArgs, style: Style) -> Result<Self, String> {
        let directory = |path: &Path| {
            // Programs that change their directory later must mean the same place.
            std::path::absolute(path).map_err(|error| format!("`{}` is no directory name: {error}", path.display()))
        };
        if let Some(Err(error)) = args.log_level.as_deref().map(logs::check_level) {
            return Err(format!("--log-level: {error}"));
        }
        Ok(Self {
            root: directory(&args.directory)?,
            state: args.state.as_deref().map(directory).transpose()?,
            log_level: args.log_level,
            format: if args.json { Format::Json } else { args.format.unwrap_or_default() },
            style,
            told: Arc::default(),
        })
    }

    /// Whether a program reads the output.
    pub fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// Data: a text that ends its own lines.
    pub fn data(&self, text: &str) {
        self.answered();
        self.told.note(write_all(&mut io::stdout().lock(), text));
    }

    /// Data that is not the answer yet: an error may follow it.
    pub fn announce(&self, line: &str) {
        self.told.note(write_all(&mut io::stdout().lock(), &format!("{line}\n")));
    }

    /// The answer was given, here or where it was written otherwise.
    pub fn answered(&self) {
        self.told.answered.store(true, Ordering::Relaxed);
    }

    /// From now on standard output has records or stages; what else there is to tell goes beside it.
    pub fn streams(&self) {
        self.told.streams.store(true, Ordering::Relaxed);
    }

    /// A line of data.
    pub fn say(&self, line: &str) {
        self.data(&format!("{line}\n"));
    }

    /// A line beside the data.
    pub fn note(&self, line: &str) {
        logs::write_stderr(&format!("{line}\n"));
    }

    /// What went wrong.
    pub fn complain(&self, text: &str) {
        let mark = paint(self.style.stderr, Tone::Bad, "error:");
        logs::write_stderr(&format!("{mark} {text}\n"));
        self.blame(text);
    }

    /// What went wrong, where people have read it already.
    pub fn blame(&self, text: &str) {
        self.told.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }

    /// At the end: a command that failed without an answer says so to programs too, and one whose answer was lost has failed.
    pub fn close(&self, exit: Exit) -> Exit {
        if exit != Exit::Done && self.json() && !self.told.answered.load(Ordering::Relaxed) {
            let complaints = self.told.complaints.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
            let text = if complaints.is_empty() { exit.words().to_owned() } else { complaints };
            let document = json!({ "format": 1, "error": { "code": exit.code(), "text": text } }).to_string();
            if self.told.streams.load(Ordering::Relaxed) { self.note(&document) } else { self.say(&document) }
        }
        let Some(lost) = self.told.unwritten.get() else { return exit };
        let complaints = self.told.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_told = complaints.iter().any(|told| lost.ends_with(told.as_str()));
        if !is_told {
            self.complain(lost);
        }
        Exit::Temporary
    }

    /// What deserves a look.
    pub fn warn(&self, text: &str) {
        let mark = paint(self.style.stderr, Tone::Warn, "warning:");
        logs::write_stderr(&format!("{mark} {text}\n"));
    }

    /// The state directory, also when the project has errors: a running `serve` can be asked about just that.
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| state_of(&self.root))
    }
}

fn write_all(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// `[state] path` where it can be read, else the default.
fn state_of(root: &Path) -> PathBuf {
    let written = files::scan(root).ok().and_then(|tree| {
        let text = tree.files.get(Path::new("flowgate.toml"))?.as_ref().ok()?.text.clone();
        let table = text.parse::<toml::Table>().ok()?;
        Some(table.get("state")?.get("path")?.as_str()?.to_owned())
    });
    root.join(written.as_deref().unwrap_or("state"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cli) fn at(root: &Path) -> Globals {
        Globals {
            root: root.to_path_buf(),
            state: None,
            log_level: None,
            format: Format::Text,
            style: Style::default(),
            told: Arc::default(),
        }
    }

    #[test]
    fn the_state_directory_is_found_even_in_a_broken_project() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(at(root.path()).state_dir(), root.path().join("state"));
        std::fs::write(root.path().join("flowgate.toml"), "nonsense = 1\n[state]\npath = \"var/s\"\n").unwrap();
        assert_eq!(at(root.path()).state_dir(), root.path().join("var/s"));
        std::fs::write(root.path().join("flowgate.toml"), "not toml [").unwrap();
        assert_eq!(at(root.path()).state_dir(), root.path().join("state"));
        let mut globals = at(root.path());
        globals.state = Some("/elsewhere".into());
        assert_eq!(globals.state_dir(), Path::new("/elsewhere"));
    }

    #[test]
    fn directories_are_absolute_and_a_bad_level_is_refused() {
        let args = |level: Option<&str>| GlobalArgs {
            directory: "p".into(),
            state: Some("s".into()),
            log_level: level.map(str::to_owned),
            no_color: false,
            format: None,
            json: true,
        };
        let globals = Globals::new(args(None), Style::default()).unwrap();
        assert!(globals.root.is_absolute() && globals.state.as_ref().unwrap().is_absolute() && globals.json());
        assert!(Globals::new(args(Some("loud")), Style::default()).unwrap_err().starts_with("--log-level: `loud`"));
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
        struct Fails(io::ErrorKind);
        impl Write for Fails {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(self.0.into())
            }
        }
        let globals = at(Path::new("."));
        globals.told.note(write_all(&mut Fails(io::ErrorKind::BrokenPipe), "x"));
        assert_eq!(globals.close(Exit::No), Exit::No);
        globals.told.note(write_all(&mut Fails(io::ErrorKind::StorageFull), "x"));
        assert_eq!(globals.close(Exit::Done), Exit::Temporary);
    }
}
