//! The accept loop: bounded, patient with a system out of file descriptors, stopped gracefully.

use super::gate::{LocalAddress, PeerAddress};
use super::hall::{BREATH, Hall, Seat, UnderWay};
use super::tls::Shown;
use super::{Doors, StatusSource, agents_only, router};
use crate::agent::Hub;
use crate::observe::{event, task};
use crate::value::time::SharedClock;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Connections at once; a further one takes the place of one that waits, or waits itself.
const MOST_CONNECTIONS: u32 = 128;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;
/// Time for the head of a request, and between two requests of one connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// A connection's buffer, and so the largest head.
const BUFFER: usize = 64 * 1024;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Open to others without a token.
    #[error("`[server] listen = \"{0}\"` is open to other machines: set `[server] token`, or listen on 127.0.0.1")]
    TokenNeeded(SocketAddr),
    /// Configured, but its source gives nothing.
    #[error("`[server] token` cannot be read: {0}")]
    TokenUnreadable(String),
    /// `[server.tls]` cannot be used.
    #[error("`[server.tls]`: {0}")]
    Tls(String),
    /// The system said no.
    #[error("cannot listen on {address} (`[server] listen`): {source}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
}

/// A bound server.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    doors: Doors,
    tls: Option<(Shown, TlsAcceptor)>,
}

/// A running server.
pub struct ServerHandle {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds the address; nothing is answered yet.
    #[expect(clippy::unused_async, reason = "a listener belongs to the runtime it is made in")]
    pub async fn bind(doors: Doors) -> Result<Self, BindError> {
        let address = doors.listen;
        if !address.ip().is_loopback() && doors.token.is_none() {
            return Err(BindError::TokenNeeded(address));
        }
        let shown = doors.tls.as_ref().map(Shown::new).transpose().map_err(BindError::Tls)?;
        let tls = shown.map(|shown| shown.acceptor().map(|acceptor| (shown, acceptor)));
        let tls = tls.transpose().map_err(BindError::Tls)?;
        let failed = |source| BindError::Io { address, source };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, doors, tls })
    }

    /// Where it listens, the port resolved.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate it shows, where it speaks TLS.
    pub fn shown(&self) -> Option<Shown> {
        self.tls.as_ref().map(|(shown, _)| shown.clone())
    }

    /// Answers until stopped.
    pub fn start(self, source: Arc<dyn StatusSource>, hub: Arc<Hub>, clock: SharedClock) -> ServerHandle {
        let router = router(&self.doors, source, hub, clock.clone());
        self.listen(router, clock)
    }

    /// The same for agents only.
    pub fn start_for_agents(self, hub: Arc<Hub>, clock: SharedClock) -> ServerHandle {
        let router = agents_only(&self.doors, hub, clock.clone());
        self.listen(router, clock)
    }

    fn listen(self, router: Router, clock: SharedClock) -> ServerHandle {
        let stop = CancellationToken::new();
        event::listening(self.address);
        let tls = self.tls.map(|(_, acceptor)| acceptor);
        let visitors = Visitors { router, tls, stop: stop.clone() };
        let task = task::spawn("server", accept(self.listener, visitors, clock));
        ServerHandle { address: self.address, stop, task }
    }
}

impl ServerHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing new, lets answers under way finish; after `grace` they are cut.
    pub async fn stop(self, clock: &SharedClock, grace: Duration) {
        self.stop.cancel();
        let Self { mut task, .. } = self;
        tokio::select! {
            _ = &mut task => {}
            () = clock.sleep_until(clock.mono().plus(grace)) => task.abort(),
        }
    }
}

/// What everybody who comes in meets.
#[derive(Clone)]
struct Visitors {
    router: Router,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
}

/// Like `TcpListener::bind`, with room for a burst of calls: the system drops connections it has no room for.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, visitors: Visitors, clock: SharedClock) {
    let hall = Hall::new(MOST_CONNECTIONS, clock.clone());
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = visitors.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                failing = false;
                let seat = tokio::select! {
                    biased;
                    () = visitors.stop.cancelled() => break,
                    seat = hall.seat() => seat,
                };
                let Some(seat) = seat else { break };
                let (visitors, clock) = (visitors.clone(), clock.clone());
                task::spawn("server-connection", async move { visitors.meet(stream, from, &seat, &clock).await });
            }
            // The other side gave up meanwhile: nothing is wrong here.
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(cause) => {
                if !std::mem::replace(&mut failing, true) {
                    event::accept_failed("server", &cause);
                }
                clock.sleep_until(clock.mono().plus(BREATH)).await;
            }
        }
    }
    drop(listener);
    // Every conversation is over.
    hall.empty().await;
}

impl Visitors {
    /// Shakes hands where there is TLS, and answers.
    async fn meet(self, stream: TcpStream, from: SocketAddr, seat: &Seat, clock: &SharedClock) {
        let Ok(local) = stream.local_addr() else { return };
        // Nothing but speed depends on it.
        let _ = stream.set_nodelay(true);
        let begin = seat.doorkeeper();
        let router = self.router.layer(from_fn(move |mut request: Request, next: Next| {
            let under_way = begin();
            request.extensions_mut().insert(LocalAddress(local));
            request.extensions_mut().insert(PeerAddress(from));
            async move { next.run(request).await.map(|body| held(body, under_way)) }
        }));
        let Some(tls) = self.tls else { return converse(stream, router, seat, self.stop, clock).await };
        let shaken = tokio::select! {
            shaken = tls.accept(stream) => shaken,
            () = clock.sleep_until(clock.mono().plus(HEAD_PATIENCE)) => return,
            () = self.stop.cancelled() => return,
            () = seat.asked_to_leave() => return,
        };
        if let Ok(stream) = shaken {
            converse(stream, router, seat, self.stop, clock).await;
        }
    }
}

/// An answer that keeps its request under way until it is complete.
fn held(body: Body, under_way: UnderWay) -> Body {
    Body::new(body.map_err(move |error| {
        let _held_as_long_as_this_body = &under_way;
        error
    }))
}

async fn converse<T>(stream: T, router: Router, seat: &Seat, stop: CancellationToken, clock: &SharedClock)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(BUFFER);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    // A broken conversation is the client's business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        () = seat.asked_to_leave() => {
            if seat.is_unheard() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            // The end of its last answer may still be on its way.
            tokio::select! {
                _ = connection.as_mut() => return,
                () = clock.sleep_until(clock.mono().plus(BREATH)) => {}
            }
            if !seat.is_busy() {
                return;
            }
        }
    }
    let _ = connection.await;
}
