//! `[webhook.verify]`: whom to believe. One method; that nobody is checked must be said in so many words.

use crate::config::decode::file::Finding;
use crate::config::decode::source::Sources;
use crate::config::decode::table::{Table, one_method};
use crate::config::decode::value::Value;
use crate::model::webhook::{
    Algorithm, BasicCheck, Encoding, Hmac, Key, SecretEncoding, Signed, Timestamp, TimestampFormat, TimestampFrom,
    TokenCheck, Verify,
};
use std::ops::RangeInclusive;
use std::time::Duration;

const METHODS: &[&str] = &["hmac", "token", "basic"];
const ALGORITHMS: &[(&str, Algorithm)] =
    &[("sha1", Algorithm::Sha1), ("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)];
const ENCODINGS: &[(&str, Encoding)] = &[("hex", Encoding::Hex), ("base64", Encoding::Base64)];
const SECRET_ENCODINGS: &[(&str, SecretEncoding)] =
    &[("text", SecretEncoding::Text), ("base64", SecretEncoding::Base64), ("hex", SecretEncoding::Hex)];
const FORMATS: &[(&str, TimestampFormat)] = &[
    ("epoch_s", TimestampFormat::Seconds),
    ("epoch_ms", TimestampFormat::Milliseconds),
    ("rfc3339", TimestampFormat::Rfc3339),
];
const TOLERANCES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const TOLERANCE: Duration = Duration::from_mins(5);
/// Secrets of one webhook: two while they are rotated.
const MOST_SECRETS: usize = 8;

pub(super) fn decode(webhook: &Table<'_>, sources: &Sources<'_>) -> Option<Verify> {
    let Some(value) = webhook.take("verify") else {
        let help = "say who may call: `[webhook.verify.hmac]`, `[webhook.verify.token]` or `[webhook.verify.basic]`; \
                    `verify = \"none\"` takes what anybody sends";
        webhook.missing("verify", Some(help.to_owned()));
        return None;
    };
    if value.raw_str().is_some() {
        return value.word(&[("none", ())], &[]).map(|()| Verify::None);
    }
    let family = value.table()?;
    one_method(&family, METHODS);
    let hmac = family.take("hmac").map(|value| hmac(&value.table()?, sources).map(|hmac| Verify::Hmac(Box::new(hmac))));
    let token = family.take("token").map(|value| token(&value.table()?, sources).map(Verify::Token));
    let basic = family.take("basic").map(|value| basic(&value.table()?, sources).map(Verify::Basic));
    family.finish();
    if family.is_empty() {
        let finding = Finding::error("missing-key", "`webhook.verify` names no method").key("webhook.verify");
        family.report(finding.help("write the method as a table: `[webhook.verify.hmac]`"));
    }
    hmac.or(token).or(basic).flatten()
}

fn hmac(table: &Table<'_>, sources: &Sources<'_>) -> Option<Hmac> {
    let secrets = table.need("secret").and_then(|value| value.keys(sources));
    let secret_encoding = table.given("secret_encoding", |value| value.word(SECRET_ENCODINGS, &[]));
    let header = table.take("header");
    if header.is_none() {
        let help = "name the header that carries the signature, as in `header = \"X-Hub-Signature-256\"`";
        table.missing("header", Some(help.to_owned()));
    }
    let header = header.and_then(|value| value.sent_header());
    let algorithm = table.given("algorithm", |value| value.word(ALGORITHMS, &[]));
    let encoding = table.given("encoding", |value| value.word(ENCODINGS, &[]));
    let prefix = table.given("prefix", |value| value.string().map(str::to_owned));
    let part = table.given("part", |value| value.string().map(str::to_owned));
    let timestamp = table.given("timestamp", timestamp);
    let tolerance = table.given("tolerance", |value| value.duration_in(&TOLERANCES));
    let timed = table.has("timestamp");
    let signed = table.given("signed", |value| signed(value, timed));
    table.finish();
    if let (Some(value), false) = (table.peek("tolerance"), timed) {
        let finding = Finding::error("conflicting-keys", "`tolerance` is about a `timestamp`, and there is none");
        value.report_key(finding.help("say where the timestamp is: `timestamp = { header = \"…\" }`"));
    }
    let usual =
        if timed { vec![Signed::Timestamp, Signed::Text(".".to_owned()), Signed::Body] } else { vec![Signed::Body] };
    Some(Hmac {
        secrets: secrets?,
        secret_encoding: secret_encoding.ok()?.unwrap_or_default(),
        header: header?,
        algorithm: algorithm.ok()?.unwrap_or_default(),
        encoding: encoding.ok()?.unwrap_or_default(),
        prefix: prefix.ok()?.unwrap_or_default(),
        part: part.ok()?,
        timestamp: timestamp.ok()?,
        signed: signed.ok()?.unwrap_or(usual),
        tolerance: tolerance.ok()?.unwrap_or(TOLERANCE),
    })
}

fn timestamp(value: &Value<'_>) -> Option<Timestamp> {
    let table = value.table()?;
    let header = table.given("header", |value| value.sent_header().map(TimestampFrom::Header));
    let part = table.given("part", |value| value.string().map(|name| TimestampFrom::Part(name.to_owned())));
    let format = table.given("format", |value| value.word(FORMATS, &[]));
    table.finish();
    let from = match (header.ok()?, part.ok()?) {
        (Some(from), None) | (None, Some(from)) => from,
        (both, _) => {
            let what = if both.is_some() { "two places" } else { "no place" };
            let finding = Finding::error("conflicting-keys", format!("`{}` names {what}", value.key));
            value.report_key(finding.help("write `header`, or `part` of the signature's header"));
            return None;
        }
    };
    Some(Timestamp { from, format: format.ok()?.unwrap_or_default() })
}

/// What is signed: text with `{{timestamp}}`, `{{body}}` and `{{header.<name>}}`.
fn signed(value: &Value<'_>, timed: bool) -> Option<Vec<Signed>> {
    let text = value.string()?;
    let pieces = pieces(text);
    let bad = |message: &str| {
        let help = "write for example \"{{timestamp}}.{{body}}\"; `{{header.x-request-id}}` is a header as it was sent";
        value.report(Finding::error("bad-template", message.to_owned()).help(help));
    };
    let Some(pieces) = pieces else {
        bad("this is not what a signature can be made of");
        return None;
    };
    if pieces.iter().filter(|piece| **piece == Signed::Body).count() != 1 {
        bad("`{{body}}` must be signed, once");
        return None;
    }
    if pieces.contains(&Signed::Timestamp) != timed {
        bad(if timed {
            "a `timestamp` that is not signed proves nothing"
        } else {
            "there is no `timestamp` to be signed"
        });
        return None;
    }
    Some(pieces)
}

fn pieces(text: &str) -> Option<Vec<Signed>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}")?;
        pieces.extend((!before.is_empty()).then(|| Signed::Text(before.to_owned())));
        pieces.push(match name.trim() {
            "timestamp" => Signed::Timestamp,
            "body" => Signed::Body,
            name => {
                let header = name.strip_prefix("header.").filter(|header| !header.is_empty())?;
                let plain = header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
                plain.then(|| Signed::Header(header.to_ascii_lowercase()))?
            }
        });
        rest = behind;
    }
    pieces.extend((!rest.is_empty()).then(|| Signed::Text(rest.to_owned())));
    Some(pieces)
}

fn token(table: &Table<'_>, sources: &Sources<'_>) -> Option<TokenCheck> {
    let tokens = table.need("token").and_then(|value| value.keys(sources));
    let in_query = table.given("location", |value| value.word(&[("header", false), ("query", true)], &[]));
    let place = in_query.unwrap_or_default().unwrap_or_default();
    let name = table.given("name", |value| if place { value.string().map(str::to_owned) } else { value.sent_header() });
    if let Some(value) = table.peek("scheme").filter(|_| place) {
        let finding = Finding::error("conflicting-keys", "`scheme` stands before a token in a header only");
        value.report_key(finding.help("remove it, or set `location = \"header\"`"));
    }
    let scheme = table.given("scheme", |value| value.string().map(str::to_owned));
    table.finish();
    let usual = if place { "api_key" } else { "authorization" };
    Some(TokenCheck {
        tokens: tokens?,
        in_query: in_query.ok()?.unwrap_or_default(),
        name: name.ok()?.unwrap_or_else(|| usual.to_owned()),
        scheme: scheme.ok()?.unwrap_or_else(|| "Bearer".to_owned()),
    })
}

fn basic(table: &Table<'_>, sources: &Sources<'_>) -> Option<BasicCheck> {
    let username = table.need("username").and_then(|value| value.string().map(str::to_owned));
    let password = table.need("password").and_then(|value| value.secret(sources));
    table.finish();
    Some(BasicCheck { username: username?, password: password? })
}

impl Value<'_> {
    /// A secret, or a list of those that hold at one time.
    fn keys(&self, sources: &Sources<'_>) -> Option<Vec<Key>> {
        let given = self.one_or_many();
        if given.is_empty() || given.len() > MOST_SECRETS {
            let message = format!("`{}` takes 1 to {MOST_SECRETS} secrets", self.key);
            self.report(Finding::error("out-of-range", message));
            return None;
        }
        given.iter().map(|value| value.secret(sources)).collect::<Vec<_>>().into_iter().collect()
    }
}
