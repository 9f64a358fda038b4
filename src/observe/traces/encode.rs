//! Spans as OTLP/HTTP takes them in JSON: the protobuf messages of `opentelemetry.proto.collector.trace.v1` by their JSON
//! names, with ids in hexadecimal and 64-bit numbers as text.

use super::span::{Attributes, Event, Kind, Span, Value};
use serde_json::{Map, Value as Json, json};

/// Who sends: attributes of everything sent.
pub type Resource = [(String, String)];

/// One request's body.
pub fn body(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let resource: Vec<Json> =
        resource.iter().map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } })).collect();
    let spans: Vec<Json> = spans.iter().map(span).collect();
    let scope = json!({ "name": "flowgate", "version": env!("CARGO_PKG_VERSION") });
    let scope_spans = json!([{ "scope": scope, "spans": spans }]);
    json!({ "resourceSpans": [{ "resource": { "attributes": resource }, "scopeSpans": scope_spans }] })
        .to_string()
        .into_bytes()
}

fn span(span: &Span) -> Json {
    let mut out = Map::new();
    let mut put = |key: &str, value: Json| drop(out.insert(key.to_owned(), value));
    put("traceId", format!("{:032x}", span.trace).into());
    put("spanId", format!("{:016x}", span.id).into());
    if let Some(parent) = span.parent {
        put("parentSpanId", format!("{parent:016x}").into());
    }
    put("name", span.name.as_str().into());
    let kind = match span.kind {
        Kind::Internal => 1,
        Kind::Client => 3,
    };
    put("kind", kind.into());
    put("startTimeUnixNano", span.start.to_string().into());
    put("endTimeUnixNano", span.end.to_string().into());
    put("attributes", attributes(&span.attributes));
    if !span.events.is_empty() {
        put("events", span.events.iter().map(event).collect());
    }
    if span.events_lost > 0 {
        put("droppedEventsCount", span.events_lost.into());
    }
    if let Some(error) = &span.error {
        put("status", json!({ "code": 2, "message": error }));
    }
    Json::Object(out)
}

fn event(event: &Event) -> Json {
    json!({ "timeUnixNano": event.at.to_string(), "name": event.name, "attributes": attributes(&event.attributes) })
}

fn attributes(all: &Attributes) -> Json {
    let one = |(key, value): &(&'static str, Value)| {
        let value = match value {
            Value::Text(text) => json!({ "stringValue": text }),
            Value::Number(number) => json!({ "intValue": number.to_string() }),
            Value::Seconds(seconds) => json!({ "doubleValue": seconds }),
        };
        json!({ "key": key, "value": value })
    };
    all.iter().map(one).collect()
}
