//! Page bodies on disk: parts of bounded size that are only appended to, each deleted when no page in it is left.
//!
//! All runs share the part that grows, so that a group of batches costs one fsync whatever the number of runs (see
//! docs/adr/0016). A part opened by an earlier process is never appended to: a torn tail stays behind unread. What
//! lies where is told by the rows of pages alone; a body without a row does not exist.

use super::code::Place;
use super::fault::Fault;
use super::files::{Files, Growing, create_private_dir, open_plain, read_at};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// First bytes of a part: what it is, and the version of its frames.
const HEAD: &[u8; 8] = b"FGPAGE\x00\x01";
/// A frame before its body: checksum of run, page and body, then the body's length.
const FRAME: u64 = 12;
/// No part grows beyond this, but for one body that is larger.
const PART: u64 = 16 << 20;
/// A directory with other names in it than ours is left alone.
const ENDING: &str = ".seg";

/// The directory of parts.
pub(super) struct Segments {
    files: Arc<dyn Files>,
    dir: PathBuf,
    parts: BTreeMap<u64, Part>,
    next: u64,
    current: Option<Current>,
    /// Grown since the last sync, and full.
    full: Vec<Current>,
    /// Changes of the transaction under way: pages more or fewer in a part.
    changes: Vec<(u64, i64)>,
    /// Bytes of all parts, for whoever asks.
    total: Arc<AtomicU64>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Part {
    pages: i64,
    bytes: u64,
}

struct Current {
    part: u64,
    file: Box<dyn Growing>,
    length: u64,
    /// Known to be on disk.
    durable: u64,
}

impl Current {
    fn is_synced(&self) -> bool {
        self.durable == self.length
    }
}

pub(super) fn path_of(dir: &Path, part: u64) -> PathBuf {
    dir.join(format!("{part:016}{ENDING}"))
}

/// The parts in the directory with their lengths.
pub(super) fn list(dir: &Path) -> io::Result<BTreeMap<u64, u64>> {
    let mut parts = BTreeMap::new();
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(parts),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(ENDING)).and_then(|number| number.parse().ok());
        if let Some(number) = number {
            let length = entry.metadata().map_or(0, |found| found.len());
            parts.insert(number, length);
        }
    }
    Ok(parts)
}

fn checksum(run: &str, page: u64, body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&(run.len() as u64).to_le_bytes());
    sum.update(run.as_bytes());
    sum.update(&page.to_le_bytes());
    sum.update(body);
    sum.finalize()
}

/// Reads a body back; damaged when it is not what was written for this page.
pub(super) fn read(dir: &Path, run: &str, page: u64, place: Place) -> Result<Vec<u8>, Fault> {
    let what = || format!("page {page} of run `{run}`");
    let damaged = |why: &str| Fault::Damaged(format!("the body of {} {why}", what()));
    let file = match open_plain(&path_of(dir, place.part)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("is gone")),
        other => other.map_err(Fault::file(format!("the body of {}", what())))?,
    };
    match frame(&file, place) {
        Ok(Some((sum, body))) if sum == checksum(run, page, &body) => Ok(body),
        Ok(_) => Err(damaged("is not what was written")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged("is cut off")),
        Err(error) => Err(Fault::file(format!("the body of {}", what()))(error)),
    }
}

fn frame(file: &File, place: Place) -> io::Result<Option<(u32, Vec<u8>)>> {
    // Lengths are checked against the file before memory is taken.
    let end = place.at.checked_add(FRAME).and_then(|at| at.checked_add(place.length));
    if end.is_none_or(|end| end > file.metadata().map_or(0, |found| found.len())) {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    if read_at(file, 0, HEAD.len())? != HEAD {
        return Ok(None);
    }
    let head = read_at(file, place.at, 12)?;
    let (Some(sum), Some(length)) = (head.first_chunk::<4>(), head.last_chunk::<8>()) else { return Ok(None) };
    if u64::from_le_bytes(*length) != place.length {
        return Ok(None);
    }
    let Ok(length) = usize::try_from(place.length) else { return Ok(None) };
    Ok(Some((u32::from_le_bytes(*sum), read_at(file, place.at + FRAME, length)?)))
}

impl Segments {
    /// Takes the directory: `live` tells how many pages lie in which part. Parts without any are removed.
    pub fn open(files: Arc<dyn Files>, dir: PathBuf, live: &BTreeMap<u64, i64>) -> Result<Self, Fault> {
        create_private_dir(&dir).map_err(Fault::file(format!("create `{}`", dir.display())))?;
        let found = list(&dir).map_err(Fault::file(format!("look into `{}`", dir.display())))?;
        let last = found.keys().chain(live.keys()).max().copied().unwrap_or(0);
        let mut segments = Self {
            files,
            dir,
            parts: BTreeMap::new(),
            next: last.saturating_add(1),
            current: None,
            full: Vec::new(),
            changes: Vec::new(),
            total: Arc::default(),
        };
        for (part, bytes) in found {
            segments.parts.insert(part, Part { pages: live.get(&part).copied().unwrap_or(0), bytes });
        }
        segments.release();
        Ok(segments)
    }

    /// Bytes of all parts, kept up to date.
    pub fn total(&self) -> Arc<AtomicU64> {
        self.total.clone()
    }

    /// How far the changes of this transaction have come, to go back to it.
    pub fn mark(&self) -> usize {
        self.changes.len()
    }

    /// Forgets changes made since.
    pub fn go_back(&mut self, mark: usize) {
        self.changes.truncate(mark);
    }

    /// A page's body is not needed any more, once the transaction is durable.
    pub fn drop(&mut self, place: Place) {
        self.changes.push((place.part, -1));
    }

    /// Adds a body; durable after [`Segments::sync`].
    pub fn append(&mut self, run: &str, page: u64, body: &[u8]) -> Result<Place, Fault> {
        let length = body.len() as u64;
        if self.current.as_ref().is_some_and(|current| current.length + FRAME + length > PART) {
            self.full.extend(self.current.take());
        }
        if self.current.is_none() {
            let opened = self.begin_part();
            self.current = Some(opened?);
        }
        let mut frame = Vec::with_capacity(body.len() + 12);
        frame.extend_from_slice(&checksum(run, page, body).to_le_bytes());
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(body);
        let Some(current) = self.current.as_mut() else {
            return Err(Fault::Damaged("no part is open".to_owned()));
        };
        let place = Place { part: current.part, at: current.length, length };
        let written = current.file.append(&frame);
        if let Err(error) = written {
            self.poison();
            return Err(Fault::file("write a file of page bodies")(error));
        }
        current.length += frame.len() as u64;
        self.changes.push((place.part, 1));
        Ok(place)
    }

    fn begin_part(&mut self) -> Result<Current, Fault> {
        let part = self.next;
        let path = path_of(&self.dir, part);
        // Whatever comes of it, the number is used: a half-made file never gets a second meaning.
        self.next += 1;
        let begun = self.files.create(&path).and_then(|mut file| {
            file.append(HEAD)?;
            self.files.sync_dir(&self.dir)?;
            Ok(file)
        });
        let file = match begun {
            Ok(file) => file,
            Err(error) => {
                let _ = self.files.remove(&path);
                return Err(Fault::file("create a file of page bodies")(error));
            }
        };
        self.parts.insert(part, Part::default());
        Ok(Current { part, file, length: HEAD.len() as u64, durable: 0 })
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result<(), Fault> {
        let mut failed = None;
        for current in self.full.iter_mut().chain(self.current.as_mut()) {
            if !current.is_synced() {
                match current.file.sync() {
                    Ok(()) => current.durable = current.length,
                    Err(error) => failed = Some(error),
                }
            }
        }
        if let Some(error) = failed {
            self.poison();
            return Err(Fault::file("fsync of a file of page bodies")(error));
        }
        Ok(())
    }

    /// After a failed write or fsync nothing is known about what was not durable before: the files are left for new
    /// ones, and cut where that is possible, because a full disk needs the space.
    fn poison(&mut self) {
        for mut current in self.full.drain(..).chain(self.current.take()) {
            let _ = current.file.cut(current.durable);
            if let Some(part) = self.parts.get_mut(&current.part) {
                part.bytes = current.durable;
            }
        }
    }

    /// The transaction is durable: its changes hold, and parts without pages go.
    pub fn settle(&mut self) {
        for (part, change) in std::mem::take(&mut self.changes) {
            if let Some(part) = self.parts.get_mut(&part) {
                part.pages += change;
            }
        }
        for current in self.full.iter().chain(&self.current) {
            if let Some(part) = self.parts.get_mut(&current.part) {
                part.bytes = current.length;
            }
        }
        self.full.clear();
        self.release();
    }

    /// Removes parts without pages, but the growing one while it is small. What cannot be removed now is removed later.
    fn release(&mut self) {
        if let Some(current) = &self.current
            && current.length > PART / 16
            && self.parts.get(&current.part).is_some_and(|part| part.pages <= 0)
        {
            self.current = None;
        }
        let growing = self.current.as_ref().map(|current| current.part);
        let (files, dir) = (&self.files, &self.dir);
        self.parts.retain(|number, part| {
            part.pages > 0 || Some(*number) == growing || files.remove(&path_of(dir, *number)).is_err()
        });
        self.total.store(self.parts.values().map(|part| part.bytes).sum(), Ordering::Relaxed);
    }
}
