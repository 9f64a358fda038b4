//! `[step.lookup]`: all keys of an export but those that are about a whole export, and what becomes of the answer.

use super::Site;
use crate::config::decode::file::Finding;
use crate::config::decode::flow::export;
use crate::config::decode::scope::Scope;
use crate::config::decode::value::Value;
use crate::model::export::Export;
use crate::model::step::{CacheSettings, Lookup};
use crate::value::tree::Tree;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Keys of exports that make no sense for one record.
const NOT_HERE: &[&str] = &["delta", "once", "each", "trace_key", "name"];
const LIVES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(30 * 24);
/// Most answers kept: their bytes are bounded beside.
const MOST_KEPT: u64 = 1_000_000;
/// Kept when `size` is not given.
const KEPT: u64 = 10_000;

/// `name` is the step's own; `each` says that the step has `many`.
pub(super) fn decode(value: &Value<'_>, name: &str, scope: &Scope<'_>, site: Site<'_>, each: bool) -> Option<Lookup> {
    let table = value.table()?;
    table.not_offered(NOT_HERE);
    if let Some(value) = table.peek("link") {
        let finding = Finding::warning("unused-key", "what a lookup finds is shown nowhere by itself, and has no link");
        value.report_key(finding.help("set `link` on the export"));
    }
    for key in NOT_HERE {
        if let Some(value) = table.take(key) {
            let finding =
                Finding::error("unknown-key", format!("a lookup has no `{key}`: that is about a whole export"));
            value.report_key(finding.help("remove it"));
        }
    }
    let connection = match table.need("connection") {
        Some(value) => value.connection(site.connections),
        None => (None, None),
    };
    let export = export::asked(&table, site.facts, connection, Some(scope));
    let cache = table.given("cache", |value| cache(value, scope));
    let merge = table.given("merge", |value| value.merge(scope));
    table.finish();
    if each && !table.has("merge") {
        let finding =
            Finding::error("missing-key", "a lookup for `many` needs `merge`: its answers are for one item each")
                .key(table.key());
        table.report(
            finding.help("add `merge`, which sets members of the item, as in `merge = { sku = \"$.data[0].sku\" }`"),
        );
    }
    let export = Arc::new(Export { name: name.to_owned(), ..export? });
    Some(Lookup { export, cache: cache.ok()?, merge: merge.ok()?, name: name.to_owned() })
}

fn cache(value: &Value<'_>, scope: &Scope<'_>) -> Option<CacheSettings> {
    let table = value.table()?;
    let ttl = table.need("ttl").and_then(|value| value.duration_in(&LIVES));
    let size = table.given("size", |value| value.number(1..=MOST_KEPT, scope));
    table.finish();
    let size = size.ok()?.unwrap_or(KEPT);
    Some(CacheSettings { ttl: ttl?, size: usize::try_from(size).unwrap_or(usize::MAX) })
}

impl Value<'_> {
    /// `merge`: a table of the members that are set.
    pub(in crate::config) fn merge(&self, scope: &Scope<'_>) -> Option<Tree> {
        if !self.is_table() || self.table_has(&["pick", "each", "literal", "concat"]) {
            let finding = Finding::error("wrong-type", "`merge` names the members of the record that are set");
            self.report(finding.help("write a table, as in `merge = { customer_id = \"$.data[0].id\" }`"));
            return None;
        }
        self.tree(scope)
    }
}
