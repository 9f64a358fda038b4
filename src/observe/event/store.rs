//! What the disk under the state does to us.

use super::seconds;
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
