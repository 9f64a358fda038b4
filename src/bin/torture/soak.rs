//! Everything mixed for a while: faults of the destination, edits, pauses of the whole process. Does anything grow?

use crate::args;
use crate::child::Child;
use crate::conserve;
use crate::field::Field;
use crate::figures::Figures;
use crate::reload;
use crate::rig::Rig;
use flowgate::playground::{Faults, Settings};
use rustix::process::Signal;
use std::io;
use std::time::Duration;

/// Growth from the second quarter to the last that counts as a leak, once there was time to settle.
const DRIFT_PERCENT: u64 = 5;
/// Shorter soaks are still warming up.
const ENOUGH: u64 = 300;
/// Growth allowed to those.
const EARLY_DRIFT_PERCENT: u64 = 20;

/// One look at the process.
#[derive(Debug, Clone, Copy)]
struct Look {
    memory: u64,
    files: u64,
    threads: u64,
    series: u64,
}

/// `torture soak`
pub fn torture(rig: &Rig, asked: &args::Soak, figures: &mut Figures) -> io::Result<()> {
    let sink = Faults {
        latency: Duration::from_millis(3),
        limit_every: 211,
        retry_after: 0,
        fail_every: 97,
        ..Faults::default()
    };
    let source = Faults { fail_every: 53, ..Faults::default() };
    let mut field = Field::new(rig, Settings { sink, source, ..Settings::default() })?;
    let mut child = field.serve()?;
    let listen = field.stage.listen;
    let time = Duration::from_secs(asked.seconds);
    let (looks, balance) = conserve::while_doing(rig, listen, || mixture(&mut field, &mut child, time));
    let looks = looks?;
    reload::end(&mut field, &mut child, figures)?;
    let quarter = (looks.len() / 4).max(1);
    let (early, late) =
        (&looks[quarter.min(looks.len() - 1)..(2 * quarter).min(looks.len())], &looks[looks.len() - quarter..]);
    let most = if asked.seconds >= ENOUGH { DRIFT_PERCENT } else { EARLY_DRIFT_PERCENT };
    for (name, read) in [
        ("rss_kib", (|look: &Look| look.memory) as fn(&Look) -> u64),
        ("files", |look| look.files),
        ("threads", |look| look.threads),
        ("series", |look| look.series),
    ] {
        let (before, after) = (median(early, read), median(late, read));
        figures.set(&format!("{name}_early"), before).set(&format!("{name}_late"), after);
        // A few more of what is counted in tens is no trend.
        let allowed = before * (100 + most) / 100 + if name == "rss_kib" { 0 } else { 8 };
        figures.demand(after <= allowed, || format!("{name} grew from {before} to {after}"));
    }
    figures.set("seconds", asked.seconds).set("edits", field.valid + field.invalid).set("looks", looks.len());
    figures.set("balance_samples", balance.samples).set("balance_violations", balance.violations);
    figures.demand(balance.violations == 0, || balance.first.clone().unwrap_or_default());
    if !figures.passed() {
        field.stage.broke();
    }
    Ok(())
}

fn mixture(field: &mut Field<'_>, child: &mut Child, time: Duration) -> io::Result<Vec<Look>> {
    let rig = field.rig;
    let (begun, mut looks) = (rig.now(), Vec::new());
    while rig.since(begun) < time {
        match field.chance.u8(0..12) {
            0..4 => {
                field.edit()?;
            }
            4 => {
                child.signal(Signal::STOP);
                rig.pause(Duration::from_millis(field.chance.u64(50..400)));
                child.signal(Signal::CONT);
            }
            5 => child.signal(Signal::HUP),
            _ => {}
        }
        rig.pause(Duration::from_millis(field.chance.u64(50..250)));
        if child.end().is_some() {
            return Err(io::Error::other(format!("serve ended: {}", child.last_words())));
        }
        let page = conserve::get(field.stage.listen, "/metrics").unwrap_or_default();
        let series = page.lines().filter(|line| !line.starts_with('#')).count() as u64;
        if let (Some(memory), Some(files), Some(threads)) = (child.memory("VmRSS"), child.files(), child.threads()) {
            looks.push(Look { memory, files, threads, series });
        }
    }
    if looks.is_empty() { Err(io::Error::other("no look was possible")) } else { Ok(looks) }
}

fn median(looks: &[Look], read: fn(&Look) -> u64) -> u64 {
    let mut values: Vec<u64> = looks.iter().map(read).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
