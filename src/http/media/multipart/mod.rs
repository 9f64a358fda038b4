//! `multipart` (`multipart/form-data`): a part for each member of the body. A table with `filename` is a file. Answers
//! are read in [`read`].

mod head;
pub(super) mod read;
#[cfg(test)]
#[path = "tests.rs"]
mod reading;

use super::Encoded;
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::HeaderValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;

/// One part before it is written.
struct Part<'a> {
    name: Cow<'a, str>,
    filename: Option<Cow<'a, str>>,
    content_type: Option<Cow<'a, str>>,
    content: Cow<'a, [u8]>,
}

/// An object; null is left out, a list repeats its name, a table without `filename` is a part of JSON.
pub(super) fn write(value: JsonRef<'_>) -> Result<Encoded, EvalError> {
    if value.kind() != Kind::Object {
        return Err(EvalError::Type(format!("a multipart body is made of a table, not of {}", value.kind().name())));
    }
    let mut parts = Vec::new();
    for (name, value) in value.members() {
        let items: Vec<JsonRef<'_>> = if value.kind() == Kind::Array { value.items().collect() } else { vec![value] };
        for item in items.into_iter().filter(|item| !item.is_null()) {
            parts.push(part(name.clone(), item).map_err(|error| error.at(&name))?);
        }
    }
    let boundary = boundary(&parts);
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
        .map_err(|_| EvalError::Refused("no boundary could be made".to_owned()))?;
    Ok(Encoded { bytes: joined(&parts, &boundary), content_type })
}

fn part<'a>(name: Cow<'a, str>, value: JsonRef<'a>) -> Result<Part<'a>, EvalError> {
    let plain = |content_type, content| Part { name: name.clone(), filename: None, content_type, content };
    Ok(match value.kind() {
        Kind::Object if value.get("filename").is_some() => file(name, value)?,
        Kind::Object | Kind::Array => {
            plain(Some(Cow::Borrowed("application/json")), Cow::Borrowed(value.text().as_bytes()))
        }
        _ => plain(None, bytes(value.compare_text())),
    })
}

/// `{ filename, content | base64, content_type }`
fn file<'a>(name: Cow<'a, str>, value: JsonRef<'a>) -> Result<Part<'a>, EvalError> {
    let mut part = Part {
        name,
        filename: None,
        content_type: Some("application/octet-stream".into()),
        content: Cow::Borrowed(b""),
    };
    let mut contents = 0;
    for (key, value) in value.members() {
        match key.as_ref() {
            "filename" => part.filename = Some(text(value, "filename")?),
            "content_type" => part.content_type = Some(header(text(value, "content_type")?)?),
            "content" => {
                contents += 1;
                part.content = bytes(value.compare_text());
            }
            "base64" => {
                contents += 1;
                let decoded = STANDARD.decode(text(value, "base64")?.trim().as_bytes());
                let error = |error| EvalError::Refused(format!("`base64` is not base64: {error}"));
                part.content = Cow::Owned(decoded.map_err(error)?);
            }
            other => {
                return Err(EvalError::Refused(format!(
                    "`{other}` is no key of a file; a file is {{ filename, content or base64, content_type }}"
                )));
            }
        }
    }
    match contents {
        1 => Ok(part),
        _ => Err(EvalError::Refused("a file has `content` or `base64`, one of the two".to_owned())),
    }
}

fn text<'a>(value: JsonRef<'a>, key: &str) -> Result<Cow<'a, str>, EvalError> {
    value.as_str().ok_or_else(|| EvalError::Type(format!("`{key}` is {}, not text", value.kind().name())))
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Data must not write headers.
fn header(text: Cow<'_, str>) -> Result<Cow<'_, str>, EvalError> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(text);
    }
    Err(EvalError::Refused("`content_type` holds characters no header can hold".to_owned()))
}

/// Made of the content: the same request has the same bytes after a restart too. Nobody can write data that holds it.
fn boundary(parts: &[Part<'_>]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        for piece in [part.name.as_bytes(), part.filename.as_deref().unwrap_or_default().as_bytes(), &part.content] {
            digest.update((piece.len() as u64).to_be_bytes());
            digest.update(piece);
        }
    }
    let mut text = String::from("flowgate-");
    for byte in digest.finalize().iter().take(20) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn joined(parts: &[Part<'_>], boundary: &str) -> Bytes {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.content.len() + 200).sum());
    for part in parts {
        out.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"").as_bytes());
        out.extend_from_slice(quoted(&part.name).as_bytes());
        out.push(b'"');
        if let Some(filename) = &part.filename {
            out.extend_from_slice(format!("; filename=\"{}\"", quoted(filename)).as_bytes());
        }
        if let Some(content_type) = &part.content_type {
            out.extend_from_slice(format!("\r\nContent-Type: {content_type}").as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&part.content);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out.into()
}

/// As browsers write names: no byte of one can end it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;

    fn written(json: &str) -> Result<String, String> {
        let json = Json::parse(json).unwrap();
        let encoded = write(json.as_ref()).map_err(|error| error.to_string())?;
        let boundary = encoded.content_type.to_str().unwrap().split_once("boundary=").unwrap().1.to_owned();
        Ok(String::from_utf8(encoded.bytes.to_vec()).unwrap().replace(&boundary, "B"))
    }

    #[test]
    fn fields_lists_tables_and_files_are_parts() {
        let json = r#"{"id":1.50,"tag":["a","b"],"none":null,"meta":{"a":[1]},
            "f":{"filename":"a \"b\".csv","content":"x,y\r\n","content_type":"text/csv"},
            "g":{"filename":"g","base64":"AGE="}}"#;
        let field = |head: &str, content: &str| {
            format!("--B\r\nContent-Disposition: form-data; name={head}\r\n\r\n{content}\r\n")
        };
        let expected = [
            field("\"id\"", "1.50"),
            field("\"tag\"", "a"),
            field("\"tag\"", "b"),
            field("\"meta\"\r\nContent-Type: application/json", "{\"a\":[1]}"),
            field("\"f\"; filename=\"a %22b%22.csv\"\r\nContent-Type: text/csv", "x,y\r\n"),
            field("\"g\"; filename=\"g\"\r\nContent-Type: application/octet-stream", "\0a"),
        ];
        assert_eq!(written(json).unwrap(), format!("{}--B--\r\n", expected.concat()));
    }

    #[test]
    fn data_cannot_write_headers_or_other_parts() {
        let sent = written(r#"{"a\r\nX: y":"1","f":{"filename":"x\r\nX: y","content":"--B--"}}"#).unwrap();
        assert!(!sent.contains("\r\nX: y"), "{sent}");
        let bad = written(r#"{"f":{"filename":"x","content":"","content_type":"a\r\nX: y"}}"#);
        assert!(bad.unwrap_err().contains("content_type"));
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        for (json, why) in [
            (r#"{"f":{"filename":"x"}}"#, "one of the two"),
            (r#"{"f":{"filename":"x","content":"","base64":""}}"#, "one of the two"),
            (r#"{"f":{"filename":"x","content":"","mime":"a"}}"#, "`mime`"),
            (r#"{"f":{"filename":"x","base64":"?"}}"#, "not base64"),
            (r#"{"f":{"filename":1,"content":""}}"#, "a number, not text"),
            ("[1]", "made of a table"),
        ] {
            let error = written(json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    #[test]
    fn the_same_content_has_the_same_bytes_and_another_boundary_than_other_content() {
        let bytes = |json: &str| write(Json::parse(json).unwrap().as_ref()).unwrap().content_type;
        assert_eq!(bytes(r#"{"a":"1"}"#), bytes(r#"{"a":"1"}"#));
        assert_ne!(bytes(r#"{"a":"1"}"#), bytes(r#"{"a":"2"}"#));
    }
}
