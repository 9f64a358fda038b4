//! What a run of flows came to: a table on stderr for people, one JSON document on stdout for programs.

use super::Globals;
use super::style::Tone;
use super::table::{Align, Cell, Table};
use crate::app::run::{Ending, Options, RecordError, Report};
use crate::app::status;
use crate::observe::logs::visible;
use crate::value::id::FlowId;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Most error records shown of a flow.
const MOST_ERRORS: usize = 10;

/// Prints it. `beside` says that standard output is taken by records: then the document goes to standard error.
pub fn print(globals: &Globals, reports: &[Report], options: &Options, beside: bool) {
    if globals.json() {
        let document = document(reports, options.dry_run).to_string();
        if beside {
            globals.note(&document);
            globals.answered();
        } else {
            globals.say(&document);
        }
    } else {
        globals.note(text(reports, options.dry_run, globals.style.stderr).trim_end());
    }
}

fn text(reports: &[Report], dry_run: bool, colour: bool) -> String {
    let delivered = if dry_run { "rendered" } else { "delivered" };
    let mut columns = vec![("flow", Align::Left), ("outcome", Align::Left)];
    columns.extend(
        ["exported", delivered, "filtered", "failed", "pages", "requests", "time"].map(|name| (name, Align::Right)),
    );
    let mut table = Table::new(&columns);
    for report in reports {
        let counts = report.counts;
        let figures =
            [counts.exported, counts.delivered, counts.filtered, counts.failed, report.pages, report.requests];
        let mut cells = vec![Cell::from(report.flow.as_str()), outcome(&report.ending)];
        cells.extend(figures.map(|figure| Cell::from(figure.to_string())));
        cells.push(time(report.took).into());
        table.row(cells);
    }
    let mut out = table.render(colour);
    if dry_run {
        out.push_str("dry run: what each stage did was shown, requests of imports included; none of those was sent\n");
    }
    for report in reports {
        details(report, &mut out);
    }
    out
}

fn details(report: &Report, out: &mut String) {
    let flow = &report.flow;
    if let Some(cause) = report.ending.error() {
        let _ = writeln!(out, "{flow}: {}", visible(&cause.to_string()));
    }
    if report.counts.in_flight > 0 {
        let count = report.counts.in_flight;
        let _ = writeln!(out, "{flow}: read and neither delivered nor refused: {count}");
    }
    for error in report.errors.iter().take(MOST_ERRORS) {
        record(flow, error, out);
    }
    for (step, count) in &report.passed {
        let _ = writeln!(
            out,
            "{flow}: step {} failed and was passed by (`on_error = \"proceed\"`): {count}",
            visible(step)
        );
    }
    let shown = report.errors.len().min(MOST_ERRORS) as u64;
    if report.counts.failed > shown && shown > 0 {
        let _ = writeln!(out, "{flow}: and {} more failed records", report.counts.failed - shown);
    }
}

fn record(flow: &FlowId, error: &RecordError, out: &mut String) {
    let RecordError { id, step, page, record, class, text, attempts, request, excerpt, .. } = error;
    let _ = writeln!(out, "{flow}: page {page} record {record}: {}: {class}: {}", visible(step), visible(text));
    if !request.is_empty() {
        let _ = writeln!(out, "    request: {} (attempts: {attempts})", visible(request));
    }
    let _ = writeln!(out, "    record:  {}", visible(excerpt));
    if let Some(id) = id {
        let _ = writeln!(out, "    more:    flowgate errors show {id}");
    }
}

fn outcome(ending: &Ending) -> Cell {
    let tone = match ending {
        Ending::Succeeded => Tone::Good,
        Ending::WithErrors | Ending::Cancelled => Tone::Warn,
        Ending::ExportFailed(_) | Ending::Offline(_) | Ending::Stopped(_) | Ending::Fault(_) => Tone::Bad,
    };
    Cell::toned(ending.name(), tone)
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

fn document(reports: &[Report], dry_run: bool) -> Value {
    json!({ "format": 1, "dry_run": dry_run, "runs": reports.iter().map(of_run).collect::<Vec<_>>() })
}

fn of_run(report: &Report) -> Value {
    json!({
        "flow": report.flow.as_str(),
        "run": report.run,
        "outcome": report.ending.outcome().label(),
        "error": report.ending.error().map(ToString::to_string),
        "records": status::counts(&report.counts),
        "pages": report.pages,
        "requests": report.requests,
        "seconds": (report.took.as_secs_f64() * 1000.0).round() / 1000.0,
        "errors": report.errors.iter().map(of_record).collect::<Vec<_>>(),
        "steps": status::steps(&report.steps),
        "passed": report.passed.iter().map(|(step, count)| (step.clone(), (*count).into())).collect::<Map<_, _>>(),
    })
}

fn of_record(error: &RecordError) -> Value {
    json!({
        "step": error.step,
        "page": error.page,
        "record": error.record,
        "class": error.class,
        "text": error.text,
        "status": error.status,
        "attempts": error.attempts,
        "request": error.request,
        "excerpt": error.excerpt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::run::{Counts, RunError};
    use crate::store::StepTally;

    fn report(ending: Ending, in_flight: u64, errors: u64) -> Report {
        let error = |record| RecordError {
            id: None,
            step: "import".to_owned(),
            page: 1,
            record,
            class: "rejected".to_owned(),
            text: "refused\n\u{1b}[31m".to_owned(),
            status: Some(422),
            attempts: 1,
            request: "POST /orders".to_owned(),
            excerpt: "{}".to_owned(),
        };
        Report {
            flow: FlowId::parse("orders").unwrap(),
            run: "r1".to_owned(),
            ending,
            counts: Counts { exported: 100, delivered: 80, filtered: 5, failed: 15, in_flight },
            pages: 2,
            requests: 95,
            took: Duration::from_millis(1234),
            errors: (1..=errors).map(error).collect(),
            passed: vec![("ask".to_owned(), 3)],
            steps: vec![
                StepTally { name: "export".to_owned(), filtered: 2, ..StepTally::default() },
                StepTally { name: "import".to_owned(), delivered: 5, failed: 1, ..StepTally::default() },
            ],
        }
    }

    #[test]
    fn a_line_per_flow_then_what_went_wrong() {
        let cause = RunError { place: "export page 3".to_owned(), text: "500".to_owned() };
        let reports = [report(Ending::WithErrors, 0, 12), report(Ending::ExportFailed(cause), 2, 0)];
        let shown = text(&reports, false, false);
        assert!(
            shown.starts_with(
                "flow    outcome      exported  delivered  filtered  failed  pages  requests   time\n\
                 orders  with errors       100         80         5      15      2        95  1.23s\n"
            ),
            "{shown}"
        );
        assert!(shown.contains("orders: page 1 record 10: import: rejected: refused\\n\\u{1b}[31m\n"), "{shown}");
        assert!(!shown.contains("record 11"), "{shown}");
        assert!(shown.contains("orders: and 5 more failed records\n"), "{shown}");
        assert!(shown.contains("orders: step ask failed and was passed by (`on_error = \"proceed\"`): 3\n"), "{shown}");
        assert!(shown.contains("orders: export page 3: 500\norders: read and neither"), "{shown}");
    }

    #[test]
    fn the_document_has_a_version_and_all_figures() {
        let document = document(&[report(Ending::WithErrors, 0, 1)], true);
        assert_eq!((&document["format"], &document["dry_run"]), (&json!(1), &json!(true)));
        assert_eq!(document["runs"][0]["outcome"], "errors");
        assert_eq!(document["runs"][0]["records"]["failed"], 15);
        let records = json!({
            "exported": 100, "delivered": 80, "filtered": 5, "failed": 15, "open_errors": 15, "dismissed": 0, "in_flight": 0,
        });
        assert_eq!(document["runs"][0]["records"], records);
        assert_eq!(document["runs"][0]["errors"][0]["status"], 422);
        assert_eq!(document["runs"][0]["passed"], json!({ "ask": 3 }));
        let steps = json!([
            { "step": "export", "in": 8, "out": 6, "delivered": 0, "filtered": 2, "failed": 0 },
            { "step": "import", "in": 6, "out": 0, "delivered": 5, "filtered": 0, "failed": 1 },
        ]);
        assert_eq!(document["runs"][0]["steps"], steps);
        assert_eq!(document["runs"][0]["seconds"], 1.234);
    }

    #[test]
    fn a_record_is_shown_as_it_is() {
        let mut report = report(Ending::WithErrors, 0, 1);
        report.errors[0].text = "line1\\nline2".to_owned();
        report.errors[0].excerpt = r#"{"id": "a\"b\\c\n"}"#.to_owned();
        let shown = text(&[report], false, false);
        assert!(shown.contains("rejected: line1\\nline2\n"), "{shown}");
        assert!(shown.contains("record:  {\"id\": \"a\\\"b\\\\c\\n\"}\n"), "{shown}");
    }

    #[test]
    fn times_are_short() {
        let shown = [0.004, 9.5, 12.34, 75.0, 7500.0].map(|seconds| time(Duration::from_secs_f64(seconds)));
        assert_eq!(shown, ["0.00s", "9.50s", "12.3s", "1m 15s", "2h 05m"]);
    }
}
