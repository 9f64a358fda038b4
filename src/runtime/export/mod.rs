//! Reading: pages of records, one request at a time, each through the connection's queue.
// size: one reader, and all that one page takes.

pub mod cursor;
pub mod delta;
pub mod fan;
pub mod group;
mod job;
pub mod origin;
pub mod page;
pub mod paging;
pub mod places;
pub mod quota;
pub mod records;
pub mod shelf;
pub mod track;

use crate::http::exchange::{Answer, Failure, FailureClass};
use crate::http::media;
use crate::http::request::Prepared;
use crate::model::export::Export;
use crate::model::flow::Durability;
use crate::observe::traces::Purpose;
use crate::runtime::scope::{Lane, Scope};
use crate::runtime::stage;
use crate::value::context::{Context, Root, Slot};
use crate::value::document::{Document, Kind};
use crate::value::issue::EvalError;
use crate::value::record::Record;
use cursor::{Cursor, Head, Headers, lasting_hash};
use delta::{Judged, Watch};
use origin::{Beside, Origin};
use page::Page;
use paging::{Ask, In, Landed, Next, Pager, PagingError, Received};
use quota::Quota;
use std::sync::Arc;

/// Why no further page could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The request failed.
    #[error("{0}")]
    Request(Box<Failure>),
    /// Paging cannot go on.
    #[error("{0}")]
    Paging(#[from] PagingError),
    /// The request or `records` could not be evaluated.
    #[error("{0}")]
    Eval(#[from] EvalError),
    /// A parent cannot be read for.
    #[error("{0}")]
    Parent(String),
    /// A page led nowhere.
    #[error("{0}")]
    Stuck(String),
    /// What was stored of the export before a restart cannot be used.
    #[error("{0}")]
    Stored(String),
}

impl ReadError {
    /// Whether the connection's credentials are the cause.
    pub fn is_auth(&self) -> bool {
        matches!(self, Self::Request(failure) if failure.class == FailureClass::Auth)
    }

    /// Whether reading was cut short by a stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Request(failure) if failure.class == FailureClass::Cancelled)
    }
}

/// A page with what is stored of it, beside its body.
pub struct Arrived {
    /// The page.
    pub page: Page,
    /// The cursor that follows it.
    pub cursor: Cursor,
    /// Its answer, and the cursor before it.
    pub head: Head,
    /// What a delta says of its records.
    pub judged: Judged,
}

/// What is read, and on whose behalf.
#[derive(Clone)]
pub struct Course<'r> {
    /// The run.
    pub scope: &'r Scope,
    /// The connection that is asked.
    pub lane: &'r Lane,
    /// Request, paging and records: an export's, or what is described like one.
    pub export: &'r Export,
    /// The export that pages are of in the end.
    pub origin: Arc<Origin>,
    /// What else requests see.
    pub beside: Option<&'r dyn Beside>,
    /// How many records may be taken.
    pub quota: Quota,
    /// Whether what it says of its total is the run's.
    pub is_all: bool,
    /// Of parents: which block of `each` they are for.
    pub block: Option<Block>,
}

/// A block of `each`, as far as the mark of its delta goes.
#[derive(Clone)]
pub struct Block {
    /// Its name.
    pub name: String,
    /// The keys of the blocks that it reads, when it reads any: a JSON object.
    pub keys: Option<String>,
}

impl<'r> Course<'r> {
    /// An export of the run's flow, as it stands. None when its connection is not part of the run.
    pub fn of(scope: &'r Scope, export: &'r Arc<Export>) -> Option<Self> {
        let lane = scope.lane(&export.connection)?;
        let (origin, quota) = (Origin::of(export), Quota::of(export.limit));
        Some(Self { scope, lane, export, origin, beside: None, quota, is_all: false, block: None })
    }

    /// What a request of it is for. Pages of a lookup are its own, and none of the run's.
    fn purpose(&self, act: &'static str, page: Option<u64>) -> Purpose<'r> {
        let page = page.filter(|_| self.beside.is_none());
        Purpose { step: &self.export.name, act, connection: &self.export.connection, page, record: None, records: 0 }
    }

    /// What requests see.
    pub fn context<'a>(&'a self, now: &'a str) -> Context<'a> {
        let ctx = self.scope.context(now, &self.origin);
        let ctx = self.lane.client.context(ctx);
        self.beside.map_or(ctx, |beside| beside.offer(ctx))
    }

    /// The records of a page's body.
    fn split(&self, page: u64, body: Option<&Document>) -> Result<Vec<Record>, EvalError> {
        let export = self.export;
        let absent = records::Absent::optional(export.records_optional);
        records::split(body, export.records_of(page), absent, |text| self.lane.client.clean(text))
    }

    /// A page's body as it was stored, and its records.
    pub fn reopen(
        &self,
        page: u64,
        kind: Kind,
        body: Option<Vec<u8>>,
    ) -> Result<(Option<Document>, Vec<Record>), String> {
        let body = body.filter(|body| !body.is_empty());
        let document = body.map(|body| media::reopen(kind, body, &self.lane.client.settings().media)).transpose();
        let document = document.map_err(|error| format!("cannot be read any more: {error}"))?;
        let records = self.split(page, document.as_ref()).map_err(|error| error.to_string())?;
        Ok((document, records))
    }
}

/// Reads page by page.
pub struct Reader<'r> {
    course: Course<'r>,
    pager: Pager<'r>,
    previous: Option<Page>,
    /// Of a report: how far it is.
    job: Option<job::Place>,
    /// Of a delta export, once that has begun.
    watch: Option<Watch<'r>>,
    taken: u64,
    /// Of an export with `group_by`: the key of the last record.
    group: Option<String>,
    /// Why no page can follow the last one.
    stuck: Option<String>,
    ended: bool,
    /// The status that ended it without a page.
    ended_at: Option<u16>,
}

impl<'r> Reader<'r> {
    /// Before the first page.
    pub fn new(course: Course<'r>) -> Self {
        let ended = course.quota.is_spent();
        let pager = Pager::new(&course.export.paging);
        Self {
            pager,
            course,
            previous: None,
            job: None,
            watch: None,
            taken: 0,
            group: None,
            stuck: None,
            ended,
            ended_at: None,
        }
    }

    /// The next request, as it leaves.
    pub fn first(&self) -> Result<Prepared, ReadError> {
        match self.course.export.job.as_deref() {
            Some(job) => self.prepare_order(job),
            None => self.prepare(&self.pager.ask()),
        }
    }

    /// The status that ended it without a page (`stop_status`).
    pub fn ended_at(&self) -> Option<u16> {
        self.ended_at
    }

    /// Goes on from a stored cursor.
    pub fn resume(course: Course<'r>, mut cursor: Cursor) -> Result<Self, ReadError> {
        let reads = course.export.reads_previous && cursor.next.is_some();
        let previous = if reads { kept(&course, &mut cursor)? } else { None };
        let paging = &course.export.paging;
        let ended = cursor.next.is_none() && cursor.stuck.is_none();
        let pager = match cursor.next {
            Some(place) => Pager::resume(paging, place).ok_or_else(|| {
                ReadError::Stored("the stored cursor belongs to another paging method than the flow's".to_owned())
            })?,
            None => Pager::new(paging),
        };
        let Cursor { stuck, taken, delta, job, group, .. } = cursor;
        let watch = course.export.delta.as_ref().zip(delta).map(|(delta, place)| Watch::resume(delta, *place));
        let job = job.map(|job| *job);
        Ok(Self { course, pager, previous, job, watch, taken, group, stuck, ended, ended_at: None })
    }

    /// Where it is: what leads to the next page.
    pub fn cursor(&self) -> Cursor {
        let next = (!self.ended && self.stuck.is_none()).then(|| self.pager.place());
        let mut cursor = Cursor::at(next, self.taken, self.course.quota.left());
        cursor.stuck.clone_from(&self.stuck);
        cursor.job = self.job.clone().map(Box::new);
        cursor.group.clone_from(&self.group);
        cursor.delta = self.watch.as_ref().map(|watch| Box::new(watch.place().clone()));
        if self.course.export.reads_previous
            && let Some(previous) = &self.previous
        {
            cursor.carry(previous, self.lasting_headers(previous));
        }
        cursor
    }

    /// The headers of a page as they are stored: none unless a request reads them, and a server that echoes a credential
    /// does not get it written down.
    fn lasting_headers(&self, page: &Page) -> Headers {
        if self.course.export.reads_previous { self.masked_headers(page) } else { Headers::new() }
    }

    fn masked_headers(&self, page: &Page) -> Headers {
        let masked =
            |(name, value): &(String, String)| (name.clone(), self.course.lane.client.redact(value).into_owned());
        page.headers.iter().map(masked).collect()
    }

    /// The page it asks for next, from 1.
    pub fn page(&self) -> u64 {
        self.pager.ask().page
    }

    /// Whether no page follows.
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// The next page; none when the export ended by itself.
    pub async fn next(&mut self) -> Result<Option<Arrived>, ReadError> {
        self.begin().await?;
        loop {
            if self.ended {
                self.over();
                return Ok(None);
            }
            if let Some(error) = self.stuck.take() {
                return Err(ReadError::Stuck(error));
            }
            let read = match self.course.export.job.as_deref() {
                Some(job) => self.read_report(job).await?,
                None => self.read().await?,
            };
            if self.ended {
                self.over();
            }
            if let Some(arrived) = read {
                return Ok(Some(arrived));
            }
        }
    }

    /// Asks for one page; none when the answer was that none follows.
    async fn read(&mut self) -> Result<Option<Arrived>, ReadError> {
        let mut before = self.cursor();
        let ask = self.pager.ask();
        let prepared = self.prepare(&ask)?;
        let headers = prepared.header_pairs();
        let body = prepared.body.clone().unwrap_or_default();
        self.pager.sending(&Landed { url: prepared.url().as_str(), body: &body, headers: &headers })?;
        let Course { scope, lane, export, .. } = self.course;
        let flow = &scope.flow;
        let rules = export.request_of(ask.page).response.as_ref();
        let asked = async {
            let permit = scope.queue.acquire(&lane.line, &flow.id, flow.weight).await;
            let permit = permit.map_err(|_| Failure::cancelled())?;
            stage::asked(scope, &lane.client, (&export.name, ask.page), &prepared);
            lane.client.exchange(permit, &prepared, rules, true).await
        };
        let answer = match scope.trace.request(self.course.purpose("read", Some(ask.page)), asked).await {
            Ok(answer) if self.pager.ends_at(answer.status) => {
                self.ended = !self.next_window();
                self.ended_at = Some(answer.status);
                return Ok(None);
            }
            Ok(answer) => answer,
            Err(failure) if failure.is_nothing() || failure.status.is_some_and(|status| self.pager.ends_at(status)) => {
                self.ended = !self.next_window();
                self.ended_at = failure.status;
                return Ok(None);
            }
            Err(failure) => return Err(ReadError::Request(Box::new(failure))),
        };
        // Others may have drawn on it meanwhile.
        before.left = self.course.quota.left();
        let (page, judged) = self.take(&ask, answer)?;
        stage::answered(scope, &lane.client, &export.name, &page);
        let hash = (flow.durability == Durability::Checkpoint)
            .then(|| lasting_hash(page.body.as_ref().map_or(&[][..], |body| body.text().as_bytes())));
        let head = Head::with(&page, self.lasting_headers(&page), before, hash);
        Ok(Some(Arrived { page, cursor: self.cursor(), head, judged }))
    }

    fn take(&mut self, ask: &Ask, answer: Answer) -> Result<(Page, Judged), ReadError> {
        let bytes = answer.document.as_ref().map_or(0, |document| document.text().len());
        if let Some(document) = &answer.document {
            self.pager.landed(document.text().as_bytes(), document.kind())?;
        }
        let mut records = self.course.split(ask.page, answer.document.as_ref())?;
        let found = records.len() as u64;
        records.truncate(usize::try_from(self.course.quota.take(found)).unwrap_or(usize::MAX));
        let headers = answer.header_pairs();
        let mut page = Page {
            number: ask.page,
            place: ask.page,
            origin: self.origin(),
            body: answer.document,
            records: records.into(),
            status: answer.status,
            headers,
            url: answer.url,
            bytes,
            joins: false,
        };
        self.join(&mut page);
        let (judged, rest_is_old) = self.watch.as_mut().map(|watch| watch.look(&page.records)).unwrap_or_default();
        let windows = self.watch.as_ref().is_some_and(Watch::has_windows);
        if self.course.is_all
            && let Some(total) = self.pager.total(page.body.as_ref()).filter(|_| !windows)
        {
            let wanted =
                self.course.quota.left().map_or(u64::MAX, |left| left + self.taken + page.records.len() as u64);
            self.course.scope.progress.expect_total(total.min(wanted));
        }
        self.taken += page.records.len() as u64;
        // The limit is asked first: what follows its last page is nobody's business.
        self.ended = self.course.quota.is_spent();
        if rest_is_old && !self.ended {
            self.ended = !self.next_window();
        } else if !self.ended {
            // A page that leads nowhere is a page all the same: what stopped the paging is told after it.
            match self.decide(&page, found) {
                Ok(Next::End) => self.ended = !self.next_window(),
                Ok(Next::Page) => {}
                Err(error) => self.stuck = Some(error.to_string()),
            }
        }
        // A new window begins anew.
        self.previous = (!self.ended && self.pager.ask().page > 1).then(|| page.clone());
        Ok((page, judged))
    }

    fn decide(&mut self, page: &Page, found: u64) -> Result<Next, PagingError> {
        let got = Received { body: page.body.as_ref(), records: found, status: page.status, headers: &page.headers };
        let (course, pager) = (&self.course, &mut self.pager);
        let now = course.scope.now();
        let ctx = course.context(&now);
        let mut received = |ctx: &Context<'_>| page.as_previous(*ctx, |ctx| pager.received(&got, ctx));
        let next = match self.watch.as_ref().map(Watch::roots) {
            Some(roots) => received(&roots.offer(ctx)),
            None => received(&ctx),
        }?;
        let settings = self.course.lane.client.settings();
        self.pager.fix_link(|link| paging::resolve(link, &page.url, &settings.base_uri, &settings.allowed_origins))?;
        Ok(next)
    }

    fn prepare(&self, ask: &Ask) -> Result<Prepared, ReadError> {
        let now = self.course.scope.now();
        let size = i64::try_from(ask.size).unwrap_or(i64::MAX);
        let parts = [
            ("number", Slot::Number(i64::try_from(ask.number).unwrap_or(i64::MAX))),
            ("offset", Slot::Number(i64::try_from(ask.offset).unwrap_or(i64::MAX))),
            ("token", Slot::Text(&ask.token)),
            ("size", Slot::Number(size)),
        ];
        let ctx = self.course.context(&now).with(Root::Page, Slot::Map(&parts));
        let render = |ctx: &Context<'_>| match &self.previous {
            Some(previous) => previous.as_previous(*ctx, |ctx| self.render(ask, ctx)),
            None => self.render(ask, ctx),
        };
        self.timed(&ctx, render)
    }

    fn render(&self, ask: &Ask, ctx: &Context<'_>) -> Result<Prepared, ReadError> {
        let Course { lane, export, .. } = self.course;
        let client = &lane.client;
        let mut prepared = export.request_of(ask.page).prepare(ctx, client)?;
        prepared.safe = true;
        let says_where = export.paging.next.as_ref().is_some_and(|next| next.uri.is_some());
        if let Some(link) = ask.link.as_ref().filter(|_| !says_where) {
            let settings = client.settings();
            let base = &settings.base_uri;
            prepared.set_url(paging::resolve(link, base, base, &settings.allowed_origins)?);
        }
        for (place, name, value) in &ask.set {
            match place {
                In::Query => prepared.set_query(name, value),
                In::Header => prepared.set_header(name, value)?,
                In::Body => prepared.set_body_field(name, value)?,
            }
        }
        Ok(prepared)
    }
}

/// The page that a cursor carries for the next request.
fn kept(course: &Course<'_>, cursor: &mut Cursor) -> Result<Option<Page>, ReadError> {
    let reopen = |page, kind, body| course.reopen(page, kind, body);
    let page = cursor.previous.take().map(|kept| kept.page(course.origin.clone(), &reopen)).transpose();
    page.map_err(ReadError::Stored)
}

fn cancelled() -> ReadError {
    ReadError::Request(Box::new(Failure::cancelled()))
}
