//! A database that is no whole one any more: it is set aside as it is, and every row that can still be read and is
//! sound moves into a new one. Nothing is taken from the damaged file itself but through a copy.

use super::DATABASE;
use super::code;
use super::fault::Fault;
use super::files::{Disk, Files, create_private, open_plain};
use super::row::{ALL, INTENTS, PAGES, RUNS, Table};
use super::schema::{self, For, SCHEMA};
use super::verify::{Finding, Kind};
use crate::store::figures::is_over;
use crate::value::id::FlowId;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The copy that is read from.
const COPY: &str = "state.db.salvage";
/// The new database before it takes its place.
const NEW: &str = "state.db.new";
/// Restarts behind a place that cannot be read, each twice as far.
const MOST_LEAPS: u32 = 62;

fn beside(dir: &Path, name: &str, ending: &str) -> PathBuf {
    dir.join(format!("{name}{ending}"))
}

fn file<T>(doing: &str, result: io::Result<T>) -> Result<T, Fault> {
    result.map_err(Fault::file(doing))
}

/// Brings an interrupted change of places to its end.
pub(super) fn finish(dir: &Path) -> Result<(), Fault> {
    let (new, old) = (dir.join(NEW), dir.join(DATABASE));
    if !new.exists() {
        return Ok(());
    }
    if old.exists() {
        clear(dir, NEW)
    } else {
        file("put the saved database in its place", std::fs::rename(&new, &old))?;
        file("flush the state directory", Disk.sync_dir(dir))
    }
}

/// Moves everything that can be read into a new database, and says what became of the old one.
pub(super) fn salvage(dir: &Path, why: &str) -> Result<Vec<Finding>, Fault> {
    clear(dir, COPY)?;
    clear(dir, NEW)?;
    copy(dir)?;
    let saved = save(dir)?;
    clear(dir, COPY)?;
    let aside = set_aside(dir)?;
    file("put the saved database in its place", std::fs::rename(dir.join(NEW), dir.join(DATABASE)))?;
    file("flush the state directory", Disk.sync_dir(dir))?;
    let text = format!(
        "`{DATABASE}` was damaged ({why}); it was moved to `{aside}`, and {} rows were saved from it",
        saved.rows
    );
    let mut findings = vec![Finding::of(Kind::File, None, text)];
    for table in saved.torn {
        let text = format!("rows of `{table}` may be lost: a part of the damaged `{DATABASE}` cannot be read");
        if table == PAGES.name || table == INTENTS.name || table == RUNS.name {
            findings.extend(saved.live.iter().map(|flow| Finding::of(Kind::Lost, Some(flow.clone()), &*text)));
        }
        findings.push(Finding::of(Kind::Lost, None, text));
    }
    Ok(findings)
}

/// Removes a database with its log.
fn clear(dir: &Path, name: &str) -> Result<(), Fault> {
    ["", "-wal", "-shm", "-journal"].iter().try_for_each(|ending| {
        file("remove an unfinished copy of the database", Disk.remove(&beside(dir, name, ending)))
    })
}

/// Copies database and log. What every database of ours has in its first bytes is put right in the copy.
fn copy(dir: &Path) -> Result<(), Fault> {
    for ending in ["", "-wal"] {
        let from = match open_plain(&beside(dir, DATABASE, ending)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => file("read the damaged database", other)?,
        };
        let mut to = file("copy the damaged database", create_private(&beside(dir, COPY, ending)))?;
        let mut from = from;
        if ending.is_empty() {
            let mut head = Vec::new();
            file("read the damaged database", (&mut from).take(100).read_to_end(&mut head))?;
            mend(&mut head);
            file("copy the damaged database", to.write_all(&head))?;
        }
        file("copy the damaged database", io::copy(&mut from, &mut to))?;
    }
    Ok(())
}

/// Magic, page size 4096, WAL, payload fractions, schema format 4, UTF-8.
fn mend(head: &mut [u8]) {
    let constant: [(usize, &[u8]); 4] = [
        (0, b"SQLite format 3\0\x10\x00\x02\x02\x00\x40\x20\x20"),
        (44, &[0, 0, 0, 4]),
        (56, &[0, 0, 0, 1]),
        (72, &[0; 20]),
    ];
    for (at, bytes) in constant {
        if let Some(place) = head.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

struct Saved {
    rows: u64,
    /// Tables that could not be read to their end.
    torn: BTreeSet<&'static str>,
    /// Flows with runs under way or held, as far as they were saved.
    live: BTreeSet<FlowId>,
}

fn save(dir: &Path) -> Result<Saved, Fault> {
    let new = dir.join(NEW);
    file("create a new database", create_private(&new))?;
    let mut to = schema::connect(&new, For::Writing)?;
    schema::migrate(&mut to, 0)?;
    let mut saved = Saved { rows: 0, torn: BTreeSet::new(), live: BTreeSet::new() };
    // A copy that cannot even be opened gives no rows.
    let from = schema::connect(&dir.join(COPY), For::Writing).ok();
    let transaction = to.transaction()?;
    for table in ALL {
        let whole = match &from {
            Some(from) => rescue(from, &transaction, table, &mut saved)?,
            None => false,
        };
        if !whole {
            saved.torn.insert(table.name);
        }
    }
    transaction.commit()?;
    if let Some(book) = schema::book(&to)?
        && book.schema > SCHEMA
    {
        return Err(Fault::Damaged("a newer flowgate wrote it".to_owned()));
    }
    to.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    // The last one to close leaves no log behind.
    to.close().map_err(|(_, error)| error)?;
    Ok(saved)
}

/// Copies the sound rows of a table; false when it could not be read to its end.
fn rescue(from: &Connection, to: &Connection, table: &'static Table, saved: &mut Saved) -> Result<bool, Fault> {
    let columns = table.columns.join(", ");
    let select = format!("SELECT {columns}, v, sum, rowid FROM {} NOT INDEXED WHERE", table.name);
    let marks = vec!["?"; table.columns.len() + 2].join(", ");
    let insert = format!("INSERT OR IGNORE INTO {} ({columns}, v, sum) VALUES ({marks})", table.name);
    if table.name == super::row::BOOK.name {
        to.execute("DELETE FROM book", [])?;
    }
    let (mut last, mut leaps, mut whole) = (i64::MIN, 0, true);
    let mut start = i64::MIN;
    while leaps < MOST_LEAPS {
        let up = format!("{select} rowid > ?1 ORDER BY rowid");
        let (reached, ended) = stretch(from, to, (&up, &insert), &[start], table, saved)?;
        if let Some(reached) = reached {
            if start > last {
                // What lies just before the place that could be read again.
                let down = format!("{select} rowid > ?1 AND rowid <= ?2 ORDER BY rowid DESC");
                stretch(from, to, (&down, &insert), &[last, start], table, saved)?;
            }
            (last, leaps) = (reached, 0);
        }
        if ended {
            return Ok(whole);
        }
        whole = false;
        start = last.saturating_add(1 << leaps);
        leaps += 1;
    }
    Ok(false)
}

/// Copies along one query: the last row reached, and whether its end was.
fn stretch(
    from: &Connection,
    to: &Connection,
    (select, insert): (&str, &str),
    bounds: &[i64],
    table: &'static Table,
    saved: &mut Saved,
) -> Result<(Option<i64>, bool), Fault> {
    let mut reached = None;
    let Ok(mut statement) = from.prepare(select) else { return Ok((None, false)) };
    let Ok(mut rows) = statement.query(params_from_iter(bounds)) else { return Ok((None, false)) };
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok((reached, true)),
            Err(_) => return Ok((reached, false)),
        };
        let count = table.columns.len();
        let Ok(id) = row.get::<_, i64>(count + 2) else { return Ok((reached, false)) };
        reached = Some(id);
        if !table.is_sound(row).unwrap_or(false) {
            saved.torn.insert(table.name);
            continue;
        }
        let cells: Vec<Value> = (0..count + 2).map(|index| row.get(index)).collect::<Result<_, _>>()?;
        saved.rows += to.prepare_cached(insert)?.execute(params_from_iter(cells))? as u64;
        if table.name == RUNS.name
            && let Some(run) = code::read_run(row)
            && !is_over(run.phase)
        {
            saved.live.insert(run.flow);
        }
    }
}

/// Moves the damaged database and its log to a free name.
fn set_aside(dir: &Path) -> Result<String, Fault> {
    let mut number = 1_u32;
    while beside(dir, DATABASE, &format!(".damaged-{number}")).exists() {
        number += 1;
    }
    let name = format!("{DATABASE}.damaged-{number}");
    for ending in ["-wal", "-journal", ""] {
        match std::fs::rename(beside(dir, DATABASE, ending), beside(dir, &name, ending)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => file("set the damaged database aside", other)?,
        }
    }
    file("set the damaged database aside", Disk.remove(&beside(dir, DATABASE, "-shm")))?;
    Ok(name)
}
