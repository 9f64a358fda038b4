//! `lock_key` with the real binary, judged at the server: what must not overlap, and what need not wait.

use crate::imports::{batch, copy, figures};
use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::flow::{QUICK, ids};
use crate::support::project::Project;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Fails when two requests with one key overlapped, or came in another order than their records.
#[track_caller]
pub(super) fn judge_locks(requests: &[Request], key: impl Fn(&Value) -> String) {
    let mut by_key: BTreeMap<String, Vec<(&Request, u64)>> = BTreeMap::new();
    for request in requests {
        for record in batch(request) {
            by_key.entry(key(&record)).or_default().push((request, record["id"].as_u64().unwrap()));
        }
    }
    assert!(by_key.len() > 1);
    for (key, line) in by_key {
        for two in line.windows(2) {
            let ((before, first), (after, second)) = (two[0], two[1]);
            let over = before.answered.unwrap() <= after.arrived;
            assert!(over, "{key}: {second} came while {first} was in flight");
            assert!(first <= second, "{key}: {second} came after {first}");
        }
    }
}

/// Forty records of four customers on eight pages.
fn paged_customers(mut taken: impl FnMut(&Request) -> Reply + Send + 'static) -> (Api, String) {
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => {
            let page: u64 = request.target.rsplit('=').next().unwrap().parse().unwrap();
            let ids = if page > 8 { 0..0 } else { page * 5 - 4..page * 5 + 1 };
            let records: Vec<Value> = ids.map(|id| json!({ "id": id, "customer": id % 4 })).collect();
            Reply::json(200, json!({ "data": records }).to_string())
        }
        _ => taken(request),
    });
    let export = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n\
                  [export.paging.page]\nparam = \"page\"\n[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n\
                  lock_key = \"{{record.customer}}\"\n";
    (api, export.to_owned())
}

fn customer(record: &Value) -> String {
    record["customer"].to_string()
}

#[test]
fn two_records_of_one_lock_key_are_never_in_flight_together_and_keep_their_order() {
    let gates = Gates::default();
    let held = gates.clone();
    let (api, flow) = paged_customers(move |_| Reply::json(200, "{}").behind(&held.next()));
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 8").write("flows/copy.toml", &flow);
    let ended = std::thread::scope(|scope| {
        let ended = scope.spawn(|| copy(&project, 0));
        for left in (1..=40_usize).rev() {
            // As many at once as there are customers, over pages: nobody waits without need. An answer that was let
            // go is waited for: two on their way would bring the customers out of turn, and one to its end early.
            let at_once = left.min(4);
            api.wait_until(|seen| {
                let taken: Vec<Request> = seen.iter().filter(|r| r.method == "POST").cloned().collect();
                in_flight(&taken) == at_once && taken.len() == 40 - left + at_once
            });
            gates.open(1);
        }
        ended.join().unwrap()
    });
    assert_eq!(figures(&ended), [40, 0, 0]);
    let requests = api.requests_to("/taken");
    assert_eq!(requests.len(), 40);
    judge_locks(&requests, customer);
}

#[test]
fn locks_hold_over_retries_errors_and_batches() {
    for size in [1, 3] {
        let mut seen = BTreeSet::new();
        let (api, flow) = paged_customers(move |request| {
            let ids = ids(&batch(request));
            match (ids[0] % 3, seen.insert(ids.clone())) {
                (0, true) => Reply::json(503, "{}"),
                (1, _) if ids[0] % 2 == 0 => Reply::json(422, "{\"error\":\"no\"}"),
                _ => Reply::json(200, "{}"),
            }
        });
        let project = Project::new();
        let flow = format!("{flow}batch_size = {size}\nidempotency_key = \"{{{{record.id}}}}\"\n");
        project.connection("api", &api.base(), &format!("concurrency_level = 8\n{QUICK}"));
        project.write("flows/copy.toml", &flow);
        let [delivered, _, failed] = figures(&copy(&project, 1));
        assert!(delivered + failed == 40 && failed > 0, "{delivered} {failed}");
        let requests = api.requests_to("/taken");
        judge_locks(&requests, customer);
        for request in &requests {
            let keys: BTreeSet<String> = batch(request).iter().map(customer).collect();
            assert_eq!(keys.len(), batch(request).len(), "one key twice in a request");
        }
    }
}
