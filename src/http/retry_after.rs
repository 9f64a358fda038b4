//! `Retry-After` in every form servers send it, never trusted: anything that cannot be read is as good as absent.

use super::verdict::{RateLimit, RetryAfterUnit};
use chrono::{DateTime, NaiveDateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;

/// Longer than any pause that is ever made; keeps arithmetic away from its edges.
const FOREVER: Duration = Duration::from_hours(366 * 24);

/// How long the server asks us to stay away, or none when it does not say so in a way that can be understood.
/// `now` turns instants into durations; an instant that has passed asks for no pause at all.
pub(super) fn asked(headers: &HeaderMap, settings: &RateLimit, now: DateTime<Utc>) -> Option<Duration> {
    let unit = settings.retry_after_unit;
    match &settings.retry_after_header {
        None => longest(headers, RETRY_AFTER.as_str(), unit, now),
        Some(own) => longest(headers, own, unit, now)
            .or_else(|| longest(headers, RETRY_AFTER.as_str(), RetryAfterUnit::Seconds, now)),
    }
}

/// Proxies add a header of their own beside the server's: the longest wish counts.
pub(super) fn longest(headers: &HeaderMap, name: &str, unit: RetryAfterUnit, now: DateTime<Utc>) -> Option<Duration> {
    headers.get_all(name).iter().filter_map(|value| parse(value.to_str().ok()?, unit, now)).max()
}

pub(super) fn parse(text: &str, unit: RetryAfterUnit, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    number(text, unit, now).or_else(|| Some(until(instant(text)?, now))).map(|pause| pause.min(FOREVER))
}

/// Digits, at most with a fraction. Signs and exponents are not numbers here.
fn number(text: &str, unit: RetryAfterUnit, now: DateTime<Utc>) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
    // One digit of the fraction is more than any server means; rounding up never comes too early.
    let started = u64::from(fraction.bytes().any(|b| b != b'0'));
    let rounded = whole.saturating_add(started);
    let since_1970 = |at: Duration| at.saturating_sub(Duration::from_millis(unix_millis(now)));
    Some(match unit {
        RetryAfterUnit::Seconds => Duration::from_secs(rounded),
        RetryAfterUnit::Millis => Duration::from_millis(rounded),
        RetryAfterUnit::EpochSeconds => since_1970(Duration::from_secs(rounded)),
        RetryAfterUnit::EpochMillis => since_1970(Duration::from_millis(rounded)),
    })
}

fn unix_millis(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp_millis()).unwrap_or(0)
}

fn until(at: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (at - now).to_std().unwrap_or(Duration::ZERO)
}

/// The three forms of RFC 9110, and two more that are met in the wild. The name of the weekday is not checked:
/// servers get it wrong.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let after_weekday = text.split_once(',').map(|(_, rest)| rest.trim());
    let parse = |text: &str, format: &str| NaiveDateTime::parse_from_str(text, format).ok().map(|at| at.and_utc());
    after_weekday
        .and_then(|rest| parse(rest, "%d %b %Y %H:%M:%S GMT").or_else(|| parse(rest, "%d-%b-%y %H:%M:%S GMT")))
        .or_else(|| parse(text.split_once(' ')?.1.trim(), "%b %e %H:%M:%S %Y"))
        .or_else(|| DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc()))
        .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()))
}

/// Reads any bytes in every unit: no pause is longer than a year.
#[cfg(feature = "torture")]
pub(super) fn fuzz(data: &[u8]) {
    use RetryAfterUnit::{EpochMillis, EpochSeconds, Millis, Seconds};
    let Ok(value) = reqwest::header::HeaderValue::from_bytes(data) else { return };
    let headers: HeaderMap = [(RETRY_AFTER, value)].into_iter().collect();
    let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default();
    for unit in [Seconds, Millis, EpochSeconds, EpochMillis] {
        let pause = longest(&headers, RETRY_AFTER.as_str(), unit, now);
        assert!(pause.is_none_or(|pause| pause <= FOREVER), "{pause:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::limits::PauseScope;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn settings(header: Option<&str>, unit: RetryAfterUnit) -> RateLimit {
        RateLimit {
            rule: None,
            retry_after_header: header.map(str::to_owned),
            retry_after_unit: unit,
            max_pause: Duration::from_mins(5),
            min_pause: Duration::ZERO,
            scope: PauseScope::Pool,
            remaining_header: None,
            reset_header: None,
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("1994-11-06T08:49:00Z").unwrap().to_utc()
    }

    fn seconds(text: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        asked(&headers, &settings(None, RetryAfterUnit::Seconds), now()).map(|pause| pause.as_secs())
    }

    #[test]
    fn numbers_are_seconds_unless_said_otherwise() {
        assert_eq!(seconds("2"), Some(2));
        assert_eq!(seconds(" 120 "), Some(120));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("1.2"), Some(2));
        let unit = |text: &str, unit| parse(text, unit, now());
        assert_eq!(unit("1500", RetryAfterUnit::Millis), Some(Duration::from_millis(1500)));
        let epoch = now().timestamp() + 7;
        assert_eq!(unit(&epoch.to_string(), RetryAfterUnit::EpochSeconds), Some(Duration::from_secs(7)));
        assert_eq!(unit(&format!("{epoch}250"), RetryAfterUnit::EpochMillis), Some(Duration::from_millis(7250)));
        assert_eq!(unit("12", RetryAfterUnit::EpochSeconds), Some(Duration::ZERO));
    }

    #[test]
    fn all_three_date_forms_are_understood() {
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(seconds(date), Some(37), "{date}");
        }
        assert_eq!(seconds("Mon, 06 Nov 1994 08:49:37 GMT"), Some(37), "a wrong weekday is forgiven");
        assert_eq!(seconds("Sun, 06 Nov 1994 09:49:37 +0100"), Some(37));
        assert_eq!(seconds("1994-11-06T08:49:37Z"), Some(37));
    }

    #[test]
    fn what_has_passed_asks_for_nothing_and_what_is_absurd_is_capped() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(seconds("Fri, 31 Dec 9999 23:59:59 GMT"), Some(FOREVER.as_secs()));
        assert_eq!(seconds("99999999999999999999999999"), Some(FOREVER.as_secs()));
    }

    #[test]
    fn what_cannot_be_read_is_as_good_as_absent() {
        for bad in ["-1", "1e9", "abc", "", ".", "5.", "+5", "٣", "0x10", "5 5", "Sun, 99 Nov 1994 08:49:37 GMT", ","]
        {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert_eq!(asked(&headers, &settings(None, RetryAfterUnit::Seconds), now()), None, "{bad:?}");
        }
        assert_eq!(seconds(&"1".repeat(65)), None);
    }

    #[test]
    fn the_longest_of_several_counts_and_the_own_header_comes_first() {
        let mut headers = HeaderMap::new();
        headers.append(RETRY_AFTER, HeaderValue::from_static("3"));
        headers.append(RETRY_AFTER, HeaderValue::from_static("nonsense"));
        headers.append(RETRY_AFTER, HeaderValue::from_static("9"));
        let own = settings(Some("try-after"), RetryAfterUnit::Millis);
        assert_eq!(asked(&headers, &own, now()), Some(Duration::from_secs(9)));
        headers.insert(HeaderName::from_static("try-after"), HeaderValue::from_static("40"));
        assert_eq!(asked(&headers, &own, now()), Some(Duration::from_millis(40)));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}", unit in 0..4_usize) {
            use RetryAfterUnit::{EpochMillis, EpochSeconds, Millis, Seconds};
            let _ = parse(&text, [Seconds, Millis, EpochSeconds, EpochMillis][unit], now());
        }

        #[test]
        fn no_date_like_text_panics(text in "[A-Za-z]{3,6},? ?[0-9]{1,4}[- ][A-Z][a-z]{2}[- ][0-9]{1,6} [0-9:]{4,9} ?(GMT)?") {
            let _ = parse(&text, RetryAfterUnit::Seconds, now());
        }
    }
}
