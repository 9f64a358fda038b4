//! The body of an import request: one record, or a list of them, perhaps under a key.

use crate::http::client::ClientSettings;
use crate::http::media::{MediaSettings, MediaType};
use crate::http::request::{BodySpec, Prepared};
use crate::model::import::{Import, Way};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, write_lean, write_string};
use crate::value::record::Record;
use crate::value::template::Template;
use crate::value::tree::{Tree, Written as Value};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::fmt::Write;
use std::ops::Range;

/// Largest request body written.
const MAX_BODY: usize = 64 << 20;

/// A body under construction.
pub(super) struct Body<'r> {
    kind: Kind<'r>,
    list: bool,
    wrap: Option<&'r str>,
    drop_empty: bool,
    out: Vec<u8>,
    /// Where the text of each record of a list stands.
    places: Vec<Range<usize>>,
    size_hint: usize,
    media: MediaType,
}

/// A body as it was written, and where its records stand in it: what is sent again of it is not rendered anew.
#[derive(Clone, Default)]
pub(super) struct Written {
    text: Bytes,
    places: Vec<Range<usize>>,
}

impl Written {
    /// All of it.
    pub(super) fn text(&self) -> Bytes {
        self.text.clone()
    }

    /// A body of some of its records, which stand side by side. A body that is no list has one, and stays whole.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let (Some(first), Some(last)) = (self.places.first(), self.places.last()) else { return self.clone() };
        let Some(kept) = self.places.get(range).filter(|kept| kept.len() < self.places.len()) else {
            return self.clone();
        };
        let (opening, closing) = (&self.text[..first.start], &self.text[last.end..]);
        let mut text =
            Vec::with_capacity(opening.len() + closing.len() + kept.iter().map(|at| at.len() + 1).sum::<usize>());
        text.extend_from_slice(opening);
        let mut places = Vec::with_capacity(kept.len());
        for place in kept {
            if !places.is_empty() {
                text.push(b',');
            }
            let start = text.len();
            text.extend_from_slice(&self.text[place.clone()]);
            places.push(start..text.len());
        }
        text.extend_from_slice(closing);
        Self { text: text.into(), places }
    }
}

enum Kind<'r> {
    /// The record itself.
    Record,
    /// A tree per record.
    Tree(&'r Tree),
    /// Text per record, in the request's media type.
    Text(&'r Template),
}

impl<'r> Body<'r> {
    pub(super) fn new(import: &'r Import, way: Way, client: &ClientSettings) -> Self {
        let request = import.request_of(way);
        let kind = match &request.body {
            None => Kind::Record,
            Some(BodySpec::Tree(tree)) => Kind::Tree(tree),
            Some(BodySpec::Text(template)) => Kind::Text(template),
        };
        Self {
            kind,
            list: import.batch_size.get() > 1,
            wrap: import.wrap.as_deref(),
            drop_empty: import.drop_empty,
            out: Vec::new(),
            places: Vec::new(),
            size_hint: 256,
            media: request.types.over(client.media.types).of_request(),
        }
    }

    /// Appends one record; on error the bytes are as before.
    pub(super) fn add(&mut self, record: &Record, ctx: &Context<'_>) -> Result<(), EvalError> {
        let before = self.out.len();
        if before == 0 {
            self.open();
        } else {
            self.out.push(b',');
        }
        let start = self.out.len();
        let result = self.write(record, ctx);
        let result = result.and_then(|()| self.admit(before)).and_then(|()| {
            if self.out.len() > MAX_BODY {
                return Err(EvalError::Limit("body: the request would be larger than 64 MiB".to_owned()));
            }
            Ok(())
        });
        match result {
            Ok(()) if self.list => self.places.push(start..self.out.len()),
            Ok(()) => {}
            Err(_) => self.out.truncate(before),
        }
        result
    }

    /// Writes a record's value after what is there.
    fn write(&mut self, record: &Record, ctx: &Context<'_>) -> Result<(), EvalError> {
        let start = self.out.len();
        match self.kind {
            Kind::Record if self.drop_empty => write_lean(record.json().as_ref(), &mut self.out),
            Kind::Record => self.out.extend_from_slice(record.json().text().as_bytes()),
            Kind::Tree(tree) => match tree.write(ctx, &mut self.out) {
                Ok(Value::Value) => {}
                Ok(Value::Absent) => return Err(EvalError::Missing("body: the value is absent".to_owned())),
                Err(error) => return Err(error.at("body")),
            },
            Kind::Text(template) => {
                text(template, self.media, ctx, &mut self.out).map_err(|error| error.at("body"))?;
            }
        }
        if self.drop_empty && !matches!(self.kind, Kind::Record) && !self.is_plain_text() {
            let whole = self.out.split_off(start);
            write_lean(Json::trusted(whole).as_ref(), &mut self.out);
        }
        Ok(())
    }

    /// Whether what was just written can be part of a request in its media type.
    fn admit(&self, before: usize) -> Result<(), EvalError> {
        if self.media == MediaType::Json || self.is_plain_text() {
            return Ok(());
        }
        // What opened the body, or divides it, stands before the record.
        let written = self.out.get(before..).unwrap_or_default();
        let opening = if before > 0 { 1 } else { self.opening().len() };
        let text = written.get(opening..).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        self.media.admits(JsonRef::trusted(text.trim())).map_err(|error| error.at("body"))
    }

    /// The body is one record's text, and no JSON.
    fn is_plain_text(&self) -> bool {
        matches!(self.kind, Kind::Text(_)) && !self.media.text_is_json()
    }

    /// Hands a body that was taken over to its request.
    pub(super) fn carry(&self, body: Bytes, request: &mut Prepared, settings: &MediaSettings) -> Result<(), EvalError> {
        if self.media == MediaType::Json {
            request.body = Some(body);
            return Ok(());
        }
        let carried = if self.is_plain_text() {
            let text = String::from_utf8(body.into()).map_err(|_| EvalError::Type("is not UTF-8".to_owned()));
            text.and_then(|text| self.media.write_text(text)).map(|body| request.carry(body))
        } else {
            request.carry_value(body.into(), settings)
        };
        carried.map_err(|error| error.at("body"))
    }

    /// Closes the body and starts over.
    pub(super) fn take(&mut self) -> Written {
        if self.list {
            self.out.push(b']');
        }
        if self.wrap.is_some() {
            self.out.push(b'}');
        }
        self.size_hint = self.out.len();
        Written { text: std::mem::take(&mut self.out).into(), places: std::mem::take(&mut self.places) }
    }

    fn open(&mut self) {
        self.out.reserve(self.size_hint + self.size_hint / 8);
        let opening = self.opening();
        self.out.extend_from_slice(&opening);
    }

    /// What stands before the first record.
    fn opening(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(key) = self.wrap {
            out.push(b'{');
            write_string(&mut out, key);
            out.push(b':');
        }
        if self.list {
            out.push(b'[');
        }
        out
    }
}

fn text(template: &Template, media: MediaType, ctx: &Context<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let mut text = String::new();
    template.render(ctx, &mut text)?;
    if !media.text_is_json() {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let json =
        Json::parse(text).map_err(|error| EvalError::Refused(format!("the rendered text is not JSON: {error}")))?;
    out.extend_from_slice(json.text().as_bytes());
    Ok(())
}

/// The idempotency key of a request: a single record's verbatim, a batch's derived from all of its records'
/// keys. Lengths go into the digest so that ("ab", "c") and ("a", "bc") differ.
pub(super) fn request_key<'k>(keys: impl Iterator<Item = &'k str>) -> Option<String> {
    let keys: SmallVec<[&str; 1]> = keys.collect();
    match &keys[..] {
        [] => None,
        [one] => Some((*one).to_owned()),
        many => {
            let mut digest = Sha256::new();
            for key in many {
                digest.update((key.len() as u64).to_be_bytes());
                digest.update(key.as_bytes());
            }
            let mut hex = String::with_capacity(32);
            for byte in digest.finalize().iter().take(16) {
                let _ = write!(hex, "{byte:02x}");
            }
            Some(hex)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, MediaType, request_key, text};
    use crate::value::context::{Context, Root, Slot};
    use crate::value::json::Json;
    use crate::value::record::Record;
    use crate::value::template::{Place, Template};
    use crate::value::tree::Tree;

    fn key(keys: &[&str]) -> Option<String> {
        request_key(keys.iter().copied())
    }

    #[test]
    fn a_single_key_is_sent_verbatim() {
        assert_eq!(key(&["order-1"]).as_deref(), Some("order-1"));
    }

    #[test]
    fn batch_keys_have_no_delimiter_ambiguity() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
    }

    #[test]
    fn a_part_of_a_body_is_the_body_of_some_of_its_records() {
        let tree = Tree::leaf("$.n").unwrap();
        let body = |numbers: std::ops::Range<u32>, wrap| {
            let mut body = Body {
                kind: super::Kind::Tree(&tree),
                list: true,
                wrap,
                drop_empty: false,
                out: Vec::new(),
                places: Vec::new(),
                size_hint: 16,
                media: MediaType::Json,
            };
            for n in numbers {
                let record = Record::new(Json::parse(format!("{{\"n\":[{n},\"],[\"]}}")).unwrap());
                body.add(&record, &Context::new().with(Root::Record, Slot::Record(&record))).unwrap();
            }
            body.take()
        };
        for wrap in [None, Some("orders")] {
            let whole = body(0..5, wrap);
            for (from, to) in (0..5).flat_map(|from| (from + 1..=5).map(move |to| (from, to))) {
                let part = whole.part(from as usize..to as usize);
                assert_eq!(part.text(), body(from..to, wrap).text(), "{from}..{to}");
                // Parts of parts too.
                let last = part.part((to - from - 1) as usize..(to - from) as usize);
                assert_eq!(last.text(), body(to - 1..to, wrap).text());
            }
        }
    }

    #[test]
    fn a_text_body_is_rendered_for_each_record_and_must_be_json() {
        let template = Template::compile("{\"n\": {{record.id}}}", Place::Json).unwrap();
        let mut body = Body {
            kind: super::Kind::Text(&template),
            list: true,
            wrap: Some("orders"),
            drop_empty: false,
            out: Vec::new(),
            places: Vec::new(),
            size_hint: 16,
            media: MediaType::Json,
        };
        for id in [1, 2] {
            let record = Record::new(Json::parse(format!("{{\"id\":{id}}}")).unwrap());
            body.add(&record, &Context::new().with(Root::Record, Slot::Record(&record))).unwrap();
        }
        assert_eq!(body.take().text(), "{\"orders\":[{\"n\": 1},{\"n\": 2}]}");
        let broken = Template::compile("{\"n\": ", Place::Json).unwrap();
        assert!(text(&broken, MediaType::Json, &Context::new(), &mut Vec::new()).is_err());
    }
}
