//! What others may ask of the running process: over its socket, and through the server.

use super::live::LiveFeed;
use super::notices::notify;
use super::owner::Desk;
use super::status::{self, Stored};
use super::tallies::keep_tallies;
use super::tokens::read_token;
use super::trends;
use super::upkeep::{Retries, prune, wake_hooks};
use super::views::Views;
use crate::config::watch::Trigger;
use crate::observe::recorder::Live;
use crate::observe::task;
use crate::runtime::supervisor::Supervisor;
use crate::server::{Feed, Readiness, StatusSource};
use crate::store::Health;
use crate::store::socket::{Act, Answers, Ask, Denied, TokenAsk};
use crate::value::id::ConnectionId;
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Longest time a ping may stand in line: less than whoever asked waits.
const PING_PATIENCE: Duration = Duration::from_secs(25);

/// What others may ask of the running process.
pub(super) struct Face {
    supervisor: Supervisor,
    views: Views,
    look: Trigger,
    desk: Desk,
    feed: LiveFeed,
    /// One `reload` at a time, so that none takes the answer of another.
    asking: tokio::sync::Mutex<()>,
    draining: AtomicBool,
    /// Told when somebody asks the process to end.
    drain: Notify,
}

impl Face {
    pub(super) fn new(views: Views, look: Trigger) -> Self {
        let supervisor = views.supervisor.clone();
        Self {
            desk: Desk::new(supervisor.clone()),
            supervisor,
            views,
            look,
            feed: LiveFeed::default(),
            asking: tokio::sync::Mutex::new(()),
            draining: AtomicBool::new(false),
            drain: Notify::new(),
        }
    }

    /// Resolves when somebody has asked the process to end.
    pub(super) async fn drain_asked(&self) {
        self.drain.notified().await;
    }

    /// From here on nothing new is begun.
    pub(super) fn drain_begins(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// What goes on beside runs until `stop`.
    pub(super) fn start_upkeep(&self, stop: &CancellationToken) {
        let (supervisor, tallies) = (self.supervisor.clone(), self.views.tallies.clone());
        let retries = Retries::new(supervisor.clone(), tallies.clone(), self.desk.turn());
        task::spawn("tallies", keep_tallies(tallies, supervisor.clone(), self.desk.changed(), stop.clone()));
        task::spawn("retries", retries.keep(stop.clone()));
        task::spawn("webhooks", wake_hooks(supervisor.clone(), stop.clone()));
        trends::keep(self.views.trends.clone(), supervisor.clone(), stop.clone());
        task::spawn("live", self.feed.clone().keep(supervisor.clone(), stop.clone()));
        if let Some(told) = supervisor.snapshot().and_then(|snapshot| snapshot.settings.notify.clone()) {
            task::spawn("notices", notify(supervisor.clone(), told, stop.clone()));
        }
        task::spawn("pruning", prune(supervisor, stop.clone()));
    }

    async fn status(&self) -> Value {
        let stored = Stored::read(self.supervisor.services().store.as_ref()).await;
        status::document(&self.supervisor, &self.views.config.get(), &stored, self.views.started, self.is_draining())
    }

    /// Through the same queue as everything else of the connection.
    async fn ping(&self, connection: &str) -> Result<Value, String> {
        let clock = &self.supervisor.services().clock;
        let deadline = clock.mono().plus(PING_PATIENCE);
        tokio::select! {
            pinged = super::ping::through(&self.supervisor, connection) => {
                let document = pinged?.document();
                self.views.pings.keep(&self.supervisor, connection, document.clone());
                Ok(document)
            }
            () = clock.sleep_until(deadline) => Err("the ping still waits in line behind other requests".to_owned()),
        }
    }

    /// A credential somebody has logged in for: kept, and tried at once where it was waited for.
    async fn keep(&self, connection: &str, record: &str) -> Result<Value, String> {
        let id = ConnectionId::parse(connection).map_err(|error| error.to_string())?;
        let record = read_token(record).ok_or("the credential cannot be read")?;
        let Some(lane) = self.supervisor.lane(&id) else {
            let store = &self.supervisor.services().tokens.store;
            store.save(&id, record).await.map_err(|error| error.to_string())?;
            return Ok(Value::Bool(true));
        };
        lane.client.keep(&record).await.map_err(|error| error.to_string())?;
        let sharing = lane.client.sharing().iter().filter_map(|id| self.supervisor.lane(id));
        for lane in sharing.chain([lane.clone()]) {
            lane.client.hurry();
        }
        Ok(Value::Bool(true))
    }

    async fn reload(&self) -> Value {
        let _turn = self.asking.lock().await;
        let mut judgements = self.views.config.judgements();
        judgements.mark_unchanged();
        self.look.look_now();
        // The sender lives as long as this face: waiting cannot fail.
        let _ = judgements.changed().await;
        let mut answer = status::config(&self.views.config.get());
        answer["report"] = self.views.reloads.last().map_or(Value::Null, |report| report.document(None));
        answer
    }

    async fn act(&self, act: Act) -> Result<Value, Denied> {
        match act {
            Act::Drain => {
                self.drain.notify_one();
                Ok(json!({ "draining": true, "runs": self.supervisor.active().len() }))
            }
            Act::Look => {
                self.look.look_now();
                Ok(json!({ "looking": true }))
            }
            Act::Pause(flows) => self.desk.pause(&flows, true).await,
            Act::Resume(flows) => self.desk.pause(&flows, false).await,
            Act::Cancel(ask) => self.desk.cancel(ask),
        }
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

    fn answers(&self) -> Option<&dyn Answers> {
        Some(self)
    }

    fn feed(&self) -> Option<Feed> {
        Some(self.feed.listen())
    }

    fn before_scrape(&self) {
        self.supervisor.report_ages();
        self.views.tallies.show(self.supervisor.services().clock.utc());
    }
}

impl Answers for Face {
    fn answer(&self, ask: Ask) -> Pin<Box<dyn Future<Output = Result<Value, Denied>> + Send + '_>> {
        Box::pin(async move {
            match ask {
                Ask::Status => Ok(self.status().await),
                Ask::View(view) => self.views.answer(view).await,
                Ask::Reload | Ask::Run(_) | Ask::Retry(_) | Ask::Act(_) if self.is_draining() => {
                    Err(Denied::unavailable("draining: nothing new is begun"))
                }
                Ask::Reload => Ok(self.reload().await),
                Ask::Ping(connection) => Ok(self.ping(&connection).await?),
                Ask::Token(TokenAsk { connection, record }) => Ok(self.keep(&connection, &record).await?),
                Ask::Run(ask) => Ok(self.desk.run(ask).await?),
                Ask::Runs(ids) => Ok(self.desk.runs(ids).await?),
                Ask::Errors(ask) => Ok(self.desk.errors(ask).await?),
                Ask::Retry(filter) => Ok(self.desk.retry(filter).await?),
                Ask::Set(ask) => Ok(self.desk.set(ask).await?),
                Ask::Act(act) => self.act(act).await,
            }
        })
    }
}
