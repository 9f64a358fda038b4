//! The pure state of one run: which pages are held, what became of their records, when the next page may be
//! read, how far a checkpoint may advance. Knows no clock, task or request.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

impl Counts {
    /// Whether the equation holds.
    pub fn balance(&self) -> bool {
        self.exported == self.delivered + self.filtered + self.failed + self.in_flight
    }
}

/// How much may be held at once.
#[derive(Debug, Clone, Copy)]
pub struct ReadAhead {
    /// Pages that still have records nobody has taken up.
    pub waiting_pages: usize,
    /// Bytes of all unresolved pages; one page is always allowed.
    pub bytes: usize,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self { waiting_pages: 2, bytes: 16 << 20 }
    }
}

#[derive(Debug)]
struct PageState {
    number: u64,
    bytes: usize,
    untaken: u64,
    unresolved: u64,
}

/// The state of a run.
#[derive(Debug)]
pub struct RunState {
    counts: Counts,
    pages: VecDeque<PageState>,
    read_ahead: ReadAhead,
    reading: bool,
    exhausted: bool,
    checkpoint: u64,
}

impl RunState {
    /// A run that has read nothing.
    pub fn new(read_ahead: ReadAhead) -> Self {
        Self {
            counts: Counts::default(),
            pages: VecDeque::new(),
            read_ahead,
            reading: false,
            exhausted: false,
            checkpoint: 0,
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
        if self.reading || self.exhausted {
            return false;
        }
        let waiting = self.pages.iter().filter(|page| page.untaken > 0).count();
        let bytes: usize = self.pages.iter().map(|page| page.bytes).sum();
        self.pages.is_empty() || (waiting < self.read_ahead.waiting_pages && bytes < self.read_ahead.bytes)
    }

    /// A page was requested.
    pub fn reading(&mut self) {
        self.reading = true;
    }

    /// The requested page arrived. Pages come in order, numbered from 1.
    pub fn page_read(&mut self, number: u64, bytes: usize, records: u64) {
        self.reading = false;
        self.counts.exported += records;
        self.counts.in_flight += records;
        self.pages.push_back(PageState { number, bytes, untaken: records, unresolved: records });
        self.advance();
    }

    /// No page follows (the last one arrived, or reading failed).
    pub fn exhausted(&mut self) {
        self.reading = false;
        self.exhausted = true;
    }

    /// A record of a page was taken up for work.
    pub fn taken(&mut self, page: u64) {
        if let Some(page) = self.page(page) {
            page.untaken = page.untaken.saturating_sub(1);
        }
    }

    /// The only way out of `in_flight`. Resolving more records than a page has left is ignored, so that a slip
    /// elsewhere can never invent a delivery.
    pub fn resolve(&mut self, page: u64, resolution: Resolution) -> bool {
        let Some(state) = self.page(page) else { return false };
        if state.unresolved == 0 {
            return false;
        }
        state.unresolved -= 1;
        self.counts.in_flight -= 1;
        match resolution {
            Resolution::Delivered => self.counts.delivered += 1,
            Resolution::Filtered => self.counts.filtered += 1,
            Resolution::Failed => self.counts.failed += 1,
        }
        self.advance();
        true
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.exhausted && self.pages.is_empty()
    }

    fn page(&mut self, number: u64) -> Option<&mut PageState> {
        let first = self.pages.front()?.number;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        self.pages.get_mut(index)
    }

    /// A checkpoint never passes an unresolved record: only a resolved prefix is let go.
    fn advance(&mut self) {
        while let Some(page) = self.pages.front().filter(|page| page.unresolved == 0) {
            self.checkpoint = page.number;
            self.pages.pop_front();
        }
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
        assert!(state.resolve(2, Resolution::Delivered));
        assert_eq!(state.checkpoint(), 0);
        assert!(state.resolve(1, Resolution::Failed));
        assert_eq!(state.checkpoint(), 0);
        assert!(state.resolve(1, Resolution::Filtered));
        assert_eq!(state.checkpoint(), 2);
    }

    #[test]
    fn a_record_is_resolved_once() {
        let mut state = RunState::new(ReadAhead::default());
        state.page_read(1, 10, 1);
        assert!(state.resolve(1, Resolution::Delivered));
        assert!(!state.resolve(1, Resolution::Delivered));
        assert_eq!(state.counts().delivered, 1);
    }

    #[test]
    fn reading_stops_at_the_byte_cap_but_one_page_is_always_allowed() {
        let mut state = RunState::new(ReadAhead { waiting_pages: 9, bytes: 100 });
        assert!(state.may_read());
        state.page_read(1, 1000, 1);
        assert!(!state.may_read());
        state.resolve(1, Resolution::Delivered);
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
        fn counts_balance_after_every_event(events in prop::collection::vec((0u8..4, 1u64..6), 0..200)) {
            let mut state = RunState::new(ReadAhead::default());
            let mut pages = 0;
            for (event, n) in events {
                match event {
                    0 => { pages += 1; state.page_read(pages, 10, n % 4); }
                    1 => { state.resolve(n, Resolution::Delivered); }
                    2 => { state.resolve(n, Resolution::Filtered); }
                    _ => { state.resolve(n, Resolution::Failed); }
                }
                prop_assert!(state.counts().balance());
                prop_assert!(state.checkpoint() <= pages);
            }
        }
    }
}
