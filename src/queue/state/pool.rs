//! One pool: what all its lines share, and the gates every start must pass.

use super::LineKey;
use super::adaptive::Adaptive;
use super::line::Place;
use super::rate::Window;
use super::shares::Shares;
use crate::queue::limits::{Level, LevelChange, Limits, LineId, Order, RateWindow, Signal};
use crate::value::id::FlowId;
use crate::value::time::Mono;
use std::time::Duration;

/// What keeps everything of a pool from starting, whoever is next. `grant` obeys it and `explain` names it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gates {
    /// Until when the server wants nothing.
    pub(super) paused: Mono,
    /// Until when `wait_time` lasts.
    pub(super) waits: Mono,
    /// Until when `rate` lets nothing go.
    pub(super) rated: Mono,
    /// The window of `rate` that lasts longest.
    pub(super) window: Option<RateWindow>,
}

impl Gates {
    /// The earliest instant at which anything of the pool may start.
    pub(super) fn opens(&self) -> Mono {
        self.paused.max(self.waits).max(self.rated)
    }
}

#[derive(Clone)]
pub(super) struct Pool {
    /// The lender.
    pub(super) id: LineId,
    /// In force; moves by itself when it is adaptive.
    pub(super) level: u32,
    adaptive: Option<Adaptive>,
    pub(super) lines: Vec<LineKey>,
    pub(super) in_flight: u32,
    pub(super) paused_until: Mono,
    /// Is in the list of pools to look at.
    pub(super) changed: bool,
    /// Is in the set of alarms under this instant.
    pub(super) alarm: Option<Mono>,
    order: Order,
    wait_time: Duration,
    last_end: Mono,
    rate: Vec<Window>,
    shares: Shares,
    /// How long a request of this pool is in flight, as the last ones were.
    typical: Option<Duration>,
}

impl Pool {
    /// The first start waits as if a request had just ended: what an earlier process sent is not known here.
    pub(super) fn new(id: LineId, now: Mono) -> Self {
        Self {
            id,
            level: 1,
            adaptive: None,
            lines: Vec::new(),
            in_flight: 0,
            paused_until: Mono::default(),
            changed: false,
            alarm: None,
            order: Order::Fifo,
            wait_time: Duration::ZERO,
            last_end: now,
            rate: Vec::new(),
            shares: Shares::default(),
            typical: None,
        }
    }

    /// Takes the lender's limits over. True when the order of waiting tickets is another one now.
    pub(super) fn set(&mut self, limits: &Limits, now: Mono) -> bool {
        let learnt = self.adaptive.take();
        self.level = match &limits.level {
            Level::Adaptive(most) => {
                let mut adaptive = learnt.unwrap_or_else(|| Adaptive::new(*most));
                adaptive.set_most(*most);
                self.adaptive.insert(adaptive).level()
            }
            Level::Burst(most) | Level::Fixed(most) => most.get(),
            // Configuration refuses a loan that leads nowhere; should one arrive, the politest level holds.
            Level::Borrow(_) => 1,
        };
        self.wait_time = limits.wait_time;
        if self.rate.iter().map(Window::limit).ne(limits.rate.iter().copied()) {
            self.rate = limits.rate.iter().map(|window| Window::after(&self.rate, *window, now)).collect();
        }
        std::mem::replace(&mut self.order, limits.order) != limits.order
    }

    /// Whether every permit is out.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight >= self.level
    }

    /// What holds back whatever would start next.
    pub(super) fn gates(&mut self, now: Mono) -> Gates {
        let waits = if self.level == 1 { self.last_end.plus(self.wait_time) } else { Mono::default() };
        let mut gates = Gates { paused: self.paused_until, waits, ..Gates::default() };
        for window in &mut self.rate {
            let opens = window.opens(now);
            if opens > gates.rated {
                (gates.rated, gates.window) = (opens, Some(window.limit()));
            }
        }
        gates
    }

    /// Counts a start; `first` is the place of a ticket that starts for the first time.
    pub(super) fn start(&mut self, now: Mono, first: Option<Place>) {
        self.in_flight += 1;
        for window in &mut self.rate {
            window.start(now);
        }
        if let Some(place) = first {
            self.shares.started(place.rank);
        }
    }

    /// The most an adaptive level may become.
    pub(super) fn most(&self) -> Option<u32> {
        self.adaptive.as_ref().map(Adaptive::most)
    }

    /// Learns from an attempt that has ended and still counts.
    pub(super) fn learn(&mut self, signal: Signal, started: Mono, now: Mono) -> Option<LevelChange> {
        let adaptive = self.adaptive.as_mut()?;
        let cause = adaptive.ended(signal, started, now, self.in_flight)?;
        let from = std::mem::replace(&mut self.level, adaptive.level());
        Some(LevelChange { pool: self.id.clone(), from, to: self.level, cause })
    }

    /// Counts the end of a request that was sent at `started`.
    pub(super) fn end(&mut self, started: Mono, now: Mono) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.last_end = self.last_end.max(now);
        let took = now.since(started);
        self.typical = Some(self.typical.map_or(took, |typical| typical.saturating_mul(7).saturating_add(took) / 8));
    }

    /// How long a request is in flight, as the last ones were; none before the first has ended.
    pub(super) fn typical(&self) -> Option<Duration> {
        self.typical
    }

    /// As if there were no `wait_time`.
    pub(super) fn forget_wait(&mut self) {
        self.wait_time = Duration::ZERO;
    }

    /// As if nothing had been sent in the windows of `rate`.
    pub(super) fn forget_starts(&mut self, now: Mono) {
        for window in &mut self.rate {
            *window = Window::after(&[], window.limit(), now);
        }
    }

    /// What a line brings along from the pool it comes from.
    pub(super) fn inherit_end(&mut self, other: Mono) {
        self.last_end = self.last_end.max(other);
    }

    /// When a request of this pool last ended.
    pub(super) fn last_end(&self) -> Mono {
        self.last_end
    }

    /// The turn of a flow's next ticket.
    pub(super) fn rank(&mut self, flow: &FlowId, stride: u64) -> u64 {
        match self.order {
            Order::Fifo => 0,
            Order::Fair => self.shares.turn(flow, stride),
        }
    }

    /// A ticket left without ever having started.
    pub(super) fn refund(&mut self, flow: &FlowId, stride: u64) {
        self.shares.refund(flow, stride);
    }

    /// Forgets who had how many turns.
    pub(super) fn forget_shares(&mut self) {
        self.shares = Shares::default();
    }
}
