//! Who may ask what: names, origins, media types, tokens.

use super::{Door, api, served};
use crate::support::api::Api;
use crate::support::client::{self, exchange};
use crate::support::now;
use crate::support::project::Project;
use crate::support::serving::Serving;
use std::net::SocketAddr;
use std::time::Duration;

const RUN: &str = "/api/v1/actions/run";

fn with_token() -> (Serving, SocketAddr, Api, Project) {
    let (api, project) = (api(), Project::new());
    project.write(
        "flowgate.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\ntoken = { env = \"TOKEN\" }\npublic = [\"health\"]\n",
    );
    project.connection("api", &api.base(), "").copy_flow("copy", "", "");
    let mut command = crate::support::command::flowgate(project.dir());
    command.arg("serve").env("TOKEN", "correct-horse");
    let mut serving = Serving::start(command);
    let addr = serving.wait_until_listening();
    (serving, addr, api, project)
}

#[test]
fn a_page_that_rebinds_its_name_to_us_gets_nothing() {
    let door = served(&api(), "");
    for host in ["evil.test", "evil.test:9380", "localhost.evil.test", "127.0.0.1.evil.test", "[::ffff:7f00:1]"] {
        assert_eq!(client::get_as(door.addr, host, "/api/v1/snapshot"), 421, "{host}");
    }
    assert_eq!(client::get_as(door.addr, "localhost", "/api/v1/snapshot"), 200);
}

#[test]
fn pages_of_other_sites_can_neither_read_nor_change() {
    let door = served(&api(), "");
    let own = format!("origin: http://{}\r\n", door.addr);
    for foreign in [
        "origin: http://evil.test\r\n",
        "origin: null\r\n",
        "origin: http://localhost\r\n",
        "origin: file://\r\n",
        "origin: http://evil.test\r\norigin: http://127.0.0.1\r\n",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
    ] {
        for target in ["/api/v1/snapshot", "/api/v1/events", "/api/openapi.json"] {
            let got = client::send(door.addr, "GET", target, foreign, "");
            assert_eq!(got.status, 403, "{foreign} {target}");
            assert!(!got.head.contains("access-control"), "{}", got.head);
        }
        let headers = format!("{foreign}content-type: application/json\r\n{}", door.key());
        assert_eq!(client::send(door.addr, "POST", RUN, &headers, "{\"flows\":[\"copy\"]}").status, 403, "{foreign}");
        let asked = client::send(door.addr, "OPTIONS", RUN, foreign, "");
        assert!(asked.status >= 400 && !asked.head.contains("access-control"), "no preflight is granted");
    }
    assert_eq!(client::send(door.addr, "GET", "/api/v1/snapshot", &own, "").status, 200);
    let same = "sec-fetch-site: same-origin\r\n";
    assert_eq!(client::send(door.addr, "GET", "/api/v1/snapshot", same, "").status, 200);
}

#[test]
fn what_a_form_can_send_changes_nothing() {
    let api = api();
    let door = served(&api, "");
    let body = "{\"flows\":[\"copy\"]}";
    for media in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", ""]
    {
        let kind = if media.is_empty() { String::new() } else { format!("content-type: {media}\r\n") };
        let got = client::send(door.addr, "POST", RUN, &format!("{kind}{}", door.key()), body);
        assert_eq!(got.status, 415, "{media}: {}", got.body);
    }
    let json = format!("content-type: application/json\r\n{}", door.key());
    for (method, target, more, status) in [
        ("GET", RUN, "", 405),
        ("PUT", RUN, "", 405),
        ("DELETE", "/api/v1/flows/copy", "", 405),
        ("GET", RUN, "x-http-method-override: POST\r\n", 405),
        ("POST", "/api/v1/flows/copy", "", 405),
        ("PUT", "/api/v1/snapshot", "", 405),
        ("POST", "/api/v1/config", "", 404),
    ] {
        let got = client::send(door.addr, method, target, &format!("{json}{more}"), body);
        assert_eq!(got.status, status, "{method} {target}");
    }
    let huge = format!("{{\"flows\":[\"{}\"]}}", "x".repeat(100_000));
    assert_eq!(client::send(door.addr, "POST", RUN, &json, &huge).status, 413);
    for bad in ["", "[]", "{", "{\"flows\":[\"../x\"]}", "{\"flows\":[\"copy\"],\"config\":\"x\"}", "{\"flows\":7}"] {
        assert_eq!(client::send(door.addr, "POST", RUN, &json, bad).status, 400, "{bad}");
    }
    for nothing in ["{}", "{\"all\":true,\"flow\":\"copy\"}", "{\"al\":true}"] {
        let got = client::send(door.addr, "POST", "/api/v1/actions/errors/resolve", &json, nothing);
        assert_eq!(got.status, 400, "everything is never meant by nothing: {nothing}");
    }
    assert!(api.requests().is_empty(), "nothing ran: {:?}", api.requests());
}

#[test]
fn without_a_configured_token_loopback_reads_and_only_the_owner_of_the_state_changes() {
    let door = served(&api(), "");
    assert_eq!(door.get("/api/v1/snapshot").status, 200);
    assert_eq!(door.get("/api/v1/errors").status, 200);
    let json = "content-type: application/json\r\n";
    for wrong in ["", "authorization: Bearer wrong\r\n", "authorization: Basic x\r\n"] {
        let got = client::send(door.addr, "POST", RUN, &format!("{json}{wrong}"), "{\"flows\":[\"copy\"]}");
        assert_eq!(got.status, 401, "{wrong}");
        assert!(got.body.contains("api-token") && got.head.contains("www-authenticate: bearer"), "{}", got.body);
        let record = client::send(door.addr, "GET", "/api/v1/errors/1", wrong, "");
        assert_eq!(record.status, 401, "what a record holds is nobody else's: {wrong}");
    }
    assert_eq!(door.read("/api/v1/errors/1").status, 404, "with the key");
    let file = door.project.path("state/api-token");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let started = door.post(RUN, "{\"flows\":[\"copy\"]}");
    assert_eq!(started.status, 200, "{}", started.body);
    let Door { serving, project, .. } = door;
    serving.signal(rustix::process::Signal::TERM);
    serving.wait_for_end();
    assert!(!project.path("state/api-token").exists(), "the key ends with the process");
}

#[test]
fn with_a_token_nothing_of_the_api_is_open() {
    let (_serving, addr, _api, project) = with_token();
    assert!(!project.path("state/api-token").exists(), "there is one key only");
    let document = client::send(addr, "GET", "/api/openapi.json", "authorization: Bearer correct-horse\r\n", "");
    let document: serde_json::Value = serde_json::from_str(&document.body).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    std::thread::scope(|scope| {
        for (path, verbs) in paths {
            scope.spawn(move || {
                let method = if verbs.get("post").is_some() { "POST" } else { "GET" };
                let target = path.replace("{id}", "copy");
                for wrong in [
                    "",
                    "authorization: Bearer wrong\r\n",
                    "authorization: correct-horse\r\n",
                    "cookie: token=correct-horse\r\n",
                ] {
                    let headers = format!("content-type: application/json\r\n{wrong}");
                    let got = client::send(addr, method, &target, &headers, "{}");
                    assert_eq!(got.status, 401, "{method} {target} {wrong}");
                }
                let query = client::send(
                    addr,
                    method,
                    &format!("{target}?token=correct-horse"),
                    "content-type: application/json\r\n",
                    "{}",
                );
                assert_eq!(query.status, 401, "a token in a URL is no token");
            });
        }
    });
    assert_eq!(client::get(addr, "/healthz").status, 200, "public");
    assert_eq!(client::get(addr, "/metrics").status, 401, "not public");
}

#[test]
fn ten_thousand_wrong_tokens_are_slow_open_nothing_and_flood_no_log() {
    const GUESSES: usize = 10_000;
    const AT_ONCE: usize = 100;
    let (serving, addr, _api, _project) = with_token();
    let begun = now();
    let refused = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let guess = |from: usize| {
            for number in (from..GUESSES).step_by(AT_ONCE) {
                let headers = format!("authorization: Bearer correct-hors{number}\r\n");
                let answer = exchange(addr, "GET", "/api/v1/snapshot", &headers, "").unwrap();
                assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
                refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        };
        for from in 0..AT_ONCE {
            scope.spawn(move || guess(from));
        }
        // Whoever has the token is served all the while.
        for _ in 0..20 {
            let asked = now();
            let good = client::send(addr, "GET", "/api/v1/snapshot", "authorization: Bearer correct-horse\r\n", "");
            assert_eq!(good.status, 200);
            assert!(now() - asked < Duration::from_secs(10));
        }
    });
    assert_eq!(refused.load(std::sync::atomic::Ordering::Relaxed), GUESSES);
    // 128 seats, a quarter of a second each.
    assert!(
        now() - begun >= Duration::from_millis(250) * u32::try_from(GUESSES / 128).unwrap(),
        "guessing was not slowed"
    );
    let series = |reason: &str| {
        let text = client::send(addr, "GET", "/metrics", "authorization: Bearer correct-horse\r\n", "").body;
        let head = format!("flowgate_server_refused_total{{reason=\"{reason}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&head)).unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(series("wrong_token"), GUESSES);
    assert_eq!(exchange(addr, "GET", "/metrics", "", "").unwrap().split(' ').nth(1), Some("401"));
    assert_eq!(client::get_as(addr, "evil.test", "/metrics"), 421);
    let foreign = "origin: http://evil.test\r\nauthorization: Bearer correct-horse\r\n";
    assert_eq!(client::send(addr, "GET", "/api/v1/snapshot", foreign, "").status, 403);
    let form = "content-type: text/plain\r\nauthorization: Bearer correct-horse\r\n";
    assert_eq!(client::send(addr, "POST", RUN, form, "{}").status, 415);
    assert_eq!(["no_token", "host", "origin", "content_type", "wrong_token"].map(series), [1, 1, 1, 1, GUESSES]);
    serving.signal(rustix::process::Signal::TERM);
    let (code, lines) = serving.wait_for_end();
    assert_eq!(code, Some(0));
    assert!(lines.len() < 100, "{} lines", lines.len());
    let told = lines.iter().filter(|line| line.contains("requests refused") && line.contains("wrong_token")).count();
    let minutes = usize::try_from((now() - begun).as_secs() / 60).unwrap();
    assert!((1..=minutes + 1).contains(&told), "{told} lines in {minutes} minutes");
    assert!(lines.iter().all(|line| !line.contains("correct-hors")), "no guess is logged");
}

#[test]
fn every_answer_says_that_it_is_not_to_be_framed_kept_or_run() {
    let door = served(&api(), "");
    for target in ["/api/v1/snapshot", "/api/openapi.json", "/api/v1/nothing", "/metrics", "/healthz"] {
        let head = door.get(target).head;
        for mark in [
            "content-security-policy: default-src 'none'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(mark), "{target}: no {mark} in {head}");
        }
        assert!(!head.contains("access-control") && !head.contains("set-cookie"), "{head}");
    }
}

#[test]
fn the_page_is_for_everybody_who_names_us_right_and_may_load_nothing_of_others() {
    let (_serving, addr, _api, _project) = with_token();
    for (target, media) in [("/", "text/html"), ("/ui/app.js", "text/javascript"), ("/ui/app.css", "text/css")] {
        let got = client::get(addr, target);
        assert_eq!(got.status, 200, "{target}: {}", got.body);
        assert!(got.head.contains(&format!("content-type: {media}")), "{target}: {}", got.head);
        for mark in [
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'",
            "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "x-frame-options: deny",
            "cross-origin-opener-policy: same-origin",
            "cache-control: no-cache",
        ] {
            assert!(got.head.contains(mark), "{target} lacks {mark}: {}", got.head);
        }
        let tag = got.head.split("etag: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
        let again = client::send(addr, "GET", target, &format!("if-none-match: {tag}\r\n"), "");
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{target}");
        assert_eq!(client::get_as(addr, "evil.test", target), 421, "{target}");
        assert_eq!(client::send(addr, "POST", target, "", "").status, 401, "{target}");
    }
    for target in ["/ui/", "/ui/none.js", "/ui/../metrics", "/index.html", "/ui/app.js/", "//", "/?x", "/metrics"] {
        let status = client::get(addr, target).status;
        assert_eq!(status, if target == "/?x" { 200 } else { 401 }, "{target}");
    }
    // What is not of the page is not kept by anybody.
    let refused = client::get(addr, "/api/v1/snapshot");
    assert!(refused.head.contains("cache-control: no-store"), "{}", refused.head);
}
