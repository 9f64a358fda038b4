//! Where the records of a run ended: at their export, at a step, or at the last import. One counter each, and none for what
//! only passed: what went into a step and out of it follows from them.

use super::state::Resolution;
use crate::model::flow::Flow;
use crate::runtime::import::Item;
use crate::store::StepTally;

/// The places of a flow, in order.
pub(super) struct Ends(Vec<StepTally>);

impl Ends {
    /// `before` is what an earlier stretch of the run counted.
    pub(super) fn of(flow: &Flow, before: &[StepTally]) -> Self {
        // As a walk counts its places: the export, its `keep`, then each step.
        let keeps = flow.exports.iter().any(|export| export.keep.is_some());
        let own = ["export", if keeps { "keep" } else { "" }];
        let last = flow.import.as_ref().map_or("output", |import| import.name.as_str());
        let names = own.into_iter().chain(flow.steps.iter().map(|step| step.name.as_str())).chain([last]);
        let known = |at: usize, name: &str| before.get(at).filter(|known| known.name == name).cloned();
        let fresh = |name: &str| StepTally { name: name.to_owned(), ..StepTally::default() };
        Self(names.enumerate().map(|(at, name)| known(at, name).unwrap_or_else(|| fresh(name))).collect())
    }

    /// A record ended; of a group all of them.
    pub(super) fn count(&mut self, item: &Item, how: Resolution) {
        // One that was settled before it set out ended at its export.
        let Some(tally) = self.0.get_mut(usize::from(item.place)) else { return };
        let count = match how {
            Resolution::Delivered => &mut tally.delivered,
            Resolution::Filtered => &mut tally.filtered,
            Resolution::Failed => &mut tally.failed,
        };
        *count += item.group.as_ref().map_or(1, |group| group.members.len().max(1) as u64);
    }

    /// As they are stored.
    pub(super) fn tallies(&self) -> Vec<StepTally> {
        self.0.clone()
    }
}
