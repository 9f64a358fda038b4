//! Level, loans, wait time, rate, pauses, order.

use super::*;
use crate::queue::limits::RateWindow;
use futures_util::FutureExt;

#[tokio::test(start_paused = true)]
async fn a_free_line_grants_without_waiting() {
    let bench = Bench::new(&[("a", fixed(1))]);
    let permit = bench.acquire("a").now_or_never().unwrap();
    assert_eq!(permit.waited(), Duration::ZERO);
    assert!(bench.acquire("a").now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_wait_time_passes_between_an_end_and_the_next_start() {
    let mut bench = Bench::new(&[("a", Limits { wait_time: millis(50), ..fixed(1) }), ("b", borrow("a"))]);
    for turn in 0..6 {
        bench.send(if turn % 2 == 0 { "a" } else { "b" }, "request", millis(7)).await;
    }
    for turn in 1..=6 {
        assert_eq!(bench.next().await.1, millis(50 * turn + 7 * (turn - 1)));
    }
}

#[tokio::test(start_paused = true)]
async fn rate_windows_hold_for_the_whole_pool() {
    let window = |count, per| RateWindow { count: NonZeroU32::new(count).unwrap(), per };
    let rate = vec![window(3, millis(100)), window(5, millis(1000))];
    let mut bench = Bench::new(&[("a", Limits { rate, ..fixed(9) }), ("b", borrow("a"))]);
    for turn in 0..11 {
        bench.send(if turn % 2 == 0 { "a" } else { "b" }, "request", Duration::ZERO).await;
    }
    let mut starts = Vec::new();
    while starts.len() < 11 {
        starts.push(u64::try_from(bench.next().await.1.as_millis()).unwrap());
    }
    assert_eq!(starts, [0, 0, 0, 100, 100, 1000, 1000, 1000, 1100, 1100, 2000]);
}

#[tokio::test(start_paused = true)]
async fn a_loan_never_sums_above_the_lenders_level() {
    let mut bench = Bench::new(&[("a", fixed(2)), ("b", borrow("a")), ("c", borrow("a"))]);
    for _ in 0..3 {
        for name in ["a", "b", "c"] {
            bench.send(name, "request", millis(10)).await;
        }
    }
    let mut starts = Vec::new();
    while starts.len() < 9 {
        starts.push(bench.next().await.1);
        assert!(bench.queue.view()[0].in_flight <= 2);
    }
    assert!(starts.windows(3).all(|three| three[2] >= three[0] + millis(10)), "{starts:?}");
    assert_eq!(starts[8], millis(40), "and uses it");
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_the_pool_and_the_longer_one_wins() {
    let mut bench = Bench::new(&[("a", fixed(4)), ("b", borrow("a"))]);
    let permit = bench.acquire("a").await;
    permit.pause(Duration::from_secs(2), PauseScope::Pool);
    permit.pause(millis(100), PauseScope::Pool);
    drop(permit);
    bench.send("b", "request", Duration::ZERO).await;
    assert_eq!(bench.queue.view()[0].paused_for, Some(Duration::from_secs(2)));
    assert_eq!(bench.next().await, ("request", Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_connection_leaves_its_lender_alone() {
    let mut bench = Bench::new(&[("a", fixed(4)), ("b", borrow("a"))]);
    bench.acquire("b").await.pause(Duration::from_secs(2), PauseScope::Connection);
    bench.send("b", "held", Duration::ZERO).await;
    bench.send("a", "free", Duration::ZERO).await;
    assert_eq!(bench.next().await, ("free", Duration::ZERO));
    assert_eq!(bench.next().await, ("held", Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn an_absurd_pause_is_only_long() {
    let bench = Bench::new(&[("a", fixed(1)), ("b", fixed(1))]);
    bench.acquire("a").await.pause(Duration::MAX, PauseScope::Pool);
    let held = tokio::time::timeout(Duration::from_hours(100), bench.acquire("a"));
    assert!(held.await.is_err());
    bench.acquire("b").await.pause(millis(10), PauseScope::Pool);
    let start = bench.now();
    drop(bench.acquire("b").await);
    assert_eq!(bench.now(), start + millis(10), "others are woken in time");
}

#[tokio::test(start_paused = true)]
async fn at_level_one_a_retry_holds_its_line() {
    let mut bench = Bench::new(&[("a", fixed(1))]);
    let first = bench.acquire("a").await;
    bench.send("a", "second", Duration::ZERO).await;
    let first = soon(first.again(millis(300))).await.unwrap();
    assert_eq!((bench.now(), first.waited()), (millis(300), millis(300)));
    assert!(bench.sent.1.is_empty(), "nobody passed");
    drop(first);
    assert_eq!(bench.next().await, ("second", millis(300)));
}

#[tokio::test(start_paused = true)]
async fn above_level_one_a_retry_is_passed_and_keeps_its_ticket() {
    let mut bench = Bench::new(&[("a", fixed(2))]);
    let first = bench.acquire("a").await;
    for label in ["second", "third", "fourth"] {
        bench.send("a", label, millis(200)).await;
    }
    assert_eq!(bench.next().await, ("second", Duration::ZERO));
    let first = soon(first.again(millis(100))).await.unwrap();
    assert_eq!(bench.now(), millis(200), "second and third were in flight until then");
    assert_eq!(bench.labels(1).await, ["third"]);
    drop(first);
    assert_eq!(bench.labels(1).await, ["fourth"]);
}

#[tokio::test(start_paused = true)]
async fn a_limited_request_goes_first_after_its_pause() {
    let bench = Bench::new(&[("a", fixed(1)), ("b", borrow("a"))]);
    let mut older = Box::pin(bench.acquire("a").await.again(millis(10)));
    assert!(older.as_mut().now_or_never().is_none());
    let limited = bench.acquire("b").await;
    limited.pause(Duration::from_secs(2), PauseScope::Pool);
    let limited = soon(limited.again(Duration::ZERO)).await.unwrap();
    assert_eq!(bench.now(), Duration::from_secs(2));
    assert!(older.as_mut().now_or_never().is_none());
    drop(limited);
    assert!(older.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_changed_level_holds_at_once() {
    let mut bench = Bench::new(&[("a", fixed(1))]);
    let _held = bench.acquire("a").await;
    for label in ["one", "two", "three", "four"] {
        bench.send("a", label, millis(10)).await;
    }
    bench.apply(&[("a", fixed(3))]);
    assert_eq!(bench.next().await, ("one", Duration::ZERO));
    assert_eq!(bench.next().await, ("two", Duration::ZERO));
    bench.apply(&[("a", fixed(2))]);
    assert_eq!(bench.next().await, ("three", millis(10)));
    assert_eq!(bench.queue.level(&line("a")), 2);
    assert_eq!(bench.next().await, ("four", millis(20)), "one permit is held");
}

#[tokio::test(start_paused = true)]
async fn a_loan_taken_up_while_requests_are_in_flight_exceeds_neither_level() {
    let mut bench = Bench::new(&[("a", fixed(2)), ("b", fixed(2))]);
    let held = [bench.acquire("a").await, bench.acquire("a").await];
    bench.send("b", "first", millis(10)).await;
    bench.apply(&[("a", borrow("b")), ("b", fixed(2))]);
    bench.send("b", "second", millis(10)).await;
    assert_eq!(bench.labels(1).await, ["first"]);
    let clock = bench.clock.clone();
    clock.sleep_until(clock.mono().plus(millis(100))).await;
    assert!(bench.sent.1.is_empty(), "two of the borrower count");
    drop(held);
    assert_eq!(bench.next().await, ("second", millis(100)));
}

#[tokio::test(start_paused = true)]
async fn fair_order_goes_round_by_weight() {
    let mut bench = Bench::new(&[("a", Limits { order: Order::Fair, ..fixed(1) })]);
    let held = bench.acquire("a").await;
    for _ in 0..30 {
        bench.send_as("a", "x", ("x", 2), millis(1)).await;
    }
    for _ in 0..30 {
        bench.send_as("a", "y", ("y", 1), millis(1)).await;
    }
    drop(held);
    let labels = bench.labels(30).await;
    for (turn, count) in [(12, 8), (30, 20)] {
        let of_x = labels[..turn].iter().filter(|label| **label == "x").count();
        assert!(of_x.abs_diff(count) <= 1, "{of_x} of {turn}: {labels:?}");
    }
}
