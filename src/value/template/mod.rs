//! Handlebars text with escaping by place. Templates of plain placeholders are compiled to direct writes;
//! only logic reaches the engine.

pub(in crate::value) mod names;

use super::context::{Context, Reference};
use super::issue::{EvalError, Issue};

/// Where the text will stand; decides what `{{x}}` and `{{{x}}}` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Inside a URI: percent-encoded per component.
    Uri,
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

/// A compiled template (or constant text).
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
}

impl Template {
    /// Compiles; finds unknown helpers, unclosed blocks, partials, excessive depth and size.
    pub fn compile(_text: &str, _place: Place) -> Result<Self, Vec<Issue>> {
        todo!()
    }
    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// Names it reads.
    pub fn references(&self) -> &[Reference] {
        todo!()
    }
    /// The text itself when nothing is filled in.
    pub fn as_constant(&self) -> Option<&str> {
        todo!()
    }
    /// Whether the whole text is one placeholder, `{{x}}` or `{{{x}}}`.
    pub fn is_one_placeholder(&self) -> bool {
        todo!()
    }
    /// Renders after `out`.
    pub fn render(&self, _ctx: &Context<'_>, _out: &mut String) -> Result<(), EvalError> {
        todo!()
    }
}
