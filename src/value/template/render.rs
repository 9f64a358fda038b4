//! Renders parts against a context, on a budget. Values are borrowed; numbers keep the form they were received in.

use super::Place;
use super::ast::{Base, Bound, Operand, Part, Told, What};
use super::escape;
use crate::value::context::{Context, Root};
use crate::value::expression::{Place as Found, Step, Value, follow, length_of, missing_name, step_into};
use crate::value::function::{self, Budget, Call, Escapes};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use std::borrow::Cow;
use std::cell::Cell;

/// Most bytes one template gives.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;
/// Most parts rendered, loops counted in full, and steps of helpers.
const MAX_PARTS: usize = 1_000_000;
/// Most bytes of text that helpers produce on the way.
const MAX_PRODUCED: usize = 4 * MAX_OUTPUT;

/// One rendering under way.
pub(super) struct Rendering<'c, 'a> {
    source: &'a str,
    place: Place,
    ctx: &'c Context<'a>,
    /// Length of the output before this template.
    start: usize,
    parts: Cell<usize>,
    produced: Cell<usize>,
}

/// A block under way that opens a level.
struct Scope<'s, 'a> {
    /// None where it goes on with what is outside.
    item: Option<Value<'a>>,
    turn: Option<Turn<'a>>,
    outer: Option<&'s Scope<'s, 'a>>,
}

/// One turn of a loop.
struct Turn<'a> {
    index: usize,
    key: Option<Cow<'a, str>>,
    last: bool,
}

type Scopes<'s, 'a> = Option<&'s Scope<'s, 'a>>;

impl<'c, 'a> Rendering<'c, 'a> {
    pub(super) fn new(source: &'a str, place: Place, ctx: &'c Context<'a>, start: usize) -> Self {
        Self { source, place, ctx, start, parts: Cell::new(0), produced: Cell::new(0) }
    }

    /// Writes a whole template after `out`.
    pub(super) fn whole(&self, parts: &'a [Part], out: &mut String) -> Result<(), EvalError> {
        self.parts(parts, None, out)
    }

    /// Takes what was used up from what all evaluations of a value have together.
    pub(super) fn pay(&self) -> Result<(), EvalError> {
        self.ctx.pay(self.parts.get())
    }

    fn parts(&self, parts: &'a [Part], scopes: Scopes<'_, 'a>, out: &mut String) -> Result<(), EvalError> {
        for part in parts {
            self.spend(1)?;
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { value, raw } => self.write(value, *raw, scopes, out)?,
                Part::If { test, zero, then, otherwise } => {
                    let yes = self.value(test, scopes)?.is_some_and(|value| is_truthy(&value, *zero));
                    self.parts(if yes { then } else { otherwise }, scopes, out)?;
                }
                Part::With { value, body, otherwise } => match self.value(value, scopes)? {
                    Some(item) if is_truthy(&item, true) => {
                        let scope = Scope { item: Some(item), turn: None, outer: scopes };
                        self.parts(body, Some(&scope), out)?;
                    }
                    _ => self.parts(otherwise, scopes, out)?,
                },
                Part::Each { list, body, otherwise } => {
                    let list = self.value(list, scopes)?;
                    self.each(list.as_ref(), body, otherwise, scopes, out)?;
                }
                Part::Section { value, body, otherwise } => self.section(value, body, otherwise, scopes, out)?,
            }
            if out.len() - self.start > MAX_OUTPUT {
                return Err(EvalError::Limit("the template gives more than 16 MiB".to_owned()));
            }
        }
        Ok(())
    }

    fn write(&self, value: &'a Operand, raw: bool, scopes: Scopes<'_, 'a>, out: &mut String) -> Result<(), EvalError> {
        let Some(found) = self.value(value, scopes)? else {
            return if self.ctx.missing_is_empty() { Ok(()) } else { Err(self.missing(value)) };
        };
        self.fits_uri(&found, out).map_err(|error| error.at(self.quote(value)))?;
        let text = match (self.place, raw) {
            // A list as it is, where only JSON can stand.
            (Place::Json, true) => found.text(),
            _ => function::printed(&found, self)?,
        };
        let escaped = match &value.what {
            What::Call(bound) => bound.function.escapes(),
            _ => None,
        };
        // What a helper has escaped for its place stands as it is.
        if matches!((self.place, escaped), (Place::Json, Some(Escapes::Json)) | (Place::Uri, Some(Escapes::Uri))) {
            out.push_str(&text);
            return Ok(());
        }
        escape::write(self.place, raw, &text, out).map_err(|error| error.at(self.quote(value)))
    }

    /// What stands in a URI is one value: JSON or values with commas between them are never the name of a thing. A list
    /// may stand in the query.
    fn fits_uri(&self, found: &Value<'_>, out: &str) -> Result<(), EvalError> {
        let in_query = match self.place {
            Place::Uri => out[self.start..].contains('?'),
            Place::Link => false,
            _ => return Ok(()),
        };
        match found.type_name() {
            "a map" => Err(EvalError::Type("an object cannot stand in a URI; name one of its members".to_owned())),
            "a list" if !in_query => Err(EvalError::Type(
                "a list cannot stand in the path of a URI; name one item, or join them: `{{join \",\" x}}`".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// As the reference engine renders a block whose name is no helper.
    fn section(
        &self,
        value: &'a Operand,
        body: &'a [Part],
        otherwise: &'a [Part],
        scopes: Scopes<'_, 'a>,
        out: &mut String,
    ) -> Result<(), EvalError> {
        let found = self.value(value, scopes)?.map(Value::decoded);
        let item = match found {
            None | Some(Value::Undefined | Value::Null | Value::Bool(false)) => {
                return self.parts(otherwise, scopes, out);
            }
            Some(list) if list.type_name() == "a list" => {
                return self.each(Some(&list), body, otherwise, scopes, out);
            }
            Some(Value::Bool(true)) => None,
            item => item,
        };
        self.parts(body, Some(&Scope { item, turn: None, outer: scopes }), out)
    }

    fn each(
        &self,
        list: Option<&Value<'a>>,
        body: &'a [Part],
        otherwise: &'a [Part],
        scopes: Scopes<'_, 'a>,
        out: &mut String,
    ) -> Result<(), EvalError> {
        let mut items = match list {
            Some(list) => entries(list),
            None => Box::new(std::iter::empty()),
        }
        .peekable();
        if items.peek().is_none() {
            return self.parts(otherwise, scopes, out);
        }
        let mut index = 0;
        while let Some((key, item)) = items.next() {
            let turn = Some(Turn { index, key, last: items.peek().is_none() });
            let scope = Scope { item: Some(item), turn, outer: scopes };
            self.parts(body, Some(&scope), out)?;
            // A body without parts costs as well.
            self.spend(1)?;
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
            What::Call(bound) => return self.call(bound, scopes),
        }))
    }

    fn call(&self, bound: &'a Bound, scopes: Scopes<'_, 'a>) -> Result<Option<Value<'a>>, EvalError> {
        let tolerant = bound.function.tolerant || self.ctx.missing_is_empty();
        let argument = |operand: &'a Operand| match self.value(operand, scopes)? {
            None if !tolerant => Err(self.missing(operand)),
            found => Ok(found.unwrap_or(Value::Undefined)),
        };
        let values = bound.arguments.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        let named = bound.named.iter().map(|(name, operand)| Ok((name.as_str(), argument(operand)?)));
        let named = named.collect::<Result<Vec<_>, EvalError>>()?;
        let pattern = bound.pattern.as_ref();
        let found = Call { function: bound.function, values, named, pattern, budget: self, ctx: self.ctx }.run()?;
        Ok(Some(found).filter(|found| !matches!(found, Value::Undefined)))
    }

    fn path(&self, base: &'a Base, steps: &'a [Step], scopes: Scopes<'_, 'a>) -> Result<Option<Value<'a>>, EvalError> {
        let item = |item: Option<&Value<'a>>, steps: &'a [Step]| {
            let walk = |steps: &[Step]| steps.iter().try_fold(item?.clone(), step_into);
            walk(steps).or_else(|| length_of(steps, walk))
        };
        let found = match base {
            Base::Root(root) => self.rooted(*root, steps),
            Base::Unknown(name) => return Err(EvalError::Type(format!("`{name}` is not a known name"))),
            Base::Item(up) => item(scope(scopes, *up).and_then(|scope| scope.item.as_ref()), steps),
            Base::Up(up) => {
                let mut items =
                    std::iter::successors(scopes, |scope| scope.outer).filter_map(|scope| scope.item.as_ref());
                match items.nth(*up) {
                    Some(found) => item(Some(found), steps),
                    None => self.by_root_name(steps),
                }
            }
            Base::Key(up) => scope(scopes, *up).and_then(|scope| scope.turn.as_ref()).map(key),
            Base::Loop(told, up) => {
                let mut turns =
                    std::iter::successors(scopes, |scope| scope.outer).filter_map(|scope| scope.turn.as_ref());
                turns.nth(*up).map(|turn| match told {
                    Told::Index => number(turn),
                    Told::Key => key(turn),
                    Told::First => Value::Bool(turn.index == 0),
                    Told::Last => Value::Bool(turn.last),
                })
            }
        };
        Ok(found)
    }

    fn rooted(&self, root: Root, steps: &'a [Step]) -> Option<Value<'a>> {
        match follow(self.ctx, root, steps) {
            Some(place) => Some(place.value()),
            None => length_of(steps, |before| follow(self.ctx, root, before).map(Found::value)),
        }
    }

    /// Outside all blocks: the first step names a root.
    fn by_root_name(&self, steps: &'a [Step]) -> Option<Value<'a>> {
        match steps.split_first()? {
            (Step::Member(name), steps) => self.rooted(Root::by_name(name)?, steps),
            _ => None,
        }
    }

    fn quote(&self, operand: &Operand) -> &'a str {
        self.source.get(operand.at.clone()).unwrap_or_default()
    }

    /// Says what is missing.
    fn missing(&self, operand: &Operand) -> EvalError {
        EvalError::Missing(match &operand.what {
            What::Path(Base::Root(root), steps) => missing_name(self.ctx, *root, steps),
            What::Path(Base::Item(_) | Base::Up(_), _) => format!(
                "`{}` is missing in the item of its block; names from outside are written `@root.record.x` or `../x`",
                self.quote(operand)
            ),
            What::Default(_, fallback) => return self.missing(fallback),
            _ => format!("`{}` is missing", self.quote(operand)),
        })
    }
}

fn scope<'s, 'a>(scopes: Scopes<'s, 'a>, up: usize) -> Option<&'s Scope<'s, 'a>> {
    (0..up).try_fold(scopes?, |scope, _| scope.outer)
}

fn number<'a>(turn: &Turn<'_>) -> Value<'a> {
    Value::Int(i128::try_from(turn.index).unwrap_or(0))
}

fn key<'a>(turn: &Turn<'a>) -> Value<'a> {
    match &turn.key {
        Some(key) => Value::Text(key.clone()),
        None => number(turn),
    }
}

impl Budget for Rendering<'_, '_> {
    fn spend(&self, steps: usize) -> Result<(), EvalError> {
        self.parts.set(self.parts.get().saturating_add(steps));
        if self.parts.get() > MAX_PARTS {
            return Err(EvalError::Limit(format!("the template takes more than {MAX_PARTS} steps")));
        }
        Ok(())
    }

    fn produce(&self, bytes: usize) -> Result<(), EvalError> {
        self.produced.set(self.produced.get().saturating_add(bytes));
        if self.produced.get() > MAX_PRODUCED {
            return Err(EvalError::Limit("the helpers of the template produce more than 64 MiB of text".to_owned()));
        }
        Ok(())
    }
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
