//! One agent's line, from the server: streams are opened through it with `CONNECT host:port`.

use super::{MOST_FRAME, MOST_HEAD, MOST_STREAMS, REASON_HEADER, STREAM_WINDOW, TUNNEL_WINDOW, beat, shown};
use crate::value::target::Target;
use crate::value::time::SharedClock;
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{PingPong, RecvStream, SendStream};
use hyper::{Method, Request, StatusCode};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A line that is up.
pub(super) struct Tunnel {
    pub(super) number: u64,
    sender: SendRequest<Bytes>,
    room: Arc<Semaphore>,
}

/// What keeps it up: has to be awaited.
pub(super) struct Life<T> {
    pub(super) connection: Connection<T, Bytes>,
    pub(super) pings: PingPong,
}

/// A stream to a target.
pub(super) struct Stream {
    pub(super) send: SendStream<Bytes>,
    pub(super) receive: RecvStream,
    /// Its place among the streams of the tunnel.
    pub(super) place: OwnedSemaphorePermit,
}

/// Why a tunnel gave no stream.
pub(super) enum Refusal {
    /// The agent's allow-list does not name the target.
    Barred,
    /// The agent cannot reach it.
    Failed(String),
    /// The tunnel takes no more.
    Closed,
    /// It has as many streams as it may.
    Full,
}

/// Speaks the first words; the line counts as up once the other end has answered.
pub(super) async fn begin<T>(io: T, number: u64, clock: &SharedClock) -> Result<(Tunnel, Life<T>), String>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(TUNNEL_WINDOW)
        .initial_max_send_streams(MOST_STREAMS as usize)
        .max_concurrent_streams(0)
        .max_frame_size(MOST_FRAME)
        .max_header_list_size(MOST_HEAD)
        .max_send_buffer_size(STREAM_WINDOW as usize)
        .enable_push(false);
    let (sender, mut connection) = builder.handshake(io).await.map_err(|error| error.to_string())?;
    let mut pings = connection.ping_pong().ok_or("no heartbeat")?;
    tokio::select! {
        ended = &mut connection => return Err(cause(ended)),
        up = beat::answered(&mut pings, clock) => if !up {
            return Err("it does not speak the agent's protocol".to_owned());
        },
    }
    let room = Arc::new(Semaphore::new(MOST_STREAMS as usize));
    Ok((Tunnel { number, sender, room }, Life { connection, pings }))
}

/// Why a line ended.
pub(super) fn cause(ended: Result<(), h2::Error>) -> String {
    ended.map_or_else(|error| shown(&error.to_string()), |()| "closed by the agent".to_owned())
}

impl Tunnel {
    /// Streams under way.
    pub(super) fn load(&self) -> usize {
        (MOST_STREAMS as usize).saturating_sub(self.room.available_permits())
    }

    /// Whether the other end has said that it takes nothing new.
    pub(super) async fn is_leaving(&self) -> bool {
        let mut sender = self.sender.clone();
        poll_fn(|context| Poll::Ready(matches!(sender.poll_ready(context), Poll::Ready(Err(_))))).await
    }

    /// Asks the agent to connect.
    pub(super) async fn open(&self, target: &Target) -> Result<Stream, Refusal> {
        let place = self.room.clone().try_acquire_owned().map_err(|_| Refusal::Full)?;
        let closed = |_| Refusal::Closed;
        let request = Request::builder().method(Method::CONNECT).uri(target.to_string()).body(());
        let request = request.map_err(|error| Refusal::Failed(error.to_string()))?;
        let mut sender = self.sender.clone().ready().await.map_err(closed)?;
        let (answer, send) = sender.send_request(request, false).map_err(closed)?;
        let answer = answer.await.map_err(closed)?;
        match answer.status() {
            StatusCode::OK => Ok(Stream { send, receive: answer.into_body(), place }),
            StatusCode::FORBIDDEN => Err(Refusal::Barred),
            status => {
                let reason = answer.headers().get(REASON_HEADER).and_then(|reason| reason.to_str().ok());
                Err(Refusal::Failed(reason.map_or_else(|| format!("it answers {status}"), shown)))
            }
        }
    }
}
