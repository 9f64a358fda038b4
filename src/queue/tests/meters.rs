//! What the connection's series show.

use super::*;
use crate::observe::recorder::{self, Live};

#[tokio::test(start_paused = true)]
async fn depth_in_flight_level_and_waits_are_reported() {
    let id = ConnectionId::parse("a").unwrap();
    let (meters, live) = (Arc::new(ConnectionMeters::of(&id)), Live::of([], [&id]));
    let shown = |line: &str| {
        let rendered = recorder::render(&live).concat();
        let found = rendered.lines().find_map(|sample| sample.strip_prefix(line)).map(|value| value.trim().to_owned());
        found.unwrap_or_else(|| panic!("no {line} in {rendered}"))
    };
    let bench = Bench::new(&[]);
    bench.queue.apply(vec![LineSpec { id: line("a"), limits: fixed(2), meters }]);
    assert_eq!(shown("flowgate_connection_concurrency_limit{connection=\"a\"}"), "2");
    let held = [bench.acquire("a").await, bench.acquire("a").await];
    bench.send("a", "waiting", millis(10)).await;
    assert_eq!(shown("flowgate_queue_depth{connection=\"a\"}"), "1");
    assert_eq!(shown("flowgate_connection_in_flight{connection=\"a\"}"), "2");
    bench.apply(&[]);
    drop(held);
    bench.turn().await;
    assert_eq!(shown("flowgate_queue_depth{connection=\"a\"}"), "0");
    bench.clock.sleep_until(bench.clock.mono().plus(millis(10))).await;
    bench.turn().await;
    assert_eq!(shown("flowgate_connection_in_flight{connection=\"a\"}"), "0", "the last time, though the line is gone");
    assert_eq!(shown("flowgate_queue_wait_seconds_count{connection=\"a\"}"), "3");
}
