//! `[export.paging]`: one method and the options beside it.

mod next;

use super::export::reads_page;
use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::{Reported, Table, one_method};
use crate::config::decode::value::Value;
use crate::http::request::RequestSpec;
use crate::runtime::export::paging::{Counted, In, Method, NextPage, Paging, Params, Token, TokenSource};
use crate::value::context::Root;

const METHODS: [&str; 5] = ["page", "skip", "token", "next_url", "link_header"];
/// Pages after which paging is taken to be endless.
const MAX_PAGES: u64 = 100_000;

/// Whether the export turns pages, so that `page` and `previous` exist.
pub(super) fn has_method(export: &Table<'_>) -> bool {
    let table = export.peek("paging").filter(Value::is_table).and_then(|value| value.table());
    table.is_some_and(|table| METHODS.iter().chain(&["next"]).any(|name| table.has(name)))
}

/// Without `paging`, or with `"none"`: one request.
pub(super) fn none() -> Paging {
    Paging {
        method: Method::None,
        next: None,
        stop_status: Vec::new(),
        stop: None,
        stop_when: None,
        total_path: None,
        pages_path: None,
        stop_at_short_page: false,
        max_pages: MAX_PAGES,
    }
}

pub(super) fn decode(export: &Table<'_>, scope: &Scope<'_>, request: Option<&RequestSpec>) -> Option<Paging> {
    let Some(value) = export.take("paging") else { return Some(none()) };
    if value.raw_str().is_some() {
        return value.word(&[("none", ())], &[]).map(|()| none());
    }
    let table = value.table()?;
    one_method(&table, &METHODS);
    let after = scope.with(&[Root::Page, Root::Previous]);
    let next = table.given("next", |value| next::decode(value, &after));
    let asks = Asks { request, next: next.as_ref().ok().and_then(Option::as_ref), next_is_wrong: next.is_err() };
    let mut method = method(&table, &after, &asks);
    if let (Some(Method::None), Ok(Some(next)), Some(value)) = (&method, &next, table.peek("next")) {
        next::alone(next, &value);
        method = Some(Method::Next);
    }
    let stop_status = table.take("stop_status").map(|value| value.statuses()).unwrap_or_default();
    let stop = table.given("stop", |value| value.rule(&after));
    let stop_when = table.given("stop_when", |value| value.condition(&after));
    let total_path = table.given("total_path", |value| value.body_path(scope));
    let pages_path = table.given("pages_path", |value| value.body_path(scope));
    let short_page = table.take("short_page");
    let max_pages = table.given("max_pages", |value| value.number(1..=u64::MAX, scope));
    table.finish();
    let stop_at_short_page = short_page.as_ref().is_some_and(|value| value.word(&[("stop", ())], &[]).is_some());
    let method = method?;
    if let Some(value) = short_page.filter(|_| stop_at_short_page && size_of(&method).is_none()) {
        let finding = Finding::error("missing-key", "`short_page` needs to know how long a page is");
        value.report_key(finding.help("set `size` in the paging method's table"));
    }
    Some(Paging {
        method,
        next: next.ok()?.map(Box::new),
        stop_status,
        stop: stop.ok()?,
        stop_when: stop_when.ok()?,
        total_path: total_path.ok()?,
        pages_path: pages_path.ok()?,
        stop_at_short_page,
        max_pages: max_pages.ok()?.unwrap_or(MAX_PAGES),
    })
}

/// What is asked for page by page.
struct Asks<'a> {
    request: Option<&'a RequestSpec>,
    next: Option<&'a NextPage>,
    next_is_wrong: bool,
}

impl Asks<'_> {
    /// Whether `page` stands in what is asked for. What could not be read may well use it.
    fn may_read_page(&self, members: &[&str]) -> bool {
        self.next_is_wrong
            || self.request.is_none_or(|request| reads_page(request, members))
            || self.next.is_some_and(|next| next::reads_page(next, members))
    }
}

fn size_of(method: &Method) -> Option<u64> {
    match method {
        Method::Page(counted) | Method::Skip(counted) => counted.params.size,
        Method::Token(token) => token.params.size,
        // These turn pages without parameters: no size can be asked for.
        Method::None | Method::NextUrl { .. } | Method::LinkHeader { .. } | Method::Next => None,
    }
}

/// The first method given; all are decoded, so that all mistakes show.
fn method(table: &Table<'_>, scope: &Scope<'_>, asks: &Asks<'_>) -> Option<Method> {
    let page = table.take("page").map(|value| counted(&value, 1, scope, asks, &["number"]).map(Method::Page));
    let skip = table.take("skip").map(|value| counted(&value, 0, scope, asks, &["offset", "number"]).map(Method::Skip));
    let token = table.take("token").map(|value| token(&value, scope, asks).map(Method::Token));
    let next_url = table.take("next_url").map(|value| next_url(&value, scope));
    let link = table.take("link_header").map(|value| link_header(&value));
    page.or(skip).or(token).or(next_url).or(link).unwrap_or(Some(Method::None))
}

fn next_url(value: &Value<'_>, scope: &Scope<'_>) -> Option<Method> {
    let table = value.table()?;
    let path = table.need("path").and_then(|value| value.body_path(scope));
    table.finish();
    Some(Method::NextUrl { path: path? })
}

fn link_header(value: &Value<'_>) -> Option<Method> {
    let table = value.table()?;
    let rel = table.given("rel", |value| value.string().map(str::to_owned));
    table.finish();
    Some(Method::LinkHeader { rel: rel.ok()?.unwrap_or_else(|| "next".to_owned()) })
}

fn counted(value: &Value<'_>, start: u64, scope: &Scope<'_>, asks: &Asks<'_>, members: &[&str]) -> Option<Counted> {
    let table = value.table()?;
    let params = params(&table, scope, asks, members);
    let start = table.take("start").map_or(Some(start), |value| value.number(0..=u64::MAX, scope));
    let first = table.take("first").map_or(Some(true), |value| value.boolean());
    table.finish();
    Some(Counted { params: params?, start: start?, first: first? })
}

fn token(value: &Value<'_>, scope: &Scope<'_>, asks: &Asks<'_>) -> Option<Token> {
    let table = value.table()?;
    let params = params(&table, scope, asks, &["token"]);
    let path = table.take("path").map(|value| value.body_path(scope).map(TokenSource::Path));
    let header = table.take("header").map(|value| value.string().map(|name| TokenSource::Header(name.to_owned())));
    let from = table.take("from").map(|value| value.computed(scope).map(TokenSource::From));
    let first = table.take("first").map_or(Some(false), |value| value.boolean());
    table.finish();
    one_method(&table, &["path", "header", "from"]);
    let Some(source) = path.or(header).or(from) else {
        let finding = Finding::error("missing-key", format!("`{}` does not say where the token is", table.key()));
        table.report(finding.key(table.key()).help("give one of `path`, `header`, `from`"));
        return None;
    };
    Some(Token { params: params?, from: source?, first: first? })
}

/// `param`, `size_param`, `size`, `in`.
fn params(table: &Table<'_>, scope: &Scope<'_>, asks: &Asks<'_>, members: &[&str]) -> Option<Params> {
    const PLACES: &[(&str, In)] = &[("query", In::Query), ("body", In::Body), ("header", In::Header)];
    let place = table.take("in").map_or(Some(In::Query), |value| value.word(PLACES, &[]));
    let param = table.take("param");
    let size_param = table.take("size_param");
    let size = table.given("size", |value| value.number(1..=u64::MAX, scope));
    if param.is_none() && !asks.may_read_page(members) {
        let used = members.iter().map(|name| format!("`{{{{page.{name}}}}}`")).collect::<Vec<_>>().join(" or ");
        table.missing("param", Some(format!("name the parameter, or use {used} in the request")));
    }
    if let Some(value) = size_param.as_ref().filter(|_| size == Ok(None)) {
        let finding = Finding::error("missing-key", "`size_param` needs `size`, the number that is sent");
        value.report_key(finding.help("add `size`, as in `size = 100`"));
    }
    let name = |value: Option<Value<'_>>| {
        value.map(|value| value.param(place.unwrap_or_default()).ok_or(Reported)).transpose()
    };
    let (param, size_param) = (name(param), name(size_param));
    Some(Params { param: param.ok()?, size_param: size_param.ok()?, size: size.ok()?, place: place? })
}

impl Value<'_> {
    /// A parameter's name; in a body a dotted path of plain names.
    fn param(&self, place: In) -> Option<String> {
        let text = self.string()?;
        if place == In::Header {
            return self.header_name();
        }
        let fits = match place {
            In::Body => self.path()?.plain_members().is_some_and(|members| !members.is_empty()),
            In::Query | In::Header => !text.is_empty(),
        };
        if !fits {
            let finding = Finding::error("bad-path", format!("`{}` is no place a value can be written to", self.key));
            self.report(finding.help("write names joined by dots, as in \"paging.offset\""));
        }
        fits.then(|| text.to_owned())
    }
}
