//! `ping`: every connection asked once, side by side, each through its own queue.

use super::{Host, State, agent};
use crate::http::exchange::FailureClass;
use crate::http::ping::Pong;
use crate::http::tokens::WhenRefused;
use crate::model::snapshot::Snapshot;
use crate::queue::Queue;
use crate::runtime::engine::{Generation, NotReady};
use crate::runtime::scope::Lane;
use crate::runtime::supervisor::Supervisor;
use crate::server::BindError;
use crate::value::id::{ConnectionId, FlowId};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// How a connection answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Ok,
    /// It was reached, and its answer is a failure.
    Failed,
    /// Its credentials are missing or were refused.
    Auth,
    /// It cannot be reached.
    Unreachable,
}

/// The answer to one ping.
#[derive(Debug, Clone)]
pub struct Pinged {
    /// Which connection.
    pub connection: ConnectionId,
    /// Whether it works.
    pub verdict: Verdict,
    /// How it authenticates.
    pub auth: &'static str,
    /// Method and URL.
    pub request: String,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Time to the end of the answer.
    pub took: Duration,
    /// Version of TLS.
    pub tls: Option<&'static str>,
    /// What is wrong, or worth knowing.
    pub message: Option<String>,
}

impl Pinged {
    /// As programs read it.
    pub fn document(&self) -> Value {
        json!({
            "connection": self.connection.as_str(),
            "verdict": self.verdict.word(),
            "request": self.request,
            "status": self.status,
            "seconds": self.took.as_secs_f64(),
            "tls": self.tls,
            "auth": self.auth,
            "message": self.message,
        })
    }
}

impl Verdict {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Auth => "auth",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Why nobody was asked.
#[derive(Debug, thiserror::Error)]
pub enum NoPing {
    /// A connection is not ready.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// No agent can come in.
    #[error(transparent)]
    Agents(#[from] BindError),
}

/// Asks these connections, each through a queue of this process. `state` keeps the credentials that are renewed for it.
pub async fn ping(
    host: &Host,
    snapshot: Arc<Snapshot>,
    state: &State,
    ids: &[ConnectionId],
) -> Result<Vec<Pinged>, NoPing> {
    let services = host.services(&snapshot.settings, state, WhenRefused::GiveUp);
    let door = agent::let_in(&snapshot, ids, &services).await?;
    let generation = Generation::prepare(snapshot, None, &services)?;
    generation.enforce(&services);
    let lanes = ids.iter().filter_map(|id| Some((id, generation.lanes.get(id)?)));
    let pings = lanes.map(|(id, lane)| one(&services.queue, id, lane));
    let pinged = join_all(pings).await.into_iter().flatten().collect();
    door.close(host).await;
    Ok(pinged)
}

/// Asks one through the queue of a running process.
pub(super) async fn through(supervisor: &Supervisor, connection: &str) -> Result<Pinged, String> {
    let id = ConnectionId::parse(connection).map_err(|error| error.to_string())?;
    let lane = supervisor.lane(&id).ok_or_else(|| format!("there is no connection `{id}` in force"))?;
    one(&supervisor.services().queue, &id, &lane).await.ok_or_else(|| "the process is shutting down".to_owned())
}

async fn one(queue: &Queue, id: &ConnectionId, lane: &Lane) -> Option<Pinged> {
    let by = FlowId::parse("ping").ok()?;
    let permit = queue.acquire(&lane.line, &by, NonZeroU32::MIN).await.ok()?;
    let auth = lane.client.settings().auth.method();
    Some(pinged(id, auth, lane.client.ping(permit).await))
}

fn pinged(id: &ConnectionId, auth: &'static str, pong: Pong) -> Pinged {
    let verdict = match pong.failure.as_ref().map(|failure| failure.class) {
        None => Verdict::Ok,
        Some(FailureClass::Auth) => Verdict::Auth,
        // A write that got no answer was not reached either.
        Some(FailureClass::Unreachable | FailureClass::Cancelled | FailureClass::Unknown) => Verdict::Unreachable,
        Some(FailureClass::Rejected | FailureClass::Unreadable) => Verdict::Failed,
    };
    Pinged {
        connection: id.clone(),
        verdict,
        auth,
        request: pong.request,
        status: pong.status,
        took: pong.took,
        tls: pong.tls,
        message: pong.failure.map(|failure| failure.message).or(pong.note),
    }
}
