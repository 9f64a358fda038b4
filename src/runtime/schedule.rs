//! Which flows are due: one heap of instants for all schedules, pure and without a clock of its own.
//!
//! The owner asks [`Heap::due`] whenever it wakes and sleeps until [`Heap::next_wake`]. What to do with a due flow
//! (run it, skip it because one is running, keep it for later) is the supervisor's decision.
//!
//! An occurrence has an identity: flow and instant. It is handed out at most once, whatever the wall clock does:
//! - a late wake (a sleeping laptop, a stopped process, a clock set forward) collapses what was missed into one
//!   occurrence, the newest within [`WINDOW`]; older ones are counted as missed and not run;
//! - a clock set back hands out nothing again: the flow goes on with its next occurrence.

use crate::model::schedule::Schedule;
use crate::value::id::FlowId;
use chrono::{DateTime, TimeDelta, Utc};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// How far back a missed occurrence is still made up for (`missed = one`, the default).
pub const WINDOW: TimeDelta = TimeDelta::days(1);

/// Occurrences walked one by one before jumping ahead; a line that fires each second and slept for a day would
/// otherwise be stepped through 86,400 times.
const STEPS: u64 = 1_000;

/// A flow whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which flow.
    pub flow: FlowId,
    /// The scheduled instant: with the flow, the identity of this run. Not later than now.
    pub instant: DateTime<Utc>,
    /// Earlier occurrences that were passed over; at least so many, when more than a thousand.
    pub missed: u64,
    /// Older than [`WINDOW`]: to be counted as missed, not run.
    pub stale: bool,
}

/// All schedules in one heap. The cost of a wake depends on what is due, not on how many flows there are.
#[derive(Debug, Default)]
pub struct Heap {
    /// Earliest first; entries of an older generation are dropped when they come up.
    entries: BinaryHeap<Reverse<Entry>>,
    flows: HashMap<FlowId, Scheduled>,
    generation: u64,
}

#[derive(Debug)]
struct Scheduled {
    schedule: Schedule,
    generation: u64,
    /// The newest instant handed out or passed over: nothing up to it fires again.
    done: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    instant: DateTime<Utc>,
    flow: FlowId,
    generation: u64,
}

impl Heap {
    /// An empty heap.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the schedules now in force. A flow whose zone and line are unchanged keeps its place; a new or changed one
    /// starts with its first occurrence after `now`; one that is gone fires no more.
    pub fn set_flows<'a>(&mut self, flows: impl IntoIterator<Item = (&'a FlowId, &'a Schedule)>, now: DateTime<Utc>) {
        let mut before = std::mem::take(&mut self.flows);
        for (flow, schedule) in flows {
            let scheduled = match before.remove(flow) {
                Some(kept) if kept.schedule.same_instants(schedule) => Scheduled { schedule: schedule.clone(), ..kept },
                // An edit never hands out an instant again that its predecessor already did.
                Some(changed) => self.enter(flow, schedule, changed.done.max(now)),
                None => self.enter(flow, schedule, now),
            };
            self.flows.insert(flow.clone(), scheduled);
        }
        self.sweep();
    }

    /// Makes `instant` the flow's newest handed-out occurrence, as remembered from before a restart: what came after it
    /// counts as missed, within [`WINDOW`].
    pub fn resume(&mut self, flow: &FlowId, instant: DateTime<Utc>) {
        let Some(scheduled) = self.flows.remove(flow) else { return };
        let scheduled = self.enter(flow, &scheduled.schedule, instant);
        self.flows.insert(flow.clone(), scheduled);
    }

    /// The newest instant of a flow that was handed out or passed over.
    pub fn done(&self, flow: &FlowId) -> Option<DateTime<Utc>> {
        self.flows.get(flow).map(|scheduled| scheduled.done)
    }

    /// What is due at `now`, each flow at most once, in order of instant and then of name.
    pub fn due(&mut self, now: DateTime<Utc>) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(Reverse(entry)) = self.entries.peek() {
            if entry.instant > now {
                break;
            }
            let Some(Reverse(entry)) = self.entries.pop() else { break };
            let Some(scheduled) = self.flows.get_mut(&entry.flow).filter(|s| s.generation == entry.generation) else {
                continue;
            };
            let (newest, missed) = newest_due(&scheduled.schedule, entry.instant, now);
            scheduled.done = newest;
            scheduled.next = scheduled.schedule.next_after(newest);
            if let Some(instant) = scheduled.next {
                let (flow, generation) = (entry.flow.clone(), scheduled.generation);
                self.entries.push(Reverse(Entry { instant, flow, generation }));
            }
            due.push(Due { flow: entry.flow, instant: newest, missed, stale: newest < now - WINDOW });
        }
        due.sort_by(|a, b| (a.instant, &a.flow).cmp(&(b.instant, &b.flow)));
        due
    }

    /// When to ask again.
    pub fn next_wake(&mut self) -> Option<DateTime<Utc>> {
        while let Some(Reverse(entry)) = self.entries.peek() {
            if self.flows.get(&entry.flow).is_some_and(|s| s.generation == entry.generation) {
                return Some(entry.instant);
            }
            self.entries.pop();
        }
        None
    }

    /// The next occurrence of one flow, for `status` and the gauge of the next run.
    pub fn next_of(&self, flow: &FlowId) -> Option<DateTime<Utc>> {
        self.flows.get(flow)?.next
    }

    fn enter(&mut self, flow: &FlowId, schedule: &Schedule, done: DateTime<Utc>) -> Scheduled {
        self.generation += 1;
        let next = schedule.next_after(done);
        if let Some(instant) = next {
            self.entries.push(Reverse(Entry { instant, flow: flow.clone(), generation: self.generation }));
        }
        Scheduled { schedule: schedule.clone(), generation: self.generation, done, next }
    }

    /// Throws out dead entries once they outnumber the living, so that edits do not pile up.
    fn sweep(&mut self) {
        if self.entries.len() > 2 * self.flows.len() + 64 {
            let flows = &self.flows;
            self.entries.retain(|Reverse(e)| flows.get(&e.flow).is_some_and(|s| s.generation == e.generation));
        }
    }
}

/// The newest occurrence from `first` to `now`, and how many were passed over before it.
fn newest_due(schedule: &Schedule, first: DateTime<Utc>, now: DateTime<Utc>) -> (DateTime<Utc>, u64) {
    let (mut newest, mut missed) = (first, 0);
    while let Some(next) = schedule.next_after(newest).filter(|next| *next <= now) {
        newest = next;
        missed += 1;
        if missed == STEPS {
            return (newest_by_halving(schedule, newest, now), missed);
        }
    }
    (newest, missed)
}

/// The newest occurrence not after `now`, without walking to it: halves the stretch in which one is known to be.
fn newest_by_halving(schedule: &Schedule, known: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let (mut newest, mut end) = (known, now);
    let until_now = |after| schedule.next_after(after).filter(|next| *next <= now);
    while end - newest > TimeDelta::seconds(1) {
        let middle = newest + (end - newest) / 2;
        match until_now(middle) {
            Some(next) => newest = next,
            None => end = middle,
        }
    }
    while let Some(next) = until_now(newest) {
        newest = next;
    }
    newest
}

#[cfg(test)]
mod tests;
