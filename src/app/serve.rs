//! The long-running process: schedule, hot reload, metrics and health, the owner's socket; from start to drained.

use super::face::Face;
use super::keeper::{keep_time, saved_marks};
use super::key::OwnKey;
use super::reload::{Reloader, compare};
use super::reloads::{Reloads, Report, Verdict};
use super::run::LAST_WORDS;
use super::state::NoState;
use super::status::SharedConfigState;
use super::systemd::Systemd;
use super::tallies::Tallies;
use super::trends::Trends;
use super::views::{Freshness, Pings, Views};
use super::{Host, Signal, Signals, State};
use crate::config::watch::{Trigger, Watch};
use crate::http::tokens::WhenRefused;
use crate::model::snapshot::Snapshot;
use crate::observe::meters::{ConfigMeters, ProcessMeters};
use crate::observe::recorder;
use crate::observe::{event, task};
use crate::runtime::engine::NotReady;
use crate::runtime::scope::Output;
use crate::runtime::supervisor::Supervisor;
use crate::server::{BindError, Doors, Server, Shown, StatusSource};
use crate::store::StoreError;
use crate::store::socket::OwnerSocket;
use crate::value::time::SharedClock;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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
    let state = State::open(&host, &setup.state)?;
    let Some(dir) = &state.dir else { return Err(NoState::from(StoreError::Closed).into()) };
    ProcessMeters::started(clock.utc());
    let mut doors = Doors::try_from(setup.snapshot.settings.as_ref())?;
    let key = OwnKey::make(dir, doors.token.is_some());
    doors.own_token = key.as_ref().map(|key| key.token().clone());
    let door = Server::bind(doors).await?;
    let socket = OwnerSocket::bind(dir).map_err(NoState::from)?;
    event::serving(&setup.host.root.display().to_string(), &dir.path().display().to_string());
    let timeout = setup.snapshot.settings.shutdown_timeout;
    let process = Process::start(setup, &state, door.shown(), &clock).await?;
    let face = process.face.clone();
    let upkeep = recorder::keep(clock.clone(), move || face.live());
    let server = door.start(process.face.clone(), process.supervisor.services().agents.clone(), clock.clone());
    // Outlives the drain: `status` tells how that goes.
    let silence = CancellationToken::new();
    let answers = socket.serve(process.face.clone(), clock.clone(), silence.clone());
    let systemd = Systemd::of(host.env.as_ref());
    systemd.ready();

    let first = loop {
        let asked = tokio::select! {
            signal = signals.next() => signal,
            () = process.face.drain_asked() => break Why::Asked,
        };
        match asked {
            Signal::Reload => process.look.look_now(),
            ending => break Why::Signal(ending),
        }
    };
    systemd.stopping();
    let ended = process.end(first, timeout, &mut signals).await;
    server.stop(&clock, SERVER_GRACE).await;
    silence.cancel();
    // Waited for, so that the socket's file is gone before the directory is free for the next owner.
    let _ = answers.await;
    upkeep.abort();
    drop(key);
    state.close(&host).await;
    Ok(ended)
}

/// What ends the process.
#[derive(Clone, Copy)]
enum Why {
    Signal(Signal),
    /// Somebody asked for it over the socket or the API.
    Asked,
}

impl Why {
    fn name(self) -> &'static str {
        match self {
            Self::Signal(signal) => signal.name(),
            Self::Asked => "drain",
        }
    }
}

struct Process {
    supervisor: Supervisor,
    face: Arc<Face>,
    look: Trigger,
    stop: CancellationToken,
}

impl Process {
    async fn start(setup: Setup, store: &State, shown: Option<Shown>, clock: &SharedClock) -> Result<Self, ServeError> {
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
        let reloads = Reloads::new(store.epoch);
        let first = Report::new(now, Verdict::Applied, &snapshot.revision).with_changes(None, &snapshot, &[]);
        reloads.add(&host.root, first);
        let views = Views {
            supervisor: supervisor.clone(),
            config: state.clone(),
            reloads: reloads.clone(),
            tallies: Tallies::default(),
            started: now,
            pings: Pings::default(),
            trends: Trends::of(&supervisor),
            fresh: Freshness::default(),
        };
        let face = Arc::new(Face::new(views, look.clone()));
        let reloader = Reloader {
            host,
            supervisor: supervisor.clone(),
            watch,
            meters,
            state,
            reloads,
            follow_log_level,
            started: snapshot,
            shown,
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
    async fn end(&self, why: Why, timeout: Duration, signals: &mut Signals) -> Ended {
        self.face.drain_begins();
        let runs = *self.supervisor.running().borrow();
        self.supervisor.begin_drain();
        event::drain_started(why.name(), runs, timeout);
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
