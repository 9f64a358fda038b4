//! Finding values inside checked text without decoding them.

use super::JsonRef;
use super::text::{space, string_end, unescape};
use std::borrow::Cow;

/// Where the value that begins at `at` ends.
pub(super) fn value_end(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => string_end(text, at).0 + 1,
        Some(b'{' | b'[') => container_end(text, at),
        _ => plain_end(text, at),
    }
}

fn plain_end(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|b| !matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

fn container_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at).0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Where the first entry of a container stands; past the end for other kinds.
fn first_entry(text: &str, bracket: u8) -> usize {
    if text.as_bytes().first() == Some(&bracket) { space(text.as_bytes(), 1) } else { text.len() }
}

/// Past the comma after an entry, or past the end.
fn next_entry(text: &str, end: usize) -> usize {
    let at = space(text.as_bytes(), end);
    if text.as_bytes().get(at) == Some(&b',') { space(text.as_bytes(), at + 1) } else { text.len() }
}

/// The items of an array.
#[derive(Clone)]
pub struct Items<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Items<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, at: first_entry(text, b'[') }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = JsonRef<'a>;

    fn next(&mut self) -> Option<JsonRef<'a>> {
        let end = value_end(self.text.as_bytes(), self.at);
        if end <= self.at {
            return None;
        }
        let item = self.text.get(self.at..end)?;
        self.at = next_entry(self.text, end);
        Some(JsonRef(item))
    }
}

/// One member with its key as it stands in the text, without quotes.
pub(crate) struct RawMember<'a> {
    pub(crate) raw_key: &'a str,
    pub(crate) escaped: bool,
    pub(crate) value: JsonRef<'a>,
}

impl<'a> RawMember<'a> {
    /// Whether this is the key's member.
    pub(crate) fn is(&self, key: &str) -> bool {
        if self.escaped { unescape(self.raw_key) == key } else { self.raw_key == key }
    }

    /// The key, unescaped.
    pub(crate) fn key(&self) -> Cow<'a, str> {
        if self.escaped { unescape(self.raw_key) } else { Cow::Borrowed(self.raw_key) }
    }
}

/// The members of an object, keys left as written.
#[derive(Clone)]
pub(crate) struct RawMembers<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> RawMembers<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, at: first_entry(text, b'{') }
    }
}

impl<'a> Iterator for RawMembers<'a> {
    type Item = RawMember<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawMember<'a>> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let (key_end, escaped) = string_end(bytes, self.at);
        let raw_key = self.text.get(self.at + 1..key_end)?;
        // After the key stand white space, the colon, and white space again.
        let start = space(bytes, space(bytes, key_end + 1) + 1);
        let end = value_end(bytes, start);
        let value = self.text.get(start..end)?;
        self.at = next_entry(self.text, end);
        Some(RawMember { raw_key, escaped, value: JsonRef(value) })
    }
}

/// The members of an object.
#[derive(Clone)]
pub struct Members<'a>(RawMembers<'a>);

impl<'a> Members<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self(RawMembers::of(text))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, JsonRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|member| (member.key(), member.value))
    }
}
