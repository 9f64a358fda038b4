//! Which ids a destination has taken and refused: one bit each, and what was wrong.

use super::record::Given;
use super::report::Delivered;

/// The running account of one destination's records.
#[derive(Debug)]
pub(super) struct Tally {
    taken: Bits,
    refused: Bits,
    delivered: Delivered,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { taken: Bits::default(), refused: Bits::default(), delivered: Delivered::default() }
    }

    /// Records an accepted record; `known` is the highest id the source has shown.
    pub(super) fn take(&mut self, given: Given, known: u64) {
        let seen = &mut self.delivered;
        if given.id == 0 || given.id > known {
            seen.foreign += 1;
        } else if self.taken.set(given.id) {
            seen.once += 1;
        } else {
            seen.duplicates += 1;
        }
        if let Some(fault) = given.fault {
            seen.wrong_mapping += 1;
            seen.first_fault.get_or_insert_with(|| format!("record {}: {fault}", given.id));
        }
    }

    /// Records an id answered 422; a permanent refusal sent again is worth knowing.
    pub(super) fn refuse(&mut self, id: u64, known: u64) {
        if id == 0 || id > known {
            self.delivered.foreign += 1;
        } else if self.refused.set(id) {
            self.delivered.refused += 1;
        } else {
            self.delivered.refused_again += 1;
        }
    }

    /// Records a body that is no record at all.
    pub(super) fn unreadable(&mut self, why: &str) {
        self.delivered.unreadable += 1;
        self.delivered.first_fault.get_or_insert_with(|| format!("body: {why}"));
    }

    /// Whether the id has been taken or refused for good.
    pub(super) fn is_settled(&self, id: u64) -> bool {
        self.taken.has(id) || self.refused.has(id)
    }

    /// A copy for reading, against the number of ids the source has shown.
    pub(super) fn report(&self, known: u64) -> Delivered {
        let settled = self.taken.union(&self.refused);
        Delivered { expected: known, missing: known.saturating_sub(settled), ..self.delivered.clone() }
    }
}

/// A set of small numbers; grows to the highest one, which callers bound.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn place(id: u64) -> (usize, u64) {
        (usize::try_from(id / 64).unwrap_or(usize::MAX), 1 << (id % 64))
    }
    /// Adds; false when it was there.
    fn set(&mut self, id: u64) -> bool {
        let (word, bit) = Self::place(id);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
    fn has(&self, id: u64) -> bool {
        let (word, bit) = Self::place(id);
        self.0.get(word).is_some_and(|w| w & bit != 0)
    }
    /// How many numbers are in either.
    fn union(&self, other: &Self) -> u64 {
        let words = self.0.len().max(other.0.len());
        let word = |bits: &Self, i: usize| bits.0.get(i).copied().unwrap_or(0);
        (0..words).map(|i| u64::from((word(self, i) | word(other, i)).count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(id: u64) -> Given {
        Given { id, fault: None }
    }

    #[test]
    fn each_id_counts_once_and_strangers_do_not_hide_a_missing_one() {
        let mut tally = Tally::new();
        for id in [1, 2, 2, 4, 0, 9] {
            tally.take(good(id), 5);
        }
        let seen = tally.report(5);
        assert_eq!((seen.once, seen.duplicates, seen.foreign, seen.missing), (3, 1, 2, 2));
    }

    #[test]
    fn a_refused_id_is_settled_and_one_sent_again_is_noted() {
        let mut tally = Tally::new();
        tally.refuse(3, 5);
        tally.refuse(3, 5);
        let seen = tally.report(5);
        assert_eq!((seen.refused, seen.refused_again, seen.missing), (1, 1, 4));
        assert!(tally.is_settled(3) && !tally.is_settled(4));
    }

    #[test]
    fn the_first_fault_is_kept() {
        let mut tally = Tally::new();
        tally.take(Given { id: 1, fault: Some("sku is off".into()) }, 5);
        tally.unreadable("not JSON");
        let seen = tally.report(5);
        assert_eq!((seen.wrong_mapping, seen.unreadable), (1, 1));
        assert_eq!(seen.first_fault.as_deref(), Some("record 1: sku is off"));
    }
}
