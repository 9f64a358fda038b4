//! `[[export.each]]`: walks over keys and parents, block inside block, and gives what is to be read for each. Parents
//! are read a page at a time; where it is can be stored and gone on from at any moment.

mod level;
mod parents;

use super::origin::{Kin, Origin};
use super::places::{Entry, LevelPlace};
use super::quota::Quota;
use super::shelf::{Found, Parents, Shelf};
use super::{Block, Course, ReadError, Reader};
use crate::model::export::{Each, EachFrom};
use crate::value::json::write_string;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use level::Level;
use std::collections::HashSet;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Most that is remembered of what was given, to give nothing twice.
const MOST_SEEN: usize = 1 << 18;

/// What follows.
pub enum Step<'r> {
    /// Read this.
    Child(Kin),
    /// A page of parents is to be read first.
    Read(BoxFuture<'r, Landing<'r>>),
    /// A page of parents is on its way.
    Wait,
    /// Nothing.
    Over,
    /// It cannot go on.
    Failed(Trouble),
}

/// Why something could not be read, and where.
pub struct Trouble {
    /// As in `export page 3`.
    pub place: String,
    /// Why.
    pub error: ReadError,
}

/// A page of parents that was to be read.
pub struct Landing<'r> {
    key: Option<u128>,
    reader: Option<Box<Reader<'r>>>,
    page: Result<Arc<Parents>, Trouble>,
}

/// The walk of one export.
pub struct Fan<'r> {
    course: Course<'r>,
    levels: Vec<Level<'r>>,
    /// What was taken of each level.
    chosen: Vec<Entry>,
    seen: HashSet<u128>,
    shelf: Arc<Shelf>,
    /// Whether other exports may list the same parents.
    shared: bool,
    /// What tells the blocks' lists apart, but for what they are read for.
    lists: Vec<u128>,
}

impl<'r> Fan<'r> {
    /// Before the first key. An export without `each` has nothing to walk over.
    pub fn new(course: Course<'r>, shelf: Arc<Shelf>, shared: bool) -> Self {
        let (levels, chosen, seen) = (Vec::new(), Vec::new(), HashSet::new());
        // Now, before they are used: what is compiled at first use shows.
        let list = |each: &Each| xxh3_128(format!("{:?} {:?} {}", each.from, each.batch, each.whole).as_bytes());
        let lists = course.export.each.iter().map(list).collect();
        let mut fan = Self { course, levels, chosen, seen, shelf, shared, lists };
        if !fan.course.export.each.is_empty() {
            fan.levels.push(Level::unread());
        }
        fan
    }

    /// Goes on from a stored place.
    pub fn resume(&mut self, levels: Vec<LevelPlace>, chosen: Vec<Entry>) {
        self.levels = levels.into_iter().map(Level::resume).collect();
        self.chosen = chosen;
    }

    /// Where it is.
    pub fn place(&self) -> (Vec<LevelPlace>, Vec<Entry>) {
        let outer = self.levels.len().saturating_sub(1);
        (self.levels.iter().map(Level::place).collect(), self.chosen.iter().take(outer).cloned().collect())
    }

    /// Whether nothing follows.
    pub fn is_over(&self) -> bool {
        self.levels.is_empty()
    }

    /// What follows.
    pub fn step(&mut self) -> Step<'r> {
        let blocks: &'r [Each] = &self.course.export.each;
        loop {
            let depth = self.levels.len();
            let (Some(level), Some(block)) = (self.levels.last_mut(), blocks.get(depth.wrapping_sub(1))) else {
                return Step::Over;
            };
            self.chosen.truncate(depth - 1);
            if let Some(entry) = level.take() {
                self.chosen.push(entry);
                if !self.is_new() {
                    continue;
                }
                if depth == blocks.len() {
                    return Step::Child(kin(blocks, &self.chosen));
                }
                self.levels.push(Level::unread());
                continue;
            }
            if let Some(text) = level.wrong().map(str::to_owned) {
                return Step::Failed(self.trouble(block, ReadError::Parent(text)));
            }
            if level.is_awaited() {
                return Step::Wait;
            }
            if level.is_over() {
                self.levels.pop();
                continue;
            }
            match self.more(block) {
                Ok(None) => {}
                Ok(Some(step)) => return step,
                Err(error) => return Step::Failed(self.trouble(block, error)),
            }
        }
    }

    /// A page of parents landed: true when it may go on.
    pub fn land(&mut self, landing: Landing<'r>) -> Result<(), Trouble> {
        let Landing { key, reader, page } = landing;
        if let Some(key) = key {
            self.shelf.put(key, page.as_ref().ok());
        }
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        match page {
            Ok(page) => level.land(&page, reader),
            Err(trouble) => {
                level.give_up();
                return Err(trouble);
            }
        }
        Ok(())
    }

    /// More of the innermost level: taken from where it is at once, or to be read.
    fn more(&mut self, block: &'r Each) -> Result<Option<Step<'r>>, ReadError> {
        let depth = self.levels.len() - 1;
        let course = self.course_of(depth, block)?;
        let may_repeat = self.may_repeat(depth, block);
        let Some(level) = self.levels.last_mut() else { return Ok(None) };
        let EachFrom::Request { key, .. } = &block.from else {
            let listed = parents::listed(&course, block)?;
            level.land(&listed, None);
            return Ok(None);
        };
        let reader = match level.reader() {
            Some(reader) => reader,
            None => match level.cursor() {
                Some(cursor) => Box::new(Reader::resume(course.clone(), cursor)?),
                None => Box::new(Reader::new(course.clone())),
            },
        };
        let before = reader.cursor();
        let shelf_key = may_repeat.then(|| {
            let read: Vec<&Entry> = block.reads.iter().filter_map(|at| self.chosen.get(*at)).collect();
            // What changed since each export was read last is that one's own.
            let own = block.reads_name || course.export.delta.is_some();
            let name = own.then_some(&course.origin.export.name);
            let what = (self.lists.get(depth), read, name, before.text());
            xxh3_128(format!("{what:?}").as_bytes())
        });
        if let Some(key) = shelf_key {
            match self.shelf.find(key) {
                Found::Page(page) => {
                    level.at(before);
                    level.land(&page, None);
                    return Ok(None);
                }
                Found::Wait => {
                    level.keep(reader);
                    return Ok(Some(Step::Wait));
                }
                Found::Read => {}
            }
        }
        level.awaits(before);
        let place = self.place_of(block);
        let read = parents::read(course, reader, block, key.as_ref(), place);
        Ok(Some(Step::Read(read.map(move |(reader, page)| Landing { key: shelf_key, reader, page }).boxed())))
    }

    /// Whether the parents of a block may be listed more than once in a run.
    fn may_repeat(&self, depth: usize, block: &Each) -> bool {
        self.shared || block.reads.len() < depth
    }

    /// How the parents of a block are read.
    fn course_of(&self, depth: usize, block: &'r Each) -> Result<Course<'r>, ReadError> {
        let kin = (depth > 0).then(|| kin(&self.course.export.each, &self.chosen));
        let origin = Origin::kin(&self.course.origin.export, kin).map_err(|e| ReadError::Stored(e.to_string()))?;
        let EachFrom::Request { parent, .. } = &block.from else {
            return Ok(Course { origin, ..self.course.clone() });
        };
        let scope = self.course.scope;
        let gone = || ReadError::Stored(format!("connection `{}` is not part of this snapshot", parent.connection));
        let lane = scope.lane(&parent.connection).ok_or_else(gone)?;
        let quota = Quota::of(parent.limit);
        let (blocks, chosen) = (&self.course.export.each, &self.chosen);
        let read = || block.reads.iter().filter_map(|at| Some((blocks.get(*at)?, chosen.get(*at)?)));
        let keys = read().next().is_some().then(|| object(read().map(|(b, entry)| (b.name.as_str(), &*entry.key))));
        let block = Some(Block { name: block.name.clone(), keys });
        Ok(Course { scope, lane, export: parent, origin, beside: None, quota, is_all: false, block })
    }

    /// Whether it was not given before. What is not remembered any more is given again.
    fn is_new(&mut self) -> bool {
        if self.seen.len() >= MOST_SEEN {
            return true;
        }
        self.seen.insert(xxh3_128(format!("{:?}", self.chosen).as_bytes()))
    }

    fn place_of(&self, block: &Each) -> String {
        format!("export {} each {}", self.course.export.name, block.name)
    }

    fn trouble(&self, block: &Each, error: ReadError) -> Trouble {
        Trouble { place: self.place_of(block), error }
    }
}

/// JSON texts by name.
fn object<'e>(parts: impl Iterator<Item = (&'e str, &'e str)>) -> String {
    let mut out = b"{".to_vec();
    for (at, (name, value)) in parts.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// What was taken of the blocks, by name.
fn kin(blocks: &[Each], chosen: &[Entry]) -> Kin {
    let taken = || blocks.iter().zip(chosen);
    let each = object(taken().map(|(block, entry)| (block.name.as_str(), entry.key.as_str())));
    let records = || taken().filter_map(|(block, entry)| Some((block.name.as_str(), entry.record.as_deref()?)));
    let parent = records().next().is_some().then(|| object(records()));
    Kin { each, parent }
}
