//! `auth login`: a person grants access in a browser, and the tokens are kept. RFC 6749 with PKCE (RFC 7636), and a
//! redirect to this machine (RFC 8252).

mod landing;

pub use crate::http::login::LoginError;
pub use landing::Landing;

use super::tokens::{StoredTokens, write_token};
use super::{Host, State, agent};
use crate::http::login::Invitation;
use crate::http::tokens::{Kept, TokenStore, WhenRefused};
use crate::model::snapshot::Snapshot;
use crate::runtime::engine::Generation;
use crate::value::id::ConnectionId;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// How long a person has.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// A login that waits for its person.
pub struct Login {
    landing: Landing,
    invitation: Invitation,
    generation: Generation,
    connection: ConnectionId,
    host: Host,
    /// For the agent that carries the request for tokens.
    door: agent::Door,
}

impl Login {
    /// Opens the landing place and draws state and verifier.
    pub async fn begin(
        host: &Host,
        snapshot: Arc<Snapshot>,
        state: &State,
        connection: &ConnectionId,
        port: u16,
    ) -> Result<Self, LoginError> {
        let services = host.services(&snapshot.settings, state, WhenRefused::GiveUp);
        let door = agent::let_in(&snapshot, std::slice::from_ref(connection), &services).await;
        let door = door.map_err(|error| LoginError::Config(error.to_string()))?;
        let generation =
            Generation::prepare(snapshot, None, &services).map_err(|e| LoginError::Config(e.to_string()))?;
        let landing = Landing::open(port).await.map_err(LoginError::Landing)?;
        let lane =
            generation.lanes.get(connection).ok_or_else(|| LoginError::Config("no such connection".to_owned()))?;
        let invitation = lane.client.invite(&landing.redirect())?;
        Ok(Self { landing, invitation, generation, connection: connection.clone(), host: host.clone(), door })
    }

    /// Where the person goes.
    pub fn url(&self) -> &str {
        self.invitation.url()
    }

    /// Waits for the browser to come back, trades the code for tokens and keeps them. When they end, if that is known.
    pub async fn finish(self) -> Result<Option<DateTime<Utc>>, LoginError> {
        let Self { landing, invitation, generation, connection, host, door } = self;
        let deadline = host.clock.mono().plus(PATIENCE);
        let code = tokio::select! {
            code = landing.wait(invitation.state()) => code?,
            () = host.clock.sleep_until(deadline) => return Err(LoginError::Nobody),
        };
        let lane = generation.lanes.get(&connection).ok_or(LoginError::Nobody)?;
        let traded = lane.client.trade(&code, &invitation).await;
        door.close(&host).await;
        traded
    }
}

/// What was kept of a connection in this process, as the owner of the state takes it.
pub async fn record(state: &State, connection: &ConnectionId) -> Option<String> {
    let kept = StoredTokens(state.store.clone()).load(connection).await.ok()?;
    kept.token.as_ref().map(write_token)
}

/// What is kept of each connection that has something to keep.
pub async fn kept(state: &State, snapshot: &Snapshot) -> Result<Vec<(ConnectionId, &'static str, Kept)>, String> {
    let store = StoredTokens(state.store.clone());
    let mut found = Vec::new();
    for (id, connection) in &snapshot.connections {
        let kept = store.load(id).await.map_err(|error| error.to_string())?;
        found.push((id.clone(), connection.http.auth.method(), kept));
    }
    Ok(found)
}
