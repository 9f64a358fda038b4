//! Values of XPath and how they become one another: text to number and back, truth, and comparisons over sets of nodes.

use super::ast::Comparison;
use super::eval::Evaluation;
use crate::value::issue::EvalError;
use crate::value::xml::{Node, is_space};
use std::collections::BTreeSet;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nodes in document order, each once.
    Nodes(Vec<Node>),
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

/// Digits with at most one point, perhaps a minus before them; anything else is no number.
pub(super) fn number(text: &str) -> f64 {
    let text = text.trim_matches(is_space);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && digits.bytes().any(|b| b.is_ascii_digit());
    if plain { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

/// As `string()` writes it: never with an exponent.
pub fn number_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if number == 0.0 {
        "0".to_owned()
    } else {
        number.to_string()
    }
}

impl Value {
    pub(super) fn bool(&self) -> bool {
        match self {
            Self::Nodes(nodes) => !nodes.is_empty(),
            Self::Bool(bool) => *bool,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
        }
    }

    pub(super) fn number(&self, evaluation: &Evaluation<'_>) -> Result<f64, EvalError> {
        Ok(match self {
            Self::Nodes(_) => number(&self.text(evaluation)?),
            Self::Bool(bool) => f64::from(u8::from(*bool)),
            Self::Number(number) => *number,
            Self::Text(text) => number(text),
        })
    }

    /// The first node's text, or the value written out.
    pub(super) fn text(&self, evaluation: &Evaluation<'_>) -> Result<String, EvalError> {
        Ok(match self {
            Self::Nodes(nodes) => match nodes.first() {
                Some(node) => evaluation.text(*node)?,
                None => String::new(),
            },
            Self::Bool(bool) => bool.to_string(),
            Self::Number(number) => number_text(*number),
            Self::Text(text) => text.clone(),
        })
    }
}

/// Compares two values as section 3.4 of the recommendation has it.
pub(super) fn compare(
    evaluation: &Evaluation<'_>,
    comparison: Comparison,
    left: &Value,
    right: &Value,
) -> Result<bool, EvalError> {
    let is_equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
    match (left, right) {
        (Value::Nodes(left), Value::Nodes(right)) if is_equality => sets(evaluation, comparison, left, right),
        (Value::Nodes(left), Value::Nodes(right)) => extremes(evaluation, comparison, left, right),
        (Value::Nodes(_), Value::Bool(_)) | (Value::Bool(_), Value::Nodes(_)) => {
            scalars(evaluation, comparison, &Value::Bool(left.bool()), &Value::Bool(right.bool()))
        }
        (Value::Nodes(nodes), other) => any(evaluation, nodes, |text| scalars(evaluation, comparison, &text, other)),
        (other, Value::Nodes(nodes)) => any(evaluation, nodes, |text| scalars(evaluation, comparison, other, &text)),
        _ => scalars(evaluation, comparison, left, right),
    }
}

fn any(
    evaluation: &Evaluation<'_>,
    nodes: &[Node],
    holds: impl Fn(Value) -> Result<bool, EvalError>,
) -> Result<bool, EvalError> {
    for node in nodes {
        if holds(Value::Text(evaluation.text(*node)?))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn scalars(
    evaluation: &Evaluation<'_>,
    comparison: Comparison,
    left: &Value,
    right: &Value,
) -> Result<bool, EvalError> {
    if matches!(comparison, Comparison::Equal | Comparison::Unequal) {
        let equal = match (left, right) {
            (Value::Bool(_), _) | (_, Value::Bool(_)) => left.bool() == right.bool(),
            (Value::Number(_), _) | (_, Value::Number(_)) => same(left.number(evaluation)?, right.number(evaluation)?),
            _ => left.text(evaluation)? == right.text(evaluation)?,
        };
        return Ok(equal == (comparison == Comparison::Equal));
    }
    Ok(holds(comparison, left.number(evaluation)?, right.number(evaluation)?))
}

#[expect(clippy::float_cmp, reason = "XPath compares numbers exactly")]
pub(super) fn same(left: f64, right: f64) -> bool {
    left == right
}

fn holds(comparison: Comparison, left: f64, right: f64) -> bool {
    match comparison {
        Comparison::Equal => same(left, right),
        Comparison::Unequal => !same(left, right),
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}

/// Whether some pair is equal, or some pair is not.
fn sets(evaluation: &Evaluation<'_>, comparison: Comparison, left: &[Node], right: &[Node]) -> Result<bool, EvalError> {
    if left.is_empty() || right.is_empty() {
        return Ok(false);
    }
    let texts = |nodes: &[Node]| nodes.iter().map(|node| evaluation.text(*node)).collect::<Result<BTreeSet<_>, _>>();
    let (left, right) = (texts(left)?, texts(right)?);
    if comparison == Comparison::Equal {
        return Ok(left.intersection(&right).next().is_some());
    }
    Ok(left.len() > 1 || right.len() > 1 || left != right)
}

/// Some pair stands in an order if the two ends that are farthest apart do.
fn extremes(
    evaluation: &Evaluation<'_>,
    comparison: Comparison,
    left: &[Node],
    right: &[Node],
) -> Result<bool, EvalError> {
    let ends = |nodes: &[Node]| -> Result<(f64, f64), EvalError> {
        let mut ends = (f64::NAN, f64::NAN);
        for node in nodes {
            let found = number(&evaluation.text(*node)?);
            // `min` and `max` pass over what is no number.
            ends = (ends.0.min(found), ends.1.max(found));
        }
        Ok(ends)
    };
    let (left, right) = (ends(left)?, ends(right)?);
    Ok(match comparison {
        Comparison::Less | Comparison::LessOrEqual => holds(comparison, left.0, right.1),
        _ => holds(comparison, left.1, right.0),
    })
}
