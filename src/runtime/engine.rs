//! From a snapshot to something that can run: clients, lines in the queue, meters. One generation per applied
//! snapshot; what did not change is carried over, so its connections, series and limits are undisturbed.

use super::past::Recall;
use super::scope::{Lane, Lanes};
use crate::agent::Hub;
use crate::http::client::{Client, Means, grant_of};
use crate::http::tokens::Tokens;
use crate::model::connection::Connection;
use crate::model::flow::Flow;
use crate::model::snapshot::Snapshot;
use crate::model::webhook::Verify;
use crate::observe::event;
use crate::observe::meters::{ConnectionMeters, FlowMeters, WebhookMeters};
use crate::observe::traces::Traces;
use crate::queue::Queue;
use crate::queue::limits::{LineId, LineSpec};
use crate::runtime::walk::cache::AllCaches;
use crate::store::Store;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::time::{SharedClock, SharedRng};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What every part of the runtime shares.
#[derive(Clone)]
pub struct Services {
    /// All pools.
    pub queue: Queue,
    /// Time.
    pub clock: SharedClock,
    /// Chance.
    pub rng: SharedRng,
    /// Where traces of runs begin.
    pub traces: Traces,
    /// Renewed credentials.
    pub tokens: Arc<Tokens>,
    /// Agents that carry requests into other networks.
    pub agents: Arc<Hub>,
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// How many processes have owned the state, this one included.
    pub epoch: u64,
    /// Flows as they were when a run began.
    pub recall: Arc<dyn Recall>,
}

/// A connection that could not be made ready.
#[derive(Debug, thiserror::Error)]
#[error("connection `{connection}`: {cause}")]
pub struct NotReady {
    /// Which.
    pub connection: ConnectionId,
    /// Why.
    pub cause: String,
}

/// A snapshot made ready to run.
pub struct Generation {
    /// What it stands for.
    pub snapshot: Arc<Snapshot>,
    /// Its connections.
    pub lanes: Arc<Lanes>,
    specs: Vec<LineSpec>,
    meters: HashMap<ConnectionId, Arc<ConnectionMeters>>,
    flow_meters: HashMap<FlowId, Arc<FlowMeters>>,
    /// Webhooks by path.
    pub(super) hooks: HashMap<String, (FlowId, Arc<WebhookMeters>)>,
    /// Answers of lookups: another generation may ask others, and begins without.
    pub caches: AllCaches,
}

impl Generation {
    /// Prepares a snapshot, carrying over what `before` has unchanged. Puts nothing in force yet.
    pub fn prepare(snapshot: Arc<Snapshot>, before: Option<&Self>, services: &Services) -> Result<Self, NotReady> {
        let mut lanes = Lanes::new();
        let mut specs = Vec::new();
        let mut all_meters = HashMap::new();
        let credentials = credentials(&snapshot);
        for (id, connection) in &snapshot.connections {
            let sharing = credentials.get(id).map_or(&[][..], Vec::as_slice);
            let kept = before.and_then(|before| before.meters.get(id)).cloned();
            let meters = kept.unwrap_or_else(|| Arc::new(ConnectionMeters::of(id)));
            let line = LineId::Connection(id.clone());
            let same = before.and_then(|before| before.unchanged(connection));
            let client = match same.filter(|client| client.sharing() == sharing) {
                Some(client) => client,
                None => Arc::new(client(connection, sharing, &meters, services)?),
            };
            lanes.insert(id.clone(), Lane { client, line: line.clone() });
            specs.push(LineSpec { id: line, limits: connection.limits.clone(), meters: meters.clone() });
            all_meters.insert(id.clone(), meters);
        }
        let flow_meters = snapshot
            .flows
            .keys()
            .map(|id| {
                let kept = before.and_then(|before| before.flow_meters.get(id)).cloned();
                (id.clone(), kept.unwrap_or_else(|| Arc::new(FlowMeters::of(id))))
            })
            .collect();
        let hooks = hooks(&snapshot);
        Ok(Self {
            snapshot,
            lanes: Arc::new(lanes),
            specs,
            meters: all_meters,
            flow_meters,
            hooks,
            caches: AllCaches::default(),
        })
    }

    /// Puts the limits in force at once, for waiting requests too.
    pub fn enforce(&self, services: &Services) {
        services.queue.apply(self.specs.clone());
    }

    /// Tells the clients that another one has taken the place of: what waits for their credentials waits in vain.
    pub fn retire(&self, before: &Self) {
        for (id, old) in before.lanes.iter() {
            if self.lanes.get(id).is_none_or(|new| !Arc::ptr_eq(&new.client, &old.client)) {
                old.client.retire();
            }
        }
    }

    /// A flow's series.
    pub fn meters(&self, flow: &FlowId) -> Arc<FlowMeters> {
        self.flow_meters.get(flow).cloned().unwrap_or_else(|| Arc::new(FlowMeters::of(flow)))
    }

    /// Ages change without anybody doing anything: they are set when somebody looks.
    pub fn report_ages(&self, services: &Services) {
        for lane in self.lanes.values() {
            lane.client.show_budget();
        }
        for line in services.queue.view().iter().flat_map(|pool| &pool.lines) {
            if let LineId::Connection(id) = &line.id
                && let Some(meters) = self.meters.get(id)
            {
                meters.oldest(line.oldest);
            }
        }
    }

    fn unchanged(&self, connection: &Connection) -> Option<Arc<Client>> {
        let old = self.snapshot.connections.get(&connection.id)?;
        (old.hash == connection.hash && old.http.level == connection.http.level)
            .then(|| self.lanes.get(&connection.id).map(|lane| lane.client.clone()))
            .flatten()
    }
}

fn hooks(snapshot: &Snapshot) -> HashMap<String, (FlowId, Arc<WebhookMeters>)> {
    let hook = |flow: &Arc<Flow>| {
        let webhook = flow.webhook.as_ref()?;
        if matches!(webhook.verify, Verify::None) {
            event::webhook_open(&flow.id);
        }
        Some((webhook.path.clone(), (flow.id.clone(), Arc::new(WebhookMeters::of(&flow.id)))))
    };
    snapshot.flows.values().filter_map(hook).collect()
}

/// Which others have one renewed credential with a connection: those of its pool that ask for it in the very same way.
fn credentials(snapshot: &Snapshot) -> HashMap<ConnectionId, Vec<ConnectionId>> {
    let lenders: BTreeSet<&ConnectionId> =
        snapshot.connections.values().filter_map(|connection| connection.lender()).collect();
    let mut groups: BTreeMap<(&ConnectionId, [u8; 32]), BTreeSet<&ConnectionId>> = BTreeMap::new();
    for connection in snapshot.connections.values() {
        let pool = connection.lender().or_else(|| lenders.get(&connection.id).copied());
        if let Some((pool, grant)) = pool.and_then(|pool| Some((pool, grant_of(&connection.http)?))) {
            groups.entry((pool, grant)).or_default().insert(&connection.id);
        }
    }
    let others = |all: &BTreeSet<&ConnectionId>, id: &ConnectionId| {
        all.iter().filter(|other| **other != id).map(|other| (*other).clone()).collect()
    };
    groups.values().flat_map(|all| all.iter().map(|id| ((*id).clone(), others(all, id)))).collect()
}

fn client(
    connection: &Connection,
    sharing: &[ConnectionId],
    meters: &Arc<ConnectionMeters>,
    services: &Services,
) -> Result<Client, NotReady> {
    let Services { clock, rng, tokens, agents, .. } = services.clone();
    let verified = connection.http.tls.verify;
    meters.unverified(!verified);
    if !verified {
        event::connection_unverified(&connection.id);
    }
    let route = connection.agent.as_ref().map(|name| agents.route(name));
    Client::new(
        &connection.id,
        connection.http.clone(),
        meters.clone(),
        Means { clock, rng, tokens, sharing: sharing.to_vec(), former: connection.formerly.clone(), route },
    )
    .map_err(|cause| NotReady { connection: connection.id.clone(), cause })
}
