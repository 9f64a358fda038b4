//! Traces, judged by OpenTelemetry's own messages: what the program sent is read as protobuf, the spans have to be a tree
//! whose intervals nest, and their counts have to be those of the run and of the API that was asked.

use crate::peer;
use crate::support::PATIENCE;
use crate::support::api::{Api, Reply};
use crate::support::command::{finish, flowgate};
use crate::support::project::Project;
use serde_json::{Value, json};
use std::process::Command;

const KEY: &str = "k3y-of-the-api";

/// Three pages of four records; prices beside; an import that limits once, fails once and refuses one record.
fn api() -> Api {
    let (mut limited, mut failed) = (false, false);
    Api::start(move |request| {
        let answer = |status, body: Value| Reply::json(status, body.to_string());
        match (request.method.as_str(), request.path()) {
            ("GET", "/records") => {
                let page: u64 = request.target.split("page=").nth(1).unwrap()[..1].parse().unwrap();
                let records: Vec<Value> = (1..=4).map(|n| json!({ "id": page * 10 + n })).collect();
                answer(200, json!({ "data": records, "pages": 3 }))
            }
            ("GET", path) if path.starts_with("/price/") => answer(200, json!({ "price": 5 })),
            ("POST", "/taken") => match request.json()["id"].as_u64().unwrap() {
                21 if !std::mem::replace(&mut limited, true) => answer(429, json!({})).header("retry-after", "0"),
                22 if !std::mem::replace(&mut failed, true) => answer(503, json!({ "error": "not now" })),
                23 => answer(422, json!({ "error": format!("no, {KEY} is wrong") })),
                _ => answer(200, json!({})),
            },
            _ => answer(404, json!({})),
        }
    })
}

fn project(base: &str) -> Project {
    let project = Project::new();
    project.connection(
        "api",
        base,
        "response = { error_path = \"$.error\" }\n[auth.token]\nlocation = \"query\"\nname = \"key\"\ntoken = { env = \"KEY\" }\n\n[retry]\nmax_attempts = 3\nunsafe_methods = true\nbackoff = { initial = \"10ms\", max = \"20ms\" }\n[rate_limit]\nmin_pause = \"10ms\"\n",
    );
    project.write(
        "flows/copy.toml",
        r#"[export]
connection   = "api"
relative_uri = "/records"
records      = "$.data[*]"

[export.paging]
pages_path = "$.pages"

[export.paging.page]
param = "page"

[[step]]
name = "price"

[step.lookup]
connection   = "api"
relative_uri = "/price/{{record.id}}"
merge        = { price = { pick = "$.data[0].price" } }

[import]
connection   = "api"
relative_uri = "/taken"
"#,
    );
    project
}

/// What a collector got, by its judge.
fn judged(collector: &Api) -> Option<Value> {
    let folder = tempfile::tempdir().unwrap();
    let requests = collector.requests();
    assert!(!requests.is_empty(), "nothing was sent");
    let mut command = Command::new(peer::python()?);
    command.arg(peer::script("otlp.py"));
    for request in requests {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/traces"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("x-tenant"), Some("a,b"));
        assert!(!request.body.contains(KEY), "a secret left");
        let file = folder.path().join(format!("{}.json", request.number));
        std::fs::write(&file, request.body).unwrap();
        command.arg(file);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn spans_of_a_run_are_a_tree_whose_counts_are_its_own() {
    if peer::python().is_none() {
        return;
    }
    let (api, collector) = (api(), Api::start(|_| Reply::json(200, "{}")));
    let project = project(&api.base());
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]).env("KEY", KEY);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.base());
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%2Cb");
    command.env("OTEL_SERVICE_NAME", "nightly");
    let ended = finish(command, PATIENCE);
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.stdout, ended.stderr);
    let Some(judged) = judged(&collector) else { return };
    assert!(judged["resources"].as_array().unwrap().iter().all(|one| one["service.name"] == "nightly"));
    let spans = judged["spans"].as_array().unwrap();
    let named = |name: &str, parent: Option<&str>| -> Vec<&Value> {
        spans.iter().filter(|span| span["name"] == name && span["parent"].as_str() == parent).collect()
    };
    // The run, with its figures.
    let [run] = named("run copy", None)[..] else { panic!("{spans:#?}") };
    let figures = &run["attributes"];
    assert_eq!((&figures["flowgate.flow"], &figures["flowgate.trigger"]), (&json!("copy"), &json!("manual")));
    let figure = |name: &str| figures[name].as_u64().unwrap();
    assert_eq!(figure("flowgate.records.exported"), 12);
    assert_eq!((figure("flowgate.records.delivered"), figure("flowgate.records.failed")), (11, 1));
    assert!(run["error"].as_str().unwrap().contains("1 records failed"), "{run}");
    // Its steps, and their pages.
    for step in ["step export", "step price", "step import"] {
        assert_eq!(named(step, Some("run copy")).len(), 1, "{step}");
    }
    let pages = |step: &str| {
        let mut pages: Vec<u64> = named("page", Some(step))
            .iter()
            .map(|page| page["attributes"]["flowgate.page"].as_u64().unwrap())
            .collect();
        pages.sort_unstable();
        pages
    };
    assert_eq!((pages("step export"), pages("step import")), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_eq!(figure("flowgate.pages"), 3);
    // Their requests.
    let requests = |step: &str| -> Vec<&Value> {
        spans.iter().filter(|s| s["name"] == "request" && s["attributes"]["flowgate.step"] == step).collect()
    };
    assert_eq!((requests("export").len(), requests("price").len()), (3, 12));
    assert!(requests("price").iter().all(|request| request["parent"] == "step price"));
    let writes = requests("import");
    assert_eq!(writes.len() as u64, figure("flowgate.requests"));
    let mut written: Vec<(u64, u64)> = writes
        .iter()
        .map(|write| {
            let number = |name: &str| write["attributes"][name].as_u64().unwrap();
            assert_eq!(write["parent"], "page");
            (number("flowgate.page"), number("flowgate.record"))
        })
        .collect();
    written.sort_unstable();
    assert_eq!(written, (1..=3).flat_map(|page| (1..=4).map(move |n| (page, n))).collect::<Vec<_>>());
    // Attempts: as many as the API saw; each had its wait in line.
    let attempts: Vec<&Value> = spans.iter().filter(|span| span["kind"] == 3).collect();
    assert_eq!(attempts.len(), api.requests().len());
    assert!(attempts.iter().all(|attempt| attempt["parent"] == "request"));
    assert_eq!(named("queue", Some("request")).len(), attempts.len());
    let with_status = |status: u64| -> Vec<&&Value> {
        attempts.iter().filter(|one| one["attributes"]["http.response.status_code"] == status).collect()
    };
    assert_eq!([429, 503, 422].map(|status| with_status(status).len()), [1, 1, 1]);
    let url = with_status(422)[0]["attributes"]["url.full"].as_str().unwrap().to_owned();
    assert!(url.contains("/taken") && !url.contains(KEY), "{url}");
    // Limits and retries stand in the requests they held up.
    let events: Vec<&Value> = writes.iter().flat_map(|write| write["events"].as_array().unwrap()).collect();
    let count = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert_eq!((count("limited"), count("retry")), (1, 1), "{events:?}");
    let again = writes.iter().filter(|write| write["attributes"]["flowgate.attempts"] == 2).count();
    assert_eq!(again, 2);
    let refused: Vec<&str> = writes.iter().filter_map(|write| write["error"].as_str()).collect();
    assert!(matches!(refused[..], [why] if why.contains("422") && !why.contains(KEY)), "{refused:?}");
}
