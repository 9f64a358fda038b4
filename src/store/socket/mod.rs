//! The owner's socket: other commands ask the running process over it. One JSON line each way.
//!
//! `{"format":1,"ask":"status"}` or `{"format":1,"ask":{"runs":["…"]}}` is answered by `{"format":1,"answer":…}` or
//! `{"format":1,"error":"…"}`.

mod ask;
mod asks;
mod owner;
mod views;

pub use ask::{AskError, ask};
pub use asks::{Ask, ErrorAsk, MOST_NAMED, RetryBegun, RunAsk, StartedRun, TokenAsk, ValueAsk};
pub use owner::{Answers, OwnerSocket};
pub use views::{Act, CancelAsk, Denial, Denied, ErrorsAsk, FlowsAsk, RunsAsk, Subject, SubjectKind, View};

use super::StateError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Version of the lines.
pub const FORMAT: u32 = 1;
/// Name of the socket in the state directory.
const NAME: &str = "flowgate.sock";
/// Largest record that can be put in the place of another, in bytes.
pub const MOST_RECORD: usize = 1 << 20;
/// Longest request line: the largest record, every byte of it escaped, and room for the rest.
const MOST_REQUEST: usize = 2 * MOST_RECORD + (64 << 10);
/// Longest answer line.
const MOST_ANSWER: u64 = 64 << 20;
/// Longest path the kernel keeps, without the final zero byte: the smaller of Linux (107) and the BSDs (103).
const MOST_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    format: u32,
    ask: Ask,
}

#[derive(Debug, Serialize, Deserialize)]
struct Response {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Denial>,
}

fn path_in(state: &Path) -> Result<PathBuf, StateError> {
    let path = state.join(NAME);
    let length = path.as_os_str().as_bytes().len();
    if length > MOST_PATH {
        return Err(StateError::SocketPath { path, length, most: MOST_PATH });
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StateDir;
    use crate::value::time::{SharedClock, SystemClock};
    use serde_json::json;
    use std::future::Future;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    use std::pin::Pin;
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    struct Fixed;

    impl Answers for Fixed {
        fn answer(&self, ask: Ask) -> Pin<Box<dyn Future<Output = Result<Value, Denied>> + Send + '_>> {
            Box::pin(async move {
                match ask {
                    Ask::Status => Ok(json!({ "flows": ["a\nb"] })),
                    Ask::Errors(ErrorAsk::Edit { payload, .. }) => Ok(json!(payload.len())),
                    Ask::Ping(connection) => Ok(json!(connection)),
                    Ask::Token(token) => Ok(json!(token.record.len())),
                    other => Err(format!("flows/a.toml:1:1: no ({other:?})").into()),
                }
            })
        }
    }

    fn owned() -> (tempfile::TempDir, StateDir) {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::own(&home.path().join("state"), SystemClock::start().utc()).unwrap();
        (home, state)
    }

    /// Runs `client` against a socket that answers [`Fixed`].
    async fn against<T: Send + 'static>(client: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let (home, state) = owned();
        let stop = CancellationToken::new();
        let clock: SharedClock = SystemClock::start();
        let task = OwnerSocket::bind(&state).unwrap().serve(Arc::new(Fixed), clock, stop.clone());
        let path = home.path().join("state");
        let socket = path.join(NAME);
        let result = tokio::task::spawn_blocking(move || client(path)).await.unwrap();
        stop.cancel();
        task.await.unwrap();
        assert!(!socket.exists(), "the socket is removed at the end");
        result
    }

    fn raw(state: &Path, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(state.join(NAME)).unwrap();
        // The other side may answer and close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        line
    }

    #[tokio::test]
    async fn questions_are_answered_on_one_line_each() {
        let (status, reload) = against(|state| (ask(&state, Ask::Status), ask(&state, Ask::Reload))).await;
        assert_eq!(status.unwrap(), json!({ "flows": ["a\nb"] }));
        assert!(matches!(reload, Err(AskError::Refused(text)) if text == "flows/a.toml:1:1: no (Reload)"));
        let token = || Ask::Token(TokenAsk { connection: "shop".to_owned(), record: "t".repeat(100_000) });
        let (ping, token) =
            against(move |state| (ask(&state, Ask::Ping("a/b".to_owned())), ask(&state, token()))).await;
        assert_eq!((ping.unwrap(), token.unwrap()), (json!("a/b"), json!(100_000)));
    }

    #[tokio::test]
    async fn the_socket_is_private() {
        let mode = against(|state| std::fs::metadata(state.join(NAME)).unwrap().permissions().mode() & 0o777).await;
        assert_eq!(mode, 0o600);
    }

    #[tokio::test]
    async fn bad_requests_get_an_error_and_the_socket_lives() {
        let answers = against(|state| {
            let mut answers: Vec<String> = [
                &b"nonsense\n"[..],
                b"{\"format\":2,\"ask\":\"status\"}\n",
                b"{\"format\":1,\"ask\":\"explode\"}\n",
                b"{\"format\":1,\"ask\":\"status\",\"more\":1}\n",
                &[0xff, 0xfe, b'\n'],
            ]
            .iter()
            .map(|bytes| raw(&state, bytes))
            .collect();
            answers.push(raw(&state, &vec![b' '; MOST_REQUEST + (1 << 16)]));
            (answers, ask(&state, Ask::Status).is_ok())
        })
        .await;
        for answer in &answers.0 {
            assert!(answer.contains("\"error\":"), "{answer:?}");
        }
        assert!(answers.0[1].contains("format 2"), "{}", answers.0[1]);
        assert!(answers.0[5].contains(&MOST_REQUEST.to_string()), "{}", answers.0[5]);
        assert!(answers.1);
    }

    #[tokio::test]
    async fn the_largest_record_fits_however_it_is_escaped() {
        let payload = "\"".repeat(MOST_RECORD);
        let edit = ErrorAsk::Edit { id: 1, seen: chrono::DateTime::UNIX_EPOCH, payload };
        let taken = against(|state| ask(&state, Ask::Errors(edit))).await;
        assert_eq!(taken.unwrap(), json!(MOST_RECORD));
    }

    #[test]
    fn questions_are_read_as_they_are_written() {
        let filter = crate::store::ErrorFilter { ids: vec![3, 4], open_only: true, ..Default::default() };
        let flow = crate::value::id::FlowId::parse("eu/orders").unwrap();
        for ask in [
            Ask::Status,
            Ask::Run(RunAsk {
                flows: vec![flow],
                limit: Some(3),
                exports: vec!["x".to_owned()],
                since: None,
                until: None,
                fresh: true,
            }),
            Ask::Runs(vec!["r".to_owned()]),
            Ask::Errors(ErrorAsk::Purge { filter, open: true }),
            Ask::Set(ValueAsk { space: "mark".to_owned(), key: "k".to_owned(), value: None }),
        ] {
            let line = serde_json::to_string(&Request { format: FORMAT, ask: ask.clone() }).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&line).unwrap().ask, ask, "{line}");
        }
        assert!(serde_json::from_str::<Ask>("{\"retry\":{\"idz\":[1]}}").is_err());
    }

    #[tokio::test]
    async fn silent_clients_do_not_keep_others_out() {
        let alive = against(|state| {
            let silent: Vec<_> = (0..100).map(|_| UnixStream::connect(state.join(NAME)).unwrap()).collect();
            // Those beyond the cap are closed at once: reading ends.
            let mut last = silent.last().unwrap();
            let mut rest = Vec::new();
            let _ = last.read_to_end(&mut rest);
            drop(silent);
            (0..1000).any(|_| ask(&state, Ask::Status).is_ok())
        })
        .await;
        assert!(alive);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_anything_else_is_not() {
        let (_home, state) = owned();
        drop(std::os::unix::net::UnixListener::bind(state.path().join(NAME)).unwrap());
        assert!(matches!(ask(state.path(), Ask::Status), Err(AskError::NotRunning(_))), "a dead owner's socket");
        drop(OwnerSocket::bind(&state).unwrap());
        std::fs::write(state.path().join(NAME), "mine").unwrap();
        assert!(matches!(OwnerSocket::bind(&state), Err(StateError::Wrong { .. })));
        assert_eq!(std::fs::read_to_string(state.path().join(NAME)).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_is_told_with_its_remedy() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::own(&home.path().join("x".repeat(120)), SystemClock::start().utc()).unwrap();
        let text = OwnerSocket::bind(&state).err().unwrap().to_string();
        assert!(text.contains("[state] path"), "{text}");
        assert!(matches!(ask(state.path(), Ask::Status), Err(AskError::State(_))));
    }

    #[test]
    fn nothing_running_is_said_so() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(ask(home.path(), Ask::Status), Err(AskError::NotRunning(_))));
        assert!(matches!(ask(&home.path().join("none"), Ask::Status), Err(AskError::NotRunning(_))));
    }
}
