//! A process that dies at any step of its store: what the next ones make of it, judged by the destination's ledger.
//!
//! Killing is done for real: the whole runtime with everything in it is dropped at the drawn write. The writes before
//! it are in the store, the drawn one is there or not (both are tried), later ones are not.

use super::{Host, State};
use crate::app::run::{Ending, Options, Output};
use crate::config::{self, Env};
use crate::http::tokens::WhenRefused;
use crate::observe::meters::TriggerKind;
use crate::playground::{Playground, Settings, Verify};
use crate::store::{
    Damage, ErrorFilter, ErrorRow, FlowTally, Health, IntentRow, MemoryStore, PageRow, Pending, Phase, Receipt,
    RunFilter, RunRow, Space, Store, Usage, Write,
};
use crate::value::id::FlowId;
use crate::value::json::Json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Passes so many batches on, then dies.
struct Mortal {
    inner: Arc<dyn Store>,
    left: AtomicI64,
    /// Whether the batch at which it dies still reaches the disk.
    last_arrives: bool,
    dead: Arc<Notify>,
    /// After so many batches it says that the process is asked to end.
    drains_after: AtomicI64,
    drains: Arc<Notify>,
    /// What became of that batch is known when the end has begun.
    draining: Arc<Notify>,
}

impl Mortal {
    fn new(inner: &Arc<dyn Store>, (batches, last_arrives): (i64, bool), drains_after: i64) -> Arc<Self> {
        Arc::new(Self {
            inner: inner.clone(),
            left: AtomicI64::new(batches),
            last_arrives,
            dead: Arc::default(),
            drains_after: AtomicI64::new(drains_after),
            drains: Arc::default(),
            draining: Arc::default(),
        })
    }
}

impl Store for Mortal {
    fn commit(&self, batch: Vec<Write>) -> Pending<Receipt> {
        if self.drains_after.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.drains.notify_one();
            let (stored, draining) = (self.inner.commit(batch), self.draining.clone());
            return Box::pin(async move {
                draining.notified().await;
                stored.await
            });
        }
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        if left > 0 {
            return self.inner.commit(batch);
        }
        if left == 0 && self.last_arrives {
            drop(self.inner.commit(batch));
        }
        self.dead.notify_one();
        Box::pin(std::future::pending())
    }
    fn run(&self, id: &str) -> Pending<Option<RunRow>> {
        self.inner.run(id)
    }
    fn runs(&self, filter: RunFilter) -> Pending<Vec<RunRow>> {
        self.inner.runs(filter)
    }
    fn pages(&self, run: &str) -> Pending<Vec<PageRow>> {
        self.inner.pages(run)
    }
    fn body(&self, run: &str, page: u64) -> Pending<Option<Vec<u8>>> {
        self.inner.body(run, page)
    }
    fn intents(&self, run: &str) -> Pending<Vec<IntentRow>> {
        self.inner.intents(run)
    }
    fn errors(&self, filter: ErrorFilter) -> Pending<Vec<ErrorRow>> {
        self.inner.errors(filter)
    }
    fn open_traces(&self, flow: &FlowId) -> Pending<Vec<String>> {
        self.inner.open_traces(flow)
    }
    fn tallies(&self) -> Pending<Vec<FlowTally>> {
        self.inner.tallies()
    }
    fn value(&self, space: Space, key: &str) -> Pending<Option<String>> {
        self.inner.value(space, key)
    }
    fn values(&self, space: Space) -> Pending<Vec<(String, String)>> {
        self.inner.values(space)
    }
    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }
    fn usage(&self) -> Pending<Usage> {
        self.inner.usage()
    }
    fn damage(&self) -> Vec<Damage> {
        self.inner.damage()
    }
    fn close(&self) -> Pending<()> {
        self.inner.close()
    }
}

struct Nowhere;

impl Output for Nowhere {
    fn record(&self, _: &Json) -> std::io::Result<()> {
        Ok(())
    }
}

struct NoEnv;

impl Env for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

/// Records a page.
const PAGE: u64 = 10;
/// Pages by their number.
const PAGES: &str = "relative_uri = \"/page\"\n[export.paging]\npages_path = \"$.pages\"\n[export.paging.page]\n\
                     param = \"page\"\nsize_param = \"per_page\"\nsize = 10\n";
/// Pages whose records may be in flight at once.
const PAGES_IN_FLIGHT: u64 = 5;

/// A project on disk with one flow between the two sides of a playground.
struct Project {
    folder: tempfile::TempDir,
    playground: Playground,
    store: Arc<dyn Store>,
    epoch: u64,
}

impl Project {
    fn new(records: u64, head: &str, import: &str) -> Self {
        Self::reading(PAGES, records, head, import)
    }

    /// With these keys of the export.
    fn reading(export: &str, records: u64, head: &str, import: &str) -> Self {
        Self::before(Settings { records, ..Settings::default() }, export, head, import)
    }

    /// With a destination of these manners.
    fn before(settings: Settings, export: &str, head: &str, import: &str) -> Self {
        let playground = Playground::start(Settings { verify: Verify::Ids, ..settings }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let base = playground.base_uri();
        let write = |path: &str, text: String| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("connections/shop.toml", format!("base_uri = \"{base}\"\n"));
        write("connections/erp.toml", format!("base_uri = \"{base}\"\nconcurrency_level = 3\n"));
        write(
            "flows/orders.toml",
            format!(
                "{head}\n[export]\nconnection = \"shop\"\nrecords = \"$.data[*]\"\ntrace_key = \"{{{{record.id}}}}\"\n\
                 {export}\n[import]\nconnection = \"erp\"\n{import}\n"
            ),
        );
        Self { folder, playground, store: MemoryStore::new(), epoch: 0 }
    }

    /// One life of the process: until the run ends, or until its store dies. True when the run ended.
    fn live(&mut self, batches: i64, last_arrives: bool) -> Option<Ending> {
        self.life(Mortal::new(&self.store, (batches, last_arrives), i64::MAX))
    }

    /// One life that is asked to end after so many batches, and ends in order.
    fn drained(&mut self, batches: i64) -> Option<Ending> {
        self.life(Mortal::new(&self.store, (i64::MAX, false), batches))
    }

    fn life(&mut self, mortal: Arc<Mortal>) -> Option<Ending> {
        self.epoch += 1;
        let (dead, drains, draining) = (mortal.dead.clone(), mortal.drains.clone(), mortal.draining.clone());
        let state = State::over(mortal, self.epoch);
        let host = Host::of_machine(self.folder.path().to_path_buf(), Arc::new(NoEnv));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(async {
            let loaded = config::load_dir(self.folder.path(), &NoEnv).unwrap();
            let snapshot = Arc::new(loaded.snapshot.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)));
            let supervisor = host.supervise(snapshot, Arc::new(Nowhere), &state, WhenRefused::GiveUp).unwrap();
            let whole = async {
                supervisor.look_back().await.unwrap();
                let flow = FlowId::parse("orders").unwrap();
                let started = supervisor.start(&flow, TriggerKind::Manual, Options::default()).unwrap();
                started.report.await.unwrap().ending
            };
            let drain = async {
                drains.notified().await;
                tokio::join!(supervisor.drain(Duration::from_secs(20)), async { draining.notify_one() });
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                () = dead.notified() => None,
                () = drain => None,
                ending = whole => Some(ending),
                () = host.clock.sleep_until(host.clock.mono().plus(Duration::from_secs(30))) => panic!("the run neither ended nor died"),
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        ended
    }

    fn has_ended(&self) -> bool {
        let ended = RunFilter { phases: vec![Phase::Ended], ..RunFilter::default() };
        !futures_util::FutureExt::now_or_never(self.store.runs(ended)).unwrap().unwrap().is_empty()
    }

    fn tally(&self) -> FlowTally {
        futures_util::FutureExt::now_or_never(self.store.tallies()).unwrap().unwrap().remove(0)
    }
}

/// Dies at every write once, on the way to it or behind it; the next process ends the run.
fn every_step(head: &str, import: &str, judge: impl Fn(&Project, &str)) {
    every_step_of(PAGES, head, import, judge);
}

/// The same with these keys of the export.
fn every_step_of(export: &str, head: &str, import: &str, judge: impl Fn(&Project, &str)) {
    every_step_at(&Settings { records: 45, ..Settings::default() }, export, head, import, judge);
}

/// The same at a destination of these manners.
fn every_step_at(settings: &Settings, export: &str, head: &str, import: &str, judge: impl Fn(&Project, &str)) {
    let mut points = 0;
    for batches in 0.. {
        for last_arrives in [false, true] {
            let mut project = Project::before(settings.clone(), export, head, import);
            let survived = project.live(batches, last_arrives);
            // When the end itself is in the store, nothing is left to go on with.
            let ending = if project.has_ended() { None } else { project.live(i64::MAX, false) };
            let case = format!("batch {batches}, arrives: {last_arrives}, {survived:?}, {ending:?}");
            judge(&project, &case);
            if survived.is_some() {
                assert!(points > 10, "only {points} writes were tried");
                return;
            }
            points += 1;
        }
    }
}

fn nothing_lost(project: &Project, case: &str) {
    let ledger = project.playground.ledger();
    let records = &ledger.destinations.first().unwrap_or_else(|| panic!("{case}: nothing arrived")).records;
    assert_eq!((records.missing, records.foreign, records.once), (0, 0, 45), "{case}: {records:?}");
    assert!(records.duplicates <= PAGES_IN_FLIGHT * PAGE, "{case}: {records:?}");
    let tally = project.tally();
    assert_eq!((tally.exported, tally.delivered, tally.in_flight, tally.open), (45, 45, 0, 0), "{case}");
}

const KEYED: &str = "relative_uri = \"/sink/orders\"\nidempotency_key = \"{{record.id}}\"";

#[test]
fn a_death_at_any_write_loses_no_record() {
    every_step("", KEYED, nothing_lost);
}

#[test]
fn a_death_loses_no_record_where_a_page_says_what_follows_it() {
    for durability in ["full", "checkpoint"] {
        let head = format!("durability = \"{durability}\"");
        for export in [
            "relative_uri = \"/cursor?limit=10\"\n[export.paging.next]\n\
             relative_uri = \"/cursor?limit=10&cursor={{previous.body.next_cursor}}\"",
            "relative_uri = \"/next?per_page=10\"\n[export.paging.next_url]\npath = \"$.next_url\"",
        ] {
            every_step_of(export, &head, KEYED, |project, case| nothing_lost(project, &format!("{export}: {case}")));
        }
    }
}

#[test]
fn batches_are_the_same_after_a_death_at_any_write() {
    every_step("", &format!("{KEYED}\nbatch_size = 4"), nothing_lost);
}

/// A destination that refuses every seventh order, and knows a repeated write by its key.
fn picky(reject_whole_batch: bool) -> Settings {
    Settings { records: 45, reject_every: 7, reject_whole_batch, watch: true, ..Settings::default() }
}

/// All but the six it refuses are there, each once: what was sent again came under the same key.
fn each_once(project: &Project, case: &str) {
    let ledger = project.playground.ledger();
    let records = &ledger.destinations.first().unwrap_or_else(|| panic!("{case}: nothing arrived")).records;
    assert_eq!((records.once, records.duplicates, records.foreign), (39, 0, 0), "{case}: {records:?}");
    let tally = project.tally();
    assert_eq!((tally.exported, tally.delivered, tally.in_flight, tally.open), (45, 39, 0, 6), "{case}");
}

#[test]
fn a_divided_batch_has_the_same_parts_after_a_death_at_any_write() {
    let import = format!("{KEYED}\nbatch_size = 8\non_reject = \"bisect\"");
    every_step_at(&picky(true), PAGES, "", &import, each_once);
}

#[test]
fn answers_of_single_records_settle_them_over_a_death_at_any_write() {
    let import =
        format!("{KEYED}\nbatch_size = 4\nresponse = {{ records = \"$.results[*]\", error_path = \"error\" }}");
    every_step_at(&picky(false), PAGES, "", &import, each_once);
}

#[test]
fn creates_and_updates_are_the_same_batches_after_a_death_at_any_write() {
    // Runs of one to four records that are created, or updated; a batch is closed where the way changes.
    let import = format!(
        "{KEYED}\nbatch_size = 3\n[import.upsert]\nexists = \"= true if record.id % 8 in [0, 3, 4, 5] else none\"\n\
         [import.upsert.update]\nmethod = \"PUT\""
    );
    every_step_at(&Settings { watch: true, ..picky(true) }, PAGES, "", &import, |project, case| {
        let ledger = project.playground.ledger();
        let records = &ledger.destinations.first().unwrap_or_else(|| panic!("{case}: nothing arrived")).records;
        assert_eq!((records.duplicates, records.foreign), (0, 0), "{case}: {records:?}");
        let tally = project.tally();
        assert_eq!((tally.exported, tally.in_flight, tally.delivered), (45, 0, records.once), "{case}");
        assert!(tally.open > 6 && tally.open == records.missing, "{case}: {records:?} {tally:?}");
    });
}

#[test]
fn a_page_that_is_read_again_loses_no_record() {
    every_step("durability = \"checkpoint\"", KEYED, nothing_lost);
}

#[test]
fn what_may_have_been_sent_is_parked_and_nothing_is_sent_twice() {
    let park = "relative_uri = \"/sink/orders\"\nunknown_outcome = \"park\"";
    every_step("", park, |project, case| {
        let ledger = project.playground.ledger();
        let records = &ledger.destinations.first().unwrap_or_else(|| panic!("{case}")).records;
        let tally = project.tally();
        assert_eq!(records.duplicates, 0, "{case}: {records:?}");
        assert_eq!(tally.exported, tally.delivered + tally.open, "{case}: {tally:?}");
        // What did not arrive is an open error record, and no more than one window is unknown.
        assert!(records.missing <= tally.open && tally.open <= 12, "{case}: {records:?} {tally:?}");
    });
}

/// Whatever may have been sent stays unknown until somebody has looked, though a process between ends in order.
fn nothing_twice_over_a_drain(head: &str, import: &str) {
    let mut drained = 0;
    for death in 5..14 {
        for drain in 1..7 {
            let mut project = Project::new(45, head, import);
            // What has ended begins anew.
            if project.live(death, true).is_some() || project.has_ended() {
                continue;
            }
            drained += usize::from(project.drained(drain) == Some(Ending::Cancelled));
            if !project.has_ended() {
                project.live(i64::MAX, false);
            }
            let ledger = project.playground.ledger();
            let records = &ledger.destinations.first().unwrap_or_else(|| panic!("{death}, {drain}")).records;
            assert_eq!(records.duplicates, 0, "death at {death}, drain at {drain}: {records:?}");
            let tally = project.tally();
            assert_eq!(tally.in_flight, 0, "death at {death}, drain at {drain}: {tally:?}");
        }
    }
    assert!(drained > 10, "only {drained} lives were asked to end before their time");
}

#[test]
fn what_may_have_been_sent_is_parked_also_behind_a_process_that_ends_in_order() {
    nothing_twice_over_a_drain("", "relative_uri = \"/sink/orders\"\nunknown_outcome = \"park\"");
}

#[test]
fn what_may_have_been_sent_is_asked_about_also_behind_a_process_that_ends_in_order() {
    // Whatever is asked about is there: what is sent again was not asked about.
    let check = |table: &str| {
        format!(
            "unknown_outcome = \"check\"\n[{table}.check]\nconnection = \"shop\"\nrelative_uri = \"/page?page=1\"\n\
             records = \"$.data[*]\""
        )
    };
    nothing_twice_over_a_drain("", &format!("relative_uri = \"/sink/orders\"\n{}", check("import")));
    let step = format!(
        "[[step]]\nname = \"first\"\n[step.import]\nconnection = \"erp\"\nrelative_uri = \"/sink/orders\"\n{}",
        check("step.import")
    );
    nothing_twice_over_a_drain(&step, "relative_uri = \"/sink/customers\"\nwhen = \"record.id < 0\"");
}

#[test]
fn a_page_in_flight_at_three_deaths_is_parked_and_the_run_goes_on() {
    let mut project = Project::new(45, "", KEYED);
    let mut lives = 0;
    let ending = loop {
        lives += 1;
        assert!(lives < 30, "the run never ends");
        // Enough for one page to begin, not for it to be worked off.
        if let Some(ending) = project.live(if lives > 3 { i64::MAX } else { 4 }, true) {
            break ending;
        }
    };
    let tally = project.tally();
    assert_eq!(tally.exported, tally.delivered + tally.open, "{ending:?} {tally:?}");
    assert_eq!(lives, 4);
}

#[test]
fn processes_that_do_not_take_a_run_up_do_not_count_against_it() {
    let mut project = Project::new(45, "", KEYED);
    assert_eq!(project.live(5, true), None);
    for _ in 0..5 {
        project.epoch += 1;
        let state = State::over(project.store.clone(), project.epoch);
        let host = Host::of_machine(project.folder.path().to_path_buf(), Arc::new(NoEnv));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let snapshot = config::load_dir(project.folder.path(), &NoEnv).unwrap().snapshot.unwrap();
            let supervisor =
                host.supervise(Arc::new(snapshot), Arc::new(Nowhere), &state, WhenRefused::GiveUp).unwrap();
            supervisor.look_back().await.unwrap();
            assert_eq!(supervisor.unfinished(&FlowId::parse("orders").unwrap()).unwrap().crashes, 1);
        });
    }
    assert_eq!(project.live(i64::MAX, false), Some(Ending::Succeeded));
}

#[test]
fn a_flow_that_changed_ends_the_run_by_its_stored_text() {
    let mut project = Project::new(45, "", KEYED);
    assert_eq!(project.live(5, true), None);
    let path = project.folder.path().join("flows/orders.toml");
    let changed = std::fs::read_to_string(&path).unwrap().replace("/sink/orders", "/sink/elsewhere");
    std::fs::write(&path, changed).unwrap();
    assert_eq!(project.live(i64::MAX, false), Some(Ending::Succeeded));
    let names: Vec<String> = project.playground.ledger().destinations.into_iter().map(|d| d.name).collect();
    assert_eq!(names, ["orders"]);
    // A connection the stored text needs and that is gone: said, and nothing is lost.
    let mut project = Project::new(45, "", KEYED);
    assert_eq!(project.live(5, true), None);
    let renamed = |path: &Path| std::fs::rename(path.join("connections/erp.toml"), path.join("connections/other.toml"));
    renamed(project.folder.path()).unwrap();
    let path = project.folder.path().join("flows/orders.toml");
    let changed = std::fs::read_to_string(&path).unwrap().replace("\"erp\"", "\"other\"");
    std::fs::write(&path, changed).unwrap();
    let Some(Ending::ExportFailed(cause)) = project.live(i64::MAX, false) else { panic!("it must not begin anew") };
    assert!(cause.text.contains("there is no connection `erp`") && cause.text.contains("--fresh"), "{cause}");
    let tally = project.tally();
    assert_eq!(tally.exported, tally.delivered + tally.in_flight);
}
