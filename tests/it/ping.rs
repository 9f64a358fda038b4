//! `flowgate ping`: both examples of a connection form as printed there, and what each verdict ends with.

use crate::support::PATIENCE;
use crate::support::api::{Api, Reply, Request};
use crate::support::command::{Ended, finish, flowgate, run};
use crate::support::project::Project;
use serde_json::Value;

fn shop(api: &Api, keys: &str) -> Project {
    let project = Project::new();
    project.connection("shop", &api.base(), keys);
    project
}

#[track_caller]
fn ping(project: &Project, code: i32) -> Value {
    let ended = run(project.dir(), &["ping", "shop", "--json"]).expect_code(code);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["format"], 1);
    document["pings"][0].clone()
}

fn answering(status: u16, body: &'static str) -> Api {
    Api::start(move |_| Reply::json(status, body))
}

/// A good status whose body says how it went.
const EXAMPLE_A: &str =
    "[ping]\nrelative_uri = \"/organizations\"\nsuccess = { path = \"status\", values = [\"success\"] }\n";

/// A good status; on failure the body holds an error.
const EXAMPLE_B: &str = "[ping]\nrelative_uri = \"/organizations\"\n\
    failure = { path = \"Error\", values = [\"Request_Failed\", \"Bad_Login\"] }\nerror_path = \"Error_Description\"\n";

#[test]
fn the_first_example_succeeds_by_its_value() {
    for (body, code, verdict) in
        [("{\"status\":\"success\"}", 0, "ok"), ("{\"status\":\"failed\"}", 1, "failed"), ("{}", 1, "failed")]
    {
        let api = answering(200, body);
        let answer = ping(&shop(&api, EXAMPLE_A), code);
        assert_eq!((answer["verdict"].as_str(), answer["status"].as_u64()), (Some(verdict), Some(200)), "{body}");
        assert_eq!(api.requests()[0].target, "/organizations");
    }
}

#[test]
fn the_second_example_fails_by_its_value_and_tells_the_description() {
    ping(&shop(&answering(200, "{}"), EXAMPLE_B), 0);
    let api = answering(200, "{\"Error\":\"Bad_Login\",\"Error_Description\":\"The user is not allowed\"}");
    let answer = ping(&shop(&api, EXAMPLE_B), 1);
    assert_eq!(answer["message"], "The user is not allowed");
    let ended = run(shop(&api, EXAMPLE_B).dir(), &["ping"]).expect_code(1);
    assert!(ended.stdout.contains("failed") && ended.stdout.contains("The user is not allowed"), "{}", ended.stdout);
}

#[test]
fn without_rules_the_status_decides() {
    for (status, code) in [(200, 0), (204, 0), (304, 1), (404, 1), (500, 69)] {
        let api = answering(status, "{}");
        ping(&shop(&api, "[ping]\nrelative_uri = \"/me\"\n"), code);
        assert_eq!(api.requests().len(), 1, "asked once, whatever the answer");
    }
}

#[test]
fn a_failure_rule_goes_before_a_success_rule_and_a_bad_status_before_both() {
    let both = "[ping]\nsuccess = { path = \"ok\" }\nfailure = { path = \"error\" }\nerror_path = \"error\"\n";
    ping(&shop(&answering(200, "{\"ok\":true}"), both), 0);
    assert_eq!(ping(&shop(&answering(200, "{\"ok\":true,\"error\":\"no\"}"), both), 1)["message"], "no");
    ping(&shop(&answering(400, "{\"ok\":true}"), both), 1);
    let listed = "[ping]\nsuccess = { status = 400, path = \"ok\" }\n";
    ping(&shop(&answering(400, "{\"ok\":true}"), listed), 0);
}

#[test]
fn a_ping_has_any_method_and_a_body() {
    for (method, body) in [("PUT", "body = { a = 1 }\n"), ("POST", "body = { a = 1 }\n"), ("HEAD", ""), ("GET", "")] {
        let api = Api::start(|request| Reply::raw(200, if request.method == "HEAD" { "" } else { "{}" }));
        ping(&shop(&api, &format!("[ping]\nrelative_uri = \"/x\"\nmethod = \"{method}\"\n{body}")), 0);
        let asked = &api.requests()[0];
        assert_eq!((asked.method.as_str(), asked.body.is_empty()), (method, body.is_empty()));
    }
}

#[test]
fn base_and_relative_uri_meet_in_one_slash() {
    for (base, relative) in [("", "v1/order"), ("/", "v1/order"), ("", "/v1/order"), ("/", "/v1/order")] {
        let api = answering(200, "{}");
        let project = Project::new();
        project.connection(
            "shop",
            &format!("{}{base}", api.base()),
            &format!("[ping]\nrelative_uri = \"{relative}\"\n"),
        );
        ping(&project, 0);
        assert_eq!(api.requests()[0].target, "/v1/order", "{base} {relative}");
    }
}

#[test]
fn credentials_decide_with_77_and_are_shown_by_name_only() {
    let api = Api::start(|request: &Request| match request.header("authorization") {
        Some("Bearer good-token") => Reply::json(200, "{}"),
        echoed => Reply::json(401, format!("{{\"error\":\"no {}\"}}", echoed.unwrap_or_default())),
    });
    let project = shop(&api, "[ping]\nerror_path = \"error\"\n[auth.token]\ntoken = { env = \"KEY\" }\n");
    let with = |key: &str, json: &[&str]| -> Ended {
        let mut command = flowgate(project.dir());
        command.args(["ping", "--log-level", "trace"]).args(json).env("KEY", key);
        finish(command, PATIENCE)
    };
    let good = with("good-token", &["--json"]).expect_code(0);
    let answer: Value = serde_json::from_str(&good.stdout).unwrap();
    assert_eq!((&answer["pings"][0]["auth"], &answer["pings"][0]["tls"]), (&"token".into(), &Value::Null));
    assert!(answer["pings"][0]["seconds"].as_f64().unwrap() > 0.0);
    let bad = with("b4d-token-canary", &[]).expect_code(77);
    assert!(bad.stdout.contains("auth") && bad.stdout.contains("[secret]"), "{}", bad.stdout);
    assert!(!bad.stdout.contains("b4d") && !bad.stderr.contains("b4d"), "{} {}", bad.stdout, bad.stderr);
    let ended = run(project.dir(), &["ping"]).expect_code(77);
    assert!(ended.stdout.contains("KEY"), "names the variable: {}", ended.stdout);
}

#[test]
fn a_ping_fetches_the_token_it_needs() {
    let api = Api::start(|request: &Request| match (request.path(), request.header("authorization")) {
        ("/token", _) => Reply::json(200, "{\"access_token\":\"fetched\"}"),
        (_, Some("Bearer fetched")) => Reply::json(200, "{}"),
        _ => Reply::json(401, "{}"),
    });
    let keys = "concurrency_level = 1\n[auth.oauth2]\ngrant = \"client_credentials\"\ntoken_uri = \"/token\"\n\
                client_id = \"app\"\n";
    assert_eq!(ping(&shop(&api, keys), 0)["auth"], "oauth2");
}

#[test]
fn what_cannot_be_reached_ends_with_69_and_all_are_asked() {
    let api = answering(200, "{}");
    let project = shop(&api, "[ping]\nrelative_uri = \"/\"\n");
    project.connection("away", "http://127.0.0.1:9", "");
    let ended = run(project.dir(), &["ping"]).expect_code(69);
    assert!(ended.stdout.contains("shop") && ended.stdout.contains("unreachable"), "{}", ended.stdout);
    assert_eq!(api.requests().len(), 1);
    let limited = answering(429, "{}");
    assert!(ping(&shop(&limited, ""), 69)["message"].as_str().unwrap().contains("limits"));
    assert_eq!(limited.requests().len(), 1, "nobody waits for a pause");
    let ended = run(project.dir(), &["ping", "shp"]).expect_code(64);
    assert!(ended.stderr.contains("did you mean `shop`"), "{}", ended.stderr);
}

#[test]
fn without_a_ping_the_base_is_asked_and_any_answer_of_its_own_will_do() {
    let answer = ping(&shop(&answering(404, "{}"), ""), 0);
    assert!(answer["message"].as_str().unwrap().contains("[ping]"), "{answer}");
    ping(&shop(&answering(403, "{}"), ""), 1);
    ping(&shop(&answering(401, "{}"), ""), 77);
}
