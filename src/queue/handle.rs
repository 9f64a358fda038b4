//! The shared handle: joins lines and waits for permits. Decides nothing.

use super::limits::{LineId, LineSpec};
use super::permit::{Permit, Waiting};
use super::shared::Shared;
use super::state::LineKey;
use super::view::{FlowShare, PoolDetail, PoolView};
use crate::observe::traces::waiting;
use crate::value::id::FlowId;
use crate::value::time::SharedClock;
use std::num::NonZeroU32;
use std::sync::Arc;

/// All pools of a process. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

/// There is no such line (any more), or the queue was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is closed")]
pub struct QueueClosed;

impl Queue {
    /// Starts without lines; spawns the one waker task, which ends with the last handle and permit.
    pub fn start(clock: SharedClock) -> Self {
        Self { shared: Shared::start(clock) }
    }

    /// Puts a topology in force at once: new limits hold for waiting tickets, requests in flight keep counting,
    /// lines not named any more close when nothing is left in them.
    pub fn apply(&self, lines: Vec<LineSpec>) {
        self.shared.with(|locked, now| {
            let limits = lines.iter().map(|line| (line.id.clone(), line.limits.clone()));
            locked.state.set_topology(limits, now);
            for line in lines {
                locked.meter(&line.id, line.meters);
            }
            locked.forget_closed();
        });
    }

    /// Joins the line (when first polled) and waits. Dropping the future leaves the line.
    pub async fn acquire(&self, line: &LineId, flow: &FlowId, weight: NonZeroU32) -> Result<Permit, QueueClosed> {
        let _waits = waiting();
        let (ticket, granted) = self.shared.with(|locked, now| {
            if locked.sends_away(Some(flow)) {
                return Err(QueueClosed);
            }
            let ticket = locked.state.join(line, flow, weight, now).ok_or(QueueClosed)?;
            locked.settle(now);
            let granted = locked.state.waited(ticket);
            if granted.is_none()
                && let Some(line) = locked.state.line_of(ticket)
            {
                locked.report(line);
            }
            Ok((ticket, granted))
        })?;
        match granted {
            Some(waited) => Ok(Permit::new(self.shared.clone(), ticket, waited)),
            None => Waiting::new(self.shared.clone(), ticket).await,
        }
    }

    /// Keeps a line open while the guard lives, though configuration may drop it and no ticket be in it: a run holds
    /// one for each connection of its snapshot. Limits keep coming from the newest topology that named the line.
    pub fn keep_open(&self, line: &LineId) -> Result<KeepOpen, QueueClosed> {
        let line = self.shared.with(|locked, _| locked.state.key(line).filter(|line| locked.state.keep(*line)));
        line.map(|line| KeepOpen { shared: self.shared.clone(), line }).ok_or(QueueClosed)
    }

    /// Sends everybody who waits away, now and from now on. Permits stay good until dropped.
    pub fn close(&self) {
        self.shared.with(|locked, _| {
            locked.closed = true;
            locked.wake_all();
        });
    }

    /// Sends away what waits of a flow, now and until `admit`. Permits stay good until dropped.
    pub fn bar(&self, flow: &FlowId) {
        self.shared.with(|locked, _| locked.bar(flow, true));
    }

    /// Lets a flow in again.
    pub fn admit(&self, flow: &FlowId) {
        self.shared.with(|locked, _| locked.bar(flow, false));
    }

    /// The level a line sends under: what a caller needs to know to keep that many requests ready. 1 for a line that
    /// is not there.
    pub fn level(&self, line: &LineId) -> u32 {
        let locked = self.shared.lock();
        locked.state.key(line).and_then(|line| locked.state.level(line)).unwrap_or(1)
    }

    /// What each flow has in each line.
    pub fn shares(&self) -> Vec<FlowShare> {
        let locked = self.shared.lock();
        locked.state.shares(self.shared.now())
    }

    /// The pool a line sends under: who has its permits, and why the first `most` requests of flows that `whom` names
    /// wait. None for a line that is not there. The lock is held for the copy only.
    pub fn explain(&self, line: &LineId, whom: impl Fn(&FlowId) -> bool, most: usize) -> Option<PoolDetail> {
        let locked = self.shared.lock();
        let now = self.shared.now();
        let excerpt = locked.state.excerpt(locked.state.key(line)?)?;
        drop(locked);
        excerpt.detail(now, whom, most)
    }

    /// Every pool, for `status`.
    pub fn view(&self) -> Vec<PoolView> {
        let locked = self.shared.lock();
        locked.state.view(self.shared.now())
    }
}

/// Keeps a line open between requests. See [`Queue::keep_open`].
#[must_use]
pub struct KeepOpen {
    shared: Arc<Shared>,
    line: LineKey,
}

impl Drop for KeepOpen {
    fn drop(&mut self) {
        self.shared.with(|locked, _| {
            locked.state.let_go(self.line);
            locked.report(self.line);
        });
    }
}
