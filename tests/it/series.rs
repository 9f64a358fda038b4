//! What `/metrics` shows: a number of series that only configuration decides, and values that say what happened.

use crate::steering::{serve, start};
use crate::support::api::{Api, Gates, Reply};
use crate::support::client::{self, sample};
use crate::support::command::run;
use crate::support::flow::TAKE;
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::support::{PATIENCE, now};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const READ: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n";

/// Series by name and labels.
fn series(serving: &Serving) -> BTreeSet<String> {
    let metrics = serving.metrics();
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Everything from outside that could end up as a label, in this many varieties.
fn variety(project: &Project, serving: &mut Serving, addr: SocketAddr, from: usize, count: usize) {
    start(project, "copy");
    serving.wait_for_flow("run finished", "copy");
    for n in from..from + count {
        let body = format!("{{\"id\":\"{n}-{}\"}}", "x".repeat(n % 7));
        let json = "content-type: application/json\r\n";
        client::send(addr, "POST", "/hooks/in", json, &body);
        client::send(addr, "POST", &format!("/hooks/in-{n}"), json, &body);
        client::get_as(addr, &format!("host-{n}.example"), "/metrics");
        client::get(addr, &format!("/api/v1/flows/none-{n}?q={n}"));
        client::send(addr, &format!("M{n}"), &format!("/target-{n}"), &format!("x-{n}: {n}\r\n"), "");
        // Few: guessing costs time.
        if n % 100 == 0 {
            let wrong = format!("authorization: Bearer wrong-{n}\r\n{json}");
            client::send(addr, "POST", "/api/v1/actions/run", &wrong, "{\"flows\":[\"copy\"]}");
        }
    }
    serving.wait_for_flow("run finished", "in");
}

#[test]
fn no_record_error_status_path_host_or_target_adds_a_series() {
    const COUNT: usize = 300;
    let round = Arc::new(AtomicUsize::new(0));
    let (rounds, mut refused) = (round.clone(), BTreeSet::new());
    let api = Api::start(move |request| {
        if request.method == "GET" {
            let round = rounds.fetch_add(1, Ordering::SeqCst);
            let count = if round == 0 { 3 } else { COUNT };
            let records: Vec<_> = (0..count).map(|n| format!("{{\"id\":\"id-{round}-{n}\",\"n\":{n}}}")).collect();
            return Reply::json(200, format!("{{\"data\":[{}]}}", records.join(",")));
        }
        let id = request.path().to_owned();
        let n: u16 = id.rsplit('-').next().unwrap().parse().unwrap_or(0);
        // What is asked for again gets through.
        if id.starts_with("/hooked") || !refused.insert(id.clone()) {
            return Reply::json(201, "{}");
        }
        Reply::json(400 + n % 100, format!("{{\"error\":\"{id} is refused for reason {n}\",\"code\":{n}}}"))
            .header("retry-after", "0")
    });
    let keys = "response = { error_path = \"error\" }\n[auth_failure]\ncount_401 = false\n\
                [retry]\nmax_attempts = 3\nunsafe_methods = true\nbackoff = { initial = \"1ms\", max = \"2ms\" }\n";
    let project = Project::new();
    project.connection("api", &api.base(), keys);
    let import = TAKE.replace("/taken", "/taken/{{record.id}}");
    project.write("flows/copy.toml", &format!("{READ}trace_key = \"{{{{record.id}}}}\"\n{import}"));
    project.write(
        "flows/in.toml",
        &format!("[webhook]\npath = \"in\"\nverify = \"none\"\n{}", TAKE.replace("/taken", "/hooked/{{record.id}}")),
    );
    let mut serving = serve(&project);
    let addr = serving.wait_until_listening();
    variety(&project, &mut serving, addr, 0, 2);
    let before = series(&serving);
    variety(&project, &mut serving, addr, 1_000, COUNT);
    let after = series(&serving);
    let added: Vec<_> = after.symmetric_difference(&before).collect();
    assert!(added.is_empty(), "{added:?}");
    // The variety did arrive.
    let refusals = serving.sample("flowgate_http_requests_total{connection=\"api\",outcome=\"rejected\"}");
    assert!(refusals >= 250.0 && round.load(Ordering::SeqCst) >= 2, "{refusals}");
    assert!(serving.sample("flowgate_server_refused_total{reason=\"host\"}") >= 300.0);
    assert!(serving.sample("flowgate_server_refused_total{reason=\"wrong_token\"}") >= 1.0);
    assert!(serving.sample("flowgate_webhook_calls_total{flow=\"in\",outcome=\"accepted\"}") >= 300.0);
}

/// Waits until a series has such a value.
#[track_caller]
fn until(serving: &Serving, series: &str, found: impl Fn(f64) -> bool) -> f64 {
    let until = now() + PATIENCE;
    loop {
        let value = serving.sample(series);
        if found(value) {
            return value;
        }
        assert!(now() < until, "{series} stays {value}");
    }
}

#[test]
fn the_age_of_the_oldest_request_grows_while_it_waits_and_goes_with_it() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2}]}"),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1\n").copy_flow("copy", "", "");
    let mut serving = serve(&project);
    let age = "flowgate_queue_oldest_age_seconds{connection=\"api\"}";
    assert_eq!(serving.sample(age), 0.0);
    start(&project, "copy");
    until(&serving, "flowgate_queue_depth{connection=\"api\"}", |depth| depth == 1.0);
    let begun = now();
    let first = until(&serving, age, |age| age > 0.0);
    let second = until(&serving, age, |age| age > first + 0.2);
    assert!(second <= begun.elapsed().as_secs_f64() + 30.0, "{first} {second}");
    gates.open_all();
    serving.wait_for_flow("run finished", "copy");
    assert_eq!(serving.sample(age), 0.0);
}

#[test]
fn durations_commits_pauses_and_lateness_are_what_happened() {
    let mut limited = false;
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3}]}"),
        _ if !std::mem::replace(&mut limited, true) => Reply::json(429, "{}").header("retry-after", "1"),
        _ => Reply::json(201, "{}"),
    });
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1\n").copy_flow("copy", "", "");
    project.copy_flow("timed", "schedule = \"* * * * * *\"", "");
    project.copy_flow("off", "enabled = false", "");
    let mut serving = serve(&project);
    let before = serving.sample("flowgate_store_commits_total");
    run(project.dir(), &["run", "copy"]).expect_code(0);
    serving.wait_for_flow("run finished", "timed");
    // No more happens from here on, so that figures taken together agree.
    project.copy_flow("timed", "enabled = false\nschedule = \"* * * * * *\"", "");
    run(project.dir(), &["reload", "--wait"]).expect_code(0);
    crate::support::serving::status_until(&project, |told| {
        told["flows"].as_array().unwrap().iter().all(|flow| flow["running"].is_null())
    });
    let text = serving.metrics();
    let value = |name: &str| sample(&text, &format!("flowgate_{name}")).unwrap_or_else(|| panic!("no {name}: {text}"));
    let attempts: f64 = ["success", "limited", "auth_failed", "rejected", "unreachable"]
        .map(|outcome| value(&format!("http_requests_total{{connection=\"api\",outcome=\"{outcome}\"}}")))
        .iter()
        .sum();
    let count = f64::from(u32::try_from(api.requests().len()).unwrap());
    assert_eq!((value("http_request_duration_seconds_count{connection=\"api\"}"), attempts), (count, count));
    let sum = value("http_request_duration_seconds_sum{connection=\"api\"}");
    assert!(sum > 0.0 && sum < 60.0 * count, "{sum}");
    assert_eq!(value("connection_pauses_total{connection=\"api\"}"), 1.0);
    let paused = value("connection_pause_seconds_total{connection=\"api\"}");
    assert!((1.0..=2.0).contains(&paused), "a second, and a little so that not all come back at once: {paused}");
    let (commits, batches) = (value("store_commits_total"), value("store_batches_total"));
    assert!(commits > before && batches >= commits, "{before} {commits} {batches}");
    assert_eq!(value("store_commit_duration_seconds_count"), commits, "one measure for each");
    let due = value("scheduler_due_total{flow=\"timed\"}");
    assert!(due >= 1.0, "{due}");
    assert_eq!(value("scheduler_lateness_seconds_count"), due, "each occurrence has been late by something");
    let late = value("scheduler_lateness_seconds_sum");
    assert!(late >= 0.0 && late < 60.0 * due, "{late}");
}

#[test]
fn the_size_of_the_configuration_and_the_time_of_its_last_change_are_shown() {
    let project = Project::new();
    project.connection("api", "http://127.0.0.1:9", "").connection("spare", "http://127.0.0.1:9", "");
    project.copy_flow("copy", "", "").copy_flow("off", "enabled = false", "").copy_flow("third", "", "");
    let serving = serve(&project);
    let value = |name: &str| serving.sample(&format!("flowgate_config_{name}"));
    assert_eq!((value("flows"), value("connections"), value("valid")), (3.0, 2.0, 1.0));
    let first = value("last_reload_success_timestamp_seconds");
    assert!(first >= serving.sample("flowgate_process_start_time_seconds").floor(), "{first}");
    std::fs::remove_file(project.path("flows/third.toml")).unwrap();
    std::fs::remove_file(project.path("connections/spare.toml")).unwrap();
    run(project.dir(), &["reload", "--wait"]).expect_code(0);
    assert_eq!((value("flows"), value("connections")), (2.0, 1.0));
    let second = value("last_reload_success_timestamp_seconds");
    assert!(second > first && second < first + 120.0, "{first} {second}");
    // What is rejected is no success.
    project.write("flows/bad.toml", "export = 7\n");
    run(project.dir(), &["reload", "--wait"]).expect_code(78);
    assert_eq!((value("last_reload_success_timestamp_seconds"), value("flows"), value("valid")), (second, 2.0, 0.0));
}
