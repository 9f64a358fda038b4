//! `run_after` over all flows: each name stands for a flow, and no flow waits for itself.

use super::decode::connection::Named;
use super::decode::file::{File, Finding};
use super::suggest;
use crate::value::id::FlowId;
use std::collections::{BTreeMap, BTreeSet};

/// A flow's file, its id, and what it runs after.
pub(super) type Waiting<'f> = (&'f File<'f>, &'f FlowId, &'f [Named<FlowId>]);

/// Reports names of flows that are not there, and circles, each once.
pub(super) fn check<'f>(flows: impl Iterator<Item = Waiting<'f>>, ids: &[&FlowId]) {
    let known: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let mut after: BTreeMap<&FlowId, (&File<'_>, &[Named<FlowId>])> = BTreeMap::new();
    for (file, id, named) in flows {
        for one in named.iter().filter(|one| !ids.contains(&&one.value)) {
            let finding = Finding::error("unknown-flow", format!("there is no flow `{}`", one.value));
            let none = || Some(format!("add `flows/{}.toml`, or name another flow", one.value));
            let help = suggest::help(one.value.as_str(), &known).or_else(none);
            file.report(finding.at(one.at.clone()).key(&one.key).help_if(help));
        }
        after.insert(id, (file, named));
    }
    let mut told: BTreeSet<&FlowId> = BTreeSet::new();
    for id in after.keys() {
        if !told.contains(id)
            && let Some(circle) = circle_through(id, &after)
        {
            told.extend(&circle);
            report(&circle, &after);
        }
    }
}

/// The shortest way from a flow back to itself.
fn circle_through<'f>(
    start: &'f FlowId,
    after: &BTreeMap<&'f FlowId, (&File<'_>, &'f [Named<FlowId>])>,
) -> Option<Vec<&'f FlowId>> {
    let mut from: BTreeMap<&FlowId, &FlowId> = BTreeMap::new();
    let mut layer = vec![start];
    while !layer.is_empty() {
        let mut next = Vec::new();
        for id in layer {
            for one in after.get(id).map_or(&[][..], |(_, named)| named) {
                if one.value == *start {
                    let mut way = vec![id];
                    while let Some(before) = way.last().and_then(|last| from.get(*last)) {
                        way.push(before);
                    }
                    way.reverse();
                    return Some(way);
                }
                if !from.contains_key(&one.value) {
                    from.insert(&one.value, id);
                    next.push(&one.value);
                }
            }
        }
        layer = next;
    }
    None
}

fn report(circle: &[&FlowId], after: &BTreeMap<&FlowId, (&File<'_>, &[Named<FlowId>])>) {
    let Some((first, (file, named))) = circle.first().and_then(|first| Some((*first, after.get(first)?))) else {
        return;
    };
    let next = circle.get(1).copied().unwrap_or(first);
    let Some(place) = named.iter().find(|one| one.value == *next) else { return };
    let message = if circle.len() == 1 {
        format!("flow `{first}` runs after itself")
    } else {
        let way: Vec<String> = circle[1..].iter().chain([&first]).map(|id| format!("`{id}`")).collect();
        format!("flows run after one another in a circle: `{first}` after {}", way.join(", that after "))
    };
    let finding = Finding::error("run-after-circle", message);
    file.report(finding.at(place.at.clone()).key(&place.key).help("take one of them out of a `run_after`"));
}
