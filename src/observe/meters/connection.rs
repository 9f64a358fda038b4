//! A connection's series: attempts, pauses, line.

use super::{counter, float, gauge, histogram, timestamp};
use crate::observe::names;
use crate::observe::series::{Counter, Gauge, Histogram};
use crate::value::id::ConnectionId;
use chrono::{DateTime, Utc};
use std::sync::OnceLock;
use std::time::Duration;

/// Outcome label of `flowgate_http_requests_total` (one per attempt).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The verdict was success.
    Success,
    /// Limited by the server.
    Limited,
    /// Authentication refused.
    AuthFailed,
    /// Refused for good.
    Rejected,
    /// Connect error, timeout, server fault.
    Unreachable,
}

impl RequestOutcome {
    /// The label's value.
    pub fn label(self) -> &'static str {
        names::REQUEST_OUTCOMES[self as usize]
    }
}

/// A connection's series.
pub struct ConnectionMeters {
    requests: [Counter; names::REQUEST_OUTCOMES.len()],
    request_seconds: Histogram,
    retries: Counter,
    retry_budget: Gauge,
    pauses: Counter,
    pause_seconds: Counter,
    depth: Gauge,
    oldest: Gauge,
    in_flight: Gauge,
    limit: Gauge,
    offline: Gauge,
    unverified: Gauge,
    renewals: [Counter; names::RENEWAL_OUTCOMES.len()],
    token_expiry: Gauge,
    wait: Histogram,
    limit_changes: [Counter; names::DIRECTIONS.len()],
    server: Option<ServerGauges>,
}

/// Gauges that exist only once a server has told their value: 0 would read as "nothing left".
struct ServerGauges {
    id: ConnectionId,
    limit: OnceLock<Gauge>,
    remaining: OnceLock<Gauge>,
    reset: OnceLock<Gauge>,
}

impl ConnectionMeters {
    /// Creates (or finds) the series of a connection, counters at 0.
    pub fn of(id: &ConnectionId) -> Self {
        let of = &[id.as_str()];
        Self {
            requests: std::array::from_fn(|i| {
                counter(&names::HTTP_REQUESTS, &[id.as_str(), names::REQUEST_OUTCOMES[i]])
            }),
            request_seconds: histogram(&names::HTTP_REQUEST_SECONDS, of),
            retries: counter(&names::HTTP_RETRIES, of),
            retry_budget: gauge(&names::RETRY_BUDGET, of),
            pauses: counter(&names::CONNECTION_PAUSES, of),
            pause_seconds: counter(&names::CONNECTION_PAUSE_SECONDS, of),
            depth: gauge(&names::QUEUE_DEPTH, of),
            oldest: gauge(&names::QUEUE_OLDEST, of),
            in_flight: gauge(&names::CONNECTION_IN_FLIGHT, of),
            limit: gauge(&names::CONNECTION_LIMIT, of),
            offline: gauge(&names::CONNECTION_OFFLINE, of),
            unverified: gauge(&names::CONNECTION_UNVERIFIED, of),
            renewals: std::array::from_fn(|i| {
                counter(&names::CONNECTION_RENEWALS, &[id.as_str(), names::RENEWAL_OUTCOMES[i]])
            }),
            token_expiry: gauge(&names::TOKEN_EXPIRY, of),
            wait: histogram(&names::QUEUE_WAIT, of),
            limit_changes: std::array::from_fn(|i| {
                counter(&names::CONNECTION_LIMIT_CHANGES, &[id.as_str(), names::DIRECTIONS[i]])
            }),
            server: Some(ServerGauges {
                id: id.clone(),
                limit: OnceLock::new(),
                remaining: OnceLock::new(),
                reset: OnceLock::new(),
            }),
        }
    }

    /// Counts nowhere: for lines without series of their own (a token endpoint's).
    pub fn silent() -> Self {
        Self {
            requests: std::array::from_fn(|_| Counter::noop()),
            request_seconds: Histogram::noop(),
            retries: Counter::noop(),
            retry_budget: Gauge::noop(),
            pauses: Counter::noop(),
            pause_seconds: Counter::noop(),
            depth: Gauge::noop(),
            oldest: Gauge::noop(),
            in_flight: Gauge::noop(),
            limit: Gauge::noop(),
            offline: Gauge::noop(),
            unverified: Gauge::noop(),
            renewals: std::array::from_fn(|_| Counter::noop()),
            token_expiry: Gauge::noop(),
            wait: Histogram::noop(),
            limit_changes: std::array::from_fn(|_| Counter::noop()),
            server: None,
        }
    }

    /// One attempt ended.
    pub fn attempt(&self, outcome: RequestOutcome, took: Duration) {
        self.requests[outcome as usize].increment(1);
        self.request_seconds.record(took.as_secs_f64());
    }
    /// An attempt is followed by another one.
    pub fn retried(&self) {
        self.retries.increment(1);
    }
    /// So many retries may go out at once. Set before a scrape.
    pub fn retry_budget(&self, left: u64) {
        self.retry_budget.set(float(left));
    }
    /// A rate-limit pause began.
    pub fn paused(&self, pause: Duration) {
        self.pauses.increment(1);
        self.pause_seconds.increment(pause.as_secs() + u64::from(pause.subsec_nanos() > 0));
    }
    /// Tickets waiting now.
    pub fn depth(&self, depth: usize) {
        self.depth.set(float(depth as u64));
    }
    /// Age of the oldest waiting ticket, `None` when the line is empty. Set before a scrape.
    pub fn oldest(&self, age: Option<Duration>) {
        self.oldest.set(age.map_or(0.0, |age| age.as_secs_f64()));
    }
    /// Requests in flight now.
    pub fn in_flight(&self, count: u32) {
        self.in_flight.set(f64::from(count));
    }
    /// The limit in force.
    pub fn limit(&self, level: u32) {
        self.limit.set(f64::from(level));
    }
    /// Whether credentials are refused.
    pub fn offline(&self, offline: bool) {
        self.offline.set(f64::from(u8::from(offline)));
    }
    /// Whether nobody looks at the server's certificate.
    pub fn unverified(&self, unverified: bool) {
        self.unverified.set(f64::from(u8::from(unverified)));
    }
    /// The credential was renewed, or could not be.
    pub fn renewal(&self, renewed: bool) {
        self.renewals[usize::from(!renewed)].increment(1);
    }
    /// Another token is in use, which ends then as far as that is known.
    pub fn token_ends(&self, at: Option<DateTime<Utc>>) {
        self.token_expiry.set(at.map_or(0.0, timestamp));
    }
    /// An adaptive level changed.
    pub fn limit_changed(&self, raised: bool) {
        self.limit_changes[usize::from(!raised)].increment(1);
    }
    /// What the server said about its own limit, as far as it did.
    pub fn server_allows(&self, limit: Option<u64>, remaining: Option<u64>, resets: Option<DateTime<Utc>>) {
        let Some(server) = &self.server else { return };
        let of = &[server.id.as_str()];
        if let Some(limit) = limit {
            server.limit.get_or_init(|| gauge(&names::SERVER_LIMIT, of)).set(float(limit));
        }
        if let Some(remaining) = remaining {
            server.remaining.get_or_init(|| gauge(&names::SERVER_REMAINING, of)).set(float(remaining));
        }
        if let Some(resets) = resets {
            server.reset.get_or_init(|| gauge(&names::SERVER_RESET, of)).set(timestamp(resets));
        }
    }
    /// A ticket stood in line so long.
    pub fn waited(&self, wait: Duration) {
        self.wait.record(wait.as_secs_f64());
    }
}
