//! A request as configured (the request table of FORMAT.md section 0) and as rendered, ready to send.

use super::verdict::ResponseRules;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::template::Template;
use crate::value::tree::Tree;
use crate::value::uri::UriTemplate;
use bytes::Bytes;
use std::time::Duration;
use url::Url;

/// The methods FORMAT.md allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// A request table.
#[derive(Debug, Clone)]
pub struct RequestSpec {
    /// `method`
    pub method: Method,
    /// `relative_uri`; empty = the base itself.
    pub uri: UriTemplate,
    /// `headers`
    pub headers: Vec<Field>,
    /// `query`
    pub query: Vec<Field>,
    /// `body`; none = no body (an import decides what that means).
    pub body: Option<BodySpec>,
    /// `timeout`, over the connection's.
    pub timeout: Option<Duration>,
    /// `response`, over the connection's.
    pub response: Option<ResponseRules>,
}

/// One header or query parameter.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value; a list repeats the name.
    pub value: Tree,
    /// `join`: a list joined to one value.
    pub join: Option<String>,
}

/// `body`
#[derive(Debug, Clone)]
pub enum BodySpec {
    /// A value tree.
    Tree(Tree),
    /// Text that must parse as JSON once rendered.
    Text(Template),
}

/// A rendered request: the same bytes for every attempt.
#[derive(Clone)]
pub struct Prepared {
    /// Method.
    pub method: Method,
    /// Absolute URL on an allowed origin; credentials are not in it yet.
    pub url: Url,
    /// Step headers; they win over the connection's.
    pub headers: Vec<(String, String)>,
    /// The body and its media type.
    pub body: Option<Bytes>,
    /// Overrides the connection's.
    pub timeout: Option<Duration>,
    /// Exports and lookups are safe to send again whatever their method.
    pub safe: bool,
}

impl RequestSpec {
    /// Renders everything but the body's default.
    pub fn prepare(&self, _ctx: &Context<'_>, _client: &super::client::Client) -> Result<Prepared, EvalError> {
        todo!()
    }
}
