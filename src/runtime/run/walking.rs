//! The side of a run where records are on their way: what their steps ask is asked, each request through its
//! connection's queue, and what came back is given to all that asked the same.

use super::feed::Feed;
use super::lineup::Asking;
use super::report::{Ending, RunError};
use super::writing::Writing;
use super::{MOST_TICKETS, Run, WAITING_BODIES};
use crate::model::step::{Action, Lookup, Step};
use crate::runtime::import::Delivered;
use crate::runtime::walk::cache::Key;
use crate::runtime::walk::found::Found;
use crate::runtime::walk::lookup::{Question, Unanswered};
use crate::runtime::walk::{Ask, Reply, Trouble};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Records that set out before others get a turn.
const STRETCH: usize = 1_000;

/// Most records of one run that are under way where they fill batches.
const MOST_COLLECTED: usize = 16_384;

/// One question of one step, whoever asks it.
type Flight<'r> = (&'r str, Key);

/// What came back.
pub(super) enum Answer<'r> {
    /// To a lookup.
    Found { flight: Flight<'r>, step: &'r Step, result: Result<Found, Unanswered> },
    /// To an import.
    Written(Box<Writing<'r>>, Delivered),
}

/// What is asked on behalf of records.
#[derive(Default)]
pub(super) struct Asked<'r> {
    waiting: VecDeque<Asking<'r>>,
    /// Who waits for which answer.
    flights: HashMap<Flight<'r>, Vec<(u64, String)>>,
    answers: FuturesUnordered<BoxFuture<'r, Answer<'r>>>,
    /// How many of them are writes.
    pub(super) writing: usize,
    /// Writes whose intent is on its way into the store.
    pub(super) intending: usize,
}

impl<'r> Asked<'r> {
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// How much is asked now.
    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether a write is on its way.
    pub(super) fn is_writing(&self) -> bool {
        self.writing > 0
    }

    /// Waits for an answer among others.
    pub(super) fn push(&mut self, answer: BoxFuture<'r, Answer<'r>>) {
        self.answers.push(answer);
    }

    /// More is to be asked.
    pub(super) fn wait(&mut self, asking: Vec<Asking<'r>>) {
        self.waiting.extend(asking);
    }

    /// The first record that still waits to be asked for at a step.
    pub(super) fn first_waiting(&self, is_step: impl Fn(&Step) -> bool) -> Option<u64> {
        self.waiting.iter().filter(|asking| is_step(asking.need.step)).map(|asking| asking.id).min()
    }

    /// The next answer.
    pub(super) async fn next(&mut self) -> Option<Answer<'r>> {
        self.answers.next().await
    }
}

impl<'r> Run<'r> {
    /// Lets records set out while there is room. True when it stopped only to give others a turn.
    pub(super) fn walk(&mut self, feed: &mut Feed<'r>) -> bool {
        if !feed.walks() {
            return false;
        }
        let width = self.walking_width();
        let mut more = false;
        for count in 1..=STRETCH {
            if !feed.has_room(width) {
                break;
            }
            let Some(asking) = feed.set_out(&mut self.books) else { break };
            self.asked.waiting.extend(asking);
            self.ask_on(feed);
            more = count == STRETCH;
        }
        self.ask(feed);
        more
    }

    /// So many records may be under way as there are tickets wanted in the lines they ask in.
    pub(super) fn walking_width(&self) -> usize {
        let steps = &self.scope.flow.steps;
        let connections: HashSet<_> = steps.iter().flat_map(Step::connections).collect();
        let lanes = connections.into_iter().filter_map(|id| self.scope.lane(id));
        let tickets = lanes.map(|lane| self.width(lane)).sum::<usize>().clamp(1, MOST_TICKETS);
        // Records that fill a batch are under way for one ticket of it.
        let batches = steps.iter().flat_map(Step::imports).filter(|import| import.batch_size.get() > 1);
        let batched = batches.filter_map(|import| {
            let lane = self.scope.lane(&import.connection)?;
            Some(self.width(lane).saturating_mul(import.batch_size.get() as usize))
        });
        batched.fold(tickets, usize::saturating_add).min(tickets.max(MOST_COLLECTED))
    }

    /// Asks what waits to be asked, and sends what waits for nobody any more.
    pub(super) fn ask(&mut self, feed: &mut Feed<'r>) {
        loop {
            self.ask_on(feed);
            self.open_gates(feed);
            if self.may_ask() && !self.asked.waiting.is_empty() {
                continue;
            }
            self.dispatch();
            if self.is_stopping() || !self.flush(feed) {
                break;
            }
        }
        self.intend_writings();
    }

    fn ask_on(&mut self, feed: &mut Feed<'r>) {
        while self.may_ask()
            && let Some(asking) = self.asked.waiting.pop_front()
        {
            self.ask_one(asking, feed);
        }
    }

    fn ask_one(&mut self, asking: Asking<'r>, feed: &mut Feed<'r>) {
        let (id, place) = (asking.id, asking.need.place.clone());
        match asking.need.ask {
            Ask::Import(import) => self.write(asking, import, feed),
            Ask::Lookup(lookup) => {
                if let Some(reply) = self.begin(asking, lookup) {
                    self.asked.waiting.extend(feed.reply(id, &place, reply, &mut self.books));
                }
            }
        }
    }

    /// Whether more may be asked: what is rendered and not sent is bounded in number and bytes.
    fn may_ask(&self) -> bool {
        let asked = self.asked.answers.len() + self.unsent.len() + self.collecting.rendered();
        !self.is_stopping() && asked < MOST_TICKETS && self.collecting.bytes < WAITING_BODIES
    }

    /// Begins one question, or joins it where it is asked already. Gives the reply when that is there.
    fn begin(&mut self, asking: Asking<'r>, lookup: &'r Lookup) -> Option<Reply> {
        let Asking { id, need, origin } = asking;
        let scope = self.scope;
        let Some(lane) = scope.lane(&lookup.export.connection) else {
            let text = format!("connection `{}` is not part of this snapshot", lookup.export.connection);
            return Some(Reply::Failed(Trouble { class: "record", text, failure: None, key: None }));
        };
        let question = Question { scope, lane, lookup, origin, ground: need.ground };
        let key = match question.key() {
            Ok(key) => key,
            Err(trouble) => return Some(Reply::Failed(trouble)),
        };
        let step = need.step;
        if lookup.cache.is_some()
            && let Some(found) = scope.caches.get(&step.name, &key, scope.clock.mono())
        {
            return Some(Reply::Found(found));
        }
        let flight = (step.name.as_str(), key);
        let waiters = self.asked.flights.entry(flight).or_default();
        waiters.push((id, need.place));
        if waiters.len() == 1 {
            let halt = self.halt.clone();
            let answer = async move { Answer::Found { flight, step, result: question.ask(halt).await } };
            self.asked.answers.push(answer.boxed());
        }
        None
    }

    /// Something came back.
    pub(super) fn told(&mut self, answer: Answer<'r>, feed: &mut Feed<'r>) {
        match answer {
            Answer::Found { flight, step, result } => self.found(flight, step, result, feed),
            Answer::Written(writing, delivered) => self.written(*writing, delivered, feed),
        }
        self.ask(feed);
        self.look_at_errors();
    }

    /// Gives an answer to all that wait for it.
    fn found(&mut self, flight: Flight<'r>, step: &'r Step, result: Result<Found, Unanswered>, feed: &mut Feed<'r>) {
        let waiters = self.asked.flights.remove(&flight).unwrap_or_default();
        let ends = result.as_ref().err().and_then(Unanswered::ends_the_run);
        let reply = match result {
            Ok(found) => {
                let found = Arc::new(found);
                if let Action::Lookup(lookup) = &step.action
                    && let Some(settings) = lookup.cache
                {
                    self.scope.caches.put(flight.0, flight.1, &found, settings, self.scope.clock.mono());
                }
                Reply::Found(found)
            }
            Err(Unanswered::Trouble(trouble)) => Reply::Failed(trouble),
            Err(Unanswered::Offline(text)) => {
                let text = self.books.masked(&text);
                self.failed = Some(Ending::Offline(RunError { place: format!("lookup `{}`", step.name), text }));
                return;
            }
            // Records that asked are still in flight for whoever takes the run up.
            Err(Unanswered::Cancelled) if self.halt.is_cancelled() => return,
            Err(Unanswered::Cancelled) => return self.scope.stop.drain.cancel(),
        };
        for (id, place) in waiters {
            self.asked.waiting.extend(feed.reply(id, &place, reply.clone(), &mut self.books));
        }
        if let Some(text) = ends {
            self.halt.cancel();
            let text = self.books.masked(&text);
            self.failed.get_or_insert(Ending::Stopped(RunError { place: format!("lookup `{}`", step.name), text }));
        }
    }
}
