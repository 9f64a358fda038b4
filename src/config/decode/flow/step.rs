//! `[[step]]`: each does one thing to a record. Routes and lookups are in files of their own.

mod lookup;
mod route;

use super::{Connections, import, modify};
use crate::config::decode::file::Finding;
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::{Table, one_method};
use crate::config::decode::value::Value;
use crate::model::import::Import;
use crate::model::step::{Action, OnError, Step, Transform};
use crate::value::context::Root;

/// The one thing a step does.
const ACTIONS: [&str; 5] = ["lookup", "import", "transform", "keep", "route"];
const ON_ERROR: &[(&str, OnError)] = &[("stop", OnError::Stop), ("proceed", OnError::Proceed)];
/// Deepest routes inside routes.
const MOST_DEPTH: usize = 8;

/// What the steps of a flow know of its files.
#[derive(Clone, Copy)]
pub(super) struct Site<'s> {
    pub(super) facts: &'s Facts,
    pub(super) connections: &'s Connections,
}

/// A list of steps under construction: those of the flow, or of a branch.
struct Line<'a> {
    scope: Scope<'a>,
    /// The branch it is, as in `by-region/eu/`.
    prefix: String,
    depth: usize,
    names: Vec<String>,
    /// Lookups whose answers are there for what follows.
    lookups: Vec<String>,
}

/// The steps of a flow, and the names of lookups that what follows them may read.
pub(super) fn decode(root: &Table<'_>, scope: &Scope<'_>, site: Site<'_>) -> (Option<Vec<Step>>, Vec<String>) {
    let Some(value) = root.take("step") else { return (Some(Vec::new()), Vec::new()) };
    let mut line = Line {
        scope: scope.with(&[Root::Record]),
        prefix: String::new(),
        depth: 0,
        names: Vec::new(),
        lookups: Vec::new(),
    };
    (line.steps(&value, site), line.lookups)
}

impl Line<'_> {
    fn steps(&mut self, value: &Value<'_>, site: Site<'_>) -> Option<Vec<Step>> {
        if value.is_table() {
            let finding = Finding::error("wrong-type", "steps are a list");
            value.report_key(finding.help("write `[[step]]` with two brackets"));
            return None;
        }
        let items = value.list()?;
        let steps: Vec<_> = items.iter().enumerate().map(|(index, item)| self.step(item, index, site)).collect();
        steps.into_iter().collect()
    }

    fn step(&mut self, value: &Value<'_>, index: usize, site: Site<'_>) -> Option<Step> {
        let table = value.table()?;
        let plain = self.name(&table, index);
        let many = table.given("many", Value::path);
        let each = table.has("many");
        let mut scope = self.scope.with_lookups(&self.lookups);
        if each {
            scope = scope.with(&[Root::Parent, Root::Index]);
        }
        let when = table.given("when", |value| value.condition(&scope));
        let on_error = table.given("on_error", |value| value.word(ON_ERROR, &[]));
        one_action(&table, &plain);
        let keep = table.take("keep").map(|value| value.condition(&scope).map(Action::Keep));
        let shaped = table.take("transform").map(|value| transform(&value, &scope).map(Action::Transform));
        let name = format!("{}{plain}", self.prefix);
        let lookup = table.take("lookup").map(|value| {
            let lookup = lookup::decode(&value, &plain, &scope, site, each);
            // A name is known even where something else about it is wrong.
            if !each && value.is_table() && !self.lookups.contains(&plain) && !value.table_has(&["merge"]) {
                self.lookups.push(plain.clone());
            }
            lookup.map(|lookup| Action::Lookup(Box::new(lookup)))
        });
        let route = self.route(&table, &name, &scope, site);
        let written = table.take("import").map(|value| writes(&value, &name, &scope, site));
        table.finish();
        Some(Step {
            name,
            when: when.ok()?,
            on_error: on_error.ok()?.unwrap_or_default(),
            many: many.ok()?,
            action: keep.or(shaped).or(lookup).or(written).or(route)??,
        })
    }

    /// The step's name, or its position.
    fn name(&mut self, table: &Table<'_>, index: usize) -> String {
        let given = table.take("name");
        let name = given.as_ref().and_then(Value::string).map_or_else(|| (index + 1).to_string(), str::to_owned);
        if let Some(value) = given {
            value.check_name("step", &name);
            if self.names.contains(&name) {
                value.report(Finding::error("duplicate-name", format!("another step is named `{name}` already")));
            }
        }
        self.names.push(name.clone());
        name
    }
}

/// `[step.import]`: what is said of the step stands on the step.
fn writes(value: &Value<'_>, name: &str, scope: &Scope<'_>, site: Site<'_>) -> Option<Action> {
    let table = value.table()?;
    for key in ["name", "when", "on_error", "many"] {
        if let Some(value) = table.peek(key) {
            let finding = Finding::error("unknown-key", format!("`{key}` stands on the step, not in its import"));
            value.report_key(finding.help(format!("write it above, right below `[[step]]`: `{key} = …`")));
        }
    }
    let (import, _) = import::decode(value, site.facts, site.connections, scope)?;
    Some(Action::Import(Box::new(Import { name: name.to_owned(), ..import })))
}

/// Says when a step does nothing, or two things.
fn one_action(table: &Table<'_>, name: &str) {
    let mut given: Vec<_> = ACTIONS.into_iter().filter_map(|name| Some((name, table.peek(name)?))).collect();
    given.sort_by_key(|(_, value)| value.key_at().start);
    match &given[..] {
        [] => {
            let finding = Finding::error("missing-key", format!("step `{name}` does nothing")).key(table.key());
            table.report(finding.help("give it one of `lookup`, `import`, `transform`, `keep`, `route`"));
        }
        [(first, _), (second, value), ..] => {
            let message = format!("step `{name}` does two things: `{first}` and `{second}`");
            value.report_key(Finding::error("two-methods", message).help("make it two steps"));
        }
        [_] => {}
    }
}

impl Value<'_> {
    /// Whether a name can stand in a step's path.
    fn check_name(&self, what: &str, name: &str) {
        if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            self.report(Finding::error("bad-id", format!("a {what}'s name has 1 to 100 plain characters")));
        } else if name.contains('/') {
            let finding =
                Finding::error("bad-id", format!("a {what}'s name holds no `/`: that divides steps from branches"));
            self.report(finding.help("use `-` instead"));
        }
    }
}

/// `transform`: `create` or `modify`.
pub(super) fn transform(value: &Value<'_>, scope: &Scope<'_>) -> Option<Transform> {
    let table = value.table()?;
    one_method(&table, &["create", "modify"]);
    let create = table.take("create").map(|value| value.tree(scope).map(Transform::Create));
    let modify = table.take("modify").map(|value| modify::decode(&value, scope).map(Transform::Modify));
    table.finish();
    if table.is_empty() {
        let finding = Finding::error("missing-key", format!("`{}` needs `create` or `modify`", table.key()))
            .help("`modify` changes a record, as in `modify = { drop = [\"internal\"] }`; `create` makes a new one of what is named");
        table.report(finding.key(table.key()));
    }
    if create.is_some() && modify.is_some() {
        return None;
    }
    create.or(modify)?
}
