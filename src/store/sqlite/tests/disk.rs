//! A disk that refuses: waiters wait, nothing is acknowledged that is not durable, it goes on by itself.

use super::*;
use crate::store::Health;
use crate::store::conformance::model::everything;
use crate::store::sqlite::fault::Fault;
use crate::store::sqlite::files::{Disk, Files, Growing};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// What fails next, and how often.
#[derive(Clone, Default)]
struct Jam(Arc<Mutex<Vec<(&'static str, i32)>>>);

impl Jam {
    fn strikes(&self, operation: &str) -> Option<io::Error> {
        let mut plan = self.0.lock().unwrap();
        let at = plan.iter().position(|(what, _)| *what == operation)?;
        Some(io::Error::from_raw_os_error(plan.remove(at).1))
    }
}

impl Files for Jam {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        if let Some(error) = self.strikes("create") {
            return Err(error);
        }
        Ok(Box::new(Jammed(Disk.create(path)?, self.clone())))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.strikes("sync_dir").map_or_else(|| Disk.sync_dir(path), Err)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.strikes("remove").map_or_else(|| Disk.remove(path), Err)
    }
}

struct Jammed(Box<dyn Growing>, Jam);

impl Growing for Jammed {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(error) = self.1.strikes("append") {
            // Half of it arrives.
            self.0.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.0.append(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        if let Some(error) = self.1.strikes("sync") {
            // What was not durable is lost, as a system does that marks pages clean after a failed write.
            self.0.cut(8)?;
            return Err(error);
        }
        self.0.sync()
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.strikes_cut(length)
    }
}

impl Jammed {
    fn strikes_cut(&mut self, length: u64) -> io::Result<()> {
        self.1.strikes("cut").map_or_else(|| self.0.cut(length), Err)
    }
}

#[tokio::test]
async fn every_refusal_of_a_page_file_is_waited_out() {
    for plan in [
        vec![("create", ENOSPC), ("create", EIO)],
        vec![("append", ENOSPC)],
        vec![("append", EIO), ("append", EIO), ("cut", EIO)],
        vec![("sync_dir", EIO)],
        vec![("sync", EIO)],
        vec![("sync", EIO), ("cut", EIO), ("create", ENOSPC), ("append", ENOSPC), ("sync", EIO), ("remove", EIO)],
    ] {
        let home = tempfile::tempdir().unwrap();
        let jam = Jam::default();
        let store = open(home.path(), Options { files: Arc::new(jam.clone()), ..options() });
        let mut health = store.health();
        jam.0.lock().unwrap().clone_from(&plan);
        let pending = store.commit(history());
        let failing = health.wait_for(|health| matches!(health, Health::Failing { .. })).await.unwrap().clone();
        pending.await.unwrap();
        assert_eq!(*store.health().borrow(), Health::Good, "{plan:?} {failing:?}");
        let before = everything(&store).await;
        assert_eq!(before.bodies[0], Some(vec![1; 3000]), "{plan:?}");
        store.close().await.unwrap();
        assert_eq!(everything(&open(home.path(), options())).await, before, "{plan:?}");
    }
}

#[tokio::test]
async fn a_failed_fsync_is_never_trusted_later() {
    let home = tempfile::tempdir().unwrap();
    let jam = Jam::default();
    let store = open(home.path(), Options { files: Arc::new(jam.clone()), ..options() });
    store.commit(vec![begin("r1", "a"), page("r1", 1, 1, Some(b"first"))]).await.unwrap();
    jam.0.lock().unwrap().push(("sync", EIO));
    // The file loses what it was given; only what stands in a new file can be read.
    store.commit(vec![page("r1", 2, 1, Some(b"second"))]).await.unwrap();
    assert_eq!(store.body("r1", 2).await.unwrap().as_deref(), Some(&b"second"[..]));
    assert_eq!(std::fs::read_dir(home.path().join("pages")).unwrap().count(), 2);
}

/// A database that is full, or whose end of a transaction is unclear, as long as it is told so.
async fn with_probe(point: Point, times: u32, fault: fn(&rusqlite::Connection) -> Result<(), Fault>) {
    let home = tempfile::tempdir().unwrap();
    let left = Arc::new(AtomicU32::new(0));
    let counted = left.clone();
    let probe = Probe {
        on: Some(Arc::new(move |at, connection| {
            if at == point && counted.load(Ordering::SeqCst) > 0 {
                counted.fetch_sub(1, Ordering::SeqCst);
                return fault(connection);
            }
            Ok(())
        })),
    };
    let store = open(home.path(), Options { probe, ..options() });
    store.commit(vec![begin("r0", "a")]).await.unwrap();
    let mut health = store.health();
    left.store(times, Ordering::SeqCst);
    let pending = store.commit(history());
    let refused = store.commit(vec![begin("r1", "a")]);
    health.wait_for(|health| matches!(health, Health::Failing { .. })).await.unwrap();
    // Reads answer meanwhile.
    assert!(store.run("r0").await.unwrap().is_some());
    let receipt = pending.await.unwrap();
    assert_eq!(receipt.errors.len(), 2);
    assert!(refused.await.is_err());
    assert_eq!(*store.health().borrow(), Health::Good);
    let before = everything(&store).await;
    assert_eq!(before.errors.len(), 2, "never applied twice");
    store.close().await.unwrap();
    let store = open(home.path(), options());
    assert_eq!(store.damage(), []);
    assert_eq!(everything(&store).await, before);
}

fn io_error() -> Fault {
    // SQLITE_IOERR_FSYNC
    Fault::Database(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(1034), None))
}

#[tokio::test]
async fn a_transaction_refused_at_its_beginning_is_tried_again() {
    with_probe(Point::Beginning, 3, |_| Err(io_error())).await;
}

#[tokio::test]
async fn a_transaction_that_did_not_take_effect_is_applied_again() {
    with_probe(Point::Committing, 2, |_| Err(io_error())).await;
}

#[tokio::test]
async fn a_transaction_that_took_effect_unheard_is_not_applied_again() {
    with_probe(Point::Committed, 1, |_| Err(io_error())).await;
}

#[tokio::test]
async fn a_full_database_waits_for_space() {
    with_probe(Point::Beginning, 5, |connection| {
        // The truth comes from the database: it may not grow.
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        connection.execute_batch("CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(1 << 20));").map_err(
            |error| {
                let _ = connection.query_row("PRAGMA max_page_count = 1073741823", [], |_| Ok(()));
                error.into()
            },
        )
    })
    .await;
}
