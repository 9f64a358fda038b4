//! Webhooks: a call that is believed and understood becomes a payload, and a payload the page of a run. What is here
//! decides about one call; the supervisor takes what passed.

pub mod seen;
pub mod verify;

use crate::http::media::{self, MediaSettings, Unfit};
use crate::model::flow::Flow;
use crate::model::webhook::{IdFrom, ReplyBody, Webhook};
use crate::runtime::export::records;
use crate::value::context::{Context, Root, Slot};
use crate::value::document::Document;
use crate::value::json::Json;
use crate::value::path::Selection;
use crate::value::record::Record;
use chrono::SecondsFormat;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use verify::{Call, Unverified, verify};

/// Longest id, in bytes.
const MOST_ID: usize = 4096;

/// How a call ended; also its `outcome` in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Taken.
    Accepted,
    /// Taken before.
    Duplicate,
    /// Not believed.
    Unauthorized,
    /// Not understood, too large or too slow.
    Rejected,
    /// Too many payloads wait.
    Full,
    /// Nothing is taken now.
    Unavailable,
}

/// Why a call was not taken. The reason of [`Refusal::Unverified`] is for the log alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not believed.
    #[error("{0}")]
    Unverified(&'static str),
    /// Nobody can be believed: the secret has no value.
    #[error("calls cannot be verified: {0}")]
    NoSecret(String),
    /// Another method than POST.
    #[error("only POST is taken here")]
    Method,
    /// A media type nobody expects.
    #[error("{0}")]
    MediaType(String),
    /// Not what it says it is, or without what the flow needs of it.
    #[error("{0}")]
    Unreadable(String),
    /// Larger than `max_body`.
    #[error("the body is larger than `max_body` allows")]
    TooLarge,
    /// The body did not come in time.
    #[error("the body took too long")]
    TooSlow,
    /// The caller hung up within the body.
    #[error("the body was cut off")]
    CutOff,
    /// Too many payloads wait.
    #[error("too many payloads wait: `max_waiting` is reached")]
    Full,
    /// Nothing is taken now.
    #[error("nothing is taken now: {0}")]
    Unavailable(String),
}

impl Refusal {
    /// As counted.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unverified(_) => Outcome::Unauthorized,
            Self::Full => Outcome::Full,
            Self::NoSecret(_) | Self::Unavailable(_) => Outcome::Unavailable,
            Self::Method | Self::MediaType(_) | Self::Unreadable(_) | Self::TooLarge | Self::TooSlow | Self::CutOff => {
                Outcome::Rejected
            }
        }
    }

    /// As answered.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unverified(_) => 401,
            Self::Method => 405,
            Self::MediaType(_) => 415,
            Self::Unreadable(_) | Self::CutOff => 400,
            Self::TooLarge => 413,
            Self::TooSlow => 408,
            Self::Full | Self::NoSecret(_) | Self::Unavailable(_) => 503,
        }
    }

    /// What the caller is told: nothing about secrets, nothing about what runs here.
    pub fn told(&self) -> String {
        match self {
            Self::Unverified(_) => "not verified".to_owned(),
            Self::NoSecret(_) | Self::Unavailable(_) => "nothing is taken now".to_owned(),
            Self::Full => "too much waits already".to_owned(),
            other => other.to_string(),
        }
    }
}

/// A call that was believed and understood.
pub struct Payload {
    /// Its body.
    pub document: Document,
    /// How many records are in it.
    pub records: u32,
    /// What it is known by when it comes again.
    pub id: Option<String>,
    /// The answer.
    pub reply: Answer,
}

/// The answer to a call that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Its type, and its text.
    pub body: Option<(&'static str, String)>,
}

/// Judges a call: first whether to believe it, then what is in it.
pub fn examine(flow: &Flow, webhook: &Webhook, media: &MediaSettings, call: Call<'_>) -> Result<Payload, Refusal> {
    let proof = verify(&webhook.verify, call).map_err(|unverified| match unverified {
        Unverified::Refused(why) => Refusal::Unverified(why),
        Unverified::NoSecret(why) => Refusal::NoSecret(why),
    })?;
    let document = read(webhook, media, call.headers, call.body)?;
    let export = flow.exports.first();
    let path = export.and_then(|export| export.records.as_ref());
    let optional = export.is_some_and(|export| export.records_optional);
    let found = records::split(Some(&document), path, records::Absent::optional(optional), str::to_owned)
        .map_err(|error| Refusal::Unreadable(error.to_string()))?;
    let id = match &webhook.id {
        Some(from) => Some(fingerprint(&id(from, call.headers, &document)?)),
        None => proof.as_deref().map(fingerprint),
    };
    let records = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let reply = answer(flow, webhook, &document, call);
    Ok(Payload { document, records, id, reply })
}

fn read(webhook: &Webhook, settings: &MediaSettings, headers: &HeaderMap, body: &[u8]) -> Result<Document, Refusal> {
    if let Some(packed) = headers.get(CONTENT_ENCODING)
        && !packed.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Refusal::MediaType("packed bodies (`Content-Encoding`) are not taken".to_owned()));
    }
    media::payload(headers, webhook.media_type, body.to_vec(), settings).map_err(|unfit| match unfit {
        Unfit::Unsupported(why) => Refusal::MediaType(why),
        Unfit::Unreadable(why) => Refusal::Unreadable(why),
    })
}

fn id(from: &IdFrom, headers: &HeaderMap, document: &Document) -> Result<Vec<u8>, Refusal> {
    let missing = || Refusal::Unreadable("the id that `[webhook] id` names is not there".to_owned());
    let id = match from {
        IdFrom::Header(name) => headers.get(name).ok_or_else(missing)?.as_bytes().to_vec(),
        IdFrom::Body(path) => {
            let found = path.select(document.view()).map_err(|error| Refusal::Unreadable(error.to_string()))?;
            match found {
                Selection::One(value) if !value.is_null() => value.compare_text().into_owned().into_bytes(),
                _ => return Err(missing()),
            }
        }
    };
    match id.len() {
        0 => Err(missing()),
        1..=MOST_ID => Ok(id),
        _ => Err(Refusal::Unreadable(format!("the id is longer than {MOST_ID} bytes"))),
    }
}

/// An id is kept as a part of its hash: of one length, and no data.
fn fingerprint(id: impl AsRef<[u8]>) -> String {
    let hash = Sha256::digest(id.as_ref());
    hash.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An answer that cannot be made does not keep a payload from being taken: it goes without a body.
fn answer(flow: &Flow, webhook: &Webhook, document: &Document, call: Call<'_>) -> Answer {
    let now = call.now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let record = Record::new(Json::trusted(document.view().text()));
    let ctx = Context::new()
        .with(Root::Record, Slot::Record(&record))
        .with(Root::Flow, Slot::Json(flow.context.as_ref()))
        .with(Root::Now, Slot::Text(&now));
    let body = match &webhook.reply.body {
        None => None,
        Some(ReplyBody::Json(tree)) => {
            tree.json(&ctx).ok().flatten().map(|json| ("application/json", json.text().to_owned()))
        }
        Some(ReplyBody::Text(template)) => {
            let mut text = String::new();
            template.render(&ctx, &mut text).ok().map(|()| ("text/plain; charset=utf-8", text))
        }
    };
    Answer { status: webhook.reply.status, body }
}
