//! `ping`: every connection asked once, side by side, each through its own queue.

use super::Host;
use crate::http::exchange::FailureClass;
use crate::http::ping::Pong;
use crate::http::tokens::WhenRefused;
use crate::model::snapshot::Snapshot;
use crate::queue::Queue;
use crate::runtime::engine::{Generation, NotReady};
use crate::value::id::{ConnectionId, FlowId};
use futures_util::future::join_all;
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

/// Asks these connections.
pub async fn ping(host: &Host, snapshot: Arc<Snapshot>, ids: &[ConnectionId]) -> Result<Vec<Pinged>, NotReady> {
    let queue = Queue::start(host.clock.clone());
    let services = host.services(queue.clone(), WhenRefused::GiveUp);
    let generation = Generation::prepare(snapshot.clone(), None, &services)?;
    generation.enforce(&services);
    let asked = ids.iter().filter_map(|id| Some((id, generation.lanes.get(id)?, snapshot.connections.get(id)?)));
    let pings = asked.map(|(id, lane, connection)| async {
        let by = FlowId::parse("ping").ok()?;
        let permit = queue.acquire(&lane.line, &by, NonZeroU32::MIN).await.ok()?;
        Some(pinged(id, connection.http.auth.method(), lane.client.ping(permit).await))
    });
    Ok(join_all(pings).await.into_iter().flatten().collect())
}

fn pinged(id: &ConnectionId, auth: &'static str, pong: Pong) -> Pinged {
    let verdict = match pong.failure.as_ref().map(|failure| failure.class) {
        None => Verdict::Ok,
        Some(FailureClass::Auth) => Verdict::Auth,
        Some(FailureClass::Unreachable | FailureClass::Cancelled) => Verdict::Unreachable,
        // A write that got no answer was not answered well either.
        Some(FailureClass::Unknown) => Verdict::Unreachable,
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
