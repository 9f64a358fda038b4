//! `flowgate runs`: what ran, what runs, what it said, and stopping it; beside a `serve`, and without one.

use crate::support::api::{Api, Gates, Reply};
use crate::support::command::run;
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::support::{PATIENCE, now};
use serde_json::Value;

const THREE: &str = "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3}]}";

fn json(project: &Project, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let ended = run(project.dir(), &args).expect_code(0);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["format"], 1, "{document:#}");
    document
}

#[track_caller]
fn until(project: &Project, args: &[&str], found: impl Fn(&Value) -> bool) -> Value {
    let until = now() + PATIENCE;
    loop {
        let told = json(project, args);
        if found(&told) {
            return told;
        }
        assert!(now() < until, "it never came to that: {told:#}");
    }
}

fn messages(log: &Value) -> Vec<&str> {
    log["lines"].as_array().unwrap().iter().filter_map(|line| line["message"].as_str()).collect()
}

#[test]
fn runs_are_listed_shown_and_told_from_the_store_when_nothing_serves() {
    let api = Api::scripted([
        ("GET /records", vec![Reply::json(503, "{}"), Reply::json(200, THREE)]),
        ("POST /taken", vec![Reply::json(201, "{}"), Reply::json(422, "{\"why\":\"no\"}")]),
    ]);
    let project = Project::new();
    let quick = "[retry]\nbackoff = { initial = \"1ms\", max = \"5ms\" }";
    project.connection("api", &api.base(), quick).copy_flow("copy", "", "");
    assert_eq!(run(project.dir(), &["runs"]).expect_code(0).stdout, "no runs\n", "looking creates nothing");
    assert!(!project.path("state").exists());
    run(project.dir(), &["run", "copy"]).expect_code(1);

    let listed = json(&project, &["runs", "list"]);
    let one = &listed["runs"][0];
    assert_eq!((&one["flow"], &one["outcome"], &one["trigger"]), (&"copy".into(), &"errors".into(), &"manual".into()));
    assert_eq!(one["records"]["failed"], 2, "{one:#}");
    let id = one["run"].as_str().unwrap();
    let text = run(project.dir(), &["runs", "list", "--flow", "copy"]).expect_code(0).stdout;
    assert!(text.starts_with("run ") && text.contains(id) && text.contains("with errors"), "{text}");
    assert_eq!(json(&project, &["runs", "list", "--phase", "held"])["runs"], serde_json::json!([]));

    let shown = json(&project, &["runs", "show", id]);
    assert_eq!((&shown["run"], &shown["failed_by_step"]["import"]), (&id.into(), &2.into()), "{shown:#}");
    let text = run(project.dir(), &["runs", "show", "copy"]).expect_code(0).stdout;
    assert!(
        text.starts_with(&format!("run {id} of copy: with errors\n"))
            && text.contains("3 exported, 1 delivered, 2 failed"),
        "{text}"
    );

    // One-off commands log faults only, and yet the run tells what happened.
    let log = json(&project, &["runs", "logs", id]);
    let told = messages(&log);
    assert_eq!((told.first(), told.last()), (Some(&"run started"), Some(&"run finished")), "{log:#}");
    assert!(told.contains(&"request retried") && told.contains(&"record failed"), "{log:#}");
    let text = run(project.dir(), &["runs", "logs", "copy"]).expect_code(0).stdout;
    assert!(text.lines().any(|line| line.contains(" WARN  record failed step=import page=1 record=")), "{text}");

    for what in ["show", "logs"] {
        let ended = run(project.dir(), &["runs", what, "20200101T000000Z-1-000000"]).expect_code(64);
        assert!(ended.stderr.contains("there is no run"), "{}", ended.stderr);
    }
    let ended = run(project.dir(), &["runs", "cancel", id]).expect_code(69);
    assert!(ended.stderr.contains("flowgate serve"), "{}", ended.stderr);
}

#[test]
fn a_run_of_a_serve_is_seen_live_and_cancelled_and_keeps_its_lines_over_a_restart() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, THREE),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "concurrency_level = 1\n");
    project.copy_flow("copy", "schedule = \"* * * * * *\"\n", "");
    let serving = Serving::of(&project);
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    let listed = until(&project, &["runs", "list", "--phase", "running"], |told| told["runs"][0]["live"].is_object());
    let id = listed["runs"][0]["run"].as_str().unwrap().to_owned();
    let log = json(&project, &["runs", "logs", &id]);
    assert_eq!((&log["under_way"], messages(&log)), (&true.into(), vec!["run started"]), "{log:#}");
    let stopped = json(&project, &["runs", "cancel", &id]);
    assert_eq!(
        (&stopped["run"], &stopped["flow"], &stopped["stopping"]),
        (&id.as_str().into(), &"copy".into(), &true.into())
    );
    run(project.dir(), &["pause", "copy"]).expect_code(0);
    gates.open_all();
    until(&project, &["runs", "show", &id], |told| told["phase"] == "held");
    let over = run(project.dir(), &["runs", "cancel", &id]).expect_code(1);
    assert!(over.stderr.contains("is not under way"), "{}", over.stderr);
    run(project.dir(), &["runs", "cancel", "copy"]).expect_code(1);
    drop(serving);

    let log = json(&project, &["runs", "logs", &id]);
    assert!(messages(&log).last().unwrap().starts_with("run held"), "{log:#}");
    // The next run goes on with it, and with its lines.
    run(project.dir(), &["resume", "copy"]).expect_code(0);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    let log = json(&project, &["runs", "logs", &id]);
    let told = messages(&log);
    assert!(told.iter().any(|line| line.starts_with("run held")) && told.contains(&"run resumed"), "{log:#}");
    assert_eq!(told.last(), Some(&"run finished"), "{log:#}");
}

/// Ten records: one leaves at the export, one at a step, one fails at a step, one leaves behind an import, one fails at the
/// last one.
const SIEVE: &str = r#"
[export]
connection   = "api"
relative_uri = "/records"
records      = "$.data[*]"
keep         = "record.id != 1"

[[step]]
name = "small"
keep = "record.id < 10"

[[step]]
name = "need"
[step.transform.create]
id   = "$.id"
must = "$.must"

[[step]]
name = "first"
[step.import]
connection   = "api"
relative_uri = "/first"
unknown_outcome = "retry"

[[step]]
name = "later"
keep = "record.id != 4"

[import]
connection   = "api"
relative_uri = "/taken"
# What was under way at the kill is sent again, so that every record ends as it would have.
unknown_outcome = "retry"
"#;

#[test]
fn what_went_into_each_step_and_out_of_it_is_counted_once_over_a_kill() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => {
            let record = |id| if id == 2 { "{\"id\":2}".to_owned() } else { format!("{{\"id\":{id},\"must\":1}}") };
            Reply::json(200, format!("{{\"data\":[{}]}}", (1..=10).map(record).collect::<Vec<_>>().join(",")))
        }
        _ if request.path() == "/first" => Reply::json(201, "{}"),
        _ if request.json()["id"] == 3 => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "concurrency_level = 2\n");
    project.write("flows/sieve.toml", &format!("schedule = \"* * * * * *\"\n{SIEVE}"));
    let serving = Serving::of(&project);
    // What left before the import is stored while the rest is on its way.
    let shown = until(&project, &["runs", "list", "--flow", "sieve"], |told| told["runs"][0]["records"]["failed"] == 2);
    let id = shown["runs"][0]["run"].as_str().unwrap().to_owned();
    until(&project, &["runs", "show", &id], |told| told["steps"][1]["filtered"] == 1);
    // A kill, not an end.
    drop(serving);
    gates.open_all();
    project.write("flows/sieve.toml", SIEVE);
    run(project.dir(), &["run", "sieve"]).expect_code(1);
    let told = json(&project, &["runs", "show", &id]);
    assert_eq!(told["outcome"], "errors", "{told:#}");
    let step = |name: &str, [into, out, delivered, filtered, failed]: [u64; 5]| serde_json::json!({ "step": name, "in": into, "out": out, "delivered": delivered, "filtered": filtered, "failed": failed });
    let counted = serde_json::json!([
        step("export", [10, 10, 0, 0, 0]),
        step("keep", [10, 9, 0, 1, 0]),
        step("small", [9, 8, 0, 1, 0]),
        step("need", [8, 7, 0, 0, 1]),
        step("first", [7, 7, 0, 0, 0]),
        // What it left out had arrived at the import before.
        step("later", [7, 6, 1, 0, 0]),
        step("import", [6, 0, 5, 0, 1]),
    ]);
    assert_eq!(told["steps"], counted, "{told:#}");
    let text = run(project.dir(), &["runs", "show", &id]).expect_code(0).stdout;
    assert!(text.lines().any(|line| line.split_whitespace().eq(["need", "8", "7", "0", "0", "1"])), "{text}");
}
