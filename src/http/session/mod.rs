//! The life of a connection's credential: in use, refused or at its end, being renewed, refused for good.
//!
//! Every request asks `next` with a fresh permit in hand and does what it says; one renews, all others stand aside. A
//! request that finds the credential refused reports the generation it was sent with: what is refused late, when a newer
//! one is there already, renews nothing. Nothing here sends; that is `renew`.

mod answer;
mod cookies;
mod offline;
mod refresh;
mod renew;
mod shared;
mod told;

pub use offline::OfflineView;
pub(super) use offline::{Turn, Woke, wait};
pub use shared::grant_of;

use super::auth::{Credential, First};
use super::tokens::TokenRecord;
use crate::value::secret::{Redactor, Secret};
use crate::value::time::Mono;
use offline::Offline;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Generations whose texts stay hidden: answers to older requests still arrive.
const REMEMBERED: usize = 8;

/// How long a request that was let through speaks for the credential.
const LATELY: Duration = Duration::from_mins(1);

/// The tokens a renewal starts from.
#[derive(Clone, Default)]
pub(super) struct HeldTokens {
    pub token: Token,
    pub refresh_token: Token,
}

/// A token, or none; empty is none.
#[derive(Clone, Default)]
pub(super) struct Token(Option<Secret>);

impl Token {
    pub(super) fn get(&self) -> Option<&Secret> {
        self.0.as_ref()
    }

    /// The text, empty for none.
    pub(super) fn text(&self) -> &str {
        self.0.as_ref().map_or("", Secret::reveal)
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self((!text.is_empty()).then(|| Secret::new(text)))
    }
}

impl From<Option<Secret>> for Token {
    fn from(secret: Option<Secret>) -> Self {
        Self(secret.filter(|secret| !secret.reveal().is_empty()))
    }
}

/// A credential of one generation.
pub(super) struct Bearing {
    pub generation: u64,
    pub credential: Credential,
    /// From when on it is renewed ahead of time.
    pub good_until: Option<Mono>,
}

impl Bearing {
    pub(super) fn new(generation: u64, credential: Credential, good_until: Option<Mono>) -> Arc<Self> {
        Arc::new(Self { generation, credential, good_until })
    }
}

/// Why the last renewal came to nothing.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    /// Which renewal: a request that has seen it does not count it twice.
    pub serial: u64,
    /// Nobody asks again before.
    pub until: Mono,
    /// Fit to be shown.
    pub reason: String,
    /// Whether the server refused, rather than failed.
    pub refused: bool,
    /// Whether only a person can help.
    pub login: bool,
}

/// What a request with a permit does next.
pub(super) enum Next {
    /// It may be sent.
    Send(Arc<Bearing>),
    /// It renews the credential.
    Renew,
    /// Somebody renews.
    Wait,
    /// The last renewal failed, and it is too early for another one.
    Troubled(Trouble),
    /// The connection is offline, for this reason.
    Offline(String),
    /// The connection's file has changed since: these credentials will not come back.
    Retired,
}

/// What a refused credential leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// A newer one is in use already, or on its way for somebody else.
    Stale,
    /// It is renewed.
    Renew,
    /// Nothing can be done.
    Final,
}

/// The state of one client's credential. One lock, held for a few instructions, never across a wait.
pub(super) struct Session {
    state: Mutex<State>,
    /// Counts changes that somebody may wait for.
    changes: watch::Sender<u64>,
    /// Hash of what the configuration begins with.
    pub(super) fingerprint: String,
    pub(super) first: First,
    renewable: bool,
    /// Held by whoever tries whether an offline connection is back; in turn, oldest first.
    probing: Arc<tokio::sync::Mutex<()>>,
}

#[expect(clippy::struct_excessive_bools, reason = "facts that hold side by side, in any combination")]
struct State {
    bearing: Option<Arc<Bearing>>,
    tokens: HeldTokens,
    refused: bool,
    /// Somebody found it refused, and has it renewed.
    due: bool,
    renewing: bool,
    serial: u64,
    /// Renewals in a row that failed.
    failures: u32,
    trouble: Option<Trouble>,
    /// A renewed credential that could not be saved yet.
    unsaved: Option<TokenRecord>,
    offline: Option<Offline>,
    /// Why nothing is sent any more, where a refusal ends what was asked for.
    given_up: Option<String>,
    /// How often it came back from being offline.
    returns: u64,
    retired: bool,
    /// The generation a request was last let through with, and when.
    accepted: Option<(u64, Mono)>,
    /// The generation with which requests were refused for want of a permission.
    permission: Option<u64>,
    /// Always hidden.
    secrets: Vec<Secret>,
    /// Hidden per generation.
    recent: VecDeque<Vec<Secret>>,
    redactor: Redactor,
}

impl Session {
    /// `bearing` is none where the credential has to be fetched first.
    pub(super) fn new(
        renewable: bool,
        first: First,
        fingerprint: String,
        bearing: Option<Arc<Bearing>>,
        secrets: Vec<Secret>,
    ) -> Self {
        let redactor = Redactor::new(secrets.iter().map(Secret::reveal));
        let state = State {
            bearing,
            tokens: first.tokens.clone(),
            refused: false,
            due: false,
            renewing: false,
            serial: 0,
            failures: 0,
            trouble: None,
            unsaved: None,
            offline: None,
            given_up: None,
            returns: 0,
            retired: false,
            accepted: None,
            permission: None,
            secrets,
            recent: VecDeque::new(),
            redactor,
        };
        Self {
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
            fingerprint,
            first,
            renewable,
            probing: Arc::default(),
        }
    }

    /// What comes next for a request. `probing`: it tries whether an offline connection is back.
    pub(super) fn next(&self, now: Mono, probing: bool) -> Next {
        let state = self.lock();
        if let Some(offline) = state.offline.as_ref().filter(|_| !probing) {
            return if state.retired { Next::Retired } else { Next::Offline(offline.reason.clone()) };
        }
        if let Some(reason) = state.given_up.as_ref().filter(|_| !probing) {
            return Next::Offline(reason.clone());
        }
        if state.renewing {
            return Next::Wait;
        }
        let bearing = state.bearing.as_ref().filter(|bearing| bearing.good_until.is_none_or(|until| now < until));
        match bearing {
            Some(bearing) if !(state.refused && self.renewable) => return Next::Send(bearing.clone()),
            _ => {}
        }
        match &state.trouble {
            Some(trouble) if now < trouble.until && !probing => Next::Troubled(trouble.clone()),
            _ => Next::Renew,
        }
    }

    /// Begins a renewal, unless somebody else has.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Renewing> {
        let mut state = self.lock();
        (!std::mem::replace(&mut state.renewing, true)).then(|| Renewing(self.clone()))
    }

    /// Resolves when something has changed since `seen` was taken.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A request sent with this generation was refused for want of credentials. `may_renew`: no renewal was owed to it yet.
    pub(super) fn refused(&self, generation: u64, may_renew: bool) -> Refused {
        let mut state = self.lock();
        let newer = state.bearing.as_ref().is_some_and(|bearing| bearing.generation > generation);
        // One that had its renewal does not have this generation judged by itself where another has found it at its end.
        if newer || (!may_renew && state.due) {
            return Refused::Stale;
        }
        if !self.renewable {
            return Refused::Final;
        }
        state.refused = true;
        state.due |= may_renew;
        if may_renew { Refused::Renew } else { Refused::Final }
    }

    /// A request sent with this generation was let through.
    pub(super) fn accepted(&self, generation: u64, now: Mono) {
        self.lock().accepted = Some((generation, now));
    }

    /// A request was refused though others are let through with the same generation: it lacks a permission.
    pub(super) fn tell_permission(&self, generation: u64) {
        self.lock().permission = Some(generation);
    }

    /// Whether that has been found before, and others were let through just now.
    pub(super) fn is_permission(&self, generation: u64, now: Mono) -> bool {
        let state = self.lock();
        let lately = |(accepted, at): (u64, Mono)| accepted == generation && now.since(at) < LATELY;
        state.permission == Some(generation) && state.accepted.is_some_and(lately)
    }

    /// The last renewal's trouble, if it failed.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.lock().trouble.clone()
    }

    /// The generation in use, 0 before there is one.
    pub(super) fn generation(&self) -> u64 {
        self.lock().bearing.as_ref().map_or(0, |bearing| bearing.generation)
    }

    /// Generation and what is left of the time in which it is not renewed; none before there is one.
    pub(super) fn held(&self, now: Mono) -> Option<(u64, Option<Duration>)> {
        let state = self.lock();
        let bearing = state.bearing.as_ref()?;
        Some((bearing.generation, bearing.good_until.map(|until| until.since(now))))
    }

    /// Hides every text that must not be shown.
    pub(super) fn redactor(&self) -> Redactor {
        self.lock().redactor.clone()
    }

    /// Hides further texts for good: what a login or token request is made with.
    pub(super) fn hide(&self, secrets: impl IntoIterator<Item = Secret>) {
        let mut state = self.lock();
        let known = state.secrets.len();
        for secret in secrets {
            if !state.secrets.contains(&secret) {
                state.secrets.push(secret);
            }
        }
        if state.secrets.len() > known {
            state.redact();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl State {
    /// Puts a credential in use and hides its texts.
    fn adopt(&mut self, bearing: Arc<Bearing>, tokens: HeldTokens, secrets: Vec<Secret>) {
        let tokens_too = [&tokens.token, &tokens.refresh_token].into_iter().filter_map(Token::get).cloned();
        self.recent.push_back(secrets.into_iter().chain(tokens_too).collect());
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
        self.bearing = Some(bearing);
        self.tokens = tokens;
        self.refused = false;
        self.due = false;
        self.failures = 0;
        self.trouble = None;
        self.redact();
    }

    fn redact(&mut self) {
        self.redactor = Redactor::new(self.secrets.iter().chain(self.recent.iter().flatten()).map(Secret::reveal));
    }
}

/// A renewal under way; ends when dropped, whatever came of it.
pub(super) struct Renewing(Arc<Session>);

impl Drop for Renewing {
    fn drop(&mut self) {
        self.0.lock().renewing = false;
        self.0.changed();
    }
}
