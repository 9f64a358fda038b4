//! The methods of `[auth.<method>]` that sign each request: `digest`, `wsse`, `jwt`, `aws_sigv4`, `oauth1`.

use super::rendered::lacking;
use super::{Secrets, errand};
use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::source::Sources;
use crate::config::decode::table::{Reported, Table};
use crate::config::decode::value::Value;
use crate::http::auth::{
    Auth, AwsSigv4, Digest, DigestEncoding, Jwt, JwtAlgorithm, NonceEncoding, Oauth1, SignatureMethod, Wsse, WsseDigest,
};
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::template::{Place, Template};
use crate::value::tree::Tree;
use std::time::Duration;

/// Methods decoded here.
pub(super) const METHODS: [&str; 5] = ["digest", "wsse", "jwt", "aws_sigv4", "oauth1"];

/// Longest life of a token that is made here: what holds longer is a password.
const LONGEST_TTL: Duration = Duration::from_hours(24);

/// Where the texts of a method come from.
pub(super) struct Origin<'s, 'a> {
    pub(super) scope: &'s Scope<'a>,
    pub(super) sources: &'s Sources<'a>,
    pub(super) secrets: &'s mut Secrets,
}

impl Origin<'_, '_> {
    /// A text that is no secret, though it may come from a source.
    fn text(&mut self, table: &Table<'_>, name: &'static str) -> Option<Template> {
        table.take(name).and_then(|value| {
            if value.is_table() {
                value.credential(self.scope, self.sources, self.secrets)
            } else {
                value.text(Place::Plain, self.scope)
            }
        })
    }

    fn need_text(&mut self, table: &Table<'_>, name: &'static str) -> Option<Template> {
        if !table.has(name) {
            table.need(name);
            return None;
        }
        self.text(table, name)
    }

    fn need_secret(&mut self, table: &Table<'_>, name: &'static str) -> Option<Template> {
        table.need(name)?.credential(self.scope, self.sources, self.secrets)
    }

    /// Says what is wrong with a key that signs. One whose texts have no value yet is judged when they have.
    fn judge_key<'k>(
        &self,
        table: &Table<'_>,
        name: &'static str,
        texts: impl IntoIterator<Item = Option<&'k Template>>,
        check: impl FnOnce(&Context<'_>) -> Result<(), EvalError>,
    ) {
        if texts.into_iter().flatten().any(|text| lacking(text, self.secrets).is_some()) {
            return;
        }
        let secrets = self.secrets.iter().filter_map(|(name, secret)| Some((name.as_str(), secret.as_ref().ok()?)));
        let secrets: Vec<(&str, Slot<'_>)> =
            secrets.map(|(name, secret)| (name, Slot::Text(secret.reveal()))).collect();
        let judged = self.scope.with_constants(|ctx| {
            let vars = match ctx.get(Root::Connection) {
                Slot::Map(parts) => parts.first().map_or(Slot::None, |(_, vars)| *vars),
                _ => Slot::None,
            };
            let connection = [("vars", vars), ("secrets", Slot::Map(&secrets))];
            check(&ctx.with(Root::Connection, Slot::Map(&connection)))
        });
        let Err(error) = judged else { return };
        let (at, code, help) = match table.peek("passphrase") {
            Some(value) if error.to_string().contains("passphrase") => {
                (Some(value), "wrong-passphrase", "correct what its source gives, or give the key that it opens")
            }
            _ => (table.peek(name), "bad-key", "give a private key in PEM that fits the method"),
        };
        if !error.is_missing()
            && let Some(value) = at
        {
            value.report(Finding::error(code, error.to_string()).help(help));
        }
    }

    fn secret(&mut self, table: &Table<'_>, name: &'static str) -> Result<Option<Template>, Reported> {
        table.given(name, |value| value.credential(self.scope, self.sources, self.secrets))
    }
}

/// The method in this family, none when it is none of these.
pub(super) fn decode(family: &Table<'_>, origin: &mut Origin<'_, '_>) -> Result<Option<Auth>, Reported> {
    type Read = fn(&Table<'_>, &mut Origin<'_, '_>) -> Option<Auth>;
    let methods: [(&'static str, Read); 5] =
        [("digest", digest), ("wsse", wsse), ("jwt", jwt), ("aws_sigv4", aws_sigv4), ("oauth1", oauth1)];
    let mut found = Ok(None);
    for (name, read) in methods {
        let auth = family.given(name, |value| {
            let table = value.table()?;
            let auth = read(&table, origin);
            table.finish();
            auth
        });
        found = match (found, auth) {
            (Ok(None), auth) => auth,
            (first, _) => first,
        };
    }
    found
}

fn digest(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    let username = origin.need_text(table, "username");
    let password = origin.need_secret(table, "password");
    Some(Auth::Digest(Digest { username: username?, password: password? }))
}

fn wsse(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    const DIGESTS: &[(&str, WsseDigest)] = &[("sha1", WsseDigest::Sha1), ("sha256", WsseDigest::Sha256)];
    const NONCES: &[(&str, NonceEncoding)] = &[("base64", NonceEncoding::Base64), ("hex", NonceEncoding::Hex)];
    const ENCODINGS: &[(&str, DigestEncoding)] =
        &[("base64", DigestEncoding::Base64), ("hex_base64", DigestEncoding::HexBase64)];
    let username = origin.need_text(table, "username");
    let password = origin.need_secret(table, "password");
    let header = table.given("header", Value::header_name);
    let digest = table.given("digest", |value| value.word(DIGESTS, &[]));
    let nonce = table.given("nonce_encoding", |value| value.word(NONCES, &[]));
    let encoding = table.given("digest_encoding", |value| value.word(ENCODINGS, &[]));
    Some(Auth::Wsse(Wsse {
        username: username?,
        password: password?,
        header: header.ok()?.unwrap_or_else(|| "X-WSSE".to_owned()),
        digest: digest.ok()?.unwrap_or_default(),
        nonce_encoding: nonce.ok()?.unwrap_or_default(),
        digest_encoding: encoding.ok()?.unwrap_or_default(),
    }))
}

fn jwt(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    let algorithm = table.need("algorithm").and_then(|value| value.word(JwtAlgorithm::WORDS, &[]));
    let key = origin.need_secret(table, "key");
    let passphrase = origin.secret(table, "passphrase");
    let claims = table.given("claims", |value| object(value, origin.scope));
    let headers = table.given("headers", |value| object(value, origin.scope));
    let ttl = table.take("ttl");
    let life = ttl.as_ref().map(|_| table.positive_duration("ttl"));
    if let (Some(value), Some(Some(life))) = (&ttl, life)
        && life > LONGEST_TTL
    {
        let finding = Finding::error("out-of-range", "`auth.jwt.ttl` is longer than a day");
        value.report(finding.help("servers take minutes; a token is made anew before it runs out"));
    }
    let sent = table.given("as", |value| value.word(&[("bearer", false), ("assertion", true)], &[]));
    let refresh = table.given("refresh", |value| errand::refresh(value, origin));
    match (&sent, table.peek("refresh")) {
        (Ok(Some(true)), None) => {
            table.missing("refresh", Some("an assertion is traded for a token: say where".to_owned()));
        }
        (Ok(Some(false) | None), Some(value)) => {
            let finding =
                Finding::error("conflicting-keys", "a bearer token is made anew, there is nothing to refresh");
            value.report_key(finding.help("set `as = \"assertion\"` to trade it for a token, or remove `refresh`"));
        }
        _ => {}
    }
    let ttl = life.unwrap_or(Some(Duration::from_mins(5)));
    let traded = sent.ok()?.unwrap_or(false);
    let jwt = Jwt {
        algorithm: algorithm?,
        key: key?,
        passphrase: passphrase.ok()?,
        claims: claims.ok()?,
        headers: headers.ok()?,
        ttl: ttl?,
        refresh: refresh.ok()?.filter(|_| traded),
    };
    origin.judge_key(table, "key", [Some(&jwt.key), jwt.passphrase.as_ref()], |ctx| jwt.check_key(ctx));
    Some(Auth::Jwt(Box::new(jwt)))
}

/// A tree that is a table.
fn object(value: &Value<'_>, scope: &Scope<'_>) -> Option<Tree> {
    if value.is_table() {
        return value.tree(scope);
    }
    value.wrong_type("a table");
    None
}

fn aws_sigv4(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    let access_key = origin.need_secret(table, "access_key");
    let secret_key = origin.need_secret(table, "secret_key");
    let session_token = origin.secret(table, "session_token");
    let region = origin.need_text(table, "region");
    let service = origin.need_text(table, "service");
    Some(Auth::AwsSigv4(AwsSigv4 {
        access_key: access_key?,
        secret_key: secret_key?,
        session_token: session_token.ok()?,
        region: region?,
        service: service?,
    }))
}

fn oauth1(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    let method = table.given("signature_method", |value| value.word(SignatureMethod::WORDS, &[]));
    let method = method.ok().map(Option::unwrap_or_default);
    let consumer_key = origin.need_text(table, "consumer_key");
    let consumer_secret = origin.secret(table, "consumer_secret");
    let private_key = origin.secret(table, "private_key");
    let passphrase = origin.secret(table, "passphrase");
    let token = origin.secret(table, "token");
    let token_secret = origin.secret(table, "token_secret");
    let realm = table.given("realm", |value| value.text(Place::Plain, origin.scope));
    match method {
        Some(method) if method.is_rsa() && !table.has("private_key") => {
            table.missing("private_key", Some("RSA signs with a key in PEM: `{ file = \"…\" }`".to_owned()));
            return None;
        }
        Some(method) if !method.is_rsa() && !table.has("consumer_secret") => {
            table.missing("consumer_secret", None);
            return None;
        }
        Some(method) if !method.is_rsa() => {
            if let Some(value) = table.peek("private_key") {
                let finding = Finding::error("conflicting-keys", "`private_key` is for RSA methods only");
                value.report_key(finding.help("remove it, or set `signature_method = \"RSA-SHA256\"`"));
            }
        }
        _ => {}
    }
    let oauth1 = Oauth1 {
        consumer_key: consumer_key?,
        consumer_secret: consumer_secret.ok()?,
        token: token.ok()?,
        token_secret: token_secret.ok()?,
        signature_method: method?,
        realm: realm.ok()?,
        private_key: private_key.ok()?,
        passphrase: passphrase.ok()?,
    };
    let Oauth1 { consumer_key, consumer_secret, token, token_secret, realm, private_key, passphrase, .. } = &oauth1;
    let optional = [consumer_secret, token, token_secret, realm, private_key, passphrase].map(Option::as_ref);
    if private_key.is_some() {
        let texts = optional.into_iter().chain([Some(consumer_key)]);
        origin.judge_key(table, "private_key", texts, |ctx| oauth1.check_key(ctx));
    }
    Some(Auth::Oauth1(oauth1))
}
