//! One attempt: the request leaves, redirects on its own origin are followed, the answer is read and judged. All of
//! it happens under one permit and one deadline.

// size: what leaves, what comes back and what is made of it share one deadline, and read from top to bottom

use super::allowance::{self, Told};
use super::auth::{Credential, Heard, Hearing, Moment};
use super::body::{self, BodyError};
use super::client::Client;
use super::exchange::Answer;
use super::on::{Act, OnRule};
use super::redirect::{self, Redirect};
use super::request::{Prepared, Signing};
use super::retry::{is_transient, leaves_open};
use super::transport::{Phase, WireAnswer, WireError, WireRequest};
use super::verdict::{self, Law, Received, ResponseRules, Verdict};
use super::{headers, query, retry_after};
use crate::value::context::{Context, Root, Slot};
use crate::value::secret::Secret;
use crate::value::time::{Mono, show_duration};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;
use url::Url;

/// Most bytes read of an answer that says no.
const MAX_ERROR: usize = 64 * 1024;
/// Longest time spent on reading it.
const ERROR_TIME: Duration = Duration::from_secs(5);
/// How much of a body that cannot be read its message shows.
const BEGINS: usize = 120;
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
    /// What the server said about its own limit.
    pub told: Option<Told>,
}

/// What an attempt came to.
pub(super) enum Outcome {
    Success(Answer),
    /// Refused for now, with the pause the server asked for.
    Limited(Option<Duration>),
    AuthFailed,
    /// The method of authentication can answer the challenge: the same again.
    Challenged,
    Rejected,
    Unreadable,
    /// An `[[on]]` rule says what becomes of it.
    Ruled(Ruled),
    /// Nothing left: the request cannot be made, or nothing will leave until somebody changes a file.
    Barred,
    /// Nothing that could be judged came back, or the server says "not now".
    Unreachable {
        /// Whether a byte of the request may have left.
        sent: bool,
        /// Whether a write may have taken effect all the same.
        open: bool,
    },
}

/// What an `[[on]]` rule says, where that is not another outcome anyhow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ruled {
    /// Its place among all that were tried.
    pub at: usize,
    pub act: Act,
    /// Its own `max_attempts`.
    pub most: Option<NonZeroU32>,
    pub wait: Option<Duration>,
}

/// An answer whose body is still on the wire.
struct Landed {
    answer: WireAnswer,
    url: Url,
    /// Why its redirect was not followed.
    note: Option<String>,
}

/// What an attempt is made with besides the request.
pub(super) struct With<'a> {
    pub rules: &'a ResponseRules,
    /// Whether the caller cannot do without the document.
    pub want_document: bool,
    pub credential: &'a Credential,
    /// Whether a challenge may still be answered by sending again.
    pub challenges: bool,
}

/// What could not be made as the request was about to leave, and why.
enum Unmade {
    Credential(String),
    Signature(String),
}

/// One attempt under way.
struct Round<'a> {
    client: &'a Client,
    request: &'a Prepared,
    with: &'a With<'a>,
    /// What the body and signing made of secrets; it must not be shown.
    made: Vec<Secret>,
    /// What the method of authentication noted for the request that left last.
    mark: u64,
    told: Option<Told>,
}

impl Client {
    /// Sends once and judges.
    pub(super) async fn attempt(&self, request: &Prepared, with: &With<'_>) -> Attempt {
        let made = request.derived.texts.clone();
        let mut round = Round { client: self, request, with, made, mark: 0, told: None };
        let attempt = round.run().await;
        Attempt { told: round.told, ..attempt }
    }
}

impl Round<'_> {
    async fn run(&mut self) -> Attempt {
        let (client, rules) = (self.client, self.with.rules);
        let timeout = self.request.timeout.unwrap_or(client.settings.timeout);
        let deadline = client.clock.mono().plus(timeout);
        let mut landed = match client.within(deadline, self.land()).await {
            Some(Ok(landed)) => landed,
            Some(Err(attempt)) => return attempt,
            None => return self.timed_out(None, timeout, "no answer"),
        };
        let status = landed.answer.status;
        let size: usize = landed.answer.headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum();
        if size > MAX_HEAD {
            return self.ended(Outcome::Unreadable, Some(status), "the answer's headers are larger than 64 KiB");
        }
        let body = if verdict::may_succeed(rules, self.on(), status) {
            let reading = body::read_all(&mut landed.answer, client.settings.max_response);
            match client.within(deadline, reading).await {
                Some(Ok(body)) => body,
                Some(Err(error)) => return self.unread(status, &error),
                None => return self.timed_out(Some(status), timeout, "the answer was not complete"),
            }
        } else {
            let max = usize::try_from(client.settings.max_response).unwrap_or(MAX_ERROR).min(MAX_ERROR);
            let until = deadline.min(client.clock.mono().plus(ERROR_TIME));
            client.within(until, body::read_excerpt(&mut landed.answer, max)).await.unwrap_or_default()
        };
        let received = Received::new(status, std::mem::take(&mut landed.answer.headers), body);
        self.judged(received, landed.url, landed.note)
    }

    /// Sends, and follows redirects, until there is an answer to judge.
    async fn land(&mut self) -> Result<Landed, Attempt> {
        let client = self.client;
        let mut url = self.request.url.clone();
        for hop in 0.. {
            let wire = self.wire_request(&url).map_err(|unmade| self.unmade(unmade))?;
            let mut answer = client.transport.send(wire).await.map_err(|error| self.broken(None, &error))?;
            self.told = allowance::read(&answer.headers, &client.settings.rate_limit, client.clock.utc());
            let note = match self.heard(&answer, &url) {
                Hearing::Judge => None,
                Hearing::Explain(why) => Some(why),
                Hearing::Resend if self.with.challenges => {
                    // Read to its end, a short body leaves the connection usable for the next attempt.
                    body::read_excerpt(&mut answer, MAX_ERROR).await;
                    return Err(self.ended(Outcome::Challenged, Some(answer.status), "the server asks for a proof"));
                }
                Hearing::Resend => Some("the server asks for another proof each time".to_owned()),
            };
            let follow = client.settings.follow_redirects;
            let note = match redirect::read(self.request.method, &url, answer.status, &answer.headers, follow) {
                Redirect::None => note,
                Redirect::Refuse(why) => Some(why),
                Redirect::Follow(_) if hop == redirect::MOST => {
                    Some(format!("the server redirects more than {} times", redirect::MOST))
                }
                Redirect::Follow(to) => {
                    body::read_excerpt(&mut answer, MAX_ERROR).await;
                    url = to;
                    self.strip_credentials(&mut url);
                    continue;
                }
            };
            return Ok(Landed { answer, url, note });
        }
        Err(self.ended(Outcome::Rejected, None, "the server redirects without end"))
    }

    /// What the method of authentication makes of an answer it had a part in.
    fn heard(&self, answer: &WireAnswer, url: &Url) -> Hearing {
        if self.request.bare || !self.client.may_have_credentials(url) {
            return Hearing::Judge;
        }
        self.with.credential.hear(&Heard {
            utc: self.client.clock.utc(),
            status: answer.status,
            headers: &answer.headers,
            url,
            mark: self.mark,
        })
    }

    /// What really leaves: credentials join here, and only towards origins that may have them.
    fn wire_request(&mut self, url: &Url) -> Result<WireRequest, Unmade> {
        let (client, request) = (self.client, self.request);
        let mut wire = WireRequest {
            method: request.method,
            url: url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        if wire.body.is_some() && !wire.headers.contains_key(CONTENT_TYPE) {
            wire.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if client.may_have_credentials(url) && !request.bare {
            query::extend_absent(&mut wire.url, &request.secret_query);
            query::extend_absent(&mut wire.url, &client.secret_query);
            let moment = Moment { utc: client.clock.utc(), rng: client.rng.as_ref() };
            // A method that signs signs everything; for everything else the credential is a part of what is signed.
            let credential_last = matches!(self.with.credential, Credential::Signed(_));
            if credential_last {
                self.made.extend(Signing::join(&request.signing, &mut wire, moment.utc).map_err(Unmade::Signature)?);
            }
            let made = self.with.credential.apply(&mut wire, &moment).map_err(Unmade::Credential)?;
            self.made.extend(made.secrets);
            self.mark = made.mark;
            if !credential_last {
                self.made.extend(Signing::join(&request.signing, &mut wire, moment.utc).map_err(Unmade::Signature)?);
            }
        } else {
            headers::drop_secret(&mut wire.headers);
        }
        Ok(wire)
    }

    /// A credential that cannot be made fails as one that is refused; a signature fails its own request, and as nothing
    /// was sent it says nothing about the connection.
    fn unmade(&self, unmade: Unmade) -> Attempt {
        match unmade {
            Unmade::Credential(why) => self.ended(Outcome::AuthFailed, None, &why),
            Unmade::Signature(why) => self.ended(Outcome::Barred, None, &why),
        }
    }

    /// A server that echoes our query credential in a Location must not bring it into URLs that are shown.
    fn strip_credentials(&self, url: &mut Url) {
        for (name, _) in self.client.secret_query.iter().chain(&self.request.secret_query) {
            query::remove(url, name);
        }
        let signed = self.request.signing.iter().filter_map(Signing::query_name);
        for name in self.with.credential.query_names().into_iter().chain(signed) {
            query::remove(url, name);
        }
    }

    fn judged(&self, mut received: Received, url: Url, note: Option<String>) -> Attempt {
        let (client, rules) = (self.client, self.with.rules);
        let law = Law {
            on: self.on(),
            response: rules,
            rate_limit: &client.settings.rate_limit,
            auth_failure: &client.settings.auth_failure,
            context: self.context(),
            want_document: self.with.want_document,
            lens: client.lens(self.request),
        };
        let status = received.status;
        let verdict = verdict::judge(&mut received, &law);
        let rule = if let Verdict::Ruled(at) = verdict { law.rules().nth(at).map(|rule| (at, rule)) } else { None };
        let outcome = match verdict {
            Verdict::Ruled(_) if rule.is_none_or(|(_, rule)| rule.act != Act::Success) => {
                rule.map_or(Outcome::Rejected, |(at, rule)| self.ruled(at, rule, &received.headers))
            }
            Verdict::Success | Verdict::Ruled(_) => {
                let (headers, document) = received.into_document();
                let answer = Answer { status, headers, document, url, attempts: 0 };
                return Attempt {
                    outcome: Outcome::Success(answer),
                    status: Some(status),
                    message: String::new(),
                    excerpt: None,
                    told: None,
                };
            }
            Verdict::Unreadable(why) => return self.unreadable(&received, &why),
            Verdict::Limited => Outcome::Limited(self.asked_pause(&received.headers)),
            Verdict::AuthFailed => Outcome::AuthFailed,
            Verdict::BadStatus if is_transient(status) => {
                Outcome::Unreachable { sent: true, open: leaves_open(status) }
            }
            Verdict::BadStatus | Verdict::Refused => Outcome::Rejected,
        };
        let raw = verdict::raw_excerpt(&received);
        let said = rule.and_then(|(_, rule)| verdict::says(&mut received, rule, &law.context, &law.lens));
        let told = said.or(note).unwrap_or_else(|| verdict::complaint(&mut received, rules, &law.lens));
        let message = if told.is_empty() { "the answer says nothing more".to_owned() } else { self.clean(&told) };
        let excerpt = (told != raw && !raw.is_empty()).then(|| self.clean(&raw));
        Attempt { outcome, status: Some(status), message, excerpt, told: None }
    }

    /// What rules see beside the answer.
    fn context(&self) -> Context<'_> {
        let ctx = self.client.context(Context::new());
        match &self.request.flow {
            Some(flow) => ctx.with(Root::Flow, Slot::Json(flow.as_ref())),
            None => ctx,
        }
    }

    /// Error rules: the request's, and its connection's.
    fn on(&self) -> [&[OnRule]; 2] {
        let connection: &[OnRule] = if self.request.alone { &[] } else { &self.client.settings.on };
        [&self.request.on, connection]
    }

    fn ruled(&self, at: usize, rule: &OnRule, headers: &HeaderMap) -> Outcome {
        if rule.act == Act::Refresh {
            return Outcome::AuthFailed;
        }
        let told = rule.wait(headers, self.client.clock.utc());
        let wait = told.or_else(|| self.asked_pause(headers).filter(|_| rule.act == Act::Limited));
        Outcome::Ruled(Ruled { at, act: rule.act, most: rule.max_attempts, wait })
    }

    /// The wish of a refusal; the end of a window that is used up stands in for one.
    fn asked_pause(&self, headers: &HeaderMap) -> Option<Duration> {
        let settings = &self.client.settings.rate_limit;
        let window = self.told.filter(|told| told.remaining == Some(0) || settings.reset_header.is_some());
        retry_after::asked(headers, settings, self.client.clock.utc()).or_else(|| window?.resets)
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
            Phase::Barred => Outcome::Barred,
            Phase::Sent | Phase::Body => Outcome::Unreachable { sent: true, open: true },
            Phase::Decode => Outcome::Unreadable,
        };
        self.ended(outcome, status, &error.message)
    }

    /// A body that is not what it should be: its beginning says more than any parser. It is masked before it is cut.
    fn unreadable(&self, received: &Received, why: &str) -> Attempt {
        let came = self.clean(&verdict::raw_excerpt(received));
        let begins = came.char_indices().nth(BEGINS).map_or(came.as_str(), |(end, _)| &came[..end]);
        let more = if begins.len() < came.len() { "…" } else { "" };
        let message = format!("{}; it begins `{begins}{more}`", self.clean(why));
        Attempt {
            outcome: Outcome::Unreadable,
            status: Some(received.status),
            message,
            excerpt: (!came.is_empty()).then_some(came),
            told: None,
        }
    }

    fn ended(&self, outcome: Outcome, status: Option<u16>, message: &str) -> Attempt {
        Attempt { outcome, status, message: self.clean(message), excerpt: None, told: None }
    }

    /// What was made for this attempt alone is hidden too.
    fn clean(&self, text: &str) -> String {
        self.client.clean_of(&self.made, text)
    }
}

impl Client {
    /// Runs a future up to a deadline; past it the future is dropped, and with it the connection it used.
    pub(super) async fn within<T>(&self, deadline: Mono, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.clock.sleep_until(deadline) => None,
        }
    }
}
