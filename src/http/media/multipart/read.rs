//! Multipart answers. The parts of a form become members of one record; those of other kinds (`mixed`, `related` …) a
//! list. What is read has the shape that is written, so a record can be sent on as it is.

use super::head::{Head, Value};
use crate::http::media::charset;
use crate::value::document::Document;
use crate::value::json::{Json, write_string};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use std::borrow::Cow;
use std::collections::HashMap;

/// Most parts.
const MOST_PARTS: usize = 10_000;
/// Longest boundary, by RFC 2046.
const LONGEST_BOUNDARY: usize = 70;

/// Reads a body whose `Content-Type` is this; `most` bounds the bytes of what comes of it.
pub(in crate::http::media) fn read(body: &[u8], content_type: &str, most: usize) -> Result<Document, String> {
    let told = Value::of(content_type);
    let boundary = told.parameter("boundary").ok_or("`Content-Type` names no boundary")?;
    let is_boundary = |text: &str| !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if boundary.len() > LONGEST_BOUNDARY || !is_boundary(&boundary) {
        return Err(format!("its boundary is not one to {LONGEST_BOUNDARY} printable characters"));
    }
    // What does not say is taken for a form, which is what is sent to people who ask for records.
    let essence = told.essence.to_ascii_lowercase();
    let as_list = essence.starts_with("multipart/") && essence != "multipart/form-data";
    let mut gathered = Gathered { as_list, ..Gathered::default() };
    let mut size = 0;
    for (n, part) in Parts::of(body, &boundary)?.enumerate() {
        let read = part.and_then(|part| Part::read(part)?.json(as_list).map(|json| (json.0, json.1)));
        let (name, json) = read.map_err(|why| format!("part {}: {why}", n + 1))?;
        size += json.len() + name.len();
        if n >= MOST_PARTS {
            return Err(format!("it has more than {MOST_PARTS} parts"));
        }
        if size > most {
            return Err(format!("its parts are more than {most} bytes as a record"));
        }
        gathered.add(name, json);
    }
    Json::parse(gathered.json()).map(Document::from).map_err(|error| error.to_string())
}

/// The bytes between the boundaries, one part after another.
struct Parts<'b> {
    body: &'b [u8],
    delimiter: Vec<u8>,
    /// How lines end, by the first one that is a boundary: LF alone is not what ends a part of a body with CRLF.
    end: &'static [u8],
    at: usize,
    over: bool,
}

/// A line that is a boundary.
struct Boundary {
    /// Where the line begins.
    start: usize,
    /// Where the next one does.
    after: usize,
    last: bool,
}

impl<'b> Parts<'b> {
    /// What stands before the first boundary is for nobody.
    fn of(body: &'b [u8], boundary: &str) -> Result<Self, String> {
        let delimiter = format!("--{boundary}").into_bytes();
        let mut parts = Self { body, delimiter, end: b"\n", at: 0, over: false };
        let first = parts.boundary(0).ok_or("no boundary begins a part")?;
        if body[..first.after].ends_with(b"\r\n") || first.after == body.len() {
            parts.end = b"\r\n";
        }
        (parts.at, parts.over) = (first.after, first.last);
        Ok(parts)
    }

    fn boundary(&self, from: usize) -> Option<Boundary> {
        let body = self.body;
        for found in memmem::find_iter(&body[from..], &self.delimiter) {
            let start = from + found;
            if start != from && !body[..start].ends_with(self.end) {
                continue;
            }
            let rest = &body[start + self.delimiter.len()..];
            let (last, rest) = rest.strip_prefix(b"--").map_or((false, rest), |rest| (true, rest));
            let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            let rest = &rest[padding..];
            let line_end = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
            if line_end > 0 || (last && rest.is_empty()) {
                return Some(Boundary { start, after: body.len() - rest.len() + line_end, last });
            }
        }
        None
    }
}

impl<'b> Iterator for Parts<'b> {
    type Item = Result<&'b [u8], String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let Some(next) = self.boundary(self.at) else {
            self.over = true;
            return Some(Err("no boundary ends it: the answer was cut off".to_owned()));
        };
        // The line end before a boundary belongs to the boundary.
        let end = next.start.saturating_sub(self.end.len()).max(self.at);
        let part = &self.body[self.at..end];
        (self.at, self.over) = (next.after, next.last);
        Some(Ok(part))
    }
}

/// One part, its transfer encoding undone.
struct Part<'b> {
    name: Option<String>,
    filename: Option<String>,
    content_type: Option<String>,
    charset: Option<String>,
    content: Cow<'b, [u8]>,
}

impl<'b> Part<'b> {
    fn read(part: &'b [u8]) -> Result<Self, String> {
        let (head, content) = Head::split(part)?;
        let disposition = head.get("content-disposition").unwrap_or_default();
        let told = head.get("content-type").filter(|value| !value.essence.is_empty());
        let encoding = head.get("content-transfer-encoding").map(|value| value.essence.to_ascii_lowercase());
        let content = match encoding.as_deref() {
            None | Some("" | "7bit" | "8bit" | "binary") => Cow::Borrowed(content),
            Some("base64") => {
                let digits: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                Cow::Owned(STANDARD.decode(digits).map_err(|error| format!("it is not base64: {error}"))?)
            }
            Some("quoted-printable") => Cow::Owned(unquoted(content)),
            Some(other) => {
                let other = other.chars().take(40).collect::<String>();
                return Err(format!("its transfer encoding {other:?} is not known"));
            }
        };
        let plain = |name: &str| disposition.parameter(name).map(|text| unescaped(&text));
        Ok(Self {
            name: plain("name"),
            filename: plain("filename"),
            content_type: told.as_ref().map(|told| told.essence.to_ascii_lowercase()),
            charset: told.as_ref().and_then(|told| told.parameter("charset")).map(Cow::into_owned),
            content,
        })
    }

    /// Its name, and it as JSON.
    fn json(self, as_list: bool) -> Result<(String, Vec<u8>), String> {
        if as_list {
            return Ok((String::new(), self.table(true)?));
        }
        let name = self.name.clone().ok_or("it has no name, as parts of a form have")?;
        let complete = |json| Ok((name.clone(), json));
        if self.filename.is_some() || !(self.is_text() || self.content_type.is_none()) {
            return complete(self.table(false).map_err(|why| format!("`{name}`: {why}"))?);
        }
        complete(self.value().map_err(|why| format!("`{name}`: {why}"))?)
    }

    /// `{ filename, content_type, content | base64 }`. Which of the two depends on what the part says it is, not on
    /// the bytes: the same API gives the same shape each time.
    fn table(self, named: bool) -> Result<Vec<u8>, String> {
        let mut out = vec![b'{'];
        let said = [("name", self.name.as_deref().filter(|_| named)), ("filename", self.filename.as_deref())];
        for (key, text) in said.into_iter().chain([("content_type", self.content_type.as_deref())]) {
            if let Some(text) = text {
                member(&mut out, key);
                write_string(&mut out, text);
            }
        }
        let undeclared = self.content_type.is_none() && self.filename.is_none();
        if self.is_text() || undeclared {
            member(&mut out, "content");
            // A file stays text whatever is in it; a part of a list that is JSON is a value.
            out.extend(if self.filename.is_some() { self.text()? } else { self.value()? });
        } else {
            member(&mut out, "base64");
            write_string(&mut out, &STANDARD.encode(&self.content));
        }
        out.push(b'}');
        Ok(out)
    }

    fn is_text(&self) -> bool {
        let essence = self.content_type.as_deref().unwrap_or_default();
        essence.starts_with("text/")
            || essence.ends_with("+json")
            || essence.ends_with("+xml")
            || ["application/json", "application/xml", "application/x-ndjson", "application/csv", "application/http"]
                .contains(&essence)
    }

    fn value(self) -> Result<Vec<u8>, String> {
        let is_json =
            self.content_type.as_deref().is_some_and(|told| told == "application/json" || told.ends_with("+json"));
        if !is_json {
            return self.text();
        }
        let text = charset::decode(self.content.into_owned(), None).map_err(|(why, _)| why)?;
        Json::check(&text).map_err(|error| format!("it is not JSON: {}", error.message))?;
        Ok(text.into_bytes())
    }

    fn text(self) -> Result<Vec<u8>, String> {
        let named = self.charset.as_deref().map(charset::named).transpose()?;
        let text = charset::decode(self.content.into_owned(), named).map_err(|(why, _)| why)?;
        let mut out = Vec::with_capacity(text.len() + 2);
        write_string(&mut out, &text);
        Ok(out)
    }
}

fn member(out: &mut Vec<u8>, key: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    write_string(out, key);
    out.push(b':');
}

/// Names as browsers, and we, write them.
fn unescaped(text: &str) -> String {
    text.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// Quoted-printable; what is no escape stays.
fn unquoted(content: &[u8]) -> Vec<u8> {
    let digit =
        |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'=' {
            out.push(*first);
        } else if let (Some(high), Some(low)) = (digit(after.first()), digit(after.get(1))) {
            out.push(high * 16 + low);
            rest = &after[2..];
        } else if let Some(next) = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")) {
            rest = next;
        } else {
            out.push(b'=');
        }
    }
    out
}

/// Parts by name, in the order in which names first came.
#[derive(Default)]
struct Gathered {
    as_list: bool,
    places: HashMap<String, usize>,
    members: Vec<(String, Vec<Vec<u8>>)>,
}

impl Gathered {
    fn add(&mut self, name: String, json: Vec<u8>) {
        if let Some((_, values)) = self.places.get(&name).and_then(|at| self.members.get_mut(*at)) {
            values.push(json);
            return;
        }
        self.places.insert(name.clone(), self.members.len());
        self.members.push((name, vec![json]));
    }

    /// A name that came once is a value, one that came again a list.
    fn json(self) -> Vec<u8> {
        if self.as_list {
            let values = self.members.into_iter().next().map(|(_, values)| values).unwrap_or_default();
            return list(&values);
        }
        let mut out = vec![b'{'];
        for (name, values) in &self.members {
            member(&mut out, name);
            match values.as_slice() {
                [value] => out.extend_from_slice(value),
                values => out.extend(list(values)),
            }
        }
        out.push(b'}');
        out
    }
}

fn list(values: &[Vec<u8>]) -> Vec<u8> {
    [b"[".as_slice(), &values.join(&b','), b"]"].concat()
}
