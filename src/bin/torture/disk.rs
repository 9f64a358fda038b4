//! The disk: full, failing, and lying. A full one makes it stop and say so, and go on by itself; a failing call loses
//! nothing; damaged files are named and never cause a panic or a silent loss.

use crate::args;
use crate::child::{self, End, Launch};
use crate::conserve;
use crate::crash::{Round, report};
use crate::figures::Figures;
use crate::rig::{PATIENCE, Rig, millis};
use crate::shape::{SHAPES, Shape};
use crate::stage::Stage;
use crate::strace::{self, Inject};
use flowgate::playground::{Faults, Playground, Settings};
use rustix::process::Signal;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// From space returning to everything delivered.
const RESUMES: Duration = Duration::from_secs(10);
/// How long the disk stays full.
const FULL: Duration = Duration::from_secs(3);
/// Lines a full disk may cause in that time.
const MOST_LINES: usize = 30;
/// How long a run may go on with calls that fail before it is told to end.
const FAILING: Duration = Duration::from_secs(4);

/// `torture disk`
pub fn torture(rig: &Rig, asked: &args::Disk, figures: &mut Figures) -> io::Result<()> {
    match small_disk_missing() {
        None => full(rig, figures)?,
        Some(why) => figures.lacks(format!("mounting a small tmpfs ({why}): a full disk was not tried")),
    }
    let begun = rig.now();
    let over = || rig.since(begun) > Duration::from_secs(asked.budget);
    let totals = Mutex::new(&mut *figures);
    match strace::missing() {
        Some(what) => lock(&totals).lacks(format!("{what}: no failing calls")),
        None => rig.rounds(|number| {
            if number >= asked.faults || over() {
                return false;
            }
            let seed = rig.seed.wrapping_add(number);
            if let Err(why) = failing(rig, seed, &totals) {
                lock(&totals).fail(format!("seed {seed}, failing calls: {why}"));
            }
            true
        }),
    }
    rig.rounds(|number| {
        if number >= asked.damages || over() {
            return false;
        }
        let seed = rig.seed.wrapping_add(number);
        if let Err(why) = damaged(rig, seed, &totals) {
            lock(&totals).fail(format!("seed {seed}, damaged files: {why}"));
        }
        true
    });
    Ok(())
}

fn lock<'m, 'f>(totals: &'m Mutex<&'f mut Figures>) -> std::sync::MutexGuard<'m, &'f mut Figures> {
    totals.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands before the program so that `folder` is a tmpfs of 1 MiB that nobody else sees.
fn on_small_disk(folder: &Path) -> Vec<std::ffi::OsString> {
    let script = "mount -t tmpfs -o size=1m,mode=0700 tmpfs \"$0\" && exec \"$@\"";
    let words = ["unshare", "-m", "sh", "-c", script].map(Into::into);
    words.into_iter().chain([folder.into()]).collect()
}

fn small_disk_missing() -> Option<String> {
    let folder = std::env::temp_dir();
    let words = on_small_disk(&folder);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    match command.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(e) => Some(format!("unshare: {e}")),
    }
}

/// A state directory on a disk that fills up while a flow runs.
fn full(rig: &Rig, figures: &mut Figures) -> io::Result<()> {
    let sink = Faults { latency: Duration::from_millis(25), ..Faults::default() };
    let records = 400;
    let playground = Playground::start(Settings { records, sink, watch: true, ..Settings::default() })?;
    let mut stage = Stage::new(rig, "[log]\nlevel = \"info\"\n")?;
    let shape = Shape { records, page: 10, level: 2, filtered: false, keyed: true, ..SHAPES[0] };
    shape.write(&stage, &playground)?;
    let flow = std::fs::read_to_string(stage.path("flows/copy.toml"))?.replace("\"/page\"", "\"/shop/orders\"");
    stage.write("flows/copy.toml", &format!("schedule = \"* * * * * *\"\n{flow}"))?;
    let small = stage.path("small");
    std::fs::create_dir(&small)?;
    let state = small.join("state");
    let launch = Launch { before: on_small_disk(&small), ..Launch::default() };
    let mut child = launch.start(rig, &stage, &["serve", "--state", &state.display().to_string()])?;
    let count = || playground.ledger().destination("orders").records.once;
    let began = rig.wait(PATIENCE, || (count() > 20 || child.end().is_some()).then_some(())).is_some();
    if !began || child.end().is_some() {
        figures.fail(format!("full disk: it did not get going: {}", child.last_words()));
        return Ok(());
    }
    // The mount is seen through the process.
    let inside = PathBuf::from(format!("/proc/{}/root{}", child.pid(), small.display()));
    let filler = inside.join("filler");
    let mut filling = File::create(&filler)?;
    fill(&mut filling);
    let (lines, ready) =
        (child.said().lines().count(), || conserve::ask(stage.listen, "/readyz").map(|(status, _)| status));
    // Whatever it gives back is taken from it at once.
    let mut told = false;
    rig.wait::<()>(FULL, || {
        fill(&mut filling);
        told |= ready() != Some(200);
        None
    });
    let pages = playground.ledger().sources.requests;
    rig.wait::<()>(Duration::from_secs(1), || {
        fill(&mut filling);
        None
    });
    let stopped = playground.ledger().sources.requests == pages;
    let (alive, done) = (child.end().is_none(), count() >= records);
    let said = child.said();
    // Occurrences go on coming due; they are not about the disk.
    let words: Vec<&str> = said.lines().skip(lines).filter(|line| !line.contains("\"schedule ")).collect();
    let names =
        words.iter().any(|line| ["space", "disk", "storage"].iter().any(|word| line.to_lowercase().contains(word)));
    drop(filling);
    std::fs::remove_file(&filler)?;
    let freed = rig.now();
    let complete = rig.wait(RESUMES * 3, || (count() >= records).then_some(rig.since(freed)));
    figures.set("full_stopped_taking_pages", stopped).set("full_said_so", names).set("full_not_ready", told);
    figures.set("full_lines", words.len()).set("full_resumed_ms", complete.map(millis));
    figures.demand(alive, || format!("full disk: it ended: {}", child.last_words()));
    figures.demand(!done, || "full disk: it was through before the disk was full".to_owned());
    figures.demand(stopped, || "full disk: it went on taking pages".to_owned());
    figures.demand(names && told, || format!("full disk: it does not say so: {}", words.join(" | ")));
    figures.demand(words.len() <= MOST_LINES, || format!("full disk: {} lines in {FULL:?}", words.len()));
    let in_time = complete.is_some_and(|took| took <= RESUMES);
    figures.demand(in_time, || {
        format!("full disk: {} of {records} after space returned: {}", count(), child.last_words())
    });
    let twice = playground.ledger().destination("orders").records.duplicates;
    figures.demand(twice == 0, || format!("full disk: {twice} effects twice"));
    child.signal(Signal::TERM);
    child.wait(rig, PATIENCE);
    if !figures.passed() {
        stage.broke();
    }
    Ok(())
}

/// Writes until nothing fits any more.
fn fill(file: &mut File) {
    for size in [4_096, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

/// A run whose state writes fail at a drawn call, once or from then on; afterwards the disk is well again.
fn failing(rig: &Rig, seed: u64, totals: &Mutex<&mut Figures>) -> io::Result<()> {
    let mut round = Round::with(rig, &SHAPES[0], seed, "[shutdown]\ntimeout = \"1s\"\n")?;
    let call = round.chance.choice(strace::DISK).copied().unwrap_or("fsync");
    let error = round.chance.choice(["ENOSPC", "EIO", "EDQUOT"]).unwrap_or("EIO");
    let nth = round.chance.u64(1..=60);
    let forever = round.chance.bool();
    let when = if forever { format!("{nth}+") } else { nth.to_string() };
    round.story.push(format!("{call} fails with {error} at {when}"));
    let launch = Launch { before: Inject::Fail(call, error, when).words(), ..Launch::default() };
    let mut child = launch.start(rig, &round.stage, &["run", "copy"])?;
    let mut end = child.wait(rig, FAILING);
    if end.is_none() {
        child.signal(Signal::TERM);
        end = child.wait(rig, Duration::from_secs(4));
    }
    round.story.push(format!("{end:?}"));
    match end {
        Some(End::Code(0 | 1 | 69 | 70 | 75 | 78 | 143)) => {}
        _ => round.broken.push(format!("it ended with {end:?}: {}", child.last_words())),
    }
    if child.said().contains("panicked") {
        round.broken.push(format!("it panicked: {}", child.last_words()));
    }
    child.kill();
    round.kills.push(round.playground.now());
    if forever {
        // Nothing that was answered since can be on disk, and since when is not seen from outside.
        round.within = rig.since(child.started);
    }
    round.finish()?;
    let mut figures = lock(totals);
    figures.add("faults", 1);
    report(round, seed, &mut figures);
    Ok(())
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip,
    Truncate,
    Zero,
    Garbage,
}

/// A killed run whose state is damaged before the next start.
fn damaged(rig: &Rig, seed: u64, totals: &Mutex<&mut Figures>) -> io::Result<()> {
    let mut round = Round::new(rig, &SHAPES[0], seed)?;
    let mut child = child::start(rig, &round.stage, &["run", "copy"])?;
    let part = round.chance.u64(10..300);
    rig.wait(PATIENCE, || (round.playground.ledger().destination("orders").records.once > part).then_some(()));
    child.kill();
    let mut files = Vec::new();
    if round.stage.state().is_dir() {
        walk(&round.stage.state(), &mut files)?;
    }
    files.sort();
    let Some(file) = round.chance.choice(&files).cloned() else {
        lock(totals).add("nothing_to_damage", 1);
        return Ok(());
    };
    let damage = round.chance.choice([Damage::Flip, Damage::Flip, Damage::Truncate, Damage::Zero, Damage::Garbage]);
    let name = file.strip_prefix(round.stage.dir()).unwrap_or(&file).display().to_string();
    apply(&file, damage.unwrap_or(Damage::Flip), &mut round.chance)?;
    let (checked, check) = child::run(rig, &round.stage, &["state", "check"], PATIENCE)?;
    let (ended, run) = child::run(rig, &round.stage, &["run", "copy"], PATIENCE)?;
    let findings = round.findings();
    let mut figures = lock(totals);
    let before = figures.broken();
    figures.add("damages", 1);
    let what = format!("seed {seed}, {name} {damage:?}");
    for (child, end) in [(&check, checked), (&run, ended)] {
        let said = child.said() + &child.printed();
        let orderly = matches!(end, Some(End::Code(code)) if code < 100) && !said.contains("panicked");
        figures.demand(orderly, || format!("{what}: ended with {end:?}: {}", child.last_words()));
    }
    let verdict = !(check.said() + &check.printed()).trim().is_empty();
    figures.demand(verdict, || format!("{what}: state check says nothing"));
    if ended == Some(End::Code(0)) {
        figures.add("damages_survived", 1);
        let lost = findings.lost.len();
        figures.add("lost", lost as u64);
        figures.demand(lost == 0, || format!("{what}: {lost} records lost in silence"));
    } else {
        figures.add("damages_refused", 1);
        let named = run.said().to_lowercase().contains("state");
        figures.demand(named, || format!("{what}: refused without a word about the state: {}", run.last_words()));
    }
    figures.demand(findings.twice == 0, || format!("{what}: {} effects twice", findings.twice));
    if figures.broken() > before {
        round.stage.broke();
    }
    Ok(())
}

fn apply(file: &Path, damage: Damage, chance: &mut fastrand::Rng) -> io::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let at = chance.usize(0..bytes.len().max(1));
    let end = (at + 4_096).min(bytes.len());
    match damage {
        _ if bytes.is_empty() => bytes.push(7),
        Damage::Flip => bytes[at] ^= 1 << chance.u8(0..8),
        Damage::Truncate => bytes.truncate(at),
        Damage::Zero => bytes[at..end].fill(0),
        Damage::Garbage => bytes[at..end].fill_with(|| chance.u8(..)),
    }
    std::fs::write(file, bytes)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => walk(&entry.path(), files)?,
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}
