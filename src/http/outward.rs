//! A request as it would leave, for people: what joins it on its way out is named, and its value masked.

use super::auth::Auth;
use super::client::Client;
use super::request::{AWS_DATE, Prepared, Signing};
use super::transport::WireRequest;
use crate::value::context::Context;
use crate::value::secret::{MASK, Redactor};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

/// Such a request. Secrets of other connections, which records may hold, still have to be masked.
pub struct Outward {
    /// Where it goes.
    pub url: String,
    /// Names in lower case with their values.
    pub headers: Vec<(String, String)>,
    /// As text.
    pub body: Option<String>,
}

impl Client {
    /// A request with all that joins it towards an origin that may have credentials.
    pub fn outward(&self, request: &Prepared) -> Outward {
        let redactor = self.redactor_with(&request.derived.texts);
        let (mut url, mut headers) = (redactor.redact(request.url().as_str()).into_owned(), request.header_pairs());
        if request.body.is_some() && !has(&headers, CONTENT_TYPE.as_str()) {
            headers.push((CONTENT_TYPE.as_str().to_owned(), "application/json".to_owned()));
        }
        if request.bare || !self.may_have_credentials(request.url()) {
            headers.retain(|(_, value)| value != MASK);
            return Outward { url, headers, body: request.shown_body(&redactor) };
        }
        let auth = &self.settings().auth;
        for name in auth.headers(&self.context(Context::new())) {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.to_ascii_lowercase(), MASK.to_owned()));
        }
        // Said beside its own header, where nothing else is.
        let beside = matches!(auth, Auth::Wsse(_)).then_some(AUTHORIZATION.as_str());
        let dated = request.signing.iter().any(Signing::is_dated).then_some(AWS_DATE);
        for name in beside.into_iter().chain(dated) {
            if !has(&headers, name) {
                headers.push((name.to_owned(), MASK.to_owned()));
            }
        }
        let made = request.secret_query.iter().chain(&self.secret_query).map(|(name, _)| name.as_str());
        let made = made.chain(request.signing.iter().filter_map(Signing::query_name)).chain(auth.query());
        let mut given: Vec<String> = request.url().query_pairs().map(|(name, _)| name.into_owned()).collect();
        for name in made {
            if !given.iter().any(|known| known == name) {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.extend(url::form_urlencoded::byte_serialize(name.as_bytes()));
                url.push('=');
                url.push_str(MASK);
                given.push(name.to_owned());
            }
        }
        Outward { url, headers, body: self.outward_body(request, &redactor) }
    }

    /// The body, with what joins it. A body that nothing can join leaves as little as it does then: it is shown as it is.
    fn outward_body(&self, request: &Prepared, redactor: &Redactor) -> Option<String> {
        let body = request.shown_body(redactor)?;
        let mut wire = WireRequest {
            method: request.method,
            url: request.url().clone(),
            headers: request.headers.clone(),
            body: Some(body.clone().into()),
        };
        if self.settings().auth.show_in_body(&mut wire).is_err() {
            return Some(body);
        }
        let shown = wire.body.map_or(body, |bytes| String::from_utf8_lossy(&bytes).into_owned());
        // In a form it would be hard to read.
        Some(shown.replace("%5Bsecret%5D", MASK))
    }
}

fn has(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
}
