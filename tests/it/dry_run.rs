//! `run --dry-run`: requests are shown as they would leave, and none of an import leaves.

use crate::support::PATIENCE;
use crate::support::api::{Api, Reply};
use crate::support::command::{Ended, finish, flowgate};
use crate::support::flow::{lines, project};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

/// The requests of imports that were shown.
fn imports(ended: &Ended) -> Vec<Value> {
    lines(ended).into_iter().filter(|line| line["stage"] == "import").map(|line| line["request"].clone()).collect()
}

#[test]
fn requests_are_shown_with_their_secrets_masked_and_none_is_sent() {
    let source = Api::scripted([("GET /records", vec![Reply::json(200, "[{\"id\":1},{\"id\":2},{\"id\":3}]")])]);
    let sink = Api::start(|_| Reply::json(201, "{}"));
    let project = project(&source, "", FLOW);
    project.connection("erp", &sink.base(), KEYS);
    let (key, pin) = ("k3y\"s/ecret+", "87654321");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--dry-run", "--json", "--limit", "2"]).env("KEY", key).env("PIN", pin);
    let ended = finish(command, PATIENCE).expect_code(0);
    let shown = imports(&ended);
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0]["method"], "PUT");
    assert_eq!(shown[0]["url"], format!("{}/items/1?full=1&sig=[secret]", sink.base()));
    assert_eq!(shown[1]["url"], format!("{}/items/2?full=1&sig=[secret]", sink.base()));
    assert_eq!(
        (&shown[1]["headers"]["authorization"], &shown[1]["headers"]["x-key"]),
        (&json!("[secret]"), &json!("[secret]"))
    );
    assert_eq!((&shown[1]["headers"]["x-kind"], &shown[1]["headers"]["x-app"]), (&json!("k2"), &json!("flowgate one")));
    let masked = json!({"id": 2, "key": "[secret]", "mixed": "a[secret]z", "list": [2]});
    assert_eq!(shown[1]["body"], masked);
    for text in [&ended.stdout, &ended.stderr] {
        for secret in [key, "k3y", "s/ecret", pin] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert!(sink.requests().is_empty(), "an import was sent");

    // What is shown is what leaves, but for the values of secrets and what the transport says for itself.
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--limit", "2"]).env("KEY", key).env("PIN", pin);
    finish(command, PATIENCE).expect_code(0);
    let sent = &sink.requests()[0];
    let own = ["host", "user-agent", "content-length", "accept-encoding", "connection"];
    let left: BTreeSet<&str> =
        sent.headers.iter().map(|(name, _)| name.as_str()).filter(|name| !own.contains(name)).collect();
    let told: BTreeSet<&str> = shown[0]["headers"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(told, left);
    let names = |target: &str| -> Vec<String> {
        let query = target.split_once('?').unwrap().1;
        url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned()).collect()
    };
    assert_eq!(names(shown[0]["url"].as_str().unwrap()), names(&sent.target));
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
    command.args(["run", "copy", "--dry-run", "--json"]).env("PIN", "87654321");
    let ended = finish(command, PATIENCE).expect_code(0);
    let shown = imports(&ended);
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
    command.args(["run", "copy", "--dry-run", "--json"]);
    let ended = finish(command, PATIENCE).expect_code(1);
    assert_eq!(imports(&ended).len(), 2);
    assert!(ended.stderr.contains("\"record\":2"), "{}", ended.stderr);
}

const STAGES: &str = r#"
[export]
connection   = "api"
relative_uri = "/records"
keep         = "record.id != 2"

[[step]]
name = "who"
[step.lookup]
connection   = "api"
relative_uri = "/who/{{record.id}}"
merge        = { name = "$.data[0].name" }

[[step]]
name = "together"
[step.import]
connection   = "erp"
relative_uri = "/all"
batch_size   = 2
headers      = { X-Key = "{{connection.secrets.key}}" }
body         = { id = "$.id", name = "$.name" }

[import]
connection   = "erp"
method       = "PUT"
relative_uri = "/items/{{record.id}}"
"#;

/// What is shown, with the addresses of the servers and the client's own headers left out.
fn golden(text: &str, source: &Api, sink: &Api) -> String {
    let text = text.replace(&source.base(), "http://source").replace(&sink.base(), "http://sink");
    let own = |line: &&str| !["user-agent: ", "accept", "content-length: "].iter().any(|name| line.starts_with(name));
    text.lines().filter(own).flat_map(|line| [line, "\n"]).collect()
}

fn staged() -> (Api, Api, crate::support::project::Project) {
    let source = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, "[{\"id\":1.0},{\"id\":2},{\"id\":3}]"),
        _ => Reply::json(200, "{\"name\":\"Ada\"}"),
    });
    let sink = Api::start(|_| Reply::json(201, "{}"));
    let project = project(&source, "concurrency_level = 1", STAGES);
    project.connection("erp", &sink.base(), "[secrets]\nkey = { env = \"KEY\" }\n");
    (source, sink, project)
}

#[test]
fn every_stage_is_shown_to_people() {
    let (source, sink, project) = staged();
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--dry-run"]).env("KEY", "s3cr3t-key");
    let ended = finish(command, PATIENCE).expect_code(0);
    let shown = golden(&ended.stdout, &source, &sink);
    assert_eq!(shown, include_str!("golden/dry_run.txt"), "{shown}");
    assert!(ended.stderr.contains("none of those was sent"), "{}", ended.stderr);
    // A preview shows the same.
    let mut command = flowgate(project.dir());
    command.args(["preview", "copy", "--limit", "3"]).env("KEY", "s3cr3t-key");
    let ended = finish(command, PATIENCE).expect_code(0);
    assert_eq!(golden(&ended.stdout, &source, &sink), shown);
    assert!(sink.requests().is_empty() && !project.path("state").exists());
}

#[test]
fn every_stage_is_told_to_programs() {
    let (source, sink, project) = staged();
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--dry-run", "--json", "--limit", "3"]).env("KEY", "s3cr3t-key");
    let ended = finish(command, PATIENCE).expect_code(0);
    let stages = lines(&ended);
    assert_eq!(stages[0], json!({"format": 1, "dry_run": true, "flows": ["copy"], "limit": 3}));
    assert!(stages[1..].iter().all(|stage| stage["flow"] == "copy"));
    let told: Vec<String> =
        stages[1..].iter().map(|stage| format!("{} {}", stage["stage"], stage["of"]).replace('"', "")).collect();
    let of_record = ["record record", "step keep"];
    for part in of_record.iter().chain(&["request export", "answer export", "request who", "answer who", "step who"]) {
        assert!(told.iter().any(|line| line == part), "{part}: {told:?}");
    }
    let batch = stages.iter().find(|stage| stage["of"] == "together" && stage["stage"] == "import").unwrap();
    assert_eq!((&batch["page"], &batch["numbers"]), (&json!(1), &json!([1, 3])));
    assert_eq!(batch["request"]["body"], json!([{"id": 1.0, "name": "Ada"}, {"id": 3, "name": "Ada"}]));
    assert_eq!(batch["request"]["headers"]["x-key"], "[secret]");
    let left: Vec<_> = stages.iter().filter(|stage| stage["left"] == true).collect();
    assert_eq!((left.len(), &left[0]["number"], &left[0]["of"]), (1, &json!(2), &json!("keep")));
    assert!(!ended.stdout.contains("s3cr3t") && sink.requests().is_empty());
    let account: Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&account["dry_run"], &account["runs"][0]["records"]["delivered"]), (&json!(true), &json!(2)));
    assert_eq!(source.requests_to("/records").len(), 1);
}

#[test]
fn steps_inside_routes_are_shown_too() {
    let source = Api::scripted([("GET /records", vec![Reply::json(200, "[{\"id\":1},{\"id\":2}]")])]);
    let steps = r#"
[export]
connection = "api"
relative_uri = "/records"
[[step]]
name = "kind"
route = "first"
[[step.branch]]
name = "odd"
when = "record.id % 2 == 1"
[[step.branch.step]]
name = "vat"
transform = { modify = { set = { vat = "= record.id * 2" } } }
[[step.branch.step]]
name = "out"
keep = "record.vat > 2"
"#;
    let project = project(&source, "", steps);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--dry-run", "--json"]);
    let stages = lines(&finish(command, PATIENCE).expect_code(0));
    let inside = |name: &str| stages.iter().find(|stage| stage["of"] == name).unwrap_or_else(|| panic!("{stages:?}"));
    assert_eq!(inside("kind/odd/vat")["record"], json!({"id": 1, "vat": 2}));
    assert_eq!((&inside("kind/odd/out")["left"], &inside("kind/odd/out")["number"]), (&json!(true), &json!(1)));
    assert_eq!(stages.iter().filter(|stage| stage["of"] == "kind").count(), 2);
}

#[test]
fn flows_side_by_side_say_whose_each_stage_is() {
    let (_source, _sink, project) = staged();
    project.write("flows/other.toml", STAGES);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "other", "--dry-run", "--limit", "1"]).env("KEY", "k");
    let ended = finish(command, PATIENCE).expect_code(0);
    for part in ["── copy: record 1 of page 1, who\n", "── other: request of together, not sent: record 1 of page 1\n"]
    {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

/// Every method that adds to a request or signs it, by name, with the tables of its connection and the body's type.
fn proofs() -> Vec<(&'static str, String, &'static str)> {
    let basic = |method: &str| format!("[auth.{method}]\nusername = \"me\"\npassword = {{ env = \"KEY\" }}\n");
    let token = |keys: &str| format!("[auth.token]\ntoken = {{ env = \"KEY\" }}\n{keys}\n");
    let secrets = "[secrets]\nkey = { env = \"KEY\" }\n";
    let aws = |service: &str, more: &str| {
        format!(
            "[auth.aws_sigv4]\naccess_key = {{ env = \"KEY\" }}\nsecret_key = {{ env = \"KEY\" }}\nregion = \"eu\"\n\
             service = \"{service}\"\n{more}"
        )
    };
    let custom = format!(
        "[auth.custom]\nheaders = {{ X-One = \"{{{{connection.secrets.key}}}}\" }}\nquery = {{ q = \"{{{{connection.secrets.key}}}}\" }}\n\
         body = {{ own = \"{{{{connection.secrets.key}}}}\" }}\n{secrets}"
    );
    let aws4 = "{{{aws4 connection.secrets.key connection.secrets.key null 'eu' 'x'}}}";
    vec![
        ("basic", basic("basic"), "json"),
        ("token", token(""), "json"),
        ("token in the query", token("location = \"query\"\nname = \"k\""), "json"),
        ("token in a body", token("location = \"body\"\nname = \"k\""), "json"),
        ("token in a form", token("location = \"body\"\nname = \"k\""), "form"),
        ("digest", basic("digest"), "json"),
        ("wsse", basic("wsse"), "json"),
        ("jwt", "[auth.jwt]\nalgorithm = \"HS256\"\nkey = { env = \"KEY\" }\n".to_owned(), "json"),
        ("aws_sigv4", aws("x", ""), "json"),
        ("aws_sigv4 of S3 with a session", aws("s3", "session_token = { env = \"KEY\" }\n"), "json"),
        ("oauth1", "[auth.oauth1]\nconsumer_key = \"app\"\nconsumer_secret = { env = \"KEY\" }\n".to_owned(), "form"),
        (
            "oauth2",
            "[auth.oauth2]\ngrant = \"client_credentials\"\ntoken_uri = \"/token\"\nclient_id = \"app\"\n\
             client_secret = { env = \"KEY\" }\n"
                .to_owned(),
            "json",
        ),
        (
            "cookie",
            format!(
                "[auth.cookie.login]\nrelative_uri = \"/login\"\nbody = {{ p = \"{{{{connection.secrets.key}}}}\" }}\n{secrets}"
            ),
            "json",
        ),
        ("custom", custom.clone(), "json"),
        ("custom with a form", custom, "form"),
        ("aws4", format!("headers = {{ Authorization = \"{aws4}\" }}\n{secrets}"), "json"),
        ("custom aws4", format!("[auth.custom]\nheaders = {{ Authorization = \"{aws4}\" }}\n{secrets}"), "json"),
    ]
}

/// Names of the fields of a body, as it was shown or sent.
fn fields(body: &str, media: &str) -> BTreeSet<String> {
    match media {
        "form" => url::form_urlencoded::parse(body.as_bytes()).map(|(name, _)| name.into_owned()).collect(),
        _ => serde_json::from_str::<Value>(body).unwrap().as_object().unwrap().keys().cloned().collect(),
    }
}

#[test]
fn all_that_a_method_of_authentication_adds_is_shown_masked() {
    let source = Api::start(|_| Reply::json(200, "[{\"id\":1},{\"id\":2}]"));
    for (what, tables, media) in proofs() {
        let digest = what == "digest";
        let sink = Api::start(move |request| match request.path() {
            "/token" => Reply::json(200, "{\"access_token\":\"issued-token\",\"expires_in\":3600}"),
            "/login" => Reply::json(200, "{}").header("set-cookie", "sid=issued-session; Path=/"),
            _ if digest && request.header("authorization").is_none() => Reply::json(401, "{}")
                .header("www-authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256"),
            _ => Reply::json(201, "{}"),
        });
        let flow = format!(
            "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n\
             [import]\nconnection = \"erp\"\nrelative_uri = \"/items?full=1\"\nmedia_type = \"{media}\"\n\
             success_media_type = \"json\"\nbody = {{ id = \"$.id\" }}\n"
        );
        let project = project(&source, "", &flow);
        project.connection("erp", &sink.base(), &format!("concurrency_level = 1\n{tables}"));
        let run = |more: &[&str]| {
            let mut command = flowgate(project.dir());
            command.args([&["run", "copy"], more].concat()).env("KEY", "s3cr3t-key-of-it");
            finish(command, PATIENCE).expect_code(0)
        };
        let ended = run(&["--dry-run", "--json", "--limit", "1"]);
        assert!(!ended.stdout.contains("s3cr3t") && sink.requests_to("/items").is_empty(), "{what}: {}", ended.stdout);
        let shown = &imports(&ended)[0];
        run(&[]);
        let sent = sink.requests_to("/items").pop().unwrap();
        let own = ["host", "user-agent", "content-length", "accept-encoding", "connection"];
        let left: BTreeSet<&str> =
            sent.headers.iter().map(|(name, _)| name.as_str()).filter(|name| !own.contains(name)).collect();
        let told: BTreeSet<&str> = shown["headers"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(told, left, "{what}");
        let query = |target: &str| fields(target.split_once('?').unwrap().1, "form");
        assert_eq!(query(shown["url"].as_str().unwrap()), query(&sent.target), "{what}");
        let body = shown["body"].as_str().map_or_else(|| shown["body"].to_string(), str::to_owned);
        assert_eq!(fields(&body, media), fields(&sent.body, media), "{what}: {body}");
    }
}
