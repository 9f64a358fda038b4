//! What is read back from the state directory: rows, cursors, exported states, and a whole directory with bytes changed.

use crate::runtime::export::cursor::{Cursor, Head};
use crate::store::{ErrorRow, Marks, RunRow, StateDir, check_state, import_state, open_read_only};
use chrono::DateTime;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A state as `flowgate state export` writes it: a run cut off half way, with pages, intents, values and an error.
const EXPORTED: &[u8] = include_bytes!("../../fuzz/state.jsonl");

/// The files of that state.
static FILES: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let folder = Folder::new();
    let mut files = Vec::new();
    if take_in(&folder.0, EXPORTED).is_some_and(|taken| taken) {
        read_all(&folder.0, &folder.0, &mut files);
    }
    assert!(files.len() > 1, "the state to begin from could not be made");
    files.sort();
    files
});

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // In memory where there is such a place.
        let root = Path::new("/dev/shm");
        let root = if root.is_dir() { root.to_owned() } else { std::env::temp_dir() };
        Self(root.join(format!("flowgate-fuzz-{}-{number}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Imports; none when the folder cannot be had.
fn take_in(folder: &Path, text: &[u8]) -> Option<bool> {
    let state = StateDir::own(folder, DateTime::from_timestamp(1_790_000_000, 0)?).ok()?;
    Some(import_state(&state, &mut &*text).is_ok())
}

fn read_all(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(root, &path, files);
        } else if let (Ok(name), Ok(bytes)) = (path.strip_prefix(root), std::fs::read(&path)) {
            files.push((name.to_owned(), bytes));
        }
    }
}

/// Rows and cursors as text, each as it is decoded once its checksum holds.
pub(super) fn stored(data: &[u8]) {
    if let Some((length, bits)) = data.split_first_chunk::<4>()
        && let Some(marks) = Marks::from_bits(u32::from_le_bytes(*length) % 10_000, bits)
    {
        assert!(marks.in_flight() <= marks.len());
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(cursor) = Cursor::read(text) {
        assert_eq!(Cursor::read(&cursor.text()).as_ref(), Ok(&cursor), "a cursor reads as it is written");
    }
    let _ = Head::read(text);
    let _ = serde_json::from_str::<RunRow>(text);
    let _ = serde_json::from_str::<ErrorRow>(text);
}

/// An exported state from strangers: taken in whole, or not at all.
pub(super) fn transfer(data: &[u8]) {
    let folder = Folder::new();
    if take_in(&folder.0, data) == Some(true) {
        let checked = check_state(&folder.0);
        assert!(checked.is_ok_and(|checked| checked.damage.is_empty()), "what was taken in is not sound");
    }
}

/// A state directory in which bytes were changed: `file, place (two bytes), length, value` again and again.
pub(super) fn state(data: &[u8]) {
    let folder = Folder::new();
    let mut files = FILES.clone();
    for edit in data.chunks_exact(5) {
        let at = usize::from(edit[0]) % files.len();
        let bytes = &mut files[at].1;
        let place = usize::from(u16::from_le_bytes([edit[1], edit[2]]));
        match edit[3] {
            255 => bytes.truncate(place),
            length => bytes.iter_mut().skip(place).take(usize::from(length)).for_each(|byte| *byte ^= edit[4]),
        }
    }
    let Ok(state) = StateDir::own(&folder.0, DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default()) else {
        return;
    };
    drop(state);
    for (name, bytes) in &files {
        if name.ends_with("flowgate.lock") {
            continue;
        }
        let path = folder.0.join(name);
        if write_private(&path, bytes).is_err() {
            return;
        }
    }
    let _ = check_state(&folder.0);
    let _ = open_read_only(&folder.0);
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        std::fs::DirBuilder::new().mode(0o700).create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}
