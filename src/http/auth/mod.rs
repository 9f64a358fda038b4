//! How a request proves who sends it: one file per method.
//!
//! To add a method (a *leaf*):
//! 1. its settings (texts over `connection`, compiled) stand in its own file, as one variant of [`Auth`];
//! 2. `prove(ctx)` renders them, once for each generation of the credential, into a [`Proof`]: a [`Credential`] and
//!    every text that must never be shown because of it. `ctx` offers `connection`, and under a renewable method
//!    `auth` (`token`, `refresh_token`, `client_id`). An error names the key and never repeats a value;
//! 3. what joins the request is a variant of `Credential`. `Header`, `Query` and `Body` are fixed; a method that signs
//!    keeps its own state behind its own lock, and its arm in [`Credential::apply`] gets the final request (method,
//!    URL after redirects, headers, body) for each attempt, with time and chance in [`Moment`]. It gives back what it
//!    made that must not be shown either;
//! 4. a method that answers challenges looks at each answer in [`Credential::hear`] before it is judged. `Resend`
//!    sends the request once more with a new permit and counts neither as a failure of authentication nor as a
//!    retry; `exchange` allows [`MOST_CHALLENGES`] of them per request, then the answer is judged as it is.
//!
//! A credential joins a request only as it leaves, and only towards origins that may have it. Methods whose credential
//! can be renewed (a token with a life, a session) say so in `Auth::renewal`; `http::session` asks for it.

// size: the arms of eleven methods stand side by side, so that adding one shows every place it needs

mod aws_sigv4;
mod basic;
mod cookie;
mod crypto;
mod custom;
mod digest;
mod errand;
mod jwt;
mod oauth1;
mod oauth2;
mod refresh;
mod rsa_sha1;
mod signer;
#[cfg(test)]
mod testing;
mod token;
mod wsse;

pub use aws_sigv4::AwsSigv4;
pub use basic::Basic;
pub use cookie::{Cookie, Login};
pub use custom::Custom;
pub use digest::Digest;
pub use errand::{Errand, ErrandBody, Media};
pub use jwt::{Jwt, JwtAlgorithm};
pub use oauth1::{Oauth1, SignatureMethod};
pub use oauth2::{CredentialsIn, Grant, OAuth2};
pub use refresh::{Refresh, TokenPaths};
pub use token::{Location, Token};
pub use wsse::{DigestEncoding, NonceEncoding, Wsse, WsseDigest};

pub(super) use cookie::Jar;
pub(super) use oauth2::Asking;

use super::request::{AWS_DATE, Field};
use super::session::HeldTokens;
use super::transport::WireRequest;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::secret::{MASK, Secret};
use crate::value::template::Template;
use crate::value::time::Rng;
use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use signer::Signer;
use std::fmt::Write as _;
use std::sync::Arc;
use url::Url;

/// Challenges answered for one request: the first one, and one whose nonce had gone stale.
pub(super) const MOST_CHALLENGES: u32 = 2;

/// `[auth.<method>]`
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// No `auth` table.
    #[default]
    None,
    /// `[auth.basic]`
    Basic(Basic),
    /// `[auth.token]`
    Token(Box<Token>),
    /// `[auth.digest]`
    Digest(Digest),
    /// `[auth.wsse]`
    Wsse(Wsse),
    /// `[auth.jwt]`
    Jwt(Box<Jwt>),
    /// `[auth.aws_sigv4]`
    AwsSigv4(AwsSigv4),
    /// `[auth.oauth1]`
    Oauth1(Oauth1),
    /// `[auth.oauth2]`
    OAuth2(Box<OAuth2>),
    /// `[auth.cookie]`
    Cookie(Box<Cookie>),
    /// `[auth.custom]`
    Custom(Box<Custom>),
}

/// How a credential is renewed.
#[derive(Clone, Copy)]
pub(super) enum Renewal<'a> {
    /// By a request the configuration spells out.
    Refresh(&'a Refresh),
    /// At a token endpoint.
    OAuth2(&'a OAuth2),
    /// By logging in.
    Login(&'a Login),
}

/// What joins a request as it leaves.
#[derive(Default)]
pub(super) enum Credential {
    /// Nothing.
    #[default]
    None,
    /// A header, marked sensitive.
    Header(HeaderName, HeaderValue),
    /// A query parameter.
    Query(String, Secret),
    /// A top-level field of a JSON body.
    Body(String, Secret),
    /// Made anew for each request.
    Signed(Box<Signer>),
    /// Cookies of a login.
    Cookies(Arc<Jar>),
    /// Headers, query parameters and body fields of `[auth.custom]`.
    Custom(Box<custom::Additions>),
}

/// A credential with every text that must never be shown because of it.
pub(super) struct Proof {
    pub credential: Credential,
    pub secrets: Vec<Secret>,
}

impl Auth {
    /// Renders the credential. `ctx` offers `connection`.
    pub(super) fn prove(&self, ctx: &Context<'_>) -> Result<Proof, EvalError> {
        match self {
            // What a cookie's credential is, its login makes.
            Self::None | Self::Cookie(_) => Ok(Proof { credential: Credential::None, secrets: Vec::new() }),
            Self::Basic(basic) => basic.prove(ctx),
            Self::Token(token) => token.prove(ctx),
            Self::Digest(digest) => digest.ready(ctx).map(Signer::proof),
            Self::Wsse(wsse) => wsse.ready(ctx).map(Signer::proof),
            Self::Jwt(jwt) if jwt.refresh.is_some() => bearer(ctx, "the token of auth.jwt", Vec::new()),
            Self::Jwt(jwt) => jwt.ready(ctx).map(Signer::proof),
            Self::AwsSigv4(aws) => aws.ready(ctx).map(Signer::proof),
            Self::Oauth1(oauth) => oauth.ready(ctx).map(Signer::proof),
            Self::OAuth2(oauth2) => oauth2.prove(ctx),
            Self::Custom(custom) => custom.prove(ctx),
        }
    }

    /// How its credential is renewed; none where it cannot be.
    pub(super) fn renewal(&self) -> Option<Renewal<'_>> {
        match self {
            Self::None | Self::Basic(_) | Self::Digest(_) | Self::Wsse(_) | Self::AwsSigv4(_) | Self::Oauth1(_) => None,
            Self::Token(token) => token.refresh.as_ref().map(Renewal::Refresh),
            Self::Jwt(jwt) => jwt.refresh.as_ref().map(Renewal::Refresh),
            Self::OAuth2(oauth2) => Some(Renewal::OAuth2(oauth2)),
            Self::Cookie(cookie) => Some(Renewal::Login(&cookie.login)),
            Self::Custom(custom) => custom.refresh.as_ref().map(Renewal::Refresh),
        }
    }

    /// What is traded for a token, where the configuration signs it itself.
    pub(super) fn assertion(&self, ctx: &Context<'_>, moment: &Moment<'_>) -> Result<Option<String>, EvalError> {
        match self {
            Self::Jwt(jwt) if jwt.refresh.is_some() => jwt.assertion(ctx, moment).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether its credential is fetched or renewed, and so has to be kept.
    pub fn is_renewable(&self) -> bool {
        self.renewal().is_some()
    }

    /// Headers it adds to a request, by name.
    pub(super) fn headers<'a>(&'a self, ctx: &Context<'_>) -> Vec<&'a str> {
        let one = |name| vec![name];
        match self {
            Self::Token(token) if token.location == Location::Header => one(token.name.as_str()),
            Self::None | Self::Token(_) => Vec::new(),
            Self::Wsse(wsse) => one(wsse.header.as_str()),
            Self::Cookie(_) => one(COOKIE.as_str()),
            Self::Custom(custom) => {
                let dated = custom.headers.iter().chain(&custom.query).any(Field::is_aws4);
                custom.headers.iter().map(|field| field.name.as_str()).chain(dated.then_some(AWS_DATE)).collect()
            }
            Self::AwsSigv4(aws) => aws.headers(ctx),
            Self::Basic(_) | Self::Digest(_) | Self::Jwt(_) | Self::Oauth1(_) | Self::OAuth2(_) => {
                one(AUTHORIZATION.as_str())
            }
        }
    }

    /// Query parameters it adds to a request, by name.
    pub(super) fn query(&self) -> Vec<&str> {
        match self {
            Self::Token(token) if token.location == Location::Query => vec![token.name.as_str()],
            Self::Custom(custom) => custom.query.iter().map(|field| field.name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Adds to a body that is only looked at what would be added as it leaves, masked.
    pub(super) fn show_in_body(&self, request: &mut WireRequest) -> Result<(), String> {
        match self {
            Self::Token(token) if token.location == Location::Body => {
                token::into_body(request, &token.name, &Secret::new(MASK))
            }
            Self::Custom(custom) => custom.show_in_body(request),
            _ => Ok(()),
        }
    }

    /// The word it goes by.
    pub fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic(_) => "basic",
            Self::Token(_) => "token",
            Self::OAuth2(_) => "oauth2",
            Self::Cookie(_) => "cookie",
            Self::Custom(_) => "custom",
            Self::Digest(_) => "digest",
            Self::Wsse(_) => "wsse",
            Self::Jwt(_) => "jwt",
            Self::AwsSigv4(_) => "aws_sigv4",
            Self::Oauth1(_) => "oauth1",
        }
    }

    /// What the configuration itself holds before the first renewal, and what identifies it: a renewed token counts
    /// while these stay the same.
    pub(super) fn first(&self, ctx: &Context<'_>) -> Result<First, EvalError> {
        let text = |template: Option<&Template>, place: &str| {
            template.map(|template| render(template, ctx, place)).transpose().map(Option::unwrap_or_default)
        };
        let mut first = First::default();
        match self {
            Self::Token(token) => {
                let refresh = token.refresh.as_ref().and_then(|refresh| refresh.refresh_token.as_ref());
                first.tokens.token = text(token.token.as_ref(), "auth.token.token")?.into();
                first.tokens.refresh_token = text(refresh, "auth.token.refresh.refresh_token")?.into();
            }
            Self::Custom(custom) => {
                let refresh = custom.refresh.as_ref().and_then(|refresh| refresh.refresh_token.as_ref());
                first.tokens.refresh_token = text(refresh, "auth.custom.refresh.refresh_token")?.into();
            }
            Self::OAuth2(oauth2) => {
                first.tokens.refresh_token = text(oauth2.refresh_token.as_ref(), "auth.oauth2.refresh_token")?.into();
                first.client_id = text(Some(&oauth2.client_id), "auth.oauth2.client_id")?;
                first.username = text(oauth2.username.as_ref(), "auth.oauth2.username")?;
                // What can be asked for anew at any time is, as soon as it would be asked for in another way. Where a
                // grant exists once, it is kept.
                if oauth2.grant.is_own() {
                    first.asked.extend(oauth2.scope());
                    first.asked.push(text(oauth2.client_secret.as_ref(), "auth.oauth2.client_secret")?);
                    first.asked.push(text(oauth2.password.as_ref(), "auth.oauth2.password")?);
                }
            }
            Self::Jwt(jwt) if jwt.refresh.is_some() => {
                // Everything but the signature, which may be another one each time.
                let text = jwt.timeless(ctx)?;
                first.asked.extend(text.rsplit_once('.').map(|(signed, _)| signed.to_owned()));
            }
            _ => {}
        }
        Ok(first)
    }
}

/// When and with what chance a request is signed.
pub(super) struct Moment<'a> {
    pub utc: DateTime<Utc>,
    pub rng: &'a dyn Rng,
}

impl Moment<'_> {
    /// Makes a signature unlike any other.
    fn nonce(&self) -> Result<[u8; 16], String> {
        self.rng.nonce().ok_or_else(|| "the system gives no random bytes to sign with".to_owned())
    }
}

/// What signing one request left behind.
#[derive(Default)]
pub(super) struct Made {
    /// What must not be shown.
    pub secrets: Vec<Secret>,
    /// The method's own note, given back with the answer: which challenge was met.
    pub mark: u64,
}

/// An answer as a method may see it before it is judged.
pub(super) struct Heard<'a> {
    pub utc: DateTime<Utc>,
    pub status: u16,
    pub headers: &'a HeaderMap,
    /// Where the request went, without credentials.
    pub url: &'a Url,
    /// What `apply` noted for this request.
    pub mark: u64,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hearing {
    /// The answer is judged as it is.
    Judge,
    /// So it is, and this says why it is no success.
    Explain(String),
    /// It held a challenge that can be met: the request is sent once more.
    Resend,
}

/// What a renewable credential begins with.
#[derive(Default)]
pub(super) struct First {
    pub tokens: HeldTokens,
    pub client_id: String,
    pub username: String,
    /// How a token is asked for that can be had anew at any time.
    pub asked: Vec<String>,
}

impl First {
    /// A hash by which a renewed token finds the configuration it descends from.
    pub(super) fn fingerprint(&self, method: &str) -> String {
        let parts =
            [method, self.tokens.token.text(), self.tokens.refresh_token.text(), &self.client_id, &self.username];
        let mut hash = Sha256::new();
        for part in parts.into_iter().chain(self.asked.iter().map(String::as_str)) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl Credential {
    /// Adds the credential to a request that is about to leave for an origin that may have it. Gives what was made for
    /// this request alone and must not be shown.
    pub(super) fn apply(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Made, String> {
        match self {
            Self::None => {}
            Self::Header(name, value) => {
                request.headers.insert(name.clone(), value.clone());
            }
            Self::Query(name, value) => super::query::add_if_absent(&mut request.url, name, value.reveal()),
            Self::Body(name, value) => token::into_body(request, name, value)?,
            Self::Signed(signer) => return signer.sign(request, moment),
            Self::Cookies(jar) => {
                let secrets = jar.apply(request, moment.utc)?;
                return Ok(Made { secrets, mark: 0 });
            }
            Self::Custom(additions) => {
                let secrets = additions.apply(request, moment)?;
                return Ok(Made { secrets, mark: 0 });
            }
        }
        Ok(Made::default())
    }

    /// Looks at the answer to a request it was applied to.
    pub(super) fn hear(&self, heard: &Heard<'_>) -> Hearing {
        match self {
            Self::Signed(signer) => signer.hear(heard),
            Self::None | Self::Header(..) | Self::Query(..) | Self::Body(..) | Self::Custom(_) => Hearing::Judge,
            Self::Cookies(jar) => {
                jar.take_in(heard.headers, heard.url, heard.utc);
                Hearing::Judge
            }
        }
    }

    /// Names of query parameters it adds: they are taken out of URLs that are shown.
    pub(super) fn query_names(&self) -> Vec<&str> {
        match self {
            Self::Query(name, _) => vec![name.as_str()],
            Self::Custom(additions) => additions.query_names().collect(),
            Self::None | Self::Header(..) | Self::Body(..) | Self::Cookies(_) | Self::Signed(_) => Vec::new(),
        }
    }
}

fn render(template: &Template, ctx: &Context<'_>, place: &str) -> Result<String, EvalError> {
    let mut text = String::new();
    template.render(ctx, &mut text).map_err(|error| error.at(place))?;
    Ok(text)
}

/// A member of `auth` as the context offers it.
fn auth_text<'a>(ctx: &Context<'a>, name: &str) -> Option<&'a str> {
    let Slot::Map(parts) = ctx.get(Root::Auth) else { return None };
    parts.iter().find_map(|(part, slot)| match slot {
        Slot::Text(text) if *part == name => Some(*text),
        _ => None,
    })
}

/// The renewed token as a bearer; nothing yet where there is none.
fn bearer(ctx: &Context<'_>, place: &str, mut secrets: Vec<Secret>) -> Result<Proof, EvalError> {
    let Some(token) = auth_text(ctx, "token").filter(|token| !token.is_empty()) else {
        return Ok(Proof { credential: Credential::None, secrets });
    };
    secrets.push(Secret::new(token));
    let value = sensitive(&format!("Bearer {token}"), place)?;
    Ok(Proof { credential: Credential::Header(AUTHORIZATION, value), secrets })
}

/// A header value nobody will print. The error does not repeat the value.
fn sensitive(text: &str, place: &str) -> Result<HeaderValue, EvalError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| EvalError::Refused(format!("{place}: holds a line break or another control character")))?;
    value.set_sensitive(true);
    Ok(value)
}
