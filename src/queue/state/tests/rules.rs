//! One test per rule; each fails when the rule's guard is removed.

use super::*;
use crate::queue::limits::PauseScope;
use std::collections::HashMap;

const NOBODY: [Ticket; 0] = [];

#[test]
fn never_more_than_the_level_are_in_flight() {
    let mut state = state(&[("a", fixed(2))]);
    let tickets: Vec<Ticket> = (0..4).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..2]);
    assert_eq!(grant(&mut state, 1000), NOBODY);
    state.leave(tickets[0], at(1000));
    assert_eq!(grant(&mut state, 1000), tickets[2..3]);
}

#[test]
fn a_pool_counts_its_borrowers() {
    let mut state = state(&[("a", fixed(2)), ("b", borrow("a")), ("c", borrow("a"))]);
    let (b, c, a) = (join(&mut state, "b", 0), join(&mut state, "c", 0), join(&mut state, "a", 0));
    assert_eq!(grant(&mut state, 0), [b, c]);
    state.leave(c, at(1));
    assert_eq!(grant(&mut state, 1), [a]);
}

#[test]
fn the_oldest_ticket_goes_first_over_all_lines() {
    let mut state = state(&[("a", fixed(1)), ("b", borrow("a"))]);
    let tickets: Vec<Ticket> = ["a", "b", "b", "a", "b"].into_iter().map(|name| join(&mut state, name, 0)).collect();
    for ticket in tickets {
        assert_eq!(grant(&mut state, 0), [ticket]);
        state.leave(ticket, at(0));
    }
}

#[test]
fn a_ticket_that_leaves_makes_room_once() {
    let mut state = state(&[("a", fixed(1))]);
    let tickets: Vec<Ticket> = (0..3).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..1]);
    assert!(state.leave(tickets[0], at(1)).is_some());
    assert_eq!(grant(&mut state, 1), tickets[1..2]);
    assert!(state.leave(tickets[0], at(1)).is_none());
    assert!(!state.rejoin(tickets[0], at(1), at(1)));
    assert!(!state.rejoin(tickets[2], at(1), at(1)), "not in flight yet");
    assert_eq!(grant(&mut state, 1), NOBODY);
}

#[test]
fn wait_time_counts_from_the_end_of_a_request_and_holds_for_the_pool() {
    let waiting = Limits { wait_time: Duration::from_millis(50), ..fixed(1) };
    let mut state = state(&[("a", waiting), ("b", borrow("a"))]);
    let (first, second) = (join(&mut state, "a", 100), join(&mut state, "b", 100));
    assert_eq!(grant(&mut state, 100), [first]);
    state.leave(first, at(130));
    assert_eq!(grant(&mut state, 179), NOBODY);
    assert_eq!(state.next_wake(), Some(at(180)));
    assert_eq!(grant(&mut state, 180), [second]);
}

#[test]
fn a_new_pool_waits_as_if_a_request_had_just_ended() {
    let mut state = state(&[("a", Limits { wait_time: Duration::from_millis(50), ..fixed(1) })]);
    let first = join(&mut state, "a", 10);
    assert_eq!(grant(&mut state, 10), NOBODY);
    assert_eq!(state.next_wake(), Some(at(50)));
    assert_eq!(grant(&mut state, 50), [first]);
}

#[test]
fn a_new_borrower_does_not_make_its_pool_wait() {
    let lender = Limits { wait_time: Duration::from_millis(50), ..fixed(1) };
    let mut state = state(&[("a", lender.clone())]);
    apply(&mut state, &[("a", lender), ("b", borrow("a"))], 1000);
    let first = join(&mut state, "a", 1000);
    assert_eq!(grant(&mut state, 1000), [first]);
}

#[test]
fn all_rate_windows_have_to_grant() {
    let mut state = state(&[("a", Limits { rate: vec![window(2, 100), window(3, 1000)], ..fixed(9) })]);
    let tickets: Vec<Ticket> = (0..5).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..2]);
    assert_eq!(state.next_wake(), Some(at(100)));
    assert_eq!(grant(&mut state, 99), NOBODY);
    assert_eq!(grant(&mut state, 100), tickets[2..3]);
    assert_eq!(state.next_wake(), Some(at(1000)));
    assert_eq!(grant(&mut state, 1000), tickets[3..5]);
}

#[test]
fn a_changed_rate_remembers_what_was_sent() {
    let limited = |count| Limits { rate: vec![window(count, 1000)], ..fixed(9) };
    let mut state = state(&[("a", limited(4))]);
    let tickets: Vec<Ticket> = (0..6).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..4]);
    apply(&mut state, &[("a", limited(5))], 10);
    assert_eq!(grant(&mut state, 10), tickets[4..5]);
    assert_eq!(state.next_wake(), Some(at(1000)));
}

#[test]
fn the_longer_pause_wins_in_either_order() {
    for pauses in [[500, 100], [100, 500]] {
        let mut state = state(&[("a", fixed(2)), ("b", borrow("a"))]);
        let (holder, other) = (join(&mut state, "a", 0), join(&mut state, "b", 0));
        assert_eq!(grant(&mut state, 0), [holder, other]);
        for until in pauses {
            state.pause(holder, at(until), PauseScope::Pool);
        }
        let next = join(&mut state, "b", 10);
        state.leave(other, at(10));
        assert_eq!(grant(&mut state, 499), NOBODY);
        assert_eq!(state.next_wake(), Some(at(500)));
        assert_eq!(grant(&mut state, 500), [next]);
    }
}

#[test]
fn a_pause_of_one_connection_lets_the_others_of_the_pool_send() {
    let mut state = state(&[("a", fixed(2)), ("b", borrow("a"))]);
    let holder = join(&mut state, "a", 0);
    assert_eq!(grant(&mut state, 0), [holder]);
    state.pause(holder, at(100), PauseScope::Connection);
    state.leave(holder, at(1));
    let (held, free) = (join(&mut state, "a", 1), join(&mut state, "b", 1));
    assert_eq!(grant(&mut state, 1), [free]);
    assert_eq!(state.next_wake(), Some(at(100)));
    assert_eq!(grant(&mut state, 100), [held]);
}

#[test]
fn a_limited_request_goes_first_after_the_pause() {
    let mut state = state(&[("a", fixed(1)), ("b", borrow("a"))]);
    let older = join(&mut state, "a", 0);
    let limited = join(&mut state, "b", 0);
    assert_eq!(grant(&mut state, 0), [older]);
    // The older one backs off, so the other line sends; then that one is limited.
    assert!(state.rejoin(older, at(5), at(1)));
    assert_eq!(grant(&mut state, 1), [limited]);
    state.pause(limited, at(100), PauseScope::Pool);
    assert!(state.rejoin(limited, at(2), at(2)));
    assert_eq!(grant(&mut state, 99), NOBODY);
    assert_eq!(grant(&mut state, 100), [limited]);
    state.leave(limited, at(101));
    assert_eq!(grant(&mut state, 101), [older]);
}

#[test]
fn nobody_is_sent_between_a_pause_and_its_limited_request() {
    let mut state = state(&[("a", fixed(2))]);
    let (limited, other) = (join(&mut state, "a", 0), join(&mut state, "a", 0));
    assert_eq!(grant(&mut state, 0), [limited, other]);
    state.pause(limited, at(100), PauseScope::Pool);
    state.rejoin(limited, at(130), at(1));
    state.leave(other, at(1));
    let next = join(&mut state, "a", 1);
    assert_eq!(grant(&mut state, 129), NOBODY);
    assert_eq!(grant(&mut state, 130), [limited, next]);
}

#[test]
fn at_level_one_the_line_waits_for_a_request_that_backs_off() {
    let mut state = state(&[("a", fixed(1)), ("b", borrow("a"))]);
    let (retried, behind) = (join(&mut state, "a", 0), join(&mut state, "a", 0));
    assert_eq!(grant(&mut state, 0), [retried]);
    state.rejoin(retried, at(100), at(1));
    assert_eq!(grant(&mut state, 50), NOBODY);
    assert_eq!(state.next_wake(), Some(at(100)));
    let elsewhere = join(&mut state, "b", 50);
    assert_eq!(grant(&mut state, 50), [elsewhere], "only its own line waits");
    state.leave(elsewhere, at(60));
    assert_eq!(grant(&mut state, 100), [retried]);
    state.leave(retried, at(110));
    assert_eq!(grant(&mut state, 110), [behind]);
}

#[test]
fn above_level_one_others_pass_a_request_that_backs_off() {
    let mut state = state(&[("a", fixed(2))]);
    let tickets: Vec<Ticket> = (0..5).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..2]);
    state.rejoin(tickets[0], at(100), at(1));
    assert_eq!(grant(&mut state, 1), tickets[2..3]);
}

#[test]
fn a_retry_keeps_its_ticket() {
    let mut state = state(&[("a", fixed(2))]);
    let tickets: Vec<Ticket> = (0..5).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..2]);
    state.rejoin(tickets[0], at(100), at(1));
    assert_eq!(grant(&mut state, 1), tickets[2..3]);
    assert_eq!(grant(&mut state, 100), NOBODY);
    state.leave(tickets[1], at(100));
    assert_eq!(grant(&mut state, 100), tickets[..1], "before those who waited all the time");
}

#[test]
fn a_retry_that_leaves_frees_its_line() {
    let mut state = state(&[("a", fixed(1))]);
    let (retried, behind) = (join(&mut state, "a", 0), join(&mut state, "a", 0));
    assert_eq!(grant(&mut state, 0), [retried]);
    state.rejoin(retried, at(100), at(1));
    state.leave(retried, at(2));
    assert_eq!(grant(&mut state, 2), [behind]);
}

#[test]
fn a_retry_that_leaves_after_its_delay_frees_its_line() {
    let mut state = state(&[("a", fixed(1)), ("b", borrow("a"))]);
    let (retried, behind) = (join(&mut state, "a", 0), join(&mut state, "b", 0));
    assert_eq!(grant(&mut state, 0), [retried]);
    state.rejoin(retried, at(10), at(1));
    assert_eq!(grant(&mut state, 1), [behind]);
    state.leave(behind, at(11));
    let paused = join(&mut state, "b", 11);
    assert_eq!(grant(&mut state, 11), [retried]);
    state.rejoin(retried, at(11), at(11));
    state.leave(retried, at(11));
    assert_eq!(grant(&mut state, 11), [paused]);
}

#[test]
fn a_lowered_level_starts_nothing_until_enough_have_ended() {
    let mut state = state(&[("a", fixed(4))]);
    let tickets: Vec<Ticket> = (0..6).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..4]);
    apply(&mut state, &[("a", fixed(2))], 1);
    for ticket in &tickets[..2] {
        state.leave(*ticket, at(2));
        assert_eq!(grant(&mut state, 2), NOBODY);
    }
    state.leave(tickets[2], at(3));
    assert_eq!(grant(&mut state, 3), tickets[4..5]);
}

#[test]
fn a_raised_level_starts_at_once() {
    let mut state = state(&[("a", fixed(1))]);
    let tickets: Vec<Ticket> = (0..4).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..1]);
    apply(&mut state, &[("a", fixed(3))], 1);
    assert_eq!(grant(&mut state, 1), tickets[1..3]);
}

#[test]
fn a_line_that_moves_counts_its_requests_in_both_pools() {
    let mut state = state(&[("a", fixed(3)), ("b", fixed(2))]);
    let moved: Vec<Ticket> = (0..3).map(|_| join(&mut state, "a", 0)).collect();
    assert_eq!(grant(&mut state, 0), moved);
    apply(&mut state, &[("a", borrow("b")), ("b", fixed(2))], 1);
    let next = join(&mut state, "b", 1);
    assert_eq!(grant(&mut state, 1), NOBODY);
    // Back again while they are still in flight: they count once.
    apply(&mut state, &[("a", fixed(3)), ("b", fixed(2))], 2);
    let own = join(&mut state, "a", 2);
    assert_eq!(grant(&mut state, 2), NOBODY);
    state.leave(moved[0], at(3));
    assert_eq!(grant(&mut state, 3), [own]);
    state.leave(moved[1], at(4));
    assert_eq!(grant(&mut state, 4), [next]);
}

#[test]
fn a_pause_follows_a_line_to_another_pool() {
    let mut state = state(&[("a", fixed(1)), ("b", fixed(1))]);
    let holder = join(&mut state, "a", 0);
    grant(&mut state, 0);
    state.pause(holder, at(100), PauseScope::Pool);
    state.leave(holder, at(1));
    apply(&mut state, &[("a", borrow("b")), ("b", fixed(1))], 2);
    let (held, free) = (join(&mut state, "a", 2), join(&mut state, "b", 2));
    assert_eq!(grant(&mut state, 2), [free]);
    state.leave(free, at(3));
    assert_eq!(grant(&mut state, 99), NOBODY);
    assert_eq!(grant(&mut state, 100), [held]);
}

#[test]
fn a_removed_line_serves_who_waits_and_then_closes() {
    let mut state = state(&[("a", fixed(1))]);
    let (first, second) = (join(&mut state, "a", 0), join(&mut state, "a", 0));
    assert_eq!(grant(&mut state, 0), [first]);
    apply(&mut state, &[], 1);
    state.leave(first, at(2));
    assert_eq!(grant(&mut state, 2), [second]);
    state.leave(second, at(3));
    assert_eq!(state.join(&line("a"), &flow("f"), some(1), at(3)), None);
    assert!(state.lines.is_empty() && state.pools.is_empty() && state.keys.is_empty() && state.alarms.is_empty());
}

#[test]
fn a_line_that_is_kept_stays_open_without_tickets() {
    let mut state = state(&[("a", fixed(1))]);
    let key = state.key(&line("a")).unwrap();
    assert!(state.keep(key));
    apply(&mut state, &[], 1);
    let ticket = join(&mut state, "a", 2);
    assert_eq!(grant(&mut state, 2), [ticket]);
    state.let_go(key);
    assert!(state.key(&line("a")).is_some(), "its ticket is still there");
    state.leave(ticket, at(3));
    assert!(state.key(&line("a")).is_none());
}

#[test]
fn loans_that_lead_nowhere_send_one_at_a_time() {
    let mut state = state(&[("a", borrow("b")), ("b", borrow("a")), ("c", borrow("gone"))]);
    for name in ["a", "b", "c"] {
        let (first, _) = (join(&mut state, name, 0), join(&mut state, name, 0));
        assert_eq!(grant(&mut state, 0), [first]);
    }
}

#[test]
fn fair_order_shares_starts_by_weight() {
    let mut state = state(&[("a", Limits { order: Order::Fair, ..fixed(1) }), ("b", borrow("a"))]);
    let mut flows = HashMap::new();
    for _ in 0..400 {
        flows.insert(join_as(&mut state, "a", "heavy", 3, 0), "heavy");
    }
    for turn in 0..400 {
        // Light sends through both lines and gets no second share for it.
        let name = if turn % 2 == 0 { "a" } else { "b" };
        flows.insert(join_as(&mut state, name, "light", 1, 0), "light");
    }
    let mut heavy = 0;
    for turn in 1..=400_u32 {
        let granted = grant(&mut state, 0);
        heavy += u32::from(flows[&granted[0]] == "heavy");
        assert!(heavy.abs_diff(turn * 3 / 4) <= 2, "{heavy} of {turn}");
        state.leave(granted[0], at(0));
    }
}

#[test]
fn a_flow_that_was_silent_saves_nothing_up() {
    let mut state = state(&[("a", Limits { order: Order::Fair, ..fixed(1) })]);
    let early = join_as(&mut state, "a", "silent", 1, 0);
    assert_eq!(grant(&mut state, 0), [early]);
    state.leave(early, at(0));
    for _ in 0..100 {
        let ticket = join_as(&mut state, "a", "busy", 1, 0);
        assert_eq!(grant(&mut state, 0), [ticket]);
        state.leave(ticket, at(0));
    }
    let flows: HashMap<Ticket, &str> =
        (0..20).flat_map(|_| ["busy", "silent"]).map(|name| (join_as(&mut state, "a", name, 1, 0), name)).collect();
    let mut silent = 0;
    for _ in 0..10 {
        let granted = grant(&mut state, 0);
        silent += u32::from(flows[&granted[0]] == "silent");
        state.leave(granted[0], at(0));
    }
    assert!((5..=6).contains(&silent), "{silent}");
}

#[test]
fn a_turn_that_was_held_back_does_not_set_the_clock_of_turns_back() {
    let mut state = state(&[("a", Limits { order: Order::Fair, ..fixed(1) }), ("b", borrow("a"))]);
    let holder = join_as(&mut state, "b", "held", 1, 0);
    assert_eq!(grant(&mut state, 0), [holder]);
    state.pause(holder, at(100), PauseScope::Connection);
    let held = join_as(&mut state, "b", "held", 1, 0);
    state.leave(holder, at(0));
    for _ in 0..50 {
        let ticket = join_as(&mut state, "a", "busy", 1, 0);
        assert_eq!(grant(&mut state, 0), [ticket]);
        state.leave(ticket, at(0));
    }
    assert_eq!(grant(&mut state, 100), [held]);
    let busy = join_as(&mut state, "a", "busy", 1, 100);
    let new: Vec<Ticket> = (0..3).map(|_| join_as(&mut state, "a", "new", 1, 100)).collect();
    state.leave(held, at(100));
    assert_eq!(grant(&mut state, 100), new[..1]);
    state.leave(new[0], at(100));
    assert_eq!(grant(&mut state, 100), [busy], "the new flow has had its turn");
}

#[test]
fn flows_that_always_have_two_tickets_waiting_share_by_weight() {
    let mut state = state(&[("a", Limits { order: Order::Fair, ..fixed(1) })]);
    let mut flows = HashMap::new();
    let mut heavy = 0;
    for (name, weight) in [("heavy", 4), ("heavy", 4), ("light", 1), ("light", 1)] {
        flows.insert(join_as(&mut state, "a", name, weight, 0), (name, weight));
    }
    for _ in 0..500 {
        let granted = grant(&mut state, 0)[0];
        let (name, weight) = flows[&granted];
        heavy += u32::from(name == "heavy");
        flows.insert(join_as(&mut state, "a", name, weight, 0), (name, weight));
        state.leave(granted, at(0));
    }
    assert!(heavy.abs_diff(400) <= 2, "{heavy}");
}

#[test]
fn cancelled_tickets_cost_their_flow_nothing() {
    let mut state = state(&[("a", Limits { order: Order::Fair, ..fixed(1) })]);
    let holder = join_as(&mut state, "a", "other", 1, 0);
    grant(&mut state, 0);
    let cancelled: Vec<Ticket> = (0..100).map(|_| join_as(&mut state, "a", "f", 1, 0)).collect();
    for ticket in cancelled {
        state.leave(ticket, at(0));
    }
    let others: Vec<Ticket> = (0..3).map(|_| join_as(&mut state, "a", "other", 1, 0)).collect();
    let again = join_as(&mut state, "a", "f", 1, 0);
    state.leave(holder, at(0));
    assert_eq!(grant(&mut state, 0), [again]);
    state.leave(again, at(0));
    assert_eq!(grant(&mut state, 0), others[..1]);
}

#[test]
fn a_changed_order_holds_for_tickets_that_wait() {
    let fair = Limits { order: Order::Fair, ..fixed(1) };
    let mut state = state(&[("a", fixed(1))]);
    let tickets: Vec<Ticket> = ["x", "x", "x", "y"].into_iter().map(|by| join_as(&mut state, "a", by, 1, 0)).collect();
    assert_eq!(grant(&mut state, 0), tickets[..1]);
    apply(&mut state, &[("a", fair)], 0);
    state.leave(tickets[0], at(0));
    assert_eq!(grant(&mut state, 0), tickets[1..2]);
    state.leave(tickets[1], at(0));
    assert_eq!(grant(&mut state, 0), tickets[3..], "the other flow's turn");
    apply(&mut state, &[("a", fixed(1))], 0);
    let late = join_as(&mut state, "a", "y", 1, 0);
    state.leave(tickets[3], at(0));
    assert_eq!(grant(&mut state, 0), tickets[2..3], "by age again");
    state.leave(tickets[2], at(0));
    assert_eq!(grant(&mut state, 0), [late]);
}

#[test]
fn time_in_line_is_counted_for_each_stand() {
    let mut state = state(&[("a", fixed(1))]);
    let (first, second) = (join(&mut state, "a", 0), join(&mut state, "a", 10));
    grant(&mut state, 0);
    state.leave(first, at(35));
    grant(&mut state, 35);
    assert_eq!(state.waited(second), Some(Duration::from_millis(25)));
    state.rejoin(second, at(35), at(40));
    assert_eq!(state.waited(second), None);
    grant(&mut state, 41);
    assert_eq!(state.waited(second), Some(Duration::from_millis(1)));
}

#[test]
fn the_view_shows_depth_age_pause_and_level() {
    let mut state = state(&[("b", borrow("a")), ("a", fixed(2))]);
    let holder = join(&mut state, "a", 0);
    grant(&mut state, 0);
    state.pause(holder, at(500), PauseScope::Pool);
    join(&mut state, "b", 100);
    join(&mut state, "b", 200);
    grant(&mut state, 200);
    let view = state.view(at(300));
    assert_eq!(view.len(), 1);
    assert_eq!((view[0].level, view[0].in_flight, view[0].paused_for), (2, 1, Some(Duration::from_millis(200))));
    let lines: Vec<_> = view[0].lines.iter().map(|l| (l.id.clone(), l.depth, l.in_flight, l.oldest)).collect();
    assert_eq!(lines, [(line("a"), 0, 1, None), (line("b"), 2, 0, Some(Duration::from_millis(200)))]);
}

#[test]
fn an_adaptive_level_starts_at_one_moves_with_the_answers_and_never_exceeds_its_most() {
    use crate::queue::limits::{Cause, Signal};
    let adaptive = |most| limits(Level::Adaptive(some(most)));
    let mut state = state(&[("a", adaptive(3)), ("b", borrow("a"))]);
    let mut now = 0;
    let mut in_flight: Vec<Ticket> = Vec::new();
    let mut most = 0;
    for n in 0..200 {
        join(&mut state, if n % 2 == 0 { "a" } else { "b" }, now);
    }
    for _ in 0..60 {
        in_flight.extend(grant(&mut state, now));
        most = most.max(in_flight.len());
        now += 10;
        let ticket = in_flight.remove(0);
        state.learn(ticket, Signal::Passed, at(now - 10), at(now));
        state.leave(ticket, at(now));
    }
    assert_eq!((most, state.view(at(now))[0].level, state.view(at(now))[0].most), (3, 3, Some(3)));
    in_flight.extend(grant(&mut state, now));
    let (change, lines) = state.learn(in_flight[0], Signal::Limited, at(now), at(now + 5)).unwrap();
    assert_eq!((change.from, change.to, change.cause, lines.len()), (3, 1, Cause::Limited, 2));
    for ticket in in_flight.drain(..2) {
        state.leave(ticket, at(now + 5));
        assert_eq!(grant(&mut state, now + 5), NOBODY, "the lower level holds at once");
    }
    state.leave(in_flight[0], at(now + 6));
    assert_eq!(grant(&mut state, now + 6).len(), 1);
    apply(&mut state, &[("a", adaptive(9)), ("b", borrow("a"))], now + 7);
    assert_eq!(state.view(at(now + 7))[0].level, 1, "what was learnt outlives a reload");
    apply(&mut state, &[("a", fixed(4)), ("b", borrow("a"))], now + 8);
    assert_eq!((state.view(at(now + 8))[0].level, state.view(at(now + 8))[0].most), (4, None));
}
