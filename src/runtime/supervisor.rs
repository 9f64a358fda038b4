//! Starts runs and keeps account of them: one run per flow at a time, a cap over all, the snapshot in force for
//! new ones. Running ones finish on the snapshot they began with.

use super::engine::{Generation, NotReady, Services};
use super::history::Histories;
use super::run::identity::{run_id, run_json};
use super::run::report::{Ending, Progress, Report, RunError};
use super::run::run;
use super::scope::{Output, Scope, Stop};
use super::view::{FlowView, RunView};
use crate::http::client::OfflineView;
use crate::model::flow::Flow;
use crate::model::schedule::Overlap;
use crate::model::snapshot::Snapshot;
use crate::observe::event;
use crate::observe::meters::TriggerKind;
use crate::observe::task;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};

/// How a run is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// At most so many records.
    pub limit: Option<u64>,
    /// Render, do not send imports.
    pub dry_run: bool,
}

/// A run that was started.
pub struct Started {
    /// Live figures.
    pub progress: Arc<Progress>,
    /// Its report, once.
    pub report: oneshot::Receiver<Report>,
}

/// Why no run was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such flow in the snapshot in force.
    #[error("there is no flow `{0}`")]
    Unknown(String),
    /// `enabled = false`.
    #[error("flow `{0}` is disabled (`enabled = false`)")]
    Disabled(FlowId),
    /// It is running and `overlap` says skip.
    #[error("flow `{0}` is still running")]
    Running(FlowId),
    /// It is running; one more run follows (`overlap = "queue"`).
    #[error("flow `{0}` is still running; one more run follows")]
    Kept(FlowId),
    /// One more run is already kept for later.
    #[error("flow `{0}` is still running; one more run waits already")]
    Queued(FlowId),
    /// The process is ending.
    #[error("the process is shutting down")]
    Draining,
}

struct Active {
    run: String,
    started: DateTime<Utc>,
    progress: Arc<Progress>,
    stop: Stop,
    queued: Option<TriggerKind>,
}

struct Inner {
    generation: Option<Arc<Generation>>,
    active: HashMap<FlowId, Active>,
    history: Histories,
    draining: bool,
    next_run: u64,
}

/// The one owner of runs. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    services: Services,
    output: Arc<dyn Output>,
    slots: Arc<Semaphore>,
    inner: Arc<Mutex<Inner>>,
    running: Arc<watch::Sender<usize>>,
    snapshots: Arc<watch::Sender<Option<Arc<Snapshot>>>>,
}

impl Supervisor {
    /// Without a snapshot yet. `max_runs` bounds the runs that work at once; more wait their turn.
    pub fn new(services: Services, output: Arc<dyn Output>, max_runs: u32) -> Self {
        let inner = Inner {
            generation: None,
            active: HashMap::new(),
            history: Histories::default(),
            draining: false,
            next_run: 0,
        };
        Self {
            services,
            output,
            slots: Arc::new(Semaphore::new(max_runs as usize)),
            inner: Arc::new(Mutex::new(inner)),
            running: Arc::new(watch::Sender::new(0)),
            snapshots: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Makes a snapshot the one new runs begin with. On error the old one stays in force, whole.
    pub fn apply(&self, snapshot: Arc<Snapshot>) -> Result<(), NotReady> {
        let before = self.lock().generation.clone();
        let generation = Arc::new(Generation::prepare(snapshot.clone(), before.as_deref(), &self.services)?);
        let mut inner = self.lock();
        generation.enforce(&self.services);
        if let Some(before) = &before {
            generation.retire(before);
        }
        inner.generation = Some(generation);
        inner.follow(&snapshot);
        drop(inner);
        self.snapshots.send_replace(Some(snapshot));
        Ok(())
    }

    /// The snapshot in force, and every later one.
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.snapshots.subscribe()
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshots.borrow().clone()
    }

    /// Shared parts.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Starts a run now, or says why not.
    pub fn start(&self, flow: &FlowId, trigger: TriggerKind, options: Options) -> Result<Started, Refused> {
        let mut inner = self.lock();
        if inner.draining {
            return Err(Refused::Draining);
        }
        let generation = inner.generation.clone().ok_or_else(|| Refused::Unknown(flow.to_string()))?;
        let flow = generation.snapshot.flows.get(flow).ok_or_else(|| Refused::Unknown(flow.to_string()))?;
        if !flow.enabled {
            return Err(Refused::Disabled(flow.id.clone()));
        }
        // A run that began under a former name is a run of this flow.
        let former = flow.formerly.iter().filter(|old| !generation.snapshot.flows.contains_key(old));
        let running = std::iter::once(&flow.id).chain(former).find(|id| inner.active.contains_key(id)).cloned();
        if let Some(active) = running.and_then(|id| inner.active.get_mut(&id)) {
            let overlap = flow.schedule.as_ref().map_or(Overlap::Skip, |schedule| schedule.overlap);
            return Err(if overlap == Overlap::Skip {
                Refused::Running(flow.id.clone())
            } else if active.queued.replace(trigger).is_some() {
                Refused::Queued(flow.id.clone())
            } else {
                Refused::Kept(flow.id.clone())
            });
        }
        Ok(self.launch(&mut inner, &generation, flow, trigger, options))
    }

    /// From here on nothing new is read, started or sent; what is in flight goes on.
    pub fn begin_drain(&self) {
        let mut inner = self.lock();
        inner.draining = true;
        for active in inner.active.values_mut() {
            active.queued = None;
            active.stop.drain.cancel();
        }
        drop(inner);
        self.services.queue.close();
    }

    /// Reads and starts nothing new, lets requests in flight finish, cuts them short after `timeout`. True when
    /// everything in flight finished by itself.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.begin_drain();
        let stops: Vec<Stop> = self.lock().active.values().map(|active| active.stop.clone()).collect();
        let deadline = self.services.clock.mono().plus(timeout);
        let mut running = self.running.subscribe();
        let finished = tokio::select! {
            _ = running.wait_for(|count| *count == 0) => true,
            () = self.services.clock.sleep_until(deadline) => false,
        };
        for stop in &stops {
            stop.abort.cancel();
        }
        finished
    }

    /// Every flow of the snapshot in force, and those still running.
    pub fn view(&self) -> Vec<FlowView> {
        let inner = self.lock();
        let mut ids: Vec<FlowId> = inner.active.keys().chain(inner.history.flows()).cloned().collect();
        if let Some(generation) = &inner.generation {
            ids.extend(generation.snapshot.flows.keys().cloned());
        }
        ids.sort();
        ids.dedup();
        ids.into_iter().map(|id| inner.view(id)).collect()
    }

    /// Connections whose requests wait because their credentials are refused, by id.
    pub fn offline(&self) -> HashMap<String, OfflineView> {
        let lanes = self.lock().generation.as_ref().map(|generation| generation.lanes.clone());
        let lanes = lanes.as_deref().into_iter().flatten();
        lanes.filter_map(|(id, lane)| Some((id.to_string(), lane.client.waits()?))).collect()
    }

    /// Sets the gauges of queue ages.
    pub fn report_ages(&self) {
        let generation = self.lock().generation.clone();
        if let Some(generation) = generation {
            generation.report_ages(&self.services);
        }
    }

    /// Number of runs in progress.
    pub fn running(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
    }

    fn launch(
        &self,
        inner: &mut Inner,
        generation: &Arc<Generation>,
        flow: &Arc<Flow>,
        trigger: TriggerKind,
        options: Options,
    ) -> Started {
        let started = self.services.clock.utc();
        inner.next_run += 1;
        let id = run_id(started, inner.next_run, self.services.rng.next_u64());
        let (progress, stop) = (Arc::new(Progress::default()), Stop::default());
        // A reload may drop a connection this run still needs: its lines stay open until the run ends.
        let kept =
            flow.connections().filter_map(|id| self.services.queue.keep_open(&generation.lanes.get(id)?.line).ok());
        let scope = Scope {
            kept: kept.collect(),
            lanes: generation.lanes.clone(),
            queue: self.services.queue.clone(),
            clock: self.services.clock.clone(),
            run_json: run_json(&id, started, trigger),
            run: id.clone(),
            trigger,
            limit: options.limit,
            dry_run: options.dry_run,
            output: self.output.clone(),
            progress: progress.clone(),
            meters: generation.meters(&flow.id),
            stop: stop.clone(),
            reloads: self.snapshots.subscribe(),
            flow: flow.clone(),
        };
        let active = Active { run: id, started, progress: progress.clone(), stop, queued: None };
        inner.active.insert(flow.id.clone(), active);
        self.running.send_modify(|count| *count += 1);
        let (tell, report) = oneshot::channel();
        let this = self.clone();
        task::spawn("run", async move { this.carry(scope, tell).await });
        Started { progress, report }
    }

    /// One run from its slot to its account. A panic fails this run, never the process.
    async fn carry(self, scope: Scope, tell: oneshot::Sender<Report>) {
        let slot = tokio::select! {
            slot = self.slots.clone().acquire_owned() => slot.ok(),
            () = scope.stop.drain.cancelled() => None,
        };
        let report = if slot.is_some() {
            let ended = AssertUnwindSafe(run(&scope)).catch_unwind().await;
            ended.unwrap_or_else(|_| ended_early(&scope, Ending::Fault(panicked())))
        } else {
            event::run_started(&scope.meters, &scope.flow.id, &scope.run, scope.trigger);
            ended_early(&scope, Ending::Cancelled)
        };
        drop(slot);
        self.finished(&report);
        // Nobody waits for scheduled runs: a closed receiver is normal.
        let _ = tell.send(report);
        self.running.send_modify(|count| *count -= 1);
    }

    fn finished(&self, report: &Report) {
        let now = self.services.clock.utc();
        let mut inner = self.lock();
        inner.history.note(report, now);
        let queued = inner.active.remove(&report.flow).and_then(|active| active.queued);
        let Some(generation) = inner.generation.clone() else { return };
        inner.follow(&generation.snapshot);
        if let Some(trigger) = queued.filter(|_| !inner.draining)
            && let Some(flow) = generation.snapshot.flow_now(&report.flow).filter(|flow| flow.enabled)
        {
            self.launch(&mut inner, &generation, flow, trigger, Options::default());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while holding this lock cannot leave half a change behind that matters: every field is
        // replaced whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn follow(&mut self, snapshot: &Snapshot) {
        let Self { history, active, .. } = self;
        history.follow(snapshot, |flow| active.contains_key(flow));
    }

    fn view(&self, id: FlowId) -> FlowView {
        let active = self.active.get(&id);
        let history = self.history.get(&id);
        FlowView {
            running: active.map(|active| RunView {
                run: active.run.clone(),
                started: active.started,
                counts: active.progress.counts(),
                pages: active.progress.pages(),
            }),
            queued: active.is_some_and(|active| active.queued.is_some()),
            last: history.and_then(|history| history.last.clone()),
            last_success: history.and_then(|history| history.last_success),
            id,
        }
    }
}

fn panicked() -> RunError {
    RunError {
        place: "run".to_owned(),
        text: "a fault inside flowgate ended this run; other flows go on (please report the log lines above)"
            .to_owned(),
    }
}

fn ended_early(scope: &Scope, ending: Ending) -> Report {
    let report = Report {
        flow: scope.flow.id.clone(),
        run: scope.run.clone(),
        ending,
        counts: scope.progress.counts(),
        pages: scope.progress.pages(),
        requests: 0,
        took: Duration::ZERO,
        errors: Vec::new(),
    };
    event::run_finished(&scope.meters, &report.summary(scope.trigger), scope.clock.utc());
    report
}
