//! Runs that ended because a connection was offline go on as soon as that connection is another one: whoever corrects a
//! secret does not have to wait for the flow's next occasion.

use super::carry::{Plan, Task};
use super::{Inner, Options, Supervisor};
use crate::model::flow::Flow;
use crate::observe::meters::TriggerKind;
use crate::runtime::engine::Generation;
use crate::runtime::run::report::{Ending, Report};
use crate::runtime::scope::Lanes;
use crate::value::id::FlowId;
use std::sync::Arc;

/// A run that ended because a connection was offline.
pub(super) struct Stranded {
    /// The connections it had.
    lanes: Arc<Lanes>,
    /// How it is begun anew, when it had read nothing.
    anew: Option<(TriggerKind, Options)>,
}

impl Supervisor {
    /// A run has ended. Where that is for a connection that was replaced while the run waited for it, what it was to do is
    /// begun again at once; where the connection is the same still, that is done when it is replaced.
    pub(super) fn begin_elsewhere(
        &self,
        inner: &mut Inner,
        generation: &Arc<Generation>,
        plan: &Plan,
        report: &Report,
    ) -> bool {
        let ended = matches!(report.ending, Ending::Offline(_));
        let begins = matches!(plan.task, Task::Begin | Task::GoOn(_)) && !plan.options.dry_run;
        let flow = generation.snapshot.flow_now(&report.flow).cloned();
        let Some(flow) = flow.filter(|flow| ended && begins && flow.has_import()) else { return false };
        // Nothing was read, and nothing waits: then it is read anew.
        let anew = (report.pages == 0 && flow.webhook.is_none())
            .then(|| (plan.trigger, Options { fresh: false, occurrence: None, ..plan.options.clone() }));
        let stranded = Stranded { lanes: plan.generation.lanes.clone(), anew };
        if !replaced(&flow, &stranded.lanes, generation) {
            inner.stranded.insert(flow.id.clone(), stranded);
            return false;
        }
        self.get_going(inner, generation, flow, stranded)
    }

    /// Takes up what waits for connections that the snapshot in force has replaced.
    pub(super) fn reach(&self, inner: &mut Inner) {
        let Some(generation) = inner.generation.clone() else { return };
        let flow = |(id, stranded): (&FlowId, &Stranded)| {
            let flow = generation.snapshot.flows.get(id)?;
            replaced(flow, &stranded.lanes, &generation).then(|| flow.clone())
        };
        let flows: Vec<Arc<Flow>> = inner.stranded.iter().filter_map(flow).collect();
        for flow in flows {
            if let Some(stranded) = inner.stranded.remove(&flow.id) {
                self.get_going(inner, &generation, flow, stranded);
            }
        }
    }

    /// Goes on with what is left of a run, or reads anew what could not be read. True when there is something.
    fn get_going(&self, inner: &mut Inner, now: &Arc<Generation>, flow: Arc<Flow>, stranded: Stranded) -> bool {
        let left = inner.unfinished.get(&flow.id).map(|row| (super::trigger_of(row), Options::default()));
        let Some((trigger, options)) = left.or(stranded.anew).filter(|_| may_begin(inner, &flow.id)) else {
            return false;
        };
        self.begin_or_go_on(inner, now.clone(), flow, trigger, options);
        true
    }
}

fn may_begin(inner: &Inner, flow: &FlowId) -> bool {
    inner.may_start(flow).is_ok() && !inner.active.contains_key(flow)
}

/// Whether one of the flow's connections is another one now.
fn replaced(flow: &Flow, before: &Lanes, now: &Generation) -> bool {
    flow.connections().any(|id| match (before.get(id), now.lanes.get(id)) {
        (Some(before), Some(now)) => !Arc::ptr_eq(&before.client, &now.client),
        (None, Some(_)) => true,
        (_, None) => false,
    })
}
