//! What is sent again, how often, and what it is called in the end.

use crate::http::exchange::{Failure, FailureClass};
use crate::http::request::{Method, Prepared};
use crate::http::testing::{Bench, Play, answer, request, settings};
use crate::http::transport::{Phase, WireError};
use std::time::Duration;

const BASE: &str = "https://api.example/v1";

fn fails(phase: Phase) -> Play {
    Play::Fail(WireError::new(phase, "broken"))
}

async fn run(request: Prepared, plays: Vec<Play>) -> (usize, Result<u16, Failure>) {
    let bench = Bench::new(settings(BASE), plays);
    let result = bench.client.exchange(bench.permit().await, &request, None, false).await;
    assert_eq!(bench.free().await, 4, "the permit is back");
    (bench.script.count(), result.map(|answer| answer.status))
}

async fn class_of(method: Method, play: Play) -> (usize, FailureClass) {
    let (count, result) = run(request(method, BASE), vec![play]).await;
    (count, result.unwrap_err().class)
}

#[tokio::test(start_paused = true)]
async fn reads_are_tried_until_the_attempts_are_used_up() {
    for play in [fails(Phase::Connect), fails(Phase::Sent), answer(500, "x"), answer(408, ""), answer(425, "")] {
        assert_eq!(class_of(Method::Get, play).await, (4, FailureClass::Unreachable));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_may_succeed() {
    let (count, result) = run(request(Method::Get, BASE), vec![fails(Phase::Sent), answer(200, "")]).await;
    assert_eq!((count, result.unwrap()), (2, 200));
}

#[tokio::test(start_paused = true)]
async fn a_post_is_sent_again_only_when_no_byte_left() {
    assert_eq!(class_of(Method::Post, fails(Phase::Connect)).await, (4, FailureClass::Unreachable));
    for play in [fails(Phase::Sent), answer(500, ""), answer(503, ""), Play::Hang, Play::Stall(200)] {
        assert_eq!(class_of(Method::Post, play).await, (1, FailureClass::Unknown));
    }
    assert_eq!(class_of(Method::Patch, fails(Phase::Sent)).await, (1, FailureClass::Unknown));
    for play in [answer(408, ""), answer(425, "")] {
        // Answered: nothing was taken, yet bytes left.
        assert_eq!(class_of(Method::Post, play.clone()).await, (1, FailureClass::Unreachable));
        assert_eq!(class_of(Method::Patch, play.clone()).await, (1, FailureClass::Unreachable));
        assert_eq!(class_of(Method::Put, play).await, (4, FailureClass::Unreachable));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_or_a_safe_purpose_makes_a_post_repeatable() {
    let keyed = Prepared { keyed: true, ..request(Method::Post, BASE) };
    assert_eq!(run(keyed.clone(), vec![fails(Phase::Sent)]).await.0, 4);
    assert_eq!(run(keyed, vec![answer(408, "")]).await.0, 4);
    let safe = Prepared { safe: true, ..request(Method::Post, BASE) };
    let (count, result) = run(safe, vec![fails(Phase::Sent)]).await;
    assert_eq!((count, result.unwrap_err().class), (4, FailureClass::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn unsafe_methods_repeat_but_stay_unknown() {
    let mut settings = settings(BASE);
    settings.retry.unsafe_methods = true;
    let bench = Bench::new(settings, [fails(Phase::Sent), fails(Phase::Connect)]);
    let request = request(Method::Post, BASE);
    let failure = bench.client.exchange(bench.permit().await, &request, None, false).await.err().unwrap();
    assert_eq!((failure.class, failure.attempts), (FailureClass::Unknown, 4), "the first one may have arrived");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_never_sent_again() {
    for status in [400, 404, 409, 422, 501, 505, 302] {
        assert_eq!(class_of(Method::Get, answer(status, "no")).await, (1, FailureClass::Rejected), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_timeout_covers_the_answer_and_its_body() {
    for play in [Play::Hang, Play::Stall(200)] {
        let bench = Bench::new(settings(BASE), [play, answer(200, "")]);
        let hurried = Prepared { timeout: Some(Duration::from_secs(2)), ..request(Method::Get, BASE) };
        let answer = bench.client.exchange(bench.permit().await, &hurried, None, false).await.unwrap();
        assert_eq!(answer.attempts, 2);
        let gap = bench.script.gap(0);
        assert!(gap >= Duration::from_secs(2) && gap <= Duration::from_millis(3100), "{gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_body_never_ends_is_judged_by_its_status() {
    assert_eq!(class_of(Method::Post, Play::Stall(404)).await, (1, FailureClass::Rejected));
}

#[tokio::test(start_paused = true)]
async fn back_offs_double_with_jitter_and_stay_below_their_ceilings() {
    let bench = Bench::new(settings(BASE), [fails(Phase::Sent)]);
    let request = request(Method::Get, BASE);
    let _ = bench.client.exchange(bench.permit().await, &request, None, false).await;
    assert_eq!(bench.script.count(), 4);
    for n in 0..3 {
        let gap = bench.script.gap(n);
        assert!(gap <= Duration::from_secs(1 << n) + Duration::from_millis(5), "{n}: {gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_delays_and_never_fails() {
    let bench = Bench::new(settings(BASE), [fails(Phase::Connect)]);
    let request = request(Method::Get, BASE);
    for _ in 0..10 {
        let failure = bench.client.exchange(bench.permit().await, &request, None, false).await.err().unwrap();
        assert_eq!((failure.class, failure.attempts), (FailureClass::Unreachable, 4));
    }
    let times = bench.script.since_first();
    assert_eq!(times.len(), 40);
    // Thirty retries of ten requests: one is earned, ten a minute are free.
    let elapsed = times[39];
    assert!(elapsed >= Duration::from_secs(110), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_an_exchange_gives_the_permit_back() {
    let bench = Bench::new(settings(BASE), [Play::Hang]);
    let request = request(Method::Get, BASE);
    let exchange = bench.client.exchange(bench.permit().await, &request, None, false);
    assert!(tokio::time::timeout(Duration::from_secs(1), exchange).await.is_err());
    assert_eq!(bench.free().await, 4);
}
