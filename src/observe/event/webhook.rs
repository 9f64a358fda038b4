//! Calls to webhooks.

use crate::observe::names;
use crate::value::id::FlowId;

/// A call was taken: it is durable.
pub fn webhook_taken(flow: &FlowId, run: &str, page: u64, records: u32, bytes: usize) {
    tracing::debug!(%flow, run, page, records, bytes, "webhook taken");
}

/// A call that was taken before came again.
pub fn webhook_repeated(flow: &FlowId) {
    tracing::debug!(%flow, "webhook taken before");
}

/// A call was not taken. The first of its kind in a while is a warning: whoever knocks all day must not flood the log; the
/// metric counts them all.
pub fn webhook_refused(flow: &FlowId, outcome: usize, status: u16, cause: &str, first: bool) {
    let outcome = names::WEBHOOK_OUTCOMES.get(outcome).copied().unwrap_or_default();
    if first {
        tracing::warn!(%flow, outcome, status, cause, "webhook refused");
    } else {
        tracing::debug!(%flow, outcome, status, cause, "webhook refused");
    }
}

/// A webhook takes calls of everybody.
pub fn webhook_open(flow: &FlowId) {
    tracing::warn!(%flow, help = "say who may call under [webhook.verify]", "webhook open to everybody");
}
