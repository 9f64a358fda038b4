//! Turns of flows under `order = "fair"`: weighted round robin by start tags.
//!
//! Each ticket gets a turn when it joins: its flow's last turn plus `1 / weight`, but never a turn that has passed
//! already, so that a flow that was silent saves nothing up.

use super::Map;
use crate::value::id::FlowId;
use std::num::NonZeroU32;

/// One turn at weight 1. Heavier weights than this count as this.
const TURN: u64 = 1 << 20;

/// What one ticket of a flow of this weight costs.
pub(super) fn stride(weight: NonZeroU32) -> u64 {
    (TURN / u64::from(weight.get())).max(1)
}

#[derive(Clone)]
pub(super) struct Shares {
    /// The highest turn that has started.
    now: u64,
    /// Each flow's next turn.
    next: Map<FlowId, u64>,
}

impl Default for Shares {
    /// Turn 0 stays free for tickets that have started before and only wait to be sent again.
    fn default() -> Self {
        Self { now: 1, next: Map::default() }
    }
}

impl Shares {
    pub(super) fn turn(&mut self, flow: &FlowId, stride: u64) -> u64 {
        let turn = self.next.get(flow).map_or(self.now, |next| self.now.max(*next));
        let next = turn.saturating_add(stride);
        match self.next.get_mut(flow) {
            Some(known) => *known = next,
            None => drop(self.next.insert(flow.clone(), next)),
        }
        turn
    }

    pub(super) fn started(&mut self, turn: u64) {
        self.now = self.now.max(turn);
    }

    /// A ticket left unused: its flow does not pay for it.
    pub(super) fn refund(&mut self, flow: &FlowId, stride: u64) {
        if let Some(next) = self.next.get_mut(flow) {
            *next = next.saturating_sub(stride);
        }
    }
}
