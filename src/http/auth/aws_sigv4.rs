//! `[auth.aws_sigv4]`: AWS Signature Version 4 over exactly what is sent, body included.

use super::crypto::{Hash, hex, mac, percent};
use super::{Moment, render, sensitive};
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::template::Template;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use ring::hmac::HMAC_SHA256;
use std::collections::BTreeMap;
use url::Url;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Headers that proxies and clients change on the way.
const UNSIGNED: [&str; 6] =
    ["authorization", "user-agent", "accept-encoding", "expect", "x-amzn-trace-id", "transfer-encoding"];

/// `[auth.aws_sigv4]`: texts over `connection`.
#[derive(Debug, Clone)]
pub struct AwsSigv4 {
    /// The id of the key, sent along.
    pub access_key: Template,
    /// Never sent.
    pub secret_key: Template,
    /// For temporary credentials, sent along.
    pub session_token: Option<Template>,
    /// Template over the connection.
    pub region: Template,
    /// Template over the connection.
    pub service: Template,
}

/// The key, ready to sign.
pub(super) struct AwsSigner {
    access_key: String,
    secret_key: Secret,
    session_token: Option<Secret>,
    region: String,
    service: String,
}

impl AwsSigv4 {
    pub(super) fn ready(&self, ctx: &Context<'_>) -> Result<(AwsSigner, Vec<Secret>), EvalError> {
        let word = |template: &Template, name: &str| {
            let place = format!("auth.aws_sigv4.{name}");
            let text = render(template, ctx, &place)?;
            let fine = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"/,=".contains(&b));
            let refused = || EvalError::Refused(format!("{place}: is empty or holds `/`, `,`, `=` or blanks"));
            fine.then_some(text).ok_or_else(refused)
        };
        let session_token = self
            .session_token
            .as_ref()
            .map(|token| render(token, ctx, "auth.aws_sigv4.session_token"))
            .transpose()?
            .filter(|token| !token.is_empty());
        if let Some(token) = &session_token {
            sensitive(token, "auth.aws_sigv4.session_token")?;
        }
        let secret_key = Secret::new(render(&self.secret_key, ctx, "auth.aws_sigv4.secret_key")?);
        let access_key = word(&self.access_key, "access_key")?;
        let session_token = session_token.map(Secret::new);
        let secrets =
            [secret_key.clone(), Secret::new(access_key.as_str())].into_iter().chain(session_token.clone()).collect();
        let (region, service) = (word(&self.region, "region")?, word(&self.service, "service")?);
        Ok((AwsSigner { access_key, secret_key, session_token, region, service }, secrets))
    }
}

impl AwsSigner {
    /// Adds date, token and signature.
    pub(super) fn sign(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Vec<Secret>, String> {
        let stamp = moment.utc.format("%Y%m%dT%H%M%SZ").to_string();
        let day = &stamp[..8];
        let refused = |error: EvalError| error.to_string();
        let hashed = Hash::Sha256.hex(&[request.body.as_deref().unwrap_or_default()]);
        request.headers.insert("x-amz-date", sensitive(&stamp, "auth.aws_sigv4").map_err(refused)?);
        if let Some(token) = &self.session_token {
            let value = sensitive(token.reveal(), "auth.aws_sigv4.session_token").map_err(refused)?;
            request.headers.insert("x-amz-security-token", value);
        }
        if self.is_s3() {
            request.headers.insert("x-amz-content-sha256", sensitive(&hashed, "auth.aws_sigv4").map_err(refused)?);
        }
        let (canonical, names) = self.canonical(request, &hashed);
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", Hash::Sha256.hex(&[canonical.as_bytes()]));
        let signature = hex(&mac(HMAC_SHA256, &self.key(day), text.as_bytes()));
        let value =
            format!("{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", self.access_key);
        request.headers.insert(AUTHORIZATION, sensitive(&value, "auth.aws_sigv4").map_err(refused)?);
        Ok(vec![Secret::new(value), Secret::new(signature)])
    }

    /// The key of one day, region and service.
    fn key(&self, day: &str) -> Vec<u8> {
        let first = format!("AWS4{}", self.secret_key.reveal()).into_bytes();
        [day, &self.region, &self.service, "aws4_request"]
            .iter()
            .fold(first, |key, part| mac(HMAC_SHA256, &key, part.as_bytes()))
    }

    /// S3 takes paths as they are, signs the body's hash as a header, and is alone in both.
    fn is_s3(&self) -> bool {
        matches!(self.service.as_str(), "s3" | "s3-outposts" | "s3-object-lambda" | "s3express")
    }

    /// The canonical request, and the names of the headers in it.
    fn canonical(&self, request: &WireRequest, body_hash: &str) -> (String, String) {
        let headers = signed_headers(&request.url, &request.headers);
        let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
        let lines = headers.iter().fold(String::new(), |lines, (name, value)| lines + name + ":" + value + "\n");
        let path = self.path(&request.url);
        let (method, query) = (request.method.name(), query(&request.url));
        (format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body_hash}"), names)
    }

    /// Every service but S3 wants dots resolved (URLs have done that), slashes merged, and the encoded path encoded
    /// once more.
    fn path(&self, url: &Url) -> String {
        if self.is_s3() {
            return url.path().split('/').map(once_encoded).collect::<Vec<_>>().join("/");
        }
        let segments: Vec<String> =
            url.path().split('/').filter(|s| !s.is_empty()).map(|s| percent(once_encoded(s))).collect();
        let end = if url.path().ends_with('/') && !segments.is_empty() { "/" } else { "" };
        format!("/{}{end}", segments.join("/"))
    }
}

/// A piece of a URL in the one spelling both sides agree on.
fn once_encoded(piece: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(piece).collect();
    bytes
        .iter()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(b) => char::from(*b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// Parameters sorted by encoded name, then value.
fn query(url: &Url) -> String {
    let pieces = url.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
    let mut pairs: Vec<(String, String)> = pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (once_encoded(&name.replace('+', "%20")), once_encoded(&value.replace('+', "%20")))
        })
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Names sorted, runs of blanks folded, several of a name joined in their order.
fn signed_headers(url: &Url, headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    };
    let one = |name: &HeaderName| headers.get_all(name).iter().map(text).collect::<Vec<_>>().join(",");
    let mut signed: BTreeMap<String, String> = headers
        .keys()
        .filter(|name| !UNSIGNED.contains(&name.as_str()))
        .map(|name| (name.as_str().to_owned(), one(name)))
        .collect();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    signed.insert("host".to_owned(), format!("{}{port}", url.host_str().unwrap_or_default()));
    signed
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixed, context, moment, request, template};
    use super::*;

    /// Method, target, headers; names signed and signature.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

    /// The credentials of the published test suite.
    fn suite() -> AwsSigv4 {
        AwsSigv4 {
            access_key: template("AKIDEXAMPLE"),
            secret_key: template("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            region: template("us-east-1"),
            service: template("service"),
        }
    }

    fn signed(settings: &AwsSigv4, mut wire: WireRequest) -> (HeaderMap, String) {
        let (signer, _) = settings.ready(&context()).unwrap();
        signer.sign(&mut wire, &moment("2015-08-30T12:36:00Z", &Fixed([0; 16]))).unwrap();
        assert!(wire.headers[AUTHORIZATION].is_sensitive());
        let text = wire.headers[AUTHORIZATION].to_str().unwrap().to_owned();
        (wire.headers, text)
    }

    #[test]
    fn the_published_suite_comes_out() {
        let cases: &[Case<'_>] = &[
            ("GET", "/", &[], "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "GET",
                "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                &[],
                "host;x-amz-date",
                "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            ),
            ("POST", "/", &[], "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "GET",
                "/",
                &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
                "host;my-header1;my-header2;x-amz-date",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "POST",
                "/",
                &[("my-header1", "VALUE1")],
                "host;my-header1;x-amz-date",
                "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            ),
        ];
        for (method, target, headers, names, signature) in cases {
            let url = format!("https://example.amazonaws.com{target}");
            let (_, text) = signed(&suite(), request(method, &url, headers, None));
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={names}, Signature={signature}"
            );
            assert_eq!(text, expected, "{method} {target}");
        }
    }
    fn signature(settings: &AwsSigv4, wire: WireRequest) -> String {
        signed(settings, wire).1.split_once("SignedHeaders=").unwrap().1.to_owned()
    }

    /// What botocore 1.44 makes of the same requests.
    #[test]
    fn another_signer_agrees_on_paths_queries_bodies_ports_and_tokens() {
        let base = "https://example.amazonaws.com";
        for (target, expected) in [
            ("/%E1%88%B4", "697b34846207a3f72246f99d74ae1ee4fe54f44bb06730c58a0d339eb079596d"),
            ("/example%20space/", "446b817944c553435b35e813c261ff4e161fff982d1bacdef1c87f6785dd1662"),
            (":8443/a%2Fb/c?q=a%20b&q=a&x", "c4dacc10b4622ef29e32904e504c14ad21118a13b30be66fb6ef2c2101165316"),
        ] {
            let found = signature(&suite(), request("GET", &format!("{base}{target}"), &[], None));
            assert_eq!(found, format!("host;x-amz-date, Signature={expected}"), "{target}");
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = request("POST", base, &form, Some("Param1=value1"));
        let expected = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        assert_eq!(signature(&suite(), body), format!("content-type;host;x-amz-date, Signature={expected}"));
        let s3 = AwsSigv4 { service: template("s3"), ..suite() };
        let expected = "78da563ae843e136ade90ca6a7452564006be1637a7ff226c9853b1752aefef0";
        assert_eq!(
            signature(&s3, request("GET", &format!("{base}/a//b/c%20d?list-type=2"), &[], None)),
            format!("host;x-amz-content-sha256;x-amz-date, Signature={expected}")
        );
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeo\
                     IYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5V\
                     SXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yj\
                     c8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let temporary = AwsSigv4 { session_token: Some(template(token)), ..suite() };
        let expected = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        assert_eq!(
            signature(&temporary, request("POST", base, &[], None)),
            format!("host;x-amz-date;x-amz-security-token, Signature={expected}")
        );
    }

    #[test]
    fn what_cannot_be_a_scope_is_refused_by_its_key() {
        for (bad, key) in [
            (AwsSigv4 { region: template("eu/west"), ..suite() }, "auth.aws_sigv4.region"),
            (AwsSigv4 { service: template(""), ..suite() }, "auth.aws_sigv4.service"),
            (AwsSigv4 { access_key: template("a\r\nb"), ..suite() }, "auth.aws_sigv4.access_key"),
            (AwsSigv4 { session_token: Some(template("a\nb")), ..suite() }, "auth.aws_sigv4.session_token"),
        ] {
            let error = bad.ready(&context()).err().unwrap().to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }
}
