//! Agents, as configuration names them.

use crate::value::secret::Secret;
use crate::value::target::Target;
use url::Url;

/// `[agents.<name>]`: an agent that may come in.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentToken {
    /// Its name.
    pub name: String,
    /// What it has to bring; an unresolved one carries the reason, and lets nobody in.
    pub token: Result<Secret, String>,
}

/// An agent's own file.
#[derive(Debug, Clone, Default)]
pub struct AgentFile {
    /// `server`
    pub server: Option<Url>,
    /// `token`; an unresolved one carries the reason.
    pub token: Option<Result<Secret, String>>,
    /// `allow`
    pub allow: Vec<Target>,
    /// `ca`: PEM of the authorities that may vouch for the server.
    pub ca: Option<Result<String, String>>,
}
