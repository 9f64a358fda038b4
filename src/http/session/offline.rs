//! A connection whose credentials were refused for good: its requests stand aside, one at a time tries whether it is
//! back, later and later. Another one each time, so that a request which is refused for a reason of its own does not keep
//! the others waiting; but at level 1, where no ping asks in its stead, the refused one itself, first in line: nobody passes it.

use super::Session;
use crate::http::retry::Retry;
use crate::value::time::{Clock, Mono, Rng};
use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// The longest time between two tries.
const LONGEST: Duration = Duration::from_mins(5);

/// Since when and why.
#[derive(Debug, Clone)]
pub(super) struct Offline {
    pub reason: String,
    pub since: DateTime<Utc>,
    pub login: bool,
    /// Tries that failed.
    tries: u32,
    next: Mono,
}

/// An offline connection as others see it.
#[derive(Debug, Clone)]
pub struct OfflineView {
    /// Why; fit to be shown.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether only a person can help.
    pub login: bool,
    /// Until the next try.
    pub next_try: Duration,
}

/// The turn to try.
pub(in crate::http) struct Turn(#[expect(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

/// Why a request that stood aside goes on.
pub(in crate::http) enum Woke {
    /// The connection may be used, or will never be: `next` says which.
    Look,
    /// It is this request's turn to try.
    Try(Turn),
}

impl Session {
    /// Takes the connection offline. False when it was already.
    pub(in crate::http) fn go_offline(&self, reason: &str, login: bool, since: DateTime<Utc>, next: Mono) -> bool {
        let mut state = self.lock();
        if let Some(offline) = &mut state.offline {
            reason.clone_into(&mut offline.reason);
            offline.login = login;
            return false;
        }
        state.offline = Some(Offline { reason: reason.to_owned(), since, login, tries: 0, next });
        drop(state);
        self.changed();
        true
    }

    /// Refused for good, and nobody waits for better times: no request is sent any more.
    pub(in crate::http) fn give_up(&self, reason: &str) {
        self.lock().given_up.get_or_insert_with(|| reason.to_owned());
        self.changed();
    }

    /// A try failed: the next one comes later.
    pub(in crate::http) fn still_offline(&self, reason: &str, login: bool, now: Mono, retry: &Retry, rng: &dyn Rng) {
        let mut state = self.lock();
        if let Some(offline) = &mut state.offline {
            offline.tries = offline.tries.saturating_add(1);
            offline.next = now.plus(wait(retry, offline.tries.saturating_add(1), rng));
            reason.clone_into(&mut offline.reason);
            offline.login = login;
        }
    }

    /// A request was let through. True when the connection was offline.
    pub(in crate::http) fn go_online(&self) -> bool {
        let mut state = self.lock();
        let was = state.offline.take().is_some();
        if was {
            state.returns += 1;
            drop(state);
            self.changed();
        }
        was
    }

    /// How often it came back.
    pub(in crate::http) fn returns(&self) -> u64 {
        self.lock().returns
    }

    /// The file of this connection has changed: who waits for these credentials waits in vain.
    pub(in crate::http) fn retire(&self) {
        self.lock().retired = true;
        self.changed();
    }

    /// Tries at once: something has happened that may help.
    pub(in crate::http) fn hurry(&self) {
        if let Some(offline) = &mut self.lock().offline {
            offline.next = Mono::default();
        }
        self.changed();
    }

    /// Whether the connection is offline, and why.
    pub(in crate::http) fn offline(&self, now: Mono) -> Option<OfflineView> {
        let state = self.lock();
        let Offline { reason, since, login, next, .. } = state.offline.as_ref()?;
        Some(OfflineView { reason: reason.clone(), since: *since, login: *login, next_try: next.since(now) })
    }

    /// Waits until the connection is back, or until it is this request's turn to try.
    pub(in crate::http) async fn wake(&self, clock: &dyn Clock) -> Woke {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            {
                let state = self.lock();
                if state.offline.is_none() || state.retired {
                    return Woke::Look;
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                turn = self.turn(clock) => return Woke::Try(turn),
            }
        }
    }

    /// The turn to try, where it is time and nobody else tries.
    pub(in crate::http) fn turn_now(&self, now: Mono) -> Option<Turn> {
        self.next_try(now).is_zero().then(|| self.probing.clone().try_lock_owned().ok().map(Turn)).flatten()
    }

    /// How long until the next try.
    pub(in crate::http) fn next_try(&self, now: Mono) -> Duration {
        self.lock().offline.as_ref().map_or(Duration::ZERO, |offline| offline.next.since(now))
    }

    async fn turn(&self, clock: &dyn Clock) -> Turn {
        let turn = self.probing.clone().lock_owned().await;
        let next = self.lock().offline.as_ref().map_or(Mono::default(), |offline| offline.next);
        clock.sleep_until(next).await;
        Turn(turn)
    }
}

/// How long until a try: half of it certain, doubling with each one that failed.
pub(in crate::http) fn wait(retry: &Retry, nth: u32, rng: &dyn Rng) -> Duration {
    let doubled = retry.initial.saturating_mul(1 << nth.saturating_sub(1).min(20));
    let longest = doubled.min(LONGEST.max(retry.initial));
    longest / 2 + rng.up_to(longest / 2)
}
