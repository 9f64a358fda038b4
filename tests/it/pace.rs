//! Never earlier than the wait between requests, nor than a pause the API asked for.

use crate::support::command::run;
use crate::support::project::Project;
use flowgate::playground::{Faults, Playground, Report, Settings};
use std::time::Duration;

fn deliver(settings: Settings, erp: &str) -> Report {
    let playground = Playground::start(settings).unwrap();
    let project = Project::new();
    project
        .connection("shop", &playground.base_uri(), "concurrency_level = 1")
        .connection("erp", &playground.base_uri(), erp)
        .orders_flow("orders", "erp", "/orders", "");
    run(project.dir(), &["run", "orders"]).expect_code(0);
    playground.stop()
}

#[test]
fn a_wait_of_fifty_milliseconds_leaves_no_shorter_gap_in_two_hundred_requests() {
    let settings = Settings { records: 200, limit: Some(1), ..Settings::default() };
    let seen = deliver(settings, "concurrency_level = 1\nwait_time = \"50ms\"");
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!((seen.sinks.requests, seen.sinks.gaps_us.len()), (200, 199));
    assert!(seen.sinks.smallest_gap() >= Some(Duration::from_millis(50)), "{:?}", seen.sinks.smallest_gap());
}

#[test]
fn at_level_one_nothing_arrives_for_the_two_seconds_a_429_asks_for() {
    let sink = Faults { limit_at: 5, retry_after: 2, ..Faults::default() };
    let seen = deliver(Settings { records: 20, sink, limit: Some(1), ..Settings::default() }, "concurrency_level = 1");
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!((seen.sinks.limited, seen.sinks.early, seen.sinks.requests), (1, 0, 21));
    let arrivals = &seen.sinks.arrivals_us;
    assert!(arrivals[5] - arrivals[4] >= 2_000_000, "{arrivals:?}");
}

#[test]
fn above_level_one_only_requests_already_sent_arrive_within_a_pause() {
    let sink = Faults { latency: Duration::from_millis(2), limit_at: 40, retry_after: 1, ..Faults::default() };
    let seen = deliver(Settings { records: 200, sink, limit: Some(4), ..Settings::default() }, "concurrency_level = 4");
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!(seen.sinks.limited, 1);
    // At most three were on their way; none set out half a second later.
    assert!(seen.sinks.early <= 3, "{:?}", seen.sinks.early_us);
    assert!(seen.sinks.early_us.iter().all(|late| *late < 500_000), "{:?}", seen.sinks.early_us);
}
