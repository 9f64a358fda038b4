//! One request from first attempt to final outcome: send, judge, pause or back off, send again with the same
//! ticket.
// size: one request from its first attempt to its outcome; apart, its turns could not be read in order.

use super::allowance::Told;
use super::attempt::{Attempt, Outcome, Ruled, With};
use super::auth::MOST_CHALLENGES;
use super::client::Client;
use super::credentials::{Held, Standing};
use super::on::{Act, Ruling, Tries};
use super::request::Prepared;
use super::verdict::ResponseRules;
use crate::observe::event::{self, FailedAttempt};
use crate::observe::meters::RequestOutcome;
use crate::observe::traces::{self, Attempted, Happening};
use crate::queue::Permit;
use crate::queue::limits::{Allowance, LevelChange, Signal};
use crate::value::document::Document;
use crate::value::time::Mono;
use reqwest::header::HeaderMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A successful answer.
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Response headers, names in lower case.
    pub headers: HeaderMap,
    /// The body when the caller or the rules need it; an empty one is none.
    pub document: Option<Document>,
    /// The final URL after redirects, without credentials.
    pub url: Url,
    /// Attempts it took.
    pub attempts: u32,
}

impl Answer {
    /// The headers as text, names in lower case, one pair a value.
    pub fn header_pairs(&self) -> Vec<(String, String)> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
    }
}

/// How a request failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The server refused it; never retried by itself.
    Rejected,
    /// Connect errors, timeouts, server faults, attempts used up; nothing was taken.
    Unreachable,
    /// A write that may or may not have arrived.
    Unknown,
    /// Authentication refused.
    Auth,
    /// The answer could not be read: not what it should be, too large, cut off.
    Unreadable,
    /// The queue closed.
    Cancelled,
}

/// A failed request, with what a person needs to see. Every text in it is redacted and cut.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Class.
    pub class: FailureClass,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// `error_path`'s text or a capped, redacted excerpt; never a URL with credentials.
    pub message: String,
    /// What the server sent along, where the message does not already say it.
    pub excerpt: Option<String>,
    /// Method and redacted URL.
    pub request: String,
    /// Attempts made.
    pub attempts: u32,
    /// What an `[[on]]` rule wants of this: it is no mere refusal.
    pub ruling: Option<Ruling>,
}

impl Failure {
    /// The queue closed before the request could be sent.
    pub fn cancelled() -> Self {
        Self {
            class: FailureClass::Cancelled,
            status: None,
            message: "the queue closed before the request was sent".to_owned(),
            excerpt: None,
            request: String::new(),
            attempts: 0,
            ruling: None,
        }
    }

    /// Whether a rule says that there is nothing here, and that this is fine.
    pub fn is_nothing(&self) -> bool {
        matches!(self.ruling, Some(Ruling::Skip | Ruling::Stop))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.request.is_empty() {
            write!(f, "{}: ", self.request)?;
        }
        if let Some(status) = self.status {
            write!(f, "{status}: ")?;
        }
        f.write_str(&self.message)?;
        if self.attempts > 1 {
            write!(f, " (after {} attempts)", self.attempts)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// How far one request has come.
pub(super) struct Course<'a> {
    pub(super) client: &'a Arc<Client>,
    pub(super) request: &'a Prepared,
    /// Attempts that left, refused ones included.
    attempts: u32,
    /// Attempts that count against `max_attempts`: a limited one was refused and does not.
    failures: u32,
    /// Matches of each `[[on]]` rule.
    pub(super) tries: Tries,
    /// Challenges of the method of authentication that were answered.
    challenges: u32,
    /// Whether some attempt may have taken effect.
    pub(super) open: bool,
    /// Somebody waits for this one answer: no retries, no pauses.
    pub(super) once: bool,
    /// How long the last attempt took.
    pub(super) took: Duration,
    /// What it has been through with its credential.
    pub(super) proof: Standing,
}

impl Client {
    /// Sends until the outcome is final. The permit is given back when this returns or is dropped.
    pub async fn exchange(
        self: &Arc<Self>,
        permit: Permit,
        request: &Prepared,
        rules: Option<&ResponseRules>,
        want_document: bool,
    ) -> Result<Answer, Failure> {
        Course::new(self, request).run(permit, rules.unwrap_or(&self.settings.response), want_document).await
    }
}

impl Course<'_> {
    /// Sends until the outcome is final.
    pub(super) async fn run(
        &mut self,
        permit: Permit,
        rules: &ResponseRules,
        want_document: bool,
    ) -> Result<Answer, Failure> {
        let (client, course) = (self.client, self);
        if let Some(reason) = client.offline() {
            return Err(course.failure(FailureClass::Auth, None, reason.to_owned(), None));
        }
        let mut permit = Held::fresh(permit);
        client.budget.first_attempt();
        loop {
            let (granted, bearing) = course.ready(permit).await?;
            let started = client.clock.mono();
            let challenges = course.challenges < MOST_CHALLENGES;
            let with = With { rules, want_document, credential: &bearing.credential, challenges };
            let attempt = client.attempt(course.request, &with).await;
            course.count(&attempt, started);
            course.report(&granted, &attempt, started);
            course.judged(&bearing, &attempt).await;
            let wait = match attempt.outcome {
                Outcome::Success(answer) => return Ok(Answer { attempts: course.attempts, ..answer }),
                Outcome::Limited(_) if course.once => return Err(course.limited(attempt)),
                Outcome::Limited(asked) => course.pause(&granted, started, asked, attempt.status),
                Outcome::Unreachable { sent, open } => {
                    course.open |= open;
                    match course.next_attempt(sent) {
                        Some(wait) => course.retry(wait, &attempt),
                        None => return Err(course.gave_up(attempt)),
                    }
                }
                // Not a failure: the request was put off until the proof its answer asked for.
                Outcome::Challenged => {
                    course.challenges += 1;
                    Duration::ZERO
                }
                // It did not even leave: the method cannot prove anything for a request like this.
                Outcome::AuthFailed if attempt.status.is_none() => {
                    return Err(course.ended(FailureClass::Auth, attempt));
                }
                Outcome::AuthFailed => {
                    traces::happened(Happening::Refused);
                    course.refused(&bearing, attempt).await?;
                    permit = Held::used(granted);
                    continue;
                }
                Outcome::Ruled(ruled) => match course.again(ruled, &granted, started, attempt.status) {
                    Some(wait) if ruled.act == Act::Retry => course.retry(wait, &attempt),
                    Some(wait) => wait,
                    None => return Err(course.ruled(ruled, attempt)),
                },
                // Nothing was sent, and nothing will be: the same as a refusal for whoever waits.
                Outcome::Barred | Outcome::Rejected => return Err(course.ended(FailureClass::Rejected, attempt)),
                Outcome::Unreadable => return Err(course.ended(FailureClass::Unreadable, attempt)),
            };
            permit = Held::fresh(granted.again(wait).await.map_err(|_| course.cancelled())?);
        }
    }
}

impl<'a> Course<'a> {
    pub(super) fn new(client: &'a Arc<Client>, request: &'a Prepared) -> Self {
        Self {
            client,
            request,
            attempts: 0,
            failures: 0,
            tries: Tries::default(),
            challenges: 0,
            open: false,
            once: false,
            took: Duration::ZERO,
            proof: Standing::default(),
        }
    }
}

impl Course<'_> {
    fn count(&mut self, attempt: &Attempt, started: Mono) {
        self.attempts = self.attempts.saturating_add(1);
        let outcome = match &attempt.outcome {
            Outcome::Success(_) => RequestOutcome::Success,
            Outcome::Limited(_) => RequestOutcome::Limited,
            Outcome::Ruled(ruled) if ruled.act == Act::Limited => RequestOutcome::Limited,
            Outcome::Ruled(ruled) if ruled.act == Act::Retry => RequestOutcome::Unreachable,
            Outcome::AuthFailed | Outcome::Challenged => RequestOutcome::AuthFailed,
            Outcome::Rejected | Outcome::Unreadable | Outcome::Barred | Outcome::Ruled(_) => RequestOutcome::Rejected,
            Outcome::Unreachable { .. } => RequestOutcome::Unreachable,
        };
        let took = self.client.clock.mono().since(started);
        self.took = took;
        self.client.meters.attempt(outcome, took);
        if outcome != RequestOutcome::Limited {
            self.client.pauses.passed(started);
        }
        traces::attempted(|| Attempted {
            attempt: self.attempts,
            started,
            took,
            request: self.shown(),
            status: attempt.status,
            outcome: outcome.label(),
            message: attempt.message.clone(),
        });
        tracing::debug!(
            connection = %self.client.id,
            request = %self.shown(),
            status = attempt.status,
            outcome = outcome.label(),
            attempt = self.attempts,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "request answered"
        );
    }

    /// Tells the queue what it may learn from an attempt: how many the API stands at once, and what it says is left.
    fn report(&self, permit: &Permit, attempt: &Attempt, started: Mono) {
        let client = self.client;
        let signal = match attempt.outcome {
            Outcome::Limited(_) | Outcome::Ruled(Ruled { act: Act::Limited, .. }) => Signal::Limited,
            Outcome::Unreachable { .. } => Signal::Failed,
            _ => Signal::Passed,
        };
        if let Some(change) = permit.learn(signal, started) {
            let LevelChange { pool, from, to, cause } = change;
            event::level_changed(&client.meters, &client.id, &pool.to_string(), (from, to), cause.name());
        }
        if let Some(Told { limit, remaining, resets }) = attempt.told {
            permit.told(Allowance { limit, remaining, resets: resets.map(|left| client.clock.mono().plus(left)) });
            client.meters.server_allows(limit, remaining, resets.map(|left| client.clock.utc() + left));
        }
    }

    /// Holds the pool and says how long this request waits with it.
    pub(super) fn pause(
        &self,
        permit: &Permit,
        started: Mono,
        asked: Option<Duration>,
        status: Option<u16>,
    ) -> Duration {
        let Self { client, .. } = self;
        let settings = &client.settings;
        let now = client.clock.mono();
        let pause =
            client.pauses.decide((started, now), asked, (&settings.rate_limit, &settings.retry), client.rng.as_ref());
        permit.pause(pause.length, settings.rate_limit.scope);
        traces::happened(Happening::Limited(pause.length));
        if pause.fresh {
            event::connection_paused(&client.meters, &client.id, &self.shown(), pause.length, status);
            if pause.clamped {
                event::pause_cut(&client.id, asked.unwrap_or_default(), settings.rate_limit.max_pause);
            }
        }
        pause.length
    }

    /// How long to wait before the next attempt, or none when there is to be none.
    fn next_attempt(&mut self, sent: bool) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let Self { client, request, .. } = self;
        let retry = &client.settings.retry;
        if self.once || self.failures >= retry.max_attempts.get() || (sent && !retry.may_repeat(request)) {
            return None;
        }
        let now = client.clock.mono();
        let backoff = retry.backoff(self.failures, client.rng.as_ref());
        Some(backoff.max(client.budget.take(now).since(now)))
    }

    fn retry(&self, wait: Duration, attempt: &Attempt) -> Duration {
        let request = self.shown();
        let failed = FailedAttempt { request: &request, status: attempt.status, cause: &attempt.message };
        let Client { meters, id, .. } = self.client.as_ref();
        traces::happened(Happening::Retried(wait, &attempt.message));
        event::request_retried(meters, id, failed, self.attempts.saturating_add(1), wait);
        wait
    }

    /// The API refuses for now, and nobody waits until it does not.
    pub(super) fn limited(&self, attempt: Attempt) -> Failure {
        let message = format!("the API limits requests now: {}", attempt.message);
        self.ended(FailureClass::Unreachable, Attempt { message, ..attempt })
    }

    /// Unreachable for good. A write that is not known to be repeatable may have been taken all the same.
    pub(super) fn gave_up(&self, attempt: Attempt) -> Failure {
        self.ended(if self.is_unknown() { FailureClass::Unknown } else { FailureClass::Unreachable }, attempt)
    }

    pub(super) fn cancelled(&self) -> Failure {
        let (class, message) = if self.is_unknown() {
            (FailureClass::Unknown, "stopped before it was known whether the request had arrived")
        } else {
            (FailureClass::Cancelled, "stopped before the request could be sent again")
        };
        self.failure(class, None, message.to_owned(), None)
    }

    fn is_unknown(&self) -> bool {
        self.open && self.request.is_write() && !self.request.is_repeatable()
    }

    pub(super) fn ended(&self, class: FailureClass, attempt: Attempt) -> Failure {
        self.failure(class, attempt.status, attempt.message, attempt.excerpt)
    }

    pub(super) fn failure(
        &self,
        class: FailureClass,
        status: Option<u16>,
        message: String,
        excerpt: Option<String>,
    ) -> Failure {
        let (request, attempts) = (self.shown(), self.attempts);
        Failure { class, status, message, excerpt, request, attempts, ruling: None }
    }

    pub(super) fn shown(&self) -> String {
        self.client.describe(self.request.method, &self.request.url)
    }
}
