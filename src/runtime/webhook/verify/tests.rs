//! The signatures that services publish, and what must not pass for one.

use super::*;
use crate::model::webhook::Timestamp;
use crate::value::secret::Secret;
use reqwest::header::{HeaderName, HeaderValue};
use std::time::Duration;

#[expect(clippy::unnecessary_wraps, reason = "a key as settings hold it, found")]
fn key(text: &str) -> Key {
    Ok(Secret::new(text))
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn judged(check: &Verify, pairs: &[(&str, &str)], body: &str, now: i64) -> Result<Option<Vec<u8>>, Unverified> {
    verify(check, Call { headers: &headers(pairs), query: None, body: body.as_bytes(), now: at(now) })
}

/// GitHub's form.
fn github(secret: &str) -> Hmac {
    Hmac {
        secrets: vec![key(secret)],
        secret_encoding: SecretEncoding::Text,
        header: "x-hub-signature-256".to_owned(),
        algorithm: Algorithm::Sha256,
        encoding: Encoding::Hex,
        prefix: "sha256=".to_owned(),
        part: None,
        timestamp: None,
        signed: vec![Signed::Body],
        tolerance: Duration::from_mins(5),
    }
}

fn by(hmac: Hmac) -> Verify {
    Verify::Hmac(Box::new(hmac))
}

const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

#[test]
fn the_example_of_githubs_documentation_passes() {
    let check = by(github("It's a Secret to Everybody"));
    assert_eq!(judged(&check, &[("X-Hub-Signature-256", GITHUB)], "Hello, World!", 0), Ok(None));
}

#[test]
fn nothing_near_a_signature_passes_for_one() {
    let check = by(github("It's a Secret to Everybody"));
    let name = "x-hub-signature-256";
    let bare = GITHUB.trim_start_matches("sha256=");
    let long = format!("{GITHUB}00");
    for (pairs, body) in [
        (&[][..], "Hello, World!"),
        (&[(name, "")], "Hello, World!"),
        (&[(name, "sha256=")], "Hello, World!"),
        (&[(name, bare)], "Hello, World!"),
        (&[(name, &GITHUB[..GITHUB.len() - 2])], "Hello, World!"),
        (&[(name, &long)], "Hello, World!"),
        (&[(name, "sha1=757107ea0eb2509fc211221cce984b8a37570b6d")], "Hello, World!"),
        (&[(name, GITHUB), (name, GITHUB)], "Hello, World!"),
        (&[(name, GITHUB)], "Hello, World! "),
        (&[(name, GITHUB)], "Hello, World"),
        (&[(name, GITHUB)], ""),
    ] {
        assert!(matches!(judged(&check, pairs, body, 0), Err(Refused(_))), "{pairs:?} {body:?}");
    }
    let check = by(github("another secret"));
    assert_eq!(judged(&check, &[(name, GITHUB)], "Hello, World!", 0), Err(Refused("the signature does not match")));
}

const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

#[test]
fn the_example_of_slacks_documentation_passes_and_not_when_it_is_old() {
    let check = by(Hmac {
        header: "x-slack-signature".to_owned(),
        prefix: "v0=".to_owned(),
        timestamp: Some(Timestamp {
            from: TimestampFrom::Header("x-slack-request-timestamp".to_owned()),
            format: TimestampFormat::Seconds,
        }),
        signed: vec![Signed::Text("v0:".to_owned()), Signed::Timestamp, Signed::Text(":".to_owned()), Signed::Body],
        ..github("8f742231b10e8888abcd99yyyzzz85a5")
    });
    let pairs = [
        ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ("X-Slack-Request-Timestamp", "1531420618"),
    ];
    for now in [1_531_420_618, 1_531_420_618 - 300, 1_531_420_618 + 300] {
        assert!(judged(&check, &pairs, SLACK_BODY, now).is_ok_and(|proof| proof.is_some()), "{now}");
    }
    for now in [1_531_420_618 - 301, 1_531_420_618 + 301, 0] {
        assert_eq!(judged(&check, &pairs, SLACK_BODY, now), Err(Refused("the timestamp is too far from now")));
    }
    let moved = [pairs[0], ("X-Slack-Request-Timestamp", "1531420619")];
    assert_eq!(judged(&check, &moved, SLACK_BODY, 1_531_420_619), Err(Refused("the signature does not match")));
    for bad in ["NaN", "", "1e9", "99999999999999999999"] {
        let pairs = [pairs[0], ("X-Slack-Request-Timestamp", bad)];
        assert!(judged(&check, &pairs, SLACK_BODY, 1_531_420_618).is_err(), "{bad}");
    }
    assert_eq!(judged(&check, &pairs[..1], SLACK_BODY, 1_531_420_618), Err(Refused("no timestamp")));
}

/// Stripe's form. Its documentation shows the header; the signature was made by Python's `hmac`.
fn stripe(secrets: Vec<Key>) -> Verify {
    by(Hmac {
        secrets,
        header: "stripe-signature".to_owned(),
        prefix: String::new(),
        part: Some("v1".to_owned()),
        timestamp: Some(Timestamp { from: TimestampFrom::Part("t".to_owned()), format: TimestampFormat::Seconds }),
        signed: vec![Signed::Timestamp, Signed::Text(".".to_owned()), Signed::Body],
        ..github("")
    })
}

#[test]
fn a_header_of_parts_passes_by_any_of_its_signatures_and_any_of_our_secrets() {
    let body = r#"{"id":"evt_1","type":"charge.succeeded"}"#;
    let good = "4ee5e8d695c9619e003fd480d3d51700d924e29697337d379a6ef6e06e703ab4";
    let other = "6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";
    let rotated = stripe(vec![key("whsec_new"), key("whsec_test_secret")]);
    for header in [
        format!("t=1492774577,v1={good},v0={other}"),
        format!("t=1492774577,v1={other},v1={good}"),
        format!("t=1492774577, v1={good}"),
    ] {
        let pairs = [("Stripe-Signature", header.as_str())];
        assert!(judged(&stripe(vec![key("whsec_test_secret")]), &pairs, body, 1_492_774_600).is_ok(), "{header}");
        assert!(judged(&rotated, &pairs, body, 1_492_774_600).is_ok(), "{header}");
        assert!(judged(&stripe(vec![key("whsec_new")]), &pairs, body, 1_492_774_600).is_err());
    }
    // A scheme that is not asked for proves nothing.
    for header in [format!("t=1492774577,v0={good}"), format!("v1={good}"), format!("t=1492774578,v1={good}")] {
        let pairs = [("Stripe-Signature", header.as_str())];
        assert!(judged(&stripe(vec![key("whsec_test_secret")]), &pairs, body, 1_492_774_600).is_err(), "{header}");
    }
}

#[test]
fn the_example_of_standard_webhooks_passes() {
    let check = by(Hmac {
        header: "webhook-signature".to_owned(),
        secret_encoding: SecretEncoding::Base64,
        encoding: Encoding::Base64,
        prefix: "v1,".to_owned(),
        timestamp: Some(Timestamp {
            from: TimestampFrom::Header("webhook-timestamp".to_owned()),
            format: TimestampFormat::Seconds,
        }),
        signed: vec![
            Signed::Header("webhook-id".to_owned()),
            Signed::Text(".".to_owned()),
            Signed::Timestamp,
            Signed::Text(".".to_owned()),
            Signed::Body,
        ],
        ..github("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    });
    let body = r#"{"test": 2432232314}"#;
    let sent = |signature| {
        let id = ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        [id, ("webhook-timestamp", "1614265330"), ("webhook-signature", signature)]
    };
    let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert!(judged(&check, &sent(good), body, 1_614_265_330).is_ok());
    let several = format!("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= {good}");
    assert!(judged(&check, &sent(&several), body, 1_614_265_330).is_ok());
    assert!(judged(&check, &sent(good)[1..], body, 1_614_265_330).is_err(), "without its id");
    assert!(judged(&check, &sent("v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), body, 1_614_265_330).is_err());
}

#[test]
fn other_hashes_and_encodings_are_those_of_the_rfcs() {
    // RFC 2202 and RFC 4231, the second case of each; Shopify's header has the bare base64 of SHA-256.
    let body = "what do ya want for nothing?";
    let plain = |algorithm, encoding| {
        by(Hmac { header: "x-signature".to_owned(), algorithm, encoding, prefix: String::new(), ..github("Jefe") })
    };
    for (algorithm, encoding, signature) in [
        (Algorithm::Sha1, Encoding::Hex, "EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79"),
        (Algorithm::Sha1, Encoding::Base64, "7/zfauXrL6LSdBbV8YTfnCWafHk="),
        (
            Algorithm::Sha512,
            Encoding::Hex,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        assert_eq!(judged(&plain(algorithm, encoding), &[("x-signature", signature)], body, 0), Ok(None));
    }
    let shopify = by(Hmac {
        header: "x-shopify-hmac-sha256".to_owned(),
        encoding: Encoding::Base64,
        prefix: String::new(),
        ..github("hush")
    });
    let pairs = [("X-Shopify-Hmac-SHA256", "QPF8T1ti8Gpf6xXRoKZDI2G/2Fp8v4tKnau8MqDdx3o=")];
    assert_eq!(judged(&shopify, &pairs, r#"{"id":450789469}"#, 0), Ok(None));
}

#[test]
fn without_a_secret_nobody_is_believed() {
    let none = || Err("environment variable `X` is not set".to_owned());
    for secrets in [vec![none()], vec![key("")], vec![]] {
        let check = by(Hmac { secrets, ..github("") });
        let judged = judged(&check, &[("x-hub-signature-256", GITHUB)], "Hello, World!", 0);
        assert!(matches!(judged, Err(Unverified::NoSecret(_))), "{judged:?}");
    }
    // The other one of a rotation holds.
    let check = by(Hmac { secrets: vec![none(), key("It's a Secret to Everybody")], ..github("") });
    assert_eq!(judged(&check, &[("x-hub-signature-256", GITHUB)], "Hello, World!", 0), Ok(None));
    let empty = Verify::Basic(BasicCheck { username: "shop".to_owned(), password: key("") });
    assert!(matches!(judged(&empty, &[("authorization", "Basic c2hvcDo=")], "", 0), Err(Unverified::NoSecret(_))));
}

#[test]
fn tokens_are_compared_whole_where_they_are_expected() {
    let bearer = Verify::Token(TokenCheck {
        tokens: vec![key("old"), key("t0ken")],
        in_query: false,
        name: "authorization".to_owned(),
        scheme: "Bearer".to_owned(),
    });
    for good in ["Bearer t0ken", "bearer t0ken", "Bearer old"] {
        assert_eq!(judged(&bearer, &[("authorization", good)], "", 0), Ok(None), "{good}");
    }
    for bad in ["t0ken", "Bearer", "Bearer t0ke", "Bearer t0kenn", "Basic t0ken", ""] {
        assert!(judged(&bearer, &[("authorization", bad)], "", 0).is_err(), "{bad}");
    }
    let twice = [("authorization", "Bearer t0ken"), ("authorization", "Bearer t0ken")];
    assert!(judged(&bearer, &twice, "", 0).is_err());
    let query = Verify::Token(TokenCheck {
        tokens: vec![key("t0 ken&")],
        in_query: true,
        name: "api_key".to_owned(),
        scheme: String::new(),
    });
    let none = HeaderMap::new();
    let asked = |query_text| verify(&query, Call { headers: &none, query: query_text, body: b"", now: at(0) });
    assert_eq!(asked(Some("a=1&api_key=t0+ken%26")), Ok(None));
    for bad in [None, Some(""), Some("api_key="), Some("api_key=t0"), Some("api_key=t0+ken%26&api_key=t0+ken%26")] {
        assert!(asked(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn user_and_password_are_compared_whole() {
    let check = Verify::Basic(BasicCheck { username: "shop".to_owned(), password: key("p:w") });
    let sent = |text: &str| format!("Basic {}", STANDARD.encode(text));
    assert_eq!(judged(&check, &[("authorization", &sent("shop:p:w"))], "", 0), Ok(None));
    for bad in ["shop:p", "shop", ":p:w", "shop:p:w ", "Shop:p:w", ""] {
        assert!(judged(&check, &[("authorization", &sent(bad))], "", 0).is_err(), "{bad}");
    }
    assert!(judged(&check, &[("authorization", "Basic not base64!")], "", 0).is_err());
    assert!(judged(&check, &[], "", 0).is_err());
}

#[test]
fn where_everybody_may_call_web_pages_may_not() {
    assert_eq!(judged(&Verify::None, &[], "", 0), Ok(None));
    assert!(judged(&Verify::None, &[("origin", "https://evil.example")], "", 0).is_err());
}
