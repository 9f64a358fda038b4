//! XPath 1.0 over [`Xml`]: location paths with every axis but `namespace`, predicates, operators, and the functions of
//! the recommendation but `id` and `lang`. What is left out is refused at load.
//!
//! A name without a prefix means no namespace, as the recommendation says, unless `[xml.namespaces]` binds the prefix
//! `""`; `*:name` (of XPath 2) is the name in any namespace. Work is bounded by fuel that grows with the document.

mod ast;
mod axes;
mod eval;
mod functions;
mod lex;
mod parse;
mod step;
#[cfg(test)]
mod tests;
mod value;

use super::{DOCUMENT, Node, Xml};
use crate::value::issue::{EvalError, Issue};
use crate::value::path::MAX_LENGTH;
use ast::{Axis, Expr, Start};
use eval::Evaluation;
use std::sync::Arc;
pub use value::{Value, number_text};

/// `[xml.namespaces]`: prefix and namespace.
pub type Namespaces = [(String, String)];

/// A compiled XPath. Clones share it.
#[derive(Debug, Clone)]
pub struct XPath(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    source: String,
    expr: Expr,
    /// How many leading steps of a plain path must lead somewhere, so that an empty result is not *missing*.
    prefix: usize,
}

/// What a path found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The elements that would hold what is looked for are not there.
    Missing,
    /// Nodes in document order, possibly none.
    Nodes(Vec<Node>),
    /// What an expression gives that is no set of nodes.
    Value(Value),
}

impl XPath {
    /// Compiles; finds syntax errors, unknown functions, unbound prefixes and arguments of the wrong type.
    pub fn compile(text: &str, namespaces: &Namespaces) -> Result<Self, Vec<Issue>> {
        let whole = 0..text.len();
        let checked = if text.trim_ascii().is_empty() {
            Err(Issue::new(whole, "the path is empty").help("write `/` for the whole document"))
        } else if text.len() > MAX_LENGTH {
            Err(Issue::new(whole, format!("the path is longer than {MAX_LENGTH} bytes")))
        } else {
            parse::parse(text, namespaces)
        };
        let expr = checked.map_err(|issue| vec![issue])?;
        let prefix = singular_prefix(&expr);
        Ok(Self(Arc::new(Compiled { source: text.to_owned(), expr, prefix })))
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether it names one place, though documents may repeat it.
    pub(super) fn is_singular(&self) -> bool {
        let Expr::Path(path) = &self.0.expr else { return false };
        let plain = |step: &ast::Step| {
            matches!(step.axis, Axis::Child | Axis::Attribute) && step.test.is_name() && step.predicates.is_empty()
        };
        !matches!(path.start, Start::Filter(..)) && path.steps.iter().all(plain)
    }

    /// Evaluates over a document; a path without a leading `/` begins there too.
    pub fn select(&self, xml: &Xml) -> Result<Found, EvalError> {
        let found = self.evaluate(xml, DOCUMENT)?;
        if let Value::Nodes(nodes) = found {
            if nodes.is_empty() && self.is_missing(xml)? {
                return Ok(Found::Missing);
            }
            return Ok(Found::Nodes(nodes));
        }
        Ok(Found::Value(found))
    }

    /// Evaluates with a node as the context.
    pub fn evaluate(&self, xml: &Xml, node: Node) -> Result<Value, EvalError> {
        Evaluation::of(xml).value(&self.0.expr, node).map_err(|error| error.at(&self.0.source))
    }

    /// Whether the elements on the way are not there either.
    fn is_missing(&self, xml: &Xml) -> Result<bool, EvalError> {
        let Expr::Path(path) = &self.0.expr else { return Ok(false) };
        if self.0.prefix == 0 {
            return Ok(false);
        }
        let steps = &path.steps[..self.0.prefix];
        let found = Evaluation::of(xml).steps(vec![DOCUMENT], steps).map_err(|error| error.at(&self.0.source))?;
        Ok(found.is_empty())
    }
}

/// Leading `name` steps without predicates; of a path that ends with them, all but the last.
fn singular_prefix(expr: &Expr) -> usize {
    let Expr::Path(path) = expr else { return 0 };
    if matches!(path.start, Start::Filter(..)) {
        return 0;
    }
    let plain = |step: &&ast::Step| step.axis == Axis::Child && step.test.is_name() && step.predicates.is_empty();
    let leading = path.steps.iter().take_while(plain).count();
    leading.min(path.steps.len().saturating_sub(1))
}

impl PartialEq for XPath {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for XPath {}
