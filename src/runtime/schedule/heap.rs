//! All schedules in one heap: what is due, when to ask again, what to remember.

use super::look::{Catching, Moment, Scheduled, TOLERANCE};
use super::mark::{AHEAD, Mark, Resume};
use super::stagger::Gate;
use super::wake::{Distrusted, Due, Passed, Planned, Wake};
use super::walk;
use crate::model::schedule::Schedule;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

/// All schedules. The cost of a wake depends on what is due, not on how many flows there are.
#[derive(Debug, Default)]
pub struct Heap {
    /// Earliest first; entries of an older generation are dropped when they come up.
    entries: BinaryHeap<Reverse<Entry>>,
    flows: HashMap<FlowId, Scheduled>,
    /// Of flows that have no schedule now.
    marks: BTreeMap<FlowId, Mark>,
    /// Whose mark changed without a run that carries it.
    unsaved: BTreeSet<FlowId>,
    distrusted: Vec<Distrusted>,
    gate: Gate,
    generation: u64,
    /// The latest now that was seen since the clock was last set back.
    latest: Option<DateTime<Utc>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: DateTime<Utc>,
    flow: FlowId,
    generation: u64,
}

impl Heap {
    /// Without flows yet; `marks` are what was saved before a restart.
    pub fn new(marks: impl IntoIterator<Item = (FlowId, Mark)>) -> Self {
        Self { marks: marks.into_iter().collect(), ..Self::default() }
    }

    /// Takes the schedules now in force. A flow whose zone and line are unchanged keeps its place; a changed one starts
    /// with its first occurrence after `now`, a new one goes on from its mark or starts now; one that is gone fires no
    /// more. Ask [`Heap::due`] first: what is due by the schedules before this is theirs. Gives what waited to be made
    /// up for under schedules that are gone.
    pub fn set_flows<'a>(&mut self, flows: impl IntoIterator<Item = Planned<'a>>, now: DateTime<Utc>) -> Vec<Passed> {
        self.follow_clock(now);
        let planned: Vec<Planned<'a>> = flows.into_iter().collect();
        let ids: HashSet<&FlowId> = planned.iter().map(|planned| planned.flow).collect();
        let mut before = std::mem::take(&mut self.flows);
        let mut left = Vec::new();
        for Planned { flow, formerly, schedule } in planned {
            match before.remove(flow) {
                Some(kept) if kept.schedule.same_instants(schedule) => self.keep(flow, kept, schedule, now),
                Some(changed) => {
                    left.extend(changed.left(flow, now));
                    self.enter(flow, schedule, schedule.fingerprint(), changed.done.max(now));
                }
                None => {
                    let former = formerly.iter().filter(|former| !ids.contains(former));
                    let same = |old: &Scheduled| old.schedule.same_instants(schedule);
                    let changed =
                        former.clone().filter_map(|id| before.get_key_value(id)).filter(|(_, old)| !same(old));
                    left.extend(changed.filter_map(|(id, old)| old.left(id, now)));
                    let marks = std::iter::once(flow).chain(former);
                    let marks = marks.filter_map(|id| Some((id, self.take_mark(id, &mut before)?)));
                    let newest = marks.max_by_key(|(_, mark)| (!mark.off, mark.done));
                    self.resume(flow, schedule, newest, now);
                }
            }
        }
        for (flow, gone) in before {
            left.extend(gone.left(&flow, now));
            self.marks.insert(flow, Mark { done: gone.done, line: Some(gone.line), off: false });
        }
        self.switch_off(now);
        self.sweep();
        left.sort_by(|a, b| a.flow.cmp(&b.flow));
        left
    }

    /// What is due at `now`. `running` says whether a run of a flow is under way: a flow does not start to make up for
    /// what it missed before that has ended.
    pub fn due(&mut self, now: DateTime<Utc>, running: impl Fn(&FlowId) -> bool) -> Wake {
        self.follow_clock(now);
        let mut wake = Wake { distrusted: std::mem::take(&mut self.distrusted), ..Wake::default() };
        let mut moment = Moment { now, running: &running, gate: &mut self.gate, steps: walk::STEPS };
        // Put back afterwards, so that each flow is looked at once.
        let mut again = Vec::new();
        while let Some(Reverse(entry)) = self.entries.peek() {
            if entry.at > now {
                break;
            }
            let Some(Reverse(Entry { flow, generation, .. })) = self.entries.pop() else { break };
            let Some(scheduled) = self.flows.get_mut(&flow).filter(|s| s.generation == generation) else { continue };
            let looked = scheduled.look(&flow, &mut moment);
            scheduled.armed = looked.again;
            again.extend(looked.again.map(|at| Reverse(Entry { at, flow: flow.clone(), generation })));
            if let Some((count, reason)) = looked.passed {
                wake.passed.push(Passed { flow: flow.clone(), newest: scheduled.done, count, reason });
            }
            if let Some((instant, late)) = looked.due {
                self.unsaved.remove(&flow);
                wake.due.push(Due { flow, instant, late, mark: mark_of(scheduled) });
            } else if looked.passed.is_some() {
                self.unsaved.insert(flow);
            }
        }
        self.entries.extend(again);
        wake.due.sort_by(|a, b| (a.instant, &a.flow).cmp(&(b.instant, &b.flow)));
        wake
    }

    /// A run of a flow ended: what waited for that may go on.
    pub fn ended(&mut self, flow: &FlowId, now: DateTime<Utc>) {
        if self.flows.get(flow).is_some_and(|scheduled| scheduled.catching != Catching::No) {
            self.arm(flow, Some(now));
            self.sweep();
        }
    }

    /// When to ask again.
    pub fn next_wake(&mut self) -> Option<DateTime<Utc>> {
        while let Some(Reverse(entry)) = self.entries.peek() {
            if self.flows.get(&entry.flow).is_some_and(|s| s.generation == entry.generation) {
                return Some(entry.at);
            }
            self.entries.pop();
        }
        None
    }

    /// When a flow is expected to start next, for `status` and the gauge of the next run.
    pub fn next_of(&self, flow: &FlowId) -> Option<DateTime<Utc>> {
        self.flows.get(flow)?.armed
    }

    /// A flow's latest occurrence, or when its schedule came in force, with the two to come.
    pub fn around(&self, flow: &FlowId) -> Option<[DateTime<Utc>; 3]> {
        let Scheduled { schedule, done, next, .. } = self.flows.get(flow)?;
        let next = (*next)?;
        Some([*done, next, schedule.next_after(next).unwrap_or(next)])
    }

    /// How far a flow has been handled.
    pub fn mark(&self, flow: &FlowId) -> Option<Mark> {
        self.flows.get(flow).map(mark_of).or_else(|| self.marks.get(flow).copied())
    }

    /// Marks that changed and are not part of a [`Due`], once; none = to be deleted. Losing them loses no run and
    /// doubles none, but what was missed may be counted again.
    pub fn marks_to_save(&mut self) -> Vec<(FlowId, Option<Mark>)> {
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.into_iter().map(|flow| (flow.clone(), self.mark(&flow))).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Unchanged instants: it keeps its place. Missed ones are judged anew when that rule changed.
    fn keep(&mut self, flow: &FlowId, mut kept: Scheduled, schedule: &Schedule, now: DateTime<Utc>) {
        let judge = kept.schedule.missed != schedule.missed && kept.catching != Catching::No;
        kept.schedule = schedule.clone();
        if judge {
            kept.catching = Catching::No;
        }
        self.flows.insert(flow.clone(), kept);
        if judge {
            self.arm(flow, Some(now));
        }
    }

    fn take_mark(&mut self, flow: &FlowId, before: &mut HashMap<FlowId, Scheduled>) -> Option<Mark> {
        let running = before.remove(flow).map(|scheduled| mark_of(&scheduled));
        let mark = running.or_else(|| self.marks.remove(flow))?;
        // Deleted under its old name; a flow that stays is written again below.
        self.unsaved.insert(flow.clone());
        Some(mark)
    }

    /// A flow that is new here goes on from its mark or a former name's, or starts now.
    fn resume(&mut self, flow: &FlowId, schedule: &Schedule, marked: Option<(&FlowId, Mark)>, now: DateTime<Utc>) {
        let line = schedule.fingerprint();
        let resume = marked.as_ref().map_or(Resume { done: now, trusted: true }, |(_, mark)| mark.resume(line, now));
        if let Some((_, mark)) = marked.as_ref().filter(|_| !resume.trusted) {
            self.distrusted.push(Distrusted { flow: flow.clone(), done: mark.done });
        }
        self.enter(flow, schedule, line, resume.done);
        if marked.is_some_and(|(id, mark)| id == flow && self.mark(flow) == Some(mark)) {
            self.unsaved.remove(flow);
        }
    }

    fn enter(&mut self, flow: &FlowId, schedule: &Schedule, line: u64, done: DateTime<Utc>) {
        let (schedule, next) = (schedule.clone(), schedule.next_after(done));
        let scheduled = Scheduled { schedule, line, generation: 0, done, next, armed: None, catching: Catching::No };
        self.flows.insert(flow.clone(), scheduled);
        self.unsaved.insert(flow.clone());
        self.arm(flow, next);
    }

    /// Looks at a flow at `at`, and no more when it was meant to be looked at.
    fn arm(&mut self, flow: &FlowId, at: Option<DateTime<Utc>>) {
        let Some(scheduled) = self.flows.get_mut(flow) else { return };
        self.generation += 1;
        scheduled.generation = self.generation;
        scheduled.armed = at;
        self.entries.extend(at.map(|at| Reverse(Entry { at, flow: flow.clone(), generation: self.generation })));
    }

    /// Marks of flows without a schedule say so, and are kept while a clock may be set back behind them.
    fn switch_off(&mut self, now: DateTime<Utc>) {
        let unsaved = &mut self.unsaved;
        self.marks.retain(|flow, mark| {
            let keep = (now - AHEAD..=now + AHEAD).contains(&mark.done);
            if !mark.off || !keep {
                mark.off = true;
                unsaved.insert(flow.clone());
            }
            keep
        });
    }

    /// After the clock was set back, what was found late may not be late at all, and marks made under a clock that ran
    /// far ahead hold nothing up.
    fn follow_clock(&mut self, now: DateTime<Utc>) {
        let latest = *self.latest.get_or_insert(now);
        if now + TOLERANCE >= latest {
            self.latest = Some(latest.max(now));
            return;
        }
        self.latest = Some(now);
        self.gate.reset();
        let mut flows: Vec<FlowId> = self.flows.keys().cloned().collect();
        flows.sort();
        for flow in flows {
            let Some(scheduled) = self.flows.get_mut(&flow) else { continue };
            scheduled.catching = Catching::No;
            if scheduled.done > now + AHEAD {
                self.distrusted.push(Distrusted { flow: flow.clone(), done: scheduled.done });
                self.unsaved.insert(flow.clone());
                scheduled.done = now;
                scheduled.next = scheduled.schedule.next_after(now);
            }
            let next = scheduled.next;
            self.arm(&flow, next);
        }
        self.sweep();
    }

    /// Throws out dead entries once they outnumber the living, so that edits do not pile up.
    fn sweep(&mut self) {
        if self.entries.len() > 2 * self.flows.len() + 64 {
            let flows = &self.flows;
            self.entries.retain(|Reverse(e)| flows.get(&e.flow).is_some_and(|s| s.generation == e.generation));
        }
    }
}

fn mark_of(scheduled: &Scheduled) -> Mark {
    Mark { done: scheduled.done, line: Some(scheduled.line), off: false }
}
