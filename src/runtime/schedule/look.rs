//! One flow looked at: what of its unhandled occurrences is handed out, passed over or kept for later.
//!
//! An occurrence at most [`TOLERANCE`] late is on time. Older ones were *missed*, and [`Missed`] says what becomes of
//! them. A flow that makes up for them waits for its start (jitter, and the gate that spreads starts) and for a run of
//! it that is under way; an occurrence that comes on time meanwhile stands for the missed ones under `one` and joins
//! the line under `all`.

use super::stagger::{Gate, jitter};
use super::wake::Passed;
use super::walk;
use crate::model::schedule::{MakeUp, Missed, Overlap, Schedule};
use crate::observe::meters::SkipReason;
use crate::value::id::FlowId;
use chrono::{DateTime, TimeDelta, Utc};

/// An occurrence handed out no later than this is on time: a quick restart or a busy moment misses nothing.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(1);
/// A flow that waits for a run of itself to end is looked at so often, should nobody tell of the end.
const AGAIN: TimeDelta = TimeDelta::seconds(30);
/// A flow in the middle of catching up that is looked at so much later than meant was asleep.
const ASLEEP: TimeDelta = TimeDelta::minutes(2);

/// A flow in the heap.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) schedule: Schedule,
    /// The schedule's fingerprint.
    pub(super) line: u64,
    pub(super) generation: u64,
    /// Everything up to here was handed out or passed over.
    pub(super) done: DateTime<Utc>,
    /// The first occurrence after that.
    pub(super) next: Option<DateTime<Utc>>,
    /// When it will be looked at.
    pub(super) armed: Option<DateTime<Utc>>,
    pub(super) catching: Catching,
}

/// How far making up has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Catching {
    /// Nothing to make up for.
    No,
    /// Missed occurrences were found; it starts at `release`.
    Waiting { found: DateTime<Utc>, release: DateTime<Utc> },
    /// `all`: one after the other up to `until`; `by` is when the next look was meant to be.
    Working { until: DateTime<Utc>, by: DateTime<Utc> },
}

/// What a look needs from outside.
pub(super) struct Moment<'a> {
    pub(super) now: DateTime<Utc>,
    pub(super) running: &'a dyn Fn(&FlowId) -> bool,
    pub(super) gate: &'a mut Gate,
    /// Steps left for counting.
    pub(super) steps: u64,
}

/// What came of a look.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Handed out: its instant, and whether it was missed before.
    pub(super) due: Option<(DateTime<Utc>, bool)>,
    /// Passed over before that: how many, and why.
    pub(super) passed: Option<(u64, SkipReason)>,
    /// When to look again.
    pub(super) again: Option<DateTime<Utc>>,
}

impl Looked {
    fn later(again: Option<DateTime<Utc>>) -> Self {
        Self { again, ..Self::default() }
    }
}

impl Scheduled {
    pub(super) fn look(&mut self, flow: &FlowId, moment: &mut Moment<'_>) -> Looked {
        let now = moment.now;
        let Some(first) = self.next.filter(|first| *first <= now) else { return Looked::later(self.next) };
        if let Catching::Working { until, by } = self.catching {
            if now - by <= ASLEEP {
                return self.work(flow, first, until, moment);
            }
            self.catching = Catching::No;
        }
        match (self.schedule.missed.run, self.on_time(now)) {
            (MakeUp::All, Some(recent)) if recent == first => self.hand(first, first, moment, SkipReason::Missed),
            (MakeUp::None | MakeUp::One, Some(recent)) => self.newest(first, recent, moment, SkipReason::Missed),
            (MakeUp::None, None) => self.pass_over(first, moment, SkipReason::Missed),
            (MakeUp::One | MakeUp::All, _) => self.make_up(flow, first, moment),
        }
    }

    /// The first occurrence that is not late.
    fn on_time(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.next_after(now - TOLERANCE).filter(|recent| *recent <= now)
    }

    /// Waits for the start, then begins.
    fn make_up(&mut self, flow: &FlowId, first: DateTime<Utc>, moment: &mut Moment<'_>) -> Looked {
        let now = moment.now;
        let (found, release) = match self.catching {
            Catching::Waiting { found, release } => (found, release),
            Catching::No | Catching::Working { .. } => {
                let in_window = self.schedule.next_after(back(now, &self.schedule.missed)).is_some_and(|at| at <= now);
                if !in_window {
                    return self.pass_over(first, moment, SkipReason::Missed);
                }
                (now, now + jitter(flow, first, self.schedule.missed.jitter))
            }
        };
        self.catching = Catching::Waiting { found, release };
        if release > now {
            return self.until(release, now);
        }
        if (moment.running)(flow) {
            return self.until(now + AGAIN, now);
        }
        if !moment.gate.pass(now) {
            let release = moment.gate.plan(now);
            self.catching = Catching::Waiting { found, release };
            return self.until(release, now);
        }
        if self.schedule.missed.run == MakeUp::One {
            return self.newest(first, first, moment, SkipReason::Missed);
        }
        let Missed { max, .. } = self.schedule.missed;
        let in_window = self.schedule.next_after(back(found, &self.schedule.missed)).filter(|at| *at <= now);
        let oldest = first.max(in_window.unwrap_or(first));
        let oldest = walk::oldest_of_newest(&self.schedule, oldest, now, max);
        let looked = self.hand(first, oldest, moment, SkipReason::Missed);
        self.catching = Catching::Working { until: now, by: next_look(&looked, now) };
        looked
    }

    /// The next missed occurrence under `all`, once the run of the one before has ended.
    fn work(&mut self, flow: &FlowId, first: DateTime<Utc>, until: DateTime<Utc>, moment: &mut Moment<'_>) -> Looked {
        let looked = if first > until {
            self.caught_up(flow, first, moment)
        } else if let Some(again) = held(flow, moment) {
            Looked::later(Some(again))
        } else {
            self.hand(first, first, moment, SkipReason::Missed)
        };
        if first <= until || looked.due.is_none() && looked.passed.is_none() {
            self.catching = Catching::Working { until, by: next_look(&looked, moment.now) };
        }
        looked
    }

    /// All missed ones had their run. What came due meanwhile overlapped with those runs: of it only what is on time
    /// is handed out, or the newest when `overlap` keeps one for later.
    fn caught_up(&mut self, flow: &FlowId, first: DateTime<Utc>, moment: &mut Moment<'_>) -> Looked {
        match (self.schedule.overlap, self.on_time(moment.now)) {
            (_, Some(recent)) => self.newest(first, recent, moment, SkipReason::Overlap),
            (Overlap::Skip, None) => self.pass_over(first, moment, SkipReason::Overlap),
            (Overlap::Queue, None) => match held(flow, moment) {
                Some(again) => Looked::later(Some(again)),
                None => self.newest(first, first, moment, SkipReason::Overlap),
            },
        }
    }

    /// Looks again at `release`; under `one` already when an occurrence comes on time.
    fn until(&self, release: DateTime<Utc>, now: DateTime<Utc>) -> Looked {
        let regular = self.schedule.next_after(now).filter(|_| self.schedule.missed.run == MakeUp::One);
        Looked::later(Some(regular.map_or(release, |regular| regular.min(release))))
    }

    /// Hands out the newest occurrence from `known`; those from `first` on before it are passed over.
    fn newest(
        &mut self,
        first: DateTime<Utc>,
        known: DateTime<Utc>,
        moment: &mut Moment<'_>,
        reason: SkipReason,
    ) -> Looked {
        let newest = walk::newest(&self.schedule, known, moment.now);
        self.hand(first, newest, moment, reason)
    }

    /// Hands out `instant`; those from `first` on before it are passed over.
    fn hand(
        &mut self,
        first: DateTime<Utc>,
        instant: DateTime<Utc>,
        moment: &mut Moment<'_>,
        reason: SkipReason,
    ) -> Looked {
        let passed = walk::count(&self.schedule, first, instant, &mut moment.steps);
        let late = instant <= moment.now - TOLERANCE;
        self.settle(instant);
        let passed = (passed > 0).then_some((passed, reason));
        Looked { due: Some((instant, late)), passed, again: self.next }
    }

    /// Hands out nothing of what is due.
    fn pass_over(&mut self, first: DateTime<Utc>, moment: &mut Moment<'_>, reason: SkipReason) -> Looked {
        let newest = walk::newest(&self.schedule, first, moment.now);
        let passed = walk::count(&self.schedule, first, newest, &mut moment.steps) + 1;
        self.settle(newest);
        Looked { due: None, passed: Some((passed, reason)), again: self.next }
    }

    /// What is due and will not be handed out because this schedule is gone.
    pub(super) fn left(&self, flow: &FlowId, now: DateTime<Utc>) -> Option<Passed> {
        let first = self.next.filter(|first| *first <= now)?;
        let newest = walk::newest(&self.schedule, first, now);
        let mut steps = walk::STEPS;
        let count = walk::count(&self.schedule, first, newest, &mut steps) + 1;
        Some(Passed { flow: flow.clone(), newest, count, reason: SkipReason::Gone })
    }

    fn settle(&mut self, done: DateTime<Utc>) {
        self.done = done;
        self.next = self.schedule.next_after(done);
        self.catching = Catching::No;
    }
}

/// When a flow is looked at again: at once, when more of it is due.
fn next_look(looked: &Looked, now: DateTime<Utc>) -> DateTime<Utc> {
    looked.again.map_or(now, |again| again.max(now))
}

/// When to look again at a flow that may not start now: it is running, or enough others start.
fn held(flow: &FlowId, moment: &mut Moment<'_>) -> Option<DateTime<Utc>> {
    if (moment.running)(flow) {
        Some(moment.now + AGAIN)
    } else {
        (!moment.gate.pass(moment.now)).then(|| moment.gate.plan(moment.now))
    }
}

/// The end of the window that reaches back from `now`.
fn back(now: DateTime<Utc>, missed: &Missed) -> DateTime<Utc> {
    TimeDelta::from_std(missed.window).ok().and_then(|window| now.checked_sub_signed(window)).unwrap_or(now)
}
