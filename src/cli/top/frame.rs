//! One look as lines: pure, so that it can be shown at any size. Nothing in it is wider than the screen or steers it.

use super::super::errors::age_of;
use super::super::style::{Tone, paint};
use super::super::table::{Align, Cell, Table};
use crate::observe::logs::visible;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

/// Below this width columns are left out.
const NARROW: usize = 70;
/// Below this height pools are left out.
const LOW: usize = 14;
/// Cells of a bar.
const BAR: u64 = 10;

/// What is shown.
pub(super) struct Look<'v> {
    /// What `status` tells.
    pub(super) document: &'v Value,
    /// What it told before, and how long before.
    pub(super) before: Option<(&'v Value, Duration)>,
    pub(super) now: DateTime<Utc>,
    /// Why it tells nothing any more.
    pub(super) lost: Option<&'v str>,
}

/// The lines of a screen of so many columns and rows.
pub(super) fn frame(look: &Look<'_>, (width, height): (usize, usize), colour: bool) -> Vec<String> {
    let mut lines = head(look, colour);
    let narrow = width < NARROW;
    let (pools, flows) = (rows(&pools(look.document, narrow), colour), rows(&flows(look, narrow), colour));
    // The last line is the foot.
    let left = |lines: &Vec<String>| height.saturating_sub(lines.len() + 1);
    // Where there is little room, flows have it; else a third is for pools, or what flows leave.
    if height >= LOW {
        let room = (left(&lines) / 3).max(left(&lines).saturating_sub(flows.len() + 1));
        section(&mut lines, pools, room, "pools", colour);
    }
    let room = left(&lines);
    section(&mut lines, flows, room, "flows", colour);
    if left(&lines) > 0 {
        lines.push(String::new());
    }
    lines.truncate(height.saturating_sub(1));
    lines.push(paint(colour, Tone::Dim, "q quits"));
    lines.iter().map(|line| cut(line, width)).collect()
}

/// A blank, the headings, and as many rows as fit.
fn section(lines: &mut Vec<String>, table: Vec<String>, room: usize, what: &str, colour: bool) {
    let (have, most) = (table.len().saturating_sub(1), room.saturating_sub(2));
    if have == 0 || most == 0 {
        return;
    }
    let shown = if have > most { most - 1 } else { have };
    lines.push(String::new());
    lines.extend(table.into_iter().take(shown + 1));
    if have > shown {
        lines.push(paint(colour, Tone::Dim, format!("… {} more {what}", have - shown)));
    }
}

fn rows(table: &Table, colour: bool) -> Vec<String> {
    table.render(colour).lines().map(str::to_owned).collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn word(value: &Value) -> String {
    value.as_str().map(visible).unwrap_or_default()
}

/// For a cell, which is made safe by itself.
fn raw(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc())
}

fn head(look: &Look<'_>, colour: bool) -> Vec<String> {
    let Look { document, now, lost, .. } = look;
    let up = instant(&document["started"]).map(|at| age_of((*now - at).num_seconds())).unwrap_or_default();
    let mut lines = vec![format!(
        "flowgate {}  pid {}  up {up}  snapshot {}",
        word(&document["version"]),
        number(&document["pid"]),
        word(&document["config"]["revision"])
    )];
    let flows = items(&document["flows"]);
    let running = flows.iter().filter(|flow| flow["running"].is_object()).count();
    let failed = flows.iter().filter(|flow| flow["last"]["outcome"] == "failed").count();
    let open: u64 = flows.iter().map(|flow| number(&flow["errors"]["open"])).sum();
    let lines_of = |name: &str| -> u64 {
        items(&document["pools"]).iter().flat_map(|pool| items(&pool["lines"])).map(|line| number(&line[name])).sum()
    };
    let toned = |count: u64, text: String| if count > 0 { paint(colour, Tone::Bad, text) } else { text };
    lines.push(format!(
        "{} flows: {running} running, {}, {}  requests: {} in flight, {} waiting",
        flows.len(),
        toned(failed as u64, format!("{failed} failed")),
        toned(open, format!("{open} open errors")),
        lines_of("in_flight"),
        lines_of("queued"),
    ));
    let mut warn = |tone, text: String| lines.push(paint(colour, tone, text));
    if let Some(why) = lost {
        warn(Tone::Bad, format!("last seen like this: {}", visible(why)));
    }
    if document["draining"] == true {
        warn(Tone::Warn, "draining: no new runs are started".to_owned());
    }
    if document["config"]["rejected"].is_object() {
        let errors = number(&document["config"]["rejected"]["errors"]);
        warn(Tone::Bad, format!("the files as they are now are NOT in force: {errors} error(s)"));
    }
    if document["store"]["health"] == "failing" {
        warn(Tone::Bad, format!("the state cannot be written: {}", word(&document["store"]["cause"])));
    }
    lines
}

fn pools(document: &Value, narrow: bool) -> Table {
    let mut columns = vec![("pool", Align::Left), ("in flight", Align::Left), ("waiting", Align::Right)];
    if !narrow {
        columns.extend([("oldest", Align::Right), ("state", Align::Left)]);
    }
    let mut table = Table::new(&columns);
    for pool in items(&document["pools"]) {
        let (held, level) = (number(&pool["in_flight"]), number(&pool["level"]));
        let queued: u64 = items(&pool["lines"]).iter().map(|line| number(&line["queued"])).sum();
        let oldest = items(&pool["lines"]).iter().filter_map(|line| line["oldest_seconds"].as_f64());
        let oldest = oldest.fold(0.0, f64::max);
        let mut row: Vec<Cell> = vec![
            raw(&pool["pool"]).into(),
            if narrow { format!("{held}/{level}") } else { format!("{} {held}/{level}", bar(held, level)) }.into(),
            queued.to_string().into(),
        ];
        if !narrow {
            row.push(if queued > 0 { format!("{oldest:.1} s") } else { String::new() }.into());
            row.push(pool_state(pool));
        }
        table.row(row);
    }
    table
}

fn bar(held: u64, level: u64) -> String {
    let full = if level == 0 { 0 } else { (held.min(level) * BAR).div_ceil(level) };
    (0..BAR).map(|cell| if cell < full { '#' } else { '.' }).collect()
}

fn pool_state(pool: &Value) -> Cell {
    let lines = items(&pool["lines"]);
    let offline = lines.iter().find(|line| line["offline"].is_object());
    let paused = std::iter::once(&pool["paused_seconds"]).chain(lines.iter().map(|line| &line["paused_seconds"]));
    let paused = paused.filter_map(Value::as_f64).fold(0.0, f64::max);
    if let Some(line) = offline {
        Cell::toned(format!("offline: {}", raw(&line["offline"]["reason"])), Tone::Bad)
    } else if paused > 0.0 {
        Cell::toned(format!("paused {paused:.0} s"), Tone::Warn)
    } else if lines.iter().any(|line| line["closing"] == true) {
        "closing".into()
    } else {
        "".into()
    }
}

fn flows(look: &Look<'_>, narrow: bool) -> Table {
    let mut columns = vec![("flow", Align::Left), ("state", Align::Left), ("rec/s", Align::Right)];
    if !narrow {
        columns.extend([("exported", Align::Right), ("delivered", Align::Right), ("failed", Align::Right)]);
    }
    columns.push(("errors", Align::Right));
    if !narrow {
        columns.push(("next run", Align::Right));
    }
    let mut table = Table::new(&columns);
    let mut flows: Vec<&Value> = items(&look.document["flows"]).iter().collect();
    // What needs a look first; the order of ids among equals.
    flows.sort_by_key(|flow| rank(flow));
    for flow in flows {
        let (word_of, tone) = state(flow);
        let records = if flow["running"].is_object() { &flow["running"]["records"] } else { &flow["last"]["records"] };
        let open = number(&flow["errors"]["open"]);
        let mut row: Vec<Cell> = vec![raw(&flow["id"]).into(), Cell::toned(word_of, tone), rate(look, flow).into()];
        if !narrow {
            row.extend(["exported", "delivered", "failed"].map(|name| Cell::from(number(&records[name]).to_string())));
        }
        row.push(if open > 0 { Cell::toned(open.to_string(), Tone::Bad) } else { "".into() });
        if !narrow {
            let next = instant(&flow["next_run"]).map(|at| format!("in {}", age_of((at - look.now).num_seconds())));
            row.push(next.unwrap_or_default().into());
        }
        table.row(row);
    }
    table
}

fn rank(flow: &Value) -> u8 {
    if flow["running"].is_object() {
        0
    } else if flow["last"]["outcome"] == "failed" || number(&flow["errors"]["open"]) > 0 {
        1
    } else {
        2
    }
}

fn state(flow: &Value) -> (&str, Tone) {
    let running = &flow["running"];
    if running["stopping"] == true {
        return ("stopping", Tone::Warn);
    }
    if running.is_object() {
        return if flow["waits"].is_string() || running["begun"] == false {
            ("waiting", Tone::Warn)
        } else {
            ("running", Tone::Good)
        };
    }
    match (flow["state"].as_str(), flow["last"]["outcome"].as_str()) {
        (Some(state @ ("removed" | "disabled")), _) => (state, Tone::Dim),
        _ if flow["paused"].is_string() => ("paused", Tone::Warn),
        (_, None) => ("not run yet", Tone::Dim),
        (_, Some("succeeded")) => ("ok", Tone::Good),
        (_, Some("failed")) => ("failed", Tone::Bad),
        (_, Some(other)) => (other, Tone::Warn),
    }
}

/// Records settled a second since the look before, of a run that was there then too.
fn rate(look: &Look<'_>, flow: &Value) -> String {
    let running = &flow["running"];
    let Some((before, ago)) = look.before.filter(|(_, ago)| !ago.is_zero() && running.is_object()) else {
        return String::new();
    };
    let settled =
        |run: &Value| ["delivered", "filtered", "failed"].map(|name| number(&run["records"][name])).iter().sum::<u64>();
    let old = items(&before["flows"]).iter().find(|old| old["id"] == flow["id"]).map(|old| &old["running"]);
    // What one settled that was not there before was settled nobody knows when: it may go on since long ago.
    let Some(old) = old.filter(|old| old["run"] == running["run"]) else { return String::new() };
    let since = u32::try_from(settled(running).saturating_sub(settled(old))).unwrap_or(u32::MAX);
    format!("{:.0}", f64::from(since) / ago.as_secs_f64())
}

/// So many columns of a line; what colours it has no width.
fn cut(line: &str, width: usize) -> String {
    let (mut out, mut seen, mut escape, mut coloured) = (String::with_capacity(line.len()), 0, false, false);
    for c in line.chars() {
        if escape || c == '\x1b' {
            escape = c != 'm';
            coloured = true;
            out.push(c);
            continue;
        }
        if seen == width {
            if coloured {
                out.push_str("\x1b[0m");
            }
            return out;
        }
        seen += 1;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::golden::golden;
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> DateTime<Utc> {
        instant(&json!(text)).unwrap()
    }

    fn running(run: &str, delivered: u64) -> Value {
        json!({ "run": run, "begun": true, "stopping": false, "pages": 2, "total": null,
            "records": { "exported": delivered + 4, "delivered": delivered, "filtered": 0, "failed": 0, "in_flight": 4 } })
    }

    fn document(delivered: u64) -> Value {
        let last =
            |outcome: &str| json!({ "outcome": outcome, "records": { "exported": 12, "delivered": 10, "failed": 2 } });
        let errors = |open: u64| json!({ "open": open });
        json!({
            "version": "0.1.0", "pid": 42, "started": "2026-01-01T00:00:00Z", "draining": false,
            "config": { "revision": "ab12cd34" }, "store": { "health": "good" },
            "flows": [
                { "id": "customers", "state": "enabled", "running": null, "last": last("succeeded"), "errors": errors(0), "next_run": "2026-01-01T03:15:00Z" },
                { "id": "eu/orders", "state": "enabled", "running": running("r1", delivered), "last": last("errors"), "errors": errors(2) },
                { "id": "stock", "state": "enabled", "running": null, "last": last("failed"), "errors": errors(0), "next_run": "2026-01-01T03:00:00Z" },
                { "id": "zero", "state": "disabled", "running": null, "last": null, "errors": null },
            ],
            "pools": [
                { "pool": "erp", "level": 4, "in_flight": 4, "paused_seconds": null, "lines": [
                    { "connection": "erp", "queued": 12, "oldest_seconds": 3.25, "in_flight": 4, "paused_seconds": 17.0, "offline": null } ] },
                { "pool": "shop", "level": 10, "in_flight": 1, "paused_seconds": null, "lines": [
                    { "connection": "shop", "queued": 0, "oldest_seconds": null, "in_flight": 1, "paused_seconds": null,
                      "offline": { "reason": "refused\u{1b}[2J by the server, at great length" } } ] },
            ],
        })
    }

    #[test]
    fn a_look_at_several_sizes() {
        let (old, new) = (document(100), document(340));
        let before = Some((&old, Duration::from_secs(2)));
        let look = Look { document: &new, before, now: at("2026-01-01T02:59:00Z"), lost: None };
        let mut shown = String::new();
        for size in [(120, 40), (80, 24), (40, 20), (80, 9), (20, 5)] {
            let lines = frame(&look, size, false);
            assert!(
                lines.len() <= size.1 && lines.iter().all(|line| line.chars().count() <= size.0),
                "{size:?} {lines:#?}"
            );
            shown.extend(["---", &format!(" {} x {}\n", size.0, size.1), &lines.join("\n"), "\n"]);
        }
        golden("top.txt", &shown);
        assert!(shown.contains("120") && !shown.contains('\u{1b}'), "240 records in 2 s: {shown}");
    }

    #[test]
    fn a_colour_that_is_cut_ends_and_hostile_words_steer_nothing() {
        let new = document(1);
        let look = Look { document: &new, before: None, now: at("2026-01-01T02:59:00Z"), lost: Some("gone\u{1b}[2J") };
        for width in [3, 10, 33, 90] {
            for line in frame(&look, (width, 30), true) {
                assert!(!line.contains("\u{1b}[2J"), "{line:?}");
                let opened = line.matches("\u{1b}[").count();
                let plain = line.replace("\u{1b}[0m", "");
                assert!(
                    opened == 0 || line.ends_with("\u{1b}[0m") || line.rfind("\u{1b}[0m") > plain.rfind("\u{1b}["),
                    "{line:?}"
                );
            }
        }
    }

    #[test]
    fn a_run_that_was_not_there_before_has_no_rate() {
        let (mut old, new) = (document(500), document(30));
        old["flows"][1]["running"]["run"] = json!("r0");
        let before = Some((&old, Duration::from_secs(1)));
        let look = Look { document: &new, before, now: at("2026-01-01T02:59:00Z"), lost: None };
        assert_eq!(rate(&look, &new["flows"][1]), "");
    }
}
