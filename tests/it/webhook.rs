//! Webhooks: who is believed, what is taken, and that nothing that was taken is lost or delivered twice.

use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::client::{Got, exchange, send};
use crate::support::command::run;
use crate::support::peer::works;
use crate::support::project::{ORDER_BODY, Project};
use crate::support::serving::{Serving, status_until};
use crate::support::{PATIENCE, now};
use flowgate::playground::{Order, Playground, Settings};
use ring::hmac;
use rustix::process::Signal;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const OPEN: &str = "verify = \"none\"\n";
/// Sent again after a kill, and known again by whoever takes it.
const KEYED: &str = "idempotency_key = \"{{record.id}}\"\n";
const JSON: &str = "content-type: application/json\r\n";

fn secret(project: &Project, name: &str, value: &str) {
    project.write(name, value);
    std::fs::set_permissions(project.path(name), PermissionsExt::from_mode(0o600)).unwrap();
}

fn flow(keys: &str, import: &str) -> String {
    format!("[webhook]\npath = \"in\"\n{keys}\n[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n{import}")
}

/// A project whose flow `in` takes `POST /hooks/in` and gives its records to this API one by one.
fn project(api: &Api, keys: &str, import: &str) -> Project {
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "concurrency_level = 1");
    project.write("flows/in.toml", &flow(keys, import));
    project
}

fn taking() -> Api {
    Api::start(|_| Reply::json(201, "{}"))
}

/// An API that takes each record behind a gate of its own.
fn gated() -> (Api, Gates) {
    let gates = Gates::default();
    let held = gates.clone();
    (Api::start(move |_| Reply::json(201, "{}").behind(&held.next())), gates)
}

fn post(addr: SocketAddr, id: u64) -> Got {
    send(addr, "POST", "/hooks/in", JSON, &format!("{{\"id\":{id}}}"))
}

/// Ids in the order of their first arrival, each once: a request that was cut by a kill is sent again with its key.
fn delivered(api: &Api) -> Vec<u64> {
    let mut ids: Vec<u64> = Vec::new();
    for request in api.requests_to("/taken") {
        let id = request.json()["id"].as_u64().unwrap();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn wait_for(api: &Api, count: usize) {
    api.wait_until(|seen| {
        let taken = seen.iter().filter(|request| request.path() == "/taken" && request.answered.is_some());
        taken.map(|request| request.body.clone()).collect::<std::collections::BTreeSet<_>>().len() >= count
    });
}

pub fn epoch() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "signatures carry the real time")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn signature(secret: &str, text: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[test]
fn what_is_taken_is_delivered_and_what_is_not_is_answered_why() {
    let api = taking();
    let project = project(&api, &format!("{OPEN}records = \"orders\"\nmax_body = \"1KiB\"\n"), "");
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let say = |headers: &str, body: &str| send(addr, "POST", "/hooks/in", headers, body);
    let taken = say(JSON, r#"{"orders":[{"id":1},{"id":2}]}"#);
    assert_eq!((taken.status, taken.body.as_str()), (202, "{\"status\":\"accepted\"}"));
    assert_eq!(say("", r#"{"orders":{"id":3}}"#).status, 202);
    assert_eq!(say(JSON, r#"{"orders":[]}"#).status, 202, "nothing in it is no error");
    wait_for(&api, 3);
    let end = serving.wait_for_flow("run finished", "in");
    assert_eq!(end["trigger"], "webhook", "{end}");
    for (status, headers, body) in [
        (400, JSON, "{\"orders\":"),
        (400, JSON, ""),
        (400, JSON, "{\"other\":1}"),
        (415, "content-type: image/png\r\n", "{\"orders\":[]}"),
        (415, "content-type: application/json\r\ncontent-encoding: gzip\r\n", "{\"orders\":[]}"),
    ] {
        assert_eq!(say(headers, body).status, status, "{headers}{body}");
    }
    let got = send(addr, "GET", "/hooks/in", "", "");
    assert!(got.status == 405 && got.head.contains("allow: post"), "{got:?}");
    for nowhere in ["/hooks/", "/hooks/other", "/hooks/in/", "/hooks/%69n", "/hooks/../in"] {
        assert_eq!(send(addr, "POST", nowhere, JSON, "{\"orders\":{\"id\":9}}").status, 404, "{nowhere}");
    }
    assert_eq!(serving.sample("flowgate_webhook_calls_total{flow=\"in\",outcome=\"accepted\"}"), 3.0);
    assert_eq!(serving.sample("flowgate_webhook_calls_total{flow=\"in\",outcome=\"rejected\"}"), 6.0);
    assert_eq!(serving.sample("flowgate_webhook_waiting{flow=\"in\"}"), 0.0);
    assert_eq!(delivered(&api), [1, 2, 3]);
    assert_eq!(api.requests().len(), 3);
}

#[test]
fn a_body_at_the_cap_is_taken_and_one_byte_more_or_less_than_announced_is_not() {
    let api = taking();
    let project = project(&api, &format!("{OPEN}max_body = \"1KiB\"\n"), "");
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let body = |length: usize| {
        let frame = "{\"id\":1,\"note\":\"\"}";
        format!("{{\"id\":1,\"note\":\"{}\"}}", "x".repeat(length - frame.len()))
    };
    assert_eq!(send(addr, "POST", "/hooks/in", JSON, &body(1024)).status, 202);
    assert_eq!(send(addr, "POST", "/hooks/in", JSON, &body(1025)).status, 413);
    let chunked = |body: &str| {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /hooks/in HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n{JSON}transfer-encoding: chunked\r\n\r\n"
        );
        let _ = write!(stream, "{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer)[9..12].to_owned()
    };
    assert_eq!(chunked(&body(1024)), "202");
    assert_eq!(chunked(&body(1025)), "413");
    // Cut off within what was announced: there is nobody left to answer.
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "POST /hooks/in HTTP/1.1\r\nhost: {addr}\r\n{JSON}content-length: 20\r\n\r\n{{\"id\":7}}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 202"));
    wait_for(&api, 1);
    assert_eq!(post(addr, 8).status, 202);
    wait_for(&api, 2);
    assert_eq!(delivered(&api), [1, 8]);
    assert_eq!(api.requests().len(), 3);
}

#[test]
fn only_who_is_believed_is_heard_and_why_not_is_told_to_the_log_alone() {
    let api = taking();
    let keys = "[webhook.verify.hmac]\nsecret = { file = \"secret\" }\nheader = \"X-Hub-Signature-256\"\nprefix = \"sha256=\"\n";
    let project = project(&api, keys, "");
    secret(&project, "secret", "It's a Secret to Everybody\n");
    project.write(
        "flows/basic.toml",
        &flow("[webhook.verify.basic]\nusername = \"shop\"\npassword = { file = \"password\" }\n", "")
            .replace("\"in\"", "\"basic\""),
    );
    project.write("flows/token.toml", &flow(
        "[webhook.verify.token]\ntoken = [{ file = \"password\" }, { file = \"secret\" }]\nname = \"X-Gitlab-Token\"\nscheme = \"\"\n",
        "").replace("\"in\"", "\"token\""));
    project.write(
        "flows/none.toml",
        &flow("[webhook.verify.token]\ntoken = { file = \"absent\" }\n", "").replace("\"in\"", "\"none\""),
    );
    secret(&project, "password", "h8nter2-h8nter2");
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let body = "{\"id\":1}";
    let signed = |secret: &str, body: &str| format!("x-hub-signature-256: sha256={}\r\n", signature(secret, body));
    let say = |path: &str, headers: &str| send(addr, "POST", path, &format!("{JSON}{headers}"), body).status;
    assert_eq!(say("/hooks/in", &signed("It's a Secret to Everybody", body)), 202);
    // base64 of `shop:h8nter2-h8nter2`
    assert_eq!(say("/hooks/basic", "authorization: Basic c2hvcDpoOG50ZXIyLWg4bnRlcjI=\r\n"), 202);
    assert_eq!(say("/hooks/token", "x-gitlab-token: h8nter2-h8nter2\r\n"), 202);
    assert_eq!(say("/hooks/token", "x-gitlab-token: It's a Secret to Everybody\r\n"), 202, "the other of a rotation");
    assert_eq!(say("/hooks/none", "authorization: Bearer \r\n"), 503, "without its secret nobody is let in");
    api.wait_until(|seen| seen.len() == 4 && in_flight(seen) == 0);
    for headers in ["", &signed("another", body), &signed("It's a Secret to Everybody", "{\"id\": 1}")] {
        let got = send(addr, "POST", "/hooks/in", &format!("{JSON}{headers}"), body);
        assert_eq!((got.status, got.body.as_str()), (401, "{\"status\":\"refused\",\"reason\":\"not verified\"}"));
    }
    // Not believed comes before not understood.
    assert_eq!(send(addr, "POST", "/hooks/in", "content-type: image/png\r\n", "nonsense").status, 401);
    assert_eq!(say("/hooks/basic", "authorization: Basic c2hvcDpoOG50ZXIy\r\n"), 401);
    assert_eq!(say("/hooks/token", "x-gitlab-token: h8nter2\r\n"), 401);
    let line = serving.wait_for_flow("webhook refused", "in");
    assert_eq!((line["status"].as_u64(), line["cause"].as_str()), (Some(401), Some("no signature")), "{line}");
    assert_eq!(serving.sample("flowgate_webhook_calls_total{flow=\"in\",outcome=\"unauthorized\"}"), 4.0);
    assert_eq!(serving.sample("flowgate_webhook_calls_total{flow=\"none\",outcome=\"unavailable\"}"), 1.0);
    serving.signal(Signal::TERM);
    let (_, lines) = serving.wait_for_end();
    let refused = lines.iter().filter(|line| line.contains("webhook refused") && line.contains("\"in\"")).count();
    assert_eq!(refused, 1, "who knocks again and again is told once: {lines:#?}");
    for line in &lines {
        assert!(!line.contains("h8nter2") && !line.contains("Secret to"), "{line}");
    }
    assert_eq!(api.requests().len(), 4);
}

#[test]
fn a_signed_call_counts_once_within_its_time_also_after_a_restart() {
    let api = taking();
    let keys = "[webhook.verify.hmac]\nsecret = { file = \"secret\" }\nheader = \"Stripe-Signature\"\npart = \"v1\"\ntimestamp = { part = \"t\" }\n";
    let project = project(&api, keys, "");
    secret(&project, "secret", "whsec_test_secret");
    let say = |addr: SocketAddr, at: u64, id: u64| {
        let body = format!("{{\"id\":{id}}}");
        let header = format!(
            "stripe-signature: t={at},v1={},v0=00\r\n",
            signature("whsec_test_secret", &format!("{at}.{body}"))
        );
        send(addr, "POST", "/hooks/in", &format!("{JSON}{header}"), &body).status
    };
    let begin = epoch();
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    assert_eq!(say(addr, begin, 1), 202);
    assert_eq!(say(addr, begin, 1), 202, "taken before, and told so to nobody");
    assert_eq!(say(addr, begin - 400, 2), 401, "too old");
    assert_eq!(say(addr, begin + 400, 3), 401, "from the future");
    wait_for(&api, 1);
    assert_eq!(serving.sample("flowgate_webhook_calls_total{flow=\"in\",outcome=\"duplicate\"}"), 1.0);
    serving.signal(Signal::KILL);
    serving.wait_for_end();
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    assert_eq!(say(addr, begin, 1), 202);
    assert_eq!(say(addr, begin, 4), 202);
    wait_for(&api, 2);
    assert_eq!(delivered(&api), [1, 4]);
    assert_eq!(api.requests().len(), 2);
}

#[test]
fn a_call_is_known_again_by_its_id_under_another_name_of_its_flow_too() {
    let api = taking();
    let project = project(&api, &format!("{OPEN}id = {{ header = \"X-GitHub-Delivery\" }}\n"), "");
    project.write("flows/body.toml", &flow(&format!("{OPEN}id = \"$.id\"\n"), "").replace("\"in\"", "\"body\""));
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let say = |addr, path: &str, delivery: &str, id: u64| {
        send(addr, "POST", path, &format!("{JSON}{delivery}"), &format!("{{\"id\":{id}}}")).status
    };
    assert_eq!(say(addr, "/hooks/in", "x-github-delivery: a\r\n", 1), 202);
    assert_eq!(say(addr, "/hooks/in", "x-github-delivery: a\r\n", 2), 202);
    assert_eq!(say(addr, "/hooks/in", "", 3), 400, "without the id");
    assert_eq!(say(addr, "/hooks/body", "", 1), 202, "ids are those of a flow");
    assert_eq!(say(addr, "/hooks/body", "", 1), 202);
    wait_for(&api, 1);
    api.wait_until(|seen| seen.len() == 2 && in_flight(seen) == 0);
    serving.signal(Signal::TERM);
    serving.wait_for_end();
    let text = std::fs::read_to_string(project.path("flows/in.toml")).unwrap();
    std::fs::remove_file(project.path("flows/in.toml")).unwrap();
    project.write("flows/new.toml", &format!("formerly = [\"in\"]\n{text}"));
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    assert_eq!(say(addr, "/hooks/in", "x-github-delivery: a\r\n", 4), 202);
    assert_eq!(say(addr, "/hooks/in", "x-github-delivery: b\r\n", 5), 202);
    wait_for(&api, 2);
    assert_eq!(delivered(&api), [1, 5]);
    assert_eq!(api.requests().len(), 3);
}

#[test]
fn a_kill_between_the_answer_and_the_delivery_loses_nothing_and_keeps_the_order() {
    let (api, gates) = gated();
    let project = project(&api, OPEN, KEYED);
    let mut last = 0;
    for _ in 0..4 {
        let mut serving = Serving::of(&project);
        let addr = serving.wait_until_listening();
        for _ in 0..5 {
            last += 1;
            assert_eq!(post(addr, last).status, 202);
        }
        // Some get through before the kill, one is on its way.
        let answered = |seen: &[Request]| seen.iter().filter(|one| one.answered.is_some()).count();
        let before = answered(&api.requests());
        gates.open(3);
        api.wait_until(|seen| answered(seen) > before);
        serving.signal(Signal::KILL);
        serving.wait_for_end();
    }
    gates.open_all();
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    assert_eq!(post(addr, last + 1).status, 202);
    wait_for(&api, 21);
    assert_eq!(delivered(&api), (1..=21).collect::<Vec<_>>());
    let keys: Vec<_> =
        api.requests_to("/taken").iter().map(|one| one.header("idempotency-key").unwrap().to_owned()).collect();
    assert!(keys.len() <= 29, "each kill repeats no more than what was on its way: {keys:?}");
    status_until(&project, |status| {
        let flow = status["flows"].as_array().unwrap().iter().find(|flow| flow["id"] == "in").cloned().unwrap();
        flow["totals"]["in_flight"] == 0 && flow["totals"]["delivered"] == 21 && flow["totals"]["open_errors"] == 0
    });
    serving.signal(Signal::TERM);
    assert_eq!(serving.wait_for_end().0, Some(0));
    run(project.dir(), &["state", "check"]).expect_code(0);
}

#[test]
fn a_kill_between_the_durable_write_and_the_answer_loses_nothing_and_a_repeat_is_known() {
    // Sending on a socket is the first thing that a call's answer does, and it comes after the write.
    let sends = "sendto,sendmsg,writev";
    if !works("strace", &["-qq", "-o", "/dev/null", "-e", "trace=writev", "true"]) {
        return;
    }
    let api = taking();
    let project = project(&api, &format!("{OPEN}id = {{ header = \"X-Id\" }}\n"), KEYED);
    let call = |addr: SocketAddr, id: u64| {
        exchange(addr, "POST", "/hooks/in", &format!("{JSON}x-id: call-{id}\r\n"), &format!("{{\"id\":{id}}}"))
    };
    // Once: a second process would be killed when it sends what the first one left.
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={sends}"));
    command.arg("-e").arg(format!("inject={sends}:signal=KILL:when=1"));
    command.arg(env!("CARGO_BIN_EXE_flowgate")).arg("-C").arg(project.dir()).arg("serve");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut serving = Serving::start(command);
    let addr = serving.wait_until_listening();
    assert_eq!(call(addr, 1).unwrap_or_default(), "", "it was killed before it could answer");
    assert_eq!(serving.wait_for_end().0, None);
    assert!(api.requests().is_empty(), "nothing was sent before");
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    wait_for(&api, 1);
    let answer = call(addr, 1).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(serving.sample("flowgate_webhook_calls_total{flow=\"in\",outcome=\"duplicate\"}"), 1.0);
    assert!(call(addr, 2).unwrap().starts_with("HTTP/1.1 202 "));
    wait_for(&api, 2);
    assert_eq!((delivered(&api), api.requests().len()), (vec![1, 2], 2), "each once, in order");
    serving.signal(Signal::TERM);
    assert_eq!(serving.wait_for_end().0, Some(0));
}

#[test]
fn a_thousand_calls_at_once_are_each_delivered_exactly_once() {
    let playground = Playground::start(Settings { records: 1_000, limit: Some(4), ..Settings::default() }).unwrap();
    let project = Project::new();
    project.settings("").connection("erp", &playground.base_uri(), "concurrency_level = 4");
    let import = format!("[import]\nconnection = \"erp\"\nrelative_uri = \"/orders\"\n{ORDER_BODY}");
    project.write("flows/in.toml", &format!("[webhook]\npath = \"in\"\nmax_waiting = 2000\n{OPEN}{import}"));
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let callers: Vec<_> = (1..=1_000)
        .map(|id| {
            std::thread::spawn(move || {
                let mut body = Vec::new();
                Order::of(id).write(&mut body, 0);
                let body = String::from_utf8(body).unwrap();
                exchange(addr, "POST", "/hooks/in", JSON, &body).unwrap()[9..12].to_owned()
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.join().unwrap(), "202");
    }
    let all = |report: &flowgate::playground::Report| report.destination("orders").records.once == 1_000;
    playground.wait_until(PATIENCE, all).unwrap_or_else(|report| panic!("{report}"));
    // Nothing comes behind the last one either.
    serving.signal(Signal::TERM);
    let (code, lines) = serving.wait_for_end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let seen = playground.stop();
    assert!(seen.verdict().holds(), "{seen}");
    let runs = lines.iter().filter(|line| line.contains("\"run finished\"")).count();
    assert!((10..=1_000).contains(&runs), "payloads that wait share a run of a hundred at most: {runs}");
}

#[test]
fn a_full_line_is_told_to_come_again_and_so_is_a_call_to_a_disabled_flow() {
    let (api, gates) = gated();
    let project = project(&api, &format!("{OPEN}max_waiting = 3\n"), "");
    project.write("flows/off.toml", &format!("enabled = false\n{}", flow(OPEN, "")).replace("\"in\"", "\"off\""));
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    assert_eq!(post(addr, 1).status, 202);
    api.wait_until(|seen| seen.len() == 1);
    for id in 2..=4 {
        assert_eq!(post(addr, id).status, 202);
    }
    assert_eq!(serving.sample("flowgate_webhook_waiting{flow=\"in\"}"), 3.0);
    let full = post(addr, 5);
    assert!(full.status == 503 && full.head.contains("retry-after: 15"), "{full:?}");
    let off = send(addr, "POST", "/hooks/off", JSON, "{\"id\":1}");
    assert!(off.status == 503 && off.head.contains("retry-after"), "{off:?}");
    gates.open_all();
    wait_for(&api, 4);
    let begun = now();
    while post(addr, 6).status != 202 {
        assert!(now() - begun < PATIENCE);
    }
    wait_for(&api, 5);
    assert_eq!(delivered(&api), [1, 2, 3, 4, 6]);
}

#[test]
fn payloads_that_wait_are_worked_off_by_the_text_they_came_under_over_a_reload_and_a_new_name() {
    let (api, gates) = gated();
    let with = |version: &str| flow(OPEN, &format!("[import.body]\nid = \"$.id\"\nversion = \"{version}\"\n"));
    let project = project(&api, OPEN, "");
    project.write("flows/in.toml", &with("old"));
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    for id in 1..=3 {
        assert_eq!(post(addr, id).status, 202);
    }
    api.wait_until(|seen| seen.len() == 1);
    std::fs::remove_file(project.path("flows/in.toml")).unwrap();
    project.write("flows/new.toml", &format!("formerly = [\"in\"]\n{}", with("new")));
    status_until(&project, |status| {
        status["flows"].as_array().unwrap().iter().any(|flow| flow["id"] == "new" && flow["state"] == "enabled")
    });
    for id in 4..=5 {
        assert_eq!(post(addr, id).status, 202);
    }
    gates.open_all();
    wait_for(&api, 5);
    let seen: Vec<_> = api
        .requests_to("/taken")
        .iter()
        .map(|one| (one.json()["id"].as_u64().unwrap(), one.json()["version"].as_str().unwrap().to_owned()))
        .collect();
    let expected: Vec<_> = (1..=5).map(|id| (id, if id <= 3 { "old" } else { "new" }.to_owned())).collect();
    assert_eq!(seen, expected);
}

#[test]
fn run_works_off_what_waits_and_says_so_when_nothing_does() {
    let (api, gates) = gated();
    let project = project(&api, OPEN, KEYED);
    let refused = run(project.dir(), &["run", "in"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("nothing waits"), "{refused:?}");
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    for id in 1..=3 {
        assert_eq!(post(addr, id).status, 202);
    }
    serving.signal(Signal::KILL);
    serving.wait_for_end();
    gates.open_all();
    run(project.dir(), &["run", "in"]).expect_code(0);
    assert_eq!(delivered(&api), [1, 2, 3]);
}

#[test]
fn the_answer_is_what_the_flow_says() {
    let api = taking();
    let keys = format!(
        "{OPEN}keep = \"record.type != 'url_verification'\"\n[webhook.response]\nstatus = 200\nbody = {{ challenge = {{ pick = \"$.challenge\", optional = true }}, ok = true }}\n"
    );
    let project = project(&api, &keys, "");
    project.write(
        "flows/text.toml",
        &flow(
            &format!("{OPEN}media_type = \"form\"\n[webhook.response]\nbody = \"thanks, {{{{record.name}}}}\"\n"),
            "",
        )
        .replace("\"in\"", "\"text\""),
    );
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let got = send(addr, "POST", "/hooks/in", JSON, r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#);
    assert_eq!((got.status, got.body.as_str()), (200, r#"{"challenge":"3eZbrw1a","ok":true}"#));
    assert!(got.head.contains("content-type: application/json"), "{}", got.head);
    assert_eq!(send(addr, "POST", "/hooks/in", JSON, r#"{"id":1,"type":"event"}"#).body, r#"{"ok":true}"#);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let got = send(addr, "POST", "/hooks/text", form, "name=Ada+L.&id=2");
    assert_eq!((got.status, got.body.as_str()), (202, "thanks, Ada L."));
    assert_eq!(send(addr, "POST", "/hooks/text", JSON, "{\"name\":\"Ada\"}").status, 415);
    api.wait_until(|seen| seen.len() == 2 && in_flight(seen) == 0);
    let bodies: Vec<_> = api.requests().iter().map(|one| one.json()["id"].clone()).collect();
    assert!(bodies.contains(&serde_json::json!(1)) && bodies.contains(&serde_json::json!("2")), "{bodies:?}");
}

#[test]
fn behind_the_servers_token_callers_need_it_unless_webhooks_are_public() {
    let api = taking();
    for (public, without) in [("", 401), ("public = [\"webhooks\"]\n", 202)] {
        let project = project(&api, OPEN, "");
        secret(&project, "token", "server-token");
        project.write(
            "flowgate.toml",
            &format!("[server]\nlisten = \"127.0.0.1:0\"\ntoken = {{ file = \"token\" }}\n{public}"),
        );
        let warned = run(project.dir(), &["check"]).expect_code(0);
        assert_eq!((warned.stdout + &warned.stderr).contains("webhook-behind-token"), public.is_empty());
        let mut serving = Serving::of(&project);
        let addr = serving.wait_until_listening();
        assert_eq!(post(addr, 1).status, without);
        let with = format!("{JSON}authorization: Bearer server-token\r\n");
        assert_eq!(send(addr, "POST", "/hooks/in", &with, "{\"id\":2}").status, 202);
        assert_eq!(send(addr, "GET", "/metrics", "", "").status, 401, "the rest stays closed");
    }
}

#[test]
fn calls_in_xml_and_in_parts_are_read_and_hostile_ones_refused() {
    let api = taking();
    let keys = format!("{OPEN}media_type = \"xml\"\nrecords = \"/orders/order\"\n");
    let project = project(&api, &keys, "");
    project.write("flows/parts.toml", &flow(OPEN, "").replace("\"in\"", "\"parts\""));
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let xml = "content-type: application/xml; charset=utf-8\r\n";
    let say = |headers: &str, body: &str| send(addr, "POST", "/hooks/in", headers, body).status;
    let body =
        "<orders><order><id>007</id><name>Käthe &amp; Söhne</name></order><order at=\"x\"><id>2</id></order></orders>";
    assert_eq!(say(xml, body), 202);
    let parts = "--B\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n3\r\n--B--\r\n";
    let told = "content-type: multipart/form-data; boundary=B\r\n";
    assert_eq!(send(addr, "POST", "/hooks/parts", told, parts).status, 202);
    wait_for(&api, 3);
    let mut bodies: Vec<String> = api.requests_to("/taken").iter().map(|request| request.json().to_string()).collect();
    bodies.sort();
    let expected =
        [r#"{"@at":"x","id":"2"}"#, r#"{"id":"007","name":"Käthe & Söhne"}"#, r#"{"id":"3"}"#].map(str::to_owned);
    assert_eq!(bodies, expected);
    let entity = "<!DOCTYPE o [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><orders><order>&a;</order></orders>";
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    for (status, headers, body) in
        [(400, xml, "<orders><order>"), (400, xml, entity), (400, xml, &deep), (400, xml, ""), (415, JSON, "{}")]
    {
        assert_eq!(say(headers, body), status, "{}", &body[..body.len().min(60)]);
    }
    assert_eq!(send(addr, "POST", "/hooks/parts", told, &parts[..parts.len() - 6]).status, 400, "cut off");
}
