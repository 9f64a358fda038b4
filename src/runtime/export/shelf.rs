//! Pages of parents that were read already: what is listed twice in a run, by another export or for each value of an
//! earlier block, is asked for once. A page that found no room is asked for again: nothing depends on the shelf.

use super::cursor::Cursor;
use super::places::Entry;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most bytes kept.
const MOST: usize = 8 << 20;

/// A page of parents.
#[derive(Debug)]
pub struct Parents {
    /// They.
    pub entries: Vec<Entry>,
    /// What is wrong with the one after these.
    pub wrong: Option<String>,
    /// What leads to the page after it; none = it is the last.
    pub next: Option<Cursor>,
}

impl Parents {
    fn weight(&self) -> usize {
        self.entries.iter().map(|entry| entry.weight() + 64).sum::<usize>() + 256
    }
}

enum Shelved {
    /// Somebody is reading it.
    Awaited,
    Page(Arc<Parents>),
}

#[derive(Default)]
struct Inner {
    pages: HashMap<u128, Shelved>,
    bytes: usize,
}

/// What the shelf says of a page.
pub enum Found {
    /// Here it is.
    Page(Arc<Parents>),
    /// It is on its way.
    Wait,
    /// Whoever asked is to read it, and to say what became of that.
    Read,
}

/// The pages of one run.
#[derive(Default)]
pub struct Shelf(Mutex<Inner>);

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a page.
    pub fn find(&self, key: u128) -> Found {
        let mut inner = self.lock();
        match inner.pages.get(&key) {
            Some(Shelved::Page(page)) => Found::Page(page.clone()),
            Some(Shelved::Awaited) => Found::Wait,
            None => {
                inner.pages.insert(key, Shelved::Awaited);
                Found::Read
            }
        }
    }

    /// A page that was to be read is there, or could not be read.
    pub fn put(&self, key: u128, page: Option<&Arc<Parents>>) {
        let mut inner = self.lock();
        inner.pages.remove(&key);
        if let Some(page) = page
            && inner.bytes + page.weight() <= MOST
        {
            inner.bytes += page.weight();
            inner.pages.insert(key, Shelved::Page(page.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reads_a_page_and_the_others_wait_for_it() {
        let shelf = Shelf::default();
        assert!(matches!(shelf.find(1), Found::Read));
        assert!(matches!(shelf.find(1), Found::Wait));
        shelf.put(1, None);
        assert!(matches!(shelf.find(1), Found::Read));
        let entries = vec![Entry { key: "7".to_owned(), record: None }];
        shelf.put(1, Some(&Arc::new(Parents { entries, wrong: None, next: None })));
        assert!(matches!(shelf.find(1), Found::Page(page) if page.entries.len() == 1));
    }

    #[test]
    fn a_full_shelf_takes_no_more() {
        let shelf = Shelf::default();
        let page = |bytes: usize| {
            let entries = vec![Entry { key: "1".repeat(bytes), record: None }];
            Arc::new(Parents { entries, wrong: None, next: None })
        };
        shelf.put(1, Some(&page(MOST - 1000)));
        shelf.put(2, Some(&page(1000)));
        assert!(matches!(shelf.find(1), Found::Page(_)));
        assert!(matches!(shelf.find(2), Found::Read));
    }
}
