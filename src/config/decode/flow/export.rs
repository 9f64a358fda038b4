//! `[export]`: a request per page, and what becomes of its records before the steps.

use super::defaults::Defaults;
use super::{Connections, delta, each, paging, report, step};
use crate::config::decode::file::Finding;
use crate::config::decode::kin::Kin;
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::{Facts, Scope, TIMED};
use crate::config::decode::table::{Reported, Table};
use crate::config::decode::value::Value;
use crate::http::on::{Act, OnRule};
use crate::http::request::{Method, RequestSpec};
use crate::model::delta::Delta;
use crate::model::export::Export;
use crate::model::report::Report;
use crate::runtime::export::paging::Paging;
use crate::value::context::{Reference, Root};
use crate::value::expression::Expression;
use crate::value::id::ConnectionId;
use crate::value::path::Path;
use crate::value::rule::{Rule, StatusRange};
use crate::value::template::Place;

/// The name of an export that is the only one and has none.
pub(super) const DEFAULT_NAME: &str = "export";
/// Most keys of `group_by`.
const MOST_KEYS: usize = 16;

pub(super) fn decode(table: &Table<'_>, facts: &Facts, connections: &Connections) -> Option<Export> {
    let connection = match table.need("connection") {
        Some(value) => value.connection(connections),
        None => (None, None),
    };
    let name = table.given("name", |value| value.string().map(str::to_owned));
    let own = each::names(table);
    let kin = Kin { names: own, ..facts.kin.clone() };
    let facts = &Facts { kin, ..facts.clone() };
    let each = each::decode(table, facts, connections, &connection);
    let export = asked(table, facts, connection, None);
    table.finish();
    Some(Export { name: name.ok()?.unwrap_or_else(|| DEFAULT_NAME.to_owned()), each: each?, ..export? })
}

/// The keys of everything that asks for records. `outer` is what a lookup sees of the flow's record beyond what an
/// export sees.
pub(super) fn asked(
    table: &Table<'_>,
    facts: &Facts,
    (connection, names): (Option<ConnectionId>, Option<&Facts>),
    outer: Option<&Scope<'_>>,
) -> Option<Export> {
    let defaults = names.map(|facts| facts.defaults.clone()).unwrap_or_default();
    let defaults = if outer.is_some() { defaults.of_lookups() } else { defaults };
    let plain = Scope::of_flow(facts, names);
    let plain = plain.reading(defaults.types());
    let scope = outer.map_or_else(|| plain.clone(), |outer| plain.seeing(outer));
    let dated = outer.is_none() && delta::applies(table, defaults.delta.as_ref());
    let timed = if dated { scope.with(TIMED) } else { scope.clone() };
    // What a lookup found is `record` in its own shape and rules; the record it was asked for is then `parent`.
    let records = timed.with(&[Root::Record]);
    let records = if outer.is_some() { records.with(&[Root::Parent]) } else { records };
    let paged = if table.has("paging") { paging::has_method(table) } else { defaults.turn_pages() };
    let pages = if paged { timed.with(&[Root::Page, Root::Previous]) } else { timed.clone() };
    let request = table.request(Method::Get, &RequestScopes { head: &pages, body: &pages });
    let decode = table.decode_chain();
    let request = request.map(|request| {
        let on = request.on.iter().chain(&*defaults.on).cloned().collect();
        let whole = beneath(table, RequestSpec { on, decode, ..request }, &defaults, (dated, paged));
        RequestSpec { decode: whole.decode.clone().or_else(|| scope.decode()), ..whole }
    });
    let types = request.as_ref().map(|request| request.types).unwrap_or_default();
    let answers = timed.reading(types);
    let path = table.given("records", |value| value.body_path(&answers));
    let records_optional = table.take("records_optional").and_then(|value| value.boolean());
    let records_optional = records_optional.or(defaults.records_optional).unwrap_or(false);
    let limit = table.given("limit", |value| value.number(1..=u64::MAX, &scope));
    let keep = table.given("keep", |value| value.condition(&records));
    let trace_key = match outer {
        None => table.given("trace_key", |value| value.text(Place::Plain, &records)),
        Some(_) => Ok(None),
    };
    let link = table.given("link", |value| value.text(Place::Uri, &records));
    let group_by = table.given("group_by", Value::group_keys);
    let transform = table.given("transform", |value| step::transform(value, &records));
    let paging = match defaults.paging {
        Some(paging) if !table.has("paging") => Some(paging),
        _ => paging::decode(table, &answers, request.as_ref()),
    };
    table.take("paging");
    // A lookup asks for one record's sake, and remembers nothing.
    let Own { mut delta, job, once } = match outer {
        None => own(table, &scope, &timed, &records, defaults.delta),
        Some(_) => Own { delta: Ok(None), job: job(table, &scope), once: Ok(None) },
    };
    let request = request.map(|request| stopping(request, paging.as_ref()));
    let later = paging.as_ref().zip(request.as_ref()).and_then(|(paging, request)| later(paging, request));
    if let (Some(request), Ok(Some(dated))) = (&request, &delta) {
        let job = job.iter().flatten().flat_map(|job: &Report| [&job.create, &job.poll]);
        let requests = std::iter::once(request).chain(later.as_deref()).chain(job).collect::<Vec<_>>();
        match unused(table, dated, &requests, paging.as_ref()) {
            Some(_) if defaults.delta_where_used && !table.has("delta") => delta = Ok(None),
            Some(finding) => delta::report(table, finding),
            None => {}
        }
    }
    let delivered = defaults.delivered;
    Some(Export {
        name: DEFAULT_NAME.to_owned(),
        connection: connection?,
        reads_previous: request.iter().chain(later.as_deref()).any(reads_previous),
        request: request?,
        later,
        records: path.ok()?.or(defaults.records),
        records_optional,
        each: Vec::new(),
        limit: limit.ok()?.or(defaults.limit),
        paging: paging?,
        delta: delta.ok()?,
        once: once.ok()?.or(delivered.once),
        job: job.ok()?.or(delivered.job).map(Box::new),
        transform: transform.ok()?.or(defaults.transform),
        keep: keep.ok()?.or(defaults.keep),
        group_by: group_by.ok()?.unwrap_or(delivered.group_by),
        trace_key: trace_key.ok()?.or(delivered.trace_key),
        link: link.ok()?.or(delivered.link),
    })
}

impl Value<'_> {
    /// `group_by`: one path, or a list.
    pub(super) fn group_keys(&self) -> Option<Vec<Path>> {
        let keys = self.one_or_many();
        if keys.is_empty() || keys.len() > MOST_KEYS {
            let finding = Finding::error("out-of-range", format!("`group_by` names 1 to {MOST_KEYS} keys"));
            self.report(
                finding.help("name what the records of a group have in common: `group_by = [\"$.customer_id\"]`"),
            );
            return None;
        }
        keys.iter().map(Value::singular_path).collect::<Vec<_>>().into_iter().collect()
    }
}

/// What only exports have.
struct Own {
    delta: Result<Option<Delta>, Reported>,
    job: Result<Option<Report>, Reported>,
    once: Result<Option<RequestSpec>, Reported>,
}

fn own(table: &Table<'_>, scope: &Scope<'_>, timed: &Scope<'_>, records: &Scope<'_>, default: Option<Delta>) -> Own {
    Own {
        delta: table.given("delta", |value| delta::own(value, scope)).map(|own| own.map_or(default, |own| own.0)),
        job: job(table, timed),
        once: table.given("once", |value| once(value, records)),
    }
}

pub(super) fn job(table: &Table<'_>, scope: &Scope<'_>) -> Result<Option<Report>, Reported> {
    if table.has("job") {
        report::report_idle(table);
    }
    table.given("job", |value| report::decode(value, scope))
}

/// The request that tells the source of a record: it sees the record as it was exported.
pub(super) fn once(value: &Value<'_>, records: &Scope<'_>) -> Option<RequestSpec> {
    let table = value.table()?;
    if !table.has("relative_uri") {
        table.missing(
            "relative_uri",
            Some("say where the source is told, as in \"/orders/{{record.id}}/exported\"".to_owned()),
        );
    }
    table.on_without(&[Act::Stop], "nothing is paged here", "`skip` passes over what is told, `fail` ends the run");
    let request = table.request(Method::Get, &RequestScopes { head: records, body: records });
    table.finish();
    request
}

/// An export's own request over the one its connection gives to all. `dated` and `paged` are what this export has.
fn beneath(table: &Table<'_>, own: RequestSpec, defaults: &Defaults, (dated, paged): (bool, bool)) -> RequestSpec {
    let Some(beneath) = &defaults.request else { return own };
    let whole = beneath.under(own, table);
    for (known, roots) in [(dated, TIMED), (paged, &[Root::Page, Root::Previous])] {
        for root in roots.iter().filter(|root| !known && beneath.reads(**root)) {
            lacks(table, &whole, *root);
        }
    }
    whole
}

/// What is amiss when nothing that is asked reads the mark of an export.
fn unused(table: &Table<'_>, delta: &Delta, requests: &[&RequestSpec], paging: Option<&Paging>) -> Option<Finding> {
    let stop = paging.and_then(|paging| paging.stop_when.as_ref()).map_or(&[][..], Expression::references);
    delta::unused(table, delta, |hit| requests.iter().any(|request| reads(request, hit)) || stop.iter().any(hit))
}

/// What an export's default request reads has to be there for it.
fn lacks(table: &Table<'_>, request: &RequestSpec, root: Root) {
    let name = root.name();
    if reads(request, |reference| reference.root == name) {
        let message = format!("`[export_defaults]` of its connection reads `{name}`, which `{}` has not", table.key());
        let help = "give it `delta` or a paging method of its own, or set what reads it on the exports that have one";
        table.report(Finding::error("unknown-variable", message).key(table.key()).help(help));
    }
}

/// A `stop` that names a status which is no success: the answer is a failure to everybody else, and ends the paging.
fn stopping(request: RequestSpec, paging: Option<&Paging>) -> RequestSpec {
    let Some(stop) = paging.and_then(|paging| paging.stop.as_ref()) else { return request };
    let status: Vec<StatusRange> =
        stop.status.iter().copied().filter(|range| !(200..300).contains(&range.from)).collect();
    if status.is_empty() {
        return request;
    }
    let rule = Rule { status, ..stop.clone() };
    let rule = OnRule { rule, act: Act::Stop, max_attempts: None, wait: None, message: None };
    RequestSpec { on: request.on.iter().cloned().chain([rule]).collect(), ..request }
}

/// The request from page 2 on, where that is another.
fn later(paging: &Paging, request: &RequestSpec) -> Option<Box<RequestSpec>> {
    let next = paging.next.as_ref()?;
    let uri = next.uri.clone().unwrap_or_else(|| request.uri.clone());
    let body = next.body.clone().or_else(|| request.body.clone());
    Some(Box::new(RequestSpec { uri, body, ..request.clone() }))
}

/// Whether a request reads a member of `page`, so that no parameter has to be named.
pub(super) fn reads_page(request: &RequestSpec, members: &[&str]) -> bool {
    reads(request, |reference| {
        reference.root == "page" && reference.members.first().is_some_and(|name| members.contains(&name.as_str()))
    })
}

/// Whether a request reads the page before it.
fn reads_previous(request: &RequestSpec) -> bool {
    reads(request, |reference| reference.root == "previous")
}

pub(super) fn reads(request: &RequestSpec, hit: impl Fn(&Reference) -> bool + Copy) -> bool {
    let in_fields = |fields: &[crate::http::request::Field]| {
        fields.iter().any(|field| field.value.references().into_iter().any(hit))
    };
    let in_body = match &request.body {
        Some(crate::http::request::BodySpec::Tree(tree)) => tree.references().into_iter().any(hit),
        Some(crate::http::request::BodySpec::Text(text)) => text.references().iter().any(hit),
        None => false,
    };
    request.uri.references().iter().any(hit) || in_fields(&request.headers) || in_fields(&request.query) || in_body
}
