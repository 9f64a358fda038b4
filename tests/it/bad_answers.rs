//! APIs that answer nonsense: an error that names flow and place, never silence, and other flows go on.

use crate::support::api::{Api, Reply};
use crate::support::command::run;
use crate::support::project::Project;

const FLOW: &str = r#"
[export]
connection   = "api"
relative_uri = "/records"
records      = "$.data[*]"

[import]
connection   = "api"
relative_uri = "/taken"
"#;

fn api_with_records(records: Vec<Reply>) -> (Api, Project) {
    let api = Api::scripted([("GET /records", records), ("POST /taken", vec![Reply::json(201, "{}")])]);
    let project = Project::new();
    let quick = "[retry]\nmax_attempts = 2\nbackoff = { initial = \"1ms\", max = \"5ms\" }";
    project.connection("api", &api.base(), quick).write("flows/copy.toml", FLOW);
    (api, project)
}

#[test]
fn a_body_that_is_no_json_is_a_failed_export_and_never_zero_records() {
    let (api, project) = api_with_records(vec![Reply::json(200, "<html>maintenance</html>")]);
    let ended = run(project.dir(), &["run", "copy"]).expect_code(69);
    assert!(ended.stderr.contains("copy"), "{}", ended.stderr);
    assert!(api.requests_to("/taken").is_empty());
}

#[test]
fn a_server_that_hangs_up_in_the_body_is_tried_again() {
    let whole = Reply::json(200, "{\"data\":[{\"id\":1}]}");
    let (api, project) = api_with_records(vec![whole.clone().cut_after(10), whole]);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    let taken = api.requests_to("/taken");
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].json()["id"], 1);
}

#[test]
fn a_refused_record_does_not_stop_the_others() {
    let api = Api::start(|request| match (request.method.as_str(), request.body.contains("\"id\":2")) {
        ("GET", _) => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3}]}"),
        (_, true) => Reply::json(422, "{\"error\":\"two is odd\"}"),
        _ => Reply::json(201, "{}"),
    });
    let project = Project::new();
    project.connection("api", &api.base(), "").write("flows/copy.toml", FLOW);
    run(project.dir(), &["run", "copy"]).expect_code(1);
    assert_eq!(api.requests_to("/taken").len(), 3, "a permanent refusal is not sent again");
}
