//! Never more requests at once than the connection's level, and no fewer while there is work.

use crate::support::command::run;
use crate::support::project::Project;
use flowgate::playground::{Faults, Playground, Settings};
use std::time::Duration;

#[test]
fn ten_thousand_records_at_level_four_have_four_in_flight_and_never_five() {
    // A little latency lets the destination see requests side by side.
    let sink = Faults { latency: Duration::from_millis(1), ..Faults::default() };
    let playground =
        Playground::start(Settings { records: 10_000, sink, limit: Some(4), ..Settings::default() }).unwrap();
    let project = Project::new();
    project
        .connection("shop", &playground.base_uri(), "concurrency_level = 1")
        .connection("erp", &playground.base_uri(), "concurrency_level = 4")
        .orders_flow("orders", "erp", "/orders", "");
    run(project.dir(), &["run", "orders"]).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!((seen.destination("orders").records.once, seen.sinks.most_in_flight), (10_000, 4));
}

#[test]
fn a_connection_that_is_source_and_destination_has_one_level_for_both() {
    let slow = Faults { latency: Duration::from_millis(1), ..Faults::default() };
    let settings = Settings { records: 2_000, source: slow, sink: slow, ..Settings::default() };
    let playground = Playground::start(settings).unwrap();
    let project = Project::new();
    project
        .connection("shop", &playground.base_uri(), "concurrency_level = 3")
        .orders_flow("orders", "shop", "/orders", "");
    run(project.dir(), &["run", "orders"]).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!(seen.all.most_in_flight, 3);
}

#[test]
fn batches_carry_every_record_once() {
    let playground = Playground::start(Settings { records: 1_050, limit: Some(4), ..Settings::default() }).unwrap();
    let project = Project::new();
    project
        .connection("shop", &playground.base_uri(), "concurrency_level = 1")
        .connection("erp", &playground.base_uri(), "concurrency_level = 4")
        .orders_flow("orders", "erp", "/orders", "batch_size = 100\nwrap = \"orders\"");
    run(project.dir(), &["run", "orders"]).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!(seen.sinks.requests, 11);
}
