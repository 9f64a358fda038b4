//! How a flow stands, and what a person can do about it: pause it, let it go on, stop its run.
//!
//! A pause is durable: a restart keeps it. It starts nothing more of the flow, by whatever trigger; a run under way goes on
//! to its end unless it is stopped too.

use super::Supervisor;
use crate::runtime::happening::{Happening, Happenings};
use crate::runtime::scope::Lanes;
use crate::runtime::view::FlowView;
use crate::store::{RunRow, Space, Store, StoreError, Write};
use crate::value::id::FlowId;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Everything the supervisor knows about why a flow runs or does not.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its runs.
    pub view: FlowView,
    /// A run that did not end and waits for the flow's next one.
    pub unfinished: Option<RunRow>,
    /// What is damaged of it.
    pub damaged: Option<String>,
    /// Whether the process ends.
    pub draining: bool,
    /// How many may work at once.
    pub most_runs: u32,
}

/// Why no run was stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCancel {
    /// None is under way.
    #[error("no run of flow `{0}` is under way")]
    Idle(FlowId),
    /// Not this one.
    #[error("run `{0}` is not under way")]
    Over(String),
}

impl Supervisor {
    /// Where things are told as they happen.
    pub fn happenings(&self) -> &Happenings {
        &self.happenings
    }

    /// How a flow stands; also of one that is only known from its past.
    pub fn standing(&self, flow: &FlowId) -> Option<Standing> {
        let inner = self.lock();
        let known = inner.active.contains_key(flow)
            || inner.history.get(flow).is_some()
            || inner.unfinished.get(flow).is_some()
            || inner.generation.as_ref().is_some_and(|generation| generation.snapshot.flows.contains_key(flow));
        known.then(|| Standing {
            view: inner.view(flow.clone()),
            unfinished: inner.unfinished.get(flow).cloned(),
            damaged: inner.damaged.get(flow).cloned(),
            draining: inner.draining,
            most_runs: self.most_runs,
        })
    }

    /// The connections in force.
    pub fn lanes(&self) -> Option<Arc<Lanes>> {
        self.lock().generation.as_ref().map(|generation| generation.lanes.clone())
    }

    /// Whether the process ends.
    pub fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// Of each flow the run that did not end and waits, the oldest.
    pub fn all_unfinished(&self) -> HashMap<FlowId, RunRow> {
        let inner = self.lock();
        let rows =
            inner.unfinished.flows().filter_map(|flow| Some((flow.clone(), inner.unfinished.get(flow)?.clone())));
        rows.collect()
    }

    /// Runs under way, with their flows.
    pub fn active(&self) -> Vec<FlowView> {
        let inner = self.lock();
        let mut views: Vec<FlowView> = inner.active.keys().map(|id| inner.view(id.clone())).collect();
        views.sort_by(|a, b| a.id.cmp(&b.id));
        views
    }

    /// Starts nothing of a flow any more. Durable when it returns. False when it was paused already.
    pub async fn pause(&self, flow: &FlowId) -> Result<bool, StoreError> {
        let now = self.services.clock.utc();
        if self.lock().paused.contains_key(flow) {
            return Ok(false);
        }
        self.services.store.commit(vec![save_pause(flow, now)]).await?;
        let mut inner = self.lock();
        inner.paused.insert(flow.clone(), now);
        if let Some(active) = inner.active.get_mut(flow) {
            active.queued = None;
        }
        drop(inner);
        self.happenings.tell(Happening::FlowPaused(flow.clone()));
        Ok(true)
    }

    /// Lets a paused flow start again. False when it was not paused.
    pub async fn unpause(&self, flow: &FlowId) -> Result<bool, StoreError> {
        if !self.lock().paused.contains_key(flow) {
            return Ok(false);
        }
        self.services.store.commit(vec![forget_pause(flow)]).await?;
        self.lock().paused.remove(flow);
        self.happenings.tell(Happening::FlowResumed(flow.clone()));
        // Payloads that came meanwhile.
        self.wake_hooks();
        Ok(true)
    }

    /// Asks the run of a flow to stop: requests in flight finish, what is left waits for the flow's next run. The run.
    pub fn cancel(&self, flow: &FlowId) -> Result<String, NoCancel> {
        let mut inner = self.lock();
        let active = inner.active.get_mut(flow).ok_or_else(|| NoCancel::Idle(flow.clone()))?;
        active.queued = None;
        active.stop.drain.cancel();
        let run = active.run.clone();
        self.services.queue.bar(flow);
        Ok(run)
    }

    /// The same for a run by its identity. The flow.
    pub fn cancel_run(&self, run: &str) -> Result<FlowId, NoCancel> {
        let flow = {
            let inner = self.lock();
            inner.active.iter().find(|(_, active)| active.run == run).map(|(flow, _)| flow.clone())
        };
        let flow = flow.ok_or_else(|| NoCancel::Over(run.to_owned()))?;
        self.cancel(&flow).map(|_| flow)
    }

    /// Reads which flows are paused.
    pub(super) async fn remember_pauses(&self) -> Result<(), StoreError> {
        let paused = paused_flows(self.services.store.as_ref()).await?;
        self.lock().paused = paused.into_iter().collect();
        Ok(())
    }
}

/// Which flows are paused, and since when.
pub async fn paused_flows(store: &dyn Store) -> Result<Vec<(FlowId, DateTime<Utc>)>, StoreError> {
    let mut paused = Vec::new();
    for (key, value) in store.values(Space::Pause).await? {
        let since = serde_json::from_str::<Value>(&value).ok();
        let since = since.and_then(|value| DateTime::parse_from_rfc3339(value["since"].as_str()?).ok());
        if let Ok(flow) = FlowId::parse(&key) {
            // One whose instant cannot be read is paused all the same.
            paused.push((flow, since.map_or(DateTime::UNIX_EPOCH, |since| since.to_utc())));
        }
    }
    Ok(paused)
}

/// The write that pauses a flow.
pub fn save_pause(flow: &FlowId, now: DateTime<Utc>) -> Write {
    let value = json!({ "since": instant(now) }).to_string();
    Write::Put { space: Space::Pause, key: flow.to_string(), value }
}

/// The write that lets it go on.
pub fn forget_pause(flow: &FlowId) -> Write {
    Write::Delete { space: Space::Pause, key: flow.to_string() }
}

pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
