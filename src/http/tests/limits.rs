//! Rate limits: pauses, hostile headers, storms.

use crate::http::client::ClientSettings;
use crate::http::exchange::FailureClass;
use crate::http::request::Method;
use crate::http::testing::{Bench, Play, answer, request, settings, with_header};
use crate::http::transport::{Phase, WireError};
use std::time::Duration;

const BASE: &str = "https://api.example/v1";

fn brief_errors() -> ClientSettings {
    let mut settings = settings(BASE);
    settings.retry.max_attempts = std::num::NonZeroU32::MIN;
    settings
}

#[tokio::test(start_paused = true)]
async fn the_server_decides_how_long_nothing_is_sent() {
    for limited in [with_header(429, "retry-after", "7"), with_header(503, "retry-after", "7")] {
        let bench = Bench::new(brief_errors(), [limited, answer(200, "")]);
        let request = request(Method::Post, BASE);
        let done = bench.client.exchange(bench.permit().await, &request, None, false).await.unwrap();
        assert_eq!(done.attempts, 2, "a refused write is sent again whatever its method");
        let gap = bench.script.gap(0);
        assert!(gap >= Duration::from_secs(7) && gap < Duration::from_millis(7500), "{gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_pool_stands_still_during_a_pause() {
    let bench = Bench::new(settings(BASE), [with_header(429, "retry-after", "20"), answer(200, "")]);
    let request = request(Method::Get, BASE);
    let send = || async {
        let permit = bench.permit().await;
        bench.client.exchange(permit, &request, None, false).await.unwrap();
    };
    let first = send();
    let others = async {
        // Joins the line after the refusal has come in.
        bench.clock.sleep_until(bench.clock.mono().plus(Duration::from_secs(1))).await;
        futures_util::join!(send(), send(), send());
    };
    futures_util::join!(first, others);
    let times = bench.script.since_first();
    assert_eq!(times.len(), 5);
    assert!(times[1..].iter().all(|t| *t >= Duration::from_secs(20)), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn hostile_headers_never_make_a_busy_loop() {
    for hostile in ["0", "-1", "1e9", "abc", "", "Sun, 06 Nov 1994 08:49:37 GMT", "99999999999999999999"] {
        let bench = Bench::new(settings(BASE), [with_header(429, "retry-after", hostile)]);
        let request = request(Method::Get, BASE);
        let storm = async {
            let send = || async {
                let permit = bench.permit().await;
                let _ = bench.client.exchange(permit, &request, None, false).await;
            };
            futures_util::join!(send(), send(), send(), send())
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), storm).await.is_err(), "it keeps asking: {hostile}");
        assert!(bench.script.count() < 20, "{hostile:?}: {} requests", bench.script.count());
    }
}

#[tokio::test(start_paused = true)]
async fn an_absurd_wish_is_clamped_and_asked_again() {
    let bench = Bench::new(settings(BASE), [with_header(429, "retry-after", "1000000000"), answer(200, "")]);
    let request = request(Method::Get, BASE);
    bench.client.exchange(bench.permit().await, &request, None, false).await.unwrap();
    let gap = bench.script.gap(0);
    assert!(gap >= Duration::from_mins(5) && gap < Duration::from_secs(301), "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn being_limited_uses_up_no_attempts() {
    let mut plays = vec![answer(429, ""); 12];
    plays.push(Play::Fail(WireError::new(Phase::Connect, "broken")));
    let bench = Bench::new(brief_errors(), plays);
    let request = request(Method::Get, BASE);
    let failure = bench.client.exchange(bench.permit().await, &request, None, false).await.err().unwrap();
    assert_eq!((failure.class, failure.attempts), (FailureClass::Unreachable, 13));
}

#[tokio::test(start_paused = true)]
async fn a_503_without_retry_after_is_no_limit() {
    let bench = Bench::new(brief_errors(), [answer(503, "down")]);
    let request = request(Method::Get, BASE);
    let failure = bench.client.exchange(bench.permit().await, &request, None, false).await.err().unwrap();
    assert_eq!((failure.class, failure.status), (FailureClass::Unreachable, Some(503)));
}
