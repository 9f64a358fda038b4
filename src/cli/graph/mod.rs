//! `flowgate graph [FLOW]`: connections with the pools they borrow, flows with their steps, and what runs after what, drawn
//! for Mermaid or Graphviz, or as JSON.

mod dot;
mod mermaid;
mod parts;

use super::args::Format;
use super::run::no_flow;
use super::{Exit, Globals};
use crate::app::Host;
use crate::model::snapshot::Snapshot;
use crate::value::id::{ConnectionId, FlowId};
use parts::Part;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Draws the project, or one flow of it.
pub fn graph(globals: &Globals, host: &Host, flow: Option<&str>) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    let only = flow.and_then(|flow| FlowId::parse(flow).ok()).filter(|id| snapshot.flows.contains_key(id));
    if let (Some(flow), None) = (flow, &only) {
        globals.complain(&no_flow(&snapshot, flow));
        return Exit::Usage;
    }
    let drawn = Graph::of(&snapshot, only.as_ref());
    globals.data(&match globals.format {
        Format::Json => format!("{}\n", drawn.document()),
        Format::Dot => dot::text(&drawn),
        _ => mermaid::text(&drawn),
    });
    Exit::Done
}

/// What is drawn.
#[derive(Debug, Default)]
struct Graph {
    connections: Vec<Api>,
    flows: Vec<Drawn>,
}

/// A connection.
#[derive(Debug)]
struct Api {
    id: ConnectionId,
    title: Option<String>,
    level: Option<u32>,
    adaptive: bool,
    borrows: Option<ConnectionId>,
    agent: Option<String>,
}

/// A flow.
#[derive(Debug)]
struct Drawn {
    id: FlowId,
    title: Option<String>,
    enabled: bool,
    schedule: Option<String>,
    run_after: Vec<FlowId>,
    parts: Vec<Part>,
}

impl Graph {
    fn of(snapshot: &Snapshot, only: Option<&FlowId>) -> Self {
        let flows: Vec<Drawn> = snapshot
            .flows
            .values()
            .filter(|flow| only.is_none_or(|only| *only == flow.id))
            .map(|flow| Drawn {
                id: flow.id.clone(),
                title: flow.title.clone(),
                enabled: flow.enabled,
                schedule: flow.schedule.as_ref().map(|schedule| schedule.source.clone()),
                run_after: flow.run_after.clone(),
                parts: parts::of(flow),
            })
            .collect();
        let mut shown: BTreeSet<&ConnectionId> =
            flows.iter().flat_map(|flow| &flow.parts).flat_map(Part::uses).collect();
        // Whose permits they use is part of the picture.
        let lenders: Vec<&ConnectionId> =
            shown.iter().filter_map(|id| snapshot.connections.get(*id)?.lender()).collect();
        shown.extend(lenders);
        let connections = snapshot.connections.values().filter(|one| only.is_none() || shown.contains(&one.id));
        let connections = connections.map(|one| Api::of(one)).collect();
        Self { connections, flows }
    }

    fn document(&self) -> Value {
        let connections = self.connections.iter().map(|api| {
            json!({
                "connection": api.id.as_str(),
                "title": api.title,
                "level": api.level,
                "adaptive": api.adaptive,
                "borrows_from": api.borrows.as_ref().map(ConnectionId::as_str),
                "agent": api.agent,
            })
        });
        let flows = self.flows.iter().map(|flow| {
            json!({
                "flow": flow.id.as_str(),
                "title": flow.title,
                "enabled": flow.enabled,
                "schedule": flow.schedule,
                "run_after": flow.run_after.iter().map(FlowId::as_str).collect::<Vec<_>>(),
                "parts": flow.parts.iter().map(Part::document).collect::<Vec<_>>(),
            })
        });
        json!({
            "format": 1,
            "connections": connections.collect::<Vec<_>>(),
            "flows": flows.collect::<Vec<_>>(),
        })
    }

    fn place_of(&self, id: &ConnectionId) -> Option<usize> {
        self.connections.iter().position(|api| api.id == *id)
    }
}

impl Api {
    fn of(connection: &crate::model::connection::Connection) -> Self {
        let (level, adaptive) = connection.level().unzip();
        let borrows = connection.lender().cloned();
        let (id, title, agent) = (connection.id.clone(), connection.title.clone(), connection.agent.clone());
        Self { id, title, level, adaptive: adaptive.unwrap_or(false), borrows, agent }
    }

    /// Its name and what limits it, a line each.
    fn lines(&self) -> Vec<String> {
        let mut lines = named(self.id.as_str(), self.title.as_deref());
        match (self.level, &self.borrows) {
            (Some(level), _) if self.adaptive => lines.push(format!("level up to {level}")),
            (Some(level), _) => lines.push(format!("level {level}")),
            (None, Some(_)) => {}
            (None, None) => lines.push("no level".to_owned()),
        }
        lines.extend(self.agent.as_ref().map(|agent| format!("behind agent {agent}")));
        lines
    }
}

impl Drawn {
    fn lines(&self) -> Vec<String> {
        let mut lines = named(self.id.as_str(), self.title.as_deref());
        lines.extend(self.schedule.as_ref().map(|schedule| format!("schedule {schedule}")));
        if !self.enabled {
            lines.push("disabled".to_owned());
        }
        lines
    }
}

fn named(id: &str, title: Option<&str>) -> Vec<String> {
    std::iter::once(id).chain(title).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
