//! `unknown_outcome` and `[import.check]`: what becomes of a write that may or may not have arrived.

use super::Connections;
use crate::config::decode::file::Finding;
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::{Reported, Table};
use crate::config::decode::value::Value;
use crate::http::request::{Method, RequestSpec};
use crate::model::import::{Check, UnknownOutcome};
use crate::value::context::Root;
use crate::value::document::BodyPath;
use crate::value::id::ConnectionId;

/// `unknown_outcome`
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Retry,
    Park,
    Check,
}

const WORDS: &[(&str, Word)] = &[("retry", Word::Retry), ("park", Word::Park), ("check", Word::Check)];

/// What was said.
pub(super) struct Said {
    word: Option<Word>,
    check: Option<Written>,
}

impl Said {
    /// Whether key and method decide.
    pub(super) fn is_implied(&self) -> bool {
        self.word.is_none() && self.check.is_none()
    }

    /// What that means for a request.
    pub(super) fn of(self, import: &ConnectionId, keyed: bool, method: Method) -> UnknownOutcome {
        match (self.word, self.check) {
            (Some(Word::Retry), _) => UnknownOutcome::Retry,
            (Some(Word::Park), _) => UnknownOutcome::Park,
            (_, Some(check)) => UnknownOutcome::Check(Box::new(check.on(import))),
            (None | Some(Word::Check), None) => implied(keyed, method),
        }
    }
}

/// What holds when nothing is said.
pub(super) fn implied(keyed: bool, method: Method) -> UnknownOutcome {
    if keyed || method.is_idempotent() { UnknownOutcome::Retry } else { UnknownOutcome::Park }
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
pub(super) fn decode(table: &Table<'_>, facts: &Facts, connections: &Connections) -> Result<Said, Reported> {
    let given = table.take("unknown_outcome");
    let word = given.as_ref().map(|value| value.word(WORDS, &[]).ok_or(Reported)).transpose();
    let check = table.given("check", |value| check(value, table, facts, connections));
    let word = word?;
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
        _ => Ok(Said { word, check: check? }),
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
    if !table.has("relative_uri") {
        let help = "say where the record is looked for, as in \"/orders?number={{record.id}}\"".to_owned();
        table.missing("relative_uri", Some(help));
    }
    let request = table.request(Method::Get, &RequestScopes { head: &scope, body: &scope });
    let types = request.as_ref().map(|request| request.types).unwrap_or_default();
    let answers = scope.reading(types);
    let records = table.given("records", |value| value.body_path(&answers));
    table.finish();
    Some(Written { connection: given.ok()?.map(|(id, _)| id), request: request?, records: records.ok()? })
}
