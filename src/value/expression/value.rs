//! What an expression gives: raw JSON that passes through, or a computed value, and how either is written.

use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind, write_string};
use std::borrow::Cow;
use std::io::Write as _;

/// What an expression gives.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// No such value.
    Undefined,
    /// Raw JSON that was only passed through (any kind).
    Json(JsonRef<'a>),
    /// `null`
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number; always finite.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A list; never holds `Undefined`.
    List(Vec<Value<'a>>),
    /// A map, in order; never holds `Undefined`.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Writes the value as JSON: raw JSON byte for byte, whole floats with their `.0`.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), EvalError> {
        match self {
            Self::Undefined => return Err(EvalError::Missing("the value is undefined".to_owned())),
            Self::Json(json) => out.extend_from_slice(json.text().as_bytes()),
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Self::Float(n) => {
                let _ = write!(out, "{n:?}");
            }
            Self::Text(text) => write_string(out, text),
            Self::List(items) => {
                out.push(b'[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    item.write(out)?;
                }
                out.push(b']');
            }
            Self::Map(members) => {
                out.push(b'{');
                for (n, (key, member)) in members.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    write_string(out, key);
                    out.push(b':');
                    member.write(out)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }

    /// As text, for templates, headers and queries: strings bare, numbers as written, null (and undefined) empty,
    /// lists and maps as JSON.
    pub fn text(&self) -> Cow<'a, str> {
        match self {
            Self::Undefined | Self::Null => Cow::Borrowed(""),
            Self::Text(text) => text.clone(),
            Self::Json(json) => json_text(*json),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Int(n) => Cow::Owned(itoa::Buffer::new().format(*n).to_owned()),
            Self::Float(n) => Cow::Owned(format!("{n:?}")),
            Self::List(_) | Self::Map(_) => {
                let mut out = Vec::new();
                // Lists and maps hold no undefined values, so writing them cannot fail.
                let _ = self.write(&mut out);
                Cow::Owned(String::from_utf8(out).unwrap_or_default())
            }
        }
    }

    /// Whether it is `null`, computed or raw.
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Json(json) => json.kind() == Kind::Null,
            _ => false,
        }
    }

    /// Jinja's truth: all but undefined, null, false, 0, "", [] and {}.
    pub(in crate::value) fn is_true(&self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(n) => *n != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(members) => !members.is_empty(),
            Self::Json(json) => match json.kind() {
                Kind::Object => json.members().next().is_some(),
                _ => json.is_truthy(),
            },
        }
    }

    /// Raw scalars decoded. Numbers no arithmetic can hold, arrays and objects stay raw.
    #[inline]
    pub(in crate::value) fn decoded(self) -> Self {
        let Self::Json(json) = self else { return self };
        match json.kind() {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(json.text() == "true"),
            Kind::Number => super::number::parse(json.text()).unwrap_or(self),
            Kind::Text => json.as_str().map_or(self, Self::Text),
            Kind::Array | Kind::Object => self,
        }
    }

    /// The type as people say it.
    pub(in crate::value) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Json(json) => match json.kind() {
                Kind::Null => "null",
                Kind::Bool => "a truth value",
                Kind::Number => "a number",
                Kind::Text => "text",
                Kind::Array => "a list",
                Kind::Object => "a map",
            },
        }
    }

    /// The items of a list, raw or computed; nothing else has items.
    pub(in crate::value) fn items(&self) -> Option<Vec<Value<'a>>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Json(json) if json.kind() == Kind::Array => Some(json.items().map(Value::Json).collect()),
            _ => None,
        }
    }
}

/// The text of a raw value: strings unescaped, null empty, all else as written.
fn json_text(json: JsonRef<'_>) -> Cow<'_, str> {
    match json.kind() {
        Kind::Text => json.as_str().unwrap_or(Cow::Borrowed("")),
        Kind::Null => Cow::Borrowed(""),
        _ => Cow::Borrowed(json.text()),
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
