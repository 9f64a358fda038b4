//! XML there and back: records, paths of every rule, bodies, and what hostile documents come to.

use crate::support::PATIENCE;
use crate::support::api::{Api, Reply, Request};
use crate::support::command::{Ended, finish, flowgate, run};
use crate::support::flow::{QUICK, copy, lines, project};
use serde_json::json;
use std::net::TcpListener;

const XML: &str = "media_type = \"xml\"\n";
const EXPORT: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"/orders/order\"\n";

fn xml(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply::raw(status, body).header("content-type", "application/xml")
}

/// Reads `/records` once and prints them.
fn export(reply: Reply, keys: &str, records: &str) -> Ended {
    let api = Api::scripted([("GET /records", vec![reply])]);
    let flow = format!("[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n{records}");
    copy(&api, &format!("{XML}{QUICK}{keys}"), &flow, &[])
}

/// Elements as any writer would write them, but for what must survive: text that looks like a number, order, white
/// space, entities, attributes, repeats, prefixes.
const ORDERS: [&str; 6] = [
    r#"<order id="007"><sku>1E9</sku><qty>12345678901234567890.10</qty></order>"#,
    "<order id=\"2\" note=\"&quot;a&quot; &amp; &lt;b&gt;&#10;&#9;c\"><name> Müller &amp; Söhne\n 😀 </name></order>",
    "<order><line no=\"1\">x</line><line no=\"2\">y</line><empty/></order>",
    "<order><tag>only</tag><text>cr&#13;lf ]]&gt;</text></order>",
    "<order>just text</order>",
    "<order><a><b><c><d>true</d></c></b></a><n>0.1</n><n>1e400</n></order>",
];

#[test]
fn an_export_and_an_import_in_xml_keep_every_byte() {
    let page = |range: std::ops::Range<usize>, next: &str| {
        format!("<?xml version=\"1.0\"?>\n<orders>\n  {}\n  <next>{next}</next>\n</orders>", ORDERS[range].join("\n  "))
    };
    let pages = [page(0..3, "/records?page=2"), page(3..6, "")];
    let api = Api::start(move |request| match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/records") => xml(200, pages[0].clone()),
        ("GET", "/records?page=2") => xml(200, pages[1].clone()),
        ("POST", "/taken") => xml(201, "<done/>"),
        _ => Reply::json(404, "{}"),
    });
    let flow = format!(
        "{EXPORT}[export.paging.next_url]\npath = \"/orders/next\"\n\
         [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n"
    );
    let keys = format!("{XML}concurrency_level = 1\n[xml]\nroot = \"order\"\n");
    copy(&api, &keys, &flow, &[]).expect_code(0);
    let taken = api.requests_to("/taken");
    let expected: Vec<String> =
        ORDERS.iter().map(|order| format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{order}")).collect();
    assert_eq!(taken.iter().map(|request| request.body.clone()).collect::<Vec<_>>(), expected);
    assert!(taken.iter().all(|request| request.header("content-type") == Some("application/xml")));
}

#[test]
fn records_have_attributes_repeats_local_names_and_lists_of_one() {
    let body = "<s:orders xmlns:s='urn:s' xmlns='urn:o'><order id='1'><s:sku>7</s:sku><tag>a</tag></order>\
                <order id='2'><sku>8</sku><tag>a</tag><tag>b</tag>mixed</order></s:orders>";
    let keys = "[xml]\narray_paths = [\"orders/order/tag\"]\n[xml.namespaces]\nx = \"urn:s\"\no = \"urn:o\"\n";
    let expected = [
        json!({"@id": "1", "sku": "7", "tag": ["a"]}),
        json!({"@id": "2", "sku": "8", "tag": ["a", "b"], "#text": "mixed"}),
    ];
    for path in ["/x:orders/o:order", "x:orders/o:order", "//*:order", "//o:order[o:tag]", "/*/*[@id > 0]"] {
        let ended = export(xml(200, body), keys, &format!("records = \"{path}\"\n")).expect_code(0);
        assert_eq!(lines(&ended), expected, "{path}");
    }
    let ended = export(xml(200, body), keys, "records = \"/orders/order\"\n").expect_code(69);
    assert!(ended.stderr.contains("is not in the answer"), "{}", ended.stderr);
    let whole = export(xml(200, "<order><id>1</id></order>"), "", "").expect_code(0);
    assert_eq!(lines(&whole), [json!({"id": "1"})]);
    let none = export(xml(200, "<orders/>"), "", "records = \"/orders/order\"\n").expect_code(0);
    assert_eq!(none.stdout, "");
}

#[test]
fn bodies_are_texts_that_must_be_well_formed_or_trees() {
    let sent = |import: &str, keys: &str| {
        let data = r#"[{"id":1,"name":"R&D <x> \"q\" 'a'","tags":["a","b"]}]"#;
        let api =
            Api::scripted([("GET /records", vec![Reply::json(200, data)]), ("POST /taken", vec![xml(200, "<ok/>")])]);
        let flow = format!(
            "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n\
             [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n{import}"
        );
        let ended = copy(&api, &format!("{XML}success_media_type = \"json\"\n{keys}"), &flow, &[]);
        (ended, api.requests_to("/taken").first().map(|request| request.body.clone()).unwrap_or_default())
    };
    let (ended, body) = sent(
        "body = '<o n=\"{{record.name}}\">{{record.name}}{{{record.id}}}</o>'\nsuccess_media_type = \"xml\"\n",
        "",
    );
    let escaped = "R&amp;D &lt;x&gt; &quot;q&quot; &apos;a&apos;";
    ended.expect_code(0);
    assert_eq!(body, format!("<o n=\"{escaped}\">{escaped}1</o>"));
    let (ended, body) = sent("body = '<o>{{{record.name}}}</o>'\n", "");
    let ended = ended.expect_code(1);
    assert!(body.is_empty() && ended.stderr.contains("the rendered text is not XML"), "{}", ended.stderr);
    let tree = "success_media_type = \"xml\"\n[import.body.\"o:Order\"]\n'@id' = \"$.id\"\n\"o:Tag\" = \"$.tags\"\n\
                '#text' = \"{{record.name}}\"\n";
    let (ended, body) = sent(tree, "[xml]\nnamespaces = { o = \"urn:o\" }\n");
    ended.expect_code(0);
    let expected = "<o:Order xmlns:o=\"urn:o\" id=\"1\"><o:Tag>a</o:Tag><o:Tag>b</o:Tag>\
                    R&amp;D &lt;x&gt; \"q\" 'a'</o:Order>";
    assert_eq!(body.split_once('\n').unwrap().1, expected);
}

#[test]
fn a_batch_is_wrapped_in_a_root_of_its_own() {
    let page = xml(200, format!("<orders>{}</orders>", ORDERS[2..5].concat()));
    let api = Api::scripted([("GET /records", vec![page]), ("POST /taken", vec![xml(200, "<ok/>")])]);
    let flow = format!(
        "{EXPORT}[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\nbatch_size = 2\nwrap = \"order\"\n"
    );
    copy(&api, &format!("{XML}concurrency_level = 1\n[xml]\nroot = \"orders\"\n"), &flow, &[]).expect_code(0);
    let bodies: Vec<String> =
        api.requests_to("/taken").iter().map(|r| r.body.split_once('\n').unwrap().1.to_owned()).collect();
    let expected = [format!("<orders>{}</orders>", ORDERS[2..4].concat()), format!("<orders>{}</orders>", ORDERS[4])];
    assert_eq!(bodies, expected);
}

/// What a ping of a connection with these rules says about an answer.
fn ping(reply: &Reply, keys: &str, code: i32) -> serde_json::Value {
    let api = Api::scripted([("GET /me", vec![reply.clone()])]);
    let project = crate::support::project::Project::new();
    project.connection("shop", &api.base(), &format!("{XML}[ping]\nrelative_uri = \"/me\"\n{keys}"));
    let ended = run(project.dir(), &["ping", "shop", "--json"]).expect_code(code);
    serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()["pings"][0].clone()
}

#[test]
fn verdicts_and_messages_are_found_by_xpath() {
    let good = xml(200, "<r><status>ok</status><count>2</count></r>");
    let bad =
        xml(200, "<r><status>failed</status><error code='7'>no <b>such</b> thing</error><error>twice</error></r>");
    for (rule, on_good, on_bad) in [
        ("success = { path = \"/r/status\", values = [\"ok\"] }", 0, 1),
        ("success = { path = \"r/status\", values = [\"ok\", \"fine\"] }", 0, 1),
        ("failure = { path = \"/r/error\" }", 0, 1),
        ("failure = { path = \"//error/@code\", values = [\"7\"] }", 0, 1),
        ("failure = { path = \"count(//error) > 1\" }", 0, 1),
        ("failure = { path = \"//error/@code\", values = [\"8\"] }", 0, 0),
        ("success = { path = \"/r/none\" }", 1, 1),
        ("success = { path = \"number(/r/count) = 2\", values = [\"true\"] }", 0, 1),
    ] {
        ping(&good, &format!("{rule}\n"), on_good);
        ping(&bad, &format!("{rule}\n"), on_bad);
    }
    let rule = "failure = { path = \"/r/error\" }\n";
    let message = |path: &str| ping(&bad, &format!("{rule}error_path = \"{path}\"\n"), 1)["message"].clone();
    assert_eq!(message("string(/r/error)"), "no such thing");
    assert_eq!(message("//error/@code"), "7");
    assert_eq!(message("//error[2] | /r/status"), "failed; twice");
    // Another media type for errors: JSON paths are read there.
    let mixed = "error_media_type = \"json\"\nsuccess = { path = \"/r/status\" }\nerror_path = \"$.why\"\n";
    assert_eq!(ping(&Reply::json(400, "{\"why\":\"not you\"}"), mixed, 1)["message"], "not you");
    assert_eq!(ping(&good, mixed, 0)["verdict"], "ok");
}

#[test]
fn limits_and_authentication_failures_hide_in_xml() {
    let answers = vec![
        xml(200, "<r><state>Throttled</state></r>").header("retry-after", "0"),
        xml(200, "<r><state>ok</state></r>"),
    ];
    let api = Api::scripted([("GET /records", vec![xml(200, "<r><i>1</i></r>")]), ("POST /taken", answers)]);
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"/r/i\"\n\
                [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\nbody = \"<i>{{record}}</i>\"\n";
    let keys = format!(
        "{XML}{QUICK}[rate_limit]\nstatus = 200\npath = \"/r/state\"\nvalues = [\"Throttled\"]\nretry_after_unit = \"ms\"\n"
    );
    copy(&api, &keys, flow, &[]).expect_code(0);
    assert_eq!(api.requests_to("/taken").len(), 2, "the limited request is sent again");
    let denied = xml(200, "<r><reason>Authentication</reason></r>");
    let api = Api::scripted([("GET /records", vec![denied])]);
    let rule = "[auth.basic]\nusername = \"u\"\npassword = { env = \"PATH\" }\n[auth_failure]\nstatus = 200\npath = \"/r/reason\"\nvalues = [\"Authentication\"]\n";
    copy(&api, &format!("{XML}{rule}"), flow, &[]).expect_code(77);
}

#[test]
fn pages_are_turned_by_tokens_and_totals_in_xml() {
    let api = Api::start(|request: &Request| match request.target.as_str() {
        "/records" => xml(200, "<r total='3'><i>1</i><i>2</i><cursor>n&amp;2</cursor></r>"),
        "/records?cursor=n%262" => xml(200, "<r total='3'><i>3</i><cursor/></r>"),
        other => Reply::json(404, format!("{{\"not\":\"{other}\"}}")),
    });
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"/r/i\"\n\
                [export.paging]\ntotal_path = \"/r/@total\"\nstop = { path = \"/r/stop\" }\n\
                [export.paging.token]\nparam = \"cursor\"\npath = \"r/cursor\"\n";
    let ended = copy(&api, XML, flow, &[]).expect_code(0);
    assert_eq!(lines(&ended), [json!("1"), json!("2"), json!("3")]);
    assert_eq!(api.requests_to("/records").len(), 2);
}

#[test]
fn a_token_is_asked_for_and_found_in_xml() {
    let api = Api::start(|request: &Request| match (request.path(), request.header("authorization")) {
        ("/token", _) if request.body.contains("<grant>g1&lt;old</grant>") => xml(
            200,
            "<t:answer xmlns:t='urn:t'><t:token>t2&amp;new</t:token><t:life>3600</t:life><t:grant>g2</t:grant></t:answer>",
        ),
        ("/token", _) => xml(400, "<e><code>gone</code></e>"),
        ("/records", Some("Bearer t2&new")) => xml(200, "<r><i>1</i></r>"),
        _ => xml(401, "<e/>"),
    });
    let keys = format!(
        "{XML}[xml]\nnamespaces = {{ t = \"urn:t\" }}\n[auth.token]\ntoken = {{ env = \"FIRST\" }}\n[auth.token.refresh]\n\
         relative_uri = \"/token\"\nmedia_type = \"xml\"\nrefresh_token = {{ env = \"GRANT\" }}\n\
         token_path = \"/t:answer/t:token\"\nrefresh_token_path = \"t:answer/t:grant\"\nexpires_in_path = \"//t:life\"\n\
         rejected = {{ status = 400, path = \"/e/code\", values = [\"gone\"] }}\n"
    );
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"/r/i\"\n";
    let go = |body: &str, grant: &str| {
        let project = project(&api, &format!("{keys}{body}"), flow);
        let mut command = flowgate(project.dir());
        command.args(["run", "copy"]).env("FIRST", "t1").env("GRANT", grant);
        finish(command, PATIENCE)
    };
    for body in [
        "body = { ask = { grant = \"{{auth.refresh_token}}\" } }\n",
        "body = \"<ask><grant>{{auth.refresh_token}}</grant></ask>\"\n",
    ] {
        let ended = go(body, "g1<old").expect_code(0);
        assert_eq!(lines(&ended), [json!("1")], "{body}");
        let asked = api.requests_to("/token").pop().unwrap();
        assert_eq!(asked.header("content-type"), Some("application/xml"));
        assert_eq!(asked.header("accept"), Some("application/xml, text/xml"));
    }
    let ended = go("body = { ask = { grant = \"{{auth.refresh_token}}\" } }\n", "g0").expect_code(77);
    assert!(ended.stderr.contains("log in again"), "{}", ended.stderr);
}

#[test]
fn hostile_documents_are_failed_exports_and_nothing_is_fetched() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let port = trap.local_addr().unwrap().port();
    let laughs: Vec<String> =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let attributes: Vec<String> = (0..200_000).map(|n| format!(" a{n}='1'")).collect();
    let (laughs, attributes) = (laughs.concat(), attributes.concat());
    for (what, body, why) in [
        ("laughs", format!("<!DOCTYPE r [<!ENTITY l0 \"lol\">{laughs}]><r>&l9;</r>"), "document type (DTD)"),
        (
            "file",
            "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/hostname\">]><r>&x;</r>".to_owned(),
            "document type (DTD)",
        ),
        ("port", format!("<!DOCTYPE r SYSTEM \"http://127.0.0.1:{port}/x.dtd\"><r/>"), "document type (DTD)"),
        ("deep", "<a>".repeat(50_000) + &"</a>".repeat(50_000), "nest deeper than 128"),
        ("open", "<a><b>".to_owned(), "the document ends before its elements are closed"),
        ("tag", "<a><b x='1".to_owned(), "not XML"),
        ("html", "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></html>".to_owned(), "an HTML page"),
        ("json", "{\"a\":1}".to_owned(), "not XML but JSON"),
        ("attributes", format!("<r{attributes}/>"), "more attributes or namespaces"),
        ("twice", "<r a='1' a='2'/>".to_owned(), "the attribute `a` stands there twice"),
        ("prefix", "<p:r/>".to_owned(), "the prefix `p` is not bound"),
    ] {
        let ended = export(xml(200, body), "", "records = \"/r\"\n").expect_code(69);
        assert!(ended.stderr.contains(why) && ended.stdout.is_empty(), "{what}: {}", ended.stderr);
    }
    assert!(trap.accept().is_err(), "somebody followed the reference");
    let wide: Vec<u8> = "\u{feff}<?xml version='1.0' encoding='UTF-16'?><r><i>ü€😀</i></r>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = "\u{feff}<r><i>ü€😀</i></r>".as_bytes().to_vec();
    for body in [wide, marked] {
        let ended = export(xml(200, body), "", "records = \"/r/i\"\n").expect_code(0);
        assert_eq!(lines(&ended), [json!("ü€😀")]);
    }
    let bomb = format!("<r>{}</r>", "<a><b/></a>".repeat(20_000));
    let ended = export(xml(200, bomb), "", "records = \"//*[count(//*) > 0]\"\n").expect_code(69);
    assert!(ended.stderr.contains("looks at too many nodes"), "{}", ended.stderr);
}

#[test]
fn the_answers_own_type_decides_where_nothing_is_said() {
    let api = Api::scripted([(
        "GET /records",
        vec![Reply::raw(200, "<r><i>1</i></r>").header("content-type", "application/atom+xml; charset=utf-8")],
    )]);
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"/r/i\"\n";
    assert_eq!(lines(&copy(&api, "", flow, &[]).expect_code(0)), [json!("1")]);
}
