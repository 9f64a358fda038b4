//! What the disk under the state does to us, and what becomes of what is stored.

use super::seconds;
use crate::value::id::FlowId;
use std::time::Duration;

/// Writes wait; nothing is acknowledged that is not durable.
pub fn store_failing(cause: &str) {
    tracing::error!(cause, help = "free space or mend the disk: it goes on by itself", "state cannot be written");
}

/// Writes go through again.
pub fn store_recovered(lasted: Duration) {
    tracing::info!(seconds = seconds(lasted), "state can be written again");
}

/// Something stored could not be read back as it was written.
pub fn state_damaged(flow: Option<&str>, text: &str) {
    tracing::error!(flow, text, help = "`flowgate state check` shows all of it", "state damaged");
}

/// Error records are tried again by themselves.
pub fn errors_retried(flow: &FlowId, run: &str, errors: usize) {
    tracing::info!(%flow, run, errors, "retrying error records");
}

/// Old runs and error records were let go. Open ones are dismissed first, which somebody should know.
pub fn pruned(runs: u64, errors: u64, dismissed: u64) {
    if dismissed > 0 {
        let help = "they were open for longer than `[limits] error_retention`";
        tracing::warn!(runs, errors, dismissed, help, "open error records dismissed by age");
    } else if runs + errors > 0 {
        tracing::info!(runs, errors, "old history let go");
    }
}

/// The store could not answer what upkeep asked.
pub fn upkeep_failed(what: &str, cause: &str) {
    tracing::warn!(what, cause, "upkeep failed");
}

/// Somebody wrote to the state through the owner's socket.
pub fn written_by_hand(what: &str, count: u64) {
    tracing::info!(what, count, "state changed by hand");
}
