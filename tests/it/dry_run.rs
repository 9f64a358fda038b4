//! `run --dry-run`: requests are shown as they would leave, and none of an import leaves.

use crate::support::api::{Api, Reply};
use crate::support::flow::{lines, project};
use crate::support::{PATIENCE, command::finish, command::flowgate};
use serde_json::json;

const FLOW: &str = r#"
[export]
connection   = "api"
relative_uri = "/records"

[import]
connection   = "erp"
method       = "PUT"
relative_uri = "/items/{{record.id}}?full=1"
headers      = { X-Kind = "k{{record.id}}", X-Key = "{{connection.secrets.key}}" }
query        = { sig = "{{connection.secrets.key}}" }
body         = { id = "$.id", key = "{{connection.secrets.key}}", mixed = "a{{connection.secrets.key}}z", list = ["$.id"] }
"#;

const KEYS: &str = r#"
headers = { X-App = "flowgate {{connection.vars.app}}" }
[vars]
app = "one"
[secrets]
key = { env = "KEY" }
pin = { env = "PIN" }
[auth.token]
token = "{{connection.secrets.pin}}"
"#;

#[test]
fn requests_are_shown_with_their_secrets_masked_and_none_is_sent() {
    let source = Api::scripted([("GET /records", vec![Reply::json(200, "[{\"id\":1},{\"id\":2},{\"id\":3}]")])]);
    let sink = Api::start(|_| Reply::json(201, "{}"));
    let project = project(&source, "", FLOW);
    project.connection("erp", &sink.base(), KEYS);
    let (key, pin) = ("k3y\"s/ecret+", "87654321");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--dry-run", "--limit", "2"]).env("KEY", key).env("PIN", pin);
    let ended = finish(command, PATIENCE).expect_code(0);
    let shown = lines(&ended);
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0]["method"], "PUT");
    assert_eq!(shown[0]["url"], format!("{}/items/1?full=1", sink.base()));
    assert_eq!(shown[1]["url"], format!("{}/items/2?full=1", sink.base()));
    assert_eq!((&shown[1]["headers"]["x-kind"], &shown[1]["headers"]["x-app"]), (&json!("k2"), &json!("flowgate one")));
    let masked = json!({"id": 2, "key": "[secret]", "mixed": "a[secret]z", "list": [2]});
    assert_eq!(shown[1]["body"], masked);
    for text in [&ended.stdout, &ended.stderr] {
        for secret in [key, "k3y", "s/ecret", pin] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert!(sink.requests().is_empty(), "an import was sent");
    assert!(ended.stderr.contains("none was sent"), "{}", ended.stderr);
}

#[test]
fn a_secret_that_stands_alone_as_a_number_leaves_the_line_json() {
    let source = Api::scripted([("GET /records", vec![Reply::json(200, "[{\"id\":87654321}]")])]);
    let sink = Api::start(|_| Reply::json(201, "{}"));
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n\
                [import]\nconnection = \"erp\"\nrelative_uri = \"/x/{{record.id}}\"\n";
    let project = project(&source, "", flow);
    project.connection("erp", &sink.base(), "[secrets]\npin = { env = \"PIN\" }\n");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--dry-run"]).env("PIN", "87654321");
    let ended = finish(command, PATIENCE).expect_code(0);
    let shown = lines(&ended);
    assert_eq!(shown[0]["body"], "{\"id\":[secret]}");
    assert_eq!(shown[0]["url"], format!("{}/x/[secret]", sink.base()));
}

#[test]
fn a_record_that_cannot_be_rendered_is_told_and_the_others_are_shown() {
    let source = Api::scripted([("GET /records", vec![Reply::json(200, "[{\"id\":1},{},{\"id\":3}]")])]);
    let sink = Api::start(|_| Reply::json(201, "{}"));
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n\
                [import]\nconnection = \"erp\"\nrelative_uri = \"/x/{{record.id}}\"\n";
    let project = project(&source, "", flow);
    project.connection("erp", &sink.base(), "");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--dry-run"]);
    let ended = finish(command, PATIENCE).expect_code(1);
    assert_eq!(lines(&ended).len(), 2);
    assert!(ended.stderr.contains("page 1 record 2"), "{}", ended.stderr);
}
