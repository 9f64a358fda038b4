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

mod aws_sigv4;
mod basic;
mod crypto;
mod digest;
mod jwt;
mod oauth1;
mod signer;
#[cfg(test)]
mod testing;
mod token;
mod wsse;

pub use aws_sigv4::AwsSigv4;
pub use basic::Basic;
pub use digest::Digest;
pub use jwt::{Jwt, JwtAlgorithm};
pub use oauth1::{Oauth1, SignatureMethod};
pub use token::{Location, Token};
pub use wsse::{DigestEncoding, NonceEncoding, Wsse, WsseDigest};

use super::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::template::Template;
use crate::value::time::Rng;
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use signer::Signer;
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
    Token(Token),
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
            Self::None => Ok(Proof { credential: Credential::None, secrets: Vec::new() }),
            Self::Basic(basic) => basic.prove(ctx),
            Self::Token(token) => token.prove(ctx),
            Self::Digest(digest) => digest.ready(ctx).map(Signer::proof),
            Self::Wsse(wsse) => wsse.ready(ctx).map(Signer::proof),
            Self::Jwt(jwt) => jwt.ready(ctx).map(Signer::proof),
            Self::AwsSigv4(aws) => aws.ready(ctx).map(Signer::proof),
            Self::Oauth1(oauth) => oauth.ready(ctx).map(Signer::proof),
        }
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
        }
        Ok(Made::default())
    }

    /// Looks at the answer to a request it was applied to.
    pub(super) fn hear(&self, heard: &Heard<'_>) -> Hearing {
        match self {
            Self::None | Self::Header(..) | Self::Query(..) | Self::Body(..) => Hearing::Judge,
            Self::Signed(signer) => signer.hear(heard),
        }
    }

    /// Names of query parameters it adds: they are taken out of URLs that are shown.
    pub(super) fn query_names(&self) -> impl Iterator<Item = &str> {
        let name = match self {
            Self::Query(name, _) => Some(name.as_str()),
            Self::None | Self::Header(..) | Self::Body(..) | Self::Signed(_) => None,
        };
        name.into_iter()
    }
}

fn render(template: &Template, ctx: &Context<'_>, place: &str) -> Result<String, EvalError> {
    let mut text = String::new();
    template.render(ctx, &mut text).map_err(|error| error.at(place))?;
    Ok(text)
}

/// A header value nobody will print. The error does not repeat the value.
fn sensitive(text: &str, place: &str) -> Result<HeaderValue, EvalError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| EvalError::Refused(format!("{place}: holds a line break or another control character")))?;
    value.set_sensitive(true);
    Ok(value)
}
