//! A secret planted in every way to authenticate shows in nothing that is written, whatever servers send back.
//!
//! One project holds a connection and a flow for each method. Servers accept, refuse in several ways, and echo all they
//! were sent, encoded in every usual way. All output at TRACE is searched.

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
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

/// Password, token, key: long, unique, and different in every encoding.
const CANARY: &str = "cAn4ry/Q7+zz&9\"Kx=é~7Jd";
/// Where only letters and digits may stand.
const ACCESS: &str = "ACCESSkeyCanary77Zq";
/// Made by the servers.
const ISSUED: &str = "iSsU3d.t0ken-Wq81xY5";
const ROTATED: &str = "r0tAted.refr3sh-Pk62vB9";

const PASSWORD: &str = "password = { env = \"CANARY\" }";

/// Method, case, and the tables of the connection.
fn cases() -> Vec<(&'static str, &'static str, String)> {
    let basic = |method: &str| format!("[auth.{method}]\nusername = \"me\"\n{PASSWORD}\n");
    let token = |keys: &str| format!("[auth.token]\ntoken = {{ env = \"CANARY\" }}\n{keys}\n");
    let oauth1 = |method: &str| {
        format!(
            "[auth.oauth1]\nconsumer_key = \"app\"\nconsumer_secret = {{ env = \"CANARY\" }}\ntoken = {{ env = \"CANARY\" }}\n\
             token_secret = {{ env = \"CANARY\" }}\nsignature_method = \"{method}\"\n"
        )
    };
    let oauth2 = |place: &str| {
        format!(
            "[auth.oauth2]\ngrant = \"client_credentials\"\ntoken_uri = \"/token\"\nclient_id = \"app\"\n\
             client_secret = {{ env = \"CANARY\" }}\ncredentials_in = \"{place}\"\n"
        )
    };
    vec![
        ("basic", "basic", basic("basic")),
        ("token", "token-header", token("")),
        ("token", "token-bare", token("name = \"X-Key\"\nscheme = \"\"")),
        ("token", "token-query", token("location = \"query\"")),
        (
            "token",
            "token-refresh",
            "[auth.token.refresh]\nrelative_uri = \"/token\"\nbody = { rt = \"{{auth.refresh_token}}\" }\n\
             refresh_token = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
        ("oauth2", "oauth2-header", oauth2("header")),
        ("oauth2", "oauth2-body", oauth2("body")),
        (
            "cookie",
            "cookie",
            "[auth.cookie.login]\nrelative_uri = \"/login\"\nbody = { user = \"me\", password = \"{{connection.secrets.key}}\" }\n\
             [secrets]\nkey = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
        ("digest", "digest", basic("digest")),
        ("wsse", "wsse", basic("wsse")),
        (
            "jwt",
            "jwt-secret",
            "[auth.jwt]\nalgorithm = \"HS256\"\nkey = { env = \"CANARY\" }\nclaims = { note = \"{{connection.secrets.key}}\" }\n\
             [secrets]\nkey = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
        (
            "jwt",
            "jwt-assertion",
            "[auth.jwt]\nalgorithm = \"HS256\"\nkey = { env = \"CANARY\" }\nas = \"assertion\"\n\
             [auth.jwt.refresh]\nrelative_uri = \"/token\"\n"
                .to_owned(),
        ),
        ("jwt", "jwt-key", "[auth.jwt]\nalgorithm = \"RS256\"\nkey = { file = \"key.pem\" }\n".to_owned()),
        (
            "aws_sigv4",
            "aws-sigv4",
            "[auth.aws_sigv4]\naccess_key = { env = \"ACCESS\" }\nsecret_key = { env = \"CANARY\" }\n\
             session_token = { env = \"CANARY\" }\nregion = \"eu\"\nservice = \"s3\"\n"
                .to_owned(),
        ),
        ("oauth1", "oauth1-hmac", oauth1("HMAC-SHA1")),
        ("oauth1", "oauth1-plain", oauth1("PLAINTEXT")),
        (
            "custom",
            "custom",
            "headers = { X-Key = \"k {{substring connection.secrets.key 0 11}}\" }\n\
             query = { cut = \"{{substring connection.secrets.key 11 23}}\" }\n\
             [auth.custom]\nheaders = { X-One = \"k {{connection.secrets.key}}\" }\nquery = { q = \"{{connection.secrets.key}}\" }\n\
             [secrets]\nkey = { env = \"CANARY\" }\n"
                .to_owned(),
        ),
    ]
}

/// Everything that must not show, by name.
fn planted() -> Vec<(&'static str, String)> {
    let pem = include_str!("../../src/http/auth/testing/rsa.pem");
    let mut secrets: Vec<(&str, String)> =
        [("canary", CANARY), ("access", ACCESS), ("issued", ISSUED), ("rotated", ROTATED)]
            .map(|(name, text)| (name, text.to_owned()))
            .into();
    secrets.extend(pem.lines().filter(|line| line.len() == 64).take(3).map(|line| ("key", line.to_owned())));
    secrets
}

/// A secret, raw and in every encoding it could travel in.
fn forms(secret: &str) -> BTreeSet<String> {
    let hex: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let json = serde_json::to_string(secret).unwrap();
    let xml = escaped_for_xml(secret);
    let mut forms = vec![
        xml.replace('&', "&amp;"),
        xml.replace("&quot;", "&#34;"),
        xml,
        secret.chars().map(|c| format!("&#{};", u32::from(c))).collect::<Vec<_>>().concat(),
        secret.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect::<Vec<_>>().concat(),
        secret.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<Vec<_>>().concat(),
        json.trim_matches('"').replace('/', "\\/"),
        utf8_percent_encode(&percent, NON_ALPHANUMERIC).to_string(),
        secret.chars().rev().collect(),
        secret.to_owned(),
        secret.to_uppercase(),
        secret.to_lowercase(),
        json.trim_matches('"').to_owned(),
        percent.to_lowercase(),
        percent,
        hex.concat().to_uppercase(),
        hex.concat(),
    ];
    for engine in [STANDARD, URL_SAFE] {
        // With no, one or two bytes before it, less the edges that depend on neighbours.
        for pad in ["", "x", "xx"] {
            let encoded = engine.encode(format!("{pad}{secret}"));
            let inner = encoded.trim_end_matches('=');
            forms.push(inner[4..inner.len() - 4].to_owned());
        }
    }
    forms.into_iter().collect()
}

fn escaped_for_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[track_caller]
fn expect_nothing_in(text: &str, place: &str) {
    for (name, secret) in planted() {
        let half = secret.chars().count() / 2;
        let (first, second): (String, String) =
            (secret.chars().take(half).collect(), secret.chars().skip(half).collect());
        for form in forms(&secret).into_iter().chain([first, second]) {
            assert!(!text.contains(&form), "{place}: the {name} shows as `{form}` in:\n{text}");
        }
    }
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

fn plant(manner: Manner, head: &str) -> Planted {
    let api = Api::start(move |request| answer(request, manner));
    let project = Project::new();
    project.settings("").write("key.pem", include_str!("../../src/http/auth/testing/rsa.pem"));
    std::fs::set_permissions(project.path("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut ids = Vec::new();
    for (_, id, tables) in cases() {
        let base = format!("{}/{id}", api.base());
        project.connection(id, &base, &format!("response = {{ error_path = \"why\" }}\n{tables}\n{QUICK}"));
        let flow = format!(
            "{head}[export]\nconnection = \"{id}\"\nrelative_uri = \"/records\"\n\n[import]\nconnection = \"{id}\"\nrelative_uri = \"/taken\"\n"
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
    for (manner, code) in [
        (Manner::Good, 0),
        (Manner::Refuses(422), 1),
        (Manner::Refuses(500), 1),
        (Manner::Refuses(401), 77),
        (Manner::Withholds, 77),
    ] {
        let planted = plant(manner, "");
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
        if !kept.is_empty() {
            let ids: Vec<&str> = kept.iter().map(String::as_str).collect();
            for more in [&[][..], &["--json"]] {
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
    let planted = plant(Manner::Refuses(422), "");
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
fn a_serving_process_shows_no_secret_in_logs_metrics_and_status() {
    let planted = plant(Manner::Refuses(422), "schedule = \"* * * * * *\"\n");
    let mut serving = Serving::start(command(&planted, &["serve"]));
    serving.wait_until_listening();
    for id in &planted.ids {
        serving.wait_for_flow("run finished", id);
    }
    expect_nothing_in(&serving.metrics(), "metrics");
    for args in [&["status"][..], &["status", "--json"]] {
        searched(&planted, args).expect_code(0);
    }
    searched_api(&planted, serving.wait_until_listening());
    serving.signal(Signal::TERM);
    let (_, lines) = serving.wait_for_end();
    assert!(lines.len() > planted.ids.len());
    expect_nothing_in(&lines.join("\n"), "log");
}

/// Every read of the API, with the key that shows records too.
fn searched_api(planted: &Planted, addr: std::net::SocketAddr) {
    let token = std::fs::read_to_string(planted.project.path("state/api-token")).unwrap();
    let headers = format!("authorization: Bearer {}\r\n", token.trim());
    let read = |target: &str| {
        let got = client::send(addr, "GET", target, &headers, "");
        assert_eq!(got.status, 200, "{target}: {}", got.body);
        expect_nothing_in(&got.body, target);
        assert!(!got.body.contains(token.trim()), "{target} shows the key");
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
    }
    let errors = read("/api/v1/errors?limit=500");
    let (mut shown, mut masked) = (0, 0);
    for row in errors["errors"].as_array().unwrap().iter().take(60) {
        let error = read(&format!("/api/v1/errors/{}", row["id"]));
        shown += 1;
        masked += usize::from(error["payload"].as_str().unwrap().contains("[secret]"));
        read(&format!("/api/v1/runs/{}", row["run"].as_str().unwrap()));
        searched(planted, &["explain", row["run"].as_str().unwrap(), "--json"]).expect_code(0);
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
