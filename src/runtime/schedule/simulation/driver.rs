//! One process after another on one set of saved marks, under a clock that does not always behave.

use super::judge::Judge;
use super::world::{Flow, World};
use super::{Outcome, Plan};
use crate::runtime::schedule::{Due, Heap, Mark, Passed, Wake};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// The owner looks at the clock at least this often.
const LOOK_AGAIN: i64 = 30 * SECOND;
const QUIET: i64 = 12 * HOUR;
/// 10 March 2027: the clocks of America, Europe and Australia change within thirty days.
const START: i64 = 1_804_636_800;

struct Driver {
    rng: fastrand::Rng,
    world: World,
    heap: Heap,
    judge: Judge,
    saved: BTreeMap<FlowId, Mark>,
    /// Real time in milliseconds, and how far the clock is ahead of it.
    real: i64,
    ahead: i64,
    /// When the runs under way end, in real time.
    running: HashMap<usize, i64>,
    ends: BinaryHeap<Reverse<(i64, usize)>>,
    /// The end of the simulation, in real time.
    end: i64,
}

pub(super) fn drive(plan: Plan) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let world = World::new(plan.flows, &mut rng);
    let Plan { hours, flows, seed } = plan;
    let end = START * SECOND + i64::from(hours) * HOUR;
    let outcome = Outcome { seed, hours, flows, ..Outcome::default() };
    let judge = Judge::new(outcome, &world.flows, START, end / SECOND + 10 * HOUR / SECOND);
    let mut driver = Driver {
        rng,
        world,
        heap: Heap::default(),
        judge,
        saved: BTreeMap::new(),
        real: START * SECOND,
        ahead: 0,
        running: HashMap::new(),
        ends: BinaryHeap::new(),
        end,
    };
    driver.set_flows(&[], true);
    let mut disturb = driver.real + driver.rng.i64(0..4 * HOUR);
    while driver.real < end {
        driver.sleep(disturb.min(end));
        if driver.real >= disturb && driver.real < end - QUIET {
            driver.disturb();
            disturb = driver.real + driver.rng.i64(0..4 * HOUR);
        } else {
            driver.look(None);
        }
    }
    driver.look(None);
    let now = driver.now();
    driver.judge.end(now)
}

impl Driver {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.real + self.ahead).unwrap_or_default()
    }

    /// Until the heap wants to be asked, a moment later than it wants, and not beyond `most` by much.
    fn sleep(&mut self, most: i64) {
        let wait = self.heap.next_wake().map_or(LOOK_AGAIN, |at| (at - self.now()).num_milliseconds() + 1);
        let wait = wait.clamp(0, LOOK_AGAIN).min((most - self.real).max(0));
        let busy = if self.rng.u8(..50) == 0 { self.rng.i64(0..20 * SECOND) } else { self.rng.i64(0..200) };
        self.real += wait + busy;
    }

    /// Asks what is due, starts and saves it. With `dies_after` the process dies when so many were saved.
    fn look(&mut self, dies_after: Option<usize>) {
        self.end_runs();
        let now = self.now();
        let (index, running) = (&self.world.index, &self.running);
        let is_running = |flow: &FlowId| index.get(flow).is_some_and(|flow| running.contains_key(flow));
        let Wake { due, passed, distrusted } = self.heap.due(now, is_running);
        let before = self.judge.last_look();
        self.judge.look(now, passed.iter().map(|passed| passed.count).sum());
        for mark in distrusted {
            self.judge.find(format!("{}: a mark was not believed: {}", mark.flow, mark.done));
        }
        let mut passed: BTreeMap<FlowId, Passed> =
            passed.into_iter().map(|passed| (passed.flow.clone(), passed)).collect();
        for due in due.iter().take(dies_after.unwrap_or(usize::MAX)) {
            self.start(due, passed.remove(&due.flow).as_ref(), now);
        }
        if dies_after.is_some() {
            return self.judge.forget_look(before);
        }
        for (id, passed) in passed {
            if let Some(&flow) = self.world.index.get(&id) {
                self.judge.passed(flow, &passed, now);
            }
        }
        self.save();
    }

    fn end_runs(&mut self) {
        while let Some(Reverse((_, flow))) = self.ends.peek().filter(|Reverse((at, _))| *at <= self.real).copied() {
            self.ends.pop();
            self.running.remove(&flow);
            let now = self.now();
            self.heap.ended(&self.world.flows[flow].id, now);
        }
    }

    /// The begin of a run and its mark are one write.
    fn start(&mut self, due: &Due, passed: Option<&Passed>, now: DateTime<Utc>) {
        let Some(&flow) = self.world.index.get(&due.flow) else {
            return self.judge.find(format!("{}: nobody has this name", due.flow));
        };
        self.judge.handed(flow, due, passed, now);
        self.saved.insert(due.flow.clone(), due.mark);
        // One that comes while a run is under way is skipped, or kept.
        if let Entry::Vacant(run) = self.running.entry(flow) {
            let most = if self.rng.u8(..10) == 0 { 40 * MINUTE } else { MINUTE };
            let end = self.real + self.rng.i64(SECOND..most);
            run.insert(end);
            self.ends.push(Reverse((end, flow)));
        }
    }

    fn save(&mut self) {
        for (flow, mark) in self.heap.marks_to_save() {
            match mark {
                Some(mark) => self.saved.insert(flow, mark),
                None => self.saved.remove(&flow),
            };
        }
    }

    fn set_flows(&mut self, anew: &[usize], restarted: bool) {
        let now = self.now();
        let gone = self.heap.set_flows(self.world.planned(), now);
        for passed in gone {
            // Under the name it had then.
            let now_named = |flow: &&Flow| flow.id == passed.flow || flow.formerly.contains(&passed.flow);
            if let Some(flow) = self.world.flows.iter().position(|flow| now_named(&flow)) {
                self.judge.passed(flow, &passed, now);
            }
        }
        self.judge.follow(&self.world.flows, anew, now, restarted);
        self.save();
    }

    /// Time passes with nobody awake.
    fn pass(&mut self, least: i64, most: i64) {
        let room = (self.end - QUIET - self.real).max(1);
        self.real += self.rng.i64(least..most).min(room);
    }

    /// A new process: all it has is what was saved.
    fn restart(&mut self) {
        let anew = if self.rng.u8(..3) == 0 { self.world.edit(&mut self.rng) } else { Vec::new() };
        self.heap = Heap::new(self.saved.clone());
        self.judge.look(self.now(), 0);
        self.set_flows(&anew, true);
        self.look(None);
    }

    fn disturb(&mut self) {
        match self.rng.u8(..20) {
            0..=3 => {
                self.judge.outcome.restarts += 1;
                self.look(None);
                self.pass(SECOND, 40 * SECOND);
                self.restart();
            }
            4..=7 => {
                self.judge.outcome.crashes += 1;
                let saved = self.rng.usize(..20);
                self.look(Some(saved));
                self.pass(SECOND, 20 * SECOND);
                self.restart();
            }
            8..=10 => {
                self.judge.outcome.outages += 1;
                let most = if self.rng.u8(..20) == 0 { 72 * HOUR } else { 2 * HOUR };
                self.pass(2 * MINUTE, most);
                // A machine that slept, or a process that was down.
                if self.rng.bool() { self.look(None) } else { self.restart() }
            }
            11..=13 => {
                self.judge.outcome.clock_jumps += 1;
                let ahead = self.ahead + self.rng.i64(-HOUR..2 * HOUR);
                self.ahead = ahead.clamp(-3 * HOUR, 6 * HOUR);
                self.look(None);
            }
            _ => {
                self.judge.outcome.reloads += 1;
                self.look(None);
                let anew = self.world.edit(&mut self.rng);
                self.set_flows(&anew, false);
                self.look(None);
            }
        }
    }
}
