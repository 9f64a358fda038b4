//! Agents: the process `flowgate agent` itself, and the door for agents of commands that run without a `serve`.

use super::{Host, Signal, Signals};
use crate::agent::Hub;
use crate::agent::keep::Keeper;
use crate::model::snapshot::Snapshot;
use crate::runtime::engine::Services;
use crate::runtime::supervisor::Supervisor;
use crate::server::{BindError, Doors, Server, ServerHandle};
use crate::value::id::{ConnectionId, FlowId};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub use crate::agent::keep::{Ended, Orders};

/// Time for streams under way when the agent is asked to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time for answers under way.
const GRACE: Duration = Duration::from_millis(100);

/// How the agent came to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Parted {
    /// By itself, or by one signal.
    Ended(Ended),
    /// A second signal.
    Now(Signal),
}

/// Carries requests until a signal, or until the server refuses for good.
pub async fn carry(host: &Host, first: Orders, orders: impl Fn() -> Result<Orders, String>) -> std::io::Result<Parted> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let keeper =
        Keeper { orders, clock: host.clock.clone(), rng: host.rng.clone(), stop: stop.clone(), patience: PATIENCE };
    let mut kept = std::pin::pin!(keeper.keep(first));
    tokio::select! {
        ended = &mut kept => return Ok(Parted::Ended(ended)),
        _ = signals.ending(false) => stop.cancel(),
    }
    Ok(tokio::select! {
        ended = kept => Parted::Ended(ended),
        second = signals.ending(false) => Parted::Now(second),
    })
}

/// The door of a command that runs without a `serve`; none where no agent is needed.
pub struct Door(Option<ServerHandle>);

impl Door {
    /// Nobody comes in any more.
    pub async fn close(self, host: &Host) {
        if let Some(server) = self.0 {
            server.stop(&host.clock, GRACE).await;
        }
    }
}

/// Lets agents in while these flows run in a command of their own.
pub async fn for_flows(supervisor: &Supervisor, flows: &[FlowId]) -> Result<Door, BindError> {
    let Some(snapshot) = supervisor.snapshot() else { return Ok(Door(None)) };
    let flows = flows.iter().filter_map(|id| snapshot.flows.get(id));
    let connections: Vec<ConnectionId> = flows.flat_map(|flow| flow.connections().cloned()).collect();
    let_in(&snapshot, &connections, supervisor.services()).await
}

/// Lets agents in while a command runs, where these connections need one.
pub(super) async fn let_in(
    snapshot: &Snapshot,
    connections: &[ConnectionId],
    services: &Services,
) -> Result<Door, BindError> {
    let mut used = connections.iter().filter_map(|id| snapshot.connections.get(id));
    if !used.any(|connection| connection.agent.is_some()) {
        return Ok(Door(None));
    }
    let server = Server::bind(Doors::try_from(snapshot.settings.as_ref())?).await?;
    let hub: Arc<Hub> = services.agents.clone();
    Ok(Door(Some(server.start_for_agents(hub, services.clock.clone()))))
}
