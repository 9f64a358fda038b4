//! `[import]`: where records go.

use super::Connections;
use crate::config::decode::file::Finding;
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::Reported;
use crate::config::decode::value::Value;
use crate::http::request::Method;
use crate::model::import::Import;
use crate::value::context::Root;
use crate::value::template::Place;
use std::num::NonZeroU32;

const NOT_YET: &[&str] = &[
    "upsert",
    "lock_key",
    "merge",
    "unknown_outcome",
    "check",
    "on_error",
    "drop_empty",
    "on_reject",
    "name",
    "when",
    "many",
];
/// Largest batch: more in one request helps nobody.
const MOST: u64 = 100_000;

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
    table.not_yet(NOT_YET);
    table.finish();
    let batch_size = batch_size.ok()?.and_then(|size| u32::try_from(size).ok()).and_then(NonZeroU32::new);
    Some(Import {
        connection: connection?,
        request: request?,
        batch_size: batch_size.unwrap_or(NonZeroU32::MIN),
        wrap: wrap.ok()?,
        idempotency_key: key.ok()?,
        idempotency_header: header.ok()?.unwrap_or_else(|| "Idempotency-Key".to_owned()),
    })
}
