//! Many records through every kind of step, in little memory.

use crate::support::api::{Api, Gate, Reply, Request};
use crate::support::command::flowgate;
use crate::support::flow::account;
use crate::support::project::Project;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Records in all, and of one page.
const RECORDS: u64 = 100_000;
const PAGE: u64 = 1_000;
/// Customers they are of: each is asked for once.
const CUSTOMERS: u64 = 1_500;

const FLOW: &str = r#"
[export]
connection = "api"
relative_uri = "/records"
records = "$.data[*]"
[export.paging.page]
param = "page"

[[step]]
name = "customer"
[step.lookup]
connection = "api"
relative_uri = "/customers/{{record.customer}}"
cache = { ttl = "10m", size = 2000 }
merge = { tier = "$.data[0].tier" }

[[step]]
name = "by-tier"
route = "first"
[[step.branch]]
name = "test"
when = "record.tier == 'test'"
end = true
[[step.branch]]
name = "gold"
when = "record.tier == 'gold'"
[[step.branch.step]]
name = "discount"
transform = { create = { id = "$.id", tier = "$.tier", total = "= record.total * 9 // 10", note = "$.note" } }

[import]
connection = "api"
relative_uri = "/taken"
batch_size = 500
idempotency_key = "{{record.id}}"
response = { records = "$.results[*]", error_path = "error" }
"#;

fn tier(customer: u64) -> &'static str {
    ["gold", "plain", "plain", "test"][usize::try_from(customer % 4).unwrap()]
}

fn page(request: &Request) -> Reply {
    let page: u64 = request.target.rsplit('=').next().unwrap().parse().unwrap();
    let mut body = String::from("{\"data\":[");
    let first = (page - 1) * PAGE + 1;
    for id in first..(first + PAGE).min(RECORDS + 1) {
        let comma = if id > first { "," } else { "" };
        let note = "Please ring twice and leave the parcel with the neighbour on the second floor.";
        let _ = write!(
            body,
            "{comma}{{\"id\":{id},\"customer\":{},\"total\":{},\"note\":\"{note}\"}}",
            id % CUSTOMERS,
            id % 977
        );
    }
    body.push_str("]}");
    Reply::json(200, body)
}

/// The most memory a process has had so far, in KiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hundred_thousand_records_take_lookup_route_and_batches_in_64_mib() {
    let last = Gate::default();
    let held = last.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => page(request),
        "/taken" => {
            let records = request.json();
            let records = records.as_array().unwrap();
            let results: Vec<Value> = records.iter().map(|record| json!({ "id": record["id"] })).collect();
            let reply = Reply::json(200, json!({ "results": results }).to_string());
            // The process is looked at while everything but the last page has gone through it.
            if records.iter().any(|record| record["id"].as_u64() > Some(RECORDS - PAGE)) {
                reply.behind(&held)
            } else {
                reply
            }
        }
        customer => {
            let customer: u64 = customer.rsplit('/').next().unwrap().parse().unwrap();
            Reply::json(200, json!({ "tier": tier(customer) }).to_string())
        }
    });
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 8").write("flows/copy.toml", FLOW);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--json"]);
    let child = command.spawn().unwrap();
    api.wait_until_within(4, |seen| {
        seen.iter()
            .rev()
            .take(20)
            .any(|request| request.path() == "/taken" && request.body.contains(&format!("\"id\":{RECORDS},")))
    });
    let peak = peak(child.id());
    last.open();
    let ended = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{stdout} {}", String::from_utf8_lossy(&ended.stderr));
    assert!(peak < 64 << 10, "{peak} KiB at the most");

    let run = account(&crate::support::command::Ended { code: Some(0), stdout, stderr: String::new() });
    let wanted: Vec<u64> = (1..=RECORDS).filter(|id| tier(id % CUSTOMERS) != "test").collect();
    let count = |name: &str| run["records"][name].as_u64().unwrap();
    assert_eq!((count("delivered"), count("filtered")), (wanted.len() as u64, RECORDS - wanted.len() as u64));
    let mut taken: Vec<u64> = Vec::new();
    for request in api.requests_to("/taken") {
        for record in request.json().as_array().unwrap() {
            let id = record["id"].as_u64().unwrap();
            let total = if record["tier"] == "gold" { id % 977 * 9 / 10 } else { id % 977 };
            assert_eq!(record["total"], total, "{record}");
            taken.push(id);
        }
    }
    taken.sort_unstable();
    assert_eq!(taken, wanted, "each once");
    let asked = api.requests().iter().filter(|request| request.path().starts_with("/customers/")).count();
    assert_eq!(asked as u64, CUSTOMERS, "each customer is asked for once");
}
