//! What earlier processes left: found at start, taken up again, or given up by hand.

use super::carry::Task;
use super::{Launch, Options, Supervisor};
use crate::observe::meters::TriggerKind;
use crate::runtime::past::{Unfinished, ending};
use crate::store::{RunFilter, RunRow, StoreError};
use crate::value::id::FlowId;

/// Runs of earlier processes that are looked at for `status`.
const LOOKED_BACK: u32 = 2_000;

impl Supervisor {
    /// Takes up what earlier processes left. Nothing is started yet.
    pub async fn look_back(&self) -> Result<(), StoreError> {
        let (store, now) = (&self.services.store, self.services.clock.utc());
        let unfinished = Unfinished::find(store.as_ref(), self.services.epoch, now).await?;
        let last = store.runs(RunFilter { limit: Some(LOOKED_BACK), ..RunFilter::default() }).await?;
        self.remember_calls().await?;
        self.remember_pauses().await?;
        let mut inner = self.lock();
        inner.unfinished = unfinished;
        for damage in store.damage() {
            if let Some(flow) = damage.flow {
                inner.damaged.insert(flow, damage.text);
            }
        }
        for row in last.iter().rev() {
            inner.history.remember(row, ending(row));
        }
        if let Some(generation) = inner.generation.clone() {
            inner.follow(&generation.snapshot, store.as_ref());
            for flow in generation.snapshot.flows.keys() {
                if let Some(at) = inner.history.get(flow).and_then(|history| history.last_success) {
                    generation.meters(flow).succeeded(at);
                }
            }
        }
        Ok(())
    }

    /// Takes up every run that did not end.
    pub fn resume_all(&self) {
        let mut inner = self.lock();
        let (false, Some(generation)) = (inner.draining, inner.generation.clone()) else { return };
        let flows: Vec<FlowId> = inner.unfinished.flows().cloned().collect();
        for id in flows {
            if inner.active.contains_key(&id) || inner.damaged.contains_key(&id) || inner.paused.contains_key(&id) {
                continue;
            }
            if let Some(row) = inner.unfinished.take(&id) {
                let flow = generation.snapshot.flows.get(&id).cloned();
                let trigger = trigger_of(&row);
                self.launch(
                    &mut inner,
                    Launch {
                        generation: generation.clone(),
                        flow,
                        id,
                        trigger,
                        options: Options::default(),
                        task: Task::GoOn(Box::new(row)),
                    },
                );
            }
        }
    }

    /// Gives up what did not end of a flow. True when there was something.
    pub async fn give_up(&self, flow: &FlowId) -> Result<bool, StoreError> {
        let mut any = false;
        loop {
            let row = self.lock().unfinished.take(flow);
            let Some(row) = row else { return Ok(any) };
            self.dismiss(&row).await?;
            any = true;
        }
    }

    /// The run of a flow that did not end and waits.
    pub fn unfinished(&self, flow: &FlowId) -> Option<RunRow> {
        self.lock().unfinished.get(flow).cloned()
    }
}

/// What a run that goes on was started by.
pub(super) fn trigger_of(row: &RunRow) -> TriggerKind {
    match row.trigger.as_str() {
        "schedule" => TriggerKind::Schedule,
        "retry" => TriggerKind::Retry,
        "webhook" => TriggerKind::Webhook,
        "run_after" => TriggerKind::RunAfter,
        _ => TriggerKind::Manual,
    }
}
