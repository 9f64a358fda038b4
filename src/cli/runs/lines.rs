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
            raw(&run["run"]).into(),
            raw(&run["flow"]).into(),
            raw(&run["trigger"]).into(),
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
            let _ = writeln!(out, "  {name:<12}{text}");
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

/// What went through each part of the flow; of a run from before it was counted: where records failed.
fn steps(run: &Value, colour: bool) -> String {
    let counted = items(&run["steps"]);
    let mut table = Table::new(&[
        ("step", Align::Left),
        ("in", Align::Right),
        ("out", Align::Right),
        ("delivered", Align::Right),
        ("filtered", Align::Right),
        ("failed", Align::Right),
    ]);
    for step in counted {
        let failed = count(step, "failed");
        table.row(vec![
            raw(&step["step"]).into(),
            count(step, "in").to_string().into(),
            count(step, "out").to_string().into(),
            count(step, "delivered").to_string().into(),
            count(step, "filtered").to_string().into(),
            if failed > 0 { Cell::toned(failed.to_string(), Tone::Bad) } else { "0".into() },
        ]);
    }
    if counted.is_empty() {
        table = Table::new(&[("step", Align::Left), ("failed", Align::Right)]);
        for (step, failed) in run["failed_by_step"].as_object().into_iter().flatten() {
            table.row(vec![step.into(), failed.to_string().into()]);
        }
    }
    if table.is_empty() { String::new() } else { format!("\n{}", table.render(colour)) }
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

/// For a cell, which is made safe by itself.
fn raw(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn maybe(value: &Value) -> String {
    value.as_str().map(visible).unwrap_or_default()
}

fn word(value: &Value) -> String {
    visible(value.as_str().unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::super::super::golden::golden;
    use super::*;
    use serde_json::json;

    fn row(run: &str, phase: &str, outcome: &Value) -> Value {
        json!({
            "run": run, "flow": "eu/orders", "trigger": "schedule", "occurrence": "2026-01-01T02:00:00.000Z",
            "started": "2026-01-01T02:00:00.250Z", "ended": "2026-01-01T02:00:03.500Z", "took_ms": 3_250,
            "phase": phase, "outcome": outcome, "cause": null, "live": null, "limit": null, "crashes": 0,
            "records": { "exported": 120, "delivered": 110, "filtered": 8, "failed": 2, "in_flight": 0 },
            "redelivered": 1, "refiltered": 0, "dismissed": 0, "pages": 3, "requests": 111,
        })
    }

    fn now() -> DateTime<Utc> {
        instant(&json!("2026-01-01T03:30:00Z")).unwrap()
    }

    #[test]
    fn runs_are_a_line_each() {
        let mut live = row("20260101T032959Z-9-aaaaaa", "running", &json!(null));
        live["live"] = json!({ "stopping": false });
        live["took_ms"] = json!(null);
        let mut stopping = live.clone();
        stopping["live"]["stopping"] = json!(true);
        let runs = [
            live,
            stopping,
            row("20260101T020000Z-4-bbbbbb", "ended", &json!("succeeded")),
            row("20260101T020000Z-3-cccccc", "ended", &json!("errors")),
            row("20260101T020000Z-2-dddddd", "held", &json!("cancelled")),
            row("20260101T020000Z-1-eeeeee", "running", &json!(null)),
            row("20260101T020000Z-0-ffffff", "dismissed", &json!("failed")),
        ];
        golden("runs-list.txt", &list(&json!({ "runs": runs }), now(), false));
        assert_eq!(list(&json!({ "runs": [] }), now(), false), "no runs\n");
    }

    #[test]
    fn everything_of_one_run_is_told() {
        let mut one = row("20260101T020000Z-3-cccccc", "held", &json!("failed"));
        one["cause"] = json!("export page 3: 500\u{1b}[2J");
        one["crashes"] = json!(1);
        one["limit"] = json!(500);
        one["open_pages"] = json!(1);
        one["records"]["in_flight"] = json!(4);
        one["failed_by_step"] = json!({ "import": 1, "customer": 1 });
        let old = run(&one, false);
        one["steps"] = json!([
            { "step": "export", "in": 120, "out": 112, "filtered": 8, "failed": 0 },
            { "step": "customer", "in": 112, "out": 111, "filtered": 0, "failed": 1 },
            { "step": "import", "in": 111, "out": 0, "delivered": 110, "filtered": 0, "failed": 1 },
        ]);
        golden("runs-show.txt", &format!("{}---\n{old}", run(&one, false)));
        assert!(run(&json!({}), true).starts_with("run - of -: "), "an answer of another shape does not break it");
    }
}
