//! The two halves of an interactive login: the address a person is sent to, and the code that comes back.

use super::auth::{Asking, Grant, OAuth2, Renewal};
use super::client::Client;
use super::query;
use crate::value::secret::Secret;
use crate::value::time::Rng;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The connection cannot be logged in to by a person.
    #[error("{0}")]
    Config(String),
    /// The place the browser comes back to cannot be opened.
    #[error("no browser can come back to this machine: {0}")]
    Landing(std::io::Error),
    /// The server, or the person, said no.
    #[error("the login was refused: {0}")]
    Refused(String),
    /// The token endpoint failed.
    #[error("{0}")]
    Failed(String),
    /// Nobody came back in time.
    #[error("nobody came back from the login in time")]
    Nobody,
}

/// A login that was begun.
pub struct Invitation {
    url: String,
    state: String,
    verifier: Secret,
    redirect: String,
}

impl Invitation {
    /// Where the person goes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the browser has to bring back.
    pub fn state(&self) -> &str {
        &self.state
    }
}

impl Client {
    /// Draws state and verifier, and writes the address.
    pub fn invite(&self, redirect: &str) -> Result<Invitation, LoginError> {
        let oauth2 = self.interactive()?;
        if let Some(reason) = self.offline() {
            return Err(LoginError::Config(reason.to_owned()));
        }
        let (Some(uri), Some(state), Some(verifier)) =
            (&oauth2.authorize_uri, random(self.rng.as_ref()), random(self.rng.as_ref()))
        else {
            return Err(LoginError::Failed("the system gives no random bytes".to_owned()));
        };
        let ctx = self.context(crate::value::context::Context::new());
        let url = uri.render_configured(&ctx, &self.settings.base_uri);
        let mut url = url.map_err(|error| LoginError::Config(self.clean(&error.to_string())))?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let scope = oauth2.scope();
        let parameters = [
            ("response_type", Some("code")),
            ("client_id", Some(self.session.first.client_id.as_str())),
            ("redirect_uri", Some(redirect)),
            ("scope", scope.as_deref()),
            ("state", Some(state.as_str())),
            ("code_challenge", Some(challenge.as_str())),
            ("code_challenge_method", Some("S256")),
        ];
        for (name, value) in parameters {
            if let Some(value) = value {
                query::set(&mut url, &oauth2.name(name), value);
            }
        }
        let redirect = redirect.to_owned();
        Ok(Invitation { url: url.into(), state, verifier: Secret::new(verifier), redirect })
    }

    /// Trades the code for tokens and keeps them. When the access token ends, if the server says so.
    pub async fn trade(&self, code: &str, invitation: &Invitation) -> Result<Option<DateTime<Utc>>, LoginError> {
        let oauth2 = self.interactive()?;
        self.session.hide([Secret::new(code), invitation.verifier.clone()]);
        let asking = Asking::Code(code, &invitation.verifier, &invitation.redirect);
        self.log_in_with(oauth2, asking).await.map_err(LoginError::Failed)
    }

    fn interactive(&self) -> Result<&OAuth2, LoginError> {
        match self.settings.auth.renewal() {
            Some(Renewal::OAuth2(oauth2)) if oauth2.grant == Grant::AuthorizationCode => Ok(oauth2),
            _ => Err(LoginError::Config(format!(
                "connection `{}` needs no login: only `[auth.oauth2]` with `grant = \"authorization_code\"` asks a person",
                self.id
            ))),
        }
    }
}

/// 32 bytes nobody can guess, as text.
fn random(rng: &dyn Rng) -> Option<String> {
    Some(URL_SAFE_NO_PAD.encode([rng.nonce()?, rng.nonce()?].concat()))
}
