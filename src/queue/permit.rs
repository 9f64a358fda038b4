//! The right to send one request, and the wait for it. Dropping either is the only way out of the queue.

use super::handle::QueueClosed;
use super::limits::{Allowance, LevelChange, PauseScope, Signal};
use super::shared::Shared;
use super::state::Ticket;
use crate::observe::traces::waiting;
use crate::value::time::Mono;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The right to have one request in flight on a line. Given back when dropped, on every path.
#[must_use]
pub struct Permit {
    place: Standing,
    waited: Duration,
}

impl Permit {
    pub(super) fn new(shared: Arc<Shared>, ticket: Ticket, waited: Duration) -> Self {
        Self { place: Standing { shared, ticket: Some(ticket) }, waited }
    }

    /// The server asked for a pause: holds the pool (or this line) for `pause`, counted from now; a shorter pause
    /// never shortens a longer one. When this permit's request is sent `again`, it goes first after the pause.
    pub fn pause(&self, pause: Duration, scope: PauseScope) {
        let Some(ticket) = self.place.ticket else { return };
        self.place.shared.with(|locked, now| locked.state.pause(ticket, now.plus(pause), scope));
    }

    /// An attempt under this permit, begun at `started`, has ended. Gives the change where that moved an adaptive level.
    pub fn learn(&self, signal: Signal, started: Mono) -> Option<LevelChange> {
        let ticket = self.place.ticket?;
        self.place.shared.with(|locked, now| {
            let (change, lines) = locked.state.learn(ticket, signal, started, now)?;
            locked.level_changed(&lines);
            Some(change)
        })
    }

    /// Remembers, for whoever looks at the line, what the server said is left of its limit.
    pub fn told(&self, allowance: Allowance) {
        let Some(ticket) = self.place.ticket else { return };
        self.place.shared.with(|locked, _| locked.state.told(ticket, allowance));
    }

    /// Gives the permit back and waits for the next one at the ticket's old place, not before `delay` has passed
    /// (and not before any pause ends). At level 1 the line waits behind it; above it others pass. After `pause`, the
    /// delay makes the pause longer where it reaches beyond it.
    pub async fn again(self, delay: Duration) -> Result<Permit, QueueClosed> {
        let Self { place, .. } = self;
        let _waits = waiting();
        let Some(ticket) = place.ticket else { return Err(QueueClosed) };
        place.shared.with(|locked, now| {
            if locked.sends_ticket_away(ticket) {
                return Err(QueueClosed);
            }
            locked.state.rejoin(ticket, now.plus(delay), now);
            locked.state.line_of(ticket).into_iter().for_each(|line| locked.report(line));
            Ok(())
        })?;
        Waiting(place).await
    }

    /// As `again`, but the delay ends with `sooner` where that is earlier.
    pub async fn again_or<T>(self, delay: Duration, sooner: impl Future<Output = T>) -> Result<Permit, QueueClosed> {
        let shared = self.place.shared.clone();
        let Some(ticket) = self.place.ticket else { return Err(QueueClosed) };
        let mut waiting = std::pin::pin!(self.again(delay));
        tokio::select! {
            biased;
            permit = &mut waiting => return permit,
            _ = sooner => {}
        }
        shared.with(|locked, _| locked.state.hasten(ticket));
        waiting.await
    }

    /// Whether requests of its line are sent one at a time, so that their order is a promise.
    pub fn is_alone(&self) -> bool {
        let Some(ticket) = self.place.ticket else { return false };
        let locked = self.place.shared.lock();
        locked.state.line_of(ticket).and_then(|line| locked.state.level(line)) == Some(1)
    }

    /// Gives the permit back and lets the ticket stand aside until `ready`: others pass it, at level 1 too. Then waits
    /// for the next permit at the ticket's old place.
    pub async fn once<T>(self, ready: impl Future<Output = T>) -> Result<(Permit, T), QueueClosed> {
        let Self { place, .. } = self;
        let _waits = waiting();
        let Some(ticket) = place.ticket else { return Err(QueueClosed) };
        let shared = place.shared.clone();
        shared.with(|locked, now| {
            if locked.sends_ticket_away(ticket) {
                return Err(QueueClosed);
            }
            locked.state.step_aside(ticket, now);
            locked.state.line_of(ticket).into_iter().for_each(|line| locked.report(line));
            Ok(())
        })?;
        let mut waiting = Waiting(place);
        let told = tokio::select! {
            // Nothing is granted to a ticket that stands aside: this ends when the queue closes.
            permit = &mut waiting => return Err(permit.err().unwrap_or(QueueClosed)),
            told = ready => told,
        };
        shared.with(|locked, _| locked.state.recall(ticket));
        Ok((waiting.await?, told))
    }

    /// How long the ticket stood in line before this permit.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({:?})", self.place.ticket)
    }
}

/// A ticket that leaves the queue when dropped, wherever it is then.
struct Standing {
    shared: Arc<Shared>,
    /// Empty once somebody else answers for the ticket.
    ticket: Option<Ticket>,
}

impl Drop for Standing {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        self.shared.with(|locked, now| {
            locked.waiting.remove(&ticket);
            if let Some(line) = locked.state.leave(ticket, now) {
                locked.report(line);
            }
        });
    }
}

/// Waits until a ticket may be sent. Dropping it leaves the line, and gives back what was granted in the meantime.
pub(super) struct Waiting(Standing);

impl Waiting {
    pub(super) fn new(shared: Arc<Shared>, ticket: Ticket) -> Self {
        Self(Standing { shared, ticket: Some(ticket) })
    }
}

impl Future for Waiting {
    type Output = Result<Permit, QueueClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(ticket) = self.0.ticket else { return Poll::Ready(Err(QueueClosed)) };
        let mut locked = self.0.shared.lock();
        // Looked at first: what was granted before the close and not taken is not in flight.
        if locked.sends_ticket_away(ticket) {
            return Poll::Ready(Err(QueueClosed));
        }
        if let Some(waited) = locked.state.waited(ticket) {
            drop(locked);
            self.0.ticket = None;
            return Poll::Ready(Ok(Permit::new(self.0.shared.clone(), ticket, waited)));
        }
        locked.waiting.insert(ticket, context.waker().clone());
        Poll::Pending
    }
}
