//! What the keeper makes of marks that earlier processes left in the store.

use super::*;
use crate::app::output::Stdout;
use crate::app::{Host, State};
use crate::config::Env;
use crate::http::tokens::WhenRefused;
use crate::observe::task;
use crate::store::RunFilter;
use crate::value::time::{Clock, Mono, SeededRng, SystemClock};
use std::pin::Pin;
use std::sync::Arc;

struct NoVariables;

impl Env for NoVariables {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

/// The machine's pace, but always beginning at half past twelve.
struct HalfPastTwelve(crate::value::time::SharedClock);

impl Clock for HalfPastTwelve {
    fn mono(&self) -> Mono {
        self.0.mono()
    }
    fn utc(&self) -> DateTime<Utc> {
        at("2027-01-01T12:30:00Z") + self.0.mono().0
    }
    fn sleep_until(&self, at: Mono) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.sleep_until(at)
    }
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// A project of hourly flows: id, and what its file begins with.
fn project(flows: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let write = |path: String, text: String| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    // Nobody listens there: runs begin, and fail.
    let api = "base_uri = 'http://127.0.0.1:1'\nretry = { max_attempts = 1 }";
    write("connections/api.toml".into(), api.into());
    for (id, head) in flows {
        let text = format!("{head}\nexport = {{ connection = 'api' }}\nimport = {{ connection = 'api' }}\n");
        write(format!("flows/{id}.toml"), text);
    }
    let clock = Arc::new(HalfPastTwelve(SystemClock::start()));
    let host = Host { root: root.path().to_owned(), env: Arc::new(NoVariables), clock, rng: SeededRng::seeded(1) };
    (root, host)
}

/// Keeps time until the store holds `count` runs and none is under way; gives occurrences of runs, and the marks.
async fn kept(host: &Host, state: &State, count: usize) -> (Vec<String>, Vec<String>) {
    let (_, loaded) = host.load().unwrap();
    let snapshot = Arc::new(loaded.snapshot.unwrap());
    let supervisor = host.supervise(snapshot, Arc::new(Stdout::new()), state, WhenRefused::Hold).unwrap();
    supervisor.look_back().await.unwrap();
    let stop = CancellationToken::new();
    let marks = saved_marks(state.store.as_ref()).await.unwrap();
    let mut running = supervisor.running();
    let keeper = task::spawn("schedule", keep_time(supervisor.clone(), marks, stop.clone()));
    let mut runs = Vec::new();
    while runs.len() < count {
        running.changed().await.unwrap();
        running.wait_for(|running| *running == 0).await.unwrap();
        runs = state.store.runs(RunFilter::default()).await.unwrap();
    }
    // One look more, after the last end.
    supervisor.apply(supervisor.snapshot().unwrap()).unwrap();
    tokio::task::yield_now().await;
    stop.cancel();
    keeper.await.unwrap();
    let mut shown: Vec<String> =
        runs.iter().map(|run| format!("{} {}", run.flow, run.occurrence.unwrap().format("%H:%M"))).collect();
    shown.sort();
    let marks = state.store.values(Space::Schedule).await.unwrap();
    let marks = marks.into_iter().map(|(flow, mark)| format!("{flow} {}", &mark[11..16])).collect();
    (shown, marks)
}

#[test]
fn the_gap_that_is_over_counts_until_the_next_occurrence() {
    let mut pace = Pace::default();
    let mut quarters =
        |around: [&str; 3]| pace.longest(around.map(|text| at(&format!("2027-01-{text}:00Z")))).as_secs() / 900;
    assert_eq!(quarters(["08T17:30", "08T17:45", "11T08:00"]), 249, "Friday's last but one: the weekend is next");
    assert_eq!(quarters(["08T17:45", "11T08:00", "11T08:15"]), 249);
    assert_eq!(quarters(["11T08:00", "11T08:15", "11T08:30"]), 249, "the last success is Friday's");
    assert_eq!(quarters(["11T08:00", "11T08:15", "11T08:30"]), 249, "told again, nothing new");
    assert_eq!(quarters(["11T08:15", "11T08:30", "11T08:45"]), 1);
    assert_eq!(quarters(["11T08:15", "11T08:15", "11T08:15"]), 1, "the last one of all");
}

fn save(state: &State, flow: &str, mark: &str) {
    let write = Write::Put { space: Space::Schedule, key: flow.to_owned(), value: mark.to_owned() };
    drop(state.store.commit(vec![write]));
}

fn hourly(missed: &str) -> String {
    format!("schedule = {{ cron = '0 * * * *', missed = '{missed}' }}")
}

#[tokio::test]
async fn what_was_missed_before_a_restart_is_made_up_for_and_remembered() {
    let (one, all, none) = (hourly("one"), hourly("all"), hourly("none"));
    let renamed = format!("formerly = ['old']\n{one}");
    let flows = [("one", one.as_str()), ("all", &all), ("none", &none), ("new", &renamed), ("fresh", &one)];
    let (_root, host) = project(&flows);
    let state = State::in_memory();
    for flow in ["one", "all", "none", "old"] {
        save(&state, flow, "2027-01-01T09:00:00Z");
    }
    save(&state, "gone", "2026-01-01T09:00:00Z");
    let (runs, marks) = kept(&host, &state, 5).await;
    assert_eq!(runs, ["all 10:00", "all 11:00", "all 12:00", "new 12:00", "one 12:00"]);
    assert_eq!(marks, ["all 12:00", "fresh 12:30", "new 12:00", "none 12:00", "one 12:00"]);
}

#[tokio::test]
async fn what_had_its_run_is_not_run_again_and_a_text_that_is_no_mark_is_ignored() {
    let (one, all) = (hourly("one"), hourly("all"));
    let (_root, host) = project(&[("had", &one), ("odd", &one), ("due", &all)]);
    let state = State::in_memory();
    save(&state, "had", "2027-01-01T12:00:00Z");
    save(&state, "due", "2027-01-01T11:00:00Z");
    save(&state, "odd", "2027-01-01T09:00:00Z zz");
    let (runs, marks) = kept(&host, &state, 1).await;
    assert_eq!(runs, ["due 12:00"]);
    assert_eq!(marks, ["due 12:00", "had 12:00", "odd 12:30"]);
}
