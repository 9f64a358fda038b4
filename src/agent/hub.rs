//! Which agents are there. Opens streams through the one with the fewest, tells who waits for one, and says once when
//! one comes or goes.

use super::door::Door;
use super::tunnel::{self, Life, Refusal, Stream, Tunnel};
use super::{beat, carry};
use crate::observe::event;
use crate::observe::meters::AgentMeters;
use crate::value::target::Target;
use crate::value::time::{Mono, SharedClock, SharedRng};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Agents of one name at once.
const MOST_TUNNELS: usize = 32;
/// How often a tunnel is asked whether it still takes anything new.
const LOOK: Duration = Duration::from_millis(250);
/// Reasons that are remembered.
const MOST_REASONS: usize = 1_024;

/// All agents this process knows.
pub struct Hub {
    posts: BTreeMap<String, Arc<Post>>,
    door: Option<Result<Door, String>>,
    /// Why the last attempt to reach a target failed, for whoever only sees that it did.
    reasons: Mutex<HashMap<(String, Target), NotOpened>>,
    numbers: AtomicU64,
    pub(super) clock: SharedClock,
    over: CancellationToken,
    _ends: DropGuard,
}

/// The agents of one name.
struct Post {
    name: String,
    tunnels: Mutex<Vec<Arc<Tunnel>>>,
    presence: watch::Sender<Presence>,
    places: Arc<Semaphore>,
    meters: AgentMeters,
}

/// Who is there.
#[derive(Debug, Clone, Copy)]
pub struct Presence {
    /// How many.
    pub connected: usize,
    /// Grows whenever one comes or goes.
    epoch: u64,
    /// Since when it is like this.
    pub since: DateTime<Utc>,
    from: Mono,
}

/// Why a target was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOpened {
    /// Whether it stays so until somebody changes a file.
    pub lasting: bool,
    /// Fit to be shown.
    pub text: String,
}

impl Hub {
    /// Nobody is there yet. Must be called inside the async runtime.
    pub fn open(names: impl IntoIterator<Item = String>, clock: &SharedClock, rng: &SharedRng) -> Arc<Self> {
        let since = Presence { connected: 0, epoch: 0, since: clock.utc(), from: clock.mono() };
        let posts: BTreeMap<_, _> =
            names.into_iter().map(|name| (name.clone(), Arc::new(Post::new(name, since)))).collect();
        let over = CancellationToken::new();
        Arc::new_cyclic(|hub| Self {
            door: (!posts.is_empty()).then(|| Door::open(hub.clone(), clock.clone(), rng, over.clone())),
            posts,
            reasons: Mutex::default(),
            numbers: AtomicU64::new(1),
            clock: clock.clone(),
            _ends: over.clone().drop_guard(),
            over,
        })
    }

    /// The way to one agent's network. It may be a name that is not known (yet).
    pub fn route(self: &Arc<Self>, name: &str) -> Route {
        Route { hub: self.clone(), post: self.posts.get(name).cloned(), name: name.into() }
    }

    /// All agents by name, and who is there.
    pub fn presence(&self) -> impl Iterator<Item = (&str, Presence)> {
        self.posts.iter().map(|(name, post)| (name.as_str(), *post.presence.borrow()))
    }

    /// A place for one more agent of this name.
    pub fn place(&self, name: &str) -> Option<OwnedSemaphorePermit> {
        self.posts.get(name)?.places.clone().try_acquire_owned().ok()
    }

    /// Whoever is at the other end of `io` has shown to be this agent: works with it until the line ends.
    pub async fn attach<T>(&self, name: &str, io: T, from: SocketAddr, _place: OwnedSemaphorePermit)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(post) = self.posts.get(name) else { return };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        match tunnel::begin(io, number, &self.clock).await {
            Err(cause) => event::agent_refused(&from.to_string(), &cause),
            Ok((tunnel, life)) => {
                let tunnel = Arc::new(tunnel);
                let connected = post.join(tunnel.clone(), &self.clock);
                event::agent_connected(name, &from.to_string(), connected);
                let cause = self.live(post, &tunnel, life).await;
                let connected = post.leave(number, &self.clock);
                event::agent_lost(name, &from.to_string(), &cause, connected);
            }
        }
    }

    /// Until the line ends. One that takes nothing new any more is offered no more, and works off what it has.
    async fn live<T>(&self, post: &Post, tunnel: &Tunnel, life: Life<T>) -> String
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let Life { mut connection, pings } = life;
        let mut beat = pin!(beat::beat(pings, &self.clock));
        loop {
            let look = self.clock.sleep_until(self.clock.mono().plus(LOOK));
            tokio::select! {
                ended = &mut connection => return tunnel::cause(ended),
                cause = &mut beat => return cause,
                () = self.over.cancelled() => return "this process ends".to_owned(),
                () = look => if tunnel.is_leaving().await {
                    post.leave(tunnel.number, &self.clock);
                },
            }
        }
    }

    /// Connects to a target and carries what the HTTP client says. Asks each agent once: their lists may differ, and
    /// one that cannot reach the target must not draw all requests to itself.
    pub(super) async fn connect(&self, name: &str, target: &Target) -> Result<Stream, NotOpened> {
        let key = (name.to_owned(), target.clone());
        // What was true of the last attempt says nothing about one that is given up on the way.
        self.reasons().remove(&key);
        let opened = self.find(name, target).await;
        if let Err(why) = &opened {
            let mut reasons = self.reasons();
            if reasons.len() >= MOST_REASONS {
                reasons.clear();
            }
            reasons.insert(key, why.clone());
        }
        opened
    }

    fn reasons(&self) -> MutexGuard<'_, HashMap<(String, Target), NotOpened>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self, name: &str, target: &Target) -> Result<Stream, NotOpened> {
        let passing = |text| NotOpened { lasting: false, text };
        let tunnels = self.posts.get(name).map(|post| post.by_load()).unwrap_or_default();
        let mut why = None;
        let mut barred = false;
        for tunnel in tunnels {
            match tunnel.open(target).await {
                Ok(stream) => return Ok(stream),
                Err(Refusal::Barred) => barred = true,
                Err(Refusal::Failed(text)) => why = Some(format!("agent `{name}` cannot reach {target}: {text}")),
                Err(Refusal::Closed) => {}
                Err(Refusal::Full) => {
                    why.get_or_insert_with(|| format!("agent `{name}` carries as many streams as it may"));
                }
            }
        }
        Err(match why {
            Some(text) => passing(text),
            None if barred => NotOpened {
                lasting: true,
                text: format!("agent `{name}` does not allow {target}: add it to `allow` in the agent's own file"),
            },
            None => passing(format!("no agent `{name}` is connected")),
        })
    }

    #[cfg(test)]
    pub(super) fn loads(&self, name: &str) -> Vec<usize> {
        self.posts[name].lock().iter().map(|tunnel| tunnel.load()).collect()
    }

    /// Carries a stream that was opened for the client at `socket`.
    pub(super) async fn carry(&self, socket: TcpStream, stream: Stream) {
        let Stream { send, receive, place } = stream;
        tokio::select! {
            () = carry::carry(socket, send, receive, &self.clock) => {}
            () = self.over.cancelled() => {}
        }
        drop(place);
    }
}

impl Post {
    fn new(name: String, presence: Presence) -> Self {
        Self {
            meters: AgentMeters::of(&name),
            name,
            tunnels: Mutex::default(),
            presence: watch::Sender::new(presence),
            places: Arc::new(Semaphore::new(MOST_TUNNELS)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Tunnel>>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are there, the least busy first.
    fn by_load(&self) -> Vec<Arc<Tunnel>> {
        let mut tunnels = self.lock().clone();
        tunnels.sort_by_cached_key(|tunnel| tunnel.load());
        tunnels
    }

    fn join(&self, tunnel: Arc<Tunnel>, clock: &SharedClock) -> usize {
        let mut tunnels = self.lock();
        tunnels.push(tunnel);
        self.changed(tunnels.len(), clock)
    }

    /// May be said twice.
    fn leave(&self, number: u64, clock: &SharedClock) -> usize {
        let mut tunnels = self.lock();
        let before = tunnels.len();
        tunnels.retain(|tunnel| tunnel.number != number);
        if tunnels.len() == before { before } else { self.changed(tunnels.len(), clock) }
    }

    fn changed(&self, connected: usize, clock: &SharedClock) -> usize {
        self.meters.connected(connected);
        self.presence.send_modify(|presence| {
            let epoch = presence.epoch + 1;
            *presence = Presence { connected, epoch, since: clock.utc(), from: clock.mono() };
        });
        connected
    }
}

/// The way of one connection to an agent's network.
#[derive(Clone)]
pub struct Route {
    hub: Arc<Hub>,
    /// None when this process was not told of such an agent at its start.
    post: Option<Arc<Post>>,
    name: Arc<str>,
}

/// Nobody is there.
#[derive(Debug, Clone)]
pub struct Absence {
    /// Fit to be shown.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The same, for waits.
    pub from: Mono,
}

impl Route {
    /// The address that leads an HTTP client there. A secret of this process.
    pub fn proxy(&self) -> Result<String, String> {
        match (&self.post, &self.hub.door) {
            (Some(post), Some(Ok(door))) => Ok(door.way_to(&post.name)),
            (_, Some(Err(why))) => Err(why.clone()),
            _ => Err(self.unknown()),
        }
    }

    /// Changes whenever an agent comes or goes: connections made before may lead through one that is leaving.
    pub fn epoch(&self) -> u64 {
        self.post.as_ref().map_or(0, |post| post.presence.borrow().epoch)
    }

    /// Why nothing can be sent, while nobody is there.
    pub fn absence(&self) -> Option<Absence> {
        let Some(post) = &self.post else {
            let since = self.hub.clock.utc();
            return Some(Absence { reason: self.unknown(), since, from: Mono::default() });
        };
        let Presence { connected, since, from, .. } = *post.presence.borrow();
        let reason = || format!("no agent `{}` is connected", self.name);
        (connected == 0).then(|| Absence { reason: reason(), since, from })
    }

    /// Waits until somebody is there.
    pub async fn present(&self) {
        let Some(post) = &self.post else { return std::future::pending().await };
        if post.presence.subscribe().wait_for(|presence| presence.connected > 0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Why the last attempt to reach this place failed.
    pub fn why(&self, host: &str, port: u16) -> Option<NotOpened> {
        let target = Target::new(host, port).ok()?;
        self.hub.reasons().get(&(self.name.to_string(), target)).cloned()
    }

    fn unknown(&self) -> String {
        format!("this process knows no agent `{0}`: `[agents.{0}]` takes a restart", self.name)
    }
}
