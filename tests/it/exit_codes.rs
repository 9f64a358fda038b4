//! The table of exit codes, as far as its commands are built.

use crate::support::PATIENCE;
use crate::support::api::{Api, Gates, Reply, in_flight};
use crate::support::command::{Ended, finish, flowgate, run};
use crate::support::project::Project;
use crate::support::serving::Serving;
use flowgate::playground::{Playground, Settings};
use rustix::process::Signal;
use serde_json::Value;

const TWO: &str = "{\"data\":[{\"id\":1},{\"id\":2}]}";

/// An API whose two routes always answer the same, and a project that copies one to the other.
fn copying(records: Reply, taken: Reply) -> (Api, Project) {
    let api = Api::scripted([("GET /records", vec![records]), ("POST /taken", vec![taken])]);
    let project = Project::new();
    let quick = "[retry]\nmax_attempts = 2\nbackoff = { initial = \"1ms\", max = \"5ms\" }";
    project.connection("api", &api.base(), quick).copy_flow("copy", "", "");
    (api, project)
}

/// An API that is not there.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[track_caller]
fn says(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(ended.stderr.contains(word), "no {word:?} in:\n{}", ended.stderr);
    }
}

#[test]
fn done_is_0() {
    let (_api, project) = copying(Reply::json(200, TWO), Reply::json(201, "{}"));
    for args in [&["check"][..], &["run", "copy"], &["--help"], &["--version"]] {
        run(project.dir(), args).expect_code(0);
    }
}

#[test]
fn a_run_with_open_errors_is_1() {
    let (_api, project) = copying(Reply::json(200, TWO), Reply::json(422, "{\"error\":\"no\"}"));
    let ended = run(project.dir(), &["run", "copy"]).expect_code(1);
    says(&ended, &["copy: page 1 record 2: import: rejected"]);
}

#[test]
fn wrong_usage_is_64_and_says_what_was_meant() {
    let (_api, project) = copying(Reply::json(200, TWO), Reply::json(201, "{}"));
    for (args, words) in [
        (&["run"][..], &["FLOW"][..]),
        (&["run", "coppy"], &["there is no flow `coppy`", "did you mean `copy`"]),
        (&["run", "zzz"], &["there is no flow `zzz`", "there are: copy"]),
        (&["run", "copy", "--since", "2026-01-01"], &["`copy` has no `[export.delta]`"]),
        (&["run", "copy", "--limit", "0"], &["--limit"]),
        (&["run", "copy", "--log-level", "loud"], &["--log-level"]),
        (&["diff"], &["`flowgate diff` is not supported yet"]),
        (&["errors", "retry"], &["--all"]),
        (&["run", "copy", "--format", "sarif"], &["--format sarif"]),
        (&["status", "--format", "github"], &["--format github"]),
        (&["chek"], &["there is no command `chek`", "did you mean `check`"]),
        (&["--nonsense", "check"], &["--nonsense"]),
        (&[], &["Usage"]),
    ] {
        let ended = run(project.dir(), args).expect_code(64);
        says(&ended, words);
        assert_eq!(ended.stdout, "", "{args:?}: what went wrong is not data");
    }
}

#[test]
fn a_failed_export_is_69() {
    let (_api, project) = copying(Reply::json(404, "{}"), Reply::json(201, "{}"));
    says(&run(project.dir(), &["run", "copy"]).expect_code(69), &["copy: export page 1"]);
    let (_api, project) = copying(Reply::hang_up(), Reply::json(201, "{}"));
    run(project.dir(), &["run", "copy"]).expect_code(69);
    project.connection("api", &nobody(), "[retry]\nmax_attempts = 1");
    run(project.dir(), &["run", "copy"]).expect_code(69);
}

#[test]
fn status_without_a_running_serve_is_69() {
    let project = Project::new();
    says(&run(project.dir(), &["status"]).expect_code(69), &["state"]);
    run(project.dir(), &["status", "--json"]).expect_code(69);
}

#[test]
fn refused_credentials_are_77_wherever_they_are_refused() {
    let (api, project) = copying(Reply::json(401, "{}"), Reply::json(201, "{}"));
    says(&run(project.dir(), &["run", "copy"]).expect_code(77), &["copy", "401"]);
    assert!(api.requests_to("/taken").is_empty());

    let (_api, project) = copying(Reply::json(200, TWO), Reply::json(401, "{}"));
    let ended = run(project.dir(), &["run", "copy"]).expect_code(77);
    says(&ended, &["copy", "401"]);
    assert!(!ended.stderr.contains("page 1 record"), "records are not to blame:\n{}", ended.stderr);
}

#[test]
fn a_secret_that_does_not_resolve_is_77_and_named() {
    let (api, project) = copying(Reply::json(200, TWO), Reply::json(201, "{}"));
    let auth = "[secrets]\ntoken = { env = \"SHOP_TOKEN_X\" }\n[auth.token]\ntoken = \"{{connection.secrets.token}}\"";
    project.connection("api", &api.base(), auth);
    run(project.dir(), &["check"]).expect_code(0);
    says(&run(project.dir(), &["run", "copy"]).expect_code(77), &["api", "SHOP_TOKEN_X"]);
    assert_eq!(api.requests().len(), 0, "nothing is sent without the credential");

    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]).env("SHOP_TOKEN_X", "sesame");
    let ended = finish(command, PATIENCE).expect_code(0);
    assert_eq!(api.requests()[0].header("authorization"), Some("Bearer sesame"));
    assert!(!ended.stderr.contains("sesame") && !ended.stdout.contains("sesame"));
}

#[test]
fn configuration_with_errors_is_78_for_every_command_that_needs_it() {
    let (api, project) = copying(Reply::json(200, TWO), Reply::json(201, "{}"));
    project.connection("api", &api.base(), "concurency_level = 4");
    let ended = run(project.dir(), &["check"]).expect_code(78);
    assert!(ended.stdout.contains("did you mean `concurrency_level`"), "{}", ended.stdout);
    for args in [&["run", "copy"][..], &["serve"]] {
        says(&run(project.dir(), args).expect_code(78), &["connections/api.toml", "concurency_level"]);
    }
    assert_eq!(api.requests().len(), 0);
    run(&project.path("nowhere"), &["check"]).expect_code(78);
    run(&project.path("nowhere"), &["serve"]).expect_code(78);
}

#[test]
fn warnings_are_78_only_when_denied() {
    let (api, project) = copying(Reply::json(200, TWO), Reply::json(201, "{}"));
    let auth = "[secrets]\ntoken = { env = \"SHOP_TOKEN_X\" }\n[auth.token]\ntoken = \"{{connection.secrets.token}}\"";
    project.connection("api", &api.base(), auth);
    assert!(run(project.dir(), &["check"]).expect_code(0).stdout.contains("SHOP_TOKEN_X"));
    run(project.dir(), &["check", "--deny-warnings"]).expect_code(78);
}

#[test]
fn check_speaks_to_programs_too() {
    let (api, project) = copying(Reply::json(200, TWO), Reply::json(201, "{}"));
    project.connection("api", &api.base(), "concurency_level = 4");
    for args in [["check", "--format", "json"].as_slice(), &["check", "--json"]] {
        let ended = run(project.dir(), args).expect_code(78);
        let found: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(found["format"], 1, "{found}");
        assert!(found.to_string().contains("connections/api.toml"), "{found}");
    }
    let ended = run(project.dir(), &["check", "--format", "github"]).expect_code(78);
    assert!(ended.stdout.starts_with("::error file=connections/api.toml,line=2"), "{}", ended.stdout);

    let (_api, project) = copying(Reply::json(200, TWO), Reply::json(201, "{}"));
    let ended = run(project.dir(), &["run", "copy", "--json"]).expect_code(0);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["runs"][0]["records"]["delivered"], 2, "{told}");
}

#[test]
fn an_interrupted_run_is_130_a_terminated_one_143_once_what_is_in_flight_has_finished() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let gates = Gates::default();
        let held = gates.clone();
        let api = Api::start(move |request| match request.method.as_str() {
            "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3},{\"id\":4}]}"),
            _ => Reply::json(201, "{}").behind(&held.next()),
        });
        let project = Project::new();
        project.connection("api", &api.base(), "concurrency_level = 1").copy_flow("copy", "", "");
        let mut command = flowgate(project.dir());
        command.args(["run", "copy", "--log-level", "info"]);
        let mut running = Serving::start(command);
        api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
        running.signal(signal);
        running.wait_for("drain started");
        gates.open_all();
        let (ended, lines) = running.wait_for_end();
        assert_eq!(ended, Some(code), "{lines:#?}");
        assert_eq!(api.requests_to("/taken").len(), 1, "nothing new is sent after the signal");
        assert_eq!(in_flight(&api.requests()), 0);
    }
}

#[test]
fn a_run_cut_short_is_75() {
    let gates = Gates::default();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, TWO),
        _ => Reply::json(201, "{}").behind(&gates.next()),
    });
    let project = Project::new();
    project.settings("[shutdown]\ntimeout = \"300ms\"");
    project.connection("api", &api.base(), "concurrency_level = 1").copy_flow("copy", "", "");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let running = Serving::start(command);
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    running.signal(Signal::TERM);
    let (ended, lines) = running.wait_for_end();
    assert_eq!(ended, Some(75), "{lines:#?}");
}

#[test]
fn a_flow_whose_variable_has_no_value_does_nothing_and_says_why() {
    let playground = Playground::start(Settings { records: 3, ..Settings::default() }).unwrap();
    let project = Project::new();
    project.connection("shop", &playground.base_uri(), "").write(
        "flows/orders.toml",
        "[vars]\nregion = { env = \"NOT_SET_ANYWHERE\" }\n[export]\nconnection = \"shop\"\nrelative_uri = \"/page\"\n\
         records = \"data\"\nkeep = \"record.id == flow.vars.region\"\n",
    );
    let ended = run(project.dir(), &["run", "orders"]).expect_code(77);
    assert!(ended.stderr.contains("NOT_SET_ANYWHERE"), "{}", ended.stderr);
    assert_eq!(playground.stop().sources.requests, 0);
}
