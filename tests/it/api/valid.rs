//! Checks a JSON value against the part of JSON Schema the API's document uses. A keyword it does not know fails the test: what
//! is not checked is not promised.

use serde_json::Value;

/// Every way in which a value is not what the schema says.
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "$", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, said) in schema.as_object().unwrap_or_else(|| panic!("no schema: {schema}")) {
        match keyword.as_str() {
            "$ref" => {
                let name = said.as_str().unwrap().trim_start_matches("#/components/schemas/");
                let there = &document["components"]["schemas"][name];
                assert!(there.is_object(), "no schema `{name}`");
                check(document, there, value, at, found);
            }
            "type" => {
                let names: Vec<&str> = match said {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => vec![name.as_str().unwrap()],
                };
                if !names.iter().any(|name| is(name, value)) {
                    found.push(format!("{at}: {value} is no {said}"));
                }
            }
            "properties" => {
                let known = said.as_object().unwrap();
                for (name, part) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = known.get(name) {
                        check(document, schema, part, &format!("{at}.{name}"), found);
                    }
                }
            }
            "additionalProperties" => others(document, schema, said, value, at, found),
            "required" if value.is_object() => {
                let missing = said.as_array().unwrap().iter().filter_map(Value::as_str);
                found.extend(missing.filter(|name| value.get(name).is_none()).map(|name| format!("{at}: no `{name}`")));
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, said, item, &format!("{at}[{place}]"), found);
                }
            }
            "enum" if !value.is_null() && !said.as_array().unwrap().contains(value) => {
                found.push(format!("{at}: {value} is none of {said}"));
            }
            "const" if said != value => found.push(format!("{at}: {value} is not {said}")),
            "anyOf" => {
                let fits = |schema: &Value| faults(document, schema, value).is_empty();
                if !said.as_array().unwrap().iter().any(fits) {
                    let all: Vec<_> = said.as_array().unwrap().iter().map(|one| faults(document, one, value)).collect();
                    found.push(format!("{at}: fits none: {all:?}"));
                }
            }
            "format" if said == "date-time" => {
                if let Some(text) = value.as_str()
                    && chrono::DateTime::parse_from_rfc3339(text).is_err()
                {
                    found.push(format!("{at}: {text} is no instant"));
                }
            }
            "required" | "enum" | "const" | "description" => {}
            other => panic!("a keyword nobody checks: {other}"),
        }
    }
}

fn others(document: &Value, schema: &Value, said: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (name, part) in value.as_object().into_iter().flatten() {
        if schema["properties"].get(name).is_some() {
            continue;
        }
        if *said == Value::Bool(false) {
            found.push(format!("{at}: `{name}` is not documented"));
        } else {
            check(document, said, part, &format!("{at}.{name}"), found);
        }
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no type {other}"),
    }
}

#[test]
fn what_is_wrong_is_found() {
    let document = serde_json::json!({ "components": { "schemas": {
        "A": { "type": "object", "properties": { "n": { "type": ["integer", "null"] } }, "required": ["n"], "additionalProperties": false },
        "B": { "anyOf": [{ "$ref": "#/components/schemas/A" }, { "type": "null" }] },
    } } });
    let a = serde_json::json!({ "$ref": "#/components/schemas/A" });
    let b = serde_json::json!({ "$ref": "#/components/schemas/B" });
    for (schema, good) in [(&a, r#"{"n":1}"#), (&a, r#"{"n":null}"#), (&b, "null"), (&b, r#"{"n":2}"#)] {
        assert_eq!(faults(&document, schema, &serde_json::from_str(good).unwrap()), [""; 0], "{good}");
    }
    for (schema, bad) in
        [(&a, "{}"), (&a, r#"{"n":"x"}"#), (&a, r#"{"n":1,"m":2}"#), (&a, "[]"), (&b, "7"), (&b, r#"{"n":1.5}"#)]
    {
        assert!(!faults(&document, schema, &serde_json::from_str(bad).unwrap()).is_empty(), "{bad}");
    }
}
