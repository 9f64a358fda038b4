//! One line: the tickets of a connection in the order in which they may be sent.

use super::{PoolKey, Ticket};
use crate::queue::limits::{Allowance, Limits, LineId};
use crate::value::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// Where a ticket stands. Smaller goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) class: Class,
    /// Turn of its flow under the fair order; 0 under `fifo` and for tickets that were sent before.
    pub(super) rank: u64,
    pub(super) ticket: Ticket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Was answered with "limited": goes first when the pause ends.
    Limited,
    Usual,
}

impl Place {
    pub(super) fn fresh(rank: u64, ticket: Ticket) -> Self {
        Self { class: Class::Usual, rank, ticket }
    }

    /// In front of everybody who was not limited.
    pub(super) fn ahead(self) -> Self {
        Self { class: Class::Limited, ..self }
    }

    /// Where it stands once it has been sent: by its age alone, and before those whose first turn is still to come.
    pub(super) fn sent(self) -> Self {
        Self::fresh(0, self.ticket)
    }
}

/// Who of a line could be sent.
pub(super) enum Head {
    Ready(Place),
    Later(Mono),
    Empty,
}

#[derive(Clone)]
pub(super) struct Line {
    pub(super) id: LineId,
    pub(super) limits: Limits,
    /// The pool it sends under.
    pub(super) pool: PoolKey,
    /// Requests sent from this line and not ended, whatever pool counts them.
    pub(super) in_flight: u32,
    pub(super) paused_until: Mono,
    /// No longer configured: goes when its last ticket and its last keeper are gone.
    pub(super) closing: bool,
    /// How many want it open between their requests.
    pub(super) keepers: usize,
    /// What the server last said about its own limit.
    pub(super) allowance: Option<Allowance>,
    ready: BTreeSet<Place>,
    backing_off: BTreeMap<Place, Mono>,
    /// The same tickets as `backing_off`, by the end of their delay.
    delays: BTreeSet<(Mono, Place)>,
    /// Tickets that stand aside until somebody calls them back; everybody passes them.
    aside: BTreeSet<Place>,
}

impl Line {
    pub(super) fn new(id: LineId, limits: Limits, pool: PoolKey) -> Self {
        Self {
            id,
            limits,
            pool,
            in_flight: 0,
            paused_until: Mono::default(),
            closing: false,
            keepers: 0,
            allowance: None,
            ready: BTreeSet::new(),
            backing_off: BTreeMap::new(),
            delays: BTreeSet::new(),
            aside: BTreeSet::new(),
        }
    }

    /// Tickets waiting, those that back off or stand aside included.
    pub(super) fn depth(&self) -> usize {
        self.ready.len() + self.backing_off.len() + self.aside.len()
    }

    /// The oldest ticket, whoever goes first.
    pub(super) fn oldest(&self) -> Option<Ticket> {
        self.ready.iter().chain(self.backing_off.keys()).chain(&self.aside).map(|place| place.ticket).min()
    }

    /// Nothing keeps it here.
    pub(super) fn is_done(&self) -> bool {
        self.closing && self.keepers == 0 && self.in_flight == 0 && self.depth() == 0
    }

    pub(super) fn stand(&mut self, place: Place) {
        self.ready.insert(place);
    }

    /// Out of the line, from wherever `head` may have moved it.
    pub(super) fn step_out(&mut self, place: Place) {
        self.ready.remove(&place);
    }

    pub(super) fn step_aside(&mut self, place: Place) {
        self.aside.insert(place);
    }

    /// Out of those that stand aside.
    pub(super) fn come_back(&mut self, place: Place) {
        self.aside.remove(&place);
    }

    pub(super) fn back_off(&mut self, place: Place, until: Mono) {
        self.backing_off.insert(place, until);
        self.delays.insert((until, place));
    }

    /// Out of the line while backing off, or after its delay has passed.
    pub(super) fn give_up(&mut self, place: Place, until: Mono) {
        if self.backing_off.remove(&place).is_some() {
            self.delays.remove(&(until, place));
        } else {
            self.ready.remove(&place);
        }
    }

    /// The ticket to be sent next from this line.
    pub(super) fn head(&mut self, level: u32, now: Mono) -> Head {
        if self.depth() == 0 {
            return Head::Empty;
        }
        if self.paused_until > now {
            return Head::Later(self.paused_until);
        }
        while let Some(&(until, place)) = self.delays.first()
            && until <= now
        {
            self.delays.pop_first();
            self.backing_off.remove(&place);
            self.ready.insert(place);
        }
        let ready = self.ready.first().copied();
        // With one request at a time order is a promise: nobody passes a ticket that only waits for its delay.
        let waits_for = self.backing_off.first_key_value().filter(|_| level == 1);
        match (ready, waits_for) {
            (Some(place), Some((other, _))) if place < *other => Head::Ready(place),
            (_, Some((_, until))) => Head::Later(*until),
            (Some(place), None) => Head::Ready(place),
            (None, None) => self.delays.first().map_or(Head::Empty, |&(until, _)| Head::Later(until)),
        }
    }
}
