//! `[[export.each]]`: what an export is read for, block by block.

use super::{Connections, export};
use crate::config::decode::file::Finding;
use crate::config::decode::kin::{Kin, Notes};
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::model::export::{Each, EachFrom, Export};
use crate::value::context::Root;
use crate::value::id::ConnectionId;
use crate::value::json::Json;
use std::num::NonZeroU32;
use std::sync::PoisonError;
use toml::de::DeValue;

/// Most keys of one batch.
const MOST_BATCHED: u64 = 10_000;
/// Most blocks of one export.
const MOST_BLOCKS: usize = 8;

/// What says something about requests: where the keys are a list there are none.
const BESIDE_VALUES: [&str; 8] =
    ["relative_uri", "connection", "records", "key", "paging", "keep", "transform", "delta"];

/// The connection of an export, and its names.
type Connected<'c> = (Option<ConnectionId>, Option<&'c Facts>);

/// The names of the blocks of an export.
pub(super) fn names(export: &Table<'_>) -> Vec<String> {
    let blocks = export.peek("each").and_then(|value| value.items()).unwrap_or_default();
    let name = |block: &Value<'_>| {
        let table = block.is_table().then(|| block.table()).flatten()?;
        table.peek("name")?.raw_str().map(str::to_owned)
    };
    blocks.iter().filter_map(name).collect()
}

/// The names of all blocks of a flow; what is read of them is noted.
pub(super) fn all(root: &Table<'_>, read: &Notes) -> Kin {
    let exports = root.peek("export").map(|value| value.items().unwrap_or_else(|| vec![value])).unwrap_or_default();
    let tables = exports.iter().filter(|value| value.is_table()).filter_map(Value::table);
    let names = tables.flat_map(|table| names(&table)).collect();
    Kin { names, others: Vec::new(), read: vec![read.clone()] }
}

/// Which blocks have to keep their records, now that everything that may read them was seen.
pub(super) fn noted(mut export: Export, read: &Notes) -> Export {
    let read = read.lock().unwrap_or_else(PoisonError::into_inner);
    for each in &mut export.each {
        each.whole = read.contains(&(Root::Parent, each.name.clone()));
    }
    export
}

/// `[[export.each]]`
pub(super) fn decode(
    table: &Table<'_>,
    facts: &Facts,
    connections: &Connections,
    connection: &Connected<'_>,
) -> Option<Vec<Each>> {
    let Some(value) = table.take("each") else { return Some(Vec::new()) };
    let Some(items) = value.items() else {
        let finding = Finding::error("wrong-type", "`each` is a list");
        value.report_key(finding.help("write `[[export.each]]` with two brackets"));
        return None;
    };
    if items.is_empty() || items.len() > MOST_BLOCKS {
        value.report(Finding::error("out-of-range", format!("`each` has 1 to {MOST_BLOCKS} blocks")));
        return None;
    }
    let mut above: Vec<String> = Vec::new();
    let blocks: Vec<_> = items
        .iter()
        .map(|item| {
            let block = block(&item.table()?, facts, connections, connection, &above);
            above.extend(block.as_ref().map(|block| block.name.clone()));
            block
        })
        .collect();
    blocks.into_iter().collect()
}

fn block(
    table: &Table<'_>,
    facts: &Facts,
    connections: &Connections,
    connection: &Connected<'_>,
    above: &[String],
) -> Option<Each> {
    let name = table.need("name").and_then(|value| value.each_name(above));
    let notes = Notes::default();
    let others = facts.kin.names.iter().filter(|name| !above.contains(name)).cloned().collect();
    let read = facts.kin.read.iter().cloned().chain([notes.clone()]).collect();
    let facts = &Facts { kin: Kin { names: above.to_vec(), others, read }, ..facts.clone() };
    let batch = table.given("batch", |value| {
        let number = value.number(1..=MOST_BATCHED, &Scope::of_flow(facts, None))?;
        u32::try_from(number).ok().and_then(NonZeroU32::new)
    });
    let from = match table.take("values") {
        Some(value) => {
            beside_values(table);
            value.each_values(&Scope::of_flow(facts, connection.1))
        }
        None => parent(table, facts, connections, connection),
    };
    table.finish();
    let read = notes.lock().unwrap_or_else(PoisonError::into_inner);
    let reads = |name: &String| [Root::Each, Root::Parent].iter().any(|root| read.contains(&(*root, name.clone())));
    Some(Each {
        name: name?,
        from: from?,
        batch: batch.ok()?,
        reads: above.iter().enumerate().filter(|(_, name)| reads(name)).map(|(at, _)| at).collect(),
        reads_name: read.iter().any(|(root, _)| *root == Root::Export),
        whole: false,
    })
}

/// A parent request.
fn parent(table: &Table<'_>, facts: &Facts, connections: &Connections, connection: &Connected<'_>) -> Option<EachFrom> {
    if !table.has("relative_uri") {
        let name = table.peek("name").and_then(|value| value.raw_str()).unwrap_or_default();
        let finding = Finding::error("missing-key", format!("`each` `{name}` does not say where its keys come from"));
        table.report(finding.key(table.key()).help("give it `values`, or a request with `relative_uri`"));
    }
    let connected = match table.take("connection") {
        Some(value) => value.connection(connections),
        None => connection.clone(),
    };
    for name in ["trace_key", "link", "once", "job", "group_by"] {
        if let Some(value) = table.peek(name) {
            let finding = Finding::error("unknown-key", format!("a parent has no `{name}`"));
            value.report_key(finding.help("its records are not delivered: set it on the export"));
        }
    }
    let key = table.given("key", Value::path);
    let names = connected.1.map(|facts| Facts { defaults: facts.defaults.of_parents(), ..facts.clone() });
    let parent = export::asked(table, facts, (connected.0, names.as_ref()), None);
    let (parent, key) = (Box::new(parent?), key.ok()?);
    table.has("relative_uri").then_some(EachFrom::Request { parent, key })
}

/// What says nothing where the keys are a list.
fn beside_values(table: &Table<'_>) {
    for name in BESIDE_VALUES {
        if let Some(value) = table.peek(name) {
            let finding = Finding::error("conflicting-keys", format!("`values` and `{name}` exclude each other"));
            value.report_key(finding.help("keys are a list, or come from a request: keep one"));
        }
    }
    for name in BESIDE_VALUES {
        table.take(name);
    }
}

impl Value<'_> {
    /// The name of a block: it stands in templates and expressions.
    fn each_name(&self, above: &[String]) -> Option<String> {
        let name = self.string()?;
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let fits = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
        if !fits || name.len() > 100 {
            let finding = Finding::error("bad-id", format!("{name:?} cannot be read as `each.<name>`"));
            self.report(finding.help("write letters, digits and `_`, as in \"repo\""));
            return None;
        }
        if above.iter().any(|known| known == name) {
            self.report(Finding::error("duplicate-name", format!("another `each` is named `{name}` already")));
        }
        Some(name.to_owned())
    }

    /// `values`: a list of texts and numbers, or an expression that gives one.
    fn each_values(&self, scope: &Scope<'_>) -> Option<EachFrom> {
        if self.raw_str().is_some() {
            return self.computed(scope).map(EachFrom::Computed);
        }
        let items = self.list()?;
        if items.is_empty() {
            let finding = Finding::error("out-of-range", "`values` is empty: nothing would be read");
            self.report(
                finding.help("name the keys, or take them from a variable with `values = \"= flow.vars.keys\"`"),
            );
            return None;
        }
        let keys: Vec<_> = items.iter().map(Value::each_key).collect();
        keys.into_iter().collect::<Option<_>>().map(EachFrom::Values)
    }

    fn each_key(&self) -> Option<Json> {
        let value = match self.node() {
            DeValue::String(text) if text.is_empty() => {
                let finding = Finding::error("out-of-range", "a key cannot be empty");
                self.report(finding.help("leave it out"));
                return None;
            }
            DeValue::String(text) => serde_json::Value::from(text.as_ref()),
            DeValue::Integer(_) => serde_json::Value::from(self.integer().and_then(|n| i64::try_from(n).ok())?),
            _ => {
                self.wrong_type("a text or a whole number");
                return None;
            }
        };
        Some(Json::from_value(&value))
    }
}
