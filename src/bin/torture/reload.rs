//! Edits under load: valid and invalid ones, levels, flows that come and go. Nothing is lost, no level is exceeded, no
//! request shows two revisions, and nothing grows.

use crate::args;
use crate::child::{self, Child, End};
use crate::conserve;
use crate::field::Field;
use crate::figures::Figures;
use crate::rig::{PATIENCE, Rig, millis};
use flowgate::playground::{Faults, Settings};
use rustix::process::Signal;
use std::io;
use std::time::Duration;

/// The promise, once there were enough edits to speak of a trend.
const DRIFT_PERCENT: u64 = 5;
/// Below this number of edits the allocator is still warming up.
const ENOUGH: u64 = 1_000;
/// Drift allowed before that.
const EARLY_DRIFT_PERCENT: u64 = 15;

/// `torture reload`
pub fn torture(rig: &Rig, asked: &args::Reload, figures: &mut Figures) -> io::Result<()> {
    let sink = Faults { latency: Duration::from_millis(3), ..Faults::default() };
    let mut field = Field::new(rig, Settings { sink, ..Settings::default() })?;
    let mut child = field.serve()?;
    let listen = field.stage.listen;
    let (done, balance) = conserve::while_doing(rig, listen, || edits(&mut field, &mut child, asked));
    let Edits { latencies, memory } = done?;
    end(&mut field, &mut child, figures)?;
    let (early, late) = (median(&memory[..memory.len() / 5]), median(&memory[memory.len() - memory.len() / 5..]));
    let drift = late.saturating_sub(early) * 100 / early.max(1);
    let mut sorted = latencies;
    sorted.sort_unstable();
    figures.set("edits", field.valid + field.invalid).set("invalid_edits", field.invalid);
    figures.set("applied_p50_ms", at(&sorted, 50)).set("applied_p99_ms", at(&sorted, 99));
    figures.set("rss_early_kib", early).set("rss_late_kib", late).set("rss_drift_percent", drift);
    figures.set("balance_samples", balance.samples).set("balance_violations", balance.violations);
    let most = if asked.edits >= ENOUGH { DRIFT_PERCENT } else { EARLY_DRIFT_PERCENT };
    figures.demand(drift < most, || format!("memory grew by {drift} %, from {early} to {late} KiB"));
    figures.demand(balance.violations == 0, || balance.first.clone().unwrap_or_default());
    if !figures.passed() {
        field.stage.broke();
    }
    Ok(())
}

/// Ends it, lets one more run finish what was in flight, and judges.
pub fn end(field: &mut Field<'_>, child: &mut Child, figures: &mut Figures) -> io::Result<()> {
    let rig = field.rig;
    child.signal(Signal::TERM);
    let end = child.wait(rig, PATIENCE);
    figures.demand(end == Some(End::Code(0)), || format!("serve ended with {end:?}: {}", child.last_words()));
    figures.demand(!child.said().contains("panicked"), || "it panicked".to_owned());
    let ended = field.playground.now();
    // A valid revision must be in force for the last run.
    while !field.edit()? {}
    let shown = field.shown();
    let (last, said) = child::run(rig, &field.stage, &["run", "orders"], PATIENCE)?;
    figures.demand(last == Some(End::Code(0)), || format!("the last run ended with {last:?}: {}", said.last_words()));
    let verdict = field.verdict(&shown, ended);
    figures.set("records", verdict.records).set("runs", verdict.runs).set("lost", verdict.lost);
    figures.set("effects_twice", verdict.twice).set("over_level", verdict.excess);
    figures.set("half_applied", verdict.halves).set("runs_on_two_revisions", verdict.mixed_runs);
    figures.set("invalid_applied", verdict.never_valid);
    figures.demand(verdict.runs > 0 && verdict.records > 0, || "nothing was in motion".to_owned());
    for (count, what) in [
        (verdict.lost, "records lost"),
        (verdict.twice, "effects twice"),
        (verdict.excess, "requests above the level"),
        (verdict.halves, "requests of two revisions"),
        (verdict.mixed_runs, "runs of two revisions"),
        (verdict.never_valid, "requests of an invalid revision"),
    ] {
        figures.demand(count == 0, || format!("{count} {what}"));
    }
    Ok(())
}

struct Edits {
    latencies: Vec<u64>,
    memory: Vec<u64>,
}

/// Makes the edits, every second one in a storm that waits for nothing.
fn edits(field: &mut Field<'_>, child: &mut Child, asked: &args::Reload) -> io::Result<Edits> {
    let rig = field.rig;
    let mut done = Edits { latencies: Vec::new(), memory: Vec::new() };
    let begun = rig.now();
    let mut number = 0;
    while number < asked.edits && rig.since(begun) < Duration::from_secs(asked.budget) {
        let storm = field.chance.u64(0..4);
        for _ in 0..storm {
            field.edit()?;
            number += 1;
            rig.pause(Duration::from_millis(field.chance.u64(0..20)));
        }
        let valid = field.edit()?;
        number += 1;
        let edited = rig.now();
        if !rig.wait(PATIENCE, || judged(field, valid)).unwrap_or(false) {
            return Err(io::Error::other(format!("edit {number} was never judged: {}", child.last_words())));
        }
        done.latencies.push(millis(rig.since(edited)));
        if valid {
            field.is_in_force();
        }
        rig.pause(Duration::from_millis(field.chance.u64(0..60)));
        done.memory.extend(child.memory("VmRSS"));
        if child.end().is_some() {
            return Err(io::Error::other(format!("serve ended: {}", child.last_words())));
        }
    }
    Ok(done)
}

/// Whether the last edit has been looked at: a valid one shows its marker flow, an invalid one that it is invalid.
fn judged(field: &Field<'_>, valid: bool) -> Option<bool> {
    let page = conserve::get(field.stage.listen, "/metrics")?;
    let seen = if valid {
        page.contains(&format!("flow=\"{}\"", field.marker()))
    } else {
        conserve::sample(&page, "flowgate_config_valid")? < 0.5
    };
    seen.then_some(true)
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    at(&sorted, 50)
}

fn at(sorted: &[u64], percent: usize) -> u64 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}
