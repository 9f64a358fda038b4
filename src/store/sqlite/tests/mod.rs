//! What only this backend can show: groups, refusing disks, damage.

mod damage;
mod disk;
mod private;
mod transfer;

use super::open::{Options, open_with};
use super::writer::{Patience, Point, Probe};
use crate::store::conformance::{begin, failed, intend, marks, page, tally};
use crate::store::{Mark, Space, Store, Write};
use crate::value::time::SystemClock;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

fn options() -> Options {
    let patience = Patience { first: Duration::from_millis(1), most: Duration::from_millis(2) };
    Options { patience, ..Options::default() }
}

fn open(dir: &Path, options: Options) -> Arc<dyn Store> {
    open_with(dir, SystemClock::start(), options).unwrap()
}

fn put(key: &str, value: &str) -> Write {
    Write::Put { space: Space::Meta, key: key.to_owned(), value: value.to_owned() }
}

/// A run under way with bodies, intents, an open error and a mark; another flow with its own.
fn history() -> Vec<Write> {
    let body = |byte: u8| vec![byte; 3000];
    vec![
        begin("r1", "a"),
        page("r1", 1, 3, Some(&body(1))),
        intend("r1", &[(1, 0), (1, 1)]),
        failed("r1", "a", "t1", 5),
        marks("r1", 1, &[Mark::Failed, Mark::InFlight, Mark::InFlight]),
        page("r1", 2, 2, Some(&body(2))),
        tally("r1", [5, 0, 0, 1]),
        begin("r2", "eu/b"),
        page("r2", 1, 2, Some(&body(3))),
        failed("r2", "eu/b", "t2", 6),
        marks("r2", 1, &[Mark::Failed, Mark::InFlight]),
        tally("r2", [2, 0, 0, 1]),
        Write::Put { space: Space::Mark, key: "a main".to_owned(), value: "{\"at\":7}".to_owned() },
        put("k", "v"),
    ]
}

#[tokio::test]
async fn what_is_queued_meanwhile_becomes_durable_in_one_transaction() {
    let home = tempfile::tempdir().unwrap();
    // The writer stands still at its first transaction until everything is queued.
    let (go, gate) = mpsc::channel();
    let gate = std::sync::Mutex::new(Some(gate));
    let probe = Probe {
        on: Some(Arc::new(move |point, _| {
            if let Some(gate) = (point == Point::Beginning).then(|| gate.lock().unwrap().take()).flatten() {
                gate.recv().unwrap();
            }
            Ok(())
        })),
    };
    let store = open(home.path(), Options { probe, ..options() });
    let first = store.commit(vec![begin("r1", "a")]);
    let pages: Vec<_> = (1..=128).map(|number| store.commit(vec![page("r1", number, 1, Some(&[7; 1024]))])).collect();
    go.send(()).unwrap();
    first.await.unwrap();
    for page in pages {
        page.await.unwrap();
    }
    let transactions = super::witness::peek(home.path()).unwrap();
    assert!(transactions <= 2, "one for the first, one for all others, and not {transactions}");
    assert_eq!(store.pages("r1").await.unwrap().len(), 128);
    assert!(std::fs::read_dir(home.path().join("pages")).unwrap().count() == 1, "in one file");
}

#[tokio::test]
async fn parts_go_while_the_run_goes_on_and_all_of_them_at_its_end() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), options());
    let parts = || std::fs::read_dir(home.path().join("pages")).unwrap().count();
    let body = vec![1; 6 << 20];
    store.commit(vec![begin("r1", "a")]).await.unwrap();
    for number in 1..=8 {
        store.commit(vec![page("r1", number, 1, Some(&body))]).await.unwrap();
    }
    assert_eq!(parts(), 4, "two pages in each");
    assert_eq!(store.usage().await.unwrap().pages / (6 << 20), 8);
    for number in 1..=3 {
        store.commit(vec![marks("r1", number, &[Mark::Delivered])]).await.unwrap();
    }
    assert_eq!(parts(), 3, "page 4 holds its part");
    let last = Write::Phase {
        run: "r1".to_owned(),
        phase: crate::store::Phase::Dismissed,
        outcome: None,
        cause: None,
        at: crate::store::conformance::at(9),
    };
    store.commit(vec![last]).await.unwrap();
    assert_eq!((parts(), store.usage().await.unwrap().pages), (0, 0));
}

#[tokio::test]
async fn what_is_left_over_goes_when_opened() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), options());
    store.commit(history()).await.unwrap();
    store.close().await.unwrap();
    let pages = home.path().join("pages");
    std::fs::write(pages.join("0000000000000900.seg"), "left by a crash").unwrap();
    std::fs::write(pages.join("mine.txt"), "not ours").unwrap();
    let store = open(home.path(), options());
    assert!(!pages.join("0000000000000900.seg").exists());
    assert!(pages.join("mine.txt").exists());
    assert_eq!(store.body("r1", 2).await.unwrap(), Some(vec![2; 3000]));
}

#[tokio::test]
async fn others_read_what_the_owner_writes_and_cannot_write() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), options());
    store.commit(history()).await.unwrap();
    let reader = super::open_read_only(home.path()).unwrap();
    assert_eq!(reader.run("r1").await.unwrap(), store.run("r1").await.unwrap());
    assert_eq!(reader.body("r1", 1).await.unwrap(), Some(vec![1; 3000]));
    store.commit(vec![put("k", "later")]).await.unwrap();
    assert_eq!(reader.value(Space::Meta, "k").await.unwrap().as_deref(), Some("later"));
    let refused = reader.commit(vec![put("k", "mine")]).await.unwrap_err();
    assert!(refused.to_string().contains("only read"), "{refused}");
    reader.close().await.unwrap();
    store.close().await.unwrap();
    let reader = super::open_read_only(home.path()).unwrap();
    assert_eq!(reader.value(Space::Meta, "k").await.unwrap().as_deref(), Some("later"), "nobody owns it now");
    assert!(super::open_read_only(&home.path().join("none")).is_err());
}

#[tokio::test]
async fn a_small_page_does_not_hold_on_to_a_large_part() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), options());
    store.commit(vec![begin("r1", "a"), page("r1", 1, 1, Some(b"small"))]).await.unwrap();
    store.commit(vec![page("r1", 2, 1, Some(&vec![2; 14 << 20]))]).await.unwrap();
    store.commit(vec![page("r1", 3, 1, None), marks("r1", 2, &[Mark::Delivered])]).await.unwrap();
    assert!(store.usage().await.unwrap().pages > 14 << 20);
    store.close().await.unwrap();
    let store = open(home.path(), options());
    assert!(store.usage().await.unwrap().pages < 1 << 20);
    assert_eq!(store.body("r1", 1).await.unwrap().as_deref(), Some(&b"small"[..]));
    store.close().await.unwrap();
    assert_eq!(super::check_state(home.path()).unwrap().damage, []);
}
