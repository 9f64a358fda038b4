//! Media types: what leaves in one comes back from it as it went; and what is said when something else arrives.

use crate::support::api::{Api, Reply, Request};
use crate::support::command::run;
use crate::support::flow::{TAKE, copy, lines};
use crate::support::project::Project;
use flate2::Compression;
use flate2::write::GzEncoder;
use flowgate::playground::{Playground, Settings};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};

/// The mapping the playground's destination demands.
const MAPPED: &str = "ext_id = \"$.id\"\nsku = \"$.sku\"\nfull_name = \"{{record.first_name}} {{record.last_name}}\"\n\
    email = \"$.email\"\nqty = \"$.qty\"\ntotal_cents = \"= record.qty * record.unit_cents\"\n\
    state = \"= 'active' if record.status == 'A' else 'inactive'\"\ncity = \"$.address.city\"\n\
    country = \"$.address.country\"\nnote = \"$.note\"\n";
/// The same after a journey that made texts of numbers.
const BACK: &str = "ext_id = \"= record.ext_id | int\"\nsku = \"$.sku\"\nfull_name = \"$.full_name\"\n\
    email = \"$.email\"\nqty = \"= record.qty | int\"\ntotal_cents = \"= record.total_cents | int\"\n\
    state = \"$.state\"\ncity = \"$.city\"\ncountry = \"$.country\"\nnote = \"$.note\"\n";

/// Keeps what is written to it and gives it back, body by body, as it came.
fn shelf() -> (Api, Arc<Mutex<Vec<Request>>>) {
    let kept: Arc<Mutex<Vec<Request>>> = Arc::default();
    let shelf = Arc::clone(&kept);
    let api = Api::start(move |request| {
        let mut kept = shelf.lock().unwrap();
        if request.method == "POST" {
            kept.push(request.clone());
            return Reply::json(201, "{}");
        }
        let number = request.target.split_once("page=").and_then(|(_, n)| n.parse::<usize>().ok()).unwrap();
        match kept.get(number - 1) {
            Some(request) => {
                Reply::raw(200, request.body.clone()).header("content-type", request.header("content-type").unwrap())
            }
            None => Reply::json(404, "{}"),
        }
    });
    (api, kept)
}

/// Orders leave the playground in a media type, lie on the shelf, and come back into the playground, whose ledger
/// compares every field of every record.
#[track_caller]
fn there_and_back(media: &str, keys: &str, import: &str, records: &str) -> Vec<Request> {
    let settings = Settings { records: 230, ..Settings::default() };
    let (playground, (shelf, kept)) = (Playground::start(settings).unwrap(), shelf());
    let project = Project::new();
    project.connection("playground", &playground.base_uri(), "").connection("shelf", &shelf.base(), keys);
    let there = format!(
        "[export]\nconnection = \"playground\"\nrelative_uri = \"/offset\"\nrecords = \"$.data[*]\"\n\
         [export.paging.skip]\nparam = \"offset\"\n[import]\nconnection = \"shelf\"\nrelative_uri = \"/kept\"\n\
         media_type = \"{media}\"\n{import}\n[import.body]\n{MAPPED}"
    );
    let back = format!(
        "[export]\nconnection = \"shelf\"\nrelative_uri = \"/kept\"\n{records}[export.paging]\nstop_status = 404\n\
         [export.paging.page]\nparam = \"page\"\n[import]\nconnection = \"playground\"\nrelative_uri = \"/orders\"\n\
         [import.body]\n{BACK}"
    );
    project.write("flows/there.toml", &there).write("flows/back.toml", &back);
    run(project.dir(), &["run", "there"]).expect_code(0);
    run(project.dir(), &["run", "back"]).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    assert_eq!(seen.destination("orders").records.once, 230);
    kept.lock().unwrap().clone()
}

#[test]
fn ndjson_goes_there_and_back() {
    let kept = there_and_back("ndjson", "", "batch_size = 50", "");
    assert_eq!(kept.len(), 5, "a batch spans no pages of 100");
    assert_eq!(kept[0].header("content-type"), Some("application/x-ndjson"));
    assert_eq!(kept[0].body.lines().count(), 50);
    serde_json::from_str::<Value>(kept[0].body.lines().next().unwrap()).unwrap();
}

#[test]
fn csv_goes_there_and_back_with_quotes_and_line_ends_in_it() {
    let kept = there_and_back("csv", "[csv]\ndelimiter = \";\"\n", "batch_size = 100", "");
    assert_eq!(kept[0].header("content-type"), Some("text/csv; charset=utf-8"));
    let first = kept[0].body.lines().next().unwrap();
    assert_eq!(first, "ext_id;sku;full_name;email;qty;total_cents;state;city;country;note");
    assert!(kept.iter().any(|request| request.body.contains("\"Gift: \"\"Alles Gute\"\"\nCafé. ")), "no hard one met");
}

#[test]
fn forms_go_there_and_back_with_a_batch_under_a_name() {
    let kept = there_and_back("form", "", "batch_size = 20\nwrap = \"orders\"", "records = \"orders\"\n");
    assert_eq!(kept[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    // Requests of one page are on their way at once, and arrive in any order.
    assert!(kept.iter().any(|request| request.body.starts_with("orders%5B0%5D%5Bext_id%5D=1&")), "{}", kept[0].body);
}

/// The playground gives pages in a media type and wants them back, byte for byte.
#[test]
fn every_media_type_goes_there_and_back_byte_for_byte() {
    const PAGES: u64 = 7;
    for (media, records, import) in [
        ("json", "", "batch_size = 10\n"),
        ("ndjson", "", "batch_size = 10\n"),
        ("csv", "", "batch_size = 10\n"),
        ("xml", "records = \"/orders/order\"\n", "batch_size = 10\nwrap = \"order\"\n"),
        ("form", "", ""),
        ("multipart", "", ""),
        ("text", "", ""),
    ] {
        let playground = Playground::start(Settings { records: PAGES, ..Settings::default() }).unwrap();
        let project = Project::new();
        project.connection("playground", &playground.base_uri(), "[xml]\nroot = \"orders\"\n");
        let flow = format!(
            "[export]\nconnection = \"playground\"\nrelative_uri = \"/media/{media}\"\nsuccess_media_type = \"{media}\"\n\
             {records}[export.paging]\nstop_status = 404\n[export.paging.page]\nparam = \"page\"\n\
             [import]\nconnection = \"playground\"\nrelative_uri = \"/media/{media}\"\nmedia_type = \"{media}\"\n\
             success_media_type = \"json\"\n{import}"
        );
        project.write("flows/copy.toml", &flow);
        let ended = run(project.dir(), &["run", "copy"]);
        let seen = playground.stop();
        assert!(seen.verdict().holds(), "{media}: {seen}\n{}", ended.stderr);
        let records = &seen.destination(&format!("media/{media}")).records;
        assert_eq!((records.once, records.expected), (PAGES, PAGES), "{media}");
        ended.expect_code(0);
    }
}

#[test]
fn digits_and_codes_survive_and_stay_what_they_are() {
    let row = "id,price,code,sku\r\n9007199254740993,0.10,1E9,007\r\n";
    let api = Api::scripted([
        ("GET /rows", vec![Reply::raw(200, row).header("content-type", "text/csv")]),
        ("POST /taken", vec![Reply::json(200, "{}")]),
    ]);
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/rows\"\n[import]\nconnection = \"api\"\n\
                relative_uri = \"/taken\"\nmedia_type = \"csv\"\n";
    copy(&api, "", flow, &[]).expect_code(0);
    assert_eq!(api.requests_to("/taken")[0].body, row);
    let numbers = r#"[{"id":9007199254740993,"price":0.10,"far":1e400}]"#;
    let api =
        Api::scripted([("GET /rows", vec![Reply::json(200, numbers)]), ("POST /taken", vec![Reply::json(200, "{}")])]);
    let flow = flow.replace("\"csv\"", "\"ndjson\"");
    copy(&api, "", &flow, &[]).expect_code(0);
    assert_eq!(api.requests_to("/taken")[0].body, "{\"id\":9007199254740993,\"price\":0.10,\"far\":1e400}\n");
}

#[test]
fn text_and_multipart_are_written_and_text_is_read() {
    let api = Api::scripted([
        ("GET /note", vec![Reply::raw(200, "1E9 ü\n").header("content-type", "text/plain; charset=utf-8")]),
        ("POST /text", vec![Reply::json(200, "{}")]),
        ("POST /file", vec![Reply::json(200, "{}")]),
    ]);
    let export = "[export]\nconnection = \"api\"\nrelative_uri = \"/note\"\nsuccess_media_type = \"text\"\n\
                  [import]\nconnection = \"api\"\n";
    copy(&api, "", &format!("{export}relative_uri = \"/text\"\nmedia_type = \"text\"\n"), &[]).expect_code(0);
    let sent = &api.requests_to("/text")[0];
    assert_eq!((sent.body.as_str(), sent.header("content-type")), ("1E9 ü\n", Some("text/plain; charset=utf-8")));
    assert_eq!(api.requests_to("/note")[0].header("accept"), Some("text/plain"));
    let file = "relative_uri = \"/file\"\nmedia_type = \"multipart\"\n[import.body]\nkind = \"note\"\n\
                file = { filename = \"note.txt\", content = \"$\", content_type = \"text/plain\" }\n";
    copy(&api, "", &format!("{export}{file}"), &[]).expect_code(0);
    let sent = &api.requests_to("/file")[0];
    let boundary = sent.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = |head: &str, content: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name={head}\r\n\r\n{content}\r\n")
    };
    let file = part("\"file\"; filename=\"note.txt\"\r\nContent-Type: text/plain", "1E9 ü\n");
    assert_eq!(sent.body, format!("{}{file}--{boundary}--\r\n", part("\"kind\"", "note")));
}

#[test]
fn parts_are_read_as_their_answer_says_and_hostile_ones_end_the_export() {
    let form = "--B\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n007\r\n--B\r\nContent-Disposition: form-data; \
                name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nü\r\n--B--\r\n";
    let reply = |body: &str| Reply::raw(200, body).header("content-type", "multipart/form-data; boundary=B");
    let file = json!({"filename": "a.txt", "content_type": "text/plain", "content": "ü"});
    assert_eq!(read(reply(form), "").unwrap(), [json!({"id": "007", "file": file})]);
    let mixed =
        "--B\nContent-Type: application/json\n\n{\"id\":1}\n--B\nContent-Type: application/json\n\n{\"id\":2}\n--B--";
    let parts = Reply::raw(200, mixed).header("content-type", "multipart/mixed; boundary=B");
    assert_eq!(read(parts, "records = \"$[*].content\"\n").unwrap(), [json!({"id": 1}), json!({"id": 2})]);
    let many = format!("{}--B--", "--B\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n".repeat(100_000));
    for (body, why) in [
        (&form[..form.len() - 8], "no boundary ends it"),
        (many.as_str(), "more than 10000 parts"),
        ("<html>", "the answer is not multipart but an HTML page"),
    ] {
        let told = read(reply(body), "").unwrap_err();
        assert!(told.contains("the answer is not multipart") && told.contains(why), "{told}");
    }
    let told = read(Reply::json(200, "{}"), "success_media_type = \"multipart\"\n").unwrap_err();
    assert!(told.contains("names no boundary"), "{told}");
}

/// What an export of this answer says and how it ends.
#[track_caller]
fn read(reply: Reply, keys: &str) -> Result<Vec<Value>, String> {
    let api = Api::scripted([("GET /records", vec![reply])]);
    let flow = format!("[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n{keys}");
    let ended = copy(&api, "[retry]\nmax_attempts = 1\n", &flow, &[]);
    if ended.code == Some(0) { Ok(lines(&ended)) } else { Err(ended.stderr) }
}

#[test]
fn an_answer_that_is_something_else_is_named_and_shown() {
    let page = "<!DOCTYPE html><html><title>502 Bad Gateway</title></html>";
    let html = || Reply::raw(200, page).header("content-type", "text/html");
    let told = read(html(), "").unwrap_err();
    assert!(told.contains("not JSON but an HTML page (text/html)") && told.contains("502 Bad Gateway"), "{told}");
    let told = read(html(), "success_media_type = \"csv\"\n").map(|records| records.len());
    assert_eq!(told, Ok(0), "one line without a row under it: said to be CSV, and it could be");
    let lying = Reply::json(200, "id,name\n1,a\n");
    let told = read(lying.clone(), "").unwrap_err();
    assert!(told.contains("not JSON (application/json)") && told.contains("it begins `id,name"), "{told}");
    assert_eq!(read(lying, "success_media_type = \"csv\"\n").unwrap(), [json!({"id": "1", "name": "a"})]);
    let told = read(Reply::raw(200, b"{\"a\":\"\xff\"}".to_vec()), "").unwrap_err();
    assert!(told.contains("not UTF-8"), "{told}");
    let told = read(Reply::raw(200, "a,b\n1,\"2\n").header("content-type", "text/csv"), "").unwrap_err();
    assert!(told.contains("line 2: a quote is opened and never closed"), "{told}");
    let told = read(Reply::raw(200, "a,b\n1\n").header("content-type", "text/csv"), "").unwrap_err();
    assert!(told.contains("line 2 has 1 fields where the header has 2"), "{told}");
    let told = read(Reply::json(200, "[".repeat(50_000)), "").unwrap_err();
    assert!(told.contains("128 levels"), "{told}");
}

#[test]
fn a_body_of_sixty_mebibytes_is_one_record() {
    let long = "x".repeat(60 << 20);
    let api = Api::start(move |request| match request.path() {
        "/json" => Reply::json(200, format!("[{{\"id\":1,\"long\":\"{long}\"}}]")),
        "/xml" => Reply::raw(200, format!("<r><i><id>1</id><long>{long}</long></i></r>"))
            .header("content-type", "application/xml"),
        _ => Reply::raw(200, format!("id,long\n1,\"{long}\"\n")).header("content-type", "text/csv"),
    });
    for (path, records) in [("json", "$"), ("csv", "$"), ("xml", "/r/i")] {
        let flow = format!(
            "[export]\nconnection = \"api\"\nrelative_uri = \"/{path}\"\nrecords = \"{records}\"\n[export.transform.create]\nid = \"$.id\"\n"
        );
        let ended = copy(&api, "timeout = \"60s\"\n", &flow, &[]).expect_code(0);
        assert_eq!(ended.stdout.lines().count(), 1, "{path}");
        assert!(ended.stdout.contains('1'), "{path}: {}", ended.stdout);
    }
}

#[test]
fn of_a_name_that_stands_twice_in_a_record_the_last_counts_and_what_passes_through_keeps_both() {
    let twice = r#"[{"id":1,"a":"first","a":"last","in":{"b":1,"b":2}}]"#;
    let sent = |export: &str, body: &str| {
        let api = Api::start(move |request| match request.method.as_str() {
            "GET" => Reply::json(200, twice),
            _ => Reply::json(201, "{}"),
        });
        let flow = format!("[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n{export}{TAKE}{body}");
        copy(&api, "", &flow, &[]).expect_code(0);
        api.requests_to("/taken")[0].body.clone()
    };
    // What only passes through is not looked into.
    assert_eq!(sent("", ""), &twice[1..twice.len() - 1]);
    let body = "[import.body]\npath = \"$.a\"\nvalue = \"= record.a\"\ntext = \"{{record.a}}\"\nb = \"$.in.b\"\n";
    assert_eq!(sent("", body), r#"{"path":"last","value":"last","text":"last","b":2}"#);
    let created = "[export.transform.create]\na = \"$.a\"\nin = \"$.in\"\n";
    assert_eq!(sent(created, ""), r#"{"a":"last","in":{"b":1,"b":2}}"#);
    // Where a record is changed it is gone through, and what is dropped leaves no other behind.
    let modified = |keys: &str| sent(&format!("[export.transform.modify]\n{keys}\n"), "");
    assert_eq!(modified("set = { x = 1 }"), r#"{"id":1,"a":"last","in":{"b":1,"b":2},"x":1}"#);
    assert_eq!(modified("drop = [\"a\", \"in.b\"]"), r#"{"id":1,"in":{}}"#);
    assert_eq!(modified("rename = { a = \"c\" }"), r#"{"id":1,"c":"last","in":{"b":1,"b":2}}"#);
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn packed_answers_are_unpacked_within_the_cap() {
    let packed = gzip(b"id;code\n1;007\n");
    let reply = Reply::raw(200, packed).header("content-type", "application/gzip");
    let api = Api::scripted([("GET /records", vec![reply])]);
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";
    let keys = "decode = [\"gzip\", \"csv\"]\n[csv]\ndelimiter = \";\"\n";
    let ended = copy(&api, keys, flow, &[]).expect_code(0);
    assert_eq!(lines(&ended), [json!({"id": "1", "code": "007"})]);
    assert_eq!(api.requests()[0].header("accept"), Some("*/*"));
    let bomb = Reply::raw(200, gzip(&vec![b'0'; 80 << 20]));
    let told = read(bomb, "decode = [\"gzip\", \"text\"]\n").unwrap_err();
    assert!(told.contains("more than `max_response` (67108864 bytes)"), "{told}");
    let told = read(Reply::json(200, "{}"), "decode = [\"zip\", \"csv\"]\n").unwrap_err();
    assert!(told.contains("`decode`: zip: it is no zip archive") && told.contains("it begins `{}`"), "{told}");
}

#[test]
fn rules_and_error_paths_read_every_media_type() {
    let refusal = Reply::raw(400, "error=quota&detail[text]=too+much")
        .header("content-type", "application/x-www-form-urlencoded");
    let told = read(refusal, "response = { error_path = \"detail.text\" }\n").unwrap_err();
    assert!(told.contains("too much"), "{told}");
    let said = Reply::raw(400, "code,why\nE1,because\n").header("content-type", "application/json");
    let told = read(said, "error_media_type = \"csv\"\nresponse = { error_path = \"$[0].why\" }\n").unwrap_err();
    assert!(told.contains("because"), "{told}");
    let rows = || Reply::raw(200, "status,id\nbad,1\n").header("content-type", "text/csv");
    let rule = "response = { failure = { path = \"$[0].status\", values = [\"bad\"] } }\n";
    assert!(read(rows(), rule).is_err());
    assert!(read(rows(), "response = { failure = { text = \"status,id\" } }\n").is_err(), "the text is what was sent");
    assert_eq!(read(rows(), "response = { failure = { text = \"column\" } }\n").unwrap().len(), 1);
}

#[test]
fn head_and_204_have_no_body_to_read() {
    let nothing = || Reply::raw(204, "").header("content-type", "text/csv");
    assert_eq!(read(nothing(), ""), Ok(Vec::new()));
    assert_eq!(read(nothing(), "decode = [\"gzip\", \"csv\"]\n"), Ok(Vec::new()));
    let api = Api::scripted([("HEAD /records", vec![Reply::raw(200, "").header("content-encoding", "gzip")])]);
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nmethod = \"HEAD\"\n";
    let ended = copy(&api, "", flow, &[]).expect_code(0);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_record_that_fits_no_row_is_refused_alone() {
    let page = Reply::json(200, r#"[{"id":1},{"id":[2]},{"id":3}]"#);
    let api = Api::scripted([("GET /records", vec![page]), ("POST /taken", vec![Reply::json(200, "{}")])]);
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n[import]\nconnection = \"api\"\n\
                relative_uri = \"/taken\"\nmedia_type = \"csv\"\nbatch_size = 10\n";
    let ended = copy(&api, "", flow, &[]).expect_code(1);
    assert!(ended.stderr.contains("`id` is a list, which no CSV field can hold"), "{}", ended.stderr);
    assert_eq!(api.requests_to("/taken")[0].body, "id\r\n1\r\n3\r\n");
}

#[test]
fn a_page_of_rows_survives_a_restart_as_it_was() {
    let rows: Vec<String> = (1..=200).map(|id| format!("{id},007\n")).collect();
    let rows = rows.concat();
    let page = Reply::raw(200, format!("id,code\n{rows}")).header("content-type", "text/csv");
    let api = Api::scripted([
        ("GET /records", vec![page, Reply::json(500, "{}")]),
        ("POST /taken", vec![Reply::json(422, "{}"), Reply::json(200, "{}")]),
    ]);
    let flow = "max_errors = 1\n[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n\
                [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n";
    let project = crate::support::flow::project(&api, "concurrency_level = 1\n", flow);
    run(project.dir(), &["run", "copy"]).expect_code(1);
    let before = api.requests_to("/taken").len();
    assert!(before < 200, "it stopped at the first error");
    run(project.dir(), &["run", "copy"]).expect_code(1);
    assert_eq!(api.requests_to("/records").len(), 1, "the rows were stored, not asked for again");
    let bodies: Vec<Value> = api.requests_to("/taken").iter().map(Request::json).collect();
    assert_eq!(bodies.len(), 200);
    assert!(bodies[before..].iter().all(|body| body["code"] == "007"), "{bodies:?}");
}
