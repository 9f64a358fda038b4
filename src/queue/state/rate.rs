//! One `rate` window: never more than `count` starts in any window of `per`, exactly, in bounded memory.

use crate::queue::limits::RateWindow;
use crate::value::time::Mono;
use std::collections::VecDeque;
use std::time::Duration;

/// Starts kept one by one; windows with a larger count keep groups of starts instead.
const SLOTS: u32 = 4096;

/// Starts counted together, all as if they had happened at the last of them: that can delay a start, never admit one.
#[derive(Clone)]
struct Slot {
    first: Mono,
    last: Mono,
    starts: u32,
}

#[derive(Clone)]
pub(super) struct Window {
    limit: RateWindow,
    slots: VecDeque<Slot>,
    /// Sum of `starts`; without the oldest slot always below the count.
    starts: u64,
}

impl Window {
    pub(super) fn new(limit: RateWindow) -> Self {
        Self { limit, slots: VecDeque::new(), starts: 0 }
    }

    /// A new window that knows what the old ones remember.
    pub(super) fn after(old: &[Self], limit: RateWindow, now: Mono) -> Self {
        let mut window = Self::new(limit);
        if let Some(known) = old.iter().max_by_key(|window| window.starts) {
            for slot in known.slots.iter().filter(|slot| slot.last.plus(limit.per) > now) {
                for _ in 0..slot.starts {
                    window.start(slot.last);
                }
            }
        }
        window
    }

    pub(super) fn limit(&self) -> RateWindow {
        self.limit
    }

    /// The earliest instant at which this window lets something start.
    pub(super) fn opens(&mut self, now: Mono) -> Mono {
        while let Some(slot) = self.slots.front()
            && slot.last.plus(self.limit.per) <= now
        {
            self.drop_oldest();
        }
        match self.slots.front() {
            Some(slot) if self.starts >= u64::from(self.limit.count.get()) => slot.last.plus(self.limit.per),
            _ => Mono::default(),
        }
    }

    pub(super) fn start(&mut self, now: Mono) {
        let (most, span) = self.slot_size();
        match self.slots.back_mut() {
            Some(slot) if slot.starts < most && now.since(slot.first) <= span => {
                slot.starts += 1;
                slot.last = now;
            }
            _ => self.slots.push_back(Slot { first: now, last: now, starts: 1 }),
        }
        self.starts += 1;
        while let Some(slot) = self.slots.front()
            && self.starts - u64::from(slot.starts) >= u64::from(self.limit.count.get())
        {
            self.drop_oldest();
        }
    }

    /// How many starts share a slot, and over which time at most.
    fn slot_size(&self) -> (u32, Duration) {
        (self.limit.count.get().div_ceil(SLOTS), self.limit.per / SLOTS)
    }

    fn drop_oldest(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.starts -= u64::from(slot.starts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    fn window(count: u32, per: Duration) -> Window {
        Window::new(RateWindow { count: NonZeroU32::new(count).unwrap(), per })
    }

    /// Starts as early as the window allows, `tries` times, with pauses that differ; returns the starts.
    fn greedy(window: &mut Window, tries: u64, pauses: u64) -> Vec<Mono> {
        let (mut now, mut starts) = (at(0), Vec::new());
        for turn in 0..tries {
            now = now.max(window.opens(now)).plus(Duration::from_micros(turn * turn % pauses));
            assert!(window.opens(now) <= now, "a window that is open stays open");
            window.start(now);
            starts.push(now);
        }
        starts
    }

    #[test]
    fn no_window_of_the_length_holds_more_than_the_count() {
        for (count, per) in [(1, 10), (3, 10), (10, 1000)] {
            let starts = greedy(&mut window(count, Duration::from_millis(per)), 500, 1700);
            for pair in starts.windows(count as usize + 1) {
                assert!(pair[count as usize].since(pair[0]) >= Duration::from_millis(per), "{count} in {per}");
            }
        }
    }

    #[test]
    fn opens_exactly_when_the_oldest_start_has_left_the_window() {
        let mut window = window(2, Duration::from_secs(1));
        window.start(at(100));
        window.start(at(300));
        assert_eq!(window.opens(at(300)), at(1100));
        assert!(window.opens(at(1100)) <= at(1100));
        window.start(at(1100));
        assert_eq!(window.opens(at(1100)), at(1300));
    }

    #[test]
    fn a_huge_count_keeps_few_slots_and_is_never_exceeded() {
        let per = Duration::from_secs(1);
        let mut window = window(100_000, per);
        let starts = greedy(&mut window, 250_000, 7);
        assert!(window.slots.len() <= 2 * SLOTS as usize + 1, "{}", window.slots.len());
        assert!(starts.windows(100_001).all(|pair| pair[100_000].since(pair[0]) >= per));
    }

    #[test]
    fn starts_far_apart_are_not_counted_together() {
        let mut window = window(8192, Duration::from_secs(8192));
        window.start(at(0));
        for _ in 1..8192 {
            window.start(at(8_000_000));
        }
        assert!(window.opens(at(8_000_000)) <= at(8_194_000), "the first start has left by then");
    }

    #[test]
    fn a_changed_window_remembers_the_newest_starts() {
        let mut old = window(5, Duration::from_secs(10));
        for turn in 0..5 {
            old.start(at(turn * 100));
        }
        let stricter = RateWindow { count: NonZeroU32::new(2).unwrap(), per: Duration::from_secs(1) };
        let mut new = Window::after(&[old], stricter, at(400));
        assert_eq!(new.opens(at(400)), at(1300));
    }
}
