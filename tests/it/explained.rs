//! Every rule that `explain` can name, as it names it in a running `serve`. Borrowed levels and pauses: `steering.rs`.

use crate::steering::{explained, rules, serve, start, until_explained};
use crate::support::api::{Api, Gates, Reply};
use crate::support::command::run;
use crate::support::project::Project;
use serde_json::Value;

/// One record; what is written waits behind a gate.
fn gated() -> (Api, Gates) {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1}]}"),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    (api, gates)
}

fn project(api: &Api, keys: &str, head: &str) -> Project {
    let project = Project::new();
    project.connection("api", &api.base(), keys).copy_flow("copy", head, "");
    project
}

#[track_caller]
fn reason(told: &Value, rule: &str) -> Value {
    let reasons = told["reasons"].as_array().unwrap();
    reasons.iter().find(|reason| reason["rule"] == rule).unwrap_or_else(|| panic!("no {rule}: {told:#}")).clone()
}

fn time(value: &Value) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap_or_else(|| panic!("{value}"))).unwrap().to_utc()
}

#[expect(clippy::disallowed_methods, reason = "what is told is the machine's own time")]
fn wall() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

fn written(api: &Api) {
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
}

#[test]
fn an_offline_connection_is_explained_with_its_cause_and_since_when() {
    let api = Api::start(|_| Reply::json(401, "{}"));
    let before = wall();
    let project = project(&api, "", "");
    let _serving = serve(&project);
    start(&project, "copy");
    // The permit of the request that was refused is back a moment later.
    let offline = |told: &Value| told["state"] == "waiting" && rules(&told["reasons"]).contains(&"offline");
    let told = until_explained(&project, "copy", offline);
    let why = reason(&told, "offline");
    assert!(why["text"].as_str().unwrap().starts_with("connection `api` is offline: "), "{told:#}");
    let since = time(&why["since"]);
    assert!(since >= before - chrono::TimeDelta::seconds(1) && since <= wall(), "{told:#}");
    let connection = explained(&project, "api");
    assert_eq!(reason(&connection, "offline")["since"], why["since"], "{connection:#}");
    // The flow that rests is told of it too.
    project.copy_flow("other", "", "");
    run(project.dir(), &["reload", "--wait"]).expect_code(0);
    assert_eq!(rules(&explained(&project, "other")["reasons"]), ["offline", "no_schedule"]);
}

#[test]
fn the_run_that_follows_is_explained_by_overlap() {
    let (api, gates) = gated();
    let project = project(&api, "", "[schedule]\ncron = \"* * * * * *\"\noverlap = \"queue\"");
    let _serving = serve(&project);
    written(&api);
    let told = until_explained(&project, "copy", |told| rules(&told["reasons"]).contains(&"overlap"));
    assert_eq!((&told["state"], &told["queued"]), (&"working".into(), &true.into()), "{told:#}");
    assert!(reason(&told, "overlap")["text"].as_str().unwrap().contains("`overlap = \"queue\"`"));
    gates.open_all();
}

#[test]
fn a_flow_at_rest_is_explained_by_its_schedule_or_by_being_disabled() {
    let (api, _gates) = gated();
    let project = project(&api, "", "schedule = \"0 0 1 1 *\"");
    project.copy_flow("off", "enabled = false\nschedule = \"* * * * * *\"", "");
    let _serving = serve(&project);
    let told = explained(&project, "copy");
    assert_eq!(rules(&told["reasons"]), ["schedule"], "{told:#}");
    let why = reason(&told, "schedule");
    assert!(time(&why["until"]) > wall() && why["until"] == told["next_run"], "{told:#}");
    assert_eq!(why["until"].as_str().unwrap()[4..10], *"-01-01", "{told:#}");
    let told = explained(&project, "off");
    assert_eq!((rules(&told["reasons"]), &told["next_run"]), (vec!["disabled"], &Value::Null), "{told:#}");
    assert_eq!(told["state"], "disabled", "{told:#}");
    // The reason goes with the key.
    project.copy_flow("off", "", "");
    run(project.dir(), &["reload", "--wait"]).expect_code(0);
    assert_eq!(rules(&explained(&project, "off")["reasons"]), ["no_schedule"]);
}

#[test]
fn what_wait_time_holds_back_is_explained_with_its_end() {
    let (api, _gates) = gated();
    let project = project(&api, "concurrency_level = 1\nwait_time = \"10m\"\n", "");
    let _serving = serve(&project);
    start(&project, "copy");
    let told = until_explained(&project, "copy", |told| rules(&told["reasons"]).contains(&"wait"));
    let why = reason(&told, "wait");
    let left = (time(&why["until"]) - wall()).num_seconds();
    assert!((400..=600).contains(&left), "{left}: {told:#}");
    assert!(why["text"].as_str().unwrap().starts_with("`wait_time` lasts "), "{told:#}");
    let first = &told["pools"][0]["waiting"][0];
    assert!((400.0..=600.0).contains(&first["starts_in_seconds"].as_f64().unwrap()), "{told:#}");
    assert!(api.requests().is_empty(), "it does wait");
}

#[test]
fn a_level_that_is_used_up_is_explained_until_a_permit_comes_back() {
    let (api, gates) = gated();
    let project = project(&api, "concurrency_level = 1\n", "");
    project.copy_flow("other", "", "");
    let _serving = serve(&project);
    start(&project, "copy");
    written(&api);
    start(&project, "other");
    let told = until_explained(&project, "other", |told| told["state"] == "waiting");
    assert_eq!(reason(&told, "level")["text"], "all permits are out: 1 in flight, level 1", "{told:#}");
    assert_eq!(told["pools"][0]["holders"][0]["flow"], "copy", "{told:#}");
    gates.open_all();
    let rests = until_explained(&project, "other", |told| told["run"].is_null());
    assert_eq!(rules(&rests["reasons"]), ["no_schedule"]);
}

#[test]
fn a_run_beyond_max_runs_is_explained_until_one_ends() {
    let (api, gates) = gated();
    let project = project(&api, "", "");
    project.copy_flow("other", "", "");
    let mut serving = {
        let serving = serve(&project);
        drop(serving);
        let settings = std::fs::read_to_string(project.path("flowgate.toml")).unwrap();
        project.write("flowgate.toml", &format!("{settings}[limits]\nmax_runs = 1\n"));
        crate::support::serving::Serving::of(&project)
    };
    start(&project, "copy");
    written(&api);
    let second = start(&project, "other");
    let told = until_explained(&project, &second, |told| told["state"] == "waiting");
    assert_eq!(rules(&told["reasons"]), ["max_runs"], "{told:#}");
    let text = told["reasons"][0]["text"].as_str().unwrap();
    assert_eq!(text, "1 of at most 1 runs (`[limits] max_runs`) are under way");
    gates.open_all();
    assert_eq!(serving.wait_for_flow("run finished", "other")["outcome"], "succeeded");
}

#[test]
fn a_process_that_drains_is_explained() {
    let (api, gates) = gated();
    let project = project(&api, "", "");
    project.copy_flow("other", "", "");
    let serving = serve(&project);
    start(&project, "copy");
    written(&api);
    run(project.dir(), &["drain"]).expect_code(0);
    let told = until_explained(&project, "other", |told| rules(&told["reasons"]).contains(&"draining"));
    assert_eq!((&told["state"], &told["reasons"][0]["rule"]), (&"draining".into(), &"draining".into()), "{told:#}");
    let works = explained(&project, "copy");
    assert!(rules(&works["reasons"]).contains(&"stopping"), "{works:#}");
    gates.open_all();
    assert_eq!(serving.wait_for_end().0, Some(0));
}
