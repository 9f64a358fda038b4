//! Agents: as the server sees them, and as they see the server.

use std::sync::atomic::{AtomicU64, Ordering};

/// One refusal in so many is told: a flood of them is no flood of lines.
const ONE_IN: u64 = 100;

/// An agent is there.
pub fn agent_connected(agent: &str, from: &str, connected: usize) {
    tracing::info!(agent, from, connected, "agent connected");
}

/// One is gone. With the last one, the requests of its connections wait.
pub fn agent_lost(agent: &str, from: &str, cause: &str, connected: usize) {
    tracing::warn!(agent, from, cause, connected, "agent lost");
}

/// Somebody who is no agent of ours, or speaks like none.
pub fn agent_refused(from: &str, cause: &str) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    if count.is_multiple_of(ONE_IN) {
        tracing::warn!(from, cause, refused = count + 1, "agent refused");
    } else {
        tracing::debug!(from, cause, refused = count + 1, "agent refused");
    }
}

/// The agent is connected to its server.
pub fn agent_link_up(agent: &str, server: &str, allowed: usize) {
    tracing::info!(agent, server, allowed, "connected");
}

/// It is not any more, and dials again.
pub fn agent_link_lost(cause: &str) {
    tracing::warn!(cause, "connection lost");
}

/// It cannot connect; only the first failure in a row is more than a detail.
pub fn agent_link_failed(cause: &str, failures: u32) {
    if failures == 0 {
        tracing::warn!(cause, "cannot connect; trying again");
    } else {
        tracing::debug!(cause, failures, "cannot connect; trying again");
    }
}

/// Its file cannot be read any more: what was read before goes on to count.
pub fn agent_orders_kept(cause: &str) {
    tracing::warn!(cause, "the agent's file cannot be used; the old one counts");
}

/// The server asked for a place that the agent's file does not allow.
pub fn agent_barred(target: &str) {
    tracing::warn!(asked = target, help = "add it to `allow` if it is meant to be reached", "not allowed");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::logs::tests::captured;

    #[test]
    fn a_flood_of_refusals_is_no_flood_of_lines() {
        let lines = captured("info", || {
            for _ in 0..1_000 {
                agent_refused("192.0.2.1:9", "a token that no agent has");
            }
        });
        let count = lines.lines().count();
        assert!((5..=11).contains(&count), "{count} lines");
    }
}
