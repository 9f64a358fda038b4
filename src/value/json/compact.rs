//! A value as programs write it: no white space between its parts, strings with no more escapes than they need. Numbers
//! stay as they were received.

use super::{JsonRef, write_string};
use std::borrow::Cow;

/// The value without white space between its parts.
pub fn compact(value: JsonRef<'_>) -> Cow<'_, str> {
    let text = value.text();
    if is_compact(text) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = if c == '"' { string_end(rest) } else { c.len_utf8() };
        let (part, after) = rest.split_at(end);
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '"' => match JsonRef::trusted(part).as_str() {
                // Half of a surrogate pair is no text: it stays as it is written.
                Some(Cow::Owned(text)) if !text.contains('\u{FFFD}') => write_string(&mut out, &text),
                _ => out.extend_from_slice(part.as_bytes()),
            },
            _ => out.extend_from_slice(part.as_bytes()),
        }
        rest = after;
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Where the string that begins the text ends.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether there is nothing to leave out or to write otherwise.
fn is_compact(text: &str) -> bool {
    let mut quoted = false;
    for b in text.bytes() {
        match b {
            b'"' => quoted = !quoted,
            b'\\' => return false,
            b' ' | b'\t' | b'\n' | b'\r' if !quoted => return false,
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;
    use proptest::prelude::*;
    use serde_json::Value;

    fn compacted(text: &str) -> String {
        compact(Json::parse(text.to_owned()).unwrap().as_ref()).into_owned()
    }

    #[test]
    fn white_space_goes_and_what_is_written_stays() {
        for (text, wanted) in [
            ("{ \"a\":  [1,   \"x y\"] }", "{\"a\":[1,\"x y\"]}"),
            ("[1.0, 1e20,\n9007199254740993]", "[1.0,1e20,9007199254740993]"),
            (r#"{"q": "a\" b \\", "u": "\u00e9\/"}"#, "{\"q\":\"a\\\" b \\\\\",\"u\":\"\u{e9}/\"}"),
            ("{\"a\":1}", "{\"a\":1}"),
            (r#"[ "\ud83d" ]"#, r#"["\ud83d"]"#),
            (" null ", "null"),
        ] {
            assert_eq!(compacted(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_value_stays_the_same(text in "\\PC{0,20}", n in any::<i64>()) {
            let value = serde_json::json!({ "k": [text.clone(), n, { text: null }] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let written = compacted(&pretty);
            prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value.clone());
            prop_assert_eq!(written, value.to_string());
        }
    }
}
