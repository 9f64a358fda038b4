//! The right to send one request. Dropping it is the only release.

use super::handle::QueueClosed;
use super::limits::PauseScope;
use std::time::Duration;

/// The right to have one request in flight on a line. Given back when dropped, on every path.
#[must_use]
pub struct Permit {}

impl Permit {
    /// Holds the pool (or this line) for `pause`, counted from now; a shorter pause never shortens a longer one.
    pub fn pause(&self, _pause: Duration, _scope: PauseScope) {
        todo!()
    }
    /// Gives the permit back and waits for the next one at the ticket's old place, not before `delay` has passed
    /// (and not before any pause ends). At level 1 the line waits behind it; above it others pass.
    pub async fn again(self, _delay: Duration) -> Result<Permit, QueueClosed> {
        todo!()
    }
    /// How long the ticket stood in line before this permit.
    pub fn waited(&self) -> Duration {
        todo!()
    }
}
