//! The process: its ends and its doors.

use super::seconds;
use crate::observe::meters::Refused;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `serve` is up.
pub fn serving(project: &str, state: &str) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), project, state, "serving");
}

/// The metrics and health server accepts connections.
pub fn listening(address: SocketAddr) {
    tracing::info!(%address, "listening");
}

/// A connection could not be accepted; accepting goes on. Said once per cause until one succeeds again.
pub fn accept_failed(door: &str, cause: &std::io::Error) {
    tracing::warn!(door, %cause, "accept failed");
}

/// All places for connections are taken: so many that had sent no whole request were closed since the last such line, for
/// new ones.
pub fn server_full(most: u32, closed: u64) {
    tracing::warn!(most, closed, "server is full");
}

/// Requests were refused at the door: so many since the last such line.
pub fn requests_refused(why: Refused, from: Option<IpAddr>, count: u64) {
    let from = from.map(tracing::field::display);
    tracing::warn!(reason = why.label(), from, count, "requests refused");
}

/// Where it is said that traces are not sent: `run` says it too, since nobody looks for what is not there.
pub const TRACES: &str = "flowgate::traces";

/// Traces are asked for and cannot be had.
pub fn traces_off(cause: &str) {
    tracing::warn!(target: TRACES, cause, "no traces");
}

/// Spans did not reach their collector. Said once, until some do.
pub fn traces_lost(cause: &str) {
    tracing::warn!(cause, "traces not taken; further ones are counted");
}

/// They do again.
pub fn traces_on_again() {
    tracing::info!("traces taken again");
}

/// The owner's socket could not answer.
pub fn socket_failed(cause: &str) {
    tracing::debug!(cause, "owner's socket request failed");
}

/// Asked to end: no new runs, no new pages.
pub fn drain_started(signal: &str, runs: usize, timeout: Duration) {
    tracing::info!(signal, runs, timeout = seconds(timeout), "drain started");
}

/// Everything in flight finished, or was cut short.
pub fn drain_finished(whole: bool) {
    if whole {
        tracing::info!("drain finished");
    } else {
        tracing::warn!(help = "raise `[shutdown] timeout` to give requests more time", "drain finished");
    }
}

/// A second signal: end at once.
pub fn second_signal(signal: &str) {
    tracing::warn!(signal, "second signal: ending now");
}

/// The last line.
pub fn stopped(exit_code: u8) {
    tracing::info!(exit_code, "stopped");
}

/// A notice was taken by its receiver.
pub fn notice_sent(occasion: &str, subject: &str) {
    tracing::debug!(occasion, subject, "notice sent");
}

/// A notice was not taken, or could not be sent. Nobody is told of it in turn.
pub fn notice_failed(cause: &str) {
    tracing::warn!(cause, "notice not sent");
}

/// More happened at once than notices could follow.
pub fn notices_missed(count: u64) {
    tracing::warn!(count, "notices missed");
}
