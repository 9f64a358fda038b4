//! `[tables]`: what one value is called elsewhere. Written out, or read from a CSV file at load.

use super::json::Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most rows of one table.
pub const MAX_ROWS: usize = 100_000;

/// The tables of a flow by name.
pub type Tables = BTreeMap<String, Table>;

/// One table. Clones share it.
#[derive(Debug, Clone)]
pub struct Table(Arc<Rows>);

#[derive(Debug)]
struct Rows {
    rows: HashMap<String, Json>,
    default: Option<Json>,
}

impl Table {
    /// From its rows; `default` stands for every key that has none.
    pub fn new(rows: impl IntoIterator<Item = (String, Json)>, default: Option<Json>) -> Self {
        Self(Arc::new(Rows { rows: rows.into_iter().collect(), default }))
    }

    /// What stands for a key: text as it is, numbers and truth values as they are written.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.rows.get(key).or(self.0.default.as_ref())
    }

    /// What stands for keys that have no row.
    pub fn default_row(&self) -> Option<&Json> {
        self.0.default.as_ref()
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.0.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.rows.is_empty()
    }
}

/// The rows of a CSV text: a header line, then one row a line; the first two columns are key and value, unless the
/// names of others are given. Repeated keys and rows that lack a column are mistakes.
pub fn rows_of_csv(
    text: &str,
    delimiter: char,
    columns: (Option<&str>, Option<&str>),
) -> Result<Vec<(String, Json)>, String> {
    let mut lines = Lines { rest: text.strip_prefix('\u{feff}').unwrap_or(text), delimiter, line: 1 };
    let header = lines.next_row()?.ok_or("the file is empty; its first line names the columns")?;
    let place = |name: Option<&str>, otherwise: usize| match name {
        None if otherwise < header.len() => Ok(otherwise),
        None => Err(format!("the first line has {} column, two are needed", header.len())),
        Some(name) => header.iter().position(|h| h == name).ok_or_else(|| format!("there is no column `{name}`")),
    };
    let (key, value) = (place(columns.0, 0)?, place(columns.1, 1)?);
    let mut rows: Vec<(String, Json)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    loop {
        let line = lines.line;
        let Some(row) = lines.next_row()? else { return Ok(rows) };
        if row.len() == 1 && row.first().is_some_and(String::is_empty) {
            continue;
        }
        let (Some(key), Some(value)) = (row.get(key), row.get(value)) else {
            return Err(format!("line {line} has {} columns, the first line {}", row.len(), header.len()));
        };
        if !seen.insert(key.clone()) {
            return Err(format!("line {line} repeats the key of an earlier line"));
        }
        if rows.len() >= MAX_ROWS {
            return Err(format!("the table has more than {MAX_ROWS} rows"));
        }
        let mut written = Vec::new();
        super::json::write_string(&mut written, value);
        rows.push((key.clone(), Json::trusted(written)));
    }
}

struct Lines<'t> {
    rest: &'t str,
    delimiter: char,
    line: usize,
}

impl Lines<'_> {
    fn next_row(&mut self) -> Result<Option<Vec<String>>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut fields = vec![String::new()];
        let (mut quoted, mut opened) = (false, self.line);
        let mut chars = self.rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            self.line += usize::from(c == '\n');
            let Some(field) = fields.last_mut() else { break };
            match c {
                '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    field.push('"');
                    chars.next();
                }
                '"' if quoted => quoted = false,
                '"' if field.is_empty() => (quoted, opened) = (true, self.line),
                c if quoted => field.push(c),
                c if c == self.delimiter => fields.push(String::new()),
                '\n' => {
                    if field.ends_with('\r') {
                        field.pop();
                    }
                    self.rest = &self.rest[at + 1..];
                    return Ok(Some(fields));
                }
                c => field.push(c),
            }
        }
        self.rest = "";
        if quoted { Err(format!("the quote opened on line {opened} is not closed")) } else { Ok(Some(fields)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let rows = rows_of_csv(text, ',', (None, None))?;
        Ok(rows.into_iter().map(|(key, value)| (key, value.text().to_owned())).collect())
    }

    #[test]
    fn quotes_line_ends_and_other_columns_are_read() {
        let rows = read("\u{feff}a,b\r\n1,\"x \"\"y\"\", z\"\r\n\r\n2,\"two\nlines\"\n3,").unwrap();
        assert_eq!(
            rows,
            [
                ("1".to_owned(), r#""x \"y\", z""#.to_owned()),
                ("2".to_owned(), r#""two\nlines""#.to_owned()),
                ("3".to_owned(), "\"\"".to_owned()),
            ]
        );
        let rows = rows_of_csv("n;code;name\n1;CA;California\n", ';', (Some("name"), Some("code"))).unwrap();
        assert_eq!((rows[0].0.as_str(), rows[0].1.text()), ("California", "\"CA\""));
    }

    #[test]
    fn mistakes_name_the_line_and_never_the_data() {
        for (text, wanted) in [
            ("", "the file is empty; its first line names the columns"),
            ("a\n1\n", "the first line has 1 column, two are needed"),
            ("a,b\n1\n", "line 2 has 1 columns, the first line 2"),
            ("a,b\n1,2\n1,3\n", "line 3 repeats the key of an earlier line"),
            ("a,b\n1,\"2\n", "the quote opened on line 2 is not closed"),
        ] {
            assert_eq!(read(text).unwrap_err(), wanted, "{text:?}");
        }
        assert!(rows_of_csv("a,b\n", ',', (Some("c"), None)).unwrap_err().contains("no column `c`"));
        let many: Vec<String> = (0..=MAX_ROWS).map(|n| format!("{n},x\n")).collect();
        let many = many.concat();
        assert!(read(&format!("a,b\n{many}")).unwrap_err().contains("more than"));
    }

    #[test]
    fn a_default_stands_for_every_other_key() {
        let one = || [("California".to_owned(), Json::trusted("\"CA\""))];
        let table = Table::new(one(), Some(Json::trusted("\"??\"")));
        assert_eq!(table.get("California").map(Json::text), Some("\"CA\""));
        assert_eq!(table.get("x").map(Json::text), Some("\"??\""));
        assert!(Table::new(one(), None).get("x").is_none());
        assert_eq!((table.len(), table.is_empty()), (1, false));
    }
}
