//! What each filter does.

use super::{Evaluated, Filter, KNOWN, MAX_PRECISION};
use crate::value::expression::ast::{Math, Node, Step};
use crate::value::expression::eval::Evaluation;
use crate::value::expression::number;
use crate::value::expression::value::Value;
use crate::value::expression::walk::step_into;
use crate::value::issue::EvalError;
use crate::value::json::Kind;
use std::borrow::Cow;

/// One application of a filter.
pub(super) struct Call<'e, 'c, 'a> {
    pub(super) e: &'e Evaluation<'c, 'a>,
    pub(super) filter: Filter,
    pub(super) node: &'a Node,
    pub(super) input: Input<'a>,
    pub(super) arguments: &'a [Option<Node>],
}

/// What a filter is applied to.
#[derive(Clone)]
pub(in crate::value::expression) enum Input<'a> {
    /// A part of the expression.
    Node(&'a Node),
    /// An item of the list that this part gives.
    Item(Value<'a>, &'a Node),
}

impl<'a> Input<'a> {
    pub(in crate::value::expression) fn value(&self, e: &Evaluation<'_, 'a>) -> Evaluated<'a> {
        match self {
            Self::Node(node) => e.value(node),
            Self::Item(value, _) => Ok(value.clone()),
        }
    }

    /// "text (`record.qty`)"
    pub(in crate::value::expression) fn describe(&self, e: &Evaluation<'_, 'a>, value: &Value<'_>) -> String {
        match self {
            Self::Node(node) => e.describe(value, node),
            Self::Item(_, list) => format!("{} (an item of `{}`)", value.type_name(), e.quote(list)),
        }
    }
}

impl<'a> Call<'_, '_, 'a> {
    fn value(&self) -> Evaluated<'a> {
        self.input.value(self.e)
    }

    /// The input, which must be there.
    pub(super) fn present(&self) -> Evaluated<'a> {
        match &self.input {
            Input::Node(node) => self.e.present(node),
            Input::Item(value, _) => Ok(value.clone()),
        }
    }

    pub(super) fn describe(&self, value: &Value<'_>) -> String {
        self.input.describe(self.e, value)
    }

    fn missing(&self) -> String {
        match &self.input {
            Input::Node(node) => self.e.missing(node),
            Input::Item(_, list) => format!("an item of `{}` is undefined", self.e.quote(list)),
        }
    }

    pub(super) fn argument(&self, n: usize) -> Result<Option<Value<'a>>, EvalError> {
        self.arguments.get(n).and_then(Option::as_ref).map(|node| self.e.present(node).map(Value::decoded)).transpose()
    }

    pub(super) fn text_argument(&self, n: usize) -> Result<Option<Cow<'a, str>>, EvalError> {
        match self.argument(n)? {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(&format!("wants text as its argument, not {}", other.type_name()))),
        }
    }

    pub(super) fn wrong(&self, what: &str) -> EvalError {
        let name = KNOWN.iter().find(|known| known.1 == self.filter).map_or("", |known| known.0);
        EvalError::Type(format!("filter `{name}` {what} in `{}`", self.e.quote(self.node)))
    }

    pub(super) fn refuses(&self, input: &Value<'a>) -> EvalError {
        self.wrong(&format!("cannot take {}", self.describe(input)))
    }

    pub(super) fn default(&self) -> Evaluated<'a> {
        let value = self.value()?;
        let falsy_too = match self.argument(1)? {
            Some(boolean) => boolean.is_true(),
            None => false,
        };
        if !(matches!(value, Value::Undefined) || falsy_too && !value.is_true()) {
            return Ok(value);
        }
        match self.arguments.first().and_then(Option::as_ref) {
            Some(node) => self.e.value(node),
            None => Ok(Value::Text(Cow::Borrowed(""))),
        }
    }

    pub(super) fn length(&self) -> Evaluated<'a> {
        let value = self.value()?.decoded();
        let length = match &value {
            Value::Text(text) => Some(text.chars().count()),
            Value::List(items) => Some(items.len()),
            Value::Map(members) => Some(members.len()),
            Value::Json(json) => match json.kind() {
                Kind::Array => Some(json.items().count()),
                Kind::Object => Some(json.members().count()),
                _ => None,
            },
            _ => None,
        };
        match length.and_then(|n| i128::try_from(n).ok()) {
            Some(n) => Ok(Value::Int(n)),
            None => Err(self.wrong(&format!("wants text, a list or a map, not {}", self.describe(&value)))),
        }
    }

    /// The input of a conversion, or the default where it is undefined or null.
    fn convertible(&self) -> Result<Result<Value<'a>, Value<'a>>, EvalError> {
        let value = self.value()?.decoded();
        if !matches!(value, Value::Undefined | Value::Null) {
            return Ok(Ok(value));
        }
        match self.argument(0)? {
            Some(default) => Ok(Err(default)),
            None if matches!(value, Value::Undefined) => Err(EvalError::Missing(self.missing())),
            None => Err(self.refuses(&value)),
        }
    }

    pub(super) fn float(&self) -> Evaluated<'a> {
        let value = match self.convertible()? {
            Ok(value) => value,
            Err(default) => return Ok(default),
        };
        let number = match &value {
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Text(text) => number::float(text),
            Value::Json(json) if json.kind() == Kind::Number => number::float(json.text()),
            other => number::as_float(other),
        };
        match number {
            Some(number) => Ok(Value::Float(number)),
            None => self.unconvertible(&value, "a number"),
        }
    }

    pub(super) fn int(&self) -> Evaluated<'a> {
        let value = match self.convertible()? {
            Ok(value) => value,
            Err(default) => return Ok(default),
        };
        let number = match &value {
            Value::Bool(b) => Some(i128::from(*b)),
            Value::Int(n) => Some(*n),
            Value::Float(n) => number::whole(*n),
            Value::Text(text) => text.parse().ok().or_else(|| number::float(text).and_then(number::whole)),
            _ => None,
        };
        match number {
            Some(number) => Ok(Value::Int(number)),
            None => self.unconvertible(&value, "a whole number"),
        }
    }

    fn unconvertible(&self, value: &Value<'a>, into: &str) -> Evaluated<'a> {
        match (self.argument(0)?, value) {
            (Some(default), _) => Ok(default),
            (None, Value::Text(_)) => Err(self.wrong(&format!("finds that {} is not {into}", self.describe(value)))),
            _ => Err(self.refuses(value)),
        }
    }

    pub(super) fn string(&self) -> Evaluated<'a> {
        match self.present()? {
            text @ Value::Text(_) => Ok(text),
            other => {
                let text = other.text();
                self.e.produce(text.len())?;
                Ok(Value::Text(text))
            }
        }
    }

    pub(super) fn truth(&self) -> Evaluated<'a> {
        Ok(Value::Bool(self.value()?.is_true()))
    }

    /// `attr("name")`: the member of that name; undefined where there is none.
    pub(super) fn attribute(&self) -> Evaluated<'a> {
        let name = self.text_argument(0)?.unwrap_or_default();
        let step = Step::Member(name.as_ref().into());
        Ok(step_into(self.present()?, &step).unwrap_or(Value::Undefined))
    }

    pub(super) fn abs(&self) -> Evaluated<'a> {
        match self.present()?.decoded() {
            Value::Int(n) => Ok(Value::Int(n.checked_abs().unwrap_or(n))),
            Value::Float(n) => Ok(Value::Float(n.abs())),
            other => Err(self.refuses(&other)),
        }
    }

    /// As Python rounds: the decimal text nearest to the exact binary value, halves to even.
    pub(super) fn round(&self) -> Evaluated<'a> {
        let value = self.present()?.decoded();
        let precision = match self.argument(0)? {
            None => 0,
            Some(Value::Int(n)) if n < 0 => {
                return Err(self.wrong("does not take a negative precision"));
            }
            Some(Value::Int(n)) => usize::try_from(n.min(MAX_PRECISION)).unwrap_or(0),
            Some(other) => return Err(self.wrong(&format!("wants a whole number, not {}", other.type_name()))),
        };
        match value {
            Value::Int(n) => Ok(Value::Int(n)),
            Value::Float(n) => Ok(Value::Float(format!("{n:.precision$}").parse().unwrap_or(n))),
            other => Err(self.refuses(&other)),
        }
    }

    /// Text, or a number or truth value as text.
    pub(super) fn scalar(&self) -> Result<Cow<'a, str>, EvalError> {
        let value = self.present()?;
        match value.type_name() {
            "text" | "a number" | "a truth value" => {
                let text = value.text();
                self.e.produce(text.len())?;
                Ok(text)
            }
            _ => Err(self.refuses(&value)),
        }
    }

    pub(super) fn recased(&self, change: impl FnOnce(&str) -> String) -> Evaluated<'a> {
        self.scalar().map(|text| Value::Text(Cow::Owned(change(&text))))
    }

    pub(super) fn trim(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        let trimmed = match self.text_argument(0)? {
            Some(chars) => text.trim_matches(|c| chars.contains(c)).len()..0,
            None => text.trim().len()..0,
        };
        if trimmed.start == text.len() {
            return Ok(Value::Text(text));
        }
        let short = match self.text_argument(0)? {
            Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
            None => text.trim().to_owned(),
        };
        Ok(Value::Text(Cow::Owned(short)))
    }

    pub(super) fn replace(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        let (old, new) = (self.text_argument(0)?.unwrap_or_default(), self.text_argument(1)?.unwrap_or_default());
        let times = text.matches(&*old).count();
        if times == 0 {
            return Ok(Value::Text(text));
        }
        self.e.produce(text.len().saturating_add(times.saturating_mul(new.len())))?;
        Ok(Value::Text(Cow::Owned(text.replace(&*old, &new))))
    }

    pub(super) fn split(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        let keep = |part: &str| Value::Text(Cow::Owned(part.to_owned()));
        let parts: Vec<Value<'a>> = if let Some(separator) = self.text_argument(0)? {
            self.e.spend(text.matches(&*separator).count() + 1)?;
            text.split(&*separator).map(keep).collect()
        } else {
            self.e.spend(text.split_whitespace().count())?;
            text.split_whitespace().map(keep).collect()
        };
        Ok(Value::List(parts))
    }

    pub(super) fn list(&self) -> Result<Vec<Value<'a>>, EvalError> {
        let value = self.present()?;
        let items = value.items().ok_or_else(|| self.refuses(&value))?;
        self.e.spend(items.len())?;
        Ok(items)
    }

    pub(super) fn join(&self) -> Evaluated<'a> {
        let items = self.attributed(1)?;
        let separator = self.text_argument(0)?.unwrap_or_default();
        let mut out = String::new();
        for (n, item) in items.iter().enumerate() {
            let text = item.text();
            self.e.produce(text.len() + separator.len())?;
            if n > 0 {
                out.push_str(&separator);
            }
            out.push_str(&text);
        }
        Ok(Value::Text(Cow::Owned(out)))
    }

    pub(super) fn end(&self, first: bool) -> Evaluated<'a> {
        let value = self.present()?;
        if let Value::Text(text) = value.clone().decoded() {
            let c = if first { text.chars().next() } else { text.chars().next_back() };
            return Ok(c.map_or(Value::Undefined, |c| Value::Text(Cow::Owned(c.to_string()))));
        }
        let Some(mut items) = value.items() else { return Err(self.refuses(&value)) };
        self.e.spend(items.len())?;
        let item = if first { items.drain(..).next() } else { items.pop() };
        Ok(item.unwrap_or(Value::Undefined))
    }

    pub(super) fn sum(&self) -> Evaluated<'a> {
        let mut total = self.argument(1)?.unwrap_or(Value::Int(0));
        for item in self.attributed(0)? {
            let item = item.decoded();
            total = match number::math(Math::Add, &total, &item) {
                Some(Ok(sum)) => sum,
                Some(Err(_)) => return Err(EvalError::Limit(self.wrong("exceeds the range of numbers").to_string())),
                None => return Err(self.wrong(&format!("adds numbers, not {}", item.type_name()))),
            };
        }
        Ok(total)
    }
}
