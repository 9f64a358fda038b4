//! A request and its credential: gets one before the request is sent, and decides what a refusal leads to. One renewal
//! and one more try for each request; then the connection is offline, and the request waits or fails as the process
//! wants it.

use super::attempt::{Attempt, Outcome, With};
use super::auth::MOST_CHALLENGES;
use super::client::Client;
use super::exchange::{Course, Failure, FailureClass};
use super::session::{Bearing, Next, Refused, Turn, Woke, wait};
use super::tokens::{OfflineMark, WhenRefused};
use crate::observe::event;
use crate::queue::Permit;
use std::future::Future;
use std::sync::Arc;

/// Refusals of an old generation that one request puts up with: tokens that end faster than requests are answered.
const MOST_STALE: u32 = 10;

/// Renewals that one request may cause, whatever happens in between.
const MOST_RENEWALS: u32 = 3;

/// A permit, and whether a request may still be sent under it.
pub(super) struct Held {
    permit: Permit,
    fresh: bool,
}

impl Held {
    pub(super) fn fresh(permit: Permit) -> Self {
        Self { permit, fresh: true }
    }

    /// A request was sent under it: the next one needs another.
    pub(super) fn used(permit: Permit) -> Self {
        Self { permit, fresh: false }
    }
}

/// What a request has been through with its credential.
#[derive(Default)]
pub(super) struct Standing {
    /// A renewal was owed to its refusal.
    renewed: bool,
    renewals: u32,
    stale: u32,
    /// The last renewal trouble it has seen, and how many.
    seen: u64,
    troubles: u32,
    /// How often the connection had come back when this request was refused for good.
    offline_at: Option<u64>,
    /// It tries whether the connection is back.
    turn: Option<Turn>,
}

impl Course<'_> {
    /// A fresh permit and a credential to send with.
    pub(super) async fn ready(&mut self, mut held: Held) -> Result<(Permit, Arc<Bearing>), Failure> {
        let client = self.client;
        loop {
            if let Some(absence) = client.absence() {
                held = self.wait_for_agent(held, absence).await?;
                continue;
            }
            // Who asks whether the connection works asks although it is offline.
            let probing = self.proof.turn.is_some() || self.once;
            match client.session.next(client.clock.mono(), probing) {
                Next::Send(bearing) if held.fresh => {
                    if self.proof.turn.is_some() && client.settings.ping.is_some() {
                        held = self.ping(held, &bearing).await?;
                        continue;
                    }
                    return Ok((held.permit, bearing));
                }
                Next::Send(_) => held = self.fresh(held).await?,
                Next::Renew if client.renews_at_home && !held.fresh => held = self.fresh(held).await?,
                Next::Renew => held = self.renew(held).await?,
                Next::Wait => held = self.wait_for_renewal(held).await?,
                Next::Troubled(trouble) if trouble.refused => {
                    self.give_up_or_wait(None, &trouble.reason, trouble.login).await?;
                }
                Next::Troubled(trouble) => held = self.after_trouble(held, &trouble).await?,
                Next::Offline(reason) if self.gives_up() => {
                    return Err(self.failure(FailureClass::Auth, None, reason, None));
                }
                Next::Offline(_) => held = self.stand_aside(held).await?,
                Next::Retired => {
                    let message = "the connection was changed while its credentials were refused".to_owned();
                    return Err(self.failure(FailureClass::Auth, None, message, None));
                }
            }
        }
    }

    /// Gives the used permit back for a fresh one at the same place in line.
    async fn fresh(&self, held: Held) -> Result<Held, Failure> {
        let permit = held.permit.again(std::time::Duration::ZERO).await.map_err(|_| self.cancelled())?;
        Ok(Held::fresh(permit))
    }

    /// Lets others pass until `ready`.
    pub(super) async fn aside<T>(&self, held: Held, ready: impl Future<Output = T>) -> Result<(Held, T), Failure> {
        let (permit, told) = held.permit.once(ready).await.map_err(|_| self.cancelled())?;
        Ok((Held::fresh(permit), told))
    }

    /// Renews. At home the renewal takes this request's permit; elsewhere it needs none, and others may be sent.
    async fn renew(&mut self, held: Held) -> Result<Held, Failure> {
        let client = self.client;
        let Some(turn) = client.session.begin() else { return Ok(held) };
        let held = if client.renews_at_home {
            match client.renew(turn, Some(held.permit)).await {
                Ok(returned) => match returned.permit {
                    Some(permit) if returned.used => Held::used(permit),
                    Some(permit) => Held::fresh(permit),
                    None => return Err(self.cancelled()),
                },
                // The task panicked, and its permit went with it.
                Err(_) => return Err(self.cancelled()),
            }
        } else {
            let renewing = client.renew(turn, None);
            let (permit, _) = held.permit.once(renewing).await.map_err(|_| self.cancelled())?;
            Held::fresh(permit)
        };
        if self.once
            && let Some(trouble) = client.session.trouble()
        {
            let class = if trouble.refused { FailureClass::Auth } else { FailureClass::Unreachable };
            return Err(self.failure(class, None, trouble.reason, None));
        }
        if self.proof.turn.is_some()
            && let Some(trouble) = client.session.trouble()
        {
            self.proof.turn = None;
            let (now, retry) = (client.clock.mono(), &client.settings.retry);
            client.session.still_offline(&trouble.reason, trouble.login, now, retry, client.rng.as_ref());
        }
        Ok(held)
    }

    async fn wait_for_renewal(&self, held: Held) -> Result<Held, Failure> {
        let mut changes = self.client.session.changes();
        // Looked at again behind the subscription: what ended before it is not waited for.
        if !matches!(self.client.session.next(self.client.clock.mono(), self.proof.turn.is_some()), Next::Wait) {
            return Ok(held);
        }
        let (permit, _) = held.permit.once(changes.changed()).await.map_err(|_| self.cancelled())?;
        Ok(Held::fresh(permit))
    }

    /// A renewal failed, perhaps long before this request came: nobody asks again before its time.
    async fn after_trouble(&mut self, held: Held, trouble: &super::session::Trouble) -> Result<Held, Failure> {
        let client = self.client;
        if self.proof.seen != trouble.serial {
            self.proof.seen = trouble.serial;
            self.proof.troubles += 1;
        }
        if self.once || self.proof.troubles >= client.settings.retry.max_attempts.get() {
            return Err(self.failure(FailureClass::Unreachable, None, trouble.reason.clone(), None));
        }
        let later = client.clock.sleep_until(trouble.until);
        let (permit, ()) = held.permit.once(later).await.map_err(|_| self.cancelled())?;
        Ok(Held::fresh(permit))
    }

    /// Waits until the connection is back, or takes its turn to try. At level 1 the line waits with it.
    async fn stand_aside(&mut self, held: Held) -> Result<Held, Failure> {
        let client = self.client;
        if held.permit.is_alone() && client.settings.ping.is_none() {
            let mut changes = client.session.changes();
            let now = client.clock.mono();
            if let Some(turn) = client.session.turn_now(now) {
                self.proof.turn = Some(turn);
                return Ok(held);
            }
            let wait = client.session.next_try(now);
            if !wait.is_zero() {
                let permit = held.permit.again_or(wait, changes.changed()).await.map_err(|_| self.cancelled())?;
                return Ok(Held::fresh(permit));
            }
        }
        let wake = client.session.wake(client.clock.as_ref());
        let (permit, woke) = held.permit.once(wake).await.map_err(|_| self.cancelled())?;
        if let Woke::Try(turn) = woke {
            self.proof.turn = Some(turn);
        }
        Ok(Held::fresh(permit))
    }

    /// Tries with the ping whether the connection is back.
    async fn ping(&mut self, held: Held, bearing: &Bearing) -> Result<Held, Failure> {
        let client = self.client;
        let Some(spec) = &client.settings.ping else { return Ok(held) };
        let prepared = match client.prepare_ping(spec) {
            Ok(prepared) => prepared,
            Err(error) => return Err(self.failure(FailureClass::Auth, None, client.clean(&error.to_string()), None)),
        };
        let rules = spec.response.as_ref().unwrap_or(&client.settings.response);
        let mut held = held;
        let mut attempt = None;
        for round in 0..=MOST_CHALLENGES {
            let with = With {
                rules,
                want_document: false,
                credential: &bearing.credential,
                challenges: round < MOST_CHALLENGES,
            };
            let answered = client.attempt(&prepared, &with).await;
            let again = matches!(answered.outcome, Outcome::Challenged);
            attempt = Some(answered);
            held = Held::used(held.permit);
            if !again {
                break;
            }
            held = self.fresh(held).await?;
        }
        if let Some(attempt) = attempt {
            // A ping that cannot be sent would be asked for again at once.
            if matches!(attempt.outcome, Outcome::Barred) {
                self.still_offline(&attempt);
            }
            self.judged(bearing, &attempt).await;
        }
        // Whatever it was, the request itself comes next, or waits on.
        self.proof.turn = None;
        Ok(held)
    }

    /// Draws from an answer what it says about the credential.
    pub(super) async fn judged(&mut self, bearing: &Bearing, attempt: &Attempt) {
        let client = self.client;
        let turn = self.proof.turn.take();
        match &attempt.outcome {
            // A rule that has it sent again for now is no verdict on anything.
            Outcome::Ruled(ruled) if ruled.act.repeats() => {
                self.proof.turn = turn;
            }
            Outcome::Success(_) | Outcome::Rejected | Outcome::Unreadable | Outcome::Ruled(_) => {
                client.session.accepted(bearing.generation, client.clock.mono());
                if client.session.go_online() {
                    event::connection_online(&client.meters, &client.id);
                    // What the store says about it is for people: nothing depends on it.
                    let _ = client.tokens.store.mark(&client.id, None).await;
                }
            }
            // Says nothing about the credential. A long pause may see it to its end: that is a refusal of its own.
            Outcome::Challenged | Outcome::Limited(_) => {
                self.proof.turn = turn;
                self.proof.renewed &= self.proof.renewals >= MOST_RENEWALS;
            }
            Outcome::AuthFailed | Outcome::Unreachable { .. } if turn.is_some() => self.still_offline(attempt),
            // Nothing was sent: the turn goes to another request, and whether the connection is back is still to be seen.
            Outcome::AuthFailed | Outcome::Unreachable { .. } | Outcome::Barred => {}
        }
    }

    /// The try failed.
    fn still_offline(&self, attempt: &Attempt) {
        let client = self.client;
        let (now, retry) = (client.clock.mono(), &client.settings.retry);
        client.session.still_offline(&told(attempt), false, now, retry, client.rng.as_ref());
    }

    /// What follows from a refused credential: the same request again, or the end of it.
    pub(super) async fn refused(&mut self, bearing: &Bearing, attempt: Attempt) -> Result<(), Failure> {
        let session = &self.client.session;
        match session.refused(bearing.generation, !self.proof.renewed) {
            Refused::Stale if self.proof.stale < MOST_STALE => {
                self.proof.stale += 1;
                return Ok(());
            }
            Refused::Renew => {
                self.proof.renewed = true;
                self.proof.renewals += 1;
                return Ok(());
            }
            _ => {}
        }
        let reason = told(&attempt);
        // Refused, waited until the connection was back for others, refused again: it is not the credential.
        let (generation, now) = (bearing.generation, self.client.clock.mono());
        let came_back = self.proof.offline_at.is_some_and(|returns| session.returns() > returns);
        if came_back || session.is_permission(generation, now) {
            session.tell_permission(generation);
            let message = format!(
                "{}; other requests are let through, so this one seems to lack a permission (if 401 says so here, set \
                 `auth_failure.count_401 = false`)",
                attempt.message
            );
            return Err(self.ended(FailureClass::Rejected, Attempt { message, ..attempt }));
        }
        self.give_up_or_wait(Some(attempt), &reason, false).await
    }

    /// Whether somebody waits for the answer, so that a refusal is one.
    fn gives_up(&self) -> bool {
        self.once || self.client.tokens.when_refused == WhenRefused::GiveUp
    }

    async fn give_up_or_wait(&mut self, attempt: Option<Attempt>, reason: &str, login: bool) -> Result<(), Failure> {
        let client = self.client;
        if self.gives_up() {
            if !self.once {
                // Before the permit is back: at most what is in flight already has left.
                client.session.give_up(reason);
            }
            return Err(match attempt {
                Some(attempt) => self.ended(FailureClass::Auth, attempt),
                None => self.failure(FailureClass::Auth, None, reason.to_owned(), None),
            });
        }
        self.proof.offline_at.get_or_insert(client.session.returns());
        let since = client.clock.utc();
        let next = client.clock.mono().plus(wait(&client.settings.retry, 1, client.rng.as_ref()));
        if client.session.go_offline(reason, login, since, next) {
            event::connection_offline(&client.meters, &client.id, reason);
            let mark = OfflineMark { since, reason: reason.to_owned(), login };
            let _ = client.tokens.store.mark(&client.id, Some(mark)).await;
        }
        Ok(())
    }
}

/// An attempt's failure in one line.
fn told(attempt: &Attempt) -> String {
    match attempt.status {
        Some(status) => format!("{status}: {}", attempt.message),
        None => attempt.message.clone(),
    }
}

impl Client {
    /// Something has happened that may help an offline connection: it is tried at once.
    pub fn hurry(&self) {
        self.session.hurry();
    }
}
