//! `[tables]`: what a value is called elsewhere, written out or in a CSV file.

use crate::config::decode::file::Finding;
use crate::config::decode::source::Sources;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::value::json::Json;
use crate::value::table::{self, Table as Rows};
use std::collections::BTreeMap;

/// The tables by name; none for one that is wrong, which was reported.
pub(in crate::config) type Tables = BTreeMap<String, Option<Rows>>;

/// Most bytes of a CSV file: what is watched for changes is read up to here.
const MOST: u64 = crate::config::files::MAX_FILE;

pub(super) fn decode(root: &Table<'_>, sources: &Sources<'_>) -> Tables {
    let Some(tables) = root.take("tables").and_then(|value| value.table()) else { return Tables::new() };
    tables.members().into_iter().map(|(name, value)| (name.to_owned(), rows(&value, sources))).collect()
}

fn rows(value: &Value<'_>, sources: &Sources<'_>) -> Option<Rows> {
    let table = value.table()?;
    let (map, file) = (table.take("map"), table.take("file"));
    let columns = ["key", "value", "delimiter"].map(|name| table.take(name));
    let default = table.given("default", |value| value.json().map(|value| Json::from_value(&value)));
    let rows = match (&map, &file) {
        (Some(map), None) => {
            for column in columns.iter().flatten() {
                let finding = Finding::error("conflicting-keys", "this says something about a `file`");
                column.report_key(finding.help("rows under `map` need no columns: remove it"));
            }
            written(map)
        }
        (None, Some(file)) => {
            let [key, value, delimiter] = columns;
            from_file(file, sources, key.as_ref(), value.as_ref(), delimiter.as_ref())
        }
        (Some(_), Some(file)) => {
            let finding =
                Finding::error("two-methods", format!("`{}` has its rows twice: `map` and `file`", table.key()));
            file.report_key(finding.help("keep one of them"));
            None
        }
        (None, None) => {
            let help = "write `map = { California = \"CA\" }`, or `file = \"tables/states.csv\"`";
            table.missing("map", Some(help.to_owned()));
            None
        }
    };
    table.finish();
    Some(Rows::new(rows?, default.ok()?))
}

fn written(map: &Value<'_>) -> Option<Vec<(String, Json)>> {
    let rows = map.table()?.members();
    if rows.len() > table::MAX_ROWS {
        map.report_key(Finding::error("too-large", format!("a table has at most {} rows", table::MAX_ROWS)));
        return None;
    }
    rows.iter().map(|(key, value)| Some(((*key).to_owned(), Json::from_value(&value.json()?)))).collect()
}

fn from_file(
    file: &Value<'_>,
    sources: &Sources<'_>,
    key: Option<&Value<'_>>,
    column: Option<&Value<'_>>,
    delimiter: Option<&Value<'_>>,
) -> Option<Vec<(String, Json)>> {
    let name = file.string()?;
    let key = key.map(|value| value.string().ok_or(())).transpose();
    let column = column.map(|value| value.string().ok_or(())).transpose();
    let delimiter = delimiter.map(|value| delimiter_of(value).ok_or(())).transpose();
    let unreadable = |why: String| {
        file.report(Finding::error("bad-table", why).help("a CSV file in UTF-8: the first line names the columns"));
    };
    let bytes = sources.data(name, MOST).map_err(&unreadable).ok()?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(format!("file `{name}` is not UTF-8 text"))).ok()?;
    let rows = table::rows_of_csv(&text, delimiter.ok()?.unwrap_or(','), (key.ok()?, column.ok()?));
    rows.map_err(|why| unreadable(format!("file `{name}`: {why}"))).ok()
}

fn delimiter_of(value: &Value<'_>) -> Option<char> {
    let mut chars = value.string()?.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if !matches!(one, '"' | '\n' | '\r') => Some(one),
        _ => {
            value.report(Finding::error("bad-delimiter", "a delimiter is one character, such as `;`"));
            None
        }
    }
}
