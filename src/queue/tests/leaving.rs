//! Every way out gives the permit back, once.

use super::*;
use crate::value::time::{Clock, Mono};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Wake};

#[tokio::test(start_paused = true)]
async fn dropping_a_waiting_future_leaves_the_line() {
    let mut bench = Bench::new(&[("a", fixed(1))]);
    let held = bench.acquire("a").await;
    let mut waiting = Box::pin(bench.acquire("a"));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(bench.depth("a"), (1, 1));
    drop(waiting);
    assert_eq!(bench.depth("a"), (0, 1));
    bench.send("a", "next", Duration::ZERO).await;
    drop(held);
    assert_eq!(bench.labels(1).await, ["next"]);
    bench.turn().await;
    assert_eq!(bench.depth("a"), (0, 0));
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_a_future_that_was_dropped() {
    let bench = Bench::new(&[("a", fixed(1))]);
    let _held = bench.acquire("a").await;
    let nobody = Arc::new(Nobody);
    let mut waiting = Box::pin(bench.acquire("a"));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&nobody.clone().into())).is_pending());
    assert!(Arc::strong_count(&nobody) > 1);
    drop(waiting);
    assert_eq!(Arc::strong_count(&nobody), 1);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_races_with_the_drop_is_given_back() {
    let mut bench = Bench::new(&[("a", fixed(1))]);
    let held = bench.acquire("a").await;
    let mut waiting = Box::pin(bench.acquire("a"));
    assert!(waiting.as_mut().now_or_never().is_none());
    bench.send("a", "next", Duration::ZERO).await;
    drop(held);
    assert_eq!(bench.depth("a"), (1, 1), "granted, but nobody has looked");
    drop(waiting);
    assert_eq!(bench.labels(1).await, ["next"]);
    bench.turn().await;
    assert_eq!(bench.depth("a"), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_cancelled_gives_everything_back() {
    let bench = Bench::new(&[("a", fixed(1))]);
    drop(bench.acquire("a").await.again(millis(100)));
    assert_eq!(bench.depth("a"), (0, 0), "never polled");
    let mut waiting = Box::pin(bench.acquire("a").await.again(millis(100)));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(bench.depth("a"), (1, 0));
    drop(waiting);
    assert_eq!(bench.depth("a"), (0, 0));
    assert!(bench.acquire("a").now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_panic_gives_the_permit_back() {
    let bench = Bench::new(&[("a", fixed(1))]);
    let queue = bench.queue.clone();
    let failed = task::spawn("request", async move {
        let _permit = queue.acquire(&line("a"), &FlowId::parse("f").unwrap(), NonZeroU32::MIN).await;
        panic!("in flight");
    });
    assert!(failed.await.is_err());
    assert!(bench.acquire("a").now_or_never().is_some());
}

struct BrokenClock {
    inner: SharedClock,
    broken: AtomicBool,
}

impl Clock for BrokenClock {
    fn mono(&self) -> Mono {
        assert!(!self.broken.swap(false, Ordering::Relaxed), "the clock is broken");
        self.inner.mono()
    }
    fn utc(&self) -> DateTime<Utc> {
        self.inner.utc()
    }
    fn sleep_until(&self, at: Mono) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.inner.sleep_until(at)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_under_the_lock_fails_one_request_only() {
    let clock = Arc::new(BrokenClock { inner: SystemClock::start(), broken: AtomicBool::new(false) });
    let bench = Bench { queue: Queue::start(clock.clone()), clock: clock.clone(), sent: unbounded_channel() };
    bench.apply(&[("a", fixed(1))]);
    bench.turn().await;
    clock.broken.store(true, Ordering::Relaxed);
    let queue = bench.queue.clone();
    let failed = task::spawn("request", async move {
        queue.acquire(&line("a"), &FlowId::parse("f").unwrap(), NonZeroU32::MIN).await
    });
    assert!(failed.await.is_err());
    assert!(bench.acquire("a").now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_closed_queue_sends_everybody_away() {
    let bench = Bench::new(&[("a", fixed(1))]);
    let held = bench.acquire("a").await;
    let queue = bench.queue.clone();
    let waiting = task::spawn("request", async move {
        queue.acquire(&line("a"), &FlowId::parse("f").unwrap(), NonZeroU32::MIN).await.map(drop)
    });
    bench.turn().await;
    bench.queue.close();
    assert_eq!(soon(waiting).await.unwrap(), Err(QueueClosed));
    assert_eq!(held.again(Duration::ZERO).await.map(drop), Err(QueueClosed));
    assert_eq!(bench.try_acquire("a").await.map(drop), Err(QueueClosed));
    assert_eq!(bench.depth("a"), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_after_the_close_goes_to_nobody() {
    for granted_before in [false, true] {
        let bench = Bench::new(&[("a", fixed(1))]);
        let held = bench.acquire("a").await;
        let mut waiting = Box::pin(bench.try_acquire("a"));
        assert!(waiting.as_mut().now_or_never().is_none());
        // Nobody has looked between the one and the other.
        if granted_before {
            drop(held);
            bench.queue.close();
        } else {
            bench.queue.close();
            drop(held);
        }
        assert_eq!(waiting.await.map(drop), Err(QueueClosed), "granted before the close: {granted_before}");
        assert_eq!(bench.depth("a"), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_line_closes_when_it_is_empty() {
    let mut bench = Bench::new(&[("a", fixed(1))]);
    let held = bench.acquire("a").await;
    bench.send("a", "waiting", millis(10)).await;
    bench.apply(&[]);
    drop(soon(held.again(Duration::ZERO)).await.unwrap());
    assert_eq!(bench.labels(1).await, ["waiting"]);
    assert!(bench.queue.view()[0].lines[0].closing);
    bench.turn().await;
    let clock = bench.clock.clone();
    clock.sleep_until(clock.mono().plus(millis(10))).await;
    bench.turn().await;
    assert_eq!(bench.queue.view(), []);
    assert_eq!(bench.try_acquire("a").await.map(drop), Err(QueueClosed));
}

#[tokio::test(start_paused = true)]
async fn a_line_stays_open_for_a_run_that_keeps_it() {
    let bench = Bench::new(&[("a", fixed(1))]);
    let kept = bench.queue.keep_open(&line("a")).unwrap();
    bench.apply(&[]);
    drop(bench.acquire("a").await);
    drop(bench.acquire("a").await);
    drop(kept);
    assert_eq!(bench.try_acquire("a").await.map(drop), Err(QueueClosed));
    assert!(bench.queue.keep_open(&line("a")).is_err());
}

#[tokio::test(start_paused = true)]
async fn the_waker_task_ends_with_the_queue() {
    let Bench { queue, clock, sent } = Bench::new(&[("a", fixed(1))]);
    tokio::task::yield_now().await;
    drop((queue, sent));
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&clock), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_level_holds_and_no_permit_is_lost_among_threads() {
    let bench = Bench::new(&[("a", fixed(3)), ("b", borrow("a"))]);
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let request = |turn: usize| {
        let (queue, now, most) = (bench.queue.clone(), now.clone(), most.clone());
        let name = line(if turn.is_multiple_of(3) { "b" } else { "a" });
        async move {
            let flow = FlowId::parse("f").unwrap();
            for round in 0..50 {
                let mut acquire = Box::pin(queue.acquire(&name, &flow, NonZeroU32::MIN));
                if (turn + round).is_multiple_of(5) {
                    // Looks once and goes away, with or without a permit that nobody has taken.
                    tokio::task::yield_now().await;
                    drop(acquire.as_mut().now_or_never());
                    continue;
                }
                let mut permit = acquire.await.unwrap();
                for _ in 0..(round % 3) {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    permit = permit.again(Duration::ZERO).await.unwrap();
                }
            }
        }
    };
    let tasks: Vec<_> = (0..64).map(|turn| task::spawn("request", request(turn))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_eq!((bench.depth("a"), bench.depth("b")), ((0, 0), (0, 0)));
    let held = [bench.acquire("a").await, bench.acquire("b").await, bench.acquire("a").await];
    assert!(bench.acquire("a").now_or_never().is_none());
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_stands_aside_lets_others_pass_and_comes_back_to_its_old_place() {
    let mut bench = Bench::new(&[("a", fixed(1))]);
    let first = bench.acquire("a").await;
    bench.send("a", "second", millis(10)).await;
    let (call, called) = tokio::sync::oneshot::channel();
    let (queue_sent, clock) = (bench.sent.0.clone(), bench.clock.clone());
    task::spawn("aside", async move {
        let (permit, told) = first.once(called).await.unwrap();
        queue_sent.send(("first", clock.mono().0)).unwrap();
        assert_eq!(told, Ok(7));
        drop(permit);
    });
    assert_eq!(bench.next().await.0, "second", "it holds no permit and no place in front");
    assert_eq!(bench.depth("a"), (1, 1), "but it is still in line");
    bench.send("a", "third", Duration::ZERO).await;
    call.send(7).unwrap();
    bench.turn().await;
    assert_eq!(bench.depth("a"), (2, 1), "called back, it waits for its turn");
    assert_eq!(bench.labels(2).await, ["first", "third"], "its ticket is the older one");
    bench.turn().await;
    assert_eq!(bench.depth("a"), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_ends_early_keeps_the_old_place_and_holds_the_line_at_level_one_only() {
    for (level, first) in [(1, "held"), (2, "second")] {
        let mut bench = Bench::new(&[("a", fixed(level))]);
        let held = bench.acquire("a").await;
        assert_eq!(held.is_alone(), level == 1);
        let (call, called) = tokio::sync::oneshot::channel::<()>();
        let (sent, clock) = (bench.sent.0.clone(), bench.clock.clone());
        task::spawn("held", async move {
            let permit = held.again_or(Duration::from_hours(1), called).await.unwrap();
            sent.send(("held", clock.mono().0)).unwrap();
            clock.sleep_until(clock.mono().plus(millis(1))).await;
            drop(permit);
        });
        bench.turn().await;
        bench.send("a", "second", Duration::ZERO).await;
        assert_eq!(bench.depth("a").0, if level == 1 { 2 } else { 1 }, "nobody passes it at level 1");
        call.send(()).unwrap();
        assert_eq!(bench.labels(2).await[0], first, "level {level}");
        assert!(bench.now() < Duration::from_secs(1), "the delay ended with the call");
        let sent = bench.acquire("a").await.again_or(millis(5), std::future::pending::<()>()).await.unwrap();
        drop(sent);
        assert_eq!(bench.depth("a"), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_stands_aside_leaves_when_dropped_and_when_the_queue_closes() {
    let bench = Bench::new(&[("a", fixed(1))]);
    let mut aside = Box::pin(bench.acquire("a").await.once(std::future::pending::<()>()));
    assert!(aside.as_mut().now_or_never().is_none());
    assert_eq!(bench.depth("a"), (1, 0));
    drop(aside);
    assert_eq!(bench.depth("a"), (0, 0));
    let mut aside = Box::pin(bench.acquire("a").await.once(std::future::pending::<()>()));
    assert!(aside.as_mut().now_or_never().is_none());
    bench.queue.close();
    assert_eq!(soon(aside).await.err(), Some(QueueClosed));
    assert_eq!(bench.depth("a"), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_barred_flow_waits_for_nothing_and_others_go_on() {
    let mut bench = Bench::new(&[("a", fixed(1))]);
    let flow = |name: &str| FlowId::parse(name).unwrap();
    let queue = bench.queue.clone();
    let acquire = |by: &'static str| {
        let (queue, by) = (queue.clone(), flow(by));
        async move { queue.acquire(&line("a"), &by, NonZeroU32::MIN).await }
    };
    let held = acquire("barred").await.unwrap();
    let mut waiting = Box::pin(acquire("barred"));
    assert!(waiting.as_mut().now_or_never().is_none());
    bench.send("a", "other", Duration::ZERO).await;
    bench.queue.bar(&flow("barred"));
    assert_eq!(soon(waiting).await.err(), Some(QueueClosed), "who waits is sent away");
    assert_eq!(acquire("barred").await.err(), Some(QueueClosed), "and whoever comes");
    assert_eq!(soon(held.again(Duration::from_hours(1))).await.err(), Some(QueueClosed), "a retry waits for nothing");
    assert_eq!(bench.labels(1).await, ["other"]);
    bench.queue.admit(&flow("barred"));
    drop(soon(acquire("barred")).await.unwrap());
}
