//! A secret planted in every way to authenticate shows in nothing that is written, whatever servers send back.
//!
//! One project holds a connection and a flow for each method. Servers accept, refuse in several ways, and echo all they
//! were sent, encoded in every usual way. All output at TRACE is searched.

mod plants;

use crate::support::PATIENCE;
use crate::support::api::{Api, Reply, Request};
use crate::support::client;
use crate::support::command::{Ended, finish, flowgate, run};
use crate::support::flow::QUICK;
use crate::support::project::Project;
use crate::support::serving::Serving;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use plants::{
    ACCESS, CANARY, CURVE, Half, ISSUED, ROTATED, RSA, SOUGHT, cases, escaped_for_xml, expect_nothing_in, forms,
    planted,
};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;

#[test]
fn every_form_of_every_secret_would_be_found() {
    for (name, secret) in planted() {
        for form in forms(&secret) {
            assert!(SOUGHT.is_match(&format!("x{form}y")), "{name}: {form}");
        }
    }
    expect_nothing_in("nothing of the kind", "here");
}

/// All a request carried, as it came and encoded.
fn echo(request: &Request) -> String {
    let headers: Vec<String> = request.headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    let all = format!("{}\n{}\n{}", headers.join("\n"), request.target, request.body);
    let hex: Vec<String> = all.bytes().map(|byte| format!("{byte:02x}")).collect();
    let values = ["authorization", "cookie", "x-key", "x-one", "x-amz-security-token"].map(|name| request.header(name));
    let alone: Vec<&str> = values.into_iter().flatten().collect();
    // Long spellings of what matters only: every byte of it is searched for every secret.
    let short = format!("{}\n{}", alone.join("\n"), request.target);
    serde_json::json!({
        "why": all,
        "alone": alone,
        "percent": utf8_percent_encode(&all, NON_ALPHANUMERIC).to_string(),
        "base64": (0..3).map(|pad| STANDARD.encode(format!("{}{all}", "x".repeat(pad)))).collect::<Vec<_>>(),
        "base64url": URL_SAFE.encode(&all),
        "hex": [hex.concat(), hex.concat().to_uppercase()],
        "json": serde_json::to_string(&all).unwrap(),
        "xml": [escaped_for_xml(&all), escaped_for_xml(&escaped_for_xml(&all))],
        "numbered": short.chars().map(|c| format!("&#{};", u32::from(c))).collect::<Vec<_>>().concat(),
        "hex_numbered": short.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect::<Vec<_>>().concat(),
        "units": short.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<Vec<_>>().concat(),
        "percent_again": utf8_percent_encode(&utf8_percent_encode(&short, NON_ALPHANUMERIC).to_string(), NON_ALPHANUMERIC).to_string(),
        "upper": all.to_uppercase(),
        "lower": all.to_lowercase(),
        "backwards": all.chars().rev().collect::<String>(),
    })
    .to_string()
}

/// What a server does with records and with requests for credentials.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    /// Refuses records with this status and an echo.
    Refuses(u16),
    /// Gives no credential, with an echo.
    Withholds,
}

fn answer(request: &Request, manner: Manner) -> Reply {
    let asks_for_digest = request.path().starts_with("/digest")
        && request.header("authorization").is_none_or(|value| !value.starts_with("Digest "));
    match (request.path().rsplit('/').next().unwrap_or_default(), manner) {
        ("token" | "login", Manner::Withholds) => Reply::json(400, echo(request)),
        ("token", _) => {
            let body = serde_json::json!({"access_token": ISSUED, "refresh_token": ROTATED, "expires_in": 3600});
            Reply::json(200, body.to_string())
        }
        ("login", _) => Reply::json(200, "{}").header("set-cookie", &format!("sid={ISSUED}; Path=/")),
        _ if asks_for_digest => {
            Reply::json(401, echo(request)).header("www-authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"")
        }
        ("hooks", _) => Reply::json(200, "{}"),
        ("broken", _) => Reply::json(400, echo(request)),
        ("records", _) => Reply::json(200, format!("[{{\"id\":1,\"echo\":{}}},{{\"id\":2}}]", echo(request))),
        (_, Manner::Refuses(status)) => Reply::json(status, echo(request)),
        _ => Reply::json(201, echo(request)),
    }
}

struct Planted {
    project: Project,
    ids: Vec<String>,
    api: Api,
}

fn closed(project: &Project, name: &str, text: &str) {
    project.write(name, text);
    std::fs::set_permissions(project.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn plant(half: Half, manner: Manner) -> Planted {
    let api = Api::start(move |request| answer(request, manner));
    let project = Project::new();
    project.settings("");
    for (name, pem) in [("key.pem", RSA), ("curve.pem", CURVE)] {
        closed(&project, name, pem);
    }
    let mut ids = Vec::new();
    for (_, id, tables) in half.cases() {
        let base = format!("{}/{id}", api.base());
        project.connection(id, &base, &format!("response = {{ error_path = \"why\" }}\n{tables}\n{QUICK}"));
        let flow = format!(
            "[export]\nconnection = \"{id}\"\nrelative_uri = \"/records\"\n\n[import]\nconnection = \"{id}\"\nrelative_uri = \"/taken\"\n"
        );
        project.write(&format!("flows/{id}.toml"), &flow);
        ids.push(id.to_owned());
    }
    Planted { project, ids, api }
}

fn command(planted: &Planted, args: &[&str]) -> std::process::Command {
    let mut command = flowgate(planted.project.dir());
    command.args(["--log-level", "trace"]).args(args).env("CANARY", CANARY).env("ACCESS", ACCESS);
    command
}

#[track_caller]
fn searched(planted: &Planted, args: &[&str]) -> Ended {
    let ended = finish(command(planted, args), PATIENCE);
    let place = args.join(" ");
    expect_nothing_in(&ended.stdout, &place);
    expect_nothing_in(&ended.stderr, &place);
    ended
}

#[test]
fn every_method_there_is_has_a_secret_planted() {
    let project = Project::new();
    project.connection("a", "http://127.0.0.1:9", "[auth.nothing]\nx = 1\n");
    let ended = run(project.dir(), &["check"]).expect_code(78);
    let help =
        ended.stdout.lines().find(|line| line.contains("one of `")).unwrap_or_else(|| panic!("{}", ended.stdout));
    let offered: BTreeSet<&str> = help.split('`').skip(1).step_by(2).collect();
    let planted: BTreeSet<&str> = cases().into_iter().map(|(method, ..)| method).collect();
    assert_eq!(offered, planted);
}

#[test]
fn no_output_of_a_run_shows_a_secret() {
    runs_show_none(Half::First);
}

#[test]
fn no_output_of_a_run_shows_a_secret_of_the_other_methods() {
    runs_show_none(Half::Second);
}

fn runs_show_none(half: Half) {
    for (manner, code) in [
        (Manner::Good, 0),
        (Manner::Refuses(422), 1),
        (Manner::Refuses(500), 1),
        (Manner::Refuses(401), 77),
        (Manner::Withholds, 77),
    ] {
        let planted = plant(half, manner);
        let flows: Vec<&str> = planted.ids.iter().map(String::as_str).collect();
        let first = searched(&planted, &[&["run"], &flows[..]].concat()).expect_code(code);
        // What the first left unfinished is taken up by the second, which knows no session of the first.
        let second = searched(&planted, &[&["run", "--json"], &flows[..]].concat());
        for ended in [first, second] {
            let masks = ended.stdout.matches("[secret]").count() + ended.stderr.matches("[secret]").count();
            assert_eq!(masks > 0, manner != Manner::Good, "what is echoed is shown, masked: {ended:?}");
        }
        // What is kept of records that failed came from the server as it is, and is shown masked.
        let listed = searched(&planted, &["errors", "list", "--json"]).expect_code(0).stdout;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let kept = listed["errors"].as_array().unwrap().iter().map(|row| row["id"].to_string()).collect::<Vec<_>>();
        assert!(!kept.is_empty() || manner != Manner::Refuses(422));
        // The same texts in each manner: both spellings of the command once.
        let spellings = [&[][..], &["--json"]];
        for ids in kept.chunks(8) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            for more in &spellings[usize::from(manner != Manner::Refuses(422))..] {
                let shown = searched(&planted, &[&["errors", "show"], &ids[..], more].concat()).expect_code(0);
                assert!(shown.stdout.contains("[secret]") && shown.stderr.is_empty(), "{shown:?}");
            }
        }
        let asked = planted.api.requests();
        for id in &planted.ids {
            assert!(
                asked.iter().any(|request| request.path().starts_with(&format!("/{id}/"))),
                "{id} asked for nothing"
            );
        }
    }
}

#[test]
fn dry_runs_checks_and_pings_show_no_secret() {
    looks_show_none(Half::First);
}

#[test]
fn dry_runs_checks_and_pings_show_no_secret_of_the_other_methods() {
    looks_show_none(Half::Second);
}

fn looks_show_none(half: Half) {
    let planted = plant(half, Manner::Refuses(422));
    for id in &planted.ids {
        searched(&planted, &["run", id, "--dry-run"]).expect_code(0);
    }
    for args in [&["ping"][..], &["ping", "--json"]] {
        searched(&planted, args);
    }
    for format in ["text", "json", "github"] {
        searched(&planted, &["check", "--format", format]).expect_code(0);
    }
}

#[test]
fn a_serving_process_shows_no_secret_in_logs_metrics_events_notices_and_answers() {
    serving_shows_none(Half::First);
}

#[test]
fn a_serving_process_shows_no_secret_of_the_other_methods() {
    serving_shows_none(Half::Second);
}

fn serving_shows_none(half: Half) {
    let planted = plant(half, Manner::Refuses(422));
    planted.project.settings("[notify]\nconnection = \"chat\"\nrelative_uri = \"/hooks\"\n");
    planted.project.connection("chat", &planted.api.base(), "");
    let first = &planted.ids[0];
    let broken = std::fs::read_to_string(planted.project.path(&format!("flows/{first}.toml"))).unwrap();
    planted.project.write("flows/broken.toml", &broken.replace("/records", "/broken"));
    let mut serving = Serving::start(command(&planted, &["serve"]));
    let addr = serving.wait_until_listening();
    let events = std::thread::spawn(move || events(addr));
    let flows: Vec<&str> = planted.ids.iter().map(String::as_str).chain(["broken"]).collect();
    let headers = format!("{}content-type: application/json\r\n", authorized(&planted));
    let asked =
        client::send(addr, "POST", "/api/v1/actions/run", &headers, &serde_json::json!({ "flows": flows }).to_string());
    assert_eq!(asked.status / 100, 2, "{}", asked.body);
    let mut under_way: BTreeSet<&str> = flows.into_iter().collect();
    while !under_way.is_empty() {
        let line = serving.wait_for("run finished");
        under_way.remove(line["flow"].as_str().unwrap());
    }
    expect_nothing_in(&serving.metrics(), "metrics");
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["top", "--once"],
        &["auth", "status"],
        &["auth", "status", "--json"],
        &["graph"],
        &["graph", "--json"],
        &["runs", "list"],
        &["state", "show"],
        &["state", "show", "--json"],
    ] {
        let shown = searched(&planted, args).expect_code(0);
        assert!(!shown.stdout.is_empty(), "{args:?}");
    }
    searched_api(&planted, addr);
    let told = |kind: &str| planted.api.requests_to("/hooks").iter().any(|request| request.body.contains(kind));
    planted.api.wait_until(|seen| {
        seen.iter().any(|request| request.path() == "/hooks" && request.body.contains("broken: "))
            && seen.iter().any(|request| request.path() == "/hooks" && request.body.contains("errors list"))
    });
    assert!(told("[secret]"), "what failed is told, masked");
    for request in planted.api.requests_to("/hooks") {
        expect_nothing_in(&format!("{:?} {}", request.headers, request.body), "notice");
    }
    serving.signal(Signal::TERM);
    let (_, lines) = serving.wait_for_end();
    assert!(lines.len() > planted.ids.len());
    expect_nothing_in(&lines.join("\n"), "log");
    let events = events.join().unwrap();
    assert!(events.matches("\ndata:").count() > planted.ids.len(), "{events}");
    expect_nothing_in(&events, "events");
}

/// What is told as it happens, until the process ends.
fn events(addr: std::net::SocketAddr) -> String {
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n").unwrap();
    let mut all = Vec::new();
    // A process that ends may cut it.
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

/// The header, as a whole line, of a client that may do everything.
fn authorized(planted: &Planted) -> String {
    let token = std::fs::read_to_string(planted.project.path("state/api-token")).unwrap();
    format!("authorization: Bearer {}\r\n", token.trim())
}

/// Every read of the API, with the key that shows records too.
fn searched_api(planted: &Planted, addr: std::net::SocketAddr) {
    let headers = authorized(planted);
    let token = headers.trim().rsplit(' ').next().unwrap();
    let read = |target: &str| {
        let got = client::send(addr, "GET", target, &headers, "");
        assert_eq!(got.status, 200, "{target}: {}", got.body);
        expect_nothing_in(&got.body, target);
        assert!(!got.body.contains(token), "{target} shows the key");
        serde_json::from_str::<serde_json::Value>(&got.body).unwrap()
    };
    for target in
        ["snapshot", "reloads", "flows", "runs", "queues", "connections", "errors?open=false", "errors?group=true"]
    {
        read(&format!("/api/v1/{target}"));
    }
    for id in &planted.ids {
        for target in ["flows", "connections", "explain/flow", "explain/connection"] {
            read(&format!("/api/v1/{target}/{id}"));
        }
        let run = read(&format!("/api/v1/runs?flow={id}"))["runs"][0]["run"].as_str().unwrap().to_owned();
        read(&format!("/api/v1/logs/{run}"));
    }
    // In words too, for one that failed and for one that was refused.
    for id in ["broken", &planted.ids[0]] {
        for args in [&["runs", "show", id][..], &["runs", "logs", id], &["explain", id]] {
            searched(planted, args).expect_code(0);
        }
    }
    let errors = read("/api/v1/errors?limit=500");
    let (mut shown, mut masked, mut runs) = (0, 0, BTreeSet::new());
    for row in errors["errors"].as_array().unwrap() {
        let error = read(&format!("/api/v1/errors/{}", row["id"]));
        shown += 1;
        masked += usize::from(error["payload"].as_str().unwrap().contains("[secret]"));
        runs.insert(row["run"].as_str().unwrap());
    }
    for run in runs {
        read(&format!("/api/v1/runs/{run}"));
    }
    assert!(shown > 5 && masked > 0, "{shown} records were shown, {masked} masked");
}

/// A sending and an importing body with the secret in it, as it is and computed from, in each media type.
#[test]
fn a_secret_in_a_body_is_masked_whatever_the_body_is_and_is_made_of() {
    let xml = "<q><p a='{{connection.secrets.key}}'>{{connection.secrets.key}}</p><i>{{uppercase connection.secrets.key}}</i>\
               <r>{{reverse connection.secrets.key}}{{hash 'sha256' 'hex' connection.secrets.key}}</r><id>{{record.id}}</id></q>";
    let form = "p={{connection.secrets.key}}&u={{lowercase connection.secrets.key}}&id={{record.id}}";
    let tree = "{ p = \"{{connection.secrets.key}}\", u = \"= connection.secrets.key | upper\", h = \"{{hash 'sha256' 'hex' connection.secrets.key}}\", id = \"$.id\" }";
    let hash = {
        use sha2::Digest as _;
        sha2::Sha256::digest(CANARY).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    };
    for (media, body) in [("xml", toml_text(xml)), ("form", toml_text(form)), ("json", tree.to_owned())] {
        let api = Api::start(move |request| match request.path() {
            "/records" if media == "xml" => Reply::raw(200, "<r><id>1</id></r>").header("content-type", "text/xml"),
            "/records" => Reply::json(200, "[{\"id\":1}]"),
            _ => Reply::raw(422, request.body.clone()).header("content-type", "text/plain"),
        });
        let project = Project::new();
        let keys = format!(
            "media_type = \"{media}\"\nsuccess_media_type = \"{}\"\n[secrets]\nkey = {{ env = \"CANARY\" }}\n",
            if media == "xml" { "xml" } else { "json" }
        );
        project.settings("").connection("api", &api.base(), &keys);
        let records = if media == "xml" { "records = \"/r\"\n" } else { "" };
        project.write(
            "flows/copy.toml",
            &format!(
                "[export]\nconnection = \"api\"\nmethod = \"POST\"\nrelative_uri = \"/records\"\n{records}body = {}\n\n[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\nbody = {body}\n",
                body.replace("{{record.id}}", "1").replace("$.id", "1")
            ),
        );
        let planted = Planted { project, ids: vec!["copy".to_owned()], api };
        for args in [&["preview", "copy"][..], &["preview", "copy", "--json"], &["run", "copy", "--dry-run"]] {
            let shown = searched(&planted, args).expect_code(0);
            assert!(shown.stdout.contains("[secret]") && !shown.stdout.contains(&hash), "{media}: {shown:?}");
        }
        searched(&planted, &["run", "copy"]).expect_code(1);
        for more in [&[][..], &["--json"]] {
            let shown = searched(&planted, &[&["errors", "show", "1"], more].concat()).expect_code(0);
            assert!(!shown.stdout.contains(&hash), "{media}: {shown:?}");
        }
        assert!(planted.api.requests_to("/taken").iter().any(|request| !request.body.is_empty()));
    }
}

/// As TOML's text on one line.
fn toml_text(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn the_passphrase_of_a_client_key_shows_nowhere() {
    let api = Api::start(|_| Reply::json(200, "[]"));
    let project = Project::new();
    let base = format!("https://{}", api.addr());
    let tls = "[tls]\nclient_certificate = { file = \"client.pem\" }\nclient_key = { file = \"client.key\" }\npassphrase = { env = \"CANARY\" }\n";
    // The server waits for more of what it does not understand.
    let keys = format!("connect_timeout = \"1s\"\n{tls}{QUICK}");
    project.settings("").connection("api", &base, &keys).copy_flow("copy", "", "");
    let script = "set -e; umask 077; openssl ecparam -name prime256v1 -genkey -noout -out plain.key; \
        openssl pkcs8 -topk8 -in plain.key -out client.key -v2 aes-256-cbc -passout env:CANARY; \
        openssl req -x509 -key plain.key -subj /CN=client -days 2 -out client.pem";
    let made = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(project.dir())
        .env("CANARY", CANARY)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let planted = Planted { project, ids: Vec::new(), api };
    let key = std::fs::read_to_string(planted.project.path("plain.key")).unwrap();
    let inner: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
    // It is understood; the server speaks no TLS, and says so in its way.
    searched(&planted, &["check", "--deny-warnings"]).expect_code(0);
    for args in [&["run", "copy"][..], &["ping", "api", "--json"], &["status", "--json"], &["errors", "list", "--json"]]
    {
        let ended = searched(&planted, args);
        assert!(inner.iter().all(|line| !ended.stderr.contains(line) && !ended.stdout.contains(line)), "{args:?}");
    }
    searched(&planted, &["ping", "api"]).expect_code(69);
    // A passphrase that is none is refused, and is not shown either.
    let text = std::fs::read_to_string(planted.project.path("connections/api.toml")).unwrap();
    planted.project.write("connections/api.toml", &text.replace("\"CANARY\"", "\"WRONG\""));
    let mut check = command(&planted, &["check"]);
    check.env("WRONG", ISSUED);
    let ended = finish(check, PATIENCE).expect_code(78);
    assert!(ended.stdout.contains("wrong-passphrase"), "{}", ended.stdout);
    expect_nothing_in(&format!("{}{}", ended.stdout, ended.stderr), "check");
}

#[test]
fn the_token_of_an_agent_shows_on_neither_side() {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1}]}"),
        _ => Reply::json(422, echo(request)),
    });
    let project = Project::new();
    closed(&project, "token", ISSUED);
    project.settings("[agents.warehouse]\ntoken = { file = \"token\" }\n");
    project.connection("api", &api.base(), "[agent]\nname = \"warehouse\"\n").copy_flow("copy", "", "");
    let planted = Planted { project, ids: Vec::new(), api };
    let mut serving = Serving::start(command(&planted, &["serve"]));
    let addr = serving.wait_until_listening();
    let server = format!("http://{addr}");
    let allowed = planted.api.addr().to_string();
    let [token, other] = ["token", "other"].map(|name| planted.project.path(name).to_str().unwrap().to_owned());
    let carry = ["agent", "--server", &server, "--allow", &allowed, "--token-file"];
    let mut agent = Serving::start(command(&planted, &[&carry[..], &[&token]].concat()));
    agent.wait_for("connected");
    searched(&planted, &["run", "copy"]).expect_code(1);
    // One that is refused says so, and does not show what it came with.
    closed(&planted.project, "other", ROTATED);
    searched(&planted, &[&carry[..], &[&other]].concat()).expect_code(77);
    serving.wait_for("agent refused");
    for args in [&["status", "--json"][..], &["state", "show"], &["explain", "api"], &["errors", "show", "1"]] {
        searched(&planted, args).expect_code(0);
    }
    expect_nothing_in(&serving.metrics(), "metrics");
    for one in [agent, serving] {
        one.signal(Signal::TERM);
        let (_, lines) = one.wait_for_end();
        expect_nothing_in(&lines.join("\n"), "log");
    }
}
