//! The queue as its users see it: futures, permits and a clock that stands still unless everybody waits.

mod leaving;
mod limits;
mod meters;

use super::limits::{Level, Limits, LineId, LineSpec, Order, PauseScope};
use super::{Permit, Queue, QueueClosed};
use crate::observe::meters::ConnectionMeters;
use crate::observe::task;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::time::{SharedClock, SystemClock};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

fn line(name: &str) -> LineId {
    LineId::Connection(ConnectionId::parse(name).unwrap())
}

fn fixed(level: u32) -> Limits {
    Limits {
        level: Level::Fixed(NonZeroU32::new(level).unwrap()),
        wait_time: Duration::ZERO,
        rate: Vec::new(),
        order: Order::Fifo,
    }
}

fn borrow(lender: &str) -> Limits {
    Limits { level: Level::Borrow(ConnectionId::parse(lender).unwrap()), ..fixed(1) }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Fails when everybody waits for ever, where the paused clock would show it at once.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_hours(10_000), future).await.expect("nothing will ever happen")
}

/// The label of a request, and when it was sent.
type Sent = (&'static str, Duration);

/// A queue, its clock, and the order in which requests were sent.
struct Bench {
    queue: Queue,
    clock: SharedClock,
    sent: (UnboundedSender<Sent>, UnboundedReceiver<Sent>),
}

impl Bench {
    fn new(lines: &[(&str, Limits)]) -> Self {
        let clock = SystemClock::start();
        let bench = Self { queue: Queue::start(clock.clone()), clock, sent: unbounded_channel() };
        bench.apply(lines);
        bench
    }

    fn apply(&self, lines: &[(&str, Limits)]) {
        let spec = |(name, limits): &(&str, Limits)| LineSpec {
            id: line(name),
            limits: limits.clone(),
            meters: Arc::new(ConnectionMeters::silent()),
        };
        self.queue.apply(lines.iter().map(spec).collect());
    }

    fn now(&self) -> Duration {
        self.clock.mono().0
    }

    async fn acquire(&self, name: &str) -> Permit {
        self.try_acquire(name).await.unwrap()
    }

    async fn try_acquire(&self, name: &str) -> Result<Permit, QueueClosed> {
        soon(self.queue.acquire(&line(name), &FlowId::parse("f").unwrap(), NonZeroU32::MIN)).await
    }

    /// Sends a request that takes so long, in a task of its own, which is in line when this returns.
    async fn send(&self, name: &'static str, label: &'static str, takes: Duration) {
        self.send_as(name, label, (label, 1), takes).await;
    }

    async fn send_as(&self, name: &str, label: &'static str, flow: (&str, u32), takes: Duration) {
        let (queue, clock, sent) = (self.queue.clone(), self.clock.clone(), self.sent.0.clone());
        let (name, by, weight) = (line(name), FlowId::parse(flow.0).unwrap(), NonZeroU32::new(flow.1).unwrap());
        task::spawn("request", async move {
            let permit = queue.acquire(&name, &by, weight).await.unwrap();
            sent.send((label, clock.mono().0)).unwrap();
            clock.sleep_until(clock.mono().plus(takes)).await;
            drop(permit);
        });
        self.turn().await;
    }

    /// Lets every task that can go on do so, without time passing.
    async fn turn(&self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    async fn next(&mut self) -> Sent {
        soon(self.sent.1.recv()).await.unwrap()
    }

    async fn labels(&mut self, count: usize) -> Vec<&'static str> {
        let mut labels = Vec::new();
        while labels.len() < count {
            labels.push(self.next().await.0);
        }
        labels
    }

    fn depth(&self, name: &str) -> (usize, u32) {
        let view = self.queue.view();
        let found = view.iter().flat_map(|pool| &pool.lines).find(|view| view.id == line(name));
        found.map(|line| (line.depth, line.in_flight)).unwrap()
    }
}
