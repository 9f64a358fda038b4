//! One batch from its permit to an outcome for each of its records: sent, asked about where that is unclear, and sent
//! again where it did not arrive.

use super::outcome::{Delivered, Halted, Outcome, Outcomes};
use super::{Batch, Item, Road};
use crate::http::exchange::{Answer, Failure, FailureClass};
use futures_util::future::join_all;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How often a record that did not arrive is sent again.
const ROUNDS: usize = 3;

/// Records of one batch that are asked about at once.
const ASKED_AT_ONCE: usize = 16;

impl Road<'_> {
    /// Sends one batch through the queue and settles what is unknown, as far as anybody can say; each request takes a
    /// permit of its own and gives it back when its answer is judged.
    ///
    /// With `halt` nothing is sent that has no permit yet.
    pub async fn deliver(&self, batch: &Batch, halt: &CancellationToken) -> Delivered {
        let mut course = Course { road: self, halt, requests: 0, halted: None };
        let mut outcomes = if batch.ask_first {
            all(batch.items.len(), &Outcome::Unknown(Arc::new(cut_off())))
        } else {
            course.send(batch).await
        };
        let mut open = unknown(&outcomes);
        for _ in 0..ROUNDS {
            open = course.absent(batch, &open, &mut outcomes).await;
            for at in &open {
                let again = course.again(batch, *at).await;
                if let Some(outcome) = outcomes.get_mut(*at) {
                    *outcome = again;
                }
            }
            open.retain(|at| matches!(outcomes.get(*at), Some(Outcome::Unknown(_))));
        }
        Delivered { outcomes, requests: course.requests, halted: course.halted }
    }
}

/// One batch on its way.
struct Course<'c, 'r> {
    road: &'c Road<'r>,
    halt: &'c CancellationToken,
    requests: u64,
    halted: Option<Halted>,
}

impl Course<'_, '_> {
    /// Sends a request, and judges its records by the answer.
    async fn send(&mut self, batch: &Batch) -> Outcomes {
        let count = batch.items.len();
        match self.exchange(batch).await {
            Ok(_) => all(count, &Outcome::Taken(None)),
            Err(failure) => {
                self.look(&failure);
                all(count, &Outcome::of(failure))
            }
        }
    }

    async fn exchange(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let Road { scope, lane, import, .. } = self.road;
        let flow = &scope.flow;
        if self.halted.is_some() {
            return Err(Failure::cancelled());
        }
        let permit = tokio::select! {
            biased;
            () = self.halt.cancelled() => return Err(Failure::cancelled()),
            permit = scope.queue.acquire(&lane.line, &flow.id, flow.weight) => permit.map_err(|_| Failure::cancelled())?,
        };
        self.requests += 1;
        lane.client.exchange(permit, &batch.request, import.request.response.as_ref(), false).await
    }

    /// What ends more than one request.
    fn look(&mut self, failure: &Failure) {
        match failure.class {
            FailureClass::Auth => self.halted = Some(Halted::Offline(failure.clone())),
            FailureClass::Cancelled => {
                self.halted.get_or_insert(Halted::Closed);
            }
            _ => {}
        }
    }

    /// Asks about records nobody knows about, where that can be asked. Gives those that did not arrive.
    async fn absent(&self, batch: &Batch, open: &[usize], outcomes: &mut Outcomes) -> Vec<usize> {
        let Some(check) = self.road.check else { return Vec::new() };
        let mut absent = Vec::new();
        for some in open.chunks(ASKED_AT_ONCE) {
            let items = some.iter().filter_map(|at| Some((*at, batch.items.get(*at)?)));
            let asked = join_all(
                items.map(|(at, item): (usize, &Item)| async move { (at, self.road.is_there(check, item).await) }),
            );
            for (at, found) in asked.await {
                let Some(outcome) = outcomes.get_mut(at) else { continue };
                match found {
                    Ok(true) => *outcome = Outcome::Taken(None),
                    Ok(false) => absent.push(at),
                    Err(text) => *outcome = Outcome::Unknown(Arc::new(unclear(text))),
                }
            }
        }
        absent
    }

    /// Sends one record again, in a request of its own.
    async fn again(&mut self, batch: &Batch, at: usize) -> Outcome {
        if batch.items.len() == 1 {
            return self.send(batch).await.pop().unwrap_or(Outcome::Unsent);
        }
        match self.road.part(batch, at..at + 1) {
            Ok(part) => self.send(&part).await.pop().unwrap_or(Outcome::Unsent),
            Err(error) => {
                Outcome::Failed(Arc::new(Failure { class: FailureClass::Rejected, ..unclear(error.to_string()) }))
            }
        }
    }
}

/// Places of the records nobody knows about.
fn unknown(outcomes: &Outcomes) -> Vec<usize> {
    let is_unknown = |(_, outcome): &(usize, &Outcome)| matches!(outcome, Outcome::Unknown(_));
    outcomes.iter().enumerate().filter(is_unknown).map(|(at, _)| at).collect()
}

fn all(count: usize, outcome: &Outcome) -> Outcomes {
    std::iter::repeat_n(outcome, count).cloned().collect()
}

/// It is not known whether a write arrived, and no answer says more.
fn unclear(message: String) -> Failure {
    Failure { class: FailureClass::Unknown, message, ..Failure::cancelled() }
}

fn cut_off() -> Failure {
    unclear(CUT_OFF.to_owned())
}

/// Why a record is parked after a restart.
pub const CUT_OFF: &str = "flowgate was cut off while this record was being sent: it may or may not have arrived. Look there, \
                           then `errors resolve` it when it has, or `errors retry` it when it has not";
