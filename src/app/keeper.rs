//! Keeps time: sleeps until the next occurrence, starts the flows that are due, follows every new snapshot.

use crate::model::schedule::Schedule;
use crate::observe::event;
use crate::observe::meters::{SchedulerMeters, SkipReason, TriggerKind};
use crate::runtime::schedule::{Due, Heap};
use crate::runtime::supervisor::{Options, Refused, Supervisor};
use crate::value::id::FlowId;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Civil time can jump: look at the clock at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Runs until `stop`.
pub(super) async fn keep_time(supervisor: Supervisor, stop: CancellationToken) {
    let clock = supervisor.services().clock.clone();
    let mut snapshots = supervisor.snapshots();
    let mut heap = Heap::default();
    let mut meters: HashMap<FlowId, SchedulerMeters> = HashMap::new();
    snapshots.mark_changed();
    loop {
        if snapshots.has_changed().unwrap_or(false) {
            follow(&mut snapshots, &mut heap, &mut meters, &supervisor);
        }
        let now = clock.utc();
        for due in heap.due(now) {
            let lateness = (now - due.instant).to_std().unwrap_or_default();
            if let Some(meters) = meters.get(&due.flow) {
                start(&supervisor, &due, lateness, meters);
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

fn follow(
    snapshots: &mut Snapshots,
    heap: &mut Heap,
    meters: &mut HashMap<FlowId, SchedulerMeters>,
    supervisor: &Supervisor,
) {
    let Some(snapshot) = snapshots.borrow_and_update().clone() else { return };
    let scheduled: Vec<(FlowId, Schedule)> = snapshot
        .flows
        .values()
        .filter(|flow| flow.enabled && flow.import.is_some())
        .filter_map(|flow| Some((flow.id.clone(), flow.schedule.clone()?)))
        .collect();
    meters.retain(|id, _| snapshot.flows.contains_key(id));
    for (id, _) in &scheduled {
        meters.entry(id.clone()).or_insert_with(|| SchedulerMeters::of(id));
    }
    heap.set_flows(scheduled.iter().map(|(id, schedule)| (id, schedule)), supervisor.services().clock.utc());
}

fn start(supervisor: &Supervisor, due: &Due, lateness: Duration, meters: &SchedulerMeters) {
    event::schedule_due(meters, &due.flow, due.instant, lateness);
    match supervisor.start(&due.flow, TriggerKind::Schedule, Options::default()) {
        Ok(_) => {}
        Err(Refused::Kept(_)) => event::schedule_kept(&due.flow, due.instant),
        Err(Refused::Draining) => event::schedule_skipped(meters, &due.flow, due.instant, SkipReason::Draining),
        Err(_) => event::schedule_skipped(meters, &due.flow, due.instant, SkipReason::Overlap),
    }
}
