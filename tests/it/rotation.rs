//! Refresh tokens that rotate: each may be spent once, and whoever spends one again loses the whole grant. None is spent
//! twice, whatever goes on at once and whenever the process dies.

use crate::support::api::{Api, Gate, Reply, Request};
use crate::support::command::{finish, flowgate, run};
use crate::support::flow::{TAKE, project};
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::support::{PATIENCE, now};
use std::collections::{BTreeSet, HashSet};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const READ: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";

const REFRESH: &str = "[auth.token.refresh]\nrelative_uri = \"/token\"\nrefresh_token = { env = \"GRANT\" }\n";

fn command(project: &Project, grant: &str) -> Command {
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]).env("GRANT", grant);
    command
}

fn records(count: usize) -> Reply {
    let ids: Vec<String> = (1..=count).map(|id| format!("{{\"id\":{id}}}")).collect();
    Reply::json(200, format!("[{}]", ids.join(",")))
}

fn bearer(request: &Request) -> &str {
    request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

fn field(request: &Request, name: &str) -> String {
    let mut form = url::form_urlencoded::parse(request.body.as_bytes()).into_owned();
    form.find(|(n, _)| n == name).map(|(_, value)| value).unwrap_or_default()
}

fn token(token: &str, more: &str) -> Reply {
    Reply::json(200, format!("{{\"access_token\":\"{token}\"{more}}}"))
}

/// A server that rotates refresh tokens, and takes the whole grant away when a spent one is used again.
struct Rotating {
    newest: u64,
    uses: u32,
    revoked: bool,
}

fn rotating(good_for: u32) -> (Api, Arc<Mutex<Rotating>>) {
    rotating_behind(good_for, None)
}

/// Tokens are answered behind a gate; they are exchanged at once.
fn rotating_behind(good_for: u32, gate: Option<Gate>) -> (Api, Arc<Mutex<Rotating>>) {
    let state = Arc::new(Mutex::new(Rotating { newest: 1, uses: 0, revoked: false }));
    let inside = state.clone();
    let api = Api::start(move |request| {
        let mut state = inside.lock().unwrap();
        if request.path() == "/token" {
            if state.revoked || field(request, "refresh_token") != format!("grant-number-{}", state.newest) {
                state.revoked = true;
                return Reply::json(400, "{\"error\":\"invalid_grant\"}");
            }
            state.newest += 1;
            state.uses = 0;
            let newest = state.newest;
            let reply =
                token(&format!("token-number-{newest}"), &format!(",\"refresh_token\":\"grant-number-{newest}\""));
            return gate.iter().fold(reply, Reply::behind);
        }
        let good = bearer(request) == format!("token-number-{}", state.newest) && state.uses < good_for;
        if state.revoked || !good {
            return Reply::json(401, "{}");
        }
        state.uses += 1;
        if request.path() == "/records" { records(300) } else { Reply::json(201, "{}") }
    });
    (api, state)
}

#[test]
fn a_rotating_grant_is_never_spent_twice() {
    let (api, state) = rotating(60);
    let project = project(&api, &format!("concurrency_level = 4\n{REFRESH}"), &format!("{READ}{TAKE}"));
    finish(command(&project, "grant-number-1"), PATIENCE).expect_code(0);
    let state = state.lock().unwrap();
    assert!(!state.revoked);
    assert!(state.newest > 5, "300 records, 60 a token: {}", state.newest);
    drop(state);
    let distinct: HashSet<String> = api.requests_to("/taken").into_iter().map(|request| request.body).collect();
    assert_eq!(distinct.len(), 300);
}

#[test]
fn a_rotated_grant_outlives_the_process_and_a_changed_source_wins() {
    let (api, state) = rotating(1000);
    let project = project(&api, REFRESH, READ);
    let go = |grant: &str| finish(command(&project, grant), PATIENCE);
    go("grant-number-1").expect_code(0);
    go("grant-number-1").expect_code(0);
    assert_eq!(api.requests_to("/token").len(), 1, "the second run begins with what the first one kept");
    // Refused: renewed with the grant that was kept, not with the spent one in the environment.
    state.lock().unwrap().uses = 1000;
    go("grant-number-1").expect_code(0);
    let now = |state: &Rotating| (state.newest, state.revoked);
    assert_eq!(now(&state.lock().unwrap()), (3, false));
    state.lock().unwrap().newest = 77;
    go("grant-number-77").expect_code(0);
    let asked = api.requests_to("/token");
    assert_eq!(field(asked.last().unwrap(), "refresh_token"), "grant-number-77");
    let shown = run(project.dir(), &["auth", "status"]).expect_code(0);
    assert!(shown.stdout.contains("kept, generation 3") && !shown.stdout.contains("grant"), "{}", shown.stdout);
}

#[test]
fn two_connections_of_a_run_have_grants_of_their_own() {
    let (api, _) = rotating(1000);
    let (other, state) = rotating(1000);
    let project =
        project(&api, REFRESH, &format!("{READ}\n[import]\nconnection = \"other\"\nrelative_uri = \"/taken\"\n"));
    project.connection("other", &other.base(), REFRESH);
    finish(command(&project, "grant-number-1"), PATIENCE).expect_code(0);
    assert_eq!(other.requests_to("/taken").len(), 300);
    assert_eq!((api.requests_to("/token").len(), other.requests_to("/token").len()), (1, 1));
    assert!(!state.lock().unwrap().revoked);
}

/// When a process is killed.
enum Point {
    /// So long after it was started.
    Begun(Duration),
    /// The server has exchanged the grant, and its answer does not come.
    Exchanged,
    /// So long after the token request has arrived.
    After(Duration),
    /// The new token has been sent: it was saved before.
    Used,
}

/// What was left for the next process.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// The old grant: the next process exchanged it.
    Old,
    /// The new one.
    New,
    /// Nothing that works, and it was said.
    Login,
}

fn killed(point: &Point) -> Left {
    let gate = matches!(point, Point::Exchanged).then(Gate::default);
    let (api, state) = rotating_behind(1000, gate.clone());
    let project = project(&api, REFRESH, READ);
    let running = Serving::start(command(&project, "grant-number-1"));
    let spin = |wait: Duration| {
        let until = now() + wait;
        while now() < until {
            std::hint::spin_loop();
        }
    };
    match point {
        Point::Begun(wait) => spin(*wait),
        Point::Exchanged => {
            api.wait_until(|seen| !seen.is_empty());
            // The script has run when the state can be looked at after it.
            while state.lock().unwrap().newest == 1 {
                std::thread::yield_now();
            }
        }
        Point::After(wait) => {
            api.wait_until(|seen| !seen.is_empty());
            spin(*wait);
        }
        Point::Used => {
            api.wait_until(|seen| seen.iter().any(|request| request.path() == "/records"));
        }
    }
    running.signal(rustix::process::Signal::KILL);
    drop(running);
    gate.iter().for_each(Gate::open);
    let before = api.requests_to("/token").len();
    let ended = finish(command(&project, "grant-number-1"), PATIENCE);
    let asked = api.requests_to("/token").len() - before;
    let state = state.lock().unwrap();
    match (ended.code, state.newest, state.revoked) {
        (Some(0), 2, false) if asked == 0 => Left::New,
        (Some(0), 2, false) => Left::Old,
        // Revoked because it was exchanged, and the answer never kept: one that was not would have worked.
        (Some(77), 2, true) if ended.stderr.contains("log in again") => Left::Login,
        other => panic!("{other:?}: {ended:?}"),
    }
}

#[test]
fn a_process_killed_at_a_hundred_points_around_the_exchange_leaves_a_token_that_works_or_says_log_in_again() {
    let early = (0..10).map(|n| Point::Begun(Duration::from_millis(n * 4)));
    let later = (0..70).map(|n| Point::After(Duration::from_micros(n * n * 4)));
    let sure = (0..10).flat_map(|_| [Point::Exchanged, Point::Used]);
    let points: Vec<Point> = early.chain(later).chain(sure).collect();
    assert_eq!(points.len(), 100);
    let (next, found) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(point) = points.get(usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap()) {
                    let left = killed(point);
                    match point {
                        Point::Exchanged => assert_eq!(left, Left::Login),
                        Point::Used => assert_eq!(left, Left::New, "saved before it is used"),
                        Point::Begun(_) | Point::After(_) => {}
                    }
                    found.lock().unwrap().push(left);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let count = |wanted: Left| found.iter().filter(|left| **left == wanted).count();
    assert_eq!(count(Left::Old) + count(Left::New) + count(Left::Login), 100);
    assert!(count(Left::New) >= 10 && count(Left::Login) >= 10);
}

/// A server whose tokens live for five seconds. It rotates, revokes on reuse, and counts.
struct Mortal {
    newest: u64,
    issued_at: Instant,
    /// Tokens given out.
    issued: usize,
    /// Tokens that had come to their end when they were sent, or were replaced in their last tenth.
    expired: BTreeSet<u64>,
    refused: usize,
    revoked: bool,
}

const LIFE: Duration = Duration::from_secs(5);

fn mortal(records_there: usize, told: bool) -> (Api, Arc<Mutex<Mortal>>) {
    let state = Mortal { newest: 1, issued_at: now(), issued: 0, expired: BTreeSet::new(), refused: 0, revoked: false };
    let state = Arc::new(Mutex::new(state));
    let inside = state.clone();
    let api = Api::start(move |request| {
        let mut state = inside.lock().unwrap();
        let (newest, age) = (state.newest, state.issued_at.elapsed());
        if request.path() == "/token" {
            if state.revoked || field(request, "refresh_token") != format!("grant-number-{newest}") {
                state.revoked = true;
                return Reply::json(400, "{\"error\":\"invalid_grant\"}");
            }
            if age >= LIFE * 9 / 10 {
                state.expired.insert(newest);
            }
            state.newest += 1;
            state.issued += 1;
            state.issued_at = now();
            let life = if told { ",\"expires_in\":5" } else { "" };
            let newest = state.newest;
            return token(
                &format!("token-number-{newest}"),
                &format!(",\"refresh_token\":\"grant-number-{newest}\"{life}"),
            );
        }
        if state.revoked || age >= LIFE || bearer(request) != format!("token-number-{newest}") {
            if bearer(request) == format!("token-number-{newest}") {
                state.expired.insert(newest);
            }
            state.refused += 1;
            return Reply::json(401, "{}");
        }
        if request.path() == "/records" { records(records_there) } else { Reply::json(201, "{}") }
    });
    (api, state)
}

/// A run of some twelve seconds at level 4.
fn outlive(keys: &str, told: bool) -> (Api, Arc<Mutex<Mortal>>) {
    let (api, state) = mortal(240, told);
    let keys = format!("concurrency_level = 4\nrate = [\"20/1s\"]\n{keys}");
    let project = project(&api, &keys, &format!("{READ}{TAKE}"));
    let mut command = command(&project, "grant-number-1");
    command.env("FIRST", "token-number-1");
    finish(command, PATIENCE).expect_code(0);
    let delivered: HashSet<String> = api.requests_to("/taken").into_iter().map(|request| request.body).collect();
    assert_eq!(delivered.len(), 240);
    (api, state)
}

#[test]
fn over_tokens_that_live_five_seconds_as_many_are_issued_as_expire_and_no_grant_is_revoked() {
    std::thread::scope(|scope| {
        // Nobody says how long they live: each ends with a refusal, and each refusal ends with one token.
        scope.spawn(|| {
            let keys = format!("[auth.token]\ntoken = {{ env = \"FIRST\" }}\n{REFRESH}");
            let (_api, state) = outlive(&keys, false);
            let state = state.lock().unwrap();
            assert!(!state.revoked);
            assert!((2..=4).contains(&state.issued), "{} in twelve seconds", state.issued);
            assert_eq!(state.issued, state.expired.len());
            assert!(state.refused <= state.issued * 4, "at most those in flight: {}", state.refused);
        });
        // It is said: each is renewed in its last tenth, and nothing is ever refused.
        scope.spawn(|| {
            let (_api, state) = outlive(REFRESH, true);
            let state = state.lock().unwrap();
            assert_eq!((state.revoked, state.refused), (false, 0));
            assert!((3..=5).contains(&state.issued), "{} in twelve seconds", state.issued);
            // The one in use has not ended yet; the first was none of ours, and nobody waited for its end.
            assert_eq!(state.issued, state.expired.len() + 1);
        });
    });
}
