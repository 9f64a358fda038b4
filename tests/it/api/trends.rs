//! How figures moved: what a run did over its time, a flow within the hour, a pool within minutes, and how fresh a flow is.

use super::{Door, gated_api};
use crate::support::api::{Api, Gates, Reply};
use crate::support::project::Project;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn sum(document: &Value, name: &str) -> u64 {
    document[name].as_array().unwrap().iter().map(|one| one.as_u64().unwrap()).sum()
}

#[test]
fn figures_of_late_are_those_of_the_run_and_a_flow_is_fresh_until_it_misses_its_times() {
    let (api, gate) = gated_api();
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1\n");
    project.copy_flow("copy", "schedule = \"0 4 * * *\"\n", "").copy_flow("by-hand", "", "");
    let mut door = Door::of(project);
    let flow = door.json("/api/v1/flows/copy");
    assert!(flow["fresh"].is_null() && flow["recent"].is_null(), "it never ran: {flow:#}");
    let run = door.done("run", &json!({ "flows": ["copy"] }))["runs"][0]["run"].as_str().unwrap().to_owned();
    // It is looked at while its first request waits for an answer and the others for the permit.
    let target = format!("/api/v1/runs/{run}");
    let busy = |document: &Value| {
        let most = |name: &str| {
            document["timeline"][name].as_array().and_then(|list| list.iter().filter_map(Value::as_u64).max())
        };
        most("in_flight") == Some(1) && most("waiting") >= Some(1)
    };
    door.until(&target, busy);
    door.until("/api/v1/connections/api", |told| {
        sum(&told["recent"], "in_flight") >= 1 && sum(&told["recent"], "queued") >= 1
    });
    gate.open();
    door.serving.wait_for_flow("run finished", "copy");
    let told = door.until(&target, |told| told["phase"] == "ended" && sum(&told["timeline"], "delivered") == 3);
    assert_eq!((sum(&told["timeline"], "exported"), sum(&told["timeline"], "pages")), (3, 1), "{told:#}");
    let flow = door.until("/api/v1/flows/copy", |flow| flow["running"].is_null() && flow["recent"].is_object());
    assert_eq!(sum(&flow["recent"], "delivered"), 3, "{flow:#}");
    assert_eq!(flow["fresh"]["interval_seconds"], 86_400, "{flow:#}");
    let (success, due) = (flow["last_success"].as_str().unwrap(), flow["fresh"]["due"].as_str().unwrap());
    assert!(success < due && due < flow["fresh"]["stale_after"].as_str().unwrap(), "{flow:#}");
    // What is paused, or goes by hand, is not late.
    door.done("pause", &json!({ "flows": ["copy"] }));
    assert!(door.json("/api/v1/flows/copy")["fresh"].is_null());
    door.done("run", &json!({ "flows": ["by-hand"] }));
    door.until("/api/v1/flows/by-hand", |flow| flow["last_success"].is_string());
    assert!(door.json("/api/v1/flows/by-hand")["fresh"].is_null());
    // Several states at once, one of them nobody's.
    let some = door.json("/api/v1/flows?state=paused,failed");
    assert_eq!((&some["total"], &some["flows"][0]["id"]), (&json!(1), &json!("copy")), "{some:#}");
    let pressing = door.json("/api/v1/flows?state=attention");
    let ids: Vec<_> = pressing["flows"].as_array().unwrap().iter().map(|flow| &flow["id"]).collect();
    assert_eq!((&pressing["attention"], ids), (&json!(1), vec![&json!("copy")]), "paused by hand: {pressing:#}");
}

#[test]
fn a_flow_whose_times_passed_without_success_is_found_as_overdue() {
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = broken.clone();
    let api = Api::start(move |_| {
        let status = if is_broken.load(Ordering::SeqCst) { 404 } else { 200 };
        Reply::json(status, "{\"data\":[]}")
    });
    let project = Project::new();
    project.connection("api", &api.base(), "");
    project.copy_flow("copy", "schedule = \"* * * * * *\"\n", "").copy_flow("by-hand", "", "");
    let door = Door::of(project);
    door.until("/api/v1/flows/copy", |flow| flow["last_success"].is_string());
    assert_eq!(door.json("/api/v1/flows?state=overdue")["total"], 0);
    broken.store(true, Ordering::SeqCst);
    let found = door.until("/api/v1/flows?state=overdue", |found| found["total"] == 1);
    assert_eq!((&found["flows"][0]["id"], &found["attention"]), (&json!("copy"), &json!(1)), "{found:#}");
}

#[test]
fn what_a_run_did_before_a_kill_is_not_credited_when_it_goes_on() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("GET", "/records") => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3}],\"next\":\"/second\"}"),
        ("GET", _) => Reply::json(200, "{\"data\":[{\"id\":4},{\"id\":5}]}").behind(&held.next()),
        _ => Reply::json(201, "{}"),
    });
    let project = Project::new();
    project.connection("api", &api.base(), "");
    project.write(
        "flows/copy.toml",
        "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n\
         [export.paging.next_url]\npath = \"next\"\n[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n",
    );
    let door = Door::of(project);
    let run = door.done("run", &json!({ "flows": ["copy"] }))["runs"][0]["run"].as_str().unwrap().to_owned();
    let target = format!("/api/v1/runs/{run}");
    door.until(&target, |told| told["records"]["delivered"] == 3 && told["pages"] == 1 && told["open_pages"] == 0);
    let Door { serving, project, .. } = door;
    // A kill, not an end.
    drop(serving);
    gates.open_all();
    let door = Door::of(project);
    let told = door.until(&target, |told| told["phase"] == "ended");
    assert_eq!(told["records"]["delivered"], 5, "{told:#}");
    let flow = door.until("/api/v1/flows/copy", |flow| flow["running"].is_null() && flow["recent"].is_object());
    assert_eq!(sum(&flow["recent"], "delivered"), 2, "{flow:#}");
}
