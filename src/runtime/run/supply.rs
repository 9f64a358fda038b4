//! Where a run's pages come from, in order: those read before a restart, then the export itself; or the open error
//! records that are tried again.

use super::state::Counts;
use crate::runtime::export::cursor::{Cursor, Head, lasting_hash, stored};
use crate::runtime::export::origin::Origin;
use crate::runtime::export::page::Page;
use crate::runtime::export::{Arrived, Course, ReadError, Reader};
use crate::runtime::scope::{Scope, Work};
use crate::store::{ErrorRow, IntentRow, PageRow, StoreError};
use crate::value::json::Json;
use crate::value::record::Record;
use std::collections::VecDeque;
use std::sync::Arc;

/// Error records on one page of a retry.
const RETRIED_AT_ONCE: usize = 200;

/// The next page of work.
pub(super) enum Supplied {
    /// Read just now.
    Fresh(Arrived),
    /// Read before a restart: as it was stored, or read again and still the same.
    Known(Page, Box<PageRow>),
    /// Read again after a restart, and not the same any more: what was in flight on the old one is not counted.
    Changed(Arrived, Box<PageRow>),
    /// Error records.
    Retry(Page, Vec<ErrorRow>),
}

/// All pages of a run, one after the other.
pub(super) struct Supply<'r> {
    scope: &'r Scope,
    course: Option<Course<'r>>,
    /// Read before a restart and not worked off.
    rows: VecDeque<PageRow>,
    /// The last page stored before a restart: the export goes on after it.
    last: Option<PageRow>,
    reader: Option<Reader<'r>>,
    errors: VecDeque<ErrorRow>,
    retry_pages: u64,
}

impl<'r> Supply<'r> {
    pub(super) fn new(scope: &'r Scope) -> Self {
        let course = scope.flow.exports.first().and_then(|export| Course::of(scope, export));
        let mut supply = Self {
            scope,
            course,
            rows: VecDeque::new(),
            last: None,
            reader: None,
            errors: VecDeque::new(),
            retry_pages: 0,
        };
        match &scope.work {
            Work::Export(None) => supply.reader = supply.course.clone().map(Reader::new),
            Work::Export(Some(resume)) => {
                supply.rows = resume.pages.iter().filter(|row| !row.marks.is_done()).cloned().collect();
                supply.last = resume.pages.last().cloned();
                if supply.last.is_none() {
                    supply.reader = supply.course.clone().map(Reader::new);
                }
            }
            Work::Retry(errors) => supply.errors = errors.iter().cloned().collect(),
        }
        supply
    }

    /// The next page; none when all were given.
    pub(super) async fn next(&mut self) -> Result<Option<Supplied>, ReadError> {
        if let Some(row) = self.rows.pop_front() {
            return self.known(row).await.map(Some);
        }
        if let Work::Retry(_) = self.scope.work {
            return Ok(self.retry());
        }
        if self.reader.is_none() {
            self.reader = self.resumed()?;
        }
        match &mut self.reader {
            Some(reader) => Ok(reader.next().await?.map(Supplied::Fresh)),
            None => Ok(None),
        }
    }

    /// A page from before a restart. One whose body is not stored, or damaged, is asked for again.
    async fn known(&self, row: PageRow) -> Result<Supplied, ReadError> {
        match self.body(&row).await {
            Ok(page) => Ok(Supplied::Known(page, Box::new(row))),
            Err(cause) => self.again(row, cause).await,
        }
    }

    async fn body(&self, row: &PageRow) -> Result<Page, String> {
        if !row.has_body {
            return Err(String::new());
        }
        let course = self.course().map_err(|error| error.to_string())?;
        let body = self.scope.store.body(&self.scope.run, row.number).await;
        let body = body.map_err(|error: StoreError| error.to_string())?;
        stored(row, course.origin.clone(), body, &|page, kind, body| course.reopen(page, kind, body))
    }

    async fn again(&self, row: PageRow, cause: String) -> Result<Supplied, ReadError> {
        let head = Head::read(&row.head).map_err(ReadError::Stored)?;
        let Some(mut before) = head.before else {
            return Err(ReadError::Stored(format!("page {} cannot be read again: {cause}", row.number)));
        };
        let course = self.course()?;
        let previous = kept(&course, &mut before)?;
        let mut reader = Reader::resume(course, before, previous)?;
        let Some(arrived) = reader.next().await? else {
            return Err(ReadError::Stored(format!("page {} is not there any more", row.number)));
        };
        let body = arrived.page.body.as_ref().map_or(&[][..], |body| body.text().as_bytes());
        let same = head.hash.is_some_and(|hash| hash == lasting_hash(body));
        let count = arrived.page.records.len();
        Ok(if same && u32::try_from(count).is_ok_and(|count| count == row.marks.len()) {
            Supplied::Known(arrived.page, Box::new(row))
        } else {
            Supplied::Changed(arrived, Box::new(row))
        })
    }

    /// The export after the last page stored.
    fn resumed(&mut self) -> Result<Option<Reader<'r>>, ReadError> {
        let Some(row) = self.last.take() else { return Ok(None) };
        let mut cursor = Cursor::read(&row.cursor).map_err(ReadError::Stored)?;
        let course = self.course()?;
        let reads = course.export.reads_previous && cursor.next.is_some();
        let previous = if reads { kept(&course, &mut cursor)? } else { None };
        Reader::resume(course, cursor, previous).map(Some)
    }

    fn retry(&mut self) -> Option<Supplied> {
        // Those of one export at a time: a page is of one.
        let first = self.errors.front()?.export.clone();
        let alike = self.errors.iter().take(RETRIED_AT_ONCE).take_while(|error| error.export == first).count();
        let chunk: Vec<ErrorRow> = self.errors.drain(..alike).collect();
        let export = self.scope.flow.export(&first)?;
        let url = self.scope.lane(&export.connection)?.client.settings().base_uri.clone();
        self.retry_pages += 1;
        let records: Vec<Record> = chunk.iter().map(|error| Record::new(payload(error))).collect();
        let bytes = chunk.iter().map(|error| error.payload.len()).sum();
        let page = Page {
            number: self.retry_pages,
            origin: Origin::of(export),
            body: None,
            records: Arc::from(records),
            status: 0,
            headers: Vec::new(),
            url,
            bytes,
        };
        Some(Supplied::Retry(page, chunk))
    }

    fn course(&self) -> Result<Course<'r>, ReadError> {
        let gone = || ReadError::Stored("its connection is not part of this snapshot".to_owned());
        self.course.clone().ok_or_else(gone)
    }
}

/// The page that a cursor carries for the next request.
fn kept(course: &Course<'_>, cursor: &mut Cursor) -> Result<Option<Page>, ReadError> {
    let reopen = |page, kind, body| course.reopen(page, kind, body);
    let page = cursor.previous.take().map(|kept| kept.page(course.origin.clone(), &reopen)).transpose();
    page.map_err(ReadError::Stored)
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
    /// Whether its records in flight are in this process's figures already.
    pub counted: bool,
}
