//! APIs and data that mean harm: every one ends in a bounded time, with an error that says what and where.

use crate::support::api::{Api, Gate, Reply, Request};
use crate::support::command::{Ended, flowgate, run};
use crate::support::flow::{QUICK, TAKE, account, copy, ids, lines, project, taken};
use crate::support::now;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

const EXPORT: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";

/// A gzip stream of this many zero bytes, made by hand: one deflate block of fixed codes, thirteen bits for every
/// 258 bytes. It has no end, which nobody should ever reach.
fn bomb(bytes: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut held, mut count) = (0_u32, 0);
    let mut push = |bits: &[u8]| {
        for bit in bits {
            held |= u32::from(*bit) << count;
            count += 1;
            if count == 8 {
                out.push(u8::try_from(held).unwrap());
                (held, count) = (0, 0);
            }
        }
    };
    push(&[0, 1, 0]);
    // A zero byte as a literal, then lengths of 258 at distance 1. Huffman codes go highest bit first.
    push(&[0, 0, 1, 1, 0, 0, 0, 0]);
    for _ in 0..bytes / 258 {
        push(&[1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
    }
    out
}

#[test]
fn a_gzip_bomb_is_refused_at_the_cap_and_memory_stays_bounded() {
    let bomb = bomb(512 << 20);
    assert!(bomb.len() < 4 << 20);
    let gate = Gate::default();
    let behind = gate.clone();
    let api = Api::start(move |request| match request.path() {
        "/records" => Reply::raw(200, bomb.clone()).header("content-encoding", "gzip"),
        _ => Reply::json(200, "[]").behind(&behind),
    });
    let project = project(&api, "", EXPORT);
    project.write("flows/held.toml", &EXPORT.replace("/records", "/held"));
    let mut child = flowgate(project.dir()).args(["run", "copy", "held", "--log-level", "error"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    // The flow has ended; the other one keeps the process alive.
    while !line.contains("max_response") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended without a word about max_response");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    gate.open();
    std::io::copy(&mut stderr, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(69));
    assert!(peak < 200 << 10, "{peak} KiB at the most");
}

#[test]
fn a_cap_counts_decoded_bytes_and_may_be_lowered() {
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::raw(200, bomb(1 << 20)).header("content-encoding", "gzip"),
        _ => Reply::json(200, format!("[\"{}\"]", "x".repeat(70_000))),
    });
    for uri in ["/records", "/plain"] {
        let flow = EXPORT.replace("/records", uri);
        let ended = copy(&api, "max_response = \"64KiB\"", &flow, &[]).expect_code(69);
        assert!(ended.stderr.contains("max_response"), "{}", ended.stderr);
    }
    copy(&api, "max_response = \"128KiB\"", &EXPORT.replace("/records", "/plain"), &[]).expect_code(0);
}

#[test]
fn an_encoding_that_lies_is_an_error() {
    let api = Api::start(|_| Reply::json(200, "[{\"id\":1}]").header("content-encoding", "gzip"));
    let ended = copy(&api, QUICK, EXPORT, &[]).expect_code(69);
    assert!(ended.stderr.contains("encod"), "{}", ended.stderr);
    assert!(ended.stdout.is_empty());
}

#[test]
fn a_server_that_always_hangs_up_is_given_up_after_the_attempts_allowed() {
    for reply in [Reply::hang_up(), Reply::json(200, "[{\"id\":1},{\"id\":2}]").cut_after(9)] {
        let api = Api::start(move |_| reply.clone());
        let ended = copy(&api, QUICK, EXPORT, &[]).expect_code(69);
        assert_eq!(api.requests().len(), 3);
        assert!(ended.stderr.contains("copy: export page 1"), "{}", ended.stderr);
        assert!(ended.stdout.is_empty(), "half an answer is none");
    }
}

#[test]
fn a_body_that_stalls_and_an_answer_that_never_comes_run_into_the_timeout() {
    let gate = Gate::default();
    for reply in [Reply::json(200, "[{\"id\":1}]").stall_after(4), Reply::json(200, "[]").behind(&gate)] {
        let api = Api::start(move |_| reply.clone());
        let keys = "timeout = \"200ms\"\n[retry]\nmax_attempts = 1\n";
        let ended = copy(&api, keys, EXPORT, &[]).expect_code(69);
        assert!(ended.stderr.contains("200ms"), "{}", ended.stderr);
    }
    gate.open();
}

#[test]
fn heads_without_end_are_refused() {
    let many = (0..10_000).fold(Reply::json(200, "[]"), |reply, n| reply.header(&format!("x-{n}"), "v"));
    let long = Reply::json(200, "[]").header("x-long", &"v".repeat(1 << 20));
    for reply in [many, long] {
        let api = Api::start(move |_| reply.clone());
        let ended = copy(&api, QUICK, EXPORT, &[]).expect_code(69);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[test]
fn a_redirect_loop_ends_after_a_few_hops() {
    let api = Api::start(|_| Reply::json(302, "").header("location", "/records"));
    let ended = copy(&api, QUICK, EXPORT, &[]).expect_code(69);
    assert!(ended.stderr.contains("redirects"), "{}", ended.stderr);
    assert!(api.requests().len() <= 6, "{}", api.requests().len());
}

#[test]
fn a_write_is_never_redirected() {
    for status in [301, 302, 303, 307, 308] {
        let api = Api::start(move |request| match request.path() {
            "/records" => Reply::json(200, "[{\"id\":1}]"),
            _ => Reply::json(status, "{}").header("location", "/other"),
        });
        copy(&api, QUICK, &format!("{EXPORT}{TAKE}"), &[]).expect_code(1);
        assert!(api.requests_to("/other").is_empty(), "{status}");
    }
}

#[test]
fn absurd_retry_after_values_neither_hammer_nor_hang() {
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    let future = "Fri, 31 Dec 2199 23:59:59 GMT";
    let huge = "9".repeat(40);
    let keys = "[rate_limit]\nmax_pause = \"80ms\"\n[retry]\nbackoff = { initial = \"40ms\", max = \"80ms\" }\n";
    for value in ["0", "-1", "1e9", "1000000000", "abc", "", "0x10", "5, 7", past, future, &huge] {
        let value = value.to_owned();
        let api = Api::start(move |request| match request.number {
            1..=4 => Reply::json(429, "{}").header("retry-after", &value).header("Retry-After", "0"),
            _ => Reply::json(200, "[{\"id\":1}]"),
        });
        let ended = copy(&api, keys, EXPORT, &[]).expect_code(0);
        assert_eq!(ids(&lines(&ended)), [1]);
        let requests = api.requests();
        assert_eq!(requests.len(), 5, "each refusal is followed by one more request");
        let gaps = requests.windows(2).map(|two| two[1].arrived.saturating_sub(two[0].arrived));
        assert!(gaps.min() >= Some(Duration::from_millis(20)), "it hammers");
    }
}

#[test]
fn faults_that_pass_are_retried_and_others_are_not() {
    for (status, requests) in
        [(500, 2), (502, 2), (503, 2), (504, 2), (408, 2), (425, 2), (501, 1), (505, 1), (400, 1), (404, 1), (304, 1)]
    {
        let api = Api::start(move |request| match request.number {
            1 => Reply::json(status, "{}"),
            _ => Reply::json(200, "[{\"id\":1}]"),
        });
        let code = if requests == 2 { 0 } else { 69 };
        copy(&api, QUICK, EXPORT, &[]).expect_code(code);
        assert_eq!(api.requests().len(), requests, "{status}");
    }
}

#[test]
fn a_write_that_may_have_arrived_is_sent_again_only_where_that_is_harmless() {
    let key = "idempotency_key = \"{{record.id}}\"\n";
    for (connection, import, repeats) in [
        ("", "", false),
        ("", "method = \"PATCH\"\n", false),
        ("unsafe_methods = true\n", "", true),
        ("", key, true),
        ("", "method = \"PUT\"\n", true),
    ] {
        for trouble in [Reply::hang_up(), Reply::json(500, "{}"), Reply::json(201, "{\"a\":1}").cut_after(2)] {
            let mut writes = 0;
            let api = Api::start(move |request| {
                if request.method == "GET" {
                    return Reply::json(200, "[{\"id\":1}]");
                }
                writes += 1;
                if writes == 1 { trouble.clone() } else { Reply::json(201, "{}") }
            });
            let ended = copy(&api, &format!("{QUICK}{connection}"), &format!("{EXPORT}{TAKE}{import}"), &["--json"]);
            let ended = ended.expect_code(i32::from(!repeats));
            let writes = api.requests_to("/taken").len();
            assert_eq!(writes, if repeats { 2 } else { 1 }, "{connection} {import}");
            if !repeats {
                assert_eq!(account(&ended)["errors"][0]["class"], "unknown", "it may have arrived");
            }
        }
    }
}

#[test]
fn a_limited_write_is_sent_again_whatever_its_method() {
    let api = Api::start(|request| match (request.method.as_str(), request.number) {
        ("GET", _) => Reply::json(200, "[{\"id\":1}]"),
        (_, 2..=6) => Reply::json(429, "{}").header("retry-after", "0"),
        _ => Reply::json(201, "{}"),
    });
    copy(&api, QUICK, &format!("{EXPORT}{TAKE}"), &[]).expect_code(0);
    assert_eq!(api.requests_to("/taken").len(), 6, "limited attempts do not count against max_attempts");
}

#[test]
fn a_refused_connection_is_unavailable() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let project = crate::support::project::Project::new();
    project.connection("api", &base, QUICK).write("flows/copy.toml", EXPORT);
    let ended = run(project.dir(), &["run", "copy"]).expect_code(69);
    assert!(ended.stderr.contains("cannot connect"), "{}", ended.stderr);
}

#[test]
fn a_line_break_in_a_header_fails_its_record_alone() {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(
            200,
            r#"[{"id":1,"note":"a\r\nX-Evil: 1"},{"id":2,"note":"fine"},{"id":3,"note":"a\nb"},{"id":4,"note":"a\u0000b"}]"#,
        ),
        _ => Reply::json(201, "{}"),
    });
    let flow = format!("{EXPORT}{TAKE}headers = {{ X-Note = \"{{{{record.note}}}}\" }}\n");
    let ended = copy(&api, "", &flow, &[]).expect_code(1);
    assert_eq!(taken(&api), [2]);
    assert!(api.requests().iter().all(|r| r.header("x-evil").is_none()));
    assert!(ended.stderr.contains("page 1 record 1: import") && ended.stderr.contains("X-Note"), "{}", ended.stderr);
}

const EVIL_IDS: [&str; 18] = [
    "../admin",
    "..",
    ".",
    "%2e%2e/admin",
    "%2e%2e",
    "%252e%252e",
    "..\\admin",
    "?admin=1",
    "#admin",
    "@evil.example",
    "//evil.example",
    "http://evil.example/",
    ":80@evil.example",
    "a b\tc",
    "a\r\nb",
    "．．/admin",
    "2130706433",
    "ä/ö",
];

/// Sends each id through a URI; what arrived, and how many records failed.
fn send_ids(uri: &str) -> (Vec<Request>, u64) {
    let records = serde_json::to_string(&EVIL_IDS.map(|id| serde_json::json!({"id": id}))).unwrap();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, records.clone()),
        _ => Reply::json(201, "{}"),
    });
    let flow = format!("{EXPORT}{TAKE}").replace("/taken", uri);
    let ended = copy(&api, "", &flow, &["--json"]);
    let failed = account(&ended)["records"]["failed"].as_u64().unwrap();
    (api.requests().into_iter().filter(|r| r.method == "POST").collect(), failed)
}

#[test]
fn data_in_a_uri_stays_one_segment_of_its_path() {
    let (arrived, failed) = send_ids("/items/{{record.id}}/lines?of={{record.id}}");
    assert_eq!(arrived.len() as u64 + failed, EVIL_IDS.len() as u64);
    assert!(failed <= 5, "only dot segments cannot be sent: {failed}");
    for request in arrived {
        let segments: Vec<&str> = request.path().split('/').collect();
        assert_eq!((segments.len(), segments[1], segments[3]), (4, "items", "lines"), "{}", request.target);
        let id = request.json()["id"].as_str().unwrap().to_owned();
        let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap().into_owned();
        assert_eq!(decoded, id);
        let query = request.target.split_once('?').unwrap().1;
        assert_eq!(url::form_urlencoded::parse(query.as_bytes()).collect::<Vec<_>>(), [("of".into(), id.into())]);
    }
}

#[test]
fn reserved_characters_kept_on_purpose_cannot_leave_the_literal_prefix() {
    let (arrived, failed) = send_ids("/items/{{{record.id}}}");
    assert_eq!(arrived.len() as u64 + failed, EVIL_IDS.len() as u64);
    assert!(failed >= 1, "a way out of the prefix is an error");
    for request in arrived {
        assert!(request.path().starts_with("/items/"), "{}", request.target);
        let dots = |segment: &str| matches!(&*segment.to_lowercase().replace("%2e", "."), "." | "..");
        assert!(!request.path().split('/').any(dots), "{}", request.target);
    }
}

#[test]
fn a_uri_that_is_one_value_stays_on_the_origins_allowed() {
    let foreign = Api::start(|_| Reply::json(201, "{}"));
    let there = foreign.base();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => {
            let host = request.header("host").unwrap();
            let at = |url: String| serde_json::json!({"url": url});
            let urls = [
                at(format!("http://{host}/own")),
                at(format!("{there}/foreign")),
                at(format!("http://{host}@{}/user", there.trim_start_matches("http://"))),
                at(there.replace("http:", "")),
                at("javascript:alert(1)".into()),
                at("file:///etc/passwd".into()),
                at("http://169.254.169.254/latest".into()),
                at("http://[::ffff:169.254.169.254]/".into()),
                at("/relative".into()),
            ];
            Reply::json(200, serde_json::to_string(&urls).unwrap())
        }
        _ => Reply::json(201, "{}"),
    });
    let flow = format!("{EXPORT}{TAKE}").replace("/taken", "{{record.url}}");
    let ended = copy(&api, "", &flow, &["--json"]).expect_code(1);
    assert!(foreign.requests().is_empty());
    // Without http in front it is relative, and stays on the connection's own origin.
    let posts: Vec<String> = api.requests().into_iter().filter(|r| r.method == "POST").map(|r| r.target).collect();
    assert!(["/own", "/relative"].iter().all(|own| posts.iter().any(|post| post == own)), "{posts:?}");
    assert!(!posts.iter().any(|post| post.contains("passwd") || post.contains("latest")), "{posts:?}");
    assert_eq!(account(&ended)["records"]["failed"], 5);
}

#[test]
fn deeply_nested_answers_are_an_error_not_a_crash() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [5_000, 200_000] {
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let api = Api::start(move |_| Reply::json(200, body.clone()));
            let ended = copy(&api, "", EXPORT, &[]).expect_code(69);
            assert!(ended.stderr.contains("nested") || ended.stderr.contains("deep"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_page_of_a_hundred_thousand_records_goes_through() {
    let records: Vec<String> = (1..=100_000).map(|n| format!("{{\"id\":{n}}}")).collect();
    let body = format!("[{}]", records.join(","));
    let api = Api::start(move |_| Reply::json(200, body.clone()));
    let flow = format!("{EXPORT}keep = \"record.id != 7\"\n");
    let ended = copy(&api, "", &flow, &[]).expect_code(0);
    assert_eq!(ended.stdout.lines().count(), 99_999);
}

/// Runs the flow over this one answer; it must end soon, with one of these codes and without a flood.
#[track_caller]
fn expect_bounded(body: String, flow: &str, codes: &[i32]) -> Ended {
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, body.clone()),
        _ => Reply::json(201, "{}"),
    });
    let begun = now();
    let ended = copy(&api, QUICK, flow, &[]);
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
    assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{:?} {}", ended.code, ended.stderr);
    assert!(!ended.stderr.contains("panicked") && ended.stderr.len() < 100_000, "{}", ended.stderr);
    ended
}

#[test]
fn paths_that_would_visit_everything_again_and_again_are_stopped() {
    let nested = (0..100).fold("1".to_owned(), |inner, _| format!("{{\"a\":[{inner},2,3]}}"));
    for path in [
        "$..*..*..*..*",
        "$..[*]..[*]..[?@..a]",
        "$..*[?@..* == $..*]",
        "$..[?$..[?$..[?@.a]]]",
        "$..[*,*,*,*][*,*,*,*]",
    ] {
        let flow = format!("{EXPORT}records = \"{path}\"\n");
        expect_bounded(nested.clone(), &flow, &[0, 69, 78]);
    }
}

#[test]
fn templates_and_expressions_that_would_grow_without_end_fail_their_record() {
    let list: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let body = format!("[{{\"id\":1,\"l\":[{}]}}]", list.join(","));
    let template = "{{#each @root.record.l}}".repeat(6) + "xxxxxxxx" + &"{{/each}}".repeat(6);
    let flow = format!("{EXPORT}{TAKE}[import.body]\nx = \"{template}\"\n");
    let ended = expect_bounded(body.clone(), &flow, &[1]);
    assert!(ended.stderr.contains("page 1 record 1: import"), "{}", ended.stderr);
    // Rendered and thrown away, it costs as much.
    let template = "{{#each @root.record.l}}".repeat(6) + &"{{/each}}".repeat(6);
    let flow = format!("{EXPORT}{TAKE}[import.body]\nx = \"{template}\"\n");
    expect_bounded(body.clone(), &flow, &[1]);
    for list in ["$.l[*]", "record.l"] {
        let tree = "{ each = \"$.l[*]\", body = ".to_owned()
            + &format!("{{ each = \"{list}\", body = ").repeat(5)
            + "\"= record.l\""
            + &" }".repeat(6);
        expect_bounded(body.clone(), &format!("{EXPORT}{TAKE}[import.body]\nx = {tree}\n"), &[0, 1]);
    }
    let expression = "record.l | join('') ~ ".repeat(200) + "'x'";
    let expression = format!("({expression}) ~ ({expression})");
    expect_bounded(body, &format!("{EXPORT}{TAKE}[import.body]\nx = \"= {expression}\"\n"), &[0, 1, 78]);
}

#[test]
fn absurd_numbers_cost_neither_time_nor_the_process() {
    for number in ["1e999999999", "-1e-999999999", &"9".repeat(1_000_000), &format!("0.{}1", "0".repeat(500_000))] {
        let body = format!("[{{\"id\":1,\"n\":{number}}},{{\"id\":2,\"n\":1}}]");
        for value in [
            "record.n + 1",
            "record.n * record.n",
            "record.n | int",
            "record.n | float | round(2)",
            "record.n | string",
            "record.n // 1",
        ] {
            let flow = format!("{EXPORT}{TAKE}[import.body]\nx = \"= {value}\"\n");
            expect_bounded(body.clone(), &flow, &[0, 1]);
        }
        expect_bounded(body.clone(), &format!("{EXPORT}keep = \"record.n > 0\"\n"), &[0, 1]);
    }
}

#[test]
fn halves_of_characters_and_names_given_twice_are_no_way_in() {
    let body = r#"[{"id":1,"id":2,"x":"\ud800"},{"id":3,"x":"\udc00\ud800 ok"},{"id":4,"x":"fine"}]"#.to_owned();
    let flow = format!("{EXPORT}{TAKE}[import.body]\nid = \"$.id\"\nx = \"{{{{record.x}}}}\"\n");
    expect_bounded(body, &flow, &[0, 1, 69]);
}

#[test]
fn terminal_tricks_in_errors_are_shown_and_not_obeyed() {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, "[{\"id\":1,\"t\":\"\\u001b[2J\\u202e\"}]"),
        _ => Reply::json(422, "{\"error\":\"\\u001b]0;owned\\u0007\\r\\nINFO all is well \\u202e\"}"),
    });
    let ended = copy(&api, "response = { error_path = \"error\" }", &format!("{EXPORT}{TAKE}"), &[]).expect_code(1);
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ended.stderr.contains(bad), "{:?}", ended.stderr);
    assert!(!ended.stderr.lines().any(|line| line.starts_with("INFO all")), "{}", ended.stderr);
}
