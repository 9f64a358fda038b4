//! What a connection's API makes us do.

use super::seconds;
use crate::observe::meters::ConnectionMeters;
use crate::value::id::ConnectionId;
use std::time::Duration;

/// The API limited us; nothing of the pool is sent for so long.
pub fn connection_paused(
    meters: &ConnectionMeters,
    connection: &ConnectionId,
    request: &str,
    pause: Duration,
    status: Option<u16>,
) {
    meters.paused(pause);
    tracing::warn!(%connection, request, seconds = seconds(pause), status, "connection paused");
}

/// The API asked for a longer pause than the configuration allows.
pub fn pause_cut(connection: &ConnectionId, asked: Duration, max_pause: Duration) {
    tracing::warn!(
        %connection,
        asked = seconds(asked),
        max_pause = seconds(max_pause),
        help = "if its header does not count seconds, set rate_limit.retry_after_unit",
        "pause cut"
    );
}

/// An adaptive level was raised or lowered by an answer to this connection; it holds for the whole pool.
pub fn level_changed(
    meters: &ConnectionMeters,
    connection: &ConnectionId,
    pool: &str,
    (from, to): (u32, u32),
    cause: &'static str,
) {
    meters.limit_changed(to > from);
    if to > from {
        tracing::debug!(%connection, pool, from, to, cause, "concurrency raised");
    } else {
        tracing::info!(%connection, pool, from, to, cause, "concurrency lowered");
    }
}

/// What one failed attempt was, that another one follows.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt<'a> {
    /// Method and redacted URL.
    pub request: &'a str,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong.
    pub cause: &'a str,
}

/// An attempt failed and is followed by another one.
pub fn request_retried(
    meters: &ConnectionMeters,
    connection: &ConnectionId,
    failed: FailedAttempt<'_>,
    next: u32,
    delay: Duration,
) {
    let FailedAttempt { request, status, cause } = failed;
    meters.retried();
    tracing::info!(
        %connection,
        request,
        status,
        cause,
        next_attempt = next,
        seconds = seconds(delay),
        "request retried"
    );
}

/// A rule says that there is nothing in an answer, and that this is fine.
pub fn answer_passed_over(connection: &ConnectionId, by: &str, request: &str, status: Option<u16>, cause: &str) {
    tracing::info!(%connection, by, request, status, cause, "answer passed over");
}

/// A credential was renewed: a token, or a session.
pub fn credential_renewed(
    meters: &ConnectionMeters,
    connection: &ConnectionId,
    generation: u64,
    life: Option<Duration>,
) {
    meters.renewal(true);
    tracing::info!(%connection, generation, seconds = life.map(seconds), "credential renewed");
}

/// A credential could not be renewed; nobody asks again before `pause` is over.
pub fn renewal_failed(meters: &ConnectionMeters, connection: &ConnectionId, cause: &str, pause: Duration) {
    meters.renewal(false);
    tracing::warn!(%connection, cause, seconds = seconds(pause), "credential not renewed");
}

/// A connection with `tls.verify = false` is in use.
pub fn connection_unverified(connection: &ConnectionId) {
    tracing::warn!(
        %connection,
        help = "give the server's own CA as tls.ca instead of tls.verify = false",
        "server not verified"
    );
}

/// The credentials of a connection are refused: its requests wait.
pub fn connection_offline(meters: &ConnectionMeters, connection: &ConnectionId, cause: &str) {
    meters.offline(true);
    tracing::error!(%connection, cause, "connection offline");
}

/// The credentials of a connection are accepted again.
pub fn connection_online(meters: &ConnectionMeters, connection: &ConnectionId) {
    meters.offline(false);
    tracing::info!(%connection, "connection online");
}
