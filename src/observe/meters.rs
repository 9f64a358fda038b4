//! Handles to metric series, taken once per connection or flow so that counting costs no lookup.

use crate::value::id::{ConnectionId, FlowId};
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

/// A connection's series.
pub struct ConnectionMeters {}

impl ConnectionMeters {
    /// Creates (or finds) the series of a connection, counters at 0.
    pub fn of(_id: &ConnectionId) -> Self {
        todo!()
    }
    /// One attempt ended.
    pub fn attempt(&self, _outcome: RequestOutcome, _took: Duration) {
        todo!()
    }
    /// An attempt is followed by another one.
    pub fn retried(&self) {
        todo!()
    }
    /// A rate-limit pause began.
    pub fn paused(&self, _pause: Duration) {
        todo!()
    }
    /// Tickets waiting now.
    pub fn depth(&self, _depth: usize) {
        todo!()
    }
    /// Requests in flight now.
    pub fn in_flight(&self, _count: u32) {
        todo!()
    }
    /// The limit in force.
    pub fn limit(&self, _level: u32) {
        todo!()
    }
    /// A ticket stood in line so long.
    pub fn waited(&self, _wait: Duration) {
        todo!()
    }
}

/// Outcome label of `flowgate_flow_records_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOutcome {
    /// Left `records`.
    Exported,
    /// Taken by at least one import.
    Delivered,
    /// Left by a rule.
    Filtered,
    /// Has an error record.
    Failed,
}

/// A flow's series.
pub struct FlowMeters {}

impl FlowMeters {
    /// Creates (or finds) the series of a flow, counters at 0.
    pub fn of(_id: &FlowId) -> Self {
        todo!()
    }
    /// So many records had this outcome.
    pub fn records(&self, _outcome: RecordOutcome, _count: u64) {
        todo!()
    }
}
