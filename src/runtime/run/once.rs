//! `[export.once]`: the source is told of each record that was delivered. Such a record is not settled before that: a
//! crash between the two leaves it in flight, never untold.

use super::Run;
use super::books::Books;
use super::errors::Fault;
use super::report::{Ending, RunError};
use super::state::Resolution;
use crate::http::exchange::{Failure, FailureClass};
use crate::http::on::Ruling;
use crate::http::request::RequestSpec;
use crate::observe::traces::Purpose;
use crate::runtime::import::{Halted, Item};
use crate::runtime::scope::{Lane, Scope};
use crate::runtime::stage;
use crate::runtime::step::with_record;
use crate::value::issue::EvalError;
use crate::value::record::Record;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// The step's name in error records: one of it is tried again by telling alone.
pub(super) const STEP: &str = "once";
/// Why a record was not told of.
const STOPPED: &str = "the run stopped before the source was told of this record, which was delivered; a retry tells it, \
                       and sends nothing else";

/// The source was told, or not.
pub(super) type Told<'r> = BoxFuture<'r, (Item, Result<(), Untold>)>;

/// Why it was not.
pub(super) enum Untold {
    /// The request could not be written.
    Eval(EvalError),
    /// It failed.
    Failed(Box<Failure>),
}

/// Tells the source of one record.
async fn tell(scope: &Scope, lane: &Lane, item: &Item) -> Result<(), Untold> {
    // A flow that does not tell any more has nothing left to do.
    let Some(request) = &item.origin.export.once else { return Ok(()) };
    // Of a group, record by record: all of it or, tried again, all of it again.
    for record in item.told_of() {
        tell_of(scope, lane, item, request, &record).await?;
    }
    Ok(())
}

async fn tell_of(
    scope: &Scope,
    lane: &Lane,
    item: &Item,
    request: &RequestSpec,
    record: &Record,
) -> Result<(), Untold> {
    let now = scope.now();
    let prepared = {
        let ctx = lane.client.context(scope.context(&now, &item.origin));
        request.prepare(&with_record(&ctx, record), &lane.client)
    };
    let prepared = prepared.map_err(|error| Untold::Eval(error.at(STEP)))?;
    let flow = &scope.flow;
    let telling = async {
        let permit = scope.queue.acquire(&lane.line, &flow.id, flow.weight).await;
        let permit = permit.map_err(|_| Failure::cancelled())?;
        lane.client.exchange(permit, &prepared, request.response.as_ref(), false).await
    };
    let purpose = Purpose {
        step: STEP,
        act: "tell",
        connection: &item.origin.export.connection,
        page: Some(item.page),
        record: Some(item.position),
        records: 1,
    };
    let told = scope.trace.request(purpose, telling).await;
    told.map(drop).map_err(|failure| Untold::Failed(Box::new(failure)))
}

/// Shows how the source would be told of a record.
pub(super) fn show(scope: &Scope, item: &Item) -> Result<(), EvalError> {
    let export = &item.origin.export;
    let (Some(request), Some(lane)) = (&export.once, scope.lane(&export.connection)) else { return Ok(()) };
    let now = scope.now();
    let ctx = lane.client.context(scope.context(&now, &item.origin));
    for record in item.told_of() {
        let prepared = request.prepare(&with_record(&ctx, &record), &lane.client).map_err(|error| error.at(STEP))?;
        stage::untold(scope, &lane.client, STEP, item, &prepared);
    }
    Ok(())
}

impl Run<'_> {
    /// Tells the source of what was delivered, as many at a time as its level takes.
    pub(super) fn tell(&mut self) {
        let scope = self.scope;
        while let Some(item) = self.books.telling.front() {
            let Some(lane) = scope.lane(&item.origin.export.connection) else { return };
            if self.tellings.len() >= self.width(lane) {
                return;
            }
            let Some(item) = self.books.telling.pop_front() else { return };
            self.tellings.push(
                async move {
                    let told = tell(scope, lane, &item).await;
                    (item, told)
                }
                .boxed(),
            );
        }
    }

    /// An answer of the source.
    pub(super) fn source_told(&mut self, item: Item, told: Result<(), Untold>) {
        match told {
            Ok(()) => self.books.settle(&item, Resolution::Delivered),
            Err(Untold::Eval(error)) => self.books.untold(item, &Fault::eval(STEP, &error)),
            Err(Untold::Failed(failure)) if failure.class == FailureClass::Cancelled => {
                self.books.telling.push_back(item);
                self.scope.stop.drain.cancel();
            }
            // A rule says that it does not matter.
            Err(Untold::Failed(failure)) if failure.is_nothing() => self.books.settle(&item, Resolution::Delivered),
            Err(Untold::Failed(failure)) => {
                let fault = Fault::of(STEP, &failure);
                if failure.class == FailureClass::Auth {
                    let (place, text) = (STEP.to_owned(), failure.to_string());
                    self.failed = Some(Ending::Offline(RunError { place, text }));
                }
                self.books.untold(item, &fault);
                if failure.ruling == Some(Ruling::Fail) {
                    self.halted(STEP, Some(Halted::Failed(*failure)));
                }
                self.look_at_errors();
            }
        }
    }

    /// The run ends before the source could be told: what was delivered must not be sent again.
    pub(super) fn leave_untold(&mut self) {
        for item in std::mem::take(&mut self.books.telling) {
            let text = STOPPED.to_owned();
            self.books.untold(item, &Fault { step: STEP, class: "unreachable", text, failure: None });
        }
    }
}

impl Books<'_> {
    /// The error record of a record that the source was not told of holds it as it was exported.
    fn untold(&mut self, mut item: Item, fault: &Fault<'_>) {
        if let Some(exported) = item.as_exported() {
            item.record = exported;
        }
        self.fail(&item, fault);
    }
}
