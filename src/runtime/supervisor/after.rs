//! `run_after`: the good end of a run starts the flows that wait for it. That they are owed a run is stored with the
//! end itself, and let go with the begin of theirs, so that no crash between the two forgets it.

use super::carry::{Plan, Task};
use super::{Inner, Options, Refused, Supervisor};
use crate::model::flow::Flow;
use crate::observe::event;
use crate::observe::meters::TriggerKind;
use crate::runtime::engine::Generation;
use crate::runtime::run::report::{Ending, Report};
use crate::store::{Space, StoreError, Write};
use crate::value::id::FlowId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// Whose end a flow is owed a run for.
#[derive(Serialize, Deserialize)]
struct Owed {
    /// The flow that ended.
    of: FlowId,
    /// Its run.
    run: String,
}

impl Supervisor {
    /// From here on ends of runs start other flows: what `serve` does, and `run` does not.
    pub fn follow_ends(&self) {
        self.lock().follows_ends = true;
    }

    /// Starts what an earlier process owed when it ended.
    pub async fn start_owed(&self) -> Result<(), StoreError> {
        let store = self.services.store.clone();
        for (key, value) in store.values(Space::After).await? {
            let owed = FlowId::parse(&key).ok().zip(serde_json::from_str::<Owed>(&value).ok());
            let mut inner = self.lock();
            let generation = inner.generation.clone();
            let known = owed.as_ref().zip(generation.as_ref()).and_then(|((flow, owed), generation)| {
                let flow = generation.snapshot.flow_now(flow)?;
                let of = generation.snapshot.flow_now(&owed.of)?;
                flow.run_after.contains(&of.id).then(|| (flow.clone(), of.id.clone()))
            });
            match known {
                Some((flow, of)) => self.start_one(&mut inner, &flow, &of),
                // Nobody waits any more.
                None => drop(store.commit(vec![Write::Delete { space: Space::After, key }])),
            }
        }
        Ok(())
    }

    /// What is stored with the end of a run: who is owed one.
    pub(super) fn owed(&self, plan: &Plan, report: &Report) -> Vec<Write> {
        let inner = self.lock();
        let put = |flow: &Arc<Flow>| Write::Put {
            space: Space::After,
            key: flow.id.to_string(),
            value: json!({ "of": plan.id, "run": plan.run }).to_string(),
        };
        let generation = inner.generation.clone().filter(|_| counts(&inner, plan, report));
        generation.map(|generation| waiting(&generation, &plan.id).iter().map(put).collect()).unwrap_or_default()
    }

    /// Starts the flows that run after the one whose run ended.
    pub(super) fn start_followers(&self, inner: &mut Inner, plan: &Plan, report: &Report) {
        let Some(generation) = inner.generation.clone().filter(|_| counts(inner, plan, report)) else { return };
        for flow in waiting(&generation, &plan.id) {
            self.start_one(inner, &flow, &plan.id);
        }
    }

    fn start_one(&self, inner: &mut Inner, flow: &Flow, of: &FlowId) {
        match self.start_within(inner, &flow.id, TriggerKind::RunAfter, Options::default()) {
            Ok(started) => event::run_after_started(&flow.id, of, &started.run),
            // A run of it begins later than this end: it is owed no other.
            Err(Refused::Kept(_) | Refused::Queued(_)) => event::run_after_kept(&flow.id, of),
            // The next process pays it.
            Err(Refused::Draining | Refused::Damaged(..) | Refused::Disabled(_)) => {}
            Err(refused) => {
                event::run_after_skipped(&flow.id, of, &refused.to_string());
                let (space, key) = (Space::After, flow.id.to_string());
                drop(self.services.store.commit(vec![Write::Delete { space, key }]));
            }
        }
    }
}

/// With the begin of a run nothing is owed any more.
pub(super) fn paid(flow: &Flow) -> Option<Write> {
    (!flow.run_after.is_empty()).then(|| Write::Delete { space: Space::After, key: flow.id.to_string() })
}

/// Whether the end of a run is one that others wait for.
fn counts(inner: &Inner, plan: &Plan, report: &Report) -> bool {
    let lasts = !plan.options.dry_run && !matches!(plan.task, Task::Retry(_));
    inner.follows_ends && lasts && report.ending == Ending::Succeeded
}

/// The flows that run after one, by whatever name it ran.
fn waiting(generation: &Generation, ended: &FlowId) -> Vec<Arc<Flow>> {
    let Some(ended) = generation.snapshot.flow_now(ended) else { return Vec::new() };
    let flows = generation.snapshot.flows.values();
    flows.filter(|flow| flow.enabled && flow.has_import() && flow.run_after.contains(&ended.id)).cloned().collect()
}
