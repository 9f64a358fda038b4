//! Reads one file: regular files only, never more than the cap, never waiting for a writer.

use super::{MAX_FILE, Source, Unreadable, short};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Reads a configuration file; `path` is canonical.
pub(super) fn source(path: &Path) -> Result<Source, Unreadable> {
    let bytes = regular(path)?;
    let hash = short(Sha256::new_with_prefix(&bytes));
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Source { text: text.strip_prefix('\u{feff}').unwrap_or(text).into(), hash }),
        Err(error) => {
            let at = error.valid_up_to();
            let line = memchr::memchr_iter(b'\n', &bytes[..at]).count() + 1;
            let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1);
            let column = String::from_utf8_lossy(&bytes[start..at]).chars().count() + 1;
            let message = format!("not valid UTF-8: byte {:#04x} at offset {at}, line {line}", bytes[at]);
            let unreadable = Unreadable::new("not-utf8", message, "save the file as UTF-8");
            Err(Unreadable { at: Some((line, column)), ..unreadable })
        }
    }
}

/// Reads a regular file; `path` is canonical, so that a link put in its place since then is refused.
pub(super) fn regular(path: &Path) -> Result<Vec<u8>, Unreadable> {
    // Looked at before opening, because opening some devices has effects; and again after, because it may have been
    // swapped in between.
    check(&path.symlink_metadata().map_err(|e| explain(&e))?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| explain(&e.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(|e| explain(&e))?;
    check(&metadata)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // One byte more than allowed tells a file that grew meanwhile.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| explain(&e))?;
    if bytes.len() as u64 > MAX_FILE { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

fn check(metadata: &std::fs::Metadata) -> Result<(), Unreadable> {
    if !metadata.is_file() {
        return Err(not_a_file(kind(metadata.file_type())));
    }
    if metadata.len() > MAX_FILE { Err(too_large(metadata.len())) } else { Ok(()) }
}

fn kind(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_symlink() {
        "a link that changed while it was read"
    } else {
        "a device"
    }
}

/// Something that bears a file's name and is none.
pub(super) fn not_a_file(what: &str) -> Unreadable {
    Unreadable::new("not-a-file", format!("this is {what}, not a regular file"), "remove it or give it another name")
}

fn too_large(size: u64) -> Unreadable {
    Unreadable::new(
        "too-large",
        format!("the file has {size} bytes or more; at most {MAX_FILE} are read"),
        "split it into several files, or move data out of the project",
    )
}

/// Why the operating system refused, without its error numbers.
pub(super) fn explain(error: &io::Error) -> Unreadable {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Unreadable::new("not-found", "the file does not exist", "create it, or correct the name or the link")
        }
        io::ErrorKind::PermissionDenied => Unreadable::new(
            "permission",
            "permission denied",
            "let the user that runs flowgate read it, and enter every directory above it",
        ),
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => link_loop(),
        _ => Unreadable { code: "unreadable", message: format!("cannot be read: {error}"), help: None, at: None },
    }
}

/// A link that leads back to itself or to a directory above it.
pub(super) fn link_loop() -> Unreadable {
    Unreadable::new("link-loop", "this link leads back to itself", "remove the link")
}
