//! When to send again, and how long to wait: full jitter, one budget per connection.

use std::num::NonZeroU32;
use std::time::Duration;

/// `[retry]`
#[derive(Debug, Clone)]
pub struct Retry {
    /// Attempts in all.
    pub max_attempts: NonZeroU32,
    /// First back-off.
    pub initial: Duration,
    /// Longest back-off.
    pub max: Duration,
    /// Methods that are not idempotent may be sent again after bytes left.
    pub unsafe_methods: bool,
}
