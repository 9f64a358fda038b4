//! What a record may hold that breaks careless code, in every place of a request: what is sent is right, judged by readers
//! that are not ours, or it is not sent and one error record says which field of which record it was.

use crate::support::api::{Api, Reply, Request};
use crate::support::command::run;
use crate::support::flow::{QUICK, project};
use serde_json::Value;
use std::collections::BTreeMap;

/// What stands in `v` of each record; nothing in the first. The second is the text it stands for, where it has one.
const VALUES: &[(&str, Option<&str>)] = &[
    ("", None),
    ("null", None),
    ("[1,\"x\"]", None),
    ("{\"a\":1}", None),
    ("\"\"", Some("")),
    ("0", Some("0")),
    ("-0.50", Some("-0.50")),
    ("true", Some("true")),
    ("9007199254740993", Some("9007199254740993")),
    ("1e400", Some("1e400")),
    ("\"../../admin\"", Some("../../admin")),
    ("\"..\"", Some("..")),
    ("\"{{record.secret}}\"", Some("{{record.secret}}")),
    ("\"= 1 + 1\"", Some("= 1 + 1")),
    ("\"$.secret\"", Some("$.secret")),
    ("\"say \\\"hi\\\" & 'bye' <b>\"", Some("say \"hi\" & 'bye' <b>")),
    ("\"]]><!--\"", Some("]]><!--")),
    ("\"a,b;c=d&e=f\"", Some("a,b;c=d&e=f")),
    ("\"a\\r\\nX-Evil: 1\"", Some("a\r\nX-Evil: 1")),
    ("\"a\\nb\"", Some("a\nb")),
    ("\"\\u0000\"", Some("\0")),
    ("\"half \\ud83d\"", None),
    ("\"é́👩‍👩‍👧 ％\"", Some("é́👩‍👩‍👧 ％")),
];

/// Where the value goes, the keys of the import that send it there, and how a reader that is not ours finds it.
type Place = (&'static str, &'static str, fn(&Request) -> Option<String>);

fn form(text: &str, name: &str) -> Option<String> {
    let mut found = url::form_urlencoded::parse(text.as_bytes()).filter(|(n, _)| n == name);
    let value = found.next()?.1.into_owned();
    found.next().is_none().then_some(value)
}

/// The member as it is written, texts decoded: readers of numbers lose digits.
fn json(request: &Request) -> Option<String> {
    let (_, rest) = request.body.split_once("\"v\":")?;
    let written = rest.trim().strip_suffix('}')?.trim();
    if written.starts_with('"') { serde_json::from_str(written).ok() } else { Some(written.to_owned()) }
}

fn xml(request: &Request) -> Option<String> {
    let document =
        roxmltree::Document::parse(&request.body).unwrap_or_else(|error| panic!("{error}: {}", request.body));
    let v = document.descendants().find(|node| node.has_tag_name("v"))?;
    v.children().all(|child| child.is_text()).then(|| v.text().unwrap_or_default().to_owned())
}

/// Two columns, read by hand as RFC 4180 says.
fn csv(request: &Request) -> Option<String> {
    let (_, row) = request.body.split_once('\n')?;
    let (_, cell) = row.trim_end_matches("\r\n").trim_end_matches('\n').split_once(',')?;
    if let Some(quoted) = cell.strip_prefix('"') {
        return Some(quoted.strip_suffix('"')?.replace("\"\"", "\""));
    }
    assert!(!cell.contains([',', '\n', '\r', '"']), "{}", request.body);
    Some(cell.to_owned())
}

const PLACES: &[Place] = &[
    ("path", "relative_uri = \"/taken/{{record.id}}/{{record.v}}/end\"\nbody = {}\n", |request| {
        let segments: Vec<&str> = request.path().split('/').collect();
        assert_eq!((segments.len(), segments[4]), (5, "end"), "{}", request.target);
        Some(percent_encoding::percent_decode_str(segments[3]).decode_utf8().unwrap().into_owned())
    }),
    ("query of the URI", "relative_uri = \"/taken/{{record.id}}?v={{record.v}}\"\nbody = {}\n", |request| {
        form(request.target.split_once('?')?.1, "v")
    }),
    ("query", "query = { v = \"{{record.v}}\" }\nbody = {}\n", |request| form(request.target.split_once('?')?.1, "v")),
    ("query by path", "query = { v = \"$.v\" }\nbody = {}\n", |request| form(request.target.split_once('?')?.1, "v")),
    ("header", "headers = { X-V = \"{{record.v}}\" }\nbody = {}\n", |request| request.header("x-v").map(str::to_owned)),
    ("header by path", "headers = { X-V = \"$.v\" }\nbody = {}\n", |request| request.header("x-v").map(str::to_owned)),
    ("JSON", "body = { v = \"$.v\" }\n", json),
    ("JSON by template", "body = { v = \"{{record.v}}\" }\n", json),
    ("JSON by expression", "body = { v = \"= record.v\" }\n", json),
    ("JSON as text", "body = '{\"v\": \"{{record.v}}\"}'\n", json),
    ("XML", "media_type = \"xml\"\nbody = { r = { v = \"$.v\" } }\n", xml),
    ("XML as text", "media_type = \"xml\"\nbody = \"<r><v>{{record.v}}</v></r>\"\n", xml),
    ("form", "media_type = \"form\"\nbody = { v = \"$.v\" }\n", |request| form(&request.body, "v")),
    ("form as text", "media_type = \"form\"\nbody = \"v={{record.v}}\"\n", |request| form(&request.body, "v")),
    ("CSV", "media_type = \"csv\"\nbody = { id = \"$.id\", v = \"$.v\" }\n", csv),
];

/// What a place cannot carry, whatever it is written like: then nothing is sent.
fn carries(place: &str, text: &str) -> bool {
    match place {
        // A dot segment is a way, not a name; and a name that is empty is another address.
        "path" => !matches!(text, "" | "." | ".."),
        "header" | "header by path" => !text.contains(['\r', '\n', '\0']),
        "XML" | "XML as text" => !text.contains('\0'),
        _ => true,
    }
}

/// Requests by id of their record, and messages by record of those that were not sent.
fn sent(import: &str) -> (BTreeMap<u64, Vec<Request>>, BTreeMap<u64, Vec<String>>) {
    let record = |(n, (json, _)): (usize, &(&str, Option<&str>))| {
        let v = if json.is_empty() { String::new() } else { format!(",\"v\":{json}") };
        format!("{{\"id\":{n},\"secret\":\"s3cr3t\"{v}}}")
    };
    let page = format!("[{}]", VALUES.iter().enumerate().map(record).collect::<Vec<_>>().join(","));
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, page.clone()),
        _ => Reply::json(201, "{}"),
    });
    let uri = if import.contains("relative_uri") { "" } else { "relative_uri = \"/taken/{{record.id}}\"\n" };
    let flow = format!(
        "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n[import]\nconnection = \"api\"\n{uri}{import}"
    );
    let project = project(&api, QUICK, &flow);
    run(project.dir(), &["run", "copy"]).expect_code(1);
    let mut requests: BTreeMap<u64, Vec<Request>> = BTreeMap::new();
    for request in api.requests().into_iter().filter(|request| request.method == "POST") {
        assert!(request.header("x-evil").is_none());
        let id = request.path().split('/').nth(2).unwrap().parse().unwrap();
        requests.entry(id).or_default().push(request);
    }
    let document = |args: &[&str]| -> Value {
        let shown = run(project.dir(), &[args, &["--json"]].concat()).expect_code(0).stdout;
        // A record is shown as it came, with what this reader cannot read.
        serde_json::from_str(&shown.replace("\\ud83d", "?")).unwrap()
    };
    let listed = document(&["errors", "list", "--each"]);
    let numbers: Vec<String> = listed["errors"].as_array().unwrap().iter().map(|row| row["id"].to_string()).collect();
    let asked: Vec<&str> = ["errors", "show"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    let mut errors: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for error in document(&asked)["errors"].as_array().unwrap() {
        let id = error["record"]["id"].as_u64().unwrap();
        errors.entry(id).or_default().push(error["message"].as_str().unwrap().to_owned());
    }
    (requests, errors)
}

#[test]
fn a_value_arrives_as_it_is_or_its_record_is_one_error_that_names_the_field() {
    let mut wrong = Vec::new();
    for (place, import, find) in PLACES {
        let (requests, errors) = sent(import);
        for (n, (json, text)) in VALUES.iter().enumerate() {
            let (sent, errors) = (requests.get(&(n as u64)), errors.get(&(n as u64)));
            let right = match (sent.map(Vec::as_slice), errors.map(Vec::as_slice)) {
                (Some([request]), None) => {
                    let found = find(request);
                    let leaked = format!("{} {}", request.target, request.body).contains("s3cr3t");
                    let as_it_is = match text {
                        Some(text) => found.as_deref() == Some(*text),
                        // What is no text may stand where there are other things than texts, and nowhere else.
                        None => {
                            matches!(*place, "JSON" | "JSON by expression") && found.as_deref() == Some(*json)
                                || shown_otherwise(place, json, request)
                        }
                    };
                    as_it_is && !leaked
                }
                (None, Some([message])) => {
                    text.is_none_or(|text| !carries(place, text))
                        && names_the_field(place, message)
                        && !message.contains("s3cr3t")
                        && !message.contains("Evil")
                }
                _ => false,
            };
            if !right {
                let shown =
                    sent.map(|sent| sent.iter().map(|r| format!("{} {}", r.target, r.body)).collect::<Vec<_>>());
                wrong.push(format!("{place} of {json:?}: sent {shown:?}, errors {errors:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), PLACES.len() * VALUES.len(), wrong.join("\n"));
}

/// The field of the record, or the one of the request that is made of it alone.
fn names_the_field(place: &str, message: &str) -> bool {
    message.contains("record.v") || message.contains("`v`") || message.contains("$.v") || {
        let of = match place {
            "path" | "query of the URI" => "relative_uri",
            "header" | "header by path" => "X-V",
            _ => "v:",
        };
        message.to_lowercase().contains(&of.to_lowercase())
    }
}

/// Lists, objects and null in places that have a way of their own to write them.
fn shown_otherwise(place: &str, json: &str, request: &Request) -> bool {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    match (place, json) {
        // JSON carries on what no text can hold, as it came.
        ("JSON" | "JSON by expression", "\"half \\ud83d\"") => request.body.contains(json),
        // A list repeats the name.
        // A template joins lists, prints maps as JSON and null as nothing, also in a URI and a header.
        (_, "[1,\"x\"]") if is_template(place) => says(place, request, "1,x"),
        (_, "{\"a\":1}") if is_template(place) => says(place, request, json),
        (_, "null") if is_template(place) => says(place, request, ""),
        ("query by path", "[1,\"x\"]") => request.target.ends_with("?v=1&v=x"),
        ("header by path", "[1,\"x\"]") => request.header("x-v") == Some("1"),
        ("form", "[1,\"x\"]") => matches!(&*decoded(&request.body), "v=1&v=x" | "v[]=1&v[]=x" | "v[0]=1&v[1]=x"),
        ("form", "{\"a\":1}") => decoded(&request.body) == "v[a]=1",
        ("XML", "[1,\"x\"]") => request.body.contains("<v>1</v><v>x</v>"),
        ("XML", "{\"a\":1}") => request.body.contains("<v><a>1</a></v>"),
        (_, "null") => !request.body.contains("null") && !request.target.contains("null"),
        _ => false,
    }
}

fn is_template(place: &str) -> bool {
    PLACES.iter().any(|(name, import, _)| *name == place && import.contains("{{record.v}}"))
}

fn says(place: &str, request: &Request, text: &str) -> bool {
    PLACES.iter().any(|(name, _, find)| *name == place && find(request).as_deref() == Some(text))
}

/// What tells records apart may be nothing, or tell nothing: each is a record all the same.
#[test]
fn an_id_that_is_null_zero_empty_or_repeated_is_a_record_like_any_other() {
    let page = r#"[{"id":null,"n":1},{"id":0,"n":2},{"id":"","n":3},{"id":7,"n":4},{"id":7,"n":5},{"n":6}]"#;
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, page),
        _ => Reply::json(201, "{}"),
    });
    let export = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\ntrace_key = \"{{default record.id \\\"none\\\"}}\"\n";
    let plain = format!("{export}[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n");
    let ours = project(&api, QUICK, &plain);
    run(ours.dir(), &["run", "copy"]).expect_code(0);
    let mut numbers: Vec<u64> = api.requests_to("/taken").iter().map(|r| r.json()["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    // A lock makes those of one key wait for each other, and loses none; where there is no key there is an error.
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, page),
        _ => Reply::json(201, "{}"),
    });
    let locked = format!("{plain}lock_key = \"{{{{record.id}}}}\"\nidempotency_key = \"k{{{{record.id}}}}\"\n");
    let ours = project(&api, QUICK, &locked);
    let ended = run(ours.dir(), &["run", "copy", "--json"]).expect_code(1);
    let records = crate::support::flow::account(&ended)["records"].clone();
    let requests = api.requests_to("/taken");
    assert_eq!(records["delivered"], requests.len(), "{records}");
    assert_eq!(records["delivered"].as_u64().unwrap() + records["failed"].as_u64().unwrap(), 6, "{records}");
    let keys: Vec<_> = requests.iter().map(|r| r.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.iter().filter(|key| *key == "k7").count(), 2, "{keys:?}");
}
