//! JSON Schemas (draft 2020-12) of the files, for editors: which keys there are, what they take, what they are for. Made of
//! one table of keys; `check` says more, because it reads what texts mean.

mod keys;

use keys::{AGENT, CONNECTION, FLOW, Key, SETTINGS, Shape, shapes};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a key takes.
#[derive(Debug, Clone, Copy)]
enum What {
    /// Anything: a tree, or what only the decoder can judge.
    Any,
    Bool,
    /// A whole number, or an expression that gives one.
    Number,
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    List(&'static What),
    Either(&'static [What]),
    /// A table with free names.
    Free(&'static What),
    /// An id, or several.
    Ids,
    /// A table of this name.
    Part(&'static str),
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `connections/<id>.toml`
    Connection,
    /// `flows/<id>.toml`
    Flow,
    /// `flowgate.toml`
    Settings,
    /// An agent's own file.
    Agent,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Connection, Self::Flow, Self::Settings, Self::Agent];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Flow => "flow",
            Self::Settings => "settings",
            Self::Agent => "agent",
        }
    }

    /// The name of the schema's file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Connection => "connection.json",
            Self::Flow => "flow.json",
            Self::Settings => "flowgate.json",
            Self::Agent => "agent.json",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Connection => "connections/<id>.toml",
            Self::Flow => "flows/<id>.toml",
            Self::Settings => "flowgate.toml",
            Self::Agent => "agent.toml",
        }
    }

    fn shape(self) -> &'static Shape {
        match self {
            Self::Connection => &CONNECTION,
            Self::Flow => &FLOW,
            Self::Settings => &SETTINGS,
            Self::Agent => &AGENT,
        }
    }
}

/// The schema of a kind of file.
pub fn document(kind: Kind) -> Value {
    let shape = kind.shape();
    let mut document = Map::new();
    document.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    document.insert("title".to_owned(), format!("flowgate: {}", kind.path()).into());
    if let Value::Object(fields) = of_shape(shape) {
        document.extend(fields);
    }
    let mut needed = BTreeSet::new();
    gather(shape, &mut needed);
    let parts: Map<String, Value> =
        shapes().filter(|part| needed.contains(part.name)).map(|part| (part.name.to_owned(), of_shape(part))).collect();
    document.insert("$defs".to_owned(), parts.into());
    Value::Object(document)
}

/// Its keys by name: a later one stands for an earlier one.
fn keys_of(shape: &Shape) -> BTreeMap<&'static str, &'static Key> {
    shape.groups.iter().flat_map(|group| group.iter()).map(|key| (key.0, key)).collect()
}

fn of_shape(shape: &Shape) -> Value {
    let property = |(name, key): (&str, &Key)| {
        let mut schema = of(key.1);
        schema["description"] = key.2.into();
        (name.to_owned(), schema)
    };
    let properties: Map<String, Value> = keys_of(shape).into_iter().map(property).collect();
    let mut schema = json!({
        "description": shape.about,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !shape.needs.is_empty() {
        schema["required"] = json!(shape.needs);
    }
    schema
}

fn of(what: What) -> Value {
    match what {
        What::Any => json!({}),
        What::Bool => json!({ "type": "boolean" }),
        What::Number => json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^=" }] }),
        What::Text => json!({ "type": "string" }),
        What::Word(words) => json!({ "enum": words }),
        What::List(item) => json!({ "type": "array", "items": of(*item) }),
        What::Either(choices) => json!({ "anyOf": choices.iter().copied().map(of).collect::<Vec<_>>() }),
        What::Free(value) => json!({ "type": "object", "additionalProperties": of(*value) }),
        What::Ids => of(What::Either(&[What::Text, What::List(&What::Text)])),
        What::Part(name) => json!({ "$ref": format!("#/$defs/{name}") }),
    }
}

fn part(name: &str) -> Option<&'static Shape> {
    shapes().find(|shape| shape.name == name)
}

/// The parts a shape leads to.
fn gather(shape: &Shape, found: &mut BTreeSet<&'static str>) {
    let mut open: Vec<What> = keys_of(shape).into_values().map(|key| key.1).collect();
    while let Some(what) = open.pop() {
        match what {
            What::Part(name) => {
                if found.insert(name)
                    && let Some(shape) = part(name)
                {
                    open.extend(keys_of(shape).into_values().map(|key| key.1));
                }
            }
            What::List(inner) | What::Free(inner) => open.push(*inner),
            What::Either(choices) => open.extend(choices),
            What::Any | What::Bool | What::Number | What::Text | What::Word(_) | What::Ids => {}
        }
    }
}

#[cfg(test)]
mod tests;
