//! `[import]`: where records go.

mod answers;
mod unknown;
mod upsert;

use super::Connections;
use crate::config::decode::file::Finding;
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::{Reported, Table};
use crate::config::decode::value::Value;
use crate::http::media::MediaType;
use crate::http::on::Act;
use crate::http::request::{BodySpec, Method, RequestSpec};
use crate::model::import::{Answers, Import, Upsert};
use crate::model::step::{Action, OnError, Step};
use crate::value::context::Root;
use crate::value::path::Path;
use crate::value::template::{Place, Template};
use crate::value::tree::Tree;
use std::num::NonZeroU32;

/// Largest batch: more in one request helps nobody.
const MOST: u64 = 100_000;
/// What a key may read to come out the same after a restart.
pub(super) const LASTING: &[&str] = &["record", "connection", "flow", "run", "export"];
const ON_ERROR: &[(&str, OnError)] = &[("stop", OnError::Stop), ("proceed", OnError::Proceed)];
const ON_REJECT: &[(&str, bool)] = &[("bisect", true)];

/// What the texts of a write see.
struct Way<'s, 'a> {
    /// One record.
    single: &'s Scope<'a>,
    /// One record, or a batch.
    head: &'s Scope<'a>,
    batched: bool,
}

/// A request, and what is read in the answers to it.
struct Written {
    request: RequestSpec,
    answers: Option<Answers>,
}

/// `[import]`; with `many` it is the last step, for each part of a record.
pub(super) enum Last {
    /// For the record.
    Whole(Box<Import>),
    /// For each part of it.
    Each(Box<Step>),
}

/// `[import]`
pub(super) fn last(
    value: &Value<'_>,
    facts: &Facts,
    connections: &Connections,
    outer: &Scope<'_>,
    steps: Option<&[Step]>,
) -> Option<Last> {
    let table = value.table()?;
    let each = table.has("many");
    let outer = if each { outer.with(&[Root::Parent, Root::Index]) } else { outer.clone() };
    let (import, many) = decode(value, facts, connections, &outer)?;
    if steps.is_some_and(|steps| steps.iter().any(|step| step.name == import.name)) {
        let finding = Finding::error("duplicate-name", format!("a step is named `{}` already", import.name));
        match table.peek("name") {
            Some(name) => name.report(finding),
            None if each => value.report_key(finding.help("give the import a `name` of its own")),
            None => {}
        }
    }
    let Some(many) = many else { return Some(Last::Whole(Box::new(import))) };
    let (name, on_error) = (import.name.clone(), import.on_error);
    let when = import.when.clone();
    let action = Action::Import(Box::new(Import { when: None, ..import }));
    Some(Last::Each(Box::new(Step { name, when, on_error, many: Some(many), action })))
}

/// An import, and what of a record it works on. `outer` is what its texts see of the flow's records.
pub(super) fn decode(
    value: &Value<'_>,
    facts: &Facts,
    connections: &Connections,
    outer: &Scope<'_>,
) -> Option<(Import, Option<Path>)> {
    let table = value.table()?;
    let (connection, names) = match table.need("connection") {
        Some(value) => value.connection(connections),
        None => (None, None),
    };
    let scope = Scope::of_flow(facts, names);
    let batch_size = table.given("batch_size", |value| value.number(1..=MOST, &scope));
    let batched = matches!(batch_size, Ok(Some(size)) if size > 1);
    let single = scope.with(&[Root::Record]).seeing(outer);
    let head = if batched { scope.with(&[Root::Records]) } else { single.clone() };
    let way = Way { single: &single, head: &head, batched };
    let create = answered(&table, Method::Post, &RequestScopes { head: &head, body: &single });
    let upsert = table.take("upsert");
    let wrap = table.given("wrap", |value| value.string().map(str::to_owned));
    let (key, header) = idempotency(&table, &single);
    let lock_key = table.given("lock_key", |value| value.text(Place::Plain, &single));
    let when = table.given("when", |value| value.condition(&single));
    let name = table.given("name", name);
    let many = table.given("many", Value::path);
    let merge = table.given("merge", |value| merge(value, &single));
    let drop_empty = table.given("drop_empty", Value::boolean);
    let on_error = table.given("on_error", |value| value.word(ON_ERROR, &[]));
    let bisects = table.given("on_reject", |value| value.word(ON_REJECT, &[]));
    let unknown = unknown::decode(&table, facts, connections);
    if let Some(create) = &create {
        batches(&table, &create.request, batched, &scope);
        unused(&table, &create.request, batched, &scope);
    }
    let upsert = match (&upsert, &create) {
        (Some(value), Some(create)) => upsert::decode(value, &create.request, &way).map(Some),
        (given, _) => given.is_none().then_some(None),
    };
    table.finish();
    let batch_size = batch_size.ok()?.and_then(|size| u32::try_from(size).ok()).and_then(NonZeroU32::new);
    let (connection, create, key, unknown) = (connection?, create?, key.ok()?, unknown.ok()?);
    let lasting = |key: &Template| key.references().iter().all(|read| LASTING.contains(&read.root.as_str()));
    let answers = create.answers.unwrap_or_default();
    let upsert = upsert?.map(|found| Upsert {
        exists: found.exists,
        unknown: unknown.is_implied().then(|| unknown::implied(key.is_some(), found.update.request.method)),
        update: found.update.request,
        answers: found.update.answers.unwrap_or_else(|| answers.clone()),
    });
    let import = Import {
        name: name.ok()?.unwrap_or_else(|| "import".to_owned()),
        when: when.ok()?,
        on_error: on_error.ok()?.unwrap_or_default(),
        unknown: unknown.of(&connection, key.is_some(), create.request.method),
        connection,
        request: create.request,
        answers,
        batch_size: batch_size.unwrap_or(NonZeroU32::MIN),
        wrap: wrap.ok()?,
        drop_empty: drop_empty.ok()?.unwrap_or(false),
        bisects: bisects.ok()?.unwrap_or(false),
        merge: merge.ok()?,
        lock_key: lock_key.ok()?,
        key_is_lasting: key.as_ref().is_some_and(lasting),
        idempotency_key: key,
        idempotency_header: header.ok()?.unwrap_or_else(|| "Idempotency-Key".to_owned()),
        upsert,
    };
    Some((import, many.ok()?))
}

/// A request table, with what `response` says of single records.
fn answered(table: &Table<'_>, method: Method, scopes: &RequestScopes<'_, '_>) -> Option<Written> {
    let mut answers = None;
    table.on_without(&[Act::Stop], "an import has no pages", "`skip` passes over the record, `fail` ends the run");
    let request = table.request_judged(method, scopes, |value, scope| {
        let (whole, read) = answers::decode(value, scope)?;
        answers = Some(read);
        Some(whole)
    });
    request.map(|request| Written { request, answers })
}

type Given<T> = Result<Option<T>, Reported>;

/// `idempotency_key` and `idempotency_header`.
fn idempotency(table: &Table<'_>, single: &Scope<'_>) -> (Given<Template>, Given<String>) {
    let key = table.given("idempotency_key", |value| value.text(Place::Header, single));
    let header = table.take("idempotency_header");
    if let Some(value) = header.as_ref().filter(|_| matches!(key, Ok(None))) {
        let finding = Finding::error("missing-key", "`idempotency_header` without `idempotency_key` sends nothing");
        value.report_key(
            finding.help("add `idempotency_key`, a text that is the same whenever the record is sent again"),
        );
    }
    (key, header.map(|value| value.header_name().ok_or(Reported)).transpose())
}

fn name(value: &Value<'_>) -> Option<String> {
    let name = value.string()?;
    if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
        value.report(Finding::error("bad-id", "a step's name has 1 to 100 plain characters"));
        return None;
    }
    Some(name.to_owned())
}

/// A table of members, each from the answer.
fn merge(value: &Value<'_>, scope: &Scope<'_>) -> Option<Tree> {
    if !value.is_table() || value.table_has(&["pick", "each", "literal", "concat"]) {
        value.wrong_type("a table of members to set on the record, such as { erp_id = \"$.id\" }");
        return None;
    }
    value.tree(scope)
}

/// Says which keys do nothing here.
fn unused(table: &Table<'_>, request: &RequestSpec, batched: bool, scope: &Scope<'_>) {
    let report = |key: &str, message: &str, help: &str| {
        if let Some(value) = table.peek(key) {
            value.report_key(Finding::error("unused-key", message.to_owned()).help(help.to_owned()));
        }
    };
    if !batched {
        let message = "`on_reject` divides batches, and each record has a request of its own here";
        report("on_reject", message, "set `batch_size`, or remove `on_reject`");
    }
    let text = matches!(request.body, Some(BodySpec::Text(_)));
    if text && !request.types.over(scope.media_types()).of_request().text_is_json() {
        let message = "`drop_empty` looks into values, and this body is written as text";
        report("drop_empty", message, "write `body` as a table, or remove `drop_empty`");
    }
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
