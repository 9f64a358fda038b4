//! What is planted: a secret in every way to authenticate, and every form it would be found in.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Password, token, key: long, unique, and different in every encoding.
pub(super) const CANARY: &str = "cAn4ry/Q7+zz&9\"Kx=é~7Jd";
/// Where only letters and digits may stand.
pub(super) const ACCESS: &str = "ACCESSkeyCanary77Zq";
/// Made by the servers.
pub(super) const ISSUED: &str = "iSsU3d.t0ken-Wq81xY5";
pub(super) const ROTATED: &str = "r0tAted.refr3sh-Pk62vB9";

pub(super) const RSA: &str = include_str!("../../../src/http/auth/testing/rsa.pem");
pub(super) const CURVE: &str = include_str!("../../../src/http/auth/testing/p256.pem");

pub(super) const PASSWORD: &str = "password = { env = \"CANARY\" }";

/// Method, case, and the tables of the connection.
pub(super) type Case = (&'static str, &'static str, String);

pub(super) fn cases() -> Vec<Case> {
    [Half::First, Half::Second].into_iter().flat_map(Half::cases).collect()
}

pub(super) fn named(method: &str) -> String {
    format!("[auth.{method}]\nusername = \"me\"\n{PASSWORD}\n")
}

/// What is sent as it is, or asked for first.
pub(super) fn sent() -> Vec<Case> {
    let token = |keys: &str| format!("[auth.token]\ntoken = {{ env = \"CANARY\" }}\n{keys}\n");
    let oauth2 = |place: &str| {
        format!(
            "[auth.oauth2]\ngrant = \"client_credentials\"\ntoken_uri = \"/token\"\nclient_id = \"app\"\n\
             client_secret = {{ env = \"CANARY\" }}\ncredentials_in = \"{place}\"\n"
        )
    };
    vec![
        ("basic", "basic", named("basic")),
        ("token", "token-header", token("")),
        ("token", "token-bare", token("name = \"X-Key\"\nscheme = \"\"")),
        ("token", "token-query", token("location = \"query\"")),
        (
            "token",
            "token-refresh",
            "[auth.token.refresh]\nrelative_uri = \"/token\"\nbody = { rt = \"{{auth.refresh_token}}\" }\n\
             refresh_token = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
        ("oauth2", "oauth2-header", oauth2("header")),
        ("oauth2", "oauth2-body", oauth2("body")),
        (
            "oauth2",
            "oauth2-password",
            oauth2("body").replace("client_credentials", "password") + &format!("username = \"me\"\n{PASSWORD}\n"),
        ),
        (
            "oauth2",
            "oauth2-grant",
            oauth2("header").replace("client_credentials", "refresh_token") + "refresh_token = { env = \"CANARY\" }\n",
        ),
        (
            "cookie",
            "cookie",
            "[auth.cookie.login]\nrelative_uri = \"/login\"\nbody = { user = \"me\", password = \"{{connection.secrets.key}}\" }\n\
             [secrets]\nkey = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
    ]
}

/// What is made anew for each request.
pub(super) fn made() -> Vec<Case> {
    let oauth1 = |method: &str| {
        format!(
            "[auth.oauth1]\nconsumer_key = \"app\"\nconsumer_secret = {{ env = \"CANARY\" }}\ntoken = {{ env = \"CANARY\" }}\n\
             token_secret = {{ env = \"CANARY\" }}\nsignature_method = \"{method}\"\n"
        )
    };
    vec![
        ("digest", "digest", named("digest")),
        ("wsse", "wsse", named("wsse")),
        (
            "jwt",
            "jwt-secret",
            "[auth.jwt]\nalgorithm = \"HS256\"\nkey = { env = \"CANARY\" }\nclaims = { note = \"{{connection.secrets.key}}\" }\n\
             [secrets]\nkey = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
        (
            "jwt",
            "jwt-assertion",
            "[auth.jwt]\nalgorithm = \"HS256\"\nkey = { env = \"CANARY\" }\nas = \"assertion\"\n\
             [auth.jwt.refresh]\nrelative_uri = \"/token\"\n"
                .to_owned(),
        ),
        ("jwt", "jwt-rs", "[auth.jwt]\nalgorithm = \"RS256\"\nkey = { file = \"key.pem\" }\n".to_owned()),
        ("jwt", "jwt-ps", "[auth.jwt]\nalgorithm = \"PS256\"\nkey = { file = \"key.pem\" }\n".to_owned()),
        ("jwt", "jwt-es", "[auth.jwt]\nalgorithm = \"ES256\"\nkey = { file = \"curve.pem\" }\n".to_owned()),
        (
            "aws_sigv4",
            "aws-sigv4",
            "[auth.aws_sigv4]\naccess_key = { env = \"ACCESS\" }\nsecret_key = { env = \"CANARY\" }\n\
             session_token = { env = \"CANARY\" }\nregion = \"eu\"\nservice = \"s3\"\n"
                .to_owned(),
        ),
        ("oauth1", "oauth1-hmac", oauth1("HMAC-SHA1")),
        ("oauth1", "oauth1-plain", oauth1("PLAINTEXT")),
        (
            "oauth1",
            "oauth1-rsa",
            "[auth.oauth1]\nconsumer_key = \"app\"\ntoken = { env = \"CANARY\" }\nprivate_key = { file = \"key.pem\" }\n\
             signature_method = \"RSA-SHA256\"\n"
                .to_owned(),
        ),
        (
            "custom",
            "custom",
            "headers = { X-Key = \"k {{substring connection.secrets.key 0 11}}\" }\n\
             query = { cut = \"{{substring connection.secrets.key 11 23}}\" }\n\
             [auth.custom]\nheaders = { X-One = \"k {{connection.secrets.key}}\" }\nquery = { q = \"{{connection.secrets.key}}\" }\n\
             [secrets]\nkey = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
        (
            "custom",
            "custom-body",
            "[auth.custom]\nbody = { auth = { key = \"{{connection.secrets.key}}\" } }\n[secrets]\nkey = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
        (
            "custom",
            "custom-refresh",
            "[auth.custom]\nheaders = { X-One = \"{{auth.token}}\" }\n[auth.custom.refresh]\nrelative_uri = \"/token\"\n\
             body = { k = \"{{connection.secrets.key}}\" }\n[secrets]\nkey = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
    ]
}

/// Everything that must not show, by name.
pub(super) fn planted() -> Vec<(&'static str, String)> {
    let mut secrets: Vec<(&str, String)> =
        [("canary", CANARY), ("access", ACCESS), ("issued", ISSUED), ("rotated", ROTATED)]
            .map(|(name, text)| (name, text.to_owned()))
            .into();
    for (name, pem) in [("key", RSA), ("curve", CURVE)] {
        secrets.extend(pem.lines().filter(|line| line.len() == 64).take(2).map(|line| (name, line.to_owned())));
    }
    secrets
}

/// A secret, raw and in every encoding it could travel in.
pub(super) fn forms(secret: &str) -> BTreeSet<String> {
    let hex: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let json = serde_json::to_string(secret).unwrap();
    let xml = escaped_for_xml(secret);
    let mut forms = vec![
        xml.replace('&', "&amp;"),
        xml.replace("&quot;", "&#34;"),
        xml,
        secret.chars().map(|c| format!("&#{};", u32::from(c))).collect::<Vec<_>>().concat(),
        secret.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect::<Vec<_>>().concat(),
        secret.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<Vec<_>>().concat(),
        json.trim_matches('"').replace('/', "\\/"),
        utf8_percent_encode(&percent, NON_ALPHANUMERIC).to_string(),
        secret.chars().rev().collect(),
        secret.to_owned(),
        secret.to_uppercase(),
        secret.to_lowercase(),
        json.trim_matches('"').to_owned(),
        percent.to_lowercase(),
        percent,
        hex.concat().to_uppercase(),
        hex.concat(),
    ];
    for engine in [STANDARD, URL_SAFE] {
        // With no, one or two bytes before it, less the edges that depend on neighbours.
        for pad in ["", "x", "xx"] {
            let encoded = engine.encode(format!("{pad}{secret}"));
            let inner = encoded.trim_end_matches('=');
            forms.push(inner[4..inner.len() - 4].to_owned());
        }
    }
    forms.into_iter().collect()
}

pub(super) fn escaped_for_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// All that is looked for, in one pass: the texts are long, and the forms are many.
pub(super) static SOUGHT: LazyLock<Regex> = LazyLock::new(|| {
    let mut sought = BTreeSet::new();
    for (_, secret) in planted() {
        let half = secret.chars().count() / 2;
        sought.extend(forms(&secret));
        sought.insert(secret.chars().take(half).collect());
        sought.insert(secret.chars().skip(half).collect());
    }
    let sought: Vec<String> = sought.iter().map(|form| regex::escape(form)).collect();
    Regex::new(&sought.join("|")).unwrap()
});

#[track_caller]
pub(super) fn expect_nothing_in(text: &str, place: &str) {
    if let Some(found) = SOUGHT.find(text) {
        panic!("{place}: a secret shows as `{}` in:\n{text}", found.as_str());
    }
}

/// Every text is searched for the secrets of every connection: two projects cost half of what one would.
#[derive(Clone, Copy)]
pub(super) enum Half {
    First,
    Second,
}

impl Half {
    pub(super) fn cases(self) -> Vec<Case> {
        match self {
            Self::First => sent(),
            Self::Second => made(),
        }
    }
}
