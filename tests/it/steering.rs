//! What a person on call does: asks why something waits, stops it, pauses it, has the files looked at, ends the process.

use crate::support::api::{Api, Gates, Reply};
use crate::support::command::run;
use crate::support::now;
use crate::support::project::Project;
use crate::support::serving::{Serving, status, status_until};
use crate::support::{PATIENCE, client};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

fn gated() -> (Api, Gates) {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3}]}"),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    (api, gates)
}

fn project(api: &Api, keys: &str) -> Project {
    let project = Project::new();
    project.settings("").connection("api", &api.base(), keys).copy_flow("copy", "", "");
    project
}

/// Has a running `serve` start a flow, and does not wait for its end.
pub(super) fn start(project: &Project, flow: &str) -> String {
    let token = std::fs::read_to_string(project.path("state/api-token")).unwrap();
    let address = address_of(project);
    let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", token.trim());
    let got = client::send(address, "POST", "/api/v1/actions/run", &headers, &format!("{{\"flows\":[\"{flow}\"]}}"));
    let answer: Value = serde_json::from_str(&got.body).unwrap_or_else(|_| panic!("{}", got.body));
    answer["runs"][0]["run"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

pub(super) fn address_of(project: &Project) -> std::net::SocketAddr {
    let text = std::fs::read_to_string(project.path("flowgate.toml")).unwrap();
    text.split('"').nth(1).unwrap().parse().unwrap()
}

/// `serve` at an address that can be named beforehand.
pub(super) fn serve(project: &Project) -> Serving {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    project.write("flowgate.toml", &format!("[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    Serving::of(project)
}

pub(super) fn explained(project: &Project, what: &str) -> Value {
    let ended = run(project.dir(), &["explain", what, "--json"]).expect_code(0);
    serde_json::from_str(&ended.stdout).unwrap()
}

pub(super) fn rules(reasons: &Value) -> Vec<&str> {
    reasons.as_array().unwrap().iter().filter_map(|reason| reason["rule"].as_str()).collect()
}

/// Asks until it is so.
#[track_caller]
pub(super) fn until_explained(project: &Project, what: &str, found: impl Fn(&Value) -> bool) -> Value {
    let until = now() + PATIENCE;
    loop {
        let told = explained(project, what);
        if found(&told) {
            return told;
        }
        assert!(now() < until, "it never came to that: {told:#}");
    }
}

#[test]
fn what_waits_is_explained_by_who_has_the_permits_and_by_the_rule_that_blocks() {
    let (api, gates) = gated();
    let project = project(&api, "concurrency_level = 1\n");
    project.connection("till", &api.base(), "borrow_concurrency_from = \"api\"\n");
    project.write(
        "flows/other.toml",
        "[export]\nconnection = \"till\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n[import]\nconnection = \"till\"\nrelative_uri = \"/taken\"\n",
    );
    let _serving = serve(&project);
    let first = start(&project, "copy");
    // One record is in flight and stays there.
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    let second = start(&project, "other");
    let waits = until_explained(&project, "other", |told| told["state"] == "waiting");
    assert!(rules(&waits["reasons"]).contains(&"borrowed_level"), "{waits:#}");
    let pool = &waits["pools"][0];
    assert_eq!((&pool["pool"], &pool["level"], &pool["in_flight"]), (&"api".into(), &1.into(), &1.into()), "{waits:#}");
    assert_eq!((&pool["holders"][0]["flow"], &pool["holders"][0]["connection"]), (&"copy".into(), &"api".into()));
    let request = &pool["waiting"][0];
    assert!(request["position"].as_u64().unwrap() >= 1 && request["flow"] == "other", "{waits:#}");
    assert!(rules(&request["reasons"]).contains(&"borrowed_level"), "{request:#}");
    assert_eq!(explained(&project, &second)["subject"]["kind"], "run");
    let works = explained(&project, &first);
    assert_eq!((&works["state"], &works["reasons"]), (&"working".into(), &serde_json::json!([])), "{works:#}");
    let connection = explained(&project, "till");
    assert_eq!((&connection["subject"]["kind"], &connection["state"]), (&"connection".into(), &"waiting".into()));
    let text = run(project.dir(), &["explain", "other"]).expect_code(0).stdout;
    assert!(text.contains("all permits of `api`") && text.contains("in flight: copy via api"), "{text}");
    // The reason goes, and what waited for it starts.
    gates.open_all();
    until_explained(&project, &second, |told| told["state"] == "ended");
    let rests = explained(&project, "other");
    assert_eq!(rules(&rests["reasons"]), ["no_schedule"], "{rests:#}");
    run(project.dir(), &["explain", "nothing-of-that-name"]).expect_code(64);
}

#[test]
fn a_pause_and_a_limit_of_the_server_are_explained_with_their_end() {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1}]}"),
        _ => Reply::json(429, "{}").header("retry-after", "200"),
    });
    let project = project(&api, "[rate_limit]\nmax_pause = \"10m\"\n");
    let _serving = serve(&project);
    start(&project, "copy");
    let told = until_explained(&project, "copy", |told| rules(&told["reasons"]).contains(&"pause"));
    let pause = told["reasons"].as_array().unwrap().iter().find(|reason| reason["rule"] == "pause").unwrap();
    let until = chrono::DateTime::parse_from_rfc3339(pause["until"].as_str().unwrap()).unwrap();
    let left = (until.to_utc() - wall()).num_seconds();
    assert!((100..=200).contains(&left), "{left} s: {told:#}");
    let starts = told["pools"][0]["waiting"][0]["starts_in_seconds"].as_f64().unwrap();
    assert!((100.0..=210.0).contains(&starts), "predicted for the end of the pause: {starts}");
}

/// The machine's own time: what a pause's end is compared with.
#[expect(clippy::disallowed_methods, reason = "the end of a real pause")]
fn wall() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

#[test]
fn a_paused_flow_starts_nothing_also_after_a_restart() {
    let (api, gates) = gated();
    gates.open_all();
    let project = project(&api, "");
    project.copy_flow("copy", "schedule = \"* * * * * *\"\n", "");
    let mut serving = serve(&project);
    serving.wait_for_flow("run finished", "copy");
    let paused = run(project.dir(), &["pause", "copy"]).expect_code(0);
    assert!(paused.stdout.contains("copy: paused"), "{}", paused.stdout);
    assert_eq!(run(project.dir(), &["pause", "copy"]).expect_code(0).stdout, "copy: was paused already\n");
    run(project.dir(), &["pause", "none"]).expect_code(64);
    status_until(&project, |status| status["flows"][0]["running"].is_null());
    let before = api.requests().len();
    let skipped = serving.wait_for_flow("schedule skipped", "copy");
    assert_eq!(skipped["reason"], "paused");
    assert_eq!(rules(&explained(&project, "copy")["reasons"])[0], "paused");
    let refused = run(project.dir(), &["run", "copy"]);
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("flowgate resume copy") || refused.stdout.contains("flowgate resume copy"),
        "{refused:?}"
    );
    serving.signal(rustix::process::Signal::TERM);
    serving.wait_for_end();
    // While nothing runs, the state can be asked and changed all the same.
    assert_eq!(run(project.dir(), &["pause", "copy"]).expect_code(0).stdout, "copy: was paused already\n");
    let mut serving = serve(&project);
    serving.wait_for_flow("schedule skipped", "copy");
    assert_eq!(api.requests().len(), before, "nothing was asked for while it was paused");
    assert!(status(&project)["flows"][0]["paused"].is_string());
    run(project.dir(), &["resume", "copy"]).expect_code(0);
    serving.wait_for_flow("run finished", "copy");
    assert!(api.requests().len() > before);
}

#[test]
fn a_cancelled_run_sends_nothing_more_and_goes_on_with_the_next_one() {
    let (api, gates) = gated();
    let project = project(&api, "concurrency_level = 1\n");
    let mut serving = serve(&project);
    let first = start(&project, "copy");
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    let token = std::fs::read_to_string(project.path("state/api-token")).unwrap();
    let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", token.trim());
    let cancel = |body: &str| client::send(address_of(&project), "POST", "/api/v1/actions/cancel", &headers, body);
    assert_eq!(cancel("{\"run\":\"none\"}").status, 409);
    assert_eq!(cancel("{}").status, 400);
    let got = cancel(&format!("{{\"run\":\"{first}\"}}"));
    assert_eq!(got.status, 200, "{}", got.body);
    gates.open(1);
    let ended = serving.wait_for_flow("run finished", "copy");
    assert_eq!((&ended["outcome"], &ended["delivered"]), (&"cancelled".into(), &1.into()), "{ended}");
    let held = explained(&project, &first);
    assert_eq!(held["state"], "held", "{held:#}");
    gates.open_all();
    assert_eq!(start(&project, "copy"), first, "what was left goes on");
    let ended = serving.wait_for_flow("run finished", "copy");
    assert_eq!((&ended["outcome"], &ended["delivered"]), (&"succeeded".into(), &3.into()), "{ended}");
    assert_eq!(api.requests_to("/taken").len(), 3, "each record once");
}

#[test]
fn a_drain_that_is_asked_for_ends_the_process_in_order() {
    let (api, gates) = gated();
    let project = project(&api, "");
    let mut serving = serve(&project);
    start(&project, "copy");
    api.wait_until(|seen| seen.iter().filter(|request| request.method == "POST").count() == 3);
    let asked = run(project.dir(), &["drain"]).expect_code(0);
    assert!(asked.stdout.starts_with("draining: 1 runs"), "{}", asked.stdout);
    assert_eq!(serving.wait_for("drain started")["signal"], "drain");
    gates.open_all();
    assert_eq!(serving.wait_for_end().0, Some(0));
    assert_eq!(api.requests_to("/taken").len(), 3);
    run(project.dir(), &["drain"]).expect_code(69);
}

fn git(project: &Project, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").current_dir(project.dir()).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_reload_ends_with_its_verdict_and_names_what_became_of_each_file() {
    let (api, _gates) = gated();
    let project = project(&api, "");
    git(&project, &["init", "-q", "-b", "main"]);
    project.write(".gitignore", "state\n");
    let serving = serve(&project);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    let reload = |code: i32| -> Value {
        let ended = run(project.dir(), &["reload", "--wait", "--json"]).expect_code(code);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()["report"].clone()
    };
    let verdicts = |report: &Value| -> Vec<String> {
        let word = |one: &Value| format!("{} {}", one["id"].as_str().unwrap(), one["verdict"].as_str().unwrap());
        report["resources"].as_array().unwrap().iter().map(word).collect()
    };
    let unchanged = reload(0);
    assert_eq!((&unchanged["verdict"], &unchanged["unchanged"]), (&"unchanged".into(), &2.into()), "{unchanged:#}");
    assert_eq!(
        (unchanged["git"]["commit"].as_str(), unchanged["git"]["branch"].as_str()),
        (Some(git(&project, &["rev-parse", "HEAD"]).as_str()), Some("main"))
    );
    start(&project, "copy");
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    project.copy_flow("copy", "title = \"changed\"\n", "");
    project.copy_flow("eu/new", "", "");
    let ended = run(project.dir(), &["reload", "--wait"]).expect_code(0);
    assert!(ended.stdout.contains(": applied") || ended.stdout.contains(": unchanged"), "{}", ended.stdout);
    std::fs::remove_file(project.path("flows/copy.toml")).unwrap();
    run(project.dir(), &["reload", "--wait"]).expect_code(0);
    let all = client::get(address_of(&project), "/api/v1/reloads").body;
    let all: Value = serde_json::from_str(&all).unwrap();
    let told: Vec<String> = all["reloads"].as_array().unwrap().iter().flat_map(&verdicts).collect();
    for expected in ["copy updated", "eu/new added", "copy draining"] {
        assert!(told.iter().any(|one| one == expected), "{expected}: {told:?}");
    }
    project.write("flows/bad.toml", "export = 7\n");
    let rejected = reload(78);
    assert_eq!((&rejected["verdict"], verdicts(&rejected)), (&"rejected".into(), vec!["bad rejected".to_owned()]));
    assert!(rejected["resources"][0]["reason"].as_str().unwrap().starts_with("flows/bad.toml:1:"), "{rejected:#}");
    assert!(rejected["findings"][0]["message"].is_string());
    let text = run(project.dir(), &["reload", "--wait"]).expect_code(78).stdout;
    assert!(text.contains("rejected flow bad: flows/bad.toml:1:"), "{text}");
    std::fs::remove_file(project.path("flows/bad.toml")).unwrap();
    assert_eq!(run(project.dir(), &["reload"]).expect_code(0).code, Some(0), "without waiting for the verdict");
    let newest: Value = {
        reload(0);
        let id = client::get(address_of(&project), "/api/v1/reloads").body;
        let id = serde_json::from_str::<Value>(&id).unwrap()["reloads"][0]["id"].as_str().unwrap().to_owned();
        serde_json::from_str(&client::get(address_of(&project), &format!("/api/v1/reloads/{id}")).body).unwrap()
    };
    assert!(
        verdicts(&newest).contains(&"eu/new unchanged".to_owned()),
        "the newest names what did not change: {newest:#}"
    );
    drop(serving);
    run(project.dir(), &["reload", "--wait"]).expect_code(69);
}
