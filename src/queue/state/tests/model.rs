//! The queue as a list: what the state must do, written as plainly as possible and without any cleverness.
//!
//! Every ticket is a row; every question is a scan over all rows. Rate windows look at every start ever made.

use super::*;
use crate::queue::limits::PauseScope;

#[derive(Clone, Debug, PartialEq)]
enum Where {
    Waiting { not_before: u64, limited: bool },
    Sent { pools: Vec<usize>, limited: Option<PauseScope> },
    Gone,
}

#[derive(Clone, Debug)]
struct Row {
    line: usize,
    retried: bool,
    place: Where,
}

#[derive(Clone, Debug, Default)]
struct Pool {
    exists: bool,
    /// Every start there has been, by this window's memory of the pool.
    starts: Vec<u64>,
    last_end: u64,
    paused_until: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) limits: Limits,
    pub(super) pool: Option<usize>,
    paused_until: u64,
}

/// Lines and pools go by the number of the line; a pool by that of its lender.
#[derive(Clone, Debug)]
pub(super) struct Model {
    rows: Vec<Row>,
    pub(super) lines: Vec<Line>,
    pools: Vec<Pool>,
}

impl Model {
    pub(super) fn new(lines: usize) -> Self {
        let line = Line { limits: fixed(1), pool: None, paused_until: 0 };
        Self { rows: Vec::new(), lines: vec![line; lines], pools: vec![Pool::default(); lines] }
    }

    pub(super) fn join(&mut self, line: usize) {
        let place = Where::Waiting { not_before: 0, limited: false };
        self.rows.push(Row { line, retried: false, place });
    }

    pub(super) fn sent(&self) -> Vec<usize> {
        self.find(|row| matches!(row.place, Where::Sent { .. }))
    }

    pub(super) fn present(&self) -> Vec<usize> {
        self.find(|row| row.place != Where::Gone)
    }

    pub(super) fn waiting(&self, line: usize) -> usize {
        self.find(|row| row.line == line && matches!(row.place, Where::Waiting { .. })).len()
    }

    pub(super) fn in_flight(&self, line: usize) -> usize {
        self.find(|row| row.line == line && matches!(row.place, Where::Sent { .. })).len()
    }

    pub(super) fn pool_of(&self, row: usize) -> usize {
        self.lines[self.rows[row].line].pool.unwrap()
    }

    fn find(&self, test: impl Fn(&Row) -> bool) -> Vec<usize> {
        self.rows.iter().enumerate().filter(|(_, row)| test(row)).map(|(number, _)| number).collect()
    }

    pub(super) fn leave(&mut self, row: usize, now: u64) {
        self.end(row, now);
        self.rows[row].place = Where::Gone;
    }

    pub(super) fn rejoin(&mut self, row: usize, not_before: u64, now: u64) {
        let Where::Sent { limited, .. } = self.rows[row].place.clone() else { return };
        self.end(row, now);
        self.rows[row].place = Where::Waiting { not_before, limited: limited.is_some() };
        if let Some(scope) = limited {
            self.hold(row, not_before, scope);
        }
    }

    pub(super) fn pause(&mut self, row: usize, until: u64, scope: PauseScope) {
        let Where::Sent { limited, .. } = &mut self.rows[row].place else { return };
        *limited = Some(scope);
        self.hold(row, until, scope);
    }

    fn hold(&mut self, row: usize, until: u64, scope: PauseScope) {
        let line = self.rows[row].line;
        let paused_until = match scope {
            PauseScope::Connection => &mut self.lines[line].paused_until,
            PauseScope::Pool => &mut self.pools[self.lines[line].pool.unwrap()].paused_until,
        };
        *paused_until = until.max(*paused_until);
    }

    fn end(&mut self, row: usize, now: u64) {
        if let Where::Sent { pools, .. } = self.rows[row].place.clone() {
            for pool in pools {
                self.pools[pool].last_end = now;
            }
        }
    }

    fn lender(&self, line: usize, id_of: &impl Fn(usize) -> ConnectionId) -> usize {
        let mut seen = vec![line];
        loop {
            let at = seen[seen.len() - 1];
            let Level::Borrow(lender) = &self.lines[at].limits.level else { return at };
            let next = (0..self.lines.len()).find(|other| id_of(*other) == *lender).unwrap();
            if seen.contains(&next) {
                return line;
            }
            seen.push(next);
        }
    }

    pub(super) fn apply(&mut self, limits: Vec<Limits>, now: u64, id_of: impl Fn(usize) -> ConnectionId) {
        for (line, limits) in self.lines.iter_mut().zip(limits) {
            line.limits = limits;
        }
        for line in 0..self.lines.len() {
            let (old, new) = (self.lines[line].pool, self.lender(line, &id_of));
            if old == Some(new) {
                continue;
            }
            if !self.pools[new].exists {
                self.pools[new] = Pool { exists: true, last_end: now, ..Pool::default() };
            }
            self.lines[line].pool = Some(new);
            if let Some(old) = old {
                let (paused_until, last_end) = (self.pools[old].paused_until, self.pools[old].last_end);
                self.lines[line].paused_until = self.lines[line].paused_until.max(paused_until);
                self.pools[new].last_end = self.pools[new].last_end.max(last_end);
            }
        }
        for number in 0..self.rows.len() {
            let pool = self.pool_of(number);
            if let Where::Sent { pools, .. } = &mut self.rows[number].place
                && !pools.contains(&pool)
            {
                pools.push(pool);
            }
        }
        self.forget_pools();
    }

    /// A pool that has neither lines nor requests is forgotten, and new when it comes back.
    pub(super) fn forget_pools(&mut self) {
        for pool in 0..self.pools.len() {
            if self.counted(pool) == 0 && self.lines.iter().all(|line| line.pool != Some(pool)) {
                self.pools[pool] = Pool::default();
            }
        }
    }

    fn counted(&self, pool: usize) -> usize {
        self.find(|row| matches!(&row.place, Where::Sent { pools, .. } if pools.contains(&pool))).len()
    }

    pub(super) fn level(&self, pool: usize) -> usize {
        match self.lines[pool].limits.level {
            Level::Burst(level) | Level::Fixed(level) | Level::Adaptive(level) => level.get() as usize,
            Level::Borrow(_) => 1,
        }
    }

    pub(super) fn is_fair(&self, pool: usize) -> bool {
        self.lines[pool].limits.order == Order::Fair
    }

    fn gates_open(&self, number: usize, now: u64) -> bool {
        let (pool, level, limits) = (&self.pools[number], self.level(number), &self.lines[number].limits);
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap();
        let rate = limits.rate.iter().all(|window| {
            let recent = pool.starts.iter().filter(|start| **start + millis(window.per) > now).count();
            recent < window.count.get() as usize
        });
        rate && self.counted(number) < level
            && pool.paused_until <= now
            && (level > 1 || pool.last_end + millis(limits.wait_time) <= now)
    }

    /// Rows of this pool that may be sent at `now` as far as their own line is concerned, best first.
    fn candidates(&self, pool: usize, now: u64) -> Vec<usize> {
        let mut rows = self.find(|row| {
            let line = &self.lines[row.line];
            line.pool == Some(pool)
                && line.paused_until <= now
                && matches!(row.place, Where::Waiting { not_before, limited } if limited || not_before <= now)
        });
        if self.level(pool) == 1 {
            rows.retain(|row| !self.waits_for_another(*row, now));
        }
        rows.sort_by_key(|row| (!self.is_limited(*row), *row));
        rows
    }

    fn is_limited(&self, row: usize) -> bool {
        matches!(self.rows[row].place, Where::Waiting { limited: true, .. })
    }

    /// At level 1: an older ticket of its line backs off (under the fair order: any that was sent before).
    fn waits_for_another(&self, row: usize, now: u64) -> bool {
        let line = self.rows[row].line;
        let is_fair = self.is_fair(self.lines[line].pool.unwrap());
        let passes = |other: usize| other < row || (is_fair && !self.rows[row].retried);
        let backs_off = |other: &Row| {
            other.line == line
                && matches!(other.place, Where::Waiting { not_before, limited: false } if not_before > now)
        };
        !self.is_limited(row) && self.find(backs_off).into_iter().any(passes)
    }

    /// All rows one of which has to be sent next; empty when nothing may. Under `fifo` there is one.
    pub(super) fn next(&self, pool: usize, now: u64) -> Vec<usize> {
        if !self.pools[pool].exists || !self.gates_open(pool, now) {
            return Vec::new();
        }
        let mut rows = self.candidates(pool, now);
        let is_choice = self.is_fair(pool) && rows.first().is_some_and(|row| !self.is_limited(*row));
        if !is_choice {
            rows.truncate(1);
        }
        rows
    }

    pub(super) fn start(&mut self, row: usize, now: u64) {
        let pool = self.pool_of(row);
        self.pools[pool].starts.push(now);
        self.rows[row].retried = true;
        self.rows[row].place = Where::Sent { pools: vec![pool], limited: None };
        assert!(self.counted(pool) <= self.level(pool));
    }

    /// The first instant after `now` at which something may start though nothing happens until then.
    pub(super) fn next_chance(&self, now: u64, horizon: u64) -> Option<u64> {
        (now + 1..=horizon).find(|at| (0..self.pools.len()).any(|pool| !self.next(pool, *at).is_empty()))
    }
}
