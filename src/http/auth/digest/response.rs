//! The answer to one digest challenge: pure arithmetic over texts.

use super::challenge::{Challenge, Quality};
use crate::http::auth::crypto::percent;

/// Everything one answer is made of.
pub(super) struct Answer<'a> {
    pub(super) challenge: &'a Challenge,
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    /// Path and query exactly as they are sent.
    pub(super) uri: &'a str,
    pub(super) body: &'a [u8],
    /// How many requests used this nonce, this one included.
    pub(super) count: u32,
    pub(super) cnonce: &'a str,
}

impl Answer<'_> {
    /// The value of `Authorization`.
    pub(super) fn header(&self) -> Vec<u8> {
        let Self { challenge, cnonce, .. } = self;
        let mut out = b"Digest ".to_vec();
        self.username_field(&mut out);
        quoted(&mut out, "realm", &challenge.realm);
        quoted(&mut out, "nonce", &challenge.nonce);
        quoted(&mut out, "uri", self.uri.as_bytes());
        if let Some(algorithm) = &challenge.algorithm {
            bare(&mut out, "algorithm", algorithm);
        }
        quoted(&mut out, "response", self.response().as_bytes());
        if let Some(opaque) = &challenge.opaque {
            quoted(&mut out, "opaque", opaque);
        }
        if let Some(qop) = self.qop() {
            bare(&mut out, "qop", qop);
            bare(&mut out, "nc", &self.nonce_count());
        }
        if self.qop().is_some() || challenge.session {
            quoted(&mut out, "cnonce", cnonce.as_bytes());
        }
        if challenge.userhash {
            bare(&mut out, "userhash", "true");
        }
        out
    }

    pub(super) fn response(&self) -> String {
        let Self { challenge, cnonce, .. } = self;
        let hash = challenge.hash;
        let join = |parts: &[&[u8]]| hash.hex(&[&parts.join(&b':')]);
        let mut secret = join(&[self.username.as_bytes(), &challenge.realm, self.password.as_bytes()]);
        if challenge.session {
            secret = join(&[secret.as_bytes(), &challenge.nonce, cnonce.as_bytes()]);
        }
        let (method, uri) = (self.method.as_bytes(), self.uri.as_bytes());
        let what = match challenge.quality {
            Quality::AuthInt => join(&[method, uri, hash.hex(&[self.body]).as_bytes()]),
            Quality::Auth | Quality::Legacy => join(&[method, uri]),
        };
        match self.qop() {
            None => join(&[secret.as_bytes(), &challenge.nonce, what.as_bytes()]),
            Some(qop) => join(&[
                secret.as_bytes(),
                &challenge.nonce,
                self.nonce_count().as_bytes(),
                cnonce.as_bytes(),
                qop.as_bytes(),
                what.as_bytes(),
            ]),
        }
    }

    /// Hashed when the server wants that, in the extended form when it is not ASCII and the server reads UTF-8.
    fn username_field(&self, out: &mut Vec<u8>) {
        let Self { challenge, username, .. } = self;
        if challenge.userhash {
            let hashed = challenge.hash.hex(&[&[username.as_bytes(), &challenge.realm].join(&b':')]);
            quoted(out, "username", hashed.as_bytes());
        } else if challenge.utf8 && !username.is_ascii() {
            bare(out, "username*", &format!("UTF-8''{}", percent(username)));
        } else {
            quoted(out, "username", username.as_bytes());
        }
    }

    fn qop(&self) -> Option<&'static str> {
        match self.challenge.quality {
            Quality::Legacy => None,
            Quality::Auth => Some("auth"),
            Quality::AuthInt => Some("auth-int"),
        }
    }

    fn nonce_count(&self) -> String {
        format!("{:08x}", self.count)
    }
}

fn begin(out: &mut Vec<u8>, name: &str) {
    if !out.ends_with(b" ") {
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}

fn bare(out: &mut Vec<u8>, name: &str, value: &str) {
    begin(out, name);
    out.extend_from_slice(value.as_bytes());
}

fn quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    begin(out, name);
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
