//! Connections whose credentials are refused for good under `serve`: requests wait, nothing is lost, and one at a time
//! tries whether the connection is back.

use crate::support::api::{Api, Reply, Request};
use crate::support::command::run;
use crate::support::flow::{QUICK, TAKE, copy, ids, project, taken};
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

/// A flow nobody starts again: what it does after an edit it does because of the edit.
fn asked_once(api: &Api, keys: &str, export: &str) -> (Project, Serving) {
    let flow = format!("[export]\nconnection = \"{export}\"\nrelative_uri = \"/records\"\n{TAKE}");
    let project = with_key(api, keys, &flow);
    project.connection("source", &api.base(), "");
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    let ended = run(project.dir(), &["run", "copy"]).expect_code(77);
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(told.contains("connection `api` is offline") && told.contains("goes on by itself"), "{told}");
    (project, serving)
}

#[test]
fn an_edit_of_an_offline_connection_lets_what_waits_go_on_at_once() {
    for (export, edit) in [("source", "key"), ("api", "key"), ("source", "title")] {
        let open = Arc::new(AtomicBool::new(false));
        let inside = open.clone();
        let api = Api::start(move |request: &Request| match (request.path(), request.header("authorization")) {
            ("/records", None) => Reply::json(200, "[{\"id\":1},{\"id\":2},{\"id\":3}]"),
            (path, Some(key)) if key == "Bearer k-second-key" || inside.load(Ordering::SeqCst) => match path {
                "/records" => Reply::json(200, "[{\"id\":1},{\"id\":2},{\"id\":3}]"),
                _ => Reply::json(201, "{}"),
            },
            _ => Reply::json(401, "{}"),
        });
        // Late tries: what goes on soon goes on because of the edit.
        let keys = format!("concurrency_level = 1\n[retry]\nbackoff = {{ initial = \"1h\", max = \"1h\" }}\n{TOKEN}");
        let (project, mut serving) = asked_once(&api, &keys, export);
        if edit == "key" {
            project.write("key", "k-second-key");
        } else {
            open.store(true, Ordering::SeqCst);
            project.connection("api", &api.base(), &format!("title = \"Another\"\n{keys}"));
        }
        serving.signal(Signal::HUP);
        serving.wait_for("reload applied");
        serving.wait_for_one("run finished", |line| line["delivered"] == 3);
        let mut ids = taken(&api);
        ids.dedup();
        assert_eq!(ids, [1, 2, 3], "{export}, {edit}");
    }
}

#[test]
fn a_secret_that_was_missing_lets_the_flow_go_on_when_it_is_there() {
    let api = Api::start(|request: &Request| match request.path() {
        "/records" => Reply::json(200, "[{\"id\":1},{\"id\":2}]"),
        _ => Reply::json(201, "{}"),
    });
    let flow = format!("[export]\nconnection = \"source\"\nrelative_uri = \"/records\"\n{TAKE}");
    let project = with_key(&api, &format!("{QUICK}{TOKEN}"), &flow);
    project.connection("source", &api.base(), "");
    std::fs::remove_file(project.path("key")).unwrap();
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    run(project.dir(), &["run", "copy"]).expect_code(77);
    project.write("key", "k-second-key");
    std::fs::set_permissions(project.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    serving.signal(Signal::HUP);
    serving.wait_for_one("run finished", |line| line["delivered"] == 2);
}

/// Ids in the order of their arrival.
fn arrived(api: &Api) -> Vec<u64> {
    ids(&api.requests_to("/taken").iter().map(Request::json).collect::<Vec<_>>())
}

#[test]
fn at_level_one_the_refused_request_itself_tries_again_and_order_holds() {
    let (mut refusals, mut read) = (4, false);
    let api = Api::start(move |request| match request.path() {
        "/records" => once(&mut read),
        _ if refusals > 0 => {
            refusals -= 1;
            Reply::json(401, "{}")
        }
        _ => Reply::json(201, "{}"),
    });
    let project = with_key(&api, &format!("concurrency_level = 1\n{QUICK}{TOKEN}"), &format!("{FLOW}{TAKE}"));
    let mut serving = Serving::of(&project);
    serving.wait_for_flow("run finished", "copy");
    assert_eq!(arrived(&api), [1, 1, 1, 1, 1, 2, 3]);
}

#[test]
fn once_credentials_are_refused_a_run_sends_nothing_more() {
    let records: Vec<String> = (1..=60).map(|id| format!("{{\"id\":{id}}}")).collect();
    let records = format!("[{}]", records.join(","));
    for level in [1, 4, 20] {
        let answer = records.clone();
        let api = Api::start(move |request| match request.path() {
            "/records" => Reply::json(200, answer.clone()),
            _ => Reply::json(401, "{}"),
        });
        let ended = copy(
            &api,
            &format!("concurrency_level = {level}\n"),
            &format!("[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n{TAKE}"),
            &[],
        );
        ended.expect_code(77);
        let sent = api.requests_to("/taken").len();
        assert!((1..=level).contains(&sent), "{sent} requests at level {level}");
    }
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, "[{\"id\":1},{\"id\":2},{\"id\":3}]"),
        _ if request.body.contains("\"id\":2") => Reply::json(401, "{}"),
        _ => Reply::json(201, "{}"),
    });
    copy(
        &api,
        "concurrency_level = 1\n",
        &format!("[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n{TAKE}"),
        &[],
    )
    .expect_code(77);
    assert_eq!(arrived(&api), [1, 2], "nothing passes the refused one");
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

#[test]
fn a_run_that_read_nothing_for_want_of_a_secret_is_begun_when_the_secret_is_there() {
    let api = Api::start(|request: &Request| match (request.path(), request.header("authorization")) {
        ("/records", Some("Bearer k-second-key")) => Reply::json(200, "[{\"id\":1},{\"id\":2},{\"id\":3}]"),
        ("/taken", Some("Bearer k-second-key")) => Reply::json(201, "{}"),
        _ => Reply::json(401, "{}"),
    });
    let flow = format!("[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nlimit = 2\n{TAKE}");
    let project = with_key(&api, &format!("{QUICK}{TOKEN}"), &flow);
    std::fs::rename(project.path("key"), project.path("later")).unwrap();
    let mut serving = Serving::of(&project);
    run(project.dir(), &["run", "copy", "--limit", "1"]).expect_code(77);
    assert!(api.requests().is_empty());
    std::fs::rename(project.path("later"), project.path("key")).unwrap();
    project.write("key", "k-second-key");
    serving.signal(Signal::HUP);
    serving.wait_for_one("run finished", |line| line["delivered"] == 1);
    assert_eq!(taken(&api), [1], "as it was asked for");
}

#[test]
fn a_request_that_cannot_be_signed_fails_alone_and_says_nothing_about_its_connection() {
    let mut read = false;
    let api = Api::start(move |request| match request.path() {
        "/records" if !std::mem::replace(&mut read, true) => {
            let records =
                (1..=6).map(|id| if id == 4 { format!("{{\"id\":{id}}}") } else { format!("{{\"id\":{id},\"n\":1}}") });
            Reply::json(200, format!("[{}]", records.collect::<Vec<_>>().join(",")))
        }
        "/records" => Reply::json(200, "[]"),
        _ => Reply::json(401, "{\"error\":\"locked out\"}"),
    });
    let signed = "headers = { X-Sign = \"{{hmac 'sha256' connection.secrets.key 'hex' (join '|' record.n hmacOptions.body)}}\" }\n";
    let project = with_key(&api, &format!("concurrency_level = 2\n{QUICK}{TOKEN}"), &format!("{FLOW}{TAKE}{signed}"));
    let mut serving = Serving::of(&project);
    serving.wait_for("connection offline");
    let failed = serving.wait_for("record failed");
    assert!(failed.to_string().contains("record.n"), "{failed}");
    let tried = api.requests_to("/taken").len();
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/taken").count() > tried + 8);
    assert_eq!(serving.lines_of("record failed").len(), 1, "{:?}", serving.lines_of("record failed"));
    assert_eq!(serving.sample("flowgate_connection_offline{connection=\"api\"}"), 1.0);
    let listed = run(project.dir(), &["errors", "list", "--json"]).expect_code(0).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["errors"].as_array().unwrap().len(), 1, "{listed}");
    assert!(serving.lines_of("connection online").is_empty());
}
