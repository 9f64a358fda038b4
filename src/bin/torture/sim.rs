//! Weeks of schedules in seconds: the real heap of occurrences under restarts, crashes, edits and moved clocks, against
//! an oracle. The one command that runs inside this process: no binary can be made to live for thirty days.

use crate::args;
use crate::figures::Figures;
use crate::rig::{Rig, millis};
use flowgate::runtime::schedule::simulation::{Plan, simulate};
use std::sync::{Mutex, PoisonError};

/// `torture sim`
pub fn torture(rig: &Rig, asked: &args::Sim, figures: &mut Figures) {
    let begun = rig.now();
    let totals = Mutex::new(&mut *figures);
    rig.rounds(|number| {
        if number >= asked.seeds {
            return false;
        }
        let seed = rig.seed.wrapping_add(number);
        let outcome = simulate(Plan { hours: asked.hours, flows: asked.flows, seed });
        let mut figures = totals.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, count) in [
            ("occurrences", outcome.occurrences),
            ("runs", outcome.runs),
            ("late", outcome.late),
            ("passed_over", outcome.passed),
            ("duplicates", outcome.duplicates),
            ("invented", outcome.invented),
            ("lost", outcome.lost),
            ("misjudged", outcome.misjudged),
            ("restarts", outcome.restarts.into()),
            ("crashes", outcome.crashes.into()),
            ("clock_jumps", outcome.clock_jumps.into()),
            ("reloads", outcome.reloads.into()),
        ] {
            figures.add(name, count);
        }
        figures.demand(outcome.holds(), || format!("seed {seed}: {}", outcome.findings.join("; ")));
        true
    });
    figures.set("hours", asked.hours).set("flows", asked.flows).set("seeds", asked.seeds);
    figures.set("took_ms", millis(rig.since(begun)));
    let runs = figures.get("runs");
    figures.demand(runs > 0, || "nothing was simulated".to_owned());
}
