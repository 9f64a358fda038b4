//! How an export finds its next page: one file per method, one set of stop rules.

use crate::http::request::BodySpec;
use crate::value::context::Reference;
use crate::value::document::BodyPath;
use crate::value::expression::Expression;
use crate::value::rule::{Rule, StatusRange};
use crate::value::uri::UriTemplate;

mod found;
mod guard;
mod link_header;
mod pager;

pub use link_header::links;
pub use pager::{Ask, Landed, Next, Pager, PagingError, Place, Received, resolve};

/// `[export.paging]`: the method and its options.
#[derive(Debug, Clone)]
pub struct Paging {
    /// The method table.
    pub method: Method,
    /// `[export.paging.next]`: what is asked for otherwise from page 2 on.
    pub next: Option<Box<NextPage>>,
    /// `stop_status`: ends without error.
    pub stop_status: Vec<StatusRange>,
    /// `stop`
    pub stop: Option<Rule>,
    /// `stop_when`
    pub stop_when: Option<Expression>,
    /// `total_path`: number of records in all.
    pub total_path: Option<BodyPath>,
    /// `pages_path`: number of pages in all.
    pub pages_path: Option<BodyPath>,
    /// `short_page = "stop"`
    pub stop_at_short_page: bool,
    /// `max_pages`
    pub max_pages: u64,
}

/// The paging method.
#[derive(Debug, Clone)]
pub enum Method {
    /// No paging: one request.
    None,
    /// `[export.paging.page]`
    Page(Counted),
    /// `[export.paging.skip]`
    Skip(Counted),
    /// `[export.paging.token]`
    Token(Token),
    /// `[export.paging.next_url]`
    NextUrl {
        /// `path`
        path: BodyPath,
    },
    /// `[export.paging.link_header]`
    LinkHeader {
        /// `rel`
        rel: String,
    },
    /// `[export.paging.next]` alone.
    Next,
}

/// `next`
#[derive(Debug, Clone)]
pub struct NextPage {
    /// `relative_uri`
    pub uri: Option<UriTemplate>,
    /// `body`
    pub body: Option<BodySpec>,
    /// `records`
    pub records: Option<BodyPath>,
    /// What of `previous` they read; alone, no page follows one that lacks any of it.
    pub needs: Vec<Reference>,
}

/// Where a paging parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum In {
    /// The query string.
    #[default]
    Query,
    /// A dotted path of the body.
    Body,
    /// A header.
    Header,
}

/// The keys `param`, `size_param`, `size`, `in`.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// `param`
    pub param: Option<String>,
    /// `size_param`
    pub size_param: Option<String>,
    /// `size`
    pub size: Option<u64>,
    /// `in`
    pub place: In,
}

/// `page` and `skip`
#[derive(Debug, Clone)]
pub struct Counted {
    /// Parameters.
    pub params: Params,
    /// `start`
    pub start: u64,
    /// `first`: whether the parameter is sent on the first request.
    pub first: bool,
}

/// `token`
#[derive(Debug, Clone)]
pub struct Token {
    /// Parameters.
    pub params: Params,
    /// Where the next token is.
    pub from: TokenSource,
    /// `first`
    pub first: bool,
}

/// `path`, `header` or `from`
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// A path of the body.
    Path(BodyPath),
    /// A response header.
    Header(String),
    /// An expression over `previous`.
    From(Expression),
}
