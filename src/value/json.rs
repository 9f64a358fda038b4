//! JSON kept as checked text. Values are found by scanning and copied byte for byte; numbers and strings that
//! only pass through are never decoded.

use bytes::Bytes;
use std::borrow::Cow;

/// Deepest nesting accepted anywhere.
pub const MAX_DEPTH: usize = 128;

/// One JSON value as text that has been checked. Clones share the buffer.
#[derive(Clone)]
pub struct Json(Bytes);

/// A checked JSON value inside some longer-lived text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JsonRef<'a>(&'a str);

/// The type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// any number
    Number,
    /// a string
    Text,
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// Why a body is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct JsonError {
    /// What is wrong.
    pub message: String,
    /// 1-based line.
    pub line: usize,
    /// 1-based column in bytes.
    pub column: usize,
}

impl std::fmt::Debug for Json {
    /// Says how long the text is, never what it holds: it may hold secrets or customer data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

impl Json {
    /// Checks the whole text (syntax, UTF-8, depth) and trims the white space around it.
    pub fn parse(_bytes: Bytes) -> Result<Self, JsonError> {
        todo!()
    }

    /// Wraps text this crate has just written itself.
    pub(crate) fn trusted(text: impl Into<Bytes>) -> Self {
        Self(text.into())
    }

    /// Writes a value out.
    pub fn from_value(_value: &serde_json::Value) -> Self {
        todo!()
    }

    /// The value, borrowed.
    pub fn as_ref(&self) -> JsonRef<'_> {
        todo!()
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.as_ref().text()
    }

    /// The bytes, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// A part of this value as a value of its own that shares the buffer.
    pub fn share(&self, _part: JsonRef<'_>) -> Self {
        todo!()
    }
}

impl<'a> JsonRef<'a> {
    /// Wraps text known to be one checked value.
    pub(crate) fn trusted(text: &'a str) -> Self {
        Self(text)
    }
    /// The text as it was received.
    pub fn text(self) -> &'a str {
        self.0
    }
    /// Its type.
    pub fn kind(self) -> Kind {
        todo!()
    }
    /// The string's content, unescaped (borrowed when it has no escapes); none for other kinds.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        todo!()
    }
    /// The member of an object; the last one when a key repeats.
    pub fn get(self, _key: &str) -> Option<JsonRef<'a>> {
        todo!()
    }
    /// The item of an array.
    pub fn at(self, _index: usize) -> Option<JsonRef<'a>> {
        todo!()
    }
    /// The items of an array; nothing for other kinds.
    pub fn items(self) -> impl Iterator<Item = JsonRef<'a>> + use<'a> {
        todo!() as std::iter::Empty<JsonRef<'a>>
    }
    /// The members of an object in order; nothing for other kinds.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, JsonRef<'a>)> + use<'a> {
        todo!() as std::iter::Empty<(Cow<'a, str>, JsonRef<'a>)>
    }
    /// Present and not null, false, 0, "", [] (FORMAT: rules).
    pub fn is_truthy(self) -> bool {
        todo!()
    }
    /// The exact text used when rules compare: strings unescaped, everything else as written.
    pub fn compare_text(self) -> Cow<'a, str> {
        todo!()
    }
    /// Decoded.
    pub fn to_value(self) -> serde_json::Value {
        todo!()
    }
}

/// Writes `text` as a JSON string with its quotes.
pub fn write_string(_out: &mut Vec<u8>, _text: &str) {
    todo!()
}
