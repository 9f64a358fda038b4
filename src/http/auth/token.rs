//! `[auth.token]`: a token in a header, in the query, or in the body.

use super::refresh::Refresh;
use super::{Credential, Proof, auth_text, render, sensitive};
use crate::http::media::form;
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind, write_string};
use crate::value::secret::Secret;
use crate::value::template::Template;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName};

/// `location`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Location {
    /// A request header.
    #[default]
    Header,
    /// The query string.
    Query,
    /// A top-level field of the body.
    Body,
}

/// `[auth.token]`
#[derive(Debug, Clone)]
pub struct Token {
    /// Template over the connection; may be absent where there is a `refresh`.
    pub token: Option<Template>,
    /// Where it goes.
    pub location: Location,
    /// Header, query or body field name.
    pub name: String,
    /// Before the token in a header; empty sends it bare.
    pub scheme: String,
    /// `refresh`
    pub refresh: Option<Refresh>,
}

impl Token {
    pub(super) fn prove(&self, ctx: &Context<'_>) -> Result<Proof, EvalError> {
        let token = match (auth_text(ctx, "token"), &self.token) {
            (Some(renewed), _) => renewed.to_owned(),
            (None, Some(template)) => render(template, ctx, "auth.token.token")?,
            (None, None) => return Ok(Proof { credential: Credential::None, secrets: Vec::new() }),
        };
        let secret = Secret::new(token.as_str());
        let credential = match self.location {
            Location::Header => {
                let name = HeaderName::from_bytes(self.name.as_bytes())
                    .map_err(|_| EvalError::Refused(format!("auth.token.name: `{}` is no header name", self.name)))?;
                let text = if self.scheme.is_empty() { token } else { format!("{} {token}", self.scheme) };
                Credential::Header(name, sensitive(&text, "auth.token.token")?)
            }
            Location::Query => Credential::Query(self.name.clone(), secret.clone()),
            Location::Body => Credential::Body(self.name.clone(), secret.clone()),
        };
        Ok(Proof { credential, secrets: vec![secret] })
    }
}

/// Whether the body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"))
}

/// Writes the token as a field of the body, in place of a field of that name.
pub(super) fn into_body(request: &mut WireRequest, name: &str, token: &Secret) -> Result<(), String> {
    let Some(body) = &request.body else {
        return Err(format!("auth.token.location is body, but this {} request has none", request.method.name()));
    };
    if is_form(&request.headers) {
        request.body = Some(form::set(body, &[name], token.reveal()).into());
        return Ok(());
    }
    // Bodies are checked JSON by the time they get here.
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?.trim();
    let json = JsonRef::trusted(text);
    if text.is_empty() || json.kind() != Kind::Object {
        return Err("auth.token.location is body, but the body is neither a JSON object nor a form".to_owned());
    }
    let mut out = Vec::with_capacity(text.len() + name.len() + token.reveal().len() + 8);
    out.push(b'{');
    write_string(&mut out, name);
    out.push(b':');
    write_string(&mut out, token.reveal());
    for (key, value) in json.members().filter(|(key, _)| key != name) {
        out.push(b',');
        write_string(&mut out, &key);
        out.push(b':');
        out.extend_from_slice(value.text().as_bytes());
    }
    out.push(b'}');
    request.body = Some(Bytes::from(out));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_token_joins_a_form_in_place_of_a_field_of_its_name() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let mut request = testing::request("POST", "https://api.example/items", &form, Some("x=1&api_key=old&y=a+b"));
        into_body(&mut request, "api_key", &Secret::new("k&=")).unwrap();
        assert_eq!(request.body.as_deref(), Some(&b"x=1&y=a+b&api_key=k%26%3D"[..]));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert!(into_body(&mut request, "api_key", &Secret::new("k")).unwrap_err().contains("nor a form"));
    }
}
