//! Putting a set of lines in force while tickets wait and requests are in flight.
//!
//! A request that is in flight when its line moves to another pool counts in the pool it started in and in the new one
//! until it ends: neither limit is exceeded by a start that follows the move. The old pool's pause and last end travel
//! with the line; its rate windows do not, they count the starts of their own pool.

use super::line::{Line, Place};
use super::pool::Pool;
use super::{LineKey, Phase, PoolKey, QueueState, Ticket, touch};
use crate::queue::limits::{Level, Limits, LineId};
use crate::value::time::Mono;
use std::collections::{BTreeSet, HashSet};

/// Loans are followed this far. Configuration allows one hop; what is left of older configurations may add some.
const HOPS: usize = 8;

impl QueueState {
    /// Makes these lines the configured ones. Others close when nothing is left in them.
    pub fn set_topology(&mut self, lines: impl IntoIterator<Item = (LineId, Limits)>, now: Mono) {
        let mut named = HashSet::new();
        for (id, limits) in lines {
            named.insert(self.upsert(id, limits));
        }
        for (key, line) in &mut self.lines {
            line.closing = !named.contains(key);
        }
        let keys: Vec<LineKey> = self.lines.keys().copied().collect();
        let mut reordered = BTreeSet::new();
        for key in keys {
            let pool = self.lender(key);
            if self.enter_pool(key, pool, now) {
                reordered.insert(pool);
            }
        }
        if !reordered.is_empty() {
            self.count_in_new_pools();
        }
        for (key, pool) in &mut self.pools {
            if let Some(lender) = self.lines.get(key)
                && pool.set(&lender.limits, now)
            {
                reordered.insert(*key);
            }
            touch(pool, *key, &mut self.changed);
        }
        for key in reordered {
            self.reorder(key);
        }
        for key in self.lines.keys().copied().collect::<Vec<_>>() {
            self.sweep_line(key);
        }
        for key in self.pools.keys().copied().collect::<Vec<_>>() {
            self.sweep_pool(key);
        }
    }

    /// The line of this name.
    pub fn key(&self, id: &LineId) -> Option<LineKey> {
        self.keys.get(id).copied()
    }

    /// The level a line sends under.
    pub fn level(&self, line: LineKey) -> Option<u32> {
        self.pools.get(&self.lines.get(&line)?.pool).map(|pool| pool.level)
    }

    /// Keeps a line open even without tickets, until as many `let_go` calls follow. False when there is no such line.
    pub fn keep(&mut self, line: LineKey) -> bool {
        self.lines.get_mut(&line).map(|line| line.keepers += 1).is_some()
    }

    /// Undoes one `keep`.
    pub fn let_go(&mut self, line: LineKey) {
        if let Some(line) = self.lines.get_mut(&line) {
            line.keepers = line.keepers.saturating_sub(1);
        }
        self.sweep_line(line);
    }

    fn upsert(&mut self, id: LineId, limits: Limits) -> LineKey {
        if let Some(key) = self.keys.get(&id) {
            if let Some(line) = self.lines.get_mut(key) {
                line.limits = limits;
            }
            return *key;
        }
        self.last_line += 1;
        let key = LineKey(self.last_line);
        self.keys.insert(id.clone(), key);
        self.lines.insert(key, Line::new(id, limits, key));
        key
    }

    /// The line whose level this one sends under; itself when it borrows from nobody that is there.
    fn lender(&self, line: LineKey) -> PoolKey {
        let mut at = line;
        for _ in 0..HOPS {
            let Some(Level::Borrow(id)) = self.lines.get(&at).map(|line| &line.limits.level) else { return at };
            match self.keys.get(&LineId::Connection(id.clone())) {
                Some(next) => at = *next,
                None => return at,
            }
        }
        line
    }

    /// True when the line is new in that pool.
    fn enter_pool(&mut self, key: LineKey, target: PoolKey, now: Mono) -> bool {
        let (Some(line), Some(lender)) = (self.lines.get(&key), self.lines.get(&target)) else { return false };
        let (old, id) = (line.pool, lender.id.clone());
        let pool = self.pools.entry(target).or_insert_with(|| Pool::new(id, now));
        if pool.lines.contains(&key) {
            return false;
        }
        pool.lines.push(key);
        let Some(line) = self.lines.get_mut(&key) else { return false };
        line.pool = target;
        let Some(left) = self.pools.get_mut(&old).filter(|_| old != target) else { return true };
        left.lines.retain(|other| *other != key);
        line.paused_until = line.paused_until.max(left.paused_until);
        let last_end = left.last_end();
        if let Some(pool) = self.pools.get_mut(&target) {
            pool.inherit_end(last_end);
        }
        true
    }

    fn count_in_new_pools(&mut self) {
        for entry in self.tickets.values_mut() {
            let Some(line) = self.lines.get(&entry.line) else { continue };
            if let Phase::InFlight { pools, .. } = &mut entry.phase
                && !pools.contains(&line.pool)
                && let Some(pool) = self.pools.get_mut(&line.pool)
            {
                pools.push(line.pool);
                pool.in_flight += 1;
            }
        }
    }

    /// Gives every ticket of a pool a new place, oldest first, those that were sent before in front.
    fn reorder(&mut self, key: PoolKey) {
        let Some(pool) = self.pools.get_mut(&key) else { return };
        pool.forget_shares();
        let lines = &self.lines;
        let here = |line: &LineKey| lines.get(line).is_some_and(|line| line.pool == key);
        let mut tickets: Vec<Ticket> = self.tickets.iter().filter(|(_, e)| here(&e.line)).map(|(t, _)| *t).collect();
        tickets.sort_unstable();
        for ticket in tickets {
            let Some(entry) = self.tickets.get_mut(&ticket) else { continue };
            let Some(line) = self.lines.get_mut(&entry.line) else { continue };
            let rank = if entry.started_before { 0 } else { pool.rank(&entry.flow, entry.stride) };
            let old = entry.place;
            entry.place = Place { rank, ..old };
            match entry.phase {
                Phase::Ready => {
                    line.step_out(old);
                    line.stand(entry.place);
                }
                Phase::BackingOff(until) => {
                    line.give_up(old, until);
                    line.back_off(entry.place, until);
                }
                Phase::Aside => {
                    line.come_back(old);
                    line.step_aside(entry.place);
                }
                Phase::InFlight { .. } => {}
            }
        }
    }

    /// Removes a closing line when nothing is left in it.
    pub(super) fn sweep_line(&mut self, key: LineKey) {
        if self.lines.get(&key).is_some_and(Line::is_done)
            && let Some(line) = self.lines.remove(&key)
        {
            self.keys.remove(&line.id);
            if let Some(pool) = self.pools.get_mut(&line.pool) {
                pool.lines.retain(|other| *other != key);
            }
            self.sweep_pool(line.pool);
        }
    }

    /// Removes a pool without lines when nothing counts in it any more.
    pub(super) fn sweep_pool(&mut self, key: PoolKey) {
        if self.pools.get(&key).is_some_and(|pool| pool.lines.is_empty() && pool.in_flight == 0)
            && let Some(alarm) = self.pools.remove(&key).and_then(|pool| pool.alarm)
        {
            self.alarms.remove(&(alarm, key));
        }
    }
}
