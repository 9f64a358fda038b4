//! What a connection's API makes us do.

use super::seconds;
use crate::observe::meters::ConnectionMeters;
use crate::value::id::ConnectionId;
use std::time::Duration;

/// The API limited us; nothing of the pool is sent for so long.
pub fn connection_paused(meters: &ConnectionMeters, connection: &ConnectionId, pause: Duration, status: Option<u16>) {
    meters.paused(pause);
    tracing::warn!(%connection, seconds = seconds(pause), status, "connection paused");
}

/// An attempt failed and is followed by another one.
pub fn request_retried(meters: &ConnectionMeters, connection: &ConnectionId, next: u32, delay: Duration, cause: &str) {
    meters.retried();
    tracing::info!(%connection, next_attempt = next, seconds = seconds(delay), cause, "request retried");
}

/// Nothing can be sent until a person acts: refused or missing credentials.
pub fn connection_offline(connection: &ConnectionId, cause: &str) {
    tracing::error!(%connection, cause, "connection offline");
}

/// It can be used again.
pub fn connection_online(connection: &ConnectionId) {
    tracing::info!(%connection, "connection online");
}
