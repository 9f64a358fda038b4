//! Keeps time: sleeps until the next occurrence, starts the flows that are due, follows every new snapshot.

use crate::model::snapshot::Snapshot;
use crate::observe::event;
use crate::observe::meters::{FlowMeters, SchedulerMeters, SkipReason, TriggerKind};
use crate::runtime::schedule::{Due, Heap, Mark, Passed, Planned, Wake};
use crate::runtime::supervisor::{Options, Refused, Supervisor, save_mark};
use crate::store::{Space, Store, StoreError, Write};
use crate::value::id::FlowId;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Civil time can jump: look at the clock at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Series of a flow that has a schedule.
struct Series {
    schedule: SchedulerMeters,
    flow: FlowMeters,
    pace: Pace,
}

/// The gaps between a flow's occurrences, as far as they matter for how old its last success may be.
#[derive(Debug, Default)]
struct Pace {
    latest: Option<DateTime<Utc>>,
    /// Before the latest.
    before: TimeDelta,
    /// After the latest.
    after: TimeDelta,
}

impl Pace {
    /// The longest of those around now. The one that is over counts until its own run has had its time: on a Monday
    /// morning the last success is as old as the weekend is long.
    fn longest(&mut self, [latest, next, second]: [DateTime<Utc>; 3]) -> Duration {
        if self.latest.is_some_and(|before| before < latest) {
            self.before = self.after;
        }
        self.latest = Some(latest);
        self.after = next - latest;
        self.before.max(self.after).max(second - next).to_std().unwrap_or_default()
    }
}

struct Keeper {
    supervisor: Supervisor,
    heap: Heap,
    series: HashMap<FlowId, Series>,
    /// Each gives its flow when a run that was started here has ended.
    ends: FuturesUnordered<BoxFuture<'static, FlowId>>,
}

/// Runs until `stop`.
pub(super) async fn keep_time(supervisor: Supervisor, marks: Vec<(FlowId, Mark)>, stop: CancellationToken) {
    let clock = supervisor.services().clock.clone();
    let mut snapshots = supervisor.snapshots();
    let mut keeper =
        Keeper { supervisor, heap: Heap::new(marks), series: HashMap::new(), ends: FuturesUnordered::new() };
    snapshots.mark_changed();
    loop {
        let now = clock.utc();
        // What is due by the schedules in force until now is theirs; a flow that is new may have missed something.
        keeper.start_due(now);
        if snapshots.has_changed().unwrap_or(false)
            && let Some(snapshot) = snapshots.borrow_and_update().clone()
        {
            keeper.follow(&snapshot, now);
            keeper.start_due(now);
        }
        keeper.save();
        let next = keeper.heap.next_wake();
        let wait = next.map_or(LOOK_AGAIN, |at| (at - now).to_std().unwrap_or_default().min(LOOK_AGAIN));
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(clock.mono().plus(wait)) => {}
            Some(flow) = keeper.ends.next() => keeper.heap.ended(&flow, clock.utc()),
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return;
                }
                snapshots.mark_changed();
            }
        }
    }
}

/// What earlier processes left of the schedules.
pub(super) async fn saved_marks(store: &dyn Store) -> Result<Vec<(FlowId, Mark)>, StoreError> {
    let mut marks = Vec::new();
    for (key, value) in store.values(Space::Schedule).await? {
        let Ok(flow) = FlowId::parse(&key) else { continue };
        match value.parse() {
            Ok(mark) => marks.push((flow, mark)),
            Err(error) => event::schedule_mark_ignored(&flow, &value, &format!("{error}")),
        }
    }
    Ok(marks)
}

impl Keeper {
    /// Starts what is due, and tells what is not.
    fn start_due(&mut self, now: DateTime<Utc>) {
        let Wake { due, passed, distrusted } = self.heap.due(now, |flow| self.supervisor.is_running(flow));
        for mark in distrusted {
            let cause = "it lies more than a day ahead: the clock was wrong then, or is now; the flow goes on from now";
            event::schedule_mark_ignored(&mark.flow, &mark.done.to_rfc3339(), cause);
        }
        for passed in passed {
            self.tell(&passed);
        }
        for due in due {
            let Some(series) = self.series.get(&due.flow) else { continue };
            let lateness = (now - due.instant).to_std().unwrap_or_default();
            event::schedule_due(&series.schedule, &due.flow, due.instant, lateness);
            self.tell_next(&due.flow);
            self.start(due);
        }
    }

    fn tell(&mut self, passed: &Passed) {
        if let Some(series) = self.series.get(&passed.flow) {
            event::schedule_passed(&series.schedule, &passed.flow, passed.newest, passed.count, passed.reason);
            self.tell_next(&passed.flow);
        }
    }

    fn tell_next(&mut self, flow: &FlowId) {
        if let Some(series) = self.series.get_mut(flow) {
            let interval = self.heap.around(flow).map(|around| series.pace.longest(around));
            event::next_run(&series.flow, flow, self.heap.next_of(flow), interval);
        }
    }

    /// Starts one run. The mark becomes durable with its begin, or by itself when there is none.
    fn start(&self, due: Due) {
        let Due { flow, instant, mark, .. } = due;
        let skipped = |reason| {
            if let Some(series) = self.series.get(&flow) {
                event::schedule_skipped(&series.schedule, &flow, instant, reason);
            }
        };
        let options = Options { occurrence: Some(mark), ..Options::default() };
        let had = match self.supervisor.start(&flow, TriggerKind::Schedule, options) {
            Ok(started) => {
                let flow = flow.clone();
                self.ends.push(Box::pin(async move {
                    // However it ended.
                    let _ = started.report.await;
                    flow
                }));
                // A run that goes on began long ago.
                started.resumed
            }
            Err(Refused::Kept(_)) => {
                event::schedule_kept(&flow, instant);
                false
            }
            // Its turn comes in the next process.
            Err(Refused::Draining) => {
                skipped(SkipReason::Draining);
                false
            }
            Err(Refused::Paused(..)) => {
                skipped(SkipReason::Paused);
                true
            }
            Err(Refused::Unknown(_) | Refused::Disabled(_) | Refused::NothingWaits(_) | Refused::Damaged(..)) => {
                skipped(SkipReason::Gone);
                true
            }
            Err(Refused::Running(_) | Refused::Queued(_)) => {
                skipped(SkipReason::Overlap);
                true
            }
        };
        if had {
            self.commit(vec![save_mark(&flow, mark)]);
        }
    }

    /// What changed without a run that carries it.
    fn save(&mut self) {
        let write = |(flow, mark): (FlowId, Option<Mark>)| match mark {
            Some(mark) => save_mark(&flow, mark),
            None => Write::Delete { space: Space::Schedule, key: flow.to_string() },
        };
        let writes: Vec<Write> = self.heap.marks_to_save().into_iter().map(write).collect();
        if !writes.is_empty() {
            self.commit(writes);
        }
    }

    /// Nothing waits for it: what is lost with the process is found again from the marks before.
    fn commit(&self, writes: Vec<Write>) {
        drop(self.supervisor.services().store.commit(writes));
    }

    fn follow(&mut self, snapshot: &Snapshot, now: DateTime<Utc>) {
        let planned: Vec<Planned<'_>> = snapshot
            .flows
            .values()
            .filter(|flow| flow.enabled && flow.has_import())
            .filter_map(|flow| {
                Some(Planned { flow: &flow.id, formerly: &flow.formerly, schedule: flow.schedule.as_ref()? })
            })
            .collect();
        for passed in self.heap.set_flows(planned.iter().copied(), now) {
            self.tell(&passed);
        }
        self.series.retain(|id, series| {
            let kept = self.heap.next_of(id).is_some();
            if !kept {
                event::next_run(&series.flow, id, None, None);
            }
            kept
        });
        for Planned { flow, .. } in planned {
            self.series.entry(flow.clone()).or_insert_with(|| Series {
                schedule: SchedulerMeters::of(flow),
                flow: FlowMeters::of(flow),
                pace: Pace::default(),
            });
            self.tell_next(flow);
        }
    }
}

#[cfg(test)]
mod tests;
