//! The long-running process: schedule, hot reload, metrics and health, the owner's socket; from start to drained.

use super::keeper::{keep_time, saved_marks};
use super::owner::Desk;
use super::reload::{Reloader, compare};
use super::run::LAST_WORDS;
use super::state::NoState;
use super::status::{self, SharedConfigState, Stored};
use super::systemd::Systemd;
use super::tallies::{Tallies, keep_tallies};
use super::tokens::read_token;
use super::upkeep::{Retries, prune, wake_hooks};
use super::{Host, Signal, Signals, State};
use crate::config::watch::{Trigger, Watch};
use crate::http::tokens::WhenRefused;
use crate::model::snapshot::Snapshot;
use crate::observe::meters::{ConfigMeters, ProcessMeters};
use crate::observe::recorder::{self, Live};
use crate::observe::{event, task};
use crate::runtime::engine::NotReady;
use crate::runtime::scope::Output;
use crate::runtime::supervisor::Supervisor;
use crate::server::{BindError, Doors, Readiness, Server, StatusSource};
use crate::store::socket::{Answers, Ask, OwnerSocket, TokenAsk};
use crate::store::{Health, StoreError};
use crate::value::id::ConnectionId;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time a ping may stand in line: less than whoever asked waits.
const PING_PATIENCE: Duration = Duration::from_secs(25);
/// Time for answers under way when the process ends.
const SERVER_GRACE: Duration = Duration::from_millis(200);

/// What the process starts with.
pub struct Setup {
    /// Directory, environment, time, chance.
    pub host: Host,
    /// The first snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Hash of the tree it was made of.
    pub tree_hash: String,
    /// Files its configuration names.
    pub named_files: Vec<PathBuf>,
    /// The state directory.
    pub state: PathBuf,
    /// Whether `[log] level` counts; not when the command line has the last word.
    pub follow_log_level: bool,
    /// Where export-only flows would write; nothing is scheduled without an import.
    pub output: Arc<dyn Output>,
}

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The state.
    #[error(transparent)]
    State(#[from] NoState),
    /// The listening address.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// A connection.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// Signal handlers.
    #[error("signals cannot be handled: {0}")]
    Signals(std::io::Error),
}

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything in flight finished.
    Drained,
    /// `shutdown.timeout` passed; requests in flight were cut.
    CutShort,
    /// A second signal.
    Now(Signal),
}

/// Serves until a signal ends it.
pub async fn serve(setup: Setup) -> Result<Ended, ServeError> {
    let clock = setup.host.clock.clone();
    let mut signals = Signals::listen().map_err(ServeError::Signals)?;
    let host = setup.host.clone();
    // Before the store takes its meters: those taken earlier count nowhere.
    let recorder = recorder::install(&clock);
    let state = State::open(&host, &setup.state)?;
    let Some(dir) = &state.dir else { return Err(NoState::from(StoreError::Closed).into()) };
    ProcessMeters::started(clock.utc());
    let door = Server::bind(Doors::try_from(setup.snapshot.settings.as_ref())?).await?;
    let socket = OwnerSocket::bind(dir).map_err(NoState::from)?;
    event::serving(&setup.host.root.display().to_string(), &dir.path().display().to_string());
    let timeout = setup.snapshot.settings.shutdown_timeout;
    let process = Process::start(setup, &state, &clock).await?;
    let face = process.face.clone();
    let upkeep = recorder::keep(recorder, clock.clone(), move || face.live());
    let server = door.start(process.face.clone(), process.supervisor.services().agents.clone(), clock.clone());
    // Outlives the drain: `status` tells how that goes.
    let silence = CancellationToken::new();
    let answers = socket.serve(process.face.clone(), clock.clone(), silence.clone());
    let systemd = Systemd::of(host.env.as_ref());
    systemd.ready();

    let first = loop {
        match signals.next().await {
            Signal::Reload => process.look.look_now(),
            ending => break ending,
        }
    };
    systemd.stopping();
    let ended = process.end(first, timeout, &mut signals).await;
    server.stop(&clock, SERVER_GRACE).await;
    silence.cancel();
    // Waited for, so that the socket's file is gone before the directory is free for the next owner.
    let _ = answers.await;
    upkeep.abort();
    state.close(&host).await;
    Ok(ended)
}

struct Process {
    supervisor: Supervisor,
    face: Arc<Face>,
    look: Trigger,
    stop: CancellationToken,
}

impl Process {
    async fn start(setup: Setup, store: &State, clock: &crate::value::time::SharedClock) -> Result<Self, ServeError> {
        let Setup { host, snapshot, tree_hash, named_files, follow_log_level, output, .. } = setup;
        let supervisor = host.supervise(snapshot.clone(), output, store, WhenRefused::Hold)?;
        supervisor.look_back().await.map_err(NoState::from)?;
        // After that: it gives renamed flows their marks.
        let marks = saved_marks(store.store.as_ref()).await.map_err(NoState::from)?;
        let (meters, state) = (ConfigMeters::take(), SharedConfigState::default());
        let now = clock.utc();
        event::snapshot_in_force(&meters, &compare(None, &snapshot), now);
        state.update(|state| {
            state.revision.clone_from(&snapshot.revision);
            state.since = Some(now);
        });
        let named = named_files.into_iter().collect();
        let (watch, look) = Watch::start(&host.root, &tree_hash, named, clock.clone());
        let stop = CancellationToken::new();
        let face = Arc::new(Face {
            supervisor: supervisor.clone(),
            config: state.clone(),
            look: look.clone(),
            started: now,
            desk: Desk::new(supervisor.clone()),
            tallies: Tallies::default(),
            asking: tokio::sync::Mutex::new(()),
            draining: AtomicBool::new(false),
        });
        let reloader = Reloader {
            host,
            supervisor: supervisor.clone(),
            watch,
            meters,
            state,
            follow_log_level,
            started: snapshot,
        };
        supervisor.follow_hooks();
        supervisor.follow_ends();
        supervisor.resume_all();
        supervisor.start_owed().await.map_err(NoState::from)?;
        task::spawn("reload", reloader.follow(stop.clone()));
        task::spawn("schedule", keep_time(supervisor.clone(), marks, stop.clone()));
        face.start_upkeep(&stop);
        Ok(Self { supervisor, face, look, stop })
    }

    /// Drains; a second signal ends at once.
    async fn end(&self, signal: Signal, timeout: Duration, signals: &mut Signals) -> Ended {
        self.face.draining.store(true, Ordering::Relaxed);
        let runs = *self.supervisor.running().borrow();
        self.supervisor.begin_drain();
        event::drain_started(signal.name(), runs, timeout);
        self.stop.cancel();
        let ended = tokio::select! {
            whole = self.supervisor.drain(timeout) => {
                if !whole {
                    self.last_words().await;
                }
                event::drain_finished(whole);
                if whole { Ended::Drained } else { Ended::CutShort }
            }
            second = signals.ending(false) => {
                event::second_signal(second.name());
                Ended::Now(second)
            }
        };
        ended
    }

    /// Runs that were cut short end at once, and say so.
    async fn last_words(&self) {
        let clock = &self.supervisor.services().clock;
        let mut running = self.supervisor.running();
        tokio::select! {
            _ = running.wait_for(|count| *count == 0) => {}
            () = clock.sleep_until(clock.mono().plus(LAST_WORDS)) => {}
        }
    }
}

/// What others may ask of the running process.
struct Face {
    supervisor: Supervisor,
    config: SharedConfigState,
    look: Trigger,
    started: DateTime<Utc>,
    desk: Desk,
    tallies: Tallies,
    /// One `reload` at a time, so that none takes the answer of another.
    asking: tokio::sync::Mutex<()>,
    draining: AtomicBool,
}

impl Face {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// What goes on beside runs until `stop`.
    fn start_upkeep(&self, stop: &CancellationToken) {
        let (supervisor, tallies) = (self.supervisor.clone(), self.tallies.clone());
        let retries = Retries::new(supervisor.clone(), tallies.clone(), self.desk.turn());
        task::spawn("tallies", keep_tallies(tallies, supervisor.clone(), self.desk.changed(), stop.clone()));
        task::spawn("retries", retries.keep(stop.clone()));
        task::spawn("webhooks", wake_hooks(supervisor.clone(), stop.clone()));
        task::spawn("pruning", prune(supervisor, stop.clone()));
    }

    async fn status(&self) -> Value {
        let stored = Stored::read(self.supervisor.services().store.as_ref()).await;
        status::document(&self.supervisor, &self.config.get(), &stored, self.started, self.is_draining())
    }

    /// Through the same queue as everything else of the connection.
    async fn ping(&self, connection: &str) -> Result<Value, String> {
        let clock = &self.supervisor.services().clock;
        let deadline = clock.mono().plus(PING_PATIENCE);
        tokio::select! {
            pinged = super::ping::through(&self.supervisor, connection) => pinged.map(|pinged| pinged.document()),
            () = clock.sleep_until(deadline) => Err("the ping still waits in line behind other requests".to_owned()),
        }
    }

    /// A credential somebody has logged in for: kept, and tried at once where it was waited for.
    async fn keep(&self, connection: &str, record: &str) -> Result<Value, String> {
        let id = ConnectionId::parse(connection).map_err(|error| error.to_string())?;
        let record = read_token(record).ok_or("the credential cannot be read")?;
        let store = &self.supervisor.services().tokens.store;
        store.save(&id, record).await.map_err(|error| error.to_string())?;
        if let Some(lane) = self.supervisor.lane(&id) {
            lane.client.hurry();
        }
        Ok(Value::Bool(true))
    }

    async fn reload(&self) -> Value {
        let _turn = self.asking.lock().await;
        let mut judgements = self.config.judgements();
        judgements.mark_unchanged();
        self.look.look_now();
        // The sender lives as long as this face: waiting cannot fail.
        let _ = judgements.changed().await;
        status::config(&self.config.get())
    }
}

impl StatusSource for Face {
    fn readiness(&self) -> Readiness {
        if self.is_draining() {
            Readiness::Draining
        } else if let Health::Failing { since, cause } = &*self.supervisor.services().store.health().borrow() {
            Readiness::Failing(format!("the state cannot be written since {}: {cause}", status::time(*since)))
        } else if self.supervisor.snapshot().is_some() {
            Readiness::Ready
        } else {
            Readiness::Starting
        }
    }

    fn live(&self) -> Live {
        let snapshot = self.supervisor.snapshot();
        let (flows, connections) = snapshot.as_ref().map(|s| (s.flows.keys(), s.connections.keys())).unzip();
        Live::of(flows.into_iter().flatten(), connections.into_iter().flatten())
    }

    fn supervisor(&self) -> Option<Supervisor> {
        Some(self.supervisor.clone())
    }

    fn before_scrape(&self) {
        self.supervisor.report_ages();
        self.tallies.show(self.supervisor.services().clock.utc());
    }
}

impl Answers for Face {
    fn answer(&self, ask: Ask) -> Pin<Box<dyn Future<Output = Result<Value, String>> + Send + '_>> {
        Box::pin(async move {
            match ask {
                Ask::Status => Ok(self.status().await),
                Ask::Reload | Ask::Run(_) | Ask::Retry(_) if self.is_draining() => {
                    Err("draining: nothing new is begun".to_owned())
                }
                Ask::Reload => Ok(self.reload().await),
                Ask::Ping(connection) => self.ping(&connection).await,
                Ask::Token(TokenAsk { connection, record }) => self.keep(&connection, &record).await,
                Ask::Run(ask) => self.desk.run(ask).await,
                Ask::Runs(ids) => self.desk.runs(ids).await,
                Ask::Errors(ask) => self.desk.errors(ask).await,
                Ask::Retry(filter) => self.desk.retry(filter).await,
                Ask::Set(ask) => self.desk.set(ask).await,
            }
        })
    }
}
