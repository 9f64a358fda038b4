//! `preview` shows each stage of a flow and leaves nothing behind; `init --from-curl` writes what it can show.

use crate::support::api::{Api, Reply};
use crate::support::flow::{lines, project};
use crate::support::project::Project;
use crate::support::{PATIENCE, command::finish, command::flowgate};
use serde_json::{Value, json};

const FLOW: &str = r#"
[export]
connection   = "api"
relative_uri = "/records"
keep         = "record.id != 2"
transform    = { modify = { set = { double = "= record.id * 2" } } }

[[step]]
name = "who"
[step.lookup]
connection   = "api"
relative_uri = "/who/{{record.id}}"
merge        = { name = "$.data[0].name" }

[[step]]
name = "key"
transform = { modify = { set = { key = "{{connection.secrets.key}}" } } }

[import]
connection   = "erp"
method       = "PUT"
relative_uri = "/items/{{record.id}}"
"#;

#[test]
fn each_stage_is_shown_and_nothing_is_left_behind() {
    let source = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, "[{\"id\":1.0},{\"id\":2},{\"id\":3},{\"id\":4}]"),
        _ => Reply::json(200, "{\"name\":\"Ada\"}"),
    });
    let sink = Api::start(|_| Reply::json(201, "{}"));
    let project = project(&source, "[secrets]\nkey = { env = \"KEY\" }\n", FLOW);
    project.connection("erp", &sink.base(), "");
    let mut command = flowgate(project.dir());
    command.args(["preview", "copy", "--limit", "3", "--json"]).env("KEY", "s3cr3t-key");
    let ended = finish(command, PATIENCE).expect_code(0);
    let stages = lines(&ended);
    assert_eq!(stages[0], json!({"format": 1, "flow": "copy", "limit": 3}));
    let of = |stage: &str, of: &str| -> Vec<&Value> {
        stages.iter().filter(|line| line["stage"] == stage && (of.is_empty() || line["of"] == of)).collect()
    };
    let asked = of("request", "");
    assert_eq!(asked[0]["request"]["url"], format!("{}/records", source.base()));
    assert_eq!(asked.len(), 3, "the export and a lookup for each record that was kept");
    assert_eq!(of("answer", "").len(), 3);
    assert_eq!(of("answer", "")[0]["records"], 3);
    assert!(of("answer", "")[0]["body"].as_str().unwrap().contains("\"id\":1.0"));
    assert_eq!(of("record", "").len(), 3);
    assert_eq!(of("step", "transform").len(), 3);
    assert_eq!(of("step", "keep").iter().filter(|line| line["left"] == true).count(), 1);
    assert!(of("step", "who").iter().all(|line| line["record"]["name"] == "Ada"));
    assert_eq!(of("step", "key")[0]["record"]["key"], "[secret]");
    let imports = of("import", "");
    assert_eq!(imports.len(), 2);
    assert_eq!(imports[0]["request"]["method"], "PUT");
    assert!(!ended.stdout.contains("s3cr3t") && !ended.stderr.contains("s3cr3t"));
    assert!(sink.requests().is_empty(), "an import was sent");
    assert!(!project.path("state").exists(), "something was left behind");

    let mut command = flowgate(project.dir());
    command.args(["preview", "copy", "--limit", "1"]).env("KEY", "s3cr3t-key");
    let told = finish(command, PATIENCE).expect_code(0).stdout;
    for part in ["── request of ", "GET ", "── answer 200: ", "── record 1 of page 1, who", "\"name\": \"Ada\"", "PUT "]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    let mut command = flowgate(project.dir());
    command.args(["preview", "nothing"]);
    finish(command, PATIENCE).expect_code(64);
}

#[test]
fn a_curl_command_becomes_a_project_that_can_be_looked_at() {
    let source = Api::start(|_| Reply::json(200, "{\"orders\":[{\"id\":1}]}"));
    let project = crate::support::project::Project::new();
    let line = format!("curl -s '{}/v1/orders?status=open' \\\n -H 'Authorization: Bearer s3cr3t'", source.base());
    let mut command = flowgate(project.dir());
    command.args(["init", "--from-curl", &line]);
    let ended = finish(command, PATIENCE).expect_code(0);
    assert!(ended.stderr.contains("API_TOKEN"), "{}", ended.stderr);
    let mut command = flowgate(project.dir());
    command.arg("check");
    finish(command, PATIENCE).expect_code(0);
    let mut command = flowgate(project.dir());
    command.args(["preview", "orders", "--json"]).env("API_TOKEN", "s3cr3t");
    let ended = finish(command, PATIENCE).expect_code(0);
    let record = lines(&ended).into_iter().find(|line| line["stage"] == "record").unwrap();
    assert_eq!(record["record"], json!({"orders": [{"id": 1}]}));
    let request = &source.requests()[0];
    assert_eq!(
        (request.target.as_str(), request.header("authorization")),
        ("/v1/orders?status=open", Some("Bearer s3cr3t"))
    );
    // The same again stands beside it.
    let mut command = flowgate(project.dir());
    command.args(["init", "--from-curl", &line]);
    finish(command, PATIENCE).expect_code(0);
    assert!(project.path("flows/orders-2.toml").exists() && project.path("connections/api-2.toml").exists());
}

#[test]
fn what_cannot_be_written_is_said() {
    let api = Api::start(|_| Reply::json(200, "{\"data\":[{\"id\":1}]}"));
    let project = Project::new();
    project.connection("api", &api.base(), "").copy_flow("copy", "", "");
    let only = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n";
    project.write("flows/only.toml", only);
    for words in ["preview copy", "preview copy --json", "run copy --dry-run", "run only --json"] {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" -C \"$1\" {words} > /dev/full")]);
        command.arg(env!("CARGO_BIN_EXE_flowgate")).arg(project.dir());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let ended = finish(command, PATIENCE).expect_code(75);
        assert!(ended.stderr.contains("stdout: No space left on device"), "{words}: {}", ended.stderr);
        // Beside what was to be written, not behind it.
        let told = ended.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let codes: Vec<Value> = told.map(|told| told["error"]["code"].clone()).filter(|code| !code.is_null()).collect();
        let wanted = if words.ends_with("--json") { vec![Value::from(75)] } else { Vec::new() };
        assert_eq!(codes, wanted, "{words}: {}", ended.stderr);
    }
}
