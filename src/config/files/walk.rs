//! Which files belong to a project: two folders, their sub-folders, names that are ids.
//!
//! Links are followed where a project is commonly assembled from them: a whole `connections` or `flows` directory, and
//! anything that stays inside the project, such as a mounted Kubernetes config map (`shop.toml -> ..data/shop.toml`).
//! A link that leads elsewhere is refused, because a review of the project would not show what it brings in.

use super::{Source, Unreadable, read};
use crate::value::id::FlowId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Files in one project.
const MAX_FILES: usize = 150_000;
/// Directory entries looked at in one scan, files or not: bounds links that multiply folders.
const MAX_ENTRIES: usize = 1_000_000;
/// Bytes of all files together.
const MAX_TOTAL: usize = 256 * 1024 * 1024;
/// Folders below `connections` or `flows`.
const MAX_DEPTH: usize = 16;

type Files = BTreeMap<PathBuf, Result<Source, Unreadable>>;

/// Caps of one walk; tests use small ones.
#[derive(Clone, Copy)]
pub(super) struct Caps {
    pub(super) files: usize,
    pub(super) entries: usize,
    pub(super) total: usize,
}

/// All files of the project at `root`, which is canonical, and the folders that hold them.
pub(super) fn project(root: &Path) -> (Files, BTreeSet<PathBuf>) {
    project_within(root, Caps { files: MAX_FILES, entries: MAX_ENTRIES, total: MAX_TOTAL })
}

/// The same with chosen caps.
pub(super) fn project_within(root: &Path, caps: Caps) -> (Files, BTreeSet<PathBuf>) {
    let mut walk = Walk {
        root,
        section: root.to_path_buf(),
        files: Files::new(),
        folders: BTreeSet::new(),
        left: caps,
        full: false,
    };
    walk.settings();
    for section in ["connections", "flows"] {
        walk.section(Path::new(section));
    }
    (walk.files, walk.folders)
}

struct Walk<'a> {
    root: &'a Path,
    /// Canonical place of the folder being walked: `flows` itself may be a link.
    section: PathBuf,
    files: Files,
    /// Canonical folders that hold files of the project, whether by walking or by a link.
    folders: BTreeSet<PathBuf>,
    /// What may still be read.
    left: Caps,
    /// A cap was reached; said once.
    full: bool,
}

impl Walk<'_> {
    fn settings(&mut self) {
        let name = Path::new("flowgate.toml");
        if self.root.join(name).symlink_metadata().is_ok() {
            self.file(name);
        }
    }

    fn section(&mut self, name: &Path) {
        let path = self.root.join(name);
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.refuse(name, read::explain(&error)),
            Ok(_) => {}
        }
        match path.canonicalize() {
            Ok(target) if target.is_dir() => {
                self.section.clone_from(&target);
                self.folder(name, &mut vec![target]);
                self.section = self.root.to_path_buf();
            }
            Ok(_) => self.refuse(name, Unreadable::new("not-a-folder", "this is not a directory", "make it one")),
            Err(error) => self.refuse(name, read::explain(&error)),
        }
    }

    /// Walks a folder; `above` holds the canonical folders from the section down to this one.
    fn folder(&mut self, name: &Path, above: &mut Vec<PathBuf>) {
        let Some(real) = above.last() else { return };
        self.folders.insert(real.clone());
        let entries = match fs::read_dir(real) {
            Ok(entries) => entries,
            Err(error) => return self.refuse(name, read::explain(&error)),
        };
        for entry in entries {
            if self.full || !self.may_look(name) {
                return;
            }
            match entry {
                Ok(entry) => self.entry(&name.join(entry.file_name()), &entry, above),
                Err(error) => self.refuse(name, read::explain(&error)),
            }
        }
    }

    fn entry(&mut self, name: &Path, entry: &fs::DirEntry, above: &mut Vec<PathBuf>) {
        let file_name = entry.file_name();
        if is_ignored(&file_name) {
            return;
        }
        let file_like = is_toml(&file_name);
        let kind = entry.file_type();
        let is_link = kind.as_ref().is_ok_and(fs::FileType::is_symlink);
        let is_folder = match &kind {
            Ok(_) if is_link => entry.path().metadata().is_ok_and(|target| target.is_dir()),
            Ok(kind) => kind.is_dir(),
            Err(_) => false,
        };
        if is_folder && file_like {
            self.refuse(name, read::not_a_file("a directory"));
        } else if is_folder {
            self.sub_folder(name, &entry.path(), above);
        } else if file_like {
            self.named_file(name);
        }
    }

    fn sub_folder(&mut self, name: &Path, path: &Path, above: &mut Vec<PathBuf>) {
        match self.inside(path) {
            Err(unreadable) => self.refuse(name, unreadable),
            Ok(target) if above.contains(&target) => self.refuse(name, read::link_loop()),
            Ok(_) if above.len() > MAX_DEPTH => self.refuse(
                name,
                Unreadable::new("too-deep", format!("more than {MAX_DEPTH} folders deep"), "move it further up"),
            ),
            Ok(target) => {
                above.push(target);
                self.folder(name, above);
                above.pop();
            }
        }
    }

    fn named_file(&mut self, name: &Path) {
        match check_name(name) {
            Ok(()) => self.file(name),
            Err(unreadable) => self.refuse(name, unreadable),
        }
    }

    fn file(&mut self, name: &Path) {
        let content = self.inside(&self.root.join(name)).and_then(|target| {
            if let Some(folder) = target.parent() {
                self.remember(folder);
            }
            read::source(&target)
        });
        let size = content.as_ref().map_or(0, |source| source.text.len());
        if self.left.files == 0 {
            return self.stop(name, "too-many-files", "the project has more files than one process takes");
        }
        if self.left.total < size {
            return self.stop(name, "too-large", "the project's files are larger together than one process takes");
        }
        self.left.files -= 1;
        self.left.total -= size;
        self.files.insert(name.to_path_buf(), content);
    }

    /// The canonical path, if it stays inside the project or inside a linked `connections` or `flows`.
    fn inside(&self, path: &Path) -> Result<PathBuf, Unreadable> {
        let target = path.canonicalize().map_err(|error| read::explain(&error))?;
        if target.starts_with(self.root) || target.starts_with(&self.section) {
            return Ok(target);
        }
        Err(Unreadable::new(
            "link-outside",
            "this link leads out of the project",
            "copy the file into the project, or link the whole connections or flows directory",
        ))
    }

    fn remember(&mut self, folder: &Path) {
        if !self.folders.contains(folder) {
            self.folders.insert(folder.to_path_buf());
        }
    }

    fn may_look(&mut self, name: &Path) -> bool {
        if self.left.entries == 0 {
            self.stop(name, "too-many-files", "the project's folders hold more entries than one process takes");
            return false;
        }
        self.left.entries -= 1;
        true
    }

    fn refuse(&mut self, name: &Path, unreadable: Unreadable) {
        if self.left.files == 0 {
            return self.stop(name, "too-many-files", "the project has more files than one process takes");
        }
        self.left.files -= 1;
        self.files.insert(name.to_path_buf(), Err(unreadable));
    }

    fn stop(&mut self, name: &Path, code: &'static str, message: &str) {
        if !self.full {
            self.full = true;
            let help = "split it into several projects";
            self.files.insert(name.to_path_buf(), Err(Unreadable::new(code, message, help)));
        }
    }
}

/// Hidden files (also `..data` of a config map), editors' backups and locks.
fn is_ignored(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    bytes.starts_with(b".") || bytes.ends_with(b"~") || (bytes.starts_with(b"#") && bytes.ends_with(b"#"))
}

/// `.toml` in any case: `.TOML` is a mistake to point at, not a file to overlook.
fn is_toml(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    bytes.len() >= 5 && bytes[bytes.len() - 5..].eq_ignore_ascii_case(b".toml")
}

fn check_name(path: &Path) -> Result<(), Unreadable> {
    let rule = "names use a-z, 0-9, `_` and `-`, and end with .toml";
    let Some(text) = path.to_str() else {
        return Err(Unreadable::new("file-name", "the file's name is not valid UTF-8", format!("rename it: {rule}")));
    };
    let below = text.split_once('/').map_or(text, |(_, below)| below);
    let Some(id) = below.strip_suffix(".toml") else {
        return Err(Unreadable::new("file-name", "the file's name must end with .toml in lower case", rename(text)));
    };
    // Connections and flows share one rule for ids.
    FlowId::parse(id)
        .map(drop)
        .map_err(|cause| Unreadable::new("file-name", format!("this name is no id: {cause}"), rename(text)))
}

/// The nearest valid name.
fn rename(path: &str) -> String {
    let stem = &path[..path.len() - 5];
    let mut name = String::new();
    for (index, segment) in stem.split('/').enumerate() {
        if index > 0 {
            name.push('/');
        }
        let plain = segment.to_lowercase().replace(|c: char| !(c.is_ascii_alphanumeric() || c == '_'), "-");
        name.push_str(plain.trim_start_matches(['-', '_']));
    }
    if name.len() > 200 { "choose a shorter name".to_owned() } else { format!("rename it to {name}.toml") }
}
