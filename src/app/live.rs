//! What live views hear: everything that happens, and, while somebody listens, what changed in figures since the last look.

use super::status;
use super::views::{flow_line, line_state};
use crate::http::client::OfflineView;
use crate::runtime::happening::Happening;
use crate::runtime::supervisor::Supervisor;
use crate::server::{Feed, LiveEvent};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Events kept for who is slow; further ones are a gap for them.
const KEPT: usize = 256;
/// How often figures are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where live views listen.
#[derive(Clone)]
pub(super) struct LiveFeed(broadcast::Sender<LiveEvent>);

impl Default for LiveFeed {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

/// What was told last.
#[derive(Default)]
struct Told {
    runs: HashMap<String, Value>,
    pools: HashMap<String, Value>,
    offline: HashMap<String, OfflineView>,
}

impl LiveFeed {
    /// Listens from now on.
    pub(super) fn listen(&self) -> Feed {
        self.0.subscribe()
    }

    /// Tells until `stop`.
    pub(super) async fn keep(self, supervisor: Supervisor, stop: CancellationToken) {
        let clock = supervisor.services().clock.clone();
        let mut happenings = supervisor.happenings().listen();
        let mut told = Told::default();
        let mut look = clock.mono();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                happened = happenings.recv() => match happened {
                    Ok(happening) => self.tell(&happening),
                    Err(RecvError::Lagged(count)) => self.send("gap", &json!({ "missed": count })),
                    Err(RecvError::Closed) => return,
                },
                () = clock.sleep_until(look) => {
                    look = clock.mono().plus(LOOK);
                    told.look_at_connections(&supervisor);
                    self.look(&mut told, &supervisor);
                }
            }
        }
    }

    fn send(&self, kind: &'static str, data: &Value) {
        // Nobody listens: normal.
        let _ = self.0.send(LiveEvent { kind, data: data.to_string().into() });
    }

    fn tell(&self, happening: &Happening) {
        let (kind, data) = match happening {
            Happening::RunStarted { flow, run, trigger, at } => {
                let trigger = trigger.label();
                (
                    "run_started",
                    json!({ "flow": flow.as_str(), "run": run, "trigger": trigger, "at": status::time(*at) }),
                )
            }
            Happening::RunEnded { report, at } => (
                "run_ended",
                json!({
                    "flow": report.flow.as_str(),
                    "run": report.run,
                    "at": status::time(*at),
                    "outcome": report.ending.outcome().label(),
                    "error": report.ending.error().map(ToString::to_string),
                    "records": status::counts(&report.counts),
                    "pages": report.pages,
                    "took_ms": u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
                }),
            ),
            Happening::FlowPaused(flow) => ("flow_paused", json!({ "flow": flow.as_str() })),
            Happening::FlowResumed(flow) => ("flow_resumed", json!({ "flow": flow.as_str() })),
            Happening::Reloaded { report, verdict } => ("reload", json!({ "report": report, "verdict": verdict })),
            Happening::FirstError { flow, open } => ("first_error", json!({ "flow": flow.as_str(), "open": open })),
            Happening::Offline { connection, reason, since } => (
                "connection_offline",
                json!({ "connection": connection, "reason": reason, "since": status::time(*since) }),
            ),
            Happening::Online { connection } => ("connection_online", json!({ "connection": connection })),
        };
        self.send(kind, &data);
    }

    /// Tells what changed. Costs nothing while nobody listens.
    fn look(&self, told: &mut Told, supervisor: &Supervisor) {
        if self.0.receiver_count() == 0 {
            (told.runs, told.pools) = (HashMap::new(), HashMap::new());
            return;
        }
        let mut runs = HashMap::new();
        for view in supervisor.active() {
            let line = flow_line(&view);
            if told.runs.get(view.id.as_str()) != Some(&line) {
                self.send("run_progress", &line);
            }
            runs.insert(view.id.to_string(), line);
        }
        told.runs = runs;
        let mut pools = HashMap::new();
        for view in supervisor.services().queue.view() {
            let (id, state) = (view.id.to_string(), line_state(&view, &told.offline));
            if told.pools.get(&id) != Some(&state) {
                self.send("queue", &state);
            }
            pools.insert(id, state);
        }
        told.pools = pools;
    }
}

impl Told {
    /// Connections that went offline or came back are told to everybody, notices too.
    fn look_at_connections(&mut self, supervisor: &Supervisor) {
        let offline = supervisor.offline();
        let happenings = supervisor.happenings();
        for (connection, view) in offline.iter().filter(|(id, _)| !self.offline.contains_key(*id)) {
            let (connection, reason) = (connection.clone(), view.reason.clone());
            happenings.tell(Happening::Offline { connection, reason, since: view.since });
        }
        for connection in self.offline.keys().filter(|id| !offline.contains_key(*id)) {
            happenings.tell(Happening::Online { connection: connection.clone() });
        }
        self.offline = offline;
    }
}
