//! Flows on their schedules, judged by what arrived and when.

use crate::support::api::{Api, Gates, Reply};
use crate::support::project::Project;
use crate::support::serving::{Serving, status_until};
use rustix::process::Signal;
use std::time::Duration;

const EACH_SECOND: &str = "schedule = \"* * * * * *\"";

fn each_second(overlap: &str) -> String {
    format!("[schedule]\ncron = \"* * * * * *\"\noverlap = \"{overlap}\"")
}

fn one_record(gates: Option<Gates>) -> Api {
    Api::start(move |request| match (request.method.as_str(), &gates) {
        ("GET", _) => Reply::json(200, "{\"data\":[{\"id\":1}]}"),
        (_, Some(gates)) => Reply::json(201, "{}").behind(&gates.next()),
        _ => Reply::json(201, "{}"),
    })
}

fn project(api: &Api, head: &str) -> Project {
    let project = Project::new();
    project.connection("api", &api.base(), "").copy_flow("copy", head, "");
    project
}

#[test]
fn each_second_is_a_run_of_its_own_and_never_two() {
    let api = one_record(None);
    let project = project(&api, EACH_SECOND);
    let mut serving = Serving::of(&project);
    let mut seconds = Vec::new();
    for _ in 0..4 {
        let due = serving.wait_for_flow("schedule due", "copy");
        seconds.push(due["occurrence"].as_str().unwrap().to_owned());
        assert_eq!(serving.wait_for_flow("run finished", "copy")["outcome"], "succeeded");
    }
    let mut distinct = seconds.clone();
    distinct.dedup();
    assert_eq!(distinct, seconds, "an instant fires once");
    assert!(seconds.iter().all(|at| at[19..] == *".000Z"), "{seconds:?}");
    assert!(api.requests_to("/taken").len() >= 4);
    let taken = api.requests_to("/taken");
    assert!(taken[3].arrived >= taken[0].arrived + Duration::from_secs(2), "no faster than the clock");
    assert_eq!(serving.sample("flowgate_flow_runs_total{flow=\"copy\",outcome=\"failed\",trigger=\"schedule\"}"), 0.0);
    assert!(
        serving.sample("flowgate_flow_runs_total{flow=\"copy\",outcome=\"succeeded\",trigger=\"schedule\"}") >= 4.0
    );
    let next = serving.sample("flowgate_flow_next_run_timestamp_seconds{flow=\"copy\"}");
    assert!(next >= serving.sample("flowgate_flow_last_success_timestamp_seconds{flow=\"copy\"}"), "{next}");
}

#[test]
fn overlap_skip_passes_over_what_comes_due_during_a_run() {
    let gates = Gates::default();
    let api = one_record(Some(gates.clone()));
    let project = project(&api, &each_second("skip"));
    let mut serving = Serving::of(&project);
    api.wait_until(|seen| seen.len() == 2);
    for _ in 0..2 {
        assert_eq!(serving.wait_for_flow("schedule skipped", "copy")["reason"], "overlap");
    }
    assert!(serving.sample("flowgate_scheduler_skipped_total{flow=\"copy\",reason=\"overlap\"}") >= 2.0);
    assert_eq!(serving.sample("flowgate_flow_running{flow=\"copy\"}"), 1.0);
    assert_eq!(api.requests().len(), 2, "one run reads once and writes once");
    // The skipped ones are not made up for: the run's end starts nothing, the next second does.
    gates.open_all();
    serving.wait_for_flow("run finished", "copy");
    let before = serving.messages_before("run started");
    assert_eq!(before.last().map(String::as_str), Some("schedule due"), "{before:?}");
}

#[test]
fn overlap_queue_keeps_one_run_for_afterwards_and_no_more() {
    let gates = Gates::default();
    let api = one_record(Some(gates.clone()));
    let project = project(&api, &each_second("queue"));
    let mut serving = Serving::of(&project);
    serving.wait_for_flow("run started", "copy");
    serving.wait_for_flow("schedule kept", "copy");
    assert_eq!(serving.wait_for_flow("schedule skipped", "copy")["reason"], "overlap");
    gates.open(1);
    serving.wait_for_flow("run finished", "copy");
    // Straight after it, not because the next second came.
    let before = serving.messages_before("run started");
    assert_ne!(before.last().map(String::as_str), Some("schedule due"), "{before:?}");
}

#[test]
fn a_disabled_flow_and_one_without_import_never_run() {
    let api = one_record(None);
    let project = project(&api, EACH_SECOND);
    project.copy_flow("off", &format!("enabled = false\n{EACH_SECOND}"), "");
    let mut serving = Serving::of(&project);
    for _ in 0..3 {
        serving.wait_for_flow("run finished", "copy");
    }
    serving.signal(Signal::TERM);
    let (code, lines) = serving.wait_for_end();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains("\"flow\":\"off\"")), "{lines:#?}");
}

#[test]
fn a_renamed_flow_keeps_its_history_and_a_removed_one_is_still_shown() {
    let api = one_record(None);
    let project = project(&api, EACH_SECOND);
    project.copy_flow("gone", EACH_SECOND, "");
    let mut serving = Serving::of(&project);
    serving.wait_for_flow("run finished", "copy");
    serving.wait_for_flow("run finished", "gone");
    let flow = std::fs::read_to_string(project.path("flows/copy.toml")).unwrap();
    // No schedule of its own any more: what it shows can only come from before.
    let renamed = format!("formerly = [\"copy\"]\n{}", flow.replace(EACH_SECOND, ""));
    std::fs::remove_file(project.path("flows/gone.toml")).unwrap();
    std::fs::remove_file(project.path("flows/copy.toml")).unwrap();
    project.write("flows/kopie.toml", &renamed);
    let shown = |status: &serde_json::Value, id: &str| {
        status["flows"].as_array().unwrap().iter().find(|flow| flow["id"] == id).cloned()
    };
    let status = status_until(&project, |status| {
        shown(status, "kopie").is_some_and(|flow| flow["last_success"].is_string())
            && shown(status, "gone").is_some_and(|flow| flow["running"].is_null())
    });
    assert_eq!(shown(&status, "copy"), None);
    assert_eq!(shown(&status, "gone").unwrap()["state"], "removed");
}

#[test]
fn after_a_kill_and_a_rename_no_occurrence_comes_twice_and_what_was_missed_is_known() {
    let api = one_record(None);
    let project = project(&api, EACH_SECOND);
    let mut killed = Serving::of(&project);
    let last = killed.wait_for_flow("schedule due", "copy")["occurrence"].as_str().unwrap().to_owned();
    killed.wait_for_flow("run finished", "copy");
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    let flow = std::fs::read_to_string(project.path("flows/copy.toml")).unwrap();
    std::fs::remove_file(project.path("flows/copy.toml")).unwrap();
    project.write("flows/kopie.toml", &format!("formerly = [\"copy\"]\n{flow}"));
    // Meanwhile seconds pass: another process counts them.
    let other = self::project(&api, EACH_SECOND);
    let mut seconds = Serving::of(&other);
    for _ in 0..3 {
        seconds.wait_for_flow("schedule due", "copy");
    }
    let mut serving = Serving::of(&project);
    while serving.lines_of("run finished").is_empty() {
        serving.wait_for_line("message");
    }
    let (missed, due) = (serving.lines_of("schedule missed"), serving.lines_of("schedule due"));
    assert!(missed[0]["count"].as_u64().unwrap() >= 1 && missed[0]["flow"] == "kopie", "{missed:?}");
    assert!(due[0]["occurrence"].as_str().unwrap() > last.as_str(), "{due:?} after {last}");
    assert_eq!(serving.lines_of("run finished")[0]["outcome"], "succeeded");
}
