//! Writing: records become request bodies, one or a batch at a time, each sent through the connection's queue.

pub mod body;

use crate::http::exchange::{Failure, FailureClass};
use crate::http::request::{Method, Prepared};
use crate::model::import::{Check, Import, UnknownOutcome};
use crate::runtime::export::origin::Origin;
use crate::runtime::export::records;
use crate::runtime::scope::{Lane, Scope};
use crate::runtime::step::with_record;
use crate::store::ErrorRow;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::record::Record;
use crate::value::template::Template;
use body::Body;
use smallvec::SmallVec;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A record on its way into a batch.
#[derive(Clone)]
pub struct Item {
    /// Page it came from.
    pub page: u64,
    /// Where that came from.
    pub origin: Arc<Origin>,
    /// Position in the page, from 1.
    pub position: u64,
    /// As it reaches the import.
    pub record: Record,
    /// Idempotency key: rendered once, or the one it had before.
    pub key: Option<Box<str>>,
    /// What tells it apart, rendered from the record as it was exported.
    pub trace: Option<Box<Trace>>,
    /// What tells the exported record from another one at its place; 0 where nobody asks.
    pub hash: u64,
    /// The error record that is tried again with it.
    pub error: Option<Box<ErrorRow>>,
}

/// `trace_key` and `link` of a record.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// `trace_key`
    pub key: Option<String>,
    /// `link`
    pub link: Option<String>,
}

impl Item {
    /// A record of a page, by its position from 1.
    pub fn new(page: u64, origin: &Arc<Origin>, position: u64, record: Record) -> Self {
        let origin = origin.clone();
        Self { page, origin, position, record, key: None, trace: None, hash: 0, error: None }
    }

    /// Its position from 0.
    pub fn index(&self) -> u32 {
        u32::try_from(self.position.saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

/// Records that travel in one request.
pub type Items = SmallVec<[Item; 1]>;

/// A rendered import request and the records in it.
pub struct Batch {
    /// Its records, all of one page.
    pub items: Items,
    /// The request, the same bytes for every attempt.
    pub request: Prepared,
}

/// Collects records until a request is full.
pub struct Batcher<'r> {
    lane: &'r Lane,
    import: &'r Import,
    body: Body<'r>,
    items: Items,
}

impl<'r> Batcher<'r> {
    /// An empty batch for the flow's import.
    pub fn new(lane: &'r Lane, import: &'r Import) -> Self {
        Self { lane, import, body: Body::new(import, lane.client.settings()), items: Items::new() }
    }

    /// Adds a record: its body is rendered now. An error belongs to this record alone and leaves the batch as it
    /// was.
    #[expect(clippy::result_large_err, reason = "the item goes back to whoever settles it")]
    pub fn add(&mut self, mut item: Item, ctx: &Context<'_>) -> Result<(), (Item, EvalError)> {
        let ctx = self.lane.client.context(*ctx);
        let ctx = with_record(&ctx, &item.record);
        let key = match (&item.key, &self.import.idempotency_key) {
            (None, Some(template)) => render_key(template, &ctx).map(Some),
            _ => Ok(None),
        };
        let added = key.and_then(|key| self.body.add(&item.record, &ctx).map(|()| key));
        match added {
            Ok(key) => {
                if key.is_some() {
                    item.key = key;
                }
                self.items.push(item);
                Ok(())
            }
            Err(error) => Err((item, error)),
        }
    }

    /// Whether the request is full.
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.import.batch_size.get() as usize
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Closes the batch. A request that cannot be rendered gives its records back with the reason.
    #[expect(clippy::result_large_err, reason = "the items go back to whoever settles them")]
    pub fn take(&mut self, ctx: &Context<'_>) -> Result<Batch, (Items, EvalError)> {
        let items = std::mem::take(&mut self.items);
        let body = self.body.take();
        match self.render(&items, body, ctx) {
            Ok(request) => Ok(Batch { items, request }),
            Err(error) => Err((items, error)),
        }
    }

    fn render(&self, items: &Items, body: Vec<u8>, ctx: &Context<'_>) -> Result<Prepared, EvalError> {
        let ctx = self.lane.client.context(*ctx);
        let (spec, client) = (&self.import.request, &self.lane.client);
        let mut request = if self.import.batch_size.get() == 1 {
            spec.prepare_head(&items.first().map_or(ctx, |item| with_record(&ctx, &item.record)), client)?
        } else {
            let records: Vec<Record> = items.iter().map(|item| item.record.clone()).collect();
            spec.prepare_head(&ctx.with(Root::Records, Slot::Records(&records)), client)?
        };
        if spec.body.is_some() || carries_body(spec.method) {
            self.body.carry(body, &mut request, &client.settings().media)?;
        }
        if self.import.idempotency_key.is_some()
            && let Some(key) = body::request_key(items.iter().filter_map(|item| item.key.as_deref()))
        {
            request.set_header(&self.import.idempotency_header, &key)?;
            request.keyed = true;
        }
        request.repeat = Some(matches!(self.import.unknown, UnknownOutcome::Retry));
        Ok(request)
    }
}

fn render_key(template: &Template, ctx: &Context<'_>) -> Result<Box<str>, EvalError> {
    let mut key = String::new();
    template.render(ctx, &mut key).map_err(|error| error.at("idempotency_key"))?;
    if key.trim().is_empty() {
        return Err(EvalError::Refused("idempotency_key: the key is empty".to_owned()));
    }
    Ok(key.into_boxed_str())
}

/// Whether the record itself is sent when no `body` is configured.
fn carries_body(method: Method) -> bool {
    matches!(method, Method::Post | Method::Put | Method::Patch)
}

/// Sends one batch through the queue; the permit is given back when the answer is judged.
///
/// With `halt` it is not sent when it has no permit yet.
pub async fn deliver(
    scope: &Scope,
    lane: &Lane,
    import: &Import,
    batch: &Batch,
    halt: &CancellationToken,
) -> Result<(), Failure> {
    let flow = &scope.flow;
    let permit = tokio::select! {
        biased;
        () = halt.cancelled() => return Err(Failure::cancelled()),
        permit = scope.queue.acquire(&lane.line, &flow.id, flow.weight) => permit.map_err(|_| Failure::cancelled())?,
    };
    lane.client.exchange(permit, &batch.request, import.request.response.as_ref(), false).await.map(|_| ())
}

/// Asks the destination whether a record has arrived: found = delivered.
pub async fn is_there(scope: &Scope, lane: &Lane, check: &Check, item: &Item) -> Result<bool, String> {
    let now = scope.now();
    let ctx = lane.client.context(scope.context(&now, &item.origin));
    let prepared = check.request.prepare(&with_record(&ctx, &item.record), &lane.client);
    let mut prepared = prepared.map_err(|error| error.at("check").to_string())?;
    prepared.safe = true;
    let flow = &scope.flow;
    let Ok(permit) = scope.queue.acquire(&lane.line, &flow.id, flow.weight).await else {
        return Err(Failure::cancelled().to_string());
    };
    match lane.client.exchange(permit, &prepared, check.request.response.as_ref(), true).await {
        Ok(answer) => {
            let found =
                records::split(answer.document.as_ref(), check.records.as_ref(), true, |text| lane.client.clean(text));
            found.map(|found| !found.is_empty()).map_err(|error| error.at("check").to_string())
        }
        Err(failure) if matches!(failure.status, Some(404 | 410)) => Ok(false),
        Err(failure) => Err(format!("check: {failure}")),
    }
}

/// The word for a failure's class in error records.
pub fn class_name(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Rejected => "rejected",
        FailureClass::Unreachable => "unreachable",
        FailureClass::Unknown => "unknown",
        FailureClass::Auth => "auth",
        FailureClass::Unreadable => "unreadable",
        FailureClass::Cancelled => "cancelled",
    }
}
