//! How a request proves who sends it: one file per method. A method turns its templates into a `Credential` once;
//! the credential joins a request only as it leaves, and only towards origins that may have it.

mod basic;
mod token;

pub use basic::Basic;
pub use token::{Location, Token};

use super::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::template::Template;
use reqwest::header::{HeaderName, HeaderValue};

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
        }
    }
}

impl Credential {
    /// Adds the credential to a request that is about to leave for an origin that may have it.
    pub(super) fn apply(&self, request: &mut WireRequest) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Header(name, value) => {
                request.headers.insert(name.clone(), value.clone());
                Ok(())
            }
            Self::Query(name, value) => {
                super::query::add_if_absent(&mut request.url, name, value.reveal());
                Ok(())
            }
            Self::Body(name, value) => token::into_body(request, name, value),
        }
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
