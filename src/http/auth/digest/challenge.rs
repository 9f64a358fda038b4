//! `WWW-Authenticate`: several challenges in one header or in several, never trusted. What cannot be read is no
//! challenge; sizes and counts are capped, and every byte is looked at once.

use crate::http::auth::crypto::Hash;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Most bytes of all challenges together that are looked at.
const MOST_BYTES: usize = 16 * 1024;
/// Most challenges, and most parameters of one.
const MOST: usize = 16;

/// `WWW-Authenticate` as it stands: schemes with their parameters, names in lower case.
pub(super) struct Scheme {
    pub(super) name: String,
    params: Vec<(String, Vec<u8>)>,
}

impl Scheme {
    fn param(&self, name: &str) -> Option<&[u8]> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    fn word(&self, name: &str) -> String {
        self.param(name).map(|value| String::from_utf8_lossy(value).to_ascii_lowercase()).unwrap_or_default()
    }
}

/// What is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    /// The form before RFC 2617.
    Legacy,
    Auth,
    AuthInt,
}

/// A digest challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent flags of one header")]
pub(super) struct Challenge {
    pub(super) realm: Vec<u8>,
    pub(super) nonce: Vec<u8>,
    pub(super) opaque: Option<Vec<u8>>,
    pub(super) hash: Hash,
    pub(super) session: bool,
    /// `algorithm` as the server wrote it; it is sent back only when it was there.
    pub(super) algorithm: Option<String>,
    pub(super) quality: Quality,
    pub(super) stale: bool,
    pub(super) utf8: bool,
    pub(super) userhash: bool,
}

/// All challenges of an answer.
pub(super) fn schemes(headers: &HeaderMap) -> Vec<Scheme> {
    let mut found = Vec::new();
    let mut left = MOST_BYTES;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Some(rest) = left.checked_sub(value.len()) else { break };
        left = rest;
        read(value.as_bytes(), &mut found);
    }
    found
}

/// The strongest digest challenge among them; of equals the server's first.
pub(super) fn strongest(schemes: &[Scheme]) -> Option<Challenge> {
    let usable = schemes.iter().filter(|scheme| scheme.name == "digest").filter_map(usable);
    // The last of equal maxima would be taken.
    usable.rev().max_by_key(|challenge| challenge.hash)
}

/// What was offered, for people: names of schemes, with the algorithm of digests.
pub(super) fn offered(schemes: &[Scheme]) -> String {
    let clean = |text: &str| text.chars().filter(char::is_ascii_graphic).take(32).collect::<String>();
    let name = |scheme: &Scheme| match scheme.word("algorithm") {
        algorithm if !algorithm.is_empty() => format!("{} ({})", clean(&scheme.name), clean(&algorithm)),
        _ => clean(&scheme.name),
    };
    schemes.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn usable(scheme: &Scheme) -> Option<Challenge> {
    let word = scheme.word("algorithm");
    let (name, session) = word.strip_suffix("-sess").map_or((word.as_str(), false), |name| (name, true));
    let hash = match name {
        "" | "md5" => Hash::Md5,
        "sha-256" => Hash::Sha256,
        "sha-512-256" => Hash::Sha512_256,
        _ => return None,
    };
    let qualities = scheme.word("qop");
    let offers = |wanted| qualities.split([',', ' ']).any(|word| word == wanted);
    let quality = match (scheme.param("qop"), offers("auth"), offers("auth-int")) {
        (None, ..) => Quality::Legacy,
        (_, true, _) => Quality::Auth,
        (_, _, true) => Quality::AuthInt,
        _ => return None,
    };
    Some(Challenge {
        realm: scheme.param("realm")?.to_vec(),
        nonce: scheme.param("nonce").filter(|nonce| !nonce.is_empty())?.to_vec(),
        opaque: scheme.param("opaque").map(<[u8]>::to_vec),
        hash,
        session,
        algorithm: scheme.param("algorithm").map(|value| String::from_utf8_lossy(value).into_owned()),
        quality,
        stale: scheme.word("stale") == "true",
        utf8: scheme.word("charset") == "utf-8",
        userhash: scheme.word("userhash") == "true",
    })
}

/// One header value. A comma separates parameters of a challenge as well as challenges: what reads as `name = value`
/// belongs to the challenge before it.
fn read(value: &[u8], found: &mut Vec<Scheme>) {
    let mut own = false;
    for element in elements(value) {
        let (scheme, rest) = match parameter(element) {
            Some(pair) => {
                if let Some(scheme) = found.last_mut().filter(|scheme| own && scheme.params.len() < MOST) {
                    // The first of a name counts.
                    if scheme.param(&pair.0).is_none() {
                        scheme.params.push(pair);
                    }
                }
                continue;
            }
            None => token(element),
        };
        // Nameless: what follows belongs to nobody either.
        own = !scheme.is_empty() && found.len() < MOST;
        if own {
            let params = parameter(rest.trim_ascii()).into_iter().collect();
            found.push(Scheme { name: String::from_utf8_lossy(scheme).to_ascii_lowercase(), params });
        }
    }
}

/// Splits at commas outside of quotes. An open quote swallows the rest, which then reads as nothing.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(move |byte| {
            if escaped {
                escaped = false;
            } else if quoted && *byte == b'\\' {
                escaped = true;
            } else if *byte == b'"' {
                quoted = !quoted;
            }
            *byte == b',' && !quoted
        })
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// `name = value`, the whole element; quotes and their escapes are taken off.
fn parameter(element: &[u8]) -> Option<(String, Vec<u8>)> {
    let (name, rest) = token(element);
    let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    if name.is_empty() {
        return None;
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let Some(quoted) = value.strip_prefix(b"\"") else {
        let (word, after) = token(value);
        return (!word.is_empty() && after.is_empty()).then(|| (name, word.to_vec()));
    };
    let mut text = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => text.push(*bytes.next()?),
            b'"' => return bytes.as_slice().is_empty().then_some((name, text)),
            other => text.push(*other),
        }
    }
    None
}

/// The token at the front and what follows.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let end = text.iter().position(|b| !is_token(b)).unwrap_or(text.len());
    text.split_at(end)
}

/// `nextnonce` of `Authentication-Info`.
pub(super) fn next_nonce(value: &[u8]) -> Option<Vec<u8>> {
    let capped = value.get(..value.len().min(MOST_BYTES))?;
    elements(capped).take(MOST).find_map(|e| parameter(e).filter(|(name, _)| name == "nextnonce")).map(|(_, v)| v)
}
