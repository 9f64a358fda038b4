//! Putting right what was set aside, as far as that is safe, and saying exactly what was done.
//!
//! Safe is what loses no record in silence: a body that is lost is read again, a run that misses pages ends as failed so
//! that the next one begins where the mark stands, and an error record that is lost counts as dismissed.

use super::code::{self, Book};
use super::fault::Fault;
use super::row::{ERRORS, FIGURES, RUNS};
use super::segments::Segments;
use super::tables::{Transaction, each, page, run, select};
use super::verify::{Finding, Kind, known, walk};
use crate::store::batch::Write;
use crate::store::figures::{Figures, is_over};
use crate::store::rows::{Phase, RunKind, RunRow, Tally};
use crate::store::rules;
use crate::store::tables::{Body, Stop, Tables};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

/// What ends a run that cannot be gone on with.
const CAUSE: &str = "a part of its state was damaged; its records are read again by the next run";

/// Repairs everything that is known to be damaged. The caller holds the transaction.
pub(super) fn mend(
    connection: &Connection,
    segments: &mut Segments,
    book: &mut Book,
    pages: &Path,
    at: DateTime<Utc>,
) -> Result<Vec<String>, Fault> {
    let found = known(connection)?;
    let mut told = Vec::new();
    let mut tables = Transaction { connection, segments, book, run: None };
    let mut broken = BTreeSet::new();
    for finding in &found {
        told.push(format!("found: {}", finding.text));
        match (finding.kind, &finding.run, finding.page) {
            (Kind::Body, Some(run), Some(number)) => told.extend(read_again(&mut tables, run, number)?),
            (Kind::Page | Kind::Lost, _, _) => broken.extend(touched(connection, finding)?),
            _ => {}
        }
    }
    for id in broken {
        told.extend(end(&mut tables, &id, at)?);
    }
    told.extend(stand_in(&mut tables, at)?);
    told.extend(account_for(&mut tables)?);
    sum_up(connection, pages)?;
    connection.execute("DELETE FROM damage", [])?;
    Ok(told)
}

/// The page goes on without its body, as under `durability = "checkpoint"`.
fn read_again(tables: &mut Transaction<'_>, run: &str, number: u64) -> Result<Option<String>, Fault> {
    let Some((row, Some(_))) = page(tables.connection, run, number)? else { return Ok(None) };
    tables.put_page(run, &row, Body::Drop)?;
    Ok(Some(format!("page {number} of run `{run}` will be read again: its body is dropped")))
}

/// Runs under way that may miss a page or what they intended to send.
fn touched(connection: &Connection, finding: &Finding) -> Result<Vec<String>, Fault> {
    if let Some(id) = &finding.run
        && let Some(run) = run(connection, id)?
    {
        return Ok(if is_over(run.phase) { vec![] } else { vec![run.id] });
    }
    let Some(flow) = &finding.flow else { return Ok(vec![]) };
    if finding.kind != Kind::Lost {
        return Ok(vec![]);
    }
    let live = select(connection, &RUNS, "WHERE over = 0 AND flow = ?1", [flow.as_str()], code::read_run)?;
    Ok(live.into_iter().map(|run| run.id).collect())
}

fn end(tables: &mut Transaction<'_>, id: &str, at: DateTime<Utc>) -> Result<Option<String>, Fault> {
    let Some(before) = run(tables.connection, id)? else { return Ok(None) };
    let write = Write::Phase {
        run: id.to_owned(),
        phase: Phase::Ended,
        outcome: Some("failed".to_owned()),
        cause: Some(CAUSE.to_owned()),
        at,
    };
    match rules::apply(tables, &[write]) {
        Ok(_) => {}
        Err(Stop::Fault(fault)) => return Err(fault),
        Err(Stop::Refused(refusal)) => return Err(Fault::Damaged(refusal.to_string())),
    }
    let after = run(tables.connection, id)?.map_or(0, |run| run.tally.dismissed);
    let left = after.saturating_sub(before.tally.dismissed);
    Ok(Some(format!(
        "run `{id}` of flow `{}` ended as failed: {left} records in flight count as dismissed and are read again by the next run",
        before.flow
    )))
}

/// Open error records whose run is lost get one that tells of nothing but them: what becomes of them is counted there.
fn stand_in(tables: &mut Transaction<'_>, at: DateTime<Utc>) -> Result<Vec<String>, Fault> {
    let condition = "WHERE open = 1 AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = errors.run) ORDER BY id";
    let orphans = select(tables.connection, &ERRORS, condition, [], code::read_error)?;
    let mut told = Vec::new();
    for error in orphans {
        let known = tables.run(&error.run)?;
        if known.is_none() {
            told.push(format!("run `{}` of flow `{}` stands for its open error records alone", error.run, error.flow));
        }
        let mut row = known.unwrap_or_else(|| RunRow {
            id: error.run,
            flow: error.flow,
            kind: RunKind::Export,
            trigger: "manual".to_owned(),
            occurrence: None,
            started: error.opened,
            ended: Some(at),
            phase: Phase::Ended,
            outcome: Some("failed".to_owned()),
            cause: Some(CAUSE.to_owned()),
            meaning: String::new(),
            limit: None,
            exports: Vec::new(),
            since: None,
            until: None,
            epoch: 0,
            crashes: 0,
            tally: Tally::default(),
            steps: Vec::new(),
        });
        row.tally.exported += 1;
        row.tally.failed += 1;
        tables.put_run(&row)?;
    }
    Ok(told)
}

/// Error records that runs tell of and that are gone count as dismissed.
fn account_for(tables: &mut Transaction<'_>) -> Result<Vec<String>, Fault> {
    let mut told = Vec::new();
    let runs = select(tables.connection, &RUNS, "ORDER BY place", [], code::read_run)?;
    for run in runs.into_iter().filter(|run| run.kind == RunKind::Export) {
        let sum = Figures::of_run(&run);
        let known = sum.delivered + sum.filtered + sum.dismissed + sum.in_flight;
        let expected = sum.exported.saturating_sub(known);
        let mut open = 0;
        each(tables.connection, &ERRORS, "WHERE open = 1 AND run = ?1", [&run.id], |row| {
            open += ERRORS.read(row, code::read_error)?.weight();
            Ok(true)
        })?;
        let lost = expected.saturating_sub(open);
        if lost > 0 {
            told.push(format!(
                "{lost} open error records of run `{}` of flow `{}` are lost and count as dismissed",
                run.id, run.flow
            ));
            let mut row: RunRow = run;
            row.tally.dismissed += lost;
            tables.put_run(&row)?;
        }
    }
    Ok(told)
}

/// Writes all figures anew from the rows.
pub(super) fn sum_up(connection: &Connection, pages: &Path) -> Result<(), Fault> {
    let verdict = walk(connection, pages)?;
    connection.execute("DELETE FROM figures", [])?;
    for (flow, figures) in verdict.sums.iter().filter(|(_, figures)| **figures != Figures::default()) {
        FIGURES.put(connection, code::figures(flow, figures)?)?;
    }
    Ok(())
}
