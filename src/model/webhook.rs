//! `[webhook]`: what is taken from whoever calls, in place of an export. How a call is judged is `runtime::webhook`'s.

use crate::http::media::MediaType;
use crate::value::path::Path;
use crate::value::secret::Secret;
use crate::value::template::Template;
use crate::value::tree::Tree;
use std::time::Duration;

/// A secret, or why there is none yet: then nobody is let in.
pub type Key = Result<Secret, String>;

/// `[webhook]`; `records`, `trace_key`, `keep` and their like stand in the flow's `export`.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `path`, below `/hooks/`.
    pub path: String,
    /// `[webhook.verify]`
    pub verify: Verify,
    /// `media_type`; none = the call's `Content-Type` decides.
    pub media_type: Option<MediaType>,
    /// `id`: what a repeated call is known by.
    pub id: Option<IdFrom>,
    /// `id_window`: for how long ids are remembered.
    pub id_window: Duration,
    /// `max_body`
    pub max_body: u32,
    /// `max_waiting`: payloads that may wait for their run.
    pub max_waiting: u64,
    /// `[webhook.response]`
    pub reply: Reply,
}

/// Whom to believe.
#[derive(Debug, Clone)]
pub enum Verify {
    /// `verify = "none"`: everybody.
    None,
    /// `[webhook.verify.hmac]`
    Hmac(Box<Hmac>),
    /// `[webhook.verify.token]`
    Token(TokenCheck),
    /// `[webhook.verify.basic]`
    Basic(BasicCheck),
}

/// A signature over the raw body.
#[derive(Debug, Clone)]
pub struct Hmac {
    /// `secret`: one, or those that hold while they are rotated.
    pub secrets: Vec<Key>,
    /// `secret_encoding`
    pub secret_encoding: SecretEncoding,
    /// `header`: where the signature is.
    pub header: String,
    /// `algorithm`
    pub algorithm: Algorithm,
    /// `encoding`
    pub encoding: Encoding,
    /// `prefix`: stands before each signature.
    pub prefix: String,
    /// `part`: the header is a list `name=value,…`, and this the signature's name.
    pub part: Option<String>,
    /// `timestamp`
    pub timestamp: Option<Timestamp>,
    /// `signed`
    pub signed: Vec<Signed>,
    /// `tolerance`: how far the timestamp may be from now, either way.
    pub tolerance: Duration,
}

/// `secret_encoding`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretEncoding {
    /// The key is the text.
    #[default]
    Text,
    /// The key is written in base64, perhaps behind `whsec_`.
    Base64,
    /// The key is written in hexadecimal.
    Hex,
}

/// `algorithm`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// `sha1`: for senders that know no better.
    Sha1,
    /// `sha256`
    #[default]
    Sha256,
    /// `sha512`
    Sha512,
}

/// `encoding`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `hex`
    #[default]
    Hex,
    /// `base64`
    Base64,
}

/// `timestamp`: when the call was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// `header`, or `part` of the signature's header.
    pub from: TimestampFrom,
    /// `format`
    pub format: TimestampFormat,
}

/// Where the timestamp is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimestampFrom {
    /// A header of its own.
    Header(String),
    /// A part of the signature's header.
    Part(String),
}

/// `timestamp.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampFormat {
    /// `epoch_s`
    #[default]
    Seconds,
    /// `epoch_ms`
    Milliseconds,
    /// `rfc3339`
    Rfc3339,
}

/// One piece of what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// As written.
    Text(String),
    /// `{{timestamp}}`, as it was sent.
    Timestamp,
    /// `{{body}}`, byte for byte.
    Body,
    /// `{{header.<name>}}`
    Header(String),
}

/// `[webhook.verify.token]`
#[derive(Debug, Clone)]
pub struct TokenCheck {
    /// `token`: one, or those that hold while they are rotated.
    pub tokens: Vec<Key>,
    /// Whether it stands in the query, not in a header.
    pub in_query: bool,
    /// `name`
    pub name: String,
    /// `scheme`: a word before the token in a header; empty = none.
    pub scheme: String,
}

/// `[webhook.verify.basic]`
#[derive(Debug, Clone)]
pub struct BasicCheck {
    /// `username`
    pub username: String,
    /// `password`
    pub password: Key,
}

/// `id`
#[derive(Debug, Clone)]
pub enum IdFrom {
    /// `{ header = "…" }`
    Header(String),
    /// A path into the body.
    Body(Path),
}

/// `[webhook.response]`: the answer to a call that was taken.
#[derive(Debug, Clone)]
pub struct Reply {
    /// `status`
    pub status: u16,
    /// `body`
    pub body: Option<ReplyBody>,
}

/// What the answer holds.
#[derive(Debug, Clone)]
pub enum ReplyBody {
    /// JSON.
    Json(Tree),
    /// Plain text.
    Text(Template),
}
