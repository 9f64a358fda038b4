//! `route` and its `[[step.branch]]`: steps inside steps, of bounded depth.

use super::{Line, MOST_DEPTH, Site};
use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::model::step::{Action, Branch, Route};

/// Whether every branch that fits takes a copy.
const ROUTES: &[(&str, bool)] = &[("first", false), ("all", true)];

/// What the branches of one route have.
#[derive(Default)]
struct Inside {
    names: Vec<String>,
    /// Lookups whose answers are there after one of them.
    lookups: Vec<String>,
}

impl Line<'_> {
    /// A route; `name` is its step's whole name. None where the step is no route, and inside where it is wrong.
    #[expect(clippy::option_option, reason = "as the other actions of a step are given")]
    pub(super) fn route(
        &mut self,
        step: &Table<'_>,
        name: &str,
        scope: &Scope<'_>,
        site: Site<'_>,
    ) -> Option<Option<Action>> {
        let word = step.take("route");
        let given = step.take("branch");
        let Some(word) = word else {
            if let Some(value) = given {
                let finding =
                    Finding::error("missing-key", "branches need `route`, which says how many of them take a record");
                value.report_key(finding.help("add `route = \"first\"` or `route = \"all\"` to the step"));
            }
            return None;
        };
        let all = word.word(ROUTES, &[]);
        let Some(given) = given else {
            step.missing("branch", Some("add a `[[step.branch]]` with `name`, `when` and steps of its own".to_owned()));
            return Some(None);
        };
        if self.depth >= MOST_DEPTH {
            let message = format!("routes stand inside routes more than {MOST_DEPTH} deep");
            given.report_key(Finding::error("too-deep", message));
            return Some(None);
        }
        Some(
            self.branches(&given, name, all == Some(true), scope, site)
                .and_then(|branches| Some(Action::Route(Route { all: all?, branches }))),
        )
    }

    fn branches(
        &mut self,
        value: &Value<'_>,
        name: &str,
        all: bool,
        scope: &Scope<'_>,
        site: Site<'_>,
    ) -> Option<Vec<Branch>> {
        if value.is_table() {
            let finding = Finding::error("wrong-type", "branches are a list");
            value.report_key(finding.help("write `[[step.branch]]` with two brackets"));
            return None;
        }
        let items = value.list()?;
        if items.is_empty() {
            value.report(Finding::error("missing-key", format!("route `{name}` has no branch")));
        }
        let mut inside = Inside::default();
        let mut found = Vec::new();
        let mut caught = None;
        for (index, item) in items.iter().enumerate() {
            if let Some(before) = caught.as_ref().filter(|_| !all) {
                let message = format!("no record comes here: branch `{before}` has no `when` and takes all of them");
                item.report(Finding::error("unreachable-branch", message).help("put it last, or give it a `when`"));
            }
            let (branch, plain) = self.branch(item, index, name, &mut inside, scope, site);
            if caught.is_none() && !item.table_has(&["when"]) {
                caught = Some(plain);
            }
            found.push(branch);
        }
        // After `all` a record goes on as it was: what its copies looked up is not there.
        if !all {
            self.lookups.extend(inside.lookups);
        }
        found.into_iter().collect()
    }

    fn branch(
        &mut self,
        value: &Value<'_>,
        index: usize,
        route: &str,
        inside: &mut Inside,
        scope: &Scope<'_>,
        site: Site<'_>,
    ) -> (Option<Branch>, String) {
        let Some(table) = value.table() else { return (None, String::new()) };
        let given = table.take("name");
        let name = given.as_ref().and_then(Value::string).map_or_else(|| (index + 1).to_string(), str::to_owned);
        if let Some(value) = given {
            value.check_name("branch", &name);
            if inside.names.contains(&name) {
                value.report(Finding::error("duplicate-name", format!("another branch is named `{name}` already")));
            }
        }
        inside.names.push(name.clone());
        let when = table.given("when", |value| value.condition(scope));
        let end = table.given("end", Value::boolean);
        let mut inner = Line {
            scope: scope.clone(),
            prefix: format!("{route}/{name}/"),
            depth: self.depth + 1,
            names: Vec::new(),
            lookups: self.lookups.clone(),
        };
        let steps = table.given("step", |value| inner.steps(value, site));
        table.finish();
        inside.lookups.extend(inner.lookups.into_iter().skip(self.lookups.len()));
        let branch = || {
            Some(Branch { when: when.ok()?, end: end.ok()?.unwrap_or(false), steps: steps.ok()?.unwrap_or_default() })
        };
        (branch(), name)
    }
}
