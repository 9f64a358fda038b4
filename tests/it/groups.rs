//! `group_by`: records that belong together travel together, also over pages, kills, failures and retries; judged by
//! what arrived.

use crate::support::api::{Api, Reply, Request};
use crate::support::command::{Ended, flowgate, run};
use crate::support::flow::{QUICK, TAKE, account, copy, lines, project};
use crate::support::project::Project;
use crate::support::serving::{Serving, status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.target.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

pub fn number(request: &Request, name: &str) -> usize {
    query(request, name).map_or(1, |text| text.parse().unwrap())
}

/// Orders of customers, numbered from 1, so many on a page.
pub fn orders(customers: &str, size: usize) -> Vec<Vec<Value>> {
    let all: Vec<Value> =
        customers.chars().zip(1..).map(|(customer, id)| json!({ "id": id, "c": customer.to_string() })).collect();
    all.chunks(size).map(<[Value]>::to_vec).collect()
}

/// `GET /orders?p=` gives these pages; `take` answers everything else.
pub fn shop(pages: Vec<Vec<Value>>, mut take: impl FnMut(&Request) -> Reply + Send + 'static) -> Api {
    Api::start(move |request| match request.path() {
        "/orders" => {
            let page = pages.get(number(request, "p") - 1).cloned().unwrap_or_default();
            Reply::json(200, json!({ "data": page }).to_string())
        }
        _ => take(request),
    })
}

pub fn taken(_: &Request) -> Reply {
    Reply::json(201, "{}")
}

/// Exports orders page by page, in groups by customer; further keys of the export stand below.
pub fn flow(keys: &str, rest: &str) -> String {
    format!(
        "[export]\nconnection = \"api\"\nrelative_uri = \"/orders\"\nrecords = \"$.data[*]\"\n\
         group_by = [\"$.c\"]\n{keys}\n[export.paging.page]\nparam = \"p\"\n{rest}"
    )
}

/// The ids in a group.
pub fn rows(group: &Value) -> Vec<u64> {
    group["rows"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

pub fn arrived(api: &Api) -> Vec<Vec<u64>> {
    let mut all: Vec<Vec<u64>> = api.requests_to("/taken").iter().map(|request| rows(&request.json())).collect();
    all.sort();
    all
}

pub fn counts(ended: &Ended) -> [u64; 4] {
    let records = &account(ended)["records"];
    ["exported", "delivered", "filtered", "failed"].map(|name| records[name].as_u64().unwrap())
}

/// exported, delivered, open errors and dismissed over all runs; they balance.
#[track_caller]
pub fn books(project: &Project) -> [u64; 4] {
    let serving = Serving::of(project);
    let records = status(project)["flows"][0]["totals"].clone();
    drop(serving);
    let count = |name: &str| records[name].as_u64().unwrap_or_else(|| panic!("{records}"));
    let rest = count("delivered") + count("filtered") + count("open_errors") + count("dismissed") + count("in_flight");
    assert_eq!(count("exported"), rest, "{records}");
    ["exported", "delivered", "open_errors", "dismissed"].map(count)
}

pub fn once(project: &Project) -> Ended {
    run(project.dir(), &["run", "copy", "--json"])
}

#[test]
fn what_stands_together_is_one_record_also_over_pages() {
    let api = shop(orders("aabbbbbbca", 3), taken);
    let ended = copy(&api, "", &flow("", ""), &[]).expect_code(0);
    let groups: Vec<Vec<u64>> = lines(&ended).iter().map(rows).collect();
    assert_eq!(groups, [vec![1, 2], vec![3, 4, 5, 6, 7, 8], vec![9], vec![10]]);
    let project = project(&api, QUICK, &flow("", TAKE));
    // Counted as they were exported; sent as they are grouped.
    let ended = once(&project).expect_code(0);
    assert_eq!((counts(&ended), account(&ended)["requests"].clone()), ([10, 10, 0, 0], json!(4)));
    assert_eq!(arrived(&api), [vec![1, 2], vec![3, 4, 5, 6, 7, 8], vec![9], vec![10]]);
}

#[test]
fn keys_are_read_from_what_is_kept_of_the_transformed_record() {
    let api = shop(orders("aAxaAbB", 2), taken);
    let keys = "keep = \"record.c != 'x'\"\n\
                transform = { create = { id = \"$.id\", c = \"= record.c | lower\", when = \"= run.id is defined\" } }";
    let project = project(&api, QUICK, &flow(keys, TAKE));
    assert_eq!(counts(&once(&project).expect_code(0)), [7, 6, 1, 0]);
    assert_eq!(arrived(&api), [vec![1, 2, 4, 5], vec![6, 7]]);
}

#[test]
fn steps_and_batches_work_on_groups() {
    let api = shop(orders("aabbccdde", 3), |request| match request.path() {
        "/customers" => Reply::json(200, json!({ "data": [{ "id": query(request, "c") }] }).to_string()),
        _ => Reply::json(201, "{}"),
    });
    let steps = "[[step]]\nname = \"customer\"\n[step.lookup]\nconnection = \"api\"\nrecords = \"$.data[*]\"\n\
                 relative_uri = \"/customers?c={{record.rows.0.c}}\"\nmerge = { customer = \"$.data[0].id\" }\n\
                 [[step]]\nkeep = \"record.customer != 'c'\"\n";
    let import = "[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\nbatch_size = 2\n\
                  body = { customer = \"$.customer\", rows = \"$.rows\" }\n";
    let project = project(&api, QUICK, &flow("", &format!("{steps}{import}")));
    let ended = once(&project).expect_code(0);
    assert_eq!(counts(&ended), [9, 7, 2, 0]);
    assert_eq!(api.requests_to("/customers").len(), 5);
    let mut batches: Vec<Vec<(String, Vec<u64>)>> = Vec::new();
    for request in api.requests_to("/taken") {
        let group = |group: &Value| (group["customer"].as_str().unwrap().to_owned(), rows(group));
        batches.push(request.json().as_array().unwrap().iter().map(group).collect());
    }
    batches.sort();
    let group = |customer: &str, ids: &[u64]| (customer.to_owned(), ids.to_vec());
    // Each with what ended on one page; what ends with the export goes by itself.
    let expected =
        [vec![group("a", &[1, 2])], vec![group("b", &[3, 4])], vec![group("d", &[7, 8])], vec![group("e", &[9])]];
    assert_eq!(batches, expected);
}

#[test]
fn places_of_a_fan_out_are_grouped_each_by_itself() {
    let api = Api::start(|request| match (request.path(), number(request, "p")) {
        ("/taken", _) => Reply::json(201, "{}"),
        (path, p @ 1..=3) => {
            let shop = u64::from(path.as_bytes()[1] - b'a') * 10;
            Reply::json(200, json!({ "data": [{ "id": shop + p as u64, "c": 1 }] }).to_string())
        }
        _ => Reply::json(200, "{\"data\":[]}"),
    });
    let flow = flow("", TAKE)
        .replace("\"/orders\"", "\"/{{each.shop}}\"")
        .replace("[import]", "[[export.each]]\nname = \"shop\"\nvalues = [\"a\", \"b\", \"c\"]\n[import]");
    let project = project(&api, &format!("concurrency_level = 3\n{QUICK}"), &flow);
    assert_eq!(counts(&once(&project).expect_code(0)), [9, 9, 0, 0]);
    assert_eq!(arrived(&api), [vec![1, 2, 3], vec![11, 12, 13], vec![21, 22, 23]]);
}

#[test]
fn a_group_that_is_refused_is_one_error_and_is_tried_again_whole() {
    let refuses = Arc::new(AtomicBool::new(true));
    let script = refuses.clone();
    let api = shop(orders("aabbbc", 2), move |request| {
        let refused = rows(&request.json()).contains(&4) && script.load(Ordering::SeqCst);
        if refused { Reply::json(422, "{\"error\":\"no\"}") } else { Reply::json(201, "{}") }
    });
    let project = project(&api, QUICK, &flow("trace_key = \"{{record.id}}\"", TAKE));
    assert_eq!(counts(&once(&project).expect_code(1)), [6, 3, 0, 3]);
    assert_eq!(books(&project), [6, 3, 3, 0]);
    let listed = run(project.dir(), &["errors", "list", "--json"]).expect_code(0).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let errors = listed["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{listed}");
    let shown = run(project.dir(), &["errors", "show", "1", "--json"]).expect_code(0).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(rows(&shown["errors"][0]["record"]), [3, 4, 5], "{shown}");
    // Still refused, then not any more.
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(1);
    assert_eq!(books(&project), [6, 3, 3, 0]);
    refuses.store(false, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(books(&project), [6, 6, 0, 0]);
    let sent = arrived(&api);
    assert_eq!(sent.iter().filter(|group| **group == [3, 4, 5]).count(), 3, "{sent:?}");
}

#[test]
fn a_group_that_is_resolved_by_hand_counts_as_all_its_records() {
    let api = shop(orders("aaab", 2), |_| Reply::json(422, "{}"));
    let project = project(&api, QUICK, &flow("trace_key = \"{{record.id}}\"", TAKE));
    once(&project).expect_code(1);
    assert_eq!(books(&project), [4, 0, 4, 0]);
    run(project.dir(), &["errors", "resolve", "1"]).expect_code(0);
    assert_eq!(books(&project)[2..], [1, 3]);
    run(project.dir(), &["state", "check"]).expect_code(0);
}

#[test]
fn a_later_delivery_of_the_same_records_settles_their_error_and_one_of_others_does_not() {
    let refuses = Arc::new(AtomicBool::new(true));
    let (script, other) = (refuses.clone(), Arc::new(AtomicBool::new(false)));
    let second = other.clone();
    let api = Api::start(move |request| match request.path() {
        "/orders" if second.load(Ordering::SeqCst) => Reply::json(200, "{\"data\":[{\"id\":1,\"c\":1}]}"),
        "/orders" => Reply::json(200, "{\"data\":[{\"id\":1,\"c\":1},{\"id\":2,\"c\":1}]}"),
        _ if script.load(Ordering::SeqCst) => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let flow = flow("trace_key = \"{{record.id}}\"", TAKE).replace("[export.paging.page]\nparam = \"p\"\n", "");
    let project = project(&api, QUICK, &flow);
    once(&project).expect_code(1);
    refuses.store(false, Ordering::SeqCst);
    other.store(true, Ordering::SeqCst);
    once(&project).expect_code(0);
    assert_eq!(books(&project), [3, 1, 2, 0], "the second order is still nowhere");
    other.store(false, Ordering::SeqCst);
    once(&project).expect_code(0);
    assert_eq!(books(&project), [5, 5, 0, 0]);
}

#[test]
fn a_record_that_has_no_key_or_no_shape_is_an_error_by_itself() {
    let mut pages = orders("aaab", 4);
    pages[0][1] = json!({ "id": 2 });
    pages[0][2] = json!({ "id": 3, "c": "a", "bad": true });
    let api = shop(pages, taken);
    let keys = "keep = \"record.bad is not defined or record.bad > 1\"";
    let project = project(&api, QUICK, &flow(keys, TAKE));
    assert_eq!(counts(&once(&project).expect_code(1)), [4, 2, 0, 2]);
    assert_eq!(arrived(&api), [vec![1], vec![4]]);
    let listed = run(project.dir(), &["errors", "list", "--each"]).expect_code(0).stdout;
    assert!(listed.contains("group_by") && listed.contains("the key `$.c` is missing"), "{listed}");
    assert!(listed.contains("keep"), "{listed}");
    // Put right, it is a group of its own.
    let id = listed.lines().find(|line| line.contains("group_by")).unwrap();
    let id: String =
        id.trim_start_matches(|c: char| !c.is_ascii_digit()).chars().take_while(char::is_ascii_digit).collect();
    run(project.dir(), &["errors", "edit", &id, "--set", "c=\"z\""]).expect_code(0);
    run(project.dir(), &["errors", "retry", &id]).expect_code(0);
    assert_eq!(arrived(&api), [vec![1], vec![2], vec![4]]);
    assert_eq!(books(&project), [4, 3, 1, 0]);
}

#[test]
fn an_export_that_fails_does_not_send_half_a_group() {
    let api = Api::start(|request| match (request.path(), number(request, "p")) {
        ("/orders", 1) => Reply::json(200, "{\"data\":[{\"id\":1,\"c\":1},{\"id\":2,\"c\":2}]}"),
        ("/orders", _) => Reply::json(400, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &flow("", TAKE));
    assert_eq!(counts(&once(&project).expect_code(69)), [2, 1, 0, 1]);
    assert_eq!(arrived(&api), [vec![1]]);
    let listed = run(project.dir(), &["errors", "list", "--each"]).expect_code(0).stdout;
    assert!(listed.contains("the export failed before the end of this group"), "{listed}");
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!((arrived(&api), books(&project)), (vec![vec![1], vec![2]], [2, 2, 0, 0]));
}

#[test]
fn a_limit_ends_the_last_group() {
    let api = shop(orders("aabbb", 2), taken);
    let project = project(&api, QUICK, &flow("", TAKE));
    let ended = run(project.dir(), &["run", "copy", "--json", "--limit", "4"]).expect_code(0);
    assert_eq!((counts(&ended), arrived(&api)), ([4, 4, 0, 0], vec![vec![1, 2], vec![3, 4]]));
}

/// A record with so many bytes beside.
pub fn heavy(id: u64, customer: u64, bytes: usize) -> Value {
    json!({ "id": id, "c": customer, "ballast": "x".repeat(bytes) })
}

#[test]
fn a_group_over_more_pages_than_may_be_held_comes_to_its_end() {
    // 40 MiB of pages, of which a little is kept.
    let api = Api::start(|request| match (request.path(), number(request, "p") as u64) {
        ("/orders", p @ 1..=20) => Reply::json(200, json!({ "data": [heavy(p, p / 20, 2 << 20)] }).to_string()),
        ("/orders", _) => Reply::json(200, "{\"data\":[]}"),
        _ => Reply::json(201, "{}"),
    });
    let keys = "transform = { create = { id = \"$.id\", c = \"$.c\" } }";
    let project = project(&api, QUICK, &flow(keys, TAKE));
    assert_eq!(counts(&once(&project).expect_code(0)), [20, 20, 0, 0]);
    assert_eq!(arrived(&api), [(1..=19).collect::<Vec<u64>>(), vec![20]]);
}

#[test]
fn a_group_without_end_is_an_error_and_what_follows_it_is_not() {
    let api = Api::start(|request| match (request.path(), number(request, "p") as u64) {
        ("/orders", p @ 1..=10) => Reply::json(
            200,
            json!({ "data": [heavy(2 * p, p / 10, 500_000), heavy(2 * p + 1, p / 10, 500_000)] }).to_string(),
        ),
        ("/orders", _) => Reply::json(200, "{\"data\":[]}"),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &flow("", TAKE));
    assert_eq!(counts(&once(&project).expect_code(1)), [20, 2, 0, 18]);
    assert_eq!(arrived(&api), [vec![20, 21]]);
    let listed = run(project.dir(), &["errors", "list", "--each"]).expect_code(0).stdout;
    assert!(listed.contains("the group is larger than 8 MiB"), "{listed}");
    assert_eq!(books(&project), [20, 2, 18, 0]);
}

#[test]
fn the_source_is_told_of_each_record_of_a_group() {
    let fails = Arc::new(AtomicBool::new(true));
    let script = fails.clone();
    let api = shop(orders("aab", 2), move |request| match request.path() {
        "/told/2" if script.load(Ordering::SeqCst) => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let keys = "transform = { create = { id = \"= record.id + 100\", c = \"$.c\" } }\n\
                [export.once]\nmethod = \"PUT\"\nrelative_uri = \"/told/{{record.id}}\"\n";
    let project = project(&api, QUICK, &flow(keys, TAKE));
    assert_eq!(counts(&once(&project).expect_code(1)), [3, 1, 0, 2]);
    assert_eq!(arrived(&api), [vec![101, 102], vec![103]]);
    let told = || {
        let told = api.requests().into_iter().filter(|request| request.method == "PUT");
        let mut told: Vec<String> = told.map(|request| request.path().to_owned()).collect();
        told.sort();
        told
    };
    assert_eq!(told(), ["/told/1", "/told/2", "/told/3"]);
    fails.store(false, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(told(), ["/told/1", "/told/1", "/told/2", "/told/2", "/told/3"]);
    assert_eq!((arrived(&api).len(), books(&project)), (2, [3, 3, 0, 0]));
}

#[test]
fn a_preview_shows_records_and_the_group_they_become() {
    let api = shop(orders("aab", 2), taken);
    let keys = "transform = { create = { id = \"= record.id + 100\", c = \"$.c\" } }";
    let project = project(&api, QUICK, &flow(keys, TAKE));
    let shown = run(project.dir(), &["preview", "copy", "--limit", "3", "--json"]).expect_code(0).stdout;
    let stages: Vec<Value> = shown.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |name: &str| stages.iter().filter(|stage| stage["of"] == name).collect::<Vec<_>>();
    assert_eq!((of("record").len(), of("transform").len(), of("group_by").len()), (3, 3, 2), "{shown}");
    assert_eq!(rows(&of("group_by")[0]["record"]), [101, 102]);
    assert!(api.requests_to("/taken").is_empty());
}

#[test]
fn a_lookup_groups_what_it_finds() {
    let api = Api::start(|request| match (request.path(), number(request, "p")) {
        ("/orders", 1) => Reply::json(200, "{\"data\":[{\"id\":1,\"c\":1}]}"),
        ("/lines", 1) => Reply::json(200, "{\"data\":[{\"id\":1,\"sku\":\"x\"},{\"id\":2,\"sku\":\"y\"}]}"),
        ("/lines", 2) => {
            Reply::json(200, "{\"data\":[{\"id\":3,\"sku\":\"y\"},{\"id\":4,\"sku\":\"x\"},{\"id\":5,\"sku\":\"z\"}]}")
        }
        _ => Reply::json(200, "{\"data\":[]}"),
    });
    let steps = "[[step]]\nname = \"lines\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/lines\"\n\
                 records = \"$.data[*]\"\nkeep = \"record.sku != 'z'\"\ngroup_by = \"$.sku\"\n\
                 merge = { lines = \"$.data\" }\n[step.lookup.paging.page]\nparam = \"p\"\n";
    let ended = copy(&api, QUICK, &flow("", steps), &[]).expect_code(0);
    let found: Vec<Vec<u64>> = lines(&ended)[0]["lines"].as_array().unwrap().iter().map(rows).collect();
    assert_eq!(found, [vec![1], vec![2, 3], vec![4]]);
}

/// Customers with one to five orders each, some left out, over many pages.
fn many() -> (Vec<Vec<Value>>, BTreeSet<Vec<u64>>) {
    let (mut all, mut groups) = (Vec::new(), BTreeSet::new());
    for customer in 0..60_u64 {
        let mut group = Vec::new();
        for n in 0..=customer * 7 % 5 {
            let id = customer * 10 + n + 1;
            let is_out = (customer + n) % 6 == 5;
            all.push(json!({ "id": id, "c": customer, "out": is_out }));
            if !is_out {
                group.push(id);
            }
        }
        groups.extend(Some(group).filter(|group| !group.is_empty()));
    }
    (all.chunks(4).map(<[Value]>::to_vec).collect(), groups)
}

/// Kills the run twice after so many requests, and lets it end.
fn killed(project: &Project, api: &Api, at: usize) -> Value {
    let mut kills = 0;
    loop {
        let mut command = flowgate(project.dir());
        command.args(["run", "copy", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let seen = api.requests().len();
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        while api.requests().len() < seen + at && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        if child.try_wait().unwrap().is_some() || kills == 2 {
            let ended = child.wait_with_output().unwrap();
            assert!(ended.status.success(), "{at}: {}", String::from_utf8_lossy(&ended.stdout));
            return serde_json::from_slice(&ended.stdout).unwrap();
        }
        kill_process(pid, Signal::KILL).unwrap();
        child.wait().unwrap();
        kills += 1;
    }
}

#[test]
fn killed_at_many_points_every_group_arrives_whole_and_under_its_own_key() {
    let (pages, groups) = many();
    let records: usize = pages.iter().map(Vec::len).sum();
    for (durability, walks) in [("full", false), ("full", true), ("checkpoint", false)] {
        for at in [4, 15, 33, 60] {
            let api = shop(pages.clone(), |_| Reply::json(200, "{\"data\":[]}"));
            let lookup = "[[step]]\nname = \"l\"\n[step.lookup]\nconnection = \"api\"\nrecords = \"$.data[*]\"\n\
                          relative_uri = \"/asked/{{record.rows.0.id}}\"\n";
            let import = "[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n\
                          idempotency_key = \"{{record.rows.0.id}}\"\n";
            let rest = format!("{}{import}", if walks { lookup } else { "" });
            let flow = flow("keep = \"not record.out\"", &rest);
            let project = project(&api, "concurrency_level = 3\n", &format!("durability = \"{durability}\"\n{flow}"));
            let account = killed(&project, &api, at);
            let place = format!("{durability} {walks} {at}");
            let mut keys: BTreeMap<String, BTreeSet<Vec<u64>>> = BTreeMap::new();
            for request in api.requests_to("/taken") {
                let key = request.header("idempotency-key").unwrap().to_owned();
                keys.entry(key).or_default().insert(rows(&request.json()));
            }
            // What came under one key is one group, and always the whole of it.
            assert!(keys.values().all(|groups| groups.len() == 1), "{place}: {keys:?}");
            let sent: BTreeSet<Vec<u64>> = keys.into_values().flatten().collect();
            assert_eq!(sent, groups, "{place}");
            let of_run = &account["runs"][0]["records"];
            assert_eq!(of_run["exported"], records, "{place}: {account}");
            assert_eq!(of_run["delivered"], groups.iter().map(Vec::len).sum::<usize>(), "{place}: {account}");
        }
    }
}
