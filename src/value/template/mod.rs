//! Handlebars text with escaping by place.
//!
//! The language is Handlebars; the engine is our own, because escaping, missing values, budgets and numbers kept as
//! written need a hold on every value (the `handlebars` crate judges it in tests). A template is compiled once into
//! parts with resolved names; a template of text and plain placeholders is a straight run of writes. Partials,
//! decorators and computation are not offered.

mod ast;
mod build;
mod derived;
mod escape;
pub(in crate::value) mod names;
mod render;
mod scan;
mod tag;
#[cfg(test)]
mod tests;

use super::context::{Context, Reference, Root};
use super::expression::Step;
use super::issue::{EvalError, Issue};
use ast::{Base, Operand, Part, What};
use std::sync::Arc;

/// Longest source text, in bytes.
const MAX_SOURCE: usize = 64 * 1024;

/// Where the text will stand; decides what `{{x}}` and `{{{x}}}` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Inside a URI: percent-encoded per component.
    Uri,
    /// A URI that is one placeholder: the value as it stands.
    Link,
    /// A header value: CR, LF and NUL are refused.
    Header,
    /// JSON body text.
    Json,
    /// Form body text.
    Form,
    /// XML body text.
    Xml,
    /// Anywhere else.
    Plain,
}

/// A compiled template (or constant text). Clones share it.
#[derive(Debug, Clone)]
pub struct Template(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    source: String,
    /// The place that escapes; `Plain` for a URI that is one placeholder, whose value is the URI.
    place: Place,
    parts: Vec<Part>,
    references: Vec<Reference>,
}

impl Template {
    /// Compiles; finds unknown helpers, unclosed blocks, partials, excessive depth and size.
    pub fn compile(text: &str, place: Place) -> Result<Self, Vec<Issue>> {
        if text.len() > MAX_SOURCE {
            return Err(vec![
                Issue::new(
                    0..0,
                    format!("the template is {} bytes long, at most {MAX_SOURCE} are allowed", text.len()),
                )
                .help("build the value as a tree instead"),
            ]);
        }
        let pieces = scan::pieces(text).map_err(|issue| vec![issue])?;
        let mut builder = build::Builder::new(pieces);
        let parts = builder.parts();
        let mut issues = builder.issues;
        let parts = parts.unwrap_or_else(|issue| {
            issues.push(issue);
            Vec::new()
        });
        if place == Place::Header {
            issues.extend(bad_header_text(text));
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        let one = matches!(parts[..], [Part::Value { .. }]);
        let mut compiled = Compiled { source: text.to_owned(), place, parts, references: builder.references };
        if place == Place::Uri {
            if one {
                compiled.place = Place::Link;
            } else {
                keep_configuration(&mut compiled.parts);
            }
        }
        Ok(Self(Arc::new(compiled)))
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Names it reads, unknown ones included; not those of items and block parameters.
    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// The text itself when nothing is filled in.
    pub fn as_constant(&self) -> Option<&str> {
        match &self.0.parts[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether the whole text is one placeholder, `{{x}}` or `{{{x}}}`.
    pub fn is_one_placeholder(&self) -> bool {
        matches!(self.0.parts[..], [Part::Value { .. }])
    }

    /// How many bytes of constant text stand before the first placeholder or block; none when there is neither.
    pub fn first_placeholder_at(&self) -> Option<usize> {
        match &self.0.parts[..] {
            [] | [Part::Text(_)] => None,
            [Part::Text(text), ..] => Some(text.len()),
            _ => Some(0),
        }
    }

    /// Renders after `out`. On an error `out` is as it was.
    pub fn render(&self, ctx: &Context<'_>, out: &mut String) -> Result<(), EvalError> {
        let start = out.len();
        let rendering = render::Rendering::new(&self.0.source, self.0.place, ctx, start);
        let whole = rendering.whole(&self.0.parts, out);
        let whole = rendering.pay().and(whole);
        whole.and_then(|()| ctx.refuse_torn(&out[start..])).inspect_err(|_| out.truncate(start))
    }
}

/// Control characters in the constant text of a header can never be sent.
fn bad_header_text(text: &str) -> Option<Issue> {
    let at = text.bytes().position(|b| matches!(b, b'\r' | b'\n' | 0))?;
    Some(Issue::new(at..at + 1, "a header cannot hold a line break or a NUL character").help("write it on one line"))
}

/// `connection.vars` and `connection.secrets` are configuration, not data: before the path of a URI begins they may
/// name its scheme, host and port.
fn keep_configuration(parts: &mut [Part]) {
    let mut before = String::new();
    for part in parts {
        match part {
            Part::Text(text) => before.push_str(text),
            Part::Value { value: Operand { what: What::Path(Base::Root(Root::Connection), steps), .. }, raw } => {
                let configured =
                    matches!(steps.first(), Some(Step::Member(name)) if matches!(&**name, "vars" | "secrets"));
                *raw |= configured;
            }
            _ => return,
        }
        let authority = before.split_once("://").map_or(before.as_str(), |(_, authority)| authority);
        if authority.contains(['/', '?', '#']) {
            return;
        }
    }
}
