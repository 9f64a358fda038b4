//! Trying error records again, page by page: one run a flow.

use super::Walk;
use crate::runtime::supervisor::{Refused, Started, Supervisor};
use crate::store::socket::StartedRun;
use crate::store::{ErrorFilter, ErrorRow, StoreError};
use crate::value::id::FlowId;
use std::collections::BTreeMap;

/// Records tried again at once.
const PAGE: usize = 2_000;
/// Bytes of them; one record is always allowed.
const PAGE_BYTES: usize = 32 << 20;

/// What was begun.
#[derive(Default)]
pub struct Retried {
    /// By flow: how many records, and their run or why there is none.
    pub flows: Vec<(FlowId, u64, Result<Started, Refused>)>,
    /// The lowest id of the page, when more may follow.
    pub next: Option<u64>,
}

/// Begins a run for each flow with open error records that match. Must be called inside the async runtime.
pub async fn retry(supervisor: &Supervisor, filter: ErrorFilter) -> Result<Retried, StoreError> {
    let (rows, next) = page(supervisor, filter).await?;
    let mut flows: BTreeMap<FlowId, Vec<ErrorRow>> = BTreeMap::new();
    // The oldest first: where their order counts, it is the one they came in.
    for row in rows.into_iter().rev() {
        flows.entry(row.flow.clone()).or_default().push(row);
    }
    let begin = |(flow, rows): (FlowId, Vec<ErrorRow>)| {
        let count = rows.len() as u64;
        let started = supervisor.retry(&flow, rows);
        (flow, count, started)
    };
    Ok(Retried { flows: flows.into_iter().map(begin).collect(), next })
}

async fn page(supervisor: &Supervisor, filter: ErrorFilter) -> Result<(Vec<ErrorRow>, Option<u64>), StoreError> {
    let store = supervisor.services().store.clone();
    let (mut page, mut bytes): (Vec<ErrorRow>, usize) = (Vec::new(), 0);
    let mut walk = Walk::new(store.as_ref(), ErrorFilter { open_only: true, ..filter });
    while let Some(rows) = walk.next().await? {
        for row in rows {
            if page.len() >= PAGE || (bytes > 0 && bytes + row.bytes() > PAGE_BYTES) {
                let next = page.last().map(|row| row.id);
                return Ok((page, next));
            }
            bytes += row.bytes();
            page.push(row);
        }
    }
    Ok((page, None))
}

/// A run as it is told to who asked for it.
pub fn told(flow: FlowId, errors: u64, started: &Result<Started, Refused>) -> StartedRun {
    match started {
        Ok(started) => {
            let (run, resumed) = (Some(started.run.clone()), started.resumed);
            StartedRun { flow, run, resumed, errors, refused: None, later: false }
        }
        Err(refused) => {
            let later =
                matches!(refused, Refused::Running(_) | Refused::Kept(_) | Refused::Queued(_) | Refused::Draining);
            StartedRun { flow, run: None, resumed: false, errors, refused: Some(refused.to_string()), later }
        }
    }
}
