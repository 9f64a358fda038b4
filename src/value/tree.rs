//! Value trees (FORMAT.md section 3): a TOML value whose string leaves are expressions, paths, templates or
//! constants, compiled once and written straight to JSON bytes.

use super::context::{Context, Reference};
use super::expression::Expression;
use super::issue::{EvalError, Issue};
use super::json::Json;
use super::path::Path;
use super::template::Template;

/// A compiled tree.
#[derive(Debug, Clone)]
pub enum Tree {
    /// A value that never changes.
    Constant(Json),
    /// `= …`
    Expression(Expression),
    /// `$…` over the record (or item), type kept.
    Path(Path),
    /// Text with `{{`; gives a string.
    Template(Template),
    /// `{ pick = … }`
    Pick(Box<Pick>),
    /// `{ each = …, body = … }`
    Each(Box<Each>),
    /// `{ concat = [ … ] }`
    Concat(Vec<Tree>),
    /// A table.
    Object(Vec<(String, Tree)>),
    /// An array.
    List(Vec<Tree>),
}

/// `{ pick, default, optional, as }`; `pick` may be any value leaf.
#[derive(Debug, Clone)]
pub struct Pick {
    /// What to take.
    pub pick: Tree,
    /// Replaces missing and null.
    pub default: Option<Tree>,
    /// Leaves the field out instead of failing.
    pub optional: bool,
    /// Conversion.
    pub convert: Option<Convert>,
    /// Include only when true.
    pub when: Option<Expression>,
}

/// `{ each = path, body = tree }`
#[derive(Debug, Clone)]
pub struct Each {
    /// The items: an object counts as one, missing or null as none.
    pub path: Path,
    /// Written per item.
    pub body: Tree,
}

/// `as = …`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convert {
    /// Text.
    String,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// A truth value.
    Boolean,
    /// Text parsed as JSON.
    Json,
}

/// What writing a tree did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// A value was written.
    Value,
    /// An optional value is absent: nothing was written.
    Absent,
}

impl Tree {
    /// Compiles one string leaf by its look (`=`, `$`, `{{`, else constant).
    pub fn leaf(_text: &str) -> Result<Self, Vec<Issue>> {
        todo!()
    }
    /// Writes the tree as JSON after `out`.
    pub fn write(&self, _ctx: &Context<'_>, _out: &mut Vec<u8>) -> Result<Written, EvalError> {
        todo!()
    }
    /// Writes the tree and takes the result as text (headers, query values): strings bare, others as JSON.
    pub fn text(&self, _ctx: &Context<'_>) -> Result<Option<String>, EvalError> {
        todo!()
    }
    /// Every name the tree reads.
    pub fn references(&self) -> Vec<&Reference> {
        todo!()
    }
}
