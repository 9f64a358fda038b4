//! Rows as cells and back. What is looked up by stands in columns of its own; the rest is one JSON text, so that the
//! `sqlite3` shell shows it.

use super::fault::Fault;
use crate::store::figures::{Figures, is_over};
use crate::store::rows::{ErrorRow, ErrorState, IntentRow, Marks, PageRow, RunRow};
use crate::value::id::FlowId;
use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::Row;
use rusqlite::types::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where a page's body lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub part: u64,
    /// Where its frame begins.
    pub at: u64,
    /// Bytes of the body alone.
    pub length: u64,
}

/// Numbers that are stored are counts and sizes, far below this limit; one that is not is no stored one.
pub(super) fn int(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, self::text)
}

/// An instant for comparison.
pub(super) fn instant(at: DateTime<Utc>) -> i64 {
    at.timestamp_nanos_opt().unwrap_or(if at.timestamp() < 0 { i64::MIN } else { i64::MAX })
}

/// An occurrence for comparison.
pub(super) fn occurrence(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn json<T: Serialize>(row: &T) -> Result<Value, Fault> {
    serde_json::to_string(row).map(Value::Text).map_err(|error| Fault::Damaged(format!("a row is no JSON: {error}")))
}

fn parsed<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> Option<T> {
    serde_json::from_str(row.get_ref(index).ok()?.as_str().ok()?).ok()
}

pub(super) fn number(row: &Row<'_>, index: usize) -> Option<u64> {
    u64::try_from(row.get_ref(index).ok()?.as_i64().ok()?).ok()
}

pub(super) fn string(row: &Row<'_>, index: usize) -> Option<String> {
    row.get_ref(index).ok()?.as_str().ok().map(str::to_owned)
}

pub(super) fn run(place: u64, row: &RunRow) -> Result<Vec<Value>, Fault> {
    Ok(vec![
        int(place),
        text(&row.id),
        text(row.flow.as_str()),
        row.occurrence.map_or(Value::Null, |at| Value::Text(occurrence(at))),
        Value::Integer(is_over(row.phase).into()),
        row.ended.map_or(Value::Null, |at| Value::Integer(instant(at))),
        text(&row.meaning),
        json(row)?,
    ])
}

pub(super) fn read_run(row: &Row<'_>) -> Option<RunRow> {
    parsed(row, 7)
}

pub(super) fn page(run: &str, row: &PageRow, place: Option<Place>) -> Vec<Value> {
    let place = |part: fn(Place) -> u64| place.map_or(Value::Null, |place| int(part(place)));
    vec![
        text(run),
        int(row.number),
        int(row.marks.len().into()),
        Value::Blob(row.marks.bits().to_vec()),
        text(&row.cursor),
        text(&row.head),
        int(row.crashes.into()),
        Value::Integer(row.started.into()),
        place(|place| place.part),
        place(|place| place.at),
        place(|place| place.length),
    ]
}

pub(super) fn read_page(row: &Row<'_>) -> Option<(PageRow, Option<Place>)> {
    let records = u32::try_from(number(row, 2)?).ok()?;
    let place = read_place(row);
    let page = PageRow {
        number: number(row, 1)?,
        marks: Marks::from_bits(records, row.get_ref(3).ok()?.as_blob().ok()?)?,
        cursor: string(row, 4)?,
        head: string(row, 5)?,
        has_body: place.is_some(),
        crashes: u32::try_from(number(row, 6)?).ok()?,
        started: number(row, 7)? != 0,
    };
    Some((page, place))
}

fn read_place(row: &Row<'_>) -> Option<Place> {
    Some(Place { part: number(row, 8)?, at: number(row, 9)?, length: number(row, 10)? })
}

/// What was intended of one page at once: position, hash and key of each record.
pub(super) fn intents(run: &str, page: u64, at: u64, rows: &[IntentRow]) -> Result<Vec<Value>, Fault> {
    let records: Vec<_> = rows.iter().map(|row| (row.record, row.hash, row.key.as_deref())).collect();
    Ok(vec![text(run), int(page), int(at), json(&records)?])
}

pub(super) fn read_intents(row: &Row<'_>) -> Option<Vec<IntentRow>> {
    let page = number(row, 1)?;
    let records: Vec<(u32, u64, Option<String>)> = parsed(row, 3)?;
    Some(records.into_iter().map(|(record, hash, key)| IntentRow { page, record, hash, key }).collect())
}

pub(super) fn error(row: &ErrorRow) -> Result<Vec<Value>, Fault> {
    Ok(vec![
        int(row.id),
        text(row.flow.as_str()),
        text(&row.run),
        Value::Integer((row.state == ErrorState::Open).into()),
        optional(row.trace_key.as_deref()),
        Value::Integer(instant(row.opened)),
        row.next_retry.map_or(Value::Null, |at| Value::Integer(instant(at))),
        json(row)?,
    ])
}

pub(super) fn read_error(row: &Row<'_>) -> Option<ErrorRow> {
    parsed(row, 7)
}

pub(super) fn figures(flow: &FlowId, figures: &Figures) -> Result<Vec<Value>, Fault> {
    Ok(vec![text(flow.as_str()), json(figures)?])
}

pub(super) fn read_figures(row: &Row<'_>) -> Option<(FlowId, Figures)> {
    Some((FlowId::parse(row.get_ref(0).ok()?.as_str().ok()?).ok()?, parsed(row, 1)?))
}

/// What the store keeps about itself, in one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Book {
    /// Groups of batches written so far.
    pub applied: u64,
    /// Last id given to an error record.
    pub last_error: u64,
    /// Version of the tables.
    pub schema: u64,
}

pub(super) fn book(book: Book) -> Vec<Value> {
    vec![int(1), int(book.applied), int(book.last_error), int(book.schema)]
}

pub(super) fn read_book(row: &Row<'_>) -> Option<Book> {
    Some(Book { applied: number(row, 1)?, last_error: number(row, 2)?, schema: number(row, 3)? })
}
