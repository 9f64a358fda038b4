//! Random batches: memory and disk give the same answers, at once and after being opened anew.

use super::*;
use crate::store::{FlowTally, PageRow, Space};
use crate::value::id::ConnectionId;
use proptest::collection::vec;
use proptest::prelude::*;

const RUNS: [&str; 3] = ["r1", "r2", "r3"];
const FLOWS: [&str; 2] = ["a", "eu/b"];

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names)
}

fn any_mark() -> impl Strategy<Value = Mark> {
    prop::sample::select(&[Mark::InFlight, Mark::Delivered, Mark::Filtered, Mark::Failed][..])
}

fn any_phase() -> impl Strategy<Value = Phase> {
    prop::sample::select(&[Phase::Running, Phase::Held, Phase::Ended, Phase::Dismissed][..])
}

fn any_state() -> impl Strategy<Value = ErrorState> {
    let states = [ErrorState::Open, ErrorState::Redelivered, ErrorState::Refiltered, ErrorState::Dismissed];
    prop::sample::select(states.to_vec())
}

fn of_runs() -> impl Strategy<Value = Write> {
    let run_id = || one_of(&RUNS);
    prop_oneof![
        4 => (run_id(), one_of(&FLOWS), prop::option::of(0..4i64), 0..3u8).prop_map(|(id, of, occurrence, meaning)| {
            let occurrence = occurrence.map(at);
            Write::Begin(Box::new(RunRow { occurrence, meaning: format!("m{meaning}"), ..run(id, of) }))
        }),
        6 => (run_id(), 1..5u64, 0..4u32, prop::option::of(vec(any::<u8>(), 0..300)))
            .prop_map(|(id, number, records, body)| page(id, number, records, body.as_deref())),
        8 => (run_id(), 1..5u64, vec(any_mark(), 0..4)).prop_map(|(id, number, set)| marks(id, number, &set)),
        3 => (run_id(), 1..5u64, 0..4u32).prop_map(|(id, page, record)| intend(id, &[(page, record)])),
        1 => run_id().prop_map(|id| Write::Withdraw { run: id.to_owned() }),
        1 => (run_id(), 1..5u64).prop_map(|(id, page)| Write::StartPage { run: id.to_owned(), page }),
        1 => (run_id(), vec(1..5u64, 0..3), 1..9u64)
            .prop_map(|(id, pages, epoch)| Write::Interrupted { run: id.to_owned(), pages, epoch }),
        2 => (run_id(), 0..9u64, 0..3u64, 0..3u64, 0..3u64)
            .prop_map(|(id, more, d, f, e)| tally(id, [more + d + f + e, d, f, e])),
        1 => (run_id(), any_phase(), 0..99i64).prop_map(|(id, to, seconds)| phase(id, to, seconds)),
    ]
}

fn of_the_rest() -> impl Strategy<Value = Write> {
    let flow_id = || one_of(&FLOWS).prop_map(flow);
    let traces = || prop::sample::select(vec!["t1".to_owned(), "t2".to_owned()]);
    let space = || prop::sample::select(vec![Space::Meta, Space::Mark, Space::Token, Space::Meaning]);
    let key = || one_of(&["a", "eu/b", "a main", "m0", "m1"]);
    prop_oneof![
        4 => (one_of(&RUNS), one_of(&FLOWS), traces(), 0..99i64, prop::option::of(0..99i64), 0..4u64).prop_map(
            |(id, of, trace, opened, due, old)| Write::Error(Box::new(ErrorRow {
                id: old.saturating_sub(2),
                next_retry: due.map(at),
                ..error(id, of, &trace, opened)
            }))
        ),
        3 => (1..6u64, any_state(), 0..99i64)
            .prop_map(|(id, state, on)| Write::ErrorState { id, state, by: "hand".to_owned(), at: at(on) }),
        1 => (flow_id(), vec(traces(), 0..3), one_of(&RUNS))
            .prop_map(|(flow, traces, run)| Write::Overtaken { flow, traces, run: run.to_owned(), at: at(50) }),
        3 => (space(), key(), 0..5u8)
            .prop_map(|(space, key, value)| Write::Put { space, key: key.to_owned(), value: value.to_string() }),
        1 => (1..9u64).prop_map(|id| Write::DropError { id }),
        1 => (space(), key()).prop_map(|(space, key)| Write::Delete { space, key: key.to_owned() }),
        1 => (flow_id(), flow_id()).prop_map(|(from, to)| Write::RenameFlow { from, to }),
        1 => (one_of(&FLOWS), one_of(&FLOWS)).prop_map(|(from, to)| Write::RenameConnection {
            from: ConnectionId::parse(from).unwrap(),
            to: ConnectionId::parse(to).unwrap(),
        }),
        1 => (0..99i64, 0..99i64)
            .prop_map(|(runs, errors)| Write::Prune { runs_before: at(runs), errors_before: at(errors), at: at(99) }),
    ]
}

/// Everything there is to read.
#[derive(Debug, PartialEq)]
pub struct Everything {
    pub runs: Vec<RunRow>,
    pub errors: Vec<ErrorRow>,
    pub pages: Vec<Vec<PageRow>>,
    pub bodies: Vec<Option<Vec<u8>>>,
    pub intents: Vec<Vec<IntentRow>>,
    pub traces: Vec<Vec<String>>,
    pub tallies: Vec<FlowTally>,
    pub values: Vec<Vec<(String, String)>>,
    narrow: (Vec<RunRow>, Vec<ErrorRow>),
}

pub async fn everything(store: &Arc<dyn Store>) -> Everything {
    let narrow_runs =
        RunFilter { flow: Some(flow("a")), phases: vec![Phase::Running, Phase::Held], before: None, limit: Some(2) };
    let narrow_errors = ErrorFilter {
        flow: Some(flow("a")),
        open_only: true,
        due_by: Some(at(50)),
        limit: Some(2),
        ..Default::default()
    };
    let mut all = Everything {
        runs: store.runs(RunFilter::default()).await.unwrap(),
        errors: store.errors(ErrorFilter::default()).await.unwrap(),
        pages: vec![],
        bodies: vec![],
        intents: vec![],
        traces: vec![],
        tallies: store.tallies().await.unwrap(),
        values: vec![],
        narrow: (store.runs(narrow_runs).await.unwrap(), store.errors(narrow_errors).await.unwrap()),
    };
    for run in RUNS {
        all.pages.push(store.pages(run).await.unwrap());
        all.intents.push(store.intents(run).await.unwrap());
        for number in 1..5 {
            all.bodies.push(store.body(run, number).await.unwrap());
        }
    }
    for of in FLOWS {
        all.traces.push(store.open_traces(&flow(of)).await.unwrap());
    }
    for space in Space::ALL {
        all.values.push(store.values(space).await.unwrap());
    }
    all
}

/// Ids of error records may have gaps of different size; the order is what counts.
fn told(answer: Result<Receipt, StoreError>) -> Result<(usize, u64, crate::store::Pruned), StoreError> {
    answer.map(|receipt| (receipt.errors.len(), receipt.changed, receipt.pruned))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn memory_and_disk_agree(
        batches in vec((vec(prop_oneof![2 => of_runs(), 1 => of_the_rest()], 1..6), prop::bool::weighted(0.15)), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let on_disk = OnDisk::new();
            let (memory, mut disk) = (MemoryStore::new(), on_disk.open());
            let mut took = 0;
            for (batch, reopen) in batches {
                let (expected, got) = (memory.commit(batch.clone()).await, disk.commit(batch.clone()).await);
                took += u32::from(got.is_ok());
                assert_eq!(told(expected), told(got), "{batch:#?}");
                if reopen {
                    disk.close().await.unwrap();
                    disk = on_disk.open();
                    assert_eq!(disk.damage(), []);
                }
                assert_eq!(everything(&memory).await, everything(&disk).await, "after {batch:#?}");
            }
            disk.close().await.unwrap();
            let again = on_disk.open();
            assert_eq!(everything(&memory).await, everything(&again).await);
            // Nothing is left behind that no row refers to.
            if took == 0 {
                assert_eq!(again.usage().await.unwrap().pages, 0);
            }
        });
    }
}
