//! Every occurrence exactly once, or a good reason why not. Knows when the clock was looked at and what was handed
//! out; of the heap it believes nothing.

use super::Outcome;
use super::lines::{LINES, RULES, ZONES, instants};
use super::world::Flow;
use crate::model::schedule::MakeUp;
use crate::observe::meters::SkipReason;
use crate::runtime::schedule::{Due, Passed, walk};
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

/// An occurrence is missed when it is handed out so much later, in milliseconds.
const LATE: i64 = 60_000;
const FINDINGS: usize = 20;

/// What is known of a flow.
struct Known {
    line: usize,
    zone: usize,
    rule: usize,
    on: bool,
    /// Nothing up to here, in seconds, is expected any more.
    done: i64,
    /// Place of the first instant of its line after that.
    next: usize,
    /// Since when it makes up for each one it missed, in milliseconds; what comes meanwhile overlaps with that.
    began: Option<i64>,
}

/// Why occurrences may be skipped.
#[derive(Debug, Clone, Copy)]
enum Excuse {
    /// Nobody was awake; others stand for them.
    Missed,
    /// That, and they are older than the window.
    Window,
    /// They came while the flow made up for others.
    Overlap,
}

pub(super) struct Judge {
    /// By line and zone.
    instants: Vec<Vec<i64>>,
    flows: Vec<Known>,
    /// Stretches of the clock, in milliseconds, in which nobody looked at it for longer than a moment.
    gaps: Vec<(i64, i64)>,
    last_look: i64,
    /// Catch-up starts in the second of the last look.
    second: (i64, u32),
    /// So many occurrences were passed over at once that the heap counts only some.
    many: bool,
    trace: Sha256,
    pub(super) outcome: Outcome,
}

impl Judge {
    pub(super) fn new(outcome: Outcome, flows: &[Flow], start: i64, until: i64) -> Self {
        let pairs = (0..LINES.len()).flat_map(|line| (0..ZONES.len()).map(move |zone| (line, zone)));
        let instants = pairs.map(|(line, zone)| instants(line, zone, start, until)).collect();
        let known = |flow: &Flow| Known {
            line: flow.line,
            zone: flow.zone,
            rule: flow.rule,
            on: flow.on,
            done: start,
            next: 0,
            began: None,
        };
        Self {
            instants,
            flows: flows.iter().map(known).collect(),
            gaps: Vec::new(),
            last_look: start * 1_000,
            second: (0, 0),
            many: false,
            trace: Sha256::new(),
            outcome,
        }
    }

    /// The clock was looked at, and so many occurrences were passed over in all.
    pub(super) fn look(&mut self, now: DateTime<Utc>, told: u64) {
        self.many = told >= walk::STEPS;
        let now = now.timestamp_millis();
        if now - self.last_look >= LATE {
            self.gaps.push((self.last_look, now));
        }
        self.last_look = now;
    }

    /// The process died during the last look: what it did not save it has not seen.
    pub(super) fn forget_look(&mut self, before: i64) {
        self.last_look = before;
    }

    pub(super) fn last_look(&self) -> i64 {
        self.last_look
    }

    /// The project as it is from now on; `anew` are the flows whose instants begin now.
    pub(super) fn follow(&mut self, flows: &[Flow], anew: &[usize], now: DateTime<Utc>, restarted: bool) {
        for &at in anew {
            let left = self.left(at, now);
            // While the process was down nobody could count.
            if left > 0 && !restarted {
                self.outcome.lost += left as u64;
                self.find(format!("flow {at}: {left} occurrences went unsaid with an edit at {now}"));
            }
            let (known, flow) = (&mut self.flows[at], &flows[at]);
            (known.line, known.zone, known.on) = (flow.line, flow.zone, flow.on);
            known.done = known.done.max(now.timestamp());
            let instants = &self.instants[known.line * ZONES.len() + known.zone];
            known.next = instants.partition_point(|at| *at <= known.done);
        }
        for (known, flow) in self.flows.iter_mut().zip(flows) {
            known.rule = flow.rule;
        }
    }

    /// An occurrence was handed out, and saved; `passed` is what the heap says it stands for.
    pub(super) fn handed(&mut self, flow: usize, due: &Due, passed: Option<&Passed>, now: DateTime<Utc>) {
        let (second, now) = (due.instant.timestamp(), now.timestamp_millis());
        for number in [flow as u64, second.cast_unsigned(), now.cast_unsigned()] {
            self.trace.update(number.to_be_bytes());
        }
        let known = &self.flows[flow];
        if second <= known.done || !known.on {
            self.outcome.duplicates += 1;
            return self.find(format!("flow {flow}: {second} again at {now}, or while it is off"));
        }
        let rule = &RULES[known.rule].0;
        if due.late != (now - second * 1_000 >= LATE) || (due.late && rule.run == MakeUp::None) {
            self.outcome.misjudged += 1;
            self.find(format!("flow {flow}: {second} at {now}: late is {}", due.late));
        }
        let overlapped = passed.is_some_and(|passed| passed.reason == SkipReason::Overlap);
        let full = rule.run == MakeUp::All && self.room(flow, second, now) < rule.max as usize;
        let excuse = match (overlapped, full) {
            (true, _) => Excuse::Overlap,
            (false, true) => Excuse::Window,
            (false, false) => Excuse::Missed,
        };
        if !self.skip_before(flow, second, excuse, passed.map_or(0, |passed| passed.count), now) {
            self.outcome.invented += 1;
            return self.find(format!("flow {flow}: {second} is no occurrence"));
        }
        self.outcome.runs += 1;
        self.outcome.occurrences += 1;
        let known = &mut self.flows[flow];
        let makes_up = due.late && rule.run == MakeUp::All;
        known.began = makes_up.then(|| known.began.unwrap_or(now));
        if due.late {
            self.outcome.late += 1;
            let count = if self.second.0 == now / 1_000 { self.second.1 + 1 } else { 1 };
            self.second = (now / 1_000, count);
            self.outcome.busiest_second = self.outcome.busiest_second.max(count);
        }
    }

    /// Occurrences were passed over, and nothing was handed out.
    pub(super) fn passed(&mut self, flow: usize, passed: &Passed, now: DateTime<Utc>) {
        let now = now.timestamp_millis();
        let excuse = match (passed.reason, RULES[self.flows[flow].rule].0.run) {
            (SkipReason::Overlap, _) => Excuse::Overlap,
            (SkipReason::Missed, MakeUp::One | MakeUp::All) => Excuse::Window,
            _ => Excuse::Missed,
        };
        // The newest is passed over like the rest.
        if !self.skip_before(flow, passed.newest.timestamp() + 1, excuse, passed.count, now) {
            self.flows[flow].done = passed.newest.timestamp();
        }
        self.flows[flow].began = None;
    }

    /// How many occurrences there are from `second` until `now`.
    fn room(&self, flow: usize, second: i64, now: i64) -> usize {
        let known = &self.flows[flow];
        let instants = &self.instants[known.line * ZONES.len() + known.zone];
        let place = |at: i64| instants.partition_point(|instant| *instant <= at);
        place(now / 1_000) - place(second - 1)
    }

    /// Occurrences before now that were neither handed out nor passed over.
    fn left(&self, flow: usize, now: DateTime<Utc>) -> usize {
        let known = &self.flows[flow];
        let instants = &self.instants[known.line * ZONES.len() + known.zone];
        let left = instants[known.next..].iter().take_while(|at| **at <= now.timestamp()).count();
        if known.on { left } else { 0 }
    }

    /// Everything before `second` was skipped, and the heap says `told` of it. Gives whether `second` is an occurrence.
    fn skip_before(&mut self, flow: usize, second: i64, excuse: Excuse, told: u64, now: i64) -> bool {
        let known = &mut self.flows[flow];
        let window = i64::try_from(RULES[known.rule].0.window.as_millis()).unwrap_or(i64::MAX);
        let instants = &self.instants[known.line * ZONES.len() + known.zone];
        let (mut lost, mut skipped) = (Vec::new(), 0);
        // Under `all` what comes on time joins the line of the missed ones that wait, and `max` bounds that line.
        let (all, mut waits) = (RULES[known.rule].0.run == MakeUp::All, false);
        while let Some(at) = instants.get(known.next).map(|at| at * 1_000).filter(|at| *at < second * 1_000) {
            let missed = self.gaps.iter().any(|(from, to)| *from < at && at <= to - LATE);
            waits |= missed && all;
            // What is left of a line is judged anew after another outage, with what had joined it on time.
            let joined = known.began.is_some();
            let fair = match excuse {
                Excuse::Missed => missed || joined || waits,
                Excuse::Window => (missed || joined) && at <= now - window,
                Excuse::Overlap => known.began.is_some_and(|began| at > began),
            };
            if fair {
                self.outcome.passed += 1;
            } else {
                self.outcome.lost += 1;
                lost.push(at);
            }
            self.outcome.occurrences += 1;
            known.next += 1;
            skipped += 1;
        }
        known.done = second;
        let is_one = instants.get(known.next) == Some(&second);
        known.next += usize::from(is_one);
        for at in lost {
            let rule = self.flows[flow].rule;
            self.find(format!("flow {flow} (rule {rule}): {at} was not handed out ({excuse:?}), said at {now}"));
        }
        if told > skipped || (told < skipped && !self.many) {
            self.outcome.misjudged += 1;
            self.find(format!("flow {flow}: {told} passed over at {now}, but {skipped} were"));
        }
        is_one
    }

    /// At the end nothing may be left over that was due a while ago.
    pub(super) fn end(mut self, now: DateTime<Utc>) -> Outcome {
        for flow in 0..self.flows.len() {
            let left = self.left(flow, now);
            if left > 0 {
                self.outcome.lost += left as u64;
                self.find(format!("flow {flow}: {left} occurrences left over at the end"));
            }
        }
        let trace = self.trace.finalize().iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        self.outcome.trace = format!("{trace:032x}");
        self.outcome
    }

    pub(super) fn find(&mut self, finding: String) {
        if self.outcome.findings.len() < FINDINGS {
            self.outcome.findings.push(finding);
        }
    }
}
