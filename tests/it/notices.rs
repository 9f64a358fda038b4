//! `[notify]`: people are told over a connection what deserves a look, each matter once, with secrets masked.

use crate::support::api::{Api, Reply};
use crate::support::command::flowgate;
use crate::support::project::Project;
use crate::support::serving::{Serving, status_until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SECRET: &str = "s3cret-of-the-shop-9f27";

/// Answers by path: `/broken` with 500, `/refuses` and `/dear` with 422 and an echo of the credential, `/locked` with 401.
fn api() -> Api {
    Api::start(|request| match request.path() {
        "/hooks/ops" => Reply::json(200, "{}"),
        "/broken" => Reply::json(400, format!("{{\"error\":\"no {SECRET} here\"}}")),
        "/locked" => Reply::json(401, "{}"),
        "/records" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2}]}"),
        "/refuses" => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}"),
    })
}

fn project(api: &Api, notify: &str) -> Project {
    let project = Project::new();
    project.settings(&format!("[notify]\nconnection = \"chat\"\nrelative_uri = \"/hooks/ops\"\n{notify}\n"));
    project.connection("chat", &api.base(), "");
    let token = "response = { error_path = \"error\" }\n[auth.token]\ntoken = { env = \"SECRET\" }\n[retry]\nmax_attempts = 1\n";
    project.connection("shop", &api.base(), token).connection("safe", &api.base(), token);
    for (id, from, to) in
        [("fails", "/broken", "/taken"), ("errs", "/records", "/refuses"), ("waits", "/locked", "/taken")]
    {
        let records = if id == "errs" { "records = \"$.data[*]\"\n" } else { "" };
        project.write(
            &format!("flows/{id}.toml"),
            &format!("[export]\nconnection = \"shop\"\nrelative_uri = \"{from}\"\n{records}[import]\nconnection = \"shop\"\nrelative_uri = \"{to}\"\n"),
        );
    }
    project
}

fn serve(project: &Project) -> Serving {
    let mut command = flowgate(project.dir());
    command.arg("serve").env("SECRET", SECRET);
    let mut serving = Serving::start(command);
    serving.wait_until_listening();
    serving
}

fn start(project: &Project, serving: &mut Serving, flow: &str) {
    let token = std::fs::read_to_string(project.path("state/api-token")).unwrap();
    let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", token.trim());
    let address = serving.wait_until_listening();
    let body = format!("{{\"flows\":[\"{flow}\"]}}");
    let until = crate::support::now() + crate::support::PATIENCE;
    loop {
        let got = crate::support::client::send(address, "POST", "/api/v1/actions/run", &headers, &body);
        if got.status == 200 && got.body.contains("\"run\":\"") {
            return;
        }
        // The log told the end of the run before a moment ago.
        assert!(got.body.contains("still running") && crate::support::now() < until, "{}", got.body);
    }
}

fn told(api: &Api) -> Vec<Value> {
    api.requests_to("/hooks/ops").iter().map(crate::support::api::Request::json).collect()
}

#[test]
fn a_failed_run_is_told_once_in_a_while_without_its_secrets() {
    let api = api();
    let project = project(
        &api,
        "on = [\"run_failed\"]\nbody = { text = \"{{event.flow}}: {{event.summary}}\", kind = \"{{event.kind}}\", run = \"{{event.run}}\" }",
    );
    let mut serving = serve(&project);
    for _ in 0..3 {
        start(&project, &mut serving, "fails");
        serving.wait_for_flow("run finished", "fails");
    }
    start(&project, &mut serving, "errs");
    serving.wait_for_flow("run finished", "errs");
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/hooks/ops"));
    let until = crate::support::now() + crate::support::PATIENCE;
    while serving.sample("flowgate_notices_total{outcome=\"suppressed\"}") < 2.0 {
        assert!(crate::support::now() < until, "the second and third were not held back");
    }
    let notices = told(&api);
    assert_eq!(notices.len(), 1, "{notices:?}");
    let text = notices[0]["text"].as_str().unwrap();
    assert!(text.starts_with("fails: run ") && text.contains("[secret]") && !text.contains(SECRET), "{text}");
    assert_eq!((notices[0]["kind"].as_str(), notices[0]["run"].is_string()), (Some("run_failed"), true));
    assert_eq!(serving.sample("flowgate_notices_total{outcome=\"sent\"}"), 1.0);
}

#[test]
fn a_first_error_and_a_connection_that_goes_offline_are_told() {
    let api = api();
    let project = project(&api, "");
    // A connection of its own: what is let through on another one says nothing about this credential.
    let waits = std::fs::read_to_string(project.path("flows/waits.toml")).unwrap().replace("\"shop\"", "\"safe\"");
    project.write("flows/waits.toml", &waits);
    let mut serving = serve(&project);
    start(&project, &mut serving, "errs");
    serving.wait_for_flow("run finished", "errs");
    start(&project, &mut serving, "waits");
    api.wait_until(|seen| {
        seen.iter().any(|request| request.body.contains("errs: "))
            && seen.iter().any(|request| request.body.contains("safe: "))
    });
    let mut texts: Vec<String> = told(&api).iter().map(|told| told["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    assert!(texts[0].starts_with("errs: ") && texts[0].contains("flowgate errors list --flow errs"), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("safe: connection `safe` is offline")), "{texts:?}");
}

#[test]
fn a_notice_that_cannot_be_sent_is_logged_and_tells_nobody_in_turn() {
    let api = api();
    let project = project(&api, "");
    // People are told over the very connection that fails.
    project.settings("[notify]\nconnection = \"shop\"\nrelative_uri = \"/broken\"\n");
    let mut serving = serve(&project);
    start(&project, &mut serving, "fails");
    let line = serving.wait_for("notice not sent");
    assert!(!line.to_string().contains(SECRET), "{line}");
    start(&project, &mut serving, "waits");
    status_until(&project, |status| {
        status["pools"].as_array().unwrap().iter().any(|pool| pool["lines"][0]["offline"].is_object())
    });
    let until = crate::support::now() + crate::support::PATIENCE;
    // The flow that failed is told again by nobody; that its own connection is offline is not told over it.
    start(&project, &mut serving, "fails");
    while serving.sample("flowgate_notices_total{outcome=\"failed\"}") < 1.0 {
        assert!(crate::support::now() < until);
    }
    assert_eq!(
        api.requests().iter().filter(|request| request.path() == "/broken" && request.method == "POST").count(),
        1
    );
    assert_eq!(serving.sample("flowgate_notices_total{outcome=\"sent\"}"), 0.0);
}

#[test]
fn what_was_told_does_not_make_flowgate_toml_look_changed() {
    let api = api();
    let project = project(&api, "body = { text = \"{{event.flow}}: {{event.summary}}\" }");
    let mut serving = serve(&project);
    start(&project, &mut serving, "fails");
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/hooks/ops"));
    let text = std::fs::read_to_string(project.path("flows/fails.toml")).unwrap();
    project.write("flows/another.toml", &text);
    serving.signal(rustix::process::Signal::HUP);
    serving.wait_for("reload applied");
    let told = status_until(&project, |told| told["flows"].as_array().is_some_and(|flows| flows.len() == 4));
    assert_eq!(told["config"]["restart_needed"], false, "{told:#}");
}

/// Waits until so many errors of `errs` have been counted.
#[track_caller]
fn open_errors(serving: &Serving, count: f64) {
    let until = crate::support::now() + crate::support::PATIENCE;
    while serving.sample("flowgate_errors_open{flow=\"errs\"}") != count {
        assert!(crate::support::now() < until, "{}", serving.metrics());
    }
}

#[test]
fn a_first_error_is_told_once_however_often_there_is_a_first_one() {
    let api = api();
    let project = project(&api, "on = [\"first_error\"]");
    let mut serving = serve(&project);
    for round in 0..3 {
        start(&project, &mut serving, "errs");
        serving.wait_for_flow("run finished", "errs");
        open_errors(&serving, 2.0);
        // None is open any more, so that the next one is a first again.
        let listed = crate::support::command::run(project.dir(), &["errors", "list", "--json"]).expect_code(0).stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let ids: Vec<String> = listed["errors"].as_array().unwrap().iter().map(|row| row["id"].to_string()).collect();
        let resolve: Vec<&str> = ["errors", "resolve"].into_iter().chain(ids.iter().map(String::as_str)).collect();
        crate::support::command::run(project.dir(), &resolve).expect_code(0);
        open_errors(&serving, 0.0);
        counted(&serving, 1.0, f64::from(round));
    }
    assert_eq!(told(&api).len(), 1, "{:?}", told(&api));
}

/// Waits until so many notices were sent and held back.
#[track_caller]
fn counted(serving: &Serving, sent: f64, suppressed: f64) {
    let until = crate::support::now() + crate::support::PATIENCE;
    let of = |outcome: &str| serving.sample(&format!("flowgate_notices_total{{outcome=\"{outcome}\"}}"));
    while (of("sent"), of("suppressed")) != (sent, suppressed) {
        assert!(crate::support::now() < until, "{} sent, {} suppressed", of("sent"), of("suppressed"));
    }
}

#[test]
fn a_connection_that_goes_offline_again_and_again_is_told_once() {
    let locked = Arc::new(AtomicBool::new(true));
    let inside = locked.clone();
    let api = Api::start(move |request| match request.path() {
        "/hooks/ops" => Reply::json(200, "{}"),
        "/locked" if inside.load(Ordering::SeqCst) => Reply::json(401, "{}"),
        _ => Reply::json(200, "{\"data\":[]}"),
    });
    let project = project(&api, "on = [\"offline\"]");
    let waits = std::fs::read_to_string(project.path("flows/waits.toml")).unwrap();
    project.write("flows/waits.toml", &waits.replace("[import]", "records = \"$.data[*]\"\n[import]"));
    let mut serving = serve(&project);
    let mut events = TcpStream::connect(serving.wait_until_listening()).unwrap();
    events.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let host = events.peer_addr().unwrap();
    write!(events, "GET /api/v1/events HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
    let mut events = BufReader::new(events).lines();
    for round in 0..3 {
        locked.store(true, Ordering::SeqCst);
        start(&project, &mut serving, "waits");
        counted(&serving, 1.0, f64::from(round));
        locked.store(false, Ordering::SeqCst);
        serving.wait_for_flow("run finished", "waits");
        // It is known to be back, so that it can go again.
        assert!(events.any(|line| line.unwrap().contains("connection_online")));
    }
    let told = told(&api);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["text"].as_str().unwrap().starts_with("shop: connection `shop` is offline"), "{told:?}");
}
