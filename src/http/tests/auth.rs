//! Credentials: where they go, where they never go, and what is said when they are missing.

use crate::http::auth::{Auth, Basic, Location, Token};
use crate::http::client::ClientSettings;
use crate::http::exchange::FailureClass;
use crate::http::request::{Field, Method};
use crate::http::testing::{Bench, Reply, Server, answer, request, settings, with_header};
use crate::value::secret::Secret;
use crate::value::template::{Place, Template};
use crate::value::tree::Tree;
use crate::value::uri::OriginPattern;
use bytes::Bytes;
use std::time::Duration;

const BASE: &str = "https://api.example/v1";
const CANARY: &str = "s3cr3t-Canary+/\"é";

fn template(text: &str) -> Template {
    Template::compile(text, Place::Plain).unwrap()
}

fn with_token(location: Location, name: &str, scheme: &str) -> ClientSettings {
    let token = Some(template("{{connection.secrets.token}}"));
    ClientSettings {
        auth: Auth::Token(Box::new(Token {
            token,
            location,
            name: name.to_owned(),
            scheme: scheme.to_owned(),
            refresh: None,
        })),
        secrets: vec![("token".to_owned(), Ok(Secret::new(CANARY)))],
        ..settings(BASE)
    }
}

fn with_basic(username: &str, password: &str) -> ClientSettings {
    let auth = Auth::Basic(Basic { username: template(username), password: template(password) });
    ClientSettings { auth, ..settings(BASE) }
}

async fn sent_authorization(settings: ClientSettings) -> String {
    let bench = Bench::new(settings, [answer(200, "")]);
    bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await.unwrap();
    bench.script.see(0, |seen| String::from_utf8_lossy(seen.headers["authorization"].as_bytes()).into_owned())
}

#[tokio::test(start_paused = true)]
async fn a_token_goes_into_a_header_with_its_scheme_or_bare() {
    let bearer = sent_authorization(with_token(Location::Header, "Authorization", "Bearer")).await;
    assert_eq!(bearer, format!("Bearer {CANARY}"));
    assert_eq!(sent_authorization(with_token(Location::Header, "Authorization", "")).await, CANARY);
}

#[tokio::test(start_paused = true)]
async fn basic_is_utf8_and_its_password_may_be_empty() {
    assert_eq!(sent_authorization(with_basic("Aladdin", "open sesame")).await, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(sent_authorization(with_basic("test", "123£")).await, "Basic dGVzdDoxMjPCow==");
    assert_eq!(sent_authorization(with_basic("key", "")).await, "Basic a2V5Og==");
}

#[tokio::test(start_paused = true)]
async fn a_query_token_is_added_once_and_never_stored() {
    let bench = Bench::new(with_token(Location::Query, "api_key", ""), [answer(200, "")]);
    let plain = request(Method::Get, "https://api.example/v1/orders?page=2");
    let done = bench.client.exchange(bench.permit().await, &plain, None, false).await.unwrap();
    assert!(done.url.as_str().ends_with("?page=2"), "the answer's URL has no credential");
    let theirs = request(Method::Get, "https://api.example/v1/orders?api_key=given");
    bench.client.exchange(bench.permit().await, &theirs, None, false).await.unwrap();
    let query = |n| bench.script.see(n, |seen| seen.url.query().unwrap().to_owned());
    assert_eq!(query(0), "page=2&api_key=s3cr3t-Canary%2B%2F%22%C3%A9");
    assert_eq!(query(1), "api_key=given", "a next URL that carries it is sent as it stands");
}

#[tokio::test(start_paused = true)]
async fn a_body_token_becomes_a_field_of_the_object() {
    let bench = Bench::new(with_token(Location::Body, "key", ""), [answer(200, "")]);
    let mut post = request(Method::Post, BASE);
    post.body = Some(Bytes::from_static(b" {\"id\": 9007199254740993, \"key\": \"old\"} "));
    bench.client.exchange(bench.permit().await, &post, None, false).await.unwrap();
    let body = bench.script.see(0, |seen| seen.body.clone()).unwrap();
    assert_eq!(&body[..], "{\"key\":\"s3cr3t-Canary+/\\\"é\",\"id\":9007199254740993}".as_bytes());
    for bad in [None, Some(Bytes::from_static(b"[1]"))] {
        post.body = bad;
        let failure = bench.client.exchange(bench.permit().await, &post, None, false).await.err().unwrap();
        assert_eq!(failure.class, FailureClass::Auth);
        assert!(failure.message.contains("location is body"), "{failure}");
    }
    assert_eq!(bench.script.count(), 1, "nothing left without its credential");
}

#[tokio::test(start_paused = true)]
async fn an_unresolved_secret_sends_nothing_and_says_which_and_why() {
    let mut settings = with_token(Location::Header, "Authorization", "Bearer");
    settings.secrets = vec![("token".to_owned(), Err("the environment variable SHOP_TOKEN is not set".to_owned()))];
    let bench = Bench::new(settings, [answer(200, "")]);
    let failure = bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await;
    let failure = failure.err().unwrap();
    assert_eq!(failure.class, FailureClass::Auth);
    assert!(failure.message.contains("`token`") && failure.message.contains("SHOP_TOKEN"), "{failure}");
    assert_eq!((bench.script.count(), failure.attempts), (0, 0));
    assert_eq!(bench.free().await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_cannot_travel_takes_its_connection_offline_and_is_not_shown() {
    let mut by_credential = with_token(Location::Header, "Authorization", "Bearer");
    by_credential.secrets = vec![("token".to_owned(), Ok(Secret::new("hunter2\nX-Evil: 1")))];
    let mut by_header = settings(BASE);
    by_header.secrets.clone_from(&by_credential.secrets);
    let value = Tree::leaf("{{connection.secrets.token}}").unwrap();
    by_header.headers = vec![Field { name: "X-Key".to_owned(), value, join: None }];
    for (settings, place) in [(by_credential, "auth.token.token"), (by_header, "`x-key`")] {
        let bench = Bench::new(settings, [answer(200, "")]);
        let failure = bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await;
        let failure = failure.err().unwrap();
        assert_eq!((failure.class, bench.script.count()), (FailureClass::Auth, 0));
        assert!(failure.message.contains(place) && failure.message.contains("line break"), "{failure}");
        assert!(!failure.message.contains("hunter2"), "{failure}");
        assert_eq!(bench.client.offline(), Some(failure.message.as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_final() {
    let bench = Bench::new(with_token(Location::Header, "Authorization", "Bearer"), [answer(401, "who?")]);
    let failure = bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await;
    assert_eq!(failure.err().unwrap().class, FailureClass::Auth);
    assert_eq!(bench.script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_echoes_credentials_does_not_get_them_printed() {
    for location in [Location::Header, Location::Query] {
        for echo in [format!("bad token {CANARY}!"), "bad token s3cr3t-Canary%2B%2F%22%C3%A9!".to_owned()] {
            let echo: &'static str = echo.leak();
            let bench = Bench::new(with_token(location, "Authorization", ""), [answer(401, echo)]);
            let failure = bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await;
            let failure = failure.err().unwrap();
            let text = format!("{failure} {failure:?}");
            assert!(!text.contains("Canary"), "{text}");
            assert!(text.contains("[secret]"), "{text}");
        }
    }
    let basic = Bench::new(with_basic("user", "open sesame"), [answer(403, "Basic dXNlcjpvcGVuIHNlc2FtZQ==")]);
    let failure = basic.client.exchange(basic.permit().await, &request(Method::Get, BASE), None, false).await;
    assert!(!failure.err().unwrap().message.contains("dXNlcjpvcGVuIHNlc2FtZQ"));
}

#[tokio::test(start_paused = true)]
async fn an_allowed_origin_gets_no_credential_unless_it_is_said() {
    for (auth, expected) in [(false, 0), (true, 3)] {
        let mut settings = with_token(Location::Header, "Authorization", "Bearer");
        settings.allowed_origins = vec![OriginPattern::parse("https://files.example", auth).unwrap()];
        let field = |name: &str| Field {
            name: name.to_owned(),
            value: Tree::leaf("{{connection.secrets.token}}").unwrap(),
            join: None,
        };
        settings.headers = vec![field("X-Key")];
        settings.query = vec![field("key")];
        let bench = Bench::new(settings, [answer(200, "")]);
        let mut there = request(Method::Get, BASE);
        there.headers = bench.client.headers(&bench.client.context(crate::value::context::Context::new())).unwrap();
        there.set_url("https://files.example/f?sig=1".parse().unwrap());
        bench.client.exchange(bench.permit().await, &there, None, false).await.unwrap();
        let given = bench.script.see(0, |seen| {
            let headers = ["authorization", "x-key"].iter().filter(|n| seen.headers.contains_key(**n)).count();
            headers + usize::from(seen.url.query_pairs().any(|(name, _)| name == "key"))
        });
        assert_eq!(given, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_to_another_origin_loses_the_body() {
    let mut post = request(Method::Post, BASE);
    post.body = Some(Bytes::from_static(b"{}"));
    post.set_url("https://api.example/v1/next".parse().unwrap());
    assert!(post.body.is_some());
    post.set_url("https://files.example/next".parse().unwrap());
    assert!(post.body.is_none());
}

#[tokio::test(start_paused = true)]
async fn redirects_on_the_origin_keep_the_credential_and_echoes_of_it_are_dropped() {
    let hop = with_header(302, "location", "/v1/b?x=1&api_key=s3cr3t-Canary%2B%2F%22%C3%A9");
    let bench = Bench::new(with_token(Location::Query, "api_key", ""), [hop, answer(200, "")]);
    let done = bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await.unwrap();
    assert_eq!(done.url.as_str(), "https://api.example/v1/b?x=1");
    assert!(bench.script.see(1, |seen| seen.url.as_str().contains("api_key=s3cr3t")));
}

#[tokio::test]
async fn the_whole_307_case_on_real_sockets() {
    let evil = Server::start(|_| Reply::text("200 OK", b"[]")).await;
    let location = format!("{}/steal", evil.base);
    let server =
        Server::start(move |_| Reply::text(&format!("307 Temporary Redirect\r\nLocation: {location}"), b"")).await;
    let mut settings = with_token(Location::Header, "X-Api-Key", "");
    settings.base_uri = server.base.parse().unwrap();
    settings.secrets = vec![("token".to_owned(), Ok(Secret::new("plain-canary")))];
    settings.timeout = Duration::from_secs(10);
    let bench = Bench::real(settings);
    for method in [Method::Get, Method::Post] {
        let failure = bench.client.exchange(bench.permit().await, &request(method, &server.base), None, false).await;
        assert_eq!(failure.err().unwrap().class, FailureClass::Rejected);
    }
    assert!(server.requests()[0].contains("plain-canary"));
    assert!(evil.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_travel_are_named_and_not_shown() {
    let build = |settings: ClientSettings| {
        let build = std::panic::AssertUnwindSafe(|| settings.auth.prove(&crate::value::context::Context::new()));
        build().err().map(|error| error.to_string())
    };
    let name = build(with_basic("a:b", "x")).unwrap();
    assert!(name.contains("auth.basic.username"), "{name}");
    let mut broken = with_token(Location::Header, "Authorization", "Bearer");
    broken.auth = Auth::Token(Box::new(Token {
        token: Some(template("evil\r\nX-Evil: 1")),
        location: Location::Header,
        name: "Authorization".to_owned(),
        scheme: String::new(),
        refresh: None,
    }));
    let text = build(broken).unwrap();
    assert!(text.contains("auth.token.token") && !text.contains("evil"), "{text}");
}
