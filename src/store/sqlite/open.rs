//! Opening: what is there is checked before it is trusted, and what cannot be trusted is set aside and named.

use super::code::Book;
use super::fault::Fault;
use super::files::{Disk, Files, create_private, open_plain, read_at};
use super::reader::{self, Slot};
use super::schema::{self, For, SCHEMA};
use super::segments::{self, Segments};
use super::trouble::Trouble;
use super::verify::{known, walk};
use super::witness::Witness;
use super::writer::{Patience, Probe, Writer};
use super::{DATABASE, PAGES_DIR, SqliteStore, gather, inspect, quarantine, salvage};
use crate::observe::event;
use crate::observe::meters::StoreMeters;
use crate::store::api::{Damage, Health, Store};
use crate::store::state_dir::StateDir;
use crate::value::time::SharedClock;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc;
use tokio::sync::watch;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer version of this program wrote it.
    #[error(
        "the state `{path}` has version {found}, and this flowgate knows version {known}: use the newer flowgate that wrote it, or another state directory (nothing was changed)"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest one known here.
        known: u64,
    },
    /// Others may look into a file.
    #[error("`{path}` has mode {mode:04o}, but it holds credentials: run `chmod 600 {path}`")]
    Loose {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A link, a directory, another user's file.
    #[error("`{path}` is not a plain file of this user: move it away")]
    Wrong {
        /// Which path.
        path: PathBuf,
    },
    /// There is nothing to read.
    #[error("there is no state in `{0}`")]
    Absent(PathBuf),
    /// Nothing can be read from it as it is.
    #[error(
        "`{path}` cannot be read: {why}; see `flowgate state check`, `flowgate state repair` saves what can be saved"
    )]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What the database says.
        why: String,
    },
    /// The system said no.
    #[error("the state `{path}` cannot be opened: {why}")]
    System {
        /// Which file or directory.
        path: PathBuf,
        /// Its answer.
        why: String,
    },
}

impl OpenError {
    pub(super) fn system(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::System { path, why: error.to_string() }
    }

    pub(super) fn of(path: &Path) -> impl FnOnce(Fault) -> Self {
        let path = path.to_path_buf();
        move |fault| {
            let why = fault.to_string();
            if fault.spoils() { Self::Unusable { path, why } } else { Self::System { path, why } }
        }
    }
}

/// How a store is opened; tests choose otherwise.
pub(super) struct Options {
    pub files: Arc<dyn Files>,
    pub patience: Patience,
    pub probe: Probe,
}

impl Default for Options {
    fn default() -> Self {
        Self { files: Arc::new(Disk), patience: Patience::default(), probe: Probe::default() }
    }
}

/// Opens the store of a directory that this process owns, creating it where it is new. Blocks.
pub fn open(state: &StateDir, clock: SharedClock) -> Result<Arc<dyn Store>, OpenError> {
    open_with(state.path(), clock, Options::default())
}

pub(super) fn open_with(dir: &Path, clock: SharedClock, options: Options) -> Result<Arc<dyn Store>, OpenError> {
    let dir = dir.canonicalize().map_err(OpenError::system(dir))?;
    let path = dir.join(DATABASE);
    let (connection, book, damage) = take(&dir, &path)?;
    let live = parts(&connection).map_err(OpenError::of(&path))?;
    let pages = dir.join(PAGES_DIR);
    let mut segments = Segments::open(options.files, pages.clone(), &live).map_err(OpenError::of(&pages))?;
    // Only saves space: when it does not work now, it will another time.
    let _ = gather::gather(&connection, &mut segments, &pages);
    for found in &damage {
        event::state_damaged(found.flow.as_ref().map(crate::value::id::FlowId::as_str), &found.text);
    }
    let page_bytes = segments.total();
    let (health, watched) = watch::channel(Health::Good);
    let (asks, asked) = mpsc::channel();
    let (nudges, nudged) = mpsc::channel();
    let slot = Slot::of(path.clone());
    let writer = Writer {
        path: path.clone(),
        connection: Some(connection),
        segments,
        book,
        unclear: None,
        witness: Witness::open(&dir),
        trouble: Trouble::none(health, clock, StoreMeters::take()),
        patience: options.patience,
        probe: options.probe,
        readers: slot.clone(),
        untold: None,
        asks: asked,
        nudges: nudged,
    };
    let questions = start_reading(&path, slot.clone())?;
    start_thread("store-writer", &path, move || writer.work())?;
    Ok(Arc::new(SqliteStore {
        dir,
        asks: Some(asks),
        nudges,
        questions,
        slot,
        closing: AtomicBool::new(false),
        health: watched,
        page_bytes,
        damage,
    }))
}

/// Opens the store of a directory for reading, whoever owns it. Blocks.
pub fn open_read_only(dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let dir = dir.canonicalize().map_err(|_| OpenError::Absent(dir.to_path_buf()))?;
    let path = dir.join(DATABASE);
    if !is_private(&path)? {
        return Err(OpenError::Absent(dir));
    }
    let connection = look(&path)?;
    drop(connection);
    let pages = segments::list(&dir.join(PAGES_DIR)).unwrap_or_default().values().sum();
    let slot = Slot::of(path.clone());
    Ok(Arc::new(SqliteStore {
        dir,
        asks: None,
        nudges: mpsc::channel().0,
        questions: start_reading(&path, slot.clone())?,
        slot,
        closing: AtomicBool::new(false),
        health: watch::channel(Health::Good).1,
        page_bytes: Arc::new(AtomicU64::new(pages)),
        damage: Vec::new(),
    }))
}

fn start_reading(path: &Path, slot: Slot) -> Result<mpsc::Sender<reader::Question>, OpenError> {
    let (questions, asked) = mpsc::channel();
    start_thread("store-reader", path, move || reader::answer(&slot, &asked))?;
    Ok(questions)
}

fn start_thread(name: &str, path: &Path, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(OpenError::system(path))
}

/// Whether the file is there; what is there must be a plain file that only this user may read.
pub(super) fn is_private(path: &Path) -> Result<bool, OpenError> {
    let mut there = false;
    for ending in ["-shm", "-wal", "-journal", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let path = PathBuf::from(name);
        let found = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(OpenError::system(&path))?,
        };
        if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(OpenError::Wrong { path });
        }
        let mode = found.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(OpenError::Loose { path, mode });
        }
        there = ending.is_empty();
    }
    Ok(there)
}

/// A reading connection to a database of a version that is known here.
pub(super) fn look(path: &Path) -> Result<Connection, OpenError> {
    let unusable = |why: String| OpenError::Unusable { path: path.to_path_buf(), why };
    // With other numbers in this place the database only seems to be one that must not be written.
    let head = open_plain(path).and_then(|file| read_at(&file, 18, 2));
    if head.is_ok_and(|versions| versions.iter().any(|version| *version > 2)) {
        return Err(unusable("its header is damaged".to_owned()));
    }
    let connection = schema::connect(path, For::Reading).map_err(OpenError::of(path))?;
    let found = schema::version(&connection).map_err(OpenError::of(path))?;
    // A version that the book does not know of is a damaged header.
    let known = schema::book(&connection).ok().flatten().map_or(found, |book| book.schema);
    if known > SCHEMA {
        return Err(OpenError::Newer { path: path.to_path_buf(), found: known, known: SCHEMA });
    }
    if known != found {
        return Err(unusable(format!("its header tells of version {found}, and its book of {known}")));
    }
    Ok(connection)
}

/// Bytes up to which every index is compared with its table at each start.
const THOROUGH: u64 = 64 << 20;

/// The writing connection to a sound database of this version, and what is known to be damaged.
pub(super) fn take(dir: &Path, path: &Path) -> Result<(Connection, Book, Vec<Damage>), OpenError> {
    salvage::finish(dir).map_err(OpenError::of(path))?;
    if !is_private(path)? {
        create_private(path).and_then(|_| Disk.sync_dir(dir)).map_err(OpenError::system(path))?;
    }
    let (mut connection, earlier) = match sound(path) {
        Ok(connection) => (connection, Vec::new()),
        Err(OpenError::Unusable { why, .. }) => {
            let found = salvage::salvage(dir, &why).map_err(OpenError::of(path))?;
            (sound(path)?, found)
        }
        Err(other) => return Err(other),
    };
    let verdict = walk(&connection, &dir.join(PAGES_DIR)).map_err(OpenError::of(path))?;
    let witness = Witness::open(dir).read();
    let book = quarantine::set_aside(&mut connection, verdict, witness, earlier).map_err(OpenError::of(path))?;
    let damage = inspect::told(known(&connection).map_err(OpenError::of(path))?);
    Ok((connection, book, damage))
}

/// The writing connection to a database that holds together; `Unusable` when it does not.
fn sound(path: &Path) -> Result<Connection, OpenError> {
    let length = std::fs::metadata(path).map_err(OpenError::system(path))?.len();
    let unusable = |why: &str| OpenError::Unusable { path: path.to_path_buf(), why: why.to_owned() };
    if length > 0 {
        drop(look(path)?);
    }
    let mut connection = schema::connect(path, For::Writing).map_err(OpenError::of(path))?;
    let from = schema::version(&connection).map_err(OpenError::of(path))?;
    if from == 0 && schema::has_tables(&connection).map_err(OpenError::of(path))? {
        return Err(unusable("its version is missing"));
    }
    if from < SCHEMA {
        schema::migrate(&mut connection, from).map_err(OpenError::of(path))?;
    }
    match unsound(&connection, length <= THOROUGH).map_err(OpenError::of(path))? {
        Some(why) => Err(unusable(&why)),
        None => Ok(connection),
    }
}

/// What does not hold together in the structure of a database.
pub(super) fn unsound(connection: &Connection, thorough: bool) -> Result<Option<String>, Fault> {
    let pragma = if thorough { "PRAGMA integrity_check(1)" } else { "PRAGMA quick_check(1)" };
    let verdict: String = connection.query_row(pragma, [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
}

/// How many pages have bodies in which part.
pub(super) fn parts(connection: &Connection) -> Result<BTreeMap<u64, i64>, Fault> {
    let mut statement = connection.prepare("SELECT part, count(*) FROM pages WHERE part IS NOT NULL GROUP BY part")?;
    let pairs = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)))?;
    Ok(pairs.collect::<Result<_, _>>()?)
}
