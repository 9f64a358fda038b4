//! The tables, and how one version of them becomes the next. A newer version than this program knows is left alone.

use super::code::{self, Book};
use super::fault::Fault;
use super::row::BOOK;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Version of the tables, kept in the file's header and in the book.
pub(super) const SCHEMA: u64 = 1;

/// Plain SQL, one script a version. A script that was released is never changed.
const MIGRATIONS: [&str; 1] = ["
CREATE TABLE book (id INTEGER PRIMARY KEY, applied INTEGER NOT NULL, last_error INTEGER NOT NULL,
    schema INTEGER NOT NULL, v INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE runs (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, flow TEXT NOT NULL, occurrence TEXT,
    over INTEGER NOT NULL, ended INTEGER, meaning TEXT NOT NULL, row TEXT NOT NULL,
    v INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX runs_of_flow ON runs (flow, occurrence);
CREATE INDEX runs_live ON runs (place) WHERE over = 0;
CREATE INDEX runs_ended ON runs (ended) WHERE over = 1;
CREATE INDEX runs_meaning ON runs (meaning);
CREATE TABLE pages (run TEXT NOT NULL, number INTEGER NOT NULL, records INTEGER NOT NULL, marks BLOB NOT NULL,
    cursor TEXT NOT NULL, head TEXT NOT NULL, crashes INTEGER NOT NULL, started INTEGER NOT NULL,
    part INTEGER, at INTEGER, length INTEGER, v INTEGER NOT NULL, sum INTEGER NOT NULL, UNIQUE (run, number));
CREATE TABLE intents (run TEXT NOT NULL, page INTEGER NOT NULL, at INTEGER NOT NULL, records TEXT NOT NULL,
    v INTEGER NOT NULL, sum INTEGER NOT NULL, UNIQUE (run, page, at));
CREATE TABLE errors (id INTEGER PRIMARY KEY, flow TEXT NOT NULL, run TEXT NOT NULL, open INTEGER NOT NULL, trace TEXT,
    opened INTEGER NOT NULL, next_retry INTEGER, row TEXT NOT NULL, v INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX errors_of_flow ON errors (flow, id);
CREATE INDEX errors_open ON errors (id) WHERE open = 1;
CREATE INDEX errors_open_traced ON errors (flow, trace) WHERE open = 1;
CREATE INDEX errors_open_since ON errors (flow, opened) WHERE open = 1;
CREATE INDEX errors_open_of_run ON errors (run) WHERE open = 1;
CREATE INDEX errors_due ON errors (next_retry) WHERE next_retry IS NOT NULL;
CREATE INDEX errors_opened ON errors (opened);
CREATE TABLE vals (space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    v INTEGER NOT NULL, sum INTEGER NOT NULL, UNIQUE (space, key));
CREATE TABLE figures (flow TEXT NOT NULL UNIQUE, row TEXT NOT NULL, v INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE damage (id INTEGER PRIMARY KEY, flow TEXT, kind TEXT NOT NULL, run TEXT, page INTEGER, text TEXT NOT NULL,
    v INTEGER NOT NULL, sum INTEGER NOT NULL);
"];

/// For what a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// The one writer.
    Writing,
    /// Readers of this process and others.
    Reading,
}

/// How long a reader or the writer waits for a lock of another before it says so.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages of the log after which it is copied into the database: 4 MiB.
const LOG_PAGES: i64 = 1000;
/// The same on a disk so small that such a log would fill it.
const FEWEST_LOG_PAGES: i64 = 16;
/// Bytes of a page of the log.
const PAGE: u64 = 4096;
/// The log's file is cut to this size when it has been copied.
const LOG_BYTES: i64 = 4 << 20;

/// Whatever it is opened for.
const PLAIN: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

/// Opens an existing file; the caller has made sure of what it is.
pub(super) fn connect(path: &Path, purpose: For) -> Result<Connection, Fault> {
    // The path was made free of links before; a link put there since is refused.
    let mode = match purpose {
        For::Writing => OpenFlags::SQLITE_OPEN_READ_WRITE,
        For::Reading => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    if purpose == For::Reading {
        undo_half_a_start(path)?;
    }
    let connection = Connection::open_with_flags(path, PLAIN | mode)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A plan that depends on what is bound is made anew for each binding.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let settings = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;";
    connection.execute_batch(settings)?;
    match purpose {
        For::Reading => connection.execute_batch("PRAGMA cache_size = -512;")?,
        For::Writing => prepare_for_writing(&connection, log_pages(size_of_disk(path)))?,
    }
    Ok(connection)
}

/// A process that ended while it made the file leaves a rollback journal, and only a connection that may write can undo
/// what that says: to one that reads, the database seems to be read-only for good. Later there is no such journal.
fn undo_half_a_start(path: &Path) -> Result<(), Fault> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    if !Path::new(&journal).exists() {
        return Ok(());
    }
    let connection = Connection::open_with_flags(path, PLAIN | OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    version(&connection).map(drop)
}

/// Size of the disk a file is on; unknown is large.
fn size_of_disk(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |disk| disk.f_blocks.saturating_mul(disk.f_frsize))
}

/// The log takes a sixteenth of the disk at most: a full log that leaves no room to be copied would stay full for good.
fn log_pages(disk: u64) -> i64 {
    i64::try_from(disk / 16 / PAGE).map_or(LOG_PAGES, |pages| pages.clamp(FEWEST_LOG_PAGES, LOG_PAGES))
}

fn prepare_for_writing(connection: &Connection, log_pages: i64) -> Result<(), Fault> {
    // Takes effect in an empty file only.
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA secure_delete = FAST; PRAGMA cache_size = -1024;",
    )?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", log_pages, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    Ok(())
}

/// The version in the file's header; 0 in an empty one.
pub(super) fn version(connection: &Connection) -> Result<u64, Fault> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(u64::from(u32::from_ne_bytes(i32::try_from(version).unwrap_or(0).to_ne_bytes())))
}

/// Whether there are tables at all.
pub(super) fn has_tables(connection: &Connection) -> Result<bool, Fault> {
    let count: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(count > 0)
}

/// The book; none when there is no such row, and damaged when it is not sound.
pub(super) fn book(connection: &Connection) -> Result<Option<Book>, Fault> {
    let mut statement = connection.prepare_cached(&format!("{}WHERE id = 1", BOOK.select))?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| BOOK.read(row, code::read_book)).transpose()
}

/// Brings the tables to this program's version, whole or not at all.
pub(super) fn migrate(connection: &mut Connection, from: u64) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    for script in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
        transaction.execute_batch(script)?;
    }
    let book = book(&transaction)?.unwrap_or(Book { applied: 0, last_error: 0, schema: SCHEMA });
    BOOK.put(&transaction, code::book(Book { schema: SCHEMA, ..book }))?;
    transaction.pragma_update(None, "user_version", SCHEMA.cast_signed())?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database and its journal as a process leaves them that ends in the middle of its first transaction.
    fn half_a_start(dir: &Path) -> std::path::PathBuf {
        let (made, left) = (dir.join("made.db"), dir.join("state.db"));
        let connection = Connection::open(&made).unwrap();
        // Without a cache to speak of, what is not committed reaches the file.
        connection
            .execute_batch(
                "PRAGMA cache_size = 1; CREATE TABLE t (x); BEGIN; INSERT INTO t WITH RECURSIVE n (i) AS
                 (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT hex(randomblob(40)) FROM n;",
            )
            .unwrap();
        for ending in ["", "-journal"] {
            let of = |path: &Path| path.with_file_name(format!("{}{ending}", path.file_name().unwrap().display()));
            std::fs::copy(of(&made), of(&left)).unwrap();
        }
        left
    }

    #[test]
    fn the_log_stays_small_on_a_small_disk() {
        for (disk, pages) in [(1 << 20, 16), (16 << 20, 256), (1 << 40, LOG_PAGES), (u64::MAX, LOG_PAGES), (0, 16)] {
            assert_eq!(log_pages(disk), pages, "{disk}");
        }
    }

    #[test]
    fn a_start_that_was_cut_off_half_way_does_not_stop_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let left = half_a_start(dir.path());
        let connection = connect(&left, For::Reading).unwrap();
        let rows: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "nothing was committed");
    }
}
