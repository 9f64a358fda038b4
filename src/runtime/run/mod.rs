//! One run: reads pages ahead, shapes records, keeps the importer's level filled, settles every record once.
//!
//! The loop owns everything mutable; what may happen next is decided by [`state::RunState`].

mod errors;
mod feed;
pub(in crate::runtime) mod identity;
pub mod report;
mod shown;
pub mod state;

use super::export::page::Page;
use super::export::{ReadError, Reader};
use super::import::{Batch, deliver};
use super::scope::{Lane, Scope};
use crate::http::exchange::{Failure, FailureClass};
use crate::model::import::Import;
use crate::observe::event;
use crate::observe::meters::RecordOutcome;
use errors::Errors;
use feed::{Fed, Feed};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use report::{Ending, Report, RunError};
use state::{ReadAhead, Resolution, RunState};

/// Bytes of rendered bodies that may wait for a permit; one request is always allowed.
const WAITING_BODIES: usize = 16 << 20;

/// Most requests of one run that stand in line, whatever the level.
const MOST_TICKETS: usize = 1024;

type Read<'r> = BoxFuture<'r, (Reader<'r>, Result<Option<Page>, ReadError>)>;
type Delivery<'r> = BoxFuture<'r, (Batch, Result<(), Failure>)>;

/// Carries one run to its end.
pub async fn run(scope: &Scope) -> Report {
    let started = scope.clock.mono();
    event::run_started(&scope.meters, &scope.flow.id, &scope.run, scope.trigger);
    let mut run = Run::new(scope);
    let stopped = match (scope.lane(&scope.flow.export.connection), import_lane(scope)) {
        _ if !scope.flow.unresolved.is_empty() => Some(Ending::Offline(no_value(&scope.flow.unresolved))),
        (Some(lane), Ok(import)) => run.work(lane, import).await,
        (_, Err(error)) => Some(Ending::ExportFailed(error)),
        (None, _) => Some(Ending::ExportFailed(no_connection(scope.flow.export.connection.as_str()))),
    };
    let report = run.report(stopped, scope.clock.mono().since(started));
    event::run_finished(&scope.meters, &report.summary(scope.trigger), scope.clock.utc());
    report
}

fn import_lane(scope: &Scope) -> Result<Option<(&Lane, &Import)>, RunError> {
    let Some(import) = &scope.flow.import else { return Ok(None) };
    scope
        .lane(&import.connection)
        .map(|lane| Some((lane, import)))
        .ok_or_else(|| no_connection(import.connection.as_str()))
}

fn read(mut reader: Reader<'_>) -> Read<'_> {
    async move {
        let page = reader.next().await;
        (reader, page)
    }
    .boxed()
}

/// Waits for the page being read; for ever when none is.
async fn arrival<'r>(reading: &mut Option<Read<'r>>) -> (Reader<'r>, Result<Option<Page>, ReadError>) {
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
    state: RunState,
    errors: Errors,
    deliveries: FuturesUnordered<Delivery<'r>>,
    waiting_bytes: usize,
    pages: u64,
    requests: u64,
    failed: Option<Ending>,
}

impl<'r> Run<'r> {
    fn new(scope: &'r Scope) -> Self {
        Self {
            scope,
            state: RunState::new(ReadAhead::default()),
            errors: Errors::new(scope),
            deliveries: FuturesUnordered::new(),
            waiting_bytes: 0,
            pages: 0,
            requests: 0,
            failed: None,
        }
    }

    /// The loop. Gives the ending when the run was stopped from outside or cannot go on.
    async fn work(&mut self, lane: &'r Lane, import: Option<(&'r Lane, &'r Import)>) -> Option<Ending> {
        let scope = self.scope;
        let mut idle = Some(Reader::new(scope, lane));
        let mut reading: Option<Read<'r>> = None;
        let mut feed = Feed::new(scope, lane, import);
        let mut reloads = scope.reloads.clone();
        loop {
            let draining = scope.stop.drain.is_cancelled();
            let stopping = draining || matches!(self.failed, Some(Ending::Offline(_)));
            let mut more = false;
            if stopping {
                reading = None;
            } else {
                more = self.fill(&mut feed, import);
                if self.state.may_read()
                    && let Some(reader) = idle.take()
                {
                    self.state.reading();
                    reading = Some(read(reader));
                }
            }
            if self.state.is_done() {
                return None;
            }
            if stopping && self.deliveries.is_empty() {
                return self.failed.is_none().then_some(Ending::Cancelled);
            }
            tokio::select! {
                biased;
                () = scope.stop.abort.cancelled() => return Some(Ending::Cancelled),
                Some((batch, result)) = self.deliveries.next(), if !self.deliveries.is_empty() => {
                    self.settle(&batch, result);
                }
                (reader, page) = arrival(&mut reading) => {
                    reading = None;
                    if let Some(page) = self.take_page(page) {
                        feed.push(page);
                        idle = Some(reader);
                    }
                }
                () = scope.stop.drain.cancelled(), if !draining => {}
                // A raised level wants more tickets in line at once, not after the next answer.
                Ok(()) = reloads.changed() => {}
                () = tokio::task::yield_now(), if more => {}
            }
        }
    }

    /// Starts deliveries until the pool's level has enough tickets in line or nothing is left to send. True when
    /// it stopped only to give others a turn.
    fn fill(&mut self, feed: &mut Feed<'r>, import: Option<(&'r Lane, &'r Import)>) -> bool {
        let mut more = false;
        let width = import.map_or(1, |(lane, _)| self.width(lane));
        while self.deliveries.len() < width && (self.waiting_bytes < WAITING_BODIES || self.deliveries.is_empty()) {
            let Some(fed) = feed.next(&mut self.state, &mut self.errors) else { break };
            match (fed, import) {
                (Fed::Batch(batch), Some((lane, import))) => self.start(batch, lane, import),
                (Fed::Batch(_) | Fed::Progress, _) => {
                    more = feed.has_more();
                    break;
                }
                (Fed::OutputClosed, _) => {
                    self.scope.stop.drain.cancel();
                    break;
                }
            }
        }
        self.publish();
        more
    }

    fn start(&mut self, batch: Batch, lane: &'r Lane, import: &'r Import) {
        let scope = self.scope;
        self.waiting_bytes += batch.request.body.as_ref().map_or(0, bytes::Bytes::len);
        self.deliveries.push(
            async move {
                let result = deliver(scope, lane, import, &batch).await;
                (batch, result)
            }
            .boxed(),
        );
    }

    /// Tickets wanted in line: the level, and some more so that a free permit always finds one waiting.
    fn width(&self, lane: &Lane) -> usize {
        let level = self.scope.queue.level(&lane.line) as usize;
        (level + level.min(8) + 1).min(MOST_TICKETS)
    }

    fn settle(&mut self, batch: &Batch, result: Result<(), Failure>) {
        self.waiting_bytes -= batch.request.body.as_ref().map_or(0, bytes::Bytes::len);
        self.requests += 1;
        match result {
            Ok(()) => {
                for item in &batch.items {
                    self.state.resolve(item.page, Resolution::Delivered);
                }
            }
            Err(failure) if failure.class == FailureClass::Cancelled => self.scope.stop.drain.cancel(),
            Err(failure) if failure.class == FailureClass::Auth => {
                let text = failure.to_string();
                self.failed = Some(Ending::Offline(RunError { place: "import".to_owned(), text }));
            }
            Err(failure) => {
                for item in &batch.items {
                    self.errors.add(self.scope, item, &failure);
                    self.state.resolve(item.page, Resolution::Failed);
                }
            }
        }
    }

    fn take_page(&mut self, page: Result<Option<Page>, ReadError>) -> Option<Page> {
        match page {
            Ok(Some(page)) => {
                self.pages = page.number;
                event::page_read(&self.scope.flow.id, &self.scope.run, page.number, page.records.len(), page.bytes);
                self.state.page_read(page.number, page.bytes, page.records.len() as u64);
                Some(page)
            }
            Ok(None) => {
                self.state.exhausted();
                None
            }
            Err(error) if error.is_cancelled() => {
                self.scope.stop.drain.cancel();
                None
            }
            Err(error) => {
                self.state.exhausted();
                let text = self.errors.masked(&error.to_string());
                let cause = RunError { place: format!("export page {}", self.pages + 1), text };
                let ending = if error.is_auth() { Ending::Offline } else { Ending::ExportFailed };
                self.failed.get_or_insert(ending(cause));
                None
            }
        }
    }

    /// Publishes the counts to whoever watches: progress bars, `status`, metrics.
    fn publish(&self) {
        let (counts, before) = (self.state.counts(), self.scope.progress.counts());
        self.scope.progress.publish(counts, self.pages);
        if self.scope.dry_run {
            return;
        }
        self.scope.meters.settle([
            (RecordOutcome::Exported, counts.exported.saturating_sub(before.exported)),
            (RecordOutcome::Delivered, counts.delivered.saturating_sub(before.delivered)),
            (RecordOutcome::Filtered, counts.filtered.saturating_sub(before.filtered)),
            (RecordOutcome::Failed, counts.failed.saturating_sub(before.failed)),
        ]);
    }

    fn report(&mut self, stopped: Option<Ending>, took: std::time::Duration) -> Report {
        self.publish();
        let counts = self.state.counts();
        let ended = if counts.failed > 0 { Ending::WithErrors } else { Ending::Succeeded };
        let ending = self.failed.take().or(stopped).unwrap_or(ended);
        Report {
            flow: self.scope.flow.id.clone(),
            run: self.scope.run.clone(),
            ending,
            counts,
            pages: self.pages,
            requests: self.requests,
            took,
            errors: self.errors.take(),
        }
    }
}
