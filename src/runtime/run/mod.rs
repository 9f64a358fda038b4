//! One run: reads pages ahead, shapes records, keeps the importer's level filled, settles every record once.
//!
//! The loop owns everything mutable; what may happen next is decided by [`state::RunState`], and nothing is worked on,
//! sent or reported before the store has what it needs for it ([`journal`]).

mod books;
mod errors;
mod feed;
pub(in crate::runtime) mod identity;
mod journal;
pub mod report;
mod shown;
pub mod state;
mod supply;

use super::export::{Arrived, ReadError};
use super::import::{Batch, Item, deliver, is_there};
use super::scope::{Lane, Scope, Work};
use crate::http::exchange::{Failure, FailureClass};
use crate::model::flow::Durability;
use crate::model::import::{Check, Import};
use crate::observe::event;
use crate::observe::meters::RecordOutcome;
use crate::runtime::export::cursor::without;
use crate::runtime::export::page::Page;
use crate::store::{IntentRow, PageRow, PageWrite, StoreError, Write};
use books::Books;
use errors::Fault;
use feed::{Fed, Feed, Known, intents_of};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use journal::{Journal, Readiness, Stored};
use report::{Ending, Report, RunError};
use state::{Counts, ReadAhead, Resolution, RunState};
use std::collections::VecDeque;
use supply::{Supplied, Supply};

pub use supply::Resume;

/// Bytes of rendered bodies that may wait for a permit; one request is always allowed.
const WAITING_BODIES: usize = 16 << 20;

/// Most requests of one run that stand in line, whatever the level.
const MOST_TICKETS: usize = 1024;

/// Unclean exits a page may see before it is parked.
const MOST_CRASHES: u32 = 3;

type Read<'r> = BoxFuture<'r, (Supply<'r>, Result<Option<Supplied>, ReadError>)>;

/// A request to the destination that ended.
enum Answered {
    Delivery(Batch, Result<(), Failure>),
    Check(Box<Item>, Result<bool, String>),
}

type Delivery<'r> = BoxFuture<'r, Answered>;

/// The lanes a run uses.
#[derive(Clone, Copy)]
struct Roads<'r> {
    export: &'r Lane,
    import: Option<(&'r Lane, &'r Import)>,
    check: Option<(&'r Lane, &'r Check)>,
}

impl<'r> Roads<'r> {
    fn of(scope: &'r Scope) -> Result<Self, RunError> {
        let lane = |id: &crate::value::id::ConnectionId| scope.lane(id).ok_or_else(|| no_connection(id.as_str()));
        let import = scope.flow.import.as_ref();
        let check = import.and_then(Import::check);
        Ok(Self {
            export: lane(&scope.flow.export.connection)?,
            import: import.map(|import| Ok((lane(&import.connection)?, import))).transpose()?,
            check: check.map(|check| Ok((lane(&check.connection)?, check))).transpose()?,
        })
    }
}

/// Carries one run to its end. What it reports is durable, but for the end itself.
pub async fn run(scope: &Scope) -> Report {
    let started = scope.clock.mono();
    event::run_started(&scope.meters, &scope.flow.id, &scope.run, scope.trigger);
    let mut run = Run::new(scope, open_traces(scope).await);
    let stopped = match Roads::of(scope) {
        _ if !scope.flow.unresolved.is_empty() => Some(Ending::Offline(no_value(&scope.flow.unresolved))),
        Ok(roads) => run.work(roads).await,
        Err(error) => Some(Ending::ExportFailed(error)),
    };
    run.report(stopped, scope.clock.mono().since(started))
}

/// Error records that a delivery of this run may overtake.
async fn open_traces(scope: &Scope) -> Vec<String> {
    if scope.dry_run || scope.flow.export.trace_key.is_none() {
        return Vec::new();
    }
    scope.store.open_traces(&scope.flow.id).await.unwrap_or_default()
}

fn read(mut supply: Supply<'_>) -> Read<'_> {
    async move {
        let page = supply.next().await;
        (supply, page)
    }
    .boxed()
}

/// Waits for the page being read; for ever when none is.
async fn arrival<'r>(reading: &mut Option<Read<'r>>) -> (Supply<'r>, Result<Option<Supplied>, ReadError>) {
    match reading {
        Some(read) => read.await,
        None => std::future::pending().await,
    }
}

/// A variable without a value would quietly filter or write the wrong thing.
fn no_value(reasons: &[String]) -> RunError {
    RunError { place: "start".to_owned(), text: reasons.join("; ") }
}

fn no_connection(id: &str) -> RunError {
    RunError { place: "start".to_owned(), text: format!("connection `{id}` is not part of this snapshot") }
}

struct Run<'r> {
    scope: &'r Scope,
    books: Books<'r>,
    journal: Journal<'r>,
    deliveries: FuturesUnordered<Delivery<'r>>,
    /// Pages that wait until they are stored, or, in a careful run, until the one before them is worked off.
    held: VecDeque<(Page, Known)>,
    /// Requests whose intent is not stored yet.
    forming: Vec<Batch>,
    /// Requests that may be sent.
    cleared: VecDeque<Batch>,
    waiting_bytes: usize,
    /// What was about to be sent before a restart.
    intents: Vec<IntentRow>,
    failed: Option<Ending>,
}

impl<'r> Run<'r> {
    fn new(scope: &'r Scope, traces: Vec<String>) -> Self {
        let (mut counts, mut checkpoint, mut intents) = (Counts::default(), 0, Vec::new());
        if let Work::Export(Some(resume)) = &scope.work {
            counts = resume.counts;
            let open = resume.pages.iter().find(|row| !row.marks.is_done());
            let last = resume.pages.last().map_or(0, |row| row.number);
            checkpoint = open.map_or(last, |row| row.number - 1);
            intents.clone_from(&resume.intents);
            scope.progress.publish(counts, last);
            if !resume.counted {
                scope.meters.records(RecordOutcome::Exported, counts.in_flight);
            }
        }
        let state = RunState::resumed(ReadAhead::default(), counts, checkpoint);
        let mut books = Books::new(scope, state, traces);
        if let Work::Export(Some(resume)) = &scope.work {
            books.pages = resume.pages.last().map_or(0, |row| row.number);
            books.requests = resume.requests;
        }
        Self {
            scope,
            books,
            journal: Journal::new(scope),
            deliveries: FuturesUnordered::new(),
            held: VecDeque::new(),
            forming: Vec::new(),
            cleared: VecDeque::new(),
            waiting_bytes: 0,
            intents,
            failed: None,
        }
    }

    /// The loop. Gives the ending when the run was stopped from outside or cannot go on.
    async fn work(&mut self, roads: Roads<'r>) -> Option<Ending> {
        let scope = self.scope;
        let mut idle = Some(Supply::new(scope, roads.export));
        let mut reading: Option<Read<'r>> = None;
        let mut feed = Feed::new(scope, roads.export, roads.import);
        let mut reloads = scope.reloads.clone();
        loop {
            let draining = scope.stop.drain.is_cancelled();
            let stopping =
                draining || matches!(self.failed, Some(Ending::Offline(_) | Ending::Stopped(_) | Ending::Fault(_)));
            let mut more = false;
            if stopping {
                reading = None;
            } else {
                self.release(&mut feed);
                more = self.fill(&mut feed, roads);
                if self.books.state.may_read()
                    && let Some(supply) = idle.take()
                {
                    self.books.state.reading();
                    reading = Some(read(supply));
                }
            }
            if self.journal.is_idle() && self.books.is_dirty() {
                self.store(Stored::default(), Vec::new());
            }
            if self.books.state.is_done() && self.journal.is_idle() {
                return None;
            }
            if stopping && self.deliveries.is_empty() && self.journal.is_idle() {
                return self.failed.is_none().then_some(Ending::Cancelled);
            }
            tokio::select! {
                biased;
                () = scope.stop.abort.cancelled() => {
                    self.last_words().await;
                    return Some(Ending::Cancelled);
                }
                Some(answered) = self.deliveries.next(), if !self.deliveries.is_empty() => {
                    self.answered(answered, roads, &mut feed);
                }
                Some((stored, receipt)) = self.journal.next(), if !self.journal.is_idle() => {
                    self.stored(stored, receipt);
                }
                (supply, page) = arrival(&mut reading) => {
                    reading = None;
                    if self.take_page(page) {
                        idle = Some(supply);
                    }
                }
                () = scope.stop.drain.cancelled(), if !draining => {}
                // A raised level wants more tickets in line at once, not after the next answer.
                Ok(()) = reloads.changed() => {}
                () = tokio::task::yield_now(), if more => {}
            }
        }
    }

    /// Gives stored pages to the feed, in order.
    fn release(&mut self, feed: &mut Feed<'r>) {
        while let Some(number) = self.held.front().map(|(page, _)| page.number) {
            let is_first = self.books.state.open_pages().next() == Some(number);
            match self.journal.readiness(number, is_first) {
                Readiness::Wait => return,
                Readiness::Begin => {
                    let write = Write::StartPage { run: self.scope.run.clone(), page: number };
                    return self.store(Stored { page: Some(number), ..Stored::default() }, vec![write]);
                }
                Readiness::Ready => {}
            }
            if let Some((page, known)) = self.held.pop_front() {
                feed.push(page, known);
            }
        }
    }

    /// Starts deliveries until the pool's level has enough tickets in line or nothing is left to send. True when
    /// it stopped only to give others a turn.
    fn fill(&mut self, feed: &mut Feed<'r>, roads: Roads<'r>) -> bool {
        let mut more = false;
        let width = roads.import.map_or(1, |(lane, _)| self.width(lane));
        let intends = !self.scope.dry_run && roads.import.is_some_and(|(_, import)| import.needs_intents());
        // One durable write covers a window of requests, so that its cost is shared; no more are ever unknown at once.
        let window = if intends { roads.import.map_or(1, |(lane, _)| self.window(lane)) } else { width };
        while self.under_way() < window && (self.waiting_bytes < WAITING_BODIES || self.under_way() == 0) {
            let Some(fed) = feed.next(&mut self.books) else { break };
            match (fed, roads) {
                (Fed::Batch(batch), Roads { import: Some((lane, import)), .. }) => {
                    self.waiting_bytes += weight(&batch);
                    if intends { self.forming.push(batch) } else { self.start(batch, lane, import) }
                }
                (Fed::Check(item), Roads { check: Some((lane, check)), .. }) => self.check(item, lane, check),
                (Fed::Batch(_) | Fed::Check(_) | Fed::Progress, _) => {
                    more = feed.has_more();
                    break;
                }
                (Fed::OutputClosed, _) => {
                    self.scope.stop.drain.cancel();
                    break;
                }
            }
        }
        self.intend();
        while let Some((lane, import)) = roads.import.filter(|_| self.deliveries.len() < width)
            && let Some(batch) = self.cleared.pop_front()
        {
            self.start(batch, lane, import);
        }
        more
    }

    /// Requests rendered and not answered.
    fn under_way(&self) -> usize {
        self.deliveries.len() + self.forming.len() + self.cleared.len() + self.journal.intending()
    }

    /// Makes durable what is about to be sent.
    fn intend(&mut self) {
        if self.forming.is_empty() || self.journal.intending() > 0 {
            return;
        }
        let batches = std::mem::take(&mut self.forming);
        let records = batches.iter().flat_map(|batch| &batch.items).filter(|item| item.error.is_none());
        let records: Vec<IntentRow> = records
            .map(|item| IntentRow {
                page: item.page,
                record: item.index(),
                hash: item.hash,
                key: item.key.as_deref().map(str::to_owned),
            })
            .collect();
        let write = Write::Intend { run: self.scope.run.clone(), records };
        self.store(Stored { batches, ..Stored::default() }, vec![write]);
    }

    fn start(&mut self, batch: Batch, lane: &'r Lane, import: &'r Import) {
        let scope = self.scope;
        self.deliveries.push(
            async move {
                let result = deliver(scope, lane, import, &batch).await;
                Answered::Delivery(batch, result)
            }
            .boxed(),
        );
    }

    fn check(&mut self, item: Item, lane: &'r Lane, check: &'r Check) {
        let scope = self.scope;
        self.deliveries.push(
            async move {
                let found = is_there(scope, lane, check, &item).await;
                Answered::Check(Box::new(item), found)
            }
            .boxed(),
        );
    }

    /// Tickets wanted in line: the level, and some more so that a free permit always finds one waiting.
    fn width(&self, lane: &Lane) -> usize {
        let level = self.scope.queue.level(&lane.line) as usize;
        (level + level.min(8) + 1).min(MOST_TICKETS)
    }

    /// Requests that one write of intents covers at most.
    fn window(&self, lane: &Lane) -> usize {
        (self.scope.queue.level(&lane.line) as usize * 4).min(MOST_TICKETS)
    }

    fn answered(&mut self, answered: Answered, roads: Roads<'r>, feed: &mut Feed<'r>) {
        match answered {
            Answered::Delivery(batch, result) => self.settle(batch, result, roads),
            Answered::Check(item, Ok(true)) => self.books.resolve(&item, Resolution::Delivered),
            Answered::Check(item, Ok(false)) => feed.push_again(*item),
            Answered::Check(item, Err(text)) => self.books.fail(&item, &Fault::unknown(text)),
        }
    }

    fn settle(&mut self, batch: Batch, result: Result<(), Failure>, roads: Roads<'r>) {
        self.waiting_bytes -= weight(&batch);
        self.books.requests += 1;
        match result {
            Ok(()) => {
                for item in &batch.items {
                    self.books.resolve(item, Resolution::Delivered);
                }
            }
            Err(failure) if failure.class == FailureClass::Cancelled => self.scope.stop.drain.cancel(),
            Err(failure) if failure.class == FailureClass::Auth => {
                let text = failure.to_string();
                self.failed = Some(Ending::Offline(RunError { place: "import".to_owned(), text }));
            }
            Err(failure) if failure.class == FailureClass::Unknown && roads.check.is_some() => {
                for item in batch.items {
                    if let Some((lane, check)) = roads.check {
                        self.check(item, lane, check);
                    }
                }
            }
            Err(failure) => {
                for item in &batch.items {
                    self.books.fail(item, &Fault::of(&failure));
                }
                self.look_at_errors();
            }
        }
    }

    fn look_at_errors(&mut self) {
        let (Some(most), None) = (self.scope.flow.max_errors, &self.failed) else { return };
        if self.books.failures() >= most.get() {
            let text = format!(
                "stopped after {} error records (`max_errors = {most}`); what was not worked on waits for the next run",
                self.books.failures()
            );
            self.failed = Some(Ending::Stopped(RunError { place: "import".to_owned(), text }));
        }
    }

    /// Gives the store what it lacks, and with it what `stored` stands for.
    fn store(&mut self, mut stored: Stored, and: Vec<Write>) {
        let (mut writes, errors) = self.books.take_writes();
        writes.extend(and);
        if writes.is_empty() {
            return self.publish(self.books.state.counts(), self.books.pages);
        }
        stored.errors = errors;
        stored.counts = self.books.state.counts();
        stored.pages = self.books.pages;
        self.journal.commit(stored, writes);
    }

    /// Something is durable: now it may be worked on, sent or told.
    fn stored(&mut self, stored: Stored, receipt: Result<crate::store::Receipt, StoreError>) {
        match receipt {
            Ok(receipt) => self.books.named(&receipt.errors),
            Err(error) => {
                let text = error.to_string();
                self.failed.get_or_insert(Ending::Fault(RunError { place: "store".to_owned(), text }));
                return;
            }
        }
        self.cleared.extend(stored.batches);
        self.publish(stored.counts, stored.pages);
        // Errors of records that never reached a request count too.
        self.look_at_errors();
    }

    /// True when more may follow.
    fn take_page(&mut self, page: Result<Option<Supplied>, ReadError>) -> bool {
        match page {
            Ok(Some(supplied)) => {
                self.take_supplied(supplied);
                return true;
            }
            Ok(None) => self.books.state.exhausted(),
            Err(error) if error.is_cancelled() => self.scope.stop.drain.cancel(),
            Err(error) => {
                self.books.state.exhausted();
                let text = self.books.masked(&error.to_string());
                let cause = RunError { place: format!("export page {}", self.books.pages + 1), text };
                let ending = if error.is_auth() { Ending::Offline } else { Ending::ExportFailed };
                self.failed.get_or_insert(ending(cause));
            }
        }
        false
    }

    fn take_supplied(&mut self, supplied: Supplied) {
        match supplied {
            Supplied::Fresh(arrived) => {
                self.books.pages = arrived.page.number;
                self.take_fresh(arrived);
            }
            Supplied::Changed(arrived, row) => {
                self.books.state.recount(|counts| without(counts, &row));
                self.take_fresh(arrived);
            }
            Supplied::Known(page, row) => self.take_known(page, *row),
            Supplied::Retry(page, errors) => {
                self.books.state.page_read(page.number, page.bytes, count(&page));
                self.journal.known(page.number, false);
                self.held.push_back((page, Known::Errors(errors)));
            }
        }
    }

    fn take_fresh(&mut self, arrived: Arrived) {
        let Arrived { page, cursor, head } = arrived;
        let (number, records) = (page.number, count(&page));
        event::page_read(&self.scope.flow.id, &self.scope.run, number, page.records.len(), page.bytes);
        self.books.state.page_read(number, page.bytes, records);
        let full = self.scope.flow.durability == Durability::Full;
        let body = page.body.as_ref().filter(|_| full).map(crate::value::json::Json::bytes);
        let run = self.scope.run.clone();
        let write = Write::Page(Box::new(PageWrite { run, number, records, cursor, head, body }));
        self.held.push_back((page, Known::Nothing));
        // The page comes before its marks: a page without records is finished at once.
        self.store_page(number, write);
    }

    fn store_page(&mut self, number: u64, write: Write) {
        let (writes, errors) = self.books.take_writes();
        let stored = Stored {
            page: Some(number),
            errors,
            counts: self.books.state.counts(),
            pages: self.books.pages,
            batches: Vec::new(),
        };
        let tally = Write::Tally { run: self.scope.run.clone(), tally: self.books.tally() };
        self.journal.commit(stored, std::iter::once(write).chain(writes).chain([tally]).collect());
    }

    fn take_known(&mut self, page: Page, row: PageRow) {
        let number = page.number;
        event::page_resumed(&self.scope.flow.id, &self.scope.run, number, row.marks.in_flight());
        self.books.state.page_resumed(number, page.bytes, row.marks.clone());
        if row.crashes >= MOST_CRASHES {
            return self.quarantine(&page, &row);
        }
        let intents = intents_of(&page, &mut self.intents);
        let known = Known::Before(row.marks, intents);
        self.held.push_back((page, known));
        self.journal.known(number, row.crashes > 0);
    }

    /// A page that was in flight whenever the process died is not tried once more.
    fn quarantine(&mut self, page: &Page, row: &PageRow) {
        event::page_quarantined(&self.scope.flow.id, &self.scope.run, page.number, row.crashes);
        for (at, record) in page.records.iter().enumerate() {
            let item = Item::new(page.number, at as u64 + 1, record.clone());
            let text = format!(
                "this page was in flight at {} unclean exits of flowgate and is not tried by itself",
                row.crashes
            );
            let fault = Fault { step: "transform", class: "quarantined", text, failure: None };
            self.books.fail(&item, &fault);
        }
    }

    /// Publishes counts to whoever watches: progress bars, `status`, metrics.
    fn publish(&self, counts: Counts, pages: u64) {
        let before = self.scope.progress.counts();
        self.scope.progress.publish(counts, pages);
        if self.scope.dry_run || matches!(self.scope.work, Work::Retry(_)) {
            return;
        }
        self.scope.meters.settle([
            (RecordOutcome::Exported, counts.exported.saturating_sub(before.exported)),
            (RecordOutcome::Delivered, counts.delivered.saturating_sub(before.delivered)),
            (RecordOutcome::Filtered, counts.filtered.saturating_sub(before.filtered)),
            (RecordOutcome::Failed, counts.failed.saturating_sub(before.failed)),
            // Read again after a restart, and fewer than they were.
            (RecordOutcome::Dismissed, before.exported.saturating_sub(counts.exported)),
        ]);
    }

    /// Cut short: what is known is given to the store, which has a moment for it.
    async fn last_words(&mut self) {
        let clock = &self.scope.clock;
        let until = clock.mono().plus(journal::LAST_WORDS);
        self.store(Stored::default(), Vec::new());
        while !self.journal.is_idle() {
            tokio::select! {
                Some((stored, receipt)) = self.journal.next() => self.stored(stored, receipt),
                () = clock.sleep_until(until) => return,
            }
        }
    }

    fn report(&mut self, stopped: Option<Ending>, took: std::time::Duration) -> Report {
        let counts = self.books.state.counts();
        let ended = if counts.failed > 0 { Ending::WithErrors } else { Ending::Succeeded };
        let ending = self.failed.take().or(stopped).unwrap_or(ended);
        Report {
            flow: self.scope.flow.id.clone(),
            run: self.scope.run.clone(),
            ending,
            counts,
            pages: self.books.pages,
            requests: self.books.requests,
            took,
            errors: self.books.take_errors(),
        }
    }
}

fn count(page: &Page) -> u32 {
    u32::try_from(page.records.len()).unwrap_or(u32::MAX)
}

fn weight(batch: &Batch) -> usize {
    batch.request.body.as_ref().map_or(0, bytes::Bytes::len)
}
