//! Paths into JSON: JSONPath, or plain dotted paths. Plain ones are compiled to a walk over text and never
//! reach the query engine.

use super::context::Context;
use super::issue::{EvalError, Issue};
use super::json::JsonRef;
use super::record::Record;

/// A compiled path.
#[derive(Debug, Clone)]
pub struct Path {
    source: String,
}

/// What a path found.
pub enum Selection<'a> {
    /// Its longest singular prefix is absent.
    Missing,
    /// A singular path's value.
    One(JsonRef<'a>),
    /// Any other path's values, possibly none. Owned text where the query engine had to build it.
    Many(Vec<JsonRef<'a>>),
}

impl Path {
    /// Compiles `$…` (JSONPath) or a dotted path (`data.items`, `items[0].id`, `["a.b"].c`).
    pub fn compile(_text: &str) -> Result<Self, Vec<Issue>> {
        todo!()
    }
    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// Whether it can name one place only.
    pub fn is_singular(&self) -> bool {
        todo!()
    }
    /// Evaluates over a JSON value.
    pub fn select<'a>(&self, _json: JsonRef<'a>) -> Result<Selection<'a>, EvalError> {
        todo!()
    }
    /// Evaluates over a record, using its index.
    pub fn select_record<'a>(&self, _record: &'a Record) -> Result<Selection<'a>, EvalError> {
        todo!()
    }
    /// Evaluates over what `$` means in this context.
    pub fn select_current<'a>(&self, _ctx: &Context<'a>) -> Result<Selection<'a>, EvalError> {
        todo!()
    }
    /// Writes values into a copy of `body` is not offered: paths only read. The literal member names of a plain
    /// path, for `in = "body"` paging parameters.
    pub fn plain_members(&self) -> Option<Vec<&str>> {
        todo!()
    }
}
