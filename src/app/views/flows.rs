//! Flows: how each stands, and figures over all of them.

use super::Views;
use crate::app::status::{self, Sight};
use crate::model::flow::Flow;
use crate::model::step::{Action, Step};
use crate::runtime::view::FlowView;
use crate::store::socket::{Denied, FlowsAsk};
use crate::store::{FlowTally, Phase};
use crate::value::id::FlowId;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Flows on one page, and the most there can be.
const PAGE: u32 = 500;
const MOST: u32 = 10_000;

/// Asked for as states are, though a flow has a state beside them.
const OVERDUE: &str = "overdue";
const ATTENTION: &str = "attention";

/// In one word how a flow stands, the most pressing first.
pub(in crate::app) fn word(view: &FlowView, flow: Option<&Flow>, open: u64) -> &'static str {
    match (flow, &view.running, &view.last) {
        _ if view.running.as_ref().is_some_and(|run| run.stopping) => "stopping",
        (_, Some(run), _) if !run.begun => "waiting",
        (_, Some(_), _) => "running",
        (None, None, _) => "removed",
        (Some(flow), None, _) if !flow.enabled => "disabled",
        _ if view.paused.is_some() => "paused",
        (_, None, Some(last)) if last.ending.error().is_some() => "failed",
        _ if open > 0 => "errors",
        (_, None, None) => "never_ran",
        (_, None, Some(_)) => "ok",
    }
}

/// What live views tell of a flow.
pub(in crate::app) fn flow_line(view: &FlowView) -> Value {
    json!({
        "flow": view.id.as_str(),
        "queued": view.queued,
        "paused": view.paused.map(status::time),
        "running": view.running.as_ref().map(status::running),
        "last": view.last.as_ref().map(status::last),
        "last_success": view.last_success.map(status::time),
    })
}

impl Views {
    /// A page of flows in the order of their ids, and how many there are in each state.
    pub(super) fn flows(&self, ask: &FlowsAsk) -> Value {
        let (snapshot, tallies) = (self.supervisor.snapshot(), self.tallies_by_flow());
        let views = self.all_flows(&tallies);
        let most = ask.limit.unwrap_or(PAGE).clamp(1, MOST) as usize;
        let wanted = ask.q.as_deref().map(str::to_lowercase);
        let mut states: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
        let sight = Sight::of(&self.supervisor);
        let (mut open, mut attention, mut matching) = (0, 0_u64, Vec::new());
        for view in &views {
            let flow = snapshot.as_ref().and_then(|snapshot| snapshot.flows.get(&view.id));
            let errors = tallies.get(&view.id).map_or(0, |tally| tally.open);
            let state = word(view, flow.map(AsRef::as_ref), errors);
            *states.entry(state).or_default() += 1;
            open += errors;
            let (overdue, reasons) = self.pressing(&sight, view, (state, errors));
            attention += reasons;
            let is = |wanted: &str| {
                wanted == state || (overdue && wanted == OVERDUE) || (reasons > 0 && wanted == ATTENTION)
            };
            let title = || flow.and_then(|flow| flow.title.as_deref()).unwrap_or_default().to_lowercase();
            let named = wanted.as_deref().is_none_or(|q| view.id.as_str().contains(q) || title().contains(q));
            if named && ask.state.as_deref().is_none_or(|wanted| wanted.split(',').any(is)) {
                matching.push((view, state));
            }
        }
        let total = matching.len();
        let after = |view: &FlowView| ask.after.as_deref().is_none_or(|after| view.id.as_str() > after);
        let mut page: Vec<(&FlowView, &str)> = matching.into_iter().filter(|(view, _)| after(view)).collect();
        let more = page.len() > most;
        page.truncate(most);
        let next = page.last().filter(|_| more).map(|(view, _)| view.id.to_string());
        let flows: Vec<Value> =
            page.iter().map(|(view, state)| self.row_of(&sight, view, state, tallies.get(&view.id))).collect();
        json!({
            "total": total, "states": states, "attention": attention, "open_errors": open, "flows": flows, "next": next,
        })
    }

    /// Whether a flow is overdue, and how many reasons there are to look at it: each is a line of the overview.
    fn pressing(&self, sight: &Sight, view: &FlowView, (state, open): (&str, u64)) -> (bool, u64) {
        let flow = sight.snapshot.as_ref().and_then(|snapshot| snapshot.flows.get(&view.id));
        let (runs, paused) = (view.running.is_some(), view.paused.is_some());
        let overdue = |flow: &Flow| self.fresh.is_overdue(flow, view.last_success, sight.now);
        let overdue = !runs && !paused && flow.is_some_and(|flow| overdue(flow));
        let waits = runs && flow.is_some_and(|flow| status::waits(flow, &sight.offline).is_some());
        let held = !runs && sight.unfinished.get(&view.id).is_some_and(|row| row.phase == Phase::Held);
        let reasons = [overdue || state == "failed", open > 0, waits, held, paused];
        (overdue, reasons.into_iter().map(u64::from).sum())
    }

    /// One flow with its parts.
    pub(super) fn flow(&self, id: &FlowId) -> Result<Value, Denied> {
        let tallies = self.tallies_by_flow();
        let views = self.all_flows(&tallies);
        let view = views.into_iter().find(|view| view.id == *id);
        let view = view.ok_or_else(|| Denied::unknown(format!("there is no flow `{id}`")))?;
        let snapshot = self.supervisor.snapshot();
        let flow = snapshot.as_ref().and_then(|snapshot| snapshot.flows.get(id));
        let tally = tallies.get(id);
        let state = word(&view, flow.map(AsRef::as_ref), tally.map_or(0, |tally| tally.open));
        let mut document = self.row_of(&Sight::of(&self.supervisor), &view, state, tally);
        if let Some(flow) = flow {
            document["parts"] = parts(flow);
            document["hash"] = json!(flow.hash);
            document["webhook"] = json!(flow.webhook.as_ref().map(|webhook| format!("/hooks/{}", webhook.path)));
            document["schedule"] = json!(flow.schedule.as_ref().map(|schedule| json!({
                "cron": schedule.source,
                "timezone": schedule.zone.name(),
            })));
        }
        Ok(document)
    }

    fn row_of(&self, sight: &Sight, view: &FlowView, state: &str, tally: Option<&FlowTally>) -> Value {
        let mut row = row(sight, view, state, tally);
        let flow = sight.snapshot.as_ref().and_then(|snapshot| snapshot.flows.get(&view.id));
        let flow = flow.filter(|_| view.paused.is_none());
        row["fresh"] = json!(flow.and_then(|flow| self.fresh.of(flow, view.last_success)));
        row["recent"] = json!(self.trends.flow(&view.id, sight.now));
        row
    }

    /// Those of the snapshot, those that run or ran, and those with something left in the store.
    fn all_flows(&self, tallies: &HashMap<FlowId, FlowTally>) -> Vec<FlowView> {
        let mut views = self.supervisor.view();
        status::add_removed(&mut views, tallies);
        views
    }
}

fn row(sight: &Sight, view: &FlowView, state: &str, tally: Option<&FlowTally>) -> Value {
    let mut row = status::flow(view, sight, tally);
    row["health"] = json!(state);
    row["paused"] = json!(view.paused.map(status::time));
    row
}

/// What a flow is made of, in the order in which records go through it.
fn parts(flow: &Flow) -> Value {
    let kind = if flow.webhook.is_some() { "webhook" } else { "export" };
    let export = |export: &std::sync::Arc<crate::model::export::Export>| json!({ "kind": kind, "name": export.name, "connection": export.connection.as_str() });
    let mut parts: Vec<Value> = flow.exports.iter().map(export).collect();
    parts.extend(flow.steps.iter().map(step));
    if let Some(import) = &flow.import {
        parts.push(json!({ "kind": "import", "name": import.name, "connection": import.connection.as_str() }));
    }
    json!(parts)
}

fn step(step: &Step) -> Value {
    let kind = match &step.action {
        Action::Transform(_) => "transform",
        Action::Keep(_) => "keep",
        Action::Lookup(_) => "lookup",
        Action::Route(_) => "route",
        Action::Import(_) => "import",
    };
    json!({ "kind": kind, "name": step.name, "connection": step.connections().first().map(|id| id.as_str()) })
}
