//! What an answer means: FORMAT.md's order of judgement over the one rule matcher.

use super::transport::WireAnswer;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonError, JsonRef, Kind};
use crate::value::path::{Path, Selection};
use crate::value::rule::{Judged, Rule};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::time::Duration;

/// `response = { success, failure, error_path }`
#[derive(Debug, Clone, Default)]
pub struct ResponseRules {
    /// `success`
    pub success: Option<Rule>,
    /// `failure`
    pub failure: Option<Rule>,
    /// `error_path`
    pub error_path: Option<Path>,
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
    pub response: &'a ResponseRules,
    pub rate_limit: &'a RateLimit,
    pub auth_failure: &'a AuthFailure,
    /// What conditions (`when`) may see besides `response`.
    pub context: Context<'a>,
    /// Whether the caller cannot do without JSON.
    pub want_json: bool,
}

/// What an answer means.
pub(super) enum Verdict {
    /// It did what was asked; the body as JSON when someone needed it and there is one.
    Success(Option<Json>),
    /// Refused for now.
    Limited,
    /// Refused for want of credentials.
    AuthFailed,
    /// Refused.
    Failed,
    /// Good as far as the status goes, but the body cannot be understood.
    Unreadable(String),
}

/// An answer whose body has been read, parsed at most once and only when somebody looks inside.
pub(super) struct Received {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    json: OnceCell<Result<Option<Json>, JsonError>>,
}

impl Received {
    pub(super) fn new(answer: WireAnswer, body: Bytes) -> Self {
        Self { status: answer.status, headers: answer.headers, body, json: OnceCell::new() }
    }

    fn is_good(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The body as JSON; none when there is no body.
    fn json(&self) -> Result<Option<&Json>, &JsonError> {
        let parse = || {
            let body = self.body.strip_prefix(b"\xef\xbb\xbf").map_or(self.body.clone(), |b| self.body.slice_ref(b));
            if body.trim_ascii().is_empty() { Ok(None) } else { Json::parse(body).map(Some) }
        };
        self.json.get_or_init(parse).as_ref().map(Option::as_ref)
    }

    /// The body as JSON if it is some.
    fn json_if_any(&self) -> Option<JsonRef<'_>> {
        self.json().ok().flatten().map(Json::as_ref)
    }

    fn not_json(&self, error: &JsonError) -> String {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("no content type");
        format!("the answer is not JSON ({kind}): {error}")
    }
}

/// Judges in FORMAT.md's order: limited, auth failure, failure, success, status.
pub(super) fn judge(received: &Received, law: &Law<'_>) -> Verdict {
    decide(received, law).unwrap_or_else(Verdict::Unreadable)
}

fn decide(received: &Received, law: &Law<'_>) -> Result<Verdict, String> {
    if is_limited(received, law)? {
        return Ok(Verdict::Limited);
    }
    let refused = received.status == 401 && law.auth_failure.count_401;
    if refused || holds(law.auth_failure.rule.as_ref(), received, law, "auth_failure")? {
        return Ok(Verdict::AuthFailed);
    }
    if holds(needed(law.response.failure.as_ref(), received)?, received, law, "response.failure")? {
        return Ok(Verdict::Failed);
    }
    let good = match needed(law.response.success.as_ref(), received)? {
        Some(rule) => {
            let named = received.is_good() || !rule.status.is_empty();
            named && holds(Some(rule), received, law, "response.success")?
        }
        None => received.is_good(),
    };
    if !good {
        return Ok(Verdict::Failed);
    }
    if !law.want_json {
        return Ok(Verdict::Success(received.json.get().and_then(|j| j.as_ref().ok()).cloned().flatten()));
    }
    received.json().map(|json| Verdict::Success(json.cloned())).map_err(|error| received.not_json(error))
}

fn is_limited(received: &Received, law: &Law<'_>) -> Result<bool, String> {
    let says_when = || {
        let own = law.rate_limit.retry_after_header.as_deref();
        received.headers.contains_key(RETRY_AFTER) || own.is_some_and(|name| received.headers.contains_key(name))
    };
    match received.status {
        429 => Ok(true),
        503 if says_when() => Ok(true),
        _ => holds(law.rate_limit.rule.as_ref(), received, law, "rate_limit"),
    }
}

/// A rule that decides over good and bad must be able to look: an unparsable body under a good status is an error,
/// under a bad one the status says enough.
fn needed<'r>(rule: Option<&'r Rule>, received: &Received) -> Result<Option<&'r Rule>, String> {
    let looks = rule.is_some_and(|r| r.path.is_some() && names_status(r, received.status));
    match received.json() {
        Err(error) if looks && received.is_good() => Err(received.not_json(error)),
        _ => Ok(rule),
    }
}

fn names_status(rule: &Rule, status: u16) -> bool {
    rule.status.is_empty() || rule.status.iter().any(|range| (range.from..=range.to).contains(&status))
}

fn holds(rule: Option<&Rule>, received: &Received, law: &Law<'_>, place: &str) -> Result<bool, String> {
    let Some(rule) = rule.filter(|rule| names_status(rule, received.status)) else { return Ok(false) };
    let json = if rule.path.is_some() || rule.when.is_some() { received.json_if_any() } else { None };
    if rule.path.is_some() && json.is_none() {
        return Ok(false);
    }
    let text = if rule.text.is_some() { String::from_utf8_lossy(&received.body) } else { Cow::Borrowed("") };
    let body = json.map_or(Slot::None, Slot::Json);
    let response = [("status", Slot::Number(received.status.into())), ("body", body)];
    let context = law.context.with(Root::Response, Slot::Map(&response));
    rule.matches(Judged { status: received.status, json, text: &text }, &context)
        .or_else(|error| if error.is_missing() { Ok(false) } else { Err(error) })
        .map_err(|error: EvalError| format!("{place}: {error}"))
}

/// Whether a success rule accepts this status although it is not 2xx: then the whole body counts.
pub(super) fn may_succeed(rules: &ResponseRules, status: u16) -> bool {
    matches!(status, 200..=299)
        || rules.success.as_ref().is_some_and(|rule| !rule.status.is_empty() && names_status(rule, status))
}

/// What the server says about its refusal: `error_path`'s text, else the body as it is. Raw and long: it still has
/// to pass the redactor and be cut.
pub(super) fn complaint(received: &Received, rules: &ResponseRules) -> String {
    rules.error_path.as_ref().and_then(|path| told(path, received.json_if_any()?)).unwrap_or_else(|| {
        let start = &received.body[..received.body.len().min(super::excerpt::READ)];
        String::from_utf8_lossy(start).trim().to_owned()
    })
}

fn told(path: &Path, json: JsonRef<'_>) -> Option<String> {
    let text = |found: JsonRef<'_>| (found.kind() != Kind::Null).then(|| found.compare_text().into_owned());
    match path.select(json).ok()? {
        Selection::Missing => None,
        Selection::One(found) => text(found),
        Selection::Many(found) => Some(found.into_iter().filter_map(text).collect::<Vec<_>>().join("; ")),
    }
    .filter(|told| !told.is_empty())
}
