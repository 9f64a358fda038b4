//! `[[step]]`: each does one thing to a record.

use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::{Table, one_method};
use crate::config::decode::value::Value;
use crate::model::step::{Action, Step};
use crate::value::context::Root;
use crate::value::tree::Tree;

/// The one thing a step does.
const ACTIONS: [&str; 5] = ["lookup", "import", "transform", "keep", "route"];

pub(super) fn decode(root: &Table<'_>, scope: &Scope<'_>) -> Option<Vec<Step>> {
    let Some(value) = root.take("step") else { return Some(Vec::new()) };
    if value.is_table() {
        let finding = Finding::error("wrong-type", "steps are a list");
        value.report_key(finding.help("write `[[step]]` with two brackets"));
        return None;
    }
    let scope = scope.with(&[Root::Record]);
    let items = value.list()?;
    let mut names: Vec<String> = Vec::new();
    let steps: Vec<_> = items.iter().enumerate().map(|(index, item)| step(item, index, &scope, &mut names)).collect();
    steps.into_iter().collect()
}

fn step(value: &Value<'_>, index: usize, scope: &Scope<'_>, names: &mut Vec<String>) -> Option<Step> {
    let table = value.table()?;
    let name = name(&table, index, names);
    let when = table.given("when", |value| value.condition(scope));
    let mut given: Vec<_> = ACTIONS.into_iter().filter_map(|name| Some((name, table.peek(name)?))).collect();
    given.sort_by_key(|(_, value)| value.key_at().start);
    match &given[..] {
        [] => {
            let finding = Finding::error("missing-key", format!("step `{name}` does nothing")).key(table.key());
            table.report(finding.help("give it one of `keep`, `transform`"));
        }
        [(first, _), (second, value), ..] => {
            let message = format!("step `{name}` does two things: `{first}` and `{second}`");
            value.report_key(Finding::error("two-methods", message).help("make it two steps"));
        }
        [_] => {}
    }
    let keep = table.take("keep").map(|value| value.condition(scope).map(Action::Keep));
    let create = table.take("transform").map(|value| transform(&value, scope).map(Action::Create));
    table.not_yet(&["lookup", "import", "route", "branch", "many", "on_error"]);
    table.finish();
    Some(Step { name, when: when.ok()?, action: keep.or(create)?? })
}

/// The step's name, or its position.
fn name(table: &Table<'_>, index: usize, names: &mut Vec<String>) -> String {
    let given = table.take("name");
    let name = given.as_ref().and_then(Value::string).map_or_else(|| (index + 1).to_string(), str::to_owned);
    if let Some(value) = given {
        if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            value.report(Finding::error("bad-id", "a step's name has 1 to 100 plain characters"));
        } else if names.contains(&name) {
            value.report(Finding::error("duplicate-name", format!("another step is named `{name}` already")));
        }
    }
    names.push(name.clone());
    name
}

/// `transform`: `create` so far.
pub(super) fn transform(value: &Value<'_>, scope: &Scope<'_>) -> Option<Tree> {
    let table = value.table()?;
    one_method(&table, &["create", "modify"]);
    let create = table.take("create").map(|value| value.tree(scope));
    table.not_yet(&["modify"]);
    table.finish();
    if table.is_empty() {
        table.report(Finding::error("missing-key", format!("`{}` needs `create`", table.key())).key(table.key()));
    }
    create?
}
