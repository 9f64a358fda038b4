//! The side of a run where requests leave: only for pages that are stored, and only what was intended where that
//! matters.

use super::feed::{Fed, Feed};
use super::journal::{Readiness, Stored};
use super::supply::Supply;
use super::{MOST_TICKETS, Roads, Run, WAITING_BODIES};
use crate::model::import::Import;
use crate::runtime::export::origin::Origin;
use crate::runtime::export::track::Coming;
use crate::runtime::import::{Batch, Item, Member, Road};
use crate::runtime::scope::{Lane, Work};
use crate::store::{IntentRow, Write};
use futures_util::FutureExt;

impl<'r> Run<'r> {
    /// Gives stored pages to the feed, in order. True when there were any.
    pub(super) fn release(&mut self, feed: &mut Feed<'r>) -> bool {
        let mut any = false;
        while let Some(number) = self.held.front().map(|(page, _)| page.number) {
            let is_first = self.books.state.is_first(number);
            match self.journal.readiness(number, is_first) {
                Readiness::Wait => break,
                Readiness::Begin => {
                    let write = Write::StartPage { run: self.scope.run.clone(), page: number };
                    self.store(Stored { page: Some(number), ..Stored::default() }, vec![write]);
                    break;
                }
                Readiness::Ready => {}
            }
            if let Some((page, known)) = self.held.pop_front() {
                feed.push(page, known);
                any = true;
            }
        }
        any
    }

    /// Groups of places that are over are complete. True when there is more to work on.
    pub(super) fn end_groups(&mut self, feed: &mut Feed<'r>, supply: &Supply<'r>) -> bool {
        let held = &self.held;
        let waits = |origin: &Origin| held.iter().any(|(page, _)| page.origin.is_at(origin));
        feed.end_groups(|at| if waits(at) { Coming::More } else { supply.coming(at) }, &mut self.books)
    }

    /// Starts deliveries until the pool's level has enough tickets in line or nothing is left to send. True when
    /// it stopped only to give others a turn.
    pub(super) fn fill(&mut self, feed: &mut Feed<'r>, roads: Roads<'r>) -> bool {
        let mut more = false;
        let width = roads.import.map_or(1, |road| self.width(road.lane));
        // One durable write covers many requests, so that its cost is shared, and no more than a window is ever unknown.
        let window = roads.import.filter(|road| self.intends(*road)).map(|road| self.window(road.lane));
        while self.under_way() < window.unwrap_or(width)
            && self.locks.waiting() < MOST_TICKETS
            && (self.waiting_bytes < WAITING_BODIES || self.under_way() == 0)
        {
            let Some(fed) = feed.next(&mut self.books) else { break };
            match (fed, roads.import) {
                (Fed::Batch(batch), Some(road)) => {
                    self.waiting_bytes += batch.weight();
                    let keys = batch.locks();
                    if let Some(batch) = self.locks.enter(&keys, batch) {
                        self.clear(batch, road);
                    }
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

    /// A batch that waits for no lock: it is sent, once its intent is durable where it has to be.
    pub(super) fn clear(&mut self, batch: Batch, road: Road<'r>) {
        if self.intends(road) { self.forming.push(batch) } else { self.cleared.push_back(batch) }
    }

    fn intends(&self, road: Road<'_>) -> bool {
        !self.scope.dry_run && road.import.needs_intents()
    }

    /// Requests rendered, not behind a lock, and not answered.
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
        if matches!(self.scope.work, Work::Retry(_)) {
            // Its pages are made up: what was sent is known by the error record.
            for item in batches.iter().flat_map(|batch| &batch.items) {
                let key = item.key.as_deref().map(str::to_owned);
                self.books.waypoints.sending_last(self.scope, item, key);
            }
            return self.store(Stored { batches, ..Stored::default() }, Vec::new());
        }
        let records = batches.iter().flat_map(|batch| &batch.items).filter(|item| item.error.is_none());
        let records: Vec<IntentRow> = records
            .flat_map(|item| {
                let key = item.key.as_deref().map(str::to_owned);
                let intent =
                    move |Member { page, index, hash }| IntentRow { page, record: index, hash, key: key.clone() };
                item.members().into_iter().map(intent)
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

    /// What never left is not unknown to whoever goes on: only what is in flight now stays intended.
    pub(super) async fn take_back(&mut self) {
        let scope = self.scope;
        if !scope.flow.import.as_ref().is_some_and(Import::leaves_open) {
            return;
        }
        if matches!(scope.work, Work::Retry(_)) {
            for item in self.cleared.iter().filter(|batch| !batch.asks_first()).flat_map(|batch| &batch.items) {
                self.books.waypoints.not_sent_last(scope, item);
            }
            let (writes, _) = self.books.take_writes();
            if !writes.is_empty() {
                let _ = scope.store.commit(writes).await;
            }
            return;
        }
        for batch in self.cleared.iter().filter(|batch| !batch.asks_first()) {
            let members = batch.items.iter().flat_map(Item::members);
            self.kept_back.extend(members.map(|member| (member.page, member.index)));
        }
        let Ok(mut records) = scope.store.intents(&scope.run).await else { return };
        let all = records.len();
        records.retain(|intent| !self.kept_back.contains(&(intent.page, intent.record)));
        if records.len() < all {
            let run = scope.run.clone();
            let writes = vec![Write::Withdraw { run: run.clone() }, Write::Intend { run, records }];
            let _ = scope.store.commit(writes).await;
        }
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
}
