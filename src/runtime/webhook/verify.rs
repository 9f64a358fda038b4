//! Whether a call comes from who it says: signature over the raw body, token, or user and password. Nothing of a body is
//! read before that.
//!
//! Why a call was not believed is told to the log, never to the caller.

use crate::model::webhook::{
    Algorithm, BasicCheck, Encoding, Hmac, Key, SecretEncoding, Signed, TimestampFormat, TimestampFrom, TokenCheck,
    Verify,
};
use crate::value::token::same_bytes as same;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use ring::hmac;
use std::borrow::Cow;

/// Most signatures looked at in one header: senders that rotate their secret send two.
const MOST_SIGNATURES: usize = 16;

/// A call, as far as it decides whether to believe it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its query, without the question mark.
    pub query: Option<&'a str>,
    /// Its body, as it came.
    pub body: &'a [u8],
    /// Now.
    pub now: DateTime<Utc>,
}

/// Why a call is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unverified {
    /// It does not show what it should.
    Refused(&'static str),
    /// The secret to judge it by has no value.
    NoSecret(String),
}

use Unverified::Refused;

/// Judges a call. What it was believed for is given back where it can be had once only: a signature with a time in it.
pub fn verify(verify: &Verify, call: Call<'_>) -> Result<Option<Vec<u8>>, Unverified> {
    match verify {
        Verify::None => none(call).map(|()| None),
        Verify::Hmac(hmac) => signature(hmac, call),
        Verify::Token(check) => token(check, call).map(|()| None),
        Verify::Basic(check) => basic(check, call).map(|()| None),
    }
}

/// Everybody may call, but for web pages: they would let any site on the Internet call from inside a private network.
fn none(call: Call<'_>) -> Result<(), Unverified> {
    if call.headers.contains_key("origin") {
        return Err(Refused("it was sent by a web page, and `verify = \"none\"`"));
    }
    Ok(())
}

fn signature(check: &Hmac, call: Call<'_>) -> Result<Option<Vec<u8>>, Unverified> {
    let keys = revealed(&check.secrets)?;
    let header = the_header(call.headers, &check.header, "no signature", "several signature headers")?;
    let timestamp = match check.timestamp.as_ref().map(|timestamp| &timestamp.from) {
        None => None,
        Some(TimestampFrom::Header(name)) => {
            Some(the_header(call.headers, name, "no timestamp", "several timestamp headers")?)
        }
        Some(TimestampFrom::Part(name)) => Some(part(header, name).next().ok_or(Refused("no timestamp"))?),
    };
    let given = given(check, header);
    if given.is_empty() {
        return Err(Refused("no signature of the expected form"));
    }
    // Every signature is held against every key: how long that takes does not tell which one was close.
    let mut found = None;
    for key in keys {
        let Some(key) = key_bytes(check.secret_encoding, key) else {
            return Err(Unverified::NoSecret("the secret is not written in `secret_encoding`".to_owned()));
        };
        let made = made(check, &key, timestamp, call)?;
        for given in &given {
            if same(given, &made) {
                found = Some(made.clone());
            }
        }
    }
    let found = found.ok_or(Refused("the signature does not match"))?;
    match (timestamp, &check.timestamp) {
        (Some(text), Some(timestamp)) => {
            let at = instant(text, timestamp.format).ok_or(Refused("the timestamp cannot be read"))?;
            let away = (call.now - at).abs().to_std().map_err(|_| Refused("the timestamp cannot be read"))?;
            if away > check.tolerance {
                return Err(Refused("the timestamp is too far from now"));
            }
            Ok(Some(found))
        }
        _ => Ok(None),
    }
}

/// The one header of this name.
fn the_header<'h>(
    headers: &'h HeaderMap,
    name: &str,
    none: &'static str,
    several: &'static str,
) -> Result<&'h str, Unverified> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(_), Some(_)) => Err(Refused(several)),
        (Some(one), None) => one.to_str().map(str::trim).map_err(|_| Refused(none)),
        (None, _) => Err(Refused(none)),
    }
}

/// The values of one name in `name=value,name=value`.
fn part<'h>(header: &'h str, name: &str) -> impl Iterator<Item = &'h str> {
    header.split(',').filter_map(move |pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// The signatures of the header, decoded; those of another form are left out.
fn given(check: &Hmac, header: &str) -> Vec<Vec<u8>> {
    let decoded = |text: &str| {
        let text = text.strip_prefix(check.prefix.as_str())?;
        match check.encoding {
            Encoding::Hex => unhex(text),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }
    };
    match &check.part {
        Some(name) => part(header, name).take(MOST_SIGNATURES).filter_map(decoded).collect(),
        None => header.split_ascii_whitespace().take(MOST_SIGNATURES).filter_map(decoded).collect(),
    }
}

/// What the signature must be.
fn made(check: &Hmac, key: &[u8], timestamp: Option<&str>, call: Call<'_>) -> Result<Vec<u8>, Unverified> {
    let algorithm = match check.algorithm {
        Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Sha256 => hmac::HMAC_SHA256,
        Algorithm::Sha512 => hmac::HMAC_SHA512,
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    for piece in &check.signed {
        match piece {
            Signed::Text(text) => context.update(text.as_bytes()),
            Signed::Timestamp => context.update(timestamp.unwrap_or_default().as_bytes()),
            Signed::Body => context.update(call.body),
            Signed::Header(name) => {
                let value =
                    the_header(call.headers, name, "a signed header is missing", "a signed header is repeated")?;
                context.update(value.as_bytes());
            }
        }
    }
    Ok(context.sign().as_ref().to_vec())
}

fn key_bytes(encoding: SecretEncoding, secret: &str) -> Option<Vec<u8>> {
    match encoding {
        SecretEncoding::Text => Some(secret.as_bytes().to_vec()),
        SecretEncoding::Base64 => STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok(),
        SecretEncoding::Hex => unhex(secret),
    }
}

fn instant(text: &str, format: TimestampFormat) -> Option<DateTime<Utc>> {
    match format {
        TimestampFormat::Seconds => DateTime::from_timestamp(text.parse().ok()?, 0),
        TimestampFormat::Milliseconds => DateTime::from_timestamp_millis(text.parse().ok()?),
        TimestampFormat::Rfc3339 => DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// The secrets that have a value; none of them is as bad as no secret at all.
fn revealed(keys: &[Key]) -> Result<Vec<&str>, Unverified> {
    let mut found = Vec::with_capacity(keys.len());
    let mut reason = "no secret is given";
    for key in keys {
        match key {
            // An empty one would let everybody in.
            Ok(secret) if secret.reveal().is_empty() => reason = "the secret is empty",
            Ok(secret) => found.push(secret.reveal()),
            Err(why) => reason = why,
        }
    }
    if found.is_empty() { Err(Unverified::NoSecret(reason.to_owned())) } else { Ok(found) }
}

fn token(check: &TokenCheck, call: Call<'_>) -> Result<(), Unverified> {
    let tokens = revealed(&check.tokens)?;
    let given: Cow<'_, str> = if check.in_query {
        let mut all = url::form_urlencoded::parse(call.query.unwrap_or_default().as_bytes())
            .filter(|(name, _)| *name == check.name)
            .map(|(_, value)| value);
        match (all.next(), all.next()) {
            (Some(one), None) => one,
            (Some(_), Some(_)) => return Err(Refused("several tokens")),
            _ => return Err(Refused("no token")),
        }
    } else {
        let header = the_header(call.headers, &check.name, "no token", "several tokens")?;
        after(header, &check.scheme).ok_or(Refused("no token of the expected scheme"))?.into()
    };
    let mut found = false;
    for token in tokens {
        found |= same(given.as_bytes(), token.as_bytes());
    }
    if found { Ok(()) } else { Err(Refused("the token does not match")) }
}

/// What stands behind the scheme's word.
fn after<'h>(header: &'h str, scheme: &str) -> Option<&'h str> {
    if scheme.is_empty() {
        return Some(header);
    }
    let (word, rest) = header.split_once(' ')?;
    word.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn basic(check: &BasicCheck, call: Call<'_>) -> Result<(), Unverified> {
    let password = match &check.password {
        Ok(password) if password.reveal().is_empty() => {
            return Err(Unverified::NoSecret("the password is empty".to_owned()));
        }
        Ok(password) => password.reveal(),
        Err(why) => return Err(Unverified::NoSecret(why.clone())),
    };
    let header = the_header(call.headers, AUTHORIZATION.as_str(), "no credentials", "several credentials")?;
    let decoded = after(header, "Basic").and_then(|text| STANDARD.decode(text).ok());
    let given = decoded.ok_or(Refused("no credentials of the expected scheme"))?;
    let wanted = [check.username.as_bytes(), b":", password.as_bytes()].concat();
    if same(&given, &wanted) { Ok(()) } else { Err(Refused("the credentials do not match")) }
}

#[cfg(test)]
mod tests;
