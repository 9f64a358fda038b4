//! How figures moved lately: records of each flow, runs on their own time axis, pools against their level. Looked at every now
//! and then beside everything else, so that no request pays for it; kept in memory, bounded, gone with the process.

mod series;

use crate::observe::task;
use crate::queue::{FlowShare, PoolView};
use crate::runtime::happening::Happening;
use crate::runtime::run::state::Counts;
use crate::runtime::supervisor::Supervisor;
use crate::runtime::view::{FlowView, RunView};
use crate::value::id::FlowId;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use series::{Bucket, Curve, Ring};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Between two looks while something runs, while very much does, and while nothing does.
const LOOK: Duration = Duration::from_millis(500);
const LOOK_AT_MANY: Duration = Duration::from_secs(2);
const LOOK_IDLE: Duration = Duration::from_secs(5);
/// Runs under way from which on there are many.
const MANY: usize = 200;
/// Runs under way that are followed.
const MOST_RUNS: usize = 1_000;
/// Runs that ended and are still known.
const MOST_ENDED: usize = 200;
/// Pools that are followed.
const MOST_POOLS: usize = 1_000;
/// An hour of minutes.
const MINUTE_MS: i64 = 60_000;
const MINUTES: usize = 60;
/// Ten minutes.
const POOL_STEP_MS: i64 = 5_000;
const POOL_STEPS: usize = 120;
/// A run that began longer ago when it is first seen goes on: what it did before was not seen.
const JUST_BEGUN: TimeDelta = TimeDelta::seconds(3);

/// Shared by the task that looks and whoever shows it.
#[derive(Clone, Default)]
pub(super) struct Trends(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    flows: HashMap<FlowId, Ring<u64>>,
    runs: HashMap<String, RunTrend>,
    /// The oldest first.
    ended: VecDeque<String>,
    pools: HashMap<String, Ring<PoolStep>>,
    /// What runs had done that waited to go on, and their pages: until they end, since they may do that before anybody looks.
    before: HashMap<String, (Counts, u64)>,
    looked: Option<DateTime<Utc>>,
}

struct RunTrend {
    flow: FlowId,
    /// As last seen.
    counts: Counts,
    pages: u64,
    curve: Curve,
}

/// A pool in one step: the most of each.
#[derive(Debug, Clone, Default)]
struct PoolStep {
    level: u32,
    in_flight: u32,
    queued: u32,
    paused: bool,
}

/// What one flow has in all lines.
#[derive(Default, Clone, Copy)]
struct InLine {
    in_flight: u32,
    waiting: u32,
    oldest_ms: u64,
    paused: bool,
}

impl Trends {
    /// Before anything goes on.
    pub(super) fn of(supervisor: &Supervisor) -> Self {
        let trends = Self::default();
        trends.look_back(supervisor);
        trends
    }

    /// Records delivered in each minute of the last hour; none where nothing was.
    pub(super) fn flow(&self, id: &FlowId, now: DateTime<Utc>) -> Option<Value> {
        let (ends, delivered) = self.lock().flows.get(id).filter(|ring| !ring.is_over(now))?.until(now);
        Some(json!({ "step_ms": MINUTE_MS, "ends": ends, "delivered": delivered }))
    }

    /// A run on its time axis, while it is known.
    pub(super) fn run(&self, id: &str) -> Option<Value> {
        Some(self.lock().runs.get(id)?.curve.document())
    }

    /// A pool over the last minutes.
    pub(super) fn pool(&self, id: &str, now: DateTime<Utc>) -> Option<Value> {
        let (ends, steps) = self.lock().pools.get(id)?.until(now);
        let list = |of: fn(&PoolStep) -> u32| steps.iter().map(of).collect::<Vec<u32>>();
        Some(json!({
            "step_ms": POOL_STEP_MS,
            "ends": ends,
            "level": list(|one| one.level),
            "in_flight": list(|one| one.in_flight),
            "queued": list(|one| one.queued),
            "paused": list(|one| one.paused.into()),
        }))
    }

    /// What runs did that did not end: it is not done again when they go on.
    fn look_back(&self, supervisor: &Supervisor) {
        let rows = supervisor.all_unfinished();
        let mut inner = self.lock();
        // Those that never end were given up.
        if inner.before.len() > rows.len() + MOST_RUNS {
            inner.before.clear();
        }
        let rows = rows.into_values().map(|row| (row.id, (Counts::from(row.tally), row.tally.pages)));
        inner.before.extend(rows);
    }

    fn look(&self, supervisor: &Supervisor) {
        let queue = &supervisor.services().queue;
        let (pools, shares, active) = (queue.view(), queue.shares(), supervisor.active());
        let now = supervisor.services().clock.utc();
        let mut inner = self.lock();
        let since = inner.looked.map_or(TimeDelta::zero(), |looked| now - looked);
        inner.looked = Some(now);
        let in_line = by_flow(&shares, &pools);
        for view in &active {
            let Some(run) = view.running.as_ref().filter(|run| run.begun) else { continue };
            let InLine { in_flight, waiting, oldest_ms, paused } = in_line.get(&view.id).copied().unwrap_or_default();
            let paused_ms = if paused { since.num_milliseconds().max(0).unsigned_abs() } else { 0 };
            let sample = Bucket { in_flight, waiting, oldest_ms, paused_ms, ..Bucket::default() };
            inner.note(&view.id, run, sample, now);
        }
        inner.follow_pools(&pools, now);
        inner.forget(&active, now);
        drop(inner);
        self.look_back(supervisor);
    }

    /// The rest of a run, which nobody looked at any more.
    fn end(&self, flow: &FlowId, run: &str, counts: Counts, pages: u64, now: DateTime<Utc>) {
        let mut inner = self.lock();
        let known = inner.runs.contains_key(run);
        if !known && inner.runs.len() >= MOST_RUNS {
            return;
        }
        inner.count(flow, run, (counts, pages), Bucket::default(), (now, true));
        inner.before.remove(run);
        if !inner.ended.iter().any(|other| other == run) {
            inner.ended.push_back(run.to_owned());
        }
        inner.cut();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note(&mut self, flow: &FlowId, run: &RunView, sample: Bucket, now: DateTime<Utc>) {
        if !self.runs.contains_key(&run.run) && self.runs.len() >= MOST_RUNS {
            return;
        }
        // It goes on: it is not among those that ended any more.
        self.ended.retain(|ended| *ended != run.run);
        let fresh = now - run.started < JUST_BEGUN;
        self.count(flow, &run.run, (run.counts, run.pages), sample, (now, fresh));
    }

    /// Adds what a run did since it was last seen. `fresh`: seen for the first time, all of it is new but for what it did
    /// before it waited.
    fn count(
        &mut self,
        flow: &FlowId,
        run: &str,
        (counts, pages): (Counts, u64),
        sample: Bucket,
        (now, fresh): (DateTime<Utc>, bool),
    ) {
        let before = &self.before;
        let trend = self.runs.entry(run.to_owned()).or_insert_with(|| {
            let first = if fresh { (Counts::default(), 0) } else { (counts, pages) };
            let (counts, pages) = before.get(run).copied().unwrap_or(first);
            RunTrend { flow: flow.clone(), counts, pages, curve: Curve::new(now) }
        });
        let before = trend.counts;
        let moved = Bucket {
            exported: counts.exported.saturating_sub(before.exported),
            delivered: counts.delivered.saturating_sub(before.delivered),
            filtered: counts.filtered.saturating_sub(before.filtered),
            failed: counts.failed.saturating_sub(before.failed),
            pages: pages.saturating_sub(trend.pages),
            ..sample
        };
        // One that goes on may be seen before it knows what it did.
        if counts.exported >= before.exported {
            (trend.counts, trend.pages) = (counts, pages);
        }
        trend.curve.note(now, moved);
        if moved.delivered > 0 {
            let ring = self.flows.entry(trend.flow.clone()).or_insert_with(|| Ring::new(MINUTE_MS, MINUTES));
            *ring.at(now) += moved.delivered;
        }
    }

    fn follow_pools(&mut self, pools: &[PoolView], now: DateTime<Utc>) {
        for pool in pools {
            let id = pool.id.to_string();
            if !self.pools.contains_key(&id) && self.pools.len() >= MOST_POOLS {
                continue;
            }
            let step = self.pools.entry(id).or_insert_with(|| Ring::new(POOL_STEP_MS, POOL_STEPS)).at(now);
            let queued = pool.lines.iter().map(|line| line.depth).sum::<usize>();
            step.level = pool.level;
            step.in_flight = step.in_flight.max(pool.in_flight);
            step.queued = step.queued.max(u32::try_from(queued).unwrap_or(u32::MAX));
            step.paused |= pool.paused_for.is_some() || pool.lines.iter().any(|line| line.paused_for.is_some());
        }
    }

    /// What is not recent, and runs whose end was not heard of.
    fn forget(&mut self, active: &[FlowView], now: DateTime<Utc>) {
        let active: HashSet<&str> =
            active.iter().filter_map(|view| Some(view.running.as_ref()?.run.as_str())).collect();
        let Self { runs, ended, .. } = self;
        let unheard = runs.keys().filter(|run| !active.contains(run.as_str()) && !ended.contains(*run));
        let unheard: Vec<String> = unheard.cloned().collect();
        ended.extend(unheard);
        self.cut();
        self.flows.retain(|_, ring| !ring.is_over(now));
        self.pools.retain(|_, ring| !ring.is_over(now));
    }
}

impl Inner {
    /// Lets the runs go that ended longest ago.
    fn cut(&mut self) {
        while self.ended.len() > MOST_ENDED {
            if let Some(oldest) = self.ended.pop_front() {
                self.runs.remove(&oldest);
            }
        }
    }
}

fn by_flow(shares: &[FlowShare], pools: &[PoolView]) -> HashMap<FlowId, InLine> {
    let lines = pools.iter().flat_map(|pool| pool.lines.iter().map(move |line| (pool, line)));
    let paused: HashSet<String> = lines
        .filter(|(pool, line)| pool.paused_for.is_some() || line.paused_for.is_some())
        .map(|(_, line)| line.id.to_string())
        .collect();
    let mut flows: HashMap<FlowId, InLine> = HashMap::new();
    for share in shares {
        let flow = flows.entry(share.flow.clone()).or_default();
        flow.in_flight = flow.in_flight.saturating_add(share.in_flight);
        flow.waiting = flow.waiting.saturating_add(u32::try_from(share.waiting).unwrap_or(u32::MAX));
        let oldest = share.oldest.unwrap_or_default().as_millis();
        flow.oldest_ms = flow.oldest_ms.max(u64::try_from(oldest).unwrap_or(u64::MAX));
        flow.paused |= share.waiting > 0 && !paused.is_empty() && paused.contains(&share.line.to_string());
    }
    flows
}

/// Looks until `stop`.
pub(super) fn keep(trends: Trends, supervisor: Supervisor, stop: CancellationToken) {
    task::spawn("trends", async move {
        let clock = supervisor.services().clock.clone();
        let mut happenings = supervisor.happenings().listen();
        let running = supervisor.running();
        let mut look = clock.mono();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                happened = happenings.recv() => match happened {
                    Ok(Happening::RunStarted { .. }) => look = look.min(clock.mono().plus(LOOK)),
                    Ok(Happening::RunEnded { report, at }) => {
                        trends.end(&report.flow, &report.run, report.counts, report.pages, at);
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                () = clock.sleep_until(look) => {
                    trends.look(&supervisor);
                    let pause = match *running.borrow() {
                        0 => LOOK_IDLE,
                        many if many > MANY => LOOK_AT_MANY,
                        _ => LOOK,
                    };
                    look = clock.mono().plus(pause);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests;
