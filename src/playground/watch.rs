//! The account of each single request, kept on demand: when it came and was answered, what it carried, the key it
//! came with, and whether it had an effect. From this a judge outside tells what was lost, repeated or changed.

use super::ledger::Arrived;
use crate::value::time::Mono;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

/// The most requests kept for each side; a judge that sees it reached judges nothing.
pub const MOST_WATCHED: usize = 4 << 20;
/// Headers whose name begins so are kept with the write.
pub const MARK: &str = "x-mark-";

/// Every request since the last reset, in order of arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// Requests to the source.
    pub pages: Vec<Page>,
    /// Requests to all destinations.
    pub writes: Vec<Write>,
    /// Keys that came back with another body.
    pub keys_reused: u64,
}

/// A page that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Time from the playground's start to its arrival.
    pub at: Duration,
    /// The same for the end of the answer, or of the sender.
    pub ended: Option<Duration>,
    /// The records it was answered with.
    pub ids: Vec<u64>,
}

/// A write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Write {
    /// Time from the playground's start to its arrival.
    pub at: Duration,
    /// The same for the end of the answer, or of the sender.
    pub ended: Option<Duration>,
    /// Requests in flight to all destinations when it came, itself included.
    pub in_flight: u64,
    /// Place of the destination in the ledger.
    pub destination: usize,
    /// Its `Idempotency-Key`, byte for byte.
    pub key: Option<Vec<u8>>,
    /// Headers named `x-mark-…`, without that prefix.
    pub marks: Vec<(String, String)>,
    /// The records it carried, when they were taken.
    pub ids: Vec<u64>,
    /// What it did.
    pub effect: Effect,
}

/// What a write did at its destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Effect {
    /// Refused, or its sender left before it was read.
    #[default]
    None,
    /// Its records were taken.
    Taken,
    /// Recognised by its key: answered as the first time, nothing changed.
    Recognised,
}

/// What a write comes with.
#[derive(Debug, Default)]
pub(super) struct Carried<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) marks: Vec<(String, String)>,
    pub(super) body: &'a [u8],
}

/// What a destination answered.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) status: hyper::StatusCode,
    pub(super) body: Vec<u8>,
    /// The records that were taken.
    pub(super) ids: Vec<u64>,
}

/// The answer a key was given, for whoever comes with it again.
struct Remembered {
    body: u64,
    answer: Answered,
}

/// The running account.
#[derive(Default)]
pub(super) struct Watch {
    seen: Watched,
    keys: HashMap<(usize, Vec<u8>), Remembered>,
}

impl Watch {
    /// Opens the entry of a request; its number is its place.
    pub(super) fn arrive(&mut self, arrived: Arrived, destination: Option<usize>, now: Mono) {
        match destination {
            None if self.seen.pages.len() < MOST_WATCHED => {
                self.seen.pages.push(Page { at: now.0, ..Page::default() });
            }
            Some(destination) if self.seen.writes.len() < MOST_WATCHED => {
                let in_flight = arrived.in_flight;
                self.seen.writes.push(Write { at: now.0, in_flight, destination, ..Write::default() });
            }
            _ => {}
        }
    }

    /// Notes what a page showed.
    pub(super) fn show(&mut self, number: u64, ids: &[u64]) {
        if let Some(page) = self.seen.pages.get_mut(place(number)) {
            ids.clone_into(&mut page.ids);
        }
    }

    /// The answer of a write: the earlier one when its key is known, else what `take` says.
    pub(super) fn take(&mut self, arrived: Arrived, carried: Carried<'_>, take: impl FnOnce() -> Answered) -> Answered {
        let Some(write) = self.seen.writes.get_mut(place(arrived.number)) else { return take() };
        write.key = carried.key.map(<[u8]>::to_vec);
        write.marks = carried.marks;
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(carried.body);
        let key = carried.key.map(|key| (write.destination, key.to_vec()));
        if let Some(known) = key.as_ref().and_then(|key| self.keys.get(key)) {
            self.seen.keys_reused += u64::from(known.body != hash);
            write.effect = Effect::Recognised;
            write.ids.clone_from(&known.answer.ids);
            return known.answer.clone();
        }
        let answer = take();
        write.ids.clone_from(&answer.ids);
        if !answer.ids.is_empty() {
            write.effect = Effect::Taken;
            self.keys.extend(key.map(|key| (key, Remembered { body: hash, answer: answer.clone() })));
        }
        answer
    }

    /// Closes the entry of a request.
    pub(super) fn end(&mut self, number: u64, is_write: bool, now: Mono) {
        let at = place(number);
        let ended = if is_write {
            self.seen.writes.get_mut(at).map(|write| &mut write.ended)
        } else {
            self.seen.pages.get_mut(at).map(|page| &mut page.ended)
        };
        if let Some(ended) = ended {
            *ended = Some(now.0);
        }
    }

    /// A copy for reading.
    pub(super) fn seen(&self) -> Watched {
        self.seen.clone()
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1)
}
