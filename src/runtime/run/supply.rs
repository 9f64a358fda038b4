//! Where a run's pages come from: first those read before a restart, in order, then its exports side by side; or the
//! open error records that are tried again. Pages get their numbers in the order they arrive in.
// size: each place that pages come from, and how what was stored is read again.

use super::once::STEP as TELLS;
use super::state::Counts;
use crate::runtime::export::cursor::{Cursor, Head, lasting_hash, stored};
use crate::runtime::export::delta::{Judged, Roots, Watch};
use crate::runtime::export::fan::Trouble;
use crate::runtime::export::origin::{Kin, Origin};
use crate::runtime::export::page::Page;
use crate::runtime::export::places::{Places, is_plain};
use crate::runtime::export::quota::{Allowance, Quota};
use crate::runtime::export::shelf::Shelf;
use crate::runtime::export::track::{Coming, Landed, Track};
use crate::runtime::export::{Arrived, Course, ReadError, Reader};
use crate::runtime::scope::{Scope, Work};
use crate::store::{ErrorRow, IntentRow, PageRow, StepTally, StoreError};
use crate::value::json::Json;
use crate::value::record::Record;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;
use std::sync::Arc;

/// Error records on one page of a retry.
const RETRIED_AT_ONCE: usize = 200;

/// A page with what is stored of it, beside its body.
pub(super) struct Fresh {
    pub(super) page: Page,
    /// Where all exports are after it.
    pub(super) cursor: String,
    /// Its answer, and the cursor before it.
    pub(super) head: String,
    /// What a delta says of its records.
    pub(super) judged: Judged,
}

/// What came of something that was asked for.
pub(super) enum Supplied {
    /// Nothing to work on: parents, or the end of something.
    Nothing,
    /// Read just now.
    Fresh(Fresh),
    /// Read before a restart: as it was stored, or read again and still the same.
    Known(Page, Box<PageRow>),
    /// Read again after a restart, and not the same any more: what was in flight on the old one is not counted.
    Changed(Fresh, Box<PageRow>),
    /// Error records.
    Retry(Page, Vec<ErrorRow>),
}

#[expect(clippy::large_enum_variant, reason = "one lives at a time, on its way to whoever asked")]
enum Flight<'r> {
    /// Of an export, by its position.
    Track(usize, Landed<'r>),
    /// From before a restart.
    Row(Result<Supplied, Trouble>),
}

/// All pages of a run.
pub(super) struct Supply<'r> {
    scope: &'r Scope,
    /// Read before a restart and not worked off.
    rows: VecDeque<PageRow>,
    tracks: Vec<Track<'r>>,
    /// The export whose turn it is.
    turn: usize,
    /// Records the run may take.
    run: Allowance,
    /// The number of the last page.
    pages: u64,
    errors: VecDeque<ErrorRow>,
    /// What was stored cannot be gone on from.
    broken: Option<Trouble>,
    flying: FuturesUnordered<BoxFuture<'r, Flight<'r>>>,
    narrow: bool,
    /// Whether something from before is on its way: what comes after it is not asked for yet.
    earlier: bool,
}

impl<'r> Supply<'r> {
    pub(super) fn new(scope: &'r Scope) -> Self {
        let mut supply = Self {
            scope,
            rows: VecDeque::new(),
            tracks: Vec::new(),
            turn: 0,
            run: Allowance::of(scope.limit),
            pages: 0,
            errors: VecDeque::new(),
            broken: None,
            flying: FuturesUnordered::new(),
            narrow: false,
            earlier: false,
        };
        let mut last = None;
        match &scope.work {
            Work::Export(None) => {}
            Work::Export(Some(resume)) => {
                supply.rows = resume.pages.iter().filter(|row| !row.marks.is_done()).cloned().collect();
                last = resume.pages.last();
                supply.pages = last.map_or(0, |row| row.number);
            }
            Work::Retry(errors) => {
                supply.errors = errors.iter().cloned().collect();
                return supply;
            }
        }
        if let Err(error) = supply.set_out(last) {
            supply.broken = Some(Trouble { place: format!("export page {}", supply.pages + 1), error });
        }
        supply
    }

    /// The exports, from where they were after a page.
    fn set_out(&mut self, last: Option<&PageRow>) -> Result<(), ReadError> {
        let scope = self.scope;
        let places = last.map(|row| Places::read(&row.cursor, &scope.flow)).transpose().map_err(ReadError::Stored)?;
        if let Some(places) = &places {
            scope.marks.recall(&places.marks);
        }
        let (mut places, left) = places.map_or((Vec::new(), None), |places| (places.exports, places.left));
        if last.is_some() && left.is_some() {
            self.run = Allowance::of(left);
        }
        let (shelf, alone) = (Arc::new(Shelf::default()), is_plain(&scope.flow));
        for export in scope.exports() {
            let known = places.iter().position(|place| place.export == export.name);
            let place = known.map(|at| places.swap_remove(at));
            let left = place.as_ref().map_or(export.limit, |place| place.left);
            let quota = Quota { export: Allowance::of(left), run: self.run.clone() };
            let Some(course) = Course::of(scope, export) else { continue };
            let course = Course { quota, is_all: alone, ..course };
            if let Some(row) = last.filter(|_| alone) {
                // One that was over before the restart has its mark still to move.
                let cursor = Cursor::read(&row.cursor).map_err(ReadError::Stored)?;
                if cursor.is_over() {
                    Reader::resume(course.clone(), cursor)?.over();
                }
            }
            let shared = shelf.clone();
            self.tracks.push(match place {
                Some(place) => Track::resume(course, place, shared, alone)?,
                None => Track::new(course, shared, alone),
            });
        }
        Ok(())
    }

    /// How many pages may be on their way at once.
    pub(super) fn width(&self) -> usize {
        self.tracks.iter().filter(|track| !track.is_over()).map(Track::width).sum::<usize>().max(1)
    }

    /// Whether something is on its way.
    pub(super) fn is_flying(&self) -> bool {
        !self.flying.is_empty()
    }

    /// Whether all was given.
    pub(super) fn is_over(&self) -> bool {
        let waiting = !self.rows.is_empty() || !self.errors.is_empty() || self.broken.is_some();
        !waiting && !self.is_flying() && self.tracks.iter().all(Track::is_over)
    }

    /// Whether more of a place is to come.
    pub(super) fn coming(&self, origin: &Origin) -> Coming {
        if !self.rows.is_empty() || self.earlier || self.broken.is_some() {
            return Coming::More;
        }
        let mut tracks = self.tracks.iter();
        tracks.find(|track| track.is_of(origin)).map_or(Coming::Lost, |track| track.coming(origin))
    }

    /// Nothing is wanted any more.
    pub(super) fn stop(&mut self) {
        self.flying.clear();
    }

    /// Whether of the exports that make groups only one place is to be read on: open groups are large, and what ends one
    /// makes room.
    pub(super) fn set_narrow(&mut self, narrow: bool) {
        self.narrow = narrow;
    }

    /// Asks for one thing more. False when there is nothing to be asked for now.
    pub(super) fn begin(&mut self) -> bool {
        if self.earlier {
            return false;
        }
        if let Some(flight) = self.begin_earlier() {
            self.earlier = true;
            self.flying.push(flight);
            return true;
        }
        let first = self.tracks.iter().position(|track| track.groups() && !track.is_over());
        for _ in 0..self.tracks.len() {
            let at = self.turn % self.tracks.len();
            self.turn = at + 1;
            let Some(track) = self.tracks.get_mut(at) else { continue };
            let narrow = self.narrow && track.groups();
            if narrow && first != Some(at) {
                continue;
            }
            if let Some(flight) = track.begin(narrow) {
                self.flying.push(flight.map(move |landed| Flight::Track(at, landed)).boxed());
                return true;
            }
        }
        false
    }

    /// What comes before the exports: one at a time, in order.
    fn begin_earlier(&mut self) -> Option<BoxFuture<'r, Flight<'r>>> {
        if let Some(row) = self.rows.pop_front() {
            return Some(known(self.scope, row).map(Flight::Row).boxed());
        }
        let ready = match self.retry() {
            Some(supplied) => Ok(supplied),
            None => Err(self.broken.take()?),
        };
        Some(std::future::ready(Flight::Row(ready)).boxed())
    }

    /// What comes next of what was asked for.
    pub(super) async fn next(&mut self) -> Option<Result<Supplied, Trouble>> {
        match self.flying.next().await? {
            Flight::Row(supplied) => {
                self.earlier = false;
                Some(supplied)
            }
            Flight::Track(at, landed) => {
                let landed = self.tracks.get_mut(at)?.land(landed);
                Some(landed.map(|arrived| match arrived {
                    Some(arrived) => Supplied::Fresh(self.fresh(arrived)),
                    None => Supplied::Nothing,
                }))
            }
        }
    }

    fn fresh(&mut self, arrived: Arrived) -> Fresh {
        self.pages += 1;
        let Arrived { page, cursor, head, judged } = arrived;
        let cursor = if is_plain(&self.scope.flow) {
            cursor.text()
        } else {
            let mut places = Places::of(self.tracks.iter().map(Track::place).collect(), self.run.left());
            places.marks = self.scope.marks.moved();
            places.text()
        };
        numbered(self.scope, page, head, self.pages, cursor, judged)
    }

    fn retry(&mut self) -> Option<Supplied> {
        // Those of one place at a time: a page is of one; and those that only want their source to be told by themselves.
        let first = self.errors.front()?;
        let (name, each, time) = (first.export.clone(), first.each.clone(), first.time.clone());
        let tells = first.step == TELLS;
        let alike = |error: &&ErrorRow| {
            error.export == name && error.each == each && error.time == time && (error.step == TELLS) == tells
        };
        let alike = self.errors.iter().take(RETRIED_AT_ONCE).take_while(alike).count();
        let chunk: Vec<ErrorRow> = self.errors.drain(..alike).collect();
        let export = self.scope.flow.export(&name)?;
        let kin = each.and_then(|text| serde_json::from_str::<Kin>(&text).ok());
        let origin = Origin::kin(export, kin).unwrap_or_else(|_| Origin::of(export));
        let time = time.and_then(|text| Roots::read(&text));
        let origin = time.map_or_else(|| origin.clone(), |time| origin.timed(time));
        let url = self.scope.lane(&export.connection)?.client.settings().base_uri.clone();
        self.pages += 1;
        let records: Vec<Record> = chunk.iter().map(|error| Record::new(payload(error))).collect();
        let bytes = chunk.iter().map(ErrorRow::bytes).sum();
        let page = Page {
            number: self.pages,
            place: self.pages,
            origin,
            body: None,
            records: Arc::from(records),
            status: 0,
            headers: Vec::new(),
            url,
            bytes,
            joins: false,
        };
        Some(Supplied::Retry(page, chunk))
    }
}

/// A page under its number in the run, with what is stored of it.
fn numbered(scope: &Scope, page: Page, head: Head, number: u64, cursor: String, judged: Judged) -> Fresh {
    let origin = &page.origin;
    let export = (scope.flow.exports.len() > 1).then(|| origin.export.name.clone());
    let place = (page.place != number).then_some(page.place);
    let head = Head { export, kin: origin.of_each(), page: place, ..head }.text();
    Fresh { page: Page { number, ..page }, cursor, head, judged }
}

/// A page from before a restart. One whose body is not stored, or damaged, is asked for again.
async fn known(scope: &Scope, row: PageRow) -> Result<Supplied, Trouble> {
    let place = format!("export page {}", row.number);
    let read = async {
        let (course, head) = course_of(scope, &row)?;
        match body(&course, &row).await {
            Ok(page) => Ok(Supplied::Known(page, Box::new(row))),
            Err(cause) => again(course, head, row, cause).await,
        }
    };
    read.await.map_err(|error| Trouble { place, error })
}

/// How a stored page was read.
fn course_of<'r>(scope: &'r Scope, row: &PageRow) -> Result<(Course<'r>, Head), ReadError> {
    let head = Head::read(&row.head).map_err(ReadError::Stored)?;
    let mut exports = scope.flow.exports.iter();
    let export = match &head.export {
        Some(name) => exports.find(|export| export.name == *name),
        None => exports.next(),
    };
    let course = export.and_then(|export| Course::of(scope, export));
    let mut course =
        course.ok_or_else(|| ReadError::Stored(format!("the export of page {} is not there any more", row.number)))?;
    let origin = Origin::kin(&course.origin.export, head.kin.clone());
    course.origin = origin.map_err(|error| ReadError::Stored(format!("the stored page {}: {error}", row.number)))?;
    let place = head.before.as_ref().and_then(|before| before.delta.as_deref());
    if let Some((delta, place)) = course.export.delta.as_ref().zip(place) {
        course.origin = course.origin.timed(Watch::resume(delta, place.clone()).roots());
    }
    Ok((course, head))
}

async fn body(course: &Course<'_>, row: &PageRow) -> Result<Page, String> {
    if !row.has_body {
        return Err(String::new());
    }
    let scope = course.scope;
    let body = scope.store.body(&scope.run, row.number).await.map_err(|error: StoreError| error.to_string())?;
    stored(row, course.origin.clone(), body, &|page, kind, body| course.reopen(page, kind, body))
}

async fn again(course: Course<'_>, head: Head, row: PageRow, cause: String) -> Result<Supplied, ReadError> {
    let scope = course.scope;
    let Some(before) = head.before else {
        return Err(ReadError::Stored(format!("page {} cannot be read again: {cause}", row.number)));
    };
    let course = Course { quota: Quota::of(before.left), ..course };
    let mut reader = Reader::resume(course, before)?;
    let Some(arrived) = reader.next().await? else {
        return Err(ReadError::Stored(format!("page {} is not there any more", row.number)));
    };
    let body = arrived.page.body.as_ref().map_or(&[][..], |body| body.text().as_bytes());
    let same = head.hash.is_some_and(|hash| hash == lasting_hash(body));
    let count = arrived.page.records.len();
    // Where several places are stored with a page, they are what was gone on from.
    let cursor = if is_plain(&scope.flow) { arrived.cursor.text() } else { row.cursor.clone() };
    let fresh = numbered(scope, arrived.page, arrived.head, row.number, cursor, arrived.judged);
    Ok(if same && u32::try_from(count).is_ok_and(|count| count == row.marks.len()) {
        Supplied::Known(fresh.page, Box::new(row))
    } else {
        Supplied::Changed(fresh, Box::new(row))
    })
}

/// What was stored was checked when it was written; should it be no JSON all the same, it travels as text.
fn payload(error: &ErrorRow) -> Json {
    Json::parse(error.payload.as_str()).unwrap_or_else(|_| Json::from_value(&error.payload.as_str().into()))
}

/// What a run needs to go on after a restart.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// Its pages: those not worked off, and the last one.
    pub pages: Vec<PageRow>,
    /// What it was about to send.
    pub intents: Vec<IntentRow>,
    /// Its figures.
    pub counts: Counts,
    /// Import requests finished.
    pub requests: u64,
    /// Where its records ended.
    pub steps: Vec<StepTally>,
    /// Whether its records in flight are in this process's figures already.
    pub counted: bool,
}
