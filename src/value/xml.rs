//! XML documents and XPath. Neither can be made yet: what would read or compile one says so.

use super::document::Made;
use super::issue::{EvalError, Issue};
use super::json::JsonRef;

/// An XML document as it was received, and what paths and templates see of it.
#[derive(Debug, Clone)]
pub enum Xml {}

/// A compiled XPath.
#[derive(Debug, Clone)]
pub enum XPath {}

impl Xml {
    /// As received, in UTF-8: what is stored, hashed and searched for text.
    pub fn text(&self) -> &str {
        match *self {}
    }

    /// As templates and expressions see it, and as the record it is without `records`.
    pub fn view(&self) -> JsonRef<'_> {
        match *self {}
    }

    /// Evaluates a path; what it finds is written as JSON.
    pub fn select(&self, _path: &XPath) -> Result<Made, EvalError> {
        match *self {}
    }
}

impl XPath {
    /// Compiles an XPath.
    pub fn compile(text: &str) -> Result<Self, Vec<Issue>> {
        let issue = Issue::new(0..text.len(), "XPath is not supported yet, and this path reads JSON");
        Err(vec![issue.help("write a dotted path such as `data.items`, or JSONPath such as `$.data.items`")])
    }
}
