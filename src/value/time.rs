//! Time, chance, durations and sizes. Monotonic time for waits, UTC for durable instants; both from one
//! injected clock.

use chrono::{DateTime, Utc};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// An instant on the monotonic clock, as time since the clock's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub Duration);

impl Mono {
    /// Later by `by`; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
    /// Time from `earlier` until this; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic now.
    fn mono(&self) -> Mono;
    /// Civil now, in UTC.
    fn utc(&self) -> DateTime<Utc>;
    /// Sleeps until a monotonic instant.
    fn sleep_until(&self, at: Mono) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock; follows tokio's paused clock in tests.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

/// Where chance comes from (jitter, ids).
pub trait Rng: Send + Sync + 'static {
    /// A uniformly distributed number.
    fn next_u64(&self) -> u64;

    /// A duration in `0..=most`.
    fn up_to(&self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(if nanos == u64::MAX { self.next_u64() } else { self.next_u64() % (nanos + 1) })
    }
}

/// The shared source of chance.
pub type SharedRng = Arc<dyn Rng>;

impl SystemClock {
    /// Starts counting now.
    #[expect(clippy::disallowed_methods, reason = "the one place monotonic time enters the process")]
    pub fn start() -> SharedClock {
        Arc::new(Self { start: tokio::time::Instant::now() })
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place monotonic time enters the process")]
    fn mono(&self) -> Mono {
        Mono(tokio::time::Instant::now() - self.start)
    }
    #[expect(clippy::disallowed_methods, reason = "the one place civil time enters the process")]
    fn utc(&self) -> DateTime<Utc> {
        Utc::now()
    }
    fn sleep_until(&self, at: Mono) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep_until(self.start + at.0))
    }
}

/// Seeded chance: the operating system's in production, a fixed seed in tests.
pub struct SeededRng(std::sync::Mutex<fastrand::Rng>);

impl SeededRng {
    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> SharedRng {
        Arc::new(Self(std::sync::Mutex::new(fastrand::Rng::with_seed(seed))))
    }
    /// A different sequence in every process.
    pub fn from_system() -> SharedRng {
        Arc::new(Self(std::sync::Mutex::new(fastrand::Rng::new())))
    }
}

impl Rng for SeededRng {
    fn next_u64(&self) -> u64 {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).u64(..)
    }
}

/// Parses `"500ms"`, `"30s"`, `"15m"`, `"1h"`, `"1d"`.
pub fn parse_duration(_text: &str) -> Result<Duration, String> {
    todo!()
}

/// Parses `"64MiB"`, `"512KiB"`, `"1GiB"`, `"100B"`.
pub fn parse_size(_text: &str) -> Result<u64, String> {
    todo!()
}

/// A duration as people write it: `1m 30s`, `250ms`.
pub fn show_duration(_duration: Duration) -> String {
    todo!()
}
