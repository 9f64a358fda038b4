//! Where renewed credentials are kept: a trait that `app` wires to the store, and a stand-in that forgets.
//!
//! A rotated refresh token exists once: the server has already thrown the old one away. So it is saved before the
//! token that came with it is used, and whoever renews a connection's credential does so in turn, looking first at what
//! the one before has left.

use super::transport::BoxFuture;
use crate::value::id::ConnectionId;
use crate::value::secret::Secret;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A connection's renewed credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Hash of the configured sources it descends from: when they change, the record counts no more.
    pub fingerprint: String,
    /// Grows with every renewal.
    pub generation: u64,
    /// What requests carry.
    pub access_token: Secret,
    /// What the next renewal is asked with, if there is one.
    pub refresh_token: Option<Secret>,
    /// When the access token ends, if the server said so.
    pub expires: Option<DateTime<Utc>>,
}

/// A connection whose credentials were refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineMark {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why; fit to be shown.
    pub reason: String,
    /// Whether only a person can help: `flowgate auth login`, or a new refresh token.
    pub login: bool,
}

/// What is kept of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its renewed credential.
    pub token: Option<TokenRecord>,
    /// Whether it was offline when last heard of.
    pub offline: Option<OfflineMark>,
}

/// Why tokens cannot be kept or read; fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenStoreError(pub String);

/// Keeps renewed credentials. Each call is durable when its future resolves.
pub trait TokenStore: Send + Sync + 'static {
    /// What is kept of a connection.
    fn load<'a>(&'a self, connection: &'a ConnectionId) -> BoxFuture<'a, Result<Kept, TokenStoreError>>;
    /// Keeps a renewed credential in place of the one before.
    fn save<'a>(
        &'a self,
        connection: &'a ConnectionId,
        record: TokenRecord,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>>;
    /// Says that a connection is offline, or no longer.
    fn mark<'a>(
        &'a self,
        connection: &'a ConnectionId,
        mark: Option<OfflineMark>,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>>;
}

/// Keeps credentials while the process lives.
#[derive(Default)]
pub struct MemoryTokens(Mutex<HashMap<ConnectionId, Kept>>);

impl MemoryTokens {
    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryTokens {
    fn load<'a>(&'a self, connection: &'a ConnectionId) -> BoxFuture<'a, Result<Kept, TokenStoreError>> {
        let kept = self.lock().get(connection).cloned().unwrap_or_default();
        Box::pin(std::future::ready(Ok(kept)))
    }

    fn save<'a>(
        &'a self,
        connection: &'a ConnectionId,
        record: TokenRecord,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        self.lock().entry(connection.clone()).or_default().token = Some(record);
        Box::pin(std::future::ready(Ok(())))
    }

    fn mark<'a>(
        &'a self,
        connection: &'a ConnectionId,
        mark: Option<OfflineMark>,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        self.lock().entry(connection.clone()).or_default().offline = mark;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What happens to requests whose credentials are refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenRefused {
    /// They fail: somebody waits for the answer (`run`, `ping`).
    GiveUp,
    /// They wait, and the connection is tried from time to time (`serve`).
    Hold,
}

/// Renewed credentials of all connections, shared by every client of a process.
pub struct Tokens {
    /// Where they are kept.
    pub store: Arc<dyn TokenStore>,
    /// What becomes of refused requests.
    pub when_refused: WhenRefused,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Tokens {
    /// Over a store.
    pub fn new(store: Arc<dyn TokenStore>, when_refused: WhenRefused) -> Arc<Self> {
        Arc::new(Self { store, when_refused, turns: Mutex::default() })
    }

    /// The turn to renew what descends from one configured credential. Runs that began before a reload, and connections
    /// that share one, have clients of their own, which must not spend the same refresh token a second time.
    pub(super) fn turn(&self, fingerprint: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(fingerprint.to_owned()).or_default().clone()
    }
}
