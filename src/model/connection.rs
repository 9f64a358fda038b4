//! A connection: identity, limits and everything that shapes its requests.

use crate::http::client::ClientSettings;
use crate::queue::limits::{Level, Limits};
use crate::value::id::ConnectionId;
use std::sync::Arc;

/// A valid `connections/<id>.toml`.
#[derive(Debug, Clone)]
pub struct Connection {
    /// From the file path.
    pub id: ConnectionId,
    /// `title`
    pub title: Option<String>,
    /// `formerly`
    pub formerly: Vec<ConnectionId>,
    /// Level, wait time, rate, order.
    pub limits: Limits,
    /// `[agent] name`: who carries its requests.
    pub agent: Option<String>,
    /// Requests.
    pub http: Arc<ClientSettings>,
    /// Hash of the file's bytes and of everything it names.
    pub hash: String,
}

impl Connection {
    /// The level of its own, and whether that moves by itself; none where it borrows, or nobody set one.
    pub fn level(&self) -> Option<(u32, bool)> {
        match &self.limits.level {
            Level::Fixed(level) => Some((level.get(), false)),
            Level::Adaptive(most) => Some((most.get(), true)),
            Level::Borrow(_) | Level::Burst(_) => None,
        }
    }

    /// Whose permits it uses, when it borrows.
    pub fn lender(&self) -> Option<&ConnectionId> {
        if let Level::Borrow(lender) = &self.limits.level { Some(lender) } else { None }
    }
}
