//! Answers to readers. Every row is checked against its checksum as it is read.

use super::code;
use super::fault::Fault;
use super::row::{ERRORS, FIGURES, INTENTS, PAGES, RUNS, VALUES};
use super::segments;
use super::tables::{each, page, select};
use crate::store::api::{ErrorFilter, RunFilter};
use crate::store::figures::is_over;
use crate::store::rows::{ErrorRow, FlowTally, IntentRow, PageRow, RunRow, Space};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Conditions that narrow what is walked over; what they cannot say is asked of each row.
#[derive(Default)]
struct Narrow {
    tests: Vec<&'static str>,
    with: Vec<Value>,
}

impl Narrow {
    fn by(&mut self, test: &'static str, with: Option<Value>) {
        self.tests.push(test);
        self.with.extend(with);
    }

    fn condition(&self, order: &str) -> String {
        if self.tests.is_empty() { order.to_owned() } else { format!("WHERE {} {order}", self.tests.join(" AND ")) }
    }
}

pub(super) fn runs(connection: &Connection, filter: &RunFilter) -> Result<Vec<RunRow>, Fault> {
    let mut narrow = Narrow::default();
    if let Some(flow) = &filter.flow {
        narrow.by("flow = ?", Some(code::text(flow.as_str())));
    }
    if !filter.phases.is_empty() && !filter.phases.iter().any(|phase| is_over(*phase)) {
        narrow.by("over = 0", None);
    }
    let most = filter.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut found = Vec::new();
    each(connection, &RUNS, &narrow.condition("ORDER BY place DESC"), params_from_iter(&narrow.with), |row| {
        if found.len() >= most {
            return Ok(false);
        }
        found.extend(Some(RUNS.read(row, code::read_run)?).filter(|row| filter.matches(row)));
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn errors(connection: &Connection, filter: &ErrorFilter) -> Result<Vec<ErrorRow>, Fault> {
    let mut narrow = Narrow::default();
    if let Some(flow) = &filter.flow {
        narrow.by("flow = ?", Some(code::text(flow.as_str())));
    }
    if let Some(run) = &filter.run {
        narrow.by("run = ?", Some(code::text(run)));
    }
    if filter.open_only {
        narrow.by("open = 1", None);
    }
    if let Some(due) = filter.due_by {
        narrow.by("next_retry <= ?", Some(Value::Integer(code::instant(due))));
    }
    if let Some(before) = filter.before {
        narrow.by("opened < ?", Some(Value::Integer(code::instant(before))));
    }
    if let Some(below) = filter.below {
        narrow.by("id < ?", Some(Value::Integer(i64::try_from(below).unwrap_or(i64::MAX))));
    }
    if !filter.ids.is_empty() {
        // Numbers only: as JSON they need no parameter each.
        let ids: Vec<_> = filter.ids.iter().map(u64::to_string).collect();
        narrow.by("id IN (SELECT value FROM json_each(?))", Some(Value::Text(format!("[{}]", ids.join(",")))));
    }
    let most = filter.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut found = Vec::new();
    each(connection, &ERRORS, &narrow.condition("ORDER BY id DESC"), params_from_iter(&narrow.with), |row| {
        if found.len() >= most {
            return Ok(false);
        }
        found.extend(Some(ERRORS.read(row, code::read_error)?).filter(|row| filter.matches(row)));
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn pages(connection: &Connection, run: &str) -> Result<Vec<PageRow>, Fault> {
    let pages = select(connection, &PAGES, "WHERE run = ?1 ORDER BY number", [run], code::read_page)?;
    Ok(pages.into_iter().map(|(page, _)| page).collect())
}

/// A page may be finished, or its part go, between looking for its row and reading: the row then says so.
pub(super) fn body(connection: &Connection, dir: &Path, run: &str, number: u64) -> Result<Option<Vec<u8>>, Fault> {
    let place = |connection| Ok::<_, Fault>(page(connection, run, number)?.and_then(|(_, place)| place));
    let Some(first) = place(connection)? else { return Ok(None) };
    let failed = match segments::read(dir, run, number, first) {
        Ok(body) => return Ok(Some(body)),
        Err(fault) => fault,
    };
    match place(connection)? {
        None => Ok(None),
        Some(second) if second == first => Err(failed),
        Some(second) => segments::read(dir, run, number, second).map(Some),
    }
}

pub(super) fn intents(connection: &Connection, run: &str) -> Result<Vec<IntentRow>, Fault> {
    let windows = select(connection, &INTENTS, "WHERE run = ?1 ORDER BY page, at", [run], code::read_intents)?;
    // The last word on a record holds.
    let rows = windows.into_iter().flatten().map(|row| ((row.page, row.record), row));
    Ok(rows.collect::<BTreeMap<_, _>>().into_values().collect())
}

pub(super) fn open_traces(connection: &Connection, flow: &FlowId) -> Result<Vec<String>, Fault> {
    let sql = "SELECT DISTINCT trace FROM errors WHERE open = 1 AND flow = ?1 AND trace IS NOT NULL ORDER BY trace";
    let mut statement = connection.prepare_cached(sql)?;
    let traces = statement.query_map([flow.as_str()], |row| row.get(0))?.collect::<Result<_, _>>();
    Ok(traces?)
}

pub(super) fn tallies(connection: &Connection) -> Result<Vec<FlowTally>, Fault> {
    let sql = "SELECT flow, min(opened) FROM errors WHERE open = 1 GROUP BY flow";
    let mut statement = connection.prepare_cached(sql)?;
    let pairs = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let oldest: HashMap<String, i64> = pairs.collect::<Result<_, _>>()?;
    let figures = select(connection, &FIGURES, "ORDER BY flow", [], code::read_figures)?;
    let tally = |(flow, figures): (FlowId, crate::store::figures::Figures)| {
        let oldest: Option<DateTime<Utc>> = oldest.get(flow.as_str()).map(|at| DateTime::from_timestamp_nanos(*at));
        figures.tally(flow, oldest)
    };
    Ok(figures.into_iter().map(tally).collect())
}

pub(super) fn values(connection: &Connection, space: Space) -> Result<Vec<(String, String)>, Fault> {
    let pair = |row: &rusqlite::Row<'_>| Some((code::string(row, 1)?, code::string(row, 2)?));
    select(connection, &VALUES, "WHERE space = ?1 ORDER BY key", [space.name()], pair)
}
