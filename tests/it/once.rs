//! `[export.once]`: the source is told of what was delivered, and of nothing else.

use crate::support::api::{Api, Gates, Reply, Request};
use crate::support::command::{flowgate, run};
use crate::support::flow::{QUICK, TAKE, account, ids, lines, project, taken};
use crate::support::serving::Serving;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Exports `GET /orders`, shapes each to something without its id, and tells `PUT /orders/<id>/exported`.
fn flow(import: &str) -> String {
    format!(
        "[export]\nconnection = \"api\"\nrelative_uri = \"/orders\"\nkeep = \"record.id != 4\"\n\
         transform = {{ create = {{ id = \"= record.id + 100\" }} }}\n\
         [export.once]\nmethod = \"PUT\"\nrelative_uri = \"/orders/{{{{record.id}}}}/exported\"\n\
         body = {{ at = \"= run.id is defined\" }}\n{import}"
    )
}

fn told(api: &Api) -> Vec<String> {
    let told = api.requests();
    let mut told: Vec<String> =
        told.iter().filter(|request| request.method == "PUT").map(|request| request.target.clone()).collect();
    told.sort();
    told
}

fn paths(ids: &[u64]) -> Vec<String> {
    ids.iter().map(|id| format!("/orders/{id}/exported")).collect()
}

fn orders(count: u64) -> Reply {
    let all: Vec<Value> = (1..=count).map(|id| json!({ "id": id })).collect();
    Reply::json(200, Value::from(all).to_string())
}

#[test]
fn the_source_is_told_of_what_was_delivered_and_of_nothing_else() {
    let api = Api::start(|request| match (request.method.as_str(), request.path()) {
        ("GET", _) => orders(5),
        ("POST", _) if request.json()["id"] == 103 => Reply::json(422, "{}"),
        _ => Reply::json(200, "{}"),
    });
    // 4 is left out before the transform, by the `keep` of a step behind it: its id is another by then.
    let flow = flow(TAKE).replace("keep = \"record.id != 4\"", "keep = \"record.id != 104\"");
    let project = project(&api, QUICK, &flow);
    let ended = run(project.dir(), &["run", "copy", "--json"]).expect_code(1);
    let records = &account(&ended)["records"];
    assert_eq!((&records["delivered"], &records["filtered"], &records["failed"]), (&json!(3), &json!(1), &json!(1)));
    assert_eq!(told(&api), paths(&[1, 2, 5]));
    let one = api.requests().into_iter().find(|request| request.method == "PUT").unwrap();
    assert_eq!(one.json(), json!({ "at": true }));
    // Each one after it was delivered.
    let seen = api.requests();
    let when = |method: &str, id: u64| {
        let is = |request: &&Request| {
            request.method == method
                && (request.target == format!("/orders/{id}/exported")
                    || (method == "POST" && request.json()["id"] == id + 100))
        };
        seen.iter().find(is).map(|request| (request.arrived, request.answered.unwrap())).unwrap()
    };
    assert!([1, 2, 5].iter().all(|id| when("POST", *id).1 <= when("PUT", *id).0));
}

#[test]
fn a_record_that_was_not_told_of_is_told_by_its_retry_and_not_sent_again() {
    let refuses = Arc::new(Mutex::new(true));
    let refused = refuses.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => orders(3),
        "PUT" if request.path() == "/orders/2/exported" && *refused.lock().unwrap() => Reply::json(409, "{}"),
        _ => Reply::json(200, "{}"),
    });
    let project = project(&api, QUICK, &flow(TAKE));
    let ended = run(project.dir(), &["run", "copy"]).expect_code(1);
    assert!(
        ended.stderr.contains("page 1 record 2: once: rejected") && ended.stderr.contains("{\"id\":2}"),
        "{}",
        ended.stderr
    );
    *refuses.lock().unwrap() = false;
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(taken(&api), [101, 102, 103], "nothing was sent twice");
    assert_eq!(told(&api), paths(&[1, 2, 2, 3]));
    let listed = run(project.dir(), &["errors", "list", "--json"]).expect_code(0);
    assert_eq!(serde_json::from_str::<Value>(&listed.stdout).unwrap()["errors"], json!([]));
}

#[test]
fn after_a_kill_no_delivered_record_stays_untold() {
    let gates = Gates::default();
    let script = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => orders(2),
        "PUT" => Reply::json(200, "{}").behind(&script.next()),
        _ => Reply::json(200, "{}"),
    });
    let project = project(&api, QUICK, &flow(&format!("{TAKE}unknown_outcome = \"retry\"\n")));
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let killed = Serving::start(command);
    api.wait_until(|seen| seen.iter().any(|request| request.method == "PUT"));
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    gates.open_all();
    let before = told(&api).len();
    run(project.dir(), &["run", "copy"]).expect_code(0);
    let mut after = told(&api);
    assert_eq!(after.len(), before + 2, "both are told by the run that goes on");
    after.dedup();
    assert_eq!(after, paths(&[1, 2]));
}

#[test]
fn a_stop_in_order_keeps_what_is_untold_as_an_error_and_sends_nothing_again() {
    let gates = Gates::default();
    let script = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => orders(3),
        "PUT" => Reply::json(200, "{}").behind(&script.next()),
        _ => Reply::json(200, "{}"),
    });
    let project = project(&api, &format!("concurrency_level = 1\n{QUICK}"), &flow(TAKE));
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let stopped = Serving::start(command);
    api.wait_until(|seen| seen.iter().any(|request| request.method == "PUT"));
    stopped.signal(Signal::TERM);
    gates.open_all();
    stopped.wait_for_end();
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    let mut sent = taken(&api);
    sent.dedup();
    assert_eq!((taken(&api).len(), sent), (3, vec![101, 102, 103]));
    let mut all = told(&api);
    all.dedup();
    assert_eq!(all, paths(&[1, 2, 3]));
}

#[test]
fn an_export_that_writes_to_standard_output_tells_too_and_a_dry_run_does_not() {
    let api = Api::start(|request| if request.method == "GET" { orders(2) } else { Reply::json(200, "{}") });
    let project = project(&api, QUICK, &flow(""));
    assert_eq!(ids(&lines(&run(project.dir(), &["run", "copy"]).expect_code(0))), [101, 102]);
    assert_eq!(told(&api), paths(&[1, 2]));
    project.write("flows/copy.toml", &flow(TAKE));
    run(project.dir(), &["run", "copy", "--dry-run"]).expect_code(0);
    assert_eq!(told(&api).len(), 2);
}

#[test]
fn rules_about_the_telling_pass_over_it_or_end_the_run() {
    for (act, code, figures) in [("skip", 0, [5, 0]), ("fail", 1, [0, 1])] {
        let api = Api::start(|request| match request.method.as_str() {
            "GET" if request.target.contains("p=6") => Reply::json(200, "[]"),
            "GET" => Reply::json(200, format!("[{{\"id\":{}}}]", request.target.split_once("p=").unwrap().1)),
            "PUT" => Reply::json(404, "{}"),
            _ => Reply::json(201, "{}"),
        });
        let rule =
            format!("[[export.once.on]]\nstatus = 404\ndo = \"{act}\"\n[export.paging.page]\nparam = \"p\"\n{TAKE}");
        let flow = flow(&rule).replace("keep = \"record.id != 4\"\n", "");
        let project = project(&api, &format!("concurrency_level = 1\n{QUICK}"), &flow);
        let ended = run(project.dir(), &["run", "copy", "--json"]).expect_code(code);
        let records = &account(&ended)["records"];
        if act == "skip" {
            assert_eq!(
                (&records["delivered"], &records["failed"]),
                (&json!(figures[0]), &json!(figures[1])),
                "{records}"
            );
        } else {
            assert_eq!(
                (&records["failed"], &account(&ended)["outcome"]),
                (&json!(figures[1]), &"failed".into()),
                "{records}"
            );
            assert!(told(&api).len() < 5, "{:?}", told(&api));
        }
    }
}

#[test]
fn a_dry_run_shows_how_the_source_would_be_told_and_what_is_wrong_with_it() {
    let api = Api::start(|_| orders(1));
    let one = project(&api, QUICK, &flow(TAKE));
    let shown = run(one.dir(), &["preview", "copy", "--json"]).expect_code(0).stdout;
    let stages = shown.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let stages: Vec<Value> = stages.filter(|stage| stage["of"] == "once").collect();
    assert_eq!(stages.len(), 1, "{shown}");
    assert!(stages[0]["request"].to_string().contains("/orders/1/exported"), "{shown}");
    assert!(api.requests().iter().all(|request| request.method == "GET"));
    let wrong = project(&api, QUICK, &flow(TAKE).replace("{{record.id}}/exported", "{{record.idd}}/exported"));
    let shown = run(wrong.dir(), &["run", "copy", "--dry-run"]);
    assert!(shown.code == Some(1) && format!("{}{}", shown.stdout, shown.stderr).contains("idd"), "{shown:?}");
}
