//! A look at a document's tags before it is parsed: no DTD, no absurd depth, and no more work for the parser than the
//! document's length explains (it compares attributes and namespaces pair by pair).
//!
//! Not a check of well-formedness: up to the first mistake it sees what the parser sees, and behind that nobody looks.

use super::{MAX_DEPTH, XmlError};
use memchr::{memchr, memchr3, memmem};

/// Comparisons allowed besides those that the length explains.
const WORK: usize = 4_000_000;
/// Comparisons allowed for each byte.
const WORK_PER_BYTE: usize = 16;
/// Places for namespaces in scope, besides half a place for each byte.
const SCOPES: usize = 1_000_000;

/// Refuses what may not be parsed.
pub(super) fn look(text: &str) -> Result<(), XmlError> {
    let bytes = text.as_bytes();
    let mut seen =
        Seen { work: WORK + WORK_PER_BYTE * bytes.len(), scopes: SCOPES + bytes.len() / 2, open: Vec::new() };
    let mut at = 0;
    while let Some(found) = memchr(b'<', &bytes[at..]) {
        let tag = at + found;
        let rest = &bytes[tag..];
        let past = |end: &[u8]| memmem::find(rest, end).map(|length| tag + length + end.len());
        let next = match rest {
            [b'<', b'!', b'-', b'-', ..] => past(b"-->"),
            [b'<', b'!', b'[', ..] => past(b"]]>"),
            [b'<', b'?', ..] => match instruction(rest, tag == 0) {
                Ok(()) => past(b"?>"),
                Err(message) => return Err(XmlError::at(text, tag, message)),
            },
            [b'<', b'!', ..] => return Err(document_type(text, tag)),
            [b'<', b'/', ..] => {
                seen.open.pop();
                past(b">")
            }
            _ => match seen.start_tag(rest) {
                Ok(length) => length.map(|length| tag + length),
                Err(message) => return Err(XmlError::at(text, tag, message)),
            },
        };
        // Cut short: the parser says so.
        let Some(next) = next else { return Ok(()) };
        at = next;
    }
    Ok(())
}

/// What the parser lets pass: anything behind an instruction's name, and any version of XML.
fn instruction(tag: &[u8], first: bool) -> Result<(), &'static str> {
    let named = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b) || !b.is_ascii();
    let rest = tag.get(2..).unwrap_or_default();
    let (name, after) = rest.split_at(rest.iter().take_while(|b| named(b)).count());
    if !matches!(after, [b'?', b'>', ..] | [b' ' | b'\t' | b'\r' | b'\n', ..] | []) {
        return Err("no white space after an instruction's name");
    }
    if !first || name != b"xml" {
        return Ok(());
    }
    let version = after.trim_ascii_start().strip_prefix(b"version").map(<[u8]>::trim_ascii_start);
    let value = version.and_then(|rest| rest.strip_prefix(b"=")).map(<[u8]>::trim_ascii_start);
    match value {
        Some([b'"' | b'\'', b'1', b'.', b'0'..=b'9', b'"' | b'\'', ..]) => Ok(()),
        _ => Err("a declaration of another version than XML 1.0"),
    }
}

fn document_type(text: &str, at: usize) -> XmlError {
    let declared = &text.as_bytes()[at..];
    let word = declared.get(2..9).unwrap_or_default();
    if word.eq_ignore_ascii_case(b"DOCTYPE") {
        let kind = declared.get(9..).unwrap_or_default().trim_ascii_start();
        if kind.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"html")) {
            return XmlError::at(text, at, "an HTML page where XML was expected");
        }
        return XmlError::at(text, at, "a document type (DTD), which is never read: entities could be anything");
    }
    XmlError::at(text, at, "`<!` begins neither a comment nor a CDATA section")
}

struct Seen {
    work: usize,
    scopes: usize,
    /// How many namespaces are in scope, for each open element.
    open: Vec<usize>,
}

impl Seen {
    /// Counts one start tag and says how long it is; none when it does not end.
    fn start_tag(&mut self, tag: &[u8]) -> Result<Option<usize>, String> {
        let name = tag.iter().take_while(|b| !b.is_ascii_whitespace() && !matches!(b, b'>' | b'/')).count();
        let (mut at, mut attributes, mut declared) = (name, 0_usize, 0_usize);
        if tag.get(1) == Some(&b':') {
            return Err("a name that begins with a colon".to_owned());
        }
        let end = loop {
            let Some(found) = memchr3(b'>', b'"', b'\'', &tag[at..]) else { return Ok(None) };
            let found = at + found;
            // Names between two values; a declaration is a name that begins with it.
            let between = &tag[at..found];
            declared += usize::from(memmem::find(between, b"xmlns").is_some());
            if between.trim_ascii_start().first() == Some(&b':') {
                return Err("a name that begins with a colon".to_owned());
            }
            let quote = tag[found];
            if quote == b'>' {
                break found;
            }
            attributes += 1;
            let Some(length) = memchr(quote, &tag[found + 1..]) else { return Ok(None) };
            at = found + 1 + length + 1;
        };
        let outside = self.open.last().copied().unwrap_or(0);
        let scope = outside + declared;
        let work = attributes * attributes + (1 + attributes) * scope + declared * scope;
        let Some(left) = self.work.checked_sub(work) else {
            return Err("more attributes or namespaces than a document of this size can have".to_owned());
        };
        self.work = left;
        if declared > 0 {
            let left = self.scopes.checked_sub(scope);
            self.scopes = left.ok_or("more namespaces than a document of this size can have")?;
        }
        if tag[end - 1] != b'/' {
            self.open.push(scope);
            if self.open.len() > MAX_DEPTH {
                return Err(format!("elements nest deeper than {MAX_DEPTH}"));
            }
        } else if self.open.len() >= MAX_DEPTH {
            return Err(format!("elements nest deeper than {MAX_DEPTH}"));
        }
        Ok(Some(end + 1))
    }
}
