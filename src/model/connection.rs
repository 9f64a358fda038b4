//! A connection: identity, limits and everything that shapes its requests.

use crate::http::client::ClientSettings;
use crate::queue::limits::Limits;
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
