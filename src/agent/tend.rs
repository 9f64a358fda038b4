//! The agent at work: answers `CONNECT host:port` from the server. Only what its own list names is reached, whoever
//! asks.

use super::{MOST_FRAME, MOST_HEAD, MOST_STREAMS, REASON_HEADER, STREAM_WINDOW, TUNNEL_WINDOW, beat, carry, shown};
use crate::observe::{event, task};
use crate::value::target::{Target, is_link_local};
use crate::value::time::SharedClock;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Time to connect to a target: a connection's `connect_timeout` is longer unless it says so, and then this end knows
/// better what is wrong.
const DIAL: Duration = Duration::from_secs(8);

/// How the work on one tunnel ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// As asked, with nothing left under way.
    Drained,
    /// As asked, but streams were cut off.
    Cut,
    /// The line broke.
    Lost(String),
}

/// Answers until the line ends, or until `stop` and what is under way has ended, at most `patience` later.
pub(super) async fn tend<T>(
    io: T,
    allow: &Arc<[Target]>,
    clock: &SharedClock,
    stop: &CancellationToken,
    patience: Duration,
) -> Over
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(TUNNEL_WINDOW)
        .max_concurrent_streams(MOST_STREAMS)
        .max_frame_size(MOST_FRAME)
        .max_header_list_size(MOST_HEAD)
        .max_send_buffer_size(STREAM_WINDOW as usize);
    let mut connection = match builder.handshake::<_, Bytes>(io).await {
        Ok(connection) => connection,
        Err(error) => return Over::Lost(shown(&error.to_string())),
    };
    let Some(pings) = connection.ping_pong() else { return Over::Lost("no heartbeat".to_owned()) };
    let mut beat = pin!(beat::beat(pings, clock));
    let mut cut = pin!(async {
        stop.cancelled().await;
        clock.sleep_until(clock.mono().plus(patience)).await;
    });
    let mut leaving = false;
    loop {
        tokio::select! {
            asked = connection.accept() => match asked {
                Some(Ok((request, respond))) => {
                    let (allow, clock) = (allow.clone(), clock.clone());
                    task::spawn("agent-stream", async move { serve(request, respond, &allow, &clock).await });
                }
                Some(Err(error)) => return Over::Lost(shown(&error.to_string())),
                None if leaving => return Over::Drained,
                None => return Over::Lost("closed by the server".to_owned()),
            },
            cause = &mut beat => return Over::Lost(cause),
            () = stop.cancelled(), if !leaving => {
                leaving = true;
                connection.graceful_shutdown();
            }
            () = &mut cut => return Over::Cut,
        }
    }
}

/// One stream, from the question to its end.
async fn serve(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, allow: &[Target], clock: &SharedClock) {
    match reach(&request, allow, clock).await {
        Ok(socket) => {
            // The server may have given up meanwhile.
            if let Ok(send) = respond.send_response(answer(StatusCode::OK, ""), false) {
                carry::carry(socket, send, request.into_body(), clock).await;
            }
        }
        Err((status, reason)) => drop(respond.send_response(answer(status, &reason), true)),
    }
}

async fn reach(
    request: &Request<RecvStream>,
    allow: &[Target],
    clock: &SharedClock,
) -> Result<TcpStream, (StatusCode, String)> {
    if request.method() != Method::CONNECT {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "only CONNECT is answered".to_owned()));
    }
    let asked = request.uri().authority().map(hyper::http::uri::Authority::as_str).unwrap_or_default();
    let target = Target::parse(asked).map_err(|why| (StatusCode::BAD_REQUEST, why.to_owned()))?;
    if !allow.contains(&target) {
        event::agent_barred(&target.to_string());
        return Err((StatusCode::FORBIDDEN, "not in the list".to_owned()));
    }
    let deadline = clock.sleep_until(clock.mono().plus(DIAL));
    let failed = |text: String| (StatusCode::BAD_GATEWAY, text);
    tokio::select! {
        socket = connect(&target) => socket.map_err(|error| failed(error.to_string())),
        () = deadline => Err(failed(format!("no connection within {} s", DIAL.as_secs()))),
    }
}

/// A listed name must not be led to where clouds keep machine credentials; a listed address is meant.
async fn connect(target: &Target) -> io::Result<TcpStream> {
    let found: Vec<SocketAddr> = if let Some(ip) = target.ip() {
        vec![(ip, target.port()).into()]
    } else {
        let found = tokio::net::lookup_host((target.host(), target.port())).await?;
        found.filter(|address| !is_link_local(address.ip())).collect()
    };
    if found.is_empty() {
        return Err(io::Error::other("the name leads nowhere, or to a link-local address"));
    }
    let socket = TcpStream::connect(&found[..]).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn answer(status: StatusCode, reason: &str) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = status;
    if let Ok(reason) = HeaderValue::from_str(&shown(reason)) {
        answer.headers_mut().insert(REASON_HEADER, reason);
    }
    answer
}
