//! Every way of turning pages, every way of ending, and APIs that lead in circles.

use crate::support::api::{Api, Reply, Request};
use crate::support::command::{Ended, run};
use crate::support::flow::{QUICK, TAKE, copy, ids, lines, taken};
use crate::support::project::{ORDER_BODY, Project};
use flowgate::playground::{Playground, Settings};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// `{"data":[{"id":…}…]` and what stands beside it.
fn page(records: RangeInclusive<u64>, beside: &str) -> Reply {
    let data: Vec<String> = records.map(|id| format!("{{\"id\":{id}}}")).collect();
    Reply::json(200, format!("{{\"data\":[{}]{beside}}}", data.join(",")))
}

/// Three pages of two records by number.
fn numbered(number: u64) -> Reply {
    if number > 3 { page(RangeInclusive::new(1, 0), "") } else { page(2 * number - 1..=2 * number, "") }
}

/// A query parameter of a request.
fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.target.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

fn number(request: &Request, name: &str) -> u64 {
    query(request, name).map_or(1, |text| text.parse().unwrap())
}

/// An export-only flow with this paging.
fn export(keys: &str, paging: &str) -> String {
    format!("[export]\nconnection = \"api\"\nrelative_uri = \"/r\"\nrecords = \"$.data[*]\"\n{keys}\n{paging}\n")
}

fn read(api: &Api, paging: &str) -> Ended {
    copy(api, QUICK, &export("", paging), &[])
}

#[track_caller]
fn expect_all(ended: Ended, last: u64) {
    let ended = ended.expect_code(0);
    assert_eq!(ids(&lines(&ended)), (1..=last).collect::<Vec<_>>());
}

/// A failed export that names its reason and keeps what came before it.
#[track_caller]
fn expect_failed(ended: Ended, kept: u64, reason: &str) {
    let ended = ended.expect_code(69);
    assert_eq!(ids(&lines(&ended)), (1..=kept).collect::<Vec<_>>(), "{}", ended.stderr);
    assert!(ended.stderr.contains(reason) && ended.stderr.contains("copy"), "{}", ended.stderr);
}

#[test]
fn every_method_brings_every_record_exactly_once() {
    let playground = Playground::start(Settings { records: 530, limit: Some(4), ..Settings::default() }).unwrap();
    let project = Project::new();
    project.connection("shop", &playground.base_uri(), "").connection(
        "erp",
        &playground.base_uri(),
        "concurrency_level = 4",
    );
    let methods = [
        ("page", "/page", "page]\nparam = \"page\"\nsize_param = \"per_page\"\nsize = 100"),
        ("skip", "/offset", "skip]\nparam = \"offset\"\nsize_param = \"limit\"\nsize = 100"),
        ("token", "/cursor", "token]\nparam = \"cursor\"\npath = \"next_cursor\"\nsize_param = \"limit\"\nsize = 100"),
        ("next", "/next?per_page=100", "next_url]\npath = \"$.next_url\""),
        ("link", "/link?per_page=100", "link_header]"),
    ];
    for (name, uri, method) in methods {
        let records = if name == "link" { "" } else { "records = \"data\"\n" };
        let flow = format!(
            "[export]\nconnection = \"shop\"\nrelative_uri = \"{uri}\"\n{records}[export.paging.{method}\n\
             [import]\nconnection = \"erp\"\nrelative_uri = \"/sink/{name}\"\n{ORDER_BODY}"
        );
        project.write(&format!("flows/{name}.toml"), &flow);
    }
    run(project.dir(), &["run", "page", "skip", "token", "next", "link"]).expect_code(0);
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    for (name, ..) in methods {
        assert_eq!(seen.destination(name).records.once, 530, "{name}");
    }
}

#[test]
fn a_token_comes_from_a_header_or_an_expression_and_is_not_sent_at_first() {
    for (source, header) in [("header = \"X-Next\"", true), ("from = \"= previous.last_record.id\"", false)] {
        let api = Api::start(move |request| {
            let after = query(request, "after").map_or(0, |text| text.parse().unwrap());
            if after >= 6 {
                return page(RangeInclusive::new(1, 0), "");
            }
            let reply = page(after + 1..=after + 2, "");
            if header && after < 4 { reply.header("x-next", &(after + 2).to_string()) } else { reply }
        });
        expect_all(read(&api, &format!("[export.paging.token]\nparam = \"after\"\n{source}")), 6);
        assert_eq!(api.requests()[0].target, "/r");
    }
}

#[test]
fn another_request_may_follow_the_first_one() {
    // Salesforce's way: the first page is a query, the others are where the page before says.
    let api = Api::start(|request| match request.path() {
        "/r" => page(1..=2, ",\"more\":\"a b/c\""),
        "/more/a%20b%2Fc" => Reply::json(200, "{\"rows\":[{\"id\":3},{\"id\":4}],\"more\":\"\"}"),
        other => panic!("{other}"),
    });
    let next = "[export.paging.next]\nrelative_uri = \"/more/{{previous.body.more}}?x={{default previous.body.x 1}}\"\nrecords = \"$.rows[*]\"";
    expect_all(read(&api, next), 4);
    assert_eq!(api.requests().len(), 2);

    // A body from page 2 on, alone.
    let api = Api::start(|request| match request.json()["after"].as_u64() {
        None => page(1..=2, ""),
        Some(2) => page(3..=4, ""),
        Some(_) => page(RangeInclusive::new(1, 0), ""),
    });
    let first = "method = \"POST\"\nbody = { all = true }";
    let next = "[export.paging.next]\nbody = { after = \"= previous.last_record.id\" }";
    expect_all(copy(&api, QUICK, &export(first, next), &[]), 4);
    let bodies: Vec<String> = api.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, ["{\"all\":true}", "{\"after\":2}", "{\"after\":4}"]);

    // Beside another method it only overrides: that one says when it ends.
    let api = Api::start(|request| {
        assert_eq!(request.path(), if request.number == 1 { "/r" } else { "/scroll" });
        numbered(number(request, "p"))
    });
    let next = "[export.paging.page]\nparam = \"p\"\n[export.paging.next]\nrelative_uri = \"/scroll\"";
    expect_all(read(&api, next), 6);

    // Its `relative_uri` says where, the link only that there is a page.
    let api = Api::start(|request| {
        assert_eq!(request.path(), if request.number == 1 { "/r" } else { "/scroll" });
        let n = request.number as u64;
        page(n..=n, if n < 3 { ",\"link\":\"/elsewhere\"" } else { "" })
    });
    let next = "[export.paging.next_url]\npath = \"link\"\n[export.paging.next]\n\
                relative_uri = \"/scroll?n={{page.number}}\"";
    expect_all(read(&api, next), 3);
}

#[test]
fn a_length_or_a_value_with_a_default_never_ends_the_export() {
    let start = || {
        Api::start(|request| {
            let n = request.number as u64;
            if n > 3 { page(RangeInclusive::new(1, 0), "") } else { page(2 * n - 1..=2 * n, "") }
        })
    };
    let api = start();
    let next = "[export.paging.next]\nrelative_uri = \"/r?page={{page.number}}&got={{previous.records.length}}&of={{add previous.body.data.length 1}}\"";
    expect_all(read(&api, next), 6);
    let asked: Vec<String> = api.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/r", "/r?page=2&got=2&of=3", "/r?page=3&got=2&of=3", "/r?page=4&got=2&of=3"]);

    let api = start();
    let next = "[export.paging.next]\nbody = { page = \"= page.number\", a = { pick = \"= previous.body.a\", default = \"d\" }, \
                b = { pick = \"= previous.body.b\", optional = true } }";
    expect_all(copy(&api, QUICK, &export("method = \"POST\"", next), &[]), 6);
    assert_eq!(api.requests()[1].body, "{\"page\":2,\"a\":\"d\"}");
}

#[test]
fn a_next_page_that_repeats_itself_is_left() {
    let api = Api::start(|request| page(request.number as u64..=request.number as u64, ",\"more\":\"x\""));
    let next = "[export.paging.next]\nrelative_uri = \"/r?at={{previous.body.more}}\"";
    expect_failed(read(&api, next), 2, "same");
    assert_eq!(api.requests().len(), 2);
}

#[test]
fn a_link_is_resolved_against_the_page_it_stands_on_and_sent_as_it_stands() {
    for link in ["/r/more?n=", "?n=", "ABSOLUTE"] {
        let api = Api::start(move |request| {
            let n = number(request, "n");
            let host = request.header("host").unwrap();
            let next = match link {
                "ABSOLUTE" => format!("http://{host}/r/more?n={}", n + 1),
                relative => format!("{relative}{}", n + 1),
            };
            page(n..=n, &if n < 3 { format!(",\"next\":\"{next}\"") } else { String::new() })
        });
        let flow = export("query = { fresh = \"yes\" }", "[export.paging.next_url]\npath = \"next\"");
        expect_all(copy(&api, "", &flow, &[]), 3);
        let targets: Vec<String> = api.requests().into_iter().map(|r| r.target).collect();
        assert_eq!(targets[0], "/r?fresh=yes");
        assert!(targets[1].ends_with("n=2") && !targets[1].contains("fresh"), "{targets:?}");
    }
}

#[test]
fn a_link_to_a_foreign_origin_is_refused_and_nothing_goes_there() {
    let foreign = Api::start(|_| page(2..=2, ""));
    let there = foreign.base();
    for link in [format!("{there}/x"), there.replace("http:", ""), "http://169.254.169.254/x".to_owned()] {
        let body = format!(",\"next\":\"{link}\"");
        let api = Api::start(move |_| page(1..=1, &body));
        let ended = read(&api, "[export.paging.next_url]\npath = \"next\"");
        expect_failed(ended, 1, "origin");
        assert_eq!(api.requests().len(), 1);
    }
    assert!(foreign.requests().is_empty());
    // The same through a Link header.
    let header = format!("<{there}/x>; rel=\"next\"");
    let api = Api::start(move |_| page(1..=1, "").header("link", &header));
    expect_failed(read(&api, "[export.paging.link_header]"), 1, "origin");
    assert!(foreign.requests().is_empty());
}

#[test]
fn a_stop_status_ends_without_error_and_on_the_first_page_means_no_records() {
    let paging = "[export.paging]\nstop_status = 404\n[export.paging.page]\nparam = \"p\"";
    let api = Api::start(|request| match number(request, "p") {
        n @ 1..=2 => numbered(n),
        _ => Reply::json(404, "{\"error\":\"no such page\"}"),
    });
    expect_all(read(&api, paging), 4);
    assert_eq!(api.requests().len(), 3);
    let api = Api::start(|_| Reply::json(404, "{}"));
    expect_all(read(&api, paging), 0);
    let ended = read(&api, "[export.paging.page]\nparam = \"p\"");
    expect_failed(ended, 0, "404");
    // A good status may be the end as well: 204 without a body.
    let api = Api::start(|request| match number(request, "p") {
        n @ 1..=2 => numbered(n),
        _ => Reply::raw(204, ""),
    });
    expect_all(read(&api, &paging.replace("404", "204")), 4);
}

#[test]
fn every_stop_rule_saves_the_request_that_would_bring_nothing() {
    let beside = |n: u64| format!(",\"total\":6,\"pages\":3,\"page\":{n},\"more\":{}", n < 3);
    for (options, requests) in [
        ("", 4),
        ("stop = { path = \"page\", values = [\"3\"] }", 3),
        ("stop_when = \"not previous.body.more\"", 3),
        ("stop_when = \"previous.number == 3 and previous.status == 200\"", 3),
        ("stop_when = \"previous.body.absent\"", 4),
        ("total_path = \"total\"", 3),
        ("pages_path = \"$.pages\"", 3),
    ] {
        let api = Api::start(move |request| match number(request, "p") {
            n @ 1..=3 => page(2 * n - 1..=2 * n, &beside(n)),
            _ => numbered(4),
        });
        expect_all(read(&api, &format!("[export.paging]\n{options}\n[export.paging.page]\nparam = \"p\"")), 6);
        assert_eq!(api.requests().len(), requests, "{options}");
    }
}

#[test]
fn a_short_page_may_be_the_last() {
    let api = Api::start(|request| match number(request, "p") {
        1 => page(1..=2, ""),
        2 => page(3..=3, ""),
        _ => panic!("asked on"),
    });
    let paging = "[export.paging]\nshort_page = \"stop\"\n\
                  [export.paging.page]\nparam = \"p\"\nsize_param = \"per\"\nsize = 2";
    expect_all(read(&api, paging), 3);
    assert_eq!(api.requests()[1].target, "/r?p=2&per=2");
}

#[test]
fn endless_pages_end_at_max_pages_with_an_error_that_keeps_them() {
    let api = Api::start(|request| {
        let n = number(request, "p");
        page(n..=n, "")
    });
    let ended = read(&api, "[export.paging]\nmax_pages = 5\n[export.paging.page]\nparam = \"p\"");
    expect_failed(ended, 5, "max_pages");
    assert_eq!(api.requests().len(), 5);
}

#[test]
fn the_parameter_may_be_left_out_of_the_first_request() {
    let api = Api::start(|request| numbered(number(request, "p")));
    expect_all(read(&api, "[export.paging.page]\nparam = \"p\"\nfirst = false"), 6);
    let targets: Vec<String> = api.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/r", "/r?p=2", "/r?p=3", "/r?p=4"]);
}

#[test]
fn paging_goes_into_the_body_of_a_post_and_into_headers() {
    let api = Api::start(|request| {
        let body = request.json();
        assert_eq!((request.method.as_str(), &body["query"]["kind"]), ("POST", &serde_json::json!("open")));
        assert_eq!(body["query"]["page"]["limit"], 2);
        numbered(body["query"]["page"]["number"].as_u64().unwrap())
    });
    let paging = "[export.paging.page]\nin = \"body\"\nparam = \"query.page.number\"\n\
                  size_param = \"query.page.limit\"\nsize = 2";
    let keys = "method = \"POST\"\nbody = { query = { kind = \"open\" } }";
    expect_all(copy(&api, "", &export(keys, paging), &[]), 6);

    let api = Api::start(|request| numbered(request.header("x-page").unwrap().parse().unwrap()));
    expect_all(read(&api, "[export.paging.page]\nin = \"header\"\nparam = \"X-Page\""), 6);
}

#[test]
fn an_export_that_posts_is_safe_to_send_again() {
    let mut tries = 0;
    let api = Api::start(move |_| {
        tries += 1;
        if tries == 1 { Reply::json(503, "{}") } else { page(1..=1, "") }
    });
    expect_all(copy(&api, QUICK, &export("method = \"POST\"\nbody = { a = 1 }", ""), &[]), 1);
    assert_eq!(api.requests().len(), 2);
}

#[test]
fn the_page_may_stand_in_the_request_itself() {
    let offsets = Api::start(|request| {
        let mut parts = request.path().split('/').skip(2);
        let offset: u64 = parts.next().unwrap().parse().unwrap();
        assert_eq!(parts.next(), Some("2"));
        if offset >= 6 { numbered(4) } else { page(offset + 1..=offset + 2, "") }
    });
    let flow = |uri: &str, paging: &str| export("", paging).replace("\"/r\"", &format!("\"{uri}\""));
    let uri = "/at/{{page.offset}}/{{page.size}}";
    expect_all(copy(&offsets, "", &flow(uri, "[export.paging.skip]\nsize = 2"), &[]), 6);

    let numbers = Api::start(|request| numbered(request.path().rsplit('/').next().unwrap().parse().unwrap()));
    expect_all(copy(&numbers, "", &flow("/n/{{page.number}}", "[export.paging.page]"), &[]), 6);

    let tokens = Api::start(|request| match query(request, "t").unwrap().as_str() {
        "" => page(1..=2, ",\"next\":\"a/b&c=d\""),
        "a/b&c=d" => page(3..=4, ",\"next\":null"),
        other => panic!("{other}"),
    });
    let paging = "[export.paging.token]\npath = \"next\"";
    expect_all(copy(&tokens, "", &flow("/t?t={{page.token}}", paging), &[]), 4);
}

#[test]
fn a_server_that_leads_in_a_circle_is_left_within_two_repeated_pages() {
    // Every circle with its paging, what it repeats from page 2 (or 4) on, and the records read before.
    type Script = fn(&Request) -> Reply;
    let circles: [(&str, Script, usize, u64); 6] = [
        // The parameter is ignored.
        ("page]\nparam = \"p\"", |_| page(1..=2, ""), 2, 2),
        ("skip]\nparam = \"o\"", |_| page(1..=2, ""), 2, 2),
        // The same token for ever, under bodies that differ.
        (
            "token]\nparam = \"t\"\npath = \"next\"",
            |r| page(r.number as u64..=r.number as u64, ",\"next\":\"x\""),
            3,
            2,
        ),
        // A link to itself, under bodies that differ.
        (
            "next_url]\npath = \"next\"",
            |r| page(r.number as u64..=r.number as u64, &format!(",\"next\":\"/r\",\"x\":{}", r.number)),
            2,
            1,
        ),
        // a -> b -> c -> a
        (
            "token]\nparam = \"t\"\npath = \"next\"",
            |r| {
                let next = ["a", "b", "c"][(r.number - 1) % 3];
                page(r.number as u64..=r.number as u64, &format!(",\"next\":\"{next}\""))
            },
            5,
            4,
        ),
        // Bodies 1, 2, 3, 1 under ever new tokens.
        (
            "token]\nparam = \"t\"\nheader = \"next\"",
            |r| {
                let n = (r.number as u64 - 1) % 3 + 1;
                page(n..=n, "").header("next", &r.number.to_string())
            },
            5,
            3,
        ),
    ];
    for (method, script, most, kept) in circles {
        let api = Api::start(script);
        let paging = format!("[export.paging.{method}");
        expect_failed(read(&api, &paging), kept, "same");
        let asked = api.requests().len();
        assert!(asked <= most, "{method}: {asked} requests");
    }
}

#[test]
fn records_read_before_a_circle_are_delivered() {
    let api = Api::start(|request| match request.method.as_str() {
        "POST" => Reply::json(201, "{}"),
        _ => page(1..=3, ""),
    });
    let flow = export("", "[export.paging.page]\nparam = \"p\"") + TAKE;
    copy(&api, QUICK, &flow, &[]).expect_code(69);
    assert_eq!(taken(&api), [1, 2, 3]);
}

#[test]
fn a_missing_records_path_is_an_error_that_names_it_unless_optional() {
    let api = Api::start(|_| Reply::json(200, "{\"items\":[{\"id\":1}]}"));
    let ended = read(&api, "");
    assert!(ended.stderr.contains("$.data[*]"), "{}", ended.stderr);
    expect_failed(ended, 0, "records_optional");
    expect_all(copy(&api, "", &export("records_optional = true", ""), &[]), 0);
    // An empty list is an answer, not a missing one.
    let api = Api::start(|_| Reply::json(200, "{\"data\":[]}"));
    expect_all(read(&api, ""), 0);
}

#[test]
fn an_answer_that_is_no_json_is_an_error_and_never_an_end() {
    for body in ["", "<html>", "{\"data\":[{\"id\":1}", "{\"data\":[]} trailing", "{\"data\":[1,]}", "\u{feff}nonsense"]
    {
        let api = Api::start(move |request| match number(request, "p") {
            1 => page(1..=1, ""),
            _ => Reply::json(200, body),
        });
        let ended = read(&api, "[export.paging.page]\nparam = \"p\"");
        expect_failed(ended, 1, "export page 2");
    }
}

#[test]
fn a_limit_ends_the_export_within_a_page_without_asking_on() {
    for (keys, args) in [("limit = 3", &[][..]), ("", &["--limit", "3"]), ("limit = 5", &["--limit", "3"])] {
        let api = Api::start(|request| numbered(number(request, "p")));
        let flow = export(keys, "[export.paging.page]\nparam = \"p\"");
        expect_all(copy(&api, "", &flow, args), 3);
        assert_eq!(api.requests().len(), 2);
    }
}

#[test]
fn many_small_pages_come_in_order() {
    let api = Api::start(|request| match number(request, "p") {
        n @ 1..=300 => page(n..=n, ""),
        _ => numbered(4),
    });
    let ended = read(&api, "[export.paging.page]\nparam = \"p\"");
    let mut expected = String::new();
    for id in 1..=300 {
        let _ = writeln!(expected, "{{\"id\":{id}}}");
    }
    assert_eq!(ended.stdout, expected);
}

#[test]
fn a_stop_rule_ends_paging_at_a_status_that_is_no_success() {
    for (stop, code) in
        [("status = 418", 0), ("status = \"4xx\", path = \"end\"", 0), ("status = 418, path = \"other\"", 69)]
    {
        let mut page = 0;
        let api = Api::start(move |_| {
            page += 1;
            if page < 3 { Reply::json(200, format!("[{{\"id\":{page}}}]")) } else { Reply::json(418, "{\"end\":true}") }
        });
        let flow = format!(
            "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n[export.paging]\nstop = {{ {stop} }}\n[export.paging.page]\nparam = \"p\"\n"
        );
        let ended = copy(&api, "", &flow, &[]).expect_code(code);
        assert_eq!(ids(&lines(&ended)), [1, 2], "{stop}");
        assert_eq!(api.requests().len(), 3, "{stop}");
    }
}
