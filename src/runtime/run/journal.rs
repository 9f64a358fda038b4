//! What is on its way into the store, in order. A step of the run that must be durable first hands its writes over
//! here, and goes on when they come back.

use super::state::Counts;
use super::writing::Writing;
use crate::runtime::import::Batch;
use crate::runtime::scope::Scope;
use crate::store::{Receipt, StoreError, Write};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time for the last writes of a run that is cut short.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(150);

/// What a durable step lets the run do.
#[derive(Default)]
pub(super) struct Stored<'r> {
    /// Work on this page.
    pub(super) page: Option<u64>,
    /// Send these requests.
    pub(super) batches: Vec<Batch>,
    /// And these, of imports on the way.
    pub(super) writings: Vec<Writing<'r>>,
    /// So many error records have an id now.
    pub(super) errors: usize,
    /// Tell these figures.
    pub(super) counts: Counts,
    /// And this page count.
    pub(super) pages: u64,
}

/// Whether a page may be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Yes.
    Ready,
    /// Not yet.
    Wait,
    /// As soon as it is durable that work on it begins: to be asked for now.
    Begin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// It was in flight at an unclean exit: it is worked on alone.
    Alone,
    /// That work on it begins is on its way.
    Beginning,
    /// That work on it begins is durable.
    Begun,
}

type Waiting<'r> = BoxFuture<'r, (Stored<'r>, Result<Receipt, StoreError>)>;

pub(super) struct Journal<'r> {
    scope: &'r Scope,
    waiting: FuturesOrdered<Waiting<'r>>,
    intending: usize,
    /// The last page known to be durable; so are those before it.
    durable: u64,
    careful: BTreeMap<u64, Care>,
}

impl<'r> Journal<'r> {
    pub(super) fn new(scope: &'r Scope) -> Self {
        Self { scope, waiting: FuturesOrdered::new(), intending: 0, durable: 0, careful: BTreeMap::new() }
    }

    /// Hands a step over.
    pub(super) fn commit(&mut self, stored: Stored<'r>, writes: Vec<Write>) {
        self.intending += stored.batches.len();
        // The store takes the writes now, whenever this future is first polled.
        let pending = self.scope.store.commit(writes);
        self.waiting.push_back(async move { (stored, pending.await) }.boxed());
    }

    /// The next step that is durable.
    pub(super) async fn next(&mut self) -> Option<(Stored<'r>, Result<Receipt, StoreError>)> {
        let (stored, receipt) = self.waiting.next().await?;
        self.intending -= stored.batches.len();
        if let Some(page) = stored.page {
            self.durable = self.durable.max(page);
            if let Some(care) = self.careful.get_mut(&page) {
                *care = Care::Begun;
            }
        }
        Some((stored, receipt))
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Requests whose intent is on its way.
    pub(super) fn intending(&self) -> usize {
        self.intending
    }

    /// A page that is in the store already, or needs no place in it.
    pub(super) fn known(&mut self, page: u64, careful: bool) {
        self.durable = self.durable.max(page);
        if careful {
            self.careful.insert(page, Care::Alone);
        }
    }

    /// Whether a page may be worked on; `is_first` says that all before it are resolved.
    pub(super) fn readiness(&mut self, page: u64, is_first: bool) -> Readiness {
        if page > self.durable {
            return Readiness::Wait;
        }
        match self.careful.get_mut(&page) {
            None | Some(Care::Begun) => Readiness::Ready,
            Some(care @ Care::Alone) if is_first => {
                *care = Care::Beginning;
                Readiness::Begin
            }
            Some(Care::Alone | Care::Beginning) => Readiness::Wait,
        }
    }
}
