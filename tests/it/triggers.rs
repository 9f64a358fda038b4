//! Flows that run after others: the end of a run starts the next flow, over restarts too.

use crate::support::api::{Api, Gates, Reply};
use crate::support::command::run;
use crate::support::flow::QUICK;
use crate::support::project::Project;
use crate::support::serving::{Serving, status};
use rustix::process::Signal;
use serde_json::Value;

/// A flow that reads `GET /<id>` and sends its one record to `POST /to-<id>`.
fn flow(project: &Project, id: &str, head: &str) {
    let text = format!(
        "{head}\n[export]\nconnection = \"api\"\nrelative_uri = \"/{id}\"\n[import]\nconnection = \"api\"\n\
         relative_uri = \"/to-{id}\"\n"
    );
    project.write(&format!("flows/{id}.toml"), &text);
}

/// What `POST` is sent waits behind its gate, or is refused.
fn api(gated: &'static str, gates: &Gates, refused: &'static str) -> Api {
    let gates = gates.clone();
    Api::start(move |request| match request.path() {
        path if path == gated => Reply::json(201, "{}").behind(&gates.next()),
        path if path == refused => Reply::json(422, "{}"),
        _ => Reply::json(200, "{\"id\":1}"),
    })
}

fn project(api: &Api) -> Project {
    let project = Project::new();
    project.settings("").connection("api", &api.base(), QUICK);
    project
}

fn owed(project: &Project) -> Vec<Value> {
    let shown = run(project.dir(), &["state", "show", "after", "--json"]).expect_code(0);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    shown["values"].as_array().unwrap().clone()
}

#[test]
fn the_good_end_of_a_run_starts_the_flows_behind_it_one_after_the_other() {
    let api = api("", &Gates::default(), "");
    let project = project(&api);
    flow(&project, "a", "");
    flow(&project, "other", "");
    flow(&project, "b", "run_after = [\"other\", \"a\"]");
    flow(&project, "c", "run_after = [\"b\"]");
    flow(&project, "off", "enabled = false\nrun_after = [\"a\"]");
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    run(project.dir(), &["run", "a"]).expect_code(0);
    let b = serving.wait_for_flow("run finished", "b");
    assert_eq!((&b["trigger"], &b["outcome"]), (&Value::from("run_after"), &Value::from("succeeded")));
    serving.wait_for_flow("run finished", "c");
    assert_eq!(serving.lines_of("runs after")[0]["of"], "a");
    run(project.dir(), &["run", "other"]).expect_code(0);
    serving.wait_for_flow("run finished", "c");
    let series = "flowgate_flow_runs_total{flow=\"b\",outcome=\"succeeded\",trigger=\"run_after\"}";
    assert_eq!(serving.sample(series), 2.0);
    assert!(owed(&project).is_empty());
    serving.signal(Signal::TERM);
    let (_, lines) = serving.wait_for_end();
    assert!(!lines.iter().any(|line| line.contains("\"flow\":\"off\"")));
    // A `run` without a `serve` runs what was named.
    let before = api.requests_to("/b").len();
    run(project.dir(), &["run", "a"]).expect_code(0);
    assert_eq!((api.requests_to("/b").len(), owed(&project).len()), (before, 0));
}

#[test]
fn a_run_with_open_errors_and_a_dry_run_start_nothing() {
    let api = api("", &Gates::default(), "/to-a");
    let project = project(&api);
    flow(&project, "a", "");
    flow(&project, "b", "run_after = [\"a\"]");
    flow(&project, "z", "");
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    run(project.dir(), &["run", "a"]).expect_code(1);
    run(project.dir(), &["run", "a", "--dry-run"]).expect_code(0);
    // What `a` might have started would have begun before this.
    run(project.dir(), &["run", "z"]).expect_code(0);
    serving.wait_for_flow("run finished", "z");
    assert!(api.requests_to("/b").is_empty() && owed(&project).is_empty());
}

#[test]
fn an_end_that_comes_during_a_run_is_kept_for_one_more_over_a_kill_too() {
    let gates = Gates::default();
    let api = api("/to-b", &gates, "");
    let project = project(&api);
    flow(&project, "a", "");
    flow(&project, "b", "run_after = [\"a\"]");
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    run(project.dir(), &["run", "a"]).expect_code(0);
    serving.wait_for_flow("run started", "b");
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/to-b"));
    run(project.dir(), &["run", "a"]).expect_code(0);
    serving.wait_for_flow("run after kept", "b");
    run(project.dir(), &["run", "a"]).expect_code(0);
    serving.wait_for_flow("run after kept", "b");
    assert_eq!(owed(&project).len(), 1, "one more run is enough");
    serving.signal(Signal::KILL);
    serving.wait_for_end();
    gates.open_all();
    let mut serving = Serving::of(&project);
    // The run that was cut off, and the one that was owed.
    serving.wait_for_flow("run finished", "b");
    serving.wait_for_flow("run finished", "b");
    assert_eq!(api.requests_to("/b").len(), 2);
    assert!(owed(&project).is_empty());
    assert!(status(&project)["flows"].as_array().unwrap().iter().all(|flow| flow["running"].is_null()));
}

#[test]
fn a_schedule_with_overlap_skip_passes_over_the_end_of_another_flow_too() {
    let gates = Gates::default();
    let api = api("/to-b", &gates, "");
    let project = project(&api);
    flow(&project, "a", "");
    flow(&project, "b", "run_after = [\"a\"]\nschedule = \"0 0 1 1 *\"");
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    run(project.dir(), &["run", "a"]).expect_code(0);
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/to-b"));
    run(project.dir(), &["run", "a"]).expect_code(0);
    assert_eq!(serving.wait_for_flow("run after skipped", "b")["of"], "a");
    gates.open_all();
    serving.wait_for_flow("run finished", "b");
    assert_eq!(api.requests_to("/b").len(), 1);
}

#[test]
fn what_a_process_owed_when_it_died_is_paid_by_the_next_and_follows_a_renamed_flow() {
    let api = api("", &Gates::default(), "");
    let project = project(&api);
    flow(&project, "a", "");
    flow(&project, "b", "run_after = [\"a\"]");
    flow(&project, "gone", "");
    run(project.dir(), &["run", "a"]).expect_code(0);
    // As the end of `a` leaves it before `b` has begun.
    for flow in ["b", "gone"] {
        run(project.dir(), &["state", "set", "after", flow, "{\"of\":\"a\",\"run\":\"x\"}"]).expect_code(0);
    }
    std::fs::remove_file(project.path("flows/b.toml")).unwrap();
    flow(&project, "bee", "formerly = [\"b\"]\nrun_after = [\"a\"]");
    let mut serving = Serving::of(&project);
    assert_eq!(serving.wait_for_flow("run finished", "bee")["trigger"], "run_after");
    assert!(api.requests_to("/gone").is_empty(), "nobody waits there any more");
    assert!(owed(&project).is_empty());
}
