//! One batch from its permit to an outcome for each of its records: sent, divided where it is refused whole, asked about
//! where its outcome is unclear, and sent again where it did not arrive.

use super::answers::{Judge, Said};
use super::outcome::{Delivered, Halted, Outcome, Outcomes};
use super::{Batch, Item, Road};
use crate::http::exchange::{Answer, Failure, FailureClass};
use crate::http::on::Ruling;
use crate::model::import::{EachAnswer, UnknownOutcome};
use crate::observe::event;
use crate::value::context::{Context, Root, Slot};
use crate::value::document::Document;
use crate::value::json::Json;
use futures_util::future::join_all;
use std::ops::Range;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How often a record that did not arrive is sent again.
const ROUNDS: usize = 3;

/// Records of one batch that are asked about at once.
const ASKED_AT_ONCE: usize = 16;

/// Why a record is parked after a restart.
pub const CUT_OFF: &str = "flowgate was cut off while this record was being sent: it may or may not have arrived. Look \
                           there, then `errors resolve` it when it has, or `errors retry` it when it has not";

impl Road<'_> {
    /// Sends one batch through the queue and settles what is unknown, as far as anybody can say; each request takes a
    /// permit of its own and gives it back when its answer is judged.
    ///
    /// With `halt` nothing is sent that has no permit yet.
    pub async fn deliver(&self, batch: &Batch, halt: &CancellationToken) -> Delivered {
        let mut course = Course { road: self, halt, requests: 0, halted: None };
        let mut outcomes = if batch.ask_first {
            all(batch.items.len(), &Outcome::Unknown(Arc::new(unclear(CUT_OFF.to_owned()))))
        } else {
            course.write(batch).await
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

    /// Whether anything is read in good answers.
    fn reads_answers(&self, batch: &Batch) -> bool {
        let answers = self.import.answers_of(batch.way());
        answers.each.is_some() || answers.id.is_some() || self.import.merge.is_some()
    }

    /// Each record of a batch by what came back.
    fn judged(&self, batch: &Batch, sent: Result<Answer, Failure>) -> Outcomes {
        let answer = match sent {
            Ok(answer) => answer,
            Err(failure) => return self.failed(batch, failure),
        };
        let Some(each) = &self.import.answers_of(batch.way()).each else {
            let whole = answer.document.filter(|_| self.reads_answers(batch));
            self.tell(batch, |_| whole.clone());
            return all(batch.items.len(), &Outcome::Taken(whole.as_ref().map(whole_json)));
        };
        let outcomes = self.each(batch, each, &answer);
        self.tell(batch, |at| match outcomes.get(at) {
            Some(Outcome::Taken(answer)) => answer.clone().map(Document::from),
            _ => None,
        });
        outcomes
    }

    fn failed(&self, batch: &Batch, failure: Failure) -> Outcomes {
        let count = batch.items.len();
        let took = matches!(failure.status, Some(200..=299)) && failure.class == FailureClass::Unreadable;
        if took && self.import.answers_of(batch.way()).each.is_some() {
            // It arrived, but what became of its records cannot be read.
            return all(count, &Outcome::Unknown(Arc::new(Failure { class: FailureClass::Unknown, ..failure })));
        }
        if took && self.reads_answers(batch) && !self.judges_bodies(batch) {
            // Its status is all that it is judged by: it was taken, whatever the answer says.
            return all(count, &Outcome::Taken(None));
        }
        all(count, &Outcome::of(failure))
    }

    /// Whether good and bad are told apart by what stands in the answer.
    fn judges_bodies(&self, batch: &Batch) -> bool {
        let own = self.import.request_of(batch.way()).response.as_ref();
        let rules = own.unwrap_or(&self.lane.client.settings().response);
        [&rules.success, &rules.failure].into_iter().flatten().any(|rule| rule.path.is_some() || rule.when.is_some())
    }

    fn each(&self, batch: &Batch, rules: &EachAnswer, answer: &Answer) -> Outcomes {
        let client = &self.lane.client;
        let clean = |text: &str| client.clean(text);
        let flow = Context::new().with(Root::Flow, Slot::Json(self.scope.flow.context.as_ref()));
        let judge = Judge { rules, status: answer.status, ctx: client.context(flow), clean: &clean };
        let (said, more) = judge.each(answer.document.as_ref(), batch.items.len());
        if more > 0 {
            event::answers_left_over(&self.scope.flow.id, &self.scope.run, self.name(), batch.items.len(), more);
        }
        let failure = |class, message, excerpt| {
            Arc::new(Failure {
                class,
                status: Some(answer.status),
                message,
                excerpt,
                request: client.describe(batch.request.method, batch.request.url()),
                attempts: answer.attempts,
                ruling: None,
            })
        };
        let outcome = |said| match said {
            Said::Taken(json) => Outcome::Taken(Some(json)),
            Said::Refused(message, excerpt) => Outcome::Failed(failure(FailureClass::Rejected, message, excerpt)),
            Said::Unreadable(message) => Outcome::Failed(failure(FailureClass::Unreadable, message, None)),
            Said::Nothing(message) => Outcome::Unknown(failure(FailureClass::Unknown, message, None)),
        };
        said.into_iter().map(outcome).collect()
    }

    /// Tells the log by what id the destination knows each record that it took.
    fn tell(&self, batch: &Batch, answer: impl Fn(usize) -> Option<Document>) {
        let Some(path) = &self.import.answers_of(batch.way()).id else { return };
        for (at, item) in batch.items.iter().enumerate() {
            let Some(answer) = answer(at) else { continue };
            let found = answer.select(path).ok();
            let id = found.and_then(|found| Some(found.selection().first()?.compare_text().into_owned()));
            if let Some(id) = id {
                let id = self.lane.client.clean(&id);
                event::record_taken(&self.scope.flow.id, &self.scope.run, self.name(), (item.page, item.position), &id);
            }
        }
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
    /// Sends a batch. One that is refused whole is divided in halves, and these again, until those at fault stand alone:
    /// always in the same order, so that the parts and their keys are the same after a restart.
    async fn write(&mut self, batch: &Batch) -> Outcomes {
        let count = batch.items.len();
        let mut outcomes = all(count, &Outcome::Unsent);
        let mut open: Vec<Range<usize>> = std::iter::once(0..count).collect();
        while let Some(range) = open.pop() {
            let part = (range.len() < count).then(|| self.road.part(batch, range.clone())).transpose();
            let judged = match &part {
                Err(error) => all(range.len(), &Outcome::Failed(Arc::new(refused(error.to_string())))),
                Ok(part) => {
                    let part = part.as_ref().unwrap_or(batch);
                    let sent = self.exchange(part).await;
                    if range.len() > 1 && sent.as_ref().is_err_and(|failure| self.divides(failure)) {
                        let middle = range.start + range.len() / 2;
                        open.push(middle..range.end);
                        open.push(range.start..middle);
                        continue;
                    }
                    self.road.judged(part, sent)
                }
            };
            for (outcome, new) in outcomes.iter_mut().skip(range.start).zip(judged) {
                *outcome = new;
            }
        }
        outcomes
    }

    /// Whether a refusal may be the fault of some records only. What never left was not refused by the destination.
    fn divides(&self, failure: &Failure) -> bool {
        let refused = failure.class == FailureClass::Rejected && failure.ruling.is_none();
        self.road.import.bisects && refused && failure.status.is_some()
    }

    async fn exchange(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let Road { scope, lane, import, .. } = self.road;
        let flow = &scope.flow;
        if self.halted.is_some() {
            return Err(Failure::cancelled());
        }
        let (road, halt, requests) = (self.road, self.halt, &mut self.requests);
        let sending = async {
            let permit = tokio::select! {
                biased;
                () = halt.cancelled() => return Err(Failure::cancelled()),
                permit = scope.queue.acquire(&lane.line, &flow.id, flow.weight) => permit,
            };
            let permit = permit.map_err(|_| Failure::cancelled())?;
            *requests += 1;
            let rules = import.request_of(batch.way()).response.as_ref();
            lane.client.exchange(permit, &batch.request, rules, road.reads_answers(batch)).await
        };
        let sent = scope.trace.request(road.purpose("write", &batch.items), sending).await;
        if let Err(failure) = &sent {
            self.look(failure);
        }
        sent
    }

    /// What ends more than one request.
    fn look(&mut self, failure: &Failure) {
        if failure.ruling == Some(Ruling::Fail) {
            self.halted = Some(Halted::Failed(failure.clone()));
        }
        match failure.class {
            FailureClass::Auth => self.halted = Some(Halted::Offline(failure.clone())),
            FailureClass::Cancelled => self.halted = Some(Halted::Closed),
            _ => {}
        }
    }

    /// Of the records nobody knows about: those that did not arrive, or may be sent again without asking.
    async fn absent(&mut self, batch: &Batch, open: &[usize], outcomes: &mut Outcomes) -> Vec<usize> {
        let check = match (self.road.unknown(batch.way()), self.road.check) {
            (UnknownOutcome::Retry, _) => return open.to_vec(),
            (UnknownOutcome::Check(_), Some(check)) => check,
            _ => return Vec::new(),
        };
        let road = self.road;
        let mut absent = Vec::new();
        for some in open.chunks(ASKED_AT_ONCE) {
            let items = some.iter().filter_map(|at| Some((*at, batch.items.get(*at)?)));
            let asked =
                join_all(items.map(|(at, item): (usize, &Item)| async move { (at, road.is_there(check, item).await) }));
            for (at, found) in asked.await {
                let Some(outcome) = outcomes.get_mut(at) else { continue };
                match found {
                    Ok(true) => *outcome = Outcome::Taken(None),
                    Ok(false) => absent.push(at),
                    Err(failure) if failure.class == FailureClass::Unknown => {
                        *outcome = Outcome::Unknown(Arc::new(failure));
                    }
                    Err(failure) => {
                        self.look(&failure);
                        *outcome = Outcome::Unasked;
                    }
                }
            }
        }
        absent
    }

    /// Sends one record again, in a request of its own.
    async fn again(&mut self, batch: &Batch, at: usize) -> Outcome {
        let part = match batch.items.len() {
            1 => Ok(None),
            _ => self.road.part(batch, at..at + 1).map(Some),
        };
        match part {
            Ok(part) => self.write(part.as_ref().unwrap_or(batch)).await.pop().unwrap_or(Outcome::Unsent),
            Err(error) => Outcome::Failed(Arc::new(refused(error.to_string()))),
        }
    }
}

fn whole_json(document: &Document) -> Json {
    match document {
        Document::Json(json) => json.clone(),
        Document::Xml(xml) => Json::trusted(xml.view().text()),
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

fn refused(message: String) -> Failure {
    Failure { class: FailureClass::Rejected, message, ..Failure::cancelled() }
}
