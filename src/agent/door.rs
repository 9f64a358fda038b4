//! Where this process' own HTTP client comes in: a SOCKS listener on loopback. The client has no other place to put
//! something between itself and the wire that its TLS goes through untouched (decision 33).
//!
//! Anybody on this machine can connect to it, so it asks for a password that is drawn at start and never leaves the
//! process.

use super::hub::Hub;
use super::socks::{self, Reply};
use crate::observe::{event, task};
use crate::value::secret::Secret;
use crate::value::target::Target;
use crate::value::time::{SharedClock, SharedRng};
use crate::value::token;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Those that have not said who they are, at once.
const MOST_STRANGERS: usize = 256;
/// Time to say it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for an agent to connect; a connection's own `connect_timeout` ends its wait before.
const CONNECT: Duration = Duration::from_secs(30);
/// After a failed accept.
const BREATH: Duration = Duration::from_millis(200);

/// The open door.
pub(super) struct Door {
    address: SocketAddr,
    password: Arc<Secret>,
}

impl Door {
    pub(super) fn open(
        hub: Weak<Hub>,
        clock: SharedClock,
        rng: &SharedRng,
        over: CancellationToken,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no loopback port for agents: {error}");
        let password = password(rng).ok_or("the system gives no random numbers for the way to agents")?;
        let password = Arc::new(Secret::new(password));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        task::spawn("agent-door", accept(listener, hub, password.clone(), clock, over));
        Ok(Self { address, password })
    }

    /// For the client of one agent's connections.
    pub(super) fn way_to(&self, agent: &str) -> String {
        format!("socks5h://{agent}:{}@{}", self.password.reveal(), self.address)
    }
}

fn password(rng: &SharedRng) -> Option<String> {
    let mut text = String::with_capacity(64);
    for byte in [rng.nonce()?, rng.nonce()?].concat() {
        let _infallible = write!(text, "{byte:02x}");
    }
    Some(text)
}

async fn accept(
    listener: TcpListener,
    hub: Weak<Hub>,
    password: Arc<Secret>,
    clock: SharedClock,
    over: CancellationToken,
) {
    let strangers = Arc::new(Semaphore::new(MOST_STRANGERS));
    let mut failing = false;
    loop {
        let Ok(stranger) = strangers.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = over.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                failing = false;
                let (hub, password, clock) = (hub.clone(), password.clone(), clock.clone());
                task::spawn("agent-stream", async move {
                    let mut socket = socket;
                    let patience = clock.sleep_until(clock.mono().plus(PATIENCE));
                    let asked = tokio::select! {
                        asked = socks::hear(&mut socket, |guess| token::same(guess, &password)) => asked,
                        () = patience => return,
                    };
                    drop(stranger);
                    if let (Ok((agent, target)), Some(hub)) = (asked, hub.upgrade()) {
                        answer(socket, &hub, &agent, &target).await;
                    }
                });
            }
            Err(cause) => {
                if !std::mem::replace(&mut failing, true) {
                    event::accept_failed("agent-door", &cause);
                }
                clock.sleep_until(clock.mono().plus(BREATH)).await;
            }
        }
    }
}

async fn answer(mut socket: TcpStream, hub: &Hub, agent: &str, target: &Target) {
    let _ = socket.set_nodelay(true);
    let deadline = hub.clock.sleep_until(hub.clock.mono().plus(CONNECT));
    let opened = tokio::select! {
        opened = hub.connect(agent, target) => opened,
        () = deadline => return,
    };
    let reply = match &opened {
        Ok(_) => Reply::Open,
        Err(why) if why.lasting => Reply::Barred,
        Err(_) => Reply::Unreachable,
    };
    if socks::answer(&mut socket, reply).await.is_ok()
        && let Ok(stream) = opened
    {
        hub.carry(socket, stream).await;
    }
}
