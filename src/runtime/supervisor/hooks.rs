//! Payloads on their way into runs. One that was taken is the page of a run that waits: the first opens it, those that
//! come while the flow is busy join it, and the flow's next run takes them all. So nothing is taken that a restart
//! would not find, their order is the order of their taking, and one run of a flow at a time holds for them too.

mod gather;

use super::carry::Task;
use super::{Inner, Launch, Options, Refused, Supervisor};
use crate::http::client::Client;
use crate::model::flow::Flow;
use crate::model::webhook::Webhook;
use crate::observe::event;
use crate::observe::meters::{TriggerKind, WebhookMeters};
use crate::runtime::engine::Generation;
use crate::runtime::webhook::seen::Seen;
use crate::runtime::webhook::verify::Call;
use crate::runtime::webhook::{Answer, Outcome, Payload, Refusal, examine};
use crate::store::{Health, Space, StoreError, Write};
use crate::value::id::FlowId;
use crate::value::time::Mono;
use chrono::{DateTime, SecondsFormat, Utc};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// For how long a refusal of a kind is told once.
const TOLD_ONCE: Duration = Duration::from_secs(10);
/// Time a call may wait for the disk.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is known of webhooks beside the runs that wait.
#[derive(Default)]
pub(super) struct Hooks {
    /// Runs that payloads may still join.
    gathering: HashSet<String>,
    /// Ids of payloads that were taken.
    seen: HashMap<FlowId, Seen>,
    /// Flows whose last run left records: they are not started again by every call.
    resting: HashSet<FlowId>,
    /// When a refusal was last told.
    told: HashMap<(FlowId, Outcome), Mono>,
    /// Whether the runs of payloads follow each other by themselves.
    following: bool,
}

/// A webhook of the snapshot in force.
#[derive(Clone)]
pub struct Hook {
    generation: Arc<Generation>,
    /// Its flow.
    pub flow: Arc<Flow>,
    webhook: Arc<Webhook>,
    /// Of the connection its records go to: its media options are the payloads' too, now and when they are read again.
    client: Arc<Client>,
    meters: Arc<WebhookMeters>,
}

impl Hook {
    /// Most bytes of a body.
    pub fn max_body(&self) -> usize {
        usize::try_from(self.webhook.max_body).unwrap_or(usize::MAX)
    }
}

impl Supervisor {
    /// The webhook at a path below `/hooks/`.
    pub fn hook(&self, path: &str) -> Option<Hook> {
        let generation = self.lock().generation.clone()?;
        let (id, meters) = generation.hooks.get(path)?.clone();
        let flow = generation.snapshot.flows.get(&id)?.clone();
        let webhook = flow.webhook.clone()?;
        let client = generation.lanes.get(&flow.exports.first()?.connection)?.client.clone();
        Some(Hook { generation, flow, webhook, client, meters })
    }

    /// Whether a call could be taken now, before its body is read.
    pub fn takes_calls(&self, hook: &Hook) -> Result<(), Refusal> {
        if let Health::Failing { cause, .. } = &*self.services.store.health().borrow() {
            return Err(Refusal::Unavailable(format!("the state cannot be written: {cause}")));
        }
        match self.lock().may_start(&hook.flow.id) {
            // What comes to a paused flow is kept for when it goes on.
            Ok(_) | Err(Refused::Paused(..)) => Ok(()),
            Err(why) => Err(Refusal::Unavailable(why.to_string())),
        }
    }

    /// Judges a call and takes its payload. What it gives is durable.
    pub async fn take_call(&self, hook: &Hook, call: Call<'_>) -> Result<Answer, Refusal> {
        let payload = examine(&hook.flow, &hook.webhook, &hook.client.settings().media, call)?;
        self.takes_calls(hook)?;
        let answer = payload.reply.clone();
        let (id, writing) = self.take_in(hook, payload)?;
        let clock = &self.services.clock;
        let written = tokio::select! {
            written = writing.pending => written.map_err(|error| error.to_string()),
            // Nothing of it is taken back: should it become durable after all, the caller's next try finds its id.
            () = clock.sleep_until(clock.mono().plus(PATIENCE)) => return Err(Refusal::Unavailable("the disk is slow".to_owned())),
        };
        if let Err(cause) = written {
            if let (Some(id), false) = (&id, writing.repeated)
                && let Some(seen) = self.lock().hooks.seen.get_mut(&hook.flow.id)
            {
                seen.take_back(id);
            }
            return Err(Refusal::Unavailable(cause));
        }
        let outcome = if writing.repeated { Outcome::Duplicate } else { Outcome::Accepted };
        hook.meters.called(outcome as usize);
        Ok(answer)
    }

    /// Counts and tells a call that was not taken.
    pub fn refused_call(&self, hook: &Hook, refusal: &Refusal) {
        let (outcome, now) = (refusal.outcome(), self.services.clock.mono());
        hook.meters.called(outcome as usize);
        let mut inner = self.lock();
        let key = (hook.flow.id.clone(), outcome);
        let first = inner.hooks.told.get(&key).is_none_or(|last| now.since(*last) >= TOLD_ONCE);
        if first {
            inner.hooks.told.insert(key, now);
        }
        drop(inner);
        event::webhook_refused(&hook.flow.id, outcome as usize, refusal.status(), &refusal.to_string(), first);
    }

    /// Under one lock: known already, or the next page of the run that waits. The store keeps the order of commits, so what
    /// is answered after a later one is durable.
    fn take_in(&self, hook: &Hook, payload: Payload) -> Result<(Option<String>, Writing), Refusal> {
        let (flow, now) = (&hook.flow, self.services.clock.utc());
        let mut inner = self.lock();
        let put = |id: &String| Write::Put { space: Space::Webhook, key: key(&flow.id, id), value: instant(now) };
        // Under a former name too, as long as a run of that one is under way.
        let names = || std::iter::once(&flow.id).chain(&flow.formerly);
        let known = |id: &&String| names().any(|name| inner.hooks.seen.get(name).is_some_and(|seen| seen.has(id)));
        if let Some(id) = payload.id.as_ref().filter(known) {
            event::webhook_repeated(&flow.id);
            // Durable after the first one, whatever has become of that.
            let pending = self.services.store.commit(vec![put(id)]);
            return Ok((payload.id.clone(), Writing { pending, repeated: true }));
        }
        if inner.waiting(&flow.id) >= hook.webhook.max_waiting {
            return Err(Refusal::Full);
        }
        let mut writes = Vec::new();
        if payload.records > 0 {
            writes = self.gather(&mut inner, hook, &payload, now);
        }
        if let Some(id) = &payload.id {
            let seen = inner.hooks.seen.entry(flow.id.clone()).or_default();
            let gone = seen.add(id, now, hook.webhook.id_window.max(Duration::from_mins(1)));
            writes.push(put(id));
            writes.extend(gone.iter().map(|id| Write::Delete { space: Space::Webhook, key: key(&flow.id, id) }));
        }
        let pending = self.services.store.commit(writes);
        if !inner.hooks.resting.contains(&flow.id) {
            self.take_up(&mut inner, &hook.generation, &flow.id);
        }
        Ok((payload.id, Writing { pending, repeated: false }))
    }

    /// Starts what waits of a flow, unless something of it is under way.
    fn take_up(&self, inner: &mut Inner, generation: &Arc<Generation>, id: &FlowId) {
        let Some(flow) = generation.snapshot.flows.get(id).filter(|flow| flow.enabled).cloned() else { return };
        let barred = inner.draining || inner.damaged.contains_key(id) || inner.paused.contains_key(id);
        if barred || inner.running(&flow, &generation.snapshot).is_some() {
            return;
        }
        if let Some(row) = inner.unfinished.take(id) {
            let (trigger, options) = (super::trigger_of(&row), Options::default());
            let task = Task::GoOn(Box::new(row));
            let generation = generation.clone();
            self.launch(inner, Launch { generation, flow: Some(flow), id: id.clone(), trigger, options, task });
        }
    }

    /// After a run: the next one, when payloads wait for it. One that left records rests until [`Supervisor::wake_hooks`].
    pub(super) fn follow_up(&self, inner: &mut Inner, generation: &Arc<Generation>, id: &FlowId, run: &str) {
        if !inner.hooks.following {
            return;
        }
        match inner.unfinished.get(id) {
            Some(row) if row.id == run => {
                inner.hooks.resting.insert(id.clone());
            }
            Some(row) if row.trigger == TriggerKind::Webhook.label() => self.take_up(inner, generation, id),
            _ => {}
        }
    }

    /// Starts all that waits, also what did not come to its end before.
    pub fn wake_hooks(&self) {
        let mut inner = self.lock();
        let Some(generation) = inner.generation.clone() else { return };
        inner.hooks.resting.clear();
        let waits =
            |id: &&FlowId| inner.unfinished.get(id).is_some_and(|row| row.trigger == TriggerKind::Webhook.label());
        let flows: Vec<FlowId> = inner.unfinished.flows().filter(waits).cloned().collect();
        for id in flows {
            self.take_up(&mut inner, &generation, &id);
        }
    }

    /// From here on the runs of payloads follow each other by themselves.
    pub fn follow_hooks(&self) {
        self.lock().hooks.following = true;
    }

    /// Whether a run of payloads waits behind the one named, which ended.
    pub fn has_payloads(&self, flow: &FlowId, behind: &str) -> bool {
        let inner = self.lock();
        let first = inner.unfinished.get(flow);
        first.is_some_and(|row| row.id != behind && row.trigger == TriggerKind::Webhook.label())
    }

    /// Reads which calls were taken.
    pub(super) async fn remember_calls(&self) -> Result<(), StoreError> {
        let mut stored: HashMap<FlowId, Vec<(DateTime<Utc>, String)>> = HashMap::new();
        for (key, value) in self.services.store.values(Space::Webhook).await? {
            let parsed = key.split_once(' ').and_then(|(flow, id)| {
                let at = DateTime::parse_from_rfc3339(&value).ok()?.to_utc();
                Some((FlowId::parse(flow).ok()?, (at, id.to_owned())))
            });
            if let Some((flow, entry)) = parsed {
                stored.entry(flow).or_default().push(entry);
            }
        }
        let seen = stored.into_iter().map(|(flow, ids)| (flow, Seen::of(ids))).collect();
        self.lock().hooks.seen = seen;
        Ok(())
    }

    /// Sets the gauges of payloads that wait.
    pub(super) fn report_waiting(&self, generation: &Generation) {
        let inner = self.lock();
        for (id, meters) in generation.hooks.values() {
            meters.waiting(inner.waiting(id));
        }
    }
}

/// A commit on its way.
struct Writing {
    pending: crate::store::Pending<crate::store::Receipt>,
    repeated: bool,
}

impl Hooks {
    /// A run was launched: nothing joins it any more.
    pub(super) fn launched(&mut self, run: &str) {
        self.gathering.remove(run);
    }

    /// A flow goes by a new name.
    pub(super) fn rename(&mut self, from: &FlowId, to: &FlowId) {
        if let Some(seen) = self.seen.remove(from) {
            self.seen.entry(to.clone()).or_default().join(seen);
        }
    }
}

impl Inner {
    /// Payloads of a flow that wait for their run. Of one that was cut off all count.
    fn waiting(&self, id: &FlowId) -> u64 {
        let runs = self.unfinished.of(id).iter().filter(|row| row.trigger == TriggerKind::Webhook.label());
        runs.map(|row| row.tally.pages).sum()
    }
}

fn key(flow: &FlowId, id: &str) -> String {
    format!("{flow} {id}")
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
