//! The pools as `status` shows them.

use super::limits::{LineId, RateWindow};
use crate::value::id::FlowId;
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

/// One reason for which a request does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Its connection cannot be used now: its credentials are refused or renewed, or its agent is away.
    Aside,
    /// The delay before it is sent again.
    BackOff {
        /// Time left.
        left: Duration,
    },
    /// Its connection was told to wait (`rate_limit.scope = "connection"`).
    LinePause {
        /// Time left.
        left: Duration,
    },
    /// Every permit of the pool is out.
    Level {
        /// How many there are.
        level: u32,
        /// How many are out; more than there are after the level was lowered.
        in_flight: u32,
        /// Whose level it is, where it is borrowed.
        lender: Option<LineId>,
    },
    /// The pool was told to wait.
    Pause {
        /// Time left.
        left: Duration,
    },
    /// `wait_time` after the last answer.
    Wait {
        /// Time left.
        left: Duration,
    },
    /// A window of `rate` is used up.
    Rate {
        /// Which.
        window: RateWindow,
        /// Time left.
        left: Duration,
    },
    /// Others stand before it.
    Order {
        /// How many.
        ahead: usize,
    },
}

/// A request that waits, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketView {
    /// Whose.
    pub flow: FlowId,
    /// In which line.
    pub line: LineId,
    /// Since it first joined.
    pub waited: Duration,
    /// It is to be sent again.
    pub sent_before: bool,
    /// Each of these keeps it from starting; without all of them it would start now.
    pub blocks: Vec<Block>,
    /// Its place among all that wait in the pool, from 1, as they are expected to start; none when nobody can tell.
    pub position: Option<usize>,
    /// Until it is expected to start.
    pub starts_in: Option<Duration>,
}

/// Who has a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderView {
    /// Whose request.
    pub flow: FlowId,
    /// From which line; none when that one has moved to another pool.
    pub line: Option<LineId>,
    /// For how long.
    pub held: Duration,
}

/// What one flow has in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowShare {
    /// Which line.
    pub line: LineId,
    /// Which flow.
    pub flow: FlowId,
    /// Tickets that wait.
    pub waiting: usize,
    /// Requests in flight.
    pub in_flight: u32,
    /// Age of the oldest ticket that waits.
    pub oldest: Option<Duration>,
}

/// One pool as shown by `explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDetail {
    /// Its level, pauses and lines.
    pub pool: PoolView,
    /// Who has its permits, the longest first.
    pub holders: Vec<HolderView>,
    /// What each flow has in it.
    pub shares: Vec<FlowShare>,
    /// Requests that wait and were asked about, in the order in which they are expected to start.
    pub waiting: Vec<TicketView>,
    /// How many more of those there are.
    pub more: usize,
}
