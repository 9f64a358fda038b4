//! The agent's life: connected to the server, or on the way back to it, later and later.

use super::link::{self, Link, NoLink};
use super::tend::{Over, tend};
use crate::observe::event;
use crate::value::secret::Secret;
use crate::value::target::Target;
use crate::value::time::{Rng, SharedClock, SharedRng};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use url::Url;

/// The first wait, doubling with each failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait: shorter than `run` waits for an agent.
const LONGEST: Duration = Duration::from_secs(20);
/// A line that was up for so long was good.
const STEADY: Duration = Duration::from_secs(10);
/// Refusals in a row of a token that was good before: it may be about to change on both sides.
const MOST_REFUSALS: u32 = 10;

/// What an agent is told.
#[derive(Clone)]
pub struct Orders {
    /// Where the server is.
    pub server: Url,
    /// Shows who we are.
    pub token: Secret,
    /// What may be reached.
    pub allow: Arc<[Target]>,
    /// PEM of the authorities that may vouch for the server; the system's when there is none.
    pub ca: Option<String>,
}

/// How an agent ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// As asked, nothing was cut off.
    Drained,
    /// As asked, but streams were cut off.
    Cut,
    /// The server does not know the token.
    Refused(String),
}

/// Who keeps an agent going.
pub struct Keeper<R> {
    /// Gives the orders as they are now; asked before each dial, so that a changed token or list counts without a
    /// restart.
    pub orders: R,
    /// Time.
    pub clock: SharedClock,
    /// Chance.
    pub rng: SharedRng,
    /// Asks it to end.
    pub stop: CancellationToken,
    /// For what is under way then.
    pub patience: Duration,
}

impl<R: Fn() -> Result<Orders, String>> Keeper<R> {
    /// Stays connected until `stop`, or until the server refuses for good.
    pub async fn keep(self, mut orders: Orders) -> Ended {
        let Self { clock, rng, stop, patience, .. } = &self;
        let (mut failures, mut refusals, mut was_good) = (0_u32, 0_u32, false);
        // Failures to connect since it last could, for the log.
        let mut told = 0;
        loop {
            let link = tokio::select! {
                link = link::dial(&orders, clock) => link,
                () = stop.cancelled() => return Ended::Drained,
            };
            failures = failures.saturating_add(1);
            match link {
                Ok(Link { io, name }) => {
                    (told, refusals, was_good) = (0, 0, true);
                    event::agent_link_up(&name, orders.server.host_str().unwrap_or_default(), orders.allow.len());
                    let up = clock.mono();
                    match tend(io, &orders.allow, clock, stop, *patience).await {
                        Over::Drained => return Ended::Drained,
                        Over::Cut => return Ended::Cut,
                        Over::Lost(_) if stop.is_cancelled() => return Ended::Cut,
                        Over::Lost(cause) => event::agent_link_lost(&cause),
                    }
                    // One that breaks as soon as it is up is no better than none.
                    if clock.mono().since(up) >= STEADY {
                        failures = 0;
                    }
                }
                Err(NoLink::Token(why)) => {
                    refusals += 1;
                    if !was_good || refusals >= MOST_REFUSALS {
                        return Ended::Refused(why);
                    }
                    event::agent_link_failed(&why, told);
                    told += 1;
                }
                Err(NoLink::Passing(why)) => {
                    event::agent_link_failed(&why, told);
                    told += 1;
                }
            }
            let wait = clock.sleep_until(clock.mono().plus(pause(failures, rng.as_ref())));
            tokio::select! {
                () = wait => {}
                () = stop.cancelled() => return Ended::Drained,
            }
            match (self.orders)() {
                Ok(new) => orders = new,
                Err(why) => event::agent_orders_kept(&why),
            }
        }
    }
}

/// Half of it certain, so that many agents do not come back at once.
fn pause(failures: u32, rng: &dyn Rng) -> Duration {
    let whole = FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST);
    whole / 2 + rng.up_to(whole / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time::SeededRng;

    #[test]
    fn waits_double_to_a_bound_and_half_of_each_is_certain() {
        let rng = SeededRng::seeded(3);
        for (failures, longest) in [(0, 500), (1, 1_000), (3, 4_000), (6, 20_000), (u32::MAX, 20_000)] {
            let longest = Duration::from_millis(longest);
            let waits: Vec<Duration> = (0..100).map(|_| pause(failures, rng.as_ref())).collect();
            assert!(waits.iter().all(|wait| *wait <= longest && *wait >= longest / 2), "{failures}: {waits:?}");
            assert!(waits.iter().max() > waits.iter().min(), "{failures}");
        }
    }
}
