//! What happens to records between their page and their import, and how it is counted.

use crate::support::api::{Api, Gate, Reply, Request};
use crate::support::command::{finish, flowgate};
use crate::support::flow::{QUICK, TAKE, account, copy, ids, lines, project, taken};
use crate::support::{PATIENCE, command::Ended};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};

const EXPORT: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"data\"\n";

/// An API that gives these records (JSON text each) in one page and takes everything.
fn api_with(records: &[&str]) -> Api {
    let page = Reply::json(200, format!("{{\"data\":[{}]}}", records.join(",")));
    Api::scripted([("GET /records", vec![page]), ("POST /taken", vec![Reply::json(201, "{}")])])
}

fn numbered(count: u64) -> Vec<String> {
    (1..=count).map(|id| format!("{{\"id\":{id}}}")).collect()
}

fn api_with_count(count: u64) -> Api {
    let records = numbered(count);
    api_with(&records.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What arrived for one record mapped by this body tree.
#[track_caller]
fn mapped(record: &str, tree: &str) -> Value {
    let api = api_with(&[record]);
    copy(&api, "", &format!("{EXPORT}{TAKE}{tree}"), &[]).expect_code(0);
    let taken = api.requests_to("/taken");
    assert_eq!(taken.len(), 1);
    taken[0].json()
}

/// The body as it arrived, byte for byte.
#[track_caller]
fn raw(record: &str, tree: &str) -> String {
    let api = api_with(&[record]);
    copy(&api, "", &format!("{EXPORT}{TAKE}{tree}"), &[]).expect_code(0);
    api.requests_to("/taken")[0].body.clone()
}

#[test]
fn keep_and_steps_shape_records_in_their_order() {
    let flow = format!(
        r#"{EXPORT}
keep = "record.id > 1"
[export.transform.create]
id = "$.id"
name = "n{{{{record.id}}}}"
[[step]]
name = "even"
when = "record.id == 4"
[step.transform.create]
id = "$.id"
name = "four, before {{{{record.name}}}}"
[[step]]
name = "not three"
keep = "record.id != 3"
"#
    );
    let api = api_with_count(5);
    let ended = copy(&api, "", &flow, &[]).expect_code(0);
    let expected =
        [json!({"id": 2, "name": "n2"}), json!({"id": 4, "name": "four, before n4"}), json!({"id": 5, "name": "n5"})];
    assert_eq!(lines(&ended), expected);
    let run = account(&copy(&api, "", &format!("{flow}{TAKE}"), &["--json"]).expect_code(0));
    assert_eq!(
        run["records"],
        json!({"exported": 5, "delivered": 3, "filtered": 2, "failed": 0, "open_errors": 0, "dismissed": 0, "in_flight": 0})
    );
}

#[test]
fn a_body_tree_holds_every_kind_of_value() {
    let record = r#"{"id":7,"name":"Ann \"A\"","price":"12.5","qty":3,"tags":["a","b"],
        "address":{"city":"Köln"},"lines":[{"sku":"x","n":"2"},{"sku":"y"}],"none":null}"#;
    let tree = r#"
[import.body]
path       = "$.id"
dotted     = { pick = "address.city" }
template   = "Order {{record.id}} for {{record.name}}"
typed      = "= (record.price | float) * record.qty"
text       = "= record.id | string"
constant   = "shop"
number     = 5
yes        = true
list       = ["first", "$.qty", "= record.qty + 1"]
whole      = "$.address"
wildcard   = "$.lines[*].sku"
deep       = { a = { b = ["$.id", { c = "{{record.qty}}" }] } }
picked     = { pick = "$.price", as = "number" }
whole_qty  = { pick = "$.qty", as = "string" }
absent     = { pick = "$.nowhere", default = "-" }
nothing    = { pick = "$.none", default = 1 }
left_out   = { pick = "$.nowhere", optional = true }
lit        = { literal = { pick = "$.id", each = "{{x}}" } }
joined     = { concat = ["$.tags[*]", ["c"], { each = "$.lines[*]", body = "$.sku" }] }
'\pick'    = "a field of that name"
[import.body.lines]
each = "$.lines[*]"
body = { sku = "$.sku", n = { pick = "$.n", as = "integer", default = 1 }, order = "= record.id", at = "= index" }
"#;
    let expected = json!({
        "path": 7, "dotted": "Köln", "template": "Order 7 for Ann \"A\"", "typed": 37.5, "text": "7",
        "constant": "shop", "number": 5, "yes": true, "list": ["first", 3, 4], "whole": {"city": "Köln"},
        "wildcard": ["x", "y"], "deep": {"a": {"b": [7, {"c": "3"}]}}, "picked": 12.5, "whole_qty": "3",
        "absent": "-", "nothing": 1, "lit": {"pick": "$.id", "each": "{{x}}"},
        "joined": ["a", "b", "c", "x", "y"], "pick": "a field of that name",
        "lines": [{"sku": "x", "n": 2, "order": 7, "at": 0}, {"sku": "y", "n": 1, "order": 7, "at": 1}],
    });
    assert_eq!(mapped(record, tree), expected);
}

#[test]
fn the_first_helpers_render() {
    let record = r#"{"a":"x","list":[{"n":1},{"n":2}],"in":{"k":"v"},"no":false,"text":"q\"uo"}"#;
    let tree = r#"
[import.body]
h_default = "{{default record.nowhere 'none'}}{{default record.a 'none'}}"
h_json    = "{{json record.in}}"
h_if      = "{{#if record.no}}yes{{else}}no{{/if}}{{#if record.nowhere}}yes{{/if}}"
h_unless = "{{#unless record.no}}off{{/unless}}"
h_each    = "{{#each record.list}}{{@index}}:{{n}};{{/each}}"
h_with    = "{{#with record.in}}{{k}}{{/with}}"
h_eq      = "{{#if (eq record.a 'x')}}same{{else}}other{{/if}}"
"#;
    let expected = json!({
        "h_default": "nonex", "h_json": "{\"k\":\"v\"}", "h_if": "no", "h_unless": "off", "h_each": "0:1;1:2;", "h_with": "v",
        "h_eq": "same",
    });
    assert_eq!(mapped(record, tree), expected);
}

#[test]
fn the_first_filters_compute() {
    let record = r#"{"f":"2.50","i":"7","list":["a","b"],"s":"MiXed","n":2.675,"whole":3}"#;
    let tree = r#"
[import.body]
float   = "= record.f | float"
int     = "= record.i | int + 1"
string  = "= record.whole | string"
length  = "= record.list | length"
default = "= record.nowhere | default('d')"
lower   = "= record.s | lower"
upper   = "= record.s | upper"
round   = "= record.n | round(1)"
join    = "= record.list | join('+')"
choose  = "= 'big' if record.whole > 2 else 'small'"
"#;
    let expected = json!({
        "float": 2.5, "int": 8, "string": "3", "length": 2, "default": "d", "lower": "mixed", "upper": "MIXED",
        "round": 2.7, "join": "a+b", "choose": "big",
    });
    assert_eq!(mapped(record, tree), expected);
}

#[test]
fn numbers_and_texts_go_through_unchanged() {
    // Past 2^53, past 2^64, trailing zeros, exponents, escapes of every kind.
    let record = r#"{"big":9007199254740993,"huge":123456789012345678901234567890,"dec":12.10,"exp":1e400,
        "neg":-0.0,"esc":"\u00e9\u2028\ud83d\ude00\"\\\/\n","uni":"é😀 ☃"}"#;
    let tree = "[import.body]\nbig = \"$.big\"\nhuge = \"$.huge\"\ndec = \"$.dec\"\nexp = \"$.exp\"\nneg = \"$.neg\"\n\
                text = \"{{record.big}} {{record.dec}}\"\nkept = \"= record.big\"\n";
    assert_eq!(
        raw(record, tree),
        "{\"big\":9007199254740993,\"huge\":123456789012345678901234567890,\"dec\":12.10,\"exp\":1e400,\
         \"neg\":-0.0,\"text\":\"9007199254740993 12.10\",\"kept\":9007199254740993}"
    );
    assert_eq!(raw(record, ""), record, "without a body the record goes as it came");
    let arrived =
        mapped(record, "[import.body]\nesc = \"$.esc\"\nagain = \"{{record.esc}}\"\nuni = \"{{record.uni}}\"\n");
    let esc = "é\u{2028}😀\"\\/\n";
    assert_eq!(arrived, json!({"esc": esc, "again": esc, "uni": "é😀 ☃"}));
    let compared = "[import.body]\nnext = \"= record.big + 1\"\nsame = \"= record.big == 9007199254740992\"\n";
    assert_eq!(raw(record, compared), "{\"next\":9007199254740994,\"same\":false}");
}

#[test]
fn a_batch_is_full_or_the_rest_of_its_page() {
    let api = Api::start(|request| match (request.method.as_str(), request.target.as_str()) {
        ("POST", _) => Reply::json(200, "{}"),
        (_, "/records?p=1") => Reply::json(200, format!("{{\"data\":[{}]}}", numbered(5).join(","))),
        (_, "/records?p=2") => Reply::json(200, "{\"data\":[{\"id\":6},{\"id\":7},{\"id\":8}]}"),
        _ => Reply::json(200, "{\"data\":[]}"),
    });
    let flow = format!("{EXPORT}[export.paging.page]\nparam = \"p\"\n{TAKE}batch_size = 2\nwrap = \"orders\"\n");
    let ended = copy(&api, "concurrency_level = 1", &flow, &["--json"]).expect_code(0);
    assert_eq!(account(&ended)["requests"], 5);
    let batches: Vec<Vec<u64>> =
        api.requests_to("/taken").iter().map(|r| ids(r.json()["orders"].as_array().unwrap())).collect();
    assert_eq!(batches, [vec![1, 2], vec![3, 4], vec![5], vec![6, 7], vec![8]], "a batch never spans pages");
}

#[test]
fn a_batch_without_wrap_is_a_list_even_of_one_and_filtered_records_leave_no_holes() {
    let api = api_with_count(5);
    let flow = EXPORT.to_owned() + "keep = \"record.id != 2\"\n" + TAKE + "batch_size = 3\n";
    copy(&api, "concurrency_level = 1", &flow, &[]).expect_code(0);
    let bodies: Vec<Value> = api.requests_to("/taken").iter().map(Request::json).collect();
    assert_eq!(bodies, [json!([{"id": 1}, {"id": 3}, {"id": 4}]), json!([{"id": 5}])]);
}

#[test]
fn a_single_record_may_be_wrapped() {
    assert_eq!(mapped("{\"id\":1}", "wrap = \"order\"\n"), json!({"order": {"id": 1}}));
}

#[test]
fn an_idempotency_key_is_verbatim_and_the_same_in_every_attempt() {
    let mut tries = 0;
    let api = Api::start(move |request| {
        if request.method == "GET" {
            return Reply::json(200, "{\"data\":[{\"id\":\"Ä b/1\"}]}");
        }
        tries += 1;
        if tries < 3 { Reply::json(503, "{}") } else { Reply::json(201, "{}") }
    });
    let flow = format!("{EXPORT}{TAKE}idempotency_key = \"k-{{{{record.id}}}}\"\n");
    copy(&api, QUICK, &flow.replace("\"k-{{", "\"k {{"), &[]).expect_code(0);
    let taken = api.requests_to("/taken");
    assert_eq!(taken.len(), 3);
    for request in &taken {
        assert_eq!(request.header("idempotency-key"), Some("k Ä b/1"));
        assert_eq!(request.body, taken[0].body);
    }
}

#[test]
fn batches_have_keys_of_their_own_under_the_header_named() {
    let api = api_with_count(4);
    let keys = "batch_size = 2\nidempotency_key = \"{{record.id}}\"\nidempotency_header = \"X-Once\"\n";
    copy(&api, "", &format!("{EXPORT}{TAKE}{keys}"), &[]).expect_code(0);
    let keys: Vec<String> = api.requests_to("/taken").iter().map(|r| r.header("x-once").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn a_body_may_be_text_that_is_json_once_rendered() {
    let record = r#"{"id":1,"name":"a \"b\"\\","in":[1,{"x":null}]}"#;
    let tree = "body = '{\"n\": \"{{record.name}}\", \"all\": {{json record.in}}}'\n";
    assert_eq!(mapped(record, tree), json!({"n": "a \"b\"\\", "all": [1, {"x": null}]}));
    // Raw braces let data break the text; the request is refused, not sent.
    let api = api_with(&[record]);
    let flow = format!("{EXPORT}{TAKE}body = '{{\"n\": \"{{{{{{record.name}}}}}}\"}}'\n");
    let ended = copy(&api, "", &flow, &[]).expect_code(1);
    assert!(ended.stderr.contains("not JSON"), "{}", ended.stderr);
    assert!(taken_none(&api));
}

fn taken_none(api: &Api) -> bool {
    api.requests_to("/taken").is_empty()
}

#[test]
fn a_failed_record_is_named_and_stops_no_other() {
    // Every place where a single record can fail, with the step named for it.
    for (keys, step) in [
        ("keep = \"record.n > 1\"", "keep"),
        ("[export.transform.create]\nid = \"$.id\"\nn = \"= record.n * 2\"", "transform"),
        ("[[step]]\nname = \"double\"\n[step.transform.create]\nid = \"$.id\"\nn = \"= record.n * 2\"", "double"),
        ("[import.body]\nid = \"$.id\"\nn = \"= record.n + 1\"", "import"),
    ] {
        let api = api_with(&["{\"id\":1,\"n\":2}", "{\"id\":2,\"n\":\"two\"}", "{\"id\":3,\"n\":4}"]);
        let flow = match keys.split_once("[import.body]") {
            Some((_, body)) => format!("{EXPORT}{TAKE}[import.body]{body}"),
            None => format!("{EXPORT}{keys}\n{TAKE}"),
        };
        let ended = copy(&api, "", &flow, &[]).expect_code(1);
        assert_eq!(taken(&api), [1, 3], "{step}");
        let named = format!("copy: page 1 record 2: {step}: ");
        assert!(ended.stderr.contains(&named), "{named}\n{}", ended.stderr);
        let run = account(&copy(&api, "", &flow, &["--json"]).expect_code(1));
        assert_eq!(
            run["records"],
            json!({"exported": 3, "delivered": 2, "filtered": 0, "failed": 1, "open_errors": 1, "dismissed": 0, "in_flight": 0})
        );
        assert_eq!((&run["errors"][0]["record"], &run["errors"][0]["step"]), (&json!(2), &json!(step)));
    }
}

#[test]
fn strict_values_are_errors_of_their_record_with_both_sides_named() {
    for (body, told) in [
        ("n = \"$.nowhere\"", "nowhere"),
        ("n = \"{{record.nowhere}}\"", "nowhere"),
        ("n = \"= record.nowhere\"", "nowhere"),
        ("n = \"= record.text * 2\"", "text"),
        ("n = \"= record.text < 5\"", "number"),
        ("n = \"= record.none + 1\"", "null"),
        ("n = \"= record.nowhere | length\"", "nowhere"),
        ("n = { pick = \"$.text\", as = \"integer\" }", "integer"),
    ] {
        let api = api_with(&["{\"id\":1,\"text\":\"ten\",\"none\":null}", "{\"id\":2}"]);
        let ended = copy(&api, "", &format!("{EXPORT}{TAKE}[import.body]\n{body}\n"), &["--limit", "1"]).expect_code(1);
        assert!(ended.stderr.contains("page 1 record 1: import") && ended.stderr.contains(told), "{}", ended.stderr);
        assert!(taken_none(&api), "{body}");
    }
}

#[test]
fn the_same_of_different_types_is_not_equal_and_missing_is_false_in_conditions() {
    let api = api_with(&["{\"id\":1,\"n\":1}", "{\"id\":2,\"n\":\"1\"}", "{\"id\":3}"]);
    let ended = copy(&api, "", &format!("{EXPORT}keep = \"record.n == 1\"\n"), &[]).expect_code(0);
    assert_eq!(ids(&lines(&ended)), [1]);
    let ended = copy(&api, "", &format!("{EXPORT}keep = \"record.n\"\n"), &[]).expect_code(0);
    assert_eq!(ids(&lines(&ended)), [1, 2]);
}

#[test]
fn a_refused_batch_fails_its_records_and_no_other() {
    let api = Api::start(|request| match (request.method.as_str(), request.body.contains("\"id\":3")) {
        ("GET", _) => Reply::json(200, format!("{{\"data\":[{}]}}", numbered(6).join(","))),
        (_, true) => Reply::json(422, "{\"error\":\"three\"}"),
        _ => Reply::json(200, "{}"),
    });
    let ended = copy(&api, "", &format!("{EXPORT}{TAKE}batch_size = 2\n"), &["--json"]).expect_code(1);
    let run = account(&ended);
    assert_eq!(
        run["records"],
        json!({"exported": 6, "delivered": 4, "filtered": 0, "failed": 2, "open_errors": 2, "dismissed": 0, "in_flight": 0})
    );
    assert_eq!((&run["errors"][0]["record"], &run["errors"][1]["record"]), (&json!(3), &json!(4)));
    assert_eq!(run["errors"][0]["status"], 422);
}

#[test]
fn exported_records_are_one_line_each_whatever_their_layout() {
    let pretty = "{\n  \"id\" : 1,\r\n\t\"text\": \"a\\n b\\\" {  }\",\n  \"list\": [ 1 , 2 ]\n}";
    let api = api_with(&[pretty, "{\"id\":2}"]);
    let ended = copy(&api, "", EXPORT, &[]).expect_code(0);
    assert_eq!(ended.stdout, "{\"id\":1,\"text\":\"a\\n b\\\" {  }\",\"list\":[1,2]}\n{\"id\":2}\n");
}

#[test]
fn a_reader_that_goes_away_ends_the_run_without_a_panic() {
    let long = "x".repeat(500);
    let api = Api::start(move |request| {
        let records: Vec<String> =
            (1..=200).map(|n| format!("{{\"id\":{n},\"page\":\"{}\",\"x\":\"{long}\"}}", request.target)).collect();
        Reply::json(200, format!("{{\"data\":[{}]}}", records.join(",")))
    });
    let project = project(&api, "", &format!("{EXPORT}[export.paging.page]\nparam = \"p\"\n"));
    let mut child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"id\":1,"), "{first}");
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(!stderr.contains("panicked") && ended.status.code().is_some(), "{:?} {stderr}", ended.status);
}

#[test]
fn export_and_import_overlap() {
    let gate = Gate::default();
    let behind = gate.clone();
    let api = Api::start(move |request| match (request.method.as_str(), request.target.as_str()) {
        ("POST", _) => Reply::json(201, "{}").behind(&behind),
        (_, "/records?p=1") => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2}]}"),
        (_, "/records?p=2") => Reply::json(200, "{\"data\":[{\"id\":3},{\"id\":4}]}"),
        _ => Reply::json(200, "{\"data\":[]}"),
    });
    let project = project(&api, "", &format!("{EXPORT}[export.paging.page]\nparam = \"p\"\n{TAKE}"));
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let running = std::thread::spawn(move || finish(command, PATIENCE));
    // Page 2 is asked for while no record of page 1 has been answered.
    api.wait_until(|seen| seen.iter().any(|r| r.target == "/records?p=2"));
    assert!(api.requests_to("/taken").iter().all(|r| r.answered.is_none()));
    gate.open();
    running.join().unwrap().expect_code(0);
    assert_eq!(taken(&api), [1, 2, 3, 4]);
}

#[test]
fn a_stuck_importer_stops_the_reading() {
    let gate = Gate::default();
    let source = Api::start(|request| {
        let n: u64 = request.target.rsplit('=').next().unwrap().parse().unwrap();
        let data = if n > 40 { String::new() } else { format!("{{\"id\":{n}}},{{\"id\":{}}}", 1000 + n) };
        Reply::json(200, format!("{{\"data\":[{data}]}}"))
    });
    let behind = gate.clone();
    let sink = Api::start(move |_| Reply::json(201, "{}").behind(&behind));
    let flow = format!("{EXPORT}[export.paging.page]\nparam = \"p\"\n{TAKE}").replacen("\"api\"", "\"source\"", 1);
    let project = project(&sink, "concurrency_level = 1", &flow);
    project.connection("source", &source.base(), "");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let running = std::thread::spawn(move || finish(command, PATIENCE));
    // One is in flight and a few more are rendered; at most two pages wait whole. Forty would come within the time
    // that ten take.
    source.wait_until(|seen| seen.len() >= 3);
    let ahead = settled(&source);
    assert!(ahead <= 6, "{ahead} pages read ahead of a stuck importer");
    gate.open();
    running.join().unwrap().expect_code(0);
    assert_eq!(taken(&sink).len(), 80);
}

/// Requests once another client has made a hundred of its own, so that whoever wants to ask has had its turn.
fn settled(api: &Api) -> usize {
    let mine = 100;
    for _ in 0..mine {
        crate::support::client::get(api.addr(), "/records?p=41");
    }
    api.requests().iter().filter(|r| r.target != "/records?p=41").count()
}

#[test]
fn a_run_without_records_is_a_success() {
    let api = api_with(&[]);
    let ended: Ended = copy(&api, "", &format!("{EXPORT}{TAKE}"), &["--json"]).expect_code(0);
    let run = account(&ended);
    assert_eq!((&run["outcome"], &run["records"]["exported"]), (&json!("succeeded"), &json!(0)));
}
