//! Imports with the real binary, judged by what arrived at the server: each record of a batch by its own answer, batches
//! divided where they are refused whole, and updates of what is there.

use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::command::{Ended, flowgate, run};
use crate::support::flow::{QUICK, account, ids};
use crate::support::project::Project;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The import's answers, each record's own.
const EACH: &str = "response = { records = \"$.results[*]\", id = \"$.id\", error_path = \"$.error\" }\n";

/// What a batch of records holds.
pub(super) fn batch(request: &Request) -> Vec<Value> {
    match request.json() {
        Value::Array(items) => items,
        one => vec![one],
    }
}

/// A source of these records, and a destination that answers as it is told.
fn api(records: &[Value], mut taken: impl FnMut(&Request) -> Reply + Send + 'static) -> Api {
    let page = json!({ "data": records }).to_string();
    Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("GET", "/records") => Reply::json(200, page.clone()),
        _ => taken(request),
    })
}

fn numbered(count: u64) -> Vec<Value> {
    (1..=count).map(|id| json!({ "id": id })).collect()
}

fn project(api: &Api, import: &str) -> Project {
    project_at(api, "", import)
}

/// The same with further keys of the connection.
fn project_at(api: &Api, keys: &str, import: &str) -> Project {
    let project = Project::new();
    let keys = format!("{keys}\n{QUICK}");
    project.settings("").connection("api", &api.base(), &keys).copy_flow("copy", "", import);
    project
}

pub(super) fn copy(project: &Project, code: i32) -> Ended {
    run(project.dir(), &["run", "copy", "--json"]).expect_code(code)
}

/// Delivered, filtered and failed records of a run.
#[track_caller]
pub(super) fn figures(ended: &Ended) -> [u64; 3] {
    let run = account(ended);
    ["delivered", "filtered", "failed"].map(|name| run["records"][name].as_u64().unwrap())
}

/// Open error records: id of the record, class, step and message, in the order of their records.
fn open(project: &Project) -> Vec<(u64, String, String, String)> {
    let listed = run(project.dir(), &["errors", "list", "--each", "--json"]).expect_code(0);
    let document: Value = serde_json::from_str(&listed.stdout).unwrap();
    let mut all: Vec<_> = document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let shown = run(project.dir(), &["errors", "show", &row["id"].to_string(), "--json"]).expect_code(0);
            let whole: Value = serde_json::from_str(&shown.stdout).unwrap();
            let error = &whole["errors"][0];
            let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
            (error["record"]["id"].as_u64().unwrap(), text("class"), text("step"), text("message"))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn each_record_of_a_batch_is_settled_by_its_own_answer() {
    let api = api(&numbered(10), |request| {
        let results: Vec<Value> = batch(request)
            .iter()
            .map(|record| match record["id"].as_u64().unwrap() {
                id if id % 3 == 0 => json!({ "error": { "text": format!("order {id} is locked") } }),
                id => json!({ "id": format!("E-{id}") }),
            })
            .collect();
        Reply::json(207, json!({ "results": results }).to_string())
    });
    let each =
        "response = { records = \"$.results[*]\", id = \"$.id\", error_path = \"$.error.text\" }\nbatch_size = 4\n";
    let project = project(&api, each);
    let ended = run(project.dir(), &["--log-level", "debug", "run", "copy", "--json"]).expect_code(1);
    assert_eq!(figures(&ended), [7, 0, 3]);
    assert_eq!(api.requests_to("/taken").len(), 3);
    let expected: Vec<_> =
        [3, 6, 9].map(|id| (id, "rejected".to_owned(), "import".to_owned(), format!("order {id} is locked"))).into();
    assert_eq!(open(&project), expected);
    // By what id the destination knows those it took stands in the log.
    assert!(ended.stderr.contains("record taken") && ended.stderr.contains("E-10"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("E-9"), "{}", ended.stderr);
}

#[test]
fn a_success_that_names_statuses_says_nothing_of_one_record() {
    for status in [207, 400] {
        let api = api(&numbered(2), move |_| Reply::json(status, "[{\"error\":\"no such customer\"},{\"id\":9}]"));
        let each = format!(
            "response = {{ records = \"$[*]\", success = {{ status = [200, {status}] }}, error_path = \"$.error\" }}\n\
             batch_size = 2\n"
        );
        let project = project(&api, &each);
        assert_eq!(figures(&copy(&project, 1)), [1, 0, 1], "{status}");
    }
}

#[test]
fn rules_hold_for_each_record_and_a_longer_list_is_told() {
    let api = api(&numbered(4), |request| {
        let mut results: Vec<Value> =
            batch(request).iter().map(|r| json!({ "state": if r["id"] == 2 { "no" } else { "ok" } })).collect();
        results.push(json!({ "state": "no" }));
        Reply::json(200, json!({ "results": results }).to_string())
    });
    let rules =
        "response = { records = \"results\", success = { path = \"state\", values = [\"ok\"] } }\nbatch_size = 4\n";
    let project = project(&api, rules);
    let ended = run(project.dir(), &["--log-level", "warn", "run", "copy", "--json"]).expect_code(1);
    assert_eq!(figures(&ended), [3, 0, 1]);
    assert_eq!(open(&project)[0].3, "{\"state\":\"no\"}");
    assert!(ended.stderr.contains("more answers than records"), "{}", ended.stderr);
}

/// A destination that answers for the first record of each list only, and can be asked for records with an odd id.
fn taciturn(request: &Request) -> Reply {
    if request.method == "GET" {
        let id: u64 = request.path().rsplit('/').next().unwrap().parse().unwrap();
        return if id % 2 == 1 { Reply::json(200, "{\"there\":true}") } else { Reply::json(404, "{}") };
    }
    Reply::json(200, "{\"results\":[{\"id\":\"E\"}]}")
}

/// How often each record was sent, by id.
fn sent(api: &Api) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for request in api.requests_to("/taken").iter().filter(|request| request.method != "GET") {
        for id in ids(&batch(request)) {
            *counts.entry(id).or_default() += 1;
        }
    }
    counts
}

#[test]
fn what_an_answer_says_nothing_of_is_unknown_and_unknown_outcome_decides() {
    let import = |more: &str| format!("{EACH}batch_size = 4\n{more}");
    // Parked: nothing is sent again by itself.
    let parking = api(&numbered(4), taciturn);
    let parked = project(&parking, &import("unknown_outcome = \"park\""));
    assert_eq!(figures(&copy(&parked, 1)), [1, 0, 3]);
    let errors = open(&parked);
    assert!(errors.iter().all(|(_, class, ..)| class == "unknown"), "{errors:?}");
    assert!(errors[0].3.ends_with("it holds 1 for 4"), "{errors:?}");
    assert_eq!(sent(&parking), [(1, 1), (2, 1), (3, 1), (4, 1)].into());
    // Sent again, each in a request of its own, under its own key.
    let repeating = api(&numbered(4), taciturn);
    let repeated = project(&repeating, &import("idempotency_key = \"{{record.id}}\""));
    assert_eq!(figures(&copy(&repeated, 0)), [4, 0, 0]);
    assert_eq!(sent(&repeating), [(1, 1), (2, 2), (3, 2), (4, 2)].into());
    let keys: Vec<_> =
        repeating.requests_to("/taken").iter().map(|r| r.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys[1..], ["2", "3", "4"]);
    // Asked about: what is there is not sent again.
    let asking = api(&numbered(4), taciturn);
    let check = "unknown_outcome = \"check\"\n[import.check]\nrelative_uri = \"/taken/{{record.id}}\"\n";
    let asked = project(&asking, &import(check));
    assert_eq!(figures(&copy(&asked, 0)), [4, 0, 0]);
    assert_eq!(sent(&asking), [(1, 1), (2, 2), (3, 1), (4, 2)].into());
}

#[test]
fn a_destination_that_never_says_anything_is_asked_a_few_times_only() {
    for answer in ["{\"results\":[]}", "{}", "no json", ""] {
        let api = api(&numbered(3), move |_| Reply::json(200, answer));
        let project = project(&api, &format!("{EACH}batch_size = 3\nidempotency_key = \"{{{{record.id}}}}\"\n"));
        assert_eq!(figures(&copy(&project, 1)), [0, 0, 3], "{answer}");
        assert!(open(&project).iter().all(|(_, class, ..)| class == "unknown"), "{answer}");
        assert_eq!(sent(&api), [(1, 4), (2, 4), (3, 4)].into(), "{answer}");
    }
}

/// Refuses a list as a whole when one of these is in it.
fn strict(culprits: &'static [u64]) -> impl FnMut(&Request) -> Reply + Send {
    move |request| {
        let ids = ids(&batch(request));
        match ids.iter().find(|id| culprits.contains(id)) {
            Some(id) => Reply::json(422, format!("{{\"error\":\"{id} is no good, nothing was taken\"}}")),
            None => Reply::json(200, "{}"),
        }
    }
}

#[test]
fn a_batch_refused_whole_is_divided_until_the_culprits_stand_alone() {
    let api = api(&numbered(16), strict(&[5, 12]));
    let import = "batch_size = 16\non_reject = \"bisect\"\nidempotency_key = \"{{record.id}}\"\nresponse = { error_path = \"error\" }";
    let project = project_at(&api, "concurrency_level = 1", import);
    let ended = copy(&project, 1);
    assert_eq!(figures(&ended), [14, 0, 2]);
    let errors = open(&project);
    let text = |id| format!("{id} is no good, nothing was taken");
    assert_eq!(errors.iter().map(|e| (e.0, e.3.clone())).collect::<Vec<_>>(), [(5, text(5)), (12, text(12))]);
    let requests = api.requests_to("/taken");
    let parts: Vec<Vec<u64>> = requests.iter().map(|request| ids(&batch(request))).collect();
    // Halves, the first one first, always the same.
    let whole = |from: u64, to: u64| (from..=to).collect::<Vec<u64>>();
    assert_eq!(
        parts,
        [
            whole(1, 16),
            whole(1, 8),
            whole(1, 4),
            whole(5, 8),
            whole(5, 6),
            whole(5, 5),
            whole(6, 6),
            whole(7, 8),
            whole(9, 16),
            whole(9, 12),
            whole(9, 10),
            whole(11, 12),
            whole(11, 11),
            whole(12, 12),
            whole(13, 16),
        ]
    );
    assert_eq!(account(&ended)["requests"], 15);
    assert_eq!(api.most_in_flight(), 1, "each part has a permit of its own");
    // Each part has the key of its records: of one record verbatim.
    let keys: Vec<_> = requests.iter().map(|r| r.header("idempotency-key").unwrap()).collect();
    assert_eq!((keys.iter().collect::<BTreeSet<_>>().len(), keys[5], keys[13]), (15, "5", "12"));
}

#[test]
fn only_a_refusal_divides_a_batch() {
    for (status, requests, class) in [(503, 3, "unreachable"), (422, 15, "rejected")] {
        let api = api(&numbered(8), move |_| Reply::json(status, "{\"error\":\"no\"}"));
        let project = project(&api, "batch_size = 8\non_reject = \"bisect\"\nidempotency_key = \"{{record.id}}\"");
        assert_eq!(figures(&copy(&project, 1)), [0, 0, 8]);
        assert_eq!(api.requests_to("/taken").len(), requests, "{status}");
        assert!(open(&project).iter().all(|error| error.1 == class), "{status}");
    }
    let refused = api(&numbered(8), |_| Reply::json(401, "{}"));
    let project = project(&refused, "batch_size = 8\non_reject = \"bisect\"");
    run(project.dir(), &["run", "copy"]).expect_code(77);
    assert_eq!(refused.requests_to("/taken").len(), 1);
}

/// A destination behind gates.
fn gated(gates: &Gates, culprits: &'static [u64]) -> impl FnMut(&Request) -> Reply + Send + use<> {
    let (gates, mut strict) = (gates.clone(), strict(culprits));
    move |request| strict(request).behind(&gates.next())
}

/// How often each record had an effect at a destination that takes each key once and refuses these.
fn effects(api: &Api, culprits: &[u64]) -> BTreeMap<u64, usize> {
    let (mut known, mut counts) = (BTreeSet::new(), BTreeMap::new());
    for request in api.requests_to("/taken") {
        let ids = ids(&batch(&request));
        if !ids.iter().any(|id| culprits.contains(id))
            && known.insert(request.header("idempotency-key").unwrap().to_owned())
        {
            for id in ids {
                *counts.entry(id).or_default() += 1;
            }
        }
    }
    counts
}

#[test]
fn a_kill_in_the_middle_of_a_divided_batch_loses_nothing_and_doubles_nothing() {
    let culprits: &'static [u64] = &[3, 10];
    for answered in [1, 2, 4, 6, 9] {
        let gates = Gates::default();
        let api = api(&numbered(12), gated(&gates, culprits));
        let import = "batch_size = 12\non_reject = \"bisect\"\nidempotency_key = \"{{record.id}}\"";
        let project = project_at(&api, "concurrency_level = 1", import);
        let mut command = flowgate(project.dir());
        command.args(["run", "copy"]);
        let mut child = command.spawn().unwrap();
        gates.open(answered);
        api.wait_until(|seen| seen.len() == answered + 2 && in_flight(seen) == 1);
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
        gates.open_all();
        let ended = copy(&project, 1);
        assert_eq!(figures(&ended), [10, 0, 2], "{answered}");
        let good: BTreeMap<u64, usize> = (1..=12).filter(|id| !culprits.contains(id)).map(|id| (id, 1)).collect();
        assert_eq!(effects(&api, culprits), good, "{answered}");
        assert_eq!(open(&project).iter().map(|error| error.0).collect::<Vec<_>>(), culprits, "{answered}");
    }
}

#[test]
fn a_kill_before_a_partial_answer_is_known_sends_the_same_batch_again() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = api(&numbered(6), move |request| {
        let results: Vec<Value> = batch(request)
            .iter()
            .map(|record| if record["id"] == 2 { json!({ "error": "no" }) } else { json!({ "id": "E" }) })
            .collect();
        Reply::json(200, json!({ "results": results }).to_string()).behind(&held.next())
    });
    let import = format!("{EACH}batch_size = 3\nidempotency_key = \"{{{{record.id}}}}\"\n");
    let project = project_at(&api, "concurrency_level = 1", &import);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let mut child = command.spawn().unwrap();
    api.wait_until(|seen| seen.len() == 2);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    gates.open_all();
    assert_eq!(figures(&copy(&project, 1)), [5, 0, 1]);
    let seen: Vec<_> = api
        .requests_to("/taken")
        .iter()
        .map(|request| (ids(&batch(request)), request.header("idempotency-key").unwrap().to_owned()))
        .collect();
    assert_eq!((seen.len(), &seen[0]), (3, &seen[1]), "{seen:?}");
    assert_eq!(open(&project).iter().map(|error| error.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_kill_in_a_divided_batch_without_keys_parks_what_was_intended() {
    let gates = Gates::default();
    let api = api(&numbered(4), gated(&gates, &[2]));
    let project = project_at(&api, "concurrency_level = 1", "batch_size = 4\non_reject = \"bisect\"");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let mut child = command.spawn().unwrap();
    gates.open(2);
    api.wait_until(|seen| seen.len() == 4);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    gates.open_all();
    // Nobody knows which of them arrived: nothing is sent a second time by itself.
    assert_eq!(figures(&copy(&project, 1)), [0, 0, 4]);
    assert_eq!(api.requests_to("/taken").len(), 3);
    assert!(open(&project).iter().all(|error| error.1 == "unknown"));
}

#[test]
fn what_was_sent_before_a_kill_is_asked_about_also_after_a_run_that_never_came_to_it() {
    let (posts, checks) = (Gates::default(), Gates::default());
    let (held, asked) = (posts.clone(), checks.clone());
    let page = json!({ "data": numbered(20) }).to_string();
    let api = Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("GET", "/records") => Reply::json(200, page.clone()),
        ("GET", _) => Reply::json(200, "[{\"found\":true}]").behind(&asked.next()),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    let check = "unknown_outcome = \"check\"\n[import.check]\nrelative_uri = \"/there/{{record.id}}\"\n";
    let project = project_at(&api, "concurrency_level = 20", check);
    let count = |seen: &[Request], what: &str| seen.iter().filter(|request| request.path() == what).count();
    let mut child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    api.wait_until(|seen| count(seen, "/taken") == 20);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    posts.open_all();
    // One at a time: the run ends in order before it comes to the last ones.
    project.connection("api", &api.base(), &format!("concurrency_level = 1\n{QUICK}"));
    let mut child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    api.wait_until(|seen| count(seen, "/there/1") == 1);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    checks.open_all();
    child.wait().unwrap();
    assert_eq!(count(&api.requests(), "/there/20"), 0);
    assert_eq!(figures(&copy(&project, 0)), [20, 0, 0]);
    assert_eq!(count(&api.requests(), "/there/20"), 1);
    assert_eq!(count(&api.requests(), "/taken"), 20, "none is sent again");
}

#[test]
fn what_is_there_is_updated_and_what_is_not_is_created() {
    let records = [
        json!({ "id": 1 }),
        json!({ "id": 2, "erp": "E-2" }),
        json!({ "id": 3, "erp": null }),
        json!({ "id": 4, "erp": "" }),
        json!({ "id": 5, "erp": 0 }),
        json!({ "id": 6, "erp": "../x y" }),
    ];
    let api = api(&records, |_| Reply::json(200, "{}"));
    let import = "headers = { X-From = \"shop\", X-Way = \"create\" }\nquery = { v = \"1\" }\n[import.body]\nno = \"$.id\"\n\
                  [import.upsert]\nexists = \"erp\"\n[import.upsert.update]\nmethod = \"PUT\"\n\
                  relative_uri = \"/taken/{{record.erp}}\"\nheaders = { x-way = \"update\" }\n";
    let project = project_at(&api, "concurrency_level = 1", import);
    assert_eq!(figures(&copy(&project, 0)), [6, 0, 0]);
    let seen: Vec<_> = api
        .requests()
        .iter()
        .filter(|request| request.path() != "/records")
        .map(|r| {
            (
                r.method.clone(),
                r.target.clone(),
                r.header("x-way").unwrap().to_owned(),
                r.json()["no"].as_u64().unwrap(),
            )
        })
        .collect();
    let line = |method: &str, target: &str, way: &str, id| (method.to_owned(), target.to_owned(), way.to_owned(), id);
    assert_eq!(
        seen,
        [
            line("POST", "/taken?v=1", "create", 1),
            line("PUT", "/taken/E-2?v=1", "update", 2),
            line("POST", "/taken?v=1", "create", 3),
            line("POST", "/taken?v=1", "create", 4),
            line("PUT", "/taken/0?v=1", "update", 5),
            line("PUT", "/taken/..%2Fx%20y?v=1", "update", 6),
        ]
    );
    assert!(api.requests().iter().skip(1).all(|r| r.header("x-from") == Some("shop")));
}

#[test]
fn a_batch_holds_creates_or_updates_in_the_order_of_their_records() {
    let there = [false, false, true, true, true, true, false];
    let records: Vec<Value> = there.iter().zip(1..).map(|(there, id)| json!({ "id": id, "there": there })).collect();
    let api = api(&records, |_| Reply::json(200, "{}"));
    let import = "batch_size = 3\n[import.upsert]\nexists = \"= 'yes' if record.there else none\"\n\
                  [import.upsert.update]\nmethod = \"PATCH\"\nrelative_uri = \"/taken?count={{records.length}}\"\n\
                  body = { id = \"$.id\", new = false }";
    let project = project_at(&api, "concurrency_level = 1", import);
    assert_eq!(figures(&copy(&project, 0)), [7, 0, 0]);
    let seen: Vec<_> = api.requests_to("/taken").iter().map(|r| (r.method.clone(), ids(&batch(r)))).collect();
    let line = |method: &str, ids: &[u64]| (method.to_owned(), ids.to_vec());
    assert_eq!(seen, [line("POST", &[1, 2]), line("PATCH", &[3, 4, 5]), line("PATCH", &[6]), line("POST", &[7])]);
    assert_eq!(batch(&api.requests_to("/taken")[1])[0]["new"], false);
}

#[test]
fn an_update_by_put_is_repeated_where_a_create_by_post_is_parked() {
    let mut cut = BTreeSet::new();
    let api = api(&[json!({ "id": 1 }), json!({ "id": 2, "erp": 2 })], move |request| {
        if cut.insert(request.method.clone()) { Reply::hang_up() } else { Reply::json(200, "{}") }
    });
    let project = project(&api, "[import.upsert]\nexists = \"$.erp\"\nupdate = { method = \"PUT\" }");
    assert_eq!(figures(&copy(&project, 1)), [1, 0, 1]);
    assert_eq!(sent(&api), [(1, 1), (2, 2)].into());
    assert_eq!((open(&project)[0].0, open(&project)[0].1.as_str()), (1, "unknown"));
}

#[test]
fn empty_members_are_left_out_of_bodies() {
    let record = json!({ "id": 1, "a": null, "b": { "c": "", "d": [] }, "l": [{ "x": null }, null], "z": 0 });
    let api = api(&[record], |_| Reply::json(200, "{}"));
    copy(&project(&api, "drop_empty = true"), 0);
    copy(
        &project(&api, "drop_empty = true\nbody = { no = \"$.id\", b = \"$.b\", n = { a = \"$.a\" }, l = \"$.l\" }"),
        0,
    );
    copy(&project(&api, "drop_empty = true\nbatch_size = 2\nwrap = \"all\""), 0);
    let bodies: Vec<String> = api.requests_to("/taken").iter().map(|request| request.body.clone()).collect();
    let kept = "{\"id\":1,\"l\":[{},null],\"z\":0}";
    assert_eq!(bodies, [kept, "{\"no\":1,\"l\":[{},null]}", &format!("{{\"all\":[{kept}]}}")]);
}

#[test]
fn a_failed_merge_never_sends_again() {
    let api = api(&numbered(3), |request| match batch(request)[0]["id"].as_u64() {
        Some(1) => Reply::json(201, "{\"id\":\"E-1\"}"),
        Some(2) => Reply::json(201, "{\"other\":2}"),
        // Taken, whatever this is.
        _ => Reply::json(201, "<html>"),
    });
    let project = project(&api, "merge = { erp_id = \"$.id\" }");
    assert_eq!(figures(&copy(&project, 1)), [1, 0, 2]);
    let errors = open(&project);
    let known: Vec<_> = errors.iter().map(|e| (e.0, e.1.as_str(), e.2.as_str())).collect();
    assert_eq!(known, [(2, "record", "import.merge"), (3, "record", "import.merge")]);
    assert!(errors[0].3.contains("took the record") && errors[0].3.contains("erp_id: `$.id` is missing"), "{errors:?}");
    let retried = run(project.dir(), &["errors", "retry", "--all", "--json"]).expect_code(0);
    assert_eq!(figures(&retried)[0], 2);
    assert_eq!((api.requests_to("/taken").len(), open(&project).len()), (3, 0));
}

#[test]
fn when_skips_and_proceed_goes_on_after_an_error() {
    let refusing = |request: &Request| {
        if batch(request)[0]["id"] == 2 { Reply::json(422, "{\"error\":\"no\"}") } else { Reply::json(200, "{}") }
    };
    let skipping = api(&numbered(4), refusing);
    let project = project(&skipping, "name = \"into the erp\"\nwhen = \"record.id != 3\"");
    assert_eq!(figures(&copy(&project, 1)), [2, 1, 1]);
    assert_eq!((open(&project)[0].0, open(&project)[0].2.as_str()), (2, "into the erp"));
    assert_eq!(sent(&skipping).keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(1);
    assert_eq!(sent(&skipping)[&2], 2);

    let passing = api(&numbered(4), refusing);
    let project = self::project(&passing, "name = \"erp\"\non_error = \"proceed\"");
    let ended = copy(&project, 0);
    assert_eq!(figures(&ended), [3, 1, 0], "no import took it, and it has no error record");
    assert_eq!((open(&project).len(), &account(&ended)["passed"]["erp"]), (0, &json!(1)));
    let said = run(project.dir(), &["run", "copy"]).expect_code(0).stderr;
    assert!(said.contains("step erp failed and was passed by"), "{said}");
    // What may have arrived is looked at by a person, whatever the step says of errors.
    let cutting =
        api(
            &numbered(2),
            |request| {
                if batch(request)[0]["id"] == 2 { Reply::hang_up() } else { Reply::json(200, "{}") }
            },
        );
    let project = self::project(&cutting, "on_error = \"proceed\"");
    assert_eq!(figures(&copy(&project, 1)), [1, 0, 1]);
    assert_eq!((open(&project)[0].0, open(&project)[0].1.as_str()), (2, "unknown"));
}

#[test]
fn whatever_a_destination_answers_the_counts_balance() {
    // Drawn, and the same every time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for (case, unknown) in ["park", "retry", "check"].iter().cycle().take(9).enumerate() {
        let count = 5 + draw(20);
        let size = 2 + draw(6);
        // What becomes of each record: taken, refused, or not spoken of and what is behind it in its list neither.
        let fates: BTreeMap<u64, u64> = (1..=count).map(|id| (id, draw(8))).collect();
        let told = fates.clone();
        let api = api(&numbered(count), move |request| {
            if request.method == "GET" {
                return Reply::json(404, "{}");
            }
            let records = batch(request);
            let is_alone = records.len() == 1;
            let spoken = records.iter().take_while(|record| is_alone || told[&record["id"].as_u64().unwrap()] != 7);
            let results: Vec<Value> = spoken
                .map(|record| match told[&record["id"].as_u64().unwrap()] {
                    0 | 1 => json!({ "error": format!("no {}", record["id"]) }),
                    _ => json!({ "id": record["id"] }),
                })
                .collect();
            Reply::json(200, json!({ "results": results }).to_string())
        });
        let check = "[import.check]\nrelative_uri = \"/there/{{record.id}}\"\n";
        let check = if *unknown == "check" { check } else { "" };
        let project = project(&api, &format!("{EACH}batch_size = {size}\nunknown_outcome = \"{unknown}\"\n{check}"));
        let ended = run(project.dir(), &["run", "copy", "--json"]);
        let [delivered, filtered, failed] = figures(&ended);
        assert_eq!((delivered + failed, filtered), (count, 0), "{case}: {ended:?}");
        let errors = open(&project);
        assert_eq!(errors.len() as u64, failed, "{case}");
        for (id, class, _, message) in &errors {
            match class.as_str() {
                "rejected" => assert_eq!((fates[id] < 2, message), (true, &format!("no {id}")), "{case}"),
                "unknown" => assert_eq!(*unknown, "park", "{case}: {id} {message}"),
                other => panic!("{case}: {id} {other} {message}"),
            }
        }
        if *unknown != "park" {
            let refused: Vec<u64> = fates.iter().filter(|(_, fate)| **fate < 2).map(|(id, _)| *id).collect();
            assert_eq!(errors.iter().map(|error| error.0).collect::<Vec<_>>(), refused, "{case}");
        }
    }
}
