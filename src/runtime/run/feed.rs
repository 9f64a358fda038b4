//! From pages to requests: takes records in order, shapes them, and fills batches. A batch never spans pages.

use super::errors::Errors;
use super::shown::shown;
use super::state::{Resolution, RunState};
use crate::http::client::Client;
use crate::model::import::Import;
use crate::runtime::export::page::Page;
use crate::runtime::import::{Batch, Batcher, Item, Items};
use crate::runtime::scope::{Lane, Scope};
use crate::runtime::step::{Shaped, shape};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::record::Record;
use std::collections::VecDeque;
use std::sync::Arc;

/// What the feed did.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on the stack of the loop that takes it")]
pub(super) enum Fed {
    /// A request is ready to be sent.
    Batch(Batch),
    /// Records were settled without a request.
    Progress,
    /// Whoever read the output is gone.
    OutputClosed,
}

/// Records worked on before others get a turn.
const STRETCH: usize = 1_000;

struct Pending {
    number: u64,
    position: u64,
    records: Arc<[Record]>,
}

/// The pages waiting to be worked on.
pub(super) struct Feed<'r> {
    scope: &'r Scope,
    lane: &'r Lane,
    import: Option<&'r Lane>,
    batcher: Option<Batcher<'r>>,
    pages: VecDeque<Pending>,
    /// A shaped record that found no room in the batch before.
    held: Option<Item>,
}

impl<'r> Feed<'r> {
    pub(super) fn new(scope: &'r Scope, lane: &'r Lane, import: Option<(&'r Lane, &'r Import)>) -> Self {
        let batcher = import.map(|(lane, import)| Batcher::new(lane, import));
        Self { scope, lane, import: import.map(|(lane, _)| lane), batcher, pages: VecDeque::new(), held: None }
    }

    pub(super) fn push(&mut self, page: Page) {
        self.pages.push_back(Pending { number: page.number, position: 0, records: page.records });
    }

    /// Whether records wait for work.
    pub(super) fn has_more(&self) -> bool {
        !self.pages.is_empty()
    }

    /// Works on records until a request is full, its page is over, a stretch of work is done, or nothing is left.
    pub(super) fn next(&mut self, state: &mut RunState, errors: &mut Errors) -> Option<Fed> {
        self.pages.front()?;
        let now = self.scope.now();
        let base = self.scope.context(&now);
        let outer = self.lane.client.context(base);
        for _ in 0..STRETCH {
            let item = if let Some(shaped) = self.held.take() {
                shaped
            } else {
                let Some(item) = self.next_item() else {
                    self.pages.pop_front();
                    return Some(self.close(&base, state, errors));
                };
                state.taken(item.page);
                let Some(item) = self.shaped(item, &outer, state, errors) else { continue };
                item
            };
            let Some(batcher) = &mut self.batcher else {
                if self.scope.output.record(item.record.json()).is_err() {
                    return Some(Fed::OutputClosed);
                }
                state.resolve(item.page, Resolution::Delivered);
                continue;
            };
            let (page, position, record) = (item.page, item.position, item.record.clone());
            if let Err(error) = batcher.add(item, &base) {
                if matches!(error, EvalError::Limit(_)) && !batcher.is_empty() {
                    // It may be the batch that is too large, not the record: it gets a request of its own.
                    self.held = Some(Item { page, position, record });
                    return Some(self.close(&base, state, errors));
                }
                errors.add_eval(self.scope, &Item { page, position, record }, "import", &error);
                state.resolve(page, Resolution::Failed);
            } else if batcher.is_full() {
                return Some(self.close(&base, state, errors));
            }
        }
        Some(Fed::Progress)
    }

    fn next_item(&mut self) -> Option<Item> {
        let page = self.pages.front_mut()?;
        let record = page.records.get(usize::try_from(page.position).ok()?)?.clone();
        page.position += 1;
        Some(Item { page: page.number, position: page.position, record })
    }

    fn shaped(&self, item: Item, ctx: &Context<'_>, state: &mut RunState, errors: &mut Errors) -> Option<Item> {
        let (page, position) = (item.page, item.position);
        let before = item.record.clone();
        match shape(&self.scope.flow, item.record, ctx) {
            Ok(Shaped::Kept(record)) => Some(Item { page, position, record }),
            Ok(Shaped::Filtered) => {
                state.resolve(page, Resolution::Filtered);
                None
            }
            Err(failed) => {
                errors.add_eval(self.scope, &Item { page, position, record: before }, &failed.step, &failed.error);
                state.resolve(page, Resolution::Failed);
                None
            }
        }
    }

    /// Closes the batch under construction: a request to send, or nothing when there is none.
    fn close(&mut self, base: &Context<'_>, state: &mut RunState, errors: &mut Errors) -> Fed {
        let Some(batcher) = self.batcher.as_mut().filter(|batcher| !batcher.is_empty()) else { return Fed::Progress };
        match batcher.take(base) {
            Ok(batch) if self.scope.dry_run => {
                let clients: Vec<&Client> =
                    [Some(self.lane), self.import].into_iter().flatten().map(|lane| lane.client.as_ref()).collect();
                let closed = self.scope.output.request(&shown(&batch.request, &clients)).is_err();
                for item in &batch.items {
                    state.resolve(item.page, Resolution::Delivered);
                }
                if closed { Fed::OutputClosed } else { Fed::Progress }
            }
            Ok(batch) => Fed::Batch(batch),
            Err((items, error)) => {
                self.fail(&items, &error, state, errors);
                Fed::Progress
            }
        }
    }

    fn fail(&self, items: &Items, error: &EvalError, state: &mut RunState, errors: &mut Errors) {
        for item in items {
            errors.add_eval(self.scope, item, "import", error);
            state.resolve(item.page, Resolution::Failed);
        }
    }
}
