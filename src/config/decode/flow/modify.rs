//! `transform.modify`

use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::value::modify::{Case, Modify, Rename, Route};

/// Most lines of `drop`, `rename` and `set` together.
const MOST: usize = 1_000;

pub(super) fn decode(value: &Value<'_>, scope: &Scope<'_>) -> Option<Modify> {
    let table = value.table()?;
    let lift = table.given("lift", lifts);
    let flatten = table.given("flatten", separator);
    let case = table.given("rename_case", |value| value.word(Case::WORDS, &[]));
    let rename = table.given("rename", renames);
    let drop = table.given("drop", |value| value.one_or_many().iter().map(Value::route).collect());
    let set = table.given("set", |value| value.set(scope));
    table.finish();
    if table.is_empty() {
        nothing(&table);
        return None;
    }
    let modify = Modify {
        lift: lift.ok()?.unwrap_or_default(),
        flatten: match flatten.ok()?.unwrap_or(Flatten::No) {
            Flatten::No => None,
            Flatten::By(between) => Some(between),
        },
        case: case.ok()?,
        rename: rename.ok()?.unwrap_or_default(),
        drop: drop.ok()?.unwrap_or_default(),
        set: set.ok()?.unwrap_or_default(),
    };
    if modify.lift.len() + modify.rename.len() + modify.drop.len() + modify.set.len() > MOST {
        value.report_key(Finding::error("too-large", format!("a `modify` has at most {MOST} lines")));
        return None;
    }
    Some(modify)
}

fn nothing(table: &Table<'_>) {
    let finding = Finding::error("missing-key", format!("`{}` changes nothing", table.key())).key(table.key());
    table.report(finding.help("give it one of `set`, `drop`, `rename`, `rename_case`, `lift`, `flatten`"));
}

/// Objects whose members move to the top: plain paths.
fn lifts(value: &Value<'_>) -> Option<Vec<Route>> {
    let routes: Vec<_> = value.one_or_many().iter().map(|one| one.route().map(|route| (one.clone(), route))).collect();
    let routes: Vec<(Value<'_>, Route)> = routes.into_iter().collect::<Option<_>>()?;
    let mut plain = true;
    for (one, route) in &routes {
        if route.plain().is_none() {
            plain = false;
            let finding = Finding::error("bad-path", "what is lifted is one object: its path has names only");
            one.report(finding.help("write `attributes` or `data.attributes`"));
        }
    }
    plain.then(|| routes.into_iter().map(|(_, route)| route).collect())
}

/// `flatten`
enum Flatten {
    /// `false`
    No,
    /// What joins the names.
    By(String),
}

/// `true`, or what joins the names.
fn separator(value: &Value<'_>) -> Option<Flatten> {
    let text = match value.raw_str() {
        Some(text) => text,
        None if value.is_table() => {
            let table = value.table()?;
            let text = table.need("separator").and_then(|value| value.string());
            table.finish();
            text?
        }
        None => return value.boolean().map(|yes| if yes { Flatten::By("_".to_owned()) } else { Flatten::No }),
    };
    if text.is_empty() || text.len() > 10 || text.chars().any(char::is_control) {
        let finding = Finding::error("out-of-range", "what joins names has 1 to 10 plain characters");
        value.report(finding.help("write `flatten = true` for `a_b`, `flatten = \".\"` for `a.b`"));
        return None;
    }
    Some(Flatten::By(text.to_owned()))
}

fn renames(value: &Value<'_>) -> Option<Vec<Rename>> {
    let mut lines: Vec<Rename> = Vec::new();
    let mut whole = true;
    for (old, value) in value.table()?.members() {
        let Some(new) = value.string() else {
            whole = false;
            continue;
        };
        match Rename::compile(old, new) {
            Ok(line) => {
                if let Some(other) = lines.iter().find(|other| other.collides(&line)) {
                    let message = format!("`{}` and `{old}` would bear one name", other.old());
                    value.report(Finding::error("duplicate-name", message).help("give each a name of its own"));
                    whole = false;
                }
                lines.push(line);
            }
            Err(side) => {
                whole = false;
                match side {
                    Ok(left) => left.into_iter().for_each(|issue| {
                        value.report_key(Finding::error("bad-path", issue.message).help_if(issue.help));
                    }),
                    Err(right) => value.report_issues("bad-path", 0, right),
                }
            }
        }
    }
    whole.then_some(lines)
}

impl Value<'_> {
    fn route(&self) -> Option<Route> {
        let text = self.string()?;
        Route::compile(text).map_err(|issues| self.report_issues("bad-path", 0, issues)).ok()
    }
}
