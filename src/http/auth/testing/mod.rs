//! What tests of signing methods share: a fixed moment, a wire request, templates over nothing, and keys made for
//! these tests with `openssl genpkey`, `ecparam` and `pkcs8`.

use super::Moment;
use crate::http::request::Method;
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::template::{Place, Template};
use crate::value::time::Rng;
use bytes::Bytes;
use chrono::DateTime;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

pub(super) const RSA_KEY: &str = include_str!("rsa.pem");
pub(super) const RSA_PKCS1_KEY: &str = include_str!("rsa_pkcs1.pem");
pub(super) const EC_KEY: &str = include_str!("p256.pem");
pub(super) const EC_SEC1_KEY: &str = include_str!("p256_sec1.pem");
pub(super) const EC_384_KEY: &str = include_str!("p384.pem");
pub(super) const ENCRYPTED_KEY: &str = include_str!("encrypted.pem");
/// `openssl dgst -sha256 -sign rsa.pem` over the base string of the test that names it.
pub(super) const RSA_SIGNATURE: &str = include_str!("rsa_signature.txt");

/// The same with `-sha1`.
pub(super) const RSA_SHA1_SIGNATURE: &str = include_str!("rsa_sha1_signature.txt");
/// The key that was published with the test cases of the first OAuth, 1024 bits.
pub(super) const PHOTOS_KEY: &str = include_str!("photos.pem");

/// Chance that is none.
pub(super) struct Fixed(pub(super) [u8; 16]);

impl Rng for Fixed {
    fn next_u64(&self) -> u64 {
        7
    }
    fn nonce(&self) -> Option<[u8; 16]> {
        Some(self.0)
    }
}

pub(super) fn moment<'a>(time: &str, rng: &'a Fixed) -> Moment<'a> {
    Moment { utc: DateTime::parse_from_rfc3339(time).unwrap().to_utc(), rng }
}

pub(super) fn template(text: &str) -> Template {
    Template::compile(text, Place::Plain).unwrap()
}

pub(super) fn context() -> Context<'static> {
    Context::new()
}

pub(super) fn request(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&str>) -> WireRequest {
    let methods = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete];
    WireRequest {
        method: methods.into_iter().find(|known| known.name() == method).unwrap(),
        url: Url::parse(url).unwrap(),
        headers: headers
            .iter()
            .map(|(n, v)| (HeaderName::from_bytes(n.as_bytes()).unwrap(), HeaderValue::from_str(v).unwrap()))
            .collect(),
        body: body.map(|body| Bytes::copy_from_slice(body.as_bytes())),
    }
}
