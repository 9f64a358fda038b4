//! The heap against plain stepping, under late wakes, moved clocks and reloads.

use super::*;
use crate::model::schedule::Overlap;
use chrono_tz::Tz;
use std::collections::BTreeSet;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn id(text: &str) -> FlowId {
    FlowId::parse(text).unwrap()
}

fn schedule(cron: &str, zone: Tz) -> Schedule {
    Schedule::parse(cron, zone, Overlap::Skip, DateTime::UNIX_EPOCH).unwrap()
}

fn heap(flows: &[(&str, &str)], now: &str) -> Heap {
    let mut heap = Heap::new();
    set(&mut heap, flows, now);
    heap
}

fn set(heap: &mut Heap, flows: &[(&str, &str)], now: &str) {
    let flows: Vec<_> = flows.iter().map(|(flow, cron)| (id(flow), schedule(cron, Tz::UTC))).collect();
    heap.set_flows(flows.iter().map(|(flow, schedule)| (flow, schedule)), at(now));
}

fn due(heap: &mut Heap, now: &str) -> Vec<(String, String, u64)> {
    let show = |due: Due| (due.flow.to_string(), due.instant.format("%dT%H:%M:%S").to_string(), due.missed);
    heap.due(at(now)).into_iter().filter(|due| !due.stale).map(show).collect()
}

fn one(flow: &str, instant: &str, missed: u64) -> Vec<(String, String, u64)> {
    vec![(flow.into(), instant.into(), missed)]
}

#[test]
fn nothing_is_due_before_its_instant() {
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T00:30:00Z");
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T01:00:00Z")));
    assert!(due(&mut heap, "2027-01-01T00:59:59Z").is_empty());
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z"), one("a", "01T01:00:00", 0));
    assert!(due(&mut heap, "2027-01-01T01:00:00Z").is_empty());
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T02:00:00Z")));
    assert_eq!(heap.next_of(&id("a")), heap.next_wake());
}

#[test]
fn flows_due_together_come_in_order_of_instant_and_name() {
    let mut heap = heap(&[("b", "0 * * * *"), ("a", "0 * * * *"), ("c", "59 * * * *")], "2027-01-01T00:30:00Z");
    let names: Vec<_> = heap.due(at("2027-01-01T01:00:10Z")).into_iter().map(|due| due.flow.to_string()).collect();
    assert_eq!(names, ["c", "a", "b"]);
}

#[test]
fn a_late_wake_collapses_what_was_missed_into_one_run() {
    let mut heap = heap(&[("a", "*/15 * * * *")], "2027-01-01T00:00:00Z");
    assert_eq!(due(&mut heap, "2027-01-04T00:05:00Z"), one("a", "04T00:00:00", 3 * 96 - 1));
    assert_eq!(heap.next_wake(), Some(at("2027-01-04T00:15:00Z")));
}

#[test]
fn an_occurrence_older_than_the_window_is_not_made_up_for() {
    let mut heap = heap(&[("weekly", "0 0 * * 1"), ("daily", "0 0 * * *")], "2027-01-01T00:00:00Z");
    assert_eq!(due(&mut heap, "2027-01-06T12:00:00Z"), one("daily", "06T00:00:00", 4));
    assert_eq!(heap.next_of(&id("weekly")), Some(at("2027-01-11T00:00:00Z")));
}

#[test]
fn a_long_sleep_under_a_line_of_seconds_is_not_stepped_through() {
    let mut heap = heap(&[("a", "* * * * * *")], "2027-01-01T00:00:00Z");
    assert_eq!(due(&mut heap, "2028-01-01T00:00:00Z"), one("a", "01T00:00:00", STEPS));
    let mut heap = self::heap(&[("a", "*/7 * 3 * * *")], "2027-01-01T00:00:00Z");
    assert_eq!(due(&mut heap, "2027-06-10T20:00:00Z"), one("a", "10T03:59:56", STEPS));
}

#[test]
fn a_clock_set_back_hands_out_nothing_twice() {
    let mut heap = heap(&[("a", "*/10 * * * *")], "2027-01-01T00:55:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z").len(), 1);
    for now in ["2027-01-01T00:00:00Z", "2027-01-01T00:30:00Z", "2027-01-01T01:00:00Z", "2027-01-01T01:09:59Z"] {
        assert!(due(&mut heap, now).is_empty(), "{now}");
    }
    assert_eq!(due(&mut heap, "2027-01-01T01:10:00Z"), one("a", "01T01:10:00", 0));
}

#[test]
fn a_reload_leaves_unchanged_flows_alone() {
    let mut heap = heap(&[("a", "0 * * * *"), ("b", "30 * * * *")], "2027-01-01T00:10:00Z");
    // The reload comes late: `a` is due and must not be lost.
    set(&mut heap, &[("a", "0 * * * *"), ("b", "45 * * * *"), ("c", "50 * * * *")], "2027-01-01T01:02:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:02:00Z"), one("a", "01T01:00:00", 0));
    assert_eq!(heap.next_of(&id("b")), Some(at("2027-01-01T01:45:00Z")));
    assert_eq!(heap.next_of(&id("c")), Some(at("2027-01-01T01:50:00Z")));
}

#[test]
fn a_removed_flow_fires_no_more_and_an_edited_one_not_by_its_old_line() {
    let mut heap = heap(&[("a", "0 * * * *"), ("b", "0 * * * *")], "2027-01-01T00:10:00Z");
    set(&mut heap, &[("b", "30 * * * *")], "2027-01-01T00:20:00Z");
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T00:30:00Z")));
    assert_eq!(due(&mut heap, "2027-01-01T01:05:00Z"), one("b", "01T00:30:00", 0));
    set(&mut heap, &[], "2027-01-01T01:06:00Z");
    assert_eq!(heap.next_wake(), None);
    assert!(due(&mut heap, "2027-02-01T00:00:00Z").is_empty());
}

#[test]
fn an_edit_after_the_clock_went_back_repeats_no_instant() {
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T00:10:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z").len(), 1);
    set(&mut heap, &[("a", "0,1 * * * *")], "2027-01-01T00:20:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:01:00Z"), one("a", "01T01:01:00", 0));
}

#[test]
fn many_reloads_do_not_pile_up_entries() {
    let mut heap = Heap::new();
    for round in 0..1_000 {
        set(&mut heap, &[("a", if round % 2 == 0 { "0 * * * *" } else { "1 * * * *" })], "2027-01-01T00:00:00Z");
    }
    assert!(heap.entries.len() < 100, "{}", heap.entries.len());
}

#[test]
fn a_remembered_occurrence_is_not_repeated_after_a_restart_and_what_it_missed_is_made_up_for() {
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T02:10:00Z");
    heap.resume(&id("a"), at("2027-01-01T02:00:00Z"));
    assert!(due(&mut heap, "2027-01-01T02:10:00Z").is_empty());
    heap.resume(&id("a"), at("2027-01-01T00:00:00Z"));
    assert_eq!(due(&mut heap, "2027-01-01T02:10:00Z"), one("a", "01T02:00:00", 1));
}

#[test]
fn thirty_days_give_exactly_what_stepping_each_schedule_gives() {
    let (from, until) = (at("2027-03-10T00:00:00Z"), at("2027-04-09T00:00:00Z"));
    let lines = ["*/15 * * * *", "30 2 * * *", "0 0,12 * * 1-5", "5 4 1 * *", "0 */3 * * *", "20 30 1 * * sun"];
    let zones = [Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Africa__Cairo];
    let flows: Vec<(FlowId, Schedule)> = lines
        .iter()
        .flat_map(|line| zones.map(|zone| schedule(line, zone)))
        .enumerate()
        .map(|(index, schedule)| (id(&format!("f{index}")), schedule))
        .collect();
    let mut expected = BTreeSet::new();
    for (flow, schedule) in &flows {
        let first = schedule.next_after(from);
        expected.extend(
            std::iter::successors(first, |last| schedule.next_after(*last))
                .take_while(|t| *t <= until)
                .map(|t| (t, flow.clone())),
        );
    }
    let mut heap = Heap::new();
    heap.set_flows(flows.iter().map(|(flow, schedule)| (flow, schedule)), from);
    let mut fired = BTreeSet::new();
    let mut wakes = 0;
    while let Some(now) = heap.next_wake().filter(|wake| *wake <= until) {
        for due in heap.due(now) {
            assert_eq!((due.instant, due.missed), (now, 0));
            assert!(fired.insert((due.instant, due.flow)), "an identity twice");
        }
        wakes += 1;
        if wakes % 50 == 0 {
            heap.set_flows(flows.iter().map(|(flow, schedule)| (flow, schedule)), now);
        }
    }
    assert!(expected.len() > 10_000, "{}", expected.len());
    assert_eq!(fired, expected);
}

#[test]
fn a_hundred_thousand_flows_share_one_heap() {
    let lines: Vec<Schedule> = (0..60).map(|minute| schedule(&format!("{minute} * * * *"), Tz::UTC)).collect();
    let flows: Vec<FlowId> = (0..100_000).map(|n| id(&format!("f{n}"))).collect();
    let mut heap = Heap::new();
    let mut now = at("2027-01-01T00:00:00Z");
    heap.set_flows(flows.iter().zip(lines.iter().cycle()), now);
    let until = now + TimeDelta::hours(1);
    let mut count = 0;
    while let Some(wake) = heap.next_wake().filter(|wake| *wake <= until) {
        assert!(wake > now);
        now = wake;
        count += heap.due(now).len();
    }
    assert_eq!(count, 100_000);
}

#[test]
fn an_occurrence_older_than_the_window_is_told_as_stale_and_not_lost() {
    let mut heap = heap(&[("weekly", "0 0 * * 1")], "2027-01-01T00:00:00Z");
    let late = heap.due(at("2027-01-05T03:00:00Z"));
    assert_eq!(late.iter().map(|due| (due.stale, due.missed)).collect::<Vec<_>>(), [(true, 0)]);
    assert_eq!(heap.next_wake(), Some(at("2027-01-11T00:00:00Z")));
}

#[test]
fn a_renamed_flow_goes_on_where_it_was() {
    let mut heap = heap(&[("old", "0 * * * *")], "2027-01-01T00:30:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z"), one("old", "01T01:00:00", 0));
    let done = heap.done(&id("old")).unwrap();
    set(&mut heap, &[("new", "0 * * * *")], "2027-01-01T01:00:00Z");
    heap.resume(&id("new"), done);
    assert!(due(&mut heap, "2027-01-01T01:00:00Z").is_empty());
    assert_eq!(due(&mut heap, "2027-01-01T02:00:00Z"), one("new", "01T02:00:00", 0));
}
