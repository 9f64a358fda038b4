//! The one lock around the state, and who is woken by what happens under it.
//!
//! Whatever is done to the state is followed, still under the lock, by granting what may start now and by reporting
//! to the meters; wakers run after the lock is gone. The lock is never held across an await.

use super::limits::LineId;
use super::state::{LineKey, Map, QueueState, Ticket};
use crate::observe::meters::ConnectionMeters;
use crate::value::id::FlowId;
use crate::value::time::{Mono, SharedClock};
use smallvec::SmallVec;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Notify;

/// The longest sleep of the waker task; it looks again then. Keeps absurd pauses out of the clock's arithmetic.
const LONGEST_SLEEP: Duration = Duration::from_hours(24);

type Wakers = SmallVec<[Waker; 4]>;

/// What all handles and permits of a queue share.
pub(super) struct Shared {
    clock: SharedClock,
    locked: Mutex<Locked>,
    /// Tells the waker task that it sleeps too long, or that the queue is gone.
    alarm: Arc<Notify>,
}

/// What the lock protects.
pub(super) struct Locked {
    pub(super) state: QueueState,
    pub(super) closed: bool,
    /// Flows that wait for nothing more.
    barred: HashSet<FlowId>,
    /// Tickets somebody awaits.
    pub(super) waiting: Map<Ticket, Waker>,
    meters: Map<LineKey, Arc<ConnectionMeters>>,
    woken: Wakers,
    /// Until when the waker task sleeps; `None` while it sleeps until it is told.
    armed: Option<Mono>,
}

impl Shared {
    pub(super) fn start(clock: SharedClock) -> Arc<Self> {
        let locked = Locked {
            state: QueueState::default(),
            closed: false,
            barred: HashSet::new(),
            waiting: Map::default(),
            meters: Map::default(),
            woken: Wakers::new(),
            armed: None,
        };
        let shared = Arc::new(Self { clock, locked: Mutex::new(locked), alarm: Arc::new(Notify::new()) });
        let waker = wake_in_time(Arc::downgrade(&shared), shared.clock.clone(), shared.alarm.clone());
        drop(crate::observe::task::spawn("queue-waker", waker));
        shared
    }

    /// Does something to the state at one instant, then everything that follows from it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Locked, Mono) -> T) -> T {
        let mut locked = self.lock();
        let now = self.clock.mono();
        let result = act(&mut locked, now);
        locked.settle(now);
        let woken = std::mem::take(&mut locked.woken);
        let sooner = locked.arm_sooner();
        drop(locked);
        woken.into_iter().for_each(Waker::wake);
        if sooner {
            self.alarm.notify_one();
        }
        result
    }

    /// Time by the queue's clock.
    pub(super) fn now(&self) -> Mono {
        self.clock.mono()
    }

    /// The lock alone. A panic under it failed somebody else's run; the state is whole between its operations.
    pub(super) fn lock(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.alarm.notify_one();
    }
}

impl Locked {
    /// Grants what may start now, and has whoever awaits it woken.
    pub(super) fn settle(&mut self, now: Mono) {
        for grant in self.state.grant(now) {
            self.woken.extend(self.waiting.remove(&grant.ticket));
            if let Some(meters) = self.meters.get(&grant.line) {
                meters.waited(grant.waited);
            }
            self.report(grant.line);
        }
    }

    /// Whether nobody waits here for this flow: the queue is closed, or the flow is barred.
    pub(super) fn sends_away(&self, flow: Option<&FlowId>) -> bool {
        self.closed || (!self.barred.is_empty() && flow.is_some_and(|flow| self.barred.contains(flow)))
    }

    /// The same for who has a ticket.
    pub(super) fn sends_ticket_away(&self, ticket: Ticket) -> bool {
        self.closed || (!self.barred.is_empty() && self.sends_away(self.state.flow_of(ticket)))
    }

    /// Bars a flow, or lets it in again.
    pub(super) fn bar(&mut self, flow: &FlowId, bar: bool) {
        if !bar {
            self.barred.remove(flow);
        } else if self.barred.insert(flow.clone()) {
            self.wake_all();
        }
    }

    /// Everybody who waits looks again.
    pub(super) fn wake_all(&mut self) {
        self.woken.extend(self.waiting.drain().map(|(_, waker)| waker));
    }

    /// Sets a line's gauges; the last time when the line has gone.
    pub(super) fn report(&mut self, line: LineKey) {
        let counts = self.state.counts(line);
        if let Some(meters) = self.meters.get(&line) {
            let (depth, in_flight) = counts.unwrap_or_default();
            meters.depth(depth);
            meters.in_flight(in_flight);
        }
        if counts.is_none() {
            self.meters.remove(&line);
        }
    }

    /// Connects a line to its meters.
    pub(super) fn meter(&mut self, id: &LineId, meters: Arc<ConnectionMeters>) {
        let Some(line) = self.state.key(id) else { return };
        meters.limit(self.state.level(line).unwrap_or_default());
        self.meters.insert(line, meters);
        self.report(line);
    }

    /// Shows the level that these lines send under now.
    pub(super) fn level_changed(&mut self, lines: &[LineKey]) {
        for line in lines {
            if let Some(meters) = self.meters.get(line) {
                meters.limit(self.state.level(*line).unwrap_or_default());
            }
        }
    }

    /// Forgets the meters of lines that have gone.
    pub(super) fn forget_closed(&mut self) {
        let lines: Vec<LineKey> = self.meters.keys().copied().collect();
        for line in lines {
            if self.state.counts(line).is_none() {
                self.report(line);
            }
        }
    }

    /// True when the waker task has to get up earlier than it knows.
    fn arm_sooner(&mut self) -> bool {
        let Some(next) = self.state.next_wake() else { return false };
        let sooner = self.armed.is_none_or(|armed| next < armed);
        if sooner {
            self.armed = Some(next);
        }
        sooner
    }
}

/// Looks at the queue whenever time alone lets something start.
async fn wake_in_time(shared: Weak<Shared>, clock: SharedClock, alarm: Arc<Notify>) {
    loop {
        let next = {
            let Some(shared) = shared.upgrade() else { return };
            shared.with(|locked, now| {
                locked.settle(now);
                locked.armed = locked.state.next_wake();
                locked.armed.map(|next| next.min(now.plus(LONGEST_SLEEP)))
            })
        };
        match next {
            None => alarm.notified().await,
            Some(at) => {
                let slept = clock.sleep_until(at);
                tokio::select! {
                    () = slept => {}
                    () = alarm.notified() => {}
                }
            }
        }
    }
}
