//! The functions of expressions: template helpers under the same names and in the same order of arguments.

use super::ast::Node;
use super::eval::Evaluation;
use super::parse::Argument;
use super::value::Value;
use crate::value::issue::{EvalError, Issue};
use crate::value::template::names;
use std::borrow::Cow;
use std::ops::Range;

/// A known function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Default,
    Equal,
    Json,
}

/// Name, function, how many arguments.
const KNOWN: &[(&str, Function, usize)] =
    &[("default", Function::Default, 2), ("eq", Function::Equal, 2), ("json", Function::Json, 1)];

impl Function {
    /// Finds a function and checks its arguments.
    pub(super) fn bind(
        name: &str,
        at: Range<usize>,
        span: Range<usize>,
        arguments: Vec<Argument>,
    ) -> Result<(Self, Vec<Node>), Issue> {
        let Some((_, function, wanted)) = KNOWN.iter().find(|known| known.0 == name) else {
            return Err(names::unknown_helper(name, at));
        };
        if let Some((Some((parameter, at)), _)) = arguments.iter().find(|(named, _)| named.is_some()) {
            return Err(Issue::new(at.clone(), format!("helper `{name}` has no argument `{parameter}`")));
        }
        if arguments.len() != *wanted {
            return Err(Issue::new(span, format!("helper `{name}` takes {wanted} arguments, not {}", arguments.len())));
        }
        Ok((*function, arguments.into_iter().map(|(_, node)| node).collect()))
    }

    /// Calls it.
    pub(super) fn call<'a>(self, e: &Evaluation<'_, 'a>, arguments: &'a [Node]) -> Result<Value<'a>, EvalError> {
        let [first, rest @ ..] = arguments else { return Ok(Value::Undefined) };
        match (self, rest) {
            // As in trees: the fallback stands for what is missing, and for null.
            (Self::Default, [fallback]) => match e.value(first)? {
                value if matches!(value, Value::Undefined) || value.is_null() => e.value(fallback),
                value => Ok(value),
            },
            (Self::Equal, [second]) => {
                let (a, b) = (e.value(first)?, e.value(second)?);
                let absent = |value: &Value<'_>| matches!(value, Value::Undefined) || value.is_null();
                let equal = absent(&a) && absent(&b) || loosely_equal(&a, &b) || e.equal(&a, &b)?;
                Ok(Value::Bool(equal))
            }
            _ => {
                let value = e.present(first)?;
                let mut out = Vec::new();
                value.write(&mut out)?;
                e.produce(out.len())?;
                Ok(Value::Text(Cow::Owned(String::from_utf8(out).unwrap_or_default())))
            }
        }
    }
}

/// As the helper compares: `5` equals `"5"`. Only text against a number is loose.
fn loosely_equal(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a.type_name(), b.type_name()) {
        ("text", "a number") | ("a number", "text") => same_number(&a.text(), &b.text()),
        _ => false,
    }
}

/// Whether two texts are the same number (or the same text).
pub(in crate::value) fn same_number(a: &str, b: &str) -> bool {
    a == b
        || match (super::number::parse(a.trim()), super::number::parse(b.trim())) {
            (Some(Value::Int(a)), Some(Value::Int(b))) => a == b,
            (Some(a), Some(b)) => super::number::as_float(&a)
                .zip(super::number::as_float(&b))
                .is_some_and(|(a, b)| a.total_cmp(&b).is_eq()),
            _ => false,
        }
}
