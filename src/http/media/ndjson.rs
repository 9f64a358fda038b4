//! `ndjson`: a JSON value a line. Read, the lines are one list.

use super::{Encoded, MediaType};
use crate::value::document::Document;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, Kind};

/// A list is a line for each of its items; anything else is one line.
pub(super) fn write(value: JsonRef<'_>) -> Encoded {
    let mut out = Vec::with_capacity(value.text().len() + 1);
    if value.kind() == Kind::Array {
        value.items().for_each(|item| line(item.text(), &mut out));
    } else {
        line(value.text(), &mut out);
    }
    Encoded::new(out, MediaType::Ndjson.content_type())
}

/// Line ends stand between the parts of a JSON text only, never inside one.
fn line(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    out.push(b'\n');
}

/// Text that was rendered is lines already, or one value over several lines.
pub(super) fn write_text(rendered: &str) -> Result<Encoded, EvalError> {
    let whole = Json::parse(rendered);
    match whole {
        Ok(json) => Ok(write(json.as_ref())),
        Err(_) => match read(rendered) {
            Ok(document) => Ok(write(document.view())),
            Err(why) => Err(EvalError::Refused(format!("the rendered text is not NDJSON: {why}"))),
        },
    }
}

/// Blank lines are passed over.
pub(super) fn read(text: &str) -> Result<Document, String> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'[');
    for (number, line) in text.strip_prefix('\u{feff}').unwrap_or(text).split('\n').enumerate() {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() {
            continue;
        }
        Json::check(line)
            .map_err(|error| format!("line {}: {} (column {})", number + 1, error.message, error.column))?;
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(line.as_bytes());
    }
    out.push(b']');
    Ok(Document::from(Json::trusted(out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> String {
        String::from_utf8(write(Json::parse(json).unwrap().as_ref()).bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_line_is_a_value_and_numbers_keep_their_digits() {
        let text = "\u{feff}{\"a\":9007199254740993}\r\n\n 1.50\n\"x\"";
        assert_eq!(read(text).unwrap().text(), r#"[{"a":9007199254740993},1.50,"x"]"#);
        assert_eq!(read("\n\n").unwrap().text(), "[]");
        for (text, why) in [
            ("{}\n{\"a\":\n1}", "line 2: "),
            ("{}\n1,2", "line 2: text after the end of the value (column 2)"),
            ("[1\n2]", "line 1: "),
        ] {
            assert!(read(text).unwrap_err().starts_with(why), "{text}: {}", read(text).unwrap_err());
        }
    }

    #[test]
    fn a_value_is_one_line_however_it_was_written() {
        assert_eq!(written("[{\n  \"a\": \"x\\ny\"\r\n}, 2]"), "{  \"a\": \"x\\ny\"}\n2\n");
        assert_eq!(written("{\"a\":1}"), "{\"a\":1}\n");
        let rendered = |text: &str| write_text(text).map(|encoded| encoded.bytes);
        assert_eq!(&rendered("{\n\"a\":1}").unwrap()[..], b"{\"a\":1}\n");
        assert_eq!(&rendered("{}\n{}").unwrap()[..], b"{}\n{}\n");
        assert!(rendered("{").is_err());
    }
}
