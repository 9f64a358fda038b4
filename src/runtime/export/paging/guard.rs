//! Loop guards: no request and no page body may come twice in one run of a pager, however long the cycle.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use xxhash_rust::xxh3::Xxh3;

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

    /// Notes a page of JSON, whose white space between values says nothing.
    pub(super) fn json(&mut self, page: u64, body: &[u8]) -> Option<u64> {
        // However it is cut: only the bytes count.
        let mut print = Xxh3::with_seed(self.hasher.hash_one(0));
        significant(body, |piece| print.update(piece));
        self.bodies.insert(print.digest(), page)
    }
}

/// JSON without the white space between its values, in as few pieces as there can be: a page is gone through once more
/// for it, so texts are leapt over.
fn significant(body: &[u8], mut piece: impl FnMut(&[u8])) {
    let (mut from, mut at) = (0, 0);
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = text_end(body, at + 1),
            b' ' | b'\n' | b'\r' | b'\t' => {
                piece(body.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    piece(body.get(from..).unwrap_or_default());
}

/// Where the text that goes on here has its closing quote.
fn text_end(body: &[u8], mut at: usize) -> usize {
    loop {
        let rest = body.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            None => return body.len(),
            Some(found) if rest.get(found) == Some(&b'"') => return at + found,
            Some(found) => at += found + 2,
        }
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
    fn white_space_between_values_does_not_tell_pages_apart_and_within_texts_it_does() {
        let joined = |body: &str| {
            let mut all = Vec::new();
            significant(body.as_bytes(), |piece| all.extend_from_slice(piece));
            all
        };
        assert_eq!(joined("{ \"a b\" :\n[1 , 2]\t}"), b"{\"a b\":[1,2]}");
        assert_eq!(joined("[\"\\\" x\", 1]"), b"[\"\\\" x\",1]");
        assert_eq!(joined("[\"a\\\\\" , \" b\\n \"] "), b"[\"a\\\\\",\" b\\n \"]");
        // What is cut off is no reason to look beyond its end.
        for cut in ["", " ", "[\"a ", "[\"a\\", "\""] {
            assert_eq!(joined(cut), cut.trim_start().as_bytes(), "{cut}");
        }
        // However it is cut into pieces.
        let mut guard = Guard::default();
        assert_eq!(guard.json(1, b"[1,2]"), None);
        assert_eq!(guard.json(2, b"[1,3]"), None);
        assert_eq!(guard.json(3, b" [ 1,\n2 ]"), Some(1));
    }

    #[test]
    fn bodies_are_compared_whole() {
        let mut guard = Guard::default();
        assert_eq!(guard.body(1, b"[1,2,3]"), None);
        assert_eq!(guard.body(2, b"[1,2,4]"), None);
        assert_eq!(guard.body(3, b"[1,2,3]"), Some(1));
    }
}
