//! Which body an import sends: the record, a tree, or text; alone, in a list, under a key; whatever the method.

use crate::support::api::{Api, Reply};
use crate::support::flow::copy;
use serde_json::{Value, json};

const EXPORT: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"data\"\n";

/// What three records arrive as, request by request.
#[track_caller]
fn sent(method: &'static str, import: &str) -> Vec<Option<Value>> {
    let page = Reply::json(200, r#"{"data":[{"id":1},{"id":2},{"id":3}]}"#);
    let api = Api::scripted([("GET /records", vec![page]), (method, vec![Reply::json(200, "{}")])]);
    let flow = format!("{EXPORT}[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n{import}");
    copy(&api, "", &flow, &[]).expect_code(0);
    let requests = api.requests_to("/taken");
    let mut bodies: Vec<_> =
        requests.iter().map(|request| serde_json::from_str(&request.body).ok()).collect::<Vec<Option<Value>>>();
    bodies.sort_by_key(|body| body.as_ref().map(Value::to_string));
    bodies
}

#[test]
fn a_text_body_goes_into_a_batch_record_by_record() {
    let import = "batch_size = 2\nwrap = \"orders\"\nbody = '{\"n\": {{record.id}}}'\n";
    let expected = [json!({"orders": [{"n": 1}, {"n": 2}]}), json!({"orders": [{"n": 3}]})];
    assert_eq!(sent("POST /taken", import), expected.map(Some));
}

#[test]
fn one_record_is_wrapped_as_an_object() {
    let expected = [1, 2, 3].map(|id| Some(json!({"order": {"id": id}})));
    assert_eq!(sent("POST /taken", "wrap = \"order\"\n"), expected);
    assert_eq!(sent("POST /taken", "wrap = \"order\"\nbody = '{\"id\": {{record.id}}}'\n"), expected);
}

#[test]
fn delete_sends_a_body_only_when_one_is_configured() {
    assert_eq!(sent("DELETE /taken", "method = \"DELETE\"\n"), [None, None, None]);
    let expected = [1, 2, 3].map(|id| Some(json!({"id": id})));
    assert_eq!(sent("DELETE /taken", "method = \"DELETE\"\nbody = { id = \"$.id\" }\n"), expected);
}

#[test]
fn a_batch_that_would_grow_too_large_is_closed_early() {
    let note = "x".repeat(30 << 20);
    let records: Vec<String> = (1..=3).map(|id| format!("{{\"id\":{id},\"note\":\"{note}\"}}")).collect();
    let page = Reply::json(200, format!("{{\"data\":[{}]}}", records.join(",")));
    let api = Api::scripted([("GET /records", vec![page]), ("POST /taken", vec![Reply::json(200, "{}")])]);
    let flow = format!("{EXPORT}[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\nbatch_size = 3\n");
    copy(&api, "max_response = \"128MiB\"\ntimeout = \"60s\"\n", &flow, &[]).expect_code(0);
    let counts: Vec<usize> =
        api.requests_to("/taken").iter().map(|request| request.body.matches("\"id\"").count()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 3, "{counts:?}");
    assert_eq!(counts.len(), 2, "{counts:?}");
}
