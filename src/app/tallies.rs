//! What is open, by flow, as it was a moment ago: read from the store beside everything else, so that neither a scrape
//! nor a run ever waits for it.

use crate::observe::event;
use crate::observe::meters::ErrorMeters;
use crate::runtime::happening::Happening;
use crate::runtime::supervisor::Supervisor;
use crate::store::FlowTally;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Looked at again at the latest after.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Looked at again at the earliest after, however many runs end meanwhile.
const BREATH: Duration = Duration::from_millis(500);

/// Shared by the task that keeps it and whoever shows it.
#[derive(Clone, Default)]
pub(super) struct Tallies(Arc<Mutex<HashMap<FlowId, Kept>>>);

struct Kept {
    tally: FlowTally,
    meters: ErrorMeters,
}

impl Tallies {
    /// Flows with open error records.
    pub(super) fn open(&self) -> Vec<FlowId> {
        let kept = self.lock();
        let mut flows: Vec<FlowId> =
            kept.iter().filter(|(_, kept)| kept.tally.open > 0).map(|(id, _)| id.clone()).collect();
        flows.sort();
        flows
    }

    /// Open error records of all flows.
    pub(super) fn open_records(&self) -> u64 {
        self.lock().values().map(|kept| kept.tally.open).sum()
    }

    /// As last read.
    pub(super) fn all(&self) -> HashMap<FlowId, FlowTally> {
        self.lock().iter().map(|(id, kept)| (id.clone(), kept.tally.clone())).collect()
    }

    /// Sets the gauges: ages grow without anybody doing anything.
    pub(super) fn show(&self, now: DateTime<Utc>) {
        for kept in self.lock().values() {
            kept.show(now);
        }
    }

    /// Takes over what the store says. A flow it says nothing of any more has nothing open. Flows that have something open
    /// and had nothing before, with how many.
    pub(super) fn take(&self, tallies: Vec<FlowTally>, now: DateTime<Utc>) -> Vec<(FlowId, u64)> {
        let mut kept = self.lock();
        let mut before = std::mem::take(&mut *kept);
        let mut first = Vec::new();
        for tally in tallies {
            let id = tally.flow.clone();
            let known = before.remove(&id);
            if tally.open > 0 && known.as_ref().is_none_or(|known| known.tally.open == 0) {
                first.push((id.clone(), tally.open));
            }
            let meters = known.map_or_else(|| ErrorMeters::of(&id), |kept| kept.meters);
            kept.insert(id, Kept { tally, meters });
        }
        for gone in before.values() {
            gone.meters.show(0, Duration::ZERO);
        }
        for kept in kept.values() {
            kept.show(now);
        }
        first
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FlowId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn show(&self, now: DateTime<Utc>) {
        let oldest = self.tally.oldest_open.map(|since| (now - since).to_std().unwrap_or_default());
        self.meters.show(self.tally.open, oldest.unwrap_or_default());
    }
}

/// Keeps the tallies current until `stop`: after runs, after changes by hand, and every now and then.
pub(super) async fn keep_tallies(
    tallies: Tallies,
    supervisor: Supervisor,
    changed: Arc<Notify>,
    stop: CancellationToken,
) {
    let clock = supervisor.services().clock.clone();
    let mut running = supervisor.running();
    let (mut failing, mut looked) = (false, false);
    loop {
        match supervisor.services().store.tallies().await {
            Ok(found) => {
                failing = false;
                let first = tallies.take(found, clock.utc());
                // What was open before this process began is told by nobody again.
                if std::mem::replace(&mut looked, true) {
                    for (flow, open) in first {
                        supervisor.happenings().tell(Happening::FirstError { flow, open });
                    }
                }
            }
            Err(cause) => {
                if !std::mem::replace(&mut failing, true) {
                    event::upkeep_failed("counting open errors", &cause.to_string());
                }
            }
        }
        let started = clock.mono();
        tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = running.changed() => {}
            () = changed.notified() => {}
            () = clock.sleep_until(started.plus(LOOK_AGAIN)) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(started.plus(BREATH)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(id: &str, open: u64) -> FlowTally {
        FlowTally {
            flow: FlowId::parse(id).unwrap(),
            exported: open,
            delivered: 0,
            filtered: 0,
            open,
            dismissed: 0,
            in_flight: 0,
            oldest_open: (open > 0).then_some(DateTime::UNIX_EPOCH),
        }
    }

    #[test]
    fn only_flows_with_something_open_are_named_and_what_is_gone_is_forgotten() {
        let tallies = Tallies::default();
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(90);
        let first = tallies.take(vec![tally("b", 2), tally("a", 1), tally("c", 0)], now);
        assert_eq!(first.iter().map(|(_, open)| *open).collect::<Vec<_>>(), [2, 1]);
        let names = |tallies: &Tallies| tallies.open().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&tallies), ["a", "b"]);
        tallies.show(now);
        assert_eq!(tallies.take(vec![tally("b", 2)], now), []);
        assert_eq!(names(&tallies), ["b"]);
        assert_eq!(tallies.take(vec![tally("b", 0)], now), []);
        assert_eq!(tallies.take(vec![tally("b", 7)], now).len(), 1, "the first after none");
    }
}
