//! `[auth.jwt]`: a token signed here, sent as a bearer until it is about to run out.

use super::crypto::{PrivateKey, base64url, fixed_width, hex, mac};
use super::refresh::Refresh;
use super::{Moment, render, sensitive};
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::Json;
use crate::value::secret::Secret;
use crate::value::template::Template;
use crate::value::tree::Tree;
use chrono::{DateTime, Utc};
use reqwest::header::AUTHORIZATION;
use ring::hmac::{self, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use rustls::SignatureScheme;
use serde_json::{Map, Value};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A token is made anew when less than this is left of its life, or a fifth of it when that is shorter: what is sent
/// must still hold when it arrives.
const MARGIN: Duration = Duration::from_secs(30);

/// `algorithm`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 7518")]
pub enum JwtAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
}

enum Kind {
    Mac(hmac::Algorithm),
    /// The width of half a signature, where its form must change.
    Signature(SignatureScheme, Option<usize>),
}

impl JwtAlgorithm {
    /// All of them by their names, which are those of the file.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
    ];

    fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }

    fn kind(self) -> Kind {
        match self {
            Self::Hs256 => Kind::Mac(HMAC_SHA256),
            Self::Hs384 => Kind::Mac(HMAC_SHA384),
            Self::Hs512 => Kind::Mac(HMAC_SHA512),
            Self::Rs256 => Kind::Signature(SignatureScheme::RSA_PKCS1_SHA256, None),
            Self::Rs384 => Kind::Signature(SignatureScheme::RSA_PKCS1_SHA384, None),
            Self::Rs512 => Kind::Signature(SignatureScheme::RSA_PKCS1_SHA512, None),
            Self::Ps256 => Kind::Signature(SignatureScheme::RSA_PSS_SHA256, None),
            Self::Ps384 => Kind::Signature(SignatureScheme::RSA_PSS_SHA384, None),
            Self::Ps512 => Kind::Signature(SignatureScheme::RSA_PSS_SHA512, None),
            Self::Es256 => Kind::Signature(SignatureScheme::ECDSA_NISTP256_SHA256, Some(32)),
            Self::Es384 => Kind::Signature(SignatureScheme::ECDSA_NISTP384_SHA384, Some(48)),
        }
    }
}

/// `[auth.jwt]`: texts over `connection`.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// How it signs.
    pub algorithm: JwtAlgorithm,
    /// A shared secret, or a private key in PEM.
    pub key: Template,
    /// Opens the private key.
    pub passphrase: Option<Template>,
    /// `claims`; `iat` and `exp` join unless given.
    pub claims: Option<Tree>,
    /// `headers`: `kid` and others beside `alg` and `typ`.
    pub headers: Option<Tree>,
    /// How long a token holds.
    pub ttl: Duration,
    /// `as = "assertion"`: it is traded for a token, in the way `refresh` says.
    pub refresh: Option<Refresh>,
}

/// The key with the parts of its tokens that never change.
pub(super) struct JwtSigner {
    algorithm: JwtAlgorithm,
    key: Key,
    claims: Map<String, Value>,
    /// Encoded.
    header: String,
    ttl: Duration,
    last: Mutex<Option<(DateTime<Utc>, Secret)>>,
}

enum Key {
    Shared(Secret),
    Private(PrivateKey),
}

impl Jwt {
    /// A token to be traded for another one.
    pub(super) fn assertion(&self, ctx: &Context<'_>, moment: &Moment<'_>) -> Result<String, EvalError> {
        let (signer, _) = self.ready(ctx)?;
        let made = moment.nonce().and_then(|nonce| signer.mint(moment.utc, Some(hex(&nonce))));
        made.map_err(EvalError::Refused)
    }

    /// As an assertion, without what differs each time: to notice that the next one would ask for something else.
    pub(super) fn timeless(&self, ctx: &Context<'_>) -> Result<String, EvalError> {
        self.ready(ctx)?.0.mint(DateTime::UNIX_EPOCH, None).map_err(EvalError::Refused)
    }

    /// Whether its key can sign: what is wrong with it, where all that it is made of is there.
    pub fn check_key(&self, ctx: &Context<'_>) -> Result<(), EvalError> {
        self.opened(ctx).map(drop)
    }

    fn opened(&self, ctx: &Context<'_>) -> Result<(Key, Vec<Secret>), EvalError> {
        let text = render(&self.key, ctx, "auth.jwt.key")?;
        let mut secrets = vec![Secret::new(text.as_str())];
        let refused = |why: &str| EvalError::Refused(format!("auth.jwt.key: {why}"));
        if text.is_empty() {
            return Err(refused("is empty"));
        }
        let key = match self.algorithm.kind() {
            Kind::Mac(_) => Key::Shared(Secret::new(text)),
            Kind::Signature(scheme, _) => {
                let opened =
                    self.passphrase.as_ref().map(|text| render(text, ctx, "auth.jwt.passphrase")).transpose()?;
                let key = PrivateKey::from_pem(&text, opened.as_deref()).map_err(|why| refused(&why))?;
                secrets.extend(opened.map(Secret::new));
                if !key.fits(scheme) {
                    return Err(refused(&format!("does not fit {}", self.algorithm.name())));
                }
                Key::Private(key)
            }
        };
        Ok((key, secrets))
    }

    pub(super) fn ready(&self, ctx: &Context<'_>) -> Result<(JwtSigner, Vec<Secret>), EvalError> {
        let (key, secrets) = self.opened(ctx)?;
        let claims = object(self.claims.as_ref(), ctx, "auth.jwt.claims")?;
        let mut header = Map::new();
        header.insert("alg".to_owned(), self.algorithm.name().into());
        header.insert("typ".to_owned(), "JWT".into());
        for (name, value) in object(self.headers.as_ref(), ctx, "auth.jwt.headers")? {
            if name == "alg" || name == "crit" || name == "b64" {
                return Err(EvalError::Refused(format!("auth.jwt.headers: `{name}` cannot be set")));
            }
            header.insert(name, value);
        }
        let header = base64url(Value::Object(header).to_string());
        let (algorithm, ttl) = (self.algorithm, self.ttl);
        Ok((JwtSigner { algorithm, key, claims, header, ttl, last: Mutex::default() }, secrets))
    }
}

/// A tree that must give an object.
fn object(tree: Option<&Tree>, ctx: &Context<'_>, place: &str) -> Result<Map<String, Value>, EvalError> {
    let json: Option<Json> = tree.map(|tree| tree.json(ctx).map_err(|error| error.at(place))).transpose()?.flatten();
    match json.map(|json| json.as_ref().to_value()) {
        None => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(EvalError::Type(format!("{place}: is no table"))),
    }
}

impl JwtSigner {
    /// Sends the token as a bearer.
    pub(super) fn sign(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Vec<Secret>, String> {
        let token = self.token(moment.utc)?;
        let value = sensitive(&format!("Bearer {}", token.reveal()), "auth.jwt").map_err(|error| error.to_string())?;
        request.headers.insert(AUTHORIZATION, value);
        // The signature alone is enough to look out for where the token is quoted in parts.
        let signature = token.reveal().rsplit('.').next().map(Secret::new);
        Ok([token].into_iter().chain(signature).collect())
    }

    /// A token that holds for a while yet.
    fn token(&self, now: DateTime<Utc>) -> Result<Secret, String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, token)) = &*last
            && *until > now
        {
            return Ok(token.clone());
        }
        let token = Secret::new(self.mint(now, None)?);
        let margin = MARGIN.min(self.ttl / 5);
        *last = Some((now + self.ttl.saturating_sub(margin), token.clone()));
        Ok(token)
    }

    /// A token issued now; `id` becomes its `jti`, for receivers that take a token once only.
    fn mint(&self, now: DateTime<Utc>, id: Option<String>) -> Result<String, String> {
        let mut claims = self.claims.clone();
        if let Some(id) = id {
            claims.entry("jti").or_insert_with(|| id.into());
        }
        let end = now + self.ttl;
        for (name, at) in [("iat", now), ("exp", end)] {
            claims.entry(name).or_insert_with(|| at.timestamp().into());
        }
        let text = format!("{}.{}", self.header, base64url(Value::Object(claims).to_string()));
        let signature = self.signature(text.as_bytes())?;
        Ok(format!("{text}.{}", base64url(signature)))
    }

    fn signature(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        match (&self.key, self.algorithm.kind()) {
            (Key::Shared(secret), Kind::Mac(algorithm)) => Ok(mac(algorithm, secret.reveal().as_bytes(), text)),
            (Key::Private(key), Kind::Signature(scheme, half)) => {
                let signature = key.sign(scheme, text).map_err(|why| format!("auth.jwt.key: {why}"))?;
                match half {
                    None => Ok(signature),
                    Some(half) => fixed_width(&signature, half)
                        .ok_or_else(|| "auth.jwt.key: the signature has an unknown form".to_owned()),
                }
            }
            _ => Err("auth.jwt.key: the key does not fit the algorithm".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Fixed, context, moment, request, template};
    use super::*;
    use ring::signature::{self, KeyPair, UnparsedPublicKey, VerificationAlgorithm};

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn jwt(algorithm: JwtAlgorithm, key: &str) -> Jwt {
        let ttl = Duration::from_mins(5);
        Jwt { algorithm, key: template(key), passphrase: None, claims: None, headers: None, ttl, refresh: None }
    }

    fn tree(json: &str) -> Tree {
        Tree::Constant(Json::parse(json).unwrap())
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        moment(NOW, &Fixed([0; 16])).utc + chrono::TimeDelta::seconds(seconds)
    }

    fn signer(settings: &Jwt) -> JwtSigner {
        settings.ready(&context()).unwrap().0
    }

    fn refusal(settings: &Jwt) -> String {
        settings.ready(&context()).err().unwrap().to_string()
    }

    #[test]
    fn the_best_known_token_is_signed_alike() {
        let signer = signer(&jwt(JwtAlgorithm::Hs256, "your-256-bit-secret"));
        assert_eq!(signer.header, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
        let claims = "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ";
        let signature = signer.signature(format!("{}.{claims}", signer.header).as_bytes()).unwrap();
        assert_eq!(base64url(signature), "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c");
    }

    #[test]
    fn claims_and_headers_join_and_own_times_are_kept() {
        let mut settings = jwt(JwtAlgorithm::Hs512, "key");
        settings.claims = Some(tree(r#"{"iss":"me","n":9007199254740993}"#));
        settings.headers = Some(tree(r#"{"kid":"1","typ":"at+jwt"}"#));
        let parts = |token: String| -> Vec<Value> {
            let decode = |part: &str| base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, part).unwrap();
            token.split('.').take(2).map(|part| serde_json::from_slice(&decode(part)).unwrap()).collect()
        };
        let found = parts(signer(&settings).mint(at(0), None).unwrap());
        assert_eq!(found[0].to_string(), r#"{"alg":"HS512","typ":"at+jwt","kid":"1"}"#);
        let claims = r#"{"iss":"me","n":9007199254740993,"iat":1767225600,"exp":1767225900}"#;
        assert_eq!(found[1].to_string(), claims);
        settings.claims = Some(tree(r#"{"iat":1,"exp":2}"#));
        assert_eq!(parts(signer(&settings).mint(at(0), None).unwrap())[1].to_string(), r#"{"iat":1,"exp":2}"#);
    }

    #[test]
    fn an_assertion_has_an_id_of_its_own_unless_one_is_given() {
        let mut settings = jwt(JwtAlgorithm::Hs256, "key");
        let claims = |settings: &Jwt| {
            let assertion = settings.assertion(&context(), &moment(NOW, &Fixed([9; 16]))).unwrap();
            let part = assertion.split('.').nth(1).unwrap();
            let text = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, part).unwrap();
            String::from_utf8(text).unwrap()
        };
        let times = "\"iat\":1767225600,\"exp\":1767225900}";
        assert_eq!(claims(&settings), format!("{{\"jti\":\"{}\",{times}", "09".repeat(16)));
        settings.claims = Some(tree(r#"{"jti":"mine"}"#));
        assert_eq!(claims(&settings), format!("{{\"jti\":\"mine\",{times}"));
    }

    #[test]
    fn a_token_is_used_until_it_is_about_to_run_out() {
        let signer = signer(&jwt(JwtAlgorithm::Hs256, "key"));
        let first = signer.token(at(0)).unwrap();
        assert_eq!(signer.token(at(269)).unwrap(), first);
        let second = signer.token(at(270)).unwrap();
        assert_ne!(second, first);
        let short = super::tests::signer(&Jwt { ttl: Duration::from_secs(10), ..jwt(JwtAlgorithm::Hs256, "key") });
        let first = short.token(at(0)).unwrap();
        assert_eq!(short.token(at(7)).unwrap(), first);
        assert_ne!(short.token(at(8)).unwrap(), first);
    }

    #[test]
    fn it_travels_as_a_bearer_and_is_known_as_a_secret() {
        let mut wire = request("GET", "https://api.example/", &[], None);
        let signer = signer(&jwt(JwtAlgorithm::Hs256, "key"));
        let made = signer.sign(&mut wire, &moment(NOW, &Fixed([0; 16]))).unwrap();
        let value = &wire.headers[AUTHORIZATION];
        assert!(value.is_sensitive());
        assert_eq!(value.to_str().unwrap(), format!("Bearer {}", made[0].reveal()));
    }

    fn verify(algorithm: JwtAlgorithm, pem: &str, with: &'static dyn VerificationAlgorithm, public: &[u8]) {
        let token = signer(&jwt(algorithm, pem)).mint(at(0), None).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let signature = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, signature).unwrap();
        let key = UnparsedPublicKey::new(with, public);
        key.verify(text.as_bytes(), &signature).unwrap_or_else(|_| panic!("{algorithm:?}"));
    }

    fn der(pem: &str) -> Vec<u8> {
        use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
        PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_der().to_vec()
    }

    #[test]
    fn every_asymmetric_algorithm_can_be_verified_whatever_the_form_of_the_key() {
        let rsa = signature::RsaKeyPair::from_pkcs8(&der(testing::RSA_KEY)).unwrap();
        let public = rsa.public_key().as_ref();
        let algorithms: [(JwtAlgorithm, &'static dyn VerificationAlgorithm); 6] = [
            (JwtAlgorithm::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256),
            (JwtAlgorithm::Rs384, &signature::RSA_PKCS1_2048_8192_SHA384),
            (JwtAlgorithm::Rs512, &signature::RSA_PKCS1_2048_8192_SHA512),
            (JwtAlgorithm::Ps256, &signature::RSA_PSS_2048_8192_SHA256),
            (JwtAlgorithm::Ps384, &signature::RSA_PSS_2048_8192_SHA384),
            (JwtAlgorithm::Ps512, &signature::RSA_PSS_2048_8192_SHA512),
        ];
        for (algorithm, with) in algorithms {
            verify(algorithm, testing::RSA_KEY, with, public);
            verify(algorithm, testing::RSA_PKCS1_KEY, with, public);
        }
        let random = ring::rand::SystemRandom::new();
        let p256 = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = signature::EcdsaKeyPair::from_pkcs8(p256, &der(testing::EC_KEY), &random).unwrap();
        for pem in [testing::EC_KEY, testing::EC_SEC1_KEY] {
            let public = key.public_key().as_ref();
            (0..20).for_each(|_| verify(JwtAlgorithm::Es256, pem, &signature::ECDSA_P256_SHA256_FIXED, public));
        }
        let p384 = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
        let key = signature::EcdsaKeyPair::from_pkcs8(p384, &der(testing::EC_384_KEY), &random).unwrap();
        verify(
            JwtAlgorithm::Es384,
            testing::EC_384_KEY,
            &signature::ECDSA_P384_SHA384_FIXED,
            key.public_key().as_ref(),
        );
    }

    #[test]
    fn an_encrypted_key_is_opened_by_its_passphrase() {
        let mut settings = jwt(JwtAlgorithm::Es256, testing::ENCRYPTED_KEY);
        settings.passphrase = Some(template("hunter2"));
        let token = super::tests::signer(&settings);
        assert!(token.mint(DateTime::UNIX_EPOCH, None).is_ok());
        settings.passphrase = Some(template("another"));
        assert!(refusal(&settings).contains("is not opened by the passphrase"));
    }

    #[test]
    fn keys_and_headers_that_cannot_be_used_say_why() {
        for (algorithm, key, why) in [
            (JwtAlgorithm::Hs256, "", "is empty"),
            (JwtAlgorithm::Rs256, testing::EC_KEY, "does not fit RS256"),
            (JwtAlgorithm::Es384, testing::EC_KEY, "does not fit ES384"),
            (JwtAlgorithm::Es256, testing::RSA_KEY, "does not fit ES256"),
            (JwtAlgorithm::Rs256, testing::ENCRYPTED_KEY, "is encrypted: give its `passphrase`"),
            (JwtAlgorithm::Rs256, "hunter2", "holds no private key in PEM form"),
        ] {
            let error = refusal(&jwt(algorithm, key));
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
        let mut settings = jwt(JwtAlgorithm::Hs256, "key");
        settings.headers = Some(tree(r#"{"alg":"none"}"#));
        assert!(refusal(&settings).contains("`alg` cannot be set"));
        settings.headers = Some(tree("[1]"));
        assert!(refusal(&settings).contains("auth.jwt.headers: is no table"));
    }
}
