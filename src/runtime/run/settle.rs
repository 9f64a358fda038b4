//! The side of a run where answers come back: each record of a batch gets what became of it, and nobody else's.

use super::errors::Fault;
use super::report::{Ending, RunError};
use super::state::Resolution;
use super::{Roads, Run};
use crate::model::import::UnknownOutcome;
use crate::model::step::OnError;
use crate::runtime::import::{Batch, Delivered, Halted, Item, Outcome, Road};
use crate::value::json::Json;

impl<'r> Run<'r> {
    /// Gives each record of a batch what became of it.
    pub(super) fn settle(&mut self, batch: &Batch, delivered: Delivered, roads: Roads<'r>) {
        let Some(road) = roads.import else { return };
        self.waiting_bytes -= batch.weight();
        self.books.requests += delivered.requests;
        let mut is_done = true;
        for (item, outcome) in batch.items.iter().zip(delivered.outcomes) {
            match outcome {
                Outcome::Taken(answer) => self.taken(road, item, answer.as_ref()),
                Outcome::Failed(failure) | Outcome::Unknown(failure) => {
                    self.books.fail_in(road.import, item, &Fault::of(road.name(), &failure));
                }
                Outcome::Skipped => self.books.resolve(item, Resolution::Filtered),
                Outcome::Unasked => is_done = false,
                // It is still in flight for whoever takes the run up.
                Outcome::Unsent => {
                    is_done = false;
                    if !batch.asks_first() {
                        // What is simply sent again keeps its key.
                        if item.error.is_some() && !matches!(road.unknown(item.way), UnknownOutcome::Retry) {
                            self.books.waypoints.not_sent_last(self.scope, item);
                        }
                        let members = item.members().into_iter();
                        self.kept_back.extend(members.map(|member| (member.page, member.index)));
                    }
                }
            }
        }
        if is_done {
            for next in self.locks.leave(&batch.locks()) {
                self.clear(next, road);
            }
        }
        self.halted(road.name(), delivered.halted);
        self.look_at_errors();
    }

    /// What ends more than one request ends the run.
    pub(super) fn halted(&mut self, place: &str, halted: Option<Halted>) {
        match halted {
            Some(Halted::Offline(failure)) => {
                let (place, text) = (place.to_owned(), failure.to_string());
                self.failed = Some(Ending::Offline(RunError { place, text }));
            }
            Some(Halted::Failed(failure)) => {
                let (place, text) = (place.to_owned(), failure.to_string());
                self.halt.cancel();
                self.failed.get_or_insert(Ending::Stopped(RunError { place, text }));
            }
            Some(Halted::Closed) if !self.halt.is_cancelled() => self.scope.stop.drain.cancel(),
            Some(Halted::Closed) | None => {}
        }
    }

    /// A record was delivered. Whatever its answer says, it is not sent again.
    fn taken(&mut self, road: Road<'r>, item: &Item, answer: Option<&Json>) {
        if road.import.merge.is_none() {
            return self.books.resolve(item, Resolution::Delivered);
        }
        let now = self.scope.now();
        match road.merged(item, answer, &self.scope.context(&now, &item.origin)) {
            Err(error) if road.import.on_error == OnError::Stop => {
                let text = format!("the destination took the record, but {error}");
                let fault = Fault { step: &road.behind(), class: "record", text, failure: None };
                self.books.fail(item, &fault);
            }
            Err(error) => {
                self.books.pass(item, road.name(), &error.to_string());
                self.books.resolve(item, Resolution::Delivered);
            }
            Ok(_) => self.books.resolve(item, Resolution::Delivered),
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
