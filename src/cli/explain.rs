//! `flowgate explain RUN|FLOW|CONNECTION`: why something waits, as the running `serve` knows it.

use super::names::with_near;
use super::steer::unanswered;
use super::style::{Tone, paint};
use super::{Exit, Globals};
use crate::app::Host;
use crate::observe::logs::visible;
use crate::store::socket::{Ask, AskError, Subject, View, ask};
use serde_json::Value;
use std::fmt::Write as _;

/// Shows the answer; 69 when nothing runs, 64 when nothing has that name.
pub fn explain(globals: &Globals, host: &Host, id: &str) -> Exit {
    let subject = Subject { kind: None, id: id.to_owned() };
    match ask(&globals.state_dir(), Ask::View(View::Explain(subject))) {
        Ok(document) if globals.json() => {
            globals.say(&document.to_string());
            Exit::Done
        }
        Ok(document) => {
            globals.data(&text(&document, globals.style.stdout));
            Exit::Done
        }
        Err(AskError::Unknown(text)) => {
            globals.complain(&with_near(host, &text, id, true));
            Exit::Usage
        }
        Err(error) => unanswered(globals, &error),
    }
}

fn text(document: &Value, colour: bool) -> String {
    let subject = &document["subject"];
    let state = word(&document["state"]);
    let tone =
        if matches!(state.as_str(), "waiting" | "held" | "paused" | "offline") { Tone::Warn } else { Tone::Good };
    let mut out = format!("{} {}: {}\n", word(&subject["kind"]), word(&subject["id"]), paint(colour, tone, &state));
    if document["run"].is_object() {
        let records = &document["run"]["records"];
        let _ = write!(out, "  run {}", word(&document["run"]["run"]));
        if records.is_object() {
            let count = |name: &str| records[name].as_u64().unwrap_or(0);
            let _ = write!(out, ": {} of {} records delivered", count("delivered"), count("exported"));
        }
        out.push('\n');
    }
    let reasons = list(&document["reasons"]);
    if reasons.is_empty() {
        let _ = writeln!(out, "  {}", word(&document["summary"]));
    }
    for reason in reasons {
        out.push_str(&line(reason, "  "));
    }
    for pool in list(&document["pools"]) {
        out.push_str(&self::pool(pool));
    }
    if document["connection_of_that_name"].is_object() {
        out.push('\n');
        out.push_str(&text(&document["connection_of_that_name"], colour));
    }
    out
}

fn pool(pool: &Value) -> String {
    let mut out = format!(
        "  pool {}: {} in flight of {}\n",
        word(&pool["pool"]),
        pool["in_flight"].as_u64().unwrap_or(0),
        pool["level"].as_u64().unwrap_or(0)
    );
    for holder in list(&pool["holders"]).iter().take(5) {
        let held = seconds(&holder["held_seconds"]);
        let _ =
            writeln!(out, "    in flight: {} via {} for {held}", word(&holder["flow"]), word(&holder["connection"]));
    }
    for request in list(&pool["waiting"]).iter().take(5) {
        let _ = write!(out, "    waiting: {} via {}", word(&request["flow"]), word(&request["connection"]));
        if let Some(position) = request["position"].as_u64() {
            let _ = write!(out, ", number {position} in line");
        }
        let _ = write!(out, ", for {}", seconds(&request["waited_seconds"]));
        if request["starts_in_seconds"].is_number() {
            let _ = write!(out, ", expected to start in {}", seconds(&request["starts_in_seconds"]));
        }
        out.push('\n');
        for reason in list(&request["reasons"]) {
            out.push_str(&line(reason, "      "));
        }
    }
    let more = list(&pool["waiting"]).len().saturating_sub(5) as u64 + pool["more"].as_u64().unwrap_or(0);
    if more > 0 {
        let _ = writeln!(out, "    and {more} more");
    }
    out
}

fn line(reason: &Value, indent: &str) -> String {
    let mut line = format!("{indent}{}: {}", word(&reason["rule"]), word(&reason["text"]));
    if reason["since"].is_string() {
        let _ = write!(line, " (since {})", word(&reason["since"]));
    }
    if reason["until"].is_string() {
        let _ = write!(line, " (until {})", word(&reason["until"]));
    }
    line.push('\n');
    line
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn seconds(value: &Value) -> String {
    format!("{:.1} s", value.as_f64().unwrap_or(0.0))
}

fn word(value: &Value) -> String {
    visible(value.as_str().unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reasons_stand_under_what_they_hold_up_and_nothing_steers_a_terminal() {
        let document = json!({
            "subject": { "kind": "flow", "id": "orders" },
            "state": "waiting",
            "summary": "s",
            "run": { "run": "r1", "records": { "exported": 3, "delivered": 1 } },
            "reasons": [{ "rule": "pause", "text": "wait\u{1b}[31m", "until": "T" }],
            "pools": [{
                "pool": "shop", "level": 1, "in_flight": 1, "more": 2,
                "holders": [{ "flow": "items", "connection": "shop", "held_seconds": 2.04 }],
                "waiting": [{
                    "flow": "orders", "connection": "shop", "waited_seconds": 1.0, "position": 1,
                    "starts_in_seconds": 0.5, "reasons": [{ "rule": "level", "text": "full" }],
                }],
            }],
        });
        let shown = text(&document, false);
        super::super::golden::golden("explain.txt", &shown);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "flow orders: waiting");
        assert_eq!(lines[1], "  run r1: 1 of 3 records delivered");
        assert!(lines[2].starts_with("  pause: wait") && lines[2].ends_with("(until T)"), "{shown}");
        assert_eq!(lines[3], "  pool shop: 1 in flight of 1");
        assert_eq!(lines[4], "    in flight: items via shop for 2.0 s");
        assert_eq!(lines[5], "    waiting: orders via shop, number 1 in line, for 1.0 s, expected to start in 0.5 s");
        assert_eq!((lines[6], lines[7]), ("      level: full", "    and 2 more"));
    }
}
