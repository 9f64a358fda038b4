//! One suite for every backend: what the trait promises, asked from outside.

mod cases;
pub(super) mod model;

use super::{
    ErrorFilter, ErrorRow, ErrorState, IntentRow, Mark, Marks, MemoryStore, PageWrite, Phase, Receipt, RunFilter,
    RunKind, RunRow, StateDir, Store, StoreError, Tally, Write, open,
};
use crate::value::id::FlowId;
use crate::value::time::SystemClock;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Runs every case against every backend.
macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::cases::$case(super::MemoryStore::new()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let state = super::OnDisk::new();
                super::cases::$case(state.open()).await;
            })+
        }
    };
}

/// A state directory of its own.
pub(super) struct OnDisk {
    _home: tempfile::TempDir,
    pub state: StateDir,
}

impl OnDisk {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::own(&home.path().join("state"), at(0)).unwrap();
        Self { _home: home, state }
    }

    pub fn open(&self) -> Arc<dyn Store> {
        open(&self.state, SystemClock::start()).unwrap()
    }
}

suite!(
    batches_take_effect_whole_or_not_at_all,
    batches_take_effect_in_the_order_they_were_given,
    an_occurrence_has_one_run,
    finished_pages_go_and_the_last_stays,
    a_page_without_records_is_finished_as_it_comes,
    a_page_read_anew_is_in_flight_again,
    bodies_come_back_as_they_were_given,
    intents_go_with_their_page,
    an_over_run_keeps_nothing_and_stands,
    unclean_exits_are_counted,
    error_ids_are_never_given_twice,
    waypoints_go_with_their_record,
    an_error_leaves_the_open_state_once,
    only_a_settled_error_can_be_dropped,
    a_later_delivery_overtakes_open_errors_of_its_trace,
    the_figures_of_a_flow_add_up,
    a_retry_run_counts_no_records,
    errors_are_found_by_every_test,
    runs_are_found_newest_first,
    values_have_their_space,
    renames_move_everything_and_spare_what_stands_there,
    pruning_dismisses_open_errors_before_it_drops_them,
    unfit_writes_are_refused,
    a_closed_store_says_so,
);

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

pub(super) fn flow(id: &str) -> FlowId {
    FlowId::parse(id).unwrap()
}

pub(super) fn run(id: &str, of: &str) -> RunRow {
    RunRow {
        id: id.to_owned(),
        flow: flow(of),
        kind: RunKind::Export,
        trigger: "manual".to_owned(),
        occurrence: None,
        started: at(0),
        ended: None,
        phase: Phase::Running,
        outcome: None,
        cause: None,
        meaning: "m1".to_owned(),
        limit: None,
        exports: Vec::new(),
        since: None,
        until: None,
        epoch: 1,
        crashes: 0,
        tally: Tally::default(),
        steps: Vec::new(),
    }
}

pub(super) fn begin(id: &str, of: &str) -> Write {
    Write::Begin(Box::new(run(id, of)))
}

pub(super) fn page(run: &str, number: u64, records: u32, body: Option<&[u8]>) -> Write {
    Write::Page(Box::new(PageWrite {
        run: run.to_owned(),
        number,
        records,
        cursor: format!("{{\"next\":{}}}", number.wrapping_add(1)),
        head: "{\"status\":200}".to_owned(),
        body: body.map(Bytes::copy_from_slice),
    }))
}

pub(super) fn marks(run: &str, page: u64, marks: &[Mark]) -> Write {
    let mut set = Marks::new(u32::try_from(marks.len()).unwrap());
    (0..).zip(marks).for_each(|(at, mark)| set.set(at, *mark));
    Write::Marks { run: run.to_owned(), page, marks: set }
}

pub(super) fn tally(run: &str, [exported, delivered, filtered, failed]: [u64; 4]) -> Write {
    let tally = Tally { exported, delivered, filtered, failed, ..Tally::default() };
    Write::Tally { run: run.to_owned(), tally, steps: Vec::new() }
}

pub(super) fn phase(run: &str, phase: Phase, seconds: i64) -> Write {
    let outcome = (phase == Phase::Ended).then(|| "succeeded".to_owned());
    Write::Phase { run: run.to_owned(), phase, outcome, cause: None, at: at(seconds) }
}

pub(super) fn error(run: &str, of: &str, trace: &str, opened: i64) -> ErrorRow {
    ErrorRow {
        id: 0,
        flow: flow(of),
        run: run.to_owned(),
        export: "main".to_owned(),
        each: None,
        time: None,
        members: 0,
        step: "import".to_owned(),
        page: 1,
        record: 1,
        class: "rejected".to_owned(),
        message: "422: the name is missing".to_owned(),
        status: Some(422),
        attempts: 1,
        request: Some("POST https://a.example/".to_owned()),
        response: None,
        payload: "{\"id\":1}".to_owned(),
        exported: None,
        trace_key: Some(trace.to_owned()),
        link: None,
        key: None,
        fingerprint: format!("import-{trace}"),
        state: ErrorState::Open,
        opened: at(opened),
        changed: at(opened),
        by: None,
        retries: 0,
        next_retry: None,
    }
}

pub(super) fn failed(run: &str, of: &str, trace: &str, opened: i64) -> Write {
    Write::Error(Box::new(error(run, of, trace, opened)))
}

fn intent(page: u64, record: u32) -> IntentRow {
    IntentRow { page, record, hash: u64::MAX - page, key: Some(format!("k-{page}-{record}")) }
}

pub(super) fn intend(run: &str, records: &[(u64, u32)]) -> Write {
    Write::Intend {
        run: run.to_owned(),
        records: records.iter().map(|(page, record)| intent(*page, *record)).collect(),
    }
}

pub(super) async fn done(store: &Arc<dyn Store>, batch: Vec<Write>) -> Receipt {
    store.commit(batch).await.unwrap()
}

async fn refused(store: &Arc<dyn Store>, batch: Vec<Write>) -> String {
    match store.commit(batch).await {
        Err(StoreError::Refused(refusal)) => refusal.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

async fn open_errors(store: &Arc<dyn Store>) -> Vec<u64> {
    let filter = ErrorFilter { open_only: true, ..ErrorFilter::default() };
    store.errors(filter).await.unwrap().iter().map(|row| row.id).collect()
}

pub(super) async fn page_numbers(store: &Arc<dyn Store>, run: &str) -> Vec<u64> {
    store.pages(run).await.unwrap().iter().map(|row| row.number).collect()
}

/// The equation, and that the figures are those of the rows.
pub(super) async fn balanced(store: &Arc<dyn Store>) {
    let runs = store.runs(RunFilter::default()).await.unwrap();
    let errors = store.errors(ErrorFilter::default()).await.unwrap();
    for sums in store.tallies().await.unwrap() {
        let known = sums.delivered + sums.filtered + sums.open + sums.dismissed + sums.in_flight;
        assert_eq!(sums.exported, known, "{sums:?}");
        let of = || runs.iter().filter(|row| row.flow == sums.flow && row.kind == RunKind::Export);
        assert_eq!(sums.exported, of().map(|row| row.tally.exported).sum::<u64>(), "{sums:?}");
        assert_eq!(sums.delivered, of().map(|row| row.tally.delivered + row.tally.redelivered).sum::<u64>());
        let open: Vec<_> = errors.iter().filter(|row| row.flow == sums.flow && row.state == ErrorState::Open).collect();
        assert_eq!(sums.open, open.len() as u64, "{sums:?}");
        assert_eq!(sums.oldest_open, open.iter().map(|row| row.opened).min());
    }
}
