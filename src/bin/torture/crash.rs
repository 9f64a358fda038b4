//! kill -9 at drawn points: at random instants and, by strace, at the n-th call of a kind. Each round kills a flow twice
//! at most and then lets it finish, by `run` or by `serve`, without any step by hand.
//!
//! Twice, because a page in flight at three unclean ends is set aside on purpose.

use crate::args;
use crate::child::{self, Child, End, Launch};
use crate::conserve::{self, Balance};
use crate::figures::Figures;
use crate::judge::{self, Findings};
use crate::probe::Probe;
use crate::rig::{PATIENCE, Rig, millis};
use crate::shape::{SHAPES, Shape};
use crate::stage::Stage;
use crate::strace::{self, Inject};
use flowgate::playground::Playground;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

/// From a start to the first request or the end.
const RECOVERY: Duration = Duration::from_secs(2);
/// How long a process without work may take to say so.
const IDLE: Duration = Duration::from_secs(3);
/// How long a point may take to come.
const STRACED: Duration = Duration::from_secs(15);
/// Kills in a round.
const KILLS: u64 = 2;

/// One flow, one judge, one project, and what has been done to them.
pub struct Round<'a> {
    pub rig: &'a Rig,
    pub shape: &'a Shape,
    pub stage: Stage,
    pub playground: Playground,
    pub chance: fastrand::Rng,
    /// Instants by the playground's clock.
    pub kills: Vec<Duration>,
    /// Answers younger than this at a kill may be forgotten.
    pub within: Duration,
    /// How many of them at a call.
    pub at_calls: u64,
    pub recoveries: Vec<Duration>,
    pub balance: Balance,
    /// What broke outside the ledger.
    pub broken: Vec<String>,
    /// What was done, to tell when something broke.
    pub story: Vec<String>,
}

/// Calls that each shape makes, where strace works.
type Calls = BTreeMap<&'static str, BTreeMap<String, u64>>;

/// `torture crash`
pub fn torture(rig: &Rig, asked: &args::Crash, figures: &mut Figures) -> io::Result<()> {
    let shapes = chosen(asked)?;
    let mut calls = Calls::new();
    match strace::missing() {
        Some(what) => figures.lacks(format!("{what}: points are random instants only")),
        None => {
            for shape in &shapes {
                calls.insert(shape.name, count_calls(rig, shape)?);
            }
        }
    }
    let totals = Mutex::new(&mut *figures);
    let begun = rig.now();
    rig.rounds(|number| {
        let is_over =
            |f: &Figures| f.get("points") >= asked.points || rig.since(begun) > Duration::from_secs(asked.budget);
        if is_over(&lock(&totals)) {
            return false;
        }
        let seed = rig.seed.wrapping_add(number);
        let shape = shapes[usize::try_from(seed).unwrap_or(0) % shapes.len()];
        match round(rig, shape, calls.get(shape.name), seed) {
            Ok(round) => report(round, seed, &mut lock(&totals)),
            Err(why) => lock(&totals).fail(format!("seed {seed}: {why}")),
        }
        true
    });
    let points = figures.get("points");
    figures.demand(points > 0, || "no point was hit".to_owned());
    Ok(())
}

fn lock<'m, 'f>(totals: &'m Mutex<&'f mut Figures>) -> std::sync::MutexGuard<'m, &'f mut Figures> {
    totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The shapes asked for.
pub fn chosen(asked: &args::Crash) -> io::Result<Vec<&'static Shape>> {
    let fits = |shape: &&Shape| asked.shape.as_deref().is_none_or(|name| name == shape.name);
    let shapes: Vec<_> = SHAPES.iter().filter(fits).collect();
    if shapes.is_empty() {
        let names: Vec<_> = SHAPES.iter().map(|shape| shape.name).collect();
        return Err(io::Error::other(format!("--shape is one of {}", names.join(", "))));
    }
    Ok(shapes)
}

fn count_calls(rig: &Rig, shape: &Shape) -> io::Result<BTreeMap<String, u64>> {
    let (playground, stage) = (shape.playground()?, Stage::new(rig, "")?);
    shape.write(&stage, &playground)?;
    strace::count(rig, &stage, strace::KILL_AT)
}

/// Kills, restarts, and lets it finish.
fn round<'a>(
    rig: &'a Rig,
    shape: &'a Shape,
    calls: Option<&BTreeMap<String, u64>>,
    seed: u64,
) -> io::Result<Round<'a>> {
    let mut round = Round::new(rig, shape, seed)?;
    let (probe, began) = (Probe::default(), rig.now());
    probe.while_doing(rig, || round.killed_and_finished(calls))?;
    // On a disk, or a machine, that is slow for everybody.
    round.within += probe.slowest(rig, began) * 3;
    Ok(round)
}

impl Round<'_> {
    fn killed_and_finished(&mut self, calls: Option<&BTreeMap<String, u64>>) -> io::Result<()> {
        let (rig, round) = (self.rig, self);
        for kill in 0..KILLS {
            let restarted = kill > 0;
            let (mut child, until, command) = round.start_to_be_killed(calls, restarted)?;
            round.note_recovery(&mut child, restarted);
            let is_serve = command == "serve";
            let end =
                rig.wait(until, || child.end().or_else(|| (is_serve && round.is_at_rest()).then_some(End::Code(0))));
            child.kill();
            let killed = child.end() == Some(End::Signal(9));
            round.story.push(format!("{command}: {:?}", child.end()));
            match end {
                // It came to its end before the point, or the point never came.
                Some(End::Code(0)) if !killed => break,
                // Nothing more to do: killed at rest.
                Some(End::Code(0)) => {
                    round.kills.push(round.playground.now());
                    break;
                }
                Some(End::Code(code)) => {
                    round.broken.push(format!("it ended with {code}: {}", child.last_words()));
                    break;
                }
                // By strace before the time was up, or by hand.
                _ => {
                    round.at_calls += u64::from(end == Some(End::Signal(9)));
                    round.kills.push(round.playground.now());
                }
            }
        }
        round.finish()
    }
}

impl<'a> Round<'a> {
    /// A fresh project and a judge.
    pub fn new(rig: &'a Rig, shape: &'a Shape, seed: u64) -> io::Result<Self> {
        Self::with(rig, shape, seed, "")
    }

    /// The same with further tables in `flowgate.toml`.
    pub fn with(rig: &'a Rig, shape: &'a Shape, seed: u64, settings: &str) -> io::Result<Self> {
        let (playground, stage) = (shape.playground()?, Stage::new(rig, settings)?);
        shape.write(&stage, &playground)?;
        Ok(Self {
            rig,
            shape,
            stage,
            playground,
            chance: fastrand::Rng::with_seed(seed),
            kills: Vec::new(),
            within: judge::DURABLE_WITHIN,
            at_calls: 0,
            recoveries: Vec::new(),
            balance: Balance::default(),
            broken: Vec::new(),
            story: Vec::new(),
        })
    }

    /// Whether there is a run to resume: the source was asked, and not everything has arrived.
    fn has_begun(&self) -> bool {
        self.playground.ledger().sources.requests > 0
    }

    /// Whether everything has arrived.
    pub fn is_complete(&self) -> bool {
        self.playground.ledger().destination("orders").records.once >= self.shape.wanted()
    }

    /// Whether a `serve` has nothing more to do, by the destination.
    fn is_at_rest(&self) -> bool {
        self.is_complete() && self.playground.ledger().sinks.in_flight == 0
    }

    /// The next start: only `run` begins a run; either resumes one; what is complete must not begin anew.
    pub fn next_command(&mut self) -> &'static str {
        match (self.has_begun(), self.is_complete()) {
            (false, _) => "run",
            (true, true) => "serve",
            (true, false) => self.chance.choice(["run", "serve"]).unwrap_or("run"),
        }
    }

    /// Starts it with a point drawn: the child, how long to wait before killing it by hand, and the command.
    fn start_to_be_killed(
        &mut self,
        calls: Option<&BTreeMap<String, u64>>,
        restarted: bool,
    ) -> io::Result<(Child, Duration, &'static str)> {
        let command = self.next_command();
        let arguments: &[&str] = if command == "run" { &["run", "copy"] } else { &["serve"] };
        let drawn = calls.filter(|_| self.chance.u8(0..3) > 0).and_then(|calls| {
            let (call, most) = self.chance.choice(calls.iter().collect::<Vec<_>>())?;
            // A resumed process has less to do, and threads share the calls anew each time.
            let most = if restarted { most / 4 } else { most * 3 / 4 };
            Some((call.clone(), self.chance.u64(1..=most.max(1))))
        });
        let (launch, until) = if let Some((call, nth)) = &drawn {
            self.story.push(format!("kill at {call} {nth}"));
            (Launch { before: Inject::Kill(call, *nth).words(), ..Launch::default() }, STRACED)
        } else {
            let most = if restarted { 500 } else { 900 };
            let after = Duration::from_millis(self.chance.u64(1..=most));
            self.story.push(format!("kill after {after:?}"));
            (Launch::default(), after)
        };
        Ok((launch.start(self.rig, &self.stage, arguments)?, until, command))
    }

    /// How long a restarted process took to its first request or its end. Not judged when it was killed before.
    fn note_recovery(&mut self, child: &mut Child, restarted: bool) {
        if !restarted || self.is_complete() {
            return;
        }
        let before = self.requests();
        let waited = self.rig.wait(RECOVERY * 4, || (self.requests() > before || child.end().is_some()).then_some(()));
        let took = self.rig.now().saturating_sub(child.started);
        match (waited, child.end()) {
            (_, Some(End::Signal(_))) => {}
            (Some(()), _) => self.recoveries.push(took),
            (None, _) => self.broken.push(format!("nothing within {took:?} of the start: {}", child.last_words())),
        }
    }

    fn requests(&self) -> u64 {
        self.playground.ledger().all.requests
    }

    /// Starts it undisturbed until the flow has finished; the equation is watched where it can be.
    pub fn finish(&mut self) -> io::Result<()> {
        let restarted = !self.kills.is_empty();
        let command = self.next_command();
        self.story.push(format!("finish by {command}"));
        if command == "run" {
            let mut child = child::start(self.rig, &self.stage, &["run", "copy"])?;
            self.note_recovery(&mut child, restarted);
            return match child.wait(self.rig, PATIENCE) {
                Some(End::Code(0)) => Ok(()),
                end => {
                    let said = child.last_words();
                    self.broken.push(format!("the last run ended with {end:?}: {said}"));
                    Ok(())
                }
            };
        }
        let mut child = child::start(self.rig, &self.stage, &["serve"])?;
        self.note_recovery(&mut child, restarted);
        let listen = self.stage.listen;
        let (quiet, balance) = conserve::while_doing(self.rig, listen, || self.wait_for_rest(&mut child));
        self.balance.add(&balance);
        if !quiet {
            self.broken.push(format!("serve never came to rest: {}", child.last_words()));
        }
        child.signal(Signal::TERM);
        let end = child.wait(self.rig, PATIENCE);
        if end != Some(End::Code(0)) {
            self.broken.push(format!("serve ended with {end:?}: {}", child.last_words()));
        }
        Ok(())
    }

    /// Waits until all has arrived, or until no run is under way any more.
    fn wait_for_rest(&self, child: &mut Child) -> bool {
        let (mut idle_since, rig) = (None, self.rig);
        let rest = rig.wait(PATIENCE, || {
            if child.end().is_some() {
                return Some(false);
            }
            let running = conserve::get(self.stage.listen, "/metrics")
                .and_then(|page| conserve::sample(&page, "flowgate_flow_running{flow=\"copy\"}"));
            rig.pause(Duration::from_millis(20));
            if running != Some(0.0) {
                idle_since = None;
                return None;
            }
            let since = *idle_since.get_or_insert(rig.now());
            (self.is_at_rest() || rig.since(since) > IDLE).then_some(true)
        });
        rest == Some(true)
    }

    /// What the ledger says.
    pub fn findings(&self) -> Findings {
        judge::judge(self.shape, &self.playground.watched(), &self.kills, self.within)
    }
}

/// Adds a round to the figures.
pub fn report(mut round: Round<'_>, seed: u64, figures: &mut Figures) {
    let findings = round.findings();
    let shape = round.shape.name;
    let mut broken = std::mem::take(&mut round.broken);
    let mut promise = |count: u64, what: &str| {
        if count > 0 {
            broken.push(format!("{count} {what}"));
        }
    };
    promise(findings.lost.len() as u64, "records lost");
    promise(findings.beyond, "records repeated that were not in flight");
    promise(findings.unwanted, "filtered records arrived");
    promise(if round.shape.keyed { findings.twice } else { 0 }, "effects twice in spite of a key");
    promise(findings.keys_changed + findings.keys_shared + findings.keyless, "keys not the same bytes");
    promise(findings.over_level, "requests above the level");
    promise(round.balance.violations, "counts that do not balance");
    let slow = round.recoveries.iter().filter(|took| **took > RECOVERY).count();
    promise(slow as u64, "recoveries slower than two seconds");

    figures.add("points", round.kills.len() as u64);
    figures.add("points_at_calls", round.at_calls);
    figures.add("rounds", 1);
    figures.add(&format!("points_{shape}"), round.kills.len() as u64);
    figures.add("lost", findings.lost.len() as u64);
    figures.add("repeated", findings.repeated);
    figures.most("most_repeated_at_a_kill", findings.most_repeated);
    figures.most("bound_there", if findings.most_repeated > 0 { findings.bound } else { 0 });
    figures.add("beyond_bound", findings.beyond);
    figures.add("beyond_four_windows", findings.beyond_intents);
    figures.add("effects_twice_with_key", if round.shape.keyed { findings.twice } else { 0 });
    figures.add("keys_changed", findings.keys_changed + findings.keys_shared + findings.keyless);
    figures.add("over_level", findings.over_level);
    figures.add("pages_read_again", findings.pages_again);
    figures.most("oldest_forgotten_ms", millis(findings.forgot));
    figures.most("recovery_most_ms", round.recoveries.iter().copied().map(millis).max().unwrap_or(0));
    figures.add("balance_samples", round.balance.samples);
    figures.add("balance_violations", round.balance.violations);
    if !broken.is_empty() {
        round.stage.broke();
        let balance = round.balance.first.take().unwrap_or_default();
        figures.fail(format!("seed {seed} {shape} [{}]: {} {balance}", round.story.join("; "), broken.join("; ")));
    }
}
