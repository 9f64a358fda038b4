//! Whether the disk takes writes, and telling so: once when it changes, and not more than a line a second and cause.

use super::fault::Fault;
use crate::observe::event;
use crate::observe::meters::StoreMeters;
use crate::store::api::Health;
use crate::value::time::{Mono, SharedClock};
use std::time::Duration;
use tokio::sync::watch;

/// Time between two lines about the same cause.
const QUIET: Duration = Duration::from_secs(1);

pub(super) struct Trouble {
    pub health: watch::Sender<Health>,
    pub clock: SharedClock,
    pub meters: StoreMeters,
    /// The last line: when, and about what.
    said: Option<(Mono, String)>,
    /// Whether the trouble there is now was said.
    told: bool,
}

impl Trouble {
    pub fn none(health: watch::Sender<Health>, clock: SharedClock, meters: StoreMeters) -> Self {
        Self { health, clock, meters, said: None, told: false }
    }

    pub fn now(&self) -> Mono {
        self.clock.mono()
    }

    /// A write was refused.
    pub fn failing(&mut self, fault: &Fault) {
        let cause = fault.to_string();
        let now = self.clock.utc();
        let mut changed = false;
        self.health.send_if_modified(|health| {
            changed = match health {
                Health::Failing { cause: known, .. } => *known != cause,
                Health::Good => true,
            };
            let since = if let Health::Failing { since, .. } = health { *since } else { now };
            *health = Health::Failing { since, cause: cause.clone() };
            changed
        });
        if !changed {
            return;
        }
        self.meters.failing(true);
        let mono = self.clock.mono();
        if self.said.as_ref().is_some_and(|(at, about)| *about == cause && mono.since(*at) < QUIET) {
            return;
        }
        event::store_failing(&cause);
        self.said = Some((mono, cause));
        self.told = true;
    }

    /// A write went through.
    pub fn good(&mut self) {
        let Health::Failing { since, .. } = *self.health.borrow() else { return };
        let lasted = (self.clock.utc() - since).to_std().unwrap_or_default();
        self.health.send_replace(Health::Good);
        self.meters.failing(false);
        if std::mem::take(&mut self.told) {
            event::store_recovered(lasted);
        }
    }

    /// A group of batches became durable.
    pub fn committed(&self, took: Duration, batches: usize) {
        self.meters.committed(took, batches);
    }
}
