//! The inside of JSON strings: finding their ends, unescaping and escaping. Eight bytes at a time where it pays.

use super::JsonRef;
use std::borrow::Cow;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

fn word(text: &[u8], at: usize) -> Option<u64> {
    let (chunk, _) = text.get(at..)?.split_first_chunk::<8>()?;
    Some(u64::from_le_bytes(*chunk))
}

/// High bits of the bytes equal to `byte`; exact up to and including the first one.
fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * u64::from(byte));
    zero.wrapping_sub(ONES) & !zero & HIGHS
}

fn first(hits: u64) -> usize {
    (hits.trailing_zeros() / 8) as usize
}

/// The next quote, backslash or control character from `at` on, or the end.
pub(super) fn find_special(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(text, at) {
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let hits = equal(word, b'"') | equal(word, b'\\') | control;
        if hits != 0 {
            return at + first(hits);
        }
        at += 8;
    }
    while text.get(at).is_some_and(|&b| b != b'"' && b != b'\\' && b >= 0x20) {
        at += 1;
    }
    at
}

/// The next quote or backslash from `at` on, or the end. Short strings are met far more often than long ones,
/// so the vector search is called only after sixteen bytes.
fn find_quote(text: &[u8], mut at: usize) -> usize {
    for _ in 0..2 {
        let Some(word) = word(text, at) else { break };
        let hits = equal(word, b'"') | equal(word, b'\\');
        if hits != 0 {
            return at + first(hits);
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len())
}

/// Where the string that begins with the quote at `opening` closes (the index of its last quote), and whether
/// it holds escapes. The text is checked already.
pub(super) fn string_end(text: &[u8], opening: usize) -> (usize, bool) {
    let mut at = opening + 1;
    let mut escaped = false;
    loop {
        at = find_quote(text, at);
        match text.get(at) {
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            Some(_) => return (at, escaped),
            None => return (text.len(), escaped),
        }
    }
}

/// The first byte from `at` on that is no JSON white space.
pub(super) fn space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The content of a checked string without its quotes.
pub(crate) fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(mut next) = memchr::memchr(b'\\', inner.as_bytes()) else {
        return Cow::Borrowed(inner);
    };
    let mut out = String::with_capacity(inner.len());
    let mut done = 0;
    loop {
        out.push_str(inner.get(done..next).unwrap_or_default());
        let (decoded, length) = one_escape(inner.as_bytes(), next);
        out.push(decoded);
        done = next + length;
        let rest = inner.get(done..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\\', rest.as_bytes()) else {
            out.push_str(rest);
            return Cow::Owned(out);
        };
        next = done + found;
    }
}

/// The character behind the backslash at `at`, and how many bytes stand for it.
fn one_escape(text: &[u8], at: usize) -> (char, usize) {
    let plain = match text.get(at + 1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(text, at),
        Some(&other) => char::from(other),
        None => return (char::REPLACEMENT_CHARACTER, 1),
    };
    (plain, 2)
}

fn unicode_escape(text: &[u8], at: usize) -> (char, usize) {
    let Some(first) = hex4(text, at + 2) else { return (char::REPLACEMENT_CHARACTER, 2) };
    if (0xD800..0xDC00).contains(&first)
        && text.get(at + 6..at + 8) == Some(br"\u")
        && let Some(second @ 0xDC00..0xE000) = hex4(text, at + 8)
    {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

/// Whether JSON text spells half of a surrogate pair somewhere: JSON can carry that on, no text can.
pub(crate) fn is_torn(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        let half = bytes.get(at + 1) == Some(&b'u')
            && hex4(bytes, at + 2).is_some_and(|code| (0xD800..0xE000).contains(&code));
        let (_, length) = one_escape(bytes, at);
        if half && length < 12 {
            return true;
        }
        at += length;
    }
    false
}

/// Where in a value half of a surrogate pair stands, as far down as members have names.
pub(crate) fn torn_at(value: JsonRef<'_>) -> String {
    let mut path = String::new();
    let mut here = value;
    while let Some((step, inner)) = step_into_torn(here) {
        path.push_str(if path.is_empty() || step.starts_with('[') { "" } else { "." });
        path.push_str(&step);
        here = inner;
    }
    path
}

fn step_into_torn(value: JsonRef<'_>) -> Option<(String, JsonRef<'_>)> {
    let member = value.members().find(|(_, member)| is_torn(member.text()));
    let item = || value.items().enumerate().find(|(_, item)| is_torn(item.text()));
    member
        .map(|(name, member)| (name.into_owned(), member))
        .or_else(|| item().map(|(n, item)| (format!("[{n}]"), item)))
}

fn hex4(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

/// Writes `text` as a JSON string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut done = 0;
    loop {
        let at = find_special(bytes, done);
        out.extend_from_slice(bytes.get(done..at).unwrap_or_default());
        let Some(&byte) = bytes.get(at) else { break };
        write_escape(out, byte);
        done = at + 1;
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
