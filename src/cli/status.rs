//! `flowgate status`: asks the running `serve` over the socket in its state directory.

use super::errors::age_of as age;
use super::style::{Tone, paint};
use super::table::{Align, Cell, Table};
use super::{Exit, Globals};
use crate::observe::logs::visible;
use crate::store::socket::{Ask, AskError, ask};
use serde_json::Value;
use std::fmt::Write as _;

/// Shows the answer; 69 when nothing runs.
pub fn status(globals: &Globals) -> Exit {
    match ask(&globals.state_dir(), Ask::Status) {
        Ok(document) if globals.json() => {
            globals.say(&document.to_string());
            Exit::Done
        }
        Ok(document) => {
            globals.data(&text(&document, globals.style.stdout));
            Exit::Done
        }
        Err(error) => {
            globals.complain(&error.to_string());
            match error {
                AskError::Forbidden(_) => Exit::Auth,
                AskError::State(_) => Exit::Config,
                _ => Exit::Unavailable,
            }
        }
    }
}

fn text(document: &Value, colour: bool) -> String {
    let mut out = head(document, colour);
    let flows = flows(document);
    if !flows.is_empty() {
        out.push('\n');
        out.push_str(&flows.render(colour));
        out.push_str(&waiting(document));
        out.push_str(&unfinished(document));
    }
    let lines = lines(document);
    if !lines.is_empty() {
        out.push('\n');
        out.push_str(&lines.render(colour));
    }
    out.push_str(&agents(document, colour));
    out
}

/// Who carries requests into other networks.
fn agents(document: &Value, colour: bool) -> String {
    let mut out = String::new();
    for agent in document["agents"].as_array().into_iter().flatten() {
        let connected = agent["connected"].as_u64().unwrap_or(0);
        let tone = if connected > 0 { Tone::Good } else { Tone::Bad };
        let there = paint(colour, tone, format!("{connected} connected"));
        let _ = write!(out, "\nagent {}: {there} since {}", word(&agent["agent"]), word(&agent["since"]));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The process and its configuration. Whatever is absent is left out: the answer may come from another version.
fn head(document: &Value, colour: bool) -> String {
    let config = &document["config"];
    let mut out = format!(
        "flowgate {}, pid {}, since {}\n",
        word(&document["version"]),
        word(&document["pid"]),
        word(&document["started"])
    );
    if document["draining"] == true {
        out.push_str(&paint(colour, Tone::Warn, "draining: no new runs are started\n"));
    }
    let _ = writeln!(out, "snapshot {} in force since {}", word(&config["revision"]), word(&config["since"]));
    if config["rejected"].is_object() {
        let rejected = &config["rejected"];
        let line = format!(
            "the files as they are now are NOT in force: {} error(s) since {}",
            word(&rejected["errors"]),
            word(&rejected["at"])
        );
        out.push_str(&paint(colour, Tone::Bad, line));
        out.push('\n');
        for first in rejected["first"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "  {}", word(first));
        }
        out.push_str("  `flowgate check` shows all of them\n");
    }
    out.push_str(&store(&document["store"], colour));
    if config["restart_needed"] == true {
        out.push_str(&paint(colour, Tone::Warn, "flowgate.toml changed: restart `flowgate serve` to apply it\n"));
    }
    out
}

/// The state, and what is wrong with it.
fn store(store: &Value, colour: bool) -> String {
    let mut out = String::new();
    if !store.is_object() {
        return out;
    }
    let bytes = |name: &str| size(store[name].as_u64().unwrap_or(0));
    let _ = writeln!(out, "state {}, pages of runs under way {}", bytes("database_bytes"), bytes("pages_bytes"));
    if store["health"] == "failing" {
        let line = format!("the state cannot be written since {}: {}", word(&store["since"]), word(&store["cause"]));
        let _ = writeln!(out, "{}; runs wait until it can", paint(colour, Tone::Bad, line));
    }
    if store["unreadable"].is_string() {
        let _ = writeln!(out, "{}", paint(colour, Tone::Bad, word(&store["unreadable"])));
    }
    for found in store["damage"].as_array().into_iter().flatten() {
        let flow = found["flow"].as_str().map(|flow| format!("{}: ", visible(flow))).unwrap_or_default();
        let line = format!("damaged: {flow}{}", word(&found["text"]));
        let _ = writeln!(out, "{}; `flowgate state check` tells more", paint(colour, Tone::Bad, line));
    }
    out
}

/// Flows that somebody paused, and connections whose requests wait.
fn waiting(document: &Value) -> String {
    let mut out = String::new();
    for flow in document["flows"].as_array().into_iter().flatten().filter(|flow| !flow["paused"].is_null()) {
        let (id, since) = (word(&flow["id"]), word(&flow["paused"]));
        let _ = writeln!(out, "{id}: paused since {since}; `flowgate resume {id}` lets it run again");
    }
    let pools = document["pools"].as_array().into_iter().flatten();
    let lines = pools.flat_map(|pool| pool["lines"].as_array().into_iter().flatten());
    for line in lines.filter(|line| line["offline"].is_object()) {
        let (id, offline) = (word(&line["connection"]), &line["offline"]);
        let login = if offline["login"] == true { format!("; `flowgate auth login {id}`") } else { String::new() };
        let _ = writeln!(
            out,
            "connection {id}: offline since {}: {}{login}",
            word(&offline["since"]),
            word(&offline["reason"])
        );
    }
    out
}

/// Runs that wait to go on, and why.
fn unfinished(document: &Value) -> String {
    let mut out = String::new();
    for flow in document["flows"].as_array().into_iter().flatten() {
        let (run, records) = (&flow["unfinished"], &flow["unfinished"]["records"]);
        if !run.is_object() {
            continue;
        }
        let why = match run["cause"].as_str() {
            Some(cause) => visible(cause),
            None if run["held"] == true => "stopped in order".to_owned(),
            None => "cut off".to_owned(),
        };
        let _ = writeln!(
            out,
            "{}: run {} of {} waits to go on with {} records in flight: {why}",
            word(&flow["id"]),
            word(&run["run"]),
            word(&run["started"]),
            word(&records["in_flight"]),
        );
    }
    out
}

fn flows(document: &Value) -> Table {
    let mut table = Table::new(&[
        ("flow", Align::Left),
        ("state", Align::Left),
        ("exported", Align::Right),
        ("delivered", Align::Right),
        ("filtered", Align::Right),
        ("failed", Align::Right),
        ("open errors", Align::Right),
        ("oldest", Align::Right),
        ("last success", Align::Left),
        ("next run", Align::Left),
    ]);
    for flow in document["flows"].as_array().into_iter().flatten() {
        let (running, last) = (&flow["running"], &flow["last"]);
        let records = if running.is_object() { &running["records"] } else { &last["records"] };
        let mut row = vec![Cell::from(word(&flow["id"])), state(flow)];
        row.extend(["exported", "delivered", "filtered", "failed"].map(|name| Cell::from(word(&records[name]))));
        row.extend(open_errors(&flow["errors"]));
        row.push(word(&flow["last_success"]).into());
        row.push(word(&flow["next_run"]).into());
        table.row(row);
    }
    table
}

/// How many are open, and how old the oldest is.
fn open_errors(errors: &Value) -> [Cell; 2] {
    let open = errors["open"].as_u64().unwrap_or(0);
    let oldest = errors["oldest_seconds"].as_i64().filter(|_| open > 0);
    let count = if open > 0 { Cell::toned(open.to_string(), Tone::Bad) } else { Cell::from("") };
    [count, oldest.map(age).unwrap_or_default().into()]
}

fn state(flow: &Value) -> Cell {
    if !flow["paused"].is_null() {
        return Cell::toned(if flow["running"].is_object() { "running, then paused" } else { "paused" }, Tone::Warn);
    }
    if flow["running"].is_object() {
        let kept = if flow["queued"] == true { "running, one more waits" } else { "running" };
        return Cell::toned(kept, Tone::Good);
    }
    if let Some(state @ ("removed" | "disabled")) = flow["state"].as_str() {
        return Cell::toned(state, Tone::Dim);
    }
    match flow["last"]["outcome"].as_str() {
        None => Cell::from("not run yet"),
        Some("succeeded") => Cell::toned("succeeded", Tone::Good),
        Some(outcome @ "failed") => Cell::toned(outcome, Tone::Bad),
        Some(outcome) => Cell::toned(outcome, Tone::Warn),
    }
}

fn lines(document: &Value) -> Table {
    let lines = |pool: &Value| pool["lines"].as_array().cloned().unwrap_or_default();
    let pools = document["pools"].as_array().cloned().unwrap_or_default();
    // A column of its own only where a server has said something.
    let told = pools.iter().flat_map(lines).any(|line| !line["rate_limit"].is_null());
    let mut heads = vec![
        ("connection", Align::Left),
        ("pool", Align::Left),
        ("in flight", Align::Right),
        ("level", Align::Right),
        ("waiting", Align::Right),
        ("oldest", Align::Right),
        ("paused for", Align::Right),
    ];
    heads.extend(told.then_some(("server allows", Align::Left)));
    let mut table = Table::new(&heads);
    for pool in &pools {
        for line in &lines(pool) {
            let borrowed = line["connection"] != pool["pool"];
            let mut row: Vec<Cell> = vec![
                connection(line).into(),
                if borrowed { Cell::from(word(&pool["pool"])) } else { Cell::from("") },
                word(&line["in_flight"]).into(),
                level(pool).into(),
                word(&line["queued"]).into(),
                seconds(&line["oldest_seconds"]).into(),
                seconds(longer(&pool["paused_seconds"], &line["paused_seconds"])).into(),
            ];
            if told {
                row.push(allowance(&line["rate_limit"]).into());
            }
            table.row(row);
        }
    }
    table
}

/// The level in force, and the most it may become where it moves by itself.
fn level(pool: &Value) -> String {
    let level = word(&pool["level"]);
    if pool["max_level"].is_null() { level } else { format!("{level} of {}", word(&pool["max_level"])) }
}

/// What the server said is left of its own limit: `12 of 100, 30s`.
fn allowance(told: &Value) -> String {
    let mut out = match (told["remaining"].is_null(), told["limit"].is_null()) {
        (false, false) => format!("{} of {}", word(&told["remaining"]), word(&told["limit"])),
        (false, true) => format!("{} more", word(&told["remaining"])),
        (true, false) => format!("of {}", word(&told["limit"])),
        (true, true) => return String::new(),
    };
    if !told["resets_in_seconds"].is_null() {
        let _ = write!(out, ", {}", seconds(&told["resets_in_seconds"]));
    }
    out
}

/// One that is no longer configured is still shown while requests of runs under way wait in its line.
fn connection(line: &Value) -> String {
    let id = word(&line["connection"]);
    let id = if line["offline"].is_object() { format!("{id} (OFFLINE)") } else { id };
    let id = if line["closing"] == true { format!("{id} (closing)") } else { id };
    if line["tls_verify"] == false { format!("{id} (TLS NOT VERIFIED)") } else { id }
}

/// The pause that ends last: a line waits for its pool's and for its own.
fn longer<'v>(pool: &'v Value, line: &'v Value) -> &'v Value {
    if line.as_f64() > pool.as_f64() { line } else { pool }
}

/// A scalar as text; nothing for what is absent.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// `512 B`, `1.5 MiB`.
#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

fn seconds(value: &Value) -> String {
    value.as_f64().filter(|seconds| *seconds > 0.0).map(|seconds| format!("{seconds:.1}s")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::globals::tests::at;
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_running_is_said_so_and_ends_with_69() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(status(&at(root.path())), Exit::Unavailable);
    }

    #[test]
    fn the_document_becomes_tables() {
        let records = json!({ "exported": 120, "delivered": 100, "filtered": 5, "failed": 1, "in_flight": 14 });
        let document = json!({
            "format": 1, "version": "0.1.0", "pid": 7, "started": "2026-11-23T10:00:00.000Z", "draining": false,
            "config": {
                "revision": "ab12", "since": "2026-11-23T10:00:00.000Z", "restart_needed": false,
                "rejected": { "at": "2026-11-23T11:00:00.000Z", "errors": 2, "first": ["flows/a.toml:1:1: no\u{1b}[31m"] },
            },
            "flows": [
                { "id": "orders", "state": "enabled", "queued": false, "next_run": null, "last_success": null,
                  "running": { "run": "r", "records": records }, "last": null },
                { "id": "old", "state": "removed", "queued": false, "next_run": null, "last_success": null,
                  "running": null, "last": null,
                  "errors": { "open": 3, "oldest": "2026-11-21T10:00:00.000Z", "oldest_seconds": 180_000 },
                  "unfinished": { "run": "r0", "started": "2026-11-20T10:00:00.000Z", "held": true,
                    "cause": "import: stopped\u{1b}[31m", "records": records } },
            ],
            "store": { "health": "failing", "since": "2026-11-23T11:00:00.000Z", "cause": "No space left",
                "database_bytes": 2_000_000, "pages_bytes": 100,
                "damage": [ { "flow": "orders", "text": "page 3 is torn" } ] },
            "pools": [ { "pool": "erp", "level": 4, "in_flight": 3, "paused_seconds": 1.5, "lines": [
                { "connection": "erp", "queued": 2, "oldest_seconds": 0.25, "in_flight": 2 },
                { "connection": "erp-reports", "queued": 0, "oldest_seconds": null, "in_flight": 1,
                  "paused_seconds": 4.0, "closing": true },
            ] } ],
        });
        let shown = text(&document, false);
        super::super::golden::golden("status.txt", &shown);
        assert_eq!(
            shown,
            "flowgate 0.1.0, pid 7, since 2026-11-23T10:00:00.000Z\n\
             snapshot ab12 in force since 2026-11-23T10:00:00.000Z\n\
             the files as they are now are NOT in force: 2 error(s) since 2026-11-23T11:00:00.000Z\n  \
             flows/a.toml:1:1: no\\u{1b}[31m\n  \
             `flowgate check` shows all of them\n\
             state 1.9 MiB, pages of runs under way 100 B\n\
             the state cannot be written since 2026-11-23T11:00:00.000Z: No space left; runs wait until it can\n\
             damaged: orders: page 3 is torn; `flowgate state check` tells more\n\
             \n\
             flow    state    exported  delivered  filtered  failed  open errors  oldest  last success  next run\n\
             orders  running       120        100         5       1\n\
             old     removed                                                   3   2d 2h\n\
             old: run r0 of 2026-11-20T10:00:00.000Z waits to go on with 14 records in flight: import: stopped\\u{1b}[31m\n\
             \n\
             connection             pool  in flight  level  waiting  oldest  paused for\n\
             erp                                  2      4        2    0.2s        1.5s\n\
             erp-reports (closing)  erp           1      4        0                4.0s\n"
        );
    }

    #[test]
    fn paused_and_offline_are_said_with_their_reasons() {
        let document = json!({
            "flows": [
                { "id": "orders", "paused": "2026-11-26T10:00:00.000Z", "last": { "outcome": "succeeded" } },
                { "id": "stock", "paused": "2026-11-26T10:00:00.000Z", "running": { "run": "r" } },
            ],
            "pools": [ { "pool": "erp", "level": 1, "lines": [ { "connection": "erp",
                "offline": { "since": "2026-11-26T11:00:00.000Z", "reason": "401: no\u{1b}[31m", "login": true } } ] } ],
        });
        let shown = text(&document, false);
        for part in [
            "orders  paused",
            "stock   running, then paused",
            "orders: paused since 2026-11-26T10:00:00.000Z; `flowgate resume orders` lets it run again",
            "erp (OFFLINE)",
            "connection erp: offline since 2026-11-26T11:00:00.000Z: 401: no\\u{1b}[31m; `flowgate auth login erp`",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_does_not_break_it() {
        for odd in [json!(null), json!({ "flows": 1, "pools": [1], "config": [] }), json!({ "flows": [{}] })] {
            assert!(text(&odd, true).starts_with("flowgate "));
        }
    }
}
