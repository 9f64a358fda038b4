//! Loop guards: no request and no page body may come twice in one run of a pager, however long the cycle.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

/// Fingerprints of what was asked and answered so far. Sixteen bytes a page, bounded by `max_pages`.
#[derive(Debug, Default)]
pub(super) struct Guard {
    hasher: foldhash::quality::RandomState,
    asked: HashMap<u64, u64>,
    bodies: HashMap<u64, u64>,
}

impl Guard {
    /// Notes a request; gives the page that already made the same one.
    pub(super) fn ask(&mut self, page: u64, request: &impl Hash) -> Option<u64> {
        let print = self.hasher.hash_one(request);
        self.asked.insert(print, page)
    }

    /// Notes a page body; gives the page that already had the same one.
    pub(super) fn body(&mut self, page: u64, body: &[u8]) -> Option<u64> {
        let print = self.hasher.hash_one(body);
        self.bodies.insert(print, page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_found_over_longer_cycles() {
        let mut guard = Guard::default();
        for (page, url) in ["a", "b", "c"].iter().enumerate() {
            assert_eq!(guard.ask(page as u64 + 1, url), None);
        }
        assert_eq!(guard.ask(4, &"a"), Some(1));
    }

    #[test]
    fn bodies_are_compared_whole() {
        let mut guard = Guard::default();
        assert_eq!(guard.body(1, b"[1,2,3]"), None);
        assert_eq!(guard.body(2, b"[1,2,4]"), None);
        assert_eq!(guard.body(3, b"[1,2,3]"), Some(1));
    }
}
