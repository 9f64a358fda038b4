//! `concurrency_level = { max, adaptive = true }` over the whole program, and what a server tells of its own limits.

use crate::support::api::{Api, Reply, Request};
use crate::support::command::run;
use crate::support::flow::{QUICK, TAKE, project, taken};
use crate::support::serving::Serving;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn records(count: usize) -> String {
    let records: Vec<String> = (1..=count).map(|id| format!("{{\"id\":{id}}}")).collect();
    format!("[{}]", records.join(","))
}

const FLOW: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";

#[test]
fn a_level_climbs_to_its_most_under_good_answers_and_falls_when_the_server_refuses() {
    let posts = AtomicUsize::new(0);
    let api = Api::start(move |request: &Request| {
        if request.method == "GET" {
            return Reply::json(200, records(400));
        }
        match posts.fetch_add(1, Ordering::SeqCst) {
            200 => Reply::json(429, "{}").header("retry-after", "0"),
            _ => Reply::json(201, "{}"),
        }
    });
    let keys = format!("concurrency_level = {{ max = 4, adaptive = true }}\n{QUICK}");
    let project = project(&api, &keys, &format!("{FLOW}{TAKE}"));
    let ended = run(project.dir(), &["run", "copy", "--log-level", "debug"]).expect_code(0);
    assert!(api.most_in_flight() <= 4);
    let delivered: std::collections::BTreeSet<u64> = taken(&api).into_iter().collect();
    assert_eq!(delivered.len(), 400);
    let lines = |message: &str| ended.stderr.lines().filter(|line| line.contains(message)).count();
    assert!(lines("concurrency raised") >= 4, "{}", ended.stderr);
    assert!(lines("concurrency lowered") >= 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("limited"), "{}", ended.stderr);
}

#[test]
fn what_the_server_says_is_left_stands_in_status_and_metrics() {
    let left = Arc::new(AtomicUsize::new(90));
    let api = Api::start(move |_| {
        let left = left.fetch_sub(1, Ordering::SeqCst).to_string();
        Reply::json(200, "[{\"id\":1}]")
            .header("X-RateLimit-Limit", "90")
            .header("X-Left", &left)
            .header("X-RateLimit-Reset", "3000")
    });
    let keys = "concurrency_level = { max = 4, adaptive = true }\n[rate_limit]\nremaining_header = \"X-Left\"\n";
    let project = project(&api, keys, &format!("schedule = \"* * * * * *\"\n{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    assert!(!serving.metrics().contains("flowgate_connection_server_remaining{"), "absent until it is told");
    serving.wait_for("run finished");
    api.wait_until(|seen| seen.len() >= 2);
    let metrics = serving.metrics();
    let sample = |name: &str| {
        let series = format!("flowgate_connection_{name}{{connection=\"api\"}}");
        crate::support::client::sample(&metrics, &series).unwrap_or_else(|| panic!("no {series} in\n{metrics}"))
    };
    assert_eq!((sample("server_limit"), sample("concurrency_limit")), (90.0, 1.0));
    assert!(sample("server_remaining") < 90.0 && sample("server_reset_timestamp_seconds") > 1.0e9);
    let status = run(project.dir(), &["status", "--json"]).expect_code(0);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let (pool, line) = (&status["pools"][0], &status["pools"][0]["lines"][0]["rate_limit"]);
    assert_eq!((&pool["level"], &pool["max_level"], &line["limit"]), (&1.into(), &4.into(), &90.into()));
    assert!(line["resets_in_seconds"].as_f64().unwrap() > 2_000.0, "{line}");
    let text = run(project.dir(), &["status"]).expect_code(0).stdout;
    assert!(text.contains("1 of 4") && text.contains(" of 90, "), "{text}");
}
