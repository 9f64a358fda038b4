//! Why a ticket waits, and when it will start: asked of the very rules that grant, on a copy of its pool.
//!
//! A reason is named where [`Pool::gates`](super::pool::Pool::gates) and the ticket's own line say so; whether others go
//! first is not worked out here but tried: with all other reasons taken away, `grant` starts the ticket or it does not.
//! So each reason is necessary and all of them together are enough, which `tests/reasons.rs` tries on random pools.

use super::{LineKey, Phase, PoolKey, QueueState, Ticket, touch};
use crate::queue::view::{Block, FlowShare, HolderView, PoolDetail, TicketView};
use crate::value::id::FlowId;
use crate::value::time::Mono;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// Events looked ahead: what starts later than that is not predicted.
const LOOK_AHEAD: usize = 20_000;

/// One pool with its lines and tickets, as they were.
pub struct Excerpt {
    pub(super) state: QueueState,
    pool: PoolKey,
}

/// Where a ticket will start among those of its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Which ticket.
    pub ticket: Ticket,
    /// When; none when it depends on requests of which nobody knows how long they take.
    pub at: Option<Mono>,
}

impl QueueState {
    /// Whose ticket it is.
    pub fn flow_of(&self, ticket: Ticket) -> Option<&FlowId> {
        self.tickets.get(&ticket).map(|entry| &entry.flow)
    }

    /// The pool a line sends under, alone.
    pub fn excerpt(&self, line: LineKey) -> Option<Excerpt> {
        let key = self.lines.get(&line)?.pool;
        let mut pool = self.pools.get(&key)?.clone();
        (pool.changed, pool.alarm) = (true, None);
        let here = |line: &LineKey| pool.lines.contains(line);
        let counted = |phase: &Phase| matches!(phase, Phase::InFlight { pools, .. } if pools.contains(&key));
        let lines = self.lines.iter().filter(|(line, _)| here(line)).map(|(key, line)| (*key, line.clone())).collect();
        let tickets = self.tickets.iter().filter(|(_, entry)| here(&entry.line) || counted(&entry.phase));
        let tickets = tickets.map(|(ticket, entry)| (*ticket, entry.clone())).collect();
        let state = Self {
            lines,
            tickets,
            pools: BTreeMap::from([(key, pool)]),
            changed: vec![key],
            last_ticket: self.last_ticket,
            ..Self::default()
        };
        Some(Excerpt { state, pool: key })
    }

    /// What each flow has in each line. Costs one look at every ticket.
    pub fn shares(&self, now: Mono) -> Vec<FlowShare> {
        let mut shares: HashMap<(LineKey, &FlowId), FlowShare> = HashMap::new();
        for entry in self.tickets.values() {
            let Some(line) = self.lines.get(&entry.line) else { continue };
            let share = shares.entry((entry.line, &entry.flow)).or_insert_with(|| FlowShare {
                line: line.id.clone(),
                flow: entry.flow.clone(),
                waiting: 0,
                in_flight: 0,
                oldest: None,
            });
            if matches!(entry.phase, Phase::InFlight { .. }) {
                share.in_flight += 1;
            } else {
                share.waiting += 1;
                share.oldest = share.oldest.max(Some(now.since(entry.joined)));
            }
        }
        let mut shares: Vec<FlowShare> = shares.into_values().collect();
        shares.sort_by(|a, b| (&a.line, &a.flow).cmp(&(&b.line, &b.flow)));
        shares
    }
}

impl Excerpt {
    /// Everything about the pool, with the first `most` waiting tickets of flows that `whom` names.
    pub fn detail(&self, now: Mono, whom: impl Fn(&FlowId) -> bool, most: usize) -> Option<PoolDetail> {
        let pool = self.state.view(now).pop()?;
        let starts = self.forecast(now);
        let places: HashMap<Ticket, (usize, Option<Mono>)> =
            starts.iter().enumerate().map(|(place, start)| (start.ticket, (place, start.at))).collect();
        let mut asked: Vec<(usize, Ticket)> = Vec::new();
        for (ticket, entry) in self.state.tickets.iter().filter(|(_, entry)| whom(&entry.flow)) {
            if !matches!(entry.phase, Phase::InFlight { .. }) {
                asked.push((places.get(ticket).map_or(usize::MAX, |(place, _)| *place), *ticket));
            }
        }
        asked.sort_unstable();
        let more = asked.len().saturating_sub(most);
        asked.truncate(most);
        let waiting = asked.iter().filter_map(|(_, ticket)| self.ticket(*ticket, places.get(ticket).copied(), now));
        let waiting = waiting.collect();
        Some(PoolDetail { pool, holders: self.holders(now), shares: self.state.shares(now), waiting, more })
    }

    /// Who has a permit of this pool, the longest first.
    fn holders(&self, now: Mono) -> Vec<HolderView> {
        let mut holders: Vec<HolderView> = Vec::new();
        for entry in self.state.tickets.values() {
            let Phase::InFlight { pools, .. } = &entry.phase else { continue };
            if pools.contains(&self.pool) {
                let line = self.state.lines.get(&entry.line).map(|line| line.id.clone());
                holders.push(HolderView { flow: entry.flow.clone(), line, held: now.since(entry.since) });
            }
        }
        holders.sort_by(|a, b| b.held.cmp(&a.held).then_with(|| a.flow.cmp(&b.flow)));
        holders
    }

    fn ticket(&self, ticket: Ticket, place: Option<(usize, Option<Mono>)>, now: Mono) -> Option<TicketView> {
        let entry = self.state.tickets.get(&ticket)?;
        let mut blocks = self.blocks(ticket, now);
        if let (Some(Block::Order { ahead }), Some((place, _))) = (blocks.last_mut(), place) {
            *ahead = place.max(1);
        }
        Some(TicketView {
            flow: entry.flow.clone(),
            line: self.state.lines.get(&entry.line)?.id.clone(),
            waited: now.since(entry.joined),
            sent_before: entry.started_before,
            blocks,
            position: place.map(|(place, _)| place + 1),
            starts_in: place.and_then(|(_, at)| at).map(|at| at.since(now)),
        })
    }

    /// All that keeps a ticket from starting now; nothing for one in flight.
    pub fn blocks(&self, ticket: Ticket, now: Mono) -> Vec<Block> {
        let mut found = self.gates(ticket, now).unwrap_or_default();
        let is_waiting = self.state.tickets.get(&ticket).is_some_and(|e| !matches!(e.phase, Phase::InFlight { .. }));
        if is_waiting && !self.starts_without(&found, ticket, now) {
            found.push(Block::Order { ahead: self.in_front(ticket) });
        }
        found
    }

    fn gates(&self, ticket: Ticket, now: Mono) -> Option<Vec<Block>> {
        let entry = self.state.tickets.get(&ticket)?;
        let line = self.state.lines.get(&entry.line)?;
        let mut pool = self.state.pools.get(&self.pool)?.clone();
        let mut found = Vec::new();
        let left = |until: Mono| Some(until.since(now)).filter(|left| !left.is_zero());
        match entry.phase {
            Phase::InFlight { .. } => return None,
            Phase::Aside => found.push(Block::Aside),
            Phase::BackingOff(until) => found.extend(left(until).map(|left| Block::BackOff { left })),
            Phase::Ready => {}
        }
        found.extend(left(line.paused_until).map(|left| Block::LinePause { left }));
        if pool.is_full() {
            let lender = (entry.line != self.pool).then(|| pool.id.clone());
            found.push(Block::Level { level: pool.level, in_flight: pool.in_flight, lender });
        }
        let gates = pool.gates(now);
        found.extend(left(gates.paused).map(|left| Block::Pause { left }));
        found.extend(left(gates.waits).map(|left| Block::Wait { left }));
        if let (Some(left), Some(window)) = (left(gates.rated), gates.window) {
            found.push(Block::Rate { window, left });
        }
        Some(found)
    }

    /// Whether the ticket would start at once if these reasons were not there.
    pub fn starts_without(&self, reasons: &[Block], ticket: Ticket, now: Mono) -> bool {
        let mut state = self.state.clone();
        for reason in reasons {
            state.take_away(reason, ticket, self.pool, now);
        }
        state.grant(now).iter().any(|grant| grant.ticket == ticket)
    }

    /// Waiting tickets of the pool that stand before this one.
    fn in_front(&self, ticket: Ticket) -> usize {
        let Some(own) = self.state.tickets.get(&ticket) else { return 0 };
        let before = self
            .state
            .tickets
            .values()
            .filter(|entry| matches!(entry.phase, Phase::Ready | Phase::BackingOff(_)) && entry.place < own.place);
        before.count().max(1)
    }

    /// The order in which what waits will start, and when, if requests go on taking as long as the last ones did.
    pub fn forecast(&self, now: Mono) -> Vec<Start> {
        let mut state = self.state.clone();
        let typical = state.pools.get(&self.pool).and_then(super::pool::Pool::typical);
        let took = typical.unwrap_or_default();
        let mut ends: BTreeSet<(Mono, Ticket)> = BTreeSet::new();
        let mut waiting = 0;
        for (ticket, entry) in &state.tickets {
            match &entry.phase {
                Phase::InFlight { pools, .. } if pools.contains(&self.pool) => {
                    ends.insert((entry.since.plus(took).max(now), *ticket));
                }
                Phase::Ready | Phase::BackingOff(_) => waiting += 1,
                Phase::InFlight { .. } | Phase::Aside => {}
            }
        }
        let (mut starts, mut at, mut sure) = (Vec::new(), now, true);
        for _ in 0..LOOK_AHEAD {
            for grant in state.grant(at) {
                starts.push(Start { ticket: grant.ticket, at: sure.then_some(at) });
                ends.insert((at.plus(took), grant.ticket));
            }
            if starts.len() >= waiting {
                break;
            }
            match (state.next_wake(), ends.first().copied()) {
                (Some(wake), end) if end.is_none_or(|(end, _)| wake <= end) => at = at.max(wake),
                (_, Some((end, ticket))) => {
                    ends.remove(&(end, ticket));
                    at = at.max(end);
                    sure = sure && typical.is_some();
                    state.finish(ticket, self.pool, at);
                }
                (_, None) => break,
            }
        }
        starts
    }
}

impl QueueState {
    /// A request in flight has ended and is not sent again.
    fn finish(&mut self, ticket: Ticket, pool: PoolKey, now: Mono) {
        if let Some(entry) = self.tickets.remove(&ticket) {
            self.end_request(&[pool], entry.since, now);
        }
    }

    /// Undoes one reason for which a ticket waits.
    fn take_away(&mut self, reason: &Block, ticket: Ticket, key: PoolKey, now: Mono) {
        let Some(pool) = self.pools.get_mut(&key) else { return };
        touch(pool, key, &mut self.changed);
        match reason {
            Block::Level { .. } => pool.in_flight = pool.level.saturating_sub(1),
            Block::Pause { .. } => pool.paused_until = Mono::default(),
            Block::Wait { .. } => pool.forget_wait(),
            Block::Rate { .. } => pool.forget_starts(now),
            Block::Aside => self.recall(ticket),
            Block::LinePause { .. } | Block::BackOff { .. } | Block::Order { .. } => self.clear_line(reason, ticket),
        }
    }

    fn clear_line(&mut self, reason: &Block, ticket: Ticket) {
        let Some(own) = self.tickets.get_mut(&ticket) else { return };
        let Some(line) = self.lines.get_mut(&own.line) else { return };
        match (reason, &own.phase) {
            (Block::LinePause { .. }, _) => line.paused_until = Mono::default(),
            (Block::BackOff { .. }, Phase::BackingOff(until)) => {
                line.give_up(own.place, *until);
                line.stand(own.place);
                own.phase = Phase::Ready;
            }
            (Block::Order { .. }, _) => {
                let others: Vec<Ticket> = self.tickets.keys().copied().filter(|other| *other != ticket).collect();
                for other in others {
                    let waits = |e: &super::Entry| matches!(e.phase, Phase::Ready | Phase::BackingOff(_));
                    if self.tickets.get(&other).is_some_and(waits) {
                        self.leave(other, Mono(Duration::MAX));
                    }
                }
            }
            _ => {}
        }
    }
}
