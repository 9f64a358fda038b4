//! JSON kept as checked text. Values are found by scanning and copied byte for byte; numbers and strings that
//! only pass through are never decoded.
//!
//! A body is checked once, as a whole, by [`Json::parse`]; everything after that trusts the text and only looks
//! for quotes, backslashes and brackets. Parts of a body share its buffer.

mod check;
mod compact;
mod decode;
mod lean;
mod scan;
mod text;

use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;

pub use compact::compact;
pub use lean::write_lean;
pub use scan::{Items, Members};
pub use text::write_string;

pub(crate) use scan::RawMembers;
pub(crate) use text::{is_torn, torn_at, unescape};

/// Deepest nesting accepted anywhere.
pub const MAX_DEPTH: usize = 128;

/// One JSON value as text that has been checked. Clones share the buffer.
#[derive(Clone)]
pub struct Json {
    page: Arc<String>,
    start: usize,
    end: usize,
}

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

impl Kind {
    /// The word used in errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Text => "text",
            Self::Array => "a list",
            Self::Object => "an object",
        }
    }
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

impl JsonError {
    fn at(bytes: &[u8], at: usize, message: impl Into<String>) -> Self {
        let before = bytes.get(..at).unwrap_or(bytes);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        Self { message: message.into(), line, column: 1 + before.len() - line_start }
    }
}

impl std::fmt::Debug for Json {
    /// Says how long the text is, never what it holds: it may hold secrets or customer data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Json({} bytes)", self.end - self.start)
    }
}

impl std::fmt::Debug for JsonRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JsonRef({} bytes)", self.0.len())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

/// Lets a part of a page be sent as a body without copying it.
struct Shared(Json);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.text().as_bytes()
    }
}

impl Json {
    /// Checks the whole text (syntax, UTF-8, depth) and trims the white space around it. A byte order mark is
    /// passed over. A `Vec<u8>`, a `String` or an unshared `Bytes` is taken over without a copy.
    pub fn parse(body: impl Into<Vec<u8>>) -> Result<Self, JsonError> {
        Self::parse_or_return(body.into()).map_err(|(error, _)| error)
    }

    /// As `parse`, but gives the bytes back when they are no JSON.
    pub fn parse_or_return(body: Vec<u8>) -> Result<Self, (JsonError, Vec<u8>)> {
        let page = String::from_utf8(body).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            (JsonError::at(error.as_bytes(), at, "the text is not UTF-8"), error.into_bytes())
        })?;
        match check::check(page.as_bytes()) {
            Ok(range) => Ok(Self { page: Arc::new(page), start: range.start, end: range.end }),
            Err(fault) => Err((JsonError::at(page.as_bytes(), fault.at, fault.message), page.into_bytes())),
        }
    }

    /// Whether a text is one value and nothing else.
    pub fn check(text: &str) -> Result<(), JsonError> {
        check::check(text.as_bytes()).map(drop).map_err(|fault| JsonError::at(text.as_bytes(), fault.at, fault.message))
    }

    /// Wraps text this crate has just written itself.
    pub(crate) fn trusted(text: impl Into<Vec<u8>>) -> Self {
        let page = match String::from_utf8(text.into()) {
            Ok(page) => page,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Self { start: 0, end: page.len(), page: Arc::new(page) }
    }

    /// Writes a value out.
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self::trusted(value.to_string())
    }

    /// The value, borrowed.
    pub fn as_ref(&self) -> JsonRef<'_> {
        JsonRef(self.text())
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.page.get(self.start..self.end).unwrap_or("null")
    }

    /// The text as bytes that share the buffer, for a request body.
    pub fn bytes(&self) -> Bytes {
        Bytes::from_owner(Shared(self.clone()))
    }

    /// A part of this value as a value of its own that shares the buffer. A value from elsewhere is copied.
    #[must_use]
    pub fn share(&self, part: JsonRef<'_>) -> Self {
        let (page, text) = (self.page.as_ptr().addr(), part.0.as_ptr().addr());
        match text.checked_sub(page) {
            Some(start) if start + part.0.len() <= self.page.len() => {
                Self { page: Arc::clone(&self.page), start, end: start + part.0.len() }
            }
            _ => Self::trusted(part.0),
        }
    }
}

impl<'a> JsonRef<'a> {
    /// `null`, for places that need some value.
    pub const NULL: JsonRef<'static> = JsonRef("null");

    /// Wraps text known to be one checked value, without white space around it.
    pub(crate) fn trusted(text: &'a str) -> Self {
        Self(text)
    }

    /// The text as it was received.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Its type.
    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'"') => Kind::Text,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The string's content, unescaped (borrowed when it has no escapes); none for other kinds. Half of a
    /// surrogate pair, which no text can hold, becomes U+FFFD.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?;
        Some(unescape(inner.strip_suffix('"').unwrap_or(inner)))
    }

    /// The member of an object; the last one when a key repeats.
    pub fn get(self, key: &str) -> Option<JsonRef<'a>> {
        RawMembers::of(self.0).filter(|member| member.is(key)).last().map(|member| member.value)
    }

    /// The item of an array.
    pub fn at(self, index: usize) -> Option<JsonRef<'a>> {
        self.items().nth(index)
    }

    /// The items of an array; nothing for other kinds.
    pub fn items(self) -> Items<'a> {
        Items::of(self.0)
    }

    /// The members of an object in order, repeated keys included; nothing for other kinds.
    pub fn members(self) -> Members<'a> {
        Members::of(self.0)
    }

    /// Present and not null, false, 0, "", [] (FORMAT: rules).
    pub fn is_truthy(self) -> bool {
        match self.kind() {
            Kind::Null => false,
            Kind::Bool => self.0 == "true",
            Kind::Text => self.0.len() > 2,
            Kind::Number => decode::is_not_zero(self.0),
            Kind::Array => self.items().next().is_some(),
            Kind::Object => true,
        }
    }

    /// The exact text used when rules compare: strings unescaped, everything else as written.
    pub fn compare_text(self) -> Cow<'a, str> {
        self.as_str().unwrap_or(Cow::Borrowed(self.0))
    }

    /// Decoded. A number beyond what `f64` holds becomes its digits as a string, so that nothing is lost.
    pub fn to_value(self) -> serde_json::Value {
        serde_json::from_str(self.0).unwrap_or_else(|_| decode::lenient(self, 0))
    }
}

#[cfg(test)]
mod tests;
