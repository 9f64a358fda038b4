//! Imports before the last step that take several records a request, or one of a key at a time: which records are
//! together, what each is answered, and what a kill, a signal or a retry leaves of it.

use crate::imports::{batch, figures};
use crate::locks::judge_locks;
use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::command::{flowgate, run};
use crate::support::flow::{QUICK, TAKE, account, ids, project};
use crate::support::project::Project;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const EXPORT: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n\
                      [export.paging.page]\nparam = \"page\"\n";
const EACH: &str = "response = { records = \"$.results[*]\", error_path = \"$.error\" }\nmerge = { erp = \"$.id\" }\n";
const KEY: &str = "idempotency_key = \"{{record.id}}\"\n";

/// An import on the way to `/first`; further keys stand below.
fn first(size: usize, keys: &str) -> String {
    format!(
        "[[step]]\nname = \"first\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/first\"\nbatch_size = {size}\n{keys}"
    )
}

/// A source with so many records on each page, and a destination that answers as it is told.
fn source(pages: &[u64], mut taken: impl FnMut(&Request) -> Reply + Send + 'static) -> Api {
    let mut starts = vec![0];
    starts.extend(pages.iter().scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    }));
    Api::start(move |request| match request.path() {
        "/records" => {
            let page: usize = request.target.rsplit('=').next().unwrap().parse().unwrap();
            let ids = if page < starts.len() { starts[page - 1] + 1..starts[page] + 1 } else { 0..0 };
            let data: Vec<Value> = ids.map(|id| json!({ "id": id, "customer": id % 4 })).collect();
            Reply::json(200, json!({ "data": data }).to_string())
        }
        _ => taken(request),
    })
}

/// Takes each record but these, and gives it an id.
fn numbered(request: &Request, refused: &[u64]) -> Reply {
    let results: Vec<Value> = ids(&batch(request))
        .into_iter()
        .map(|id| if refused.contains(&id) { json!({ "error": format!("no {id}") }) } else { json!({ "id": id * 10 }) })
        .collect();
    Reply::json(200, json!({ "results": results }).to_string())
}

/// The batches that arrived at a path, in order.
fn batches(api: &Api, path: &str) -> Vec<Vec<u64>> {
    api.requests_to(path).iter().map(|request| ids(&batch(request))).collect()
}

fn sorted(api: &Api, path: &str) -> Vec<u64> {
    let mut all: Vec<u64> = batches(api, path).concat();
    all.sort_unstable();
    all
}

fn copy(project: &Project, code: i32) -> [u64; 3] {
    figures(&run(project.dir(), &["run", "copy", "--json"]).expect_code(code))
}

fn open_errors(project: &Project) -> Vec<Value> {
    let ended = run(project.dir(), &["errors", "list", "--each", "--json"]).expect_code(0);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let mut rows = document["errors"].as_array().unwrap().clone();
    rows.sort_by_key(|row| (row["page"].as_u64(), row["position"].as_u64()));
    rows
}

fn waypoints(project: &Project) -> usize {
    let ended = run(project.dir(), &["state", "show", "waypoint", "--json"]).expect_code(0);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    document["values"].as_array().unwrap().len()
}

fn begun(project: &Project) -> Child {
    flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap()
}

fn kill(mut child: Child, signal: Signal) -> Option<i32> {
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn each_record_of_a_batch_goes_on_with_its_own_answer_and_batches_stay_inside_pages() {
    let api = source(&[5, 5, 1], |request| match request.path() {
        "/first" => numbered(request, &[3, 7]),
        _ => Reply::json(201, "{}"),
    });
    let flow = format!("{EXPORT}{}{TAKE}", first(4, EACH));
    let project = project(&api, &format!("concurrency_level = 3\n{QUICK}"), &flow);
    assert_eq!(copy(&project, 1), [9, 0, 2]);
    let mut seen = batches(&api, "/first");
    seen.sort();
    assert_eq!(seen, [vec![1, 2, 3, 4], vec![5], vec![6, 7, 8, 9], vec![10], vec![11]]);
    for request in api.requests_to("/taken") {
        let body = request.json();
        assert_eq!(body["erp"], body["id"].as_u64().unwrap() * 10);
    }
    let errors = open_errors(&project);
    let told: Vec<_> = errors.iter().map(|e| (e["step"].as_str().unwrap(), e["message"].as_str().unwrap())).collect();
    assert_eq!(told, [("first", "no 3"), ("first", "no 7")]);
    assert_eq!(waypoints(&project), 0);
}

#[test]
fn a_batch_fills_whatever_the_level_and_goes_when_nobody_comes_any_more() {
    for (level, size, pages, expected) in [
        (1, 100, &[7][..], vec![7]),
        (1, 50, &[230][..], vec![50, 50, 50, 50, 30]),
        (2, 1_000, &[3, 2_500][..], vec![3, 1_000, 1_000, 500]),
    ] {
        let api = source(pages, |_| Reply::json(200, "{}"));
        let last = "[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\nbatch_size = 500\n";
        let flow = format!("{EXPORT}{}{last}", first(size, KEY));
        let project = project(&api, &format!("concurrency_level = {level}\n{QUICK}"), &flow);
        let count: u64 = pages.iter().sum();
        assert_eq!(copy(&project, 0), [count, 0, 0]);
        let mut sizes: Vec<usize> = batches(&api, "/first").iter().map(Vec::len).collect();
        let mut expected = expected;
        sizes.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sizes, expected, "level {level}, {size} a batch");
        assert_eq!(sorted(&api, "/taken"), (1..=count).collect::<Vec<_>>());
    }
}

#[test]
fn records_that_turn_off_before_a_batch_keep_nobody_waiting() {
    let api = source(&[40, 3], |request| match request.method.as_str() {
        "GET" if request.path().ends_with('6') => Reply::json(404, "{}"),
        _ => Reply::json(200, "{}"),
    });
    let steps = r#"
[[step]]
name = "known"
on_error = "proceed"
[step.lookup]
connection = "api"
relative_uri = "/known/{{record.id}}"
[[step]]
name = "not-nine"
keep = "record.id % 9 != 0"
[[step]]
name = "kind"
route = "first"
[[step.branch]]
name = "even"
when = "record.id % 2 == 0"
[[step.branch.step]]
name = "push"
when = "record.id % 4 == 0"
[step.branch.step.import]
connection = "api"
relative_uri = "/even"
batch_size = 3
[[step.branch]]
name = "end"
when = "record.id % 7 == 0"
end = true
[[step]]
name = "all"
route = "all"
[[step.branch]]
name = "a"
[[step.branch.step]]
name = "push"
[step.branch.step.import]
connection = "api"
relative_uri = "/a"
batch_size = 5
[[step.branch]]
name = "b"
when = "record.id > 10"
[[step.branch.step]]
name = "push"
[step.branch.step.import]
connection = "api"
relative_uri = "/b"
batch_size = 4
[[step.branch.step]]
name = "again"
[step.branch.step.import]
connection = "api"
relative_uri = "/c"
batch_size = 10
"#;
    let project = project(&api, &format!("concurrency_level = 2\n{QUICK}"), &format!("{EXPORT}{steps}{TAKE}"));
    let left: Vec<u64> = (1..=43).filter(|id| id % 9 != 0 && (id % 2 == 0 || id % 7 != 0)).collect();
    let filtered = 43 - left.len() as u64;
    assert_eq!(copy(&project, 0), [left.len() as u64, filtered, 0]);
    let of = |test: &dyn Fn(u64) -> bool| left.iter().copied().filter(|id| test(*id)).collect::<Vec<_>>();
    assert_eq!(sorted(&api, "/even"), of(&|id| id % 4 == 0));
    assert_eq!((sorted(&api, "/a"), sorted(&api, "/taken")), (left.clone(), left.clone()));
    assert_eq!((sorted(&api, "/b"), sorted(&api, "/c")), (of(&|id| id > 10), of(&|id| id > 10)));
    // All that can be full are: what comes next does not leave them early.
    assert!(batches(&api, "/a").iter().filter(|batch| batch.len() < 5).count() <= 2, "{:?}", batches(&api, "/a"));
    assert!(batches(&api, "/c").iter().filter(|batch| batch.len() < 10).count() <= 2, "{:?}", batches(&api, "/c"));
}

#[test]
fn a_batch_goes_when_no_more_records_have_room_and_the_rest_stand_behind_it() {
    // The first record waits alone for a batch, all others behind it for their turn, and the page is longer than there
    // is room for.
    let api = source(&[150], |_| Reply::json(200, "{}"));
    let steps = "[[step]]\nname = \"rare\"\nwhen = \"record.id == 1\"\n[step.import]\nconnection = \"api\"\n\
                 relative_uri = \"/rare\"\nbatch_size = 20\n\
                 [[step]]\nname = \"push\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/push\"\n\
                 lock_key = \"one\"\n";
    let project = project(&api, &format!("concurrency_level = 1\n{QUICK}"), &format!("{EXPORT}{steps}"));
    assert_eq!(copy(&project, 0), [150, 0, 0]);
    assert_eq!(batches(&api, "/rare"), [[1]]);
    assert_eq!(batches(&api, "/push").concat(), (1..=150).collect::<Vec<_>>(), "one key: all in their order");
}

#[test]
fn items_of_several_records_share_requests_and_only_the_refused_one_is_sent_again() {
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = repaired.clone();
    let record = |n: u64| json!({ "id": n, "lines": (1..=3).map(|l| json!({ "id": n * 10 + l })).collect::<Vec<_>>() });
    let page = json!({ "data": (1..=4).map(record).collect::<Vec<_>>() }).to_string();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, page.clone()),
        "/lines" if is_repaired.load(Ordering::SeqCst) => numbered(request, &[]),
        "/lines" => numbered(request, &[22]),
        _ => Reply::json(201, "{}"),
    });
    let steps = format!(
        "[[step]]\nname = \"lines\"\nmany = \"$.lines[*]\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/lines\"\n\
         batch_size = 5\n{EACH}[step.import.body]\nid = \"$.id\"\nof = \"= parent.id\"\n"
    );
    let export = EXPORT.split("[export.paging").next().unwrap();
    let project = project(&api, QUICK, &format!("{export}{steps}{TAKE}"));
    assert_eq!(copy(&project, 1), [3, 0, 1]);
    assert_eq!(batches(&api, "/lines").iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 2]);
    assert!(
        api.requests_to("/lines").iter().flat_map(batch).all(|line| line["of"] == line["id"].as_u64().unwrap() / 10)
    );
    repaired.store(true, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(batches(&api, "/lines")[3..], [vec![22]]);
    let last = api.requests_to("/taken").pop().unwrap().json();
    assert_eq!(last["lines"][1], json!({ "id": 22, "erp": 220 }));
    assert_eq!(waypoints(&project), 0);
}

#[test]
fn a_batch_on_the_way_that_is_refused_whole_is_divided() {
    let api = source(&[12], |request| match request.path() {
        "/first" if ids(&batch(request)).contains(&5) => Reply::json(422, "{\"error\":\"5 is no good\"}"),
        _ => Reply::json(200, "{}"),
    });
    let keys = format!("on_reject = \"bisect\"\n{KEY}response = {{ error_path = \"error\" }}\n");
    let project = project(&api, QUICK, &format!("{EXPORT}{}{TAKE}", first(6, &keys)));
    assert_eq!(copy(&project, 1), [11, 0, 1]);
    assert_eq!(open_errors(&project)[0]["message"], "5 is no good");
    assert_eq!(sorted(&api, "/taken"), (1..=12).filter(|id| *id != 5).collect::<Vec<_>>());
    let keys: BTreeSet<_> =
        api.requests_to("/first").iter().map(|r| r.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), api.requests_to("/first").len(), "each part has the key of its records");
}

/// Takes lists under a key once, and counts what that had an effect on.
fn effects(api: &Api, path: &str) -> BTreeMap<u64, usize> {
    let (mut known, mut counts) = (BTreeSet::new(), BTreeMap::new());
    for request in api.requests_to(path) {
        if known.insert(request.header("idempotency-key").unwrap().to_owned()) {
            for id in ids(&batch(&request)) {
                *counts.entry(id).or_default() += 1;
            }
        }
    }
    counts
}

#[test]
fn what_was_in_one_request_before_a_kill_is_in_one_again_under_the_same_key() {
    // Lookups before it answer in any order: its batches are others each time, but for what is written down.
    for answered in [0, 1, 3] {
        let gates = Gates::default();
        let held = gates.clone();
        let mut turn = 0_u64;
        let api = source(&[10, 14], move |request| match request.path() {
            "/first" => numbered(request, &[]).behind(&held.next()),
            path if path.starts_with("/known/") => {
                turn += 1;
                if turn.is_multiple_of(8) { Reply::json(503, "{}") } else { Reply::json(200, "{}") }
            }
            _ => Reply::json(200, "{}"),
        });
        let known = "[[step]]\nname = \"known\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/known/{{record.id}}\"\n";
        let last = format!("{TAKE}idempotency_key = \"{{{{record.id}}}}\"\n");
        let keys = format!("{KEY}{EACH}");
        let flow = format!("{EXPORT}{known}{}{last}", first(4, &keys));
        let keys = format!("concurrency_level = 8\n{}", QUICK.replace("max_attempts = 3", "max_attempts = 9"));
        let project = project(&api, &keys, &flow);
        let child = begun(&project);
        gates.open(answered);
        api.wait_until(|seen| {
            seen.iter().filter(|r| r.path() == "/first" && r.answered.is_none()).count() >= 2
                && seen.iter().filter(|r| r.path() == "/first").count() >= answered + 2
        });
        kill(child, Signal::KILL);
        gates.open_all();
        assert_eq!(copy(&project, 0), [24, 0, 0], "{answered}");
        let once: BTreeMap<u64, usize> = (1..=24).map(|id| (id, 1)).collect();
        assert_eq!(effects(&api, "/first"), once, "{answered}: {:?}", batches(&api, "/first"));
        assert_eq!(effects(&api, "/taken"), once, "{answered}");
        assert!(api.requests_to("/taken").iter().all(|r| r.json()["erp"] == r.json()["id"].as_u64().unwrap() * 10));
        assert_eq!(waypoints(&project), 0);
    }
}

#[test]
fn of_batches_without_keys_a_kill_leaves_no_more_than_a_window_unknown_and_none_is_sent_again() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = source(&[60], move |request| match request.path() {
        "/first" => numbered(request, &[]).behind(&held.next()),
        _ => Reply::json(200, "{}"),
    });
    let project =
        project(&api, &format!("concurrency_level = 1\n{QUICK}"), &format!("{EXPORT}{}{TAKE}", first(3, EACH)));
    let child = begun(&project);
    gates.open(2);
    api.wait_until(|seen| seen.iter().filter(|r| r.path() == "/first").count() == 3);
    kill(child, Signal::KILL);
    gates.open_all();
    let [delivered, _, failed] = copy(&project, 1);
    assert_eq!(delivered + failed, 60);
    let errors = open_errors(&project);
    let at = |step: &str| errors.iter().filter(|e| e["step"] == step && e["class"] == "unknown").count();
    assert!((3..=12).contains(&at("first")), "4 x level requests of 3: {errors:?}");
    assert_eq!(at("first") + at("import"), errors.len());
    let first = sorted(&api, "/first");
    let unique: BTreeSet<_> = first.iter().collect();
    assert_eq!(first.len(), unique.len(), "{first:?}");
}

#[test]
fn no_more_than_a_window_of_requests_is_intended_however_many_wait() {
    let gates = Gates::default();
    let held = gates.clone();
    let lines: Vec<Value> = (1..=60).map(|id| json!({ "id": id })).collect();
    let page = json!({ "data": [{ "id": 1, "lines": lines }] }).to_string();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, page.clone()),
        "/lines" => Reply::json(200, "{}").behind(&held.next()),
        _ => Reply::json(200, "{}"),
    });
    let step = "[[step]]\nname = \"lines\"\nmany = \"$.lines[*]\"\n[step.import]\nconnection = \"api\"\n\
                relative_uri = \"/lines\"\nbatch_size = 3\n";
    let export = EXPORT.split("[export.paging").next().unwrap();
    let project = project(&api, &format!("concurrency_level = 1\n{QUICK}"), &format!("{export}{step}{TAKE}"));
    let child = begun(&project);
    gates.open(2);
    api.wait_until(|seen| seen.iter().filter(|r| r.path() == "/lines").count() == 3);
    kill(child, Signal::KILL);
    let ended = run(project.dir(), &["state", "show", "waypoint", "--json"]).expect_code(0);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let known: Value = match &document["values"][0]["value"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        other => other.clone(),
    };
    let steps = known["steps"].as_object().unwrap();
    let sent = steps.values().filter(|stop| stop.get("sent").is_some()).count();
    assert!((3..=12).contains(&sent), "4 x level requests of 3: {known}");
    gates.open_all();
    assert_eq!(copy(&project, 1), [0, 0, 1]);
    let arrived = sorted(&api, "/lines");
    assert_eq!(arrived.len(), arrived.iter().collect::<BTreeSet<_>>().len(), "{arrived:?}");
}

#[test]
fn after_a_kill_the_destination_is_asked_about_each_record_of_a_batch() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = source(&[6], move |request| match (request.method.as_str(), request.path()) {
        ("GET", path) => Reply::json(if path.ends_with("/2") { 200 } else { 404 }, "{}"),
        (_, "/first") => Reply::json(200, "{}").behind(&held.next()),
        _ => Reply::json(200, "{}"),
    });
    let keys = "unknown_outcome = \"check\"\n[step.import.check]\nrelative_uri = \"/there/{{record.id}}\"\n";
    let last = format!("{TAKE}idempotency_key = \"{{{{record.id}}}}\"\n");
    let flow = format!("{EXPORT}{}{last}", first(3, keys));
    let project = project(&api, &format!("concurrency_level = 1\n{QUICK}"), &flow);
    let child = begun(&project);
    api.wait_until(|seen| seen.iter().any(|r| r.path() == "/first"));
    kill(child, Signal::KILL);
    gates.open_all();
    assert_eq!(copy(&project, 0), [6, 0, 0]);
    let sent = batches(&api, "/first");
    let (before, after) = (&sent[0], sent[1..].concat());
    assert!(before == &[1, 2, 3] && !after.contains(&2), "{sent:?}");
    let mut after = after;
    after.sort_unstable();
    assert_eq!(after, [1, 3, 4, 5, 6], "{sent:?}");
}

#[test]
fn a_signal_waits_for_the_batches_in_flight_and_nothing_is_sent_twice() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = source(&[20], move |request| match request.path() {
        "/first" => numbered(request, &[]).behind(&held.next()),
        _ => Reply::json(200, "{}"),
    });
    let project =
        project(&api, &format!("concurrency_level = 2\n{QUICK}"), &format!("{EXPORT}{}{TAKE}", first(3, EACH)));
    let mut child = begun(&project);
    api.wait_until(|seen| seen.iter().filter(|r| r.path() == "/first").count() == 2);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    gates.open_all();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(copy(&project, 0)[0], 20, "those taken before the signal count too");
    for path in ["/first", "/taken"] {
        assert_eq!(sorted(&api, path), (1..=20).collect::<Vec<_>>(), "{path}");
    }
    assert!(open_errors(&project).is_empty());
}

#[test]
fn records_of_one_lock_key_are_in_order_and_alone_over_pages_lookups_and_retries() {
    for size in [1, 3, 6] {
        let mut seen = BTreeSet::new();
        let api = source(&[9, 9, 9, 5], move |request| match request.path() {
            // Some that come first are answered last.
            path if path.starts_with("/known/") => {
                let id: u64 = path.rsplit('/').next().unwrap().parse().unwrap();
                Reply::json(if id % 8 == 1 && seen.insert(vec![id]) { 503 } else { 200 }, "{}")
            }
            "/first" => {
                let ids = ids(&batch(request));
                match (ids[0] % 9, seen.insert(ids.iter().map(|id| id + 100).collect())) {
                    (0, true) => Reply::json(503, "{}"),
                    (1 | 5, _) => Reply::json(422, "{\"error\":\"no\"}"),
                    _ => Reply::json(200, "{}"),
                }
            }
            _ => Reply::json(200, "{}"),
        });
        let known = "[[step]]\nname = \"known\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/known/{{record.id}}\"\n";
        let keys = format!("{KEY}lock_key = \"{{{{record.customer}}}}\"\n");
        let flow = format!("{EXPORT}{known}{}{TAKE}", first(size, &keys));
        let project = project(&api, &format!("concurrency_level = 8\n{QUICK}"), &flow);
        let [delivered, _, failed] = copy(&project, 1);
        assert!(delivered + failed == 32 && failed > 0, "{delivered} {failed}");
        let requests = api.requests_to("/first");
        judge_locks(&requests, |record| record["customer"].to_string());
        for request in &requests {
            let keys: BTreeSet<String> = batch(request).iter().map(|record| record["customer"].to_string()).collect();
            assert_eq!(keys.len(), batch(request).len(), "one key twice in a request");
        }
    }
}

#[test]
fn records_of_different_lock_keys_do_not_wait_for_each_other() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = source(&[5, 5, 5, 5], move |request| match request.path() {
        "/first" => Reply::json(200, "{}").behind(&held.next()),
        _ => Reply::json(200, "{}"),
    });
    let keys = format!("{KEY}lock_key = \"{{{{record.customer}}}}\"\n");
    let project =
        project(&api, &format!("concurrency_level = 8\n{QUICK}"), &format!("{EXPORT}{}{TAKE}", first(1, &keys)));
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| copy(&project, 0));
        for left in (1..=20_usize).rev() {
            let at_once = left.min(4);
            api.wait_until(|seen| {
                let taken: Vec<Request> = seen.iter().filter(|r| r.path() == "/first").cloned().collect();
                in_flight(&taken) == at_once && taken.len() == 20 - left + at_once
            });
            gates.open(1);
        }
        assert_eq!(ended.join().unwrap(), [20, 0, 0]);
    });
    judge_locks(&api.requests_to("/first"), |record| record["customer"].to_string());
}

#[test]
fn refused_records_of_a_batch_go_together_when_they_are_tried_again() {
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = repaired.clone();
    let api = source(&[8], move |request| match request.path() {
        "/first" if is_repaired.load(Ordering::SeqCst) => numbered(request, &[]),
        "/first" => numbered(request, &[2, 3, 5]),
        _ => Reply::json(200, "{}"),
    });
    let keys = format!("{KEY}{EACH}");
    let project = project(&api, QUICK, &format!("{EXPORT}{}{TAKE}", first(4, &keys)));
    assert_eq!(copy(&project, 1), [5, 0, 3]);
    repaired.store(true, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    let mut again = batches(&api, "/first")[2..].concat();
    again.sort_unstable();
    assert_eq!((again, batches(&api, "/first").len()), (vec![2, 3, 5], 3));
    assert_eq!(sorted(&api, "/taken"), (1..=8).collect::<Vec<_>>());
    assert_eq!(waypoints(&project), 0);
}

#[test]
fn the_import_works_on_each_part_of_a_record_with_many() {
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = repaired.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(
            200,
            r#"{"data":[{"id":1,"lines":[{"id":11},{"id":12}]},{"id":2,"lines":[]},{"id":3,"lines":[{"id":31},{"id":99}]},{"id":4}]}"#,
        ),
        "/taken" if is_repaired.load(Ordering::SeqCst) => numbered(request, &[]),
        _ => numbered(request, &[31]),
    });
    let export = EXPORT.split("[export.paging").next().unwrap();
    let each = "many = \"$.lines[*]\"\nwhen = \"record.id != 99\"\nlock_key = \"{{parent.id}}\"\n\
                response = { records = \"$.results[*]\", error_path = \"$.error\" }\nbody = { id = \"$.id\", of = \"= parent.id\" }\n";
    // Two of one key are never in one request.
    for (size, requests) in [(1, 3), (2, 2)] {
        repaired.store(false, Ordering::SeqCst);
        let before = api.requests_to("/taken").len();
        let project = project(&api, QUICK, &format!("{export}{TAKE}batch_size = {size}\n{each}"));
        // The first went; the second and the fourth have no parts; of the third one part is refused.
        let ended = run(project.dir(), &["run", "copy", "--json"]).expect_code(1);
        assert_eq!(figures(&ended), [1, 2, 1]);
        assert_eq!(account(&ended)["records"]["exported"], 4);
        let mut lines: Vec<Value> = api.requests_to("/taken")[before..].iter().flat_map(batch).collect();
        lines.sort_by_key(|line| line["id"].as_u64());
        assert_eq!(lines, [json!({"id":11,"of":1}), json!({"id":12,"of":1}), json!({"id":31,"of":3})]);
        assert_eq!(open_errors(&project)[0]["step"], "import");
        repaired.store(true, Ordering::SeqCst);
        run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
        assert_eq!(api.requests_to("/taken")[before..].len(), requests + 1);
        assert!(open_errors(&project).is_empty());
    }
}
