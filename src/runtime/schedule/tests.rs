//! The heap against plain stepping, under late wakes, moved clocks and reloads.

mod catch_up;
mod marks;
mod walks;

use super::*;
use crate::model::schedule::{MakeUp, Overlap, Schedule};
use crate::observe::meters::SkipReason;
use crate::value::id::FlowId;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use std::collections::BTreeSet;
use std::time::Duration;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn id(text: &str) -> FlowId {
    FlowId::parse(text).unwrap()
}

fn schedule(cron: &str, zone: Tz) -> Schedule {
    Schedule::parse(cron, zone, Overlap::Skip, DateTime::UNIX_EPOCH).unwrap()
}

/// `cron`, and after a bar what becomes of missed occurrences.
fn line(text: &str) -> Schedule {
    let (cron, missed) = text.split_once('|').unwrap_or((text, "one"));
    let mut schedule = schedule(cron.trim(), Tz::UTC);
    for word in missed.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or(("run", word));
        let seconds = || Duration::from_secs(value.parse().unwrap());
        match (key, value) {
            ("run", "none") => schedule.missed.run = MakeUp::None,
            ("run", "one") => schedule.missed.run = MakeUp::One,
            ("run", "all") => schedule.missed.run = MakeUp::All,
            ("run", "queue") => schedule.overlap = Overlap::Queue,
            ("window", _) => schedule.missed.window = seconds(),
            ("jitter", _) => schedule.missed.jitter = seconds(),
            ("max", _) => schedule.missed.max = value.parse().unwrap(),
            _ => panic!("{word}"),
        }
    }
    schedule
}

fn heap(flows: &[(&str, &str)], now: &str) -> Heap {
    let mut heap = Heap::default();
    set(&mut heap, flows, now);
    heap
}

fn set(heap: &mut Heap, flows: &[(&str, &str)], now: &str) {
    let flows: Vec<_> = flows.iter().map(|(flow, text)| (*flow, *text, &[][..])).collect();
    set_renamed(heap, &flows, now);
}

fn set_renamed(heap: &mut Heap, flows: &[(&str, &str, &[&str])], now: &str) {
    let formerly = |names: &[&str]| names.iter().map(|name| id(name)).collect::<Vec<_>>();
    let flows: Vec<_> = flows.iter().map(|(flow, text, old)| (id(flow), line(text), formerly(old))).collect();
    let planned = flows.iter().map(|(flow, schedule, formerly)| Planned { flow, formerly, schedule });
    heap.set_flows(planned, at(now));
}

/// What is handed out, `!` when it was missed before, with what was passed over for it or instead.
fn due(heap: &mut Heap, now: &str) -> Vec<String> {
    due_while(heap, now, &[])
}

fn due_while(heap: &mut Heap, now: &str, running: &[&str]) -> Vec<String> {
    let wake = heap.due(at(now), |flow| running.contains(&flow.as_str()));
    let day = |at: DateTime<Utc>| at.format("%dT%H:%M:%S");
    let mut shown: Vec<String> = Vec::new();
    for due in &wake.due {
        assert!(due.instant <= at(now));
        assert_eq!((due.mark.done, due.mark.off), (due.instant, false));
        shown.push(format!("{} {}{}", due.flow, day(due.instant), if due.late { "!" } else { "" }));
    }
    for passed in &wake.passed {
        let reason = if passed.reason == SkipReason::Overlap { " overlapped" } else { "" };
        shown.push(format!("{} -{} to {}{reason}", passed.flow, passed.count, day(passed.newest)));
    }
    shown
}

/// The marks to save, as text.
fn saved(heap: &mut Heap) -> Vec<String> {
    let show = |(flow, mark): (FlowId, Option<Mark>)| {
        let mark = mark.map(|mark| format!("{}{}", mark.done.format("%dT%H:%M"), if mark.off { " off" } else { "" }));
        format!("{flow}: {}", mark.as_deref().unwrap_or("deleted"))
    };
    heap.marks_to_save().into_iter().map(show).collect()
}

#[test]
fn nothing_is_due_before_its_instant() {
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T00:30:00Z");
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T01:00:00Z")));
    assert!(due(&mut heap, "2027-01-01T00:59:59Z").is_empty());
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z"), ["a 01T01:00:00"]);
    assert!(due(&mut heap, "2027-01-01T01:00:00Z").is_empty());
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T02:00:00Z")));
    assert_eq!(heap.next_of(&id("a")), heap.next_wake());
}

#[test]
fn flows_due_together_come_in_order_of_instant_and_name() {
    let mut heap = heap(&[("b", "0 * * * *"), ("a", "0 * * * *")], "2027-01-01T00:30:00Z");
    let shown = due(&mut heap, "2027-01-01T01:00:10Z");
    assert_eq!(shown, ["a 01T01:00:00", "b 01T01:00:00"]);
    set(&mut heap, &[("b", "* * * * *"), ("a", "* * * * *"), ("c", "30 1 * * * *")], "2027-01-01T01:00:30Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:01:40Z"), ["a 01T01:01:00", "b 01T01:01:00", "c 01T01:01:30"]);
}

#[test]
fn a_clock_set_back_hands_out_nothing_twice() {
    let mut heap = heap(&[("a", "*/10 * * * *")], "2027-01-01T00:55:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z").len(), 1);
    for now in ["2027-01-01T00:00:00Z", "2027-01-01T00:30:00Z", "2027-01-01T01:00:00Z", "2027-01-01T01:09:59Z"] {
        assert!(due(&mut heap, now).is_empty(), "{now}");
    }
    assert_eq!(due(&mut heap, "2027-01-01T01:10:00Z"), ["a 01T01:10:00"]);
}

#[test]
fn a_reload_leaves_unchanged_flows_alone() {
    let mut heap = heap(&[("a", "0 * * * *"), ("b", "30 * * * *")], "2027-01-01T00:10:00Z");
    // The reload comes late: `a` is due and must not be lost.
    set(&mut heap, &[("a", "0 * * * *"), ("b", "45 * * * *"), ("c", "50 * * * *")], "2027-01-01T01:02:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:02:00Z"), ["a 01T01:00:00!"]);
    assert_eq!(heap.next_of(&id("b")), Some(at("2027-01-01T01:45:00Z")));
    assert_eq!(heap.next_of(&id("c")), Some(at("2027-01-01T01:50:00Z")));
}

#[test]
fn a_removed_flow_fires_no_more_and_an_edited_one_not_by_its_old_line() {
    let mut heap = heap(&[("a", "0 * * * *"), ("b", "0 * * * *")], "2027-01-01T00:10:00Z");
    set(&mut heap, &[("b", "30 * * * *")], "2027-01-01T00:20:00Z");
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T00:30:00Z")));
    assert_eq!(due(&mut heap, "2027-01-01T01:05:00Z"), ["b 01T00:30:00!"]);
    set(&mut heap, &[], "2027-01-01T01:06:00Z");
    assert_eq!(heap.next_wake(), None);
    assert!(due(&mut heap, "2027-02-01T00:00:00Z").is_empty());
}

#[test]
fn an_edit_after_the_clock_went_back_repeats_no_instant() {
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T00:10:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z").len(), 1);
    set(&mut heap, &[("a", "0,1 * * * *")], "2027-01-01T00:20:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:01:00Z"), ["a 01T01:01:00"]);
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
    let mut heap = Heap::default();
    heap.set_flows(flows.iter().map(|(flow, schedule)| Planned { flow, formerly: &[], schedule }), from);
    let mut fired = BTreeSet::new();
    let mut wakes = 0;
    while let Some(now) = heap.next_wake().filter(|wake| *wake <= until) {
        let wake = heap.due(now, |_| false);
        assert!(wake.passed.is_empty(), "{:?}", wake.passed);
        for due in wake.due {
            assert_eq!(due.instant, now);
            assert!(fired.insert((due.instant, due.flow)), "an identity twice");
        }
        wakes += 1;
        if wakes % 50 == 0 {
            heap.set_flows(flows.iter().map(|(flow, schedule)| Planned { flow, formerly: &[], schedule }), now);
        }
    }
    assert!(expected.len() > 10_000, "{}", expected.len());
    assert_eq!(fired, expected);
}

#[test]
fn a_hundred_thousand_flows_share_one_heap() {
    let lines: Vec<Schedule> = (0..60).map(|minute| schedule(&format!("{minute} * * * *"), Tz::UTC)).collect();
    let flows: Vec<FlowId> = (0..100_000).map(|n| id(&format!("f{n}"))).collect();
    let mut heap = Heap::default();
    let mut now = at("2027-01-01T00:00:00Z");
    let planned = flows.iter().zip(lines.iter().cycle());
    heap.set_flows(planned.map(|(flow, schedule)| Planned { flow, formerly: &[], schedule }), now);
    let until = now + TimeDelta::hours(1);
    let mut count = 0;
    while let Some(wake) = heap.next_wake().filter(|wake| *wake <= until) {
        assert!(wake > now);
        now = wake;
        count += heap.due(now, |_| false).due.len();
    }
    assert_eq!(count, 100_000);
}
