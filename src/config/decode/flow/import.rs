//! `[import]`: where records go.

use super::Connections;
use crate::config::decode::file::Finding;
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::{Reported, Table};
use crate::config::decode::value::Value;
use crate::http::media::MediaType;
use crate::http::request::{BodySpec, Method, RequestSpec};
use crate::model::import::{Check, Import, UnknownOutcome};
use crate::value::context::Root;
use crate::value::document::BodyPath;
use crate::value::id::ConnectionId;
use crate::value::template::{Place, Template};
use std::num::NonZeroU32;

const NOT_YET: &[&str] =
    &["upsert", "lock_key", "merge", "on_error", "drop_empty", "on_reject", "name", "when", "many"];
/// Largest batch: more in one request helps nobody.
const MOST: u64 = 100_000;
/// What a key may read to come out the same after a restart.
pub(super) const LASTING: &[&str] = &["record", "connection", "flow", "run", "export"];

/// `unknown_outcome`
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Retry,
    Park,
    Check,
}

const WORDS: &[(&str, Word)] = &[("retry", Word::Retry), ("park", Word::Park), ("check", Word::Check)];

pub(super) fn decode(value: &Value<'_>, facts: &Facts, connections: &Connections) -> Option<Import> {
    let table = value.table()?;
    let (connection, names) = match table.need("connection") {
        Some(value) => value.connection(connections),
        None => (None, None),
    };
    let scope = Scope::of_flow(facts, names);
    let batch_size = table.given("batch_size", |value| value.number(1..=MOST, &scope));
    let batched = matches!(batch_size, Ok(Some(size)) if size > 1);
    let single = scope.with(&[Root::Record]);
    let head = if batched { scope.with(&[Root::Records]) } else { single.clone() };
    let request = table.request(Method::Post, &RequestScopes { head: &head, body: &single });
    let wrap = table.given("wrap", |value| value.string().map(str::to_owned));
    let key = table.given("idempotency_key", |value| value.text(Place::Header, &single));
    let header = table.take("idempotency_header");
    if let Some(value) = header.as_ref().filter(|_| matches!(key, Ok(None))) {
        let finding = Finding::error("missing-key", "`idempotency_header` without `idempotency_key` sends nothing");
        value.report_key(
            finding.help("add `idempotency_key`, a text that is the same whenever the record is sent again"),
        );
    }
    let header = header.map(|value| value.header_name().ok_or(Reported)).transpose();
    let unknown = unknown(&table, facts, connections);
    if let Some(request) = &request {
        batches(&table, request, batched, &scope);
    }
    table.not_yet(NOT_YET);
    table.finish();
    let batch_size = batch_size.ok()?.and_then(|size| u32::try_from(size).ok()).and_then(NonZeroU32::new);
    let (connection, request, key) = (connection?, request?, key.ok()?);
    let lasting = |key: &Template| key.references().iter().all(|read| LASTING.contains(&read.root.as_str()));
    let unknown = match unknown.ok()? {
        (Some(Word::Retry), _) => UnknownOutcome::Retry,
        (Some(Word::Park), _) => UnknownOutcome::Park,
        (_, Some(check)) => UnknownOutcome::Check(Box::new(check.on(&connection))),
        (None | Some(Word::Check), None) if key.is_some() || request.method.is_idempotent() => UnknownOutcome::Retry,
        (None | Some(Word::Check), None) => UnknownOutcome::Park,
    };
    Some(Import {
        name: "import".to_owned(),
        connection,
        request,
        batch_size: batch_size.unwrap_or(NonZeroU32::MIN),
        wrap: wrap.ok()?,
        key_is_lasting: key.as_ref().is_some_and(lasting),
        idempotency_key: key,
        unknown,
        idempotency_header: header.ok()?.unwrap_or_else(|| "Idempotency-Key".to_owned()),
    })
}

/// Says what a media type cannot do with several records, or with a name around them.
fn batches(table: &Table<'_>, request: &RequestSpec, batched: bool, scope: &Scope<'_>) {
    let media = request.types.over(scope.media_types()).of_request();
    let text = matches!(request.body, Some(BodySpec::Text(_))) && !media.text_is_json();
    let report = |key: &str, message: String, help: &str| {
        if let Some(value) = table.peek(key) {
            value.report_key(Finding::error("conflicting-keys", message).help(help.to_owned()));
        }
    };
    if batched && text {
        let message = format!("a body written as text holds one record, and {} cannot join them", media.name());
        report("batch_size", message, "write `body` as a table, or set `batch_size = 1`");
    } else if batched && matches!(media, MediaType::Form | MediaType::Multipart) && !table.has("wrap") {
        let message = format!("{} has no place for a list without a name", media.name());
        report("batch_size", message, "add `wrap = \"records\"`, or set `batch_size = 1`");
    }
    let named = table.has("wrap") && scope.xml().root.is_some();
    if batched && media == MediaType::Xml && !text && !named && scope.is_complete() {
        let message = "XML has no list without names: one for each record, and one for the root around them";
        report(
            "batch_size",
            message.to_owned(),
            "set `wrap = \"order\"` here and `root = \"orders\"` under the connection's `[xml]`",
        );
    }
    if table.has("wrap") && (text || matches!(media, MediaType::Csv | MediaType::Text)) {
        let message = format!("{} has no key to put records under", media.name());
        report("wrap", message, "remove `wrap`");
    }
}

/// `[import.check]` as written: without a connection of its own it asks the import's.
struct Written {
    connection: Option<ConnectionId>,
    request: RequestSpec,
    records: Option<BodyPath>,
}

impl Written {
    fn on(self, import: &ConnectionId) -> Check {
        let connection = self.connection.unwrap_or_else(|| import.clone());
        Check { connection, request: self.request, records: self.records }
    }
}

/// `unknown_outcome`, and the table that one of its words needs.
fn unknown(
    table: &Table<'_>,
    facts: &Facts,
    connections: &Connections,
) -> Result<(Option<Word>, Option<Written>), Reported> {
    let given = table.take("unknown_outcome");
    let word = given.as_ref().map(|value| value.word(WORDS, &[]).ok_or(Reported)).transpose()?;
    let check = table.given("check", |value| check(value, table, facts, connections));
    let absent = !table.has("check");
    match (&given, word) {
        (Some(value), Some(Word::Check)) if absent => {
            let finding = Finding::error("missing-key", "`unknown_outcome = \"check\"` needs a request that asks");
            value.report(finding.help("add `[import.check]` with a `relative_uri` that finds the record"));
            Err(Reported)
        }
        (other, None | Some(Word::Retry | Word::Park)) if !absent => {
            let finding =
                Finding::error("unused-key", "`[import.check]` is asked only with `unknown_outcome = \"check\"`");
            let finding = finding.help("add `unknown_outcome = \"check\"` under `[import]`, or remove the table");
            if let Some(value) = other.clone().or_else(|| table.peek("check")) {
                value.report_key(finding);
            }
            Err(Reported)
        }
        _ => Ok((word, check?)),
    }
}

fn check(value: &Value<'_>, import: &Table<'_>, facts: &Facts, connections: &Connections) -> Option<Written> {
    let table = value.table()?;
    let given = table.given("connection", |value| {
        let (id, names) = value.connection(connections);
        id.map(|id| (id, names))
    });
    let of_import = import
        .peek("connection")
        .and_then(|value| ConnectionId::parse(value.raw_str()?).ok())
        .and_then(|id| connections.get(&id));
    let names = given.as_ref().ok().and_then(Option::as_ref).map_or(of_import, |(_, names)| *names);
    let scope = Scope::of_flow(facts, names).with(&[Root::Record]);
    let request = table.request(Method::Get, &RequestScopes { head: &scope, body: &scope });
    let types = request.as_ref().map(|request| request.types).unwrap_or_default();
    let answers = scope.reading(types);
    let records = table.given("records", |value| value.body_path(&answers));
    table.finish();
    Some(Written { connection: given.ok()?.map(|(id, _)| id), request: request?, records: records.ok()? })
}
