//! Traces must cost a run nothing: not where their collector is gone, slow, or refuses.

use crate::support::api::{Api, Gate, Reply};
use crate::support::command::{finish, flowgate};
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::support::{PATIENCE, client, now};
use rustix::process::Signal;
use std::net::TcpListener;

const SECRET: &str = "s3cret-of-the-collector";

fn source(records: usize) -> Api {
    let data: Vec<String> = (0..records).map(|n| format!("{{\"id\":{n}}}")).collect();
    let page = format!("{{\"data\":[{}]}}", data.join(","));
    Api::scripted([("GET /records", vec![Reply::json(200, page)]), ("POST /taken", vec![Reply::json(200, "{}")])])
}

#[test]
fn a_collector_that_is_gone_costs_a_line_and_nothing_else() {
    let api = source(20);
    let project = Project::new();
    project.connection("api", &api.base(), "").copy_flow("copy", "", "");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = flowgate(project.dir());
    command.args(["--log-level", "warn", "run", "copy"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{nobody}"));
    command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{SECRET}"));
    let ended = finish(command, PATIENCE).expect_code(0);
    assert_eq!(api.requests_to("/taken").len(), 20);
    assert_eq!(ended.stderr.matches("traces not taken").count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
}

#[test]
fn what_is_asked_for_wrongly_is_told_and_runs_go_on() {
    let api = source(2);
    let project = Project::new();
    project.connection("api", &api.base(), "").copy_flow("copy", "", "");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://me:{SECRET}@collector:4318"));
    let ended = finish(command, PATIENCE).expect_code(0);
    assert!(
        ended.stderr.contains("no traces") && ended.stderr.contains("OTEL_EXPORTER_OTLP_HEADERS"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().filter(|line| line.contains("\"level\":\"warn\"")).count(), 1, "{}", ended.stderr);
}

#[test]
fn a_collector_that_never_answers_holds_up_no_run_and_what_is_lost_is_counted() {
    let (api, gate) = (source(50), Gate::default());
    let held = gate.clone();
    let collector = Api::start(move |_| Reply::json(200, "{}").behind(&held));
    let project = Project::new();
    project.write("flowgate.toml", "[server]\nlisten = \"127.0.0.1:0\"\n");
    project.connection("api", &api.base(), "").copy_flow("copy", "", "");
    let mut command = flowgate(project.dir());
    command.arg("serve").env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.base());
    command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "100");
    let mut serving = Serving::start(command);
    let addr = serving.wait_until_listening();
    let key = std::fs::read_to_string(project.path("state/api-token")).unwrap();
    let headers = format!("content-type: application/json\r\nauthorization: Bearer {}\r\n", key.trim());
    let started = client::send(addr, "POST", "/api/v1/actions/run", &headers, "{\"flows\":[\"copy\"]}");
    assert_eq!(started.status, 200, "{}", started.body);
    serving.wait_for("run finished");
    assert_eq!(api.requests_to("/taken").len(), 50);
    // Four tries, then the batch is given up and counted.
    let until = now() + PATIENCE;
    while serving.sample("flowgate_trace_spans_total{outcome=\"failed\"}") == 0.0 {
        assert!(now() < until, "no span was given up");
        std::thread::yield_now();
    }
    gate.open();
    serving.signal(Signal::TERM);
    let (code, lines) = serving.wait_for_end();
    assert_eq!(code, Some(0));
    assert_eq!(lines.iter().filter(|line| line.contains("traces not taken")).count(), 1, "{lines:#?}");
}
