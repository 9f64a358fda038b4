//! One client per connection: its base, headers, credentials, rules and transport.

use super::auth::Auth;
use super::request::Field;
use super::retry::Retry;
use super::verdict::{AuthFailure, RateLimit, ResponseRules};
use crate::observe::meters::ConnectionMeters;
use crate::value::id::ConnectionId;
use crate::value::json::Json;
use crate::value::secret::Secret;
use crate::value::time::{SharedClock, SharedRng};
use crate::value::uri::OriginPattern;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Everything about a connection that shapes its requests.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// `base_uri`, rendered.
    pub base_uri: Url,
    /// `headers`
    pub headers: Vec<Field>,
    /// `query`
    pub query: Vec<Field>,
    /// `timeout`
    pub timeout: Duration,
    /// `connect_timeout`
    pub connect_timeout: Duration,
    /// `max_response`, decoded bytes.
    pub max_response: u64,
    /// `redirects = "same-origin"`
    pub follow_redirects: bool,
    /// `allowed_origins`
    pub allowed_origins: Vec<OriginPattern>,
    /// `proxy = "env"`: not built yet; kept false.
    pub auth: Auth,
    /// `[response]`
    pub response: ResponseRules,
    /// `[rate_limit]`
    pub rate_limit: RateLimit,
    /// `[auth_failure]`
    pub auth_failure: AuthFailure,
    /// `[retry]`
    pub retry: Retry,
    /// Highest level of the pool, for idle connections kept.
    pub level: u32,
    /// `connection.vars` as one JSON object.
    pub vars: Json,
    /// `connection.secrets`, by name; an unresolved one carries the reason.
    pub secrets: Vec<(String, Result<Secret, String>)>,
}

/// A connection ready to send. Shared by all flows of a snapshot.
pub struct Client {}

impl Client {
    /// Builds the client; a TLS or URL problem is an error that names the key.
    pub fn new(
        _id: &ConnectionId,
        _settings: Arc<ClientSettings>,
        _meters: Arc<ConnectionMeters>,
        _clock: SharedClock,
        _rng: SharedRng,
    ) -> Result<Self, String> {
        todo!()
    }
}
