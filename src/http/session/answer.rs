//! The answer to a token request. Nothing of a good one is ever shown: it holds tokens nobody knows to hide yet.

use crate::http::auth::TokenPaths;
use crate::http::media::Lens;
use crate::http::retry::is_transient;
use crate::http::transport::WireAnswer;
use crate::value::context::Context;
use crate::value::document::{BodyPath, Document};
use crate::value::json::{JsonRef, Kind};
use crate::value::path::Selection;
use crate::value::rule::Judged;
use crate::value::secret::Secret;
use reqwest::header::{HeaderMap, LOCATION};
use std::time::Duration;

/// Longest life believed.
const FOREVER: Duration = Duration::from_hours(24 * 366 * 10);
/// Longest token taken: it has to fit a header.
const LONGEST: usize = 48 * 1024;
/// Words of RFC 6749 for troubles that pass.
const PASSING: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];

/// A token answer that holds one.
pub(super) struct Granted {
    pub token: Secret,
    pub refresh_token: Option<Secret>,
    pub life: Option<Duration>,
}

/// A token answer that does not. The message is raw: it still has to pass the redactor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub message: String,
    /// The server refused, rather than failed.
    pub refused: bool,
    /// The refresh token is worth nothing any more.
    pub login: bool,
}

impl Denied {
    fn new(message: impl Into<String>, refused: bool) -> Self {
        Self { message: message.into(), refused, login: false }
    }
}

/// An answer read whole.
pub(super) struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answered {
    pub(super) fn new(answer: &WireAnswer, body: Vec<u8>) -> Self {
        Self { status: answer.status, headers: answer.headers.clone(), body }
    }

    /// What it redirects to, which is never followed.
    pub(super) fn redirect(&self) -> Option<Denied> {
        if !matches!(self.status, 300..=399) {
            return None;
        }
        let to = self.headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| url::Url::parse(to).ok());
        let place = to.map_or("another place".to_owned(), |to| crate::http::redirect::place(&to));
        let message =
            format!("{}: it redirects to {place}, and credentials are not sent on; name that URI", self.status);
        Some(Denied::new(message, true))
    }

    /// The body, or what it is not. Of what it is instead nothing is said: it may hold tokens.
    fn document(&self, lens: &Lens<'_>, good: bool) -> Result<Document, &'static str> {
        let read = lens.read(good, &self.headers, self.body.clone());
        read.map(|(document, _)| document).map_err(|unread| unread.expected)
    }

    /// The tokens in it, or why there are none. `ruled`: a rule says that it is good.
    pub(super) fn read(
        &self,
        paths: &TokenPaths,
        lens: &Lens<'_>,
        ctx: &Context<'_>,
        ruled: bool,
    ) -> Result<Granted, Denied> {
        let good = ruled || matches!(self.status, 200..=299);
        let document = self.document(lens, good);
        let body = document.as_ref().ok();
        let json = body.map(Document::view);
        let word = json.and_then(|json| text(json.get("error")?)).unwrap_or_default();
        let rejected = paths.rejected.as_ref().is_some_and(|rule| {
            let text = String::from_utf8_lossy(&self.body);
            rule.matches(Judged { status: self.status, body, text: &text }, ctx).unwrap_or(false)
        });
        let login = !ruled && (rejected || word == "invalid_grant");
        if login || !good {
            if let Some(denied) = self.redirect() {
                return Err(denied);
            }
            let passing = is_transient(self.status) || self.status == 429 || PASSING.contains(&word.as_str());
            let refused = login || !passing;
            return Err(Denied { message: self.complaint(json), refused, login });
        }
        let body = match &document {
            Ok(document) => document,
            Err(expected) => return Err(Denied::new(format!("{}: the answer is not {expected}", self.status), false)),
        };
        let token = pick(&paths.token, body).filter(|token| !token.is_empty());
        let Some(token) = token else {
            let message = match word.as_str() {
                "" => format!("{}: the answer holds no token at `{}`", self.status, paths.token.source()),
                _ => self.complaint(json),
            };
            return Err(Denied::new(message, !PASSING.contains(&word.as_str())));
        };
        if token.len() > LONGEST {
            return Err(Denied::new(format!("{}: the token is longer than {LONGEST} bytes", self.status), true));
        }
        let refresh_token = pick(&paths.refresh_token, body).filter(|token| !token.is_empty()).map(Secret::new);
        let life = pick(&paths.expires_in, body).and_then(|text| seconds(&text)).or(paths.life);
        Ok(Granted { token: Secret::new(token), refresh_token, life })
    }

    /// What the server says about its refusal; of an answer that may hold tokens only the words meant for people.
    fn complaint(&self, json: Option<JsonRef<'_>>) -> String {
        let member = |name: &str| json.and_then(|json| text(json.get(name)?)).filter(|text| !text.is_empty());
        let told: Vec<String> = ["error", "error_description"].into_iter().filter_map(member).collect();
        if !told.is_empty() {
            return format!("{}: {}", self.status, told.join(": "));
        }
        if matches!(self.status, 200..=299) {
            return format!("{}: the answer says no", self.status);
        }
        let raw = String::from_utf8_lossy(&self.body[..self.body.len().min(crate::http::excerpt::READ)]);
        let raw = raw.trim();
        if raw.is_empty() { format!("{}", self.status) } else { format!("{}: {raw}", self.status) }
    }
}

fn text(json: JsonRef<'_>) -> Option<String> {
    matches!(json.kind(), Kind::Text | Kind::Number | Kind::Bool).then(|| json.compare_text().into_owned())
}

fn pick(path: &BodyPath, body: &Document) -> Option<String> {
    match &*body.select(path).ok()?.selection() {
        Selection::Missing => None,
        Selection::One(found) => text(*found),
        Selection::Many(found) => found.iter().copied().find_map(text),
    }
}

/// A life in seconds, as a number or as text. What makes no sense is as good as absent.
fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(FOREVER).min(FOREVER))
}
