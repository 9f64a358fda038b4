//! Paths into JSON: JSONPath, or plain dotted paths. Plain ones (names, indexes, `[*]`) are compiled to a walk
//! over text and never reach the query engine; the rest begins with such a walk and ends in the engine.

mod compile;
mod engine;
mod node;
mod walk;

pub(crate) use compile::looks_like_json_path;

use super::context::{Context, Slot};
use super::issue::{EvalError, Issue};
use super::json::{JsonRef, Kind};
use super::record::Record;
use std::sync::Arc;

/// Longest path accepted, in bytes.
pub const MAX_LENGTH: usize = 1024;

/// A compiled path.
#[derive(Debug, Clone)]
pub struct Path {
    source: Arc<str>,
    /// The longest prefix that can name one place only.
    prefix: Arc<[Segment]>,
    rest: Rest,
}

/// One step of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Name(String),
    Index(i64),
    Wildcard,
}

/// What follows the singular prefix.
#[derive(Debug, Clone)]
enum Rest {
    /// Nothing: the path is singular.
    Nothing,
    /// Names, indexes and wildcards.
    Walk(Arc<[Segment]>),
    /// Anything else.
    Query(Arc<engine::Query>),
}

/// What a path found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection<'a> {
    /// Its longest singular prefix is absent.
    Missing,
    /// A singular path's value.
    One(JsonRef<'a>),
    /// Any other path's values, possibly none.
    Many(Vec<JsonRef<'a>>),
}

impl<'a> Selection<'a> {
    /// The values as a list of records or items: a singular path's array is spread, its object (or plain value)
    /// is one item, missing and null are none. The values of any other path are taken as they are.
    pub fn spread(self) -> Vec<JsonRef<'a>> {
        match self {
            Self::Missing => Vec::new(),
            Self::One(value) => match value.kind() {
                Kind::Null => Vec::new(),
                Kind::Array => value.items().collect(),
                _ => vec![value],
            },
            Self::Many(values) => values,
        }
    }

    /// The only or the first value.
    pub fn first(&self) -> Option<JsonRef<'a>> {
        match self {
            Self::Missing => None,
            Self::One(value) => Some(*value),
            Self::Many(values) => values.first().copied(),
        }
    }

    /// Writes the selection as JSON: one value as it stands, several as a list.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Missing => out.extend_from_slice(b"null"),
            Self::One(value) => out.extend_from_slice(value.text().as_bytes()),
            Self::Many(values) => {
                out.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(value.text().as_bytes());
                }
                out.push(b']');
            }
        }
    }
}

impl Path {
    /// Compiles `$…` (JSONPath) or a dotted path (`data.items`, `items[0].id`, `["a.b"].c`).
    pub fn compile(text: &str) -> Result<Self, Vec<Issue>> {
        compile::compile(text).map_err(|issue| vec![issue])
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it can name one place only.
    pub fn is_singular(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// Evaluates over a JSON value.
    pub fn select<'a>(&self, json: JsonRef<'a>) -> Result<Selection<'a>, EvalError> {
        self.finish(walk::singular(json, &self.prefix), json)
    }

    /// Evaluates over a record, using its index.
    pub fn select_record<'a>(&self, record: &'a Record) -> Result<Selection<'a>, EvalError> {
        let found = match self.prefix.split_first() {
            Some((Segment::Name(name), rest)) => record.get(name).and_then(|value| walk::singular(value, rest)),
            _ => walk::singular(record.json().as_ref(), &self.prefix),
        };
        self.finish(found, record.json().as_ref())
    }

    /// Evaluates over what `$` means in this context.
    pub fn select_current<'a>(&self, ctx: &Context<'a>) -> Result<Selection<'a>, EvalError> {
        self.select_slot(ctx.current())
    }

    /// Evaluates over what a context offers under one name. Of a map of slots, one part must be named.
    pub fn select_slot<'a>(&self, slot: Slot<'a>) -> Result<Selection<'a>, EvalError> {
        match slot {
            Slot::Json(json) => self.select(json),
            Slot::Record(record) => self.select_record(record),
            Slot::Map(parts) => self.select_part(parts),
            Slot::None => Err(EvalError::Missing(format!("`{}`: there is no record here", self.source))),
            Slot::Records(_) | Slot::Text(_) | Slot::Number(_) | Slot::Headers(_) | Slot::Named(_) => {
                Err(EvalError::Type(format!("`{}`: `$` is no JSON value here", self.source)))
            }
        }
    }

    fn select_part<'a>(&self, parts: &'a [(&'a str, Slot<'a>)]) -> Result<Selection<'a>, EvalError> {
        let Some((Segment::Name(name), rest)) = self.prefix.split_first() else {
            return Err(EvalError::Type(format!("`{}`: name a part of `$` here", self.source)));
        };
        match parts.iter().find(|(part, _)| part == name).map(|(_, slot)| *slot) {
            None | Some(Slot::None) => Ok(Selection::Missing),
            Some(Slot::Json(json)) => self.finish(walk::singular(json, rest), json),
            Some(Slot::Record(record)) => {
                let json = record.json().as_ref();
                self.finish(walk::singular(json, rest), json)
            }
            Some(_) => Err(EvalError::Type(format!("`{}`: `$.{name}` is no JSON value here", self.source))),
        }
    }

    /// From the value at the end of the singular prefix to the selection.
    fn finish<'a>(&self, found: Option<JsonRef<'a>>, root: JsonRef<'a>) -> Result<Selection<'a>, EvalError> {
        let Some(value) = found else { return Ok(Selection::Missing) };
        match &self.rest {
            Rest::Nothing => Ok(Selection::One(value)),
            Rest::Walk(segments) => Ok(Selection::Many(walk::plural(value, segments))),
            Rest::Query(query) => query.select(value, root).map(Selection::Many).map_err(|e| e.at(&self.source)),
        }
    }

    /// The literal member names of a plain path, for `in = "body"` paging parameters: none where the path holds
    /// anything but names.
    pub fn plain_members(&self) -> Option<Vec<&str>> {
        if !self.is_singular() {
            return None;
        }
        let name = |segment: &'_ Segment| matches!(segment, Segment::Name(_));
        if !self.prefix.iter().all(name) {
            return None;
        }
        Some(self.prefix.iter().filter_map(Segment::name).collect())
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Path {}

#[cfg(test)]
mod tests;
