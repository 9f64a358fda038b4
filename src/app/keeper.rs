//! Keeps time: sleeps until the next occurrence, starts the flows that are due, follows every new snapshot.

use crate::model::schedule::Schedule;
use crate::observe::event;
use crate::observe::meters::{FlowMeters, SchedulerMeters, SkipReason, TriggerKind};
use crate::runtime::schedule::{Due, Heap};
use crate::runtime::supervisor::{Options, Refused, Supervisor};
use crate::value::id::FlowId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Civil time can jump: look at the clock at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Series of a flow that has a schedule.
struct Series {
    schedule: SchedulerMeters,
    flow: Arc<FlowMeters>,
}

/// Runs until `stop`.
pub(super) async fn keep_time(supervisor: Supervisor, stop: CancellationToken) {
    let clock = supervisor.services().clock.clone();
    let mut snapshots = supervisor.snapshots();
    let mut heap = Heap::default();
    let mut series: HashMap<FlowId, Series> = HashMap::new();
    snapshots.mark_changed();
    loop {
        if snapshots.has_changed().unwrap_or(false) {
            follow(&mut snapshots, &mut heap, &mut series, &supervisor);
        }
        let now = clock.utc();
        for due in heap.due(now) {
            let lateness = (now - due.instant).to_std().unwrap_or_default();
            if let Some(series) = series.get(&due.flow) {
                start(&supervisor, &due, lateness, &series.schedule);
                event::next_run(&series.flow, &due.flow, heap.next_of(&due.flow));
            }
        }
        let wait = heap.next_wake().map_or(LOOK_AGAIN, |at| (at - now).to_std().unwrap_or_default().min(LOOK_AGAIN));
        let wake = clock.mono().plus(wait);
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(wake) => {}
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return;
                }
                snapshots.mark_changed();
            }
        }
    }
}

type Snapshots = tokio::sync::watch::Receiver<Option<std::sync::Arc<crate::model::snapshot::Snapshot>>>;

fn follow(snapshots: &mut Snapshots, heap: &mut Heap, series: &mut HashMap<FlowId, Series>, supervisor: &Supervisor) {
    let Some(snapshot) = snapshots.borrow_and_update().clone() else { return };
    let scheduled: Vec<(FlowId, Schedule)> = snapshot
        .flows
        .values()
        .filter(|flow| flow.enabled && flow.import.is_some())
        .filter_map(|flow| Some((flow.id.clone(), flow.schedule.clone()?)))
        .collect();
    // A renamed flow goes on where it was under its old name: no instant fires twice, none is lost.
    let renamed: Vec<_> = snapshot
        .flows
        .values()
        .filter(|flow| heap.done(&flow.id).is_none())
        .filter_map(|flow| Some((&flow.id, flow.formerly.iter().find_map(|old| heap.done(old))?)))
        .collect();
    heap.set_flows(scheduled.iter().map(|(id, schedule)| (id, schedule)), supervisor.services().clock.utc());
    for (id, done) in renamed {
        heap.resume(id, done);
    }
    series.retain(|id, series| {
        let kept = heap.next_of(id).is_some();
        if !kept {
            event::next_run(&series.flow, id, None);
        }
        kept
    });
    for (id, _) in &scheduled {
        let fresh = || Series { schedule: SchedulerMeters::of(id), flow: Arc::new(FlowMeters::of(id)) };
        let series = series.entry(id.clone()).or_insert_with(fresh);
        event::next_run(&series.flow, id, heap.next_of(id));
    }
}

fn start(supervisor: &Supervisor, due: &Due, lateness: Duration, meters: &SchedulerMeters) {
    if due.missed > 0 {
        event::schedule_missed(meters, &due.flow, due.instant, due.missed);
    }
    if due.stale {
        return event::schedule_skipped(meters, &due.flow, due.instant, SkipReason::Missed);
    }
    event::schedule_due(meters, &due.flow, due.instant, lateness);
    match supervisor.start(&due.flow, TriggerKind::Schedule, Options::default()) {
        Ok(_) => {}
        Err(Refused::Kept(_)) => event::schedule_kept(&due.flow, due.instant),
        Err(Refused::Draining) => event::schedule_skipped(meters, &due.flow, due.instant, SkipReason::Draining),
        Err(Refused::Unknown(_) | Refused::Disabled(_) | Refused::Damaged(..)) => {
            event::schedule_skipped(meters, &due.flow, due.instant, SkipReason::Gone);
        }
        Err(Refused::Running(_) | Refused::Queued(_)) => {
            event::schedule_skipped(meters, &due.flow, due.instant, SkipReason::Overlap);
        }
    }
}
