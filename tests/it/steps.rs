//! Steps between export and import with the real binary, judged by what the server was asked and what arrived there:
//! lookups, routes, `many`, and what becomes of records whose steps fail.

use crate::support::api::{Api, Reply, Request};
use crate::support::command::{Ended, run};
use crate::support::flow::{QUICK, TAKE, account, project};
use crate::support::project::Project;
use crate::support::serving::Serving;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const EXPORT: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n";

/// A lookup by the record's mail; further keys stand below.
const LOOKUP: &str = "[[step]]\nname = \"customer\"\n[step.lookup]\nconnection = \"api\"\n\
                      relative_uri = \"/customers?mail={{record.mail}}\"\nrecords = \"$.data[*]\"\n";

fn flow(steps: &str, import: &str) -> String {
    format!("{EXPORT}{steps}{import}")
}

/// `GET /records` gives these, `GET /customers` the customer of a mail, and everything else is taken.
fn shop(records: impl IntoIterator<Item = Value>) -> Api {
    let page = json!({ "data": records.into_iter().collect::<Vec<_>>() }).to_string();
    Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("GET", "/records") => Reply::json(200, page.clone()),
        ("GET", "/customers") => customer(request),
        ("GET", _) => Reply::json(404, "{\"error\":\"no such thing\"}"),
        _ => Reply::json(201, "{}"),
    })
}

fn customer(request: &Request) -> Reply {
    let mail = query(request, "mail");
    if mail.starts_with("gone") {
        return Reply::json(404, "{\"error\":\"gone\"}");
    }
    if mail.starts_with("nobody") {
        return Reply::json(200, "{\"data\":[]}");
    }
    Reply::json(200, json!({ "data": [{ "id": format!("c-{mail}"), "vip": mail.starts_with("vip") }] }).to_string())
}

/// A parameter of the query, decoded.
fn query(request: &Request, name: &str) -> String {
    let target = url::Url::parse(&format!("http://x{}", request.target)).unwrap();
    let found = target.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    found.unwrap_or_default()
}

fn taken(api: &Api) -> Vec<Value> {
    let mut bodies: Vec<Value> = api.requests_to("/taken").iter().map(Request::json).collect();
    bodies.sort_by_key(|body| body["n"].as_u64());
    bodies
}

fn figures(ended: &Ended) -> (u64, u64, u64) {
    let run = account(ended);
    let count = |name: &str| run["records"][name].as_u64().unwrap();
    (count("delivered"), count("filtered"), count("failed"))
}

fn copy(project: &Project) -> Ended {
    run(project.dir(), &["run", "copy", "--json"])
}

/// The open error records of the project, the oldest first.
fn open_errors(project: &Project) -> Vec<Value> {
    let ended = run(project.dir(), &["errors", "list", "--json"]).expect_code(0);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let mut rows = document["errors"].as_array().unwrap().clone();
    rows.retain(|row| row["state"] == "open");
    rows.sort_by_key(|row| row["id"].as_u64());
    rows
}

#[test]
fn what_was_looked_up_becomes_part_of_the_record_and_each_question_is_asked_once() {
    let records = (0..60).map(|n| json!({ "n": n, "mail": format!("m{}@x", n % 7) }));
    let api = shop(records);
    let steps = format!(
        "{LOOKUP}cache = {{ ttl = \"10m\", size = 100 }}\nmerge = {{ customer = {{ id = \"$.data[0].id\", status = \"$.status\" }} }}\n"
    );
    let project = project(&api, &format!("concurrency_level = 10\n{QUICK}"), &flow(&steps, TAKE));
    let ended = copy(&project).expect_code(0);
    assert_eq!(figures(&ended), (60, 0, 0));
    assert_eq!(api.requests_to("/customers").len(), 7, "as many as there are different mails");
    for (n, body) in taken(&api).iter().enumerate() {
        let wanted = json!({ "n": n, "mail": format!("m{}@x", n % 7),
            "customer": { "id": format!("c-m{}@x", n % 7), "status": 200 } });
        assert_eq!(*body, wanted);
    }
}

#[test]
fn records_that_ask_the_same_at_the_same_time_share_one_request_without_a_cache_too() {
    let records = (0..30).map(|n| json!({ "n": n, "mail": "one@x" }));
    let api = shop(records);
    let import = format!("{TAKE}[import.body]\nn = \"$.n\"\nc = \"= lookup.customer.data[0].id\"\n");
    let project = project(&api, &format!("concurrency_level = 10\n{QUICK}"), &flow(LOOKUP, &import));
    copy(&project).expect_code(0);
    let asked = api.requests_to("/customers").len();
    assert!(asked < 15, "30 records, at least 19 at a time: {asked} requests");
    assert!(taken(&api).iter().all(|body| body["c"] == "c-one@x") && taken(&api).len() == 30);
}

#[test]
fn all_pages_of_an_answer_are_read_and_shaped() {
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, "{\"data\":[{\"n\":1,\"c\":4}]}"),
        "/items" => {
            let page: u64 = query(request, "page").parse().unwrap();
            let items: Vec<Value> =
                if page <= 3 { vec![json!({ "p": page, "i": 0 }), json!({ "p": page, "i": 1 })] } else { vec![] };
            Reply::json(200, json!({ "items": items }).to_string())
        }
        _ => Reply::json(201, "{}"),
    });
    let steps = "[[step]]\nname = \"items\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/items?of={{record.n}}\"\n\
                 records = \"$.items[*]\"\nkeep = \"record.i == 1 and parent.c == 4\"\n\
                 merge = { items = \"$.data\" }\n[step.lookup.transform.create]\np = \"$.p\"\ni = \"$.i\"\n\
                 [step.lookup.paging.page]\nparam = \"page\"\n";
    let project = project(&api, QUICK, &flow(steps, TAKE));
    copy(&project).expect_code(0);
    let items = json!([{ "p": 1, "i": 1 }, { "p": 2, "i": 1 }, { "p": 3, "i": 1 }]);
    assert_eq!(taken(&api), [json!({ "n": 1, "c": 4, "items": items })]);
    assert_eq!(api.requests_to("/items").len(), 4);
}

#[test]
fn a_lookup_that_fails_is_one_error_record_whose_retry_goes_on_from_the_step() {
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = repaired.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, r#"{"data":[{"n":1,"mail":"a@x"},{"n":2,"mail":"gone@x"}]}"#),
        "/customers" if is_repaired.load(Ordering::SeqCst) => Reply::json(200, r#"{"data":[{"id":"late"}]}"#),
        "/customers" => customer(request),
        _ => Reply::json(201, "{}"),
    });
    // A retry that began before the step would double `n` once more.
    let steps = format!(
        "[[step]]\nname = \"twice\"\n[step.transform.create]\nn = \"= record.n * 2\"\nmail = \"$.mail\"\n\
         {LOOKUP}merge = {{ c = \"$.data[0].id\" }}\n"
    );
    let project = project(&api, QUICK, &flow(&steps, TAKE));
    let ended = copy(&project).expect_code(1);
    assert_eq!(figures(&ended), (1, 0, 1));
    assert_eq!(taken(&api), [json!({ "n": 2, "mail": "a@x", "c": "c-a@x" })]);
    let errors = open_errors(&project);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(
        (&errors[0]["step"], &errors[0]["class"], &errors[0]["status"]),
        (&json!("customer"), &json!("rejected"), &json!(404))
    );
    repaired.store(true, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(taken(&api)[1], json!({ "n": 4, "mail": "gone@x", "c": "late" }));
    assert!(open_errors(&project).is_empty());
}

#[test]
fn a_failing_step_is_passed_by_counted_and_makes_no_error_record() {
    let api = shop(vec![
        json!({ "n": 1, "mail": "gone@x" }),
        json!({ "n": 2, "mail": "a@x" }),
        json!({ "n": 3, "mail": "gone2@x" }),
    ]);
    let steps =
        LOOKUP.replace("[step.lookup]", "on_error = \"proceed\"\n[step.lookup]") + "merge = { c = \"$.data[0].id\" }\n";
    let project = project(&api, QUICK, &flow(&steps, TAKE));
    let ended = copy(&project).expect_code(0);
    assert_eq!(figures(&ended), (3, 0, 0));
    assert_eq!(account(&ended)["passed"], json!({ "customer": 2 }));
    let wanted = [
        json!({ "n": 1, "mail": "gone@x" }),
        json!({ "n": 2, "mail": "a@x", "c": "c-a@x" }),
        json!({ "n": 3, "mail": "gone2@x" }),
    ];
    assert_eq!(taken(&api), wanted);
    assert!(open_errors(&project).is_empty());
    assert!(run(project.dir(), &["run", "copy"]).stderr.contains("step customer failed and was passed by"));
}

#[test]
fn a_step_with_a_false_condition_asks_nobody_and_what_it_would_have_found_is_missing() {
    let api = shop(vec![json!({ "n": 1, "mail": "a@x" }), json!({ "n": 2 })]);
    let steps = LOOKUP.replace("[step.lookup]", "when = \"record.mail is defined\"\n[step.lookup]");
    let body =
        "[import.body]\nn = \"$.n\"\nc = \"= lookup.customer.data[0].id if lookup.customer is defined else 'none'\"\n";
    let project = project(&api, QUICK, &flow(&steps, &format!("{TAKE}{body}")));
    copy(&project).expect_code(0);
    assert_eq!(taken(&api), [json!({ "n": 1, "c": "c-a@x" }), json!({ "n": 2, "c": "none" })]);
    assert_eq!(api.requests_to("/customers").len(), 1);
}

#[test]
fn data_in_a_lookup_never_leads_it_elsewhere_and_what_cannot_be_asked_names_its_field() {
    let hostile = [
        "../../admin",
        "a&x=1#f",
        "{{connection.secrets.x}}",
        "\"quoted\"",
        "a\r\nX: 1",
        "%2e%2e/",
        "\u{1F600}",
        "a b+c",
    ];
    let mut records: Vec<Value> = hostile.iter().enumerate().map(|(n, id)| json!({ "n": n, "id": id })).collect();
    records.extend([
        json!({ "n": 100 }),
        json!({ "n": 101, "id": null }),
        json!({ "n": 102, "id": 0 }),
        json!({ "n": 103, "id": "" }),
    ]);
    let mut page = json!({ "data": records }).to_string();
    page.insert_str(page.len() - 2, r#",{"n":104,"id":"\ud800"},{"n":105,"id":9007199254740993}"#);
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, page.clone()),
        _ if request.method == "GET" => Reply::json(200, json!({ "path": request.path() }).to_string()),
        _ => Reply::json(201, "{}"),
    });
    let steps = "[[step]]\nname = \"look\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/things/{{record.id}}/x\"\n\
                 merge = { path = \"$.data[0].path\" }\n";
    let project = project(&api, QUICK, &flow(steps, TAKE));
    copy(&project).expect_code(1);
    let asked: BTreeSet<String> = api
        .requests()
        .iter()
        .filter(|r| r.method == "GET" && r.path() != "/records")
        .map(|r| r.target.clone())
        .collect();
    for target in &asked {
        let inside = target.strip_prefix("/things/").and_then(|rest| rest.strip_suffix("/x"));
        assert!(inside.is_some_and(|id| !id.is_empty() && !id.contains(['/', '?', '#', '&', ' ', '\r'])), "{target}");
        assert!(!target.contains("null"), "{target}");
    }
    assert!(asked.contains("/things/0/x") && asked.contains("/things/9007199254740993/x"), "{asked:?}");
    for error in open_errors(&project) {
        assert_eq!((&error["step"], &error["class"]), (&json!("look"), &json!("record")), "{error}");
        assert!(error["message"].as_str().unwrap().contains("record.id"), "{error}");
    }
    // The ninth has no id, the tenth null, the twelfth an empty one.
    let failed: Vec<u64> = open_errors(&project).iter().map(|error| error["position"].as_u64().unwrap()).collect();
    assert!([9, 10, 12].iter().all(|record| failed.contains(record)), "{failed:?}");
    assert_eq!(asked.len() + failed.len(), 14, "{asked:?} {failed:?}");
}

#[test]
fn the_first_branch_that_fits_takes_the_record_and_ended_ones_count_as_filtered() {
    let region = |n: usize| ["eu", "us", "test", "else"][n % 4];
    let records = (0..12).map(|n| json!({ "n": n, "region": region(n), "mail": format!("m{n}@x") }));
    let api = shop(records);
    let steps = r#"
[[step]]
name = "by-region"
route = "first"
[[step.branch]]
name = "eu"
when = "record.region == 'eu'"
[[step.branch.step]]
name = "vat"
[step.branch.step.transform.create]
n = "$.n"
region = "$.region"
vat = "= record.n * 2"
[[step.branch.step]]
name = "size"
route = "first"
[[step.branch.step.branch]]
name = "big"
when = "record.n >= 8"
end = true
[[step.branch]]
name = "us"
when = "record.region == 'us'"
[[step.branch.step]]
name = "customer"
[step.branch.step.lookup]
connection = "api"
relative_uri = "/customers?mail={{record.mail}}"
records = "$.data[*]"
merge = { customer = "$.data[0].id" }
[[step.branch]]
name = "drop-test"
when = "record.region == 'test'"
end = true
"#;
    let project = project(&api, QUICK, &flow(steps, TAKE));
    let ended = copy(&project).expect_code(0);
    assert_eq!(figures(&ended), (8, 4, 0));
    for body in taken(&api) {
        let n = body["n"].as_u64().unwrap();
        match body["region"].as_str().unwrap() {
            "eu" => assert_eq!(body, json!({ "n": n, "region": "eu", "vat": n * 2 })),
            "us" => assert_eq!(body["customer"], json!(format!("c-m{n}@x"))),
            other => assert_eq!(other, "else"),
        }
    }
    assert_eq!(api.requests_to("/customers").len(), 3);
}

#[test]
fn a_record_that_fails_in_a_branch_is_retried_from_there() {
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = repaired.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, r#"{"data":[{"n":1}]}"#),
        "/first" => Reply::json(200, r#"{"id":"one"}"#),
        "/second" if is_repaired.load(Ordering::SeqCst) => Reply::json(200, r#"{"id":"two"}"#),
        "/second" => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let steps = r#"
[[step]]
name = "kind"
route = "first"
[[step.branch]]
name = "new"
when = "record.n == 1"
[[step.branch.step]]
name = "change"
[step.branch.step.transform.create]
n = "= record.n + 10"
[[step.branch.step]]
name = "first"
[step.branch.step.lookup]
connection = "api"
relative_uri = "/first"
[[step.branch.step]]
name = "second"
[step.branch.step.lookup]
connection = "api"
relative_uri = "/second"
merge = { second = "$.data[0].id" }
[[step.branch.step]]
name = "both"
[step.branch.step.transform.create]
n = "$.n"
second = "$.second"
first = "= lookup.first.data[0].id"
"#;
    let project = project(&api, QUICK, &flow(steps, TAKE));
    copy(&project).expect_code(1);
    assert_eq!(open_errors(&project)[0]["step"], "kind/new/second");
    repaired.store(true, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(taken(&api), [json!({ "n": 11, "second": "two", "first": "one" })]);
}

#[test]
fn many_works_on_each_item_and_the_record_travels_on_with_them_in_place() {
    let line = |sku: &str, qty: u64| json!({ "sku": sku, "qty": qty });
    let api = Api::start(move |request| match request.path() {
        "/records" => {
            let records = [
                json!({ "n": 1, "lines": [line("a", 1), line("b", 0), line("a", 3)] }),
                json!({ "n": 2, "lines": [line("bad", 1)] }),
                json!({ "n": 3, "lines": [] }),
            ];
            Reply::json(200, json!({ "data": records }).to_string())
        }
        "/products/bad" => Reply::json(404, "{}"),
        path if path.starts_with("/products/") => Reply::json(200, json!({ "title": path }).to_string()),
        _ => Reply::json(201, "{}"),
    });
    let steps = r#"
[[step]]
name = "sold"
many = "$.lines[*]"
keep = "record.qty > 0"
[[step]]
name = "title"
many = "$.lines[*]"
[step.lookup]
connection = "api"
relative_uri = "/products/{{record.sku}}?of={{parent.n}}"
cache = { ttl = "1m" }
merge = { title = "$.data[0].title" }
"#;
    let project = project(&api, QUICK, &flow(steps, TAKE));
    let ended = copy(&project).expect_code(1);
    assert_eq!(figures(&ended), (2, 0, 1));
    let titled = |qty: u64| json!({ "sku": "a", "qty": qty, "title": "/products/a" });
    assert_eq!(taken(&api), [json!({ "n": 1, "lines": [titled(1), titled(3)] }), json!({ "n": 3, "lines": [] })]);
    assert_eq!(api.requests_to("/products/a").len(), 1);
    let errors = open_errors(&project);
    assert_eq!(errors[0]["step"], "title");
    assert!(errors[0]["message"].as_str().unwrap().starts_with("item 1 of `many`"), "{errors:?}");
}

#[test]
fn batches_hold_records_in_their_order_however_late_their_answers_come() {
    let gate = crate::support::api::Gate::default();
    let late = gate.clone();
    let records: Vec<Value> = (0..9).map(|n| json!({ "n": n })).collect();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::json(200, json!({ "data": records }).to_string()),
        "/things/0" => Reply::json(200, "{}").behind(&late),
        path if path.starts_with("/things/") => Reply::json(200, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let steps = "[[step]]\nname = \"look\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/things/{{record.n}}\"\nmerge = { s = \"$.status\" }\n";
    let import = "\n[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\nbatch_size = 4\n";
    let project = project(&api, &format!("concurrency_level = 20\n{QUICK}"), &flow(steps, import));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| copy(&project));
        api.wait_until(|requests| {
            requests.iter().filter(|r| r.path().starts_with("/things/") && r.answered.is_some()).count() == 8
        });
        assert!(api.requests_to("/taken").is_empty(), "the first record is not there yet");
        gate.open();
        running.join().unwrap().expect_code(0);
    });
    let mut batches: Vec<Vec<u64>> = Vec::new();
    for request in api.requests_to("/taken") {
        batches.push(request.json().as_array().unwrap().iter().map(|body| body["n"].as_u64().unwrap()).collect());
    }
    batches.sort();
    assert_eq!(batches, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8]]);
}

#[test]
fn a_refused_credential_of_a_lookup_ends_the_run_and_loses_no_record() {
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, r#"{"data":[{"n":1},{"n":2}]}"#),
        "/things" => Reply::json(401, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let steps = "[[step]]\nname = \"look\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/things\"\n";
    let project = project(&api, QUICK, &flow(steps, TAKE));
    let ended = copy(&project).expect_code(77);
    let run = account(&ended);
    assert_eq!((&run["records"]["in_flight"], &run["records"]["failed"]), (&json!(2), &json!(0)));
    assert!(run["error"].as_str().unwrap().starts_with("lookup `look`: "), "{run}");
}

#[test]
fn a_dry_run_asks_its_lookups_and_sends_no_import() {
    let api = shop(vec![json!({ "n": 1, "mail": "a@x" })]);
    let steps = format!("{LOOKUP}merge = {{ c = \"$.data[0].id\" }}\n");
    let project = project(&api, QUICK, &flow(&steps, TAKE));
    let ended = run(project.dir(), &["run", "copy", "--dry-run"]).expect_code(0);
    assert!(ended.stdout.contains("\"c\": \"c-a@x\""), "{}", ended.stdout);
    assert!(api.requests_to("/taken").is_empty());
}

#[test]
fn a_flow_without_import_writes_what_its_steps_made() {
    let api = shop((0..500).map(|n| json!({ "n": n, "mail": "a@x" })));
    let steps = format!("{LOOKUP}cache = {{ ttl = \"1m\" }}\nmerge = {{ c = \"$.data[0].id\" }}\n");
    let project = project(&api, QUICK, &flow(&steps, ""));
    let ended = run(project.dir(), &["run", "copy"]).expect_code(0);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 500);
    assert!(lines.iter().enumerate().all(|(n, line)| *line == json!({ "n": n, "mail": "a@x", "c": "c-a@x" })));
    assert_eq!(api.requests_to("/customers").len(), 1);
}

/// A lookup that orders a report for each record, waits for it and fetches it.
const REPORT: &str = r#"
[[step]]
name = "report"
[step.lookup]
connection = "api"
records = "$.rows[*]"
merge = { rows = "$.data" }
[step.lookup.job]
status = "$.state"
done = "ready"
failed = "broken"
every = "2ms"
timeout = "1m"
[step.lookup.job.create]
relative_uri = "/reports"
body = { of = "= record.n" }
[step.lookup.job.poll]
relative_uri = "/reports/{{previous.body.id}}"
[step.lookup.job.download]
uri = "$.file"
"#;

#[test]
fn a_lookup_orders_a_report_waits_for_it_and_takes_its_records() {
    let mut polls = std::collections::BTreeMap::<String, u64>::new();
    let repaired = Arc::new(AtomicBool::new(false));
    let is_repaired = repaired.clone();
    let api = Api::start(move |request| match (request.method.as_str(), request.path()) {
        (_, "/records") => Reply::json(200, r#"{"data":[{"n":1},{"n":2},{"n":3}]}"#),
        ("POST", "/reports") => Reply::json(202, json!({ "id": request.json()["of"] }).to_string()),
        ("GET", "/reports/3") if !is_repaired.load(Ordering::SeqCst) => Reply::json(200, r#"{"state":"broken"}"#),
        ("GET", path) if path.starts_with("/reports/") => {
            let polled = polls.entry(path.to_owned()).or_default();
            *polled += 1;
            let file = path.replace("reports", "files");
            let state =
                if *polled < 3 { json!({ "state": "working" }) } else { json!({ "state": "ready", "file": file }) };
            Reply::json(200, state.to_string())
        }
        ("GET", path) if path.starts_with("/files/") => Reply::json(200, json!({ "rows": [path, 1] }).to_string()),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, &format!("concurrency_level = 2\n{QUICK}"), &flow(REPORT, TAKE));
    assert_eq!(figures(&copy(&project).expect_code(1)), (2, 0, 1));
    let mut bodies = taken(&api);
    bodies.sort_by_key(|body| body["n"].as_u64());
    let with = |n: u64| json!({ "n": n, "rows": [format!("/files/{n}"), 1] });
    assert_eq!(bodies, [with(1), with(2)]);
    assert_eq!((api.requests_to("/reports/1").len(), api.most_in_flight() <= 2), (3, true));
    let errors = open_errors(&project);
    let message = errors[0]["message"].as_str().unwrap();
    assert!(errors[0]["step"] == "report" && message.contains("its status is `broken`"), "{errors:?}");
    repaired.store(true, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(taken(&api)[2], with(3));
}

#[test]
fn a_lookup_sees_what_its_export_was_read_for() {
    let api = Api::start(|request| match request.path() {
        "/repos" => Reply::json(200, r#"{"data":[{"name":"a b","team":"x"},{"name":"c","team":"y"}]}"#),
        "/repos/a%20b/issues" => Reply::json(200, r#"{"data":[{"n":1},{"n":2}]}"#),
        "/repos/c/issues" => Reply::json(200, r#"{"data":[{"n":3}]}"#),
        path if path.starts_with("/labels/") => Reply::json(200, json!({ "label": request.target }).to_string()),
        _ => Reply::json(201, "{}"),
    });
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/repos/{{each.repo}}/issues\"\nrecords = \"$.data[*]\"\n\
                [[export.each]]\nname = \"repo\"\nrelative_uri = \"/repos\"\nrecords = \"$.data[*]\"\nkey = \"$.name\"\n\
                [[step]]\nname = \"labels\"\n[step.lookup]\nconnection = \"api\"\ncache = { ttl = \"1m\" }\n\
                relative_uri = \"/labels/{{each.repo}}?team={{parent.repo.team}}\"\n\
                merge = { label = \"$.data[0].label\", of = \"= each.repo ~ ' ' ~ parent.repo.team\" }\n";
    let project = project(&api, QUICK, &format!("{flow}{TAKE}"));
    assert_eq!(figures(&copy(&project).expect_code(0)), (3, 0, 0));
    let mut bodies = taken(&api);
    bodies.sort_by_key(|body| body["n"].as_u64());
    let with = |n: u64, label: &str, of: &str| json!({ "n": n, "label": label, "of": of });
    let (a, c) = ("/labels/a%20b?team=x", "/labels/c?team=y");
    assert_eq!(bodies, [with(1, a, "a b x"), with(2, a, "a b x"), with(3, c, "c y")]);
    assert_eq!(api.requests().iter().filter(|r| r.path().starts_with("/labels/")).count(), 2);
}

#[test]
fn what_was_looked_up_holds_for_the_next_runs_of_one_serve_until_it_is_reloaded() {
    let api = shop((0..6).map(|n| json!({ "n": n, "mail": format!("m{}@x", n % 3) })));
    let steps = format!("{LOOKUP}cache = {{ ttl = \"10m\" }}\nmerge = {{ c = \"$.data[0].id\" }}\n");
    let project = project(&api, QUICK, &flow(&steps, TAKE));
    let serving = Serving::of(&project);
    for round in 1..=3 {
        run(project.dir(), &["run", "copy"]).expect_code(0);
        assert_eq!(taken(&api).len(), round * 6);
    }
    assert_eq!(api.requests_to("/customers").len(), 3, "asked in the first run only");
    project.write("flows/copy.toml", &format!("title = \"again\"\n{}", flow(&steps, TAKE)));
    run(project.dir(), &["reload", "--wait"]).expect_code(0);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!((api.requests_to("/customers").len(), taken(&api).len()), (6, 24));
    drop(serving);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(api.requests_to("/customers").len(), 9, "never on disk");
}
