//! What `serve` does by itself beside the schedule: tries again the error records that are due, lets old history go.

use super::tallies::Tallies;
use crate::observe::event;
use crate::runtime::run::report::{Ending, Report};
use crate::runtime::supervisor::{Refused, Supervisor};
use crate::store::{ErrorFilter, StoreError, Write};
use crate::value::id::FlowId;
use crate::value::time::Mono;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How often due error records are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Most error records of one flow tried again at once.
const MOST_OF_FLOW: u32 = 500;
/// Most flows looked at in one round; the next round goes on behind them.
const MOST_FLOWS: usize = 100;
/// How long a flow is left alone whose retries did not come through to their records: its connection is offline, say.
const LEFT_ALONE: [Duration; 4] =
    [Duration::from_mins(1), Duration::from_mins(10), Duration::from_hours(1), Duration::from_hours(6)];
/// How often old history is let go.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// Tries error records again whose time has come.
pub(super) struct Retries {
    supervisor: Supervisor,
    tallies: Tallies,
    /// Held while error records are acted on.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The last flow looked at.
    last: Option<FlowId>,
    waiting: Vec<(FlowId, oneshot::Receiver<Report>)>,
    alone: HashMap<FlowId, Alone>,
}

/// A flow that is left alone for a while.
struct Alone {
    until: Mono,
    times: usize,
}

impl Retries {
    pub(super) fn new(supervisor: Supervisor, tallies: Tallies, turn: Arc<tokio::sync::Mutex<()>>) -> Self {
        Self { supervisor, tallies, turn, last: None, waiting: Vec::new(), alone: HashMap::new() }
    }

    /// Runs until `stop`.
    pub(super) async fn keep(mut self, stop: CancellationToken) {
        let clock = self.supervisor.services().clock.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep_until(clock.mono().plus(LOOK_AGAIN)) => {}
            }
            if let Err(cause) = self.round().await {
                event::upkeep_failed("retrying errors", &cause.to_string());
            }
        }
    }

    async fn round(&mut self) -> Result<(), StoreError> {
        self.look_at_reports();
        let Some(snapshot) = self.supervisor.snapshot() else { return Ok(()) };
        let now = self.supervisor.services().clock.mono();
        let is_alone = |flow: &FlowId| self.alone.get(flow).is_some_and(|alone| alone.until > now);
        let may = |flow: &FlowId| snapshot.flows.get(flow).is_some_and(|flow| flow.enabled) && !is_alone(flow);
        let flows = self.in_turn(self.tallies.open().into_iter().filter(may).collect());
        for flow in flows {
            self.last = Some(flow.clone());
            self.retry(flow).await?;
        }
        Ok(())
    }

    /// A round's share of the flows, behind those of the round before.
    fn in_turn(&self, mut flows: Vec<FlowId>) -> Vec<FlowId> {
        let behind = flows.iter().position(|flow| self.last.as_ref().is_none_or(|last| flow > last)).unwrap_or(0);
        flows.rotate_left(behind);
        flows.truncate(MOST_FLOWS);
        flows
    }

    async fn retry(&mut self, flow: FlowId) -> Result<(), StoreError> {
        let services = self.supervisor.services();
        let _turn = self.turn.lock().await;
        let due = ErrorFilter {
            flow: Some(flow.clone()),
            open_only: true,
            due_by: Some(services.clock.utc()),
            limit: Some(MOST_OF_FLOW),
            ..ErrorFilter::default()
        };
        let mut rows = services.store.errors(due).await?;
        rows.reverse();
        if rows.is_empty() {
            return Ok(());
        }
        let count = rows.len();
        match self.supervisor.retry(&flow, rows) {
            Ok(started) => {
                event::errors_retried(&flow, &started.run, count);
                self.waiting.push((flow, started.report));
            }
            // It is running now, was removed, or the process ends: another round will see.
            Err(
                Refused::Running(_)
                | Refused::Unknown(_)
                | Refused::Disabled(_)
                | Refused::Paused(..)
                | Refused::Draining,
            ) => {}
            Err(refused) => event::upkeep_failed("retrying errors", &refused.to_string()),
        }
        Ok(())
    }

    /// A retry that was refused at the door left its records as they were, due at once: such a flow is left alone.
    fn look_at_reports(&mut self) {
        let now = self.supervisor.services().clock.mono();
        let mut waiting = Vec::new();
        for (flow, mut report) in std::mem::take(&mut self.waiting) {
            match report.try_recv() {
                Ok(report) if matches!(report.ending, Ending::Succeeded | Ending::WithErrors) => {
                    self.alone.remove(&flow);
                }
                Err(oneshot::error::TryRecvError::Empty) => waiting.push((flow, report)),
                Ok(_) | Err(oneshot::error::TryRecvError::Closed) => {
                    let times = self.alone.get(&flow).map_or(0, |alone| alone.times);
                    let length = LEFT_ALONE[times.min(LEFT_ALONE.len() - 1)];
                    self.alone.insert(flow, Alone { until: now.plus(length), times: times + 1 });
                }
            }
        }
        self.waiting = waiting;
    }
}

/// Starts again what came to webhooks and did not come to its end, every now and then until `stop`.
pub(super) async fn wake_hooks(supervisor: Supervisor, stop: CancellationToken) {
    let clock = supervisor.services().clock.clone();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(clock.mono().plus(LOOK_AGAIN)) => supervisor.wake_hooks(),
        }
    }
}

/// Lets old history go, at once and every hour, until `stop`.
pub(super) async fn prune(supervisor: Supervisor, stop: CancellationToken) {
    let services = supervisor.services();
    loop {
        let now = services.clock.utc();
        if let Some(snapshot) = supervisor.snapshot() {
            let settings = &snapshot.settings;
            let write = Write::Prune {
                runs_before: before(now, settings.history_retention),
                errors_before: before(now, settings.error_retention),
                at: now,
            };
            let pruned = tokio::select! {
                () = stop.cancelled() => return,
                pruned = services.store.commit(vec![write]) => pruned,
            };
            match pruned {
                Ok(receipt) => event::pruned(receipt.pruned.runs, receipt.pruned.errors, receipt.pruned.dismissed),
                Err(cause) => event::upkeep_failed("letting old history go", &cause.to_string()),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = services.clock.sleep_until(services.clock.mono().plus(PRUNE_EVERY)) => {}
        }
    }
}

/// The instant so long ago.
fn before(now: DateTime<Utc>, ago: Duration) -> DateTime<Utc> {
    chrono::TimeDelta::from_std(ago).ok().and_then(|ago| now.checked_sub_signed(ago)).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
