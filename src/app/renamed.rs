//! What is stored of flows that were renamed since, read as if it had been taken along already: before anything is
//! written under the new name, looking follows the rename too.

use crate::model::snapshot::Snapshot;
use crate::store::{
    Damage, ErrorFilter, ErrorRow, FlowTally, Health, IntentRow, PageRow, Pending, Receipt, RunFilter, RunRow, Space,
    Store, Usage, Write,
};
use crate::value::id::FlowId;
use std::sync::Arc;
use tokio::sync::watch;

/// Old names that no flow has any more, each with the flow that had it.
pub fn renames(snapshot: &Snapshot) -> Vec<(FlowId, FlowId)> {
    let free = |old: &&FlowId| !snapshot.flows.contains_key(*old);
    let of = |(id, old): (&FlowId, &FlowId)| (old.clone(), id.clone());
    snapshot
        .flows
        .iter()
        .flat_map(|(id, flow)| flow.formerly.iter().filter(free).map(move |old| of((id, old))))
        .collect()
}

/// The writes that take along what is stored of renamed flows.
pub fn writes(renames: &[(FlowId, FlowId)]) -> Vec<Write> {
    renames.iter().map(|(from, to)| Write::RenameFlow { from: from.clone(), to: to.clone() }).collect()
}

/// A store for looking, whose runs and error records have the names of today.
pub struct Renamed {
    store: Arc<dyn Store>,
    renames: Arc<[(FlowId, FlowId)]>,
}

impl Renamed {
    /// The store itself where nothing was renamed.
    pub fn over(store: Arc<dyn Store>, snapshot: &Snapshot) -> Arc<dyn Store> {
        let renames = renames(snapshot);
        if renames.is_empty() { store } else { Arc::new(Self { store, renames: renames.into() }) }
    }

    /// All names of a flow that are looked for, none for one that is called otherwise today; `None` = any flow.
    fn names(&self, flow: Option<&FlowId>) -> Vec<Option<FlowId>> {
        let Some(flow) = flow else { return vec![None] };
        if self.renames.iter().any(|(old, _)| old == flow) {
            return Vec::new();
        }
        let old = self.renames.iter().filter(|(_, new)| new == flow).map(|(old, _)| Some(old.clone()));
        std::iter::once(Some(flow.clone())).chain(old).collect()
    }
}

/// What it is called today.
fn today(renames: &[(FlowId, FlowId)], flow: &mut FlowId) {
    if let Some((_, new)) = renames.iter().find(|(old, _)| old == flow) {
        flow.clone_from(new);
    }
}

fn most(limit: Option<u32>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

impl Store for Renamed {
    fn commit(&self, batch: Vec<Write>) -> Pending<Receipt> {
        self.store.commit(batch)
    }

    fn run(&self, id: &str) -> Pending<Option<RunRow>> {
        let (found, renames) = (self.store.run(id), self.renames.clone());
        Box::pin(async move {
            let mut run = found.await?;
            if let Some(run) = &mut run {
                today(&renames, &mut run.flow);
            }
            Ok(run)
        })
    }

    fn runs(&self, filter: RunFilter) -> Pending<Vec<RunRow>> {
        let asked = self.names(filter.flow.as_ref());
        let asked: Vec<_> =
            asked.into_iter().map(|flow| self.store.runs(RunFilter { flow, ..filter.clone() })).collect();
        let renames = self.renames.clone();
        Box::pin(async move {
            let mut rows = Vec::new();
            let several = asked.len() > 1;
            for found in asked {
                rows.extend(found.await?);
            }
            for row in &mut rows {
                today(&renames, &mut row.flow);
            }
            if several {
                rows.sort_by_key(|row| std::cmp::Reverse(row.started));
            }
            rows.truncate(most(filter.limit));
            Ok(rows)
        })
    }

    fn errors(&self, filter: ErrorFilter) -> Pending<Vec<ErrorRow>> {
        let asked = self.names(filter.flow.as_ref());
        let asked: Vec<_> =
            asked.into_iter().map(|flow| self.store.errors(ErrorFilter { flow, ..filter.clone() })).collect();
        let renames = self.renames.clone();
        Box::pin(async move {
            let mut rows = Vec::new();
            for found in asked {
                rows.extend(found.await?);
            }
            for row in &mut rows {
                today(&renames, &mut row.flow);
            }
            rows.sort_by_key(|row| std::cmp::Reverse(row.id));
            rows.truncate(most(filter.limit));
            Ok(rows)
        })
    }

    fn pages(&self, run: &str) -> Pending<Vec<PageRow>> {
        self.store.pages(run)
    }

    fn body(&self, run: &str, page: u64) -> Pending<Option<Vec<u8>>> {
        self.store.body(run, page)
    }

    fn intents(&self, run: &str) -> Pending<Vec<IntentRow>> {
        self.store.intents(run)
    }

    fn open_traces(&self, flow: &FlowId) -> Pending<Vec<String>> {
        self.store.open_traces(flow)
    }

    fn tallies(&self) -> Pending<Vec<FlowTally>> {
        self.store.tallies()
    }

    fn value(&self, space: Space, key: &str) -> Pending<Option<String>> {
        self.store.value(space, key)
    }

    fn values(&self, space: Space) -> Pending<Vec<(String, String)>> {
        self.store.values(space)
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.store.health()
    }

    fn usage(&self) -> Pending<Usage> {
        self.store.usage()
    }

    fn damage(&self) -> Vec<Damage> {
        self.store.damage()
    }

    fn close(&self) -> Pending<()> {
        self.store.close()
    }
}
