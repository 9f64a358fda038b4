//! `[[on]]`: every `do` wherever a rule may stand, own attempts and waits, and that the first match decides.

use crate::http::exchange::{Answer, Failure, FailureClass};
use crate::http::media::{MediaSettings, MediaTypes};
use crate::http::on::{Act, OnRule, Ruling, Wait};
use crate::http::request::{Method, Prepared};
use crate::http::testing::{Bench, Play, answer, request, settings, with_header};
use crate::http::verdict::{Law, Received, RetryAfterUnit, Verdict, judge};
use crate::value::context::Context;
use crate::value::document::BodyPath;
use crate::value::rule::{Rule, StatusRange};
use crate::value::template::{Place, Template};
use proptest::prelude::*;
use reqwest::header::HeaderMap;
use std::num::NonZeroU32;
use std::time::Duration;

const BASE: &str = "https://api.example/v1";

fn on(status: &[u16], act: Act) -> OnRule {
    let status = status.iter().map(|status| StatusRange::one(*status)).collect();
    OnRule { rule: Rule { status, ..Rule::default() }, act, max_attempts: None, wait: None, message: None }
}

fn failed(sent: &Result<Answer, Failure>) -> Failure {
    sent.as_ref().err().cloned().unwrap()
}

/// A write that nobody may repeat, with these rules of its own and of its connection.
async fn send(
    own: Vec<OnRule>,
    connection: Vec<OnRule>,
    plays: impl IntoIterator<Item = Play>,
) -> (Result<Answer, Failure>, Bench) {
    let mut settings = settings(BASE);
    settings.on = connection.into();
    settings.retry.max_attempts = NonZeroU32::MIN;
    let bench = Bench::new(settings, plays);
    let request = Prepared { on: own.into(), ..request(Method::Post, BASE) };
    let sent = bench.client.exchange(bench.permit().await, &request, None, false).await;
    (sent, bench)
}

#[tokio::test(start_paused = true)]
async fn every_do_holds_for_every_status_in_both_places() {
    for status in [200, 204, 302, 401, 404, 418, 429, 503] {
        for (name, act) in Act::WORDS {
            for own in [true, false] {
                let most = (*act == Act::Retry).then(|| NonZeroU32::new(2)).flatten();
                let rule = vec![OnRule { max_attempts: most, ..on(&[status], *act) }];
                let (own, connection) = if own { (rule, Vec::new()) } else { (Vec::new(), rule) };
                let (sent, bench) = send(own, connection, [answer(status, "{}"), answer(201, "{}")]).await;
                let place = format!("{name} at {status}");
                let ruling = |sent: &Result<Answer, Failure>| sent.as_ref().err().and_then(|failure| failure.ruling);
                match act {
                    Act::Skip => assert_eq!(ruling(&sent), Some(Ruling::Skip), "{place}"),
                    Act::Stop => assert_eq!(ruling(&sent), Some(Ruling::Stop), "{place}"),
                    Act::Fail => assert_eq!(ruling(&sent), Some(Ruling::Fail), "{place}"),
                    Act::Retry | Act::Limited => assert_eq!(sent.as_ref().unwrap().attempts, 2, "{place}"),
                    Act::Refresh => assert_eq!(failed(&sent).class, FailureClass::Auth, "{place}"),
                    Act::Success => assert_eq!(sent.as_ref().unwrap().status, status, "{place}"),
                }
                let asked = bench.script.count();
                assert_eq!(asked, if act.repeats() { 2 } else { 1 }, "{place}");
                let nothing = sent.err().is_some_and(|failure| failure.is_nothing());
                assert_eq!(nothing, matches!(act, Act::Skip | Act::Stop), "{place}");
                assert_eq!(bench.free().await, 4, "{place}: permits are back");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_s_rule_goes_before_its_connection_s() {
    let (own, connection) = (vec![on(&[404], Act::Success)], vec![on(&[404], Act::Fail), on(&[410], Act::Skip)]);
    let (sent, _) = send(own.clone(), connection.clone(), [answer(404, "")]).await;
    assert_eq!(sent.unwrap().status, 404);
    let (sent, _) = send(own, connection, [answer(410, "")]).await;
    assert_eq!(failed(&sent).ruling, Some(Ruling::Skip));
}

#[tokio::test(start_paused = true)]
async fn each_rule_has_attempts_and_waits_of_its_own() {
    let most = NonZeroU32::new(3);
    let wait = Some(Wait::For(Duration::from_secs(40)));
    let soon = OnRule { max_attempts: most, wait, ..on(&[202], Act::Retry) };
    let told = Wait::Told { header: "X-Again".to_owned(), unit: RetryAfterUnit::Millis, min: Duration::from_secs(2) };
    let later = OnRule { max_attempts: NonZeroU32::new(2), wait: Some(told), ..on(&[404], Act::Retry) };
    let plays = [answer(202, ""), with_header(404, "x-again", "9000"), answer(202, ""), answer(200, "")];
    let (sent, bench) = send(vec![soon.clone()], vec![later.clone()], plays).await;
    assert_eq!(sent.unwrap().attempts, 4, "each counts for itself, and `[retry]` for neither");
    let gaps: Vec<u64> = (0..3).map(|n| bench.script.gap(n).as_secs()).collect();
    assert_eq!(gaps, [40, 9, 40]);
    let (sent, bench) = send(vec![soon], vec![], [answer(202, "{}")]).await;
    assert_eq!((bench.script.count(), failed(&sent).class), (3, FailureClass::Rejected));
    let (sent, bench) = send(vec![later], vec![], [answer(404, "gone")]).await;
    let failure = failed(&sent);
    assert_eq!((bench.script.count(), failure.class, failure.ruling), (2, FailureClass::Rejected, None));
    assert_eq!(bench.script.gap(0).as_secs(), 2, "at least `min`, where nothing is told");
    let down = OnRule { max_attempts: most, ..on(&[503], Act::Retry) };
    let (sent, bench) = send(vec![down], vec![], [answer(503, "down")]).await;
    let class = failed(&sent).class;
    assert_eq!((bench.script.count(), class), (3, FailureClass::Unknown), "a write that may have arrived");
}

#[tokio::test(start_paused = true)]
async fn limited_holds_the_pool_and_ends_when_its_attempts_do() {
    let wait = Some(Wait::For(Duration::from_secs(30)));
    let limited = OnRule { wait, ..on(&[403], Act::Limited) };
    let mut shop = settings(BASE);
    shop.on = vec![limited.clone()].into();
    let bench = Bench::new(shop, [answer(403, ""), answer(200, "")]);
    let get = request(Method::Get, BASE);
    let first = async { bench.client.exchange(bench.permit().await, &get, None, false).await };
    let other = async {
        bench.clock.sleep_until(bench.clock.mono().plus(Duration::from_secs(1))).await;
        bench.client.exchange(bench.permit().await, &get, None, false).await
    };
    let (first, other) = futures_util::join!(first, other);
    assert!(first.is_ok() && other.is_ok());
    assert!(bench.script.gap(0) >= Duration::from_secs(30), "nobody of the pool is sent meanwhile");
    let twice = OnRule { max_attempts: NonZeroU32::new(2), ..limited };
    let (sent, bench) = send(vec![twice], vec![], [answer(403, "")]).await;
    assert_eq!((bench.script.count(), failed(&sent).class), (2, FailureClass::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn a_message_tells_of_the_answer_and_one_that_cannot_leaves_what_was_said() {
    let says = |text: &str| OnRule {
        rule: Rule { path: Some(BodyPath::compile("why").unwrap()), ..Rule::default() },
        message: Some(Template::compile(text, Place::Plain).unwrap()),
        ..on(&[], Act::Fail)
    };
    let body = "{\"why\":\"no {{access}}\"}";
    for (text, expected) in [
        ("{{response.status}}: {{response.body.why}} for {{connection.vars.account}}", "403: no {{access}} for acme"),
        ("{{response.body.missing.deep}}", body),
        (" ", body),
    ] {
        let (sent, _) = send(vec![says(text)], vec![], [answer(403, body)]).await;
        assert_eq!(failed(&sent).message, expected, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_judged_by_its_own_rules_only() {
    let mut shop = settings(BASE);
    shop.on = vec![on(&[200], Act::Fail)].into();
    let bench = Bench::new(shop, [answer(200, "")]);
    assert!(bench.client.ping(bench.permit().await).await.failure.is_none());
}

const STATUSES: [u16; 6] = [200, 401, 404, 418, 429, 503];

fn rule() -> impl Strategy<Value = OnRule> {
    let status = proptest::sample::subsequence(STATUSES.to_vec(), 0..3);
    let text = proptest::option::of(proptest::sample::select(vec!["a", "b"]));
    let act = proptest::sample::select(Act::WORDS.iter().map(|(_, act)| *act).collect::<Vec<_>>());
    (status, text, act).prop_map(|(status, text, act)| {
        let mut on = on(&status, act);
        on.rule.text = text.map(str::to_owned);
        on
    })
}

proptest! {
    #[test]
    fn the_first_match_decides_whatever_stands_behind_it(
        own in proptest::collection::vec(rule(), 0..5),
        connection in proptest::collection::vec(rule(), 0..5),
        status in proptest::sample::select(STATUSES.to_vec()),
        body in proptest::sample::select(vec!["", "a", "b", "ab"]),
    ) {
        let (settings, media) = (settings(BASE), MediaSettings::default());
        let law = Law {
            on: [&own, &connection],
            response: &settings.response,
            rate_limit: &settings.rate_limit,
            auth_failure: &settings.auth_failure,
            context: Context::new(),
            want_document: false,
            lens: crate::http::media::Lens { types: MediaTypes::default(), decode: None, settings: &media, max: 1 << 20 },
        };
        let mut received = Received::new(status, HeaderMap::new(), body.as_bytes().to_vec());
        let matches = |on: &OnRule| {
            let named = on.rule.status.is_empty() || on.rule.status.iter().any(|range| range.contains(status));
            let is_empty = on.rule.status.is_empty() && on.rule.text.is_none();
            !is_empty && named && on.rule.text.as_deref().is_none_or(|text| body.contains(text))
        };
        let first = own.iter().chain(&connection).position(matches);
        let verdict = judge(&mut received, &law);
        match first {
            Some(at) => prop_assert_eq!(verdict, Verdict::Ruled(at)),
            None => prop_assert!(!matches!(verdict, Verdict::Ruled(_))),
        }
    }
}
