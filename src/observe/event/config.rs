//! The files and the snapshot in force.

use crate::observe::meters::ConfigMeters;
use chrono::{DateTime, Utc};

/// The snapshot that is in force now, against the one before.
#[derive(Debug, Clone, Default)]
pub struct Applied<'a> {
    /// Content hash.
    pub revision: &'a str,
    /// Flows, disabled ones included.
    pub flows: usize,
    /// Connections.
    pub connections: usize,
    /// Flows and connections that are new.
    pub added: usize,
    /// … whose files changed.
    pub changed: usize,
    /// … that are gone.
    pub removed: usize,
}

/// The first snapshot of this process.
pub fn snapshot_in_force(meters: &ConfigMeters, applied: &Applied<'_>, at: DateTime<Utc>) {
    meters.started(applied.flows, applied.connections, at);
    let Applied { revision, flows, connections, .. } = *applied;
    tracing::info!(revision, flows, connections, "snapshot in force");
}

/// A changed tree is in force.
pub fn reload_applied(meters: &ConfigMeters, applied: &Applied<'_>, at: DateTime<Utc>) {
    meters.applied(applied.flows, applied.connections, at);
    let Applied { revision, flows, connections, added, changed, removed } = *applied;
    tracing::info!(revision, flows, connections, added, changed, removed, "reload applied");
}

/// A changed tree has errors; the old snapshot stays. `first` is the first error with its place.
pub fn reload_rejected(meters: &ConfigMeters, errors: usize, first: &str) {
    meters.rejected();
    tracing::error!(errors, first, help = "`flowgate check` shows all of them", "reload rejected");
}

/// After a rejected tree, the files are again those in force.
pub fn reload_reverted(meters: &ConfigMeters) {
    meters.reverted();
    tracing::info!("reload reverted");
}

/// `flowgate.toml` changed in a way that only a restart applies.
pub fn restart_needed() {
    tracing::warn!(help = "restart `flowgate serve` to apply flowgate.toml", "restart needed");
}

/// The server shows another certificate from now on.
pub fn certificate_shown() {
    tracing::info!("server certificate renewed");
}

/// The certificate of `[server.tls]` changed into one that cannot be shown: the old one stays.
pub fn certificate_unusable(cause: &str) {
    tracing::error!(
        cause,
        help = "correct `[server.tls]`; the certificate from before is shown",
        "server certificate not renewed"
    );
}

/// Folders cannot be watched; they are looked at on a timer instead.
pub fn watch_degraded(cause: &str) {
    tracing::warn!(cause, "watching by polling");
}
