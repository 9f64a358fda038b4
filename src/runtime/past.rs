//! What earlier processes left: runs that did not end, and flows as they were when those began.

use crate::model::flow::Flow;
use crate::runtime::run::report::{Ending, RunError};
use crate::store::{Phase, RunFilter, RunKind, RunRow, Store, StoreError, Write};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::Arc;

/// Gives a run the flow it began with, when the file has changed since.
pub trait Recall: Send + Sync + 'static {
    /// The flow as `text` says, on the connections in force. An error says what stands in the way.
    fn recall(&self, flow: &FlowId, text: &str) -> Result<Arc<Flow>, String>;
}

/// Runs that did not end, by flow, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Unfinished(HashMap<FlowId, Vec<RunRow>>);

impl Unfinished {
    /// Finds them in the store. Those cut off by an unclean exit are told so there, with the pages that were in flight;
    /// a retry that was cut off is over: its error records are still open.
    pub(super) async fn find(store: &dyn Store, epoch: u64, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let open = RunFilter { phases: vec![Phase::Running, Phase::Held], ..RunFilter::default() };
        let mut found = Self::default();
        for row in store.runs(open).await?.into_iter().rev() {
            if row.kind == RunKind::Retry {
                store.commit(vec![over(&row, now)]).await?;
                continue;
            }
            if row.phase == Phase::Running && row.epoch < epoch {
                let pages = store.pages(&row.id).await?;
                // A page that saw no unclean exit yet counts as worked on; one that did is worked on alone since.
                let hit = pages.iter().filter(|page| !page.marks.is_done() && (page.crashes == 0 || page.started));
                let pages = hit.map(|page| page.number).collect();
                // Held from here on: a process that does not take it up, and dies, does not count against it.
                let interrupted = Write::Interrupted { run: row.id.clone(), pages, epoch };
                store.commit(vec![interrupted, held(&row, now)]).await?;
            }
            if let Some(row) = store.run(&row.id).await? {
                found.add(row);
            }
        }
        Ok(found)
    }

    /// Puts it where its age belongs.
    pub(super) fn add(&mut self, row: RunRow) {
        let rows = self.0.entry(row.flow.clone()).or_default();
        let place = rows.partition_point(|known| (known.started, &known.id) <= (row.started, &row.id));
        rows.insert(place, row);
    }

    /// Takes the oldest of a flow.
    pub(super) fn take(&mut self, flow: &FlowId) -> Option<RunRow> {
        let rows = self.0.get_mut(flow)?;
        let row = (!rows.is_empty()).then(|| rows.remove(0));
        if rows.is_empty() {
            self.0.remove(flow);
        }
        row
    }

    /// All of a flow, the oldest first.
    pub(super) fn of(&self, flow: &FlowId) -> &[RunRow] {
        self.0.get(flow).map_or(&[], Vec::as_slice)
    }

    /// The newest of a flow.
    pub(super) fn last_mut(&mut self, flow: &FlowId) -> Option<&mut RunRow> {
        self.0.get_mut(flow)?.last_mut()
    }

    /// The oldest of a flow.
    pub(super) fn get(&self, flow: &FlowId) -> Option<&RunRow> {
        self.0.get(flow)?.first()
    }

    pub(super) fn flows(&self) -> impl Iterator<Item = &FlowId> {
        self.0.keys()
    }

    pub(super) fn rename(&mut self, from: &FlowId, to: &FlowId) {
        for mut row in self.0.remove(from).unwrap_or_default() {
            row.flow = to.clone();
            self.add(row);
        }
    }
}

fn held(row: &RunRow, at: DateTime<Utc>) -> Write {
    Write::Phase {
        run: row.id.clone(),
        phase: Phase::Held,
        outcome: Some("cancelled".to_owned()),
        cause: Some("cut off by an unclean exit".to_owned()),
        at,
    }
}

fn over(row: &RunRow, at: DateTime<Utc>) -> Write {
    Write::Phase {
        run: row.id.clone(),
        phase: Phase::Ended,
        outcome: Some("cancelled".to_owned()),
        cause: Some("cut off; the error records not settled are open as before".to_owned()),
        at,
    }
}

/// How a stored run ended, for `status`.
pub fn ending(row: &RunRow) -> Ending {
    let cause = || RunError { place: "run".to_owned(), text: row.cause.clone().unwrap_or_default() };
    match row.outcome.as_deref() {
        Some("succeeded") => Ending::Succeeded,
        Some("errors") => Ending::WithErrors,
        Some("cancelled") | None => Ending::Cancelled,
        Some(_) => Ending::ExportFailed(cause()),
    }
}
