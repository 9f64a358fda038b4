//! `[auth.oauth2]`: a token from a token endpoint (RFC 6749), sent as bearer.

use super::errand::{Errand, secret_header};
use super::refresh::TokenPaths;
use super::{Proof, bearer, render};
use crate::http::request::Field;
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::template::Template;
use crate::value::uri::UriTemplate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::AUTHORIZATION;
use url::Url;
use url::form_urlencoded::byte_serialize;

/// `grant`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// `client_credentials`
    ClientCredentials,
    /// `password`
    Password,
    /// `refresh_token`
    RefreshToken,
    /// `authorization_code`: a person logs in once, refresh tokens do the rest.
    AuthorizationCode,
}

impl Grant {
    /// Whether a token can be had at any time with what the configuration holds.
    pub(in crate::http) fn is_own(self) -> bool {
        matches!(self, Self::ClientCredentials | Self::Password)
    }
}

/// `credentials_in`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CredentialsIn {
    /// Basic authentication, both parts form-encoded (RFC 6749 2.3.1).
    #[default]
    Header,
    /// `client_id` and `client_secret` in the body.
    Body,
}

/// `[auth.oauth2]`
#[derive(Debug, Clone)]
pub struct OAuth2 {
    /// `grant`
    pub grant: Grant,
    /// `authorize_uri`, for `flowgate auth login`.
    pub authorize_uri: Option<UriTemplate>,
    /// `client_id`
    pub client_id: Template,
    /// `client_secret`; none for a public client.
    pub client_secret: Option<Template>,
    /// `username`, of the password grant.
    pub username: Option<Template>,
    /// `password`
    pub password: Option<Template>,
    /// `refresh_token`: the first one.
    pub refresh_token: Option<Template>,
    /// `scopes`
    pub scopes: Vec<String>,
    /// `scope_delimiter`
    pub scope_delimiter: String,
    /// `credentials_in`
    pub credentials_in: CredentialsIn,
    /// `names`: other names for parameters.
    pub names: Vec<(String, String)>,
    /// `extra`: further parameters.
    pub extra: Vec<Field>,
    /// The request to `token_uri`, with what of it is written.
    pub errand: Errand,
    /// How the answer reads.
    pub answer: TokenPaths,
}

/// What a token is asked with.
#[derive(Clone, Copy)]
pub(in crate::http) enum Asking<'a> {
    /// What the configuration holds.
    Own,
    /// A refresh token.
    With(&'a Secret),
    /// A code from the authorize endpoint: code, verifier, redirect.
    Code(&'a str, &'a Secret, &'a str),
}

impl OAuth2 {
    pub(super) fn prove(&self, ctx: &Context<'_>) -> Result<Proof, EvalError> {
        // What the token request carries must not be shown either, wherever an answer echoes it.
        let mut secrets: Vec<Secret> = Vec::new();
        for (template, place) in [(&self.client_secret, "client_secret"), (&self.password, "password")] {
            if let Some(template) = template {
                secrets.push(Secret::new(render(template, ctx, &format!("auth.oauth2.{place}"))?));
            }
        }
        bearer(ctx, "the token of auth.oauth2", secrets)
    }

    /// A parameter's name as this server wants it.
    pub(in crate::http) fn name(&self, name: &str) -> String {
        self.names.iter().find(|(usual, _)| usual == name).map_or(name, |(_, own)| own).to_owned()
    }

    /// `scopes` as one text.
    pub(in crate::http) fn scope(&self) -> Option<String> {
        (!self.scopes.is_empty()).then(|| self.scopes.join(&self.scope_delimiter))
    }

    /// The token request.
    pub(in crate::http) fn request(
        &self,
        ctx: &Context<'_>,
        base: &Url,
        asking: Asking<'_>,
    ) -> Result<WireRequest, EvalError> {
        let mut pairs = self.parameters(ctx, asking)?;
        let client_id = render(&self.client_id, ctx, "auth.oauth2.client_id")?;
        let client_secret =
            self.client_secret.as_ref().map(|secret| render(secret, ctx, "auth.oauth2.client_secret")).transpose()?;
        let in_header = self.credentials_in == CredentialsIn::Header && client_secret.is_some();
        if !in_header {
            pairs.push((self.name("client_id"), client_id.clone()));
            pairs.extend(client_secret.iter().map(|secret| (self.name("client_secret"), secret.clone())));
        }
        let mut wire = self.errand.render(ctx, base, Some(self.errand.media.pairs(&pairs)))?;
        if let Some(secret) = client_secret.filter(|_| in_header) {
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let basic = STANDARD.encode(format!("{}:{}", encoded(&client_id), encoded(&secret)));
            if !wire.headers.contains_key(AUTHORIZATION) {
                secret_header(&mut wire, AUTHORIZATION.as_str(), &format!("Basic {basic}"))?;
            }
        }
        Ok(wire)
    }

    fn parameters(&self, ctx: &Context<'_>, asking: Asking<'_>) -> Result<Vec<(String, String)>, EvalError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: String| pairs.push((self.name(name), value));
        let scoped = match asking {
            Asking::With(token) => {
                add("grant_type", "refresh_token".to_owned());
                add("refresh_token", token.reveal().to_owned());
                // A refresh keeps the scopes it was granted; naming them again makes some servers refuse.
                false
            }
            Asking::Code(code, verifier, redirect) => {
                add("grant_type", "authorization_code".to_owned());
                add("code", code.to_owned());
                add("redirect_uri", redirect.to_owned());
                add("code_verifier", verifier.reveal().to_owned());
                false
            }
            Asking::Own if self.grant == Grant::Password => {
                let text = |template: &Option<Template>, place: &str| match template {
                    Some(template) => render(template, ctx, place),
                    None => Ok(String::new()),
                };
                add("grant_type", "password".to_owned());
                add("username", text(&self.username, "auth.oauth2.username")?);
                add("password", text(&self.password, "auth.oauth2.password")?);
                true
            }
            Asking::Own => {
                add("grant_type", "client_credentials".to_owned());
                true
            }
        };
        if let Some(scope) = self.scope().filter(|_| scoped) {
            add("scope", scope);
        }
        for field in &self.extra {
            let texts = field.texts(ctx).map_err(|error| error.at(&format!("auth.oauth2.extra.{}", field.name)))?;
            pairs.extend(texts.into_iter().map(|text| (field.name.clone(), text)));
        }
        Ok(pairs)
    }
}
