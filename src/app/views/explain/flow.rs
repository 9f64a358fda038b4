//! Why a flow runs, waits, or does nothing.

use super::words::{self, Reason};
use super::{Views, status};
use crate::http::client::OfflineView;
use crate::model::flow::Flow;
use crate::queue::{Block, PoolDetail};
use crate::runtime::supervisor::Standing;
use crate::runtime::view::RunView;
use crate::store::socket::Denied;
use crate::value::id::{ConnectionId, FlowId};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

impl Views {
    pub(super) fn explain_flow(&self, id: &FlowId) -> Result<Value, Denied> {
        let standing = self.supervisor.standing(id);
        let standing = standing.ok_or_else(|| Denied::unknown(format!("there is no flow `{id}`")))?;
        let snapshot = self.supervisor.snapshot();
        let flow = snapshot.as_ref().and_then(|snapshot| snapshot.flows.get(id)).cloned();
        let (state, reasons, pools) = if let Some(run) = &standing.view.running {
            self.explain_running(id, run, &standing, flow.as_deref())
        } else {
            let reasons = self.reasons_to_rest(&standing, flow.as_deref());
            (reasons.first().map_or("idle", |reason| reason.rule), reasons, Vec::new())
        };
        let otherwise = match state {
            "working" => "it is working, and nothing keeps it waiting",
            _ => "nothing keeps it from running; it waits to be started",
        };
        let pools: Vec<Value> = pools.iter().map(|detail| self.pool(detail)).collect();
        Ok(json!({
            "subject": { "kind": "flow", "id": id.as_str() },
            "state": state,
            "summary": words::summary("", &reasons, otherwise),
            "reasons": reasons.iter().map(Reason::document).collect::<Vec<_>>(),
            "run": standing.view.running.as_ref().map(status::running),
            "queued": standing.view.queued,
            "next_run": self.next_run(flow.as_deref()),
            "last": standing.view.last.as_ref().map(status::last),
            "last_success": standing.view.last_success.map(status::time),
            "unfinished": standing.unfinished.as_ref().map(status::unfinished),
            "pools": pools,
        }))
    }

    /// Why nothing of a flow runs.
    pub(super) fn flow_reasons(&self, id: &FlowId) -> Vec<Reason> {
        let snapshot = self.supervisor.snapshot();
        let flow = snapshot.as_ref().and_then(|snapshot| snapshot.flows.get(id)).cloned();
        self.supervisor.standing(id).map_or_else(Vec::new, |standing| self.reasons_to_rest(&standing, flow.as_deref()))
    }

    fn explain_running(
        &self,
        id: &FlowId,
        run: &RunView,
        standing: &Standing,
        flow: Option<&Flow>,
    ) -> (&'static str, Vec<Reason>, Vec<PoolDetail>) {
        if !run.begun {
            let active = self.supervisor.active();
            let at_work = active.iter().filter(|view| view.running.as_ref().is_some_and(|run| run.begun)).count();
            let text = format!("{at_work} of at most {} runs (`[limits] max_runs`) are under way", standing.most_runs);
            return ("waiting", vec![Reason::plain("max_runs", text)], Vec::new());
        }
        let mut reasons = Vec::new();
        if run.stopping {
            reasons.push(Reason::plain(
                "stopping",
                "it was asked to stop: what is in flight finishes, nothing new is sent",
            ));
        }
        if standing.view.queued {
            reasons.push(Reason::plain("overlap", "one more run follows this one (`overlap = \"queue\"`)"));
        }
        // A run that began before a reload may use connections its flow no longer names.
        let shares = self.supervisor.services().queue.shares();
        let used = shares.into_iter().filter(|share| share.flow == *id).map(|share| connection_of(&share.line));
        let mut connections: BTreeSet<ConnectionId> = used.collect();
        connections.extend(flow.into_iter().flat_map(Flow::connections).cloned());
        let pools = self.pools_of(id, &connections);
        reasons.extend(offline_of(&connections, &self.supervisor.offline()));
        let own: Vec<_> = pools.iter().flat_map(|detail| &detail.waiting).collect();
        let sent = pools.iter().flat_map(|detail| &detail.holders).filter(|holder| holder.flow == *id).count();
        // The one that starts first says what the flow waits for.
        if let Some(first) = own.first()
            && sent == 0
        {
            let told = |block: &&Block| !matches!(block, Block::Aside) || reasons.is_empty();
            let more: Vec<Reason> =
                first.blocks.iter().filter(told).map(|block| words::block(block, self.now())).collect();
            reasons.extend(more);
        }
        let state = if sent == 0 && !own.is_empty() { "waiting" } else { "working" };
        (state, reasons, pools)
    }

    fn reasons_to_rest(&self, standing: &Standing, flow: Option<&Flow>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if let Some(text) = &standing.damaged {
            let text = format!("its stored state is damaged: {text}; see `flowgate state check`");
            reasons.push(Reason::plain("damaged", text));
        }
        if standing.draining {
            reasons.push(Reason::plain("draining", "the process is shutting down"));
        }
        let Some(flow) = flow else {
            reasons.push(Reason::plain("removed", "its file is gone"));
            return reasons;
        };
        if !flow.enabled {
            reasons.push(Reason::plain("disabled", "`enabled = false`"));
        }
        if let Some(since) = standing.view.paused {
            let text = format!("it was paused; `flowgate resume {}` lets it run again", flow.id);
            reasons.push(Reason::plain("paused", text).since(since));
        }
        let connections = flow.connections().cloned().collect();
        reasons.extend(offline_of(&connections, &self.supervisor.offline()));
        if let Some(next) = self.next_run(Some(flow)) {
            reasons.push(Reason::plain("schedule", format!("its schedule starts it at {next}")).until(Some(next)));
        } else if flow.webhook.is_some() {
            reasons.push(Reason::plain("webhook", "it waits for what comes to its webhook"));
        } else if flow.enabled && flow.schedule.is_none() {
            reasons.push(Reason::plain("no_schedule", "it has no schedule: `flowgate run` starts it"));
        }
        reasons
    }

    fn next_run(&self, flow: Option<&Flow>) -> Option<String> {
        let flow = flow.filter(|flow| flow.enabled && flow.has_import())?;
        flow.schedule.as_ref()?.next_after(self.now()).map(status::time)
    }
}

fn offline_of(connections: &BTreeSet<ConnectionId>, offline: &HashMap<String, OfflineView>) -> Vec<Reason> {
    let known = connections.iter().filter_map(|id| Some((id, offline.get(id.as_str())?)));
    known.map(|(id, view)| words::offline(id.as_str(), view)).collect()
}

fn connection_of(line: &crate::queue::limits::LineId) -> ConnectionId {
    use crate::queue::limits::LineId;
    match line {
        LineId::Connection(id) | LineId::TokenEndpoint(id) => id.clone(),
    }
}
