//! From records to requests: each body is rendered once, as its record joins the batch.

use super::body::{self, Body, Written};
use super::{Item, Items, Road};
use crate::http::request::{Method, Prepared};
use crate::model::import::{UnknownOutcome, Way};
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::record::Record;
use bytes::Bytes;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// A rendered import request and the records in it.
pub struct Batch {
    /// Its records, all of one page.
    pub items: Items,
    /// The request, the same bytes for every attempt.
    pub request: Prepared,
    /// It may have been sent before a restart: the destination is asked before it is sent.
    pub(super) ask_first: bool,
    written: Written,
}

impl Batch {
    /// Whether it may have been sent before.
    pub fn asks_first(&self) -> bool {
        self.ask_first
    }

    /// As one that may have been sent before.
    #[must_use]
    pub fn asked_first(self) -> Self {
        Self { ask_first: true, ..self }
    }

    /// How its records are written.
    pub fn way(&self) -> Way {
        way_of(&self.items)
    }

    /// The lock keys of its records.
    pub fn locks(&self) -> Vec<Arc<str>> {
        self.items.iter().filter_map(|item| item.lock.clone()).collect()
    }

    /// Bytes of its body.
    pub fn weight(&self) -> usize {
        self.request.body.as_ref().map_or(0, Bytes::len)
    }
}

/// Collects records until a request is full.
pub struct Batcher<'r> {
    road: Road<'r>,
    create: Body<'r>,
    update: Option<Body<'r>>,
    items: Items,
    /// Lock keys of the records in it.
    locks: HashSet<Arc<str>>,
}

impl<'r> Batcher<'r> {
    /// An empty batch for an import.
    pub fn new(road: Road<'r>) -> Self {
        let body = |way| Body::new(road.import, way, road.lane.client.settings());
        let update = road.import.upsert.as_ref().map(|_| body(Way::Update));
        Self { road, create: body(Way::Create), update, items: Items::new(), locks: HashSet::new() }
    }

    /// Whether a record may travel with those that are in it: all are written the same way, and no two of them have one
    /// lock key.
    pub fn takes(&self, item: &Item) -> bool {
        let Some(first) = self.items.first() else { return true };
        first.way == item.way && item.lock.as_ref().is_none_or(|lock| !self.locks.contains(lock))
    }

    /// Adds a record that was admitted: its body is rendered now. An error belongs to this record alone and leaves the
    /// batch as it was.
    #[expect(clippy::result_large_err, reason = "the item goes back to whoever settles it")]
    pub fn add(&mut self, item: Item, ctx: &Context<'_>) -> Result<(), (Item, EvalError)> {
        let ctx = self.road.lane.client.context(*ctx);
        let ctx = item.offer(&ctx);
        if let Err(error) = self.body(item.way).add(&item.record, &ctx) {
            return Err((item, error));
        }
        self.locks.extend(item.lock.clone());
        self.items.push(item);
        Ok(())
    }

    fn body(&mut self, way: Way) -> &mut Body<'r> {
        match (way, &mut self.update) {
            (Way::Update, Some(update)) => update,
            _ => &mut self.create,
        }
    }

    /// Whether the request is full.
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.road.import.batch_size.get() as usize
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Closes the batch. A request that cannot be rendered gives its records back with the reason.
    #[expect(clippy::result_large_err, reason = "the items go back to whoever settles them")]
    pub fn take(&mut self, ctx: &Context<'_>) -> Result<Batch, (Items, EvalError)> {
        let items = std::mem::take(&mut self.items);
        self.locks.clear();
        let way = way_of(&items);
        let written = self.body(way).take();
        match self.road.render(&items, written.text(), ctx) {
            Ok(request) => Ok(Batch { items, request, ask_first: false, written }),
            Err(error) => Err((items, error)),
        }
    }
}

/// How the records of a batch are written: all the same way.
fn way_of(items: &Items) -> Way {
    items.first().map_or(Way::Create, |item| item.way)
}

impl Road<'_> {
    /// A batch of this one admitted record, whatever else is being collected.
    #[expect(clippy::result_large_err, reason = "the items go back to whoever settles them")]
    pub fn alone(&self, item: Item, ctx: &Context<'_>) -> Result<Batch, (Items, EvalError)> {
        let mut batcher = Batcher::new(*self);
        batcher.add(item, ctx).map_err(|(item, error)| (Items::from_iter([item]), error))?;
        batcher.take(ctx)
    }

    /// A request of its own for some records of a batch, which stand side by side.
    pub(super) fn part(&self, batch: &Batch, range: Range<usize>) -> Result<Batch, EvalError> {
        let items = Items::from(batch.items.get(range.clone()).unwrap_or_default());
        let written = batch.written.part(range);
        let now = self.scope.now();
        let none = || EvalError::Refused("a part of a batch without records".to_owned());
        let origin = &items.first().ok_or_else(none)?.origin;
        let request = self.render(&items, written.text(), &self.scope.context(&now, origin))?;
        Ok(Batch { items, request, ask_first: false, written })
    }

    fn render(&self, items: &Items, body: Bytes, ctx: &Context<'_>) -> Result<Prepared, EvalError> {
        let Self { import, lane, .. } = self;
        let ctx = lane.client.context(*ctx);
        let way = way_of(items);
        let (spec, client) = (import.request_of(way), &lane.client);
        let mut request = if import.batch_size.get() == 1 {
            spec.prepare_head(&items.first().map_or(ctx, |item| item.offer(&ctx)), client)?
        } else {
            let records: Vec<Record> = items.iter().map(|item| item.record.clone()).collect();
            spec.prepare_head(&ctx.with(Root::Records, Slot::Records(&records)), client)?
        };
        if spec.body.is_some() || carries_body(spec.method) {
            let settings = client.settings();
            Body::new(import, way, settings).carry(body, &mut request, &settings.media)?;
        }
        if import.idempotency_key.is_some()
            && let Some(key) = body::request_key(items.iter().filter_map(|item| item.key.as_deref()))
        {
            request.set_header(&import.idempotency_header, &key)?;
            request.keyed = true;
        }
        request.repeat = Some(matches!(self.unknown(way), UnknownOutcome::Retry));
        Ok(request)
    }
}

/// Whether the record itself is sent when no `body` is configured.
fn carries_body(method: Method) -> bool {
    matches!(method, Method::Post | Method::Put | Method::Patch)
}
