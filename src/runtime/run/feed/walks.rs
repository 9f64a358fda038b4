//! The part of the feed for records that ask on their way: they set out in order, wait for what they asked, and stand
//! in line for the import.

use super::{Feed, Next};
use crate::model::step::Step;
use crate::runtime::import::Item;
use crate::runtime::run::books::Books;
use crate::runtime::run::errors::Fault;
use crate::runtime::run::lineup::{Asking, Lineup, Walking};
use crate::runtime::run::state::Resolution;
use crate::runtime::step::Ground;
use crate::runtime::walk::{Advance, Reply, StepError, Walk, Way};
use crate::store::IntentRow;

impl<'r> Feed<'r> {
    /// Whether records ask somebody on their way.
    pub(in crate::runtime::run) fn walks(&self) -> bool {
        self.lineup.is_some()
    }

    /// Whether another record may set out, where so many may be under way.
    pub(in crate::runtime::run) fn has_room(&self, width: usize) -> bool {
        !self.pages.is_empty() && self.lineup.as_ref().is_some_and(|lineup| lineup.has_room(width))
    }

    /// Lets the next record set out. Gives what it asks; none when there is no record.
    pub(in crate::runtime::run) fn set_out(&mut self, books: &mut Books<'r>) -> Option<Vec<Asking<'r>>> {
        let now = self.scope.now();
        let page = self.pages.front()?;
        let (line, origin) = (page.line, page.origin.clone());
        self.lineup.as_mut()?.enter(line, &origin);
        let base = self.scope.context(&now, &origin);
        let ctx = self.lane(&origin)?.client.context(base);
        let (mut item, intent) = match self.next_of_page(&ctx, books) {
            Some(Next::Open(item, intent)) => (item, intent),
            Some(Next::Gone) => return Some(Vec::new()),
            Some(Next::Settled(item, mark)) => {
                self.lineup.as_mut()?.settled(item, mark);
                return Some(Vec::new());
            }
            None => {
                self.pages.pop_front();
                self.lineup.as_mut()?.end_page();
                return Some(Vec::new());
            }
        };
        if !self.sets_out(&mut item, &ctx, books) {
            return Some(Vec::new());
        }
        let walk = self.walk(&item).remembering(books.waypoints.of(self.scope, &item));
        let id = self.lineup.as_mut()?.add(Walking::new(item, intent, walk, now));
        Some(self.go_on(id, books))
    }

    /// A record on its way, as it was exported, and when it set out.
    pub(in crate::runtime::run) fn walking(&self, id: u64) -> Option<(&Item, &str)> {
        let walking = self.lineup.as_ref()?.get(id)?;
        Some((&walking.item, &walking.now))
    }

    /// Gives a record what it asked. Gives what it asks next.
    pub(in crate::runtime::run) fn reply(
        &mut self,
        id: u64,
        place: &str,
        reply: Reply,
        books: &mut Books<'r>,
    ) -> Vec<Asking<'r>> {
        let complete = self.lineup.as_mut().is_some_and(|lineup| lineup.reply(id, place, reply));
        if complete { self.go_on(id, books) } else { Vec::new() }
    }

    /// The place of a step in the flow, those inside others included.
    pub(in crate::runtime::run) fn order(&self, step: &Step) -> usize {
        self.orders.get(step.name.as_str()).copied().unwrap_or_default()
    }

    /// The records on their way.
    pub(in crate::runtime::run) fn lineup(&mut self) -> Option<&mut Lineup> {
        self.lineup.as_mut()
    }

    /// Whether no record of a page goes on by itself; so many may be under way.
    pub(in crate::runtime::run) fn is_stuck(&self, page: u64, width: impl FnOnce() -> usize) -> bool {
        let is_full = |lineup: &Lineup| !self.pages.is_empty() && !lineup.has_room(width());
        self.lineup.as_ref().is_some_and(|lineup| lineup.is_stuck(page, is_full))
    }

    fn go_on(&mut self, id: u64, books: &mut Books<'r>) -> Vec<Asking<'r>> {
        let Some(mut walking) = self.lineup.as_mut().and_then(|lineup| lineup.take(id)) else { return Vec::new() };
        let origin = walking.item.origin.clone();
        let base = self.scope.context(&walking.now, &origin);
        let Some(lane) = self.lane(&origin) else { return Vec::new() };
        let way = Way { flow: &self.scope.flow, export: &origin.export, dry_run: self.scope.dry_run };
        let advance = walking.walk.advance(way, &lane.client.context(base));
        self.show(&walking.item, &mut walking.walk);
        if let Advance::Waits(needs) = advance {
            walking.at =
                needs.iter().filter_map(|need| self.orders.get(need.step.name.as_str())).min().map_or(0, |at| *at);
            if let Some(lineup) = &mut self.lineup {
                lineup.put_back(id, walking);
            }
            return needs.into_iter().map(|need| Asking { id, need, origin: origin.clone() }).collect();
        }
        let Walking { item, intent, walk, .. } = *walking;
        let line = item.line;
        let arrived = ended((item, intent), walk, advance, books);
        if let Some(lineup) = &mut self.lineup {
            match arrived {
                Some((item, intent)) => lineup.arrived(id, item, intent),
                None => lineup.gone(id, line),
            }
        }
        Vec::new()
    }
}

/// What became of a record on its way: it goes on to the import, or it is settled.
pub(super) fn ended(
    (mut item, intent): (Item, Option<IntentRow>),
    mut walk: Walk,
    advance: Advance<'_>,
    books: &mut Books<'_>,
) -> Option<(Item, Option<IntentRow>)> {
    item.taken = walk.taken;
    item.place = walk.place();
    for note in walk.take_notes() {
        books.pass(&item, &note.step, &note.text);
    }
    match advance {
        Advance::Arrived => {
            let Ground { record, lookups, .. } = walk.ground;
            item.record = record;
            item.lookups = lookups;
            return Some((item, intent));
        }
        // It cannot wait where nobody is asked.
        Advance::Left | Advance::Waits(_) => books.resolve(&item, Resolution::Filtered),
        Advance::Failed(failed) => {
            let StepError { step, record, trouble } = *failed;
            item.record = record;
            if trouble.key.is_some() {
                item.key.clone_from(&trouble.key);
            }
            // It did not come as far as it had before: what was sent there is as unknown as it was.
            books.park(&item, intent, Fault::step(&step, &trouble));
        }
    }
    None
}
