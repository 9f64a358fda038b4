//! `explain` is right: each reason it gives is necessary, all of them are enough, and what it foretells comes true.

use super::*;
use crate::queue::limits::PauseScope;
use crate::queue::view::Block;
use proptest::prelude::*;

const LINES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Join(usize),
    Leave(usize),
    Rejoin(usize, u64),
    Aside(usize),
    Pause(usize, u64, PauseScope),
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let scope = prop_oneof![Just(PauseScope::Pool), Just(PauseScope::Connection)];
    prop_oneof![
        8 => (0..LINES.len()).prop_map(Step::Join),
        2 => any::<usize>().prop_map(Step::Leave),
        4 => (any::<usize>(), 0..15_u64).prop_map(|(of, delay)| Step::Rejoin(of, delay)),
        1 => any::<usize>().prop_map(Step::Aside),
        2 => (any::<usize>(), 1..15_u64, scope).prop_map(|(of, pause, scope)| Step::Pause(of, pause, scope)),
        4 => (1..8_u64).prop_map(Step::Wait),
    ]
}

/// A lender, a borrower, and a line of its own.
fn any_limits() -> impl Strategy<Value = Limits> {
    let rate = prop::collection::vec((1..4_u32, 1..12_u64).prop_map(|(count, per)| window(count, per)), 0..3);
    (1..4_u32, rate, 0..8_u64, any::<bool>()).prop_map(|(level, rate, wait, fair)| {
        let order = if fair { Order::Fair } else { Order::Fifo };
        Limits { level: Level::Fixed(some(level)), wait_time: Duration::from_millis(wait), rate, order }
    })
}

fn lending(own: Limits) -> QueueState {
    state(&[("a", own.clone()), ("b", Limits { level: Level::Borrow(connection("a")), ..own }), ("c", fixed(2))])
}

fn play(state: &mut QueueState, steps: Vec<Step>) -> (Vec<Ticket>, u64) {
    let (mut tickets, mut now): (Vec<Ticket>, u64) = (Vec::new(), 0);
    for step in steps {
        let sent: Vec<Ticket> = tickets.iter().copied().filter(|ticket| state.waited(*ticket).is_some()).collect();
        let pick = |from: &[Ticket], number: usize| (!from.is_empty()).then(|| from[number % from.len()]);
        match step {
            Step::Join(at) => tickets.push(join_as(state, LINES[at], LINES[tickets.len() % 3], 1, now)),
            Step::Leave(of) => drop(pick(&tickets, of).map(|ticket| state.leave(ticket, at(now)))),
            Step::Rejoin(of, delay) => drop(pick(&sent, of).map(|one| state.rejoin(one, at(now + delay), at(now)))),
            Step::Aside(of) => drop(pick(&sent, of).map(|ticket| state.step_aside(ticket, at(now)))),
            Step::Pause(of, pause, scope) => drop(pick(&sent, of).map(|one| state.pause(one, at(now + pause), scope))),
            Step::Wait(millis) => now += millis,
        }
        grant(state, now);
    }
    (tickets, now)
}

fn excerpt_of(state: &QueueState, ticket: Ticket) -> Option<super::super::explain::Excerpt> {
    state.excerpt(state.line_of(ticket)?)
}

proptest! {
    #[test]
    fn every_reason_is_necessary_and_all_of_them_are_enough(
        limits in any_limits(), steps in prop::collection::vec(any_step(), 1..60)
    ) {
        let mut state = lending(limits);
        let (tickets, now) = play(&mut state, steps);
        let mut explained = 0;
        for ticket in tickets.into_iter().filter(|ticket| state.line_of(*ticket).is_some()) {
            let excerpt = excerpt_of(&state, ticket).unwrap();
            let reasons = excerpt.blocks(ticket, at(now));
            prop_assert_eq!(reasons.is_empty(), state.waited(ticket).is_some(), "who waits has a reason: {:?}", reasons);
            if reasons.is_empty() {
                continue;
            }
            explained += 1;
            prop_assert!(excerpt.starts_without(&reasons, ticket, at(now)), "not enough: {:?}", reasons);
            for without in 0..reasons.len() {
                let mut fewer = reasons.clone();
                let reason = fewer.remove(without);
                prop_assert!(!excerpt.starts_without(&fewer, ticket, at(now)), "{:?} is not necessary", reason);
            }
        }
        prop_assert!(explained <= state.tickets.len());
    }

    #[test]
    fn what_is_foretold_comes_true(limits in any_limits(), steps in prop::collection::vec(any_step(), 1..60)) {
        let mut state = lending(limits);
        let (tickets, now) = play(&mut state, steps);
        // Requests of the simulation take as long as the forecast believes.
        for line in ["a", "c"].map(line) {
            let key = state.key(&line).unwrap();
            let excerpt = state.excerpt(key).unwrap();
            let foretold = excerpt.forecast(at(now));
            let Some(typical) = state.pools[&key].typical() else { continue };
            let mut real = excerpt.state;
            let mut clock = at(now);
            let mut started: Vec<(Ticket, Mono)> = Vec::new();
            let mut in_flight: Vec<(Mono, Ticket)> = tickets
                .iter()
                .filter(|ticket| real.waited(**ticket).is_some())
                .map(|ticket| (real.tickets[ticket].since.plus(typical).max(clock), *ticket))
                .collect();
            for _ in 0..10_000 {
                for grant in real.grant(clock) {
                    started.push((grant.ticket, clock));
                    in_flight.push((clock.plus(typical), grant.ticket));
                }
                in_flight.sort_unstable();
                let end = in_flight.first().copied();
                match (real.next_wake(), end) {
                    (Some(wake), end) if end.is_none_or(|(end, _)| wake <= end) => clock = clock.max(wake),
                    (_, Some((end, ticket))) => {
                        in_flight.remove(0);
                        clock = clock.max(end);
                        real.leave(ticket, clock);
                    }
                    (_, None) => break,
                }
            }
            let foretold: Vec<(Ticket, Mono)> = foretold.into_iter().map(|s| (s.ticket, s.at.unwrap())).collect();
            prop_assert_eq!(foretold, started);
        }
    }
}

#[test]
fn each_rule_is_named_by_its_own_name() {
    let mut limits = fixed(1);
    (limits.wait_time, limits.rate) = (Duration::from_millis(10), vec![window(1, 1000)]);
    let mut state = state(&[("shop", limits), ("till", borrow("shop"))]);
    let first = join(&mut state, "shop", 10);
    assert_eq!(grant(&mut state, 10), [first]);
    let second = join(&mut state, "till", 11);
    let names = |state: &QueueState, ticket: Ticket, now: u64| -> Vec<&'static str> {
        let named = |block: Block| match block {
            Block::Level { level: 1, in_flight: 1, lender: Some(_) } => "borrowed",
            Block::Level { .. } => "level",
            Block::Rate { left, window } if left <= window.per => "rate",
            Block::Rate { .. } => "rate for too long",
            Block::Wait { .. } => "wait",
            Block::Pause { .. } => "pause",
            Block::LinePause { .. } => "line pause",
            Block::BackOff { .. } => "back-off",
            Block::Order { .. } => "order",
            Block::Aside => "aside",
        };
        excerpt_of(state, ticket).unwrap().blocks(ticket, at(now)).into_iter().map(named).collect()
    };
    assert_eq!(names(&state, second, 11), ["borrowed", "rate"]);
    let third = join(&mut state, "shop", 12);
    assert_eq!(names(&state, third, 12), ["level", "rate", "order"]);
    state.pause(first, at(2000), PauseScope::Pool);
    state.leave(first, at(20));
    assert_eq!(names(&state, second, 20), ["pause", "wait", "rate"]);
    assert_eq!(names(&state, second, 1500), ["pause"]);
    assert_eq!(grant(&mut state, 2000), [second]);
    state.pause(second, at(6000), PauseScope::Connection);
    state.rejoin(second, at(2100), at(2001));
    assert_eq!(names(&state, second, 2001), ["line pause", "wait", "rate"]);
    assert_eq!(grant(&mut state, 3100), [third], "the paused line does not hold the other");
    state.rejoin(third, at(9000), at(3101));
    assert_eq!(names(&state, third, 3101), ["back-off", "wait", "rate"]);
    let fourth = join(&mut state, "shop", 3102);
    assert_eq!(names(&state, fourth, 8000), ["order"], "at level 1 nobody passes what backs off");
    let view = excerpt_of(&state, fourth).unwrap().detail(at(3102), |_| true, 2).unwrap();
    assert_eq!((view.waiting.len(), view.more, view.holders.len()), (2, 1, 0));
}
