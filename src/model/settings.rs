//! `flowgate.toml`: where state lives, where the server listens, process-wide limits.

use super::agent::AgentToken;
use super::notify::Notify;
use crate::value::secret::Secret;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A valid `flowgate.toml`, defaults filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[state] path`, absolute.
    pub state: PathBuf,
    /// `[server] listen`
    pub listen: SocketAddr,
    /// `[server] token`; an unresolved one carries the reason: it must never mean an open door.
    pub token: Option<Result<Secret, String>>,
    /// `[server] public`
    pub public: Vec<Public>,
    /// `[server] hosts`
    pub hosts: Vec<String>,
    /// `[server.tls]`
    pub tls: Option<ServerTls>,
    /// `[agents.<name>]`
    pub agents: Vec<AgentToken>,
    /// `[notify]`
    pub notify: Option<Arc<Notify>>,
    /// `[log] format`
    pub log_format: LogFormat,
    /// `[log] level`
    pub log_level: String,
    /// `[limits] burst`
    pub burst: NonZeroU32,
    /// `[limits] max_runs`
    pub max_runs: NonZeroU32,
    /// `[limits] error_retention`
    pub error_retention: Duration,
    /// `[limits] history_retention`
    pub history_retention: Duration,
    /// `[shutdown] timeout`
    pub shutdown_timeout: Duration,
}

/// `[server.tls]`; what does not resolve carries the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerTls {
    /// The server's certificate and those between it and its root, PEM.
    pub certificate: Result<String, String>,
    /// Its private key, PEM.
    pub key: Result<Secret, String>,
}

/// What needs no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Public {
    /// `/healthz`, `/readyz`
    Health,
    /// `/metrics`
    Metrics,
    /// `/hooks/…`, which say themselves who may call.
    Webhooks,
}

/// `[log] format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}
