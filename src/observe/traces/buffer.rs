//! Ended spans that wait to be sent. Never more than so many: who cannot be sent in time is dropped and counted, and
//! nothing that runs ever waits here.

use super::span::Span;
use crate::observe::meters::{SpanFate, SpanMeters};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Spans that may wait.
const ROOM: usize = 16_384;
/// More that may wait of runs, steps and pages: they are few, and what hangs on them is worth little without.
const ROOM_FOR_PARENTS: usize = 2_048;
/// So many are worth sending at once.
const ENOUGH: usize = 1_024;

/// The buffer.
pub struct Buffer {
    spans: Mutex<VecDeque<Span>>,
    enough: Notify,
    meters: SpanMeters,
    /// Taken, and nobody said yet what became of them.
    under_way: AtomicUsize,
    room: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl Buffer {
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            spans: Mutex::default(),
            enough: Notify::new(),
            meters: SpanMeters::take(),
            under_way: AtomicUsize::new(0),
            room,
        }
    }

    /// Takes one in, or drops it.
    pub(super) fn add(&self, span: Span, is_parent: bool) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let room = if is_parent { self.room + ROOM_FOR_PARENTS } else { self.room };
        if spans.len() >= room {
            return self.meters.count(SpanFate::Dropped, 1);
        }
        spans.push_back(span);
        if spans.len() == ENOUGH {
            self.enough.notify_one();
        }
    }

    /// Resolves when many wait.
    pub async fn enough(&self) {
        self.enough.notified().await;
    }

    /// The oldest ones, no more than `most`.
    pub fn take(&self, most: usize) -> Vec<Span> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let count = spans.len().min(most);
        self.under_way.fetch_add(count, Ordering::Relaxed);
        spans.drain(..count).collect()
    }

    /// So many left, or could not.
    pub fn sent(&self, count: usize, arrived: bool) {
        let _ =
            self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| Some(all.saturating_sub(count)));
        self.meters.count(if arrived { SpanFate::Sent } else { SpanFate::Failed }, count as u64);
    }

    /// Nobody sends any more: what waits and what is under way counts as failed.
    pub fn give_up(&self) {
        let waiting = self.take(usize::MAX).len();
        let lost = self.under_way.swap(0, Ordering::Relaxed);
        debug_assert!(lost >= waiting);
        self.meters.count(SpanFate::Failed, lost as u64);
    }
}
