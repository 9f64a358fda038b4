//! The state as `status` shows it.

use super::line::Line;
use super::pool::Pool;
use super::{LineKey, PoolKey, QueueState};
use crate::queue::view::{AllowanceView, LineView, PoolView};
use crate::value::time::Mono;
use std::time::Duration;

impl QueueState {
    /// Every pool that has lines. Costs one look at every waiting ticket.
    pub fn view(&self, now: Mono) -> Vec<PoolView> {
        let shown = self.pools.iter().filter(|(_, pool)| !pool.lines.is_empty());
        shown.map(|(key, pool)| self.view_pool(*key, pool, now)).collect()
    }

    fn view_pool(&self, key: PoolKey, pool: &Pool, now: Mono) -> PoolView {
        let (own, borrowers): (Vec<LineKey>, Vec<LineKey>) = pool.lines.iter().partition(|line| **line == key);
        let lines = own.iter().chain(&borrowers).filter_map(|line| self.lines.get(line));
        PoolView {
            id: pool.id.clone(),
            level: pool.level,
            most: pool.most(),
            in_flight: pool.in_flight,
            paused_for: left(pool.paused_until, now),
            lines: lines.map(|line| self.view_line(line, now)).collect(),
        }
    }

    fn view_line(&self, line: &Line, now: Mono) -> LineView {
        let oldest = line.oldest().and_then(|ticket| self.tickets.get(&ticket));
        LineView {
            id: line.id.clone(),
            depth: line.depth(),
            oldest: oldest.map(|entry| now.since(entry.joined)),
            in_flight: line.in_flight,
            paused_for: left(line.paused_until, now),
            allowance: line.allowance.map(|told| AllowanceView {
                limit: told.limit,
                remaining: told.remaining,
                resets_in: told.resets.map(|at| at.since(now)),
            }),
            closing: line.closing,
        }
    }
}

fn left(until: Mono, now: Mono) -> Option<Duration> {
    Some(until.since(now)).filter(|left| !left.is_zero())
}
