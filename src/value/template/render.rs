//! Renders parts against a context, on a budget. Values are borrowed; numbers keep the form they were received in.

use super::Place;
use super::ast::{Base, Operand, Part, What};
use super::escape;
use crate::value::context::Context;
use crate::value::expression::{Place as Found, Step, Value, follow, missing_name, same_number, step_into};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use std::borrow::Cow;
use std::cell::Cell;

/// Most bytes one template gives.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;
/// Most parts rendered, loops counted in full.
const MAX_PARTS: u32 = 1_000_000;

/// One rendering under way.
pub(super) struct Rendering<'c, 'a> {
    source: &'a str,
    place: Place,
    ctx: &'c Context<'a>,
    /// Length of the output before this template.
    start: usize,
    parts: Cell<u32>,
}

/// An `each` or `with` block under way.
struct Scope<'s, 'a> {
    item: Value<'a>,
    index: usize,
    key: Option<Cow<'a, str>>,
    last: bool,
    outer: Option<&'s Scope<'s, 'a>>,
}

type Scopes<'s, 'a> = Option<&'s Scope<'s, 'a>>;

impl<'c, 'a> Rendering<'c, 'a> {
    pub(super) fn new(source: &'a str, place: Place, ctx: &'c Context<'a>, start: usize) -> Self {
        Self { source, place, ctx, start, parts: Cell::new(0) }
    }

    /// Writes a whole template after `out`.
    pub(super) fn whole(&self, parts: &'a [Part], out: &mut String) -> Result<(), EvalError> {
        self.parts(parts, None, out)
    }

    fn parts(&self, parts: &'a [Part], scopes: Scopes<'_, 'a>, out: &mut String) -> Result<(), EvalError> {
        for part in parts {
            self.parts.set(self.parts.get() + 1);
            if self.parts.get() > MAX_PARTS {
                return Err(EvalError::Limit(format!("the template takes more than {MAX_PARTS} steps")));
            }
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { value, raw } => self.write(value, *raw, scopes, out)?,
                Part::If { test, zero, then, otherwise } => {
                    let yes = self.value(test, scopes)?.is_some_and(|value| is_truthy(&value, *zero));
                    self.parts(if yes { then } else { otherwise }, scopes, out)?;
                }
                Part::With { value, body, otherwise } => match self.value(value, scopes)? {
                    Some(item) if is_truthy(&item, true) => {
                        let scope = Scope { item, index: 0, key: None, last: true, outer: scopes };
                        self.parts(body, Some(&scope), out)?;
                    }
                    _ => self.parts(otherwise, scopes, out)?,
                },
                Part::Each { list, body, otherwise } => self.each(list, body, otherwise, scopes, out)?,
            }
            if out.len() - self.start > MAX_OUTPUT {
                return Err(EvalError::Limit("the template gives more than 16 MiB".to_owned()));
            }
        }
        Ok(())
    }

    fn write(&self, value: &'a Operand, raw: bool, scopes: Scopes<'_, 'a>, out: &mut String) -> Result<(), EvalError> {
        // Whole JSON stands in a JSON body as it is; that is what the helper is for.
        let raw = raw || self.place == Place::Json && matches!(value.what, What::Json(_));
        let found = self.value(value, scopes)?.ok_or_else(|| self.missing(value))?;
        escape::write(self.place, raw, &found.text(), out).map_err(|error| error.at(self.quote(value)))
    }

    fn each(
        &self,
        list: &'a Operand,
        body: &'a [Part],
        otherwise: &'a [Part],
        scopes: Scopes<'_, 'a>,
        out: &mut String,
    ) -> Result<(), EvalError> {
        let list = self.value(list, scopes)?;
        let mut items = match &list {
            Some(list) => entries(list),
            None => Box::new(std::iter::empty()),
        }
        .peekable();
        if items.peek().is_none() {
            return self.parts(otherwise, scopes, out);
        }
        let mut index = 0;
        while let Some((key, item)) = items.next() {
            let scope = Scope { item, index, key, last: items.peek().is_none(), outer: scopes };
            self.parts(body, Some(&scope), out)?;
            // A body without parts costs as well.
            self.parts.set(self.parts.get() + 1);
            index += 1;
        }
        Ok(())
    }

    /// The value of an operand; none when it is missing, which the caller tolerates or reports.
    fn value(&self, operand: &'a Operand, scopes: Scopes<'_, 'a>) -> Result<Option<Value<'a>>, EvalError> {
        Ok(Some(match &operand.what {
            What::Path(base, steps) => return self.path(base, steps, scopes),
            What::Text(text) => Value::Text(Cow::Borrowed(text)),
            What::Number(number) => Value::Json(JsonRef::trusted(number)),
            What::Bool(b) => Value::Bool(*b),
            What::Null => Value::Null,
            What::Default(value, fallback) => match self.value(value, scopes)? {
                Some(value) if !value.is_null() => value,
                _ => return self.value(fallback, scopes),
            },
            What::Equal(a, b) => {
                let (a, b) = (self.value(a, scopes)?, self.value(b, scopes)?);
                Value::Bool(equal(a.as_ref(), b.as_ref()))
            }
            What::Json(value) => {
                let Some(value) = self.value(value, scopes)? else { return Ok(None) };
                match value {
                    Value::Json(json) => Value::Text(Cow::Borrowed(json.text())),
                    other => {
                        let mut out = Vec::new();
                        other.write(&mut out)?;
                        Value::Text(Cow::Owned(String::from_utf8(out).unwrap_or_default()))
                    }
                }
            }
        }))
    }

    fn path(&self, base: &'a Base, steps: &'a [Step], scopes: Scopes<'_, 'a>) -> Result<Option<Value<'a>>, EvalError> {
        let found = match base {
            Base::Root(root) => match follow(self.ctx, *root, steps) {
                Some(place) => Some(place.value()),
                None => length_of(steps, |before| follow(self.ctx, *root, before).map(Found::value)),
            },
            Base::Unknown(name) => return Err(EvalError::Type(format!("`{name}` is not a known name"))),
            Base::Item(up) => {
                let item = scope(scopes, *up).map(|scope| &scope.item);
                let walk = |steps: &[Step]| steps.iter().try_fold(item?.clone(), step_into);
                walk(steps).or_else(|| length_of(steps, walk))
            }
            Base::Index(up) => scope(scopes, *up).map(number),
            Base::Key(up) => scope(scopes, *up).map(|scope| match &scope.key {
                Some(key) => Value::Text(key.clone()),
                None => number(scope),
            }),
            Base::First(up) => scope(scopes, *up).map(|scope| Value::Bool(scope.index == 0)),
            Base::Last(up) => scope(scopes, *up).map(|scope| Value::Bool(scope.last)),
        };
        Ok(found)
    }

    fn quote(&self, operand: &Operand) -> &'a str {
        self.source.get(operand.at.clone()).unwrap_or_default()
    }

    /// Says what is missing.
    fn missing(&self, operand: &Operand) -> EvalError {
        EvalError::Missing(match &operand.what {
            What::Path(Base::Root(root), steps) => missing_name(self.ctx, *root, steps),
            What::Path(Base::Item(_), _) => format!(
                "`{}` is missing in the item of its block; names from outside are written `@root.record.x` or `../x`",
                self.quote(operand)
            ),
            What::Default(_, fallback) => return self.missing(fallback),
            What::Json(value) => return self.missing(value),
            _ => format!("`{}` is missing", self.quote(operand)),
        })
    }
}

fn scope<'s, 'a>(scopes: Scopes<'s, 'a>, up: usize) -> Option<&'s Scope<'s, 'a>> {
    (0..up).try_fold(scopes?, |scope, _| scope.outer)
}

fn number<'a>(scope: &Scope<'_, '_>) -> Value<'a> {
    Value::Int(i128::try_from(scope.index).unwrap_or(0))
}

/// `x.length` of a text or list that has no such member of its own.
fn length_of<'a>(steps: &[Step], walk: impl FnOnce(&[Step]) -> Option<Value<'a>>) -> Option<Value<'a>> {
    let (Step::Member(last), before) = steps.split_last()? else { return None };
    if &**last != "length" {
        return None;
    }
    let length = match walk(before)? {
        Value::Json(json) => match json.kind() {
            Kind::Text => json.as_str()?.encode_utf16().count(),
            Kind::Array => json.items().count(),
            _ => return None,
        },
        Value::Text(text) => text.encode_utf16().count(),
        Value::List(items) => items.len(),
        _ => return None,
    };
    i128::try_from(length).ok().map(Value::Int)
}

/// Handlebars' truth: all but missing, null, false, 0, "" and []. An empty object is true.
fn is_truthy(value: &Value<'_>, zero: bool) -> bool {
    match value {
        Value::Undefined | Value::Null => false,
        Value::Bool(b) => *b,
        Value::Int(n) => zero || *n != 0,
        Value::Float(n) => zero || *n != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(_) => true,
        Value::Json(json) => json.is_truthy() || zero && json.kind() == Kind::Number,
    }
}

type Entry<'a> = (Option<Cow<'a, str>>, Value<'a>);

/// The items of a list, or the members of a map with their keys.
fn entries<'v, 'a: 'v>(value: &'v Value<'a>) -> Box<dyn Iterator<Item = Entry<'a>> + 'v> {
    match value {
        Value::Json(json) if json.kind() == Kind::Object => {
            Box::new(json.members().map(|(key, value)| (Some(key), Value::Json(value))))
        }
        Value::Json(json) => Box::new(json.items().map(|item| (None, Value::Json(item)))),
        Value::List(items) => Box::new(items.iter().map(|item| (None, item.clone()))),
        Value::Map(members) => Box::new(members.iter().map(|(key, value)| (Some(key.clone()), value.clone()))),
        _ => Box::new(std::iter::empty()),
    }
}

/// The helper `eq`: loose as documented, so `5` equals `"5"`; null equals missing.
fn equal(a: Option<&Value<'_>>, b: Option<&Value<'_>>) -> bool {
    let (a, b) = match (a.filter(|v| !v.is_null()), b.filter(|v| !v.is_null())) {
        (None, None) => return true,
        (Some(a), Some(b)) => (a, b),
        _ => return false,
    };
    match (scalar(a), scalar(b)) {
        (Some(("text", a)), Some(("text", b))) | (Some(("bool", a)), Some(("bool", b))) => a == b,
        (Some(("number", a)), Some(("number" | "text", b))) | (Some(("text", a)), Some(("number", b))) => {
            same_number(&a, &b)
        }
        (None, None) => a.text() == b.text(),
        _ => false,
    }
}

fn scalar<'a>(value: &Value<'a>) -> Option<(&'static str, Cow<'a, str>)> {
    let kind = match value {
        Value::Text(_) => "text",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::Json(json) => match json.kind() {
            Kind::Text => "text",
            Kind::Bool => "bool",
            Kind::Number => "number",
            _ => return None,
        },
        _ => return None,
    };
    Some((kind, value.text()))
}
