//! From records to requests: each body is rendered once, as its record joins the batch.

use super::body::{self, Body, Written};
use super::{Item, Items, Road};
use crate::http::request::{Method, Prepared};
use crate::model::import::UnknownOutcome;
use crate::runtime::step::with_record;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::record::Record;
use crate::value::template::Template;
use bytes::Bytes;
use std::ops::Range;

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
    /// As one that may have been sent before.
    #[must_use]
    pub fn asked_first(self) -> Self {
        Self { ask_first: true, ..self }
    }
}

/// Collects records until a request is full.
pub struct Batcher<'r> {
    road: Road<'r>,
    body: Body<'r>,
    items: Items,
}

impl<'r> Batcher<'r> {
    /// An empty batch for an import.
    pub fn new(road: Road<'r>) -> Self {
        Self { road, body: Body::new(road.import, road.lane.client.settings()), items: Items::new() }
    }

    /// Adds a record: its body is rendered now. An error belongs to this record alone and leaves the batch as it
    /// was.
    #[expect(clippy::result_large_err, reason = "the item goes back to whoever settles it")]
    pub fn add(&mut self, mut item: Item, ctx: &Context<'_>) -> Result<(), (Item, EvalError)> {
        let ctx = self.road.lane.client.context(*ctx);
        let ctx = with_record(&ctx, &item.record);
        let key = match (&item.key, &self.road.import.idempotency_key) {
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
        let written = self.body.take();
        match self.road.render(&items, written.text(), ctx) {
            Ok(request) => Ok(Batch { items, request, ask_first: false, written }),
            Err(error) => Err((items, error)),
        }
    }
}

impl Road<'_> {
    /// A batch of this one record, whatever else is being collected.
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
        let (spec, client) = (&import.request, &lane.client);
        let mut request = if import.batch_size.get() == 1 {
            spec.prepare_head(&items.first().map_or(ctx, |item| with_record(&ctx, &item.record)), client)?
        } else {
            let records: Vec<Record> = items.iter().map(|item| item.record.clone()).collect();
            spec.prepare_head(&ctx.with(Root::Records, Slot::Records(&records)), client)?
        };
        if spec.body.is_some() || carries_body(spec.method) {
            let settings = client.settings();
            Body::new(import, settings).carry(body, &mut request, &settings.media)?;
        }
        if import.idempotency_key.is_some()
            && let Some(key) = body::request_key(items.iter().filter_map(|item| item.key.as_deref()))
        {
            request.set_header(&import.idempotency_header, &key)?;
            request.keyed = true;
        }
        request.repeat = Some(matches!(self.unknown(), UnknownOutcome::Retry));
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
