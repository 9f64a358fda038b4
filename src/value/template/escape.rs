//! Writes a value's text so that it fits the place it stands in. One table, FORMAT.md section 0; never HTML.

use super::Place;
use crate::value::issue::EvalError;
use crate::value::json::write_string;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// All but the unreserved and the reserved characters.
const REFERENCE: &AsciiSet = &COMPONENT
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'#')
    .remove(b'[')
    .remove(b']')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// Writes `text` for the place; `raw` is the triple-brace form.
pub(super) fn write(place: Place, raw: bool, text: &str, out: &mut String) -> Result<(), EvalError> {
    match (place, raw) {
        (Place::Uri, false) => out.extend(utf8_percent_encode(text, COMPONENT)),
        (Place::Uri, true) => out.extend(utf8_percent_encode(text, REFERENCE)),
        (Place::Header, _) => {
            if let Some(bad) = text.bytes().find(|b| matches!(b, b'\r' | b'\n' | 0)) {
                let name = match bad {
                    b'\r' => "a carriage return",
                    b'\n' => "a line feed",
                    _ => "a NUL character",
                };
                return Err(EvalError::Refused(format!("the value holds {name}, which no header may carry")));
            }
            out.push_str(text);
        }
        (Place::Json, false) => json(text, out),
        (Place::Form, false) => out.extend(url::form_urlencoded::byte_serialize(text.as_bytes())),
        (Place::Xml, false) => xml(text, out)?,
        (Place::Json | Place::Form | Place::Xml, true) | (Place::Plain | Place::Link, _) => out.push_str(text),
    }
    Ok(())
}

/// The inside of a JSON string.
fn json(text: &str, out: &mut String) {
    if !text.bytes().any(|b| b < 0x20 || matches!(b, b'"' | b'\\' | 0x7f)) {
        out.push_str(text);
        return;
    }
    let mut quoted = Vec::with_capacity(text.len() + 8);
    write_string(&mut quoted, text);
    if let Some(inner) = quoted.get(1..quoted.len().saturating_sub(1)) {
        out.push_str(std::str::from_utf8(inner).unwrap_or_default());
    }
}

fn xml(text: &str, out: &mut String) -> Result<(), EvalError> {
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let entity = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&apos;",
            // A reader would make a line feed of it.
            '\r' => "&#13;",
            // In an attribute it would make blanks of these.
            '\n' => "&#10;",
            '\t' => "&#9;",
            '\0'..' ' | '\u{FFFE}' | '\u{FFFF}' => {
                let code = u32::from(c);
                return Err(EvalError::Refused(format!("the value holds U+{code:04X}, which XML cannot hold")));
            }
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(entity);
        from = at + 1;
    }
    out.push_str(&text[from..]);
    Ok(())
}
