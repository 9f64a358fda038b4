//! A request as it would leave, for people: what joins it on its way out is named, and its value masked.

use super::auth::{Auth, Location};
use super::client::Client;
use super::request::{Prepared, Signing};
use crate::value::secret::MASK;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};

/// What a kind of authentication adds to a request, by name.
#[derive(Default)]
struct Places<'a> {
    headers: Vec<&'a str>,
    query: Vec<&'a str>,
}

impl Client {
    /// Its URL and headers, with all that joins them towards an origin that may have credentials.
    pub fn outward(&self, request: &Prepared) -> (String, Vec<(String, String)>) {
        let (mut url, mut headers) = (request.url().as_str().to_owned(), request.header_pairs());
        if request.body.is_some() && !has(&headers, CONTENT_TYPE.as_str()) {
            headers.push((CONTENT_TYPE.as_str().to_owned(), "application/json".to_owned()));
        }
        if request.bare || !self.may_have_credentials(request.url()) {
            headers.retain(|(_, value)| value != MASK);
            return (url, headers);
        }
        let places = places(&self.settings().auth);
        for name in places.headers {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.to_ascii_lowercase(), MASK.to_owned()));
        }
        let made = request.secret_query.iter().chain(&self.secret_query).map(|(name, _)| name.as_str());
        let made = made.chain(request.signing.iter().filter_map(Signing::query_name)).chain(places.query);
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
        (url, headers)
    }
}

fn has(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
}

fn places(auth: &Auth) -> Places<'_> {
    let header = |name| Places { headers: vec![name], query: Vec::new() };
    match auth {
        Auth::None => Places::default(),
        Auth::Token(token) => match token.location {
            Location::Header => header(&token.name),
            Location::Query => Places { query: vec![&token.name], headers: Vec::new() },
            Location::Body => Places::default(),
        },
        Auth::Wsse(wsse) => header(&wsse.header),
        Auth::Cookie(_) => header(COOKIE.as_str()),
        Auth::Custom(custom) => Places {
            headers: custom.headers.iter().map(|field| field.name.as_str()).collect(),
            query: custom.query.iter().map(|field| field.name.as_str()).collect(),
        },
        Auth::Basic(_) | Auth::Digest(_) | Auth::Jwt(_) | Auth::AwsSigv4(_) | Auth::Oauth1(_) | Auth::OAuth2(_) => {
            header(AUTHORIZATION.as_str())
        }
    }
}
