//! What a preview or a dry run shows of each stage: requests as they are sent, answers, a record after everything that is
//! done to it, and the requests of imports, which are not sent. Every text has the secrets of the run's connections masked before it leaves.

use super::export::page::Page;
use super::import::{Batch, Item};
use super::run::shown::shown;
use super::scope::Scope;
use super::walk::Passed;
use crate::http::client::Client;
use crate::http::request::Prepared;
use crate::value::json::{Json, write_string};
use std::fmt::Write as _;
use std::io;

/// Most bytes of a record or answer that are shown.
const MOST: usize = 64 * 1024;

/// A request that asks for a page, of an export or on behalf of a record.
pub fn asked(scope: &Scope, by: &Client, (of, page): (&str, u64), request: &Prepared) {
    if scope.output.shows_stages() {
        let request = shown(request, by, scope);
        let mut line = begun(scope, "request", of);
        let _ = write!(line, ",\"page\":{page},\"request\":{request}}}");
        tell(scope, &line);
    }
}

/// What came back.
pub fn answered(scope: &Scope, client: &Client, of: &str, page: &Page) {
    if scope.output.shows_stages() {
        let body = page.body.as_ref().map(|body| client.clean(body.text()));
        let mut line = begun(scope, "answer", of);
        let (place, status, bytes, records) = (page.place, page.status, page.bytes, page.records.len());
        let _ = write!(line, ",\"page\":{place},\"status\":{status},\"bytes\":{bytes},\"records\":{records},\"body\":");
        line.push_str(&quoted(body.as_deref().unwrap_or_default()));
        line.push('}');
        tell(scope, &line);
    }
}

/// A record as it was exported.
pub fn exported(scope: &Scope, item: &Item) {
    if scope.output.shows_stages() {
        record(scope, item, "record", &Passed::As(item.record.json().clone()));
    }
}

/// A record after one thing that was done to it.
pub fn passed(scope: &Scope, item: &Item, name: &str, passed: &Passed) {
    if scope.output.shows_stages() {
        record(scope, item, name, passed);
    }
}

/// A request of an import with its records, as it would leave.
pub fn unsent(scope: &Scope, by: &Client, of: &str, batch: &Batch) -> io::Result<()> {
    let mut line = begun(scope, "import", of);
    let page = batch.items.first().map_or(0, |item| item.page);
    let numbers: Vec<String> = batch.items.iter().map(|item| item.position.to_string()).collect();
    let request = shown(&batch.request, by, scope);
    let _ = write!(line, ",\"page\":{page},\"numbers\":[{}],\"request\":{request}}}", numbers.join(","));
    scope.output.stage(&line)
}

/// A request that would tell the source of a record.
pub fn untold(scope: &Scope, by: &Client, of: &str, item: &Item, request: &Prepared) {
    let mut line = begun(scope, "import", of);
    let request = shown(request, by, scope);
    let _ = write!(line, ",\"page\":{},\"numbers\":[{}],\"request\":{request}}}", item.page, item.position);
    tell(scope, &line);
}

fn record(scope: &Scope, item: &Item, name: &str, passed: &Passed) {
    let mut line = begun(scope, if name == "record" { "record" } else { "step" }, name);
    let _ = write!(line, ",\"page\":{},\"number\":{}", item.page, item.position);
    match passed {
        Passed::As(json) => {
            line.push_str(",\"record\":");
            line.push_str(&masked(scope, json));
        }
        Passed::Left => line.push_str(",\"left\":true"),
        Passed::Failed(text) => {
            line.push_str(",\"error\":");
            line.push_str(&quoted(&redacted(scope, text)));
        }
    }
    line.push('}');
    tell(scope, &line);
}

fn begun(scope: &Scope, stage: &str, of: &str) -> String {
    let flow = scope.flow.id.as_str();
    format!("{{\"stage\":{},\"flow\":{},\"of\":{}", quoted(stage), quoted(flow), quoted(of))
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

fn redacted(scope: &Scope, text: &str) -> String {
    scope.lanes.values().fold(text.to_owned(), |text, lane| lane.client.redact(&text).into_owned())
}

/// A value as JSON; as text where it is too long, or no JSON any more without its secrets.
fn masked(scope: &Scope, json: &Json) -> String {
    let text = redacted(scope, json.text());
    if text.len() > MOST {
        let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        return quoted(&format!("{}…", &text[..end]));
    }
    match Json::check(&text) {
        Ok(()) => text,
        Err(_) => quoted(&text),
    }
}

/// A reader that went away ends the run where records are written; here nothing is lost by it.
fn tell(scope: &Scope, line: &str) {
    let _ = scope.output.stage(line);
}
