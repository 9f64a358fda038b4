//! One run: reads pages ahead, shapes records, keeps the importer's level filled, settles every record once.
//!
//! The loop owns everything mutable; what may happen next is decided by [`state::RunState`], and nothing is worked on,
//! sent or reported before the store has what it needs for it ([`journal`]).
// size: the loop, and everything it holds.

mod books;
mod collecting;
mod door;
mod ends;
mod errors;
mod feed;
pub(in crate::runtime) mod identity;
mod intake;
mod journal;
mod lineup;
mod once;
mod outlet;
pub mod report;
mod settle;
pub(in crate::runtime) mod shown;
pub mod state;
mod supply;
mod walking;
mod waypoints;
mod writing;

use super::import::locks::Locks;
use super::import::{Batch, Delivered, Road};
use super::scope::{Scope, Work};
use crate::observe::event;
use crate::observe::meters::RecordOutcome;
use crate::runtime::export::page::Page;
use crate::store::{IntentRow, StoreError, Write};
use crate::value::time::Mono;
use books::Books;
use collecting::Collecting;
use feed::{Feed, Known};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use journal::{Journal, Stored};
use report::{Ending, Report, RunError};
use state::{Counts, ReadAhead, RunState};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use supply::Supply;
use tokio_util::sync::CancellationToken;
use walking::Asked;
use waypoints::Waypoints;
use writing::Writing;

pub use supply::Resume;

/// Bytes of rendered bodies that may wait for a permit; one request is always allowed.
const WAITING_BODIES: usize = 16 << 20;

/// Most requests of one run that stand in line, whatever the level.
const MOST_TICKETS: usize = 1024;

/// Time that what became of records waits for more of its kind when nothing else is to be written: a commit costs as
/// much as many records. A process that is killed forgets no more than this.
const GATHERING: Duration = Duration::from_millis(50);

/// Unclean exits a page may see before it is parked.
const MOST_CRASHES: u32 = 3;

/// A batch on its way to the destination.
type Delivery<'r> = BoxFuture<'r, (Batch, Delivered)>;

/// The lanes a run uses.
#[derive(Clone, Copy)]
struct Roads<'r> {
    import: Option<Road<'r>>,
}

impl<'r> Roads<'r> {
    fn of(scope: &'r Scope) -> Result<Self, RunError> {
        for connection in scope.flow.connections() {
            scope.lane(connection).ok_or_else(|| no_connection(connection.as_str()))?;
        }
        let import = scope.flow.import.as_ref().map(|import| Road::of(scope, import)).transpose();
        Ok(Self { import: import.map_err(|id| no_connection(id.as_str()))? })
    }
}

/// Carries one run to its end. What it reports is durable, but for the end itself.
pub async fn run(scope: &Scope) -> Report {
    let started = scope.clock.mono();
    event::run_started(&scope.meters, &scope.flow.id, &scope.run, scope.trigger);
    if scope.work.is_taken_up() {
        // Records of an earlier process may hold its tokens: known before anything of them is shown.
        for lane in scope.flow.connections().filter_map(|id| scope.lane(id)) {
            lane.client.recall().await;
        }
    }
    // What was taken on the way and is not known would be sent twice.
    let (waypoints, broken) = match Waypoints::load(scope).await {
        Ok(waypoints) => (waypoints, None),
        Err(error) => (Waypoints::default(), Some(store_fault(&error))),
    };
    let mut run = Run::new(scope, open_traces(scope).await, waypoints);
    let stopped = match Roads::of(scope) {
        _ if broken.is_some() => broken,
        _ if !scope.flow.unresolved.is_empty() => Some(Ending::Offline(no_value(&scope.flow.unresolved))),
        Ok(roads) => run.work(roads).await,
        Err(error) => Some(Ending::ExportFailed(error)),
    };
    run.report(stopped, scope.clock.mono().since(started))
}

/// Error records that a delivery of this run may overtake.
async fn open_traces(scope: &Scope) -> Vec<String> {
    if scope.dry_run || scope.flow.exports.iter().all(|export| export.trace_key.is_none()) {
        return Vec::new();
    }
    scope.store.open_traces(&scope.flow.id).await.unwrap_or_default()
}

fn store_fault(error: &StoreError) -> Ending {
    Ending::Fault(RunError { place: "store".to_owned(), text: error.to_string() })
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
    /// What records on their way ask.
    asked: Asked<'r>,
    /// Of records delivered: the source is being told.
    tellings: FuturesUnordered<once::Told<'r>>,
    /// Records that wait for each other before an import on the way.
    collecting: Collecting<'r>,
    /// Writes of imports on the way whose intent is not stored yet.
    unsent: Vec<Writing<'r>>,
    /// Pages that wait until they are stored, or, in a careful run, until the one before them is worked off.
    held: VecDeque<(Page, Known)>,
    /// Batches behind others that hold a lock key of theirs.
    locks: Locks<Batch>,
    /// Requests whose intent is not stored yet.
    forming: Vec<Batch>,
    /// Requests that may be sent.
    cleared: VecDeque<Batch>,
    waiting_bytes: usize,
    /// What was about to be sent before a restart.
    intents: Vec<IntentRow>,
    /// Records that were intended and not sent, because nothing new is begun any more.
    kept_back: HashSet<(u64, u32)>,
    /// Until when what became of records may wait for more before it is stored.
    gathering: Option<Mono>,
    failed: Option<Ending>,
    /// Requests that still wait for their permit are not sent any more.
    halt: CancellationToken,
}

impl<'r> Run<'r> {
    fn new(scope: &'r Scope, traces: Vec<String>, waypoints: Waypoints) -> Self {
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
        let mut books = Books::new(scope, state, traces, waypoints);
        if let Work::Export(Some(resume)) = &scope.work {
            books.pages = resume.pages.last().map_or(0, |row| row.number);
            books.requests = resume.requests;
        }
        Self {
            scope,
            books,
            journal: Journal::new(scope),
            deliveries: FuturesUnordered::new(),
            asked: Asked::default(),
            tellings: FuturesUnordered::new(),
            collecting: Collecting::default(),
            unsent: Vec::new(),
            held: VecDeque::new(),
            locks: Locks::default(),
            forming: Vec::new(),
            cleared: VecDeque::new(),
            waiting_bytes: 0,
            intents,
            kept_back: HashSet::new(),
            gathering: None,
            failed: None,
            halt: CancellationToken::new(),
        }
    }

    /// The loop. Gives the ending when the run was stopped from outside or cannot go on.
    async fn work(&mut self, roads: Roads<'r>) -> Option<Ending> {
        let scope = self.scope;
        let mut supply = Supply::new(scope);
        let mut feed = Feed::new(scope, roads.import);
        let mut reloads = scope.reloads.clone();
        let mut alarm: BoxFuture<'static, ()> = std::future::pending().boxed();
        loop {
            let (draining, stopping) = (scope.stop.drain.is_cancelled(), self.is_stopping());
            let mut more = false;
            if stopping {
                supply.stop();
                self.withdraw();
            } else {
                self.release(&mut feed);
                more = self.walk(&mut feed) | self.fill(&mut feed, roads);
                // What waits in groups by now holds nothing back any more.
                more |= self.release(&mut feed);
                // What the import took made room for more.
                more |= feed.walks() && feed.has_room(self.walking_width());
                self.tell();
                self.books.state.set_width(supply.width());
                supply.set_narrow(feed.holds_many());
                while self.books.state.may_read() && supply.begin() {
                    self.books.state.reading();
                }
                if supply.is_over() {
                    self.books.state.exhausted();
                }
                more |= self.end_groups(&mut feed, &supply);
            }
            let quiet = self.deliveries.is_empty() && self.tellings.is_empty();
            if stopping && quiet {
                self.leave_untold();
            }
            if self.journal.is_idle() && self.books.is_dirty() {
                let overdue = self.gathering.is_some_and(|until| scope.clock.mono() >= until);
                if overdue || stopping || self.is_waiting_for_nobody() || self.books.is_urgent() {
                    self.store(Stored::default(), Vec::new());
                } else if self.gathering.is_none() {
                    let until = scope.clock.mono().plus(GATHERING);
                    alarm = scope.clock.sleep_until(until);
                    self.gathering = Some(until);
                }
            }
            if self.books.state.is_done() && self.journal.is_idle() {
                return None;
            }
            if stopping && quiet && !self.asked.is_writing() && self.journal.is_idle() {
                self.take_back().await;
                return self.failed.is_none().then_some(Ending::Cancelled);
            }
            tokio::select! {
                biased;
                () = scope.stop.abort.cancelled() => {
                    self.last_words().await;
                    return Some(Ending::Cancelled);
                }
                // Before answers, which may come without a pause.
                Some((stored, receipt)) = self.journal.next(), if !self.journal.is_idle() => {
                    self.stored(stored, receipt);
                }
                Some((batch, delivered)) = self.deliveries.next(), if !self.deliveries.is_empty() => {
                    self.settle(&batch, delivered, roads);
                }
                Some(answer) = self.asked.next(), if !self.asked.is_empty() => self.told(answer, &mut feed),
                Some((item, told)) = self.tellings.next(), if !self.tellings.is_empty() => self.source_told(item, told),
                Some(landed) = supply.next(), if supply.is_flying() => self.take_landed(landed),
                // Only wakes: answers that come without a pause leave it no turn.
                () = &mut alarm, if self.gathering.is_some() && self.journal.is_idle() => {}
                () = scope.stop.drain.cancelled(), if !draining => {}
                // A raised level wants more tickets in line at once, not after the next answer.
                Ok(()) = reloads.changed() => {}
                () = tokio::task::yield_now(), if more => {}
            }
        }
    }

    /// Whether nothing new is begun any more.
    fn is_stopping(&self) -> bool {
        self.scope.stop.drain.is_cancelled()
            || matches!(self.failed, Some(Ending::Offline(_) | Ending::Stopped(_) | Ending::Fault(_)))
    }

    /// Whether no answer will bring more to be written.
    fn is_waiting_for_nobody(&self) -> bool {
        self.deliveries.is_empty() && self.asked.is_empty() && self.tellings.is_empty()
    }

    /// Gives the store what it lacks, and with it what `stored` stands for.
    fn store(&mut self, mut stored: Stored<'r>, and: Vec<Write>) {
        let (mut writes, errors) = self.books.take_writes();
        writes.extend(and);
        if writes.is_empty() {
            return self.publish(self.books.state.counts(), self.books.pages);
        }
        self.gathering = None;
        stored.errors = errors;
        stored.counts = self.books.state.counts();
        stored.pages = self.books.pages;
        self.journal.commit(stored, writes);
    }

    /// Something is durable: now it may be worked on, sent or told.
    fn stored(&mut self, stored: Stored<'r>, receipt: Result<crate::store::Receipt, StoreError>) {
        match receipt {
            Ok(receipt) => self.books.named(&receipt.errors),
            Err(error) => {
                self.failed.get_or_insert(store_fault(&error));
                return;
            }
        }
        self.cleared.extend(stored.batches);
        self.asked.intending -= stored.writings.len();
        stored.writings.into_iter().for_each(|writing| self.send(writing));
        self.publish(stored.counts, stored.pages);
        // Errors of records that never reached a request count too.
        self.look_at_errors();
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
        self.leave_untold();
        self.store(Stored::default(), Vec::new());
        while !self.journal.is_idle() {
            tokio::select! {
                Some((stored, receipt)) = self.journal.next() => self.stored(stored, receipt),
                () = clock.sleep_until(until) => return,
            }
        }
        tokio::select! {
            () = self.take_back() => {}
            () = clock.sleep_until(until) => {}
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
            steps: self.books.steps(),
            passed: self.books.take_passed(),
        }
    }
}
