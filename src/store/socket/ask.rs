//! The asking side: blocking, for commands that do nothing else meanwhile.

use super::{Ask, Denial, FORMAT, MOST_ANSWER, Request, Response, path_in};
use crate::store::StateError;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest silence of the owner. A reload may have to read many files.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no flowgate is running on the state directory `{}`: start it with `flowgate serve`", .0.display())]
    NotRunning(PathBuf),
    /// It is another user's.
    #[error("the state directory `{}` is another user's: ask as its owner", .0.display())]
    Forbidden(PathBuf),
    /// It listens but says nothing.
    #[error("the running flowgate did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// The running process said no.
    #[error("{0}")]
    Refused(String),
    /// It knows no such thing.
    #[error("{0}")]
    Unknown(String),
    /// Neither answer nor error.
    #[error(
        "the running flowgate answered something this version does not understand ({0}): use the same version for both"
    )]
    Unclear(String),
    /// The path cannot be a socket's.
    #[error(transparent)]
    State(#[from] StateError),
    /// The system said no.
    #[error("cannot ask the running flowgate: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Io(error),
        }
    }
}

/// Asks the owner of a state directory.
pub fn ask(state: &Path, ask: Ask) -> Result<Value, AskError> {
    let stream = connect(state)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(&Request { format: FORMAT, ask }).map_err(io::Error::from)?;
    line.push('\n');
    // A refused client may find the socket closed while writing; the answer then tells more than this error.
    let sent = (&stream).write_all(line.as_bytes());
    let mut answer = Vec::new();
    let received = BufReader::new((&stream).take(MOST_ANSWER)).read_until(b'\n', &mut answer);
    if answer.is_empty() {
        sent?;
        received?;
        return Err(AskError::Unclear("nothing".to_owned()));
    }
    received?;
    let response: Response = serde_json::from_slice(&answer).map_err(|error| AskError::Unclear(error.to_string()))?;
    match response {
        Response { error: Some(error), kind: Some(Denial::Unknown), .. } => Err(AskError::Unknown(error)),
        Response { error: Some(error), .. } => Err(AskError::Refused(error)),
        Response { answer: Some(answer), format: FORMAT, .. } => Ok(answer),
        Response { format, .. } => Err(AskError::Unclear(format!("format {format}"))),
    }
}

fn connect(state: &Path) -> Result<UnixStream, AskError> {
    UnixStream::connect(path_in(state)?).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
            AskError::NotRunning(state.to_path_buf())
        }
        io::ErrorKind::PermissionDenied => AskError::Forbidden(state.to_path_buf()),
        _ => AskError::Io(error),
    })
}
