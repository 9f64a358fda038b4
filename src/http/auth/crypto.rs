//! The few primitives that signing methods share: digests, HMAC, private keys, and the spellings of their results.

use crate::value::pki::{self, Unusable};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use md5::Digest as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};
use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use std::sync::Arc;

/// RFC 3986's unreserved characters, which is what every signature scheme here calls percent-encoding.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A hash some API asks for. The weak ones are what their RFCs prescribe; nothing else uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha512_256,
}

impl Hash {
    /// The digest of all parts together.
    pub(super) fn of(self, parts: &[&[u8]]) -> Vec<u8> {
        let algorithm = match self {
            Self::Md5 => {
                let mut state = md5::Md5::new();
                for part in parts {
                    state.update(part);
                }
                return state.finalize().to_vec();
            }
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512_256 => &digest::SHA512_256,
        };
        let mut state = digest::Context::new(algorithm);
        for part in parts {
            state.update(part);
        }
        state.finish().as_ref().to_vec()
    }

    /// The same in lower-case hexadecimal.
    pub(super) fn hex(self, parts: &[&[u8]]) -> String {
        hex(&self.of(parts))
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Without padding, in the alphabet of URLs (JOSE).
pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Everything but unreserved characters encoded, in upper case.
pub(super) fn percent(text: impl AsRef<str>) -> String {
    utf8_percent_encode(text.as_ref(), UNRESERVED).to_string()
}

pub(super) fn mac(algorithm: hmac::Algorithm, key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
}

/// A private key that signs. Errors say what is wrong with it, never what it is.
#[derive(Clone)]
pub(super) struct PrivateKey(Arc<dyn SigningKey>);

impl PrivateKey {
    /// Reads PEM: PKCS#8, PKCS#1 or SEC1; encrypted where there is a passphrase.
    pub(super) fn from_pem(pem: &str, passphrase: Option<&str>) -> Result<Self, String> {
        let read = pki::private_key(pem.as_bytes(), passphrase).and_then(|der| pki::signing_key(&der));
        read.map(Self).map_err(|error| match error {
            Unusable::NoPassphrase => "is encrypted: give its `passphrase`, or write it without one \
                                       (`openssl pkey -in key.pem`)"
                .to_owned(),
            other => other.to_string(),
        })
    }

    /// Whether it can sign in this way.
    pub(super) fn fits(&self, scheme: SignatureScheme) -> bool {
        self.0.choose_scheme(&[scheme]).is_some()
    }

    /// Signs. ECDSA signatures come as ASN.1.
    pub(super) fn sign(&self, scheme: SignatureScheme, text: &[u8]) -> Result<Vec<u8>, String> {
        let signer = self.0.choose_scheme(&[scheme]).ok_or("the key does not fit the algorithm")?;
        signer.sign(text).map_err(|_| "the key cannot sign".to_owned())
    }
}

/// Both halves of an ASN.1 ECDSA signature at fixed width, as JOSE wants them.
pub(super) fn fixed_width(asn1: &[u8], half: usize) -> Option<Vec<u8>> {
    let (tag, body, rest) = element(asn1)?;
    let (r_tag, r, after) = element(body)?;
    let (s_tag, s, end) = element(after)?;
    if (tag, r_tag, s_tag) != (0x30, 2, 2) || !rest.is_empty() || !end.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(half * 2);
    for number in [r, s] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..)?;
        out.resize(out.len() + half.checked_sub(digits.len())?, 0);
        out.extend_from_slice(digits);
    }
    Some(out)
}

/// Tag, content and what follows. Lengths above 255 do not occur in signatures.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, at) = match *der.get(1)? {
        0x81 => (usize::from(*der.get(2)?), 3),
        short @ 0..=0x7f => (usize::from(short), 2),
        _ => return None,
    };
    let end = at + length;
    Some((der[0], der.get(at..end)?, der.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones() {
        assert_eq!(Hash::Md5.hex(&[b"message", b" digest"]), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(Hash::Sha1.hex(&[b"abc"]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(Hash::Sha256.hex(&[b"abc"]), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Hash::Sha512_256.hex(&[b"abc"]), "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23");
    }

    #[test]
    fn signatures_of_any_width_come_out_fixed() {
        let asn1 = [0x30, 8, 2, 2, 0, 0x81, 2, 2, 0x01, 0x02];
        assert_eq!(fixed_width(&asn1, 4), Some(vec![0, 0, 0, 0x81, 0, 0, 1, 2]));
        assert_eq!(fixed_width(&asn1, 1), None, "a half that does not fit");
        for broken in [&asn1[..9], &[0x30, 2, 2, 0][..], &[], &[0x31, 8, 2, 2, 0, 0x81, 2, 2, 1, 2]] {
            assert_eq!(fixed_width(broken, 4), None);
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_repeated() {
        for bad in [
            "hunter2",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let error = PrivateKey::from_pem(bad, None).err().unwrap();
            assert!(!error.contains("hunter2") && !error.contains("AAAA"), "{error}");
        }
    }

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(percent("a-._~Z9 +/%é"), "a-._~Z9%20%2B%2F%25%C3%A9");
        assert_eq!(hex(&[0, 0xab, 0x7f]), "00ab7f");
    }
}
