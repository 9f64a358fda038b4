//! Connections, their pools, and what waits in them.

use super::Views;
use crate::app::status::{self, Sight};
use crate::http::client::OfflineView;
use crate::model::connection::Connection;
use crate::queue::limits::{Level, LineId};
use crate::queue::{FlowShare, PoolView};
use crate::store::socket::Denied;
use crate::value::id::ConnectionId;
use serde_json::{Value, json};
use std::collections::HashMap;

impl Views {
    pub(super) fn queues(&self) -> Value {
        let queue = &self.supervisor.services().queue;
        let (sight, mut shares) = (Sight::of(&self.supervisor), by_line(queue.shares()));
        let pools: Vec<Value> = queue.view().iter().map(|view| pool(view, &sight, &mut shares)).collect();
        json!({ "queues": pools })
    }

    pub(super) async fn connections(&self) -> Value {
        let Some(snapshot) = self.supervisor.snapshot() else { return json!({ "connections": [] }) };
        let (lines, sight) = (self.lines(), Sight::of(&self.supervisor));
        let mut rows = Vec::with_capacity(snapshot.connections.len());
        for connection in snapshot.connections.values() {
            rows.push(self.row(connection, &lines, &sight).await);
        }
        json!({ "connections": rows })
    }

    pub(super) async fn connection(&self, id: &ConnectionId) -> Result<Value, Denied> {
        let unknown = || Denied::unknown(format!("there is no connection `{id}`"));
        let snapshot = self.supervisor.snapshot().ok_or_else(unknown)?;
        let connection = snapshot.connections.get(id).ok_or_else(unknown)?;
        let sight = Sight::of(&self.supervisor);
        let mut document = self.row(connection, &self.lines(), &sight).await;
        let queue = &self.supervisor.services().queue;
        let mut shares = by_line(queue.shares());
        let here = |view: &&PoolView| view.lines.iter().any(|line| line.id == LineId::Connection(id.clone()));
        document["queue"] = queue.view().iter().find(here).map_or(Value::Null, |view| pool(view, &sight, &mut shares));
        let pool = document["pool"].as_str().map(str::to_owned);
        document["recent"] = json!(pool.and_then(|pool| self.trends.pool(&pool, self.now())));
        let uses = snapshot.flows.values().filter(|flow| flow.connections().any(|used| used == id));
        document["flows"] = uses.map(|flow| flow.id.as_str()).collect();
        Ok(document)
    }

    fn lines(&self) -> HashMap<String, (PoolView, usize)> {
        let mut lines = HashMap::new();
        for view in self.supervisor.services().queue.view() {
            for (at, line) in view.lines.iter().enumerate() {
                lines.insert(line.id.to_string(), (view.clone(), at));
            }
        }
        lines
    }

    async fn row(&self, connection: &Connection, lines: &HashMap<String, (PoolView, usize)>, sight: &Sight) -> Value {
        let id = &connection.id;
        let place = lines.get(id.as_str());
        let line = place.and_then(|(pool, at)| pool.lines.get(*at));
        let lane = self.supervisor.lane(id);
        let held = lane.as_ref().and_then(|lane| lane.client.credential());
        let expires = if held.is_some() { self.expires(id).await } else { None };
        let base = &connection.http.base_uri;
        json!({
            "id": id.as_str(),
            "title": connection.title,
            "origin": base.origin().ascii_serialization(),
            "auth": connection.http.auth.method(),
            "agent": connection.agent,
            "tls_verify": connection.http.tls.verify,
            "borrows_from": match &connection.limits.level { Level::Borrow(lender) => Some(lender.as_str()), _ => None },
            "pool": place.map(|(pool, _)| pool.id.to_string()),
            "level": place.map(|(pool, _)| pool.level),
            "pool_in_flight": place.map(|(pool, _)| pool.in_flight),
            "in_flight": line.map(|line| line.in_flight),
            "queued": line.map(|line| line.depth),
            "oldest_seconds": line.and_then(|line| line.oldest).map(|age| age.as_secs_f64()),
            "wait_seconds": connection.limits.wait_time.as_secs_f64(),
            "paused_seconds": line.and_then(|line| line.paused_for).max(place.and_then(|(pool, _)| pool.paused_for))
                .map(|left| left.as_secs_f64()),
            "offline": sight.offline.get(id.as_str()).map(status::offline),
            "cannot_send": lane.as_ref().and_then(|lane| lane.client.offline()),
            "credential": held.map(|(generation, left)| json!({
                "generation": generation,
                "renewed_in_seconds": left.map(|left| left.as_secs_f64()),
                "expires": expires,
            })),
            "rate_limit": line.and_then(|line| line.allowance).map(status::allowance),
            "ping": self.pings.get(id),
        })
    }

    /// When the token that is kept ends, if its server said so.
    async fn expires(&self, id: &ConnectionId) -> Option<String> {
        let kept = self.supervisor.services().tokens.store.load(id).await.ok()?;
        kept.token?.expires.map(status::time)
    }
}

/// What live views tell of a pool.
pub(in crate::app) fn line_state(view: &PoolView, offline: &HashMap<String, OfflineView>) -> Value {
    let lines: Vec<Value> = view
        .lines
        .iter()
        .map(|line| {
            let id = line.id.to_string();
            json!({
                "connection": id,
                "queued": line.depth,
                "in_flight": line.in_flight,
                "paused": line.paused_for.is_some(),
                "offline": offline.contains_key(&id),
            })
        })
        .collect();
    json!({
        "pool": view.id.to_string(),
        "level": view.level,
        "in_flight": view.in_flight,
        "paused": view.paused_for.is_some(),
        "lines": lines,
    })
}

type Shares = HashMap<String, Vec<FlowShare>>;

fn by_line(shares: Vec<FlowShare>) -> Shares {
    let mut lines = Shares::new();
    for share in shares {
        lines.entry(share.line.to_string()).or_default().push(share);
    }
    lines
}

/// As `status` has it, with what each flow has in it.
fn pool(view: &PoolView, sight: &Sight, shares: &mut Shares) -> Value {
    let mut document = status::pool(view, sight);
    let own = view.lines.first().filter(|line| line.id == view.id).map_or(0, |line| line.in_flight);
    document["in_flight_own"] = json!(own);
    document["in_flight_borrowed"] = json!(view.in_flight.saturating_sub(own));
    if let Some(lines) = document["lines"].as_array_mut() {
        for line in lines {
            let name = line["connection"].as_str().unwrap_or_default();
            line["flows"] = shares.remove(name).unwrap_or_default().iter().map(share).collect();
        }
    }
    document
}

pub(super) fn share(share: &FlowShare) -> Value {
    json!({
        "flow": share.flow.as_str(),
        "connection": share.line.to_string(),
        "queued": share.waiting,
        "in_flight": share.in_flight,
        "oldest_seconds": share.oldest.map(|age| age.as_secs_f64()),
    })
}
