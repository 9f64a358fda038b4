//! `[auth.oauth1]`: RFC 5849, and the SHA-2 methods that servers added to it. A form body counts as parameters, as
//! the RFC asks; other bodies are not covered by the signature.

use super::crypto::{PrivateKey, base64, hex, mac, percent};
use super::rsa_sha1::RsaSha1Key;
use super::{Moment, render, sensitive};
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::template::Template;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use ring::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, HMAC_SHA512};
use rustls::SignatureScheme;
use url::{Url, form_urlencoded};

/// `signature_method`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureMethod {
    /// `HMAC-SHA1`
    #[default]
    HmacSha1,
    /// `HMAC-SHA256`
    HmacSha256,
    /// `HMAC-SHA512`
    HmacSha512,
    /// `RSA-SHA1`
    RsaSha1,
    /// `RSA-SHA256`
    RsaSha256,
    /// `RSA-SHA512`
    RsaSha512,
    /// `PLAINTEXT`
    Plaintext,
}

impl SignatureMethod {
    /// All of them by their names on the wire, which are those of the file.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("HMAC-SHA1", Self::HmacSha1),
        ("HMAC-SHA256", Self::HmacSha256),
        ("HMAC-SHA512", Self::HmacSha512),
        ("RSA-SHA1", Self::RsaSha1),
        ("RSA-SHA256", Self::RsaSha256),
        ("RSA-SHA512", Self::RsaSha512),
        ("PLAINTEXT", Self::Plaintext),
    ];

    fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, method)| *method == self).map_or("", |(name, _)| name)
    }

    /// Whether it signs with `private_key`.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::RsaSha1 | Self::RsaSha256 | Self::RsaSha512)
    }
}

/// `[auth.oauth1]`: texts over `connection`.
#[derive(Debug, Clone)]
pub struct Oauth1 {
    /// Sent along.
    pub consumer_key: Template,
    /// Never sent, but for PLAINTEXT; not needed with RSA.
    pub consumer_secret: Option<Template>,
    /// Sent along; absent for requests of the application itself.
    pub token: Option<Template>,
    /// Never sent, but for PLAINTEXT.
    pub token_secret: Option<Template>,
    /// How it signs.
    pub signature_method: SignatureMethod,
    /// `realm`, when the server wants one.
    pub realm: Option<Template>,
    /// PEM, for RSA.
    pub private_key: Option<Template>,
    /// Opens it.
    pub passphrase: Option<Template>,
}

/// Keys and tokens, ready to sign.
pub(super) struct Oauth1Signer {
    consumer_key: String,
    token: Option<Secret>,
    realm: Option<String>,
    method: SignatureMethod,
    /// Both secrets, encoded and joined.
    key: Secret,
    private_key: Option<RsaKey>,
}

/// What signs with SHA-1 and what signs with SHA-2 are not of one make.
enum RsaKey {
    Sha1(Box<RsaSha1Key>),
    Sha2(PrivateKey),
}

impl Oauth1 {
    /// Whether its key can sign: what is wrong with it, where all that it is made of is there.
    pub fn check_key(&self, ctx: &Context<'_>) -> Result<(), EvalError> {
        self.ready(ctx).map(drop)
    }

    pub(super) fn ready(&self, ctx: &Context<'_>) -> Result<(Oauth1Signer, Vec<Secret>), EvalError> {
        let text = |template: &Option<Template>, name: &str| {
            let place = format!("auth.oauth1.{name}");
            template.as_ref().map(|template| render(template, ctx, &place)).transpose()
        };
        let consumer_key = render(&self.consumer_key, ctx, "auth.oauth1.consumer_key")?;
        let token = text(&self.token, "token")?.filter(|token| !token.is_empty()).map(Secret::new);
        let consumer_secret = text(&self.consumer_secret, "consumer_secret")?.unwrap_or_default();
        let token_secret = text(&self.token_secret, "token_secret")?.unwrap_or_default();
        let pem = text(&self.private_key, "private_key")?;
        let passphrase = text(&self.passphrase, "passphrase")?;
        let private_key = match (self.signature_method.is_rsa(), &pem) {
            (false, _) => None,
            (true, None) => return Err(EvalError::Missing("auth.oauth1: RSA needs `private_key`".to_owned())),
            (true, Some(pem)) => {
                let key = RsaKey::read(self.signature_method, pem, passphrase.as_deref());
                Some(key.map_err(|why| EvalError::Refused(format!("auth.oauth1.private_key: {why}")))?)
            }
        };
        let realm = text(&self.realm, "realm")?;
        if let Some(realm) = &realm {
            sensitive(realm, "auth.oauth1.realm")?;
        }
        let key = Secret::new(format!("{}&{}", percent(&consumer_secret), percent(&token_secret)));
        let mut secrets = vec![key.clone(), Secret::new(consumer_secret), Secret::new(token_secret)];
        secrets.extend(token.clone());
        secrets.extend(pem.into_iter().chain(passphrase).map(Secret::new));
        let method = self.signature_method;
        Ok((Oauth1Signer { consumer_key, token, realm, method, key, private_key }, secrets))
    }
}

impl RsaKey {
    fn read(method: SignatureMethod, pem: &str, passphrase: Option<&str>) -> Result<Self, String> {
        if method == SignatureMethod::RsaSha1 {
            return Ok(Self::Sha1(Box::new(RsaSha1Key::from_pem(pem, passphrase)?)));
        }
        let key = PrivateKey::from_pem(pem, passphrase)?;
        if key.fits(SignatureScheme::RSA_PKCS1_SHA256) { Ok(Self::Sha2(key)) } else { Err("is no RSA key".to_owned()) }
    }

    fn sign(&self, method: SignatureMethod, text: &[u8]) -> Result<Vec<u8>, String> {
        match (self, method) {
            (Self::Sha1(key), _) => key.sign(text),
            (Self::Sha2(key), SignatureMethod::RsaSha512) => key.sign(SignatureScheme::RSA_PKCS1_SHA512, text),
            (Self::Sha2(key), _) => key.sign(SignatureScheme::RSA_PKCS1_SHA256, text),
        }
    }
}

impl Oauth1Signer {
    /// Puts the signed parameters into `Authorization`.
    pub(super) fn sign(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Vec<Secret>, String> {
        let timestamp = moment.utc.timestamp().to_string();
        let nonce = hex(&moment.nonce()?);
        let mut own = vec![
            ("oauth_consumer_key", self.consumer_key.as_str()),
            ("oauth_nonce", nonce.as_str()),
            ("oauth_signature_method", self.method.name()),
            ("oauth_timestamp", timestamp.as_str()),
            ("oauth_version", "1.0"),
        ];
        if let Some(token) = &self.token {
            own.push(("oauth_token", token.reveal()));
        }
        let signature = self.signature(&base_string(request, &own))?;
        own.push(("oauth_signature", signature.as_str()));
        let realm =
            self.realm.as_ref().map(|realm| format!("realm=\"{}\"", realm.replace('\\', "\\\\").replace('"', "\\\"")));
        let fields = own.iter().map(|(name, value)| format!("{name}=\"{}\"", percent(value)));
        let text = format!("OAuth {}", realm.into_iter().chain(fields).collect::<Vec<_>>().join(", "));
        request.headers.insert(AUTHORIZATION, sensitive(&text, "auth.oauth1").map_err(|error| error.to_string())?);
        Ok(vec![Secret::new(text), Secret::new(signature)])
    }

    fn signature(&self, base: &str) -> Result<String, String> {
        let (key, text) = (self.key.reveal().as_bytes(), base.as_bytes());
        Ok(base64(match self.method {
            SignatureMethod::Plaintext => return Ok(self.key.reveal().to_owned()),
            SignatureMethod::HmacSha1 => mac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, key, text),
            SignatureMethod::HmacSha256 => mac(HMAC_SHA256, key, text),
            SignatureMethod::HmacSha512 => mac(HMAC_SHA512, key, text),
            SignatureMethod::RsaSha1 | SignatureMethod::RsaSha256 | SignatureMethod::RsaSha512 => {
                let key = self.private_key.as_ref().ok_or("auth.oauth1: RSA needs `private_key`")?;
                key.sign(self.method, text).map_err(|why| format!("auth.oauth1.private_key: {why}"))?
            }
        }))
    }
}

/// Section 3.4.1: method, URI without its query, and all parameters, each part encoded.
fn base_string(request: &WireRequest, own: &[(&str, &str)]) -> String {
    let encode = |(name, value): (&str, &str)| (percent(name), percent(value));
    let mut pairs: Vec<(String, String)> = own.iter().copied().map(encode).collect();
    pairs.extend(request.url.query_pairs().map(|(name, value)| encode((&name, &value))));
    let form = request.body.as_deref().filter(|_| has_form(request)).unwrap_or_default();
    pairs.extend(form_urlencoded::parse(form).map(|(name, value)| encode((&name, &value))));
    pairs.sort();
    let parameters = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    format!("{}&{}&{}", request.method.name(), percent(base_uri(&request.url)), percent(parameters))
}

fn has_form(request: &WireRequest) -> bool {
    let kind = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Scheme and host are in lower case and a default port is gone already.
fn base_uri(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixed, context, moment, request, template};
    use super::*;

    fn photos() -> Oauth1 {
        Oauth1 {
            consumer_key: template("dpf43f3p2l4k3l03"),
            consumer_secret: Some(template("kd94hf93k423kf44")),
            token: Some(template("nnch734d00sl2jdk")),
            token_secret: Some(template("pfkkdhi9sl3r4s00")),
            signature_method: SignatureMethod::HmacSha1,
            realm: Some(template("Photos")),
            private_key: None,
            passphrase: None,
        }
    }

    fn signer(settings: &Oauth1) -> Oauth1Signer {
        settings.ready(&context()).unwrap().0
    }

    fn base(method: &str, url: &str, form: Option<&str>, own: &[(&str, &str)]) -> String {
        let kind = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        base_string(&request(method, url, if form.is_some() { &kind } else { &[] }, form), own)
    }

    #[test]
    fn section_3_4_1_of_rfc_5849_comes_out() {
        let own = [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ];
        let url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b";
        assert_eq!(
            base("POST", url, Some("c2&a3=2+q"), &own),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%25\
             40%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method\
             %3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
        let json = request("POST", "https://a.example:8443/x", &[("content-type", "application/json")], Some("c2=1"));
        assert_eq!(base_string(&json, &[]), "POST&https%3A%2F%2Fa.example%3A8443%2Fx&");
    }

    #[test]
    fn the_photos_of_rfc_5849_and_of_the_first_oauth_are_signed() {
        let own = |timestamp, nonce| {
            [
                ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
                ("oauth_token", "nnch734d00sl2jdk"),
                ("oauth_signature_method", "HMAC-SHA1"),
                ("oauth_timestamp", timestamp),
                ("oauth_nonce", nonce),
            ]
        };
        let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";
        let text = base("GET", url, None, &own("137131202", "chapoH"));
        assert_eq!(signer(&photos()).signature(&text), Ok("MdpQcU8iPSUjWoN/UDMsK2sui9I=".to_owned()));
        let mut own = own("1191242096", "kllo9940pd9333jh").to_vec();
        own.push(("oauth_version", "1.0"));
        let text = base("GET", url, None, &own);
        assert_eq!(signer(&photos()).signature(&text), Ok("tR3+Ty81lMeYAr/Fid0kMTYa/WM=".to_owned()));
    }

    #[test]
    fn a_form_body_is_signed_as_in_the_best_known_example() {
        let own = [
            ("oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
            ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1318622958"),
            ("oauth_token", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
            ("oauth_version", "1.0"),
        ];
        let settings = Oauth1 {
            consumer_secret: Some(template("kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw")),
            token_secret: Some(template("LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE")),
            ..photos()
        };
        let url = "https://api.twitter.com/1/statuses/update.json?include_entities=true";
        let form = "status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21";
        let text = base("POST", url, Some(form), &own);
        assert_eq!(signer(&settings).signature(&text), Ok("tnnArxj06cWHq44gCs1OSKk/jLY=".to_owned()));
    }

    #[test]
    fn the_header_holds_everything_and_nothing_secret_but_in_plaintext() {
        let mut wire = request("GET", "https://api.example/x", &[], None);
        let fixed = Fixed([7; 16]);
        signer(&photos()).sign(&mut wire, &moment("2026-01-01T00:00:00Z", &fixed)).unwrap();
        let text = wire.headers[AUTHORIZATION].to_str().unwrap();
        let start = "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", \
                     oauth_nonce=\"07070707070707070707070707070707\", oauth_signature_method=\"HMAC-SHA1\", \
                     oauth_timestamp=\"1767225600\", oauth_version=\"1.0\", oauth_token=\"nnch734d00sl2jdk\", \
                     oauth_signature=\"";
        assert!(text.starts_with(start) && text.ends_with("%3D\""), "{text}");
        let plain = Oauth1 { signature_method: SignatureMethod::Plaintext, token: None, realm: None, ..photos() };
        signer(&plain).sign(&mut wire, &moment("2026-01-01T00:00:00Z", &fixed)).unwrap();
        let text = wire.headers[AUTHORIZATION].to_str().unwrap();
        assert!(text.ends_with("oauth_signature=\"kd94hf93k423kf44%26pfkkdhi9sl3r4s00\""), "{text}");
        assert!(wire.headers[AUTHORIZATION].is_sensitive() && !text.contains("oauth_token="));
    }

    #[test]
    fn rsa_needs_an_rsa_key_that_can_be_read() {
        for method in [SignatureMethod::RsaSha1, SignatureMethod::RsaSha256] {
            let rsa = Oauth1 { signature_method: method, ..photos() };
            assert!(rsa.ready(&context()).is_err());
            for bad in ["hunter2", super::super::testing::EC_KEY] {
                let settings = Oauth1 { private_key: Some(template(bad)), ..rsa.clone() };
                let error = settings.ready(&context()).err().unwrap().to_string();
                assert!(error.starts_with("auth.oauth1.private_key") && !error.contains("hunter2"), "{error}");
            }
        }
    }

    #[test]
    fn an_rsa_signature_is_the_one_another_tool_makes() {
        let signed = |method| {
            let key = Some(template(super::super::testing::RSA_KEY));
            let settings = Oauth1 { signature_method: method, private_key: key, ..photos() };
            signer(&settings).signature("GET&https%3A%2F%2Fa.example%2F&x%3D1").unwrap()
        };
        assert_eq!(signed(SignatureMethod::RsaSha256), super::super::testing::RSA_SIGNATURE);
        assert_eq!(signed(SignatureMethod::RsaSha1), super::super::testing::RSA_SHA1_SIGNATURE);
    }
}
