//! What a server says is left of its own limit: configured headers first, then the IETF's `RateLimit` and
//! `RateLimit-Policy` (the current draft and the two forms before it), then `X-RateLimit-*`. It is shown, and decides a
//! pause only when a refusal says nothing else. Never trusted: what cannot be read is as good as absent.

use super::retry_after;
use super::verdict::RateLimit;
use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use std::time::Duration;

/// Longest header that is looked at.
const MOST_BYTES: usize = 1024;
/// Most policies, and most parameters of one.
const MOST: usize = 16;
/// Seconds above this are no duration but an instant since 1970; milliseconds likewise.
const EPOCH_SECONDS: u64 = 1_000_000_000;
const EPOCH_MILLIS: u64 = 1_000_000_000_000;

/// As far as the server says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Told {
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
    /// Until the window ends.
    pub resets: Option<Duration>,
}

impl Told {
    /// The earlier word counts, part by part.
    fn or(self, other: Self) -> Self {
        Self {
            limit: self.limit.or(other.limit),
            remaining: self.remaining.or(other.remaining),
            resets: self.resets.or(other.resets),
        }
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What these headers say, none when nothing.
pub(super) fn read(headers: &HeaderMap, settings: &RateLimit, now: DateTime<Utc>) -> Option<Told> {
    let is_configured = settings.remaining_header.is_some() || settings.reset_header.is_some();
    // Most answers say nothing: one look at the names is cheaper than eleven searches.
    if !is_configured && !headers.keys().any(|name| name.as_str().contains("rate")) {
        return None;
    }
    let reset = |name: &str| text(headers, name).and_then(|text| until(text, now));
    let own = Told {
        limit: None,
        remaining: settings.remaining_header.as_deref().and_then(|name| number(headers, name)),
        resets: settings.reset_header.as_deref().and_then(reset),
    };
    let named = |prefix: &str| {
        let of = |what: &str| format!("{prefix}-{what}");
        Told {
            limit: number(headers, &of("limit")),
            remaining: number(headers, &of("remaining")),
            resets: reset(&of("reset")),
        }
    };
    let told =
        ["ratelimit", "x-ratelimit", "x-rate-limit"].into_iter().fold(own.or(standard(headers)), |told, prefix| {
            if told.is_empty() { named(prefix) } else { told.or(named(prefix)) }
        });
    Some(told).filter(|told| !told.is_empty())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| text.len() <= MOST_BYTES)
}

/// The number at the front: `100, 100;w=60` is 100.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = text(headers, name)?;
    whole(text.split([',', ';']).next()?)
}

/// Digits, at most with a fraction, which is cut: servers that refill continuously send `4.5`.
fn whole(text: &str) -> Option<u64> {
    let (digits, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let fine = |part: &str| !part.is_empty() && part.len() <= 18 && part.bytes().all(|b| b.is_ascii_digit());
    if fine(digits) && fine(fraction) { digits.parse().ok() } else { None }
}

/// Seconds from now, an instant as seconds or milliseconds since 1970, or a date.
fn until(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    use super::verdict::RetryAfterUnit::{EpochMillis, EpochSeconds, Seconds};
    let unit = match whole(text) {
        Some(EPOCH_MILLIS..) => EpochMillis,
        Some(EPOCH_SECONDS..) => EpochSeconds,
        _ => Seconds,
    };
    retry_after::parse(text, unit, now)
}

/// One policy or one dictionary of it.
#[derive(Default)]
struct Item<'t> {
    name: &'t str,
    params: Vec<(&'t str, &'t str)>,
}

impl Item<'_> {
    fn number(&self, name: &str) -> Option<u64> {
        self.params.iter().find(|(n, _)| *n == name).and_then(|(_, value)| whole(value))
    }
}

/// `RateLimit: "default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60`, or `RateLimit: limit=100,
/// remaining=50, reset=30`. Of several policies the one with the least left.
fn standard(headers: &HeaderMap) -> Told {
    let found = items(text(headers, "ratelimit").unwrap_or_default());
    let seconds = |count: Option<u64>| count.map(Duration::from_secs);
    let flat = |name: &str| found.iter().find(|item| item.name == name).and_then(|item| item.number(""));
    let policies = items(text(headers, "ratelimit-policy").unwrap_or_default());
    let quota = |name: &str| policies.iter().find(|policy| policy.name == name).and_then(|policy| policy.number("q"));
    let tightest = found
        .iter()
        .filter_map(|item| Some((item.number("r")?, item)))
        .min_by_key(|(remaining, item)| (*remaining, std::cmp::Reverse(item.number("t"))));
    match tightest {
        Some((remaining, item)) => {
            Told { limit: quota(item.name), remaining: Some(remaining), resets: seconds(item.number("t")) }
        }
        None => Told { limit: flat("limit"), remaining: flat("remaining"), resets: seconds(flat("reset")) },
    }
}

/// A list of names with parameters, after RFC 9651 as far as these headers use it.
fn items(text: &str) -> Vec<Item<'_>> {
    let outside = |text| split(text, ',').into_iter().take(MOST);
    outside(text)
        .map(|item| {
            let mut parts = split(item, ';').into_iter().take(MOST);
            let head = parts.next().unwrap_or_default();
            let (name, value) = head.split_once('=').map_or((head, None), |(name, value)| (name, Some(value)));
            let params = parts.filter_map(|part| part.split_once('=')).map(|(n, v)| (n.trim(), v.trim()));
            Item {
                name: name.trim().trim_matches('"'),
                params: value.map(|v| ("", v)).into_iter().chain(params).collect(),
            }
        })
        .collect()
}

fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .map(str::trim)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::settings;
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn limits() -> RateLimit {
        settings("https://a.example").rate_limit
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn told_by(limits: &RateLimit, headers: &[(&str, &str)]) -> Option<(Option<u64>, Option<u64>, Option<u64>)> {
        let headers = headers
            .iter()
            .map(|(n, v)| (HeaderName::from_bytes(n.as_bytes()).unwrap(), HeaderValue::from_str(v).unwrap()))
            .collect();
        read(&headers, limits, now()).map(|told| (told.limit, told.remaining, told.resets.map(|left| left.as_secs())))
    }

    fn told(headers: &[(&str, &str)]) -> Option<(Option<u64>, Option<u64>, Option<u64>)> {
        told_by(&limits(), headers)
    }

    #[test]
    fn the_current_draft_names_policies_and_the_tightest_counts() {
        let policy = ("ratelimit-policy", "\"burst\";q=100;w=60,\"daily, all\";q=1000;w=86400");
        let both = ("ratelimit", "\"burst\";r=50;t=30, \"daily, all\";r=9;t=3600;pk=:dGVzdA==:");
        assert_eq!(told(&[policy, both]), Some((Some(1000), Some(9), Some(3600))));
        assert_eq!(told(&[("ratelimit", "\"burst\";r=0")]), Some((None, Some(0), None)));
        assert_eq!(told(&[policy]), None, "a policy alone says nothing about now");
    }

    #[test]
    fn older_drafts_and_the_customary_names_are_understood() {
        let flat = [("ratelimit", "limit=100, remaining=50, reset=5")];
        assert_eq!(told(&flat), Some((Some(100), Some(50), Some(5))));
        let apart = [("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "7"), ("ratelimit-reset", "12")];
        assert_eq!(told(&apart), Some((Some(100), Some(7), Some(12))));
        let custom =
            [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "59"), ("x-ratelimit-reset", "1800000030")];
        assert_eq!(told(&custom), Some((Some(60), Some(59), Some(30))));
        let millis = [("x-rate-limit-remaining", "4.5"), ("x-rate-limit-reset", "1800000030000")];
        assert_eq!(told(&millis), Some((None, Some(4), Some(30))));
        let date = [("x-ratelimit-reset", "Fri, 15 Jan 2027 08:00:10 GMT")];
        assert_eq!(told(&date), Some((None, None, Some(10))));
    }

    #[test]
    fn configured_headers_come_first_part_by_part() {
        let own = RateLimit {
            remaining_header: Some("X-Left".to_owned()),
            reset_header: Some("X-Until".to_owned()),
            ..limits()
        };
        let headers = [("x-left", "3"), ("x-ratelimit-remaining", "9"), ("x-ratelimit-limit", "10")];
        assert_eq!(told_by(&own, &headers), Some((Some(10), Some(3), None)));
        assert_eq!(told_by(&own, &[("x-until", "8")]), Some((None, None, Some(8))));
    }

    #[test]
    fn what_cannot_be_read_is_as_good_as_absent() {
        for bad in ["", "-1", "1e9", "many", "9999999999999999999999", "٣"] {
            let value = HeaderValue::from_bytes(bad.as_bytes()).unwrap();
            let headers = [(HeaderName::from_static("x-ratelimit-remaining"), value)].into_iter().collect();
            assert_eq!(read(&headers, &limits(), now()), None, "{bad:?}");
        }
        assert_eq!(told(&[("ratelimit", &"\"a\";r=1,".repeat(500))]), None);
        assert_eq!(told(&[]), None);
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "[ -~]{0,120}", policy in "[ -~]{0,60}") {
            let _ = told(&[("ratelimit", &text), ("ratelimit-policy", &policy), ("x-ratelimit-reset", &text)]);
        }
    }
}
