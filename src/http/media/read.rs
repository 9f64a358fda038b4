//! From the bytes of an answer to a document: what they are packed in, which media type they are, their charset.

use super::unpack::{Decode, unpack};
use super::{MediaSettings, MediaType, MediaTypes, charset, csv, form, json, multipart, ndjson, sniff, text, xml};
use crate::value::document::Document;
use encoding_rs::{Encoding, UTF_8};
use reqwest::header::{CONTENT_TYPE, HeaderMap};

/// How often larger than `max_response` rows may become as records.
const GROWTH: u64 = 4;

/// How the answers to one request read.
#[derive(Clone, Copy)]
pub(in crate::http) struct Lens<'a> {
    /// What the request and its connection say.
    pub types: MediaTypes,
    /// What good answers are packed in.
    pub decode: Option<&'a Decode>,
    pub settings: &'a MediaSettings,
    /// `max_response`
    pub max: u64,
}

/// A body that could not be read, as it was.
pub(in crate::http) struct Unread {
    /// What it is not, and why; ends without excerpt.
    pub why: String,
    /// The media type it is not.
    pub expected: &'static str,
    pub body: Vec<u8>,
}

/// A document, and what it was read from where that is not its own text.
type Read = (Document, Option<Vec<u8>>);

/// What `Content-Type` says.
#[derive(Default)]
pub(super) struct Told<'h> {
    pub(super) essence: &'h str,
    charset: Option<&'h str>,
    whole: &'h str,
}

impl<'h> Told<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        let Some(text) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
            return Self::default();
        };
        let mut parts = text.split(';');
        let essence = parts.next().unwrap_or_default().trim();
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        });
        Self { essence, charset, whole: text }
    }

    /// Types that say nothing about what is inside (`text/plain`, `text/html`, `application/octet-stream`) are none.
    pub(super) fn media(&self) -> Option<MediaType> {
        let essence = self.essence.to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/json" => Some(MediaType::Json),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines" => Some(MediaType::Ndjson),
            "application/xml" | "text/xml" => Some(MediaType::Xml),
            "text/csv" | "application/csv" | "text/tab-separated-values" => Some(MediaType::Csv),
            "application/x-www-form-urlencoded" => Some(MediaType::Form),
            _ if essence.starts_with("multipart/") => Some(MediaType::Multipart),
            _ if essence.ends_with("+json") => Some(MediaType::Json),
            _ if essence.ends_with("+xml") && essence != "application/xhtml+xml" => Some(MediaType::Xml),
            _ => None,
        }
    }
}

impl Lens<'_> {
    /// Reads a body that is not empty. What it was read from is given back where rules may still look for text in it.
    pub fn read(&self, good: bool, headers: &HeaderMap, body: Vec<u8>) -> Result<Read, Unread> {
        let told = Told::of(headers);
        let decode = self.decode.filter(|_| good);
        let body = match decode.map(|decode| unpack(&body, &decode.layers, self.max)) {
            None => body,
            Some(Ok(inside)) => inside,
            Some(Err(why)) => return Err(Unread { why, expected: "packed as `decode` says", body }),
        };
        let said = decode.and_then(|decode| decode.media).or(if good { self.types.success } else { self.types.error });
        let media = said.or_else(|| told.media()).unwrap_or_else(|| self.usual());
        self.read_as(media, &told, body).map_err(|(why, body)| Unread {
            why: complaint(media, &told, &why, &body),
            expected: media.name(),
            body,
        })
    }

    /// What an answer is that says nothing of itself: what is sent, but few answer a form with a form.
    fn usual(&self) -> MediaType {
        match self.types.of_request() {
            MediaType::Form | MediaType::Multipart => MediaType::Json,
            media => media,
        }
    }

    pub(super) fn read_as(&self, media: MediaType, told: &Told<'_>, body: Vec<u8>) -> Result<Read, (String, Vec<u8>)> {
        if media == MediaType::Json {
            return json(told, body).map(|document| (document, None));
        }
        if media == MediaType::Xml {
            return xml::read(body, told.charset, &self.settings.xml).map(|document| (document, None));
        }
        let most = usize::try_from(self.max.saturating_mul(GROWTH)).unwrap_or(usize::MAX);
        if media == MediaType::Multipart {
            return match multipart::read::read(&body, told.whole, most) {
                Ok(document) => Ok((document, Some(body))),
                Err(why) => Err((why, body)),
            };
        }
        let text = self.text(media, told, body)?;
        let document = match media {
            MediaType::Ndjson => ndjson::read(&text),
            MediaType::Csv => {
                let tabs = told.essence.eq_ignore_ascii_case("text/tab-separated-values");
                let mut csv = self.settings.csv.clone();
                csv.delimiter = if tabs { b'\t' } else { csv.delimiter };
                csv::read(&text, &csv, most)
            }
            MediaType::Form => form::read(text.as_bytes()),
            MediaType::Text | MediaType::Json | MediaType::Xml | MediaType::Multipart => Ok(text::read(&text)),
        };
        match document {
            Ok(document) => Ok((document, Some(text.into_bytes()))),
            Err(why) => Err((why, text.into_bytes())),
        }
    }

    fn text(&self, media: MediaType, told: &Told<'_>, body: Vec<u8>) -> Result<String, (String, Vec<u8>)> {
        let usual = if media == MediaType::Csv { self.settings.csv.charset } else { None };
        match encoding(told, usual) {
            Ok(encoding) => charset::decode(body, encoding),
            Err(why) => Err((why, body)),
        }
    }
}

fn encoding(told: &Told<'_>, usual: Option<&'static Encoding>) -> Result<Option<&'static Encoding>, String> {
    told.charset.map(charset::named).transpose().map(|named| named.or(usual))
}

/// JSON is UTF-8 whatever else is said; servers that name another charset by habit are more than those that mean it.
/// Only what is not UTF-8 is read as it was said to be.
fn json(told: &Told<'_>, body: Vec<u8>) -> Result<Document, (String, Vec<u8>)> {
    let other = || encoding(told, None).ok().flatten().filter(|encoding| *encoding != UTF_8);
    let body = if charset::is_utf16(&body) || (told.charset.is_some() && other().is_some() && !is_utf8(&body)) {
        charset::decode(body, other())?.into_bytes()
    } else {
        body
    };
    json::read(body).map_err(|(error, body)| (error.to_string(), body))
}

fn is_utf8(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok()
}

/// `the answer is not JSON but an HTML page (text/html): …`
fn complaint(media: MediaType, told: &Told<'_>, why: &str, body: &[u8]) -> String {
    let kind = if told.essence.is_empty() { "no content type" } else { told.essence };
    let came = sniff::looks_like(body).filter(|came| !came.starts_with(media.name()));
    let but = came.map(|came| format!(" but {came}")).unwrap_or_default();
    format!("the answer is not {}{but} ({kind}): {why}", media.name())
}
