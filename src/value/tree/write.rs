//! Writing a tree: one pass, straight to bytes, within fixed budgets. The place of an error is put together on
//! the way out, so that success pays nothing for it.

use super::{Each, LookUp, MAX_DEPTH, MAX_ITEMS, MAX_OUTPUT, Pick, Tree, Written, convert};
use crate::value::context::{Context, Purse, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind, write_string};
use crate::value::path::{Path, Selection};
use crate::value::template::Template;

pub(super) fn write(tree: &Tree, ctx: &Context<'_>, out: &mut Vec<u8>) -> Result<Written, EvalError> {
    let start = out.len();
    let mut writer = Writer { out, start, items: 0, text: String::new() };
    let purse = Purse::default();
    writer.tree(tree, &ctx.with_purse(&purse), 0).map_err(|failure| {
        out.truncate(start);
        failure.into_error()
    })
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, EvalError> {
    std::str::from_utf8(bytes).map_err(|_| EvalError::Refused("the result is not UTF-8".to_owned()))
}

/// An error and the place inside the tree where it arose, as far as known: `lines[2].qty`.
struct Failure {
    error: EvalError,
    place: String,
}

impl Failure {
    fn field(mut self, name: &str) -> Self {
        let dot = if self.place.is_empty() || self.place.starts_with('[') { "" } else { "." };
        self.place = format!("{name}{dot}{}", self.place);
        self
    }

    fn item(mut self, index: usize) -> Self {
        let dot = if self.place.is_empty() || self.place.starts_with('[') { "" } else { "." };
        self.place = format!("[{index}]{dot}{}", self.place);
        self
    }

    fn into_error(self) -> EvalError {
        if self.place.is_empty() { self.error } else { self.error.at(&self.place) }
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        Self { error, place: String::new() }
    }
}

/// What a table has for a value.
fn looked_up(look_up: &LookUp, value: JsonRef<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let (name, table) = (look_up.name(), &look_up.table);
    let found = match value.kind() {
        Kind::Text | Kind::Number | Kind::Bool => table.get(&value.compare_text()),
        Kind::Null => table.default_row(),
        kind @ (Kind::Array | Kind::Object) => {
            let message = format!("table `{name}` looks up text or a number, not {}", kind.name());
            return Err(EvalError::Type(message));
        }
    };
    let found = found.ok_or_else(|| {
        EvalError::Missing(format!("table `{name}` has no row for this {} and no `default`", kind_noun(value.kind())))
    })?;
    out.extend_from_slice(found.text().as_bytes());
    Ok(())
}

fn kind_noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "number",
        Kind::Bool => "truth value",
        Kind::Null => "null",
        _ => "text",
    }
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    items: usize,
    /// Kept between template leaves, for its capacity.
    text: String,
}

impl Writer<'_> {
    fn tree(&mut self, tree: &Tree, ctx: &Context<'_>, depth: usize) -> Result<Written, Failure> {
        if depth > MAX_DEPTH {
            return Err(EvalError::Limit(format!("the value nests deeper than {MAX_DEPTH} levels")).into());
        }
        let written = match tree {
            Tree::Constant(json) => {
                self.out.extend_from_slice(json.text().as_bytes());
                Written::Value
            }
            Tree::Path(path) => self.path(path, ctx)?,
            Tree::Expression(expression) => {
                expression.eval(ctx)?.write(self.out)?;
                Written::Value
            }
            Tree::Template(template) => self.template(template, ctx)?,
            Tree::Object(fields) => self.object(fields, ctx, depth)?,
            Tree::List(items) => self.list(items, ctx, depth)?,
            Tree::Pick(pick) => self.pick(pick, ctx, depth)?,
            Tree::Each(each) => self.each(each, ctx, depth)?,
            Tree::Concat(parts) => self.concat(parts, ctx, depth)?,
        };
        if self.out.len() - self.start > MAX_OUTPUT {
            return Err(EvalError::Limit(format!("the value is larger than {} MiB", MAX_OUTPUT >> 20)).into());
        }
        Ok(written)
    }

    fn path(&mut self, path: &Path, ctx: &Context<'_>) -> Result<Written, Failure> {
        let selection = path.select_current(ctx)?;
        if selection == Selection::Missing && ctx.missing_is_empty() {
            self.out.extend_from_slice(b"null");
            return Ok(Written::Value);
        }
        if selection == Selection::Missing {
            return Err(EvalError::Missing(format!("`{}` is missing", path.source())).into());
        }
        selection.write(self.out);
        Ok(Written::Value)
    }

    fn template(&mut self, template: &Template, ctx: &Context<'_>) -> Result<Written, Failure> {
        self.text.clear();
        template.render(ctx, &mut self.text)?;
        write_string(self.out, &self.text);
        Ok(Written::Value)
    }

    fn object(&mut self, fields: &[(String, Tree)], ctx: &Context<'_>, depth: usize) -> Result<Written, Failure> {
        self.out.push(b'{');
        let first = self.out.len();
        for (name, tree) in fields {
            let mark = self.out.len();
            if mark > first {
                self.out.push(b',');
            }
            write_string(self.out, name);
            self.out.push(b':');
            if self.tree(tree, ctx, depth + 1).map_err(|failure| failure.field(name))? == Written::Absent {
                self.out.truncate(mark);
            }
        }
        self.out.push(b'}');
        Ok(Written::Value)
    }

    fn list(&mut self, items: &[Tree], ctx: &Context<'_>, depth: usize) -> Result<Written, Failure> {
        self.out.push(b'[');
        let first = self.out.len();
        for (index, tree) in items.iter().enumerate() {
            self.item(tree, ctx, depth, first).map_err(|failure| failure.item(index))?;
        }
        self.out.push(b']');
        Ok(Written::Value)
    }

    /// One item of a list whose first item begins at `first`.
    fn item(&mut self, tree: &Tree, ctx: &Context<'_>, depth: usize, first: usize) -> Result<(), Failure> {
        let mark = self.out.len();
        if mark > first {
            self.out.push(b',');
        }
        if self.tree(tree, ctx, depth + 1)? == Written::Absent {
            self.out.truncate(mark);
        }
        Ok(())
    }

    fn each(&mut self, each: &Each, ctx: &Context<'_>, depth: usize) -> Result<Written, Failure> {
        let items = each.path.select_current(ctx)?.spread();
        let outer = ctx.with(Root::Parent, ctx.current());
        self.out.push(b'[');
        let first = self.out.len();
        for (index, item) in items.into_iter().enumerate() {
            self.items += 1;
            if self.items > MAX_ITEMS {
                return Err(EvalError::Limit(format!("`each` visits more than {MAX_ITEMS} items")).into());
            }
            let number = i64::try_from(index).unwrap_or(i64::MAX);
            let inner = outer.with(Root::Item, Slot::Json(item)).with(Root::Index, Slot::Number(number));
            self.item(&each.body, &inner, depth, first).map_err(|failure| failure.item(index))?;
        }
        self.out.push(b']');
        Ok(Written::Value)
    }

    fn concat(&mut self, parts: &[Tree], ctx: &Context<'_>, depth: usize) -> Result<Written, Failure> {
        self.out.push(b'[');
        let first = self.out.len();
        for (index, part) in parts.iter().enumerate() {
            let mark = self.out.len();
            self.joined(part, ctx, depth, mark > first).map_err(|failure| failure.item(index).field("concat"))?;
        }
        self.out.push(b']');
        Ok(Written::Value)
    }

    /// Writes a list without its brackets, with a comma before it when `more` stands there already.
    fn joined(&mut self, part: &Tree, ctx: &Context<'_>, depth: usize, more: bool) -> Result<(), Failure> {
        let mark = self.out.len();
        if self.tree(part, ctx, depth + 1)? == Written::Absent {
            return Ok(());
        }
        let list = self.out.split_off(mark);
        let value = JsonRef::trusted(utf8(&list)?);
        if value.kind() != Kind::Array {
            let message = format!("`concat` joins lists, but this is {}", value.kind().name());
            return Err(EvalError::Type(message).into());
        }
        let inner = value.text().strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default().trim();
        if !inner.is_empty() {
            if more {
                self.out.push(b',');
            }
            self.out.extend_from_slice(inner.as_bytes());
        }
        Ok(())
    }

    fn pick(&mut self, pick: &Pick, ctx: &Context<'_>, depth: usize) -> Result<Written, Failure> {
        if let Some(condition) = &pick.when
            && !condition.test(ctx)?
        {
            return Ok(Written::Absent);
        }
        let mark = self.out.len();
        let missing = match self.tree(&pick.pick, ctx, depth + 1) {
            Ok(Written::Value) => None,
            Ok(Written::Absent) => Some(EvalError::Missing("the value is missing".to_owned()).into()),
            Err(failure) if failure.error.is_missing() => Some(failure),
            Err(failure) => return Err(failure),
        };
        let null = missing.is_none() && self.out.get(mark..) == Some(b"null");
        match (&pick.default, missing) {
            (Some(default), missing) if null || missing.is_some() => {
                self.out.truncate(mark);
                if self.tree(default, ctx, depth + 1)? == Written::Absent {
                    return Ok(Written::Absent);
                }
            }
            (_, None) => {}
            (_, Some(_)) if pick.optional => {
                self.out.truncate(mark);
                return Ok(Written::Absent);
            }
            (_, Some(failure)) => return Err(failure),
        }
        if let Some(look_up) = &pick.table {
            self.rewrite(mark, |value, out| looked_up(look_up, value, out))?;
        }
        if let Some(to) = pick.convert {
            self.rewrite(mark, |value, out| convert::convert(value, to, out))?;
        }
        if let Some(date) = &pick.date {
            self.rewrite(mark, |value, out| date.write(value, out))?;
        }
        Ok(Written::Value)
    }

    /// Puts another value in place of the one that begins at `mark`.
    fn rewrite(
        &mut self,
        mark: usize,
        change: impl FnOnce(JsonRef<'_>, &mut Vec<u8>) -> Result<(), EvalError>,
    ) -> Result<(), Failure> {
        let value = self.out.split_off(mark);
        Ok(change(JsonRef::trusted(utf8(&value)?), self.out)?)
    }
}
