//! `/api/…` of a running `serve`: every route answers as its OpenAPI document says, and only those who may ask are answered.

mod doors;
mod events;
mod load;
mod trends;
mod valid;

use crate::support::api::{Api, Gate, Reply};
use crate::support::client::{self, Got};
use crate::support::project::Project;
use crate::support::serving::{Serving, status_until};
use crate::support::{PATIENCE, now};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Three records; `POST /taken` answers by id: 422 for the second, the others are taken.
fn api() -> Api {
    Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3}]}"),
        _ if request.body.contains("\"id\":2") => Reply::json(422, "{\"error\":\"not this one\"}"),
        _ => Reply::json(201, "{}"),
    })
}

/// The same, whose first `POST` waits for a gate.
fn gated_api() -> (Api, Gate) {
    let gate = Gate::default();
    let held = gate.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3}]}"),
        _ => Reply::json(201, "{}").behind(&held),
    });
    (api, gate)
}

/// A running `serve` and the way to its API.
struct Door {
    serving: Serving,
    project: Project,
    addr: SocketAddr,
}

/// Flow `copy` over connection `api`, with further keys of the connection.
fn served(api: &Api, keys: &str) -> Door {
    let project = Project::new();
    project.connection("api", &api.base(), keys).copy_flow("copy", "", "");
    Door::of(project)
}

impl Door {
    fn of(project: Project) -> Self {
        let mut serving = Serving::of(&project);
        let addr = serving.wait_until_listening();
        Self { serving, project, addr }
    }

    /// The header with this process's key.
    fn key(&self) -> String {
        let token = std::fs::read_to_string(self.project.path("state/api-token")).unwrap();
        format!("authorization: Bearer {}\r\n", token.trim())
    }

    fn get(&self, target: &str) -> Got {
        client::get(self.addr, target)
    }

    /// With the key.
    fn read(&self, target: &str) -> Got {
        client::send(self.addr, "GET", target, &self.key(), "")
    }

    fn post(&self, target: &str, body: &str) -> Got {
        let headers = format!("content-type: application/json\r\n{}", self.key());
        client::send(self.addr, "POST", target, &headers, body)
    }

    #[track_caller]
    fn json(&self, target: &str) -> Value {
        let got = self.read(target);
        assert_eq!(got.status, 200, "{target}: {}", got.body);
        serde_json::from_str(&got.body).unwrap()
    }

    /// Asks until it is so.
    #[track_caller]
    fn until(&self, target: &str, found: impl Fn(&Value) -> bool) -> Value {
        let until = now() + PATIENCE;
        loop {
            let told = self.json(target);
            if found(&told) {
                return told;
            }
            assert!(now() < until, "it never came to that: {told:#}");
        }
    }

    #[track_caller]
    fn done(&self, action: &str, body: &Value) -> Value {
        let got = self.post(&format!("/api/v1/actions/{action}"), &body.to_string());
        assert_eq!(got.status, 200, "{action}: {}", got.body);
        serde_json::from_str(&got.body).unwrap()
    }
}

/// Fails when an answer is not what the document says of its route.
#[track_caller]
fn expect_valid(document: &Value, path: &str, verb: &str, answer: &Value) {
    let schema = &document["paths"][path][verb]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "no schema for {verb} {path}");
    let faults = valid::faults(document, schema, answer);
    assert!(faults.is_empty(), "{verb} {path}: {faults:#?}\n{answer:#}");
}

#[test]
fn every_route_answers_as_its_document_says() {
    let api = api();
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 2\ntitle = \"The API\"\n");
    project.connection("till", &api.base(), "borrow_concurrency_from = \"api\"\n");
    project.connection("lost", "http://127.0.0.1:9", "[auth.token]\ntoken = { env = \"NOWHERE\" }\n");
    project.copy_flow("eu/copy", "title = \"Copies\"\nschedule = \"0 4 * * *\"\n", "");
    project.copy_flow("off", "enabled = false\n", "");
    project.write("flows/lost.toml", "[export]\nconnection = \"lost\"\nrelative_uri = \"/r\"\n[import]\nconnection = \"api\"\nrelative_uri = \"/t\"\n");
    let door = Door::of(project);
    let started = door.done("run", &json!({ "flows": ["eu/copy", "lost"] }));
    let run = started["runs"][0]["run"].as_str().unwrap().to_owned();
    status_until(&door.project, |status| {
        let flows = status["flows"].as_array().unwrap();
        flows.iter().filter(|flow| flow["last"].is_object()).count() == 2
    });
    door.project.write("flows/bad.toml", "export = 7\n");
    door.done("reload", &json!({ "wait": true }));
    door.until("/api/v1/flows", |flows| flows["open_errors"] == 1);

    let document = door.json("/api/openapi.json");
    let mut asked = Vec::new();
    let report = door.json("/api/v1/reloads")["reloads"][0]["id"].as_str().unwrap().to_owned();
    let error = door.json("/api/v1/errors")["errors"][0]["id"].to_string();
    for (path, target) in [
        ("/api/openapi.json", "/api/openapi.json".to_owned()),
        ("/api/v1/snapshot", "/api/v1/snapshot".to_owned()),
        ("/api/v1/reloads", "/api/v1/reloads".to_owned()),
        ("/api/v1/reloads/{id}", format!("/api/v1/reloads/{report}")),
        ("/api/v1/flows", "/api/v1/flows".to_owned()),
        ("/api/v1/flows", "/api/v1/flows?q=cop&limit=1&state=errors".to_owned()),
        ("/api/v1/flows/{id}", "/api/v1/flows/eu/copy".to_owned()),
        ("/api/v1/flows/{id}", "/api/v1/flows/eu%2Fcopy".to_owned()),
        ("/api/v1/runs", "/api/v1/runs".to_owned()),
        ("/api/v1/runs", "/api/v1/runs?flow=eu/copy&phase=ended&limit=1".to_owned()),
        ("/api/v1/runs/{id}", format!("/api/v1/runs/{run}")),
        ("/api/v1/logs/{id}", format!("/api/v1/logs/{run}")),
        ("/api/v1/queues", "/api/v1/queues".to_owned()),
        ("/api/v1/connections", "/api/v1/connections".to_owned()),
        ("/api/v1/connections/{id}", "/api/v1/connections/api".to_owned()),
        ("/api/v1/errors", "/api/v1/errors".to_owned()),
        ("/api/v1/errors", "/api/v1/errors?group=true&open=false".to_owned()),
        ("/api/v1/errors/{id}", format!("/api/v1/errors/{error}")),
        ("/api/v1/explain/run/{id}", format!("/api/v1/explain/run/{run}")),
        ("/api/v1/explain/flow/{id}", "/api/v1/explain/flow/eu/copy".to_owned()),
        ("/api/v1/explain/connection/{id}", "/api/v1/explain/connection/till".to_owned()),
    ] {
        expect_valid(&document, path, "get", &door.json(&target));
        asked.push(path.to_owned());
    }
    // Read by its own test: it has no end.
    asked.push("/api/v1/events".to_owned());
    for (action, body) in [
        ("run", json!({ "flows": ["eu/copy"], "limit": 1 })),
        ("pause", json!({ "flows": ["off"] })),
        ("resume", json!({ "flows": ["off"] })),
        ("ping", json!({ "connection": "api" })),
        ("reload", json!({ "wait": true })),
        ("reload", json!({})),
        ("errors/retry", json!({ "ids": [1] })),
        ("errors/resolve", json!({ "flow": "eu/copy" })),
        ("errors/purge", json!({ "all": true, "open": true })),
    ] {
        let path = format!("/api/v1/actions/{action}");
        expect_valid(&document, &path, "post", &door.done(action, &body));
        asked.push(path);
    }
    let cancel = door.post("/api/v1/actions/cancel", "{\"flow\":\"off\"}");
    assert_eq!(cancel.status, 409, "nothing of it runs: {}", cancel.body);
    asked.push("/api/v1/actions/cancel".to_owned());
    expect_valid(&document, "/api/v1/actions/drain", "post", &door.done("drain", &json!({})));
    asked.push("/api/v1/actions/drain".to_owned());
    let all = document["paths"].as_object().unwrap().keys().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(all, asked.iter().collect(), "a route nobody asked");
    assert_eq!(door.serving.wait_for_end().0, Some(0), "drained");
}

#[test]
fn views_tell_what_is_there() {
    let api = api();
    let mut door = served(&api, "concurrency_level = 1\n");
    door.done("run", &json!({ "flows": ["copy"] }));
    door.serving.wait_for_flow("run finished", "copy");
    door.until("/api/v1/flows", |flows| flows["open_errors"] == 1);
    let flow = door.json("/api/v1/flows/copy");
    assert_eq!((&flow["health"], &flow["parts"][0]["connection"]), (&json!("errors"), &json!("api")), "{flow:#}");
    let flows = door.json("/api/v1/flows");
    assert_eq!((&flows["total"], &flows["states"]["errors"], &flows["open_errors"]), (&json!(1), &json!(1), &json!(1)));
    let runs = door.json("/api/v1/runs");
    let run = &runs["runs"][0];
    assert_eq!((&run["records"]["delivered"], &run["outcome"]), (&json!(2), &json!("errors")), "{run:#}");
    let run = door.json(&format!("/api/v1/runs/{}", run["run"].as_str().unwrap()));
    assert_eq!(run["failed_by_step"], json!({ "import": 1 }), "{run:#}");
    let errors = door.json("/api/v1/errors");
    assert_eq!(errors["errors"][0]["status"], 422);
    assert!(errors["errors"][0].get("payload").is_none(), "{errors:#}");
    let error = door.json("/api/v1/errors/1");
    assert_eq!(error["payload"], "{\"id\":2}");
    assert!(error["message"].as_str().unwrap().contains("not this one"), "{error:#}");
    let groups = door.json("/api/v1/errors?group=true");
    assert_eq!((&groups["groups"][0]["count"], &groups["groups"][0]["open"]), (&json!(1), &json!(1)));
    let pinged = door.done("ping", &json!({ "connection": "api" }));
    assert_eq!(pinged["verdict"], "ok");
    let connection = door.json("/api/v1/connections/api");
    assert_eq!((&connection["level"], &connection["ping"]["verdict"]), (&json!(1), &json!("ok")), "{connection:#}");
    for (target, status) in [
        ("/api/v1/flows/none", 404),
        ("/api/v1/flows/No%20Such", 404),
        ("/api/v1/runs/none", 404),
        ("/api/v1/errors/999", 404),
        ("/api/v1/errors/x", 404),
        ("/api/v1/explain/flow/none", 404),
        ("/api/v1/connections/none", 404),
        ("/api/v1/reloads/none", 404),
        ("/api/v1/flows?nonsense=1", 400),
        ("/api/v1/flows?limit=x", 400),
        ("/api/v1/flows?q=a&q=b", 400),
        ("/api/v1/runs?phase=asleep", 400),
        ("/api/v1/flows/%ff", 400),
        ("/api/v1/", 404),
        ("/api/v2/flows", 404),
    ] {
        let got = door.read(target);
        assert_eq!(got.status, status, "{target}: {}", got.body);
        assert!(got.body.contains("\"refused\""), "{target}: {}", got.body);
    }
}

#[test]
fn runs_come_in_pages_and_none_is_told_twice_or_left_out() {
    let api = api();
    let mut door = served(&api, "");
    for _ in 0..7 {
        door.done("run", &json!({ "flows": ["copy"] }));
        door.serving.wait_for_flow("run finished", "copy");
        // Its end is told before its place is free.
        door.until("/api/v1/flows/copy", |flow| flow["running"].is_null());
    }
    let (mut seen, mut target) = (Vec::new(), "/api/v1/runs?limit=3".to_owned());
    loop {
        let page = door.json(&target);
        seen.extend(page["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/api/v1/runs?limit=3&before={next}");
    }
    let mut distinct = seen.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((seen.len(), distinct.len()), (7, 7), "{seen:?}");
}
