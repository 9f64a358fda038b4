//! Imports before the last step with the real binary, judged by what arrived: each record once, whatever stops it or
//! the process behind the import that took it.

use crate::support::api::{Api, Gate, Reply, Request};
use crate::support::command::{Ended, flowgate, run};
use crate::support::flow::{QUICK, TAKE, account, project};
use crate::support::project::Project;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const EXPORT: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n";

/// Writes each record to `/first` and takes the id of the answer.
const FIRST: &str = "[[step]]\nname = \"first\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/first\"\n\
                     merge = { erp = \"$.id\" }\n";

fn page(records: u64) -> String {
    json!({ "data": (1..=records).map(|n| json!({ "n": n })).collect::<Vec<_>>() }).to_string()
}

fn copy(project: &Project) -> Ended {
    run(project.dir(), &["run", "copy", "--json"])
}

fn figures(ended: &Ended) -> (u64, u64, u64) {
    let run = account(ended);
    let count = |name: &str| run["records"][name].as_u64().unwrap();
    (count("delivered"), count("filtered"), count("failed"))
}

/// `n` of each record that arrived at a path, sorted.
fn arrived(api: &Api, path: &str) -> Vec<u64> {
    let mut all: Vec<u64> = api.requests_to(path).iter().map(|request| request.json()["n"].as_u64().unwrap()).collect();
    all.sort_unstable();
    all
}

fn open_errors(project: &Project) -> Vec<Value> {
    let ended = run(project.dir(), &["errors", "list", "--json"]).expect_code(0);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    document["errors"].as_array().unwrap().clone()
}

fn retry(project: &Project) {
    run(project.dir(), &["errors", "retry", "--all"]);
}

/// How many waypoints are stored.
fn waypoints(project: &Project) -> usize {
    let ended = run(project.dir(), &["state", "show", "waypoint", "--json"]).expect_code(0);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    document["values"].as_array().unwrap().len()
}

fn id_of(request: &Request) -> Reply {
    Reply::json(201, json!({ "id": format!("e-{}", request.json()["n"]) }).to_string())
}

#[test]
fn what_an_import_on_the_way_answered_travels_on_to_the_next() {
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, page(20)),
        "/first" => id_of(request),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, &format!("concurrency_level = 5\n{QUICK}"), &format!("{EXPORT}{FIRST}{TAKE}"));
    let ended = copy(&project).expect_code(0);
    assert_eq!(figures(&ended), (20, 0, 0));
    assert_eq!(arrived(&api, "/first"), (1..=20).collect::<Vec<_>>());
    assert_eq!(arrived(&api, "/taken"), (1..=20).collect::<Vec<_>>());
    for request in api.requests_to("/taken") {
        let body = request.json();
        assert_eq!(body["erp"], json!(format!("e-{}", body["n"])));
    }
    assert_eq!(waypoints(&project), 0, "nothing is kept of what is resolved");
}

#[test]
fn a_flow_whose_imports_are_all_on_the_way_counts_what_they_took() {
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, page(10)),
        "/refusing" if request.json()["n"] == 9 => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let steps = r#"
[[step]]
name = "fan"
route = "all"
[[step.branch]]
name = "even"
when = "record.n % 2 == 0"
[[step.branch.step]]
name = "push"
[step.branch.step.import]
connection = "api"
relative_uri = "/even"
[[step.branch]]
name = "big"
when = "record.n > 7"
[[step.branch.step]]
name = "push"
[step.branch.step.import]
connection = "api"
relative_uri = "/refusing"
"#;
    let project = project(&api, QUICK, &format!("{EXPORT}{steps}"));
    let ended = copy(&project).expect_code(1);
    // 2 4 6 8 10 were taken, 9 was refused, the others took no way.
    assert_eq!(figures(&ended), (5, 4, 1));
    assert_eq!(arrived(&api, "/even"), [2, 4, 6, 8, 10]);
    assert_eq!(arrived(&api, "/refusing"), [8, 9, 10]);
    let errors = open_errors(&project);
    assert_eq!((errors[0]["step"].as_str(), errors[0]["status"].as_u64()), (Some("fan"), Some(422)));
}

#[test]
fn a_copy_that_was_taken_is_not_sent_again_when_another_is_tried_again() {
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = repaired.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, page(3)),
        "/b" | "/lines" if !is_repaired.load(Ordering::SeqCst) && request.json()["n"] == 2 => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let push = |name: &str| {
        format!(
            "[[step.branch]]\nname = \"{name}\"\n[[step.branch.step]]\n[step.branch.step.import]\nconnection = \"api\"\nrelative_uri = \"/{name}\"\n"
        )
    };
    let steps = format!("[[step]]\nname = \"fan\"\nroute = \"all\"\n{}{}", push("a"), push("b"));
    let project = project(&api, QUICK, &format!("{EXPORT}{steps}{TAKE}"));
    assert_eq!(figures(&copy(&project).expect_code(1)), (2, 0, 1));
    assert_eq!(arrived(&api, "/taken"), [1, 3]);
    retry(&project);
    assert_eq!(arrived(&api, "/b"), [1, 2, 2, 3], "still refused");
    repaired.store(true, Ordering::SeqCst);
    retry(&project);
    assert_eq!(arrived(&api, "/a"), [1, 2, 3], "each once");
    assert_eq!(arrived(&api, "/b"), [1, 2, 2, 2, 3]);
    assert_eq!(arrived(&api, "/taken"), [1, 2, 3]);
    assert!(open_errors(&project).is_empty());
    assert_eq!(waypoints(&project), 0);
}

#[test]
fn of_many_items_only_those_that_were_refused_are_sent_again() {
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = repaired.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, r#"{"data":[{"n":1,"lines":[{"n":1},{"n":2},{"n":3}]}]}"#),
        "/lines" if !is_repaired.load(Ordering::SeqCst) && request.json()["n"] == 2 => Reply::json(422, "{}"),
        "/lines" => id_of(request),
        _ => Reply::json(201, "{}"),
    });
    let steps = "[[step]]\nname = \"lines\"\nmany = \"$.lines[*]\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/lines\"\n\
                 merge = { erp = \"$.id\" }\n[step.import.body]\nn = \"$.n\"\nof = \"= parent.n\"\n";
    let project = project(&api, QUICK, &format!("{EXPORT}{steps}{TAKE}"));
    copy(&project).expect_code(1);
    repaired.store(true, Ordering::SeqCst);
    retry(&project);
    assert_eq!(arrived(&api, "/lines"), [1, 2, 2, 3]);
    assert!(api.requests_to("/lines").iter().all(|request| request.json()["of"] == 1));
    let line = |n: u64| json!({ "n": n, "erp": format!("e-{n}") });
    assert_eq!(api.requests_to("/taken")[0].json(), json!({ "n": 1, "lines": [line(1), line(2), line(3)] }));
}

#[test]
fn a_merge_that_fails_sends_nothing_again() {
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, page(1)),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &format!("{EXPORT}{FIRST}{TAKE}"));
    copy(&project).expect_code(1);
    retry(&project);
    let errors = open_errors(&project);
    assert_eq!((errors[0]["step"].as_str(), errors[0]["class"].as_str()), (Some("first"), Some("record")));
    assert_eq!(api.requests_to("/first").len(), 1, "it was taken");
}

/// Runs the flow until the API has seen what is waited for, and kills it.
fn killed(project: &Project, api: &Api, seen: impl Fn(&[Request]) -> bool) {
    let mut child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    api.wait_until(seen);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
}

#[test]
fn what_was_taken_before_a_kill_is_not_sent_again() {
    let gate = Gate::default();
    let held = gate.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, page(12)),
        "/first" => id_of(request),
        _ if request.json()["n"] == 5 => Reply::json(201, "{}").behind(&held),
        _ => Reply::json(201, "{}"),
    });
    // One after the other: what stands in line behind the fifth was taken on the way, and told to the store before.
    let first = format!("{FIRST}idempotency_key = \"{{{{record.n}}}}\"\n");
    let project = project(&api, &format!("concurrency_level = 1\n{QUICK}"), &format!("{EXPORT}{first}{TAKE}"));
    killed(&project, &api, |requests| requests.iter().any(|r| r.path() == "/taken" && r.json()["n"] == 5));
    let before = arrived(&api, "/first");
    assert!(before.len() >= 5, "{before:?}");
    gate.open();
    copy(&project);
    let after = arrived(&api, "/first");
    for n in 1..=5 {
        assert_eq!(after.iter().filter(|one| **one == n).count(), 1, "{n} was taken and stored: {after:?}");
    }
    assert_eq!(after.iter().collect::<std::collections::BTreeSet<_>>().len(), 12);
    // The fifth was on its way to the last import when the process died.
    let errors = open_errors(&project);
    assert!(errors.iter().all(|error| error["class"] == "unknown" && error["step"] == "import"), "{errors:?}");
    for request in api.requests_to("/taken") {
        assert_eq!(request.json()["erp"], json!(format!("e-{}", request.json()["n"])), "the answer is remembered");
    }
}

#[test]
fn what_was_on_its_way_at_a_kill_is_parked_and_nothing_else() {
    let gate = Gate::default();
    let held = gate.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, page(6)),
        "/first" if request.json()["n"] == 3 => id_of(request).behind(&held),
        "/first" => id_of(request),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, &format!("concurrency_level = 1\n{QUICK}"), &format!("{EXPORT}{FIRST}{TAKE}"));
    killed(&project, &api, |requests| requests.iter().any(|r| r.path() == "/first" && r.json()["n"] == 3));
    gate.open();
    let ended = copy(&project).expect_code(1);
    assert_eq!(arrived(&api, "/first").iter().filter(|n| **n == 3).count(), 1, "it is not known whether it arrived");
    let errors = open_errors(&project);
    assert!(
        errors.iter().any(|error| error["step"] == "first" && error["class"] == "unknown" && error["position"] == 3),
        "{errors:?}"
    );
    assert_eq!(account(&ended)["records"]["in_flight"], 0);
}

#[test]
fn a_dry_run_shows_what_imports_on_the_way_would_send() {
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, page(1)),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &format!("{EXPORT}{FIRST}{TAKE}"));
    let ended = run(project.dir(), &["run", "copy", "--dry-run"]).expect_code(0);
    assert!(ended.stdout.contains("/first") && ended.stdout.contains("/taken"), "{}", ended.stdout);
    assert!(api.requests().iter().all(|request| request.method == "GET"));
}
