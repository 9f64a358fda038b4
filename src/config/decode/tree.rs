//! Value trees (FORMAT section 3) from TOML: tables and lists of any depth, leaf tables, `'\pick'` names.

use super::file::Finding;
use super::leaf::looks_like_path;
use super::scope::Scope;
use super::table::Table;
use super::value::Value;
use crate::config::suggest;
use crate::value::context::{Reference, Root, TABLES};
use crate::value::json::Json;
use crate::value::tree::date::{Date, Form};
use crate::value::tree::{Convert, Each, LookUp, Pick, Tree};
use toml::de::DeValue;

/// Deeper trees are refused: they could not be JSON that others accept either.
const MAX_DEPTH: usize = 64;
/// The keys that make a table a leaf.
const LEAVES: [&str; 4] = ["pick", "each", "literal", "concat"];

impl Value<'_> {
    /// A tree.
    pub(in crate::config) fn tree(&self, scope: &Scope<'_>) -> Option<Tree> {
        self.tree_at(scope, 0)
    }

    /// A tree whose leaf table may hold more keys, which the caller reads itself.
    pub(super) fn tree_without(&self, scope: &Scope<'_>, others: &[&'static str]) -> Option<Tree> {
        if self.is_table() { self.tree_table(scope, 0, others) } else { self.tree(scope) }
    }

    /// `set` of a `modify`: a tree whose tables are the way to their leaves.
    pub(in crate::config) fn set(&self, scope: &Scope<'_>) -> Option<Vec<(Vec<String>, Tree)>> {
        if let Some(leaf) = LEAVES.into_iter().find(|name| self.table_has(&[name])) {
            let message = format!("`{leaf}` makes a leaf, and `{}` is a table of members", self.key);
            let help = format!(
                "name the member first: `set = {{ member = {{ {leaf} = … }} }}`; a member that is really named `{leaf}` is written `'\\{leaf}'`"
            );
            self.report_key(Finding::error("unknown-key", message).help(help));
            return None;
        }
        let mut leaves = Vec::new();
        self.table()?;
        let whole = self.set_below(scope, &mut Vec::new(), &mut leaves);
        whole.then_some(leaves)
    }

    fn set_below(&self, scope: &Scope<'_>, place: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Tree)>) -> bool {
        let inner = self.is_table() && !self.table_has(&LEAVES) && place.len() < MAX_DEPTH;
        let members = if inner { self.table().map(|table| table.members()).unwrap_or_default() } else { Vec::new() };
        if members.is_empty() && !place.is_empty() {
            let tree = self.tree_at(scope, place.len());
            let whole = tree.is_some();
            leaves.extend(tree.map(|tree| (place.clone(), tree)));
            return whole;
        }
        let mut whole = true;
        for (name, value) in members {
            place.push(unescape(name).to_owned());
            whole &= value.set_below(scope, place, leaves);
            place.pop();
        }
        whole
    }

    /// Whether it is a table with one of these keys.
    pub(super) fn table_has(&self, names: &[&str]) -> bool {
        matches!(self.node(), DeValue::Table(table) if names.iter().any(|name| table.contains_key(*name)))
    }

    fn tree_at(&self, scope: &Scope<'_>, depth: usize) -> Option<Tree> {
        if depth > MAX_DEPTH {
            self.report(Finding::error("too-deep", format!("this tree is nested deeper than {MAX_DEPTH} levels")));
            return None;
        }
        match self.node() {
            DeValue::String(text) => self.leaf(text, scope),
            DeValue::Array(_) => {
                let items = self.list()?;
                let trees: Vec<_> = items.iter().map(|item| item.tree_at(scope, depth + 1)).collect();
                trees.into_iter().collect::<Option<Vec<_>>>().map(list)
            }
            DeValue::Table(_) => self.tree_table(scope, depth, &[]),
            _ => self.json().map(|value| Tree::Constant(Json::from_value(&value))),
        }
    }

    fn tree_table(&self, scope: &Scope<'_>, depth: usize, others: &[&'static str]) -> Option<Tree> {
        let table = self.table()?;
        let found: Vec<_> = LEAVES.into_iter().filter(|name| table.has(name)).collect();
        if let [first, second, ..] = found[..] {
            table.peek(second)?.report_key(beside(second, first));
            return None;
        }
        let Some(kind) = found.first() else { return object(&table, scope, depth) };
        let tree = match *kind {
            "pick" => pick(&table, scope, depth),
            "each" => each(&table, scope, depth),
            "literal" => table.take("literal")?.json().map(|value| Tree::Constant(Json::from_value(&value))),
            _ => concat(&table, scope, depth),
        };
        for (name, value) in table.members() {
            if !table.knows(name) && !others.contains(&name) {
                value.report_key(beside(name, kind));
            }
        }
        tree
    }

    /// The value as plain JSON, whatever its strings look like.
    pub(in crate::config) fn json(&self) -> Option<serde_json::Value> {
        self.json_at(0)
    }

    fn json_at(&self, depth: usize) -> Option<serde_json::Value> {
        if depth > MAX_DEPTH {
            self.report(Finding::error("too-deep", format!("this value is nested deeper than {MAX_DEPTH} levels")));
            return None;
        }
        let value = match self.node() {
            DeValue::String(text) => serde_json::Value::from(text.as_ref()),
            DeValue::Boolean(value) => serde_json::Value::from(*value),
            DeValue::Datetime(time) => serde_json::Value::from(time.to_string()),
            DeValue::Integer(_) => {
                let number = self.integer().and_then(|number| i64::try_from(number).ok());
                if number.is_none() {
                    self.report(Finding::error("out-of-range", "this whole number does not fit into 64 bits"));
                }
                serde_json::Value::from(number?)
            }
            DeValue::Float(number) => {
                let parsed = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
                if parsed.is_none() {
                    self.report(Finding::error("out-of-range", "JSON has no such number"));
                }
                serde_json::Value::Number(parsed?)
            }
            DeValue::Array(_) => {
                let items: Vec<_> = self.list()?.iter().map(|item| item.json_at(depth + 1)).collect();
                serde_json::Value::Array(items.into_iter().collect::<Option<_>>()?)
            }
            DeValue::Table(_) => {
                let members = self.table()?.members();
                let members: Vec<_> =
                    members.iter().map(|(name, value)| Some(((*name).to_owned(), value.json_at(depth + 1)?))).collect();
                serde_json::Value::Object(members.into_iter().collect::<Option<_>>()?)
            }
        };
        Some(value)
    }
}

fn beside(name: &str, kind: &str) -> Finding {
    let finding = Finding::error("unknown-key", format!("`{name}` cannot stand beside `{kind}`"));
    if let ("pick", Some(near)) = (kind, suggest::nearest(name, ["default", "optional", "table", "as", "date", "when"]))
    {
        return finding.help(format!("did you mean `{near}`?"));
    }
    let known = match kind {
        "pick" => "a `pick` takes `default`, `optional`, `table`, `as`, `date` and `when`",
        "each" => "an `each` takes `body`",
        _ => "it stands alone",
    };
    finding.help(format!("{known}; a field that is really named `{kind}` is written `'\\{kind}'`"))
}

fn object(table: &Table<'_>, scope: &Scope<'_>, depth: usize) -> Option<Tree> {
    let members: Vec<_> = table
        .members()
        .iter()
        .map(|(name, value)| Some((unescape(name).to_owned(), value.tree_at(scope, depth + 1)?)))
        .collect();
    let members: Vec<(String, Tree)> = members.into_iter().collect::<Option<_>>()?;
    if !members.iter().all(|(_, tree)| matches!(tree, Tree::Constant(_))) {
        return Some(Tree::Object(members));
    }
    // A table of constants is one constant: written in one go for every record.
    let mut out = vec![b'{'];
    for (index, (name, tree)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        crate::value::json::write_string(&mut out, name);
        out.push(b':');
        if let Tree::Constant(json) = tree {
            out.extend_from_slice(json.text().as_bytes());
        }
    }
    out.push(b'}');
    Some(Tree::Constant(Json::trusted(out)))
}

fn list(items: Vec<Tree>) -> Tree {
    let texts: Option<Vec<&str>> = items
        .iter()
        .map(|item| match item {
            Tree::Constant(json) => Some(json.text()),
            _ => None,
        })
        .collect();
    let whole = texts.map(|texts| Json::trusted(format!("[{}]", texts.join(","))));
    whole.map_or(Tree::List(items), Tree::Constant)
}

/// `'\pick'` is the field `pick`.
fn unescape(name: &str) -> &str {
    match name.strip_prefix('\\') {
        Some(rest) if LEAVES.contains(&rest) || rest.starts_with('\\') => rest,
        _ => name,
    }
}

fn pick(table: &Table<'_>, scope: &Scope<'_>, depth: usize) -> Option<Tree> {
    let picked = table.take("pick").and_then(|value| picked(&value, scope, depth));
    let default = table.given("default", |value| value.tree_at(scope, depth + 1));
    let optional = table.given("optional", Value::boolean);
    let convert = table.given("as", |value| value.word(CONVERSIONS, &[]));
    let when = table.given("when", |value| value.condition(scope));
    let table_of = table.given("table", |value| look_up(value, scope));
    let date = table.given("date", date);
    Some(Tree::Pick(Box::new(Pick {
        pick: picked?,
        default: default.ok()?,
        optional: optional.ok()?.unwrap_or(false),
        table: table_of.ok()?,
        convert: convert.ok()?,
        date: date.ok()?,
        when: when.ok()?,
    })))
}

/// `table`: one of the flow's.
fn look_up(value: &Value<'_>, scope: &Scope<'_>) -> Option<LookUp> {
    let name = value.string()?;
    let table = scope.look_up(name).map_err(|finding| value.report(*finding)).ok()??.clone();
    let read =
        Reference { root: TABLES.to_owned(), members: vec![name.to_owned()], at: 0..name.len(), tolerant: false };
    Some(LookUp { table, read })
}

/// `date`: `zone` is that of the value's clock, unless it is said.
fn date(value: &Value<'_>) -> Option<Date> {
    let table = value.table()?;
    let form = |value: &Value<'_>| {
        let text = value.string()?;
        Form::compile(text).map_err(|issue| value.report_issues("bad-date", 0, vec![issue])).ok()
    };
    let (parse, format) = (table.given("parse", form), table.given("format", form));
    let (zone_in, zone) = (table.given("zone_in", Value::zone), table.given("zone", Value::zone));
    table.finish();
    if table.is_empty() {
        let finding = Finding::error("missing-key", format!("`{}` says no form", table.key())).key(table.key());
        table.report(finding.help("give it `format`, such as `%Y-%m-%d`, `rfc3339`, `epoch_s` or `epoch_ms`"));
        return None;
    }
    let zone_in = zone_in.ok()?.unwrap_or(chrono_tz::Tz::UTC);
    let zone = zone.ok()?.unwrap_or(zone_in);
    Some(Date { parse: parse.ok()?, zone_in, format: format.ok()?.unwrap_or(Form::Rfc3339), zone })
}

/// What `pick` takes: a value by its look, but text without a look is a dotted path, not a constant.
fn picked(value: &Value<'_>, scope: &Scope<'_>, depth: usize) -> Option<Tree> {
    match value.raw_str() {
        Some(text) if !text.starts_with('=') && !looks_like_path(text) && !text.contains("{{") => {
            let path = value.path()?;
            value.check_path(&path, scope);
            Some(Tree::Path(path))
        }
        _ => value.tree_at(scope, depth + 1),
    }
}

const CONVERSIONS: &[(&str, Convert)] = &[
    ("string", Convert::String),
    ("number", Convert::Number),
    ("integer", Convert::Integer),
    ("boolean", Convert::Boolean),
    ("json", Convert::Json),
];

fn each(table: &Table<'_>, scope: &Scope<'_>, depth: usize) -> Option<Tree> {
    let path = table.take("each").and_then(|value| {
        let path = value.path()?;
        value.check_path(&path, scope);
        Some(path)
    });
    let inside = scope.with(&[Root::Item, Root::Parent, Root::Index]);
    let body = table.need("body").and_then(|value| value.tree_at(&inside, depth + 1));
    Some(Tree::Each(Box::new(Each { path: path?, body: body? })))
}

fn concat(table: &Table<'_>, scope: &Scope<'_>, depth: usize) -> Option<Tree> {
    let items = table.take("concat")?.list()?;
    let trees: Vec<_> = items.iter().map(|item| item.tree_at(scope, depth + 1)).collect();
    Some(Tree::Concat(trees.into_iter().collect::<Option<_>>()?))
}
