//! `[export_defaults]` of a connection: what lies under every export and parent that asks it.

use super::{delta, paging, step};
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::on::OnRules;
use crate::model::delta::Delta;
use crate::model::step::Transform;
use crate::runtime::export::paging::{Method, Paging};
use crate::value::context::Root;
use crate::value::document::BodyPath;
use crate::value::expression::Expression;

const NOT_YET: &[&str] = &["once", "job", "group_by"];

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
    /// `transform`, whole.
    pub(in crate::config) transform: Option<Transform>,
    /// `limit`
    pub(in crate::config) limit: Option<u64>,
    /// `delta`, whole.
    pub(in crate::config) delta: Option<Delta>,
    /// Whether that is no mistake where nothing uses it.
    pub(in crate::config) delta_where_used: bool,
    /// `on`: tried after an export's own, before the connection's.
    pub(in crate::config) on: OnRules,
}

impl Defaults {
    /// Those for parents: one that asks nothing of the default delta has none.
    pub(super) fn of_parents(&self) -> Self {
        Self { delta_where_used: true, ..self.clone() }
    }

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
    let records_scope = scope.with(&[Root::Record]);
    let keep = table.given("keep", |value| value.condition(&records_scope));
    let transform = table.given("transform", |value| step::transform(value, &records_scope));
    let limit = table.given("limit", |value| value.number(1..=u64::MAX, &scope));
    let delta = table.given("delta", |value| delta::decode(value, &scope));
    let on = table.on_rules(&scope);
    table.take("paging");
    table.not_yet(NOT_YET);
    table.finish();
    Defaults {
        paging,
        records: records.unwrap_or_default(),
        records_optional: records_optional.unwrap_or_default(),
        keep: keep.unwrap_or_default(),
        transform: transform.unwrap_or_default(),
        limit: limit.unwrap_or_default(),
        delta: delta.unwrap_or_default(),
        delta_where_used: false,
        on,
    }
}
