//! The filters of expressions, `x | name(…)`: minijinja's names and arguments, strict about types.

use super::ast::{Node, What};
use super::eval::Evaluation;
use super::number;
use super::parse::Argument;
use super::value::Value;
use crate::value::issue::{EvalError, Issue};
use crate::value::json::Kind;
use crate::value::template::names;
use std::borrow::Cow;
use std::ops::Range;

/// A known filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Abs,
    Default,
    First,
    Float,
    Int,
    Join,
    Last,
    Length,
    Lower,
    Replace,
    Round,
    Split,
    Str,
    Sum,
    Trim,
    Upper,
}

/// Name, filter, parameters, how many of them are required.
const KNOWN: &[(&str, Filter, &[&str], usize)] = &[
    ("abs", Filter::Abs, &[], 0),
    ("default", Filter::Default, &["default_value", "boolean"], 0),
    ("d", Filter::Default, &["default_value", "boolean"], 0),
    ("first", Filter::First, &[], 0),
    ("float", Filter::Float, &["default"], 0),
    ("int", Filter::Int, &["default"], 0),
    ("join", Filter::Join, &["d"], 0),
    ("last", Filter::Last, &[], 0),
    ("length", Filter::Length, &[], 0),
    ("count", Filter::Length, &[], 0),
    ("lower", Filter::Lower, &[], 0),
    ("replace", Filter::Replace, &["old", "new"], 2),
    ("round", Filter::Round, &["precision"], 0),
    ("split", Filter::Split, &["sep"], 0),
    ("string", Filter::Str, &[], 0),
    ("sum", Filter::Sum, &[], 0),
    ("trim", Filter::Trim, &["chars"], 0),
    ("upper", Filter::Upper, &[], 0),
];

/// Filters of the engine people know that are not built here.
const LATER: &[&str] = &[
    "batch",
    "bool",
    "capitalize",
    "chain",
    "dictsort",
    "escape",
    "format",
    "groupby",
    "indent",
    "items",
    "lines",
    "list",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "reverse",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "title",
    "tojson",
    "unique",
    "urlencode",
    "zip",
];

/// Most decimals `round` takes.
const MAX_PRECISION: i128 = 300;

type Evaluated<'a> = Result<Value<'a>, EvalError>;

impl Filter {
    /// Finds a filter and puts its arguments in order.
    pub(super) fn bind(
        name: &str,
        at: Range<usize>,
        span: Range<usize>,
        arguments: Vec<Argument>,
    ) -> Result<(Self, Vec<Option<Node>>), Issue> {
        let Some((_, filter, parameters, required)) = KNOWN.iter().find(|known| known.0 == name) else {
            let known = KNOWN.iter().map(|known| known.0);
            if name == "tojson" {
                return Err(Issue::new(at, "filter `tojson` is not supported yet").help("write `json(x)`"));
            }
            if LATER.contains(&name) {
                return Err(Issue::new(at, format!("filter `{name}` is not supported yet")));
            }
            let issue = Issue::new(at, format!("unknown filter `{name}`"));
            return Err(names::did_you_mean(issue, name, known));
        };
        let slots = bind(name, span, arguments, parameters, *required)?;
        Ok((*filter, slots))
    }

    /// Applies the filter.
    pub(super) fn apply<'a>(
        self,
        e: &Evaluation<'_, 'a>,
        node: &'a Node,
        input: &'a Node,
        arguments: &'a [Option<Node>],
    ) -> Evaluated<'a> {
        let call = Call { e, node, input, arguments };
        match self {
            Self::Default => call.default(),
            Self::Length => call.length(),
            Self::Float => call.float(),
            Self::Int => call.int(),
            Self::Abs => call.abs(),
            Self::Round => call.round(),
            Self::Str => match e.present(input)? {
                text @ Value::Text(_) => Ok(text),
                other => {
                    let text = other.text();
                    e.produce(text.len())?;
                    Ok(Value::Text(text))
                }
            },
            Self::Lower => call.recased(|text| text.to_lowercase()),
            Self::Upper => call.recased(|text| text.to_uppercase()),
            Self::Trim => call.trim(),
            Self::Replace => call.replace(),
            Self::Split => call.split(),
            Self::Join => call.join(),
            Self::First => call.end(true),
            Self::Last => call.end(false),
            Self::Sum => call.sum(),
        }
    }
}

/// Puts named and unnamed arguments into the order of the parameters.
fn bind(
    name: &str,
    span: Range<usize>,
    arguments: Vec<Argument>,
    parameters: &[&str],
    required: usize,
) -> Result<Vec<Option<Node>>, Issue> {
    let mut slots: Vec<Option<Node>> = parameters.iter().map(|_| None).collect();
    for (n, (named, node)) in arguments.into_iter().enumerate() {
        let slot = match named {
            None => n,
            Some((parameter, at)) => match parameters.iter().position(|p| *p == parameter) {
                Some(slot) => slot,
                None => {
                    let issue = Issue::new(at, format!("filter `{name}` has no argument `{parameter}`"));
                    return Err(names::did_you_mean(issue, &parameter, parameters.iter().copied()));
                }
            },
        };
        let at = node.at.clone();
        match slots.get_mut(slot) {
            Some(empty @ None) => *empty = Some(node),
            Some(Some(_)) => return Err(Issue::new(at, format!("this argument of filter `{name}` is given twice"))),
            None => {
                return Err(Issue::new(at, format!("filter `{name}` takes at most {} arguments", parameters.len())));
            }
        }
    }
    match slots.iter().take(required).position(Option::is_none) {
        Some(n) => Err(Issue::new(span, format!("filter `{name}` lacks its argument `{}`", parameters[n]))),
        None => Ok(slots),
    }
}

/// One application of a filter.
struct Call<'e, 'c, 'a> {
    e: &'e Evaluation<'c, 'a>,
    node: &'a Node,
    input: &'a Node,
    arguments: &'a [Option<Node>],
}

impl<'a> Call<'_, '_, 'a> {
    fn argument(&self, n: usize) -> Result<Option<Value<'a>>, EvalError> {
        self.arguments.get(n).and_then(Option::as_ref).map(|node| self.e.present(node).map(Value::decoded)).transpose()
    }

    fn text_argument(&self, n: usize) -> Result<Option<Cow<'a, str>>, EvalError> {
        match self.argument(n)? {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(&format!("wants text as its argument, not {}", other.type_name()))),
        }
    }

    fn wrong(&self, what: &str) -> EvalError {
        let name = match &self.node.what {
            What::Filter(filter, ..) => KNOWN.iter().find(|known| known.1 == *filter).map_or("", |known| known.0),
            _ => "",
        };
        EvalError::Type(format!("filter `{name}` {what} in `{}`", self.e.quote(self.node)))
    }

    fn refuses(&self, input: &Value<'a>) -> EvalError {
        self.wrong(&format!("cannot take {}", self.e.describe(input, self.input)))
    }

    fn default(&self) -> Evaluated<'a> {
        let value = self.e.value(self.input)?;
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

    fn length(&self) -> Evaluated<'a> {
        let value = self.e.value(self.input)?.decoded();
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
            None => {
                Err(self.wrong(&format!("wants text, a list or a map, not {}", self.e.describe(&value, self.input))))
            }
        }
    }

    /// The input of a conversion, or the default where it is undefined or null.
    fn convertible(&self) -> Result<Result<Value<'a>, Value<'a>>, EvalError> {
        let value = self.e.value(self.input)?.decoded();
        if !matches!(value, Value::Undefined | Value::Null) {
            return Ok(Ok(value));
        }
        match self.argument(0)? {
            Some(default) => Ok(Err(default)),
            None if matches!(value, Value::Undefined) => Err(EvalError::Missing(self.e.missing(self.input))),
            None => Err(self.refuses(&value)),
        }
    }

    fn float(&self) -> Evaluated<'a> {
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

    fn int(&self) -> Evaluated<'a> {
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
            (None, Value::Text(_)) => {
                Err(self.wrong(&format!("finds that {} is not {into}", self.e.describe(value, self.input))))
            }
            _ => Err(self.refuses(value)),
        }
    }

    fn abs(&self) -> Evaluated<'a> {
        match self.e.present(self.input)?.decoded() {
            Value::Int(n) => Ok(Value::Int(n.checked_abs().unwrap_or(n))),
            Value::Float(n) => Ok(Value::Float(n.abs())),
            other => Err(self.refuses(&other)),
        }
    }

    /// As Python rounds: the decimal text nearest to the exact binary value, halves to even.
    fn round(&self) -> Evaluated<'a> {
        let value = self.e.present(self.input)?.decoded();
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
    fn scalar(&self) -> Result<Cow<'a, str>, EvalError> {
        let value = self.e.present(self.input)?;
        match value.type_name() {
            "text" | "a number" | "a truth value" => {
                let text = value.text();
                self.e.produce(text.len())?;
                Ok(text)
            }
            _ => Err(self.refuses(&value)),
        }
    }

    fn recased(&self, change: impl FnOnce(&str) -> String) -> Evaluated<'a> {
        self.scalar().map(|text| Value::Text(Cow::Owned(change(&text))))
    }

    fn trim(&self) -> Evaluated<'a> {
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

    fn replace(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        let (old, new) = (self.text_argument(0)?.unwrap_or_default(), self.text_argument(1)?.unwrap_or_default());
        let times = text.matches(&*old).count();
        if times == 0 {
            return Ok(Value::Text(text));
        }
        self.e.produce(text.len().saturating_add(times.saturating_mul(new.len())))?;
        Ok(Value::Text(Cow::Owned(text.replace(&*old, &new))))
    }

    fn split(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        let keep = |part: &str| Value::Text(Cow::Owned(part.to_owned()));
        let parts: Vec<Value<'a>> = match self.text_argument(0)? {
            Some(separator) => {
                self.e.spend(text.matches(&*separator).count() + 1)?;
                text.split(&*separator).map(keep).collect()
            }
            None => {
                self.e.spend(text.split_whitespace().count())?;
                text.split_whitespace().map(keep).collect()
            }
        };
        Ok(Value::List(parts))
    }

    fn list(&self) -> Result<Vec<Value<'a>>, EvalError> {
        let value = self.e.present(self.input)?;
        let items = value.items().ok_or_else(|| self.refuses(&value))?;
        self.e.spend(items.len())?;
        Ok(items)
    }

    fn join(&self) -> Evaluated<'a> {
        let items = self.list()?;
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

    fn end(&self, first: bool) -> Evaluated<'a> {
        let value = self.e.present(self.input)?;
        if let Value::Text(text) = value.clone().decoded() {
            let c = if first { text.chars().next() } else { text.chars().next_back() };
            return Ok(c.map_or(Value::Undefined, |c| Value::Text(Cow::Owned(c.to_string()))));
        }
        let Some(mut items) = value.items() else { return Err(self.refuses(&value)) };
        self.e.spend(items.len())?;
        let item = if first { items.drain(..).next() } else { items.pop() };
        Ok(item.unwrap_or(Value::Undefined))
    }

    fn sum(&self) -> Evaluated<'a> {
        let mut total = Value::Int(0);
        for item in self.list()? {
            let item = item.decoded();
            total = match number::math(super::ast::Math::Add, &total, &item) {
                Some(Ok(sum)) => sum,
                Some(Err(_)) => return Err(EvalError::Limit(self.wrong("exceeds the range of numbers").to_string())),
                None => return Err(self.wrong(&format!("adds numbers, not {}", item.type_name()))),
            };
        }
        Ok(total)
    }
}
