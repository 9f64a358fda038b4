//! The import's door: what it makes of shaped records before they join a batch, and of those that were about to be
//! sent before a restart.

use super::books::Books;
use super::errors::Fault;
use super::feed::{Fed, Feed};
use super::state::Resolution;
use crate::model::import::UnknownOutcome;
use crate::runtime::import::{CUT_OFF, Item, Items, Road};
use crate::runtime::walk::{Advance, Walk, Way};
use crate::store::{IntentRow, Mark};
use crate::value::context::Context;
use crate::value::issue::EvalError;

/// What became of a record at the import's door.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on the stack of the loop that takes it")]
pub(super) enum Admitted {
    /// It may join a batch.
    Here(Item),
    /// It goes alone, because it may have been sent before.
    Asked(Fed),
    /// It is settled.
    Gone,
}

/// Whether a record that is tried again failed here because nobody could say whether it arrived.
pub(super) fn is_unknown(item: &Item, place: &str) -> bool {
    item.error.as_ref().is_some_and(|error| error.class == "unknown" && error.step == place)
}

impl<'r> Feed<'r> {
    /// What the import makes of a shaped record; with what was intended for it before a restart.
    pub(super) fn admitted(
        &self,
        mut item: Item,
        intent: Option<IntentRow>,
        base: &Context<'_>,
        books: &mut Books<'r>,
    ) -> Admitted {
        let Some(road) = self.import else { return Admitted::Here(item) };
        let before = || Some(books.waypoints.sent_last(self.scope, &item)?.key);
        let sent = intent.as_ref().map(|intent| intent.key.clone()).or_else(before);
        let concerned = if sent.is_some() { Ok(true) } else { road.concerns(&item, base) };
        let was_sent = sent.is_some();
        if let Some(key) = sent {
            item.key = key.map(String::into_boxed_str);
        }
        match concerned.and_then(|yes| if yes { road.admit(&mut item, base).map(|()| true) } else { Ok(false) }) {
            Ok(true) => {}
            Ok(false) => {
                books.resolve(&item, Resolution::Filtered);
                return Admitted::Gone;
            }
            Err(error) if was_sent => {
                books.park(&item, intent, Fault::eval(road.name(), &error));
                return Admitted::Gone;
            }
            Err(error) => {
                self.refuse(&item, &error, books);
                return Admitted::Gone;
            }
        }
        match road.unknown(item.way) {
            UnknownOutcome::Park if was_sent => {
                books.fail(&item, &Fault::unknown(road.name(), CUT_OFF.to_owned()));
                Admitted::Gone
            }
            // Nor has anybody known it when it failed.
            UnknownOutcome::Check(_) if was_sent || is_unknown(&item, road.name()) => {
                Admitted::Asked(self.asked(road, item, base, books))
            }
            _ => Admitted::Here(item),
        }
    }

    /// Whether a record that was settled before a restart stood between two batches: so it does again, or the batches
    /// and their keys would be others now. Batches are settled whole, so what was delivered was in another one.
    pub(super) fn divides(&self, mut item: Item, mark: Mark, outer: &Context<'_>, base: &Context<'_>) -> bool {
        let (Some(road), Some(batcher)) = (self.import, self.batcher.as_ref().filter(|batcher| !batcher.is_empty()))
        else {
            return false;
        };
        if mark == Mark::Delivered || road.import.upsert.is_none() {
            return mark == Mark::Delivered;
        }
        // It failed, or left by a rule: it counts if it came as far as the batches, and was to be written another way.
        // Where steps ask somebody that cannot be known; the answers would be others now.
        if self.walks() {
            return false;
        }
        let walk = Walk::new(item.record.clone(), None);
        let mut walk = if item.group.is_some() { walk.behind_its_export() } else { walk };
        let origin = item.origin.clone();
        let way = Way { flow: &self.scope.flow, export: &origin.export, dry_run: self.scope.dry_run };
        if !matches!(walk.advance(way, outer), Advance::Arrived) {
            return false;
        }
        item.record = walk.ground.record;
        road.concerns(&item, base) == Ok(true) && road.admit(&mut item, base).is_ok() && !batcher.takes(&item)
    }

    /// A record that may have been sent before a restart, in a request of its own.
    fn asked(&self, road: Road<'r>, item: Item, base: &Context<'_>, books: &mut Books<'r>) -> Fed {
        match road.alone(item, base) {
            Ok(batch) => Fed::Batch(batch.asked_first()),
            Err((items, error)) => self.refuse_all(&items, &error, books),
        }
    }

    pub(super) fn refuse_all(&self, items: &Items, error: &EvalError, books: &mut Books<'r>) -> Fed {
        for item in items {
            self.refuse(item, error, books);
        }
        Fed::Progress
    }

    /// A record that cannot be written.
    pub(super) fn refuse(&self, item: &Item, error: &EvalError, books: &mut Books<'r>) {
        if let Some(road) = self.import {
            books.fail_in(road.import, item, &Fault::eval(road.name(), error));
        }
    }
}
