//! Programs a test needs beside the project's own, and what happens where there is none or the kernel says no.
//!
//! Where `FLOWGATE_PEERS=required`, a program that is missing fails its test. What the kernel forbids is no fault of the
//! test command: it is told with the reason, and `./test` shows it at its end.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Where `./test` reads what was skipped.
const SKIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/skipped.txt");

#[expect(clippy::disallowed_methods, reason = "a switch of the test command")]
fn is_required() -> bool {
    std::env::var("FLOWGATE_PEERS").is_ok_and(|value| value == "required")
}

/// Why a program cannot be used.
#[derive(Debug, PartialEq)]
pub enum Why {
    Missing,
    /// What it said when it was tried.
    Forbidden(String),
    Broken(String),
}

/// Tries a program; its arguments ask for no more than what the test does.
pub fn tried(name: &str, probe: &[&str]) -> Result<(), Why> {
    let Ok(output) = Command::new(name).args(probe).stdin(Stdio::null()).output() else { return Err(Why::Missing) };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let forbids = ["not permitted", "Permission denied", "not supported", "not implemented"];
    Err(if forbids.iter().any(|word| said.contains(word)) { Why::Forbidden(said) } else { Why::Broken(said) })
}

/// Whether a program works here; the test ends, or fails, where it does not.
#[track_caller]
pub fn works(name: &str, probe: &[&str]) -> bool {
    match tried(name, probe) {
        Ok(()) => true,
        Err(why) => {
            skip(&format!("`{name} {}`", probe.join(" ")), &why, is_required());
            false
        }
    }
}

/// Says that a test is not made, and why; fails where that is not accepted.
#[track_caller]
fn skip(what: &str, why: &Why, required: bool) {
    let reason = match why {
        Why::Missing => "is not installed; `./test` installs it".to_owned(),
        Why::Broken(said) => format!("does not work: {said}"),
        Why::Forbidden(said) => {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let line = format!("SKIPPED: {test}: {what} is forbidden here: {said}");
            eprintln!("{line}");
            let file = std::fs::OpenOptions::new().create(true).append(true).open(SKIPPED);
            // Where it cannot be written, what was said above has to do.
            let _ = file.and_then(|mut file| writeln!(file, "{line}"));
            return;
        }
    };
    assert!(!required, "{what} {reason}, and FLOWGATE_PEERS=required");
    eprintln!("SKIPPED: {what} {reason}");
}

#[test]
fn what_is_missing_what_is_forbidden_and_what_is_broken_are_told_apart() {
    assert_eq!(tried("true", &[]), Ok(()));
    assert_eq!(tried("no-such-program-of-that-name", &[]), Err(Why::Missing));
    let forbidden = "mount: Operation not permitted";
    assert_eq!(tried("sh", &["-c", &format!("echo '{forbidden}' >&2; exit 1")]), Err(Why::Forbidden(forbidden.into())));
    assert_eq!(tried("sh", &["-c", "echo odd >&2; exit 1"]), Err(Why::Broken("odd".into())));
    skip("`x`", &Why::Missing, false);
}

#[test]
#[should_panic(expected = "FLOWGATE_PEERS=required")]
fn what_is_missing_fails_where_it_is_required() {
    skip("`x`", &Why::Missing, true);
}

#[test]
#[should_panic(expected = "does not work: odd")]
fn what_is_broken_fails_where_it_is_required() {
    skip("`x`", &Why::Broken("odd".into()), true);
}
