//! What is counted, and that it stays bounded.

use super::*;

fn flow(id: &str) -> FlowId {
    FlowId::parse(id).unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn counts(delivered: u64) -> Counts {
    Counts { exported: delivered, delivered, ..Counts::default() }
}

fn run(id: &str, started: i64, delivered: u64) -> RunView {
    RunView {
        run: id.to_owned(),
        started: at(started),
        counts: counts(delivered),
        pages: 1,
        total: None,
        begun: true,
        stopping: false,
    }
}

fn delivered(document: &Value) -> u64 {
    document["delivered"].as_array().unwrap().iter().map(|one| one.as_u64().unwrap()).sum()
}

#[test]
fn what_a_run_does_between_looks_and_after_the_last_one_is_counted_once() {
    let (trends, orders) = (Trends::default(), flow("orders"));
    trends.lock().note(&orders, &run("a", 100, 10), Bucket::default(), at(101));
    trends.lock().note(&orders, &run("a", 100, 25), Bucket { in_flight: 4, ..Bucket::default() }, at(102));
    trends.end(&orders, "a", counts(30), 3, at(103));
    let shown = trends.run("a").unwrap();
    assert_eq!((delivered(&shown), &shown["in_flight"]), (30, &json!([0, 0, 4, 0, 0])), "{shown:#}");
    // One that nobody looked at while it ran.
    trends.end(&orders, "b", counts(7), 1, at(104));
    assert_eq!(delivered(&trends.flow(&orders, at(110)).unwrap()), 37);
    assert!(trends.flow(&orders, at(110 + 3_600)).is_none(), "nothing of it is recent");
}

#[test]
fn a_run_that_goes_on_is_not_credited_with_what_it_did_before() {
    let (trends, orders) = (Trends::default(), flow("orders"));
    trends.lock().note(&orders, &run("old", 0, 5_000), Bucket::default(), at(9_000));
    trends.lock().note(&orders, &run("old", 0, 5_003), Bucket::default(), at(9_001));
    assert_eq!(delivered(&trends.flow(&orders, at(9_001)).unwrap()), 3);
}

#[test]
fn a_run_that_goes_on_and_ends_before_it_is_looked_at_is_credited_with_what_it_did_since() {
    let (trends, orders) = (Trends::default(), flow("orders"));
    trends.lock().before.insert("old".to_owned(), (counts(5_000), 40));
    trends.end(&orders, "old", counts(5_003), 41, at(9_001));
    assert_eq!(delivered(&trends.flow(&orders, at(9_001)).unwrap()), 3);
    assert_eq!(trends.run("old").unwrap()["pages"].as_array().unwrap().last().unwrap(), 1);
}

#[test]
fn a_run_that_is_seen_before_it_knows_what_it_did_is_not_credited_with_it_again() {
    let (trends, orders) = (Trends::default(), flow("orders"));
    trends.lock().before.insert("old".to_owned(), (counts(5_000), 40));
    trends.lock().note(&orders, &run("old", 9_000, 0), Bucket::default(), at(9_001));
    trends.end(&orders, "old", counts(5_003), 41, at(9_002));
    assert_eq!(delivered(&trends.flow(&orders, at(9_002)).unwrap()), 3);
}

#[test]
fn only_so_many_runs_are_known_and_those_under_way_longest() {
    let (trends, orders) = (Trends::default(), flow("orders"));
    trends.lock().note(&orders, &run("long", 0, 1), Bucket::default(), at(1));
    for number in 0..MOST_ENDED + 20 {
        trends.end(&orders, &format!("run{number}"), counts(1), 1, at(2));
    }
    assert_eq!(trends.lock().runs.len(), MOST_ENDED + 1);
    assert!(trends.run("long").is_some() && trends.run("run0").is_none() && trends.run("run219").is_some());
    for number in 0..MOST_RUNS * 2 {
        trends.lock().note(&orders, &run(&format!("more{number}"), 0, 1), Bucket::default(), at(1));
    }
    assert_eq!(trends.lock().runs.len(), MOST_RUNS);
}
