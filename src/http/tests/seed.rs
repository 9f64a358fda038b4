//! The connection form this program was asked to serve, row by row: how answers are judged and when limits pause.
//! `docs/CONNECTOR.md` names these tests.

use crate::http::client::ClientSettings;
use crate::http::exchange::{Answer, Failure, FailureClass};
use crate::http::request::Method;
use crate::http::testing::{Bench, Play, answer, request, settings, with_header};
use crate::http::verdict::{ResponseRules, RetryAfterUnit};
use crate::value::document::BodyPath;
use crate::value::rule::{Rule, StatusRange};
use std::num::NonZeroU32;
use std::time::Duration;

const BASE: &str = "https://api.example/v1";
const GOOD: Option<FailureClass> = None;
const REJECTED: Option<FailureClass> = Some(FailureClass::Rejected);
const AUTH: Option<FailureClass> = Some(FailureClass::Auth);

fn path(path: &str, values: &[&str]) -> Rule {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Rule { path: Some(BodyPath::compile(path).unwrap()), values, ..Rule::default() }
}

fn status(status: u16) -> Rule {
    Rule { status: vec![StatusRange::one(status)], ..Rule::default() }
}

fn at(code: u16, rule: Rule) -> Rule {
    Rule { status: status(code).status, ..rule }
}

fn once() -> ClientSettings {
    let mut settings = settings(BASE);
    settings.retry.max_attempts = NonZeroU32::MIN;
    settings
}

fn response(success: Option<Rule>, failure: Option<Rule>, error_path: Option<&str>) -> ClientSettings {
    let error_path = error_path.map(|path| BodyPath::compile(path).unwrap());
    ClientSettings { response: ResponseRules { success, failure, error_path }, ..once() }
}

async fn send(settings: ClientSettings, play: Play) -> Result<Answer, Failure> {
    let bench = Bench::new(settings, [play]);
    bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await
}

async fn class(settings: &ClientSettings, code: u16, body: &'static str) -> Option<FailureClass> {
    send(settings.clone(), answer(code, body)).await.err().map(|failure| failure.class)
}

/// How long the second request comes after the first, when there is one.
async fn pause(settings: ClientSettings, refused: Play, method: Method) -> Option<Duration> {
    let bench = Bench::new(settings, [refused, answer(200, "{}")]);
    let done = bench.client.exchange(bench.permit().await, &request(method, BASE), None, false).await;
    done.ok().filter(|answer| answer.attempts == 2).map(|_| bench.script.gap(0))
}

#[tokio::test(start_paused = true)]
async fn row_34_a_success_path_is_looked_up_in_the_body() {
    for form in ["result.state", "$.result.state", "$['result']['state']", "[\"result\"].state"] {
        let rules = response(Some(path(form, &["done"])), None, None);
        assert_eq!(class(&rules, 200, r#"{"result":{"state":"done"}}"#).await, GOOD, "{form}");
        assert_eq!(class(&rules, 200, r#"{"result":{"state":"open"}}"#).await, REJECTED, "{form}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_35_values_are_exact_text_and_of_a_list_any_element() {
    let rules = response(Some(path("s", &["true", "1", "null", "ok"])), None, None);
    for body in [r#"{"s":true}"#, r#"{"s":1}"#, r#"{"s":"1"}"#, r#"{"s":null}"#, r#"{"s":"ok"}"#, r#"{"s":["x","ok"]}"#]
    {
        assert_eq!(class(&rules, 200, body).await, GOOD, "{body}");
    }
    for body in [r#"{"s":"OK"}"#, r#"{"s":" ok"}"#, r#"{"s":false}"#, r#"{"s":["x"]}"#, r#"{"s":{}}"#] {
        assert_eq!(class(&rules, 200, body).await, REJECTED, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_36_and_37_failure_values_say_what_failed() {
    let rules = response(None, Some(path("state", &["failed", "error"])), None);
    assert_eq!(class(&rules, 200, r#"{"state":"error"}"#).await, REJECTED);
    assert_eq!(class(&rules, 200, r#"{"state":"fine"}"#).await, GOOD);
}

#[tokio::test(start_paused = true)]
async fn row_38_the_error_path_is_the_message_and_without_it_the_body() {
    let rules = response(None, Some(path("error", &[])), Some("why"));
    let told = send(rules.clone(), answer(200, r#"{"error":1,"why":"no stock"}"#)).await.err().unwrap();
    assert_eq!(told.message, "no stock");
    let silent = send(rules, answer(200, r#"{"error":1}"#)).await.err().unwrap();
    assert_eq!(silent.message, r#"{"error":1}"#);
}

#[tokio::test(start_paused = true)]
async fn row_39_and_40_the_first_ping_example_succeeds_and_fails_as_printed() {
    let rules = response(Some(path("status", &["success"])), None, None);
    assert_eq!(class(&rules, 200, r#"{"status":"success"}"#).await, GOOD);
    assert_eq!(class(&rules, 200, r#"{"status":"failed"}"#).await, REJECTED);
}

#[tokio::test(start_paused = true)]
async fn row_41_and_42_the_second_ping_example_succeeds_empty_and_fails_with_its_description() {
    let rules = response(None, Some(path("Error", &["Request_Failed"])), Some("Error_Description"));
    assert_eq!(class(&rules, 200, "{}").await, GOOD);
    let body = r#"{"Error":"Request_Failed","Error_Description":"Invalid credentials"}"#;
    let failure = send(rules, answer(200, body)).await.err().unwrap();
    assert_eq!((failure.class, failure.message.as_str()), (FailureClass::Rejected, "Invalid credentials"));
}

#[tokio::test(start_paused = true)]
async fn row_43_a_missing_success_path_is_no_success() {
    assert_eq!(class(&response(Some(path("status", &["success"])), None, None), 200, "{}").await, REJECTED);
    assert_eq!(class(&response(Some(path("status", &["success"])), None, None), 200, "").await, REJECTED);
}

#[tokio::test(start_paused = true)]
async fn row_44_failure_comes_before_success_and_both_before_the_status() {
    let rules = response(Some(path("ok", &["yes"])), Some(path("errors", &[])), None);
    assert_eq!(class(&rules, 200, r#"{"ok":"yes"}"#).await, GOOD);
    assert_eq!(class(&rules, 200, r#"{"ok":"yes","errors":["x"]}"#).await, REJECTED);
    assert_eq!(class(&rules, 200, r#"{"ok":"no","errors":[]}"#).await, REJECTED);
    assert_eq!(class(&rules, 422, r#"{"ok":"yes"}"#).await, REJECTED);
}

#[tokio::test(start_paused = true)]
async fn row_45_success_outside_2xx_needs_its_status_named() {
    assert_eq!(class(&response(Some(path("ok", &[])), None, None), 400, r#"{"ok":1}"#).await, REJECTED);
    assert_eq!(class(&response(Some(at(400, path("ok", &[]))), None, None), 400, r#"{"ok":1}"#).await, GOOD);
    assert_eq!(class(&response(Some(at(400, path("ok", &[]))), None, None), 400, r#"{"ok":0}"#).await, REJECTED);
}

#[tokio::test(start_paused = true)]
async fn row_46_without_rules_2xx_is_good_and_everything_else_is_not() {
    for good in [200, 201, 202, 204, 206, 299] {
        assert_eq!(class(&once(), good, "").await, GOOD, "{good}");
    }
    for bad in [300, 304, 307, 400, 404, 409, 422] {
        assert_eq!(class(&once(), bad, "").await, REJECTED, "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_47_a_path_without_values_is_present_and_truthy() {
    let rules = response(Some(path("id", &[])), None, None);
    for body in [r#"{"id":7}"#, r#"{"id":"a"}"#, r#"{"id":true}"#, r#"{"id":[0]}"#] {
        assert_eq!(class(&rules, 200, body).await, GOOD, "{body}");
    }
    for body in ["{}", r#"{"id":0}"#, r#"{"id":""}"#, r#"{"id":null}"#, r#"{"id":false}"#, r#"{"id":[]}"#] {
        assert_eq!(class(&rules, 200, body).await, REJECTED, "{body}");
    }
}

fn refusing(rule: Rule) -> ClientSettings {
    let mut settings = once();
    settings.auth_failure.rule = Some(rule);
    settings
}

#[tokio::test(start_paused = true)]
async fn row_48_a_status_of_the_rule_joins_401() {
    let rules = refusing(Rule { status: vec![StatusRange::one(403), StatusRange::one(419)], ..Rule::default() });
    for refused in [401, 403, 419] {
        assert_eq!(class(&rules, refused, "").await, AUTH, "{refused}");
    }
    let mut permission = rules;
    permission.auth_failure.count_401 = false;
    assert_eq!(class(&permission, 401, "").await, REJECTED);
    assert_eq!(class(&permission, 403, "").await, AUTH);
}

#[tokio::test(start_paused = true)]
async fn row_49_status_and_path_must_match_both() {
    let rules = refusing(at(400, path("error.type", &["auth"])));
    assert_eq!(class(&rules, 400, r#"{"error":{"type":"auth"}}"#).await, AUTH);
    assert_eq!(class(&rules, 400, r#"{"error":{"type":"other"}}"#).await, REJECTED);
    assert_eq!(class(&rules, 422, r#"{"error":{"type":"auth"}}"#).await, REJECTED);
}

#[tokio::test(start_paused = true)]
async fn row_50_a_path_without_a_status_holds_at_any() {
    let rules = refusing(path("error", &["INVALID_SESSION"]));
    for code in [200, 400, 403, 500] {
        assert_eq!(class(&rules, code, r#"{"error":"INVALID_SESSION"}"#).await, AUTH, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_51_to_53_a_200_is_an_auth_failure_by_its_reason_alone_and_fails_where_a_rule_says_so() {
    let mut rules = refusing(at(200, path("reason", &["Authentication"])));
    assert_eq!(class(&rules, 200, r#"{"status":"failed","reason":"Authentication"}"#).await, AUTH);
    let other = r#"{"status":"failed","reason":"Service_Unavailable"}"#;
    assert_eq!(class(&rules, 200, other).await, GOOD, "the three keys alone leave it a success");
    rules.response.failure = Some(path("status", &["failed"]));
    assert_eq!(class(&rules, 200, other).await, REJECTED, "and no credential is renewed");
}

#[tokio::test(start_paused = true)]
async fn row_54_reads_and_writes_are_judged_alike() {
    for method in [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete] {
        let bench = Bench::new(once(), [answer(401, "")]);
        let failed = bench.client.exchange(bench.permit().await, &request(method, BASE), None, false).await;
        assert_eq!(failed.err().map(|failure| failure.class), AUTH, "{}", method.name());
    }
}

#[tokio::test(start_paused = true)]
async fn row_55_limited_then_auth_then_failure_then_success() {
    let body = r#"{"a":1}"#;
    let mut rules = response(Some(path("a", &[])), None, None);
    assert_eq!(class(&rules, 200, body).await, GOOD);
    rules.response.failure = Some(path("a", &[]));
    assert_eq!(class(&rules, 200, body).await, REJECTED);
    rules.auth_failure.rule = Some(path("a", &[]));
    assert_eq!(class(&rules, 200, body).await, AUTH);
    rules.rate_limit.rule = Some(path("a", &[]));
    assert!(pause(rules, answer(200, body), Method::Get).await.is_none(), "the second answer lacks what success needs");
    let mut limited = once();
    limited.auth_failure.rule = Some(path("a", &[]));
    limited.rate_limit.rule = Some(path("a", &[]));
    assert!(pause(limited, answer(200, body), Method::Get).await.is_some());
}

fn limiting(rule: Rule) -> ClientSettings {
    let mut settings = once();
    settings.rate_limit.rule = Some(rule);
    settings
}

#[tokio::test(start_paused = true)]
async fn row_70_and_71_another_status_limits_and_429_still_does() {
    for code in [400, 429] {
        assert!(pause(limiting(status(400)), answer(code, ""), Method::Get).await.is_some(), "{code}");
    }
    assert!(pause(limiting(status(400)), answer(404, ""), Method::Get).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn row_72_to_74_and_76_a_limit_may_hide_in_any_body_and_a_plain_429_needs_none() {
    let by_path = || limiting(path("errors[0].code", &["THROTTLED", "42"]));
    for code in [200, 400, 503] {
        let refused = answer(code, r#"{"errors":[{"code":42}]}"#);
        assert!(pause(by_path(), refused, Method::Get).await.is_some(), "{code}");
    }
    assert!(pause(by_path(), answer(429, r#"{"errors":[]}"#), Method::Get).await.is_some());
    assert_eq!(class(&by_path(), 200, r#"{"errors":[{"code":7}]}"#).await, GOOD);
    let present = || limiting(path("throttled", &[]));
    assert!(pause(present(), answer(200, r#"{"throttled":true}"#), Method::Get).await.is_some());
    assert_eq!(class(&present(), 200, r#"{"throttled":false}"#).await, GOOD);
}

fn asks(headers: &[(&'static str, &str)], body: &'static str, code: u16) -> Play {
    Play::Answer(code, headers.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(), body)
}

fn seconds(wait: Option<Duration>) -> u64 {
    wait.unwrap().as_secs()
}

#[tokio::test(start_paused = true)]
async fn row_77_an_own_header_is_looked_at_before_the_usual_one_and_does_not_replace_it() {
    let mut rules = once();
    rules.rate_limit.retry_after_header = Some("x-wait".to_owned());
    let both = asks(&[("x-wait", "40"), ("retry-after", "7")], "", 429);
    assert_eq!(seconds(pause(rules.clone(), both, Method::Get).await), 40);
    assert_eq!(seconds(pause(rules, with_header(429, "retry-after", "7"), Method::Get).await), 7);
}

fn throttled() -> ClientSettings {
    let mut rules = limiting(at(400, path("status", &["Throttled"])));
    rules.rate_limit.retry_after_header = Some("try-after".to_owned());
    rules
}

#[tokio::test(start_paused = true)]
async fn row_79_the_throttled_example_waits_a_second_with_its_unit_and_the_longest_pause_without() {
    let refused = || asks(&[("try-after", "1000")], r#"{"status":"Throttled"}"#, 400);
    assert_eq!(pause(throttled(), refused(), Method::Get).await.map(|wait| wait.as_secs()), Some(300));
    let mut in_millis = throttled();
    in_millis.rate_limit.retry_after_unit = RetryAfterUnit::Millis;
    let wait = pause(in_millis, refused(), Method::Get).await.unwrap();
    assert!(wait >= Duration::from_secs(1) && wait < Duration::from_millis(1500), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn row_80_a_400_that_says_something_else_is_an_ordinary_failure() {
    let other = asks(&[("try-after", "1000")], r#"{"status":"Bad_Request"}"#, 400);
    let failure = send(throttled(), other).await.err().unwrap();
    assert_eq!((failure.class, failure.attempts), (FailureClass::Rejected, 1));
}

#[tokio::test(start_paused = true)]
async fn row_81_without_a_header_the_back_off_decides_and_min_pause_lifts_it() {
    let wait = pause(once(), answer(429, ""), Method::Get).await.unwrap();
    assert!(wait >= Duration::from_millis(500) && wait <= Duration::from_millis(1050), "{wait:?}");
    let mut patient = once();
    patient.rate_limit.min_pause = Duration::from_secs(9);
    assert_eq!(seconds(pause(patient, answer(429, ""), Method::Get).await), 9);
}

#[tokio::test(start_paused = true)]
async fn row_82_a_limited_write_is_sent_again_whatever_its_method() {
    for method in [Method::Post, Method::Patch, Method::Put, Method::Delete] {
        assert!(pause(once(), answer(429, ""), method).await.is_some(), "{}", method.name());
    }
}

#[tokio::test(start_paused = true)]
async fn row_83_a_wish_beyond_the_longest_pause_is_clamped_and_asked_again() {
    let mut short = once();
    short.rate_limit.max_pause = Duration::from_secs(20);
    let wait = pause(short, with_header(429, "retry-after", "86400"), Method::Get).await;
    assert_eq!(seconds(wait), 20);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_used_up_window_stands_in_for_an_absent_wish() {
    let standard = asks(&[("ratelimit", "\"default\";r=0;t=30")], "", 429);
    assert_eq!(seconds(pause(once(), standard, Method::Get).await), 30);
    let left = asks(&[("ratelimit", "\"default\";r=5;t=30")], "", 429);
    assert_eq!(seconds(pause(once(), left, Method::Get).await), 0, "another limit than this one was hit");
    let mut named = once();
    named.rate_limit.reset_header = Some("x-until".to_owned());
    assert_eq!(seconds(pause(named.clone(), with_header(429, "x-until", "12"), Method::Get).await), 12);
    let both = asks(&[("x-until", "12"), ("retry-after", "3")], "", 429);
    assert_eq!(seconds(pause(named, both, Method::Get).await), 3);
}
