//! The cases. Each takes an empty store.

use super::*;
use crate::store::rules::{MOST_KEY, MOST_NAME};
use crate::store::{PageRow, Pruned, Refusal, Space, waypoint_key};
use crate::value::id::ConnectionId;
use Mark::{Delivered, Failed, Filtered, InFlight};

type Held = Arc<dyn Store>;

pub async fn batches_take_effect_whole_or_not_at_all(store: Held) {
    let put = |key: &str| Write::Put { space: Space::Meta, key: key.to_owned(), value: "1".to_owned() };
    let batch = vec![
        begin("r1", "a"),
        page("r1", 1, 2, Some(b"body")),
        intend("r1", &[(1, 0)]),
        failed("r1", "a", "t", 0),
        tally("r1", [2, 0, 0, 1]),
        put("k"),
        page("nobody", 1, 1, None),
    ];
    assert_eq!(refused(&store, batch).await, "there is no run `nobody`");
    assert_eq!(store.run("r1").await.unwrap(), None);
    assert_eq!(store.pages("r1").await.unwrap(), []);
    assert_eq!(store.body("r1", 1).await.unwrap(), None);
    assert_eq!(store.intents("r1").await.unwrap(), []);
    assert_eq!(store.errors(ErrorFilter::default()).await.unwrap(), []);
    assert_eq!(store.tallies().await.unwrap(), []);
    assert_eq!(store.values(Space::Meta).await.unwrap(), []);

    // What was there before a refused batch is there as it was.
    done(&store, vec![begin("r1", "a"), page("r1", 1, 1, Some(b"one")), put("k")]).await;
    let before = (store.pages("r1").await.unwrap(), store.tallies().await.unwrap());
    let delete = Write::Delete { space: Space::Meta, key: "k".to_owned() };
    let ended = phase("r1", Phase::Ended, 5);
    refused(&store, vec![delete, marks("r1", 1, &[Delivered]), ended, page("nobody", 1, 1, None)]).await;
    assert_eq!((store.pages("r1").await.unwrap(), store.tallies().await.unwrap()), before);
    assert_eq!(store.body("r1", 1).await.unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(store.value(Space::Meta, "k").await.unwrap().as_deref(), Some("1"));
    assert_eq!(store.run("r1").await.unwrap().unwrap().phase, Phase::Running);
}

pub async fn batches_take_effect_in_the_order_they_were_given(store: Held) {
    done(&store, vec![begin("r1", "a")]).await;
    // Nobody polls, and dropping takes nothing back.
    for number in 1..=50 {
        let put = Write::Put { space: Space::Meta, key: "k".to_owned(), value: number.to_string() };
        drop(store.commit(vec![page("r1", number, 1, Some(b"x")), put]));
    }
    // A refused one among them holds up nothing.
    drop(store.commit(vec![begin("r1", "a")]));
    let last = store.commit(vec![marks("r1", 50, &[Delivered])]);
    last.await.unwrap();
    assert_eq!(page_numbers(&store, "r1").await, (1..=50).collect::<Vec<_>>());
    assert_eq!(store.value(Space::Meta, "k").await.unwrap().as_deref(), Some("50"));
}

pub async fn an_occurrence_has_one_run(store: Held) {
    let of = |id: &str, flow: &str, occurrence| {
        Write::Begin(Box::new(RunRow { occurrence: Some(at(occurrence)), ..run(id, flow) }))
    };
    done(&store, vec![of("r1", "a", 0)]).await;
    let again = store.commit(vec![of("r2", "a", 0)]).await;
    assert_eq!(again, Err(StoreError::Refused(Refusal::SeenOccurrence { run: "r1".to_owned() })));
    done(&store, vec![phase("r1", Phase::Ended, 1)]).await;
    refused(&store, vec![of("r2", "a", 0)]).await;
    done(&store, vec![of("r2", "a", 60), of("r3", "b", 0), begin("r4", "a"), begin("r5", "a")]).await;
    assert!(refused(&store, vec![begin("r5", "a")]).await.contains("already"));
    assert_eq!(store.runs(RunFilter::default()).await.unwrap().len(), 5);
}

pub async fn finished_pages_go_and_the_last_stays(store: Held) {
    done(&store, vec![begin("r1", "a"), page("r1", 1, 2, Some(b"1")), page("r1", 2, 1, Some(b"2"))]).await;
    done(&store, vec![marks("r1", 1, &[Delivered, InFlight])]).await;
    assert_eq!(page_numbers(&store, "r1").await, [1, 2]);
    assert_eq!(store.pages("r1").await.unwrap()[0].marks.get(0), Delivered);
    done(&store, vec![marks("r1", 2, &[Filtered])]).await;
    let last = &store.pages("r1").await.unwrap()[1];
    assert_eq!((last.number, last.marks.is_done(), last.has_body), (2, true, false), "its body is let go");
    assert_eq!(store.body("r1", 2).await.unwrap(), None);
    done(&store, vec![marks("r1", 1, &[Delivered, Failed])]).await;
    assert_eq!(page_numbers(&store, "r1").await, [2]);
    assert_eq!(store.pages("r1").await.unwrap()[0].cursor, "{\"next\":3}");
    done(&store, vec![page("r1", 3, 1, None)]).await;
    assert_eq!(page_numbers(&store, "r1").await, [3], "another follows");
    done(&store, vec![marks("r1", 1, &[Delivered, InFlight])]).await;
    assert_eq!(page_numbers(&store, "r1").await, [3], "a late word about a page that is gone");
}

pub async fn a_page_without_records_is_finished_as_it_comes(store: Held) {
    done(&store, vec![begin("r1", "a"), page("r1", 1, 0, Some(b"[]"))]).await;
    assert_eq!(page_numbers(&store, "r1").await, [1]);
    assert_eq!(store.body("r1", 1).await.unwrap(), None);
    done(&store, vec![page("r1", 2, 0, None)]).await;
    assert_eq!(page_numbers(&store, "r1").await, [2]);
}

pub async fn a_page_read_anew_is_in_flight_again(store: Held) {
    let interrupted = Write::Interrupted { run: "r1".to_owned(), pages: vec![1], epoch: 2 };
    done(&store, vec![begin("r1", "a"), page("r1", 1, 2, None), intend("r1", &[(1, 1)]), interrupted]).await;
    done(&store, vec![marks("r1", 1, &[Delivered, InFlight])]).await;
    done(&store, vec![page("r1", 1, 3, Some(b"anew"))]).await;
    let pages = store.pages("r1").await.unwrap();
    assert_eq!((pages.len(), pages[0].marks.in_flight(), pages[0].has_body, pages[0].crashes), (1, 3, true, 1));
    assert_eq!(store.body("r1", 1).await.unwrap().as_deref(), Some(&b"anew"[..]));
    assert_eq!(store.intents("r1").await.unwrap(), [intent(1, 1)]);
    done(&store, vec![page("r1", 1, 3, None)]).await;
    assert_eq!(store.body("r1", 1).await.unwrap(), None);
}

pub async fn bodies_come_back_as_they_were_given(store: Held) {
    let bodies: Vec<Vec<u8>> = [0, 1, 13, 4096, 70_000, 3 << 20]
        .iter()
        .map(|len| (0..*len).map(|at: usize| u8::try_from(at * 7 % 251).unwrap()).collect())
        .collect();
    done(&store, vec![begin("r1", "a")]).await;
    let pages = (1..).zip(&bodies).map(|(number, body)| page("r1", number, 1, Some(body))).collect();
    done(&store, pages).await;
    for (number, body) in (1..).zip(&bodies) {
        assert!(store.body("r1", number).await.unwrap().as_ref() == Some(body), "page {number}");
    }
    assert!(store.pages("r1").await.unwrap().iter().all(|page| page.has_body));
    assert!(store.usage().await.unwrap().pages >= 3 << 20);
    assert_eq!(store.body("r1", 99).await.unwrap(), None);
    assert_eq!(store.body("r2", 1).await.unwrap(), None);
}

pub async fn intents_go_with_their_page(store: Held) {
    done(&store, vec![begin("r1", "a"), page("r1", 1, 2, None), page("r1", 2, 2, None)]).await;
    done(&store, vec![intend("r1", &[(2, 1), (1, 0)]), intend("r1", &[(1, 1), (1, 0)])]).await;
    assert_eq!(store.intents("r1").await.unwrap(), [intent(1, 0), intent(1, 1), intent(2, 1)]);
    done(&store, vec![marks("r1", 1, &[Delivered, Delivered])]).await;
    assert_eq!(store.intents("r1").await.unwrap(), [intent(2, 1)]);
    assert!(refused(&store, vec![intend("r1", &[(1, 0)])]).await.contains("page 1"));
    assert!(refused(&store, vec![intend("r1", &[(2, 2)])]).await.contains("record 2"));
}

pub async fn an_over_run_keeps_nothing_and_stands(store: Held) {
    let start =
        |id: &str| vec![begin(id, "a"), page(id, 1, 3, Some(b"x")), intend(id, &[(1, 0)]), tally(id, [3, 1, 0, 0])];
    done(&store, start("r1")).await;
    done(&store, vec![phase("r1", Phase::Held, 5)]).await;
    assert_eq!(page_numbers(&store, "r1").await, [1], "a held run goes on later");
    let held = store.run("r1").await.unwrap().unwrap();
    assert_eq!((held.phase, held.ended), (Phase::Held, Some(at(5))));
    done(&store, vec![phase("r1", Phase::Running, 6)]).await;
    assert_eq!(store.run("r1").await.unwrap().unwrap().ended, None);
    balanced(&store).await;

    done(&store, vec![phase("r1", Phase::Dismissed, 7)]).await;
    let over = store.run("r1").await.unwrap().unwrap();
    assert_eq!((over.phase, over.ended, over.tally.dismissed), (Phase::Dismissed, Some(at(7)), 2));
    assert_eq!(store.pages("r1").await.unwrap(), []);
    assert_eq!(store.body("r1", 1).await.unwrap(), None);
    assert_eq!(store.intents("r1").await.unwrap(), []);
    done(&store, vec![phase("r1", Phase::Ended, 8), tally("r1", [9, 9, 0, 0]), marks("r1", 1, &[Delivered; 3])]).await;
    assert_eq!(store.run("r1").await.unwrap(), Some(over), "the first end stands");
    assert!(refused(&store, vec![page("r1", 2, 1, None)]).await.contains("over"));

    done(&store, start("r2")).await;
    done(&store, vec![phase("r2", Phase::Ended, 9)]).await;
    assert_eq!(store.run("r2").await.unwrap().unwrap().tally.dismissed, 2, "no figure forgets what was left");
    balanced(&store).await;
}

pub async fn unclean_exits_are_counted(store: Held) {
    let start = |page| Write::StartPage { run: "r1".to_owned(), page };
    let pages: Vec<Write> = (1..=3).map(|number| page("r1", number, 1, None)).collect();
    done(&store, vec![begin("r1", "a")]).await;
    done(&store, pages).await;
    done(&store, vec![start(1), start(2), start(9)]).await;
    let shown = |pages: Vec<PageRow>| pages.iter().map(|page| (page.started, page.crashes)).collect::<Vec<_>>();
    assert_eq!(shown(store.pages("r1").await.unwrap()), [(true, 0), (true, 0), (false, 0)]);
    done(&store, vec![Write::Interrupted { run: "r1".to_owned(), pages: vec![1, 3, 9], epoch: 7 }]).await;
    assert_eq!(shown(store.pages("r1").await.unwrap()), [(false, 1), (false, 0), (false, 1)]);
    let run = store.run("r1").await.unwrap().unwrap();
    assert_eq!((run.epoch, run.crashes, run.phase), (7, 1, Phase::Running));
}

pub async fn error_ids_are_never_given_twice(store: Held) {
    done(&store, vec![begin("r1", "a")]).await;
    let first = done(&store, vec![failed("r1", "a", "t1", 0), failed("r1", "a", "t2", 0)]).await.errors;
    assert_eq!(first.len(), 2);
    assert!(first[0] >= 1 && first[1] > first[0]);
    refused(&store, vec![failed("r1", "a", "t3", 0), begin("r1", "a")]).await;
    let dismiss = |id| Write::ErrorState { id, state: ErrorState::Dismissed, by: "hand".to_owned(), at: at(1) };
    let prune = Write::Prune { runs_before: at(0), errors_before: at(9), at: at(9) };
    done(&store, vec![dismiss(first[0]), dismiss(first[1]), prune]).await;
    assert_eq!(store.errors(ErrorFilter::default()).await.unwrap(), []);
    let later = done(&store, vec![failed("r1", "a", "t4", 0)]).await.errors;
    assert!(later[0] > first[1], "{later:?} after {first:?}");
    assert_eq!(refused(&store, vec![failed("nobody", "a", "t", 0)]).await, "there is no run `nobody`");
    assert!(refused(&store, vec![failed("r1", "b", "t", 0)]).await.contains("of flow `a`"));
}

pub async fn waypoints_go_with_their_record(store: Held) {
    let put =
        |record: u64| Write::Put { space: Space::Waypoint, key: waypoint_key("r1", 1, record), value: "{}".to_owned() };
    let left = async || -> Vec<String> {
        store.values(Space::Waypoint).await.unwrap().into_iter().map(|(key, _)| key).collect()
    };
    done(&store, vec![begin("r1", "a"), page("r1", 1, 3, None), tally("r1", [3, 0, 0, 1])]).await;
    let row = ErrorRow { page: 1, record: 2, ..error("r1", "a", "t", 0) };
    let batch = vec![Write::Error(Box::new(row)), marks("r1", 1, &[InFlight, Failed, InFlight])];
    let ids = done(&store, batch).await.errors;
    let other = Write::Put { space: Space::Waypoint, key: waypoint_key("r10", 1, 1), value: "{}".to_owned() };
    done(&store, vec![put(1), put(2), put(3), other]).await;
    done(&store, vec![phase("r1", Phase::Held, 5)]).await;
    assert_eq!(left().await, ["r1 1 1", "r1 1 2", "r1 1 3", "r10 1 1"], "a held run goes on later");
    done(&store, vec![phase("r1", Phase::Dismissed, 6)]).await;
    assert_eq!(left().await, ["r1 1 2", "r10 1 1"], "what failed may be tried again");
    let settled = Write::ErrorState { id: ids[0], state: ErrorState::Dismissed, by: "hand".to_owned(), at: at(9) };
    done(&store, vec![settled]).await;
    assert_eq!(left().await, ["r10 1 1"]);
}

pub async fn an_error_leaves_the_open_state_once(store: Held) {
    done(&store, vec![begin("r1", "a"), tally("r1", [3, 0, 0, 3])]).await;
    let ids = done(&store, (0..3).map(|n| failed("r1", "a", &format!("t{n}"), n)).collect()).await.errors;
    let becomes = |id, state| Write::ErrorState { id, state, by: "hand".to_owned(), at: at(9) };
    let set = vec![becomes(ids[0], ErrorState::Dismissed), becomes(ids[1], ErrorState::Redelivered)];
    assert_eq!(done(&store, set).await.changed, 2);
    let again = vec![
        becomes(ids[0], ErrorState::Refiltered),
        becomes(ids[2], ErrorState::Open),
        becomes(999, ErrorState::Dismissed),
    ];
    assert_eq!(done(&store, again).await.changed, 0);
    assert_eq!(open_errors(&store).await, [ids[2]]);
    let tally = store.run("r1").await.unwrap().unwrap().tally;
    assert_eq!((tally.dismissed, tally.redelivered, tally.refiltered), (1, 1, 0));

    // The run's own figures do not undo what the store counts.
    done(&store, vec![super::tally("r1", [4, 1, 0, 3]), phase("r1", Phase::Ended, 9)]).await;
    done(&store, vec![becomes(ids[2], ErrorState::Refiltered)]).await;
    let run = store.run("r1").await.unwrap().unwrap();
    assert_eq!((run.tally.dismissed, run.tally.redelivered, run.tally.refiltered), (1, 1, 1));
    balanced(&store).await;

    let text =
        ErrorRow { id: ids[2], message: "new".to_owned(), attempts: 5, flow: flow("b"), ..error("r9", "a", "t", 5) };
    done(&store, vec![Write::Error(Box::new(text))]).await;
    let filter = ErrorFilter { ids: vec![ids[2]], ..ErrorFilter::default() };
    let row = store.errors(filter).await.unwrap().remove(0);
    assert_eq!((row.message.as_str(), row.attempts), ("new", 5));
    assert_eq!((row.state, row.flow, row.run, row.opened), (ErrorState::Refiltered, flow("a"), "r1".to_owned(), at(2)));
    balanced(&store).await;
}

pub async fn only_a_settled_error_can_be_dropped(store: Held) {
    done(&store, vec![begin("r1", "a"), tally("r1", [2, 0, 0, 2])]).await;
    let ids = done(&store, vec![failed("r1", "a", "x", 0), failed("r1", "a", "y", 0)]).await.errors;
    let drop = |id| Write::DropError { id };
    assert_eq!(done(&store, vec![drop(ids[0]), drop(999)]).await.pruned.errors, 0);
    let dismissed = Write::ErrorState { id: ids[0], state: ErrorState::Dismissed, by: "hand".to_owned(), at: at(9) };
    assert_eq!(done(&store, vec![dismissed, drop(ids[0])]).await.pruned.errors, 1);
    assert_eq!(open_errors(&store).await, [ids[1]]);
    let tally = store.run("r1").await.unwrap().unwrap().tally;
    assert_eq!((tally.failed, tally.dismissed), (2, 1), "the run's figures stay");
    balanced(&store).await;
}

pub async fn a_later_delivery_overtakes_open_errors_of_its_trace(store: Held) {
    done(&store, vec![begin("r1", "a"), tally("r1", [3, 0, 0, 3]), begin("r2", "b"), tally("r2", [1, 0, 0, 1])]).await;
    let batch = vec![
        failed("r1", "a", "x", 0),
        failed("r1", "a", "y", 0),
        failed("r1", "a", "x", 1),
        failed("r2", "b", "x", 0),
    ];
    let ids = done(&store, batch).await.errors;
    assert_eq!(store.open_traces(&flow("a")).await.unwrap(), ["x", "y"]);
    let traces = vec!["x".to_owned(), "none".to_owned()];
    let overtaken = Write::Overtaken { flow: flow("a"), traces, run: "r7".to_owned(), at: at(5) };
    assert_eq!(done(&store, vec![overtaken.clone()]).await.changed, 2);
    assert_eq!(done(&store, vec![overtaken]).await.changed, 0);
    assert_eq!(open_errors(&store).await, [ids[3], ids[1]]);
    assert_eq!(store.open_traces(&flow("a")).await.unwrap(), ["y"]);
    let row = store.errors(ErrorFilter { ids: vec![ids[0]], ..ErrorFilter::default() }).await.unwrap().remove(0);
    assert_eq!((row.state, row.by.as_deref(), row.changed), (ErrorState::Redelivered, Some("r7"), at(5)));
    assert_eq!(store.run("r1").await.unwrap().unwrap().tally.redelivered, 2);
    balanced(&store).await;
}

pub async fn the_figures_of_a_flow_add_up(store: Held) {
    done(&store, vec![begin("r1", "a"), page("r1", 1, 5, None), tally("r1", [5, 0, 0, 0])]).await;
    balanced(&store).await;
    let step = vec![
        marks("r1", 1, &[Delivered, Filtered, Failed, InFlight, InFlight]),
        failed("r1", "a", "x", 3),
        tally("r1", [5, 1, 1, 1]),
    ];
    done(&store, step).await;
    let sums = &store.tallies().await.unwrap()[0];
    assert_eq!(
        (sums.exported, sums.delivered, sums.filtered, sums.open, sums.dismissed, sums.in_flight),
        (5, 1, 1, 1, 0, 2)
    );
    assert_eq!(sums.oldest_open, Some(at(3)));
    balanced(&store).await;
    done(&store, vec![begin("r2", "a"), tally("r2", [7, 7, 0, 0]), phase("r1", Phase::Dismissed, 9), begin("r3", "b")])
        .await;
    let sums = store.tallies().await.unwrap();
    let shown: Vec<_> = sums.iter().map(|sums| (sums.flow.as_str(), sums.exported, sums.dismissed)).collect();
    assert_eq!(shown, [("a", 12, 2), ("b", 0, 0)]);
    balanced(&store).await;
}

pub async fn a_retry_run_counts_no_records(store: Held) {
    let retry = Write::Begin(Box::new(RunRow { kind: RunKind::Retry, ..run("r1", "a") }));
    done(&store, vec![retry, tally("r1", [5, 2, 0, 0]), phase("r1", Phase::Ended, 1)]).await;
    let run = store.run("r1").await.unwrap().unwrap();
    assert_eq!((run.tally.exported, run.tally.dismissed), (5, 0));
    assert_eq!(store.tallies().await.unwrap()[0].exported, 0);
}

pub async fn errors_are_found_by_every_test(store: Held) {
    done(&store, vec![begin("r1", "a"), begin("r2", "b")]).await;
    let due = ErrorRow { next_retry: Some(at(50)), class: "unreachable".to_owned(), ..error("r2", "b", "y", 20) };
    let batch = vec![failed("r1", "a", "x", 0), failed("r1", "a", "y", 10), Write::Error(Box::new(due))];
    let ids = done(&store, batch).await.errors;
    let [one, two, three] = ids[..] else { panic!("{ids:?}") };
    let dismissed = Write::ErrorState { id: one, state: ErrorState::Dismissed, by: "hand".to_owned(), at: at(30) };
    done(&store, vec![dismissed]).await;
    let all = ErrorFilter::default;
    for (filter, found) in [
        (all(), vec![three, two, one]),
        (ErrorFilter { ids: vec![one, three, 99], ..all() }, vec![three, one]),
        (ErrorFilter { flow: Some(flow("a")), ..all() }, vec![two, one]),
        (ErrorFilter { flow: Some(flow("c")), ..all() }, vec![]),
        (ErrorFilter { run: Some("r2".to_owned()), ..all() }, vec![three]),
        (ErrorFilter { class: Some("rejected".to_owned()), ..all() }, vec![two, one]),
        (ErrorFilter { fingerprint: Some("import-y".to_owned()), ..all() }, vec![three, two]),
        (ErrorFilter { fingerprint: Some("imp".to_owned()), limit: Some(2), ..all() }, vec![three, two]),
        (
            ErrorFilter { fingerprint: Some("imp".to_owned()), flow: Some(flow("a")), open_only: true, ..all() },
            vec![two],
        ),
        (ErrorFilter { before: Some(at(10)), ..all() }, vec![one]),
        (ErrorFilter { below: Some(three), ..all() }, vec![two, one]),
        (ErrorFilter { below: Some(one), ..all() }, vec![]),
        (ErrorFilter { below: Some(u64::MAX), limit: Some(1), ..all() }, vec![three]),
        (ErrorFilter { open_only: true, ..all() }, vec![three, two]),
        (ErrorFilter { due_by: Some(at(49)), ..all() }, vec![]),
        (ErrorFilter { due_by: Some(at(50)), ..all() }, vec![three]),
        (ErrorFilter { limit: Some(1), ..all() }, vec![three]),
        (ErrorFilter { limit: Some(0), ..all() }, vec![]),
    ] {
        let rows = store.errors(filter.clone()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), found, "{filter:?}");
    }
}

pub async fn runs_are_found_newest_first(store: Held) {
    // Begun in this order, whatever their clocks said.
    done(&store, vec![begin("r2", "a")]).await;
    done(&store, vec![begin("r1", "b"), begin("r3", "a"), phase("r2", Phase::Ended, 1)]).await;
    let all = RunFilter::default;
    for (filter, found) in [
        (all(), vec!["r3", "r1", "r2"]),
        (RunFilter { flow: Some(flow("a")), ..all() }, vec!["r3", "r2"]),
        (RunFilter { phases: vec![Phase::Running, Phase::Held], ..all() }, vec!["r3", "r1"]),
        (RunFilter { phases: vec![Phase::Ended], ..all() }, vec!["r2"]),
        (RunFilter { limit: Some(2), ..all() }, vec!["r3", "r1"]),
    ] {
        let rows = store.runs(filter.clone()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), found, "{filter:?}");
    }
    assert_eq!(store.run("r3").await.unwrap(), Some(run("r3", "a")));
    assert_eq!(store.run("r9").await.unwrap(), None);
}

pub async fn values_have_their_space(store: Held) {
    let put = |space, key: &str, value: &str| Write::Put { space, key: key.to_owned(), value: value.to_owned() };
    done(&store, vec![put(Space::Meta, "k", "1"), put(Space::Webhook, "k", "2"), put(Space::Meta, "b", "ü\n\0")]).await;
    done(&store, vec![put(Space::Meta, "k", "3")]).await;
    assert_eq!(store.value(Space::Webhook, "k").await.unwrap().as_deref(), Some("2"));
    let values = store.values(Space::Meta).await.unwrap();
    assert_eq!(values, [("b".to_owned(), "ü\n\0".to_owned()), ("k".to_owned(), "3".to_owned())]);
    let delete = Write::Delete { space: Space::Meta, key: "k".to_owned() };
    done(&store, vec![delete.clone(), delete]).await;
    assert_eq!(store.value(Space::Meta, "k").await.unwrap(), None);
    assert_eq!(store.values(Space::Token).await.unwrap(), []);
}

pub async fn renames_move_everything_and_spare_what_stands_there(store: Held) {
    let put = |space, key: &str, value: &str| Write::Put { space, key: key.to_owned(), value: value.to_owned() };
    let scheduled = RunRow { occurrence: Some(at(60)), ..run("r1", "old") };
    let batch = vec![
        Write::Begin(Box::new(scheduled.clone())),
        tally("r1", [2, 1, 0, 1]),
        failed("r1", "old", "x", 0),
        begin("r2", "new"),
        tally("r2", [1, 0, 0, 0]),
        put(Space::Schedule, "old", "2026-01-31T08:00:00Z"),
        put(Space::Mark, "old main", "1"),
        put(Space::Mark, "old other", "2"),
        put(Space::Mark, "new main", "3"),
        put(Space::Mark, "older main", "4"),
        put(Space::Token, "old", "5"),
        put(Space::Token, "shop", "6"),
        put(Space::Offline, "shop", "7"),
    ];
    done(&store, batch).await;
    let connection = |id| ConnectionId::parse(id).unwrap();
    let (from, to) = (flow("old"), flow("new"));
    done(&store, vec![Write::RenameFlow { from: from.clone(), to: to.clone() }]).await;
    done(&store, vec![Write::RenameConnection { from: connection("shop"), to: connection("eu/shop") }]).await;
    done(&store, vec![Write::RenameFlow { from: to.clone(), to: to.clone() }]).await;
    let named = |space| {
        let store = store.clone();
        async move { store.values(space).await.unwrap() }
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(named(Space::Schedule).await, [pair("new", "2026-01-31T08:00:00Z")]);
    assert_eq!(named(Space::Mark).await, [pair("new main", "3"), pair("new other", "2"), pair("older main", "4")]);
    assert_eq!(named(Space::Token).await, [pair("eu/shop", "6"), pair("old", "5")]);
    assert_eq!(named(Space::Offline).await, [pair("eu/shop", "7")]);
    let runs = store.runs(RunFilter { flow: Some(to.clone()), ..RunFilter::default() }).await.unwrap();
    assert_eq!(runs.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["r2", "r1"]);
    assert_eq!(store.errors(ErrorFilter { flow: Some(to.clone()), ..ErrorFilter::default() }).await.unwrap().len(), 1);
    assert_eq!(store.open_traces(&to).await.unwrap(), ["x"]);
    let again = RunRow { id: "r3".to_owned(), flow: to.clone(), ..scheduled };
    assert!(refused(&store, vec![Write::Begin(Box::new(again))]).await.contains("`r1`"));
    let sums = store.tallies().await.unwrap();
    assert_eq!((sums.len(), &sums[0].flow, sums[0].exported), (1, &to, 3));
    balanced(&store).await;
}

pub async fn pruning_dismisses_open_errors_before_it_drops_them(store: Held) {
    let put = |key: &str| Write::Put { space: Space::Meaning, key: key.to_owned(), value: "{}".to_owned() };
    let named =
        |id: &str, meaning: &str| Write::Begin(Box::new(RunRow { meaning: meaning.to_owned(), ..run(id, "a") }));
    let batch = vec![
        put("m1"),
        put("m2"),
        put("m3"),
        named("r1", "m1"),
        tally("r1", [1, 0, 0, 1]),
        failed("r1", "a", "x", 0),
        phase("r1", Phase::Ended, 10),
        named("r2", "m2"),
        tally("r2", [1, 1, 0, 0]),
        phase("r2", Phase::Ended, 10),
        named("r3", "m2"),
        phase("r3", Phase::Ended, 90),
        named("r4", "m2"),
        phase("r4", Phase::Held, 10),
        Write::Put { space: Space::Log, key: "r2".to_owned(), value: "[]".to_owned() },
        Write::Put { space: Space::Log, key: "r4".to_owned(), value: "[]".to_owned() },
    ];
    let id = done(&store, batch).await.errors[0];
    let prune = |errors| Write::Prune { runs_before: at(50), errors_before: at(errors), at: at(99) };
    let receipt = done(&store, vec![prune(0)]).await;
    assert_eq!(receipt.pruned, Pruned { runs: 1, errors: 0, dismissed: 0 });
    let ids = |runs: Vec<RunRow>| runs.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.runs(RunFilter::default()).await.unwrap()), ["r4", "r3", "r1"], "r1 has an open error");
    let texts = store.values(Space::Meaning).await.unwrap();
    assert_eq!(texts.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["m1", "m2"]);
    let logs = store.values(Space::Log).await.unwrap();
    assert_eq!(logs, [("r4".to_owned(), "[]".to_owned())], "the lines of a run go with it");
    balanced(&store).await;

    let receipt = done(&store, vec![prune(1)]).await;
    assert_eq!(receipt.pruned, Pruned { runs: 1, errors: 0, dismissed: 1 });
    let row = store.errors(ErrorFilter { ids: vec![id], ..ErrorFilter::default() }).await.unwrap().remove(0);
    assert_eq!((row.state, row.by.as_deref()), (ErrorState::Dismissed, Some("age")));
    balanced(&store).await;
    let receipt = done(&store, vec![prune(1)]).await;
    assert_eq!(receipt.pruned, Pruned { runs: 0, errors: 1, dismissed: 0 });
    assert_eq!(store.errors(ErrorFilter::default()).await.unwrap(), []);
    balanced(&store).await;
}

pub async fn unfit_writes_are_refused(store: Held) {
    done(&store, vec![begin("r1", "a"), page("r1", 1, 2, None)]).await;
    let put = |space, key: &str, value: &str| Write::Put { space, key: key.to_owned(), value: value.to_owned() };
    for (write, told) in [
        (begin("", "a"), "1 to"),
        (begin(&"x".repeat(MOST_NAME + 1), "a"), "1 to"),
        (put(Space::Meta, &"k".repeat(MOST_KEY + 1), ""), "1 to"),
        (put(Space::Schedule, "a", "soon"), "instant"),
        (put(Space::Token, "a", "{"), "JSON"),
        (marks("r1", 1, &[Delivered]), "has 2 records, not 1"),
        (page("r1", 0, 1, None), "cannot be stored"),
        (page("r1", u64::MAX, 1, None), "cannot be stored"),
        (page("r1", 2, u32::MAX, None), "cannot be stored"),
        (phase("nobody", Phase::Ended, 0), "no run `nobody`"),
        (tally("nobody", [0; 4]), "no run `nobody`"),
        (marks("nobody", 1, &[]), "no run `nobody`"),
        (Write::StartPage { run: "nobody".to_owned(), page: 1 }, "no run `nobody`"),
        (Write::Withdraw { run: "nobody".to_owned() }, "no run `nobody`"),
        (Write::Interrupted { run: "nobody".to_owned(), pages: vec![], epoch: 1 }, "no run `nobody`"),
    ] {
        let text = refused(&store, vec![write.clone()]).await;
        assert!(text.contains(told), "{write:?}: {text}");
    }
}

pub async fn a_closed_store_says_so(store: Held) {
    let pending = store.commit(vec![begin("r1", "a")]);
    let closed = store.close();
    pending.await.unwrap();
    closed.await.unwrap();
    assert_eq!(store.commit(vec![begin("r2", "a")]).await, Err(StoreError::Closed));
    assert_eq!(store.run("r1").await, Err(StoreError::Closed));
    assert_eq!(store.tallies().await, Err(StoreError::Closed));
    let _ = store.close().await;
}
