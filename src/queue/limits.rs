//! What configuration says about a line: how many, how far apart, how often, in which order.

use crate::observe::meters::ConnectionMeters;
use crate::value::id::ConnectionId;
use crate::value::time::Mono;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The identity of a line: a connection, or the token endpoint a connection uses on a foreign origin.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LineId {
    /// A connection's own line.
    Connection(ConnectionId),
    /// One-permit line for the connection's token endpoint.
    TokenEndpoint(ConnectionId),
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(id) => write!(f, "{id}"),
            Self::TokenEndpoint(id) => write!(f, "{id} (token endpoint)"),
        }
    }
}

impl fmt::Debug for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many requests of a pool may be in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// Not limited by the user: up to the burst cap of `[limits] burst`.
    Burst(NonZeroU32),
    /// `concurrency_level`.
    Fixed(NonZeroU32),
    /// `concurrency_level = { max, adaptive = true }`: never more than this.
    Adaptive(NonZeroU32),
    /// `borrow_concurrency_from`: this line sends under the lender's pool.
    Borrow(ConnectionId),
}

/// `order`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest ticket first.
    #[default]
    Fifo,
    /// Round robin over flows by weight.
    Fair,
}

/// `"10/1s"`: at most `count` starts in any window of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateWindow {
    /// Starts allowed.
    pub count: NonZeroU32,
    /// Window length.
    pub per: Duration,
}

/// The limits of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many at once.
    pub level: Level,
    /// From a response's end to the next start.
    pub wait_time: Duration,
    /// All windows must grant.
    pub rate: Vec<RateWindow>,
    /// Who goes first.
    pub order: Order,
}

/// `rate_limit.scope`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PauseScope {
    /// The whole pool waits.
    #[default]
    Pool,
    /// Only this connection's line waits.
    Connection,
}

/// What one attempt says about how many an API stands at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// An answer, whatever it says.
    Passed,
    /// Refused for now.
    Limited,
    /// Nothing that could be judged came back.
    Failed,
}

/// Why an adaptive level changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was used up and answers came as fast as ever.
    Room,
    /// The server refused for now.
    Limited,
    /// Answers took much longer than they do at best.
    Slow,
}

impl Cause {
    /// As written in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Limited => "limited",
            Self::Slow => "slow",
        }
    }
}

/// An adaptive level changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelChange {
    /// Whose level.
    pub pool: LineId,
    /// Before.
    pub from: u32,
    /// From now on.
    pub to: u32,
    /// Why.
    pub cause: Cause,
}

/// What a server last said is left of its own limit, as far as it said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance {
    /// Requests allowed in its window.
    pub limit: Option<u64>,
    /// Of them left.
    pub remaining: Option<u64>,
    /// When the window ends.
    pub resets: Option<Mono>,
}

/// One line with its limits and the meters it reports to.
#[derive(Clone)]
pub struct LineSpec {
    /// Which line.
    pub id: LineId,
    /// Its limits.
    pub limits: Limits,
    /// Where depth, in flight, limit and waits are counted. Two lines that share one set each other's gauges: a token
    /// endpoint's line takes silent ones.
    pub meters: Arc<ConnectionMeters>,
}
