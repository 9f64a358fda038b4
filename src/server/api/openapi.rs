//! The table of routes as an OpenAPI document; schemas are written by hand beside it.

use super::routes::{Kind, ROUTES, Route};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Schemas of bodies and answers, by name.
const SCHEMAS: &str = include_str!("schemas.json");

/// The document.
pub(super) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    &TEXT
}

fn document() -> Value {
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let mut paths = Map::new();
    for route in ROUTES {
        let verb = if matches!(route.kind, Kind::Change(_)) { "post" } else { "get" };
        paths.insert(route.path.to_owned(), json!({ verb: operation(route) }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "flowgate",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "What a running `flowgate serve` can be asked",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let events = matches!(route.kind, Kind::Events);
    let media = if events { "text/event-stream" } else { "application/json" };
    let answer = json!({ "description": route.about, "content": { media: { "schema": reference(route.answer) } } });
    let refusals = json!({
        "description": "Refused, and why",
        "content": { "application/json": { "schema": reference("Refused") } },
    });
    let mut operation = json!({
        "summary": route.about,
        "responses": { "200": answer, "4XX": refusals.clone(), "5XX": refusals },
    });
    // Without a token reads are open where none is configured: on loopback only.
    operation["security"] = if route.private { json!([{ "token": [] }]) } else { json!([{}, { "token": [] }]) };
    let mut parameters: Vec<Value> = Vec::new();
    if route.path.contains('{') {
        let about = "May have slashes, as they are";
        let shape = json!({ "type": "string" });
        parameters.push(json!({ "name": "id", "in": "path", "required": true, "description": about, "schema": shape }));
    }
    for parameter in route.query {
        let shape = json!({ "type": parameter.shape });
        parameters
            .push(json!({ "name": parameter.name, "in": "query", "description": parameter.about, "schema": shape }));
    }
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(body) = route.body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": reference(body) } } });
    }
    operation
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::path::Path;

    /// The same for readers.
    fn page() -> String {
        let mut page = String::from(include_str!("page.md"));
        for (title, changes) in [("Reads", false), ("Changes", true)] {
            let _ = write!(page, "\n## {title}\n\n| route | answers | |\n|---|---|---|\n");
            for route in ROUTES.iter().filter(|route| matches!(route.kind, Kind::Change(_)) == changes) {
                let verb = if changes { "POST" } else { "GET" };
                let query: Vec<String> =
                    route.query.iter().map(|one| format!("`{}` {}", one.name, one.about)).collect();
                let mut about = route.about.to_owned();
                if !query.is_empty() {
                    let _ = write!(about, ". Parameters: {}", query.join("; "));
                }
                if let Some(body) = route.body {
                    let _ = write!(about, ". Body: {}", fields(body));
                }
                let mark = if route.private && !changes { " (never without a token)" } else { "" };
                let _ = writeln!(page, "| `{verb} {}` | {about}{mark} | {} |", route.path, route.answer);
            }
        }
        page
    }

    fn fields(name: &str) -> String {
        let schemas: Value = serde_json::from_str(SCHEMAS).unwrap();
        let schema = &schemas[name];
        let needed = |field: &str| schema["required"].as_array().unwrap().iter().any(|one| one == field);
        let fields = schema["properties"].as_object().unwrap().keys();
        let fields: Vec<String> =
            fields.map(|field| if needed(field) { format!("`{field}`") } else { format!("`{field}`?") }).collect();
        if fields.is_empty() { "`{}`".to_owned() } else { fields.join(", ") }
    }

    #[test]
    fn the_page_shows_every_route() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/API.md");
        if std::env::vars().any(|(name, value)| name == "FLOWGATE_BLESS" && value == "1") {
            std::fs::write(&path, page()).unwrap();
        }
        let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(on_disk == page(), "docs/API.md is stale: run this test with FLOWGATE_BLESS=1");
    }

    #[test]
    fn every_schema_that_is_named_is_there_and_every_one_that_is_there_is_named() {
        let (schemas, text) = (serde_json::from_str::<Value>(SCHEMAS).unwrap(), document().to_string());
        let named: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let there: BTreeSet<&str> = schemas.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, there);
        assert!(there.len() > 40);
    }

    #[test]
    fn every_change_needs_a_token_and_takes_a_body() {
        let changes: Vec<&Route> = ROUTES.iter().filter(|route| matches!(route.kind, Kind::Change(_))).collect();
        assert!(changes.len() >= 10);
        assert!(changes.iter().all(|route| route.private && route.body.is_some()));
    }
}
