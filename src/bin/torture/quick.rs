//! All commands in one go, two at a time, each in a process of its own: the small profile for every change, and the one
//! whose figures are published.

use crate::figures::Figures;
use crate::rig::Rig;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// For every change: three minutes on two cores.
pub const QUICK: &[&[&str]] = &[
    &["crash", "--points", "60", "--budget", "60", "--lanes", "1"],
    &["crash", "--drain", "--points", "14", "--budget", "40", "--lanes", "1"],
    &["reload", "--edits", "300", "--budget", "40"],
    &["disk", "--faults", "8", "--damages", "16", "--budget", "30", "--lanes", "1"],
    &["mem", "--megabytes", "200", "--limit", "64"],
    &["sim", "--hours", "96", "--flows", "200", "--seeds", "4"],
    &["secrets"],
    &["hostile"],
    &["soak", "--seconds", "15"],
];

/// For a release.
pub const FULL: &[&[&str]] = &[
    &["crash", "--points", "500"],
    &["crash", "--drain", "--points", "200"],
    &["reload", "--edits", "10000"],
    &["disk", "--faults", "200", "--damages", "400"],
    &["mem", "--megabytes", "10240", "--limit", "64"],
    &["sim", "--hours", "720", "--flows", "10000", "--seeds", "1"],
    &["sim", "--hours", "48", "--flows", "40", "--seeds", "1000"],
    &["secrets"],
    &["hostile"],
    &["soak", "--seconds", "900"],
];

/// How many commands run side by side.
const SIDE_BY_SIDE: usize = 2;

/// `torture quick` and `torture full`
pub fn torture(rig: &Rig, commands: &[&[&str]], figures: &mut Figures) {
    let (next, lines) = (Mutex::new(commands.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let taken = next.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next().copied();
                    let Some(arguments) = taken else { break };
                    let began = rig.now();
                    let line = one(rig, arguments);
                    eprintln!("{line}  ({:.0} s)", rig.since(began).as_secs_f64());
                    lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((arguments[0], line));
                }
            });
        }
    });
    let lines = lines.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (name, line) in &lines {
        let passed = serde_json::from_str::<Value>(line).ok().is_some_and(|line| line["passed"] == true);
        figures.demand(passed, || format!("{name} did not pass"));
    }
    figures.set("commands", lines.len());
}

fn one(rig: &Rig, arguments: &[&str]) -> String {
    let mut command = Command::new(&rig.own);
    command.args(arguments).arg("--binary").arg(&rig.binary).args(["--seed", &rig.seed.to_string()]);
    if let Some(keep) = &rig.keep {
        command.arg("--keep").arg(keep);
    }
    match command.stdin(Stdio::null()).stderr(Stdio::inherit()).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if text.is_empty() { format!("{{\"torture\":\"{}\",\"passed\":false}}", arguments[0]) } else { text }
        }
        Err(e) => {
            format!("{{\"torture\":\"{}\",\"why\":{},\"passed\":false}}", arguments[0], Value::from(e.to_string()))
        }
    }
}
