//! What an answer means: FORMAT.md's order of judgement over the one rule matcher.

use super::media::Lens;
use super::on::{Act, OnRule};
use crate::value::context::{Context, Root, Slot};
use crate::value::document::{BodyPath, Document};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use crate::value::path::Selection;
use crate::value::rule::{Judged, Rule};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use std::borrow::Cow;
use std::time::Duration;

/// `response = { success, failure, error_path }`
#[derive(Debug, Clone, Default)]
pub struct ResponseRules {
    /// `success`
    pub success: Option<Rule>,
    /// `failure`
    pub failure: Option<Rule>,
    /// `error_path`
    pub error_path: Option<BodyPath>,
}

impl ResponseRules {
    /// Whether one of them reads this root.
    pub(super) fn reads(&self, root: Root) -> bool {
        [&self.success, &self.failure].into_iter().flatten().any(|rule| rule.reads(root))
    }
}

/// `[rate_limit]`
#[derive(Debug, Clone)]
pub struct RateLimit {
    /// Statuses, path, values beside 429 and 503 with Retry-After.
    pub rule: Option<Rule>,
    /// Looked at before `Retry-After`.
    pub retry_after_header: Option<String>,
    /// How its number reads.
    pub retry_after_unit: RetryAfterUnit,
    /// Longest pause.
    pub max_pause: Duration,
    /// Shortest pause.
    pub min_pause: Duration,
    /// Who waits.
    pub scope: crate::queue::limits::PauseScope,
    /// Where the server says how many requests are left.
    pub remaining_header: Option<String>,
    /// Where it says until when.
    pub reset_header: Option<String>,
}

/// `retry_after_unit`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryAfterUnit {
    /// Seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Millis,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
}

impl RetryAfterUnit {
    /// All of them by name.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("s", Self::Seconds), ("ms", Self::Millis), ("epoch_s", Self::EpochSeconds), ("epoch_ms", Self::EpochMillis)];
}

/// `[auth_failure]`
#[derive(Debug, Clone)]
pub struct AuthFailure {
    /// The rule beside 401.
    pub rule: Option<Rule>,
    /// `count_401`
    pub count_401: bool,
}

/// Everything one answer is judged by.
#[derive(Clone, Copy)]
pub(super) struct Law<'a> {
    /// `[[on]]`: of the request, and of its connection.
    pub on: [&'a [OnRule]; 2],
    pub response: &'a ResponseRules,
    pub rate_limit: &'a RateLimit,
    pub auth_failure: &'a AuthFailure,
    /// What conditions (`when`) may see besides `response`.
    pub context: Context<'a>,
    /// Whether the caller cannot do without the document.
    pub want_document: bool,
    /// How the body reads.
    pub lens: Lens<'a>,
}

impl<'a> Law<'a> {
    /// The error rules in the order in which they are tried.
    pub(super) fn rules(&self) -> impl Iterator<Item = &'a OnRule> + use<'a> {
        let [own, connection] = self.on;
        own.iter().chain(connection)
    }
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It did what was asked.
    Success,
    /// Refused for now.
    Limited,
    /// Refused for want of credentials.
    AuthFailed,
    /// Refused by an explicit rule: whatever the status, it is not asked again.
    Refused,
    /// Not good by its status, or for want of what a success rule asks.
    BadStatus,
    /// Good as far as the status goes, but the body cannot be understood.
    Unreadable(String),
    /// The `[[on]]` rule at this place decides.
    Ruled(usize),
}

/// An answer whose body has been read, parsed at most once and only when somebody looks inside.
pub(super) struct Received {
    pub status: u16,
    pub headers: HeaderMap,
    body: Body,
}

enum Body {
    /// Nobody has looked yet.
    Raw(Vec<u8>),
    /// Nothing but white space.
    Empty,
    /// A document, and the text it was made of where it is not its own.
    Document(Document, Option<Vec<u8>>),
    /// Something else than it was said or expected to be, and what is to say about that.
    Other(Vec<u8>, String),
}

impl Received {
    /// Headers as text, names in lower case.
    fn header_pairs(&self) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    }

    pub(super) fn new(status: u16, headers: HeaderMap, body: Vec<u8>) -> Self {
        let body = if body.trim_ascii().is_empty() { Body::Empty } else { Body::Raw(body) };
        Self { status, headers, body }
    }

    /// Takes the answer apart: headers, and the document when somebody looked and there is one.
    pub(super) fn into_document(self) -> (HeaderMap, Option<Document>) {
        match self.body {
            Body::Document(document, _) => (self.headers, Some(document)),
            Body::Empty | Body::Raw(_) | Body::Other(..) => (self.headers, None),
        }
    }

    fn is_good(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Reads the body unless that has been done.
    fn look(&mut self, lens: &Lens<'_>) {
        self.body = match std::mem::replace(&mut self.body, Body::Empty) {
            Body::Raw(raw) => match lens.read(self.is_good(), &self.headers, raw) {
                Ok((document, raw)) => Body::Document(document, raw),
                Err(unread) => Body::Other(unread.body, unread.why),
            },
            seen => seen,
        };
    }

    /// The document if the body has been looked at and is one.
    fn document(&self) -> Option<&Document> {
        match &self.body {
            Body::Document(document, _) => Some(document),
            _ => None,
        }
    }

    /// Fails when the body has been looked at and is something else than it should be.
    fn must_be_readable(&self) -> Result<(), String> {
        match &self.body {
            Body::Other(_, why) => Err(why.clone()),
            _ => Ok(()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Empty => &[],
            Body::Raw(raw) | Body::Other(raw, _) | Body::Document(_, Some(raw)) => raw,
            Body::Document(document, None) => document.text().as_bytes(),
        }
    }
}

/// Judges in FORMAT.md's order: error rules, limited, auth failure, failure, success, status.
pub(super) fn judge(received: &mut Received, law: &Law<'_>) -> Verdict {
    decide(received, law).unwrap_or_else(Verdict::Unreadable)
}

fn decide(received: &mut Received, law: &Law<'_>) -> Result<Verdict, String> {
    for (at, on) in law.rules().enumerate() {
        if holds(Some(&on.rule), received, law, "on")? {
            if on.act == Act::Success && law.want_document {
                received.look(&law.lens);
                // Under a status that says no, a page for people is as good as nothing.
                if received.is_good() {
                    received.must_be_readable()?;
                }
            }
            return Ok(Verdict::Ruled(at));
        }
    }
    if is_limited(received, law)? {
        return Ok(Verdict::Limited);
    }
    let refused = received.status == 401 && law.auth_failure.count_401;
    if refused || holds(law.auth_failure.rule.as_ref(), received, law, "auth_failure")? {
        return Ok(Verdict::AuthFailed);
    }
    if decides(law.response.failure.as_ref(), received, law, "response.failure")? {
        return Ok(Verdict::Refused);
    }
    let good = match &law.response.success {
        Some(rule) => {
            let admitted = received.is_good() || !rule.status.is_empty();
            admitted && decides(Some(rule), received, law, "response.success")?
        }
        None => received.is_good(),
    };
    if !good {
        return Ok(Verdict::BadStatus);
    }
    if law.want_document {
        received.look(&law.lens);
        received.must_be_readable()?;
    }
    Ok(Verdict::Success)
}

fn is_limited(received: &mut Received, law: &Law<'_>) -> Result<bool, String> {
    let own = law.rate_limit.retry_after_header.as_deref();
    let says_when =
        received.headers.contains_key(RETRY_AFTER) || own.is_some_and(|name| received.headers.contains_key(name));
    match received.status {
        429 => Ok(true),
        503 if says_when => Ok(true),
        _ => holds(law.rate_limit.rule.as_ref(), received, law, "rate_limit"),
    }
}

/// As `holds`, for rules that decide over good and bad: they must be able to look. An unparsable body under a good
/// status is an error; under a bad one the status says enough.
fn decides(rule: Option<&Rule>, received: &mut Received, law: &Law<'_>, place: &str) -> Result<bool, String> {
    let held = holds(rule, received, law, place)?;
    let looked = rule.is_some_and(|r| r.path.is_some() && names_status(r, received.status));
    if looked && received.is_good() {
        received.must_be_readable()?;
    }
    Ok(held)
}

fn names_status(rule: &Rule, status: u16) -> bool {
    rule.status.is_empty() || rule.status.iter().any(|range| (range.from..=range.to).contains(&status))
}

fn holds(rule: Option<&Rule>, received: &mut Received, law: &Law<'_>, place: &str) -> Result<bool, String> {
    let Some(rule) = rule.filter(|rule| names_status(rule, received.status)) else { return Ok(false) };
    if rule.path.is_some() || rule.when.is_some() {
        received.look(&law.lens);
    }
    let document = received.document();
    if rule.path.is_some() && document.is_none() {
        return Ok(false);
    }
    let text = if rule.text.is_some() { String::from_utf8_lossy(received.bytes()) } else { Cow::Borrowed("") };
    let headers = if rule.when.is_some() { received.header_pairs() } else { Vec::new() };
    let response = response(received, &headers);
    let context = law.context.with(Root::Response, Slot::Map(&response));
    rule.matches(Judged { status: received.status, body: document, text: &text }, &context)
        .or_else(|error| if error.is_missing() { Ok(false) } else { Err(error) })
        .map_err(|error: EvalError| format!("{place}: {error}"))
}

/// Whether a success rule may accept this status although it is not 2xx: then the whole body counts.
pub(super) fn may_succeed(rules: &ResponseRules, on: [&[OnRule]; 2], status: u16) -> bool {
    let accepts = |on: &OnRule| on.act == Act::Success && names_status(&on.rule, status);
    matches!(status, 200..=299)
        || on.into_iter().flatten().any(accepts)
        || rules.success.as_ref().is_some_and(|rule| !rule.status.is_empty() && names_status(rule, status))
}

/// What the server says about its refusal: `error_path`'s text, else the body as it is. Raw and long: it still has
/// to pass the redactor and be cut.
pub(super) fn complaint(received: &mut Received, rules: &ResponseRules, lens: &Lens<'_>) -> String {
    error_text(received, rules, lens).unwrap_or_else(|| raw_excerpt(received))
}

/// `error_path`'s text.
pub(super) fn error_text(received: &mut Received, rules: &ResponseRules, lens: &Lens<'_>) -> Option<String> {
    let path = rules.error_path.as_ref()?;
    received.look(lens);
    received.document().and_then(|document| told(path, document))
}

/// What a rule says about an answer it decided.
pub(super) fn says(received: &mut Received, on: &OnRule, ctx: &Context<'_>, lens: &Lens<'_>) -> Option<String> {
    let reads = on.message.as_ref()?.references();
    if reads.iter().any(|read| read.members.first().is_some_and(|member| member == "body")) {
        received.look(lens);
    }
    let headers = received.header_pairs();
    on.says(&response(received, &headers), ctx)
}

/// `response` as rules and messages see it.
fn response<'r>(received: &'r Received, headers: &'r [(String, String)]) -> [(&'static str, Slot<'r>); 3] {
    let body = received.document().map_or(Slot::None, |document| Slot::Json(document.view()));
    [("status", Slot::Number(received.status.into())), ("body", body), ("headers", Slot::Headers(headers))]
}

/// The beginning of the body, raw.
pub(super) fn raw_excerpt(received: &Received) -> String {
    let bytes = received.bytes();
    String::from_utf8_lossy(&bytes[..bytes.len().min(super::excerpt::READ)]).trim().to_owned()
}

/// The text of `error_path`, raw; none where it says nothing.
pub(crate) fn told(path: &BodyPath, document: &Document) -> Option<String> {
    let text = |found: JsonRef<'_>| (found.kind() != Kind::Null).then(|| found.compare_text().into_owned());
    match &*document.select(path).ok()?.selection() {
        Selection::Missing => None,
        Selection::One(found) => text(*found),
        Selection::Many(found) => Some(found.iter().copied().filter_map(text).collect::<Vec<_>>().join("; ")),
    }
    .filter(|told| !told.is_empty())
}
