//! The pure state of one run: which pages are held, what became of their records, when the next page may be
//! read, how far a checkpoint may advance, and what of all that is not stored yet. Knows no clock, task or request.

use crate::store::{Mark, Marks, Tally};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// An import took it (or it was written to stdout).
    Delivered,
    /// It left by a rule.
    Filtered,
    /// It has an error record.
    Failed,
}

/// The counting equation of a run: `exported = delivered + filtered + failed + in_flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Records that left `records`.
    pub exported: u64,
    /// Taken by an import.
    pub delivered: u64,
    /// Left by a rule.
    pub filtered: u64,
    /// Open error records.
    pub failed: u64,
    /// Read but not resolved.
    pub in_flight: u64,
}

impl From<Tally> for Counts {
    fn from(tally: Tally) -> Self {
        let Tally { exported, delivered, filtered, failed, .. } = tally;
        let in_flight = exported.saturating_sub(delivered + filtered + failed);
        Self { exported, delivered, filtered, failed, in_flight }
    }
}

impl Counts {
    /// Whether the equation holds.
    pub fn balance(&self) -> bool {
        self.exported == self.delivered + self.filtered + self.failed + self.in_flight
    }
}

/// How much may be held at once.
#[derive(Debug, Clone, Copy)]
pub struct ReadAhead {
    /// Pages that still have records nobody has taken up, those on their way into the store included.
    pub waiting_pages: usize,
    /// Bytes of all unresolved pages; one page is always allowed.
    pub bytes: usize,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self { waiting_pages: 4, bytes: 16 << 20 }
    }
}

#[derive(Debug)]
struct PageState {
    number: u64,
    bytes: usize,
    untaken: u32,
    unresolved: u32,
    marks: Marks,
    /// Marks that the store has not been given.
    dirty: bool,
    /// Its records are copied into groups as they are taken.
    copied: bool,
    /// Those that wait in groups whose end has not been seen.
    waiting: u32,
}

/// The state of a run.
#[derive(Debug)]
pub struct RunState {
    counts: Counts,
    pages: VecDeque<PageState>,
    /// Pages resolved to their last record, until the store has been given their marks.
    settled: Vec<(u64, Marks)>,
    read_ahead: ReadAhead,
    /// Pages that were asked for and are not here.
    reading: usize,
    /// How many may be asked for at once, as far as what reads them goes.
    width: usize,
    /// Bytes of the largest page so far.
    largest: usize,
    /// Bytes of groups that are complete and not settled.
    groups: usize,
    exhausted: bool,
    /// The last page so far.
    last: u64,
    checkpoint: u64,
    dirty: bool,
}

impl RunState {
    /// A run that has read nothing.
    pub fn new(read_ahead: ReadAhead) -> Self {
        Self::resumed(read_ahead, Counts::default(), 0)
    }

    /// A run that goes on: its counts so far, without the records of pages that are taken up again, and the last page
    /// that needs no work any more.
    pub fn resumed(read_ahead: ReadAhead, counts: Counts, checkpoint: u64) -> Self {
        Self {
            counts,
            pages: VecDeque::new(),
            settled: Vec::new(),
            read_ahead,
            reading: 0,
            width: 1,
            largest: 0,
            groups: 0,
            exhausted: false,
            last: checkpoint,
            checkpoint,
            dirty: false,
        }
    }

    /// The counts now.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The last page whose records, and those of all pages before it, are resolved.
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Whether the next page may be requested now.
    pub fn may_read(&self) -> bool {
        if self.exhausted {
            return false;
        }
        let waiting = self.pages.iter().filter(|page| page.untaken > 0).count();
        // Of a page whose records wait in groups nothing is kept: a group may span more pages than may be held.
        let held = self.pages.iter().filter(|page| page.untaken > 0 || !page.copied);
        let (count, bytes) = held.fold((0, self.groups), |(count, bytes), page| (count + 1, bytes + page.bytes));
        let is_idle = count == 0 && self.groups == 0 && self.reading == 0;
        // Pages on their way are taken to be as large as the largest.
        let (waiting, bytes) = (waiting + self.reading, bytes + self.reading * self.largest);
        let most = self.read_ahead.waiting_pages.max(self.width);
        is_idle || (waiting < most && bytes < self.read_ahead.bytes)
    }

    /// A page was requested.
    pub fn reading(&mut self) {
        self.reading += 1;
    }

    /// How many pages may be asked for at once, as far as what reads them goes.
    pub fn set_width(&mut self, width: usize) {
        self.width = width;
    }

    /// What was asked for came, or did not; what it brought follows.
    pub fn landed(&mut self) {
        self.reading = self.reading.saturating_sub(1);
    }

    /// A page arrived. Pages come in order, numbered from 1.
    pub fn page_read(&mut self, number: u64, bytes: usize, records: u32) {
        self.counts.exported += u64::from(records);
        self.counts.in_flight += u64::from(records);
        self.hold(number, bytes, Marks::new(records));
    }

    /// A page that was read before a restart is taken up again; its records were counted then.
    pub fn page_resumed(&mut self, number: u64, bytes: usize, marks: Marks) {
        self.hold(number, bytes, marks);
    }

    fn hold(&mut self, number: u64, bytes: usize, marks: Marks) {
        self.largest = self.largest.max(bytes);
        let untaken = marks.in_flight();
        let dirty = untaken == 0;
        let page = PageState { number, bytes, untaken, unresolved: untaken, marks, dirty, copied: false, waiting: 0 };
        self.pages.push_back(page);
        self.last = self.last.max(number);
        self.dirty = true;
        self.advance();
    }

    /// No page follows (the last one arrived, or reading failed).
    pub fn exhausted(&mut self) {
        self.exhausted = true;
    }

    /// A record of a page was taken up for work.
    pub fn taken(&mut self, page: u64) {
        if let Some(page) = self.page(page) {
            page.untaken = page.untaken.saturating_sub(1);
        }
    }

    /// A record of a page was copied into a group, which waits for more.
    pub fn collected(&mut self, page: u64) {
        if let Some(page) = self.page(page) {
            page.copied = true;
            page.waiting += 1;
        }
    }

    /// A group is complete: the pages of its records, and its bytes until it is settled.
    pub fn completed(&mut self, pages: impl Iterator<Item = u64>, bytes: usize) {
        self.groups += bytes;
        for page in pages {
            if let Some(page) = self.page(page) {
                page.waiting = page.waiting.saturating_sub(1);
            }
        }
    }

    /// A group that was complete is settled.
    pub fn let_go(&mut self, bytes: usize) {
        self.groups = self.groups.saturating_sub(bytes);
    }

    /// Whether a page is the first with work left: all that is left of those before it waits for the end of its group.
    pub fn is_first(&self, number: u64) -> bool {
        let mut before = self.pages.iter().take_while(|page| page.number < number);
        self.pages.iter().any(|page| page.number == number) && before.all(|page| page.unresolved == page.waiting)
    }

    /// The only way out of `in_flight`; `record` is its position from 0. A record that is resolved already stays as it
    /// is, so that a slip elsewhere can never invent a delivery.
    pub fn resolve(&mut self, page: u64, record: u32, resolution: Resolution) -> bool {
        let Some(state) = self.page(page) else { return false };
        if record >= state.marks.len() || state.marks.get(record) != Mark::InFlight {
            return false;
        }
        let mark = match resolution {
            Resolution::Delivered => Mark::Delivered,
            Resolution::Filtered => Mark::Filtered,
            Resolution::Failed => Mark::Failed,
        };
        state.marks.set(record, mark);
        state.unresolved -= 1;
        let is_resolved = state.unresolved == 0;
        state.dirty = true;
        self.dirty = true;
        self.counts.in_flight -= 1;
        match resolution {
            Resolution::Delivered => self.counts.delivered += 1,
            Resolution::Filtered => self.counts.filtered += 1,
            Resolution::Failed => self.counts.failed += 1,
        }
        if is_resolved {
            self.advance();
        }
        true
    }

    /// A page that was counted is read anew: its counts change.
    pub fn recount(&mut self, change: impl FnOnce(Counts) -> Counts) {
        self.counts = change(self.counts);
    }

    /// Whether something changed that the store has not been given.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The marks of every page that changed since this was last asked, in order: what the store is to be given.
    pub fn take_changes(&mut self) -> Vec<(u64, Marks)> {
        self.dirty = false;
        let mut changes = std::mem::take(&mut self.settled);
        for page in self.pages.iter_mut().filter(|page| page.dirty) {
            page.dirty = false;
            changes.push((page.number, page.marks.clone()));
        }
        changes
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.exhausted && self.pages.is_empty()
    }

    fn page(&mut self, number: u64) -> Option<&mut PageState> {
        let index = self.pages.binary_search_by_key(&number, |page| page.number).ok()?;
        self.pages.get_mut(index)
    }

    /// Lets resolved pages go. A checkpoint never passes an unresolved record.
    fn advance(&mut self) {
        let settled = &mut self.settled;
        self.pages.retain_mut(|page| {
            let is_open = page.unresolved > 0;
            if !is_open {
                settled.push((page.number, std::mem::take(&mut page.marks)));
            }
            is_open
        });
        self.checkpoint = self.pages.front().map_or(self.last, |page| page.number.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_checkpoint_never_passes_an_unresolved_record() {
        let mut state = RunState::new(ReadAhead::default());
        state.page_read(1, 10, 2);
        state.page_read(2, 10, 1);
        assert!(state.resolve(2, 0, Resolution::Delivered));
        assert_eq!(state.checkpoint(), 0);
        assert!(state.resolve(1, 0, Resolution::Failed));
        assert_eq!(state.checkpoint(), 0);
        assert!(state.resolve(1, 1, Resolution::Filtered));
        assert_eq!(state.checkpoint(), 2);
    }

    #[test]
    fn a_record_is_resolved_once() {
        let mut state = RunState::new(ReadAhead::default());
        state.page_read(1, 10, 1);
        assert!(state.resolve(1, 0, Resolution::Delivered));
        assert!(!state.resolve(1, 0, Resolution::Delivered));
        assert_eq!(state.counts().delivered, 1);
    }

    #[test]
    fn reading_stops_at_the_byte_cap_but_one_page_is_always_allowed() {
        let mut state = RunState::new(ReadAhead { waiting_pages: 9, bytes: 100 });
        assert!(state.may_read());
        state.page_read(1, 1000, 1);
        assert!(!state.may_read());
        state.resolve(1, 0, Resolution::Delivered);
        assert!(state.may_read());
    }

    #[test]
    fn reading_waits_while_two_pages_have_untaken_records() {
        let mut state = RunState::new(ReadAhead { waiting_pages: 2, bytes: 1 << 20 });
        state.page_read(1, 10, 1);
        assert!(state.may_read());
        state.page_read(2, 10, 1);
        assert!(!state.may_read());
        state.taken(1);
        assert!(state.may_read());
        // One on its way waits too.
        state.reading();
        assert!(!state.may_read());
        state.set_width(3);
        assert!(state.may_read());
        state.landed();
        state.page_read(3, 10, 1);
        assert!(state.may_read());
    }

    #[test]
    fn pages_on_their_way_count_as_the_largest_seen() {
        let mut state = RunState::new(ReadAhead { waiting_pages: 9, bytes: 100 });
        state.page_read(1, 40, 1);
        state.reading();
        assert!(state.may_read());
        state.reading();
        assert!(!state.may_read());
        state.landed();
        assert!(state.may_read());
    }

    #[test]
    fn a_group_that_waits_holds_no_page_and_one_that_is_complete_its_own_bytes() {
        let mut state = RunState::new(ReadAhead { waiting_pages: 9, bytes: 100 });
        for page in 1..=3 {
            assert!(state.may_read(), "page {page}");
            state.page_read(page, 1000, 1);
            assert!(!state.may_read() && state.is_first(page));
            state.taken(page);
            state.collected(page);
        }
        assert!(state.may_read());
        state.completed([1, 2, 3].into_iter(), 150);
        assert!(!state.may_read() && !state.is_first(3), "it is on its way");
        for page in 1..=3 {
            assert!(state.resolve(page, 0, Resolution::Delivered));
        }
        state.let_go(150);
        assert!(state.may_read());
        assert_eq!(state.checkpoint(), 3);
    }

    #[test]
    fn an_empty_page_is_resolved_at_once() {
        let mut state = RunState::new(ReadAhead::default());
        state.page_read(1, 10, 0);
        state.exhausted();
        assert_eq!(state.checkpoint(), 1);
        assert!(state.is_done());
    }

    proptest! {
        #[test]
        fn counts_balance_after_every_event(events in prop::collection::vec((0u8..5, 1u64..6, 0u32..4), 0..200)) {
            let mut state = RunState::new(ReadAhead::default());
            let mut pages = 0;
            let mut stored = std::collections::BTreeMap::new();
            for (event, n, record) in events {
                match event {
                    0 => { pages += 1; state.page_read(pages, 10, u32::try_from(n % 4).unwrap()); }
                    1 => { state.resolve(n, record, Resolution::Delivered); }
                    2 => { state.resolve(n, record, Resolution::Filtered); }
                    3 => { state.resolve(n, record, Resolution::Failed); }
                    _ => stored.extend(state.take_changes()),
                }
                prop_assert!(state.counts().balance());
                prop_assert!(state.checkpoint() <= pages);
            }
            // What the store was given is what stands in the counts.
            stored.extend(state.take_changes());
            prop_assert!(!state.is_dirty());
            let count = |mark| -> u64 {
                let of = |marks: &Marks| (0..marks.len()).filter(|at| marks.get(*at) == mark).count() as u64;
                stored.values().map(of).sum()
            };
            let counts = state.counts();
            prop_assert_eq!(
                (count(Mark::Delivered), count(Mark::Filtered), count(Mark::Failed)),
                (counts.delivered, counts.filtered, counts.failed)
            );
        }
    }
}
