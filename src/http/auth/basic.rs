//! `[auth.basic]`: user name and password in the Authorization header, as UTF-8 (RFC 7617).

use super::{Credential, Proof, render, sensitive};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::template::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::AUTHORIZATION;

/// `[auth.basic]`: texts over `connection`.
#[derive(Debug, Clone)]
pub struct Basic {
    /// Template over the connection.
    pub username: Template,
    /// Template over the connection; may be empty.
    pub password: Template,
}

impl Basic {
    pub(super) fn prove(&self, ctx: &Context<'_>) -> Result<Proof, EvalError> {
        let username = render(&self.username, ctx, "auth.basic.username")?;
        let password = render(&self.password, ctx, "auth.basic.password")?;
        if username.contains(':') {
            // The server would take the rest of the name for the password.
            return Err(EvalError::Refused("auth.basic.username: a user name cannot contain `:`".to_owned()));
        }
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        let value = sensitive(&format!("Basic {encoded}"), "auth.basic")?;
        let secrets = vec![Secret::new(encoded), Secret::new(password)];
        Ok(Proof { credential: Credential::Header(AUTHORIZATION, value), secrets })
    }
}
