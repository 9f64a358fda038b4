//! `[export_defaults]` of a connection: what lies under every export and parent that asks it.

use super::export::{job, once, reads};
use super::{delta, paging, step};
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::{Facts, Scope, TIMED};
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::media::MediaTypes;
use crate::http::on::OnRules;
use crate::http::request::{Field, Method, RequestSpec};
use crate::model::delta::Delta;
use crate::model::report::Report;
use crate::model::step::Transform;
use crate::runtime::export::paging::{self as turning, Paging};
use crate::value::context::Root;
use crate::value::document::BodyPath;
use crate::value::expression::Expression;
use crate::value::path::Path;
use crate::value::template::{Place, Template};

/// `[export_defaults]`
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct Defaults {
    /// The request keys.
    pub(super) request: Option<Beneath>,
    /// `paging`, whole.
    pub(super) paging: Option<Paging>,
    /// `records`
    pub(super) records: Option<BodyPath>,
    /// `records_optional`
    pub(super) records_optional: Option<bool>,
    /// `keep`
    pub(super) keep: Option<Expression>,
    /// `transform`, whole.
    pub(super) transform: Option<Transform>,
    /// `limit`
    pub(super) limit: Option<u64>,
    /// `delta`, whole.
    pub(super) delta: Option<Delta>,
    /// Whether that is no mistake where nothing uses it.
    pub(super) delta_where_used: bool,
    /// `on`: tried after an export's own, before the connection's.
    pub(super) on: OnRules,
    /// What records that are delivered have.
    pub(super) delivered: Delivered,
}

/// Keys of exports whose records are delivered: parents and lookups have none of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Delivered {
    pub(super) once: Option<RequestSpec>,
    pub(super) job: Option<Report>,
    pub(super) group_by: Vec<Path>,
    pub(super) trace_key: Option<Template>,
    pub(super) link: Option<Template>,
}

/// A request that lies under others, and what of it was written.
#[derive(Debug, Clone)]
pub(super) struct Beneath {
    spec: RequestSpec,
    says_method: bool,
    says_uri: bool,
}

impl Beneath {
    /// Whether its texts read something.
    pub(super) fn reads(&self, root: Root) -> bool {
        reads(&self.spec, |reference| reference.root == root.name())
    }

    /// What holds where `own`, which was read from `table`, says nothing itself.
    pub(super) fn under(&self, own: RequestSpec, table: &Table<'_>) -> RequestSpec {
        let Self { spec, says_method, says_uri } = self;
        let beneath = |fields: &[Field], own: Vec<Field>| {
            let free = fields.iter().filter(|field| !own.iter().any(|one| one.name.eq_ignore_ascii_case(&field.name)));
            free.cloned().chain(own.iter().cloned()).collect()
        };
        RequestSpec {
            method: if *says_method && !table.has("method") { spec.method } else { own.method },
            uri: if *says_uri && !table.has("relative_uri") { spec.uri.clone() } else { own.uri },
            headers: beneath(&spec.headers, own.headers),
            query: beneath(&spec.query, own.query),
            body: own.body.or_else(|| spec.body.clone()),
            timeout: own.timeout.or(spec.timeout),
            response: own.response.or_else(|| spec.response.clone()),
            types: own.types.over(spec.types),
            decode: own.decode.or_else(|| spec.decode.clone()),
            on: own.on,
        }
    }
}

impl Defaults {
    /// Those for parents: one that asks nothing of the default delta has none.
    pub(super) fn of_parents(&self) -> Self {
        Self { delta_where_used: true, delivered: Delivered::default(), ..self.clone() }
    }

    /// Those for lookups: an export's request is not theirs, and what they find is not delivered.
    pub(super) fn of_lookups(self) -> Self {
        Self { request: None, limit: None, delta: None, delivered: Delivered::default(), ..self }
    }

    /// Whether they turn pages.
    pub(super) fn turn_pages(&self) -> bool {
        self.paging.as_ref().is_some_and(|paging| !matches!(paging.method, turning::Method::None))
    }

    /// What they say of media types.
    pub(super) fn types(&self) -> MediaTypes {
        self.request.as_ref().map(|request| request.spec.types).unwrap_or_default()
    }
}

/// Those of a connection, whose names are these.
pub(in crate::config) fn decode(root: &Table<'_>, facts: &Facts) -> Defaults {
    let Some(table) = root.take("export_defaults").and_then(|value| value.table()) else { return Defaults::default() };
    let scope = Scope::of_connection(facts).with(&[Root::Run, Root::Export, Root::Now]);
    let timed = if table.has("delta") { scope.with(TIMED) } else { scope.clone() };
    let pages = if paging::has_method(&table) { timed.with(&[Root::Page, Root::Previous]) } else { timed.clone() };
    let (says_method, says_uri) = (table.has("method"), table.has("relative_uri"));
    let spec = table.request(Method::Get, &RequestScopes { head: &pages, body: &pages });
    let decode = table.decode_chain();
    let spec = spec.map(|spec| RequestSpec { decode, ..spec });
    let answers = timed.reading(spec.as_ref().map(|spec| spec.types).unwrap_or_default());
    let paging = table.has("paging").then(|| paging::decode(&table, &answers, None)).flatten();
    table.take("paging");
    let records = table.given("records", |value| value.body_path(&answers));
    let records_optional = table.given("records_optional", Value::boolean);
    let records_scope = timed.with(&[Root::Record]);
    let keep = table.given("keep", |value| value.condition(&records_scope));
    let transform = table.given("transform", |value| step::transform(value, &records_scope));
    let limit = table.given("limit", |value| value.number(1..=u64::MAX, &scope));
    let delta = table.given("delta", |value| delta::decode(value, &scope));
    let group_by = table.given("group_by", Value::group_keys);
    let trace_key = table.given("trace_key", |value| value.text(Place::Plain, &records_scope));
    let link = table.given("link", |value| value.text(Place::Uri, &records_scope));
    let once = table.given("once", |value| once(value, &records_scope));
    let job = job(&table, &timed);
    table.finish();
    let on = spec.as_ref().map(|spec| spec.on.clone()).unwrap_or_default();
    Defaults {
        request: spec.map(|spec| Beneath { spec, says_method, says_uri }),
        paging,
        records: records.unwrap_or_default(),
        records_optional: records_optional.unwrap_or_default(),
        keep: keep.unwrap_or_default(),
        transform: transform.unwrap_or_default(),
        limit: limit.unwrap_or_default(),
        delta: delta.unwrap_or_default(),
        delta_where_used: false,
        on,
        delivered: Delivered {
            once: once.unwrap_or_default(),
            job: job.unwrap_or_default(),
            group_by: group_by.ok().flatten().unwrap_or_default(),
            trace_key: trace_key.unwrap_or_default(),
            link: link.unwrap_or_default(),
        },
    }
}
