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

    /// Bytes that nobody can guess and that never come twice, for nonces; none when the system has no more to give.
    fn nonce(&self) -> Option<[u8; 16]>;
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
pub struct SeededRng {
    numbers: std::sync::Mutex<fastrand::Rng>,
    /// Nonces come from the operating system, not from the seed.
    secure: bool,
}

impl SeededRng {
    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> SharedRng {
        Arc::new(Self { numbers: std::sync::Mutex::new(fastrand::Rng::with_seed(seed)), secure: false })
    }
    /// A different sequence in every process.
    pub fn from_system() -> SharedRng {
        Arc::new(Self { numbers: std::sync::Mutex::new(fastrand::Rng::new()), secure: true })
    }
}

impl Rng for SeededRng {
    fn next_u64(&self) -> u64 {
        self.numbers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).u64(..)
    }
    fn nonce(&self) -> Option<[u8; 16]> {
        if self.secure {
            return unguessable();
        }
        Some((u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())).to_be_bytes())
    }
}

/// Bytes from the operating system that nobody can guess; none when it has no more to give.
pub fn unguessable() -> Option<[u8; 16]> {
    ring::rand::generate(&ring::rand::SystemRandom::new()).ok().map(ring::rand::Random::expose)
}

/// Parses `"500ms"`, `"30s"`, `"15m"`, `"1h"`, `"1d"`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: &str = "`ms`, `s`, `m`, `h` or `d`";
    let (count, unit) = count_and_unit(text, UNITS, "30s")?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" | "mo" | "y" => return Err(format!("`{unit}` is for calendar steps of `delta` only; use {UNITS}")),
        _ => return Err(format!("`{unit}` is no unit of time; use {UNITS}")),
    };
    match count.checked_mul(millis) {
        Some(total) if total <= LONGEST_MILLIS => Ok(Duration::from_millis(total)),
        _ => Err(format!("`{text}` is longer than a hundred years")),
    }
}

/// A hundred years: far beyond any use, and sums of a few such durations still fit everywhere.
const LONGEST_MILLIS: u64 = 36_525 * 86_400_000;

/// Parses `"64MiB"`, `"512KiB"`, `"1GiB"`, `"100B"`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: &str = "`B`, `KiB`, `MiB` or `GiB`";
    let (count, unit) = count_and_unit(text, UNITS, "64MiB")?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(format!("`{unit}` is no unit of size; use {UNITS}")),
    };
    match count.checked_mul(1 << shift) {
        Some(total) if i64::try_from(total).is_ok() => Ok(total),
        _ => Err(format!("`{text}` is too large")),
    }
}

/// Splits `30s`; the error for a bare number names the units.
fn count_and_unit<'a>(text: &'a str, units: &str, example: &str) -> Result<(u64, &'a str), String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if unit.is_empty() && !digits.is_empty() {
        return Err(format!("`{text}` has no unit; write one of {units}, as in `{example}`"));
    }
    if digits.is_empty() {
        return Err(format!("`{text}` is not a whole number with a unit; write for example `{example}`"));
    }
    if unit.starts_with('.') {
        return Err(format!("`{text}` is not a whole number; use a smaller unit ({units})"));
    }
    let count = digits.parse().map_err(|_| format!("`{text}` is too large"))?;
    Ok((count, unit))
}

/// A duration as people write it, in at most two parts: `1m 30s`, `250ms`, `2d 4h`.
pub fn show_duration(duration: Duration) -> String {
    const PARTS: [(u128, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut rest = duration.as_millis();
    if rest == 0 {
        return if duration.is_zero() { "0s".to_owned() } else { "<1ms".to_owned() };
    }
    let Some(first) = PARTS.iter().position(|(length, _)| rest >= *length) else { return "0s".to_owned() };
    let mut shown = Vec::with_capacity(2);
    for (length, unit) in PARTS.iter().skip(first).take(2) {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            shown.push(format!("{count}{unit}"));
        }
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in
            [("500ms", 500), ("0s", 0), ("30s", 30_000), ("15m", 900_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_and_told_the_units() {
        let error = parse_duration("30").unwrap_err();
        assert!(error.contains("no unit") && error.contains("`ms`") && error.contains("`30s`"), "{error}");
        let error = parse_size("64").unwrap_err();
        assert!(error.contains("`MiB`"), "{error}");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "s", "-1s", "1 s", "1.5s", "1S", "1x", "1w", "1mo", "99999999999999999999s", "36526d", "1s1s", "١s"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["", "MiB", "-1B", "1MB", "1 MiB", "1.5GiB", "9007199254740992GiB", "8589934592GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(parse_duration("1w").unwrap_err().contains("delta"));
    }

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, size) in [("0B", 0), ("100B", 100), ("512KiB", 524_288), ("64MiB", 67_108_864), ("1GiB", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_in_two_parts() {
        for (millis, shown) in [
            (0, "0s"),
            (250, "250ms"),
            (1_500, "1s 500ms"),
            (60_000, "1m"),
            (90_000, "1m 30s"),
            (3_600_000, "1h"),
            (3_630_000, "1h"),
            (187_200_000, "2d 4h"),
        ] {
            assert_eq!(show_duration(Duration::from_millis(millis)), shown);
        }
        assert_eq!(show_duration(Duration::from_nanos(1)), "<1ms");
        assert!(show_duration(Duration::MAX).ends_with('h'));
    }

    #[tokio::test(start_paused = true)]
    async fn the_system_clock_follows_paused_time() {
        let clock = SystemClock::start();
        let before = clock.mono();
        clock.sleep_until(before.plus(Duration::from_hours(1))).await;
        assert_eq!(clock.mono().since(before), Duration::from_hours(1));
        assert_eq!(before.since(clock.mono()), Duration::ZERO);
    }

    #[test]
    fn seeded_chance_repeats_and_stays_in_range() {
        let (one, two) = (SeededRng::seeded(7), SeededRng::seeded(7));
        for _ in 0..100 {
            let most = Duration::from_millis(3);
            let drawn = one.up_to(most);
            assert_eq!(drawn, two.up_to(most));
            assert!(drawn <= most);
        }
        assert_eq!(one.up_to(Duration::ZERO), Duration::ZERO);
    }
}
