//! One block of a walk: the parents of its page that were not taken yet, and what leads to the next page.

use crate::runtime::export::Reader;
use crate::runtime::export::cursor::Cursor;
use crate::runtime::export::places::{Entry, LevelPlace, Rest, rest};
use crate::runtime::export::shelf::Parents;
use std::collections::VecDeque;

/// Where a block is.
pub(super) struct Level<'r> {
    /// Not taken yet.
    left: VecDeque<Entry>,
    /// What is wrong with the one after these.
    wrong: Option<String>,
    /// How many of the page were taken, and the key of the last.
    at: u64,
    last: Option<String>,
    /// What leads to the page these are of.
    page: Option<Cursor>,
    next: Next,
    reader: Option<Box<Reader<'r>>>,
    /// What of the page that is read next was taken before a restart.
    taken: Option<(u64, Option<String>)>,
    awaited: bool,
}

/// What follows the page.
enum Next {
    /// The first one.
    First,
    At(Cursor),
    Over,
}

impl<'r> Level<'r> {
    /// Before its first page.
    pub(super) fn unread() -> Self {
        Self {
            left: VecDeque::new(),
            wrong: None,
            at: 0,
            last: None,
            page: None,
            next: Next::First,
            reader: None,
            taken: None,
            awaited: false,
        }
    }

    /// From a stored place.
    pub(super) fn resume(place: LevelPlace) -> Self {
        let LevelPlace { page, at, last, rest } = place;
        if let Some(Rest { entries, next }) = rest {
            let next = next.map_or(Next::Over, Next::At);
            return Self { left: entries.into(), at, last, page, next, ..Self::unread() };
        }
        let next = page.map_or(Next::First, Next::At);
        Self { next, taken: Some((at, last)), ..Self::unread() }
    }

    /// As it is stored.
    pub(super) fn place(&self) -> LevelPlace {
        if let Some((at, last)) = &self.taken {
            return LevelPlace { page: self.cursor(), at: *at, last: last.clone(), rest: None };
        }
        let begun = self.page.is_some() || !matches!(self.next, Next::First);
        if !begun {
            return LevelPlace::default();
        }
        let next = self.cursor();
        // A list of the configuration is there again after a restart.
        let listed = self.page.is_none() && next.is_none();
        let rest = if self.wrong.is_none() && !listed { rest(self.left.iter(), next.as_ref()) } else { None };
        LevelPlace { page: self.page.clone(), at: self.at, last: self.last.clone(), rest }
    }

    /// The next parent of its page.
    pub(super) fn take(&mut self) -> Option<Entry> {
        let entry = self.left.pop_front()?;
        self.at += 1;
        self.last = Some(entry.key.clone());
        Some(entry)
    }

    pub(super) fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.awaited
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.next, Next::Over)
    }

    /// What leads to the next page; none = it is the first.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        match &self.next {
            Next::At(cursor) => Some(cursor.clone()),
            Next::First | Next::Over => None,
        }
    }

    /// Who reads it, when it is still here.
    pub(super) fn reader(&mut self) -> Option<Box<Reader<'r>>> {
        self.reader.take()
    }

    pub(super) fn keep(&mut self, reader: Box<Reader<'r>>) {
        self.reader = Some(reader);
    }

    /// The next page is here, and this led to it.
    pub(super) fn at(&mut self, before: Cursor) {
        self.next = Next::At(before);
    }

    /// The next page is being read, and this leads to it.
    pub(super) fn awaits(&mut self, before: Cursor) {
        // Until it is here it is the place: what was left of the page before is taken.
        self.at(before);
        self.awaited = true;
    }

    /// The next page could not be read.
    pub(super) fn give_up(&mut self) {
        self.awaited = false;
    }

    /// The next page is here.
    pub(super) fn land(&mut self, page: &Parents, reader: Option<Box<Reader<'r>>>) {
        let taken = self.taken.take().map_or(0, |(at, last)| passed(&page.entries, at, last.as_deref()));
        self.page = self.cursor();
        self.left = page.entries.iter().skip(taken).cloned().collect();
        self.at = taken as u64;
        self.last = taken.checked_sub(1).and_then(|at| page.entries.get(at)).map(|entry| entry.key.clone());
        self.wrong.clone_from(&page.wrong);
        self.next = page.next.clone().map_or(Next::Over, Next::At);
        self.reader = reader;
        self.awaited = false;
    }
}

/// How many parents of a page that is read again were taken: it may have changed meanwhile, so the last one taken is
/// looked for. When that is gone none counts as taken: twice is better than never.
fn passed(entries: &[Entry], at: u64, last: Option<&str>) -> usize {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let Some(last) = last else { return 0 };
    let is_last = |index: usize| entries.get(index).is_some_and(|entry| entry.key == last);
    if at.checked_sub(1).is_some_and(is_last) {
        return at;
    }
    (0..entries.len()).find(|index| is_last(*index)).map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(keys: &[&str]) -> Vec<Entry> {
        keys.iter().map(|key| Entry { key: (*key).to_owned(), record: None }).collect()
    }

    #[test]
    fn a_page_that_changed_is_gone_on_with_after_the_parent_taken_last() {
        let page = entries(&["1", "2", "3", "4"]);
        assert_eq!(passed(&page, 2, Some("2")), 2);
        // One was added before it, or removed.
        assert_eq!(passed(&page, 1, Some("2")), 2);
        assert_eq!(passed(&page, 4, Some("3")), 3);
        assert_eq!(passed(&page, 2, Some("9")), 0);
        assert_eq!(passed(&page, 0, None), 0);
        assert_eq!(passed(&[], 2, Some("2")), 0);
    }

    #[test]
    fn a_level_goes_on_where_its_place_was_stored() {
        let cursor = |taken| Cursor::at(None, taken, None);
        let page = Parents { entries: entries(&["1", "2", "3"]), wrong: None, next: Some(cursor(3)) };
        let mut level = Level::unread();
        assert_eq!(level.place(), LevelPlace::default());
        level.awaits(cursor(0));
        let asked = LevelPlace { page: None, at: 0, last: None, rest: rest([].iter(), Some(&cursor(0))) };
        assert_eq!(level.place(), asked);
        level.land(&page, None);
        assert_eq!(level.take().map(|entry| entry.key).as_deref(), Some("1"));
        let mut again = Level::resume(level.place());
        assert_eq!(again.place(), level.place());
        assert_eq!(again.take().map(|entry| entry.key).as_deref(), Some("2"));
        // Without what was left of it: the page is read again.
        let mut again = Level::resume(LevelPlace { rest: None, ..level.place() });
        assert!(again.take().is_none() && again.cursor() == Some(cursor(0)));
        assert_eq!(again.place(), LevelPlace { rest: None, ..level.place() });
        again.land(&page, None);
        assert_eq!(again.take().map(|entry| entry.key).as_deref(), Some("2"));
    }

    #[test]
    fn a_parent_that_is_wrong_is_met_again_after_a_restart() {
        let page = Parents { entries: entries(&["1"]), wrong: Some("null".to_owned()), next: None };
        let mut level = Level::unread();
        level.awaits(Cursor::at(None, 0, None));
        level.land(&page, None);
        assert!(level.take().is_some() && level.wrong().is_some());
        let mut again = Level::resume(level.place());
        again.land(&page, None);
        assert!(again.take().is_none() && again.wrong().is_some());
    }
}
