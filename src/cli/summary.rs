//! What a run of flows came to: a table on stderr for people, one JSON document on stdout for programs.

use super::Globals;
use super::style::Tone;
use super::table::{Align, Cell, Table};
use crate::observe::logs::visible;
use crate::observe::meters::RunOutcome;
use serde_json::{Value, json};
use std::time::Duration;

/// Most error records shown of a flow.
const MOST_ERRORS: usize = 10;

/// One run.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which flow.
    pub flow: String,
    /// Which run; empty when none was started.
    pub run: String,
    /// How it ended.
    pub outcome: RunOutcome,
    /// What ended it early.
    pub cause: Option<String>,
    /// Records that left the export.
    pub exported: u64,
    /// Taken by an import.
    pub delivered: u64,
    /// Left by a rule.
    pub filtered: u64,
    /// With an error record.
    pub failed: u64,
    /// Neither, when the run was stopped.
    pub in_flight: u64,
    /// Pages read.
    pub pages: u64,
    /// Import requests.
    pub requests: u64,
    /// Duration.
    pub took: Duration,
    /// The first error records, each a line.
    pub errors: Vec<String>,
}

/// Prints it.
pub fn print(globals: &Globals, rows: &[Row], dry_run: bool) {
    if globals.json() {
        globals.say(&document(rows, dry_run).to_string());
    } else {
        globals.note(text(rows, dry_run, globals.style.stderr).trim_end());
    }
}

fn text(rows: &[Row], dry_run: bool, colour: bool) -> String {
    let mut table = Table::new(&[
        ("flow", Align::Left),
        ("outcome", Align::Left),
        ("exported", Align::Right),
        ("delivered", Align::Right),
        ("filtered", Align::Right),
        ("failed", Align::Right),
        ("requests", Align::Right),
        ("time", Align::Right),
    ]);
    for row in rows {
        let figures = [row.exported, row.delivered, row.filtered, row.failed, row.requests];
        let mut cells = vec![Cell::from(&row.flow), outcome(row.outcome)];
        cells.extend(figures.map(|figure| Cell::from(figure.to_string())));
        cells.push(time(row.took).into());
        table.row(cells);
    }
    let mut out = table.render(colour);
    if dry_run {
        out.push_str("dry run: requests of imports were shown, none was sent\n");
    }
    for row in rows {
        details(row, &mut out);
    }
    out
}

fn details(row: &Row, out: &mut String) {
    let flow = &row.flow;
    if let Some(cause) = &row.cause {
        out.push_str(&format!("{flow}: {}\n", visible(cause)));
    }
    if row.in_flight > 0 {
        out.push_str(&format!("{flow}: {} records were read and neither delivered nor refused\n", row.in_flight));
    }
    for error in row.errors.iter().take(MOST_ERRORS) {
        out.push_str(&format!("{flow}: {}\n", visible(error)));
    }
    let shown = row.errors.len().min(MOST_ERRORS) as u64;
    if row.failed > shown && shown > 0 {
        out.push_str(&format!("{flow}: and {} more failed records\n", row.failed - shown));
    }
}

fn outcome(outcome: RunOutcome) -> Cell {
    let tone = match outcome {
        RunOutcome::Succeeded => Tone::Good,
        RunOutcome::Errors | RunOutcome::Cancelled => Tone::Warn,
        RunOutcome::Failed => Tone::Bad,
    };
    Cell::toned(outcome.label(), tone)
}

/// `0.42s`, `12.3s`, `3m 04s`, `2h 05m`.
pub fn time(took: Duration) -> String {
    match took.as_secs() {
        0..=9 => format!("{:.2}s", took.as_secs_f64()),
        10..=59 => format!("{:.1}s", took.as_secs_f64()),
        60..=3599 => format!("{}m {:02}s", took.as_secs() / 60, took.as_secs() % 60),
        _ => format!("{}h {:02}m", took.as_secs() / 3600, took.as_secs() / 60 % 60),
    }
}

fn document(rows: &[Row], dry_run: bool) -> Value {
    let runs: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "flow": row.flow,
                "run": row.run,
                "outcome": row.outcome.label(),
                "cause": row.cause,
                "records": {
                    "exported": row.exported,
                    "delivered": row.delivered,
                    "filtered": row.filtered,
                    "failed": row.failed,
                    "in_flight": row.in_flight,
                },
                "pages": row.pages,
                "requests": row.requests,
                "seconds": (row.took.as_secs_f64() * 1000.0).round() / 1000.0,
                "errors": row.errors,
            })
        })
        .collect();
    json!({ "format": 1, "dry_run": dry_run, "runs": runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            flow: "orders".to_owned(),
            run: "r1".to_owned(),
            outcome: RunOutcome::Errors,
            cause: None,
            exported: 100,
            delivered: 80,
            filtered: 5,
            failed: 15,
            in_flight: 0,
            pages: 2,
            requests: 95,
            took: Duration::from_millis(1234),
            errors: (1..=12).map(|n| format!("page 1 record {n}: refused\n\u{1b}[31m")).collect(),
        }
    }

    #[test]
    fn a_line_per_flow_then_what_went_wrong() {
        let mut failed = row();
        failed.outcome = RunOutcome::Failed;
        failed.cause = Some("export page 3: 500".to_owned());
        failed.in_flight = 2;
        failed.errors.clear();
        let shown = text(&[row(), failed], false, false);
        assert!(
            shown.starts_with(
                "flow    outcome  exported  delivered  filtered  failed  requests   time\n\
             orders  errors        100         80         5      15        95  1.23s\n"
            ),
            "{shown}"
        );
        assert!(
            shown.contains("orders: page 1 record 10: refused\\n\\u{1b}[31m\n") && !shown.contains("record 11"),
            "{shown}"
        );
        assert!(shown.contains("orders: and 5 more failed records\n"), "{shown}");
        assert!(shown.contains("orders: export page 3: 500\norders: 2 records were read"), "{shown}");
    }

    #[test]
    fn the_document_has_a_version_and_all_figures() {
        let document = document(&[row()], true);
        assert_eq!((&document["format"], &document["dry_run"]), (&json!(1), &json!(true)));
        assert_eq!(document["runs"][0]["records"]["failed"], 15);
        assert_eq!(document["runs"][0]["seconds"], 1.234);
    }

    #[test]
    fn times_are_short() {
        let shown = [0.004, 9.5, 12.34, 75.0, 7500.0].map(|seconds| time(Duration::from_secs_f64(seconds)));
        assert_eq!(shown, ["0.00s", "9.50s", "12.3s", "1m 15s", "2h 05m"]);
    }
}
