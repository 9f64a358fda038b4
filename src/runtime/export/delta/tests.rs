//! Spans, old records and marks, over what people set by hand and clocks that jump.

use super::*;
use crate::model::delta::format::Format;
use crate::model::delta::step::Step;
use crate::store::MemoryStore;
use crate::value::json::Json;
use crate::value::path::Path;
use proptest::prelude::*;

fn at(text: &str) -> DateTime<Utc> {
    usual(text).unwrap()
}

fn delta() -> Delta {
    Delta {
        field: Some(Path::compile("$.at").unwrap()),
        format: Format::Rfc3339,
        read: Vec::new(),
        start: None,
        end: None,
        lookback: Step::default(),
        lag: Step::default(),
        step: None,
        granularity: Step::default(),
        client: false,
        stop_at_old: false,
        per_value: true,
    }
}

fn begin<'d>(delta: &'d Delta, mark: Option<Mark>, started: &str) -> Watch<'d> {
    Watch::begin(delta, mark, Asked::default(), self::at(started), &Context::new()).unwrap()
}

fn record(id: u64, at: &str) -> Record {
    Record::new(Json::parse(format!("{{\"id\":{id},\"at\":{at}}}")).unwrap())
}

fn day(id: u64, day: u32) -> Record {
    record(id, &format!("\"2026-01-{day:02}\""))
}

async fn moved(watch: &Watch<'_>, started: &str) -> Option<Mark> {
    let store = MemoryStore::new();
    let marks = Marks::new(store.clone());
    watch.ended(&marks, "f export".to_owned(), at(started));
    store.commit(marks.writes().await).await.unwrap();
    marks.read("f export").await.unwrap()
}

#[test]
fn what_is_asked_for_begins_at_the_mark_less_lookback_and_ends_with_the_run() {
    let day = Step::parse("1d").unwrap();
    let delta = Delta { lookback: day, start: Some(Bound::Before(Step::parse("90d").unwrap())), ..delta() };
    let marked = begin(&delta, Some(Mark::at(at("2026-03-10"))), "2026-04-01");
    assert_eq!(marked.window(), Span { since: at("2026-03-09"), until: at("2026-04-01") });
    assert_eq!(begin(&delta, None, "2026-04-01").window().since, at("2026-01-01"), "`start`, without lookback");
    let by_hand = Asked { since: Some(at("2025-01-01")), until: Some(at("2025-02-01")) };
    let asked = Watch::begin(&delta, Some(Mark::at(at("2026-03-10"))), by_hand, at("2026-04-01"), &Context::new());
    assert_eq!(asked.unwrap().window(), Span { since: at("2025-01-01"), until: at("2025-02-01") });
    let plain = self::delta();
    assert_eq!(begin(&plain, None, "2026-04-01").window().since, FIRST);
    let back = begin(&plain, Some(Mark::at(at("2026-05-01"))), "2026-04-01");
    assert_eq!(back.window(), Span { since: at("2026-05-01"), until: at("2026-05-01") }, "the clock went back");
}

#[tokio::test]
async fn the_mark_is_the_newest_change_seen_and_stays_where_none_was() {
    let delta = delta();
    let mut watch = begin(&delta, None, "2026-02-01");
    assert_eq!(moved(&watch, "2026-02-01").await, None);
    let (judged, stop) = watch.look(&[day(1, 5), day(2, 9), day(3, 7)]);
    assert!(judged.is_empty() && !stop);
    assert_eq!(moved(&watch, "2026-02-01").await, Some(Mark::at(at("2026-01-09"))));
    // What a restart reads from the cursor.
    let stored = serde_json::to_string(watch.place()).unwrap();
    let again = Watch::resume(&delta, serde_json::from_str(&stored).unwrap());
    assert_eq!(
        (again.window(), moved(&again, "2026-02-01").await),
        (watch.window(), moved(&watch, "2026-02-01").await)
    );
}

#[tokio::test]
async fn a_source_whose_clock_is_ahead_does_not_carry_the_mark_beyond_the_run() {
    let delta = delta();
    let mut watch = begin(&delta, None, "2026-02-01");
    watch.look(&[record(1, "\"2999-01-01\"")]);
    assert_eq!(moved(&watch, "2026-02-01").await, Some(Mark::at(at("2026-02-01"))));
}

#[tokio::test]
async fn without_a_field_the_mark_is_the_runs_begin_less_lag_or_the_end_that_was_asked_for() {
    let delta = Delta { field: None, lag: Step::parse("1h").unwrap(), ..delta() };
    let watch = begin(&delta, None, "2026-02-01T12:00:00Z");
    assert_eq!(moved(&watch, "2026-02-01T12:00:00Z").await, Some(Mark::at(at("2026-02-01T11:00:00Z"))));
    let ended = Delta { end: Some(Bound::At(at("2026-01-01"))), lag: Step::default(), ..delta };
    let watch = begin(&ended, None, "2026-02-01T12:00:00Z");
    assert_eq!(moved(&watch, "2026-02-01T12:00:00Z").await, Some(Mark::at(at("2026-01-01"))));
}

#[tokio::test]
async fn old_records_are_left_out_here_and_those_at_the_mark_come_once() {
    let delta = Delta { client: true, ..delta() };
    let mut first = begin(&delta, None, "2026-02-01");
    assert!(first.look(&[day(1, 5), day(2, 9), day(3, 9)]).0.is_empty());
    let mark = moved(&first, "2026-02-01").await.unwrap();
    let mut second = begin(&delta, Some(mark.clone()), "2026-02-02");
    // One more at the very instant of the mark, and one that changed since without a new time.
    let (judged, stop) = second.look(&[day(1, 5), day(2, 9), day(3, 9), day(4, 9), day(5, 10)]);
    assert_eq!((judged.old, stop), (vec![0, 1, 2], false));
    // Nothing new: nothing is forgotten.
    let mut third = begin(&delta, Some(mark.clone()), "2026-02-02");
    assert_eq!(third.look(&[day(3, 9), day(2, 9)]).0.old, [0, 1]);
    assert_eq!(moved(&third, "2026-02-02").await.unwrap().at, mark.at);
    let again = mark.clone().max(moved(&third, "2026-02-02").await.unwrap());
    assert_eq!((again.at, again.known.len()), (mark.at, 2));
}

#[test]
fn paging_stops_at_the_first_old_record_of_a_feed_that_shows_the_newest_first() {
    let delta = Delta { stop_at_old: true, ..delta() };
    let mut watch = begin(&delta, Some(Mark::at(at("2026-01-07"))), "2026-02-01");
    assert_eq!(watch.look(&[day(9, 9), day(8, 8)]), (Judged::default(), false));
    assert_eq!(watch.look(&[day(7, 7), day(6, 6)]), (Judged { old: vec![1], faults: Vec::new() }, true));
}

#[test]
fn a_record_without_a_readable_time_is_told_and_moves_nothing() {
    let delta = Delta { stop_at_old: true, ..delta() };
    let mut watch = begin(&delta, None, "2026-02-01");
    let (judged, stop) = watch.look(&[record(1, "null"), day(2, 2), record(3, "\"soon\"")]);
    let places: Vec<u32> = judged.faults.iter().map(|(index, _)| *index).collect();
    assert_eq!((places, judged.old.len(), stop), (vec![0, 2], 0, false));
    assert_eq!(watch.place().newest.as_ref().unwrap().at, at("2026-01-02"));
}

#[test]
fn instants_stand_in_requests_as_the_format_says() {
    let delta = Delta { format: Format::EpochSeconds, step: Step::parse("1mo").ok(), ..delta() };
    let mut watch = begin(&delta, Some(Mark::at(at("1970-01-01T00:01:00Z"))), "1970-03-01");
    let shown = |watch: &Watch<'_>| -> serde_json::Value { serde_json::from_str(&watch.roots().text()).unwrap() };
    let time = |[since, until, start, end]: [i64; 4]| serde_json::json!([since, until, { "start": start, "end": end }]);
    let month = 31 * 86_400 + 60;
    assert_eq!(shown(&watch), time([60, 59 * 86_400, 60, month]));
    assert!(watch.advance());
    assert_eq!(shown(&watch), time([60, 59 * 86_400, month, 59 * 86_400]));
    assert!(!watch.advance());
}

#[tokio::test]
async fn a_mark_never_goes_back_and_one_set_by_hand_is_read() {
    let store = MemoryStore::new();
    let by_hand = |value: &str| Write::Put { space: Space::Mark, key: "f export".to_owned(), value: value.to_owned() };
    store.commit(vec![by_hand("\"2026-01-10\"")]).await.unwrap();
    let marks = Marks::new(store.clone());
    assert_eq!(marks.read("f export").await.unwrap(), Some(Mark::at(at("2026-01-10"))));
    marks.ended("f export".to_owned(), Mark::at(at("2026-01-09")));
    assert!(marks.writes().await.is_empty());
    store.commit(vec![by_hand("{\"at\":7}")]).await.unwrap();
    let error = marks.read("f export").await.unwrap_err().to_string();
    assert!(error.contains("state set") && error.contains("f export"), "{error}");
}

#[test]
fn the_key_of_a_mark_stays_short_whatever_a_value_is() {
    let flow = FlowId::parse("eu/orders").unwrap();
    assert_eq!(mark_key(&flow, "export", None), "eu/orders export");
    assert_eq!(mark_key(&flow, "a", Some("x y")), "eu/orders a x y");
    let long = mark_key(&flow, "a", Some(&"x".repeat(1 << 20)));
    assert!(long.len() < 40, "{long}");
}

proptest! {
    #[test]
    fn however_often_it_runs_a_mark_only_goes_on_and_no_change_is_lost(
        changes in prop::collection::vec((0u64..2_000, 0u64..40), 1..60), client in any::<bool>()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let delta = Delta { client, format: Format::EpochSeconds, ..delta() };
        let store = MemoryStore::new();
        let marks = Marks::new(store.clone());
        let key = || "f export".to_owned();
        let (mut last, mut got) = (FIRST, std::collections::BTreeMap::<u64, u64>::new());
        let mut sorted = changes.clone();
        sorted.sort_unstable();
        // Changes become visible in order of their time; a run comes after every third.
        let mut shown: Vec<Record> = Vec::new();
        for (index, (second, id)) in sorted.iter().enumerate() {
            shown.push(Record::new(Json::parse(format!("{{\"id\":{id},\"n\":{index},\"at\":{second}}}")).unwrap()));
            if index % 3 != 2 && index + 1 != sorted.len() {
                continue;
            }
            let started = DateTime::from_timestamp(i64::try_from(*second).unwrap(), 0).unwrap();
            let mark = runtime.block_on(marks.read("f export")).unwrap();
            let mut watch = Watch::begin(&delta, mark, Asked::default(), started, &Context::new()).unwrap();
            let since = watch.window().since;
            // A server that filters, or one that does not.
            let page: Vec<Record> =
                shown.iter().filter(|r| client || delta.changed(r).unwrap().unwrap() >= since).cloned().collect();
            let (judged, _) = watch.look(&page);
            for (at, record) in page.iter().enumerate() {
                if !judged.old.contains(&u32::try_from(at).unwrap()) {
                    *got.entry(record.json().as_ref().to_value()["n"].as_u64().unwrap()).or_default() += 1;
                }
            }
            watch.ended(&marks, key(), started);
            runtime.block_on(async { store.commit(marks.writes().await).await }).unwrap();
            let now = runtime.block_on(marks.read("f export")).unwrap().unwrap().at;
            prop_assert!(now >= last);
            last = now;
        }
        prop_assert_eq!(got.len(), sorted.len(), "each change came");
        if client && sorted.len() < MOST_KNOWN {
            prop_assert!(got.values().all(|count| *count == 1), "{:?}", got);
        }
    }
}
