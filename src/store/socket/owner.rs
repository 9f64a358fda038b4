//! The answering side. Bounded in everything: request size, time to send one, clients at once.

use super::{Ask, Denied, FORMAT, MOST_REQUEST, Request, Response, path_in};
use crate::observe::{event, task};
use crate::store::{StateDir, StateError};
use crate::value::time::SharedClock;
use serde_json::Value;
use std::future::Future;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Clients at once; further ones are closed.
const MOST_CLIENTS: usize = 32;
/// Time for a client to send its line, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failed accept (no file descriptors left, say).
const BREATH: Duration = Duration::from_millis(200);

/// What the running process says.
pub trait Answers: Send + Sync + 'static {
    /// The answer, or why there is none.
    fn answer(&self, ask: Ask) -> Pin<Box<dyn Future<Output = Result<Value, Denied>> + Send + '_>>;
}

/// The socket, bound. Removed when dropped or when its task ends.
pub struct OwnerSocket {
    listener: UnixListener,
    file: SocketFile,
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl OwnerSocket {
    /// Binds it. What a dead owner left is replaced: who holds the directory knows that nobody listens there.
    pub fn bind(state: &StateDir) -> Result<Self, StateError> {
        let path = path_in(state.path())?;
        remove_stale(&path)?;
        let listener = UnixListener::bind(&path).map_err(StateError::io("listen on", &path))?;
        // The directory is private already, so there is no moment in which others could connect.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).map_err(StateError::io("protect", &path))?;
        Ok(Self { listener, file: SocketFile(path) })
    }

    /// Answers until `stop`.
    pub fn serve(self, answers: Arc<dyn Answers>, clock: SharedClock, stop: CancellationToken) -> JoinHandle<()> {
        task::spawn("owner-socket", async move {
            let Self { listener, file } = self;
            let slots = Arc::new(Semaphore::new(MOST_CLIENTS));
            let mut failing = false;
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => break,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        failing = false;
                        if let Ok(slot) = slots.clone().try_acquire_owned() {
                            let (answers, clock) = (answers.clone(), clock.clone());
                            task::spawn("owner-socket-client", async move {
                                client(stream, answers.as_ref(), &clock).await;
                                drop(slot);
                            });
                        }
                    }
                    Err(cause) => {
                        if !std::mem::replace(&mut failing, true) {
                            event::accept_failed("owner's socket", &cause);
                        }
                        clock.sleep_until(clock.mono().plus(BREATH)).await;
                    }
                }
            }
            drop(file);
        })
    }
}

fn remove_stale(path: &Path) -> Result<(), StateError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            std::fs::remove_file(path).map_err(StateError::io("remove", path))
        }
        Ok(_) => Err(StateError::Wrong { path: path.to_path_buf(), expected: "a socket" }),
        Err(_) => Ok(()),
    }
}

async fn client(mut stream: UnixStream, answers: &dyn Answers, clock: &SharedClock) {
    let me = rustix::process::geteuid().as_raw();
    if !stream.peer_cred().is_ok_and(|peer| peer.uid() == me || peer.uid() == 0) {
        return;
    }
    let patience = || clock.sleep_until(clock.mono().plus(PATIENCE));
    let line = tokio::select! {
        line = read_line(&mut stream) => line,
        () = patience() => return,
    };
    let result = match line.and_then(|line| parse(&line)) {
        Ok(ask) => answers.answer(ask).await,
        Err(cause) => {
            event::socket_failed(&cause);
            Err(Denied::invalid(cause))
        }
    };
    let response = match result {
        Ok(answer) => Response { format: FORMAT, answer: Some(answer), error: None, kind: None },
        Err(Denied { kind, text }) => Response { format: FORMAT, answer: None, error: Some(text), kind: Some(kind) },
    };
    let Ok(mut text) = serde_json::to_string(&response) else { return };
    text.push('\n');
    tokio::select! {
        // The client may be gone: its own business.
        _ = stream.write_all(text.as_bytes()) => {}
        () = patience() => {}
    }
}

async fn read_line(stream: &mut UnixStream) -> Result<Vec<u8>, String> {
    let mut line = Vec::with_capacity(64);
    let mut chunk = vec![0; 8 << 10];
    loop {
        let read = stream.read(&mut chunk).await.map_err(|error| error.to_string())?;
        let new = &chunk[..read];
        if let Some(end) = memchr::memchr(b'\n', new) {
            line.extend_from_slice(&new[..end]);
            return Ok(line);
        }
        line.extend_from_slice(new);
        if read == 0 {
            return Ok(line);
        }
        if line.len() > MOST_REQUEST {
            return Err(format!("the request is longer than {MOST_REQUEST} bytes"));
        }
    }
}

fn parse(line: &[u8]) -> Result<Ask, String> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: u32,
    }
    let bad = |error: serde_json::Error| format!("not a request: {error}");
    let Version { format } = serde_json::from_slice(line).map_err(bad)?;
    if format != FORMAT {
        return Err(format!("requests of format {format} are not understood, this is format {FORMAT}"));
    }
    serde_json::from_slice::<Request>(line).map(|request| request.ask).map_err(bad)
}
