//! Runs, for people. Whatever is absent is left out: the answer may come from another version.

use super::super::errors::age_of;
use super::super::style::{Tone, paint};
use super::super::table::{Align, Cell, Table};
use crate::observe::logs::visible;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::fmt::Write as _;

/// A line each, the newest first.
pub fn list(document: &Value, now: DateTime<Utc>, colour: bool) -> String {
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("flow", Align::Left),
        ("trigger", Align::Left),
        ("outcome", Align::Left),
        ("started", Align::Right),
        ("took", Align::Right),
        ("exported", Align::Right),
        ("delivered", Align::Right),
        ("filtered", Align::Right),
        ("failed", Align::Right),
    ]);
    for run in items(&document["runs"]) {
        let records = &run["records"];
        let failed = count(records, "failed");
        let ago = instant(&run["started"]).map(|at| format!("{} ago", age_of((now - at).num_seconds())));
        table.row(vec![
            word(&run["run"]).into(),
            word(&run["flow"]).into(),
            word(&run["trigger"]).into(),
            outcome(run),
            ago.unwrap_or_default().into(),
            took(&run["took_ms"]).into(),
            count(records, "exported").to_string().into(),
            count(records, "delivered").to_string().into(),
            count(records, "filtered").to_string().into(),
            if failed > 0 { Cell::toned(failed.to_string(), Tone::Bad) } else { "0".into() },
        ]);
    }
    if table.is_empty() { "no runs\n".to_owned() } else { table.render(colour) }
}

/// In a word how it ended, or where it stands.
fn standing(run: &Value) -> (&str, Tone) {
    match (run["phase"].as_str(), run["outcome"].as_str()) {
        (Some("running"), _) if run["live"]["stopping"] == true => ("stopping", Tone::Warn),
        (Some("running"), _) if run["live"].is_object() => ("running", Tone::Good),
        // Nobody works on it: its process died, and the flow's next run takes it up.
        (Some("running"), _) => ("cut off", Tone::Warn),
        (Some("held"), _) => ("held", Tone::Warn),
        (Some("dismissed"), _) => ("given up", Tone::Warn),
        (_, Some("succeeded")) => ("succeeded", Tone::Good),
        (_, Some("errors")) => ("with errors", Tone::Bad),
        (_, Some("cancelled")) => ("cancelled", Tone::Warn),
        (_, Some(word)) => (word, Tone::Bad),
        (phase, None) => (phase.unwrap_or("-"), Tone::Dim),
    }
}

fn outcome(run: &Value) -> Cell {
    let (word, tone) = standing(run);
    Cell::toned(word, tone)
}

/// Everything of one.
pub fn run(run: &Value, colour: bool) -> String {
    let (standing, tone) = standing(run);
    let mut out =
        format!("run {} of {}: {}\n", word(&run["run"]), word(&run["flow"]), paint(colour, tone, visible(standing)));
    let mut line = |name: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(out, "  {:<10}{text}", name);
        }
    };
    line("started", format!("{}, by {}", word(&run["started"]), word(&run["trigger"])));
    line("occurrence", maybe(&run["occurrence"]));
    line("ended", ended(run));
    line("cause", maybe(&run["cause"]));
    line("records", records(run));
    line("pages", pages(run));
    line("requests", format!("{} to the destination", count(run, "requests")));
    line("limit", run["limit"].as_u64().map(|most| format!("{most} records")).unwrap_or_default());
    let crashes = count(run, "crashes");
    line("crashes", if crashes > 0 { format!("{crashes}: unclean exits it has seen") } else { String::new() });
    out.push_str(&steps(run, colour));
    if count(&run["records"], "failed") > 0 {
        let _ = writeln!(out, "\n`flowgate errors list --run {}` shows what failed", word(&run["run"]));
    }
    out
}

fn ended(run: &Value) -> String {
    if !run["ended"].is_string() {
        return String::new();
    }
    let took = took(&run["took_ms"]);
    format!("{}, after {}", word(&run["ended"]), if took.is_empty() { "-".to_owned() } else { took })
}

fn records(run: &Value) -> String {
    let records = &run["records"];
    let mut text = format!("{} exported", count(records, "exported"));
    for name in ["delivered", "filtered", "failed", "in_flight"] {
        if count(records, name) > 0 {
            let _ = write!(text, ", {} {}", count(records, name), name.replace('_', " "));
        }
    }
    for (name, later) in
        [("redelivered", "delivered later"), ("refiltered", "filtered later"), ("dismissed", "given up")]
    {
        if count(run, name) > 0 {
            let _ = write!(text, ", {} {later}", count(run, name));
        }
    }
    text
}

fn pages(run: &Value) -> String {
    let open = count(run, "open_pages");
    let mut text = count(run, "pages").to_string();
    if open > 0 {
        let _ = write!(text, ", {open} with records in flight");
    }
    text
}

fn steps(run: &Value, colour: bool) -> String {
    let Some(steps) = run["failed_by_step"].as_object().filter(|steps| !steps.is_empty()) else { return String::new() };
    let mut table = Table::new(&[("step", Align::Left), ("failed", Align::Right)]);
    for (step, failed) in steps {
        table.row(vec![step.into(), failed.to_string().into()]);
    }
    format!("\n{}", table.render(colour))
}

/// `850 ms`, `3.2 s`, `5m`; nothing while it is not known.
fn took(value: &Value) -> String {
    let Some(ms) = value.as_u64() else { return String::new() };
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms / 100 % 10),
        _ => age_of(i64::try_from(ms / 1_000).unwrap_or(i64::MAX)),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn count(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc())
}

fn maybe(value: &Value) -> String {
    value.as_str().map(visible).unwrap_or_default()
}

fn word(value: &Value) -> String {
    visible(value.as_str().unwrap_or("-"))
}
