//! The side of a run where requests leave: only for pages that are stored, and only what was intended where that
//! matters; and where their answers come back.

use super::errors::Fault;
use super::feed::{Fed, Feed};
use super::journal::{Readiness, Stored};
use super::report::{Ending, RunError};
use super::state::Resolution;
use super::{MOST_TICKETS, Roads, Run, WAITING_BODIES};
use crate::runtime::import::{Batch, Delivered, Halted, Outcome, Road};
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
        let width = roads.import.map_or(1, |road| self.width(road.lane));
        let intends = !self.scope.dry_run && roads.import.is_some_and(|road| road.import.needs_intents());
        // One durable write covers many requests, so that its cost is shared, and no more than a window is ever unknown.
        let window = roads.import.filter(|_| intends).map(|road| self.window(road.lane));
        while self.under_way() < window.unwrap_or(width)
            && (self.waiting_bytes < WAITING_BODIES || self.under_way() == 0)
        {
            let Some(fed) = feed.next(&mut self.books) else { break };
            match (fed, roads.import) {
                (Fed::Batch(batch), Some(road)) => {
                    self.waiting_bytes += weight(&batch);
                    if intends { self.forming.push(batch) } else { self.start(batch, road) }
                }
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
        self.intend(window.unwrap_or(1), !feed.has_more());
        while let Some(road) = roads.import.filter(|_| self.deliveries.len() < width)
            && let Some(batch) = self.cleared.pop_front()
        {
            self.start(batch, road);
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

    pub(super) fn start(&mut self, batch: Batch, road: Road<'r>) {
        let halt = self.halt.clone();
        self.deliveries.push(
            async move {
                let delivered = road.deliver(&batch, &halt).await;
                (batch, delivered)
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

    /// Gives each record of a batch what became of it.
    pub(super) fn settle(&mut self, batch: &Batch, delivered: Delivered, roads: Roads<'r>) {
        self.waiting_bytes -= weight(batch);
        self.books.requests += delivered.requests;
        let step = roads.import.map_or("import", |road| road.name());
        for (item, outcome) in batch.items.iter().zip(delivered.outcomes) {
            match outcome {
                Outcome::Taken(_) => self.books.resolve(item, Resolution::Delivered),
                Outcome::Failed(failure) | Outcome::Unknown(failure) => {
                    self.books.fail(item, &Fault::of(step, &failure));
                }
                // It is still in flight for whoever takes the run up.
                Outcome::Unsent => {}
            }
        }
        match delivered.halted {
            Some(Halted::Offline(failure)) => {
                let (place, text) = (step.to_owned(), failure.to_string());
                self.failed = Some(Ending::Offline(RunError { place, text }));
            }
            Some(Halted::Closed) if !self.halt.is_cancelled() => self.scope.stop.drain.cancel(),
            Some(Halted::Closed) | None => {}
        }
        self.look_at_errors();
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
