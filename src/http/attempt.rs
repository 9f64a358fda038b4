//! One attempt: the request leaves, redirects on its own origin are followed, the answer is read and judged. All of
//! it happens under one permit and one deadline.

use super::body::{self, BodyError};
use super::client::Client;
use super::exchange::Answer;
use super::redirect::{self, Redirect};
use super::request::Prepared;
use super::retry::{is_transient, leaves_open};
use super::transport::{Phase, WireAnswer, WireError, WireRequest};
use super::verdict::{self, Law, Received, ResponseRules, Verdict};
use super::{headers, query, retry_after};
use crate::value::context::Context;
use crate::value::time::{Mono, show_duration};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::future::Future;
use std::time::Duration;
use url::Url;

/// Most bytes read of an answer that says no.
const MAX_ERROR: usize = 64 * 1024;
/// Longest time spent on reading it.
const ERROR_TIME: Duration = Duration::from_secs(5);
/// Most bytes of headers accepted.
const MAX_HEAD: usize = 64 * 1024;

/// How one attempt ended.
pub(super) struct Attempt {
    pub outcome: Outcome,
    pub status: Option<u16>,
    /// Why it is no success; fit to be shown.
    pub message: String,
    /// What the server sent along, when the message does not say it; fit to be shown.
    pub excerpt: Option<String>,
}

/// What an attempt came to.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on the stack of its exchange")]
pub(super) enum Outcome {
    Success(Answer),
    /// Refused for now, with the pause the server asked for.
    Limited(Option<Duration>),
    AuthFailed,
    Rejected,
    Unreadable,
    /// Nothing that could be judged came back, or the server says "not now".
    Unreachable {
        /// Whether a byte of the request may have left.
        sent: bool,
        /// Whether a write may have taken effect all the same.
        open: bool,
    },
}

/// An answer whose body is still on the wire.
struct Landed {
    answer: WireAnswer,
    url: Url,
    /// Why its redirect was not followed.
    note: Option<String>,
}

impl Client {
    /// Sends once and judges.
    pub(super) async fn attempt(&self, request: &Prepared, rules: &ResponseRules, want_json: bool) -> Attempt {
        let timeout = request.timeout.unwrap_or(self.settings.timeout);
        let deadline = self.clock.mono().plus(timeout);
        let mut landed = match self.within(deadline, self.land(request)).await {
            Some(Ok(landed)) => landed,
            Some(Err(attempt)) => return attempt,
            None => return self.timed_out(None, timeout, "no answer"),
        };
        let status = landed.answer.status;
        let size: usize = landed.answer.headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum();
        if size > MAX_HEAD {
            return self.ended(Outcome::Unreadable, Some(status), "the answer's headers are larger than 64 KiB");
        }
        let body = if verdict::may_succeed(rules, status) {
            let reading = body::read_all(&mut landed.answer, self.settings.max_response);
            match self.within(deadline, reading).await {
                Some(Ok(body)) => body,
                Some(Err(error)) => return self.unread(status, &error),
                None => return self.timed_out(Some(status), timeout, "the answer was not complete"),
            }
        } else {
            let max = usize::try_from(self.settings.max_response).unwrap_or(MAX_ERROR).min(MAX_ERROR);
            let until = deadline.min(self.clock.mono().plus(ERROR_TIME));
            self.within(until, body::read_excerpt(&mut landed.answer, max)).await.unwrap_or_default()
        };
        let received = Received::new(status, std::mem::take(&mut landed.answer.headers), body);
        self.judged(received, landed.url, landed.note, rules, want_json)
    }

    /// Sends, and follows redirects, until there is an answer to judge.
    async fn land(&self, request: &Prepared) -> Result<Landed, Attempt> {
        let mut url = request.url.clone();
        for hop in 0.. {
            let wire = self.wire_request(request, &url).map_err(|why| self.ended(Outcome::AuthFailed, None, &why))?;
            let mut answer = self.transport.send(wire).await.map_err(|error| self.broken(None, &error))?;
            let follow = self.settings.follow_redirects;
            let note = match redirect::read(request.method, &url, answer.status, &answer.headers, follow) {
                Redirect::None => None,
                Redirect::Refuse(why) => Some(why),
                Redirect::Follow(_) if hop == redirect::MOST => {
                    Some(format!("the server redirects more than {} times", redirect::MOST))
                }
                Redirect::Follow(to) => {
                    // Read to its end, a short body leaves the connection usable for the next hop.
                    body::read_excerpt(&mut answer, MAX_ERROR).await;
                    url = to;
                    self.strip_credentials(&mut url, request);
                    continue;
                }
            };
            return Ok(Landed { answer, url, note });
        }
        Err(self.ended(Outcome::Rejected, None, "the server redirects without end"))
    }

    /// What really leaves: credentials join here, and only towards origins that may have them.
    fn wire_request(&self, request: &Prepared, url: &Url) -> Result<WireRequest, String> {
        let mut wire = WireRequest {
            method: request.method,
            url: url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        if wire.body.is_some() && !wire.headers.contains_key(CONTENT_TYPE) {
            wire.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if self.may_have_credentials(url) {
            query::extend_absent(&mut wire.url, &request.secret_query);
            query::extend_absent(&mut wire.url, &self.secret_query);
            self.credential.apply(&mut wire)?;
        } else {
            headers::drop_secret(&mut wire.headers);
        }
        Ok(wire)
    }

    /// A server that echoes our query credential in a Location must not bring it into URLs that are shown.
    fn strip_credentials(&self, url: &mut Url, request: &Prepared) {
        for (name, _) in self.secret_query.iter().chain(&request.secret_query) {
            query::remove(url, name);
        }
        if let super::auth::Credential::Query(name, _) = &self.credential {
            query::remove(url, name);
        }
    }

    fn judged(
        &self,
        mut received: Received,
        url: Url,
        note: Option<String>,
        rules: &ResponseRules,
        want_json: bool,
    ) -> Attempt {
        let law = Law {
            response: rules,
            rate_limit: &self.settings.rate_limit,
            auth_failure: &self.settings.auth_failure,
            context: self.context(Context::new()),
            want_json,
        };
        let status = received.status;
        let outcome = match verdict::judge(&mut received, &law) {
            Verdict::Success => {
                let (headers, body, json) = received.into_body();
                let answer = Answer { status, headers, body, json, url, attempts: 0 };
                return Attempt {
                    outcome: Outcome::Success(answer),
                    status: Some(status),
                    message: String::new(),
                    excerpt: None,
                };
            }
            Verdict::Unreadable(why) => return self.ended(Outcome::Unreadable, Some(status), &why),
            Verdict::Limited => Outcome::Limited(self.asked_pause(&received.headers)),
            Verdict::AuthFailed => Outcome::AuthFailed,
            Verdict::BadStatus if is_transient(status) => {
                Outcome::Unreachable { sent: true, open: leaves_open(status) }
            }
            Verdict::BadStatus | Verdict::Refused => Outcome::Rejected,
        };
        let raw = verdict::raw_excerpt(&received);
        let told = note.unwrap_or_else(|| verdict::complaint(&mut received, rules));
        let message = if told.is_empty() { "the answer says nothing more".to_owned() } else { self.clean(&told) };
        let excerpt = (told != raw && !raw.is_empty()).then(|| self.clean(&raw));
        Attempt { outcome, status: Some(status), message, excerpt }
    }

    fn asked_pause(&self, headers: &HeaderMap) -> Option<Duration> {
        retry_after::asked(headers, &self.settings.rate_limit, self.clock.utc())
    }

    /// Runs a future up to a deadline; past it the future is dropped, and with it the connection it used.
    async fn within<T>(&self, deadline: Mono, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.clock.sleep_until(deadline) => None,
        }
    }

    fn timed_out(&self, status: Option<u16>, timeout: Duration, what: &str) -> Attempt {
        let message = format!("{what} within {}", show_duration(timeout));
        self.ended(Outcome::Unreachable { sent: true, open: true }, status, &message)
    }

    fn unread(&self, status: u16, error: &BodyError) -> Attempt {
        match error {
            BodyError::Wire(error) => self.broken(Some(status), error),
            BodyError::TooLarge(_) => self.ended(Outcome::Unreadable, Some(status), &error.to_string()),
        }
    }

    fn broken(&self, status: Option<u16>, error: &WireError) -> Attempt {
        let outcome = match error.phase {
            Phase::Connect => Outcome::Unreachable { sent: false, open: false },
            Phase::Sent | Phase::Body => Outcome::Unreachable { sent: true, open: true },
            Phase::Decode => Outcome::Unreadable,
        };
        self.ended(outcome, status, &error.message)
    }

    fn ended(&self, outcome: Outcome, status: Option<u16>, message: &str) -> Attempt {
        Attempt { outcome, status, message: self.clean(message), excerpt: None }
    }
}
