//! Value trees (FORMAT.md section 3): a TOML value whose string leaves are expressions, paths, templates or
//! constants, compiled once and written straight to JSON bytes.

mod convert;
pub mod date;
mod derived;
mod write;

use super::context::{Context, Reference};
use super::expression::Expression;
use super::issue::{EvalError, Issue};
use super::json::{Json, JsonRef, write_string};
use super::path::{Path, looks_like_json_path};
use super::table::Table;
use super::template::{Place, Template};

/// Most bytes one evaluation may write.
pub const MAX_OUTPUT: usize = 16 << 20;

/// Deepest tree that is written.
pub const MAX_DEPTH: usize = 64;

/// Most items all `each` of one evaluation may visit together.
pub const MAX_ITEMS: usize = 1_000_000;

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

/// `{ pick, default, optional, table, as, date, when }`; `pick` may be any value leaf.
#[derive(Debug, Clone)]
pub struct Pick {
    /// What to take.
    pub pick: Tree,
    /// Replaces missing and null.
    pub default: Option<Tree>,
    /// Leaves the field out instead of failing where the value is missing. A null stays a null.
    pub optional: bool,
    /// `table`: what it is called there, the default too.
    pub table: Option<LookUp>,
    /// Conversion, of the default too.
    pub convert: Option<Convert>,
    /// `date`: another form of the same time.
    pub date: Option<date::Date>,
    /// Include only when true; looked at first.
    pub when: Option<Expression>,
}

/// `table = "…"`
#[derive(Debug, Clone)]
pub struct LookUp {
    /// Its rows.
    pub table: Table,
    /// Its name, as a reference to [`super::context::TABLES`].
    pub read: Reference,
}

impl LookUp {
    fn name(&self) -> &str {
        self.read.members.first().map_or("", String::as_str)
    }
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

impl Convert {
    /// All of them, for messages.
    pub const ALL: &'static [Self] = &[Self::String, Self::Number, Self::Integer, Self::Boolean, Self::Json];

    /// The word written after `as =`.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Json => "json",
        }
    }

    /// Finds a conversion by its word.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|convert| convert.name() == name)
    }
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
    pub fn leaf(text: &str) -> Result<Self, Vec<Issue>> {
        Self::leaf_at(text, Place::Plain)
    }

    /// Compiles one string leaf whose template text will stand at this place (a header, say).
    pub fn leaf_at(text: &str, place: Place) -> Result<Self, Vec<Issue>> {
        if let Some(expression) = text.strip_prefix('=') {
            return Expression::compile(expression).map(Self::Expression).map_err(|issues| shifted(issues, 1));
        }
        if looks_like_json_path(text) {
            return Path::compile(text).map(Self::Path);
        }
        if text.contains("{{") {
            return Template::compile(text, place).map(Self::Template);
        }
        Ok(Self::text_constant(text))
    }

    /// A string that never changes, whatever its look.
    pub fn text_constant(text: &str) -> Self {
        let mut out = Vec::new();
        write_string(&mut out, text);
        Self::Constant(Json::trusted(out))
    }

    /// Writes the tree as JSON after `out`. After an error `out` is as it was.
    pub fn write(&self, ctx: &Context<'_>, out: &mut Vec<u8>) -> Result<Written, EvalError> {
        write::write(self, ctx, out)
    }

    /// Evaluates into a value of its own; none when an optional value is absent.
    pub fn json(&self, ctx: &Context<'_>) -> Result<Option<Json>, EvalError> {
        let mut out = Vec::new();
        Ok(match self.write(ctx, &mut out)? {
            Written::Value => Some(Json::trusted(out)),
            Written::Absent => None,
        })
    }

    /// Evaluates and takes the result as text (headers, query values): strings bare, others as JSON.
    pub fn text(&self, ctx: &Context<'_>) -> Result<Option<String>, EvalError> {
        if let Self::Template(template) = self {
            let mut out = String::new();
            return template.render(ctx, &mut out).map(|()| Some(out));
        }
        let mut out = Vec::new();
        if self.write(ctx, &mut out)? == Written::Absent {
            return Ok(None);
        }
        let text = write::utf8(&out)?;
        Ok(Some(JsonRef::trusted(text).compare_text().into_owned()))
    }

    /// Whether nothing in it depends on a context.
    pub fn is_constant(&self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Expression(_) | Self::Path(_) | Self::Template(_) | Self::Pick(_) | Self::Each(_) => false,
            Self::Concat(parts) | Self::List(parts) => parts.iter().all(Self::is_constant),
            Self::Object(fields) => fields.iter().all(|(_, tree)| tree.is_constant()),
        }
    }

    /// Every name the tree reads.
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    /// The names it cannot do without: neither a text nor a leaf's `default`, `optional` or `when` tolerates that they
    /// are missing.
    pub fn needs(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.collect_needs(&mut found);
        found
    }

    fn collect_needs<'t>(&'t self, found: &mut Vec<&'t Reference>) {
        match self {
            Self::Pick(pick) if pick.optional || pick.default.is_some() => {}
            Self::Pick(pick) => {
                let mut read = pick.pick.needs();
                let guards = pick.when.iter().flat_map(Expression::references);
                let guards: Vec<_> = guards.map(|guard| (&guard.root, &guard.members)).collect();
                read.retain(|one| !guards.contains(&(&one.root, &one.members)));
                found.extend(read);
            }
            Self::Each(each) => each.body.collect_needs(found),
            Self::Concat(parts) | Self::List(parts) => parts.iter().for_each(|part| part.collect_needs(found)),
            Self::Object(fields) => fields.iter().for_each(|(_, tree)| tree.collect_needs(found)),
            Self::Constant(_) | Self::Path(_) | Self::Expression(_) | Self::Template(_) => {
                found.extend(self.references().into_iter().filter(|read| !read.tolerant));
            }
        }
    }

    fn collect<'t>(&'t self, found: &mut Vec<&'t Reference>) {
        match self {
            Self::Constant(_) | Self::Path(_) => {}
            Self::Expression(expression) => found.extend(expression.references()),
            Self::Template(template) => found.extend(template.references()),
            Self::Pick(pick) => {
                pick.pick.collect(found);
                found.extend(pick.when.iter().flat_map(Expression::references));
                pick.default.iter().for_each(|default| default.collect(found));
                found.extend(pick.table.iter().map(|look_up| &look_up.read));
            }
            Self::Each(each) => each.body.collect(found),
            Self::Concat(parts) | Self::List(parts) => parts.iter().for_each(|part| part.collect(found)),
            Self::Object(fields) => fields.iter().for_each(|(_, tree)| tree.collect(found)),
        }
    }
}

/// Places counted from the start of the whole text.
fn shifted(mut issues: Vec<Issue>, by: usize) -> Vec<Issue> {
    for issue in &mut issues {
        issue.at = issue.at.start + by..issue.at.end + by;
    }
    issues
}

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth;
