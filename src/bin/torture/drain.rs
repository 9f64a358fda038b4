//! SIGTERM at random points: at work, before a destination that hangs, inside a long back-off, amid an edit. It must end
//! within `shutdown.timeout` and a second, and lose nothing.

use crate::args;
use crate::child::{self, End};
use crate::crash::{Round, chosen, report};
use crate::figures::Figures;
use crate::rig::{Rig, millis};
use flowgate::playground::{Faults, Settings};
use rustix::process::Signal;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// `shutdown.timeout` of these projects.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What the end may take beyond it.
const GRACE: Duration = Duration::from_secs(1);
/// Beyond that it is killed, and that is the finding.
const NEVER: Duration = Duration::from_secs(10);

const SETTINGS: &str = "[shutdown]\ntimeout = \"1s\"\n";

/// What the process is doing when it is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amid {
    Work,
    Hang,
    BackOff,
    Reload,
}

/// `torture crash --drain`
pub fn torture(rig: &Rig, asked: &args::Crash, figures: &mut Figures) -> io::Result<()> {
    let shapes = chosen(asked)?;
    let totals = Mutex::new(&mut *figures);
    let begun = rig.now();
    rig.rounds(|number| {
        let mut figures = totals.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = rig.since(begun) > Duration::from_secs(asked.budget);
        if number >= asked.points || is_over {
            return false;
        }
        drop(figures);
        let seed = rig.seed.wrapping_add(number);
        let shape = shapes[usize::try_from(seed).unwrap_or(0) % shapes.len()];
        let done = Round::with(rig, shape, seed, SETTINGS).and_then(|round| drain(round));
        figures = totals.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok((round, took, clean)) => {
                figures.add("signals", 1);
                figures.add("in_time", u64::from(took <= TIMEOUT + GRACE));
                figures.most("end_most_ms", millis(took));
                figures.add("clean", u64::from(clean));
                report(round, seed, &mut figures);
            }
            Err(why) => figures.fail(format!("seed {seed}: {why}")),
        }
        true
    });
    Ok(())
}

/// Starts, tells it to end, restarts until finished.
fn drain(mut round: Round<'_>) -> io::Result<(Round<'_>, Duration, bool)> {
    let (rig, calm) = (round.rig, round.shape.settings());
    let amid =
        round.chance.choice([Amid::Work, Amid::Work, Amid::Hang, Amid::BackOff, Amid::Reload]).unwrap_or(Amid::Work);
    let mut child = child::start(rig, &round.stage, &["run", "copy"])?;
    let after = Duration::from_millis(round.chance.u64(1..=1_200));
    rig.wait(after, || child.end());
    prepare(&mut round, amid, &calm)?;
    rig.wait(Duration::from_millis(round.chance.u64(1..=300)), || child.end());
    let (finished, told) = (child.end(), rig.now());
    child.signal(Signal::TERM);
    let end = child.wait(rig, NEVER);
    let took = rig.since(told);
    round.story.push(format!("SIGTERM after {after:?} amid {amid:?}: {end:?} in {took:?}"));
    if took > TIMEOUT + GRACE {
        round.broken.push(format!("it took {took:?} to end"));
    }
    let clean = matches!(end, Some(End::Code(0 | 143)));
    // A signal in the first milliseconds finds no handler yet.
    let early = end == Some(End::Signal(15)) && after < Duration::from_millis(400);
    if finished.is_none() && !clean && !early && end != Some(End::Code(75)) {
        round.broken.push(format!("it ended with {end:?}: {}", child.last_words()));
    }
    child.kill();
    round.kills.push(round.playground.now());
    round.playground.behave(calm);
    round.finish()?;
    if clean && amid != Amid::BackOff {
        let repeated = round.findings().repeated;
        if repeated > 0 {
            round.broken.push(format!("{repeated} records repeated after a whole drain"));
        }
    }
    Ok((round, took, clean))
}

/// Brings about what it is to be told amid.
fn prepare(round: &mut Round<'_>, amid: Amid, calm: &Settings) -> io::Result<()> {
    let faults = |sink| Settings { sink, ..calm.clone() };
    match amid {
        Amid::Work => {}
        Amid::Hang => {
            let hour = Faults { latency: Duration::from_hours(1), ..Faults::default() };
            round.playground.behave(faults(hour));
        }
        Amid::BackOff => {
            // Every write is refused for a long while: the pool pauses.
            let limited = Faults { limit_every: 1, retry_after: 3_600, ..calm.sink };
            round.playground.behave(faults(limited));
        }
        Amid::Reload => round.shape.write(&round.stage, &round.playground)?,
    }
    Ok(())
}
