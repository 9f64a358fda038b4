//! What the owner of the state does for other commands: runs flows, tells what became of runs, acts on error records,
//! writes values. Every write goes through here, so that a state directory has one writer.

use super::errors::{self, Retried};
use super::run::{Asked, Counts, Options, Report};
use crate::observe::event;
use crate::observe::meters::TriggerKind;
use crate::observe::task;
use crate::runtime::past::ending;
use crate::runtime::supervisor::{Started, Supervisor, forget_pause, paused_flows, save_pause};
use crate::runtime::view::FlowView;
use crate::store::socket::{CancelAsk, Denied, ErrorAsk, MOST_NAMED, RetryBegun, RunAsk, StartedRun, ValueAsk};
use crate::store::{ErrorFilter, Health, RunKind, RunRow, Space, Store, StoreError, Write};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Reports kept for whoever asks.
const KEPT_REPORTS: usize = 256;
/// Error records in all of them.
const KEPT_ERRORS: usize = 20_000;

/// A run as the owner knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KnownRun {
    /// Its identity.
    pub run: String,
    /// Why its requests wait, though it goes on: nobody should have to ask.
    #[serde(default)]
    pub waits: Option<String>,
    /// Live figures, while it goes on.
    pub live: Option<LiveRun>,
    /// Its report, when it was started for somebody and ended not long ago.
    pub report: Option<Report>,
    /// As it is stored; none when it is not, or not yet.
    pub row: Option<RunRow>,
}

/// A run under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRun {
    /// Records so far.
    pub counts: Counts,
    /// Pages so far.
    pub pages: u64,
    /// How many records are expected, when the source said so.
    pub total: Option<u64>,
}

/// Reports of runs that somebody waits for.
#[derive(Default)]
struct Reports {
    /// Of runs under way.
    waiting: HashSet<String>,
    /// The newest last.
    ended: VecDeque<Report>,
}

impl Reports {
    fn trim(&mut self) {
        let errors = |reports: &VecDeque<Report>| reports.iter().map(|report| report.errors.len()).sum::<usize>();
        while self.ended.len() > KEPT_REPORTS || (self.ended.len() > 1 && errors(&self.ended) > KEPT_ERRORS) {
            self.ended.pop_front();
        }
    }

    /// Gives a report away: who asked for the run asks once.
    fn take(&mut self, run: &str) -> Option<Report> {
        let at = self.ended.iter().position(|report| report.run == run)?;
        self.ended.remove(at)
    }
}

/// Where other commands are served.
#[derive(Clone)]
pub(super) struct Desk {
    supervisor: Supervisor,
    reports: Arc<Mutex<Reports>>,
    /// One at a time acts on error records: an edit never races with a retry.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Error records may have changed.
    changed: Arc<Notify>,
}

impl Desk {
    pub(super) fn new(supervisor: Supervisor) -> Self {
        Self { supervisor, reports: Arc::default(), turn: Arc::default(), changed: Arc::default() }
    }

    /// Told whenever error records may have changed by hand.
    pub(super) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Held while error records are acted on.
    pub(super) fn turn(&self) -> Arc<tokio::sync::Mutex<()>> {
        self.turn.clone()
    }

    /// Starts runs.
    pub(super) async fn run(&self, ask: RunAsk) -> Result<Value, String> {
        self.takes_writes()?;
        few(ask.flows.len())?;
        let asked = Asked { since: ask.since, until: ask.until };
        let options = Options { limit: ask.limit, exports: ask.exports, fresh: ask.fresh, asked, ..Options::default() };
        let mut runs: Vec<StartedRun> = Vec::new();
        for flow in ask.flows {
            if ask.fresh && !self.is_running(&flow) {
                self.supervisor.give_up(&flow).await.map_err(text)?;
            }
            let started = self.supervisor.start(&flow, TriggerKind::Manual, options.clone());
            runs.push(errors::told(flow, 0, &started));
            self.keep_report(started.ok());
        }
        Ok(json!(runs))
    }

    /// What is known of runs.
    pub(super) async fn runs(&self, ids: Vec<String>) -> Result<Value, String> {
        few(ids.len())?;
        let views = self.supervisor.view();
        let live = |id: &str| {
            let running = views.iter().filter_map(|view| view.running.as_ref()).find(|running| running.run == id)?;
            Some(LiveRun { counts: running.counts, pages: running.pages, total: running.total })
        };
        let (snapshot, mut offline) = (self.supervisor.snapshot(), self.supervisor.offline());
        // An agent that is away is no refusal.
        let refusing = |id: &str| {
            snapshot.as_ref().is_some_and(|snapshot| {
                snapshot
                    .connections
                    .iter()
                    .any(|(known, connection)| known.as_str() == id && connection.agent.is_none())
            })
        };
        offline.retain(|id, _| refusing(id));
        let held = |id: &str| {
            let is_it = |view: &&FlowView| view.running.as_ref().is_some_and(|running| running.run == id);
            let flow = snapshot.as_ref()?.flows.get(&views.iter().find(is_it)?.id)?;
            super::status::waits(flow, &offline)
        };
        let mut known = Vec::with_capacity(ids.len());
        for run in ids {
            // One that ended just now, and whose report is still on its way, goes on a moment longer.
            let (report, waits) = self.report(&run);
            let live = live(&run).or_else(|| waits.then(LiveRun::default)).filter(|_| report.is_none());
            let row = self.supervisor.services().store.run(&run).await.map_err(text)?;
            let waits = held(&run).filter(|_| live.is_some());
            known.push(KnownRun { run, waits, live, report, row });
        }
        serde_json::to_value(known).map_err(|error| error.to_string())
    }

    /// Begins to try error records again.
    pub(super) async fn retry(&self, filter: ErrorFilter) -> Result<Value, String> {
        self.takes_writes()?;
        few(filter.ids.len())?;
        let _turn = self.turn.lock().await;
        let Retried { flows, next } = errors::retry(&self.supervisor, filter).await.map_err(text)?;
        let mut begun = RetryBegun { runs: Vec::new(), next };
        for (flow, count, started) in flows {
            begun.runs.push(errors::told(flow, count, &started));
            self.keep_report(started.ok());
        }
        Ok(json!(begun))
    }

    /// Looks at error records, or changes them.
    pub(super) async fn errors(&self, ask: ErrorAsk) -> Result<Value, String> {
        let services = self.supervisor.services();
        let what = match &ask {
            ErrorAsk::List { filter, .. } | ErrorAsk::Groups { filter } => {
                few(filter.ids.len())?;
                return errors::answer(services.store.as_ref(), ask, services.clock.utc()).await;
            }
            ErrorAsk::Resolve { .. } => "errors resolved",
            ErrorAsk::Purge { .. } => "errors purged",
            ErrorAsk::Edit { .. } => "errors edited",
        };
        self.takes_writes()?;
        let _turn = self.turn.lock().await;
        if let ErrorAsk::Edit { id, .. } = &ask {
            self.is_not_retried(*id).await?;
        }
        let answer = errors::answer(services.store.as_ref(), ask, services.clock.utc()).await?;
        self.changed.notify_one();
        let count = ["resolved", "purged"].iter().find_map(|name| answer[name].as_u64());
        event::written_by_hand(what, count.unwrap_or(1));
        Ok(answer)
    }

    /// Writes a value.
    pub(super) async fn set(&self, ask: ValueAsk) -> Result<Value, String> {
        self.takes_writes()?;
        let named = Space::named(&ask.space).filter(|space| *space != Space::Meta);
        let space = named.ok_or_else(|| format!("there is no space `{}` that can be written", ask.space))?;
        let key = ask.key;
        let write = match ask.value {
            Some(value) => Write::Put { space, key, value },
            None => Write::Delete { space, key },
        };
        self.supervisor.services().store.commit(vec![write]).await.map_err(text)?;
        event::written_by_hand("value", 1);
        Ok(json!({ "written": 1 }))
    }

    /// Pauses flows, or lets them go on.
    pub(super) async fn pause(&self, flows: &[FlowId], pause: bool) -> Result<Value, Denied> {
        self.takes_writes().map_err(Denied::unavailable)?;
        few(flows.len()).map_err(Denied::invalid)?;
        if let Some(unknown) = flows.iter().find(|flow| self.supervisor.standing(flow).is_none()) {
            return Err(Denied::unknown(format!("there is no flow `{unknown}`")));
        }
        let mut changed = Vec::new();
        for flow in flows {
            let done = if pause { self.supervisor.pause(flow).await } else { self.supervisor.unpause(flow).await };
            if done.map_err(|error| Denied::unavailable(error.to_string()))? {
                changed.push(flow.as_str());
            }
        }
        if !changed.is_empty() {
            event::written_by_hand(if pause { "flows paused" } else { "flows resumed" }, changed.len() as u64);
        }
        Ok(json!({ "paused": pause, "changed": changed }))
    }

    /// Asks a run to stop.
    pub(super) fn cancel(&self, ask: CancelAsk) -> Result<Value, Denied> {
        let (flow, run) = match ask {
            CancelAsk { run: Some(run), flow: None } => {
                let flow = self.supervisor.cancel_run(&run).map_err(|error| Denied::conflict(error.to_string()))?;
                (flow, run)
            }
            CancelAsk { run: None, flow: Some(flow) } => {
                let run = self.supervisor.cancel(&flow).map_err(|error| Denied::conflict(error.to_string()))?;
                (flow, run)
            }
            _ => return Err(Denied::invalid("name either a `run` or a `flow`")),
        };
        event::written_by_hand("run cancelled", 1);
        Ok(json!({ "flow": flow.as_str(), "run": run, "stopping": true }))
    }

    /// A write would wait until the disk takes it, and whoever asked gives up before.
    fn takes_writes(&self) -> Result<(), String> {
        match &*self.supervisor.services().store.health().borrow() {
            Health::Good => Ok(()),
            Health::Failing { cause, .. } => Err(format!("the state cannot be written now: {cause}")),
        }
    }

    fn is_running(&self, flow: &FlowId) -> bool {
        self.supervisor.view().iter().any(|view| view.id == *flow && view.running.is_some())
    }

    /// What a retry works on would be overwritten by its outcome.
    async fn is_not_retried(&self, id: u64) -> Result<(), String> {
        let store = &self.supervisor.services().store;
        let rows = store.errors(ErrorFilter { ids: vec![id], ..ErrorFilter::default() }).await.map_err(text)?;
        for row in rows {
            let views = self.supervisor.view();
            let running = views.iter().find(|view| view.id == row.flow).and_then(|view| view.running.as_ref());
            let Some(running) = running else { continue };
            let run = store.run(&running.run).await.map_err(text)?;
            if run.is_none_or(|run| run.kind == RunKind::Retry) {
                return Err(format!(
                    "error records of flow `{}` are being retried: edit it when that has ended",
                    row.flow
                ));
            }
        }
        Ok(())
    }

    fn keep_report(&self, started: Option<Started>) {
        let Some(started) = started else { return };
        self.lock().waiting.insert(started.run.clone());
        let this = self.clone();
        task::spawn("report", async move {
            let report = started.report.await;
            let mut reports = this.lock();
            reports.waiting.remove(&started.run);
            reports.ended.extend(report);
            reports.trim();
        });
    }

    fn report(&self, run: &str) -> (Option<Report>, bool) {
        let mut reports = self.lock();
        let report = reports.take(run);
        (report, reports.waiting.contains(run))
    }

    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pauses flows in a store that nobody else owns, or lets them go on. Those that changed.
pub async fn pause_stored(
    store: &dyn Store,
    flows: &[FlowId],
    pause: bool,
    now: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let before: HashSet<FlowId> = paused_flows(store).await?.into_iter().map(|(flow, _)| flow).collect();
    let changed: Vec<&FlowId> = flows.iter().filter(|flow| before.contains(flow) != pause).collect();
    let write = |flow: &&FlowId| if pause { save_pause(flow, now) } else { forget_pause(flow) };
    if !changed.is_empty() {
        store.commit(changed.iter().map(write).collect()).await?;
    }
    Ok(changed.into_iter().map(ToString::to_string).collect())
}

/// What the stored row of a run tells, when its report is gone: no single error records.
pub fn report_of(row: &RunRow) -> Report {
    let took = row.ended.and_then(|ended| (ended - row.started).to_std().ok()).unwrap_or_default();
    Report {
        flow: row.flow.clone(),
        run: row.id.clone(),
        ending: ending(row),
        counts: Counts::from(row.tally),
        pages: row.tally.pages,
        requests: row.tally.requests,
        took,
        errors: Vec::new(),
        passed: Vec::new(),
        steps: row.steps.clone(),
    }
}

fn few(named: usize) -> Result<(), String> {
    if named > MOST_NAMED {
        return Err(format!("{named} are named, and at most {MOST_NAMED} can be asked about at once"));
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn text(error: StoreError) -> String {
    error.to_string()
}
