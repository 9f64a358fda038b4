//! Files of page bodies, through a door that tests can jam. What is created is private whatever the umask says, and
//! no link is ever followed.

use rustix::fs::OFlags;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Where files come from.
pub(super) trait Files: Send + Sync + 'static {
    /// A new file; one that is there is an error.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>>;
    /// What was removed, renamed or created in a directory becomes durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// A file goes; one that is gone is none.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file that only grows.
pub(super) trait Growing: Send {
    /// Adds at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// What was added becomes durable. After an error nothing is known about it, whatever a later call says.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts off what was added after the first so many bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// The machine's files.
pub(super) struct Disk;

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        create_private(path).map(|file| Box::new(file) as Box<dyn Growing>)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl Growing for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

fn flags(flags: OFlags) -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | flags).bits().cast_signed()
}

/// A new file that only its owner may read.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().append(true).create_new(true).mode(0o600).custom_flags(flags(OFlags::empty())).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// A directory that only its owner may enter; one that is there must be one, and no link.
pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = std::fs::symlink_metadata(path)?;
            if found.is_dir() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
        }
        Err(error) => Err(error),
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(0o700)),
    }
}

/// An existing plain file, for reading.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(flags(OFlags::empty())).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::from(io::ErrorKind::InvalidInput)) }
}

/// An existing or new plain private file, for reading and overwriting in place.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(flags(OFlags::empty())).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// So many bytes from there.
pub(super) fn read_at(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}
