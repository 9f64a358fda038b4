//! A state as text: one JSON line a row, each with a checksum, so that it can be kept, looked into and moved.
//!
//! `{"format":1,…}` begins, `{"end":N}` ends; in between `{"kind":"run","sum":…,"row":{…}}`. What is cut off, changed or
//! of a newer format is refused whole.

use super::code::{self, Book};
use super::fault::Fault;
use super::inspect;
use super::open::{self, OpenError, look};
use super::quarantine;
use super::read;
use super::row::{ERRORS, INTENTS, PAGES, RUNS, VALUES};
use super::schema;
use super::segments::Segments;
use super::tables::{Transaction, each};
use super::{DATABASE, PAGES_DIR, files, repair};
use crate::store::rows::{ErrorRow, IntentRow, Marks, PageRow, RunRow, Space};
use crate::store::state_dir::StateDir;
use crate::store::tables::{Body, Tables};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Version of the lines.
const FORMAT: u32 = 1;
/// Longest line taken in: a body of the largest allowed size as base64.
const MOST_LINE: u64 = 1 << 30;

/// Why a state does not go out or come in.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something in it is not what was written.
    #[error("{0}; `flowgate state repair` first")]
    Damaged(String),
    /// The system said no.
    #[error("{0}")]
    System(String),
    /// There is a state already.
    #[error("the state in `{0}` is not empty: import into a new directory (`--state`)")]
    NotEmpty(String),
    /// A line is not what an export wrote.
    #[error("line {line}: {why}; nothing was imported")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

impl From<Fault> for TransferError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged(text) => Self::Damaged(text),
            other => Self::System(other.to_string()),
        }
    }
}

impl From<io::Error> for TransferError {
    fn from(error: io::Error) -> Self {
        Self::System(error.to_string())
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    what: String,
    applied: u64,
    last_error: u64,
    tokens: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    kind: &'a str,
    sum: u32,
    #[serde(borrow)]
    row: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct End {
    end: u64,
}

#[derive(Serialize, Deserialize)]
struct PageLine {
    run: String,
    number: u64,
    records: u32,
    marks: String,
    cursor: String,
    head: String,
    crashes: u32,
    started: bool,
    body: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct IntentLine {
    run: String,
    #[serde(flatten)]
    row: IntentRow,
}

#[derive(Serialize, Deserialize)]
struct ValueLine {
    space: String,
    key: String,
    value: String,
}

fn checksum(kind: &str, row: &str) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(kind.as_bytes());
    sum.update(&[0]);
    sum.update(row.as_bytes());
    sum.finalize()
}

/// Writes everything out, renewed credentials only when asked. Gives the number of rows.
pub fn export_state(dir: &Path, tokens: bool, out: &mut dyn Write) -> Result<u64, TransferError> {
    let found = inspect::check_state(dir)?;
    if let Some(first) = found.damage.first() {
        return Err(TransferError::Damaged(first.text.clone()));
    }
    let dir = dir.canonicalize()?;
    let connection = look(&dir.join(DATABASE))?;
    connection.execute_batch("BEGIN").map_err(Fault::from)?;
    let book = schema::book(&connection)?.unwrap_or(Book { applied: 0, last_error: 0, schema: schema::SCHEMA });
    let what = "flowgate state".to_owned();
    let head = Head { format: FORMAT, what, applied: book.applied, last_error: book.last_error, tokens };
    writeln!(out, "{}", json(&head)?)?;
    let mut lines = Lines { out, count: 0 };
    walk_runs(&connection, &dir.join(PAGES_DIR), &mut lines)?;
    each_row(&connection, &ERRORS, "ORDER BY id", code::read_error, |row| lines.write("error", &row))?;
    let value = |row: &rusqlite::Row<'_>| {
        Some(ValueLine { space: code::string(row, 0)?, key: code::string(row, 1)?, value: code::string(row, 2)? })
    };
    each_row(&connection, &VALUES, "ORDER BY space, key", value, |row| {
        if row.space == Space::Token.name() && !tokens { Ok(()) } else { lines.write("value", &row) }
    })?;
    let count = lines.count;
    writeln!(out, "{}", json(&End { end: count })?)?;
    out.flush()?;
    Ok(count)
}

struct Lines<'a> {
    out: &'a mut dyn Write,
    count: u64,
}

impl Lines<'_> {
    fn write<T: Serialize>(&mut self, kind: &str, row: &T) -> Result<(), TransferError> {
        let row = serde_json::value::to_raw_value(row).map_err(io::Error::from)?;
        let line = Line { kind, sum: checksum(kind, row.get()), row: &row };
        writeln!(self.out, "{}", json(&line)?)?;
        self.count += 1;
        Ok(())
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, TransferError> {
    Ok(serde_json::to_string(value).map_err(io::Error::from)?)
}

fn each_row<T>(
    connection: &Connection,
    table: &'static super::row::Table,
    condition: &str,
    decode: impl Fn(&rusqlite::Row<'_>) -> Option<T>,
    mut take: impl FnMut(T) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let mut failed = None;
    each(connection, table, condition, [], |row| {
        let row = table.read(row, &decode)?;
        failed = take(row).err();
        Ok(failed.is_none())
    })?;
    failed.map_or(Ok(()), Err)
}

/// A run, and behind it what is left of it.
fn walk_runs(connection: &Connection, pages: &Path, lines: &mut Lines<'_>) -> Result<(), TransferError> {
    each_row(connection, &RUNS, "ORDER BY place", code::read_run, |row| lines.write("run", &row))?;
    let page = |row: &rusqlite::Row<'_>| Some((code::string(row, 0)?, code::read_page(row)?.0));
    each_row(connection, &PAGES, "ORDER BY run, number", page, |(run, row)| {
        let body = if row.has_body { read::body(connection, pages, &run, row.number)? } else { None };
        lines.write(
            "page",
            &PageLine {
                run,
                number: row.number,
                records: row.marks.len(),
                marks: STANDARD.encode(row.marks.bits()),
                cursor: row.cursor,
                head: row.head,
                crashes: row.crashes,
                started: row.started,
                body: body.map(|body| STANDARD.encode(body)),
            },
        )
    })?;
    let intents = |row: &rusqlite::Row<'_>| Some((code::string(row, 0)?, code::read_intents(row)?));
    each_row(connection, &INTENTS, "ORDER BY run, page, at", intents, |(run, rows)| {
        rows.into_iter().try_for_each(|row| lines.write("intent", &IntentLine { run: run.clone(), row }))
    })
}

/// Takes an export in, whole or not at all. Gives the number of rows.
pub fn import_state(state: &StateDir, input: &mut dyn BufRead) -> Result<u64, TransferError> {
    let dir = state.path().canonicalize()?;
    let (path, pages) = (dir.join(DATABASE), dir.join(PAGES_DIR));
    let (mut connection, mut book, _) = open::take(&dir, &path)?;
    let rows: i64 = connection
        .query_row(
            "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM errors) + (SELECT count(*) FROM vals)",
            [],
            |row| row.get(0),
        )
        .map_err(Fault::from)?;
    if rows > 0 {
        return Err(TransferError::NotEmpty(dir.display().to_string()));
    }
    let live = open::parts(&connection)?;
    let mut segments = Segments::open(Arc::new(files::Disk), pages.clone(), &live)?;
    let transaction = connection.transaction().map_err(Fault::from)?;
    let mut tables = Transaction { connection: &transaction, segments: &mut segments, book: &mut book, run: None };
    let (head, count) = take_lines(&mut tables, input)?;
    book.last_error = head.last_error;
    book.applied += 1;
    repair::sum_up(&transaction, &pages)?;
    quarantine::write(&transaction, book)?;
    segments.sync()?;
    transaction.commit().map_err(Fault::from)?;
    segments.settle();
    Ok(count)
}

fn take_lines(tables: &mut Transaction<'_>, input: &mut dyn BufRead) -> Result<(Head, u64), TransferError> {
    let (mut line, mut number, mut count) = (String::new(), 0, 0);
    let mut head = None;
    loop {
        line.clear();
        number += 1;
        let bad = |why: String| TransferError::Line { line: number, why };
        let read = input.take(MOST_LINE).read_line(&mut line).map_err(|error| bad(error.to_string()))?;
        if read == 0 {
            return Err(bad("the export ends before its last line".to_owned()));
        }
        let text = line.trim_end();
        let Some(head) = &head else {
            let first: Head = serde_json::from_str(text).map_err(|error| bad(format!("no export: {error}")))?;
            if first.format != FORMAT {
                return Err(bad(format!("format {} is not known here, only {FORMAT}", first.format)));
            }
            head = Some(first);
            continue;
        };
        if let Ok(end) = serde_json::from_str::<End>(text) {
            if end.end != count {
                return Err(bad(format!("{count} rows came, and {} were written", end.end)));
            }
            let Head { format, what, applied, last_error, tokens } = head;
            return Ok((
                Head {
                    format: *format,
                    what: what.clone(),
                    applied: *applied,
                    last_error: *last_error,
                    tokens: *tokens,
                },
                count,
            ));
        }
        take_line(tables, text).map_err(|why| bad(why.to_string()))?;
        count += 1;
    }
}

fn take_line(tables: &mut Transaction<'_>, text: &str) -> Result<(), Fault> {
    let wrong = |why: &str| Fault::Damaged(why.to_owned());
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
    let row = line.row.get();
    if checksum(line.kind, row) != line.sum {
        return Err(wrong("its checksum is wrong"));
    }
    let unclear = |error: serde_json::Error| Fault::Damaged(error.to_string());
    match line.kind {
        "run" => tables.put_run(&serde_json::from_str::<RunRow>(row).map_err(unclear)?),
        "error" => tables.put_error(&serde_json::from_str::<ErrorRow>(row).map_err(unclear)?),
        "intent" => {
            let line: IntentLine = serde_json::from_str(row).map_err(unclear)?;
            tables.put_intents(&line.run, line.row.page, std::slice::from_ref(&line.row))
        }
        "value" => {
            let line: ValueLine = serde_json::from_str(row).map_err(unclear)?;
            let space = Space::named(&line.space).ok_or_else(|| wrong("there is no such space"))?;
            tables.put_value(space, &line.key, &line.value)
        }
        "page" => take_page(tables, serde_json::from_str(row).map_err(unclear)?),
        other => Err(wrong(&format!("there are no rows of kind `{other}`"))),
    }
}

fn take_page(tables: &mut Transaction<'_>, line: PageLine) -> Result<(), Fault> {
    let bytes = |text: &str| STANDARD.decode(text).map_err(|error| Fault::Damaged(error.to_string()));
    let marks = Marks::from_bits(line.records, &bytes(&line.marks)?);
    let marks = marks.ok_or_else(|| Fault::Damaged("its marks do not fit its records".to_owned()))?;
    let body = line.body.as_deref().map(bytes).transpose()?;
    let row = PageRow {
        number: line.number,
        marks,
        cursor: line.cursor,
        head: line.head,
        has_body: body.is_some(),
        crashes: line.crashes,
        started: line.started,
    };
    tables.put_page(&line.run, &row, body.map_or(Body::Drop, |body| Body::New(body.into())))
}
