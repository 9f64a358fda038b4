//! The side of a run where requests leave: only for pages that are stored, and only what was intended where that
//! matters; and where their answers come back.

use super::errors::Fault;
use super::feed::{Fed, Feed};
use super::journal::{Readiness, Stored};
use super::report::{Ending, RunError};
use super::state::Resolution;
use super::{Answered, MOST_TICKETS, Roads, Run, WAITING_BODIES};
use crate::http::exchange::{Failure, FailureClass};
use crate::model::import::{Check, Import};
use crate::runtime::import::{Batch, Item, deliver, is_there};
use crate::runtime::scope::Lane;
use crate::store::{IntentRow, Write};
use futures_util::FutureExt;

impl<'r> Run<'r> {
    /// Gives stored pages to the feed, in order.
    pub(super) fn release(&mut self, feed: &mut Feed<'r>) {
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
    pub(super) fn fill(&mut self, feed: &mut Feed<'r>, roads: Roads<'r>) -> bool {
        let mut more = false;
        let width = roads.import.map_or(1, |(lane, _)| self.width(lane));
        let intends = !self.scope.dry_run && roads.import.is_some_and(|(_, import)| import.needs_intents());
        // One durable write covers many requests, so that its cost is shared, and no more than a window is ever unknown.
        let window = roads.import.filter(|_| intends).map(|(lane, _)| self.window(lane));
        while self.under_way() < window.unwrap_or(width)
            && (self.waiting_bytes < WAITING_BODIES || self.under_way() == 0)
        {
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
        self.intend(window.unwrap_or(1), !feed.has_more());
        while let Some((lane, import)) = roads.import.filter(|_| self.deliveries.len() < width)
            && let Some(batch) = self.cleared.pop_front()
        {
            self.start(batch, lane, import);
        }
        more
    }

    /// Requests rendered and not answered.
    pub(super) fn under_way(&self) -> usize {
        self.deliveries.len() + self.forming.len() + self.cleared.len() + self.journal.intending()
    }

    /// Makes durable what is about to be sent: half a window at once while there is something to send meanwhile.
    pub(super) fn intend(&mut self, window: usize, is_all: bool) {
        if self.forming.is_empty() || self.journal.intending() > 0 {
            return;
        }
        if self.forming.len() < window / 2 && !self.cleared.is_empty() && !is_all {
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

    pub(super) fn start(&mut self, batch: Batch, lane: &'r Lane, import: &'r Import) {
        let (scope, halt) = (self.scope, self.halt.clone());
        self.deliveries.push(
            async move {
                let result = deliver(scope, lane, import, &batch, &halt).await;
                Answered::Delivery(batch, result)
            }
            .boxed(),
        );
    }

    pub(super) fn check(&mut self, item: Item, lane: &'r Lane, check: &'r Check) {
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
    pub(super) fn width(&self, lane: &Lane) -> usize {
        let level = self.scope.queue.level(&lane.line) as usize;
        (level + level.min(8) + 1).min(MOST_TICKETS)
    }

    /// Requests that one write of intents covers at most.
    pub(super) fn window(&self, lane: &Lane) -> usize {
        (self.scope.queue.level(&lane.line) as usize * 4).min(MOST_TICKETS)
    }

    pub(super) fn answered(&mut self, answered: Answered, roads: Roads<'r>, feed: &mut Feed<'r>) {
        match answered {
            Answered::Delivery(batch, result) => self.settle(batch, result, roads),
            Answered::Check(item, Ok(true)) => self.books.resolve(&item, Resolution::Delivered),
            Answered::Check(item, Ok(false)) => feed.push_again(*item),
            Answered::Check(item, Err(text)) => self.books.fail(&item, &Fault::unknown(text)),
        }
    }

    pub(super) fn settle(&mut self, batch: Batch, result: Result<(), Failure>, roads: Roads<'r>) {
        self.waiting_bytes -= weight(&batch);
        self.books.requests += 1;
        match result {
            Ok(()) => {
                for item in &batch.items {
                    self.books.resolve(item, Resolution::Delivered);
                }
            }
            // Never sent: it is still in flight for whoever takes the run up.
            Err(failure) if failure.class == FailureClass::Cancelled && self.halt.is_cancelled() => {}
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

    pub(super) fn look_at_errors(&mut self) {
        let (Some(most), None) = (self.scope.flow.max_errors, &self.failed) else { return };
        if self.books.failures() >= most.get() {
            let text = format!(
                "stopped after {} error records (`max_errors = {most}`); what was not worked on waits for the next run",
                self.books.failures()
            );
            self.halt.cancel();
            self.failed = Some(Ending::Stopped(RunError { place: "import".to_owned(), text }));
        }
    }
}

fn weight(batch: &Batch) -> usize {
    batch.request.body.as_ref().map_or(0, bytes::Bytes::len)
}
