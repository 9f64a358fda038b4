//! What became of each flow's last runs: kept in memory, over reloads, renames and removals.

use super::run::report::{Ending, Report};
use super::view::LastRun;
use crate::model::snapshot::Snapshot;
use crate::store::RunRow;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// Removed flows that `status` still knows.
const MOST_REMOVED: usize = 1_000;

/// One flow's.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The last run that ended.
    pub(super) last: Option<LastRun>,
    /// The last success.
    pub(super) last_success: Option<DateTime<Utc>>,
}

/// Every flow's.
#[derive(Debug, Default)]
pub(super) struct Histories(HashMap<FlowId, History>);

impl Histories {
    pub(super) fn get(&self, flow: &FlowId) -> Option<&History> {
        self.0.get(flow)
    }

    pub(super) fn flows(&self) -> impl Iterator<Item = &FlowId> {
        self.0.keys()
    }

    /// A run of an earlier process; the oldest come first.
    pub(super) fn remember(&mut self, row: &RunRow, ending: Ending) {
        let Some(ended) = row.ended else { return };
        let history = self.0.entry(row.flow.clone()).or_default();
        if ending == Ending::Succeeded {
            history.last_success = Some(ended);
        }
        history.last = Some(LastRun { run: row.id.clone(), ended, ending, counts: row.tally.into() });
    }

    /// A run ended.
    pub(super) fn note(&mut self, report: &Report, now: DateTime<Utc>) {
        let history = self.0.entry(report.flow.clone()).or_default();
        if report.ending == Ending::Succeeded {
            history.last_success = Some(now);
        }
        history.last =
            Some(LastRun { run: report.run.clone(), ended: now, ending: report.ending.clone(), counts: report.counts });
    }

    /// A renamed flow (`formerly`) takes its history along once nothing has the old name any more; the oldest of
    /// removed flows are forgotten.
    pub(super) fn follow(&mut self, snapshot: &Snapshot, is_active: impl Fn(&FlowId) -> bool) {
        for flow in snapshot.flows.values() {
            for old in flow.formerly.iter().filter(|old| !snapshot.flows.contains_key(old) && !is_active(old)) {
                if let Some(history) = self.0.remove(old) {
                    self.0.entry(flow.id.clone()).or_insert(history);
                }
            }
        }
        let mut removed: Vec<(Option<DateTime<Utc>>, FlowId)> = self
            .0
            .iter()
            .filter(|(id, _)| !snapshot.flows.contains_key(id))
            .map(|(id, history)| (history.last.as_ref().map(|last| last.ended), id.clone()))
            .collect();
        removed.sort();
        let too_many = removed.len().saturating_sub(MOST_REMOVED);
        for (_, id) in removed.drain(..too_many) {
            self.0.remove(&id);
        }
    }
}
