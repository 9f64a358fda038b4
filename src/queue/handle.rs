//! The shared handle: joins lines, grants permits, wakes waiters at the next instant something may change.

use super::limits::{LineId, LineSpec};
use super::permit::Permit;
use crate::value::id::FlowId;
use crate::value::time::SharedClock;
use std::num::NonZeroU32;
use std::time::Duration;

/// All pools of a process. Cheap to clone.
#[derive(Clone)]
pub struct Queue {}

/// The line was removed or the queue shut down while waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is closed")]
pub struct QueueClosed;

/// One line as shown by `status`.
#[derive(Debug, Clone)]
pub struct LineView {
    /// Which line.
    pub id: LineId,
    /// Tickets waiting.
    pub depth: usize,
    /// Age of the oldest waiting ticket.
    pub oldest: Option<Duration>,
    /// Requests in flight from this line.
    pub in_flight: u32,
}

/// One pool as shown by `status`.
#[derive(Debug, Clone)]
pub struct PoolView {
    /// The lender.
    pub id: LineId,
    /// Level in force.
    pub level: u32,
    /// In flight over all lines.
    pub in_flight: u32,
    /// Time left of a pause.
    pub paused_for: Option<Duration>,
    /// Own line first, then borrowers.
    pub lines: Vec<LineView>,
}

impl Queue {
    /// Starts without lines; spawns the one waker task.
    pub fn start(_clock: SharedClock) -> Self {
        todo!()
    }
    /// Puts a topology in force at once: new limits hold for waiting tickets, requests in flight keep counting,
    /// lines not named any more close when their last ticket is gone.
    pub fn apply(&self, _lines: Vec<LineSpec>) {
        todo!()
    }
    /// Joins the line and waits. Dropping the future leaves the line.
    pub async fn acquire(&self, _line: &LineId, _flow: &FlowId, _weight: NonZeroU32) -> Result<Permit, QueueClosed> {
        todo!()
    }
    /// Every pool, for `status`.
    pub fn view(&self) -> Vec<PoolView> {
        todo!()
    }
}
