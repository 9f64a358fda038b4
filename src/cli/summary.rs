//! How runs went: a table, then the error records worth reading.

use super::args::Format;
use super::Globals;
use crate::runtime::run::report::{RecordError, Report};
use crate::runtime::supervisor::Options;
use crate::value::time::show_duration;
use serde_json::{Value, json};

/// Error records printed in full; all are counted.
const SHOWN: usize = 10;

/// Prints the end of a command's runs to stderr (stdout is for data), or one JSON document to stdout.
pub fn print(globals: &Globals, reports: &[Report], options: Options) {
    if globals.format == Format::Json {
        let runs: Vec<Value> = reports.iter().map(document).collect();
        return globals.say(&json!({ "format": 1, "dry_run": options.dry_run, "runs": runs }).to_string());
    }
    let delivered = if options.dry_run { "rendered" } else { "delivered" };
    let head = ["flow", "outcome", "exported", delivered, "filtered", "failed", "in flight", "pages", "requests", "took"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(reports.iter().map(row));
    globals.note(&super::summary::table(&rows));
    for report in reports {
        if let Some(error) = report.ending.error() {
            globals.complain(&format!("{}: {error}", report.flow));
        }
        errors(globals, report);
    }
}

/// Columns as wide as their widest cell; numbers to the right.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let pad = " ".repeat(width - cell.chars().count());
            let number = cell.starts_with(|c: char| c.is_ascii_digit());
            line.push_str(&if number { format!("{pad}{cell}") } else { format!("{cell}{pad}") });
            line.push_str("  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.pop();
    out
}

fn row(report: &Report) -> [String; 10] {
    let counts = report.counts;
    [
        report.flow.to_string(),
        report.ending.name().to_owned(),
        counts.exported.to_string(),
        counts.delivered.to_string(),
        counts.filtered.to_string(),
        counts.failed.to_string(),
        counts.in_flight.to_string(),
        report.pages.to_string(),
        report.requests.to_string(),
        show_duration(std::time::Duration::from_millis(u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX))),
    ]
}

fn errors(globals: &Globals, report: &Report) {
    for error in report.errors.iter().take(SHOWN) {
        globals.note(&line(report, error));
    }
    let more = report.counts.failed.saturating_sub(report.errors.len().min(SHOWN) as u64);
    if more > 0 {
        globals.note(&format!("  … and {more} more error records of flow {}", report.flow));
    }
}

fn line(report: &Report, error: &RecordError) -> String {
    let RecordError { step, page, record, class, text, attempts, request, excerpt, .. } = error;
    let mut out = format!("  {} page {page} record {record}: {step}: {class}: {text}", report.flow);
    if !request.is_empty() {
        out.push_str(&format!("\n      request: {request} ({attempts} attempts)"));
    }
    out.push_str(&format!("\n      record:  {excerpt}"));
    out
}

fn document(report: &Report) -> Value {
    let counts = report.counts;
    let errors: Vec<Value> = report
        .errors
        .iter()
        .map(|error| {
            json!({
                "step": error.step, "page": error.page, "record": error.record, "class": error.class,
                "message": error.text, "status": error.status, "attempts": error.attempts,
                "request": error.request, "excerpt": error.excerpt,
            })
        })
        .collect();
    json!({
        "flow": report.flow.as_str(), "run": report.run, "outcome": report.ending.outcome().label(),
        "error": report.ending.error().map(ToString::to_string),
        "exported": counts.exported, "delivered": counts.delivered, "filtered": counts.filtered,
        "failed": counts.failed, "in_flight": counts.in_flight, "pages": report.pages,
        "requests": report.requests, "seconds": report.took.as_secs_f64(), "errors": errors,
    })
}
