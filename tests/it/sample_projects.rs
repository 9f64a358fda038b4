//! The projects in this repository do what their comments say.

use crate::support::PATIENCE;
use crate::support::client;
use crate::support::command::{finish, flowgate, run};
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::webhook::{epoch, signature};
use flowgate::playground::{Order, Playground, Settings, Verify};
use std::path::{Path, PathBuf};

fn repository(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// The program in a sample project, with its state elsewhere and the playground's address in the environment.
fn sample(below: &str, state: &Path, playground: &Playground) -> std::process::Command {
    let mut command = flowgate(&repository(below));
    command.arg("--state").arg(state.join("state")).env("FLOWGATE_PLAYGROUND", playground.base_uri());
    command
}

#[test]
fn the_top_level_project_delivers_everything_once_within_the_limit() {
    let (state, playground) = (tempfile::tempdir().unwrap(), Playground::start(Settings::demo()).unwrap());
    let mut command = sample("", state.path(), &playground);
    command.args(["run", "orders", "customers"]);
    finish(command, PATIENCE).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!(seen.destination("orders").records.once, 1_200);
    assert_eq!(seen.destination("customers").records.once, 300);
    assert_eq!(seen.sinks.most_in_flight, 4);
}

#[test]
fn hello_world_prints_what_it_kept() {
    let (state, playground) = (tempfile::tempdir().unwrap(), Playground::start(Settings::demo()).unwrap());
    let mut command = sample("examples/hello-world", state.path(), &playground);
    command.args(["run", "hello"]);
    let ended = finish(command, PATIENCE).expect_code(0);
    let kept = (1..=1_200).filter(|id| Order::of(*id).qty() > 6).count();
    assert_eq!(ended.stdout.lines().count(), kept);
    for line in ended.stdout.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["greeting"].as_str().unwrap().starts_with("Hello, ") && line["pieces"].as_u64() > Some(6));
    }
}

/// Runs the SOAP example; exit code and output, and what the playground saw.
fn soap(settings: Settings, code: i32) -> (String, flowgate::playground::Report) {
    let (state, playground) = (tempfile::tempdir().unwrap(), Playground::start(settings).unwrap());
    let mut command = sample("examples/soap", state.path(), &playground);
    command.args(["run", "customers"]).env("SOAP_PASSWORD", "p<&\"w");
    let ended = finish(command, PATIENCE).expect_code(code);
    (ended.stderr, playground.stop())
}

#[test]
fn the_soap_example_copies_every_customer_with_its_username_token() {
    let auth = Some(flowgate::playground::Auth::basic("flow", "p<&\"w"));
    let (_, seen) = soap(Settings { customers: 120, auth, ..Settings::demo() }, 0);
    let customers = seen.destination("customers").records;
    assert_eq!((customers.once, customers.wrong_mapping, customers.unreadable), (120, 0, 0), "{seen}");
}

#[test]
fn a_soap_fault_is_a_failure_with_its_words_and_is_not_tried_again() {
    let (shown, seen) = soap(Settings { customers: 9, reject_every: 3, ..Settings::demo() }, 1);
    let customers = seen.destination("customers").records;
    assert_eq!((customers.once, customers.refused), (6, 3), "{seen}");
    assert!(shown.contains("order 3 is not wanted"), "{shown}");
}

#[test]
fn graphql_follows_its_cursors_and_an_error_under_200_is_one() {
    let (state, playground) = (tempfile::tempdir().unwrap(), Playground::start(Settings::demo()).unwrap());
    let mut command = sample("examples/graphql", state.path(), &playground);
    command.args(["run", "orders"]);
    finish(command, PATIENCE).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!(seen.destination("orders").records.once, 1_200);
    // A query the source does not know is answered with 200 and errors.
    let (project, playground) = (tempfile::tempdir().unwrap(), Playground::start(Settings::demo()).unwrap());
    for name in ["connections/shop.toml", "connections/erp.toml", "flows/orders.toml"] {
        let text = std::fs::read_to_string(repository("examples/graphql").join(name)).unwrap();
        let path = project.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("  orders(", "  nothing(").replace("query Orders", "query Nothing")).unwrap();
    }
    let mut command = flowgate(project.path());
    command.env("FLOWGATE_PLAYGROUND", playground.base_uri()).args(["run", "orders"]);
    let ended = finish(command, PATIENCE).expect_code(69);
    assert!(ended.stderr.contains("asks for no orders"), "{}", ended.stderr);
}

#[test]
fn check_finds_nothing_wrong_with_them() {
    run(&repository(""), &["check"]).expect_code(0);
    let examples: Vec<_> =
        std::fs::read_dir(repository("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for example in examples.iter().filter(|path| path.is_dir()) {
        run(example, &["check"]).expect_code(0);
        assert!(example.join("README.md").exists(), "{} says not what it shows", example.display());
    }
}

#[test]
fn five_ways_of_paging_read_every_order_once() {
    let settings = Settings { verify: Verify::Ids, ..Settings::demo() };
    let (state, playground) = (tempfile::tempdir().unwrap(), Playground::start(settings).unwrap());
    let flows = ["page", "offset", "cursor", "next-url", "link"];
    let mut command = sample("examples/paging", state.path(), &playground);
    command.arg("run").args(flows);
    finish(command, PATIENCE).expect_code(0);
    let seen = playground.stop();
    for flow in flows {
        let records = seen.destination(flow).records;
        assert_eq!((records.once, records.duplicates, records.missing), (1_200, 0, 0), "{flow}: {seen}");
    }
}

#[test]
fn two_connections_that_share_a_level_never_meet_its_limit() {
    let settings = Settings { refuse_over_limit: true, ..Settings::demo() };
    let (state, playground) = (tempfile::tempdir().unwrap(), Playground::start(settings).unwrap());
    let mut command = sample("examples/borrowed-level", state.path(), &playground);
    command.args(["run", "orders", "customers"]);
    finish(command, PATIENCE).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!((seen.destination("orders").records.once, seen.destination("customers").records.once), (1_200, 300));
    assert_eq!((seen.sinks.most_in_flight, seen.over_limit), (4, 0), "{seen}");
}

#[test]
fn the_webhook_takes_what_is_signed_and_delivers_it_once() {
    let playground = Playground::start(Settings { records: 3, limit: Some(4), ..Settings::default() }).unwrap();
    let project = Project::new();
    for name in ["connections/erp.toml", "flows/orders.toml"] {
        project.write(name, &std::fs::read_to_string(repository("examples/webhook").join(name)).unwrap());
    }
    project.settings("public = [\"webhooks\"]");
    let mut command = flowgate(project.dir());
    command.arg("serve").env("FLOWGATE_PLAYGROUND", playground.base_uri()).env("SHOP_WEBHOOK_SECRET", "change-me");
    let mut serving = Serving::start(command);
    let addr = serving.wait_until_listening();
    let at = epoch();
    let call = |id: u64, secret: &str| {
        let mut body = Vec::new();
        Order::of(id).write(&mut body, 0);
        let body = String::from_utf8(body).unwrap();
        let sign = signature(secret, &format!("{at}.{body}"));
        let headers = format!(
            "content-type: application/json\r\nx-delivery: d-{id}\r\nx-timestamp: {at}\r\nx-signature: sha256={sign}\r\n"
        );
        client::send(addr, "POST", "/hooks/shop/orders", &headers, &body).status
    };
    for id in [1, 2, 2, 3, 1] {
        assert_eq!(call(id, "change-me"), 202);
    }
    assert_eq!(call(4, "guessed"), 401);
    let all = |report: &flowgate::playground::Report| report.destination("orders").records.once == 3;
    playground.wait_until(PATIENCE, all).unwrap_or_else(|report| panic!("{report}"));
    serving.signal(rustix::process::Signal::TERM);
    assert_eq!(serving.wait_for_end().0, Some(0));
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
}

/// Runs a flow of an example over the demo's playground, changed by `settings`.
fn example(name: &str, flow: &str, settings: Settings, code: i32) -> (String, flowgate::playground::Report) {
    let (state, playground) = (tempfile::tempdir().unwrap(), Playground::start(settings).unwrap());
    let mut command = sample(&format!("examples/{name}"), state.path(), &playground);
    command.args(["run", flow]);
    let ended = finish(command, PATIENCE).expect_code(code);
    (ended.stderr, playground.stop())
}

#[test]
fn the_lookup_example_delivers_what_gold_customers_ordered() {
    let (_, seen) = example("lookup", "orders", Settings::demo(), 0);
    let records = seen.destination("orders").records;
    // Every fifth of 300 customers is one, and each has four of the 1,200 orders.
    assert_eq!((records.once, records.duplicates, records.wrong_mapping), (240, 0, 0), "{seen}");
}

#[test]
fn the_upsert_example_changes_what_is_there_and_creates_the_rest() {
    let (_, seen) = example("upsert", "orders", Settings { records: 400, ..Settings::demo() }, 0);
    let (created, changed) = (seen.destination("orders").records, seen.destination("updated").records);
    assert_eq!((created.once, created.duplicates, created.wrong_mapping), (200, 0, 0), "{seen}");
    assert_eq!((changed.once, changed.duplicates, changed.wrong_mapping), (200, 0, 0), "{seen}");
}

#[test]
fn the_batch_example_settles_each_order_by_its_own_answer() {
    let (shown, seen) = example("batch", "orders", Settings { reject_every: 7, ..Settings::demo() }, 1);
    let records = seen.destination("orders").records;
    assert_eq!((records.once, records.refused, records.duplicates), (1_200 - 171, 171, 0), "{seen}");
    assert!(shown.contains("order 7 is not wanted"), "{shown}");
    // Refused as a whole, a batch is halved until whoever is to blame stands alone.
    let picky = Settings { records: 200, reject_every: 50, reject_whole_batch: true, ..Settings::demo() };
    let (shown, seen) = example("batch", "orders", picky, 1);
    let records = seen.destination("orders").records;
    assert_eq!((records.once, records.duplicates), (196, 0), "{seen}");
    assert!(shown.contains("order 150 is not wanted"), "{shown}");
}

#[test]
fn the_fan_out_example_reads_every_customers_orders() {
    let (_, seen) = example("fan-out", "orders", Settings { customers: 60, ..Settings::demo() }, 0);
    let records = seen.destination("orders").records;
    assert_eq!((records.once, records.duplicates, records.wrong_mapping), (1_200, 0, 0), "{seen}");
    assert!((2..=4).contains(&seen.sources.most_in_flight), "several at a time, and never more than the level: {seen}");
}

#[test]
fn the_branching_example_sends_each_order_its_way() {
    let (_, seen) = example("branching", "orders", Settings::demo(), 0);
    let (near, far) = (seen.destination("europe").records, seen.destination("overseas").records);
    let order = |id: u64| {
        let mut text = Vec::new();
        Order::of(id).write(&mut text, 0);
        let order: serde_json::Value = serde_json::from_slice(&text).unwrap();
        (["NO", "PL", "HU"].contains(&order["address"]["country"].as_str().unwrap()), Order::of(id).qty() < 3)
    };
    let europe = (1..=1_200).filter(|id| order(*id).0).count() as u64;
    let overseas = (1..=1_200).filter(|id| order(*id) == (false, false)).count() as u64;
    assert_eq!((near.once, far.once), (europe, overseas), "{seen}");
    assert_eq!((near.wrong_mapping, far.wrong_mapping), (0, 0), "{seen}");
}

#[test]
fn the_csv_example_reads_every_row() {
    let (_, seen) = example("csv", "orders", Settings::demo(), 0);
    let records = seen.destination("orders").records;
    assert_eq!((records.once, records.duplicates, records.wrong_mapping), (1_200, 0, 0), "{seen}");
}

#[test]
fn the_delta_example_reads_only_what_is_new() {
    let (state, playground) = (tempfile::tempdir().unwrap(), Playground::start(Settings::demo()).unwrap());
    let once = |args: &[&str]| {
        let mut command = sample("examples/delta", state.path(), &playground);
        command.args(["run", "orders"]).args(args);
        finish(command, PATIENCE).expect_code(0);
        playground.ledger().destination("orders").records
    };
    assert_eq!(once(&[]).once, 1_200);
    playground.behave(Settings { records: 1_250, ..Settings::demo() });
    let records = once(&[]);
    // Fifty more than the ledger was told of; and none of the old ones a second time.
    assert_eq!((records.once, records.foreign, records.duplicates, records.wrong_mapping), (1_200, 50, 0, 0));
    let records = once(&[]);
    assert_eq!((records.foreign, records.duplicates), (50, 0));
    let read_again = once(&["--since", "2026-01-01"]);
    assert!(read_again.duplicates > 0, "asked for by hand");
}
