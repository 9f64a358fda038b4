//! The side of a run where records are on their way: what their steps ask is asked, each request through its
//! connection's queue, and what came back is given to all that asked the same.

use super::feed::Feed;
use super::lineup::Asking;
use super::report::{Ending, RunError};
use super::{MOST_TICKETS, Run};
use crate::model::step::{Action, Step};
use crate::runtime::walk::cache::Key;
use crate::runtime::walk::found::Found;
use crate::runtime::walk::lookup::{Question, Unanswered};
use crate::runtime::walk::{Reply, Trouble};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Records that set out before others get a turn.
const STRETCH: usize = 1_000;

/// One question of one step, whoever asks it.
type Flight<'r> = (&'r str, Key);

/// Its answer.
pub(super) struct Answer<'r> {
    flight: Flight<'r>,
    step: &'r Step,
    result: Result<Found, Unanswered>,
}

/// What is asked on behalf of records.
#[derive(Default)]
pub(super) struct Asked<'r> {
    waiting: VecDeque<Asking<'r>>,
    /// Who waits for which answer.
    flights: HashMap<Flight<'r>, Vec<(u64, String)>>,
    answers: FuturesUnordered<BoxFuture<'r, Answer<'r>>>,
}

impl<'r> Asked<'r> {
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
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
        for _ in 0..STRETCH {
            if !feed.has_room(width) {
                return false;
            }
            let Some(asking) = feed.set_out(&mut self.books) else { return false };
            self.asked.waiting.extend(asking);
            self.ask(feed);
        }
        true
    }

    /// So many records may be under way as there are tickets wanted in the lines they ask in.
    pub(super) fn walking_width(&self) -> usize {
        let connections: HashSet<_> = self.scope.flow.steps.iter().flat_map(Step::connections).collect();
        let lanes = connections.into_iter().filter_map(|id| self.scope.lane(id));
        lanes.map(|lane| self.width(lane)).sum::<usize>().clamp(1, MOST_TICKETS)
    }

    /// Asks what waits to be asked.
    fn ask(&mut self, feed: &mut Feed<'r>) {
        while self.asked.answers.len() < MOST_TICKETS
            && let Some(asking) = self.asked.waiting.pop_front()
        {
            let (id, place) = (asking.id, asking.need.place.clone());
            if let Some(reply) = self.begin(asking) {
                self.asked.waiting.extend(feed.reply(id, &place, reply, &mut self.books));
            }
        }
    }

    /// Begins one question, or joins it where it is asked already. Gives the reply when that is there.
    fn begin(&mut self, asking: Asking<'r>) -> Option<Reply> {
        let Asking { id, need, origin } = asking;
        let (scope, lookup) = (self.scope, need.lookup);
        let Some(lane) = scope.lane(&lookup.export.connection) else {
            let text = format!("connection `{}` is not part of this snapshot", lookup.export.connection);
            return Some(Reply::Failed(Trouble { class: "record", text, failure: None }));
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
            let answer = async move { Answer { flight, step, result: question.ask(halt).await } };
            self.asked.answers.push(answer.boxed());
        }
        None
    }

    /// Gives an answer to all that wait for it.
    pub(super) fn told(&mut self, answer: Answer<'r>, feed: &mut Feed<'r>) {
        let Answer { flight, step, result } = answer;
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
        self.ask(feed);
        self.look_at_errors();
    }
}
