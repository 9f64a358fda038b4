//! `[auth.wsse]`: a UsernameToken in a header, its digest made anew for every request.
//!
//! The digest covers the nonce as it is: raw bytes where it travels as base64, its 32 digits where it travels as
//! hexadecimal. Servers that want the digest itself as hexadecimal within base64 are met too.

use super::crypto::{Hash, base64, hex};
use super::{Moment, render, sensitive};
use crate::http::headers::check_name;
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::template::Template;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// `digest`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WsseDigest {
    /// As the profile says.
    #[default]
    Sha1,
    /// Stronger, where the server knows it.
    Sha256,
}

/// `nonce_encoding`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NonceEncoding {
    /// Random bytes, encoded for travel.
    #[default]
    Base64,
    /// Random digits, which are the nonce.
    Hex,
}

/// `digest_encoding`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestEncoding {
    /// The digest's bytes in base64.
    #[default]
    Base64,
    /// Its hexadecimal digits in base64.
    HexBase64,
}

/// `[auth.wsse]`: texts over `connection`.
#[derive(Debug, Clone)]
pub struct Wsse {
    /// Template over the connection.
    pub username: Template,
    /// Template over the connection.
    pub password: Template,
    /// `header`, by default `X-WSSE`.
    pub header: String,
    /// `digest`
    pub digest: WsseDigest,
    /// `nonce_encoding`
    pub nonce_encoding: NonceEncoding,
    /// `digest_encoding`
    pub digest_encoding: DigestEncoding,
}

/// User and password, ready to sign.
pub(super) struct WsseSigner {
    username: String,
    password: Secret,
    header: HeaderName,
    hash: Hash,
    nonce_encoding: NonceEncoding,
    digest_encoding: DigestEncoding,
}

impl Wsse {
    pub(super) fn ready(&self, ctx: &Context<'_>) -> Result<(WsseSigner, Vec<Secret>), EvalError> {
        let username = render(&self.username, ctx, "auth.wsse.username")?;
        if username.contains(['"', '\\']) {
            return Err(EvalError::Refused("auth.wsse.username: quotes and backslashes cannot be sent".to_owned()));
        }
        sensitive(&username, "auth.wsse.username")?;
        let password = Secret::new(render(&self.password, ctx, "auth.wsse.password")?);
        let secrets = vec![password.clone()];
        let signer = WsseSigner {
            username,
            password,
            header: check_name(&self.header).map_err(|why| EvalError::Refused(format!("auth.wsse.header: {why}")))?,
            hash: match self.digest {
                WsseDigest::Sha1 => Hash::Sha1,
                WsseDigest::Sha256 => Hash::Sha256,
            },
            nonce_encoding: self.nonce_encoding,
            digest_encoding: self.digest_encoding,
        };
        Ok((signer, secrets))
    }
}

impl WsseSigner {
    /// Puts the token in place of headers of its name.
    pub(super) fn sign(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Vec<Secret>, String> {
        let random = moment.nonce()?;
        let digits = hex(&random);
        let (nonce, sent) = match self.nonce_encoding {
            NonceEncoding::Base64 => (&random[..], base64(random)),
            NonceEncoding::Hex => (digits.as_bytes(), digits.clone()),
        };
        let created = moment.utc.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let parts = [nonce, created.as_bytes(), self.password.reveal().as_bytes()];
        let digest = match self.digest_encoding {
            DigestEncoding::Base64 => base64(self.hash.of(&parts)),
            DigestEncoding::HexBase64 => base64(self.hash.hex(&parts)),
        };
        let text = format!(
            "UsernameToken Username=\"{}\", PasswordDigest=\"{digest}\", Nonce=\"{sent}\", Created=\"{created}\"",
            self.username
        );
        let value = sensitive(&text, "auth.wsse").map_err(|error| error.to_string())?;
        request.headers.insert(self.header.clone(), value);
        if !request.headers.contains_key(AUTHORIZATION) {
            // Some servers look here for the profile before they look at the token.
            request.headers.insert(AUTHORIZATION, HeaderValue::from_static("WSSE profile=\"UsernameToken\""));
        }
        Ok(vec![Secret::new(text), Secret::new(digest)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixed, context, moment, request, template};
    use super::*;

    fn signed(wsse: &Wsse, nonce: [u8; 16]) -> (String, String) {
        let mut wire = request("GET", "https://api.example/x", &[], None);
        let (signer, secrets) = wsse.ready(&context()).unwrap();
        signer.sign(&mut wire, &moment("2003-12-15T14:43:07Z", &Fixed(nonce))).unwrap();
        assert!(wire.headers[&wsse.header.to_lowercase()].is_sensitive());
        assert_eq!(secrets, [Secret::new("taadtaadpstcsm")]);
        let text = |name: &str| wire.headers[name].to_str().unwrap().to_owned();
        (text(&wsse.header.to_lowercase()), text("authorization"))
    }

    fn bob() -> Wsse {
        Wsse {
            username: template("bob"),
            password: template("taadtaadpstcsm"),
            header: "X-WSSE".to_owned(),
            digest: WsseDigest::Sha1,
            nonce_encoding: NonceEncoding::Hex,
            digest_encoding: DigestEncoding::Base64,
        }
    }

    const NONCE: [u8; 16] =
        [0xd3, 0x6e, 0x31, 0x62, 0x82, 0x95, 0x9a, 0x9e, 0xd4, 0xc8, 0x98, 0x51, 0x49, 0x7a, 0x71, 0x7f];

    #[test]
    fn the_example_of_the_atom_profile_comes_out() {
        let (token, profile) = signed(&bob(), NONCE);
        assert_eq!(
            token,
            "UsernameToken Username=\"bob\", PasswordDigest=\"quR/EWLAV4xLf9Zqyw4pDmfV9OY=\", \
             Nonce=\"d36e316282959a9ed4c89851497a717f\", Created=\"2003-12-15T14:43:07Z\""
        );
        assert_eq!(profile, "WSSE profile=\"UsernameToken\"");
    }

    #[test]
    fn encodings_and_the_stronger_digest_are_what_they_say() {
        let hex = Wsse { digest_encoding: DigestEncoding::HexBase64, ..bob() };
        let digits = "\"YWFlNDdmMTE2MmMwNTc4YzRiN2ZkNjZhY2IwZTI5MGU2N2Q1ZjRlNg==\"";
        assert!(signed(&hex, NONCE).0.contains(digits));
        let raw = Wsse { nonce_encoding: NonceEncoding::Base64, ..bob() };
        let token = signed(&raw, NONCE).0;
        let expected = base64(Hash::Sha1.of(&[&NONCE, b"2003-12-15T14:43:07Z", b"taadtaadpstcsm"]));
        assert!(token.contains("Nonce=\"024xYoKVmp7UyJhRSXpxfw==\""), "{token}");
        assert!(token.contains(&format!("PasswordDigest=\"{expected}\"")), "{token}");
        let strong = Wsse { digest: WsseDigest::Sha256, ..raw };
        let expected = base64(Hash::Sha256.of(&[&NONCE, b"2003-12-15T14:43:07Z", b"taadtaadpstcsm"]));
        assert!(signed(&strong, NONCE).0.contains(&expected));
    }

    #[test]
    fn the_token_may_stand_in_authorization_itself() {
        let own = Wsse { header: "Authorization".to_owned(), ..bob() };
        assert!(signed(&own, NONCE).1.starts_with("UsernameToken "));
    }

    #[test]
    fn a_name_that_would_break_out_of_its_quotes_is_refused() {
        for bad in ["a\"b", "a\\", "a\r\nX: 1"] {
            assert!(Wsse { username: template(bad), ..bob() }.ready(&context()).is_err(), "{bad:?}");
        }
    }
}
