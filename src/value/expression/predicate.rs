//! The tests after `is`: `x is defined`, `n is divisibleby 3`.

use super::ast::Node;
use super::eval::Evaluation;
use super::filters::Input;
use super::parse::Argument;
use super::value::Value;
use crate::value::issue::{EvalError, Issue};
use crate::value::template::names;
use std::ops::Range;

/// A known test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predicate {
    Boolean,
    Defined,
    DivisibleBy,
    EndingWith,
    Equal,
    Even,
    False,
    Float,
    Greater,
    GreaterOrEqual,
    In,
    Integer,
    Iterable,
    Less,
    LessOrEqual,
    Lower,
    Mapping,
    None,
    NotEqual,
    Number,
    Odd,
    Sequence,
    StartingWith,
    Text,
    True,
    Undefined,
    Upper,
}

/// Name, test, how many arguments.
const KNOWN: &[(&str, Predicate, usize)] = &[
    ("boolean", Predicate::Boolean, 0),
    ("defined", Predicate::Defined, 0),
    ("divisibleby", Predicate::DivisibleBy, 1),
    ("endingwith", Predicate::EndingWith, 1),
    ("eq", Predicate::Equal, 1),
    ("equalto", Predicate::Equal, 1),
    ("even", Predicate::Even, 0),
    ("false", Predicate::False, 0),
    ("float", Predicate::Float, 0),
    ("in", Predicate::In, 1),
    ("int", Predicate::Integer, 0),
    ("integer", Predicate::Integer, 0),
    ("iterable", Predicate::Iterable, 0),
    ("mapping", Predicate::Mapping, 0),
    ("none", Predicate::None, 0),
    ("null", Predicate::None, 0),
    ("number", Predicate::Number, 0),
    ("odd", Predicate::Odd, 0),
    ("sequence", Predicate::Sequence, 0),
    ("startingwith", Predicate::StartingWith, 1),
    ("string", Predicate::Text, 0),
    ("true", Predicate::True, 0),
    ("undefined", Predicate::Undefined, 0),
    ("lower", Predicate::Lower, 0),
    ("upper", Predicate::Upper, 0),
    ("ne", Predicate::NotEqual, 1),
    ("lt", Predicate::Less, 1),
    ("lessthan", Predicate::Less, 1),
    ("le", Predicate::LessOrEqual, 1),
    ("gt", Predicate::Greater, 1),
    ("greaterthan", Predicate::Greater, 1),
    ("ge", Predicate::GreaterOrEqual, 1),
    // As names in quotes: `select("==", 1)`.
    ("==", Predicate::Equal, 1),
    ("!=", Predicate::NotEqual, 1),
    ("<", Predicate::Less, 1),
    ("<=", Predicate::LessOrEqual, 1),
    (">", Predicate::Greater, 1),
    (">=", Predicate::GreaterOrEqual, 1),
];

impl Predicate {
    /// Finds a test and checks its arguments.
    pub(super) fn bind(
        name: &str,
        at: Range<usize>,
        span: Range<usize>,
        arguments: Vec<Argument>,
    ) -> Result<(Self, Vec<Node>), Issue> {
        let Some((_, predicate, wanted)) = KNOWN.iter().find(|known| known.0 == name) else {
            let issue = Issue::new(at, format!("unknown test `is {name}`"));
            let known = KNOWN.iter().map(|known| known.0);
            let all = || format!("the tests are {}", known.clone().collect::<Vec<_>>().join(", "));
            let issue = names::did_you_mean(issue, name, known.clone());
            return Err(if issue.help.is_none() { issue.help(all()) } else { issue });
        };
        if let Some((Some((parameter, at)), _)) = arguments.iter().find(|(named, _)| named.is_some()) {
            return Err(Issue::new(at.clone(), format!("test `is {name}` has no argument `{parameter}`")));
        }
        if arguments.len() != *wanted {
            return Err(Issue::new(
                span,
                format!("test `is {name}` takes {wanted} arguments, not {}", arguments.len()),
            ));
        }
        Ok((*predicate, arguments.into_iter().map(|(_, node)| node).collect()))
    }

    /// Whether the test holds. No type is wrong for a test, but for those that compute.
    pub(super) fn holds<'a>(
        self,
        e: &Evaluation<'_, 'a>,
        node: &'a Node,
        input: &Input<'a>,
        arguments: &'a [Node],
    ) -> Result<bool, EvalError> {
        let value = input.value(e)?.decoded();
        let argument = match arguments.first() {
            Some(argument) => e.value(argument)?.decoded(),
            None => Value::Undefined,
        };
        let kind = value.type_name();
        let wrong = |other: &Value<'a>| {
            EvalError::Type(format!("`{}` cannot take {}", e.quote(node), input.describe(e, other)))
        };
        Ok(match self {
            Self::Defined => kind != "undefined",
            Self::Undefined => kind == "undefined",
            Self::None => kind == "null",
            Self::Boolean => kind == "a truth value",
            Self::True => matches!(value, Value::Bool(true)),
            Self::False => matches!(value, Value::Bool(false)),
            Self::Number => kind == "a number",
            Self::Integer => matches!(value, Value::Int(_)),
            Self::Float => matches!(value, Value::Float(_)),
            Self::Text => kind == "text",
            Self::Sequence => kind == "a list",
            Self::Mapping => kind == "a map",
            Self::Iterable => matches!(kind, "a list" | "a map" | "text"),
            Self::Odd | Self::Even => match value {
                Value::Int(n) => (n % 2 != 0) == (self == Self::Odd),
                Value::Float(n) if n.fract() == 0.0 => (n % 2.0 != 0.0) == (self == Self::Odd),
                Value::Float(_) => false,
                other => return Err(wrong(&other)),
            },
            Self::DivisibleBy => match (&value, &argument) {
                (Value::Int(a), Value::Int(b)) => *b != 0 && a.checked_rem(*b).unwrap_or(0) == 0,
                (Value::Int(_), other) | (other, _) => return Err(wrong(other)),
            },
            Self::StartingWith | Self::EndingWith => match (&value, &argument) {
                (Value::Text(a), Value::Text(b)) if self == Self::StartingWith => a.starts_with(&**b),
                (Value::Text(a), Value::Text(b)) => a.ends_with(&**b),
                (Value::Text(_), other) | (other, _) => return Err(wrong(other)),
            },
            Self::Equal => e.equal(&value, &argument)?,
            Self::NotEqual => !e.equal(&value, &argument)?,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => {
                let order = Evaluation::order(&value, &argument).ok_or_else(|| {
                    let (a, b) = (input.describe(e, &value), argument.type_name());
                    EvalError::Type(format!("cannot compare the order of {a} and {b} in `{}`", e.quote(node)))
                })?;
                match self {
                    Self::Less => order.is_lt(),
                    Self::LessOrEqual => order.is_le(),
                    Self::Greater => order.is_gt(),
                    _ => order.is_ge(),
                }
            }
            Self::Lower | Self::Upper => match &value {
                Value::Text(text) => {
                    let (lower, upper) = (text.chars().any(char::is_lowercase), text.chars().any(char::is_uppercase));
                    lower != upper && lower == (self == Self::Lower)
                }
                _ => false,
            },
            Self::In => e.contains(&argument, &value)?.ok_or_else(|| wrong(&argument))?,
        })
    }
}
