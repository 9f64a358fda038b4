//! Equality, order and membership. Values of different types are never equal and have no order.

use super::eval::Evaluation;
use super::number;
use super::value::Value;
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use std::borrow::Cow;
use std::cmp::Ordering;

impl<'a> Evaluation<'_, 'a> {
    /// Whether two values are equal: numbers by value, text by content, lists and maps by their parts.
    pub(super) fn equal(&self, left: &Value<'a>, right: &Value<'a>) -> Result<bool, EvalError> {
        self.spend(1)?;
        Ok(match (left, right) {
            // Text against text is the common case: compare inside the quotes, without decoding.
            (Value::Json(json), Value::Text(text)) | (Value::Text(text), Value::Json(json)) => {
                json.as_str().is_some_and(|s| s == *text)
            }
            (Value::Json(a), Value::Json(b)) => return self.raw_equal(*a, *b),
            (Value::Json(json), other) | (other, Value::Json(json)) => match json.kind() {
                Kind::Array => return self.lists_equal(left, right),
                Kind::Object => return self.maps_equal(left, right),
                Kind::Number => number_equal(json.text(), other),
                _ => plain_equal(&Value::Json(*json).decoded(), other),
            },
            (Value::List(_), Value::List(_)) => return self.lists_equal(left, right),
            (Value::Map(_), Value::Map(_)) => return self.maps_equal(left, right),
            (a, b) => plain_equal(a, b),
        })
    }

    fn raw_equal(&self, a: JsonRef<'a>, b: JsonRef<'a>) -> Result<bool, EvalError> {
        if a.kind() != b.kind() {
            return Ok(false);
        }
        match a.kind() {
            Kind::Array => self.lists_equal(&Value::Json(a), &Value::Json(b)),
            Kind::Object => self.maps_equal(&Value::Json(a), &Value::Json(b)),
            Kind::Number if a.text() == b.text() => Ok(true),
            Kind::Number => Ok(number_equal(a.text(), &Value::Json(b).decoded())),
            Kind::Text => Ok(a.as_str() == b.as_str()),
            Kind::Null | Kind::Bool => Ok(a.text() == b.text()),
        }
    }

    fn lists_equal(&self, left: &Value<'a>, right: &Value<'a>) -> Result<bool, EvalError> {
        let (Some(a), Some(b)) = (left.items(), right.items()) else { return Ok(false) };
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(&b) {
            if !self.equal(a, b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn maps_equal(&self, left: &Value<'a>, right: &Value<'a>) -> Result<bool, EvalError> {
        let (Some(a), Some(b)) = (members(left), members(right)) else { return Ok(false) };
        if a.len() != b.len() {
            return Ok(false);
        }
        for (key, value) in &a {
            self.spend(b.len())?;
            match b.iter().find(|(other, _)| other == key) {
                Some((_, other)) if self.equal(value, other)? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The order of two numbers or two texts; none for all else.
    pub(super) fn order(left: &Value<'a>, right: &Value<'a>) -> Option<Ordering> {
        match (left.clone().decoded(), right.clone().decoded()) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
            (Value::Text(a), Value::Text(b)) => Some(a.as_ref().cmp(b.as_ref())),
            (a, b) => any_float(&a)?.partial_cmp(&any_float(&b)?),
        }
    }

    /// `needle in hay`: an item of a list, a key of a map, a part of a text; nothing is in undefined.
    pub(super) fn contains(&self, hay: &Value<'a>, needle: &Value<'a>) -> Result<Option<bool>, EvalError> {
        if matches!(hay, Value::Undefined) {
            return Ok(Some(false));
        }
        if let Some(items) = hay.items() {
            for item in &items {
                if self.equal(item, needle)? {
                    return Ok(Some(true));
                }
            }
            return Ok(Some(false));
        }
        let needle = needle.clone().decoded();
        Ok(match (hay.clone().decoded(), needle) {
            (Value::Text(hay), Value::Text(needle)) => {
                self.spend(hay.len() / 64)?;
                Some(hay.contains(needle.as_ref()))
            }
            (Value::Text(_), Value::Undefined) => Some(false),
            (Value::Map(members), Value::Text(key)) => Some(members.iter().any(|(k, _)| *k == key)),
            (Value::Json(json), Value::Text(key)) if json.kind() == Kind::Object => Some(json.get(&key).is_some()),
            (hay @ (Value::Map(_) | Value::Json(_)), _) => (hay.type_name() == "a map").then_some(false),
            _ => None,
        })
    }
}

fn plain_equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Undefined, Value::Undefined) | (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => number::same(*a, *b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b) == Some(Ordering::Equal),
        _ => false,
    }
}

/// Numbers beyond every range are equal as floats of the same text only.
fn number_equal(text: &str, other: &Value<'_>) -> bool {
    match (number::parse(text), other) {
        (Some(number), other) => plain_equal(&number, other),
        (None, Value::Json(json)) => json.kind() == Kind::Number && json.text() == text,
        (None, _) => false,
    }
}

/// Any number as a float, also whole numbers beyond 128 bits.
fn any_float(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Json(json) if json.kind() == Kind::Number => json.text().parse().ok(),
        other => number::as_float(other),
    }
}

type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

fn members<'a>(value: &Value<'a>) -> Option<Members<'a>> {
    match value {
        Value::Map(members) => Some(members.clone()),
        Value::Json(json) if json.kind() == Kind::Object => {
            Some(json.members().map(|(key, value)| (key, Value::Json(value))).collect())
        }
        _ => None,
    }
}
