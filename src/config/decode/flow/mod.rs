//! `flows/<id>.toml`: a whole flow, given the names of the connections it may use.

pub(in crate::config) mod defaults;
mod delta;
mod each;
mod export;
mod import;
mod modify;
mod paging;
mod report;
mod schedule;
mod step;
mod tables;
mod verify;
mod webhook;

pub(in crate::config) use tables::Tables;

use super::connection::{Named, vars};
use super::file::Finding;
use super::kin::Notes;
use super::scope::{Facts, Scope};
use super::source::Sources;
use super::table::Table;
use super::value::Value;
use crate::config::suggest;
use crate::model::export::Export;
use crate::model::flow::{Durability, Flow};
use crate::model::step::{Action, Step, Transform};
use crate::model::webhook::Webhook;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::json::Json;
use import::Last;
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

/// The top-level keys of a flow file.
pub(in crate::config) const KEYS: &[&str] = &[
    "title",
    "enabled",
    "weight",
    "formerly",
    "run_after",
    "missing",
    "durability",
    "max_errors",
    "vars",
    "schedule",
    "webhook",
    "export",
    "step",
    "tables",
    "import",
];
/// Whether what is missing is empty.
const MISSING: &[(&str, bool)] = &[("error", false), ("empty", true)];
const DURABILITIES: &[(&str, Durability)] = &[("full", Durability::Full), ("checkpoint", Durability::Checkpoint)];

/// The connections of the project by id, with the names each offers.
pub(in crate::config) type Connections = BTreeMap<ConnectionId, Facts>;

/// Ids of flows that one names, for checks across files.
#[derive(Default)]
pub(in crate::config) struct Ids {
    /// `formerly`
    pub(in crate::config) formerly: Vec<Named<FlowId>>,
    /// `run_after`
    pub(in crate::config) after: Vec<Named<FlowId>>,
}

/// Decodes a flow; none when something it needs is wrong. The former ids are for checks across files.
pub(in crate::config) fn decode(
    root: &Table<'_>,
    id: FlowId,
    sources: &Sources<'_>,
    connections: &Connections,
) -> (Option<Flow>, Ids) {
    let title = root.take("title").and_then(|value| value.string().map(str::to_owned));
    let enabled = root.take("enabled").and_then(|value| value.boolean()).unwrap_or(true);
    let formerly = root.take("formerly").map(|value| value.ids(FlowId::parse)).unwrap_or_default();
    let after = root.take("run_after").map(|value| value.ids(FlowId::parse)).unwrap_or_default();
    let (mut facts, unresolved) = facts(root, sources);
    facts.timed = is_timed(root);
    let read = Notes::default();
    facts.kin = each::all(root, &read);
    let plain = Scope::of_flow(&facts, None);
    let weight = root.take("weight").and_then(|value| value.number(1..=1_000, &plain));
    let weight = weight.and_then(|weight| u32::try_from(weight).ok()).and_then(NonZeroU32::new);
    let durability = root.take("durability").and_then(|value| value.word(DURABILITIES, &[])).unwrap_or_default();
    let missing = root.take("missing").and_then(|value| value.word(MISSING, &[])).unwrap_or_default();
    let max_errors = root.take("max_errors").and_then(|value| value.number(1..=u64::MAX, &plain));
    let schedule = root.given("schedule", |value| schedule::decode(value, &plain));
    let (origin, source) = origin(root, &facts, connections, sources);
    // Outside requests `connection` is the export's.
    let scope = Scope::of_flow(&facts, source);
    let site = step::Site { facts: &facts, connections };
    let (steps, lookups) = step::decode(root, &scope, site);
    let found = scope.with_lookups(&lookups);
    let last = root.given("import", |value| import::last(value, &facts, connections, &found, steps.as_deref()));
    let writes = root.has("import") || steps.iter().flatten().any(|step| !step.imports().is_empty());
    root.finish();
    if !writes && root.has("export") {
        report_idle_triggers(root, &after);
    }
    let context = serde_json::json!({"id": id.as_str(), "vars": facts.values.as_ref().to_value()});
    let run_after = after.iter().map(|named| named.value.clone()).collect();
    let former = formerly.iter().map(|named| named.value.clone()).collect();
    let whole = move || {
        let ((webhook, exports), mut steps) = (origin?, steps?);
        let mut import = match last.ok()? {
            Some(Last::Each(step)) => {
                steps.push(*step);
                None
            }
            Some(Last::Whole(import)) => Some(*import),
            None => None,
        };
        if !exports.iter().all(|export| shapes_last(export, &steps)) {
            if let Some(import) = &mut import {
                import.key_is_lasting = false;
            }
            steps.iter_mut().for_each(Step::keys_do_not_last);
        }
        Some(Flow {
            id,
            title,
            formerly: former,
            enabled,
            weight: weight.unwrap_or(NonZeroU32::MIN),
            context: Json::from_value(&context),
            unresolved,
            schedule: schedule.ok()?,
            run_after,
            webhook,
            exports: exports.into_iter().map(|export| Arc::new(each::noted(export, &read))).collect(),
            steps,
            import,
            tables: facts.tables.into_iter().filter_map(|(name, rows)| Some((name, rows?))).collect(),
            durability,
            missing_is_empty: missing,
            max_errors: max_errors.and_then(NonZeroU64::new),
            text: "".into(),
            hash: String::new(),
        })
    };
    (whole(), Ids { formerly, after })
}

/// Whether an export has `delta`: its records know the time that was asked for.
fn is_timed(root: &Table<'_>) -> bool {
    let exports = root.peek("export").map(|value| value.items().unwrap_or_else(|| vec![value])).unwrap_or_default();
    exports.iter().filter(|value| value.is_table()).filter_map(Value::table).any(|table| table.has("delta"))
}

/// What starts flows by themselves starts none whose records nobody takes.
fn report_idle_triggers(root: &Table<'_>, after: &[Named<FlowId>]) {
    let tell = |name: &str, code: &'static str, what: &str| {
        let Some(value) = root.peek(name) else { return };
        let finding = Finding::warning(code, format!("a flow without `[import]` is never run by {what}"));
        value.report_key(
            finding.help("it writes its records to standard output: start it with `run`, or add `[import]`"),
        );
    };
    tell("schedule", "schedule-without-import", "its schedule");
    if !after.is_empty() {
        tell("run_after", "run-after-without-import", "the end of another");
    }
}

/// Whether the same exported record always takes the same shape.
fn shapes_last(export: &Export, steps: &[Step]) -> bool {
    let lasts = |transform: &Transform| {
        transform.references().into_iter().all(|read| import::LASTING.contains(&read.root.as_str()))
    };
    let mut lasting = export.transform.iter().all(lasts);
    for step in steps {
        step.each(&mut |step| {
            lasting &= match &step.action {
                Action::Transform(transform) => lasts(transform),
                // What is found may be another tomorrow.
                Action::Lookup(lookup) => lookup.merge.is_none(),
                Action::Import(import) => import.merge.is_none(),
                Action::Keep(_) | Action::Route(_) => true,
            };
        });
    }
    lasting
}

/// The names of the flow, and what of its variables did not resolve.
fn facts(root: &Table<'_>, sources: &Sources<'_>) -> (Facts, Vec<String>) {
    let names: Vec<String> = root
        .peek("vars")
        .filter(Value::is_table)
        .and_then(|value| value.table())
        .map(|table| table.members().iter().map(|(name, _)| (*name).to_owned()).collect())
        .unwrap_or_default();
    let (values, unresolved) = vars(root, sources);
    let values = Json::from_value(&serde_json::Value::Object(values));
    let facts = Facts { vars: names, values, tables: tables::decode(root, sources), ..Facts::empty() };
    (facts, unresolved)
}

/// Where records come from: a webhook, or exports that ask for them.
type Origin = (Option<Arc<Webhook>>, Vec<Export>);

/// That, and the names of the connection for everything outside requests.
fn origin<'c>(
    root: &Table<'_>,
    facts: &Facts,
    connections: &'c Connections,
    sources: &Sources<'_>,
) -> (Option<Origin>, Option<&'c Facts>) {
    let Some(value) = root.take("webhook") else {
        let (exports, source) = exports(root, facts, connections);
        return (exports.map(|exports| (None, exports)), source);
    };
    beside_a_webhook(root);
    let Some(table) = value.table() else { return (None, None) };
    let found = webhook::decode(&table, root, facts, connections, sources);
    let (_, source) = webhook::taker(root, connections);
    (found.map(|(webhook, export)| (Some(webhook), vec![export])), source)
}

/// What cannot be where calls decide when there is something to do, and nothing can be asked for again.
fn beside_a_webhook(root: &Table<'_>) {
    let clash = |value: Option<Value<'_>>, why: &str, help: &str| {
        if let Some(value) = value {
            value.report_key(Finding::error("conflicting-keys", why.to_owned()).help(help.to_owned()));
        }
    };
    clash(
        root.take("export"),
        "a flow has `[webhook]` or `[export]`, not both",
        "keep one of them, or make it two flows",
    );
    clash(
        root.peek("schedule"),
        "a flow with `[webhook]` has no schedule: it runs when something comes",
        "remove `schedule`",
    );
    clash(
        root.peek("run_after").filter(|value| value.items().is_some_and(|items| !items.is_empty())),
        "a flow with `[webhook]` runs when something comes, and after no other flow",
        "remove `run_after`",
    );
    clash(
        root.peek("durability").filter(|value| value.raw_str() == Some("checkpoint")),
        "what came to a webhook cannot be asked for again",
        "remove `durability`: `full` holds",
    );
    if !root.has("import") {
        let help = "say where its records go: add `[import]` with its `connection`";
        root.missing("import", Some(help.to_owned()));
    }
}

/// The exports, and the names of their connection for everything outside requests: none where they have several.
fn exports<'c>(
    root: &Table<'_>,
    facts: &Facts,
    connections: &'c Connections,
) -> (Option<Vec<Export>>, Option<&'c Facts>) {
    let help = "a flow reads from somewhere: add `[export]` with its `connection`";
    let Some(value) = root.take("export") else {
        root.missing("export", Some(help.to_owned()));
        return (None, None);
    };
    let tables: Vec<Value<'_>> = value.items().unwrap_or_else(|| vec![value.clone()]);
    if tables.is_empty() {
        value.report_key(Finding::error("missing-key", "there is no export").help(help));
        return (None, None);
    }
    let tables: Option<Vec<Table<'_>>> = tables.iter().map(Value::table).collect();
    let Some(tables) = tables else { return (None, None) };
    let mut names = Vec::new();
    for table in &tables {
        name(table, tables.len() > 1, &mut names);
    }
    let used = |table: &Table<'_>| ConnectionId::parse(table.peek("connection")?.raw_str()?).ok();
    let first = tables.first().and_then(used);
    let is_one = tables.iter().all(|table| used(table) == first);
    let source = first.filter(|_| is_one).and_then(|id| connections.get(&id));
    // Each says for itself whether it has a delta.
    let facts = &Facts { timed: false, ..facts.clone() };
    let exports: Vec<_> = tables.iter().map(|table| export::decode(table, facts, connections)).collect();
    (exports.into_iter().collect(), source)
}

/// The name of an export: where there are several, each has its own.
fn name(table: &Table<'_>, several: bool, names: &mut Vec<String>) {
    let Some(value) = table.peek("name") else {
        if several {
            let help = "exports of one flow are told apart by their `name`, as in `name = \"orders\"`";
            table.missing("name", Some(help.to_owned()));
        }
        return;
    };
    let Some(name) = value.raw_str() else { return };
    if name.is_empty() || name.len() > 100 || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        value.report(Finding::error("bad-id", "an export's name has 1 to 100 plain characters and no spaces"));
    } else if names.iter().any(|known| known == name) {
        value.report(Finding::error("duplicate-name", format!("another export is named `{name}` already")));
    }
    names.push(name.to_owned());
}

impl Value<'_> {
    /// A reference to a connection of the project. One that is not there is reported; its names are unknown.
    pub(super) fn connection<'c>(&self, connections: &'c Connections) -> (Option<ConnectionId>, Option<&'c Facts>) {
        let Some(named) = self.id(ConnectionId::parse) else { return (None, None) };
        let facts = connections.get(&named.value);
        if facts.is_none() {
            let known: Vec<&str> = connections.keys().map(ConnectionId::as_str).collect();
            let finding = Finding::error("unknown-connection", format!("there is no connection `{}`", named.value));
            let none = || Some(format!("add `connections/{}.toml`", named.value));
            self.report(finding.help_if(suggest::help(named.value.as_str(), &known).or_else(none)));
        }
        (Some(named.value), facts)
    }
}
