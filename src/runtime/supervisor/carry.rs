//! One run from its slot to its account: it begins in the store before anything is sent, and ends there before
//! anything is told.
// size: a run from its slot to its durable end, in the order in which it happens.

use super::after::paid;
use super::{Options, Supervisor};
use crate::model::flow::Flow;
use crate::observe::event;
use crate::observe::logs::kept;
use crate::observe::meters::{RecordOutcome, TriggerKind};
use crate::observe::traces::Trace;
use crate::runtime::engine::{Generation, Services};
use crate::runtime::export::delta::{Asked, Marks};
use crate::runtime::run::identity::run_json;
use crate::runtime::run::report::{Ending, Progress, Report, RunError};
use crate::runtime::run::state::Counts;
use crate::runtime::run::{Resume, run};
use crate::runtime::schedule::Mark;
use crate::runtime::scope::{Scope, Stop, Work};
use crate::store::{ErrorRow, Phase, Receipt, Refusal, RunKind, RunRow, Space, Store, StoreError, Tally, Write};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use serde_json::json;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Time for a run's last words in the store when it was cut short.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// What a run is started with.
pub(super) struct Plan {
    pub(super) generation: Arc<Generation>,
    /// As it is now; none when the flow is gone and the run is an old one.
    pub(super) flow: Option<Arc<Flow>>,
    pub(super) id: FlowId,
    pub(super) run: String,
    pub(super) started: DateTime<Utc>,
    pub(super) trigger: TriggerKind,
    pub(super) options: Options,
    pub(super) task: Task,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: Stop,
    pub(super) store: Arc<dyn Store>,
}

/// What is to be done.
pub(super) enum Task {
    /// The export, from its beginning.
    Begin,
    /// A run that did not end goes on.
    GoOn(Box<RunRow>),
    /// Open error records are tried again.
    Retry(Vec<ErrorRow>),
}

impl Supervisor {
    /// A panic fails this run, never the process.
    pub(super) async fn carry(self, plan: Plan, tell: oneshot::Sender<Report>) {
        let slot = tokio::select! {
            slot = self.slots.clone().acquire_owned() => slot.ok(),
            () = plan.stop.drain.cancelled() => None,
        };
        let clock = self.services.clock.clone();
        let since = clock.mono();
        if slot.is_some() {
            plan.progress.begin();
        }
        self.keep_lines(&plan).await;
        let report = match slot {
            None => self.not_begun(&plan, Ending::Cancelled),
            Some(_) => match self.ready(&plan).await {
                Err(ending) => self.not_begun(&plan, ending),
                Ok(scope) => {
                    let ended = AssertUnwindSafe(run(&scope)).catch_unwind().await;
                    let panicked = ended.is_err();
                    let report = ended.unwrap_or_else(|_| Report {
                        counts: scope.progress.counts(),
                        pages: scope.progress.pages(),
                        took: clock.mono().since(since),
                        ..early(&plan, Ending::Fault(self::panicked()))
                    });
                    self.close(&plan, &scope, &report, panicked).await;
                    scope.trace.end(&report.summary(plan.trigger));
                    report
                }
            },
        };
        drop(slot);
        event::run_finished(&plan.generation.meters(&plan.id), &report.summary(plan.trigger), clock.utc());
        kept::end(&plan.run);
        self.finished(&plan, &report);
        // Nobody waits for scheduled runs: a closed receiver is normal.
        let _ = tell.send(report);
        self.running.send_modify(|count| *count -= 1);
    }

    /// Log lines of the run are stored with its end; those of one that goes on follow what it had.
    async fn keep_lines(&self, plan: &Plan) {
        let before = match &plan.task {
            Task::GoOn(row) => plan.store.value(Space::Log, &row.id).await.ok().flatten(),
            Task::Begin | Task::Retry(_) => None,
        };
        kept::begin(&plan.run, before.as_deref());
    }

    /// A run that came to nothing; one that was to go on waits as before.
    fn not_begun(&self, plan: &Plan, ending: Ending) -> Report {
        event::run_started(&plan.generation.meters(&plan.id), &plan.id, &plan.run, plan.trigger);
        if let Task::GoOn(row) = &plan.task {
            self.lock().unfinished.add(row.as_ref().clone());
        }
        early(plan, ending)
    }

    /// Puts together what the run needs, and makes durable that it begins.
    async fn ready(&self, plan: &Plan) -> Result<Scope, Ending> {
        let flow = match &plan.task {
            Task::GoOn(row) => self.flow_of(plan, row).await,
            Task::Begin | Task::Retry(_) => plan.flow.clone().ok_or_else(|| "the flow is gone".to_owned()),
        };
        let flow = flow.map_err(|text| Ending::ExportFailed(RunError { place: "start".to_owned(), text }))?;
        let (work, limit, exports, asked) = match &plan.task {
            Task::Begin => {
                let Options { limit, exports, asked, .. } = plan.options.clone();
                (Work::Export(None), limit, exports, asked)
            }
            Task::Retry(errors) => (Work::Retry(errors.clone()), None, Vec::new(), Asked::default()),
            Task::GoOn(row) => {
                // First, and not only to count: the store keeps its order, so payloads that joined this run up to now are
                // in it once that is durable.
                self.go_on(plan, row).await?;
                let asked = Asked { since: row.since, until: row.until };
                let resume = self.resume(plan, row).await.map_err(|error| fault(&error))?;
                (Work::Export(Some(resume)), row.limit, row.exports.clone(), asked)
            }
        };
        if !matches!(plan.task, Task::GoOn(_)) {
            self.begin(plan, &flow).await?;
        }
        // A reload may drop a connection this run still needs: its lines stay open until the run ends.
        let lanes = &plan.generation.lanes;
        let kept = flow.connections().filter_map(|id| self.services.queue.keep_open(&lanes.get(id)?.line).ok());
        Ok(Scope {
            kept: kept.collect(),
            caches: plan.generation.caches.of(&flow.id, &flow.hash),
            lanes: lanes.clone(),
            queue: self.services.queue.clone(),
            clock: self.services.clock.clone(),
            run_json: run_json(&plan.run, plan.started, plan.trigger),
            run: plan.run.clone(),
            started: plan.started,
            trigger: plan.trigger,
            limit,
            exports,
            asked,
            marks: Marks::new(self.services.store.clone()),
            dry_run: plan.options.dry_run,
            work,
            store: plan.store.clone(),
            output: self.output.clone(),
            progress: plan.progress.clone(),
            trace: self.trace(plan, &flow.id),
            meters: plan.generation.meters(&plan.id),
            stop: plan.stop.clone(),
            reloads: self.snapshots.subscribe(),
            flow,
        })
    }

    fn trace(&self, plan: &Plan, flow: &FlowId) -> Trace {
        let Services { traces, clock, rng, .. } = &self.services;
        traces.begin(clock, rng, flow, &plan.run, plan.trigger.label())
    }

    /// The flow an old run began with: today's when it is the same, else by its stored text.
    async fn flow_of(&self, plan: &Plan, row: &RunRow) -> Result<Arc<Flow>, String> {
        if let Some(flow) = plan.flow.as_ref().filter(|flow| flow.hash == row.meaning) {
            return Ok(flow.clone());
        }
        let remedy = "give it up with `run --fresh` when its records are not needed any more";
        let stored = plan.store.value(Space::Meaning, &row.meaning).await.map_err(|error| error.to_string())?;
        let stored = stored.and_then(|stored| serde_json::from_str::<serde_json::Value>(&stored).ok());
        let text = stored.as_ref().and_then(|stored| stored.get("text")?.as_str());
        let text = text.ok_or_else(|| format!("the flow changed and its former text is not stored: {remedy}"))?;
        let recalled = self.services.recall.recall(&row.flow, text);
        recalled.map_err(|cause| {
            format!(
                "the flow changed since run `{}` began, and its former text does not hold today: {cause}; {remedy}",
                row.id
            )
        })
    }

    async fn resume(&self, plan: &Plan, row: &RunRow) -> Result<Resume, StoreError> {
        let (pages, intents) = (plan.store.pages(&row.id).await?, plan.store.intents(&row.id).await?);
        let (counts, requests) = (Counts::from(row.tally), row.tally.requests);
        let counted = self.lock().counted.contains(&row.id);
        // Payloads that only waited were not begun before.
        if plan.trigger != TriggerKind::Webhook || row.outcome.is_some() {
            event::run_resumed(&plan.id, &row.id, row.tally.pages, counts.in_flight, row.crashes);
        }
        let steps = row.steps.clone();
        Ok(Resume { pages, intents, counts, requests, steps, counted })
    }

    /// From here on an unclean exit counts again.
    async fn go_on(&self, plan: &Plan, row: &RunRow) -> Result<(), Ending> {
        let (run, at) = (row.id.clone(), self.services.clock.utc());
        let running = Write::Phase { run, phase: Phase::Running, outcome: None, cause: None, at };
        self.durable(plan, vec![running]).await.map(drop)
    }

    async fn begin(&self, plan: &Plan, flow: &Flow) -> Result<(), Ending> {
        let kind = if matches!(plan.task, Task::Retry(_)) { RunKind::Retry } else { RunKind::Export };
        let row = RunRow {
            id: plan.run.clone(),
            flow: plan.id.clone(),
            kind,
            trigger: plan.trigger.label().to_owned(),
            occurrence: plan.options.occurrence.map(|mark| mark.done),
            started: plan.started,
            ended: None,
            phase: Phase::Running,
            outcome: None,
            cause: None,
            meaning: flow.hash.clone(),
            limit: plan.options.limit,
            exports: plan.options.exports.clone(),
            since: plan.options.asked.since,
            until: plan.options.asked.until,
            epoch: self.services.epoch,
            crashes: 0,
            tally: Tally::default(),
            steps: Vec::new(),
        };
        let meaning = Write::Put {
            space: Space::Meaning,
            key: flow.hash.clone(),
            value: json!({ "text": flow.text.as_ref() }).to_string(),
        };
        let mut writes = vec![meaning, Write::Begin(Box::new(row))];
        if let Some(mark) = plan.options.occurrence {
            writes.push(save_mark(&plan.id, mark));
        }
        if kind == RunKind::Export {
            writes.extend(paid(flow));
        }
        self.durable(plan, writes).await.map(drop)
    }

    /// Waits for a write; a stop does not wait.
    async fn durable(&self, plan: &Plan, writes: Vec<Write>) -> Result<Receipt, Ending> {
        tokio::select! {
            receipt = plan.store.commit(writes) => receipt.map_err(|error| fault(&error)),
            () = plan.stop.drain.cancelled() => Err(Ending::Cancelled),
        }
    }

    /// Makes the end durable before it is told. A run with records left is held: the flow's next run takes it up.
    async fn close(&self, plan: &Plan, scope: &Scope, report: &Report, panicked: bool) {
        let at = self.services.clock.utc();
        let phase = phase(plan, report);
        let outcome = Some(report.ending.outcome().label().to_owned());
        let cause = report.ending.error().map(ToString::to_string);
        let run = plan.run.clone();
        let mut writes = Vec::new();
        if panicked && let Ok(pages) = plan.store.pages(&run).await {
            let open = pages.iter().filter(|page| !page.marks.is_done() && (page.crashes == 0 || page.started));
            let pages = open.map(|page| page.number).collect();
            writes.push(Write::Interrupted { run: run.clone(), pages, epoch: self.services.epoch });
        }
        let marks = self.marks(plan, scope, report).await;
        if phase == Phase::Held {
            kept::note(
                &run,
                at,
                tracing::Level::WARN,
                "run held: the flow's next run goes on with it",
                cause.as_deref(),
            );
        }
        writes.extend(kept::text(&run).map(|value| Write::Put { space: Space::Log, key: run.clone(), value }));
        writes.push(Write::Phase { run, phase, outcome, cause, at });
        let done = if Arc::ptr_eq(&plan.store, &self.services.store) {
            // With the end of the run, or not at all.
            writes.extend(marks);
            writes.extend(self.owed(plan, report));
            plan.store.commit(writes)
        } else {
            drop(plan.store.commit(writes));
            self.services.store.commit(marks)
        };
        let clock = &self.services.clock;
        let patience = async {
            scope.stop.abort.cancelled().await;
            clock.sleep_until(clock.mono().plus(LAST_WORDS)).await;
        };
        tokio::select! {
            _ = done => {}
            () = patience => return,
        }
        if phase == Phase::Held
            && let Ok(Some(row)) = plan.store.run(&plan.run).await
        {
            self.lock().hold(row);
        }
    }

    /// The marks that move with the end of a run: only one that came to its end by itself moves any, and one that writes
    /// to standard output only when that took everything.
    async fn marks(&self, plan: &Plan, scope: &Scope, report: &Report) -> Vec<Write> {
        let whole = matches!(report.ending, Ending::Succeeded | Ending::WithErrors);
        if !whole || plan.options.dry_run || matches!(plan.task, Task::Retry(_)) {
            return Vec::new();
        }
        if !scope.flow.has_import() && scope.output.flush().is_err() {
            return Vec::new();
        }
        scope.marks.writes().await
    }

    /// Gives an unfinished run up: its records in flight count as dismissed.
    pub(super) async fn dismiss(&self, row: &RunRow) -> Result<(), StoreError> {
        let at = self.services.clock.utc();
        let cause = Some("given up by hand".to_owned());
        let outcome = row.outcome.clone().or_else(|| Some("cancelled".to_owned()));
        let write = Write::Phase { run: row.id.clone(), phase: Phase::Dismissed, outcome, cause, at };
        self.services.store.commit(vec![write]).await?;
        let in_flight = Counts::from(row.tally).in_flight;
        event::run_dismissed(&row.flow, &row.id, in_flight);
        let mut inner = self.lock();
        if inner.counted.remove(&row.id)
            && let Some(generation) = &inner.generation
        {
            generation.meters(&row.flow).records(RecordOutcome::Dismissed, in_flight);
        }
        Ok(())
    }
}

/// The write that makes an occurrence had, whatever became of it.
pub fn save_mark(flow: &FlowId, mark: Mark) -> Write {
    Write::Put { space: Space::Schedule, key: flow.to_string(), value: mark.to_string() }
}

fn phase(plan: &Plan, report: &Report) -> Phase {
    let left = report.pages > 0 || report.counts.in_flight > 0;
    let held = match report.ending {
        Ending::Cancelled | Ending::Offline(_) | Ending::Stopped(_) | Ending::Fault(_) => left,
        Ending::ExportFailed(_) => report.counts.in_flight > 0,
        Ending::Succeeded | Ending::WithErrors => false,
    };
    if held && !matches!(plan.task, Task::Retry(_)) { Phase::Held } else { Phase::Ended }
}

fn fault(error: &StoreError) -> Ending {
    match error {
        StoreError::Refused(Refusal::SeenOccurrence { .. }) => {
            Ending::ExportFailed(RunError { place: "start".to_owned(), text: error.to_string() })
        }
        _ => Ending::Fault(RunError { place: "store".to_owned(), text: error.to_string() }),
    }
}

fn panicked() -> RunError {
    RunError {
        place: "run".to_owned(),
        text: "a fault inside flowgate ended this run; other flows go on (please report the log lines above)"
            .to_owned(),
    }
}

/// A run that did not come to anything.
fn early(plan: &Plan, ending: Ending) -> Report {
    Report {
        flow: plan.id.clone(),
        run: plan.run.clone(),
        ending,
        counts: Counts::default(),
        pages: 0,
        requests: 0,
        took: Duration::ZERO,
        errors: Vec::new(),
        passed: Vec::new(),
        steps: Vec::new(),
    }
}
