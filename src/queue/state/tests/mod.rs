//! Tests of the pure queue: one per rule, and random sequences against a brute-force model.

mod model;
mod reasons;
mod rules;
mod sequences;

use super::{QueueState, Ticket};
use crate::queue::limits::{Level, Limits, LineId, Order, RateWindow};
use crate::value::id::{ConnectionId, FlowId};
use crate::value::time::Mono;
use std::num::NonZeroU32;
use std::time::Duration;

fn at(millis: u64) -> Mono {
    Mono(Duration::from_millis(millis))
}

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn connection(name: &str) -> ConnectionId {
    ConnectionId::parse(name).unwrap()
}

fn line(name: &str) -> LineId {
    LineId::Connection(connection(name))
}

fn flow(name: &str) -> FlowId {
    FlowId::parse(name).unwrap()
}

fn limits(level: Level) -> Limits {
    Limits { level, wait_time: Duration::ZERO, rate: Vec::new(), order: Order::Fifo }
}

fn fixed(level: u32) -> Limits {
    limits(Level::Fixed(some(level)))
}

fn borrow(lender: &str) -> Limits {
    limits(Level::Borrow(connection(lender)))
}

fn window(count: u32, millis: u64) -> RateWindow {
    RateWindow { count: some(count), per: Duration::from_millis(millis) }
}

fn state(lines: &[(&str, Limits)]) -> QueueState {
    let mut state = QueueState::default();
    apply(&mut state, lines, 0);
    state
}

fn apply(state: &mut QueueState, lines: &[(&str, Limits)], now: u64) {
    state.set_topology(lines.iter().map(|(name, limits)| (line(name), limits.clone())), at(now));
}

/// Joins as flow `f`.
fn join(state: &mut QueueState, name: &str, now: u64) -> Ticket {
    join_as(state, name, "f", 1, now)
}

fn join_as(state: &mut QueueState, name: &str, by: &str, weight: u32, now: u64) -> Ticket {
    state.join(&line(name), &flow(by), some(weight), at(now)).unwrap()
}

/// The tickets that start at `now`.
fn grant(state: &mut QueueState, now: u64) -> Vec<Ticket> {
    state.grant(at(now)).iter().map(|grant| grant.ticket).collect()
}
