//! The tests after `is`: `x is defined`, `n is divisibleby 3`.

use super::ast::Node;
use super::eval::Evaluation;
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
    In,
    Integer,
    Iterable,
    Mapping,
    None,
    Number,
    Odd,
    Sequence,
    StartingWith,
    Text,
    True,
    Undefined,
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
            return Err(names::did_you_mean(issue, name, KNOWN.iter().map(|known| known.0)));
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
        input: &'a Node,
        arguments: &'a [Node],
    ) -> Result<bool, EvalError> {
        let value = e.value(input)?.decoded();
        let argument = match arguments.first() {
            Some(argument) => e.value(argument)?.decoded(),
            None => Value::Undefined,
        };
        let kind = value.type_name();
        let wrong = |other: &Value<'a>| {
            EvalError::Type(format!("`{}` cannot take {}", e.quote(node), e.describe(other, input)))
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
            Self::In => e.contains(&argument, &value)?.ok_or_else(|| wrong(&argument))?,
        })
    }
}
