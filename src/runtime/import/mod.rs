//! Writing: records become request bodies, one or a batch at a time, each sent through the connection's queue.

pub mod body;

use crate::http::exchange::{Failure, FailureClass};
use crate::http::request::{Method, Prepared};
use crate::model::import::Import;
use crate::runtime::scope::{Lane, Scope};
use crate::runtime::step::with_record;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::record::Record;
use body::Body;
use smallvec::SmallVec;

/// A record on its way into a batch.
#[derive(Clone)]
pub struct Item {
    /// Page it came from.
    pub page: u64,
    /// Position in the page, from 1.
    pub position: u64,
    /// As it reaches the import.
    pub record: Record,
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
    keys: Vec<String>,
}

impl<'r> Batcher<'r> {
    /// An empty batch for the flow's import.
    pub fn new(lane: &'r Lane, import: &'r Import) -> Self {
        Self { lane, import, body: Body::new(import), items: Items::new(), keys: Vec::new() }
    }

    /// Adds a record: its body is rendered now. An error belongs to this record alone and leaves the batch as it
    /// was.
    pub fn add(&mut self, item: Item, ctx: &Context<'_>) -> Result<(), EvalError> {
        let ctx = self.lane.client.context(*ctx);
        let ctx = with_record(&ctx, &item.record);
        let key = match &self.import.idempotency_key {
            Some(template) => {
                let mut key = String::new();
                template.render(&ctx, &mut key).map_err(|error| error.at("idempotency_key"))?;
                if key.trim().is_empty() {
                    return Err(EvalError::Refused("idempotency_key: the key is empty".to_owned()));
                }
                Some(key)
            }
            None => None,
        };
        self.body.add(&item.record, &ctx)?;
        self.keys.extend(key);
        self.items.push(item);
        Ok(())
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
    pub fn take(&mut self, ctx: &Context<'_>) -> Result<Batch, (Items, EvalError)> {
        let items = std::mem::take(&mut self.items);
        let keys = std::mem::take(&mut self.keys);
        let body = self.body.take();
        match self.render(&items, &keys, body, ctx) {
            Ok(request) => Ok(Batch { items, request }),
            Err(error) => Err((items, error)),
        }
    }

    fn render(&self, items: &Items, keys: &[String], body: Vec<u8>, ctx: &Context<'_>) -> Result<Prepared, EvalError> {
        let ctx = self.lane.client.context(*ctx);
        let (spec, client) = (&self.import.request, &self.lane.client);
        let mut request = if self.import.batch_size.get() == 1 {
            spec.prepare_head(&items.first().map_or(ctx, |item| with_record(&ctx, &item.record)), client)?
        } else {
            let records: Vec<Record> = items.iter().map(|item| item.record.clone()).collect();
            spec.prepare_head(&ctx.with(Root::Records, Slot::Records(&records)), client)?
        };
        if spec.body.is_some() || carries_body(spec.method) {
            request.body = Some(body.into());
        }
        if let Some(key) = body::request_key(keys) {
            request.set_header(&self.import.idempotency_header, &key)?;
            request.keyed = true;
        }
        Ok(request)
    }
}

/// Whether the record itself is sent when no `body` is configured.
fn carries_body(method: Method) -> bool {
    matches!(method, Method::Post | Method::Put | Method::Patch)
}

/// Sends one batch through the queue; the permit is given back when the answer is judged.
pub async fn deliver(scope: &Scope, lane: &Lane, import: &Import, batch: &Batch) -> Result<(), Failure> {
    let flow = &scope.flow;
    let Ok(permit) = scope.queue.acquire(&lane.line, &flow.id, flow.weight).await else {
        return Err(Failure::cancelled());
    };
    lane.client.exchange(permit, &batch.request, import.request.response.as_ref(), false).await.map(|_| ())
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
