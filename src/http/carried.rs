//! Requests that leave through an agent: while none is there they stand aside, and others of the pool go on.

use super::client::{Client, OfflineView};
use super::credentials::Held;
use super::exchange::{Course, Failure, FailureClass};
use super::tokens::WhenRefused;
use crate::agent::{Absence, Route};
use std::time::Duration;

/// How long a run that somebody waits for waits for an agent: longer than agents take to dial again.
const PATIENCE: Duration = Duration::from_mins(1);

impl Client {
    /// Why nothing can be sent now, while no agent is there.
    pub(super) fn absence(&self) -> Option<Absence> {
        self.transport.route().and_then(Route::absence)
    }

    /// The same for whoever looks.
    pub(super) fn waits_for_agent(&self) -> Option<OfflineView> {
        let Absence { reason, since, .. } = self.absence()?;
        Some(OfflineView { reason, since, login: false, next_try: Duration::ZERO })
    }
}

impl Course<'_> {
    /// Waits until an agent is there: as long as it takes, or as long as somebody waits for the outcome.
    pub(super) async fn wait_for_agent(&self, held: Held, absence: Absence) -> Result<Held, Failure> {
        let client = self.client;
        let Some(route) = client.transport.route() else { return Ok(held) };
        let unreachable = || self.failure(FailureClass::Unreachable, None, absence.reason.clone(), None);
        let hold = client.tokens.when_refused == WhenRefused::Hold;
        if hold && self.once {
            return Err(unreachable());
        }
        let until = absence.from.plus(PATIENCE);
        let patience = async {
            if hold {
                std::future::pending::<()>().await;
            }
            client.clock.sleep_until(until).await;
        };
        let there = async {
            tokio::select! {
                biased;
                () = route.present() => true,
                () = patience => false,
            }
        };
        let (held, there) = self.aside(held, there).await?;
        if there { Ok(held) } else { Err(unreachable()) }
    }
}
