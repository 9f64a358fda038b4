//! Request URIs: a template joined to a base, checked after parsing so that data can never change the scheme,
//! host, port or literal path prefix.

use super::context::{Context, Reference};
use super::issue::{EvalError, Issue};
use super::template::Template;
use url::Url;

/// A compiled `relative_uri` (or absolute URI).
#[derive(Debug, Clone)]
pub struct UriTemplate {
    template: Template,
}

/// `https://files.example` or `https://*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// As written.
    pub source: String,
    /// `{ origin, auth = true }`: credentials may go there.
    pub auth: bool,
}

impl OriginPattern {
    /// Parses and checks.
    pub fn parse(_text: &str, _auth: bool) -> Result<Self, Issue> {
        todo!()
    }
    /// Whether a URL lies on it.
    pub fn matches(&self, _url: &Url) -> bool {
        todo!()
    }
}

impl UriTemplate {
    /// Compiles.
    pub fn compile(_text: &str) -> Result<Self, Vec<Issue>> {
        todo!()
    }
    /// The template behind it.
    pub fn template(&self) -> &Template {
        &self.template
    }
    /// Names it reads.
    pub fn references(&self) -> &[Reference] {
        self.template.references()
    }
    /// Renders, joins to `base` with exactly one slash, parses, and confines: same origin as `base` or one of
    /// `allowed`; literal prefix kept; no user-info, no control characters.
    pub fn render(&self, _ctx: &Context<'_>, _base: &Url, _allowed: &[OriginPattern]) -> Result<Url, EvalError> {
        todo!()
    }
}

/// Resolves a URI found in data (a next link) against the URL it came from and confines it to allowed origins.
pub fn resolve_link(_text: &str, _from: &Url, _base: &Url, _allowed: &[OriginPattern]) -> Result<Url, EvalError> {
    todo!()
}
