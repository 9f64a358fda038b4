//! Actions on error records, on the store in memory.

use super::*;
use crate::store::{FlowTally, MemoryStore, Phase, RunKind, RunRow, Tally};
use std::sync::Arc;

fn flow(id: &str) -> FlowId {
    FlowId::parse(id).unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn error(flow_id: &str, number: u64) -> ErrorRow {
    ErrorRow {
        id: 0,
        flow: flow(flow_id),
        run: format!("run-{flow_id}"),
        export: "export".to_owned(),
        each: None,
        time: None,
        members: 0,
        step: "import".to_owned(),
        page: 1,
        record: number,
        class: "rejected".to_owned(),
        message: format!("order {number} is refused"),
        status: Some(422),
        attempts: 1,
        request: Some("POST /taken".to_owned()),
        response: Some("{}".to_owned()),
        payload: format!("{{\"id\":{number}}}"),
        exported: None,
        trace_key: None,
        link: None,
        key: Some(format!("key-{number}")),
        fingerprint: format!("f{}", number % 2),
        state: ErrorState::Open,
        opened: at(i64::try_from(number).unwrap()),
        changed: at(0),
        by: None,
        retries: 0,
        next_retry: None,
    }
}

/// A store with so many open errors of each flow.
async fn with_errors(flows: &[(&str, u64)]) -> Arc<dyn Store> {
    let store = MemoryStore::new();
    for (id, count) in flows {
        let row = RunRow {
            id: format!("run-{id}"),
            flow: flow(id),
            kind: RunKind::Export,
            trigger: "manual".to_owned(),
            occurrence: None,
            started: at(0),
            ended: None,
            phase: Phase::Running,
            outcome: None,
            cause: None,
            meaning: String::new(),
            limit: None,
            exports: Vec::new(),
            since: None,
            until: None,
            epoch: 1,
            crashes: 0,
            tally: Tally::default(),
            steps: Vec::new(),
        };
        let run = row.id.clone();
        let tally = Tally { exported: *count, failed: *count, ..Tally::default() };
        let mut writes = vec![Write::Begin(Box::new(row)), Write::Tally { run, tally, steps: Vec::new() }];
        writes.extend((1..=*count).map(|number| Write::Error(Box::new(error(id, number)))));
        store.commit(writes).await.unwrap();
    }
    store
}

async fn tally(store: &dyn Store, id: &str) -> FlowTally {
    let tally = store.tallies().await.unwrap().into_iter().find(|tally| tally.flow == flow(id)).unwrap();
    let settled = tally.delivered + tally.filtered + tally.open + tally.dismissed + tally.in_flight;
    assert_eq!(tally.exported, settled, "{tally:?}");
    tally
}

#[tokio::test]
async fn a_list_comes_in_pages_without_what_is_large() {
    let store = with_errors(&[("a", 1_100)]).await;
    let (mut filter, mut seen) = (ErrorFilter::default(), Vec::new());
    loop {
        let page = list(store.as_ref(), filter.clone(), false).await.unwrap();
        assert!(page.errors.iter().all(|row| row.payload.is_empty() && row.request.is_none()));
        seen.extend(page.errors.iter().map(|row| row.id));
        filter.below = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=1_100).rev().collect::<Vec<_>>());
    let few = ErrorFilter { limit: Some(3), ..ErrorFilter::default() };
    let page = list(store.as_ref(), few, true).await.unwrap();
    assert_eq!((page.errors.len(), page.errors[0].payload.as_str()), (3, "{\"id\":1100}"));
}

#[tokio::test]
async fn large_records_make_smaller_pages() {
    let store = with_errors(&[("a", 1)]).await;
    for number in 2..=4 {
        let payload = format!("\"{}\"", "x".repeat(PAGE_BYTES / 2));
        store.commit(vec![Write::Error(Box::new(ErrorRow { payload, ..error("a", number) }))]).await.unwrap();
    }
    let page = list(store.as_ref(), ErrorFilter::default(), true).await.unwrap();
    assert_eq!((page.errors.len(), page.next), (1, Some(4)));
}

#[tokio::test]
async fn groups_count_and_span_what_has_a_fingerprint_in_common() {
    let store = with_errors(&[("a", 5), ("b", 1)]).await;
    resolve(store.as_ref(), ErrorFilter { ids: vec![1], ..ErrorFilter::default() }, at(9)).await.unwrap();
    let found = groups(store.as_ref(), ErrorFilter::default()).await.unwrap();
    let shown: Vec<_> =
        found.groups.iter().map(|g| (g.flow.as_str(), g.fingerprint.as_str(), g.count, g.open)).collect();
    assert_eq!(shown, [("b", "f1", 1, 1), ("a", "f1", 3, 2), ("a", "f0", 2, 2)]);
    assert_eq!((found.groups[1].oldest, found.groups[1].newest, found.groups[1].newest_id), (at(1), at(5), 5));
    assert_eq!(found.groups[1].message, "order 5 is refused");
}

#[tokio::test]
async fn resolved_ones_count_as_dismissed_once() {
    let store = with_errors(&[("a", 450), ("b", 2)]).await;
    let of_a = ErrorFilter { flow: Some(flow("a")), ..ErrorFilter::default() };
    assert_eq!(resolve(store.as_ref(), of_a.clone(), at(9)).await.unwrap().resolved, 450);
    assert_eq!(resolve(store.as_ref(), of_a, at(9)).await.unwrap().resolved, 0);
    let (a, b) = (tally(store.as_ref(), "a").await, tally(store.as_ref(), "b").await);
    assert_eq!((a.open, a.dismissed, b.open, b.dismissed), (0, 450, 2, 0));
}

#[tokio::test]
async fn purging_spares_open_ones_unless_it_is_told_otherwise() {
    let store = with_errors(&[("a", 5)]).await;
    let all = ErrorFilter::default;
    resolve(store.as_ref(), ErrorFilter { ids: vec![1, 2], ..all() }, at(9)).await.unwrap();
    let first = purge(store.as_ref(), all(), false, at(9)).await.unwrap();
    assert_eq!(first, Purged { purged: 2, dismissed: 0, open: 3 });
    assert_eq!(tally(store.as_ref(), "a").await.open, 3);
    let second = purge(store.as_ref(), all(), true, at(9)).await.unwrap();
    assert_eq!(second, Purged { purged: 3, dismissed: 3, open: 0 });
    let tally = tally(store.as_ref(), "a").await;
    assert_eq!((tally.open, tally.dismissed), (0, 5));
    assert!(store.errors(all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_open_error_is_never_dropped_by_itself() {
    let store = with_errors(&[("a", 1)]).await;
    let receipt = store.commit(vec![Write::DropError { id: 1 }, Write::DropError { id: 77 }]).await.unwrap();
    assert_eq!((receipt.pruned.errors, store.errors(ErrorFilter::default()).await.unwrap().len()), (0, 1));
}

#[tokio::test]
async fn an_edited_record_of_a_refusal_gets_a_new_key_and_one_that_may_have_arrived_keeps_it() {
    let store = with_errors(&[("a", 1)]).await;
    let unknown = ErrorRow { class: "unknown".to_owned(), ..error("a", 2) };
    store.commit(vec![Write::Error(Box::new(unknown))]).await.unwrap();
    for (id, key) in [(1, None), (2, Some("key-2"))] {
        let row = edit(store.as_ref(), id, at(0), " {\"id\": 7} ".to_owned(), at(5)).await.unwrap();
        assert_eq!((row.payload.as_str(), row.key.as_deref(), row.changed), ("{\"id\": 7}", key, at(5)));
        let filter = ErrorFilter { ids: vec![id], ..ErrorFilter::default() };
        assert_eq!(store.errors(filter).await.unwrap(), [row]);
    }
}

#[tokio::test]
async fn an_edit_never_overwrites_what_it_has_not_seen() {
    let store = with_errors(&[("a", 2)]).await;
    let edit = async |id, seen, payload: &str| {
        edit(store.as_ref(), id, seen, payload.to_owned(), at(5)).await.map(drop).unwrap_err()
    };
    assert!(edit(1, at(1), "{}").await.contains("changed meanwhile"));
    assert!(edit(1, at(0), "{").await.contains("is no JSON"));
    assert!(edit(9, at(0), "{}").await.contains("there is no error record 9"));
    assert!(edit(1, at(0), &format!("\"{}\"", "x".repeat(MOST_RECORD))).await.contains("bytes"));
    resolve(store.as_ref(), ErrorFilter { ids: vec![2], ..ErrorFilter::default() }, at(0)).await.unwrap();
    assert!(edit(2, at(0), "{}").await.contains("not open any more"));
}

#[tokio::test]
async fn answers_are_what_the_command_reads() {
    let store = with_errors(&[("a", 1)]).await;
    let filter = ErrorFilter::default;
    let page = answer(store.as_ref(), ErrorAsk::List { filter: filter(), whole: true }, at(1)).await.unwrap();
    assert_eq!(serde_json::from_value::<Page>(page).unwrap().errors[0].payload, "{\"id\":1}");
    let purged = answer(store.as_ref(), ErrorAsk::Purge { filter: filter(), open: false }, at(1)).await.unwrap();
    assert_eq!(serde_json::from_value::<Purged>(purged).unwrap().open, 1);
}
