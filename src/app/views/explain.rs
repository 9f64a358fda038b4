//! Why something waits: a run, a flow, or a connection. What the queue says of a request comes from the rules that grant
//! (`queue::state::explain`); what keeps a run from beginning comes from the supervisor that would begin it.

mod flow;
mod words;

use super::{Views, connection_id, flow_id, short, unreadable};
use crate::app::status;
use crate::queue::limits::LineId;
use crate::queue::{HolderView, PoolDetail, TicketView};
use crate::store::Phase;
use crate::store::socket::{Denied, Subject, SubjectKind};
use crate::value::id::{ConnectionId, FlowId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use words::Reason;

/// Requests told of one pool.
const MOST_REQUESTS: usize = 50;
/// Holders told of one pool.
const MOST_HOLDERS: usize = 50;

impl Views {
    /// Whichever has the name, when it is not said what it is: a run, else a flow, else a connection. A flow and a
    /// connection of one name are both explained.
    pub(super) async fn explain(&self, subject: Subject) -> Result<Value, Denied> {
        let Subject { kind, id } = subject;
        match kind {
            Some(SubjectKind::Run) => self.explain_run(&id).await,
            Some(SubjectKind::Flow) => self.explain_flow(&flow_id(&id)?),
            Some(SubjectKind::Connection) => self.explain_connection(&connection_id(&id)?),
            None => self.explain_name(&id).await,
        }
    }

    async fn explain_name(&self, id: &str) -> Result<Value, Denied> {
        if let Ok(found) = self.explain_run(id).await {
            return Ok(found);
        }
        let flow = flow_id(id).and_then(|id| self.explain_flow(&id));
        let connection = connection_id(id).and_then(|id| self.explain_connection(&id));
        match (flow, connection) {
            (Ok(mut flow), Ok(connection)) => {
                flow["connection_of_that_name"] = connection;
                Ok(flow)
            }
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
            (Err(_), Err(_)) => Err(Denied::unknown(format!("there is no run, flow or connection `{}`", short(id)))),
        }
    }

    async fn explain_run(&self, id: &str) -> Result<Value, Denied> {
        let active = self.supervisor.active();
        let view = active.iter().find(|view| view.running.as_ref().is_some_and(|running| running.run == id));
        if let Some(view) = view {
            let mut document = self.explain_flow(&view.id)?;
            document["subject"] = json!({ "kind": "run", "id": id });
            return Ok(document);
        }
        let row = self.supervisor.services().store.run(id).await.map_err(unreadable)?;
        let row = row.ok_or_else(|| Denied::unknown(format!("there is no run `{}`", short(id))))?;
        let outcome = row.outcome.as_deref().unwrap_or("nothing known");
        let cause = row.cause.as_deref().map(|cause| self.masks().text(cause));
        let told = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let (state, summary) = match row.phase {
            Phase::Held | Phase::Running => {
                ("held", format!("it stopped ({outcome}{told}) and goes on with the next run of flow `{}`", row.flow))
            }
            Phase::Ended => ("ended", format!("it ended: {outcome}{told}")),
            Phase::Dismissed => ("dismissed", format!("it was given up{told}")),
        };
        let mut reasons = Vec::new();
        if state == "held" {
            // It goes on when its flow does.
            reasons = self.flow_reasons(&row.flow).into_iter().map(|reason| reason.document()).collect();
        }
        Ok(json!({
            "subject": { "kind": "run", "id": id },
            "state": state,
            "summary": summary,
            "reasons": reasons,
            "run": { "run": row.id, "flow": row.flow.as_str(), "ended": row.ended.map(status::time), "cause": cause },
            "pools": [],
        }))
    }

    fn explain_connection(&self, id: &ConnectionId) -> Result<Value, Denied> {
        let line = LineId::Connection(id.clone());
        let lane = self.supervisor.lane(id);
        let detail = self.supervisor.services().queue.explain(&line, |_| true, MOST_REQUESTS);
        let (Some(lane), Some(detail)) = (lane, detail) else {
            return Err(Denied::unknown(format!("there is no connection `{id}`")));
        };
        let mut reasons = Vec::new();
        reasons.extend(lane.client.offline().map(|why| Reason::plain("cannot_send", why)));
        reasons.extend(lane.client.waits().map(|offline| words::offline(id.as_str(), &offline)));
        if let Some(first) = detail.waiting.first() {
            reasons.extend(first.blocks.iter().map(|block| words::block(block, self.now())));
        }
        let waiting = detail.waiting.len() + detail.more;
        let state = match (waiting, detail.pool.in_flight) {
            (0, 0) => "idle",
            (0, _) => "working",
            _ => "waiting",
        };
        let summary = words::summary(state, &reasons, &format!("{waiting} requests wait in its pool"));
        Ok(json!({
            "subject": { "kind": "connection", "id": id.as_str() },
            "state": state,
            "summary": summary,
            "reasons": reasons.iter().map(Reason::document).collect::<Vec<_>>(),
            "run": null,
            "pools": [self.pool(&detail)],
        }))
    }

    /// The pools in which a flow has something, with its own requests.
    fn pools_of(&self, flow: &FlowId, connections: &BTreeSet<ConnectionId>) -> Vec<PoolDetail> {
        let queue = &self.supervisor.services().queue;
        let mut seen = BTreeSet::new();
        let lines =
            connections.iter().flat_map(|id| [LineId::Connection(id.clone()), LineId::TokenEndpoint(id.clone())]);
        let details = lines.filter_map(|line| queue.explain(&line, |who| who == flow, MOST_REQUESTS));
        let has_something = |detail: &PoolDetail| {
            !detail.waiting.is_empty() || detail.holders.iter().any(|holder| holder.flow == *flow)
        };
        details.filter(|detail| has_something(detail) && seen.insert(detail.pool.id.clone())).collect()
    }

    fn pool(&self, detail: &PoolDetail) -> Value {
        let now = self.now();
        let holders: Vec<Value> = detail.holders.iter().take(MOST_HOLDERS).map(holder).collect();
        let waiting: Vec<Value> = detail.waiting.iter().map(|ticket| request(ticket, now)).collect();
        json!({
            "pool": detail.pool.id.to_string(),
            "level": detail.pool.level,
            "in_flight": detail.pool.in_flight,
            "holders": holders,
            "flows": detail.shares.iter().map(super::links::share).collect::<Vec<_>>(),
            "waiting": waiting,
            "more": detail.more,
        })
    }
}

fn holder(holder: &HolderView) -> Value {
    json!({
        "flow": holder.flow.as_str(),
        "connection": holder.line.as_ref().map(ToString::to_string),
        "held_seconds": holder.held.as_secs_f64(),
    })
}

fn request(ticket: &TicketView, now: chrono::DateTime<chrono::Utc>) -> Value {
    let starts = ticket.starts_in.and_then(|left| words::after(now, left));
    json!({
        "flow": ticket.flow.as_str(),
        "connection": ticket.line.to_string(),
        "waited_seconds": ticket.waited.as_secs_f64(),
        "sent_before": ticket.sent_before,
        "position": ticket.position,
        "starts_in_seconds": ticket.starts_in.map(|left| left.as_secs_f64()),
        "starts": starts,
        "reasons": ticket.blocks.iter().map(|block| words::block(block, now).document()).collect::<Vec<_>>(),
    })
}
