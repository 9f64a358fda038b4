//! What answers mean, in FORMAT.md's order of judgement.

use crate::http::client::ClientSettings;
use crate::http::exchange::{Answer, Failure, FailureClass};
use crate::http::request::Method;
use crate::http::testing::{Bench, Play, answer, request, settings};
use crate::http::verdict::ResponseRules;
use crate::value::document::BodyPath;
use crate::value::rule::{Rule, StatusRange};
use std::num::NonZeroU32;
use std::time::Duration;

const BASE: &str = "https://api.example/v1";

fn path(path: &str, values: &[&str]) -> Rule {
    Rule {
        path: Some(BodyPath::compile(path).unwrap()),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
        ..Rule::default()
    }
}

fn status(status: u16) -> Rule {
    Rule { status: vec![StatusRange { from: status, to: status }], ..Rule::default() }
}

fn once() -> ClientSettings {
    let mut settings = settings(BASE);
    settings.retry.max_attempts = NonZeroU32::MIN;
    settings
}

async fn judge(settings: ClientSettings, play: Play, want_json: bool) -> Result<Answer, Failure> {
    let bench = Bench::new(settings, [play]);
    bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, want_json).await
}

async fn class(settings: ClientSettings, play: Play) -> Option<FailureClass> {
    judge(settings, play, false).await.err().map(|failure| failure.class)
}

fn rules(success: Option<Rule>, failure: Option<Rule>) -> ClientSettings {
    ClientSettings { response: ResponseRules { success, failure, error_path: None }, ..once() }
}

#[tokio::test(start_paused = true)]
async fn without_rules_the_status_decides() {
    assert_eq!(class(once(), answer(200, "")).await, None);
    assert_eq!(class(once(), answer(299, "not json")).await, None);
    for (status, expected) in [
        (301, FailureClass::Rejected),
        (400, FailureClass::Rejected),
        (401, FailureClass::Auth),
        (403, FailureClass::Rejected),
        (500, FailureClass::Unreachable),
        (501, FailureClass::Rejected),
    ] {
        assert_eq!(class(once(), answer(status, "")).await, Some(expected), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_rule_overrules_a_success_rule() {
    let both = || rules(Some(path("ok", &[])), Some(path("error", &[])));
    assert_eq!(class(both(), answer(200, r#"{"ok":true}"#)).await, None);
    assert_eq!(class(both(), answer(200, r#"{"ok":true,"error":"x"}"#)).await, Some(FailureClass::Rejected));
    assert_eq!(class(both(), answer(200, r#"{"ok":true,"error":[]}"#)).await, None, "an empty list is no error");
}

#[tokio::test(start_paused = true)]
async fn what_a_failure_rule_names_is_refused_and_not_asked_again_even_under_a_5xx() {
    for rule in [status(503), path("error", &["fatal"])] {
        let response = ResponseRules { failure: Some(rule), ..ResponseRules::default() };
        let bench = Bench::new(ClientSettings { response, ..settings(BASE) }, [answer(503, r#"{"error":"fatal"}"#)]);
        let failure = bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await;
        assert_eq!(failure.err().unwrap().class, FailureClass::Rejected);
        assert_eq!(bench.script.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_rule_must_hold_and_needs_2xx_unless_it_names_a_status() {
    let ok = || rules(Some(path("status", &["success"])), None);
    assert_eq!(class(ok(), answer(200, r#"{"status":"success"}"#)).await, None);
    assert_eq!(class(ok(), answer(200, r#"{"status":"pending"}"#)).await, Some(FailureClass::Rejected));
    assert_eq!(class(ok(), answer(200, "")).await, Some(FailureClass::Rejected));
    assert_eq!(class(ok(), answer(404, r#"{"status":"success"}"#)).await, Some(FailureClass::Rejected));
    assert_eq!(class(rules(Some(status(404)), None), answer(404, "gone")).await, None);
    assert_eq!(class(rules(Some(status(404)), None), answer(200, "")).await, Some(FailureClass::Rejected));
}

#[tokio::test(start_paused = true)]
async fn auth_failures_are_401_or_what_the_rule_says() {
    let mut settings = once();
    settings.auth_failure.rule = Some(Rule { status: status(200).status, ..path("reason", &["Authentication"]) });
    let body = r#"{"reason":"Authentication"}"#;
    assert_eq!(class(settings.clone(), answer(200, body)).await, Some(FailureClass::Auth));
    assert_eq!(class(settings.clone(), answer(200, "plain text")).await, None, "it is no match");
    settings.auth_failure.count_401 = false;
    assert_eq!(class(settings, answer(401, "")).await, Some(FailureClass::Rejected));
}

#[tokio::test(start_paused = true)]
async fn a_limit_rule_comes_before_everything_else() {
    let mut settings = rules(None, Some(path("status", &["Throttled"])));
    settings.rate_limit.rule = Some(Rule { status: status(400).status, ..path("status", &["Throttled"]) });
    settings.auth_failure.rule = Some(status(400));
    let bench = Bench::new(settings, [answer(400, r#"{"status":"Throttled"}"#), answer(200, "{}")]);
    let done = bench.client.exchange(bench.permit().await, &request(Method::Post, BASE), None, false).await.unwrap();
    assert_eq!(done.attempts, 2);
    assert!(bench.script.gap(0) >= Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_steps_response_replaces_the_connections() {
    let bench = Bench::new(rules(Some(path("ok", &[])), None), [answer(200, "{}")]);
    let none = ResponseRules::default();
    let request = request(Method::Get, BASE);
    assert!(bench.client.exchange(bench.permit().await, &request, Some(&none), false).await.is_ok());
    assert!(bench.client.exchange(bench.permit().await, &request, None, false).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_must_be_json_and_is_not_is_an_error() {
    for broken in ["{\"a\":", "<html>", "[1,2", "{}{}", "NaN"] {
        let failure = judge(once(), answer(200, broken), true).await.err().unwrap();
        assert_eq!(failure.class, FailureClass::Unreadable);
        assert!(failure.message.contains("not JSON"), "{failure}");
        let failure = judge(rules(Some(path("ok", &[])), None), answer(200, broken), false).await.err().unwrap();
        assert_eq!(failure.class, FailureClass::Unreadable);
    }
    let deep: &'static str = "[".repeat(5000).leak();
    assert_eq!(judge(once(), answer(200, deep), true).await.err().unwrap().class, FailureClass::Unreadable);
    assert_eq!(class(rules(None, Some(path("e", &[]))), answer(502, "<html>")).await, Some(FailureClass::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_is_no_json_and_no_error() {
    for empty in ["", "  \r\n"] {
        let answer = judge(once(), answer(200, empty), true).await.unwrap();
        assert!(answer.document.is_none());
    }
    let answer = judge(once(), answer(200, "\u{feff}{\"a\":1}"), true).await.unwrap();
    assert_eq!(answer.document.unwrap().text(), "{\"a\":1}");
}

#[tokio::test(start_paused = true)]
async fn the_message_is_the_error_path_or_a_fit_excerpt() {
    let mut settings = once();
    settings.response.error_path = Some(BodyPath::compile("error.text").unwrap());
    let body = r#"{"error":{"text":"qty is missing"},"id":7}"#;
    let failure = judge(settings.clone(), answer(422, body), false).await.err().unwrap();
    assert_eq!(failure.message, "qty is missing");
    assert!(failure.excerpt.unwrap().contains("\"id\":7"));
    assert_eq!(failure.request, "GET https://api.example/v1");
    let other = judge(settings, answer(400, "no\n2026 INFO fake\u{1b}[31m"), false).await.err().unwrap();
    assert_eq!(other.message, "no\\n2026 INFO fake\\u{1b}[31m");
    let long: &'static str = "x".repeat(100_000).leak();
    let long = judge(once(), answer(400, long), false).await.err().unwrap();
    assert!(long.message.chars().count() <= 501);
    let silent = judge(once(), answer(400, ""), false).await.err().unwrap();
    assert_eq!(silent.to_string(), "GET https://api.example/v1: 400: the answer says nothing more");
}
