//! What fuzzing calls: one thin function for each thing that reads text written by others. It may refuse anything; it
//! may not panic, hang or grow. Behind feature `torture`, never in a release.

mod state;

use crate::config::files::{Source, Tree};
use crate::config::{self, Env, render};
use crate::model::schedule::{Overlap, Schedule};
use crate::runtime::export::paging::links;
use crate::value::context::{Context, Root, Slot};
use crate::value::expression::Expression;
use crate::value::json::Json;
use crate::value::path::Path;
use crate::value::record::Record;
use crate::value::template::{Place, Template};
use crate::value::uri::UriTemplate;
use crate::value::xml::record::{ArrayPaths, record};
use crate::value::xml::write::{Style, write};
use crate::value::xml::xpath::{Found, XPath};
use crate::value::xml::{DOCUMENT, Xml};
use chrono::DateTime;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A function that takes what others wrote.
pub type Target = fn(&[u8]);

/// Every target by name; the name is also that of its corpus, `fuzz/corpus/<name>`.
pub const TARGETS: &[(&str, Target)] = &[
    ("config", config),
    ("cron", cron),
    ("expression", expression),
    ("link", link),
    ("media", media),
    ("path", path),
    ("retry_after", retry_after),
    ("state", state::state),
    ("stored", state::stored),
    ("template", template),
    ("transfer", state::transfer),
    ("xml", xml),
];

/// Begins a line that names the next file of a project.
const FILE: &str = "### ";

/// A record that templates, paths and expressions look at.
const RECORD: &str = r#"{"id":7,"name":"A \"quoted\" Müller\n","price":12.50,"big":123456789012345678901234567890,
"tags":["a","b",["c",{"d":null}]],"lines":[{"sku":"x","qty":2},{"sku":"y","qty":3}],"empty":{},"none":null,"yes":true}"#;

struct NoEnv;

impl Env for NoEnv {
    fn var(&self, name: &str) -> Option<String> {
        (name == "SET").then(|| "value".to_owned())
    }
}

/// A whole project: files after lines `### <path>`, a flow without any. Every finding must be printable.
fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut files = BTreeMap::new();
    for (number, part) in text.split(FILE).enumerate() {
        let (name, content) = match part.split_once('\n') {
            Some((name, content)) if number > 0 => (name.trim(), content),
            _ => ("flows/orders.toml", part),
        };
        // Other names never get past the scan.
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/_-.".contains(c);
        let name = name.replace(|c| !plain(c), "_");
        let source = Source { text: content.into(), hash: String::new() };
        files.insert(PathBuf::from(name), Ok(source));
    }
    // A folder that is not there: files named by what is fuzzed are never found.
    let tree = Tree { root: PathBuf::from("/nonexistent/project"), files, hash: String::new() };
    let loaded = config::load(&tree, &NoEnv);
    let errors = loaded.diagnostics.iter().any(|d| d.severity == config::diagnostic::Severity::Error);
    assert_eq!(loaded.snapshot.is_none(), errors, "a snapshot if and only if there is no error");
    for shown in [render::text(&loaded.diagnostics, false), render::github(&loaded.diagnostics)] {
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "a terminal would obey it");
    }
    assert!(Json::parse(render::json(&loaded.diagnostics)).is_ok(), "findings as JSON are JSON");
}

/// All places, so that every escape and every check at load is met.
fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(record) = Json::parse(RECORD).map(Record::new) else { return };
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    for place in [Place::Uri, Place::Header, Place::Json, Place::Form, Place::Xml, Place::Plain] {
        if let Ok(template) = Template::compile(text, place) {
            let mut out = String::new();
            if template.render(&ctx, &mut out).is_ok() && place == Place::Header {
                assert!(!out.contains(['\r', '\n', '\0']), "a header of two lines");
            }
        }
    }
    let (Ok(base), Ok(uri)) = (url::Url::parse("https://api.example/v1"), UriTemplate::compile(text)) else { return };
    if let Ok(url) = uri.render(&ctx, &base, &[]) {
        assert_eq!(url.origin(), base.origin(), "data changed the origin");
    }
}

/// The path on the first line, the document after it.
fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (path, document) = text.split_once('\n').unwrap_or((text, RECORD));
    let Ok(path) = Path::compile(path) else { return };
    for document in [document, RECORD] {
        let Ok(json) = Json::parse(document) else { continue };
        if let Ok(selection) = path.select(json.as_ref()) {
            let mut out = Vec::new();
            selection.write(&mut out);
            assert!(Json::parse(out).is_ok(), "a selection of JSON is JSON");
        }
    }
}

/// An XPath on the first line, the document after it; what is read can be written and reads the same.
fn xml(data: &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let (path, document) = data.split_at(end);
    let namespaces = [("p".to_owned(), "urn:p".to_owned())];
    let path = std::str::from_utf8(path).ok().and_then(|path| XPath::compile(path, &namespaces).ok());
    let Ok(xml) = Xml::parse(document.get(1..).unwrap_or_default(), None) else { return };
    let mut nodes = vec![DOCUMENT];
    if let Some(Ok(Found::Nodes(found))) = path.map(|path| path.select(&xml)) {
        assert!(found.is_sorted(), "document order");
        nodes.extend(found.into_iter().take(8));
    }
    for node in nodes {
        let Ok(json) = record(&xml, node, &ArrayPaths::default()) else { continue };
        assert!(Json::parse(json.text()).is_ok(), "a record is JSON");
        let style = Style { namespaces: &namespaces, root: Some("r") };
        let Ok(text) = write(json.as_ref(), &style) else { continue };
        assert!(Xml::check(&text).is_ok(), "what is written is well-formed");
    }
}

fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(record) = Json::parse(RECORD).map(Record::new) else { return };
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    if let Ok(expression) = Expression::compile(text) {
        let _ = expression.eval(&ctx);
        let _ = expression.test(&ctx);
    }
}

fn retry_after(data: &[u8]) {
    crate::http::fuzz_retry_after(data);
}

fn media(data: &[u8]) {
    crate::http::fuzz_media(data);
}

fn link(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = links(text.lines());
}

/// A line, its zone on the second one, an instant on the third: what comes next is later.
fn cron(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let zone = lines.next().and_then(|zone| zone.parse().ok()).unwrap_or(chrono_tz::Tz::Europe__Berlin);
    let seconds = lines.next().and_then(|at| at.parse::<i64>().ok()).unwrap_or(1_790_000_000);
    let Some(mut at) = DateTime::from_timestamp(seconds, 0) else { return };
    let Ok(schedule) = Schedule::parse(line, zone, Overlap::Skip, at) else { return };
    for _ in 0..8 {
        let Some(next) = schedule.next_after(at) else { return };
        assert!(next > at, "{next} is not after {at}");
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The corpora are what a change is tried on first, also where nothing is fuzzed.
    #[test]
    fn every_target_stands_its_own_corpus() {
        for (name, target) in TARGETS {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(files.len() >= 5, "{name} has {} seeds", files.len());
            for file in &files {
                target(&std::fs::read(file).unwrap());
            }
        }
    }
}
