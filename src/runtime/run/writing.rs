//! Imports on the way: requests of one record or several. What was taken is remembered until the record is resolved,
//! so that nothing is sent twice, whatever ends the process or stops the record behind it.

use super::feed::Feed;
use super::journal::Stored;
use super::walking::Answer;
use super::waypoints::key_of;
use super::{MOST_TICKETS, Run};
use crate::http::exchange::FailureClass;
use crate::model::import::UnknownOutcome;
use crate::model::step::Step;
use crate::runtime::export::cursor::lasting_hash;
use crate::runtime::import::{Batch, Delivered, Item, Outcome, Road, class_name};
use crate::runtime::scope::Scope;
use crate::runtime::stage;
use crate::runtime::walk::{Reply, Sent, Together, Trouble};
use futures_util::FutureExt;

/// A record that an import on the way is to take.
pub(super) struct Member {
    /// Which record.
    pub(super) id: u64,
    /// As it was exported.
    pub(super) record: Item,
    /// Which step of it, and which item of `many`.
    pub(super) place: String,
}

/// What became of records.
pub(super) type Replies = Vec<(Member, Reply)>;

/// A request, and whom it is for.
pub(super) struct Writing<'r> {
    /// One for each record of the batch, in its order.
    pub(super) members: Vec<Member>,
    pub(super) step: &'r Step,
    pub(super) road: Road<'r>,
    pub(super) batch: Batch,
    /// What tells it from others, where its records must be in one request again when it is sent again.
    pub(super) together: Option<u64>,
}

impl Writing<'_> {
    /// A request of several records has a key that is made of theirs: sent again it must be the same.
    pub(super) fn numbered(self, scope: &Scope) -> Self {
        if self.road.import.idempotency_key.is_none() || self.members.len() < 2 {
            return self;
        }
        let names: Vec<String> =
            self.members.iter().map(|member| format!("{} {}", key_of(scope, &member.record), member.place)).collect();
        Self { together: Some(lasting_hash(names.join("\n").as_bytes()).max(1)), ..self }
    }

    /// Whether it is simply sent again when nobody knows whether it arrived.
    fn is_repeated(&self) -> bool {
        matches!(self.road.unknown(self.batch.way()), UnknownOutcome::Retry)
    }

    /// Whether the destination is asked then.
    fn is_asked_about(&self) -> bool {
        matches!(self.road.unknown(self.batch.way()), UnknownOutcome::Check(_))
    }

    /// Whether it must be durable that it is about to be sent.
    fn intends(&self) -> bool {
        self.road.import.needs_intents() || self.together.is_some()
    }
}

impl<'r> Run<'r> {
    /// A request is rendered.
    pub(super) fn rendered(&mut self, writing: Writing<'r>, feed: &mut Feed<'r>) {
        if !self.scope.dry_run {
            return self.collecting.line_up(writing);
        }
        if stage::unsent(self.scope, &writing.road.lane.client, &writing.step.name, &writing.batch).is_err() {
            self.scope.stop.drain.cancel();
        }
        self.give(writing.members.into_iter().map(|member| (member, Reply::Taken(None))).collect(), feed);
    }

    /// Sends what may be sent now. No more than a window of writes is ever unknown.
    pub(super) fn dispatch(&mut self) {
        let mut at = 0;
        while !self.is_stopping()
            && self.asked.len() + self.unsent.len() < MOST_TICKETS
            && let Some(writing) = self.collecting.cleared.get(at)
        {
            let under_way = self.asked.writing + self.asked.intending + self.unsent.len();
            let intends = writing.intends();
            if intends && under_way >= self.window(writing.road.lane) {
                at += 1;
                continue;
            }
            let Some(writing) = self.collecting.cleared.remove(at) else { return };
            if intends { self.intend_writing(writing) } else { self.send(writing) }
        }
    }

    fn intend_writing(&mut self, writing: Writing<'r>) {
        let of = u32::try_from(writing.members.len()).unwrap_or(u32::MAX);
        for (at, (member, item)) in (0..).zip(writing.members.iter().zip(&writing.batch.items)) {
            let together = writing.together.map(|batch| Together { batch, at, of });
            let sent = Sent { key: item.key.as_deref().map(str::to_owned), together };
            self.books.waypoints.sending(self.scope, &member.record, &member.place, sent);
        }
        self.unsent.push(writing);
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
            return self.not_sent(&writing);
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
            self.not_sent(&writing);
        }
    }

    /// What an earlier process may have sent is unknown all the same, and what is simply sent again keeps its key.
    fn not_sent(&mut self, writing: &Writing<'r>) {
        if writing.batch.asks_first() || writing.is_repeated() {
            return;
        }
        for member in &writing.members {
            self.books.waypoints.not_taken(self.scope, &member.record, &member.place);
        }
    }

    /// A write ended: each of its records has what became of it. All of that is stored at once.
    pub(super) fn written(&mut self, writing: Writing<'r>, delivered: Delivered, feed: &mut Feed<'r>) {
        self.asked.writing -= 1;
        self.books.requests += delivered.requests;
        self.collecting.bytes = self.collecting.bytes.saturating_sub(writing.batch.weight());
        let is_open = |outcome: &Outcome| matches!(outcome, Outcome::Unsent | Outcome::Unasked);
        if !delivered.outcomes.iter().any(is_open) {
            self.collecting.let_go(&writing);
        }
        self.halted(&writing.step.name, delivered.halted);
        let asks_first = writing.batch.asks_first();
        let (repeats, asks) = (writing.is_repeated(), writing.is_asked_about());
        let mut replies = Vec::with_capacity(writing.members.len());
        let keys: Vec<_> = writing.batch.items.iter().map(|item| item.key.clone()).collect();
        for ((member, outcome), key) in writing.members.into_iter().zip(delivered.outcomes).zip(keys) {
            let waypoints = &mut self.books.waypoints;
            let (record, place) = (&member.record, &member.place);
            let reply = match outcome {
                Outcome::Taken(answer) => {
                    let answer = answer.filter(|_| writing.road.import.merge.is_some());
                    waypoints.taken(self.scope, record, place, answer.as_ref());
                    Reply::Taken(answer)
                }
                Outcome::Skipped => {
                    waypoints.not_taken(self.scope, record, place);
                    Reply::Skipped
                }
                Outcome::Failed(failure) | Outcome::Unknown(failure) => {
                    // Whoever tries it again asks first.
                    if !(asks && failure.class == FailureClass::Unknown) {
                        waypoints.not_taken(self.scope, record, place);
                    }
                    let (class, text) = (class_name(failure.class), failure.message.clone());
                    Reply::Failed(Trouble { class, text, failure: Some(failure), key })
                }
                // It is still in flight for whoever takes the run up; an earlier attempt may have arrived.
                Outcome::Unsent => {
                    if writing.together.is_none() && !asks_first && !repeats {
                        waypoints.not_taken(self.scope, record, place);
                    }
                    continue;
                }
                Outcome::Unasked => continue,
            };
            replies.push((member, reply));
        }
        self.give(replies, feed);
    }
}

pub(super) fn failed(class: &'static str, text: String) -> Reply {
    Reply::Failed(Trouble { class, text, failure: None, key: None })
}
