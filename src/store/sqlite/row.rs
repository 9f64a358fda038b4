//! How a row lies in a table: its columns, the version of their meaning, and a checksum over the name of the table,
//! the version and every column. Flipped bytes are found wherever they are, even where they make sense.

use super::fault::Fault;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

/// Version of the rows this program writes.
const VERSION: i64 = 1;

/// A table and its statements.
pub(super) struct Table {
    pub name: &'static str,
    /// Without version and checksum, which stand behind them.
    pub columns: &'static [&'static str],
    /// `SELECT` all columns, without a condition.
    pub select: &'static str,
    put: &'static str,
    amend: &'static str,
}

macro_rules! table {
    (@mark $column:literal) => { "?," };
    ($id:ident = $name:literal: [$first:literal $(, $key:literal)*] $(, $column:literal)*; $last:literal) => {
        pub(super) const $id: Table = Table {
            name: $name,
            columns: &[$first, $($key,)* $($column,)* $last],
            select: concat!("SELECT ", $first, ",", $($key, ",",)* $($column, ",",)* $last, ",v,sum FROM ", $name, " "),
            put: concat!("INSERT INTO ", $name, "(", $first, ",", $($key, ",",)* $($column, ",",)* $last, ",v,sum) VALUES (?,",
                $(table!(@mark $key),)* $(table!(@mark $column),)* "?,?,?) ON CONFLICT(", $first, $(",", $key,)*
                ") DO UPDATE SET ", $($column, "=excluded.", $column, ",",)* $last, "=excluded.", $last,
                ",v=excluded.v,sum=excluded.sum"),
            amend: concat!("UPDATE ", $name, " SET ", $last, "=?2,v=?3,sum=?4 WHERE ", $first, "=?1"),
        };
    };
}

// Key columns stand in brackets; what changes most often stands last.
table!(BOOK = "book": ["id"], "applied", "last_error"; "schema");
table!(RUNS = "runs": ["place"], "id", "flow", "occurrence", "over", "ended", "meaning"; "row");
table!(PAGES = "pages": ["run", "number"], "records", "marks", "cursor", "head", "crashes", "started", "part", "at"; "length");
table!(INTENTS = "intents": ["run", "page", "at"]; "records");
table!(ERRORS = "errors": ["id"], "flow", "run", "open", "trace", "opened", "next_retry"; "row");
table!(VALUES = "vals": ["space", "key"]; "value");
table!(FIGURES = "figures": ["flow"]; "row");
table!(DAMAGE = "damage": ["id"], "flow", "kind", "run", "page"; "text");

/// All, in an order in which what refers comes after what is referred to.
pub(super) const ALL: [&Table; 8] = [&BOOK, &RUNS, &PAGES, &INTENTS, &ERRORS, &VALUES, &FIGURES, &DAMAGE];

impl Table {
    /// Puts a row in the place of the one with the same key.
    pub fn put(&self, connection: &Connection, cells: Vec<Value>) -> Result<(), Fault> {
        let cells = self.signed(cells);
        connection.prepare_cached(self.put)?.execute(params_from_iter(cells))?;
        Ok(())
    }

    /// The same where one column is the key and the row that is there differs in the last one only: no index is touched.
    pub fn amend(&self, connection: &Connection, cells: Vec<Value>) -> Result<(), Fault> {
        let mut cells = self.signed(cells);
        cells.drain(1..self.columns.len() - 1);
        connection.prepare_cached(self.amend)?.execute(params_from_iter(cells))?;
        Ok(())
    }

    fn signed(&self, mut cells: Vec<Value>) -> Vec<Value> {
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.name);
        let sum = checksum(self.name, VERSION, cells.iter().map(ValueRef::from));
        cells.extend([Value::Integer(VERSION), Value::Integer(sum)]);
        cells
    }

    /// Whether a selected row is as it was written.
    pub fn is_sound(&self, row: &Row<'_>) -> Result<bool, Fault> {
        let count = self.columns.len();
        let mut cells = Vec::with_capacity(count);
        for index in 0..count {
            cells.push(row.get_ref(index)?);
        }
        Ok(match (row.get_ref(count)?, row.get_ref(count + 1)?) {
            (ValueRef::Integer(VERSION), ValueRef::Integer(sum)) => checksum(self.name, VERSION, cells) == sum,
            _ => false,
        })
    }

    /// What a sound row means; an error when it is not sound.
    pub fn read<T>(&self, row: &Row<'_>, decode: impl FnOnce(&Row<'_>) -> Option<T>) -> Result<T, Fault> {
        if self.is_sound(row)?
            && let Some(read) = decode(row)
        {
            return Ok(read);
        }
        let key = row.get_ref(0).map(shown).unwrap_or_default();
        Err(Fault::Damaged(format!("a row of `{}` ({} {key}) has a wrong checksum", self.name, self.columns[0])))
    }
}

/// A cell for people, cut short.
pub(super) fn shown(cell: ValueRef<'_>) -> String {
    match cell {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(100).collect(),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => "?".to_owned(),
    }
}

fn checksum<'a>(table: &str, version: i64, cells: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut sum = crc32fast::Hasher::new();
    let mut part = |tag: u8, bytes: &[u8]| {
        sum.update(&[tag]);
        sum.update(&(bytes.len() as u64).to_le_bytes());
        sum.update(bytes);
    };
    part(b'T', table.as_bytes());
    part(b'V', &version.to_le_bytes());
    for cell in cells {
        match cell {
            ValueRef::Null => part(b'0', &[]),
            ValueRef::Integer(number) => part(b'i', &number.to_le_bytes()),
            ValueRef::Real(number) => part(b'r', &number.to_le_bytes()),
            ValueRef::Text(text) => part(b't', text),
            ValueRef::Blob(bytes) => part(b'b', bytes),
        }
    }
    i64::from(sum.finalize())
}
