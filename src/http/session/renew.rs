//! One renewal, from what is kept to what is kept next. It runs in a task of its own: a request that gives up must not
//! take a rotated refresh token with it.

use super::answer::{Answered, Denied, Granted};
use super::offline::wait;
use super::{Bearing, HeldTokens, Renewing, Trouble};
use crate::http::auth::{Asking, Errand, Grant, OAuth2, Renewal, TokenPaths};
use crate::http::body::{self, BodyError};
use crate::http::client::Client;
use crate::http::retry_after;
use crate::http::tokens::{TokenRecord, TokenStoreError};
use crate::http::transport::{WireError, WireRequest};
use crate::observe::{event, task};
use crate::queue::Permit;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::time::{Mono, show_duration};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Most bytes of an answer to a token or login request.
const MOST: u64 = 1024 * 1024;
/// A token is renewed so much before its end, or a tenth of its life before, whichever is shorter.
const AHEAD: Duration = Duration::from_secs(30);

/// What is left of a renewal's permit.
pub(in crate::http) struct Returned {
    pub permit: Option<Permit>,
    /// Whether a request was sent under it.
    pub used: bool,
}

/// Why a renewal came to nothing, and when the server wants to be asked again.
pub(super) struct Failed {
    pub(super) denied: Denied,
    pub(super) asked: Option<Duration>,
}

impl From<Denied> for Failed {
    fn from(denied: Denied) -> Self {
        Self { denied, asked: None }
    }
}

fn denied(message: impl Into<String>, refused: bool) -> Failed {
    Denied { message: message.into(), refused, login: false }.into()
}

pub(super) fn unusable(error: &EvalError) -> Failed {
    denied(error.to_string(), true)
}

impl From<TokenStoreError> for Failed {
    fn from(error: TokenStoreError) -> Self {
        denied(format!("renewed tokens cannot be kept: {error}"), false)
    }
}

impl Client {
    /// Renews, under a permit when its request goes to the connection's own origin.
    pub(in crate::http) fn renew(self: &Arc<Self>, turn: Renewing, permit: Option<Permit>) -> JoinHandle<Returned> {
        let client = self.clone();
        task::spawn("credential", async move {
            let mut used = false;
            if let Err(failed) = client.renewal(&mut used).await {
                client.troubled(failed);
            }
            drop(turn);
            Returned { permit, used }
        })
    }

    fn troubled(&self, failed: Failed) {
        let Failed { denied, asked } = failed;
        let (now, settings) = (self.clock.mono(), &self.settings);
        let reason = self.clean(&denied.message);
        let mut state = self.session.lock();
        state.failures = state.failures.saturating_add(1);
        state.serial += 1;
        let asked = asked.unwrap_or_default().min(settings.rate_limit.max_pause);
        let pause = wait(&settings.retry, state.failures, self.rng.as_ref()).max(asked);
        let what = if denied.login { "log in again: " } else { "" };
        let reason = format!("{what}{} failed: {reason}", self.renewal_name());
        event::renewal_failed(&self.meters, &self.id, &reason, pause);
        state.trouble = Some(Trouble {
            serial: state.serial,
            until: now.plus(pause),
            reason,
            refused: denied.refused,
            login: denied.login,
        });
    }

    fn renewal_name(&self) -> &'static str {
        match self.settings.auth.renewal() {
            Some(Renewal::Login(_)) => "the login",
            Some(Renewal::OAuth2(_)) => "the token request",
            Some(Renewal::Refresh(_)) | None => "the token refresh",
        }
    }

    /// Finds or fetches a credential newer than the one in use.
    async fn renewal(&self, sent: &mut bool) -> Result<(), Failed> {
        let turn = self.tokens.turn(&self.session.fingerprint);
        let _turn = turn.lock().await;
        match self.settings.auth.renewal() {
            None => Ok(()),
            Some(Renewal::Login(login)) => self.log_in(login, sent).await,
            Some(renewal) => self.renew_token(renewal, sent).await,
        }
    }

    async fn renew_token(&self, renewal: Renewal<'_>, sent: &mut bool) -> Result<(), Failed> {
        let unsaved = self.session.lock().unsaved.clone();
        if let Some(record) = unsaved {
            self.keep(&record).await?;
            self.session.lock().unsaved = None;
            return self.take_over(&record);
        }
        let kept = self.kept().await?;
        let newest = kept.as_ref().map_or(0, |record| record.generation).max(self.session.generation());
        let ours = kept.filter(|record| record.fingerprint == self.session.fingerprint);
        match &ours {
            Some(record) if record.generation > self.session.generation() => {
                self.take_over(record)?;
                if record.expires.is_none_or(|at| at > self.clock.utc()) {
                    return Ok(());
                }
            }
            None if self.session.generation() == 0 && self.begin(newest + 1)? => return Ok(()),
            _ => {}
        }
        let granted = self.ask(renewal, sent).await?;
        let (life, tokens) = (granted.life, self.session.lock().tokens.clone());
        let record = self.record(granted, tokens.refresh_token.get().cloned(), newest + 1);
        if let Err(error) = self.keep(&record).await {
            self.session.lock().unsaved = Some(record);
            return Err(error.into());
        }
        self.take_over(&record)?;
        event::credential_renewed(&self.meters, &self.id, record.generation, life);
        Ok(())
    }

    /// What is kept of its credential, under its name, a former one, or that of a connection that has it too: the newest
    /// that descends from what is configured; another one where there is none.
    async fn kept(&self) -> Result<Option<TokenRecord>, Failed> {
        let (mut best, mut any): (Option<TokenRecord>, Option<TokenRecord>) = (None, None);
        for name in std::iter::once(&self.id).chain(&self.former).chain(&self.sharing) {
            let Some(record) = self.tokens.store.load(name).await?.token else { continue };
            if record.fingerprint != self.session.fingerprint {
                any.get_or_insert(record);
            } else if best.as_ref().is_none_or(|best| best.generation < record.generation) {
                best = Some(record);
            }
        }
        Ok(best.or(any))
    }

    /// Hides the tokens that are kept, though no request has needed them yet.
    pub async fn recall(&self) {
        if let Some(Renewal::Refresh(_) | Renewal::OAuth2(_)) = self.settings.auth.renewal()
            && let Ok(Some(record)) = self.kept().await
        {
            self.session.hide([Some(record.access_token), record.refresh_token].into_iter().flatten());
        }
    }

    /// Whether its credential is a session that ends with the process.
    pub fn forgets_sessions(&self) -> bool {
        matches!(self.settings.auth.renewal(), Some(Renewal::Login(_)))
    }

    /// Begins with the token that the configuration holds. False when it holds none.
    fn begin(&self, generation: u64) -> Result<bool, Failed> {
        let tokens = self.session.first.tokens.clone();
        if tokens.token.get().is_none() {
            return Ok(false);
        }
        self.adopt(generation, &tokens, None)?;
        Ok(true)
    }

    fn take_over(&self, record: &TokenRecord) -> Result<(), Failed> {
        let tokens = HeldTokens {
            token: Some(record.access_token.clone()).into(),
            refresh_token: record.refresh_token.clone().into(),
        };
        self.adopt(record.generation, &tokens, record.expires)
    }

    fn adopt(&self, generation: u64, tokens: &HeldTokens, expires: Option<DateTime<Utc>>) -> Result<(), Failed> {
        let proof = self.with_auth(tokens, |ctx| self.settings.auth.prove(ctx)).map_err(|error| unusable(&error))?;
        let good_until = expires.map(|at| self.renew_at(at));
        let bearing = Bearing::new(generation, proof.credential, good_until);
        self.session.lock().adopt(bearing, tokens.clone(), proof.secrets);
        self.meters.token_ends(expires);
        Ok(())
    }

    /// A little before its end. What has ended already is renewed now.
    fn renew_at(&self, expires: DateTime<Utc>) -> Mono {
        let left = (expires - self.clock.utc()).to_std().unwrap_or_default();
        self.clock.mono().plus(left.saturating_sub(AHEAD.min(left / 10)))
    }

    /// Evaluates with `connection` and `auth` on offer.
    pub(super) fn with_auth<T>(&self, tokens: &HeldTokens, then: impl FnOnce(&Context<'_>) -> T) -> T {
        let auth = self.auth_slots(tokens, "");
        then(&self.context(Context::new()).with(Root::Auth, Slot::Map(&auth)))
    }

    pub(super) fn auth_slots<'a>(
        &'a self,
        tokens: &'a HeldTokens,
        assertion: &'a str,
    ) -> [(&'static str, Slot<'a>); 4] {
        [
            ("token", Slot::Text(tokens.token.text())),
            ("refresh_token", Slot::Text(tokens.refresh_token.text())),
            ("client_id", Slot::Text(&self.session.first.client_id)),
            ("assertion", Slot::Text(assertion)),
        ]
    }

    async fn ask(&self, renewal: Renewal<'_>, sent: &mut bool) -> Result<Granted, Failed> {
        match renewal {
            Renewal::OAuth2(oauth2) => self.ask_endpoint(oauth2, sent).await,
            Renewal::Refresh(refresh) => self.ask_again(refresh, sent).await,
            Renewal::Login(_) => Err(denied("a login gives no token", true)),
        }
    }

    /// With a refresh token where there is one; where that is refused, with what the grant itself begins with.
    async fn ask_endpoint(&self, oauth2: &OAuth2, sent: &mut bool) -> Result<Granted, Failed> {
        let own = oauth2.grant.is_own();
        let refresh_token = self.session.lock().tokens.refresh_token.get().cloned();
        if let Some(token) = refresh_token.filter(|_| oauth2.grant != Grant::ClientCredentials) {
            match self.token_request(oauth2, Asking::With(&token), sent).await {
                Err(failed) if own && failed.denied.refused => {}
                asked => return asked,
            }
        }
        match oauth2.grant {
            Grant::ClientCredentials | Grant::Password => self.token_request(oauth2, Asking::Own, sent).await,
            Grant::RefreshToken => Err(denied("there is no refresh token", true)),
            Grant::AuthorizationCode => {
                let message = format!("nobody has logged in yet; run `flowgate auth login {}`", self.id);
                Err(Denied { message, refused: true, login: true }.into())
            }
        }
    }

    async fn token_request(&self, oauth2: &OAuth2, asking: Asking<'_>, sent: &mut bool) -> Result<Granted, Failed> {
        let tokens = self.session.lock().tokens.clone();
        let base = &self.settings.base_uri;
        let wire = self.with_auth(&tokens, |ctx| oauth2.request(ctx, base, asking));
        let answered = self.errand(wire.map_err(|error| unusable(&error))?, oauth2.errand.timeout, sent).await?;
        self.read(&answered, &oauth2.errand, &oauth2.answer)
    }

    /// Asks with what a person's login brought, and keeps the tokens. When the access token ends, if that is said.
    pub(in crate::http) async fn log_in_with(
        &self,
        oauth2: &OAuth2,
        asking: Asking<'_>,
    ) -> Result<Option<DateTime<Utc>>, String> {
        let turn = self.tokens.turn(&self.session.fingerprint);
        let _turn = turn.lock().await;
        let told = |failed: Failed| self.clean(&failed.denied.message);
        let granted = self.token_request(oauth2, asking, &mut false).await.map_err(told)?;
        if granted.refresh_token.is_none() {
            tracing::warn!(connection = %self.id, "the login gives no refresh token: it has to be repeated when the token ends");
        }
        let kept = self.kept().await.map_err(told)?;
        let newest = kept.map_or(0, |record| record.generation).max(self.session.generation());
        let record = self.record(granted, None, newest + 1);
        let expires = record.expires;
        self.keep(&record).await.map_err(|error| error.to_string())?;
        let _ = self.tokens.store.mark(&self.id, None).await;
        Ok(expires)
    }

    fn record(&self, granted: Granted, refresh_token: Option<Secret>, generation: u64) -> TokenRecord {
        let life = granted.life.and_then(|life| TimeDelta::from_std(life).ok());
        let refresh_token = granted.refresh_token.or(refresh_token);
        self.session.hide([Some(granted.token.clone()), refresh_token.clone()].into_iter().flatten());
        TokenRecord {
            fingerprint: self.session.fingerprint.clone(),
            generation,
            access_token: granted.token,
            refresh_token,
            expires: life.and_then(|life| self.clock.utc().checked_add_signed(life)),
        }
    }

    pub(super) fn read(&self, answered: &Answered, errand: &Errand, paths: &TokenPaths) -> Result<Granted, Failed> {
        let good = self.told(errand, answered)?;
        let ctx = self.context(Context::new());
        answered.read(paths, &self.lens_of(errand.types), &ctx, good).map_err(|denied| {
            let asked = retry_after::asked(&answered.headers, &self.settings.rate_limit, self.clock.utc());
            Failed { denied, asked }
        })
    }

    /// Sends a request of its own and reads the whole answer.
    pub(super) async fn errand(
        &self,
        wire: WireRequest,
        timeout: Option<Duration>,
        sent: &mut bool,
    ) -> Result<Answered, Failed> {
        let shown = self.describe(wire.method, &wire.url);
        self.hide_what_travels(&wire);
        let timeout = timeout.unwrap_or(self.settings.timeout);
        let deadline = self.clock.mono().plus(timeout);
        *sent = true;
        let exchange = async {
            let mut answer = self.transport.send(wire).await?;
            let body = body::read_all(&mut answer, MOST).await?;
            Ok::<_, BodyError>(Answered::new(&answer, body))
        };
        let outcome = match self.within(deadline, exchange).await {
            Some(Ok(answered)) => Ok(answered),
            Some(Err(BodyError::Wire(WireError { message, .. }))) => Err(denied(format!("{shown}: {message}"), false)),
            Some(Err(error @ BodyError::TooLarge(_))) => Err(denied(format!("{shown}: {error}"), true)),
            None => Err(denied(format!("{shown}: no answer within {}", show_duration(timeout)), false)),
        };
        tracing::debug!(
            connection = %self.id,
            request = %shown,
            status = outcome.as_ref().ok().map(|answered| answered.status),
            "credential request answered"
        );
        outcome
    }

    /// Values of sensitive headers, and of the query and body as far as they were made of secrets, are hidden by the
    /// redactor already; what was derived from them is not.
    fn hide_what_travels(&self, wire: &WireRequest) {
        let values = wire.headers.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok());
        let whole: Vec<Secret> = values
            .flat_map(|value| [Some(value), value.split_once(' ').map(|(_, rest)| rest)])
            .flatten()
            .map(Secret::new)
            .collect();
        self.session.hide(whole);
    }
}
