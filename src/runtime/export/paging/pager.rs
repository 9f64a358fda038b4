//! Where the next page is. A pager is pure: it is told what came back and says what to ask next, or that the
//! export is over, or why it cannot go on.

use super::found::{number_at, scalar, text_at};
use super::guard::Guard;
use super::{Counted, In, Method, Paging, Params, Token, TokenSource};
use crate::value::context::Context;
use crate::value::document::{Document, Kind};
use crate::value::expression;
use crate::value::issue::EvalError;
use crate::value::json::JsonRef;
use crate::value::rule::{Judged, Rule};
use serde::{Deserialize, Serialize};
use url::Url;

/// What the next request must carry beyond what the export says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// Number of the page, from 1.
    pub page: u64,
    /// `{{page.number}}`: the `page` method's number, else the page's place.
    pub number: u64,
    /// `{{page.offset}}`
    pub offset: u64,
    /// `{{page.token}}`; empty on the first page.
    pub token: String,
    /// `{{page.size}}`
    pub size: u64,
    /// Parameters to set: where, name, value.
    pub set: Vec<(In, String, String)>,
    /// A link to use as it stands, as found in the answer.
    pub link: Option<String>,
}

/// What came back.
pub struct Received<'a> {
    /// The body, when there is one.
    pub body: Option<&'a Document>,
    /// Records under `records`, counted before `keep`.
    pub records: u64,
    /// Status.
    pub status: u16,
    /// Response headers, names in lower case.
    pub headers: &'a [(String, String)],
}

/// What to do after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Ask for another page.
    Page,
    /// The export ended by itself.
    End,
}

/// A URL and a body that were about to be asked for.
#[derive(Hash)]
pub struct Landed<'a> {
    /// Method and absolute URL.
    pub url: &'a str,
    /// Request body.
    pub body: &'a [u8],
    /// Headers set by paging.
    pub headers: &'a [(String, String)],
}

/// Why paging cannot go on. What was read before stays delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PagingError {
    /// The same request as an earlier page.
    #[error("page {page} would send the same request as page {earlier}: the API is leading the export in a circle")]
    SameRequest {
        /// The page about to be asked for.
        page: u64,
        /// The page that asked the same.
        earlier: u64,
    },
    /// The same body as an earlier page.
    #[error(
        "page {page} has the same body as page {earlier}: the API ignores the paging parameter or repeats itself; \
         check `param` and `in`"
    )]
    SameBody {
        /// The page just read.
        page: u64,
        /// The page that had the same body.
        earlier: u64,
    },
    /// `max_pages` was reached while more pages follow.
    #[error("more than max_pages = {0} pages: raise `max_pages` if the export is really that long")]
    MaxPages(u64),
    /// The place of the next token holds something that is no token.
    #[error("{place} holds {found}, which is no page token or link")]
    NoToken {
        /// The path or header.
        place: String,
        /// What is there.
        found: &'static str,
    },
    /// A stop rule or path failed to evaluate.
    #[error("{0}")]
    Eval(#[from] EvalError),
}

/// Where the next page is, in the method's own terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    Counted(u64),
    Token(String),
    Link(String),
    Once,
}

/// What a pager knows of where it is, to go on from after a restart. What it remembers of earlier pages to notice a
/// circle is not part of it: a circle is then noticed one round later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    position: Position,
    page: u64,
    received: u64,
}

/// The paging of one run's export.
pub struct Pager<'p> {
    paging: &'p Paging,
    position: Position,
    page: u64,
    received: u64,
    guard: Guard,
}

impl<'p> Pager<'p> {
    /// Before the first page.
    pub fn new(paging: &'p Paging) -> Self {
        let position = match &paging.method {
            Method::Page(counted) | Method::Skip(counted) => Position::Counted(counted.start),
            Method::Token(_) => Position::Token(String::new()),
            Method::NextUrl { .. } | Method::LinkHeader { .. } | Method::Next | Method::None => Position::Once,
        };
        Self { paging, position, page: 1, received: 0, guard: Guard::default() }
    }

    /// Where it is now.
    pub fn place(&self) -> Place {
        Place { position: self.position.clone(), page: self.page, received: self.received }
    }

    /// Goes on from a place. One that the paging method cannot be at is refused.
    pub fn resume(paging: &'p Paging, place: Place) -> Option<Self> {
        let fits = matches!(
            (&paging.method, &place.position),
            (Method::Page(_) | Method::Skip(_), Position::Counted(_))
                | (Method::Token(_), Position::Token(_))
                | (Method::NextUrl { .. } | Method::LinkHeader { .. }, Position::Once | Position::Link(_))
                | (Method::Next | Method::None, Position::Once)
        );
        let Place { position, page, received } = place;
        fits.then(|| Self { paging, position, page, received, guard: Guard::default() })
    }

    /// What to ask for now.
    pub fn ask(&self) -> Ask {
        let mut ask = Ask { page: self.page, number: self.page, offset: self.received, ..Ask::default() };
        match (&self.paging.method, &self.position) {
            (Method::Page(counted), Position::Counted(number)) => {
                ask.number = *number;
                counted_params(counted, *number, self.page == 1, &mut ask);
            }
            (Method::Skip(counted), Position::Counted(offset)) => {
                ask.offset = *offset;
                counted_params(counted, *offset, self.page == 1, &mut ask);
            }
            (Method::Token(token), Position::Token(value)) => token_params(token, value, self.page == 1, &mut ask),
            (_, Position::Link(link)) => ask.link = Some(link.clone()),
            _ => {}
        }
        ask
    }

    /// Notes the request that is about to be sent.
    pub fn sending(&mut self, landed: &Landed<'_>) -> Result<(), PagingError> {
        match self.guard.ask(self.page, landed) {
            Some(earlier) => Err(PagingError::SameRequest { page: self.page, earlier }),
            None => Ok(()),
        }
    }

    /// Notes the body of the page just received, before its records are used.
    pub fn landed(&mut self, body: &[u8], kind: Kind) -> Result<(), PagingError> {
        if matches!(self.paging.method, Method::None) {
            return Ok(());
        }
        let (page, guard) = (self.page, &mut self.guard);
        match if kind.is_json() { guard.json(page, body) } else { guard.body(page, body) } {
            Some(earlier) => Err(PagingError::SameBody { page: self.page, earlier }),
            None => Ok(()),
        }
    }

    /// Decides what follows a page. `ctx` offers `previous` (this page) beside the export's roots.
    pub fn received(&mut self, got: &Received<'_>, ctx: &Context<'_>) -> Result<Next, PagingError> {
        self.received += got.records;
        if matches!(self.paging.method, Method::None) || got.records == 0 || self.stops(got, ctx)? {
            return Ok(Next::End);
        }
        let Some(position) = self.follow(got, ctx)? else { return Ok(Next::End) };
        if self.page >= self.paging.max_pages {
            return Err(PagingError::MaxPages(self.paging.max_pages));
        }
        self.position = position;
        self.page += 1;
        Ok(Next::Page)
    }

    /// Whether a failed request ends the export without error (`stop_status`).
    pub fn ends_at(&self, status: u16) -> bool {
        self.paging.stop_status.iter().any(|range| (range.from..=range.to).contains(&status))
    }

    /// How many records the source says there are, when `total_path` tells.
    pub fn total(&self, body: Option<&Document>) -> Option<u64> {
        number_at(self.paging.total_path.as_ref()?, body).ok().flatten()
    }

    fn stops(&self, got: &Received<'_>, ctx: &Context<'_>) -> Result<bool, PagingError> {
        if let Some(stop) = &self.paging.stop
            && stops_by_rule(stop, got, ctx)?
        {
            return Ok(true);
        }
        if let Some(condition) = &self.paging.stop_when
            && condition.test(ctx).map_err(|error| error.at("stop_when"))?
        {
            return Ok(true);
        }
        if let Some(path) = &self.paging.total_path
            // A total of nothing beside records is no total.
            && number_at(path, got.body)?.is_some_and(|total| total > 0 && self.received >= total)
        {
            return Ok(true);
        }
        if let Some(path) = &self.paging.pages_path
            && number_at(path, got.body)?.is_some_and(|pages| self.page >= pages)
        {
            return Ok(true);
        }
        let short = self.paging.stop_at_short_page && self.size().is_some_and(|size| got.records < size);
        Ok(short)
    }

    fn size(&self) -> Option<u64> {
        match &self.paging.method {
            Method::Page(counted) | Method::Skip(counted) => counted.params.size,
            Method::Token(token) => token.params.size,
            Method::NextUrl { .. } | Method::LinkHeader { .. } | Method::Next | Method::None => None,
        }
    }

    fn follow(&self, got: &Received<'_>, ctx: &Context<'_>) -> Result<Option<Position>, PagingError> {
        match (&self.paging.method, &self.position) {
            (Method::Page(_), Position::Counted(number)) => Ok(Some(Position::Counted(number + 1))),
            (Method::Skip(_), Position::Counted(offset)) => Ok(Some(Position::Counted(offset + got.records))),
            (Method::Token(token), _) => Ok(next_token(&token.from, got, ctx)?.map(Position::Token)),
            (Method::NextUrl { path }, _) => Ok(text_at(path, got.body)?.map(Position::Link)),
            (Method::LinkHeader { rel }, _) => {
                let headers = got.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.as_str());
                let found = super::links(headers).into_iter().find(|(name, _)| name.eq_ignore_ascii_case(rel));
                Ok(found.map(|(_, target)| Position::Link(target)))
            }
            (Method::Next, _) => {
                let needs = self.paging.next.iter().flat_map(|next| &next.needs);
                Ok(needs.into_iter().all(|read| expression::is_given(ctx, read)).then_some(Position::Once))
            }
            _ => Ok(None),
        }
    }

    /// Makes the link to the next page independent of the page it was found on: after a restart that one is gone.
    pub fn fix_link(&mut self, resolve: impl FnOnce(&str) -> Result<Url, PagingError>) -> Result<(), PagingError> {
        if let Position::Link(link) = &mut self.position {
            *link = resolve(link)?.into();
        }
        Ok(())
    }
}

/// Resolves a link of an answer, confined to allowed origins.
pub fn resolve(
    link: &str,
    from: &Url,
    base: &Url,
    allowed: &[crate::value::uri::OriginPattern],
) -> Result<Url, PagingError> {
    crate::value::uri::resolve_link(link, from, base, allowed).map_err(|error| error.at("next page").into())
}

fn stops_by_rule(rule: &Rule, got: &Received<'_>, ctx: &Context<'_>) -> Result<bool, PagingError> {
    let judged = Judged { status: got.status, body: got.body, text: got.body.map_or("", Document::text) };
    rule.matches(judged, ctx).map_err(|error| error.at("stop").into())
}

fn counted_params(counted: &Counted, value: u64, is_first: bool, ask: &mut Ask) {
    if !is_first || counted.first {
        set(&counted.params, value.to_string(), ask);
    }
    size_param(&counted.params, ask);
}

fn token_params(token: &Token, value: &str, is_first: bool, ask: &mut Ask) {
    value.clone_into(&mut ask.token);
    if !is_first || token.first {
        set(&token.params, value.to_owned(), ask);
    }
    size_param(&token.params, ask);
}

fn set(params: &Params, value: String, ask: &mut Ask) {
    if let Some(name) = &params.param {
        ask.set.push((params.place, name.clone(), value));
    }
}

fn size_param(params: &Params, ask: &mut Ask) {
    if let Some(size) = params.size {
        ask.size = size;
        if let Some(name) = &params.size_param {
            ask.set.push((params.place, name.clone(), size.to_string()));
        }
    }
}

fn next_token(from: &TokenSource, got: &Received<'_>, ctx: &Context<'_>) -> Result<Option<String>, PagingError> {
    match from {
        TokenSource::Path(path) => text_at(path, got.body),
        TokenSource::Header(name) => {
            let value = got.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim());
            Ok(value.filter(|value| !value.is_empty()).map(str::to_owned))
        }
        TokenSource::From(expression) => match expression.eval(ctx) {
            Ok(value) => {
                let mut out = Vec::new();
                value.write(&mut out)?;
                let text = String::from_utf8_lossy(&out).into_owned();
                scalar(JsonRef::trusted(&text), expression.source())
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.at("from").into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::NextPage;
    use super::*;
    use crate::value::context::{Root, Slot};
    use crate::value::document::BodyPath;
    use crate::value::expression::Expression;
    use crate::value::json::Json;
    use crate::value::record::Record;

    fn paging(method: Method) -> Paging {
        Paging {
            method,
            next: None,
            stop_status: Vec::new(),
            stop: None,
            stop_when: None,
            total_path: None,
            pages_path: None,
            stop_at_short_page: false,
            max_pages: 100,
        }
    }

    fn params(name: &str) -> Params {
        Params { param: Some(name.to_owned()), size_param: Some("size".to_owned()), size: Some(2), place: In::Query }
    }

    fn counted(start: u64, first: bool) -> Counted {
        Counted { params: params("p"), start, first }
    }

    fn token(path: &str) -> Method {
        let from = TokenSource::Path(BodyPath::compile(path).unwrap());
        Method::Token(Token { params: params("cursor"), from, first: false })
    }

    fn receive(pager: &mut Pager<'_>, body: &str, records: u64) -> Result<Next, PagingError> {
        let document = Document::from(Json::parse(body.to_owned()).unwrap());
        let got = Received { body: Some(&document), records, status: 200, headers: &[] };
        pager.received(&got, &Context::new())
    }

    fn named(ask: &Ask, name: &str) -> Option<String> {
        ask.set.iter().find(|(_, n, _)| n == name).map(|(_, _, value)| value.clone())
    }

    #[test]
    fn page_counts_pages_and_skip_counts_records_received() {
        let pages = paging(Method::Page(counted(1, true)));
        let mut pager = Pager::new(&pages);
        assert_eq!(named(&pager.ask(), "p").as_deref(), Some("1"));
        assert_eq!(receive(&mut pager, "{}", 2), Ok(Next::Page));
        assert_eq!(named(&pager.ask(), "p").as_deref(), Some("2"));
        assert_eq!(named(&pager.ask(), "size").as_deref(), Some("2"));

        let skips = paging(Method::Skip(counted(0, true)));
        let mut pager = Pager::new(&skips);
        assert_eq!(named(&pager.ask(), "p").as_deref(), Some("0"));
        assert_eq!(receive(&mut pager, "{}", 7), Ok(Next::Page));
        assert_eq!(named(&pager.ask(), "p").as_deref(), Some("7"));
    }

    #[test]
    fn first_false_leaves_the_parameter_out_of_the_first_request() {
        let pages = paging(Method::Page(counted(1, false)));
        let mut pager = Pager::new(&pages);
        assert_eq!(named(&pager.ask(), "p"), None);
        assert_eq!(receive(&mut pager, "{}", 2), Ok(Next::Page));
        assert_eq!(named(&pager.ask(), "p").as_deref(), Some("2"));
    }

    #[test]
    fn a_token_that_is_absent_null_empty_or_false_ends_the_export() {
        for last in ["{}", r#"{"next":null}"#, r#"{"next":""}"#, r#"{"next":false}"#, r#"{"next":[]}"#] {
            let tokens = paging(token("next"));
            let mut pager = Pager::new(&tokens);
            assert_eq!(named(&pager.ask(), "cursor"), None);
            assert_eq!(receive(&mut pager, r#"{"next":"abc"}"#, 2), Ok(Next::Page));
            assert_eq!(named(&pager.ask(), "cursor").as_deref(), Some("abc"));
            assert_eq!(receive(&mut pager, last, 2), Ok(Next::End), "{last}");
        }
    }

    #[test]
    fn a_number_is_a_token_and_an_object_is_an_error() {
        let tokens = paging(token("next"));
        let mut pager = Pager::new(&tokens);
        assert_eq!(receive(&mut pager, r#"{"next":9007199254740993}"#, 1), Ok(Next::Page));
        assert_eq!(pager.ask().token, "9007199254740993");
        let refused = PagingError::NoToken { place: "next".to_owned(), found: "an object" };
        assert_eq!(receive(&mut pager, r#"{"next":{}}"#, 1), Err(refused));
    }

    #[test]
    fn every_method_ends_at_a_page_without_records() {
        for method in [Method::Page(counted(1, true)), Method::Skip(counted(0, true)), token("next")] {
            let pages = paging(method);
            assert_eq!(receive(&mut Pager::new(&pages), r#"{"next":"more"}"#, 0), Ok(Next::End));
        }
    }

    #[test]
    fn alone_next_ends_where_a_value_it_needs_is_missing_or_empty() {
        let needs = ["previous.body.next", "previous.records[0].id"];
        let needs = needs.iter().flat_map(|text| Expression::compile(text).unwrap().references().to_vec()).collect();
        let mut pages = paging(Method::Next);
        pages.next = Some(Box::new(NextPage { uri: None, body: None, records: None, needs }));
        let decide = |body: &str, ids: &str| {
            let document = Document::from(Json::parse(body.to_owned()).unwrap());
            let record = Record::new(Json::parse(ids.to_owned()).unwrap());
            let parts =
                [("body", Slot::Json(document.view())), ("records", Slot::Records(std::slice::from_ref(&record)))];
            let got = Received { body: Some(&document), records: 1, status: 200, headers: &[] };
            Pager::new(&pages).received(&got, &Context::new().with(Root::Previous, Slot::Map(&parts)))
        };
        for next in ["\"a\"", "0", "true", "[1]"] {
            assert_eq!(decide(&format!("{{\"next\":{next}}}"), "{\"id\":1}"), Ok(Next::Page), "{next}");
        }
        for body in ["{}", "{\"next\":null}", "{\"next\":\"\"}", "{\"next\":false}", "{\"next\":[]}", "{\"next\":{}}"] {
            assert_eq!(decide(body, "{\"id\":1}"), Ok(Next::End), "{body}");
        }
        assert_eq!(decide("{\"next\":1}", "{\"id\":null}"), Ok(Next::End));
    }

    #[test]
    fn alone_next_goes_on_where_it_needs_a_length() {
        let needs = ["previous.records.length", "previous.body.items.length", "previous.body.name.length"];
        let needs = needs.iter().flat_map(|text| Expression::compile(text).unwrap().references().to_vec()).collect();
        let mut pages = paging(Method::Next);
        pages.next = Some(Box::new(NextPage { uri: None, body: None, records: None, needs }));
        let decide = |body: &str| {
            let document = Document::from(Json::parse(body.to_owned()).unwrap());
            let records = [Record::new(Json::parse("1").unwrap())];
            let parts = [("body", Slot::Json(document.view())), ("records", Slot::Records(&records))];
            let got = Received { body: Some(&document), records: 1, status: 200, headers: &[] };
            Pager::new(&pages).received(&got, &Context::new().with(Root::Previous, Slot::Map(&parts)))
        };
        assert_eq!(decide("{\"items\":[1],\"name\":\"a\"}"), Ok(Next::Page));
        assert_eq!(decide("{\"items\":[],\"name\":\"\"}"), Ok(Next::Page));
        assert_eq!(decide("{\"name\":\"a\"}"), Ok(Next::End));
        assert_eq!(decide("{\"items\":{},\"name\":\"a\"}"), Ok(Next::End));
        assert_eq!(decide("{\"items\":{\"length\":3},\"name\":\"a\"}"), Ok(Next::Page));
    }

    #[test]
    fn totals_page_counts_and_short_pages_stop() {
        let mut pages = paging(Method::Skip(counted(0, true)));
        pages.total_path = Some(BodyPath::compile("total").unwrap());
        let mut pager = Pager::new(&pages);
        assert_eq!(receive(&mut pager, r#"{"total":"3"}"#, 2), Ok(Next::Page));
        assert_eq!(receive(&mut pager, r#"{"total":3}"#, 1), Ok(Next::End));

        let mut pages = paging(Method::Page(counted(0, true)));
        pages.pages_path = Some(BodyPath::compile("pages").unwrap());
        let mut pager = Pager::new(&pages);
        assert_eq!(receive(&mut pager, r#"{"pages":2}"#, 2), Ok(Next::Page));
        assert_eq!(receive(&mut pager, r#"{"pages":2}"#, 2), Ok(Next::End));

        let mut pages = paging(Method::Page(counted(1, true)));
        pages.stop_at_short_page = true;
        assert_eq!(receive(&mut Pager::new(&pages), "{}", 2), Ok(Next::Page));
        assert_eq!(receive(&mut Pager::new(&pages), "{}", 1), Ok(Next::End));
    }

    #[test]
    fn reaching_max_pages_is_an_error_only_when_more_would_follow() {
        let mut pages = paging(Method::Page(counted(1, true)));
        pages.max_pages = 2;
        let mut pager = Pager::new(&pages);
        assert_eq!(receive(&mut pager, "{}", 2), Ok(Next::Page));
        assert_eq!(receive(&mut pager, "{}", 2), Err(PagingError::MaxPages(2)));
        let mut pager = Pager::new(&pages);
        assert_eq!(receive(&mut pager, "{}", 2), Ok(Next::Page));
        assert_eq!(receive(&mut pager, "{}", 0), Ok(Next::End));
    }

    #[test]
    fn a_repeated_request_or_body_is_an_error() {
        let tokens = paging(token("next"));
        let mut pager = Pager::new(&tokens);
        let landed = |url| Landed { url, body: &[], headers: &[] };
        assert_eq!(pager.sending(&landed("http://a.test/1")), Ok(()));
        assert_eq!(pager.landed(b"[1]", Kind::default()), Ok(()));
        assert_eq!(receive(&mut pager, r#"{"next":"a"}"#, 1), Ok(Next::Page));
        assert_eq!(pager.sending(&landed("http://a.test/2")), Ok(()));
        assert_eq!(pager.landed(b"[1]", Kind::default()), Err(PagingError::SameBody { page: 2, earlier: 1 }));
        assert_eq!(pager.sending(&landed("http://a.test/1")), Err(PagingError::SameRequest { page: 2, earlier: 1 }));
    }

    #[test]
    fn a_link_header_leads_on_until_it_is_gone() {
        let pages = paging(Method::LinkHeader { rel: "next".to_owned() });
        let mut pager = Pager::new(&pages);
        let headers = [("link".to_owned(), "</p?page=2>; rel=\"next\"".to_owned())];
        let got = Received { body: None, records: 1, status: 200, headers: &headers };
        assert_eq!(pager.received(&got, &Context::new()), Ok(Next::Page));
        assert_eq!(pager.ask().link.as_deref(), Some("/p?page=2"));
        let got = Received { body: None, records: 1, status: 200, headers: &[] };
        assert_eq!(pager.received(&got, &Context::new()), Ok(Next::End));
    }
}
