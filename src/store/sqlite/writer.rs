//! The one writer: takes what is queued, writes it as one transaction, answers when that is durable. Bodies are flushed
//! before the rows that refer to them.
//!
//! While the disk refuses, the group waits here and is tried again from memory. Whether a transaction whose end is
//! unclear took effect is told by the book, so nothing is ever applied twice.

use super::code::{self, Book};
use super::fault::Fault;
use super::reader::Slot;
use super::row::BOOK;
use super::schema::{self, For};
use super::segments::Segments;
use super::tables::Transaction;
use super::trouble::Trouble;
use super::witness::Witness;
use crate::store::api::StoreError;
use crate::store::batch::{Receipt, Write};
use crate::store::rules;
use crate::store::tables::Stop;
use crate::value::time::Mono;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the writer is asked.
pub(super) enum Ask {
    /// To write.
    Commit(Vec<Write>, oneshot::Sender<Answer>),
    /// To end after everything asked before.
    Close(oneshot::Sender<()>),
}

pub(super) type Answer = Result<Receipt, StoreError>;

/// Most batches of one transaction.
const MOST_BATCHES: usize = 1024;
/// Bytes of bodies after which a transaction takes no more.
const MOST_BYTES: usize = 32 << 20;
/// Free pages of the database that are given back, and after how many groups that is looked at.
const VACUUM_PAGES: i64 = 256;
const VACUUM_EVERY: u64 = 64;

/// Time between two looks at the sizes of files.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How long a refused group waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub first: Duration,
    pub most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), most: Duration::from_secs(2) }
    }
}

/// Where tests can look in, or let something fail; nowhere in production.
#[derive(Clone, Default)]
pub(super) struct Probe {
    #[cfg(test)]
    pub on: Option<Arc<Look>>,
}

#[cfg(test)]
type Look = dyn Fn(Point, &Connection) -> Result<(), Fault> + Send + Sync;

/// Points of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    Beginning,
    Committing,
    Committed,
}

impl Probe {
    #[cfg(test)]
    fn at(&self, point: Point, connection: &Connection) -> Result<(), Fault> {
        self.on.as_ref().map_or(Ok(()), |on| on(point, connection))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "does something in tests only")]
    fn at(&self, _: Point, _: &Connection) -> Result<(), Fault> {
        Ok(())
    }
}

pub(super) struct Writer {
    pub path: PathBuf,
    /// None after trouble, until it is opened anew.
    pub connection: Option<Connection>,
    pub segments: Segments,
    /// As it is on disk.
    pub book: Book,
    pub unclear: Option<Unclear>,
    pub witness: Witness,
    pub trouble: Trouble,
    pub patience: Patience,
    pub probe: Probe,
    /// The readers' connection, which is closed with the writer's.
    pub readers: Slot,
    /// When the files' sizes were last told, while more has been written since.
    pub untold: Option<Mono>,
    pub asks: Receiver<Ask>,
    /// Ends a wait early.
    pub nudges: Receiver<()>,
}

/// A transaction of which it is not known whether it took effect.
pub(super) struct Unclear {
    book: Book,
    answers: Vec<Answer>,
}

impl Writer {
    /// Works until closed, or until nobody can ask any more.
    pub fn work(mut self) {
        while let Ok(first) = self.next() {
            let (batches, waiting, close) = self.gather(first);
            if !batches.is_empty() {
                self.write(&batches, waiting);
            }
            if let Some(closed) = close {
                self.disconnect();
                drop(self);
                // Nobody may be waiting.
                let _ = closed.send(());
                return;
            }
        }
        self.disconnect();
    }

    /// The next ask. When none comes for a while, sizes are told as they are now.
    fn next(&mut self) -> Result<Ask, RecvError> {
        if self.untold.is_some() {
            match self.asks.recv_timeout(TELL_EVERY) {
                Ok(ask) => return Ok(ask),
                Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
                Err(RecvTimeoutError::Timeout) => self.tell(),
            }
        }
        self.asks.recv()
    }

    /// Looking at files costs as much as a small write: not after each.
    fn tell(&mut self) {
        self.trouble.meters.bytes(super::database_bytes(self.dir()), self.segments.total().load(Ordering::Relaxed));
        self.untold = None;
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// What is queued now, in order, up to a close.
    #[expect(clippy::type_complexity, reason = "taken apart at once")]
    fn gather(&self, first: Ask) -> (Vec<Vec<Write>>, Vec<oneshot::Sender<Answer>>, Option<oneshot::Sender<()>>) {
        let (mut batches, mut waiting, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(ask) = next {
            match ask {
                Ask::Close(closed) => return (batches, waiting, Some(closed)),
                Ask::Commit(batch, answer) => {
                    bytes += batch.iter().map(body_bytes).sum::<usize>();
                    batches.push(batch);
                    waiting.push(answer);
                }
            }
            next = if batches.len() < MOST_BATCHES && bytes < MOST_BYTES { self.asks.try_recv().ok() } else { None };
        }
        (batches, waiting, None)
    }

    fn write(&mut self, batches: &[Vec<Write>], waiting: Vec<oneshot::Sender<Answer>>) {
        let mut pause = self.patience.first;
        let began = self.trouble.now();
        let answers = loop {
            match self.attempt(batches) {
                Ok(answers) => break answers,
                Err(fault) => self.trouble.failing(&fault),
            }
            self.wait(pause);
            pause = pause.saturating_mul(2).min(self.patience.most);
        };
        self.witness.write(self.book.applied);
        self.trouble.good();
        let now = self.trouble.now();
        self.trouble.committed(now.since(began), batches.len());
        match self.untold {
            None => self.untold = Some(now),
            Some(since) if now.since(since) < TELL_EVERY => {}
            Some(_) => self.tell(),
        }
        for (answer, waiting) in answers.into_iter().zip(waiting) {
            // Whoever asked may have gone away; it is written all the same.
            let _ = waiting.send(answer);
        }
        if self.book.applied.is_multiple_of(VACUUM_EVERY) {
            self.give_space_back();
        }
    }

    fn wait(&self, pause: Duration) {
        match self.nudges.recv_timeout(pause) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            // The store is gone; the pause is kept nonetheless.
            Err(RecvTimeoutError::Disconnected) => {
                let (_never, nothing) = std::sync::mpsc::channel::<()>();
                let _ = nothing.recv_timeout(pause);
            }
        }
    }

    /// Writes the whole group, or nothing of it.
    fn attempt(&mut self, batches: &[Vec<Write>]) -> Result<Vec<Answer>, Fault> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reconnect()?,
        };
        if let Some(unclear) = self.unclear.take() {
            if unclear.book.applied == self.book.applied {
                self.segments.settle();
                self.connection = Some(connection);
                return Ok(unclear.answers);
            }
            self.segments.go_back(0);
        }
        let mut book = Book { applied: self.book.applied + 1, ..self.book };
        let applied = self
            .probe
            .at(Point::Beginning, &connection)
            .and_then(|()| apply(&connection, &mut self.segments, &mut book, batches));
        match applied {
            Ok(answers) => match self.commit(&connection) {
                Ok(()) => {
                    self.book = book;
                    self.segments.settle();
                    self.connection = Some(connection);
                    Ok(answers)
                }
                Err(error) => {
                    self.unclear = Some(Unclear { book, answers });
                    drop(connection);
                    self.readers.close();
                    Err(error)
                }
            },
            Err(fault) => {
                self.segments.go_back(0);
                if fault.spares_the_connection() && turn_back(&connection) {
                    self.connection = Some(connection);
                } else {
                    drop(connection);
                    self.readers.close();
                }
                Err(fault)
            }
        }
    }

    fn commit(&self, connection: &Connection) -> Result<(), Fault> {
        self.probe.at(Point::Committing, connection)?;
        connection.execute_batch("COMMIT")?;
        self.probe.at(Point::Committed, connection)
    }

    /// After trouble: what the log holds is copied into the database and flushed anew before anything is added to it.
    fn reconnect(&mut self) -> Result<Connection, Fault> {
        let connection = schema::connect(&self.path, For::Writing)?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy != 0 {
            return Err(Fault::Damaged("another process keeps reading the database".to_owned()));
        }
        let found = schema::book(&connection)?;
        let expected = self.unclear.as_ref().map(|unclear| unclear.book.applied);
        match found {
            Some(book) if book.applied == self.book.applied || Some(book.applied) == expected => self.book = book,
            _ => return Err(Fault::Damaged("the database is not the one that was written to".to_owned())),
        }
        Ok(connection)
    }

    fn disconnect(&mut self) {
        self.readers.shut();
        self.connection = None;
    }

    /// Pages that deleted rows left behind go back to the file system, a few at a time.
    fn give_space_back(&mut self) {
        let Some(connection) = &self.connection else { return };
        let count = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap_or(0);
        let free = count("PRAGMA freelist_count");
        if free > VACUUM_PAGES && free > count("PRAGMA page_count") / 4 {
            // Another time, when it does not work now.
            let _ = connection.execute_batch(&format!("PRAGMA incremental_vacuum({})", free / 2));
        }
    }
}

fn body_bytes(write: &Write) -> usize {
    match write {
        Write::Page(page) => page.body.as_ref().map_or(0, bytes::Bytes::len),
        _ => 0,
    }
}

/// Everything up to the point where only the commit is missing: bodies are durable, rows are written.
fn apply(
    connection: &Connection,
    segments: &mut Segments,
    book: &mut Book,
    batches: &[Vec<Write>],
) -> Result<Vec<Answer>, Fault> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut answers = Vec::with_capacity(batches.len());
    for batch in batches {
        connection.prepare_cached("SAVEPOINT batch")?.execute([])?;
        let mark = segments.mark();
        let mut transaction = Transaction { connection, segments: &mut *segments, book: &mut *book, run: None };
        let answer = match rules::apply(&mut transaction, batch) {
            Ok(receipt) => Ok(receipt),
            Err(Stop::Refused(refusal)) => Err(StoreError::Refused(refusal)),
            Err(Stop::Fault(Fault::Damaged(text))) => Err(StoreError::Damaged(text)),
            Err(Stop::Fault(fault)) => return Err(fault),
        };
        if answer.is_err() {
            segments.go_back(mark);
            connection.prepare_cached("ROLLBACK TO batch")?.execute([])?;
        }
        connection.prepare_cached("RELEASE batch")?.execute([])?;
        answers.push(answer);
    }
    BOOK.put(connection, code::book(*book))?;
    segments.sync()?;
    Ok(answers)
}

/// Takes the transaction back; a full log is emptied, because the next attempt needs its space.
fn turn_back(connection: &Connection) -> bool {
    if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
        return false;
    }
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.is_autocommit()
}
