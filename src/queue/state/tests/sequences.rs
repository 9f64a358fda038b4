//! Random sequences of everything that can happen, with the model beside the state.

use super::model::Model;
use super::*;
use crate::queue::limits::PauseScope;
use proptest::prelude::*;

const LINES: usize = 4;
/// Longer than any delay, pause and window below, one after the other.
const HORIZON: u64 = 50;

#[derive(Debug, Clone)]
enum Step {
    Join {
        line: usize,
        flow: usize,
        weight: u32,
    },
    /// The numbers choose among the tickets there are then.
    Leave {
        of_all: usize,
    },
    Release {
        of_sent: usize,
    },
    Rejoin {
        of_sent: usize,
        delay: u64,
    },
    Pause {
        of_sent: usize,
        pause: u64,
        scope: PauseScope,
    },
    Wait {
        millis: u64,
    },
    Apply {
        limits: Vec<Limits>,
    },
}

fn id_of(line: usize) -> ConnectionId {
    connection(["a", "b", "c", "d"][line])
}

fn any_limits(fair: bool) -> impl Strategy<Value = Limits> {
    let level = prop_oneof![
        3 => (1..4_u32).prop_map(|level| Level::Fixed(some(level))),
        1 => (1..4_u32).prop_map(|level| Level::Burst(some(level))),
        3 => (0..LINES).prop_map(|lender| Level::Borrow(id_of(lender))),
    ];
    let rate = prop::collection::vec((1..4_u32, 1..12_u64).prop_map(|(count, per)| window(count, per)), 0..3);
    let wait = prop_oneof![Just(0), 1..8_u64].prop_map(Duration::from_millis);
    (level, rate, wait).prop_map(move |(level, rate, wait_time)| Limits {
        level,
        wait_time,
        rate,
        order: if fair { Order::Fair } else { Order::Fifo },
    })
}

fn any_topology(fair: bool) -> impl Strategy<Value = Vec<Limits>> {
    prop::collection::vec(any_limits(fair), LINES)
}

fn any_step(fair: bool) -> impl Strategy<Value = Step> {
    let scope = prop_oneof![Just(PauseScope::Pool), Just(PauseScope::Connection)];
    prop_oneof![
        8 => (0..LINES, 0..3_usize, 1..4_u32).prop_map(|(line, flow, weight)| Step::Join { line, flow, weight }),
        1 => any::<usize>().prop_map(|of_all| Step::Leave { of_all }),
        5 => any::<usize>().prop_map(|of_sent| Step::Release { of_sent }),
        4 => (any::<usize>(), 0..15_u64).prop_map(|(of_sent, delay)| Step::Rejoin { of_sent, delay }),
        2 => (any::<usize>(), 0..15_u64, scope)
            .prop_map(|(of_sent, pause, scope)| Step::Pause { of_sent, pause, scope }),
        6 => (1..8_u64).prop_map(|millis| Step::Wait { millis }),
        1 => any_topology(fair).prop_map(|limits| Step::Apply { limits }),
    ]
}

/// State and model, and whether they agree.
struct Pair {
    state: QueueState,
    model: Model,
    tickets: Vec<Ticket>,
    now: u64,
}

impl Pair {
    fn new(limits: Vec<Limits>) -> Self {
        let mut pair = Self { state: QueueState::default(), model: Model::new(LINES), tickets: Vec::new(), now: 0 };
        pair.apply(limits);
        pair
    }

    fn apply(&mut self, mut limits: Vec<Limits>) {
        // Rate windows that change forget what the old ones did not have to know; the model forgets nothing. So windows
        // stay, and everything else changes.
        if !self.tickets.is_empty() {
            for (new, old) in limits.iter_mut().zip(&self.model.lines) {
                new.rate.clone_from(&old.limits.rate);
            }
        }
        let lines = limits.iter().enumerate().map(|(line, limits)| (LineId::Connection(id_of(line)), limits.clone()));
        self.state.set_topology(lines, at(self.now));
        self.model.apply(limits, self.now, id_of);
    }

    fn take(&mut self, step: Step) {
        let (sent, all) = (self.model.sent(), self.model.present());
        let pick = |rows: &[usize], number: usize| (!rows.is_empty()).then(|| rows[number % rows.len()]);
        match step {
            Step::Join { line, flow: by, weight } => {
                let by = flow(["x", "y", "z"][by]);
                let ticket = self.state.join(&LineId::Connection(id_of(line)), &by, some(weight), at(self.now));
                self.tickets.push(ticket.unwrap());
                self.model.join(line);
            }
            Step::Leave { of_all } => {
                if let Some(row) = pick(&all, of_all) {
                    self.leave(row);
                }
            }
            Step::Release { of_sent } => {
                if let Some(row) = pick(&sent, of_sent) {
                    self.leave(row);
                }
            }
            Step::Rejoin { of_sent, delay } => {
                if let Some(row) = pick(&sent, of_sent) {
                    assert!(self.state.rejoin(self.tickets[row], at(self.now + delay), at(self.now)));
                    self.model.rejoin(row, self.now + delay, self.now);
                }
            }
            Step::Pause { of_sent, pause, scope } => {
                if let Some(row) = pick(&sent, of_sent) {
                    self.state.pause(self.tickets[row], at(self.now + pause), scope);
                    self.model.pause(row, self.now + pause, scope);
                }
            }
            Step::Wait { millis } => self.now += millis,
            Step::Apply { limits } => self.apply(limits),
        }
        self.model.forget_pools();
        self.compare();
    }

    fn leave(&mut self, row: usize) {
        assert!(self.state.leave(self.tickets[row], at(self.now)).is_some());
        assert!(self.state.leave(self.tickets[row], at(self.now)).is_none());
        self.model.leave(row, self.now);
    }

    /// Grants, and checks each start, that nothing more may start, and that the alarm is set in time.
    fn compare(&mut self) {
        for grant in self.state.grant(at(self.now)) {
            let row = self.tickets.iter().position(|ticket| *ticket == grant.ticket).unwrap();
            let allowed = self.model.next(self.model.pool_of(row), self.now);
            assert!(allowed.contains(&row), "at {}: {row} was sent, {allowed:?} may be", self.now);
            self.model.start(row, self.now);
        }
        for pool in 0..LINES {
            assert_eq!(self.model.next(pool, self.now), [0_usize; 0], "at {}: may be sent, was not", self.now);
        }
        for line in 0..LINES {
            let key = self.state.key(&LineId::Connection(id_of(line))).unwrap();
            let (depth, in_flight) = self.state.counts(key).unwrap();
            assert_eq!((depth, in_flight as usize), (self.model.waiting(line), self.model.in_flight(line)));
        }
        let wake = self.state.next_wake();
        assert!(wake.is_none_or(|wake| wake > at(self.now)), "an alarm that has passed would spin");
        if let Some(chance) = self.model.next_chance(self.now, self.now + HORIZON) {
            assert!(wake.is_some_and(|wake| wake <= at(chance)), "at {}: {wake:?} for {chance}", self.now);
        }
    }

    /// Everybody is sent and answered in the end, led by alarms alone; nothing remains.
    fn drain(&mut self) {
        while let Some(row) = self.model.present().first().copied() {
            if let Some(row) = self.model.sent().first() {
                self.leave(*row);
            } else {
                let wake = self.state.next_wake();
                assert!(wake.is_some(), "{row} waits for ever");
                self.now = u64::try_from(wake.unwrap().0.as_millis()).unwrap();
            }
            self.model.forget_pools();
            self.compare();
        }
        assert!(self.state.tickets.is_empty());
        assert!(self.state.pools.values().all(|pool| pool.in_flight == 0));
        self.state.set_topology([], at(self.now));
        let QueueState { lines, keys, pools, alarms, .. } = &self.state;
        assert!(lines.is_empty() && keys.is_empty() && pools.is_empty() && alarms.is_empty());
    }
}

fn run(limits: Vec<Limits>, steps: Vec<Step>) {
    let mut pair = Pair::new(limits);
    for step in steps {
        pair.take(step);
    }
    pair.drain();
}

proptest! {
    #[test]
    fn does_what_the_model_does_in_fifo_order(
        limits in any_topology(false), steps in prop::collection::vec(any_step(false), 1..120)
    ) {
        run(limits, steps);
    }

    #[test]
    fn does_what_the_model_allows_in_fair_order(
        limits in any_topology(true), steps in prop::collection::vec(any_step(true), 1..120)
    ) {
        run(limits, steps);
    }
}
