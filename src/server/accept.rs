//! The accept loop: bounded, patient with a system out of file descriptors, stopped gracefully.

use super::gate::LocalAddress;
use super::{Doors, StatusSource, router};
use crate::observe::{event, task};
use crate::value::time::SharedClock;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Connections at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 128;
/// Time for the head of a request, and between two requests of one connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// After a failed accept.
const BREATH: Duration = Duration::from_millis(200);
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
}

/// A running server.
pub struct ServerHandle {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds the address; nothing is answered yet.
    pub async fn bind(doors: Doors) -> Result<Self, BindError> {
        let address = doors.listen;
        if !address.ip().is_loopback() && doors.token.is_none() {
            return Err(BindError::TokenNeeded(address));
        }
        let failed = |source| BindError::Io { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, doors })
    }

    /// Where it listens, the port resolved.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until stopped.
    pub fn start(self, source: Arc<dyn StatusSource>, clock: SharedClock) -> ServerHandle {
        let stop = CancellationToken::new();
        let router = router(&self.doors, source, clock.clone());
        event::listening(self.address);
        let task = task::spawn("server", accept(self.listener, router, clock, stop.clone()));
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

async fn accept(listener: TcpListener, router: Router, clock: SharedClock, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut failing = false;
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                failing = false;
                let (router, stop) = (router.clone(), stop.clone());
                task::spawn("server-connection", async move {
                    converse(stream, router, stop).await;
                    drop(slot);
                });
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
    // All slots back: every conversation is over.
    let most = u32::try_from(MOST_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(most).await;
}

async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    let Ok(local) = stream.local_addr() else { return };
    let router = router.layer(axum::middleware::map_request(move |mut request: Request<Body>| async move {
        request.extensions_mut().insert(LocalAddress(local));
        request
    }));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(BUFFER);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    // A broken conversation is the client's business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
