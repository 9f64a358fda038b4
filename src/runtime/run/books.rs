//! The accounts of a run: what became of each record, its error records, and what of all that the store is to be
//! given next. Every record leaves `in flight` here and nowhere else.

use super::ends::Ends;
use super::errors::{Errors, Fault};
use super::once;
use super::report::RecordError;
use super::state::{Counts, Resolution, RunState};
use super::waypoints::Waypoints;
use crate::model::import::Import;
use crate::model::step::OnError;
use crate::observe::event::{self, RecordFailure};
use crate::runtime::import::Item;
use crate::runtime::scope::{Scope, Work};
use crate::store::{ErrorState, IntentRow, StepTally, Tally, Write};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Kept by the run's own loop.
pub(super) struct Books<'r> {
    scope: &'r Scope,
    pub(super) state: RunState,
    ends: Ends,
    errors: Errors,
    /// For the store, beside the marks of pages.
    writes: Vec<Write>,
    /// How many of these are new error records.
    new_errors: usize,
    /// Trace keys of this flow's open error records.
    open_traces: HashSet<String>,
    /// Of these: delivered now.
    overtaken: Vec<String>,
    /// How many errors each step went on after.
    passed: BTreeMap<String, u64>,
    /// Delivered, and the source is not told yet.
    pub(super) telling: VecDeque<Item>,
    /// What imports on the way took.
    pub(super) waypoints: Waypoints,
    pub(super) pages: u64,
    pub(super) requests: u64,
}

impl<'r> Books<'r> {
    pub(super) fn new(scope: &'r Scope, state: RunState, open_traces: Vec<String>, waypoints: Waypoints) -> Self {
        Self {
            scope,
            state,
            ends: Ends::of(&scope.flow, scope.work.steps()),
            errors: Errors::new(scope),
            writes: Vec::new(),
            new_errors: 0,
            open_traces: open_traces.into_iter().collect(),
            overtaken: Vec::new(),
            passed: BTreeMap::new(),
            telling: VecDeque::new(),
            waypoints,
            pages: 0,
            requests: 0,
        }
    }

    /// A record went through, or left by a rule.
    pub(super) fn resolve(&mut self, item: &Item, how: Resolution) {
        // Left by a rule after an import took it.
        let how = if how == Resolution::Filtered && item.taken { Resolution::Delivered } else { how };
        if how == Resolution::Delivered && item.origin.export.once.is_some() {
            if !self.scope.dry_run {
                return self.telling.push_back(item.clone());
            }
            if let Err(error) = once::show(self.scope, item) {
                return self.fail(item, &Fault::eval(once::STEP, &error));
            }
        }
        self.settle(item, how);
    }

    /// Nothing is left to do for a record.
    pub(super) fn settle(&mut self, item: &Item, how: Resolution) {
        if !self.leaves(item, how) {
            return;
        }
        self.ends.count(item, how);
        self.waypoints.resolved(self.scope, item, false);
        let delivered = how == Resolution::Delivered;
        if let Some(error) = &item.error {
            let state = if delivered { ErrorState::Redelivered } else { ErrorState::Refiltered };
            let (by, at) = (self.scope.run.clone(), self.scope.clock.utc());
            self.writes.push(Write::ErrorState { id: error.id, state, by, at });
        } else if delivered {
            let own = item.trace.as_ref().and_then(|trace| trace.key.as_ref());
            let members = item.group.iter().flat_map(|group| &group.traces);
            for key in own.into_iter().chain(members) {
                if self.open_traces.remove(key) {
                    self.overtaken.push(key.clone());
                }
            }
        }
    }

    /// A record, or all those of a group at once, leave what is in flight. False when they have left already.
    fn leaves(&mut self, item: &Item, how: Resolution) -> bool {
        let Some(group) = item.group.as_ref().filter(|group| !group.members.is_empty()) else {
            return self.state.resolve(item.page, item.index(), how);
        };
        let mut any = false;
        for member in &group.members {
            any |= self.state.resolve(member.page, member.index, how);
        }
        if any {
            self.state.let_go(group.bytes);
        }
        any
    }

    /// A record failed.
    pub(super) fn fail(&mut self, item: &Item, fault: &Fault<'_>) {
        if self.leaves(item, Resolution::Failed) {
            self.waypoints.resolved(self.scope, item, true);
            self.failed(item, fault);
        }
    }

    /// A record is not tried by itself any more. What may have been sent of it is as unknown as before, to whoever tries
    /// it again.
    pub(super) fn park(&mut self, item: &Item, sent: Option<IntentRow>, mut fault: Fault<'_>) {
        if !self.leaves(item, Resolution::Failed) {
            return;
        }
        self.waypoints.of_another(self.scope, item);
        if let Some(sent) = sent {
            self.waypoints.sending_last(self.scope, item, sent.key);
        }
        if self.waypoints.is_unknown(self.scope, item) {
            fault.text.push_str("; it may have been sent before: a retry does about that what `unknown_outcome` says");
        }
        self.failed(item, &fault);
    }

    fn failed(&mut self, item: &Item, fault: &Fault<'_>) {
        self.ends.count(item, Resolution::Failed);
        let row = self.errors.add(self.scope, item, fault);
        self.new_errors += usize::from(row.id == 0);
        self.writes.push(Write::Error(Box::new(row)));
    }

    /// A record failed in the last import. With `on_error = "proceed"` it goes on to nowhere: no import took it. What may
    /// have arrived is an open error all the same, because somebody has to look.
    pub(super) fn fail_in(&mut self, import: &Import, item: &Item, fault: &Fault<'_>) {
        if import.on_error == OnError::Stop || fault.class == "unknown" {
            return self.fail(item, fault);
        }
        self.pass(item, fault.step, &fault.text);
        self.resolve(item, Resolution::Filtered);
    }

    /// A step of a record failed, and it went on all the same.
    pub(super) fn pass(&mut self, item: &Item, step: &str, text: &str) {
        let count = self.passed.entry(step.to_owned()).or_default();
        *count += 1;
        let text = self.errors.masked(text);
        let failure = RecordFailure { step, page: item.page, record: item.position, class: "passed", text: &text };
        event::step_passed(&self.scope.flow.id, &self.scope.run, &failure, *count == 1);
    }

    /// How many errors each step went on after.
    pub(super) fn take_passed(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.passed).into_iter().collect()
    }

    /// Whether the store lacks something.
    pub(super) fn is_dirty(&self) -> bool {
        self.state.is_dirty() || !self.writes.is_empty() || self.waypoints.is_dirty()
    }

    /// Whether it should not wait: error records are told at once.
    pub(super) fn is_urgent(&self) -> bool {
        !self.writes.is_empty()
    }

    /// What the store lacks, as one step, and how many new error records are in it.
    pub(super) fn take_writes(&mut self) -> (Vec<Write>, usize) {
        let run = || self.scope.run.clone();
        let mut writes = std::mem::take(&mut self.writes);
        writes.extend(self.waypoints.take_writes());
        let changes = self.state.take_changes();
        // The pages of a retry are made up: what becomes of its records stands in the error records themselves.
        if matches!(self.scope.work, Work::Export(_)) {
            writes.extend(changes.into_iter().map(|(page, marks)| Write::Marks { run: run(), page, marks }));
        }
        if !self.overtaken.is_empty() {
            let (flow, at) = (self.scope.flow.id.clone(), self.scope.clock.utc());
            writes.push(Write::Overtaken { flow, traces: std::mem::take(&mut self.overtaken), run: run(), at });
        }
        if !writes.is_empty() {
            writes.push(self.write_tally());
        }
        (writes, std::mem::take(&mut self.new_errors))
    }

    /// The figures, to be stored.
    pub(super) fn write_tally(&self) -> Write {
        Write::Tally { run: self.scope.run.clone(), tally: self.tally(), steps: self.steps() }
    }

    /// Where records ended.
    pub(super) fn steps(&self) -> Vec<StepTally> {
        self.ends.tallies()
    }

    /// The figures as they are stored.
    pub(super) fn tally(&self) -> Tally {
        let Counts { exported, delivered, filtered, failed, .. } = self.state.counts();
        let (pages, requests) = (self.pages, self.requests);
        Tally { exported, delivered, filtered, failed, pages, requests, ..Tally::default() }
    }

    /// The store gave ids to new error records.
    pub(super) fn named(&mut self, ids: &[u64]) {
        self.errors.named(ids);
    }

    /// A text without the secrets of the connections in use.
    pub(super) fn masked(&self, text: &str) -> String {
        self.errors.masked(text)
    }

    /// Error records opened since the run was taken up.
    pub(super) fn failures(&self) -> u64 {
        self.errors.count()
    }

    /// The first error records, for the report.
    pub(super) fn take_errors(&mut self) -> Vec<RecordError> {
        self.errors.take()
    }
}
