//! What a flow is made of, in the order in which records go through it: which part follows which, and whom each asks.

use crate::model::flow::Flow;
use crate::model::import::Import;
use crate::model::step::{Action, Step};
use crate::value::id::ConnectionId;
use serde_json::{Value, json};

/// One part of a flow.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Where records come from: the part, and which branch it was.
    pub(super) after: Vec<(usize, Option<String>)>,
    pub(super) reads: Vec<ConnectionId>,
    pub(super) asks: Vec<ConnectionId>,
    pub(super) writes: Vec<ConnectionId>,
}

impl Part {
    pub(super) fn uses(&self) -> impl Iterator<Item = &ConnectionId> {
        self.reads.iter().chain(&self.asks).chain(&self.writes)
    }

    pub(super) fn document(&self) -> Value {
        let ids = |ids: &[ConnectionId]| ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
        json!({
            "kind": self.kind,
            "name": self.name,
            "after": self.after.iter().map(|(part, branch)| json!({ "part": part, "branch": branch })).collect::<Vec<_>>(),
            "reads": ids(&self.reads),
            "asks": ids(&self.asks),
            "writes": ids(&self.writes),
        })
    }
}

type Ends = Vec<(usize, Option<String>)>;

/// The parts of a flow.
pub(super) fn of(flow: &Flow) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut ends: Ends = Vec::new();
    for export in &flow.exports {
        let kind = if flow.webhook.is_some() { "webhook" } else { "export" };
        // What comes by itself is asked of nobody.
        let reads = if flow.webhook.is_some() { Vec::new() } else { unique(export.connections().cloned()) };
        ends.push((parts.len(), None));
        let writes = export.once.iter().map(|_| export.connection.clone()).collect();
        parts.push(Part { kind, name: export.name.clone(), after: Vec::new(), reads, asks: Vec::new(), writes });
    }
    for step in &flow.steps {
        ends = add(&mut parts, step, ends);
    }
    if let Some(import) = &flow.import {
        parts.push(of_import(import, import.name.clone(), ends));
    }
    parts
}

/// Adds a step, and gives where records stand behind it.
fn add(parts: &mut Vec<Part>, step: &Step, after: Ends) -> Ends {
    let place = parts.len();
    let plain = |kind, asks| Part {
        kind,
        name: step.name.clone(),
        after: after.clone(),
        reads: Vec::new(),
        asks,
        writes: Vec::new(),
    };
    match &step.action {
        Action::Transform(_) => parts.push(plain("transform", Vec::new())),
        Action::Keep(_) => parts.push(plain("keep", Vec::new())),
        Action::Lookup(lookup) => parts.push(plain("lookup", unique(lookup.export.connections().cloned()))),
        Action::Import(import) => parts.push(of_import(import, step.name.clone(), after)),
        Action::Route(route) => {
            parts.push(plain("route", Vec::new()));
            let mut ends: Ends = Vec::new();
            for (number, branch) in route.branches.iter().enumerate() {
                let label =
                    branch.when.as_ref().map_or_else(|| "else".to_owned(), |_| format!("branch {}", number + 1));
                let mut at: Ends = vec![(place, Some(label))];
                for step in &branch.steps {
                    at = add(parts, step, at);
                }
                if !branch.end {
                    ends.extend(at);
                }
            }
            // Records that no branch takes go on as they are.
            if route.branches.iter().all(|branch| branch.when.is_some()) {
                ends.push((place, Some("no branch".to_owned())));
            }
            return ends;
        }
    }
    vec![(place, None)]
}

fn of_import(import: &Import, name: String, after: Ends) -> Part {
    let asks = import.check().map(|check| check.connection.clone()).into_iter().collect();
    Part { kind: "import", name, after, reads: Vec::new(), asks, writes: vec![import.connection.clone()] }
}

fn unique(ids: impl Iterator<Item = ConnectionId>) -> Vec<ConnectionId> {
    let mut found: Vec<ConnectionId> = Vec::new();
    for id in ids {
        if !found.contains(&id) {
            found.push(id);
        }
    }
    found
}
