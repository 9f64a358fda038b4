//! What can be looked at while a process serves: each view is worked out in one place, for the API, for commands that ask
//! over the socket, and for live views. Reads only; every text that is no name of ours passes the redactor.

mod config;
mod errors;
mod explain;
mod flows;
mod fresh;
mod lines;
mod links;
mod runs;

pub(super) use flows::flow_line;
pub(super) use fresh::Freshness;
pub(super) use links::line_state;
pub use runs::look_at_runs;

use super::errors::Masks;
use super::reloads::Reloads;
use super::status::SharedConfigState;
use super::tallies::Tallies;
use super::trends::Trends;
use crate::runtime::supervisor::Supervisor;
use crate::store::socket::{Denied, View};
use crate::store::{FlowTally, StoreError};
use crate::value::id::{ConnectionId, FlowId};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Version of the documents.
pub const FORMAT: u32 = 1;

/// What views are made of.
#[derive(Clone)]
pub(super) struct Views {
    pub(super) supervisor: Supervisor,
    pub(super) config: SharedConfigState,
    pub(super) reloads: Reloads,
    pub(super) tallies: Tallies,
    pub(super) started: DateTime<Utc>,
    pub(super) pings: Pings,
    pub(super) trends: Trends,
    pub(super) fresh: Freshness,
}

/// The last ping of each connection.
#[derive(Clone, Default)]
pub(super) struct Pings(Arc<Mutex<HashMap<ConnectionId, Value>>>);

impl Pings {
    /// Keeps one; those of connections that are gone are let go.
    pub(super) fn keep(&self, supervisor: &Supervisor, connection: &str, mut pinged: Value) {
        let Ok(id) = ConnectionId::parse(connection) else { return };
        pinged["at"] = json!(super::status::time(supervisor.services().clock.utc()));
        let mut kept = self.lock();
        kept.insert(id, pinged);
        if let Some(snapshot) = supervisor.snapshot() {
            kept.retain(|id, _| snapshot.connections.contains_key(id));
        }
    }

    fn get(&self, id: &ConnectionId) -> Option<Value> {
        self.lock().get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Views {
    /// Answers a look. Each answer carries the version of the documents.
    pub(super) async fn answer(&self, view: View) -> Result<Value, Denied> {
        let document = match view {
            View::Snapshot => self.snapshot().await?,
            View::Reloads => self.all_reloads(),
            View::Reload(id) => self.reload(&id)?,
            View::Flows(ask) => self.flows(&ask),
            View::Flow(id) => self.flow(&flow_id(&id)?)?,
            View::Runs(ask) => self.shelf().runs(ask).await?,
            View::Run(id) => self.shelf().run(&id).await?,
            View::RunLog(id) => self.shelf().log(&id).await?,
            View::Queues => self.queues(),
            View::Connections => self.connections().await,
            View::Connection(id) => self.connection(&connection_id(&id)?).await?,
            View::Errors(ask) => self.errors(ask).await?,
            View::Error(id) => self.error(id).await?,
            View::Explain(subject) => self.explain(subject).await?,
        };
        Ok(versioned(document))
    }

    fn masks(&self) -> Masks {
        self.supervisor.lanes().map_or_else(|| Masks::of_lanes(&HashMap::new()), |lanes| Masks::of_lanes(&lanes))
    }

    fn tallies_by_flow(&self) -> HashMap<FlowId, FlowTally> {
        self.tallies.all()
    }

    fn now(&self) -> DateTime<Utc> {
        self.supervisor.services().clock.utc()
    }
}

/// The version first.
fn versioned(document: Value) -> Value {
    let mut out = Map::new();
    out.insert("format".to_owned(), FORMAT.into());
    match document {
        Value::Object(fields) => out.extend(fields),
        other => drop(out.insert("value".to_owned(), other)),
    }
    Value::Object(out)
}

fn flow_id(text: &str) -> Result<FlowId, Denied> {
    FlowId::parse(text).map_err(|error| Denied::unknown(format!("there is no flow `{}`: {error}", short(text))))
}

fn connection_id(text: &str) -> Result<ConnectionId, Denied> {
    ConnectionId::parse(text)
        .map_err(|error| Denied::unknown(format!("there is no connection `{}`: {error}", short(text))))
}

/// What somebody sent, as far as it is said back.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreadable(error: StoreError) -> Denied {
    Denied::unavailable(error.to_string())
}
