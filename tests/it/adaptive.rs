//! `concurrency_level = { max, adaptive = true }` over the whole program, and what a server tells of its own limits.

use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::client;
use crate::support::command::{flowgate, run};
use crate::support::flow::{QUICK, TAKE, project, taken};
use crate::support::serving::Serving;
use crate::support::{PATIENCE, now};
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

#[test]
fn each_change_is_counted_and_the_level_never_passes_its_most() {
    let (posts, gates) = (AtomicUsize::new(0), Gates::default());
    let held = gates.clone();
    let api = Api::start(move |request: &Request| {
        if request.method == "GET" {
            return Reply::json(200, records(400));
        }
        match posts.fetch_add(1, Ordering::SeqCst) {
            200 => Reply::json(429, "{}").header("retry-after", "0"),
            // From here on all that may go at once is seen together.
            350.. => Reply::json(201, "{}").behind(&held.next()),
            _ => Reply::json(201, "{}"),
        }
    });
    let keys = format!("concurrency_level = {{ max = 4, adaptive = true }}\n{QUICK}");
    let project = project(&api, &keys, &format!("{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    let changes = |serving: &Serving, direction: &str| {
        let labels = format!("connection=\"api\",direction=\"{direction}\"");
        serving.sample(&format!("flowgate_connection_concurrency_changes_total{{{labels}}}"))
    };
    assert_eq!((changes(&serving, "raised"), changes(&serving, "lowered")), (0.0, 0.0));
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let running = Serving::start(command);
    let level = "flowgate_connection_concurrency_limit{connection=\"api\"}";
    let full = |seen: &[Request]| seen.len() > 351 && in_flight(seen) >= 1;
    api.wait_until(full);
    let until = now() + PATIENCE;
    // Until all permits of the level are out, and somebody waits for one more.
    loop {
        let metrics = serving.metrics();
        let of = |name: &str| client::sample(&metrics, name).unwrap();
        let sent = of("flowgate_connection_in_flight{connection=\"api\"}");
        if sent == of(level) && of("flowgate_queue_depth{connection=\"api\"}") > 0.0 {
            assert!((1.0..=4.0).contains(&sent), "{sent}");
            break;
        }
        assert!(now() < until, "{metrics}");
    }
    gates.open_all();
    assert_eq!(running.wait_for_end().0, Some(0));
    let (raised, lowered) = (changes(&serving, "raised"), changes(&serving, "lowered"));
    assert!(raised >= 3.0 && lowered >= 1.0, "{raised} {lowered}");
    assert!(api.most_in_flight() <= 4 && serving.sample(level) <= 4.0, "{}", api.most_in_flight());
    serving.wait_for_flow("run finished", "copy");
}

#[test]
fn the_standard_headers_of_a_limit_are_shown_wherever_the_others_are() {
    let api = Api::start(|_| {
        Reply::json(200, "[{\"id\":1}]")
            .header("RateLimit-Policy", "\"default\";q=120;w=3600")
            .header("RateLimit", "\"default\";r=70;t=3000")
    });
    let project = project(&api, "", &format!("{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    let sample = |name: &str| serving.sample(&format!("flowgate_connection_server_{name}{{connection=\"api\"}}"));
    assert_eq!((sample("limit"), sample("remaining")), (120.0, 70.0));
    assert!(sample("reset_timestamp_seconds") > 1.0e9);
    let status = run(project.dir(), &["status", "--json"]).expect_code(0);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let told = status["pools"][0]["lines"][0]["rate_limit"].clone();
    let addr = serving.wait_until_listening();
    let body = client::get(addr, "/api/v1/connections/api").body;
    let shown: serde_json::Value = serde_json::from_str(&body).unwrap();
    let shown = found(&shown, "rate_limit").unwrap_or_else(|| panic!("{body}"));
    for told in [&told, shown] {
        assert_eq!((&told["limit"], &told["remaining"]), (&120.into(), &70.into()), "{told}");
        assert!((2_000.0..=3_000.0).contains(&told["resets_in_seconds"].as_f64().unwrap()), "{told}");
    }
    let text = run(project.dir(), &["status"]).expect_code(0).stdout;
    assert!(text.contains("70 of 120, "), "{text}");
}

/// The first value of this name, however deep.
fn found<'v>(value: &'v serde_json::Value, name: &str) -> Option<&'v serde_json::Value> {
    match value {
        serde_json::Value::Object(fields) => fields
            .get(name)
            .filter(|value| value.is_object())
            .or_else(|| fields.values().find_map(|value| found(value, name))),
        serde_json::Value::Array(items) => items.iter().find_map(|value| found(value, name)),
        _ => None,
    }
}
