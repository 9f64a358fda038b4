//! Damage of every kind: never a panic, never a refusal to open, never a loss that is not said, and everything is in
//! balance after a repair.

use super::*;
use crate::store::conformance::model::{Everything, everything};
use crate::store::conformance::{at, balanced, flow};
use crate::store::sqlite::inspect::{check_state, repair_state};
use crate::store::sqlite::schema;
use crate::store::{Damage, OpenError, StateDir, StoreError};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Copies a state as a crash would leave it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else if !name.to_string_lossy().ends_with("-shm") && !name.to_string_lossy().ends_with(".lock") {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

struct Sample {
    home: tempfile::TempDir,
    whole: PathBuf,
    before: Everything,
    round: u32,
}

impl Sample {
    /// `crashed`: the log of the database is still there.
    async fn new(crashed: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (live, whole) = (home.path().join("live"), home.path().join("whole"));
        fs::create_dir(&live).unwrap();
        let store = open(&live, options());
        store.commit(history()).await.unwrap();
        store.commit(vec![put("more", "1")]).await.unwrap();
        let before = everything(&store).await;
        if crashed {
            copy(&live, &whole);
        }
        store.close().await.unwrap();
        if !crashed {
            copy(&live, &whole);
        }
        Self { home, whole, before, round: 0 }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![PathBuf::from("state.db"), PathBuf::from("state.seq")];
        if self.whole.join("state.db-wal").exists() {
            files.push(PathBuf::from("state.db-wal"));
        }
        for entry in fs::read_dir(self.whole.join("pages")).unwrap() {
            files.push(Path::new("pages").join(entry.unwrap().file_name()));
        }
        files
    }

    /// Harms a copy and judges what becomes of it.
    async fn judge(&mut self, what: &str, harm: impl FnOnce(&Path)) -> Vec<Damage> {
        self.round += 1;
        let dir = self.home.path().join(self.round.to_string());
        copy(&self.whole, &dir);
        harm(&dir);
        // A look from outside says something, and changes nothing.
        let looked = check_state(&dir);
        let store = open(&dir, options());
        let damage = store.damage();
        self.unharmed_or_named(what, &store, &damage).await;
        store.close().await.unwrap();
        let clean = looked.as_ref().is_ok_and(|checked| checked.damage.is_empty());
        assert!(!clean || damage.is_empty(), "{what}: check saw nothing, opening saw {damage:?}");

        let owner = StateDir::own(&dir, at(0)).unwrap();
        let told = repair_state(&owner, at(99)).unwrap();
        assert_eq!(told.is_empty(), damage.is_empty(), "{what}: {told:?}");
        assert_eq!(check_state(&dir).unwrap().damage, [], "{what}: after the repair");
        let store = open(&dir, options());
        assert_eq!(store.damage(), [], "{what}: after the repair");
        balanced(&store).await;
        store.commit(vec![put("works", "1")]).await.unwrap();
        store.close().await.unwrap();
        fs::remove_dir_all(&dir).unwrap();
        damage
    }

    /// What differs must be named.
    async fn unharmed_or_named(&self, what: &str, store: &Arc<dyn Store>, damage: &[Damage]) {
        let of_file = |found: &Damage| found.flow.is_none() && found.text.starts_with("`state.db` was damaged");
        let somewhere = damage.iter().any(|found| found.flow.is_none() && !of_file(found));
        for (at, (name, run)) in [("a", "r1"), ("eu/b", "r2")].into_iter().enumerate() {
            let named = somewhere || damage.iter().any(|found| found.flow == Some(flow(name)));
            if named {
                continue;
            }
            let before = &self.before;
            assert_eq!(store.pages(run).await.unwrap(), before.pages[at], "{what}: {damage:?}");
            assert_eq!(store.intents(run).await.unwrap(), before.intents[at], "{what}: {damage:?}");
            assert_eq!(store.run(run).await.unwrap().as_ref(), before.runs.iter().find(|row| row.id == run), "{what}");
            assert_eq!(store.open_traces(&flow(name)).await.unwrap(), before.traces[at], "{what}: {damage:?}");
            for number in 1..5u64 {
                let body = store.body(run, number).await.unwrap();
                assert_eq!(body, before.bodies[at * 4 + usize::try_from(number).unwrap() - 1], "{what}");
            }
        }
        if damage.is_empty() {
            assert_eq!(everything(store).await, self.before, "{what}");
        } else {
            // Whatever is asked, there is an answer.
            for run in ["r1", "r2"] {
                let body = store.body(run, 1).await;
                assert!(matches!(body, Ok(_) | Err(StoreError::Damaged(_))), "{what}: {body:?}");
            }
        }
    }
}

fn overwrite(path: &Path, at: u64, with: impl FnOnce(&mut [u8]), length: usize) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, at).unwrap();
    bytes.truncate(read);
    with(&mut bytes);
    file.write_all_at(&bytes, at).unwrap();
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// Offsets over a file: its first bytes closely, the rest drawn with a fixed seed.
fn offsets(length: u64, count: usize) -> Vec<u64> {
    let mut rng = fastrand::Rng::with_seed(length);
    let mut offsets: Vec<u64> = (0..length.min(100)).step_by(3).collect();
    offsets.extend((0..count).map(|_| rng.u64(0..length.max(1))).filter(|at| *at < length));
    offsets
}

async fn flip(crashed: bool, count: usize) {
    let mut sample = Sample::new(crashed).await;
    let mut found = 0;
    for file in sample.files() {
        for offset in offsets(length(&sample.whole.join(&file)), count) {
            let what = format!("{} flipped at {offset}", file.display());
            let flip = |dir: &Path| {
                overwrite(&dir.join(&file), offset, |bytes| bytes[0] ^= if offset % 2 == 0 { 0xff } else { 1 }, 1);
            };
            found += u32::from(!sample.judge(&what, flip).await.is_empty());
        }
    }
    assert!(found > 20, "only {found} flips were found");
}

#[tokio::test]
async fn flipped_bytes_are_harmless_or_found() {
    flip(false, 120).await;
}

#[tokio::test]
async fn flipped_bytes_of_a_crashed_state_are_harmless_or_found() {
    flip(true, 60).await;
}

#[tokio::test]
async fn cut_and_zeroed_files_are_harmless_or_found() {
    for crashed in [false, true] {
        let mut sample = Sample::new(crashed).await;
        let mut found = 0;
        for file in sample.files() {
            let whole = length(&sample.whole.join(&file));
            for offset in offsets(whole, 10).into_iter().step_by(4) {
                let what = format!("{} cut at {offset}", file.display());
                let cut = |dir: &Path| {
                    fs::OpenOptions::new().write(true).open(dir.join(&file)).unwrap().set_len(offset).unwrap();
                };
                found += u32::from(!sample.judge(&what, cut).await.is_empty());
            }
            for block in (0..whole).step_by(4096) {
                let what = format!("{} zeroed at {block}", file.display());
                let zero = |dir: &Path| overwrite(&dir.join(&file), block, |bytes| bytes.fill(0), 4096);
                found += u32::from(!sample.judge(&what, zero).await.is_empty());
            }
        }
        assert!(found > 10, "only {found} were found");
    }
}

#[tokio::test]
async fn rows_changed_or_deleted_behind_our_back_are_noticed() {
    let mut sample = Sample::new(false).await;
    for (sql, of) in [
        ("UPDATE runs SET row = replace(row, 'manual', 'menual') WHERE id = 'r1'", Some("a")),
        ("UPDATE pages SET cursor = '{}' WHERE run = 'r2'", Some("eu/b")),
        ("UPDATE intents SET records = replace(records, 'k-1-1', 'k-1-9') WHERE page = 1", Some("a")),
        ("UPDATE errors SET row = replace(row, '422', '423') WHERE flow = 'eu/b'", Some("eu/b")),
        ("UPDATE vals SET value = '{\"at\":8}' WHERE space = 'mark'", Some("a")),
        ("UPDATE vals SET value = 'w' WHERE space = 'meta' AND key = 'k'", None),
        ("UPDATE figures SET row = replace(row, '\"exported\":5', '\"exported\":4') WHERE flow = 'a'", Some("a")),
        ("UPDATE book SET last_error = 0", None),
        ("UPDATE runs SET v = 2 WHERE id = 'r2'", Some("eu/b")),
        ("DELETE FROM runs WHERE id = 'r1'", Some("a")),
        ("DELETE FROM pages WHERE run = 'r2'", Some("eu/b")),
        ("DELETE FROM errors WHERE flow = 'a'", Some("a")),
        ("DELETE FROM figures WHERE flow = 'eu/b'", Some("eu/b")),
        ("DELETE FROM book", None),
    ] {
        let change = |dir: &Path| {
            let connection = schema::connect(&dir.join("state.db"), schema::For::Writing).unwrap();
            assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
        };
        let damage = sample.judge(sql, change).await;
        assert!(damage.iter().any(|found| found.flow == of.map(flow)), "{sql}: {damage:?}");
    }
}

#[tokio::test]
async fn files_that_are_gone_or_another_s_are_found() {
    let mut sample = Sample::new(false).await;
    let part = sample.files().pop().unwrap();
    let damage = sample.judge("no part", |dir| fs::remove_file(dir.join(&part)).unwrap()).await;
    assert_eq!(damage.len(), 3, "{damage:?}");
    let damage = sample.judge("no database", |dir| fs::remove_file(dir.join("state.db")).unwrap()).await;
    assert!(damage[0].text.contains("lacks the last"), "{damage:?}");
    sample.judge("no witness", |dir| fs::remove_file(dir.join("state.seq")).unwrap()).await;
    let swap = |dir: &Path| {
        let (db, part) = (dir.join("state.db"), dir.join(&part));
        fs::rename(&db, dir.join("x")).unwrap();
        fs::rename(&part, &db).unwrap();
        fs::rename(dir.join("x"), &part).unwrap();
    };
    let damage = sample.judge("database and part swapped", swap).await;
    assert!(damage.iter().any(|found| found.text.contains("state.db.damaged-1")), "{damage:?}");
}

#[tokio::test]
async fn an_old_copy_put_back_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("state");
    let owner = StateDir::own(&dir, at(0)).unwrap();
    let store = open(&dir, options());
    store.commit(vec![begin("r1", "a")]).await.unwrap();
    store.close().await.unwrap();
    let old = fs::read(dir.join("state.db")).unwrap();
    let store = open(&dir, options());
    store.commit(vec![page("r1", 1, 1, Some(b"x"))]).await.unwrap();
    store.close().await.unwrap();
    fs::write(dir.join("state.db"), old).unwrap();
    let checked = check_state(&dir).unwrap();
    assert!(checked.damage[0].text.contains("lacks the last 1 transactions"), "{:?}", checked.damage);
    let store = open(&dir, options());
    assert_eq!(store.damage().len(), 1);
    store.close().await.unwrap();
    assert!(!open(&dir, options()).damage().is_empty(), "it is kept until it is repaired");
    drop(owner);
}

#[tokio::test]
async fn a_newer_state_is_refused_untouched() {
    let mut sample = Sample::new(false).await;
    sample.round += 1;
    let dir = sample.home.path().join("newer");
    copy(&sample.whole, &dir);
    let path = dir.join("state.db");
    {
        let connection = super::super::schema::connect(&path, super::super::schema::For::Writing).unwrap();
        let book = super::super::code::Book { applied: 2, last_error: 2, schema: 7 };
        super::super::row::BOOK.put(&connection, super::super::code::book(book)).unwrap();
        connection.pragma_update(None, "user_version", 7).unwrap();
    }
    let bytes = fs::read(&path).unwrap();
    let error = open_with(&dir, SystemClock::start(), options()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 7, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    assert!(matches!(check_state(&dir), Err(OpenError::Newer { .. })));
    assert!(fs::read(&path).unwrap() == bytes);
    assert!(!dir.join("state.db.damaged-1").exists());
}

#[tokio::test]
async fn a_damaged_body_harms_its_page_alone_and_is_read_again_after_a_repair() {
    let mut sample = Sample::new(false).await;
    let part = sample.files().pop().unwrap();
    sample.round += 1;
    let dir = sample.home.path().join("body");
    copy(&sample.whole, &dir);
    // The first body begins behind the head of its file and frame.
    overwrite(&dir.join(&part), 8 + 12 + 100, |bytes| bytes[0] ^= 1, 1);
    let store = open(&dir, options());
    let damage = store.damage();
    assert_eq!((damage.len(), &damage[0].flow), (1, &Some(flow("a"))), "{damage:?}");
    assert!(matches!(store.body("r1", 1).await, Err(StoreError::Damaged(_))));
    assert_eq!(store.body("r1", 2).await.unwrap(), Some(vec![2; 3000]));
    assert_eq!(store.body("r2", 1).await.unwrap(), Some(vec![3; 3000]));
    store.close().await.unwrap();
    let owner = StateDir::own(&dir, at(0)).unwrap();
    let told = repair_state(&owner, at(9)).unwrap();
    assert!(told.iter().any(|line| line.contains("page 1 of run `r1` will be read again")), "{told:?}");
    assert_eq!(repair_state(&owner, at(9)).unwrap(), Vec::<String>::new());
    let store = open(&dir, options());
    assert_eq!(store.damage(), []);
    assert_eq!(store.body("r1", 1).await.unwrap(), None);
    let pages = store.pages("r1").await.unwrap();
    assert_eq!((pages.len(), pages[0].has_body, pages[1].has_body), (2, false, true));
}
