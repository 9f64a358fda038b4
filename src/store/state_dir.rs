//! The state directory: private to one user, owned by one process at a time.
//!
//! Ownership is a lock the kernel drops with the process, so nothing a dead process left behind can block; the
//! text in the lock file only tells people whom to look for.

use chrono::{DateTime, SecondsFormat, Utc};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the lock file.
const LOCK: &str = "flowgate.lock";
/// Most bytes of a lock file that are looked at.
const LOCK_TEXT: u64 = 4096;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has it.
    #[error("the state directory `{path}` belongs to a running flowgate{}: stop it first, or choose another directory with `--state`", held_by(.owner.as_ref()))]
    Owned {
        /// Which directory.
        path: PathBuf,
        /// As told by the lock file.
        owner: Option<Owner>,
    },
    /// Others may look into it.
    #[error("the state directory `{path}` has mode {mode:04o}, but it will hold credentials: run `chmod 700 {path}`")]
    Loose {
        /// Which directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is somebody else's.
    #[error(
        "the state directory `{path}` belongs to user {uid}, but flowgate runs as user {me}: run it as its owner, or choose another directory with `--state`"
    )]
    Foreign {
        /// Which directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// This process's user.
        me: u32,
    },
    /// Not a directory, or not a plain file where one is needed.
    #[error("`{path}` is not {expected}: move it away, or choose another state directory with `--state`")]
    Wrong {
        /// Which path.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// The socket's path does not fit where the kernel keeps it.
    #[error(
        "the path of the owner's socket `{path}` is {length} bytes long, and the system allows {most}: choose a shorter state directory with `[state] path` or `--state`"
    )]
    SocketPath {
        /// Which path.
        path: PathBuf,
        /// Its length.
        length: usize,
        /// The longest possible.
        most: usize,
    },
    /// The system said no.
    #[error("cannot {doing} `{path}`: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl StateError {
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { doing, path: path.to_path_buf(), source }
    }
}

fn held_by(owner: Option<&Owner>) -> String {
    owner.map(|owner| format!(" (pid {}, since {})", owner.pid, owner.since)).unwrap_or_default()
}

/// Who holds, or held, the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Version of this record.
    format: u32,
    /// Process.
    pub pid: u32,
    /// How many processes have owned the directory, this one included: what an earlier one wrote is told by it.
    pub epoch: u64,
    /// Since when, RFC 3339.
    pub since: String,
}

/// A state directory owned by this process until dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    owner: Owner,
    /// Holds the lock.
    _lock: File,
}

impl StateDir {
    /// Creates the directory where needed, checks that it is private, and takes it.
    pub fn own(path: &Path, now: DateTime<Utc>) -> Result<Self, StateError> {
        create(path)?;
        check(path, rustix::process::geteuid().as_raw())?;
        let lock_path = path.join(LOCK);
        let mut lock = take_lock(path, &lock_path)?;
        let before = read_owner(&mut lock);
        let owner = Owner {
            format: 1,
            pid: std::process::id(),
            epoch: before.map_or(1, |before| before.epoch.saturating_add(1)),
            since: now.to_rfc3339_opts(SecondsFormat::Secs, true),
        };
        write_owner(&mut lock, &owner).map_err(StateError::io("write", &lock_path))?;
        Ok(Self { path: path.to_path_buf(), owner, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// This process's entry.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}

fn create(path: &Path) -> Result<(), StateError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(StateError::Wrong { path: path.to_path_buf(), expected: "a directory" })
        }
        other => other.map_err(StateError::io("create the state directory", path)),
    }
}

fn check(path: &Path, me: u32) -> Result<(), StateError> {
    let found = std::fs::metadata(path).map_err(StateError::io("look at", path))?;
    let path = || path.to_path_buf();
    let mode = found.permissions().mode() & 0o7777;
    if !found.is_dir() {
        Err(StateError::Wrong { path: path(), expected: "a directory" })
    } else if found.uid() != me {
        Err(StateError::Foreign { path: path(), uid: found.uid(), me })
    } else if mode & 0o077 != 0 {
        Err(StateError::Loose { path: path(), mode })
    } else {
        Ok(())
    }
}

/// The lock file stays when its owner goes: removing it would let two processes lock two files of one name.
fn take_lock(dir: &Path, path: &Path) -> Result<File, StateError> {
    // Never follows a link, never waits on a FIFO.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(StateError::io("open", path))?;
    if !file.metadata().map_err(StateError::io("look at", path))?.is_file() {
        return Err(StateError::Wrong { path: path.to_path_buf(), expected: "a plain file" });
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(StateError::Owned { path: dir.to_path_buf(), owner: read_owner(&mut file) })
        }
        Err(error) => Err(StateError::io("lock", path)(error.into())),
    }
}

/// Whatever cannot be read counts as nothing: a torn line must not keep anybody from starting.
fn read_owner(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(LOCK_TEXT).read_to_string(&mut text).ok()?;
    serde_json::from_str(text.trim_end()).ok()
}

/// Overwritten in place: a reader at the same time sees the old line, the new one, or none.
fn write_owner(file: &mut File, owner: &Owner) -> io::Result<()> {
    let mut line = serde_json::to_string(owner)?;
    line.push('\n');
    file.rewind()?;
    file.write_all(line.as_bytes())?;
    file.set_len(line.len() as u64)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_directory_and_its_lock_are_created_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/state");
        let state = StateDir::own(&path, now()).unwrap();
        assert_eq!((mode(&path), mode(&path.join(LOCK))), (0o700, 0o600));
        assert_eq!((state.owner().pid, state.owner().epoch), (std::process::id(), 1));
    }

    #[test]
    fn a_second_owner_is_told_who_has_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        let first = StateDir::own(&path, now()).unwrap();
        let text = StateDir::own(&path, now()).unwrap_err().to_string();
        assert!(text.contains(&format!("(pid {}, since 2027-01-15T08:00:00Z)", std::process::id())), "{text}");
        assert!(text.contains("--state"), "{text}");
        drop(first);
        assert_eq!(StateDir::own(&path, now()).unwrap().owner().epoch, 2);
    }

    #[test]
    fn what_a_killed_process_left_behind_never_blocks() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        drop(StateDir::own(&path, now()).unwrap());
        let lock = path.join(LOCK);
        // A process that holds the lock and is killed without a chance to clean up.
        let mut holder = Command::new("flock")
            .args(["--exclusive", "--no-fork"])
            .arg(&lock)
            .args(["sh", "-c", "echo held; exec sleep 1000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 4];
        holder.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert!(matches!(StateDir::own(&path, now()), Err(StateError::Owned { .. })));
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(StateDir::own(&path, now()).unwrap().owner().epoch, 2);
    }

    #[test]
    fn a_torn_lock_file_never_blocks() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        drop(StateDir::own(&path, now()).unwrap());
        for torn in [&b"{\"format\":1,\"pi"[..], b"", &[0xff; 5000]] {
            std::fs::write(path.join(LOCK), torn).unwrap();
            let owned = StateDir::own(&path, now()).unwrap();
            assert_eq!(owned.owner().epoch, 1);
            let text = std::fs::read_to_string(path.join(LOCK)).unwrap();
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }

    #[test]
    fn of_many_at_once_exactly_one_becomes_the_owner() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        let owners: Vec<_> = std::thread::scope(|scope| {
            let racing: Vec<_> = (0..20).map(|_| scope.spawn(|| StateDir::own(&path, now()))).collect();
            racing.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(owners.iter().filter(|owner| owner.is_ok()).count(), 1);
    }

    #[test]
    fn looser_modes_are_refused_with_the_remedy() {
        let home = tempfile::tempdir().unwrap();
        for loose in [0o755, 0o750, 0o701] {
            std::fs::set_permissions(home.path(), PermissionsExt::from_mode(loose)).unwrap();
            let text = StateDir::own(home.path(), now()).unwrap_err().to_string();
            assert!(text.contains(&format!("mode {loose:04o}")) && text.contains("chmod 700"), "{text}");
        }
    }

    #[test]
    fn a_foreign_directory_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let me = rustix::process::geteuid().as_raw();
        assert!(matches!(check(home.path(), me + 1), Err(StateError::Foreign { .. })));
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert!(check(home.path(), me).is_ok());
    }

    #[test]
    fn something_else_in_the_place_of_directory_or_lock_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(StateDir::own(&file, now()), Err(StateError::Wrong { .. })));
        let victim = home.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let path = home.path().join("state");
        create(&path).unwrap();
        std::os::unix::fs::symlink(&victim, path.join(LOCK)).unwrap();
        assert!(matches!(StateDir::own(&path, now()), Err(StateError::Io { .. })));
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }
}
