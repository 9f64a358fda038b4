//! Due retries and pruning, under a clock that moves by itself. Nobody listens where the records go.

use super::*;
use crate::app::output::Stdout;
use crate::app::{Host, State};
use crate::config::Env;
use crate::http::tokens::WhenRefused;
use crate::store::{ErrorRow, ErrorState, Phase, RunFilter, RunKind, RunRow, Store, Tally};
use crate::value::time::{Clock, SeededRng, SharedClock, SystemClock};
use chrono::TimeDelta;
use std::pin::Pin;

/// Civil time that follows the paused clock.
struct Civil(SharedClock);

impl Clock for Civil {
    fn mono(&self) -> Mono {
        self.0.mono()
    }
    fn utc(&self) -> DateTime<Utc> {
        start() + TimeDelta::from_std(self.0.mono().0).unwrap()
    }
    fn sleep_until(&self, at: Mono) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.sleep_until(at)
    }
}

struct Nothing;

impl Env for Nothing {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn flow() -> FlowId {
    FlowId::parse("copy").unwrap()
}

struct Bench {
    _root: tempfile::TempDir,
    supervisor: Supervisor,
    store: Arc<dyn Store>,
    clock: SharedClock,
    tallies: Tallies,
    stop: CancellationToken,
}

/// A flow to an address where nobody listens, with one open error record.
async fn bench(connection: &str, error: ErrorRow) -> Bench {
    let root = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("base_uri = \"http://{}\"\n", listener.local_addr().unwrap());
    drop(listener);
    for (path, text) in [
        ("connections/api.toml", format!("{base}{connection}")),
        (
            "flows/copy.toml",
            "[export]\nconnection = \"api\"\nrelative_uri = \"/r\"\n[import]\nconnection = \"api\"\nrelative_uri = \"/t\"\n"
                .to_owned(),
        ),
    ] {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let clock: SharedClock = Arc::new(Civil(SystemClock::start()));
    let (env, rng) = (Arc::new(Nothing), SeededRng::seeded(1));
    let host = Host { root: root.path().to_path_buf(), env, clock: clock.clone(), rng };
    let (_, loaded) = host.load().unwrap();
    let snapshot = loaded.snapshot.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let state = State::in_memory();
    let store = state.store.clone();
    store.commit(vec![Write::Begin(Box::new(run())), Write::Error(Box::new(error))]).await.unwrap();
    let supervisor = host.supervise(Arc::new(snapshot), Arc::new(Stdout::new()), &state, WhenRefused::Hold).unwrap();
    let tallies = Tallies::default();
    tallies.take(store.tallies().await.unwrap(), clock.utc());
    Bench { _root: root, supervisor, store, clock, tallies, stop: CancellationToken::new() }
}

fn run() -> RunRow {
    RunRow {
        id: "first".to_owned(),
        flow: flow(),
        kind: RunKind::Export,
        trigger: "manual".to_owned(),
        occurrence: None,
        started: start(),
        ended: Some(start()),
        phase: Phase::Ended,
        outcome: Some("errors".to_owned()),
        cause: None,
        meaning: String::new(),
        limit: None,
        exports: Vec::new(),
        since: None,
        until: None,
        epoch: 1,
        crashes: 0,
        tally: Tally { exported: 1, failed: 1, ..Tally::default() },
        steps: Vec::new(),
    }
}

fn error() -> ErrorRow {
    ErrorRow {
        id: 0,
        flow: flow(),
        run: "first".to_owned(),
        export: "export".to_owned(),
        each: None,
        time: None,
        members: 0,
        step: "import".to_owned(),
        page: 1,
        record: 1,
        class: "unreachable".to_owned(),
        message: "nobody there".to_owned(),
        status: None,
        attempts: 1,
        request: None,
        response: None,
        payload: "{\"id\":1}".to_owned(),
        exported: None,
        trace_key: None,
        link: None,
        key: None,
        fingerprint: "f".to_owned(),
        state: ErrorState::Open,
        opened: start(),
        changed: start(),
        by: None,
        retries: 0,
        next_retry: Some(start() + TimeDelta::minutes(1)),
    }
}

impl Bench {
    fn retries(&self) -> Retries {
        Retries::new(self.supervisor.clone(), self.tallies.clone(), Arc::default())
    }

    async fn row(&self) -> ErrorRow {
        self.store.errors(ErrorFilter::default()).await.unwrap().pop().unwrap()
    }

    async fn pass(&self, time: Duration) {
        self.clock.sleep_until(self.clock.mono().plus(time)).await;
    }

    async fn runs(&self) -> usize {
        let runs = self.store.runs(RunFilter::default()).await.unwrap();
        runs.iter().filter(|run| run.kind == RunKind::Retry).count()
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_reached_is_tried_again_later_and_later_and_then_left_to_people() {
    let bench = bench("[retry]\nmax_attempts = 1\n", error()).await;
    let task = crate::observe::task::spawn("retries", bench.retries().keep(bench.stop.clone()));
    let waits = [TimeDelta::minutes(1), TimeDelta::minutes(10), TimeDelta::hours(1), TimeDelta::hours(6)];
    let mut before = start();
    for (made, wait) in waits.into_iter().chain([TimeDelta::hours(24)]).enumerate() {
        while bench.row().await.retries == u32::try_from(made).unwrap() {
            bench.pass(Duration::from_secs(5)).await;
        }
        let row = bench.row().await;
        assert_eq!((row.retries as usize, row.state), (made + 1, ErrorState::Open));
        let late = row.changed - before - wait;
        assert!(late >= TimeDelta::zero() && late < TimeDelta::minutes(2), "retry {} came {late} late", made + 1);
        before = row.changed;
    }
    assert_eq!(bench.row().await.next_retry, None);
    bench.pass(Duration::from_hours(72)).await;
    assert_eq!((bench.row().await.retries, bench.runs().await), (5, 5));
    bench.stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flow_whose_connection_is_offline_is_not_hammered() {
    let token = "[secrets]\nt = { env = \"NOT_SET\" }\n[auth.token]\ntoken = \"{{connection.secrets.t}}\"\n";
    let bench = bench(token, error()).await;
    let task = crate::observe::task::spawn("retries", bench.retries().keep(bench.stop.clone()));
    bench.pass(Duration::from_mins(55)).await;
    let runs = bench.runs().await;
    assert!((2..=3).contains(&runs), "{runs} runs in an hour");
    assert_eq!((bench.row().await.retries, bench.row().await.state), (0, ErrorState::Open), "they waited");
    bench.stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_due_or_not_of_that_kind_is_left_alone() {
    let bench = bench("", ErrorRow { next_retry: None, class: "rejected".to_owned(), ..error() }).await;
    let mut retries = bench.retries();
    retries.round().await.unwrap();
    assert_eq!(bench.runs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_round_goes_on_behind_the_one_before() {
    let bench = bench("", error()).await;
    let mut retries = bench.retries();
    let flows = |count: usize| (0..count).map(|n| FlowId::parse(&format!("f{n:03}")).unwrap()).collect::<Vec<_>>();
    let first = retries.in_turn(flows(150));
    assert_eq!((first.len(), first[0].as_str()), (MOST_FLOWS, "f000"));
    retries.last = first.last().cloned();
    let second = retries.in_turn(flows(150));
    assert_eq!((second[0].as_str(), second[49].as_str(), second[50].as_str()), ("f100", "f149", "f000"));
}

#[tokio::test(start_paused = true)]
async fn old_history_goes_and_an_open_error_is_dismissed_before_it_does() {
    let bench = bench("", ErrorRow { next_retry: None, ..error() }).await;
    let task = crate::observe::task::spawn("pruning", prune(bench.supervisor.clone(), bench.stop.clone()));
    bench.pass(Duration::from_hours(24 * 89)).await;
    assert_eq!((bench.row().await.state, bench.store.run("first").await.unwrap().is_some()), (ErrorState::Open, true));
    // Ninety days, and an hour to notice.
    bench.pass(Duration::from_mins(25 * 60 + 30)).await;
    let errors = bench.store.errors(ErrorFilter::default()).await.unwrap();
    assert!(errors.iter().all(|row| row.state == ErrorState::Dismissed), "{errors:?}");
    bench.pass(Duration::from_hours(2)).await;
    assert!(bench.store.errors(ErrorFilter::default()).await.unwrap().is_empty());
    assert!(bench.store.run("first").await.unwrap().is_none());
    bench.stop.cancel();
    task.await.unwrap();
}
