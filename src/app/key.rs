//! The key to changes over HTTP where `[server] token` gives none: made anew by each process, kept in a private file of the
//! state directory. Whoever can read that file could use the owner's socket as well.

use crate::observe::event;
use crate::store::StateDir;
use crate::value::secret::Secret;
use crate::value::token;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Its file in the state directory.
pub const NAME: &str = "api-token";

/// Removed with the process.
pub(super) struct OwnKey {
    path: PathBuf,
    token: Secret,
}

impl OwnKey {
    /// A new one; none where the configuration has a token, or where the disk takes none: changes can be made over the
    /// socket all the same. What a dead process left goes in either case.
    pub(super) fn make(dir: &StateDir, configured: bool) -> Option<Self> {
        let path = dir.path().join(NAME);
        let made = remove(&path).and_then(|()| if configured { Ok(None) } else { write(&path).map(Some) });
        let failed = |cause: io::Error| event::upkeep_failed("making the key to changes over HTTP", &cause.to_string());
        let token = made.map_err(failed).ok()??;
        Some(Self { path, token })
    }

    pub(super) fn token(&self) -> &Secret {
        &self.token
    }
}

impl Drop for OwnKey {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(path: &Path) -> io::Result<Secret> {
    let token = token::fresh().ok_or_else(|| io::Error::other("the system gives no randomness"))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", token.reveal())?;
    Ok(token)
}
