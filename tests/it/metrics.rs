//! `/metrics` of a running `serve`: the names others rely on, and figures that agree with each other at any moment.

use crate::support::PATIENCE;
use crate::support::api::{Api, Reply};
use crate::support::client::sample;
use crate::support::command::run;
use crate::support::project::Project;
use crate::support::serving::Serving;
use flowgate::observe::names;
use flowgate::playground::{Faults, Playground, Settings};
use rustix::process::Signal;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A playground slow enough to be looked at in the middle, and a project that fills it each second.
fn under_load(settings: Settings) -> (Playground, Project, Serving) {
    let playground = Playground::start(settings).unwrap();
    let project = Project::new();
    project
        .connection("shop", &playground.base_uri(), "concurrency_level = 1")
        .connection("erp", &playground.base_uri(), "concurrency_level = 3")
        .orders_flow("orders", "erp", "/orders", "");
    let flow = std::fs::read_to_string(project.path("flows/orders.toml")).unwrap();
    project.write("flows/orders.toml", &format!("schedule = \"* * * * * *\"\n{flow}"));
    let serving = Serving::of(&project);
    (playground, project, serving)
}

fn slow() -> Settings {
    let sink = Faults { latency: Duration::from_millis(5), ..Faults::default() };
    Settings { records: 1_000, sink, reject_every: 7, ..Settings::default() }
}

#[test]
fn every_frozen_series_is_there_under_load_with_its_labels() {
    let (playground, _project, serving) = under_load(slow());
    playground.wait_until(PATIENCE, |seen| seen.sinks.requests > 50).unwrap();
    let text = serving.metrics();
    let mut series: Vec<String> = Vec::new();
    for outcome in ["applied", "rejected"] {
        series.push(format!("flowgate_config_reloads_total{{outcome=\"{outcome}\"}}"));
    }
    for outcome in ["succeeded", "errors", "failed", "cancelled"] {
        for trigger in ["manual", "schedule"] {
            let labels = format!("flow=\"orders\",outcome=\"{outcome}\",trigger=\"{trigger}\"");
            series.push(format!("flowgate_flow_runs_total{{{labels}}}"));
        }
    }
    for outcome in ["exported", "delivered", "filtered", "failed"] {
        series.push(format!("flowgate_flow_records_total{{flow=\"orders\",outcome=\"{outcome}\"}}"));
    }
    series.push("flowgate_flow_last_success_timestamp_seconds{flow=\"orders\"}".to_owned());
    for connection in ["shop", "erp"] {
        for outcome in ["success", "limited", "auth_failed", "rejected", "unreachable"] {
            let labels = format!("connection=\"{connection}\",outcome=\"{outcome}\"");
            series.push(format!("flowgate_http_requests_total{{{labels}}}"));
        }
        for name in ["flowgate_queue_depth", "flowgate_connection_in_flight", "flowgate_connection_concurrency_limit"] {
            series.push(format!("{name}{{connection=\"{connection}\"}}"));
        }
        for part in ["sum", "count"] {
            series.push(format!("flowgate_queue_wait_seconds_{part}{{connection=\"{connection}\"}}"));
        }
        series.push(format!("flowgate_queue_wait_seconds_bucket{{connection=\"{connection}\",le=\"+Inf\"}}"));
    }
    for one in &series {
        assert!(sample(&text, one).is_some(), "no {one} in\n{text}");
    }
    assert_eq!(sample(&text, "flowgate_connection_concurrency_limit{connection=\"erp\"}"), Some(3.0));
    assert!(sample(&text, "flowgate_http_requests_total{connection=\"erp\",outcome=\"rejected\"}") > Some(0.0));
    assert!(sample(&text, "flowgate_queue_wait_seconds_count{connection=\"erp\"}") > Some(0.0));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("flowgate_"), "{line}");
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(text.contains(&format!("# HELP {family} ")), "{family} is not described");
    }
}

#[test]
fn attempts_are_counted_one_by_one() {
    let sink = Faults { fail_every: 20, ..Faults::default() };
    let settings = Settings { records: 100, fresh: 0, sink, ..Settings::default() };
    let playground = Playground::start(settings).unwrap();
    let project = Project::new();
    let quick = "concurrency_level = 2\n[retry]\nunsafe_methods = true\nbackoff = { initial = \"1ms\", max = \"5ms\" }";
    project
        .connection("shop", &playground.base_uri(), "")
        .connection("erp", &playground.base_uri(), quick)
        .orders_flow("orders", "erp", "/orders", "");
    let flow = std::fs::read_to_string(project.path("flows/orders.toml")).unwrap();
    project.write("flows/orders.toml", &format!("schedule = \"* * * * * *\"\n{flow}"));
    let mut serving = Serving::of(&project);
    let end = serving.wait_for_flow("run finished", "orders");
    assert_eq!(end["delivered"], 100, "{end}");
    project.write("flows/orders.toml", &format!("enabled = false\nschedule = \"* * * * * *\"\n{flow}"));
    serving.wait_for("reload applied");
    crate::support::serving::status_until(&project, |told| told["flows"][0]["running"].is_null());
    let seen = playground.ledger();
    let count = |outcome: &str| {
        serving.sample(&format!("flowgate_http_requests_total{{connection=\"erp\",outcome=\"{outcome}\"}}"))
    };
    let (success, unreachable) = (count("success"), count("unreachable"));
    assert_eq!((success + unreachable).to_string(), seen.sinks.requests.to_string(), "one per attempt");
    assert_eq!(unreachable.to_string(), seen.sinks.failed.to_string());
    assert_eq!(serving.sample("flowgate_http_retries_total{connection=\"erp\"}"), unreachable);
}

#[test]
fn the_account_of_records_balances_in_every_scrape() {
    // No latency: the account changes as often as can be while it is read.
    let settings = Settings { records: 20_000, reject_every: 5, ..Settings::default() };
    let (playground, _project, serving) = under_load(settings);
    playground.wait_until(PATIENCE, |seen| seen.sinks.requests > 20).unwrap();
    let (mut scrapes, mut moving, mut last) = (0, 0, 0.0);
    while scrapes < 1_000 {
        let text = serving.metrics();
        let of = |outcome: &str| {
            let series = format!("flowgate_flow_records_total{{flow=\"orders\",outcome=\"{outcome}\"}}");
            sample(&text, &series).unwrap()
        };
        let resolved = of("delivered") + of("filtered") + of("failed");
        let in_flight = sample(&text, "flowgate_flow_records_in_flight{flow=\"orders\"}").unwrap();
        let difference = of("exported") - resolved - in_flight;
        assert!(difference.abs() < 0.5, "{} exported, {resolved} resolved, {in_flight} in flight", of("exported"));
        scrapes += 1;
        moving += u32::from(resolved > last && in_flight > 0.0);
        last = resolved;
    }
    assert!(moving > 10, "it was looked at in motion: {moving} of {scrapes}");
}

#[test]
fn what_a_run_needs_beside_its_records_is_counted_and_known_again_after_a_restart() {
    let mut refused = false;
    let api = Api::start(move |request| match (request.path(), request.header("authorization")) {
        ("/token", _) => Reply::json(200, "{\"access_token\":\"good-for-an-hour\",\"expires_in\":3600}"),
        ("/none", _) => Reply::json(400, "{\"error\":\"invalid_grant\"}"),
        ("/records", Some("Bearer good-for-an-hour")) => Reply::json(200, "{\"data\":[{\"id\":1}]}"),
        ("/taken", Some("Bearer good-for-an-hour")) if std::mem::replace(&mut refused, true) => Reply::json(201, "{}"),
        ("/taken", _) => Reply::json(503, "{}"),
        _ => Reply::json(401, "{}"),
    });
    let keys = |endpoint: &str| {
        let retry = "retry = { unsafe_methods = true, backoff = { initial = \"1ms\", max = \"2ms\" } }";
        format!("{retry}\n[auth.token.refresh]\nrelative_uri = \"{endpoint}\"\nbody = {{ grant_type = \"x\" }}")
    };
    let project = Project::new();
    project.connection("api", &api.base(), &keys("/token")).connection("shut", &api.base(), &keys("/none"));
    project.copy_flow("copy", "schedule = \"0 0 * * *\"", "").copy_flow("other", "", "");
    let serving = Serving::of(&project);
    let value = |serving: &Serving, name: &str, id: &str| serving.sample(&format!("flowgate_{name}=\"{id}\"}}"));
    let success = "flow_last_success_timestamp_seconds{flow";
    let interval = "flow_schedule_interval_seconds{flow";
    assert_eq!(value(&serving, success, "copy"), 0.0);
    assert_eq!((value(&serving, interval, "copy"), value(&serving, interval, "other")), (86_400.0, 0.0));
    assert_eq!(value(&serving, "connection_retry_budget{connection", "api"), 10.0);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    run(project.dir(), &["ping", "shut"]).expect_code(77);
    let begun = serving.sample("flowgate_process_start_time_seconds");
    let renewals = |id: &str, outcome: &str| {
        serving.sample(&format!("flowgate_connection_renewals_total{{connection=\"{id}\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!((renewals("api", "renewed"), renewals("api", "failed")), (1.0, 0.0));
    assert!(renewals("shut", "renewed") == 0.0 && renewals("shut", "failed") >= 1.0);
    let life = value(&serving, "connection_token_expiry_timestamp_seconds{connection", "api") - begun;
    let text = serving.metrics();
    for metric in names::ALL {
        let unused = [
            "flowgate_agents_",
            "flowgate_webhook_",
            "flowgate_connection_server_",
            "flowgate_notices_",
            "flowgate_trace_",
        ];
        let used = !unused.iter().any(|start| metric.name.starts_with(start));
        assert_eq!(text.contains(&format!("# TYPE {} ", metric.name)), used, "{}", metric.name);
    }
    assert!((3_600.0..3_720.0).contains(&life), "{life}");
    assert_eq!(value(&serving, "connection_token_expiry_timestamp_seconds{connection", "shut"), 0.0);
    assert_eq!(value(&serving, "connection_retry_budget{connection", "api"), 9.0, "one retry");
    let last = value(&serving, success, "copy");
    assert!((begun..begun + 120.0).contains(&last), "{last}");
    serving.signal(Signal::TERM);
    assert_eq!(serving.wait_for_end().0, Some(0));
    let again = Serving::of(&project);
    assert!((value(&again, success, "copy") - last).abs() < 1.0, "what the state knows");
    assert_eq!(value(&again, success, "other"), 0.0);
}

#[test]
fn promtool_finds_nothing_to_say() {
    let (playground, _project, serving) = under_load(slow());
    playground.wait_until(PATIENCE, |seen| seen.sinks.requests > 50).unwrap();
    let text = serving.metrics();
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("promtool: {error}; run `./test`, which fetches it"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
}

#[test]
fn series_of_a_removed_flow_and_connection_vanish_and_come_back() {
    let (playground, project, mut serving) = under_load(slow());
    playground.wait_until(PATIENCE, |seen| seen.sinks.requests > 10).unwrap();
    project.connection("spare", "http://127.0.0.1:1", "");
    serving.wait_for("reload applied");
    assert!(serving.metrics().contains("connection=\"spare\""), "there before its first request");
    let flow = std::fs::read_to_string(project.path("flows/orders.toml")).unwrap();
    std::fs::remove_file(project.path("flows/orders.toml")).unwrap();
    std::fs::remove_file(project.path("connections/spare.toml")).unwrap();
    serving.wait_for_one("reload applied", |line| line["flows"] == 0 && line["connections"] == 2);
    let text = serving.metrics();
    assert!(!text.contains("flow=\"orders\"") && !text.contains("connection=\"spare\""), "{text}");
    assert!(text.contains("connection=\"erp\""));
    project.write("flows/orders.toml", &flow);
    serving.wait_for("reload applied");
    assert!(serving.sample("flowgate_flow_records_total{flow=\"orders\",outcome=\"exported\"}") > 0.0);
}
