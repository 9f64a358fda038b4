//! `[auth.aws_sigv4]`: AWS Signature Version 4 over exactly what is sent, body included.

use super::{Moment, render, sensitive};
use crate::http::headers;
use crate::http::transport::WireRequest;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use crate::value::sigv4::{self, Key, Signed};
use crate::value::template::Template;
use reqwest::header::AUTHORIZATION;

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
            let fine = sigv4::is_word(&text);
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

impl AwsSigv4 {
    /// The headers it adds to a request.
    pub(super) fn headers(&self, ctx: &Context<'_>) -> Vec<&'static str> {
        let mut names = vec!["x-amz-date", "authorization"];
        if let Ok((signer, _)) = self.ready(ctx) {
            names.extend(signer.session_token.as_ref().map(|_| "x-amz-security-token"));
            names.extend(sigv4::is_s3(&signer.service).then_some("x-amz-content-sha256"));
        }
        names
    }
}

impl AwsSigner {
    /// Adds date, token and signature.
    pub(super) fn sign(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Vec<Secret>, String> {
        let stamp = moment.utc.format(sigv4::STAMP).to_string();
        let refused = |error: EvalError| error.to_string();
        let hashed = sigv4::hash(request.body.as_deref().unwrap_or_default());
        request.headers.insert("x-amz-date", sensitive(&stamp, "auth.aws_sigv4").map_err(refused)?);
        if let Some(token) = &self.session_token {
            let value = sensitive(token.reveal(), "auth.aws_sigv4.session_token").map_err(refused)?;
            request.headers.insert("x-amz-security-token", value);
        }
        if sigv4::is_s3(&self.service) {
            request.headers.insert("x-amz-content-sha256", sensitive(&hashed, "auth.aws_sigv4").map_err(refused)?);
        }
        let key = Key {
            access_key: &self.access_key,
            secret_key: self.secret_key.reveal(),
            region: &self.region,
            service: &self.service,
        };
        let signature = key.sign(&Signed {
            method: request.method.name(),
            url: &request.url,
            headers: &headers::pairs(&request.headers),
            body: &hashed,
            stamp: &stamp,
        });
        request.headers.insert(AUTHORIZATION, sensitive(&signature.header, "auth.aws_sigv4").map_err(refused)?);
        Ok(vec![Secret::new(signature.header), Secret::new(signature.alone)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixed, context, moment, request, template};
    use super::*;
    use reqwest::header::HeaderMap;

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
