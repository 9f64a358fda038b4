//! Requests that are refused at the door: each counts, and few are told. Whoever guesses tokens all day must not flood
//! the log, and what was guessed stands in no line: a slip of the fingers is nearly the token.

use crate::observe::event;
use crate::observe::meters::{DoorMeters, Refused};
use crate::value::time::{Mono, SharedClock};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A line for each reason at most so often; it says how many there were since the one before.
const TELL_EVERY: Duration = Duration::from_mins(1);

pub(super) struct Refusals {
    meters: DoorMeters,
    told: Mutex<[Told; Refused::COUNT]>,
    clock: SharedClock,
}

#[derive(Default, Clone, Copy)]
struct Told {
    last: Option<Mono>,
    since: u64,
}

impl Refusals {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { meters: DoorMeters::take(), told: Mutex::default(), clock }
    }

    /// One more.
    pub(super) fn count(&self, why: Refused, from: Option<IpAddr>) {
        self.meters.refused(why);
        let now = self.clock.mono();
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = &mut all[why as usize];
        told.since += 1;
        if told.last.is_none_or(|last| now.since(last) >= TELL_EVERY) {
            event::requests_refused(why, from, told.since);
            *told = Told { last: Some(now), since: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::logs::tests::captured;
    use crate::value::time::SystemClock;

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_kind_is_told_at_once_and_the_others_once_a_minute_with_their_number() {
        let clock = SystemClock::start();
        let refusals = Refusals::new(clock.clone());
        let from = Some("192.0.2.7".parse().unwrap());
        let many = |count: usize, why| captured("info", || (0..count).for_each(|_| refusals.count(why, from)));
        let said = many(5_000, Refused::WrongToken);
        assert_eq!(said.lines().count(), 1, "{said}");
        let line: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"warn".into(), &"requests refused".into()));
        assert_eq!(
            (&line["reason"], &line["from"], &line["count"]),
            (&"wrong_token".into(), &"192.0.2.7".into(), &1.into())
        );
        assert_eq!(many(1, Refused::Host).lines().count(), 1, "each kind for itself");
        clock.sleep_until(clock.mono().plus(TELL_EVERY)).await;
        let said = many(1, Refused::WrongToken);
        assert!(said.contains("\"count\":5000"), "{said}");
        assert_eq!(many(10, Refused::WrongToken), "");
    }
}
