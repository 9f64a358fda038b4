//! The files of a project as read in one scan: bounded, regular files only, identified by content hash.
//!
//! - [`walk`]: which files belong to the project, and which names are mistakes
//! - [`read`]: one file, without ever hanging on it or believing its size
//!
//! Nothing here knows TOML. A file that cannot be read is data, not a failure of the scan: `config` shows it beside
//! all other findings.

mod read;
mod walk;

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read.
pub const MAX_FILE: u64 = 1024 * 1024;

/// One scan of a project directory.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The project directory, absolute.
    pub root: PathBuf,
    /// `flowgate.toml`, `connections/**`, `flows/**`: relative path to content or the reason it could not be read.
    pub files: BTreeMap<PathBuf, Result<Source, Unreadable>>,
    /// Hash over all names and contents, and over files named by configuration.
    pub hash: String,
}

/// A file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Content, without a byte order mark.
    pub text: Arc<str>,
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
    /// Line and column, where the reason has a place.
    pub at: Option<(usize, usize)>,
}

impl Unreadable {
    fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: Some(help.into()), at: None }
    }
}

/// Scans the project directory. Fails only when the directory itself cannot be opened.
pub fn scan(root: &Path) -> std::io::Result<Tree> {
    survey(root, &BTreeSet::new()).map(|survey| survey.tree)
}

/// Scans the project directory and counts the files that configuration names into the hash.
pub fn scan_with(root: &Path, named: &BTreeSet<PathBuf>) -> std::io::Result<Tree> {
    survey(root, named).map(|survey| survey.tree)
}

/// A scan, and where to look for changes of what it saw.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    pub(super) tree: Tree,
    /// Folders that hold only files of the project: anything that happens in them matters.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Folders that hold other things too, and the names in them that matter.
    pub(super) shared: BTreeMap<PathBuf, BTreeSet<OsString>>,
}

/// Scans and tells where to look next; `root` is as given, because a link in its place may be swapped.
pub(super) fn survey(root: &Path, named: &BTreeSet<PathBuf>) -> std::io::Result<Survey> {
    let real = root.canonicalize()?;
    if !real.is_dir() {
        return Err(std::io::Error::from(std::io::ErrorKind::NotADirectory));
    }
    let (files, mut folders) = walk::project(&real);
    let mut tree = Tree { root: real, files, hash: String::new() };
    tree.count_in(named);
    // The project directory holds state, logs and other things too.
    folders.remove(&tree.root);
    let mut shared = BTreeMap::new();
    for name in ["flowgate.toml", "connections", "flows"] {
        note(&mut shared, &tree.root.join(name));
    }
    if root.is_symlink() {
        note(&mut shared, root);
    }
    for path in named {
        let path = tree.root.join(path);
        note(&mut shared, &path);
        if let Ok(target) = path.canonicalize() {
            note(&mut shared, &target);
        }
    }
    shared.retain(|folder, _| !folders.contains(folder));
    Ok(Survey { tree, folders, shared })
}

/// Notes that the entry `path` matters in the folder it stands in.
fn note(shared: &mut BTreeMap<PathBuf, BTreeSet<OsString>>, path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let (Ok(folder), Some(name)) = (folder.canonicalize(), path.file_name()) {
        shared.entry(folder).or_default().insert(name.to_owned());
    }
}

/// Reads a file that configuration names (a secret, a certificate); relative paths start at the project directory.
///
/// Such a file may stand anywhere, but must be a regular file of at most [`MAX_FILE`] bytes.
pub fn read_named(root: &Path, path: &Path) -> Result<Vec<u8>, Unreadable> {
    let path = root.join(path);
    let target = path.canonicalize().map_err(|error| read::explain(&error))?;
    read::regular(&target)
}

impl Tree {
    /// Counts files that configuration names (certificates, secrets) into the hash, so that changing one of them is a
    /// change of the project. Relative paths start at the project directory. Calling it twice with the same set gives
    /// the same hash.
    pub fn count_in(&mut self, named: &BTreeSet<PathBuf>) {
        let mut digest = digest_files(&self.files);
        if !named.is_empty() {
            digest.update([b'n']);
        }
        for path in named {
            absorb(&mut digest, path.as_os_str().as_encoded_bytes());
            match read_named(&self.root, path) {
                Ok(content) => absorb(&mut digest, &content),
                Err(unreadable) => absorb(&mut digest, unreadable.message.as_bytes()),
            }
        }
        self.hash = short(digest);
    }
}

fn digest_files(files: &BTreeMap<PathBuf, Result<Source, Unreadable>>) -> Sha256 {
    let mut digest = Sha256::new();
    for (path, content) in files {
        absorb(&mut digest, path.as_os_str().as_encoded_bytes());
        match content {
            Ok(source) => absorb(&mut digest, source.hash.as_bytes()),
            Err(unreadable) => absorb(&mut digest, unreadable.message.as_bytes()),
        }
    }
    digest
}

/// With its length before it, so that no two lists of parts look alike.
fn absorb(digest: &mut Sha256, part: &[u8]) {
    digest.update(part.len().to_be_bytes());
    digest.update(part);
}

/// The first eight bytes in hex: plenty to tell revisions apart, short enough to read aloud.
fn short(digest: Sha256) -> String {
    digest.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
