//! Connections whose credentials are refused for good under `serve`: requests wait, nothing is lost, and one at a time
//! tries whether the connection is back.

use crate::support::api::{Api, Reply, Request};
use crate::support::flow::{QUICK, TAKE, project, taken};
use crate::support::project::Project;
use crate::support::serving::{Serving, status_until};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const FLOW: &str = "schedule = \"* * * * * *\"\n[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";
const TOKEN: &str = "[auth.token]\ntoken = \"{{connection.secrets.key}}\"\n[secrets]\nkey = { file = \"key\" }\n";

/// Records once, then none: the schedule goes on while a test looks.
fn once(read: &mut bool) -> Reply {
    let body = if std::mem::replace(read, true) { "[]" } else { "[{\"id\":1},{\"id\":2},{\"id\":3}]" };
    Reply::json(200, body)
}

fn with_key(api: &Api, keys: &str, flow: &str) -> Project {
    let project = project(api, keys, flow);
    project.write("key", "k-first-key");
    std::fs::set_permissions(project.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    project
}

/// An API that lets nothing through until it is told to.
fn closed() -> (Api, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let (inside, mut read) = (open.clone(), false);
    let api = Api::start(move |request| match request.path() {
        "/records" => once(&mut read),
        _ if inside.load(Ordering::SeqCst) => Reply::json(201, "{}"),
        _ => Reply::json(401, "{\"error\":\"locked out\"}"),
    });
    (api, open)
}

fn offline_line(status: &serde_json::Value) -> Option<serde_json::Value> {
    let lines = status["pools"].as_array()?.iter().flat_map(|pool| pool["lines"].as_array().into_iter().flatten());
    lines.filter(|line| line["connection"] == "api").map(|line| line["offline"].clone()).find(|found| !found.is_null())
}

#[test]
fn an_offline_connection_holds_its_requests_says_why_and_comes_back_without_loss() {
    let (api, open) = closed();
    let keys = format!("concurrency_level = 2\n{QUICK}{TOKEN}");
    let project = with_key(&api, &keys, &format!("{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    let said = serving.wait_for("connection offline");
    assert!(said["cause"].as_str().unwrap().contains("locked out"), "{said}");
    let status = status_until(&project, |status| offline_line(status).is_some());
    let offline = offline_line(&status).unwrap();
    assert!(offline["reason"].as_str().unwrap().contains("locked out"), "{offline}");
    let waits = status["flows"][0]["waits"].as_str().unwrap_or_default();
    assert!(waits.contains("`api` is offline") && waits.contains("locked out"), "{status:#}");
    assert_eq!(serving.sample("flowgate_connection_offline{connection=\"api\"}"), 1.0);
    // Tried again and again, one at a time, and no record given up.
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/taken").count() > 8);
    open.store(true, Ordering::SeqCst);
    serving.wait_for("connection online");
    serving.wait_for_flow("run finished", "copy");
    let finished = &serving.lines_of("run finished")[0];
    assert_eq!((&finished["delivered"], &finished["failed"]), (&3.into(), &0.into()), "{finished}");
    let mut ids = taken(&api);
    ids.dedup();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(serving.sample("flowgate_connection_offline{connection=\"api\"}"), 0.0);
}

#[test]
fn the_ping_tries_whether_the_connection_is_back() {
    let (api, open) = closed();
    let keys = format!("concurrency_level = 1\n{QUICK}[ping]\nrelative_uri = \"/me\"\n{TOKEN}");
    let project = with_key(&api, &keys, &format!("{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    serving.wait_for("connection offline");
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/me").count() > 3);
    let refused = api.requests_to("/taken").len();
    assert_eq!(refused, 1, "at level 1 one request was refused; the ping asks from then on");
    open.store(true, Ordering::SeqCst);
    serving.wait_for("connection online");
    serving.wait_for_flow("run finished", "copy");
    assert_eq!(api.requests_to("/taken").len(), 4);
}

#[test]
fn a_request_that_lacks_a_permission_is_refused_once_the_others_are_let_through() {
    let mut read = false;
    let api = Api::start(move |request: &Request| match request.path() {
        "/records" => once(&mut read),
        "/me" => Reply::json(200, "{}"),
        _ if request.body.contains("\"id\":2") => Reply::json(401, "{\"error\":\"not yours\"}"),
        _ => Reply::json(201, "{}"),
    });
    let keys = format!("concurrency_level = 1\n{QUICK}[ping]\nrelative_uri = \"/me\"\n{TOKEN}");
    let project = with_key(&api, &keys, &format!("{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    serving.wait_for("connection online");
    let failed = serving.wait_for("record failed");
    let text = failed.to_string();
    assert!(text.contains("not yours") && text.contains("count_401"), "{text}");
    serving.wait_for_flow("run finished", "copy");
    let sent = api.requests_to("/taken").iter().filter(|request| request.body.contains("\"id\":2")).count();
    assert_eq!(sent, 2, "no loop");
}

#[test]
fn a_corrected_secret_ends_the_wait_of_runs_that_began_with_the_wrong_one() {
    let mut read = 0;
    let api = Api::start(move |request: &Request| match request.header("authorization") {
        _ if request.path() == "/records" => {
            read += 1;
            Reply::json(200, if read < 3 { "[{\"id\":1}]" } else { "[]" })
        }
        Some("Bearer k-second-key") => Reply::json(201, "{}"),
        _ => Reply::json(401, "{}"),
    });
    let project = with_key(&api, &format!("concurrency_level = 1\n{QUICK}{TOKEN}"), &format!("{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    serving.wait_for("connection offline");
    project.write("key", "k-second-key");
    serving.signal(Signal::HUP);
    serving.wait_for("reload applied");
    serving.wait_for_one("run finished", |line| line["delivered"] == 1);
    let ended = serving.lines_of("run finished");
    let cut = |line: &serde_json::Value| line["cause"].as_str().is_some_and(|cause| cause.contains("was changed"));
    assert!(ended.iter().any(cut), "{ended:#?}");
}

#[test]
fn a_drain_does_not_wait_for_an_offline_connection() {
    let (api, _open) = closed();
    let project = with_key(&api, &format!("{QUICK}{TOKEN}"), &format!("{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    serving.wait_for("connection offline");
    serving.signal(Signal::TERM);
    let (code, lines) = serving.wait_for_end();
    assert_eq!(code, Some(0), "{lines:#?}");
}

#[test]
fn other_connections_of_the_pool_go_on() {
    let (api, _open) = closed();
    let mut read = false;
    let other = Api::start(move |request| match request.path() {
        "/records" => once(&mut read),
        _ => Reply::json(201, "{}"),
    });
    let project = with_key(&api, &format!("concurrency_level = 1\n{QUICK}{TOKEN}"), &format!("{FLOW}{TAKE}"));
    project.connection("other", &other.base(), "borrow_concurrency_from = \"api\"");
    project.write("flows/beside.toml", &format!("{FLOW}{TAKE}").replace("\"api\"", "\"other\""));
    let mut serving = Serving::of(&project);
    serving.wait_for("connection offline");
    other.wait_until(|seen| seen.iter().filter(|request| request.path() == "/taken").count() == 3);
    drop(serving);
}
