//! The one full check of a JSON text: RFC 8259 syntax and nesting depth, without recursion and without decoding.

use super::MAX_DEPTH;
use super::text::{find_special, space};
use std::ops::Range;

/// Where and why a text is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: &'static str,
}

fn fault<T>(at: usize, message: &'static str) -> Result<T, Fault> {
    Err(Fault { at, message })
}

/// Open brackets, one bit each (set = object); 128 bits are exactly the depth allowed.
#[derive(Default)]
struct Open {
    kinds: u128,
    depth: usize,
}

impl Open {
    fn push(&mut self, at: usize, object: bool) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return fault(at, "nested deeper than 128 levels");
        }
        self.kinds = self.kinds << 1 | u128::from(object);
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.kinds >>= 1;
        self.depth -= 1;
    }

    fn in_object(&self) -> bool {
        self.kinds & 1 == 1
    }
}

/// Checks UTF-8 text and gives the range of the value without the white space around it.
pub(super) fn check(text: &[u8]) -> Result<Range<usize>, Fault> {
    let bom = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let start = space(text, bom);
    if start >= text.len() {
        return fault(text.len(), "the text is empty");
    }
    let end = value(text, start)?;
    let rest = space(text, end);
    if rest < text.len() {
        return fault(rest, "text after the end of the value");
    }
    Ok(start..end)
}

/// Passes one whole value.
fn value(text: &[u8], mut at: usize) -> Result<usize, Fault> {
    let mut open = Open::default();
    loop {
        at = match text.get(at) {
            Some(b'"') => string(text, at)?,
            Some(&bracket @ (b'{' | b'[')) => {
                let object = bracket == b'{';
                open.push(at, object)?;
                at = space(text, at + 1);
                if text.get(at) != Some(if object { &b'}' } else { &b']' }) {
                    at = if object { key(text, at)? } else { at };
                    continue;
                }
                open.pop();
                at + 1
            }
            Some(b't') => literal(text, at, b"true")?,
            Some(b'f') => literal(text, at, b"false")?,
            Some(b'n') => literal(text, at, b"null")?,
            Some(b'-' | b'0'..=b'9') => number(text, at)?,
            Some(_) => return fault(at, "expected a value"),
            None => return fault(at, "the text ends where a value should stand"),
        };
        match close(text, at, &mut open)? {
            Next::Value(next) => at = next,
            Next::Done(end) => return Ok(end),
        }
    }
}

enum Next {
    Value(usize),
    Done(usize),
}

/// After a value: passes closing brackets until a comma or the end.
fn close(text: &[u8], mut at: usize, open: &mut Open) -> Result<Next, Fault> {
    while open.depth > 0 {
        at = space(text, at);
        match (text.get(at), open.in_object()) {
            (Some(b','), true) => return key(text, space(text, at + 1)).map(Next::Value),
            (Some(b','), false) => return Ok(Next::Value(space(text, at + 1))),
            (Some(b'}'), true) | (Some(b']'), false) => open.pop(),
            (None, true) => return fault(at, "the text ends inside an object"),
            (None, false) => return fault(at, "the text ends inside a list"),
            (Some(_), true) => return fault(at, "expected `,` or `}`"),
            (Some(_), false) => return fault(at, "expected `,` or `]`"),
        }
        at += 1;
    }
    Ok(Next::Done(at))
}

/// Passes a key and its colon, up to where the value begins.
fn key(text: &[u8], at: usize) -> Result<usize, Fault> {
    if text.get(at) != Some(&b'"') {
        return fault(at, "expected a key in double quotes");
    }
    let colon = space(text, string(text, at)?);
    if text.get(colon) != Some(&b':') {
        return fault(colon, "expected `:` after the key");
    }
    Ok(space(text, colon + 1))
}

fn string(text: &[u8], opening: usize) -> Result<usize, Fault> {
    let mut at = opening + 1;
    loop {
        at = find_special(text, at);
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(text, at)?,
            Some(_) => return fault(at, "a control character inside a string (escape it)"),
            None => return fault(opening, "a string without its closing quote"),
        }
    }
}

fn escape(text: &[u8], at: usize) -> Result<usize, Fault> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') if text.get(at + 2..at + 6).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => {
            Ok(at + 6)
        }
        _ => fault(at, "an unknown escape inside a string"),
    }
}

fn literal(text: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    match text.get(at..at + word.len()) {
        Some(found) if found == word => Ok(at + word.len()),
        _ => fault(at, "expected a value"),
    }
}

fn digits(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn number(text: &[u8], start: usize) -> Result<usize, Fault> {
    let first = if text.get(start) == Some(&b'-') { start + 1 } else { start };
    let mut at = digits(text, first);
    if at == first || (text.get(first) == Some(&b'0') && at > first + 1) {
        return fault(start, "a malformed number");
    }
    if text.get(at) == Some(&b'.') {
        let end = digits(text, at + 1);
        if end == at + 1 {
            return fault(start, "a malformed number");
        }
        at = end;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let end = digits(text, at + 1 + sign);
        if end == at + 1 + sign {
            return fault(start, "a malformed number");
        }
        at = end;
    }
    Ok(at)
}
