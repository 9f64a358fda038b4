//! `[auth.digest]`: RFC 7616 with what is left of RFC 2617. A challenge is learnt from a 401 and then used for every
//! request of its origin, each with the next nonce count. The password never leaves, and nothing weaker than Digest is
//! answered.

mod challenge;
mod response;
#[cfg(test)]
mod tests;

use super::crypto::{Hash, hex};
use super::{Made, Moment, render, sensitive};
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::template::Template;
use challenge::{Challenge, Quality};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use response::Answer;
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::{Origin, Url};

/// Most origins whose challenges are kept; a connection rarely has two.
const MOST_ORIGINS: usize = 16;
/// Before the new nonce of an accepted request.
const NEXT_NONCE: &str = "authentication-info";

/// `[auth.digest]`: texts over `connection`.
#[derive(Debug, Clone)]
pub struct Digest {
    /// Template over the connection.
    pub username: Template,
    /// Template over the connection; may be empty.
    pub password: Template,
}

/// User and password with what the server has asked so far.
pub(super) struct DigestSigner {
    username: String,
    password: Secret,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// Of the newest challenge; 0 is no challenge.
    generation: u64,
    known: Vec<(Origin, Session)>,
}

struct Session {
    challenge: Challenge,
    generation: u64,
    /// Chosen once per challenge: `-sess` algorithms derive their key from it.
    cnonce: String,
    /// Requests answered with this nonce.
    count: u32,
    /// A request was accepted: user and password are right, so a later 401 speaks about the nonce.
    proven: bool,
}

/// What to do about a 401.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenged {
    /// There is a challenge to answer now.
    Again,
    /// There is not, and why.
    Refused(String),
}

impl Digest {
    pub(super) fn ready(&self, ctx: &Context<'_>) -> Result<(DigestSigner, Vec<Secret>), EvalError> {
        let username = render(&self.username, ctx, "auth.digest.username")?;
        sensitive(&username, "auth.digest.username")?;
        let password = Secret::new(render(&self.password, ctx, "auth.digest.password")?);
        let secrets = vec![password.clone()];
        Ok((DigestSigner { username, password, sessions: Mutex::default() }, secrets))
    }
}

impl DigestSigner {
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the origin's challenge, if one is known. The mark is the generation of that challenge, 0 for none.
    pub(super) fn sign(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Made, String> {
        let mut sessions = self.sessions();
        let Some(session) = sessions.of(&request.url.origin()) else { return Ok(Made::default()) };
        let Some(count) = session.count.checked_add(1) else {
            // The counter has eight digits; another challenge starts it anew.
            sessions.forget(&request.url.origin());
            return Ok(Made::default());
        };
        session.count = count;
        if session.cnonce.is_empty() {
            session.cnonce = hex(&moment.nonce()?);
        }
        let (challenge, cnonce, generation) = (session.challenge.clone(), session.cnonce.clone(), session.generation);
        drop(sessions);
        let uri = match request.url.query() {
            Some(query) => format!("{}?{query}", request.url.path()),
            None => request.url.path().to_owned(),
        };
        let answer = Answer {
            challenge: &challenge,
            username: &self.username,
            password: self.password.reveal(),
            method: request.method.name(),
            uri: &uri,
            body: request.body.as_deref().unwrap_or_default(),
            count,
            cnonce: &cnonce,
        };
        let mut value = HeaderValue::from_bytes(&answer.header())
            .map_err(|_| "auth.digest: the server's challenge holds control characters".to_owned())?;
        value.set_sensitive(true);
        let whole = String::from_utf8_lossy(value.as_bytes()).into_owned();
        request.headers.insert(AUTHORIZATION, value);
        Ok(Made { secrets: vec![Secret::new(whole), Secret::new(answer.response())], mark: generation })
    }

    /// A request that had answered the challenge `sent` came back with 401. How often one request may be sent again is
    /// not counted here.
    pub(super) fn challenged(&self, url: &Url, headers: &HeaderMap, sent: u64) -> Challenged {
        let mut sessions = self.sessions();
        let origin = url.origin();
        let current = sessions.of(&origin).map(|session| (session.generation, session.proven));
        if current.is_some_and(|(generation, _)| generation > sent) {
            // Asked in the meantime by another request's answer.
            return Challenged::Again;
        }
        let schemes = challenge::schemes(headers);
        let Some(challenge) = challenge::strongest(&schemes) else {
            sessions.forget(&origin);
            let offers = match challenge::offered(&schemes) {
                none if none.is_empty() => "nothing that can be read".to_owned(),
                schemes => schemes,
            };
            return Challenged::Refused(format!(
                "the server asks for no digest that can be answered, it offers: {offers}"
            ));
        };
        let proven = current.is_some_and(|(_, proven)| proven);
        let renewed = challenge.stale || (proven && !sessions.uses(&origin, &challenge.nonce));
        if sent != 0 && current.is_some() && !renewed {
            return Challenged::Refused("the server refused this user name and password".to_owned());
        }
        sessions.learn(origin, challenge);
        Challenged::Again
    }

    /// A request that had answered the challenge `sent` was let in.
    pub(super) fn accepted(&self, url: &Url, headers: &HeaderMap, sent: u64) {
        let mut sessions = self.sessions();
        let origin = url.origin();
        let Some(session) = sessions.of(&origin).filter(|session| session.generation == sent) else { return };
        session.proven = true;
        let next = headers.get(NEXT_NONCE).and_then(|value| challenge::next_nonce(value.as_bytes()));
        if let Some(nonce) = next.filter(|nonce| *nonce != session.challenge.nonce) {
            let challenge = Challenge { nonce, stale: false, ..session.challenge.clone() };
            sessions.learn(origin.clone(), challenge);
            if let Some(session) = sessions.of(&origin) {
                session.proven = true;
            }
        }
    }
}

impl Sessions {
    fn of(&mut self, origin: &Origin) -> Option<&mut Session> {
        self.known.iter_mut().find(|(known, _)| known == origin).map(|(_, session)| session)
    }

    fn uses(&mut self, origin: &Origin, nonce: &[u8]) -> bool {
        self.of(origin).is_some_and(|session| session.challenge.nonce == nonce)
    }

    fn forget(&mut self, origin: &Origin) {
        self.known.retain(|(known, _)| known != origin);
    }

    fn learn(&mut self, origin: Origin, challenge: Challenge) {
        self.forget(&origin);
        if self.known.len() == MOST_ORIGINS {
            self.known.remove(0);
        }
        if challenge.hash == Hash::Md5 || challenge.quality == Quality::Legacy {
            tracing::debug!(origin = %origin.ascii_serialization(), "the server asks for a weak digest (MD5, or without qop)");
        }
        self.generation += 1;
        let session =
            Session { challenge, generation: self.generation, cnonce: String::new(), count: 0, proven: false };
        self.known.push((origin, session));
    }
}
