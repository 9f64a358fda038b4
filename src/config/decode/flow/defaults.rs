//! `[export_defaults]` of a connection: what lies under every export and parent that asks it.

use super::paging;
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::runtime::export::paging::{Method, Paging};
use crate::value::context::Root;
use crate::value::document::BodyPath;
use crate::value::expression::Expression;

const NOT_YET: &[&str] = &["delta", "once", "job", "group_by", "transform", "limit"];

/// `[export_defaults]`
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct Defaults {
    /// `paging`, whole.
    pub(in crate::config) paging: Option<Paging>,
    /// `records`
    pub(in crate::config) records: Option<BodyPath>,
    /// `records_optional`
    pub(in crate::config) records_optional: Option<bool>,
    /// `keep`
    pub(in crate::config) keep: Option<Expression>,
}

impl Defaults {
    /// Whether they turn pages.
    pub(super) fn turn_pages(&self) -> bool {
        self.paging.as_ref().is_some_and(|paging| !matches!(paging.method, Method::None))
    }
}

/// Those of a connection, whose names are these.
pub(in crate::config) fn decode(root: &Table<'_>, facts: &Facts) -> Defaults {
    let Some(table) = root.take("export_defaults").and_then(|value| value.table()) else { return Defaults::default() };
    let scope = Scope::of_connection(facts).with(&[Root::Run, Root::Export, Root::Now]);
    let paging = table.has("paging").then(|| paging::decode(&table, &scope, None)).flatten();
    let records = table.given("records", |value| value.body_path(&scope));
    let records_optional = table.given("records_optional", Value::boolean);
    let keep = table.given("keep", |value| value.condition(&scope.with(&[Root::Record])));
    table.take("paging");
    table.not_yet(NOT_YET);
    table.finish();
    Defaults {
        paging,
        records: records.unwrap_or_default(),
        records_optional: records_optional.unwrap_or_default(),
        keep: keep.unwrap_or_default(),
    }
}
