//! The pools as `status` shows them.

use super::limits::LineId;
use std::time::Duration;

/// One line as shown by `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineView {
    /// Which line.
    pub id: LineId,
    /// Tickets waiting.
    pub depth: usize,
    /// Age of the oldest waiting ticket, counted from when it first joined.
    pub oldest: Option<Duration>,
    /// Requests in flight from this line.
    pub in_flight: u32,
    /// Time left of a pause of this line alone.
    pub paused_for: Option<Duration>,
    /// No longer configured; goes when it is empty.
    pub closing: bool,
}

/// One pool as shown by `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// The lender.
    pub id: LineId,
    /// Level in force.
    pub level: u32,
    /// In flight over all lines, those that moved here included.
    pub in_flight: u32,
    /// Time left of a pause.
    pub paused_for: Option<Duration>,
    /// Own line first, then borrowers.
    pub lines: Vec<LineView>,
}
