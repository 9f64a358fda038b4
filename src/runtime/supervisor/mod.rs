//! Starts runs and keeps account of them: one run per flow at a time, a cap over all, the snapshot in force for
//! new ones. Running ones finish on the snapshot they began with, also over restarts.
// size: one lock, and all that has to happen under it at once.

mod after;
mod asked;
mod before;
mod carry;
mod hooks;
mod reach;
mod standing;

pub use asked::{Options, Refused, Started};
use before::trigger_of;
pub use carry::save_mark;
use carry::{Plan, Task};
pub use hooks::Hook;
use hooks::Hooks;
use reach::Stranded;
pub use standing::{NoCancel, Standing, forget_pause, paused_flows, save_pause};

use crate::http::client::OfflineView;
use crate::model::flow::Flow;
use crate::model::schedule::Overlap;
use crate::model::snapshot::Snapshot;
use crate::observe::meters::TriggerKind;
use crate::observe::task;
use crate::runtime::engine::{Generation, NotReady, Services};
use crate::runtime::happening::{Happening, Happenings};
use crate::runtime::history::Histories;
use crate::runtime::past::Unfinished;
use crate::runtime::run::identity::run_id;
use crate::runtime::run::report::{Progress, Report};
use crate::runtime::scope::{Lane, Output, Stop};
use crate::runtime::view::{FlowView, RunView};
use crate::store::{ErrorRow, MemoryStore, RunRow, Store, Write};
use crate::value::id::{ConnectionId, FlowId};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};

/// A run about to be started.
struct Launch {
    generation: Arc<Generation>,
    flow: Option<Arc<Flow>>,
    id: FlowId,
    trigger: TriggerKind,
    options: Options,
    task: Task,
}

struct Active {
    run: String,
    started: DateTime<Utc>,
    progress: Arc<Progress>,
    stop: Stop,
    queued: Option<(TriggerKind, Options)>,
}

struct Inner {
    unfinished: Unfinished,
    /// Runs whose records in flight are in this process's figures.
    counted: HashSet<String>,
    /// Flows whose stored state is damaged, and how.
    damaged: HashMap<FlowId, String>,
    /// Flows that start nothing because somebody said so, and since when.
    paused: HashMap<FlowId, DateTime<Utc>>,
    /// Flows whose last run ended because a connection was offline, and what they sent over.
    stranded: HashMap<FlowId, Stranded>,
    /// Renames the store was told of.
    renamed: HashSet<(FlowId, FlowId)>,
    generation: Option<Arc<Generation>>,
    active: HashMap<FlowId, Active>,
    history: Histories,
    hooks: Hooks,
    draining: bool,
    /// Whether ends of runs start other flows.
    follows_ends: bool,
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
    happenings: Happenings,
    most_runs: u32,
}

impl Supervisor {
    /// Without a snapshot yet. `max_runs` bounds the runs that work at once; more wait their turn.
    pub fn new(services: Services, output: Arc<dyn Output>, max_runs: u32) -> Self {
        let inner = Inner {
            unfinished: Unfinished::default(),
            counted: HashSet::new(),
            damaged: HashMap::new(),
            paused: HashMap::new(),
            stranded: HashMap::new(),
            renamed: HashSet::new(),
            generation: None,
            active: HashMap::new(),
            history: Histories::default(),
            hooks: Hooks::default(),
            draining: false,
            follows_ends: false,
            next_run: 0,
        };
        Self {
            services,
            output,
            slots: Arc::new(Semaphore::new(max_runs as usize)),
            inner: Arc::new(Mutex::new(inner)),
            running: Arc::new(watch::Sender::new(0)),
            snapshots: Arc::new(watch::Sender::new(None)),
            happenings: Happenings::default(),
            most_runs: max_runs,
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
        inner.follow(&snapshot, self.services.store.as_ref());
        self.reach(&mut inner);
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

    /// Starts a run now, or says why not. A run of the flow that did not end goes on instead.
    pub fn start(&self, flow: &FlowId, trigger: TriggerKind, options: Options) -> Result<Started, Refused> {
        self.start_within(&mut self.lock(), flow, trigger, options)
    }

    fn start_within(
        &self,
        inner: &mut Inner,
        flow: &FlowId,
        trigger: TriggerKind,
        options: Options,
    ) -> Result<Started, Refused> {
        let (generation, flow) = inner.may_start(flow)?;
        if let Some(active) = inner.running(&flow, &generation.snapshot) {
            // The next occurrence of a schedule is certain, the next end of another flow is not.
            let alone = if trigger == TriggerKind::RunAfter { Overlap::Queue } else { Overlap::Skip };
            let overlap = flow.schedule.as_ref().map_or(alone, |schedule| schedule.overlap);
            return Err(if overlap == Overlap::Skip {
                Refused::Running(flow.id.clone())
            } else if active.queued.replace((trigger, options)).is_some() {
                Refused::Queued(flow.id.clone())
            } else {
                Refused::Kept(flow.id.clone())
            });
        }
        // Nothing is asked for: there is what came, or nothing to do.
        let nothing = options.dry_run || options.fresh || inner.unfinished.get(&flow.id).is_none();
        if flow.webhook.is_some() && nothing {
            return Err(Refused::NothingWaits(flow.id.clone()));
        }
        Ok(self.begin_or_go_on(inner, generation, flow, trigger, options))
    }

    fn begin_or_go_on(
        &self,
        inner: &mut Inner,
        generation: Arc<Generation>,
        flow: Arc<Flow>,
        trigger: TriggerKind,
        options: Options,
    ) -> Started {
        let lasting = !options.dry_run && flow.has_import();
        let before = if lasting && !options.fresh { inner.unfinished.take(&flow.id) } else { None };
        let (task, trigger) = match before {
            Some(row) => (Task::GoOn(Box::new(row.clone())), trigger_of(&row)),
            None => (Task::Begin, trigger),
        };
        self.launch(inner, Launch { generation, id: flow.id.clone(), flow: Some(flow), trigger, options, task })
    }

    /// Tries open error records of one flow again.
    pub fn retry(&self, flow: &FlowId, errors: Vec<ErrorRow>) -> Result<Started, Refused> {
        let mut inner = self.lock();
        let (generation, flow) = inner.may_start(flow)?;
        if inner.running(&flow, &generation.snapshot).is_some() {
            return Err(Refused::Running(flow.id.clone()));
        }
        let (id, task) = (flow.id.clone(), Task::Retry(errors));
        let (trigger, options) = (TriggerKind::Retry, Options::default());
        Ok(self.launch(&mut inner, Launch { generation, id, flow: Some(flow), trigger, options, task }))
    }

    /// Whether a run of this flow is under way, or waits for its slot.
    pub fn is_running(&self, flow: &FlowId) -> bool {
        let mut inner = self.lock();
        let known = inner.generation.clone().and_then(|generation| {
            let flow = generation.snapshot.flows.get(flow)?.clone();
            Some((generation, flow))
        });
        match known {
            Some((generation, flow)) => inner.running(&flow, &generation.snapshot).is_some(),
            None => inner.active.contains_key(flow),
        }
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

    /// A connection of the snapshot in force.
    pub fn lane(&self, id: &ConnectionId) -> Option<Lane> {
        self.lock().generation.as_ref()?.lanes.get(id).cloned()
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
            self.report_waiting(&generation);
        }
    }

    /// Number of runs in progress.
    pub fn running(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
    }

    fn launch(&self, inner: &mut Inner, launch: Launch) -> Started {
        let Launch { generation, flow, id, trigger, options, task } = launch;
        let now = self.services.clock.utc();
        inner.next_run += 1;
        let (run, started) = match &task {
            Task::GoOn(row) => {
                inner.hooks.launched(&row.id);
                (row.id.clone(), row.started)
            }
            Task::Begin | Task::Retry(_) => (run_id(now, inner.next_run, self.services.rng.next_u64()), now),
        };
        let (progress, stop) = (Arc::new(Progress::default()), Stop::default());
        // What is only shown, or goes to standard output, has no past and leaves none.
        let passing = options.dry_run || flow.as_ref().is_some_and(|flow| !flow.has_import());
        let store = if passing { MemoryStore::new() } else { self.services.store.clone() };
        let active = Active { run: run.clone(), started, progress: progress.clone(), stop: stop.clone(), queued: None };
        inner.stranded.remove(&id);
        inner.active.insert(id.clone(), active);
        let resumed = matches!(task, Task::GoOn(_));
        let plan = Plan {
            generation,
            flow,
            id,
            run: run.clone(),
            started,
            trigger,
            options,
            task,
            progress: progress.clone(),
            stop,
            store,
        };
        self.running.send_modify(|count| *count += 1);
        self.happenings.tell(Happening::RunStarted { flow: plan.id.clone(), run: run.clone(), trigger, at: now });
        let (tell, report) = oneshot::channel();
        let this = self.clone();
        task::spawn_run(&run, async move { this.carry(plan, tell).await });
        Started { run, resumed, progress, report }
    }

    fn finished(&self, plan: &Plan, report: &Report) {
        let now = self.services.clock.utc();
        let told = Arc::new(Report { errors: Vec::new(), ..report.clone() });
        self.happenings.tell(Happening::RunEnded { report: told, at: now });
        let mut inner = self.lock();
        self.services.queue.admit(&plan.id);
        inner.history.note(report, now);
        inner.counted.insert(report.run.clone());
        let queued = inner.active.remove(&plan.id).and_then(|active| active.queued);
        let Some(generation) = inner.generation.clone() else { return };
        inner.follow(&generation.snapshot, self.services.store.as_ref());
        if report.counts.in_flight == 0 {
            inner.counted.remove(&report.run);
        }
        if let Some((trigger, options)) = queued.filter(|_| !inner.draining)
            && let Some(flow) = generation.snapshot.flow_now(&report.flow).filter(|flow| flow.enabled).cloned()
            && !inner.paused.contains_key(&flow.id)
        {
            self.begin_or_go_on(&mut inner, generation, flow, trigger, options);
        } else if self.begin_elsewhere(&mut inner, &generation, plan, report) {
        } else if let Some(flow) = generation.snapshot.flow_now(&report.flow) {
            self.follow_up(&mut inner, &generation, &flow.id, &report.run);
        }
        self.start_followers(&mut inner, plan, report);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while holding this lock cannot leave half a change behind that matters: every field is
        // replaced whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether a flow may start a run, apart from the one it may have.
    fn may_start(&self, flow: &FlowId) -> Result<(Arc<Generation>, Arc<Flow>), Refused> {
        if self.draining {
            return Err(Refused::Draining);
        }
        let generation = self.generation.clone().ok_or_else(|| Refused::Unknown(flow.to_string()))?;
        let flow = generation.snapshot.flows.get(flow).ok_or_else(|| Refused::Unknown(flow.to_string()))?.clone();
        if !flow.enabled {
            return Err(Refused::Disabled(flow.id.clone()));
        }
        if let Some(text) = self.damaged.get(&flow.id) {
            return Err(Refused::Damaged(flow.id.clone(), text.clone()));
        }
        if let Some(since) = self.paused.get(&flow.id) {
            return Err(Refused::Paused(flow.id.clone(), standing::instant(*since)));
        }
        Ok((generation, flow))
    }

    /// The run of a flow. One that began under a former name is a run of this flow.
    fn running(&mut self, flow: &Flow, snapshot: &Snapshot) -> Option<&mut Active> {
        let former = flow.formerly.iter().filter(|old| !snapshot.flows.contains_key(old));
        let id = std::iter::once(&flow.id).chain(former).find(|id| self.active.contains_key(id)).cloned()?;
        self.active.get_mut(&id)
    }

    fn hold(&mut self, row: RunRow) {
        self.counted.insert(row.id.clone());
        self.unfinished.add(row);
    }

    /// Takes what is known and stored of renamed flows along, once nothing runs under the old name any more.
    fn follow(&mut self, snapshot: &Snapshot, store: &dyn Store) {
        let Self { history, active, unfinished, renamed, hooks, paused, .. } = self;
        history.follow(snapshot, |flow| active.contains_key(flow));
        for flow in snapshot.flows.values() {
            for old in flow.formerly.iter().filter(|old| !snapshot.flows.contains_key(old) && !active.contains_key(old))
            {
                unfinished.rename(old, &flow.id);
                hooks.rename(old, &flow.id);
                if let Some(since) = paused.remove(old) {
                    paused.entry(flow.id.clone()).or_insert(since);
                }
                if renamed.insert((old.clone(), flow.id.clone())) {
                    // Writes keep their order: whatever is read or written later sees the new name.
                    drop(store.commit(vec![Write::RenameFlow { from: old.clone(), to: flow.id.clone() }]));
                }
            }
        }
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
                total: active.progress.total(),
                begun: active.progress.has_begun(),
                stopping: active.stop.drain.is_cancelled(),
            }),
            queued: active.is_some_and(|active| active.queued.is_some()),
            last: history.and_then(|history| history.last.clone()),
            last_success: history.and_then(|history| history.last_success),
            paused: self.paused.get(&id).copied(),
            id,
        }
    }
}
