//! One export of a run: what is being read of it, a few at a time where it is read for each of something, and what
//! follows.

use super::cursor::Cursor;
use super::fan::{Fan, Landing, Step, Trouble};
use super::origin::{Kin, Origin};
use super::places::{OpenPlace, TrackPlace};
use super::shelf::Shelf;
use super::{Arrived, Course, ReadError, Reader};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Most that is read at once of one export: the place of each is stored with every page.
const MOST_OPEN: usize = 32;
/// Bytes of parents carried for what is open above which nothing more is opened: they are stored with every page too.
const MOST_CARRIED: usize = 256 << 10;
/// Most characters of keys that are shown.
const MOST_SHOWN: usize = 80;

/// Something that was asked for.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on its way to whoever asked")]
pub enum Landed<'r> {
    /// A page.
    Page {
        /// Of what.
        child: u64,
        /// Who read it.
        reader: Box<Reader<'r>>,
        /// It; none when there was none any more.
        page: Result<Option<Arrived>, ReadError>,
    },
    /// A page of parents.
    Parents(Landing<'r>),
    /// It could not be asked for.
    Failed(Trouble),
}

/// Whether more of a place is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// Perhaps.
    More,
    /// It was read to its end, or as far as was wanted.
    Nothing,
    /// It should have, but cannot be read.
    Lost,
}

struct Open<'r> {
    id: u64,
    origin: Arc<Origin>,
    /// What leads to its next page.
    cursor: Cursor,
    reader: Option<Box<Reader<'r>>>,
    /// Whether that is being read.
    awaited: bool,
}

/// One export of a run.
pub struct Track<'r> {
    course: Course<'r>,
    fan: Fan<'r>,
    open: Vec<Open<'r>>,
    failed: bool,
    opened: u64,
    /// Whether the flow has nothing else: then a place is a page alone.
    alone: bool,
}

impl<'r> Track<'r> {
    /// Before its first page.
    pub fn new(course: Course<'r>, shelf: Arc<Shelf>, alone: bool) -> Self {
        let fan = Fan::new(course.clone(), shelf, !alone);
        let mut track = Self { course, fan, open: Vec::new(), failed: false, opened: 0, alone };
        if track.course.export.each.is_empty() {
            let (origin, cursor) = (track.course.origin.clone(), Reader::new(track.course.clone()).cursor());
            track.open(origin, cursor);
        }
        track
    }

    /// From a stored place.
    pub fn resume(course: Course<'r>, place: TrackPlace, shelf: Arc<Shelf>, alone: bool) -> Result<Self, ReadError> {
        let mut track = Self::new(course, shelf, alone);
        track.open.clear();
        track.fan.resume(place.levels, place.chosen);
        for OpenPlace { kin, cursor } in place.open {
            let origin = track.origin(kin)?;
            track.open(origin, cursor);
        }
        Ok(track)
    }

    /// Where it is.
    pub fn place(&self) -> TrackPlace {
        let (levels, chosen) = self.fan.place();
        let open = |open: &Open<'_>| OpenPlace { kin: open.origin.of_each(), cursor: open.cursor.clone() };
        TrackPlace {
            export: self.course.export.name.clone(),
            left: self.course.quota.export.left(),
            levels,
            chosen,
            open: self.open.iter().map(open).collect(),
        }
    }

    /// Whether nothing of it follows.
    pub fn is_over(&self) -> bool {
        self.failed || self.course.quota.is_spent() || (self.open.is_empty() && self.fan.is_over())
    }

    /// Whether a place is of this export.
    pub fn is_of(&self, origin: &Origin) -> bool {
        self.course.export.name == origin.export.name
    }

    /// Whether more of a place of it is to come.
    pub fn coming(&self, origin: &Origin) -> Coming {
        match self.open.iter().find(|open| open.origin.is_at(origin)) {
            None => Coming::Nothing,
            Some(open) if open.awaited => Coming::More,
            Some(_) if self.failed => Coming::Lost,
            Some(_) if self.course.quota.is_spent() => Coming::Nothing,
            Some(_) => Coming::More,
        }
    }

    /// How much of it may be read at once: what keeps the level of its connection in use.
    pub fn width(&self) -> usize {
        if self.course.export.each.is_empty() {
            return 1;
        }
        let Course { scope, lane, .. } = &self.course;
        (scope.queue.level(&lane.line) as usize + 1).min(MOST_OPEN)
    }

    /// Whether its records make groups.
    pub fn groups(&self) -> bool {
        !self.course.export.group_by.is_empty()
    }

    /// Asks for one thing more; none when that cannot be now. What is begun comes first; when it is to be `narrow`,
    /// nothing else before the end of what was begun first.
    pub fn begin(&mut self, narrow: bool) -> Option<BoxFuture<'r, Landed<'r>>> {
        if self.failed || self.course.quota.is_spent() {
            return None;
        }
        let some = if narrow { 1 } else { self.open.len() };
        if let Some(at) = self.open.iter().take(some).position(|open| !open.awaited) {
            return Some(self.ask(at));
        }
        if narrow && !self.open.is_empty() {
            return None;
        }
        let carried: usize = self.open.iter().map(|open| open.origin.weight()).sum();
        if self.open.len() >= self.width() || carried >= MOST_CARRIED {
            return None;
        }
        match self.fan.step() {
            Step::Child(kin) => match self.origin(Some(kin)) {
                Ok(origin) => {
                    let course = Course { origin: origin.clone(), ..self.course.clone() };
                    self.open(origin, Reader::new(course).cursor());
                    Some(self.ask(self.open.len() - 1))
                }
                Err(error) => Some(self.cannot(Trouble { place: self.place_of(None, 1), error })),
            },
            Step::Read(read) => Some(read.map(Landed::Parents).boxed()),
            Step::Failed(trouble) => Some(self.cannot(trouble)),
            Step::Wait | Step::Over => None,
        }
    }

    /// Takes what was asked for; gives the page, when it is one of records.
    pub fn land(&mut self, landed: Landed<'r>) -> Result<Option<Arrived>, Trouble> {
        match landed {
            Landed::Page { child, reader, page } => self.land_page(child, reader, page),
            Landed::Parents(landing) => {
                let landed = self.fan.land(landing).map(|()| None);
                self.failed |= landed.is_err();
                landed
            }
            Landed::Failed(trouble) => {
                self.failed = true;
                Err(trouble)
            }
        }
    }

    fn land_page(
        &mut self,
        child: u64,
        reader: Box<Reader<'r>>,
        page: Result<Option<Arrived>, ReadError>,
    ) -> Result<Option<Arrived>, Trouble> {
        let Some(at) = self.open.iter().position(|open| open.id == child) else { return Ok(None) };
        match page {
            Ok(arrived) => {
                if let Some(arrived) = arrived.as_ref().filter(|_| !reader.is_over()) {
                    let open = &mut self.open[at];
                    open.cursor = arrived.cursor.clone();
                    open.reader = Some(reader);
                    open.awaited = false;
                } else {
                    self.open.remove(at);
                }
                Ok(arrived)
            }
            Err(error) => {
                self.failed = true;
                self.open[at].awaited = false;
                let place = self.place_of(self.open.get(at).map(|open| open.origin.as_ref()), reader.page());
                Err(Trouble { place, error })
            }
        }
    }

    fn origin(&self, kin: Option<Kin>) -> Result<Arc<Origin>, ReadError> {
        Origin::kin(&self.course.origin.export, kin).map_err(|error| ReadError::Stored(format!("`each`: {error}")))
    }

    fn open(&mut self, origin: Arc<Origin>, cursor: Cursor) {
        self.opened += 1;
        self.open.push(Open { id: self.opened, origin, cursor, reader: None, awaited: false });
    }

    /// Asks for the next page of something that is open.
    fn ask(&mut self, at: usize) -> BoxFuture<'r, Landed<'r>> {
        let open = &mut self.open[at];
        open.awaited = true;
        let child = open.id;
        let reader = open.reader.take().map_or_else(
            || {
                let course = Course { origin: open.origin.clone(), ..self.course.clone() };
                Reader::resume(course, open.cursor.clone()).map(Box::new)
            },
            Ok,
        );
        match reader {
            Ok(mut reader) => async move {
                let page = reader.next().await;
                Landed::Page { child, reader, page }
            }
            .boxed(),
            Err(error) => {
                self.open[at].awaited = false;
                let place = self.place_of(self.open.get(at).map(|open| open.origin.as_ref()), 1);
                self.cannot(Trouble { place, error })
            }
        }
    }

    fn cannot(&mut self, trouble: Trouble) -> BoxFuture<'r, Landed<'r>> {
        self.failed = true;
        std::future::ready(Landed::Failed(trouble)).boxed()
    }

    /// What is told about a page.
    fn place_of(&self, origin: Option<&Origin>, page: u64) -> String {
        let keys = origin.and_then(Origin::keys).map(shown).unwrap_or_default();
        match keys.as_str() {
            "" if self.alone => format!("export page {page}"),
            keys => format!("export {}{keys} page {page}", self.course.export.name),
        }
    }
}

/// Keys as they are told: ` {"repo":"a"}`, and not all of them.
fn shown(keys: &str) -> String {
    let plain = keys.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut cut: String = plain.take(MOST_SHOWN).collect();
    if cut.len() < keys.len() {
        cut.push('…');
    }
    format!(" {cut}")
}
