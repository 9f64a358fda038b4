//! Runs that ended because a connection was offline go on as soon as that connection is another one: whoever corrects a
//! secret does not have to wait for the flow's next occasion.

use super::carry::{Plan, Task};
use super::{Inner, Options, Supervisor};
use crate::model::flow::Flow;
use crate::runtime::engine::Generation;
use crate::runtime::run::report::{Ending, Report};
use crate::runtime::scope::Lanes;
use crate::value::id::FlowId;
use std::sync::Arc;

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
        if !replaced(&flow, &plan.generation.lanes, generation) {
            inner.stranded.insert(flow.id.clone(), plan.generation.lanes.clone());
            return false;
        }
        // Nothing was read, and nothing waits: then it is read now.
        let reads = report.pages == 0 && flow.webhook.is_none();
        if !(reads || inner.unfinished.get(&flow.id).is_some()) || !may_begin(inner, &flow.id) {
            return false;
        }
        let options = Options { fresh: false, occurrence: None, ..plan.options.clone() };
        self.begin_or_go_on(inner, generation.clone(), flow, plan.trigger, options);
        true
    }

    /// Takes up what waits for connections that the snapshot in force has replaced.
    pub(super) fn reach(&self, inner: &mut Inner) {
        let Some(generation) = inner.generation.clone() else { return };
        let stranded: Vec<(FlowId, Arc<Lanes>)> =
            inner.stranded.iter().map(|(id, of)| (id.clone(), of.clone())).collect();
        for (id, lanes) in stranded {
            let flow = generation.snapshot.flows.get(&id).cloned();
            let Some(flow) = flow.filter(|flow| replaced(flow, &lanes, &generation)) else { continue };
            inner.stranded.remove(&id);
            if let Some(row) = inner.unfinished.get(&id)
                && may_begin(inner, &id)
            {
                let trigger = super::trigger_of(row);
                self.begin_or_go_on(inner, generation.clone(), flow, trigger, Options::default());
            }
        }
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
