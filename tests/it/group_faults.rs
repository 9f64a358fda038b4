//! `group_by` where something breaks: whatever a process dies of, a group is sent whole or not at all.

use crate::groups::{arrived, books, counts, flow, heavy, number, once, orders, rows, shop, taken};
use crate::support::api::{Api, Gates, Reply, Request};
use crate::support::command::{flowgate, run};
use crate::support::flow::{QUICK, TAKE, project};
use crate::support::project::Project;
use crate::support::serving::{Serving, status_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const KEYED: &str = "[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n\
                     idempotency_key = \"customer-{{record.rows.0.c}}\"\n";

/// Groups 1-4, 5-8 and 9-12 over two pages of six. Nothing of these ids is answered before the gates are open.
fn halting(ids: &'static [u64]) -> (Api, Gates) {
    let gates = Gates::default();
    let held = gates.clone();
    let api = shop(orders("aaaabbbbcccc", 6), move |request| {
        let reply = Reply::json(201, "{}");
        if rows(&request.json()).iter().any(|id| ids.contains(id)) { reply.behind(&held.next()) } else { reply }
    });
    (api, gates)
}

/// Kills the run when so many requests have come to the destination since.
fn killed_at(project: &Project, api: &Api, more: usize) {
    let before = api.requests_to("/taken").len();
    let mut child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/taken").count() >= before + more);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
}

/// What came under each key.
fn by_key(api: &Api) -> BTreeMap<String, BTreeSet<Vec<u64>>> {
    let mut keys: BTreeMap<String, BTreeSet<Vec<u64>>> = BTreeMap::new();
    for request in api.requests_to("/taken") {
        let key = request.header("idempotency-key").unwrap().to_owned();
        keys.entry(key).or_default().insert(rows(&request.json()));
    }
    keys
}

fn whole() -> BTreeMap<String, BTreeSet<Vec<u64>>> {
    let groups = [("a", 1), ("b", 5), ("c", 9)];
    groups.map(|(key, from)| (format!("customer-{key}"), BTreeSet::from([(from..from + 4).collect()]))).into()
}

#[test]
fn a_group_over_two_pages_that_was_under_way_at_a_kill_is_sent_by_the_next_run() {
    let (api, gates) = halting(&[5]);
    let project = project(&api, "concurrency_level = 1\n", &flow("", KEYED));
    // What became of the first group is durable when it is told.
    let serving = Serving::of(&project);
    let mut asking = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    status_until(&project, |status| status["flows"][0]["totals"]["delivered"] == 4);
    serving.signal(Signal::KILL);
    serving.wait_for_end();
    asking.wait().unwrap();
    gates.open_all();
    assert_eq!(counts(&once(&project).expect_code(0)), [12, 12, 0, 0]);
    assert_eq!(by_key(&api), whole());
}

#[test]
fn a_page_in_flight_at_three_kills_parks_its_groups_whole() {
    let (api, gates) = halting(&[1, 5, 9]);
    let project = project(&api, "concurrency_level = 1\n", &flow("", KEYED));
    for _ in 0..3 {
        killed_at(&project, &api, 1);
    }
    gates.open_all();
    run(project.dir(), &["run", "copy"]).expect_code(1);
    let listed = run(project.dir(), &["errors", "list", "--each", "--json"]).expect_code(0).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let errors = listed["errors"].as_array().unwrap();
    assert!(!errors.is_empty() && errors.iter().all(|error| error["class"] == "quarantined"), "{listed}");
    assert!(by_key(&api).iter().all(|(key, groups)| *groups == whole()[key]), "{:?}", by_key(&api));
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(by_key(&api), whole());
    assert_eq!(books(&project), [12, 12, 0, 0]);
}

#[test]
fn places_whose_groups_are_large_together_wait_for_each_other() {
    const PAGES: u64 = 14;
    let api = Api::start(|request| match (request.path(), number(request, "p") as u64) {
        ("/taken", _) => Reply::json(201, "{}"),
        (path, p @ 1..=PAGES) => {
            let place = u64::from(path.as_bytes()[1] - b'a');
            Reply::json(200, json!({ "data": [heavy(place * 100 + p, place, 1 << 19)] }).to_string())
        }
        _ => Reply::json(200, "{\"data\":[]}"),
    });
    let values: Vec<String> = ('a'..='p').map(|place| format!("\"{place}\"")).collect();
    let each = format!("[[export.each]]\nname = \"place\"\nvalues = [{}]\n", values.join(", "));
    let flow = flow("", TAKE).replace("\"/orders\"", "\"/{{each.place}}\"");
    let flow = flow.replace("[import]", &format!("{each}[import]"));
    let project = project(&api, &format!("concurrency_level = 16\n{QUICK}"), &flow);
    assert_eq!(counts(&once(&project).expect_code(0)), [16 * PAGES, 16 * PAGES, 0, 0]);
    let groups = (0..16).map(|place| (place * 100 + 1..=place * 100 + PAGES).collect());
    assert_eq!(arrived(&api), groups.collect::<Vec<Vec<u64>>>());
    // 112 MiB in all: above 32, what was begun first is read to its end before anything else goes on.
    let seen = api.requests();
    let is_end = |request: &Request| request.path() == "/a" && number(request, "p") as u64 > PAGES;
    let end = seen.iter().position(is_end).unwrap();
    assert!(end < 125, "{end} requests before the first group ended");
}

#[test]
fn a_group_with_a_record_that_cannot_be_traced_fails_as_a_whole_however_it_is_cut_into_pages() {
    for size in 1..=6 {
        let mut pages = orders("aabbac", size);
        for record in pages.iter_mut().flatten().filter(|record| record["id"] == 4) {
            record["no"] = json!({});
        }
        let api = shop(pages, taken);
        let keys = "trace_key = \"{{#if record.no}}{{record.nothing}}{{/if}}{{record.id}}\"";
        let project = project(&api, QUICK, &flow(keys, TAKE));
        assert_eq!(counts(&once(&project).expect_code(1)), [6, 4, 0, 2], "pages of {size}");
        assert_eq!(arrived(&api), [vec![1, 2], vec![5], vec![6]], "pages of {size}");
        let listed = run(project.dir(), &["errors", "list", "--each"]).expect_code(0).stdout;
        assert!(listed.contains("trace_key"), "{listed}");
        run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
        assert_eq!(arrived(&api), [vec![1, 2], vec![3, 4], vec![5], vec![6]], "pages of {size}");
        assert_eq!(books(&project), [6, 6, 0, 0]);
    }
}

/// The source is told of a record that was refused behind a step that reshapes it, tried again, and taken.
fn told_after_a_retry(keys: &str, reshaped: &str, ids: &[&str]) {
    let refuses = Arc::new(AtomicBool::new(true));
    let script = refuses.clone();
    let api = shop(orders("aab", 2), move |request| match request.path() {
        "/taken" if script.load(Ordering::SeqCst) => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let step = format!("[[step]]\nname = \"shape\"\n[step.transform.create]\nof = \"= {reshaped}\"\n{TAKE}");
    let once_of = "[export.once]\nmethod = \"PUT\"\nrelative_uri = \"/told/{{record.id}}\"\n";
    let flow = flow(once_of, &step).replace("group_by = [\"$.c\"]", keys);
    let project = project(&api, QUICK, &flow);
    assert_eq!(counts(&once(&project).expect_code(1)), [3, 0, 0, 3]);
    // Refused once more: what is told of it stays.
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(1);
    refuses.store(false, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    let told = api.requests().into_iter().filter(|request| request.method == "PUT");
    let mut told: Vec<String> = told.map(|request| request.path().to_owned()).collect();
    told.sort();
    assert_eq!(told, ids);
    assert_eq!(books(&project), [3, 3, 0, 0]);
}

#[test]
fn the_source_is_told_of_what_was_exported_also_after_a_retry_behind_a_step() {
    let ids = ["/told/1", "/told/2", "/told/3"];
    told_after_a_retry("group_by = [\"$.c\"]", "record.rows | length", &ids);
    told_after_a_retry("", "record.c", &ids);
}
