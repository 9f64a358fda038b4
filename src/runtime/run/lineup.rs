//! Records that are on their way through the steps, in the order they were exported. They end out of order; the
//! import takes them in order, so that its batches are the same after a restart.

use crate::runtime::export::origin::Origin;
use crate::runtime::import::Item;
use crate::runtime::walk::{Need, Reply, Walk};
use crate::store::{IntentRow, Mark};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most bytes of records on their way; one record is always allowed.
const MOST_BYTES: usize = 32 << 20;

/// A record between its page and the import.
pub(super) struct Walking {
    pub(super) item: Item,
    /// What was intended for it before a restart.
    pub(super) intent: Option<IntentRow>,
    pub(super) walk: Walk,
    /// When it set out: the same whenever a step of it is gone through again.
    pub(super) now: String,
    /// The first step that it waits at, in the order of the flow.
    pub(super) at: usize,
    /// How many of its questions wait for other records.
    held: usize,
}

impl Walking {
    pub(super) fn new(item: Item, intent: Option<IntentRow>, walk: Walk, now: String) -> Self {
        Self { item, intent, walk, now, at: 0, held: 0 }
    }

    /// Whether it goes on only when other records come, or nobody waits for them any more.
    fn is_held(&self) -> bool {
        self.held > 0 && self.held == self.walk.open()
    }
}

/// A page whose records are worked on.
struct Line {
    number: u64,
    origin: Arc<Origin>,
    /// Records of it on their way.
    walking: usize,
    /// Those of them that wait for others.
    held: usize,
    /// All of its records have set out.
    ended: bool,
}

enum Place {
    Walking(Box<Walking>),
    Arrived(Box<(Item, Option<IntentRow>)>),
    /// It was settled before a restart.
    Settled(Box<(Item, Mark)>),
    /// It ended before the import.
    Gone,
    /// No more records of the page follow.
    PageEnd,
}

/// What is next for the import.
pub(super) enum Ready {
    /// A record; with what was intended for it before a restart.
    Item(Item, Option<IntentRow>),
    /// One that was settled before a restart.
    Settled(Item, Mark),
    /// One that was settled on the way.
    Gone,
    /// The end of a page: a batch never spans pages.
    PageEnd,
}

/// Something a record on its way asks for.
pub(super) struct Asking<'r> {
    /// Which record.
    pub(super) id: u64,
    pub(super) need: Need<'r>,
    pub(super) origin: Arc<Origin>,
}

/// The records of all pages that are worked on.
#[derive(Default)]
pub(super) struct Lineup {
    places: VecDeque<(usize, Place)>,
    /// The id of the first place.
    first: u64,
    lines: VecDeque<Line>,
    walking: usize,
    held: usize,
    bytes: usize,
}

impl Lineup {
    /// Whether another record may set out, where so many may be under way.
    pub(super) fn has_room(&self, width: usize) -> bool {
        let few = self.walking < width && self.places.len() < width.saturating_mul(4);
        few && (self.bytes < MOST_BYTES || self.places.is_empty())
    }

    /// Records of a page follow.
    pub(super) fn enter(&mut self, page: u64, origin: &Arc<Origin>) {
        if self.lines.back().is_none_or(|last| last.number != page) {
            self.lines.push_back(Line { number: page, origin: origin.clone(), walking: 0, held: 0, ended: false });
        }
    }

    /// Adds a record. Gives its id.
    pub(super) fn add(&mut self, walking: Walking) -> u64 {
        let bytes = walking.item.record.json().text().len();
        self.bytes += bytes;
        self.set_walking(walking.item.line, true);
        self.places.push_back((bytes, Place::Walking(Box::new(walking))));
        self.first + self.places.len() as u64 - 1
    }

    /// Adds a record that was settled before a restart.
    pub(super) fn settled(&mut self, item: Item, mark: Mark) {
        self.places.push_back((0, Place::Settled(Box::new((item, mark)))));
    }

    /// All records of the page that was entered last were added.
    pub(super) fn end_page(&mut self) {
        self.places.push_back((0, Place::PageEnd));
        if let Some(line) = self.lines.back_mut() {
            line.ended = true;
        }
    }

    fn line(&mut self, page: u64) -> Option<&mut Line> {
        let at = self.lines.binary_search_by_key(&page, |line| line.number).ok()?;
        self.lines.get_mut(at)
    }

    fn set_walking(&mut self, page: u64, more: bool) {
        let change = |count: usize| if more { count + 1 } else { count.saturating_sub(1) };
        self.walking = change(self.walking);
        if let Some(line) = self.line(page) {
            line.walking = change(line.walking);
        }
    }

    /// Changes what a record waits for.
    fn change<T>(&mut self, id: u64, change: impl FnOnce(&mut Walking) -> T) -> Option<T> {
        let (_, Place::Walking(walking)) = self.place(id)? else { return None };
        let (page, before) = (walking.item.line, walking.is_held());
        let changed = change(walking);
        let held = walking.is_held();
        if held != before {
            let count = |count: usize| if held { count + 1 } else { count.saturating_sub(1) };
            self.held = count(self.held);
            if let Some(line) = self.line(page) {
                line.held = count(line.held);
            }
        }
        Some(changed)
    }

    /// A question of a record waits for other records.
    pub(super) fn hold(&mut self, id: u64) {
        self.change(id, |walking| walking.held += 1);
    }

    /// It does not any more.
    pub(super) fn release(&mut self, id: u64) {
        self.change(id, |walking| walking.held = walking.held.saturating_sub(1));
    }

    /// A reply to what a record asked. True when it can go on.
    pub(super) fn reply(&mut self, id: u64, place: &str, reply: Reply) -> bool {
        self.change(id, |walking| walking.walk.reply(place, reply)).unwrap_or(false)
    }

    /// The first record, from a place on, that may still come to a step; none of those before `id` has to be.
    pub(super) fn first_before(&self, from: u64, id: u64, step: usize) -> u64 {
        let mut at = from.max(self.first);
        while at < id && self.get(at).is_none_or(|walking| walking.at >= step) {
            at += 1;
        }
        at
    }

    /// Whether no record of a page goes on by itself; `is_full` says that no more set out meanwhile.
    pub(super) fn is_stuck(&self, page: u64, is_full: impl FnOnce(&Self) -> bool) -> bool {
        let Ok(at) = self.lines.binary_search_by_key(&page, |line| line.number) else { return false };
        self.lines.get(at).is_some_and(|line| {
            let stands = line.held > 0 && line.held == line.walking;
            stands && (line.ended || (self.held == self.walking && is_full(self)))
        })
    }

    fn place(&mut self, id: u64) -> Option<&mut (usize, Place)> {
        self.places.get_mut(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }

    /// A record on its way.
    pub(super) fn get(&self, id: u64) -> Option<&Walking> {
        match self.places.get(usize::try_from(id.checked_sub(self.first)?).ok()?) {
            Some((_, Place::Walking(walking))) => Some(walking),
            _ => None,
        }
    }

    /// Takes a record out of its place to be worked on; it comes back by one of the three below.
    pub(super) fn take(&mut self, id: u64) -> Option<Box<Walking>> {
        let (_, place) = self.place(id)?;
        match std::mem::replace(place, Place::Gone) {
            Place::Walking(walking) => Some(walking),
            other => {
                *place = other;
                None
            }
        }
    }

    /// It waits.
    pub(super) fn put_back(&mut self, id: u64, walking: Box<Walking>) {
        if let Some((_, place)) = self.place(id) {
            *place = Place::Walking(walking);
        }
    }

    /// It has passed all steps.
    pub(super) fn arrived(&mut self, id: u64, item: Item, intent: Option<IntentRow>) {
        self.set_walking(item.line, false);
        if let Some((_, place)) = self.place(id) {
            *place = Place::Arrived(Box::new((item, intent)));
        }
    }

    /// It ended before the import.
    pub(super) fn gone(&mut self, id: u64, page: u64) {
        self.set_walking(page, false);
        if let Some((bytes, _)) = self.place(id) {
            let freed = std::mem::take(bytes);
            self.bytes -= freed;
        }
    }

    /// Whether the import can go on.
    pub(super) fn is_ready(&self) -> bool {
        self.places.front().is_some_and(|(_, place)| !matches!(place, Place::Walking(_)))
    }

    /// Where the first record comes from.
    pub(super) fn origin(&self) -> Option<Arc<Origin>> {
        self.lines.front().map(|line| line.origin.clone())
    }

    /// What is next for the import; none when that is still on its way.
    pub(super) fn next(&mut self) -> Option<Ready> {
        while self.is_ready() {
            let (bytes, place) = self.places.pop_front()?;
            self.first += 1;
            self.bytes -= bytes;
            match place {
                Place::Arrived(arrived) => {
                    let (item, intent) = *arrived;
                    return Some(Ready::Item(item, intent));
                }
                Place::Settled(settled) => {
                    let (item, mark) = *settled;
                    return Some(Ready::Settled(item, mark));
                }
                Place::PageEnd => {
                    self.lines.pop_front();
                    return Some(Ready::PageEnd);
                }
                Place::Gone | Place::Walking(_) => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::walk::tests::export;
    use crate::value::json::Json;
    use crate::value::record::Record;

    fn lineup(records: u64) -> Lineup {
        let mut lineup = Lineup::default();
        lineup.enter(1, &Origin::of(&Arc::new(export())));
        for position in 1..=records {
            let record = Record::new(Json::parse("{}").unwrap());
            let item = Item::new(1, &Origin::of(&Arc::new(export())), position, record.clone());
            let walking = Walking::new(item, None, Walk::new(record, None), String::new());
            assert_eq!(lineup.add(walking), position - 1);
        }
        lineup.end_page();
        lineup
    }

    fn next(lineup: &mut Lineup) -> Option<u64> {
        lineup.next().map(|ready| match ready {
            Ready::Item(item, _) => item.position,
            Ready::PageEnd => 0,
            Ready::Settled(..) | Ready::Gone => panic!("nothing was settled before"),
        })
    }

    #[test]
    fn records_that_end_in_any_order_are_given_in_theirs() {
        let mut lineup = lineup(3);
        for id in [2, 0] {
            let walking = lineup.take(id).unwrap();
            lineup.arrived(id, walking.item, None);
        }
        assert_eq!((next(&mut lineup), next(&mut lineup)), (Some(1), None), "the second is on its way");
        lineup.take(1).unwrap();
        lineup.gone(1, 1);
        assert_eq!((next(&mut lineup), next(&mut lineup), next(&mut lineup)), (Some(3), Some(0), None));
        assert_eq!((lineup.walking, lineup.bytes), (0, 0));
    }

    /// Lets a record wait for one answer at a step.
    fn asks(lineup: &mut Lineup, id: u64, step: usize) {
        let mut walking = lineup.take(id).unwrap();
        walking.at = step;
        walking.walk.wait(1);
        lineup.put_back(id, walking);
    }

    #[test]
    fn a_page_stands_still_when_all_of_its_records_wait_for_others_and_no_more_come() {
        let mut lineup = lineup(3);
        (0..3).for_each(|id| asks(&mut lineup, id, 2));
        lineup.hold(0);
        lineup.hold(1);
        assert!(!lineup.is_stuck(1, |_| true), "the third may come");
        lineup.take(2).unwrap();
        lineup.gone(2, 1);
        assert!(lineup.is_stuck(1, |_| false) && !lineup.is_stuck(2, |_| true));
        lineup.release(1);
        assert!(!lineup.is_stuck(1, |_| true));
        lineup.hold(1);
        // A page that has not ended stands still only when there is no room for more.
        lineup.lines[0].ended = false;
        assert!(lineup.is_stuck(1, |_| true) && !lineup.is_stuck(1, |_| false));
    }

    #[test]
    fn a_record_comes_before_a_step_until_it_waits_there_or_behind_it() {
        let mut lineup = lineup(4);
        for (id, step) in [(0, 3), (1, 1), (2, 2), (3, 2)] {
            asks(&mut lineup, id, step);
        }
        assert_eq!((lineup.first_before(0, 3, 2), lineup.first_before(0, 1, 2)), (1, 1));
        asks(&mut lineup, 1, 2);
        assert_eq!((lineup.first_before(1, 3, 2), lineup.first_before(0, 3, 3)), (3, 1));
        lineup.take(1).unwrap();
        lineup.gone(1, 1);
        assert_eq!(lineup.first_before(0, 3, 3), 2);
    }

    #[test]
    fn what_is_under_way_is_bounded_in_number_and_bytes() {
        let mut lineup = lineup(3);
        assert!(lineup.has_room(4) && !lineup.has_room(3));
        lineup.bytes = MOST_BYTES;
        assert!(!lineup.has_room(4));
    }
}
