//! Missed occurrences: none, one or all of them, spread, and not beside a run that is under way.

use super::*;

#[test]
fn up_to_a_minute_late_is_on_time_whatever_missed_says() {
    for missed in ["none", "one", "all", "one jitter=600"] {
        let mut heap = heap(&[("a", &format!("0 * * * *|{missed}"))], "2027-01-01T00:30:00Z");
        assert_eq!(due(&mut heap, "2027-01-01T01:00:59Z"), ["a 01T01:00:00"], "{missed}");
    }
    let mut heap = heap(&[("a", "0 * * * *|none")], "2027-01-01T00:30:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:01:00Z"), ["a -1 to 01T01:00:00"]);
}

#[test]
fn none_runs_nothing_that_was_missed_and_counts_it() {
    let mut heap = heap(&[("a", "*/15 * * * *|none")], "2027-01-01T00:00:00Z");
    assert_eq!(due(&mut heap, "2027-01-04T00:05:00Z"), ["a -288 to 04T00:00:00"]);
    assert_eq!(heap.next_wake(), Some(at("2027-01-04T00:15:00Z")));
    assert_eq!(saved(&mut heap), ["a: 04T00:00"]);
    assert_eq!(
        due(&mut heap, "2027-01-04T01:00:20Z"),
        ["a 04T01:00:00", "a -3 to 04T01:00:00"],
        "the newest is on time"
    );
}

#[test]
fn one_runs_the_newest_in_the_window_for_all_of_them() {
    let mut heap = heap(&[("a", "*/15 * * * *")], "2027-01-01T00:00:00Z");
    assert_eq!(due(&mut heap, "2027-01-04T00:05:00Z"), ["a 04T00:00:00!", "a -287 to 04T00:00:00"]);
    assert_eq!(heap.next_wake(), Some(at("2027-01-04T00:15:00Z")));
    let mut heap = self::heap(&[("weekly", "0 0 * * 1"), ("daily", "0 0 * * *")], "2027-01-01T00:00:00Z");
    let shown = due(&mut heap, "2027-01-06T12:00:00Z");
    assert_eq!(shown, ["daily 06T00:00:00!", "daily -4 to 06T00:00:00", "weekly -1 to 04T00:00:00"]);
    let mut heap = self::heap(&[("a", "0 0 * * *|one window=3600")], "2027-01-01T12:00:00Z");
    assert_eq!(due(&mut heap, "2027-01-02T01:00:00Z"), ["a -1 to 02T00:00:00"], "exactly a window ago is outside");
    assert_eq!(due(&mut heap, "2027-01-03T00:59:59Z"), ["a 03T00:00:00!"]);
}

#[test]
fn all_runs_each_in_the_window_oldest_first_and_one_at_a_time() {
    let mut heap = heap(&[("a", "0 * * * *|all window=10800")], "2027-01-01T00:30:00Z");
    let now = "2027-01-01T06:30:00Z";
    assert_eq!(due(&mut heap, now), ["a 01T04:00:00!", "a -3 to 01T04:00:00"]);
    assert!(due_while(&mut heap, now, &["a"]).is_empty(), "its run goes on");
    heap.ended(&id("a"), at("2027-01-01T06:31:00Z"));
    assert_eq!(due(&mut heap, "2027-01-01T06:31:00Z"), ["a 01T05:00:00!"]);
    assert!(due_while(&mut heap, "2027-01-01T06:32:00Z", &["a"]).is_empty());
    // Nobody told of the end: it is looked at again all the same.
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T06:32:30Z")));
    assert_eq!(due(&mut heap, "2027-01-01T06:32:30Z"), ["a 01T06:00:00!"]);
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T07:00:00Z")));
}

#[test]
fn all_takes_at_most_the_newest_max() {
    let mut heap = heap(&[("a", "*/10 * * * *|all max=3")], "2027-01-01T00:00:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T05:05:00Z"), ["a 01T04:40:00!", "a -27 to 01T04:40:00"]);
    assert_eq!(due(&mut heap, "2027-01-01T05:05:00Z"), ["a 01T04:50:00!"]);
    assert_eq!(due(&mut heap, "2027-01-01T05:05:00Z"), ["a 01T05:00:00!"]);
    assert!(due(&mut heap, "2027-01-01T05:05:00Z").is_empty());
}

#[test]
fn what_comes_due_while_all_catches_up_overlaps_with_its_runs() {
    for (overlap, while_running, after) in
        [("", "a -3 to 01T00:50:00 overlapped", ""), ("queue", "", "a 01T00:50:00! a -2 to 01T00:50:00 overlapped")]
    {
        let mut heap = heap(&[("a", &format!("*/10 * * * *|all {overlap}"))], "2027-01-01T00:00:00Z");
        assert_eq!(due(&mut heap, "2027-01-01T00:22:00Z"), ["a 01T00:10:00!"]);
        for minute in 22..54 {
            let now = format!("2027-01-01T00:{minute}:00Z");
            assert!(due_while(&mut heap, &now, &["a"]).is_empty(), "{now}");
        }
        assert_eq!(due(&mut heap, "2027-01-01T00:54:00Z"), ["a 01T00:20:00!"]);
        assert_eq!(due_while(&mut heap, "2027-01-01T00:54:00Z", &["a"]).join(" "), while_running);
        assert_eq!(due(&mut heap, "2027-01-01T00:55:00Z").join(" "), after);
        assert_eq!(heap.next_wake(), Some(at("2027-01-01T01:00:00Z")));
    }
}

#[test]
fn a_flow_that_sleeps_again_while_it_catches_up_is_judged_anew() {
    let mut heap = heap(&[("a", "0 * * * *|all window=7200")], "2027-01-01T00:30:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T02:30:00Z"), ["a 01T01:00:00!"]);
    assert_eq!(due(&mut heap, "2027-01-01T09:30:00Z"), ["a 01T08:00:00!", "a -6 to 01T08:00:00"]);
}

#[test]
fn a_missed_one_waits_for_the_run_under_way_but_one_on_time_does_not() {
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T00:30:00Z");
    assert!(due_while(&mut heap, "2027-01-01T01:30:00Z", &["a"]).is_empty());
    heap.ended(&id("a"), at("2027-01-01T01:30:10Z"));
    assert_eq!(due(&mut heap, "2027-01-01T01:30:10Z"), ["a 01T01:00:00!"]);
    // Whether that overlaps is the supervisor's to say.
    assert_eq!(due_while(&mut heap, "2027-01-01T02:00:00Z", &["a"]), ["a 01T02:00:00"]);
}

#[test]
fn one_that_comes_on_time_stands_for_those_that_wait() {
    let mut heap = heap(&[("a", "0 * * * *|one jitter=86400")], "2027-01-01T00:30:00Z");
    assert!(due(&mut heap, "2027-01-01T03:59:30Z").is_empty());
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T04:00:00Z")), "not kept from its time");
    assert_eq!(due(&mut heap, "2027-01-01T04:00:00Z"), ["a 01T04:00:00", "a -3 to 01T04:00:00"]);
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T05:00:00Z")));
}

#[test]
fn jitter_spreads_starts_evenly_and_the_same_each_time() {
    let names: Vec<String> = (0..400).map(|n| format!("f{n}")).collect();
    let flows: Vec<_> = names.iter().map(|name| (name.as_str(), "0 0 * * *|one jitter=40")).collect();
    let starts = || {
        let mut heap = heap(&flows, "2027-01-01T12:00:00Z");
        let mut starts = Vec::new();
        let mut now = at("2027-01-02T06:00:00Z");
        while now < at("2027-01-02T07:00:00Z") {
            starts.extend(heap.due(now, |_| false).due.into_iter().map(|due| (now, due.flow)));
            now = heap.next_wake().unwrap().max(now);
        }
        starts
    };
    let (first, second) = (starts(), starts());
    assert_eq!(first, second);
    assert_eq!(first.len(), 400);
    let quarter = |from: i64| {
        let from = at("2027-01-02T06:00:00Z") + TimeDelta::seconds(from);
        first.iter().filter(|(at, _)| *at >= from && *at < from + TimeDelta::seconds(10)).count()
    };
    for from in [0, 10, 20, 30] {
        assert!((60..=140).contains(&quarter(from)), "{from}: {}", quarter(from));
    }
    assert!(first.last().unwrap().0 <= at("2027-01-02T06:00:40Z"), "no later than the jitter");
}

#[test]
fn ten_thousand_flows_do_not_catch_up_within_one_second() {
    let names: Vec<String> = (0..10_000).map(|n| format!("f{n}")).collect();
    let policies = ["one", "all", "one jitter=30"];
    let lines = policies.map(|policy| format!("0 0 * * *|{policy}"));
    let flows: Vec<_> = names.iter().map(String::as_str).zip(lines.iter().map(String::as_str).cycle()).collect();
    let mut heap = heap(&flows, "2027-01-01T12:00:00Z");
    let mut starts = std::collections::BTreeMap::<i64, u32>::new();
    let mut now = at("2027-01-02T06:00:00.250Z");
    let (mut looks, mut seen) = (0, BTreeSet::new());
    while now < at("2027-01-02T20:00:00Z") {
        for due in heap.due(now, |_| false).due {
            assert!(due.late && seen.insert(due.flow));
            *starts.entry(now.timestamp()).or_default() += 1;
        }
        now = heap.next_wake().unwrap().max(now);
        looks += 1;
    }
    assert_eq!(seen.len(), 10_000);
    assert_eq!(starts.values().max(), Some(&PER_SECOND));
    assert!(starts.len() <= 250, "{} seconds", starts.len());
    assert!(looks < 20_000, "{looks}");
}

#[test]
fn what_the_gate_planned_holds_no_longer_when_all_sleep_again() {
    let names: Vec<String> = (0..500).map(|n| format!("f{n}")).collect();
    let flows: Vec<_> = names.iter().map(|name| (name.as_str(), "0 0 * * *")).collect();
    let mut heap = heap(&flows, "2027-01-01T12:00:00Z");
    for (now, count) in [("2027-01-02T06:00:00Z", 50), ("2027-01-02T09:00:00Z", 50), ("2027-01-02T09:00:00.9Z", 0)] {
        assert_eq!(heap.due(at(now), |_| false).due.len(), count, "{now}");
    }
}

#[test]
fn a_changed_rule_judges_what_waits_anew() {
    let mut heap = heap(&[("a", "0 0 * * *|one jitter=86400")], "2027-01-01T12:00:00Z");
    assert!(due(&mut heap, "2027-01-02T06:00:00Z").is_empty());
    set(&mut heap, &[("a", "0 0 * * *|one jitter=86400")], "2027-01-02T06:00:01Z");
    assert!(due(&mut heap, "2027-01-02T06:00:01Z").is_empty(), "unchanged: goes on waiting");
    set(&mut heap, &[("a", "0 0 * * *|none")], "2027-01-02T06:00:02Z");
    assert_eq!(due(&mut heap, "2027-01-02T06:00:02Z"), ["a -1 to 02T00:00:00"]);
}

#[test]
fn what_waits_when_the_clock_is_set_back_is_not_late_any_more() {
    let mut heap =
        heap(&[("a", "0 * * * *|one jitter=86400"), ("b", "0 * * * *|all jitter=86400")], "2027-01-01T00:30:00Z");
    assert!(due(&mut heap, "2027-01-01T05:30:00Z").is_empty(), "both wait for their jitter");
    // The clock was wrong by four hours.
    assert!(due(&mut heap, "2027-01-01T00:50:00Z").is_empty());
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T01:00:00Z")));
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z"), ["a 01T01:00:00", "b 01T01:00:00"]);
    assert_eq!(due(&mut heap, "2027-01-01T02:00:00Z"), ["a 01T02:00:00", "b 01T02:00:00"]);
}
