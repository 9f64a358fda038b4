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
    /// What the server last said about its own limit.
    pub allowance: Option<AllowanceView>,
    /// No longer configured; goes when it is empty.
    pub closing: bool,
}

/// A server's own limit as it last told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowanceView {
    /// Requests allowed in its window.
    pub limit: Option<u64>,
    /// Of them left.
    pub remaining: Option<u64>,
    /// Time until the window ends; zero once it has.
    pub resets_in: Option<Duration>,
}

/// One pool as shown by `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// The lender.
    pub id: LineId,
    /// Level in force.
    pub level: u32,
    /// The most it may become, where it moves by itself.
    pub most: Option<u32>,
    /// In flight over all lines, those that moved here included.
    pub in_flight: u32,
    /// Time left of a pause.
    pub paused_for: Option<Duration>,
    /// Own line first, then borrowers.
    pub lines: Vec<LineView>,
}
