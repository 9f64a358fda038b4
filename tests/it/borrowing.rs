//! A borrower adds nothing to what its lender's API must bear.

use crate::support::command::run;
use crate::support::project::Project;
use flowgate::playground::{Faults, Playground, Settings};
use std::time::Duration;

#[test]
fn two_flows_over_lender_and_borrower_never_exceed_the_one_level() {
    let sink = Faults { latency: Duration::from_millis(2), ..Faults::default() };
    let playground =
        Playground::start(Settings { records: 1_000, sink, limit: Some(3), ..Settings::default() }).unwrap();
    let project = Project::new();
    project
        .connection("shop", &playground.base_uri(), "concurrency_level = 2")
        .connection("erp", &playground.base_uri(), "concurrency_level = 3")
        .connection("erp-reports", &playground.base_uri(), "borrow_concurrency_from = \"erp\"")
        .orders_flow("orders", "erp", "/sink/orders", "")
        .orders_flow("reports", "erp-reports", "/sink/reports", "");
    run(project.dir(), &["run", "orders", "reports"]).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!(seen.sinks.most_in_flight, 3);
    for name in ["orders", "reports"] {
        let destination = seen.destination(name);
        assert_eq!(destination.records.once, 1_000);
        assert!(destination.traffic.most_in_flight >= 1, "{name} had its turn");
    }
}
