//! Methods that sign each request, over whole exchanges: what is sent again, what is not, and what is never shown.

use crate::http::auth::{Auth, Digest, Wsse, WsseDigest};
use crate::http::client::ClientSettings;
use crate::http::exchange::FailureClass;
use crate::http::request::Method;
use crate::http::testing::{Bench, Play, answer, request, settings};
use crate::value::secret::Secret;
use crate::value::template::{Place, Template};
use crate::value::uri::OriginPattern;

const BASE: &str = "https://api.example/v1";
const PASSWORD: &str = "s3cr3t-Canary";
const CHALLENGE: &str = "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256";

fn template(text: &str) -> Template {
    Template::compile(text, Place::Plain).unwrap()
}

fn with(auth: Auth) -> ClientSettings {
    let secrets = vec![("password".to_owned(), Ok(Secret::new(PASSWORD)))];
    ClientSettings { auth, secrets, ..settings(BASE) }
}

fn digest() -> ClientSettings {
    let password = template("{{connection.secrets.password}}");
    with(Auth::Digest(Digest { username: template("me"), password }))
}

fn challenge(text: &str) -> Play {
    Play::Answer(401, vec![("www-authenticate", text.to_owned())], "{\"error\":\"who are you\"}")
}

fn sent(bench: &Bench, n: usize, field: &str) -> Option<String> {
    bench.script.see(n, |seen| {
        let text = seen.headers.get("authorization")?.to_str().ok()?.to_owned();
        let (_, rest) = text.split_once(&format!(" {field}="))?;
        Some(rest.split(',').next()?.trim_matches('"').to_owned())
    })
}

async fn fetch(bench: &Bench, url: &str) -> Result<u32, crate::http::exchange::Failure> {
    let asked = request(Method::Get, url);
    bench.client.exchange(bench.permit().await, &asked, None, false).await.map(|answer| answer.attempts)
}

#[tokio::test(start_paused = true)]
async fn three_pages_under_digest_take_four_requests() {
    let bench = Bench::new(digest(), [challenge(CHALLENGE), answer(200, "{}")]);
    for page in 1..=3 {
        fetch(&bench, &format!("{BASE}/orders?page={page}")).await.unwrap();
    }
    assert_eq!(bench.script.count(), 4);
    assert_eq!(sent(&bench, 0, "nonce"), None, "nothing is known before the first answer");
    for n in 1..=3 {
        assert_eq!(sent(&bench, n, "nc"), Some(format!("0000000{n}")));
        assert_eq!(sent(&bench, n, "uri"), Some(format!("/v1/orders?page={n}")));
    }
    assert_eq!(bench.free().await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_is_stale_each_time_is_bounded_and_says_so() {
    let stale = |n: u32| challenge(&format!("{}, stale=true", CHALLENGE.replace("n1", &format!("n{n}"))));
    let bench = Bench::new(digest(), (1..=9).map(stale));
    let failure = fetch(&bench, BASE).await.err().unwrap();
    assert_eq!((failure.class, bench.script.count()), (FailureClass::Auth, 3));
    assert_eq!(failure.message, "the server asks for another proof each time");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_refused_after_one_answer() {
    let bench = Bench::new(digest(), [challenge(CHALLENGE)]);
    let failure = fetch(&bench, BASE).await.err().unwrap();
    assert_eq!((failure.class, bench.script.count()), (FailureClass::Auth, 2));
    assert_eq!(failure.message, "the server refused this user name and password");
    assert_eq!(failure.excerpt.as_deref(), Some("{\"error\":\"who are you\"}"));
}

#[tokio::test(start_paused = true)]
async fn basic_offered_in_place_of_digest_gets_no_password() {
    let bench = Bench::new(digest(), [challenge("Basic realm=\"r\"")]);
    let failure = fetch(&bench, BASE).await.err().unwrap();
    assert_eq!((failure.class, bench.script.count()), (FailureClass::Auth, 1));
    assert!(failure.message.contains("it offers: basic"), "{failure}");
    bench.script.see(0, |seen| assert!(!seen.headers.contains_key("authorization")));
}

#[tokio::test(start_paused = true)]
async fn another_origin_is_never_answered_unless_it_may_have_credentials() {
    let mut settings = digest();
    settings.allowed_origins = vec![OriginPattern::parse("https://files.example", false).unwrap()];
    let bench = Bench::new(settings, [challenge(CHALLENGE)]);
    let failure = fetch(&bench, "https://files.example/x").await.err().unwrap();
    assert_eq!((failure.class, bench.script.count()), (FailureClass::Auth, 1));
}

#[tokio::test(start_paused = true)]
async fn a_limited_request_is_signed_anew() {
    let auth = Wsse {
        username: template("me"),
        password: template("{{connection.secrets.password}}"),
        header: "X-WSSE".to_owned(),
        digest: WsseDigest::Sha1,
        nonce_encoding: crate::http::auth::NonceEncoding::Base64,
        digest_encoding: crate::http::auth::DigestEncoding::Base64,
    };
    let bench = Bench::new(with(Auth::Wsse(auth)), [answer(429, ""), answer(200, "{}")]);
    fetch(&bench, BASE).await.unwrap();
    let token = |n| bench.script.see(n, |seen| seen.headers["x-wsse"].clone());
    assert_ne!(token(0), token(1), "a nonce is never used twice");
}
