//! Imports on the way: each record in a request of its own. What was taken is remembered until the record is resolved,
//! so that nothing is sent twice, whatever ends the process or stops the record behind it.

use super::Run;
use super::feed::Feed;
use super::journal::Stored;
use super::lineup::Asking;
use super::shown::shown;
use super::walking::Answer;
use crate::model::import::{Import, UnknownOutcome};
use crate::model::step::Step;
use crate::runtime::import::{Batch, CUT_OFF, Delivered, Item, Outcome, Road, class_name};
use crate::runtime::walk::{Reply, Trouble};
use futures_util::FutureExt;

/// A record that an import on the way is to take.
pub(super) struct Writing<'r> {
    /// Which record.
    id: u64,
    /// As it was exported.
    record: Item,
    /// Which step of it, and which item of `many`.
    place: String,
    step: &'r Step,
    road: Road<'r>,
    batch: Batch,
}

impl<'r> Run<'r> {
    /// Begins to write. Gives the reply when that is there already.
    pub(super) fn write(&mut self, asking: Asking<'r>, import: &'r Import, feed: &Feed<'r>) -> Option<Reply> {
        let scope = self.scope;
        let Asking { id, need, .. } = asking;
        let (record, now) = feed.walking(id)?;
        let road = match Road::of(scope, import) {
            Ok(road) => road,
            Err(id) => return Some(failed("record", format!("connection `{id}` is not part of this snapshot"))),
        };
        let record = record.clone();
        let again = record.error.as_ref().filter(|error| error.step == need.place).and_then(|error| error.key.clone());
        let key = need.was_sent.clone().flatten().or(again).map(String::into_boxed_str);
        let mut item = Item {
            record: need.ground.record,
            parent: need.ground.parent,
            lookups: need.ground.lookups,
            key,
            ..record.clone()
        };
        let base = scope.context(now, &record.origin);
        let admitted = road.admit(&mut item, &base);
        let (way, key) = (item.way, item.key.clone());
        let mut batch = match admitted.and_then(|()| road.alone(item, &base).map_err(|(_, error)| error)) {
            Ok(batch) => batch,
            Err(error) => return Some(Reply::Failed(Trouble::eval(&error))),
        };
        if scope.dry_run {
            if scope.output.request(&shown(&batch.request, scope)).is_err() {
                scope.stop.drain.cancel();
            }
            return Some(Reply::Taken(None));
        }
        match road.unknown(way) {
            UnknownOutcome::Park if need.was_sent.is_some() => return Some(failed("unknown", CUT_OFF.to_owned())),
            UnknownOutcome::Check(_) if need.was_sent.is_some() => batch = batch.asked_first(),
            UnknownOutcome::Park | UnknownOutcome::Check(_) | UnknownOutcome::Retry => {}
        }
        let writing = Writing { id, record, place: need.place, step: need.step, road, batch };
        if import.needs_intents() {
            self.books.waypoints.sending(scope, &writing.record, &writing.place, key.as_deref());
            self.unsent.push(writing);
        } else {
            self.send(writing);
        }
        None
    }

    /// Makes durable what is about to be written.
    pub(super) fn intend_writings(&mut self) {
        if !self.unsent.is_empty() {
            let writings = std::mem::take(&mut self.unsent);
            self.asked.intending += writings.len();
            self.store(Stored { writings, ..Stored::default() }, Vec::new());
        }
    }

    /// Sends, unless nothing new is begun any more.
    pub(super) fn send(&mut self, writing: Writing<'r>) {
        if self.is_stopping() {
            return self.books.waypoints.not_taken(self.scope, &writing.record, &writing.place);
        }
        let halt = self.halt.clone();
        self.asked.writing += 1;
        self.asked.push(
            async move {
                let delivered = writing.road.deliver(&writing.batch, &halt).await;
                Answer::Written(Box::new(writing), delivered)
            }
            .boxed(),
        );
    }

    /// What was not sent is not on its way.
    pub(super) fn withdraw(&mut self) {
        for writing in std::mem::take(&mut self.unsent) {
            self.books.waypoints.not_taken(self.scope, &writing.record, &writing.place);
        }
    }

    /// A write ended.
    pub(super) fn written(&mut self, writing: Writing<'r>, delivered: Delivered, feed: &mut Feed<'r>) {
        let Writing { id, record, place, step, road, batch } = writing;
        self.asked.writing -= 1;
        self.books.requests += delivered.requests;
        let waypoints = &mut self.books.waypoints;
        let reply = match delivered.outcomes.into_iter().next() {
            Some(Outcome::Taken(answer)) => {
                let answer = answer.filter(|_| road.import.merge.is_some());
                waypoints.taken(self.scope, &record, &place, answer.as_ref());
                Some(Reply::Taken(answer))
            }
            Some(Outcome::Skipped) => {
                waypoints.not_taken(self.scope, &record, &place);
                Some(Reply::Skipped)
            }
            Some(Outcome::Failed(failure) | Outcome::Unknown(failure)) => {
                waypoints.not_taken(self.scope, &record, &place);
                let (class, text) = (class_name(failure.class), failure.message.clone());
                let key = batch.items.first().and_then(|item| item.key.clone());
                Some(Reply::Failed(Trouble { class, text, failure: Some(failure), key }))
            }
            // It is still in flight for whoever takes the run up.
            Some(Outcome::Unsent) | None => {
                waypoints.not_taken(self.scope, &record, &place);
                None
            }
        };
        self.halted(&step.name, delivered.halted);
        if let Some(reply) = reply {
            let asking = feed.reply(id, &place, reply, &mut self.books);
            self.asked.wait(asking);
        }
    }
}

fn failed(class: &'static str, text: String) -> Reply {
    Reply::Failed(Trouble { class, text, failure: None, key: None })
}
