//! The pure queue: no clocks, no tasks, no wakers. Time comes in as an argument, decisions go out as values.
//!
//! A ticket's number is its age, so a request that is sent again keeps its place by keeping its number. Every
//! operation marks the pools it touched; `grant` looks at those and at the pools whose alarm has come, so an operation
//! costs the same whatever the number of tickets, flows and other pools.
// size: one state, and all that can happen to a ticket in it.

mod adaptive;
mod explain;
mod line;
mod pool;
mod rate;
mod shares;
#[cfg(test)]
mod tests;
mod topology;
mod view;

use super::limits::{Allowance, LevelChange, LineId, PauseScope, Signal};
use crate::value::id::FlowId;
use crate::value::time::Mono;
use line::{Head, Line, Place};
use pool::Pool;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

/// A place in line. Never reused; a smaller one is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// A line's number inside the state. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineKey(u32);

/// Keys are our own numbers and names from configuration: nobody outside can choose them to collide.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// A pool goes by the key of the line that lends its level.
type PoolKey = LineKey;

/// A ticket that may send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Which ticket.
    pub ticket: Ticket,
    /// Its line.
    pub line: LineKey,
    /// Time in line since it joined or rejoined.
    pub waited: Duration,
}

/// Grants in the order of their starts.
pub type Grants = SmallVec<[Grant; 4]>;

#[derive(Clone)]
struct Entry {
    line: LineKey,
    flow: FlowId,
    place: Place,
    /// What one start costs its flow under the fair order.
    stride: u64,
    joined: Mono,
    /// Since when it stands in line, or aside, or is in flight.
    since: Mono,
    started_before: bool,
    /// Whom a limited answer to this ticket made wait.
    limited: Option<PauseScope>,
    phase: Phase,
}

#[derive(Clone)]
enum Phase {
    Ready,
    BackingOff(Mono),
    /// Waits for something else than time: see `step_aside`.
    Aside,
    /// Counted in the pool it started in, and in each pool its line has moved to since.
    InFlight {
        pools: SmallVec<[PoolKey; 1]>,
        waited: Duration,
    },
}

/// Who may send next, over all pools.
#[derive(Clone, Default)]
pub struct QueueState {
    lines: BTreeMap<LineKey, Line>,
    keys: Map<LineId, LineKey>,
    pools: BTreeMap<PoolKey, Pool>,
    tickets: Map<Ticket, Entry>,
    /// Pools to look at in the next `grant`.
    changed: Vec<PoolKey>,
    /// When a pool wants to be looked at though nothing happens to it.
    alarms: BTreeSet<(Mono, PoolKey)>,
    last_ticket: u64,
    last_line: u32,
}

enum Next {
    Start(LineKey, Place),
    Later(Mono),
    /// Nothing can start before something else happens to the pool.
    Idle,
}

impl QueueState {
    /// Puts a new ticket at the end of a line; `None` when there is no such line.
    pub fn join(&mut self, line: &LineId, flow: &FlowId, weight: NonZeroU32, now: Mono) -> Option<Ticket> {
        let key = *self.keys.get(line)?;
        let line = self.lines.get_mut(&key)?;
        let pool = self.pools.get_mut(&line.pool)?;
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let stride = shares::stride(weight);
        let place = Place::fresh(pool.rank(flow, stride), ticket);
        line.stand(place);
        touch(pool, line.pool, &mut self.changed);
        let entry = Entry {
            line: key,
            flow: flow.clone(),
            place,
            stride,
            joined: now,
            since: now,
            started_before: false,
            limited: None,
            phase: Phase::Ready,
        };
        self.tickets.insert(ticket, entry);
        Some(ticket)
    }

    /// Ends a ticket's request and puts it back at its old place, to be sent again not before `not_before`. False when
    /// the ticket is not in flight.
    pub fn rejoin(&mut self, ticket: Ticket, not_before: Mono, now: Mono) -> bool {
        let Some(entry) = self.tickets.get_mut(&ticket) else { return false };
        let (key, limited) = (entry.line, entry.limited);
        let Some(line) = self.lines.get_mut(&key) else { return false };
        let Phase::InFlight { pools, .. } = &mut entry.phase else { return false };
        let pools = std::mem::take(pools);
        let started = std::mem::replace(&mut entry.since, now);
        entry.phase = Phase::Ready;
        line.in_flight = line.in_flight.saturating_sub(1);
        if limited.is_none() && not_before > now {
            entry.phase = Phase::BackingOff(not_before);
            line.back_off(entry.place, not_before);
        } else {
            // Its own delay becomes part of the pause, so that nobody is sent between the pause and this request.
            entry.place = if limited.is_some() { entry.place.ahead() } else { entry.place };
            line.stand(entry.place);
        }
        self.touch_line(key);
        if let Some(scope) = limited {
            self.hold(key, not_before, scope);
        }
        self.end_request(&pools, started, now);
        true
    }

    /// Ends the delay of a ticket that backs off.
    pub fn hasten(&mut self, ticket: Ticket) {
        let Some(entry) = self.tickets.get_mut(&ticket) else { return };
        let Phase::BackingOff(until) = entry.phase else { return };
        entry.phase = Phase::Ready;
        let (key, place) = (entry.line, entry.place);
        if let Some(line) = self.lines.get_mut(&key) {
            line.give_up(place, until);
            line.stand(place);
        }
        self.touch_line(key);
    }

    /// Ends a ticket's request and lets it stand aside, at its old place: others pass, at level 1 too, until `recall`.
    /// False when the ticket is not in flight.
    pub fn step_aside(&mut self, ticket: Ticket, now: Mono) -> bool {
        let Some(entry) = self.tickets.get_mut(&ticket) else { return false };
        let Some(line) = self.lines.get_mut(&entry.line) else { return false };
        let Phase::InFlight { pools, .. } = &mut entry.phase else { return false };
        let pools = std::mem::take(pools);
        let started = std::mem::replace(&mut entry.since, now);
        entry.phase = Phase::Aside;
        line.in_flight = line.in_flight.saturating_sub(1);
        line.step_aside(entry.place);
        self.end_request(&pools, started, now);
        true
    }

    /// Puts a ticket that stands aside back into line, at its old place.
    pub fn recall(&mut self, ticket: Ticket) {
        let Some(entry) = self.tickets.get_mut(&ticket).filter(|entry| matches!(entry.phase, Phase::Aside)) else {
            return;
        };
        entry.phase = Phase::Ready;
        let (key, place) = (entry.line, entry.place);
        if let Some(line) = self.lines.get_mut(&key) {
            line.come_back(place);
            line.stand(place);
        }
        self.touch_line(key);
    }

    /// Takes a ticket out of the queue for good: out of the line, or releases what it has in flight. The line it left;
    /// `None`, and nothing happens, for a ticket that has left already.
    pub fn leave(&mut self, ticket: Ticket, now: Mono) -> Option<LineKey> {
        let entry = self.tickets.remove(&ticket)?;
        let line = self.lines.get_mut(&entry.line)?;
        match &entry.phase {
            Phase::InFlight { .. } => line.in_flight = line.in_flight.saturating_sub(1),
            Phase::Ready => line.step_out(entry.place),
            Phase::BackingOff(until) => line.give_up(entry.place, *until),
            Phase::Aside => line.come_back(entry.place),
        }
        if !entry.started_before
            && let Some(pool) = self.pools.get_mut(&line.pool)
        {
            pool.refund(&entry.flow, entry.stride);
        }
        self.touch_line(entry.line);
        if let Phase::InFlight { pools, .. } = entry.phase {
            self.end_request(&pools, entry.since, now);
        }
        self.sweep_line(entry.line);
        Some(entry.line)
    }

    /// Holds the ticket's pool or line until `until` and puts the ticket first after the pause, should it be sent
    /// again. A shorter pause never shortens a longer one.
    pub fn pause(&mut self, ticket: Ticket, until: Mono, scope: PauseScope) {
        let Some(entry) = self.tickets.get_mut(&ticket) else { return };
        entry.limited = Some(scope);
        let line = entry.line;
        self.hold(line, until, scope);
    }

    /// An attempt of a ticket in flight has ended; its permit is not back yet. Gives the change of an adaptive level and
    /// the lines it holds for.
    pub fn learn(
        &mut self,
        ticket: Ticket,
        signal: Signal,
        started: Mono,
        now: Mono,
    ) -> Option<(LevelChange, Vec<LineKey>)> {
        let key = self.lines.get(&self.tickets.get(&ticket)?.line)?.pool;
        let pool = self.pools.get_mut(&key)?;
        let change = pool.learn(signal, started, now)?;
        touch(pool, key, &mut self.changed);
        Some((change, pool.lines.clone()))
    }

    /// Remembers what the server told a ticket's line about its own limit.
    pub fn told(&mut self, ticket: Ticket, allowance: Allowance) {
        if let Some(entry) = self.tickets.get(&ticket)
            && let Some(line) = self.lines.get_mut(&entry.line)
        {
            line.allowance = Some(allowance);
        }
    }

    /// Starts everything that may start now, in order.
    pub fn grant(&mut self, now: Mono) -> Grants {
        let mut grants = Grants::new();
        while let Some(&(at, key)) = self.alarms.first()
            && at <= now
        {
            self.alarms.pop_first();
            if let Some(pool) = self.pools.get_mut(&key) {
                pool.alarm = None;
                touch(pool, key, &mut self.changed);
            }
        }
        while let Some(key) = self.changed.pop() {
            self.grant_pool(key, now, &mut grants);
        }
        grants
    }

    /// When `grant` has to be asked again though nothing else happens: never later than the next possible start.
    pub fn next_wake(&self) -> Option<Mono> {
        self.alarms.first().map(|&(at, _)| at)
    }

    /// How long a ticket that is in flight stood in line before; `None` for any other ticket.
    pub fn waited(&self, ticket: Ticket) -> Option<Duration> {
        match self.tickets.get(&ticket)?.phase {
            Phase::InFlight { waited, .. } => Some(waited),
            Phase::Ready | Phase::BackingOff(_) | Phase::Aside => None,
        }
    }

    /// The line a ticket stands in or was sent from.
    pub fn line_of(&self, ticket: Ticket) -> Option<LineKey> {
        self.tickets.get(&ticket).map(|entry| entry.line)
    }

    /// Tickets waiting and requests in flight of a line that is still there.
    pub fn counts(&self, line: LineKey) -> Option<(usize, u32)> {
        self.lines.get(&line).map(|line| (line.depth(), line.in_flight))
    }

    fn grant_pool(&mut self, key: PoolKey, now: Mono, grants: &mut Grants) {
        let alarm = loop {
            match self.next_start(key, now) {
                Next::Start(line, place) => grants.extend(self.start(key, line, place, now)),
                Next::Later(at) => break Some(at),
                Next::Idle => break None,
            }
        };
        let Some(pool) = self.pools.get_mut(&key) else { return };
        pool.changed = false;
        if pool.alarm != alarm {
            if let Some(old) = pool.alarm {
                self.alarms.remove(&(old, key));
            }
            pool.alarm = alarm;
            self.alarms.extend(alarm.map(|at| (at, key)));
        }
    }

    fn next_start(&mut self, key: PoolKey, now: Mono) -> Next {
        let Some(pool) = self.pools.get_mut(&key) else { return Next::Idle };
        if pool.is_full() {
            return Next::Idle;
        }
        let (mut first, mut later) = (None, None);
        for key in &pool.lines {
            match self.lines.get_mut(key).map_or(Head::Empty, |line| line.head(pool.level, now)) {
                Head::Ready(place) if first.is_none_or(|(other, _)| place < other) => first = Some((place, *key)),
                Head::Later(at) if later.is_none_or(|other| at < other) => later = Some(at),
                _ => {}
            }
        }
        let opens = pool.gates(now).opens();
        match (first, later) {
            (Some((place, line)), _) if opens <= now => Next::Start(line, place),
            (Some(_), _) => Next::Later(opens),
            (None, Some(at)) => Next::Later(at),
            (None, None) => Next::Idle,
        }
    }

    fn start(&mut self, pool_key: PoolKey, key: LineKey, place: Place, now: Mono) -> Option<Grant> {
        let line = self.lines.get_mut(&key)?;
        line.step_out(place);
        let pool = self.pools.get_mut(&pool_key)?;
        let entry = self.tickets.get_mut(&place.ticket)?;
        pool.start(now, (!entry.started_before).then_some(place));
        line.in_flight += 1;
        let waited = now.since(std::mem::replace(&mut entry.since, now));
        entry.place = place.sent();
        entry.started_before = true;
        entry.limited = None;
        entry.phase = Phase::InFlight { pools: SmallVec::from_elem(pool_key, 1), waited };
        Some(Grant { ticket: place.ticket, line: key, waited })
    }

    fn hold(&mut self, key: LineKey, until: Mono, scope: PauseScope) {
        let Some(line) = self.lines.get_mut(&key) else { return };
        match scope {
            PauseScope::Connection => line.paused_until = line.paused_until.max(until),
            PauseScope::Pool => {
                if let Some(pool) = self.pools.get_mut(&line.pool) {
                    pool.paused_until = pool.paused_until.max(until);
                }
            }
        }
        self.touch_line(key);
    }

    fn end_request(&mut self, counted_in: &[PoolKey], started: Mono, now: Mono) {
        for key in counted_in {
            if let Some(pool) = self.pools.get_mut(key) {
                pool.end(started, now);
                touch(pool, *key, &mut self.changed);
            }
            self.sweep_pool(*key);
        }
    }

    fn touch_line(&mut self, key: LineKey) {
        if let Some(line) = self.lines.get(&key)
            && let Some(pool) = self.pools.get_mut(&line.pool)
        {
            touch(pool, line.pool, &mut self.changed);
        }
    }
}

fn touch(pool: &mut Pool, key: PoolKey, changed: &mut Vec<PoolKey>) {
    if !pool.changed {
        pool.changed = true;
        changed.push(key);
    }
}
