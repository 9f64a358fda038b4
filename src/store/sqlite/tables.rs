//! The rules' tables over one transaction.

use super::code::{self, Book, Place, instant, occurrence};
use super::fault::Fault;
use super::row::{ERRORS, FIGURES, INTENTS, PAGES, RUNS, Table, VALUES};
use super::segments::Segments;
use crate::store::figures::Figures;
use crate::store::rows::{ErrorRow, IntentRow, PageRow, RunRow, Space};
use crate::store::tables::{Body, Tables};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, Params, Row};

/// A transaction under way.
pub(super) struct Transaction<'a> {
    pub connection: &'a Connection,
    pub segments: &'a mut Segments,
    pub book: &'a mut Book,
    /// The run that was asked for last: most writes of a batch are about one.
    pub run: Option<RunRow>,
}

/// All rows that meet a condition, each checked against its checksum.
pub(super) fn select<T>(
    connection: &Connection,
    table: &Table,
    condition: &str,
    with: impl Params,
    mut decode: impl FnMut(&Row<'_>) -> Option<T>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    each(connection, table, condition, with, |row| {
        found.push(table.read(row, &mut decode)?);
        Ok(true)
    })?;
    Ok(found)
}

/// Walks over rows that meet a condition until told to stop.
pub(super) fn each(
    connection: &Connection,
    table: &Table,
    condition: &str,
    with: impl Params,
    mut visit: impl FnMut(&Row<'_>) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(&format!("{}{condition}", table.select))?;
    let mut rows = statement.query(with)?;
    while let Some(row) = rows.next()? {
        if !visit(row)? {
            break;
        }
    }
    Ok(())
}

/// A page and where its body lies.
pub(super) fn page(connection: &Connection, run: &str, number: u64) -> Result<Option<(PageRow, Option<Place>)>, Fault> {
    let key = (run, number.cast_signed());
    Ok(select(connection, &PAGES, "WHERE run = ?1 AND number = ?2", key, code::read_page)?.pop())
}

pub(super) fn run(connection: &Connection, id: &str) -> Result<Option<RunRow>, Fault> {
    Ok(select(connection, &RUNS, "WHERE id = ?1", [id], code::read_run)?.pop())
}

pub(super) fn error(connection: &Connection, id: u64) -> Result<Option<ErrorRow>, Fault> {
    Ok(select(connection, &ERRORS, "WHERE id = ?1", [id.cast_signed()], code::read_error)?.pop())
}

pub(super) fn value(connection: &Connection, space: Space, key: &str) -> Result<Option<String>, Fault> {
    let with = (space.name(), key);
    Ok(select(connection, &VALUES, "WHERE space = ?1 AND key = ?2", with, |row| code::string(row, 2))?.pop())
}

impl Transaction<'_> {
    fn execute(&self, sql: &str, with: impl Params) -> Result<usize, Fault> {
        Ok(self.connection.prepare_cached(sql)?.execute(with)?)
    }

    /// One column that needs no check: what it leads to is checked.
    fn list<T: rusqlite::types::FromSql>(&self, sql: &str, with: impl Params) -> Result<Vec<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_map(with, |row| row.get(0))?.collect::<Result<_, _>>();
        Ok(found?)
    }

    fn ids(&self, sql: &str, with: impl Params) -> Result<Vec<u64>, Fault> {
        Ok(self.list::<i64>(sql, with)?.into_iter().map(i64::cast_unsigned).collect())
    }
}

impl Tables for Transaction<'_> {
    type Fault = Fault;

    fn run(&mut self, id: &str) -> Result<Option<RunRow>, Fault> {
        if self.run.as_ref().is_none_or(|run| run.id != id) {
            self.run = run(self.connection, id)?;
        }
        Ok(self.run.clone())
    }
    fn put_run(&mut self, row: &RunRow) -> Result<(), Fault> {
        let known = "SELECT place, id, flow, occurrence, over, ended, meaning FROM runs WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(known)?;
        let mut rows = statement.query([&row.id])?;
        let there = match rows.next()? {
            Some(found) => Some((0..7).map(|at| found.get(at)).collect::<Result<Vec<Value>, _>>()?),
            None => None,
        };
        let place = match there.as_ref().and_then(|there| there.first()) {
            Some(Value::Integer(place)) => place.cast_unsigned(),
            _ => self.ids("SELECT coalesce(max(place), 0) + 1 FROM runs", [])?.pop().unwrap_or(1),
        };
        let cells = code::run(place, row)?;
        self.run = Some(row.clone());
        if there.is_some_and(|there| cells.starts_with(&there)) {
            // Most often only its figures change.
            return RUNS.amend(self.connection, cells);
        }
        RUNS.put(self.connection, cells)
    }
    fn drop_run(&mut self, id: &str) -> Result<(), Fault> {
        self.run = None;
        self.execute("DELETE FROM runs WHERE id = ?1", [id])?;
        Ok(())
    }
    fn run_of(&mut self, flow: &FlowId, at: DateTime<Utc>) -> Result<Option<String>, Fault> {
        let sql = "SELECT id FROM runs WHERE flow = ?1 AND occurrence = ?2 ORDER BY place LIMIT 1";
        Ok(self.list(sql, (flow.as_str(), occurrence(at)))?.pop())
    }
    fn runs_of(&mut self, flow: &FlowId) -> Result<Vec<RunRow>, Fault> {
        select(self.connection, &RUNS, "WHERE flow = ?1 ORDER BY place", [flow.as_str()], code::read_run)
    }
    fn runs_over_before(&mut self, at: DateTime<Utc>) -> Result<Vec<RunRow>, Fault> {
        let condition = "WHERE over = 1 AND ended < ?1 ORDER BY place";
        select(self.connection, &RUNS, condition, [instant(at)], code::read_run)
    }
    fn unused_meanings(&mut self) -> Result<Vec<String>, Fault> {
        let sql = "SELECT key FROM vals WHERE space = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE meaning = key)";
        self.list(sql, [Space::Meaning.name()])
    }

    fn page(&mut self, run: &str, number: u64) -> Result<Option<PageRow>, Fault> {
        Ok(page(self.connection, run, number)?.map(|(page, _)| page))
    }
    fn pages(&mut self, run: &str) -> Result<Vec<PageRow>, Fault> {
        let read = |row: &Row<'_>| code::read_page(row).map(|(page, _)| page);
        select(self.connection, &PAGES, "WHERE run = ?1 ORDER BY number", [run], read)
    }
    fn put_page(&mut self, run: &str, row: &PageRow, body: Body) -> Result<(), Fault> {
        let there = page(self.connection, run, row.number)?.and_then(|(_, place)| place);
        let place = match body {
            Body::Keep => there,
            Body::Drop | Body::New(_) => {
                if let Some(there) = there {
                    self.segments.drop(there);
                }
                match body {
                    Body::New(body) => Some(self.segments.append(run, row.number, &body)?),
                    Body::Keep | Body::Drop => None,
                }
            }
        };
        PAGES.put(self.connection, code::page(run, row, place))
    }
    fn drop_page(&mut self, run: &str, number: u64) -> Result<(), Fault> {
        if let Some((_, Some(place))) = page(self.connection, run, number)? {
            self.segments.drop(place);
        }
        self.execute("DELETE FROM pages WHERE run = ?1 AND number = ?2", (run, number.cast_signed()))?;
        Ok(())
    }

    fn put_intents(&mut self, run: &str, page: u64, rows: &[IntentRow]) -> Result<(), Fault> {
        let last = "SELECT coalesce(max(at), 0) + 1 FROM intents WHERE run = ?1 AND page = ?2";
        let at = self.ids(last, (run, page.cast_signed()))?.pop().unwrap_or(1);
        INTENTS.put(self.connection, code::intents(run, page, at, rows)?)
    }
    fn drop_intents(&mut self, run: &str, page: Option<u64>) -> Result<(), Fault> {
        match page {
            Some(page) => {
                self.execute("DELETE FROM intents WHERE run = ?1 AND page = ?2", (run, page.cast_signed()))?;
            }
            None => {
                self.execute("DELETE FROM intents WHERE run = ?1", [run])?;
            }
        }
        Ok(())
    }

    fn error(&mut self, id: u64) -> Result<Option<ErrorRow>, Fault> {
        error(self.connection, id)
    }
    fn next_error(&mut self) -> Result<u64, Fault> {
        self.book.last_error += 1;
        Ok(self.book.last_error)
    }
    fn put_error(&mut self, row: &ErrorRow) -> Result<(), Fault> {
        ERRORS.put(self.connection, code::error(row)?)
    }
    fn drop_error(&mut self, id: u64) -> Result<(), Fault> {
        self.execute("DELETE FROM errors WHERE id = ?1", [id.cast_signed()])?;
        Ok(())
    }
    fn errors_of(&mut self, flow: &FlowId) -> Result<Vec<u64>, Fault> {
        self.ids("SELECT id FROM errors WHERE flow = ?1 ORDER BY id", [flow.as_str()])
    }
    fn errors_opened_before(&mut self, at: DateTime<Utc>) -> Result<Vec<u64>, Fault> {
        self.ids("SELECT id FROM errors WHERE opened < ?1 ORDER BY id", [instant(at)])
    }
    fn open_errors_traced(&mut self, flow: &FlowId, trace: &str) -> Result<Vec<u64>, Fault> {
        let sql = "SELECT id FROM errors WHERE open = 1 AND flow = ?1 AND trace = ?2 ORDER BY id";
        self.ids(sql, (flow.as_str(), trace))
    }
    fn has_open_errors(&mut self, run: &str) -> Result<bool, Fault> {
        Ok(!self.ids("SELECT 1 FROM errors WHERE open = 1 AND run = ?1 LIMIT 1", [run])?.is_empty())
    }

    fn value(&mut self, space: Space, key: &str) -> Result<Option<String>, Fault> {
        value(self.connection, space, key)
    }
    fn keys(&mut self, space: Space) -> Result<Vec<String>, Fault> {
        self.list("SELECT key FROM vals WHERE space = ?1 ORDER BY key", [space.name()])
    }
    fn put_value(&mut self, space: Space, key: &str, value: &str) -> Result<(), Fault> {
        VALUES.put(self.connection, vec![code::text(space.name()), code::text(key), code::text(value)])
    }
    fn drop_value(&mut self, space: Space, key: &str) -> Result<(), Fault> {
        self.execute("DELETE FROM vals WHERE space = ?1 AND key = ?2", (space.name(), key))?;
        Ok(())
    }

    fn figures(&mut self, flow: &FlowId) -> Result<Figures, Fault> {
        let found = select(self.connection, &FIGURES, "WHERE flow = ?1", [flow.as_str()], code::read_figures)?.pop();
        Ok(found.map(|(_, figures)| figures).unwrap_or_default())
    }
    fn put_figures(&mut self, flow: &FlowId, figures: &Figures) -> Result<(), Fault> {
        if *figures == Figures::default() {
            self.execute("DELETE FROM figures WHERE flow = ?1", [flow.as_str()])?;
            return Ok(());
        }
        FIGURES.put(self.connection, code::figures(flow, figures)?)
    }
}
