//! Credentials: where they go, where they never go, and that nothing ever shows them.

use crate::support::PATIENCE;
use crate::support::api::{Api, Reply, Request};
use crate::support::command::{Ended, finish, flowgate, run};
use crate::support::flow::{QUICK, copy, project};
use crate::support::project::Project;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::os::unix::fs::{PermissionsExt, symlink};

/// Planted as password or token: long, unique, and different in every encoding.
const CANARY: &str = "cAn4ry/Q7+zz&9\"Kx=é~7Jd";

const FLOW: &str = r#"
[export]
connection   = "api"
relative_uri = "/records"

[import]
connection   = "api"
relative_uri = "/taken"
"#;

const SECRETS: &str = "[secrets]\nkey = { env = \"CANARY\" }\n";

/// Runs flow `copy` with the canary in the environment, and fails if it shows in anything written.
#[track_caller]
fn run_with_canary(project: &Project, args: &[&str]) -> Ended {
    let mut command = flowgate(project.dir());
    command.args(["--log-level", "trace", "run", "copy"]).args(args).env("CANARY", CANARY);
    let ended = finish(command, PATIENCE);
    expect_hidden(&ended, CANARY);
    ended
}

/// Neither the secret nor a half of it, raw or in any encoding it travels in.
#[track_caller]
fn expect_hidden(ended: &Ended, secret: &str) {
    let half = secret.chars().count() / 2;
    let (first, second): (String, String) = (secret.chars().take(half).collect(), secret.chars().skip(half).collect());
    for part in [secret, &first, &second] {
        let percent = utf8_percent_encode(part, NON_ALPHANUMERIC).to_string();
        let json = serde_json::to_string(part).unwrap();
        let mut forms =
            vec![part.to_owned(), percent.clone(), percent.to_lowercase(), json.trim_matches('"').to_owned()];
        // Base64 with one, two or no bytes before it, without the edges that depend on neighbours.
        for pad in ["", "x", "xx"] {
            let encoded = STANDARD.encode(format!("{pad}{part}"));
            forms.push(encoded.trim_end_matches('=')[4..encoded.len() - 4].trim_end_matches('=').to_owned());
        }
        for form in forms {
            for text in [&ended.stdout, &ended.stderr] {
                assert!(!text.contains(&form), "`{form}` shows in:\n{text}");
            }
        }
    }
}

/// Everything a request carried, as a server that is too helpful sends it back.
fn echo(request: &Request) -> String {
    let headers: Vec<String> = request.headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    serde_json::to_string(&format!("{} {} {}", headers.join("; "), request.target, request.body)).unwrap()
}

/// An API that takes records and echoes every request it refuses, in a record, and for what it cannot find.
fn echoing(status: u16) -> Api {
    Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, format!("[{{\"id\":1,\"echo\":{}}},{{\"id\":2}}]", echo(request))),
        _ => Reply::json(status, format!("{{\"error\":{}}}", echo(request))),
    })
}

/// Keys of the connection, and whether a request carries what they say.
type Method = (&'static str, fn(&Request) -> bool);

/// Each way to authenticate, and what must have arrived.
fn methods() -> Vec<Method> {
    vec![
        ("[auth.basic]\nusername = \"me\"\npassword = { env = \"CANARY\" }", |r| {
            r.header("authorization") == Some(&format!("Basic {}", STANDARD.encode(format!("me:{CANARY}"))))
        }),
        ("[auth.token]\ntoken = \"{{connection.secrets.key}}\"\n[secrets]\nkey = { env = \"CANARY\" }", |r| {
            r.header("authorization") == Some(&format!("Bearer {CANARY}"))
        }),
        ("[auth.token]\ntoken = { env = \"CANARY\" }\nname = \"X-Api-Key\"\nscheme = \"\"", |r| {
            r.header("x-api-key") == Some(CANARY) && r.header("authorization").is_none()
        }),
        ("[auth.token]\ntoken = { env = \"CANARY\" }\nlocation = \"query\"", |r| {
            let query = r.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
            url::form_urlencoded::parse(query.as_bytes()).any(|(n, v)| n == "api_key" && v == CANARY)
        }),
        (
            "headers = { X-Signed = \"v1 {{connection.secrets.key}}\" }\nquery = { k = \"{{connection.secrets.key}}\" }\n\
             [secrets]\nkey = { env = \"CANARY\" }",
            |r| r.header("x-signed") == Some(&format!("v1 {CANARY}")) && r.target.contains("k="),
        ),
    ]
}

#[test]
fn each_method_sends_its_credential_and_no_output_ever_shows_it() {
    for (method, has) in methods() {
        for (status, code) in [(201, 0), (422, 1), (401, 77), (500, 1)] {
            let api = echoing(status);
            // Top-level keys go before tables.
            let (before, tables) = method.split_at(method.find('[').unwrap());
            let keys = format!("{before}response = {{ error_path = \"error\" }}\n{tables}\n{QUICK}");
            let project = project(&api, &keys, FLOW);
            for json in [&[][..], &["--json"]] {
                run_with_canary(&project, json).expect_code(code);
            }
            assert!(api.requests().len() >= 4 && api.requests().iter().all(has), "{method}");
        }
    }
}

#[test]
fn a_token_in_the_body_joins_the_body_and_shows_nowhere() {
    let api = echoing(422);
    let source = Api::start(|_| Reply::json(200, "[{\"id\":1}]"));
    let flow = FLOW.replacen("\"api\"", "\"source\"", 1);
    let project = project(&api, "[auth.token]\ntoken = { env = \"CANARY\" }\nlocation = \"body\"", &flow);
    project.connection("source", &source.base(), "");
    run_with_canary(&project, &["--json"]).expect_code(1);
    assert_eq!(api.requests()[0].json(), serde_json::json!({"api_key": CANARY, "id": 1}));
}

#[test]
fn an_echo_is_hidden_in_errors_of_the_export_and_of_records_too() {
    let auth = "[auth.token]\ntoken = { env = \"CANARY\" }\nname = \"X-Key\"\nscheme = \"\"\n";
    let echoed = |body: fn(String) -> String| {
        Api::start(move |request| match request.method.as_str() {
            "GET" => Reply::json(200, body(echo(request))),
            _ => Reply::json(201, "{}"),
        })
    };
    // `records` is missing: the message shows how the answer begins.
    let api = echoed(|echo| format!("{{\"echo\":{echo}}}"));
    let flow = FLOW.replace("\"/records\"", "\"/records\"\nrecords = \"data\"");
    let ended = run_with_canary(&project(&api, auth, &flow), &[]).expect_code(69);
    assert!(ended.stderr.contains("records_optional"), "{}", ended.stderr);
    // No JSON at all.
    let api = echoed(|echo| format!("oops {echo}"));
    run_with_canary(&project(&api, auth, FLOW), &[]).expect_code(69);
    // A record that fails is shown with its error.
    let api = echoed(|echo| format!("[{{\"echo\":{echo}}}]"));
    let flow = format!("{FLOW}[import.body]\nn = \"= record.echo * 2\"\nid = \"$.id\"\n");
    run_with_canary(&project(&api, auth, &flow), &[]).expect_code(1);
    // A link that leads away and carries the credential along.
    let api = Api::start(|request| {
        let key = utf8_percent_encode(request.header("x-key").unwrap(), NON_ALPHANUMERIC).to_string();
        Reply::json(200, format!("{{\"data\":[{{\"id\":1}}],\"next\":\"http://elsewhere.example/{key}?k={key}\"}}"))
    });
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"data\"\n\
                [export.paging.next_url]\npath = \"next\"\n";
    run_with_canary(&project(&api, auth, flow), &[]).expect_code(69);
}

#[test]
fn a_refused_credential_ends_the_run_after_one_request() {
    let api = Api::start(|_| Reply::json(401, "{\"error\":\"who are you\"}"));
    let project = project(&api, QUICK, FLOW);
    let ended = run(project.dir(), &["run", "copy"]).expect_code(77);
    assert!(ended.stderr.contains("who are you"), "{}", ended.stderr);
    assert_eq!(api.requests().len(), 1);
}

#[test]
fn a_401_may_be_a_refusal_of_one_record_and_other_answers_a_failed_login() {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, "[{\"id\":1},{\"id\":2}]"),
        _ => Reply::json(401, "{}"),
    });
    let project_401 = project(&api, "[auth_failure]\ncount_401 = false\n", FLOW);
    run(project_401.dir(), &["run", "copy"]).expect_code(1);
    let api = Api::start(|_| Reply::json(200, "{\"reason\":\"Authentication\"}"));
    let rule = "[auth_failure]\nstatus = 200\npath = \"reason\"\nvalues = [\"Authentication\"]\n";
    run(project(&api, rule, FLOW).dir(), &["run", "copy"]).expect_code(77);
}

/// Methods whose credential is made anew for each request or fetched first.
const MADE: &[&str] = &[
    "[auth.cookie.login]\nrelative_uri = \"/login\"\nbody = { p = \"{{connection.secrets.key}}\" }\n[secrets]\nkey = { env = \"CANARY\" }",
    "[auth.oauth2]\ngrant = \"client_credentials\"\ntoken_uri = \"/token\"\nclient_id = \"app\"\nclient_secret = { env = \"CANARY\" }",
    "[auth.wsse]\nusername = \"me\"\npassword = { env = \"CANARY\" }",
    "[auth.digest]\nusername = \"me\"\npassword = { env = \"CANARY\" }",
    "[auth.jwt]\nalgorithm = \"HS256\"\nkey = { env = \"CANARY\" }",
    "[auth.aws_sigv4]\naccess_key = { command = [\"echo\", \"AKID4711\"] }\nsecret_key = { env = \"CANARY\" }\nregion = \"eu\"\nservice = \"s3\"",
    "[auth.oauth1]\nconsumer_key = \"app\"\nconsumer_secret = { env = \"CANARY\" }\ntoken = { env = \"CANARY\" }\n\
     token_secret = { env = \"CANARY\" }\nsignature_method = \"HMAC-SHA1\"",
    "[auth.custom]\nheaders = { X-One = \"{{connection.secrets.key}}\" }\nquery = { q = \"{{connection.secrets.key}}\" }\n\
     [secrets]\nkey = { env = \"CANARY\" }",
];

#[test]
fn credentials_that_are_made_or_fetched_stay_on_their_origin() {
    let gives = |request: &Request| match request.path() {
        "/token" => Some(Reply::json(200, "{\"access_token\":\"fetched-t0ken-4711\",\"expires_in\":3600}")),
        "/login" => Some(Reply::json(200, "{}").header("set-cookie", "sid=fetched-t0ken-4711; Path=/")),
        _ if request.header("authorization").is_none() && request.header("x-asks").is_some() => {
            Some(Reply::json(401, "{}").header("www-authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\""))
        }
        _ => None,
    };
    for method in MADE {
        let asks = if method.starts_with("[auth.digest]") { "headers = { X-Asks = \"1\" }\n" } else { "" };
        for status in [301, 302, 303, 307, 308] {
            let elsewhere = Api::start(|_| Reply::json(200, "[]"));
            let target = format!("{}/steal", elsewhere.base());
            let api = Api::start(move |request| {
                gives(request).unwrap_or_else(|| Reply::json(status, "{}").header("location", &target))
            });
            let project = project(&api, &format!("{asks}{method}"), FLOW);
            run_with_canary(&project, &[]).expect_code(69);
            assert!(!api.requests_to("/records").is_empty() && elsewhere.requests().is_empty(), "{method} {status}");
        }
        // Where data leads to an origin that is allowed, nothing of the credential goes along.
        let other = Api::start(|_| Reply::json(200, "{\"data\":[{\"id\":3}]}"));
        let next = format!("{}/page2?sig=abc", other.base());
        let page = format!("{{\"data\":[{{\"id\":1}}],\"next\":\"{next}\"}}");
        let api = Api::start(move |request| gives(request).unwrap_or_else(|| Reply::json(200, page.clone())));
        let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"data\"\n\
                    [export.paging.next_url]\npath = \"next\"\n";
        let keys = format!("allowed_origins = [\"{}\"]\n{asks}{method}", other.base());
        run_with_canary(&project(&api, &keys, flow), &[]).expect_code(0);
        let there = other.requests();
        assert_eq!((there.len(), there[0].target.as_str()), (1, "/page2?sig=abc"), "{method}");
        // Its own port may hold the digits that are looked for.
        let said = format!("{:?}", there[0].headers).replace(&other.addr().to_string(), "other");
        let names = ["authorization", "cookie", "x-wsse", "x-one", "x-amz-date", "x-amz-content-sha256", "referer"];
        assert!(names.iter().all(|name| there[0].header(name).is_none()), "{method}: {said}");
        assert!(!said.contains("cAn4ry") && !said.contains("4711"), "{method}: {said}");
    }
}

#[test]
fn a_redirect_to_another_origin_is_not_followed_and_gets_no_credential() {
    for (method, _) in methods() {
        for status in [301, 302, 303, 307, 308] {
            let elsewhere = Api::start(|_| Reply::json(200, "[]"));
            let target = format!("{}/steal", elsewhere.base());
            let api = Api::start(move |_| Reply::json(status, "{}").header("location", &target));
            let project = project(&api, method, FLOW);
            run_with_canary(&project, &[]).expect_code(69);
            assert!(elsewhere.requests().is_empty(), "{method} {status}");
        }
    }
}

#[test]
fn a_redirect_on_the_same_origin_keeps_the_credential() {
    for (method, has) in methods() {
        let api = Api::start(|request| match request.path() {
            "/records" => Reply::json(307, "{}").header("location", "/moved"),
            _ => Reply::json(200, "[]"),
        });
        run_with_canary(&project(&api, method, FLOW), &[]).expect_code(0);
        assert!(has(&api.requests_to("/moved")[0]), "{method}");
    }
}

#[test]
fn an_allowed_origin_is_asked_without_credentials_and_the_own_one_with_them() {
    for (method, has) in methods() {
        let other = Api::start(|_| Reply::json(200, "{\"data\":[{\"id\":3}]}"));
        let next = format!("{}/page3?sig=abc", other.base());
        let api = Api::start(move |request| match request.path() {
            "/records" => {
                let host = request.header("host").unwrap();
                Reply::json(200, format!("{{\"data\":[{{\"id\":1}}],\"next\":\"http://{host}/page2?n=2\"}}"))
            }
            _ => Reply::json(200, format!("{{\"data\":[{{\"id\":2}}],\"next\":\"{next}\"}}")),
        });
        let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"data\"\n\
                    [export.paging.next_url]\npath = \"next\"\n";
        let (before, tables) = method.split_at(method.find('[').unwrap());
        let keys = format!("allowed_origins = [\"{}\"]\n{before}{tables}", other.base());
        run_with_canary(&project(&api, &keys, flow), &[]).expect_code(0);
        assert!(has(&api.requests_to("/page2")[0]), "{method}");
        let there = other.requests();
        assert_eq!((there.len(), there[0].target.as_str()), (1, "/page3?sig=abc"), "{method}");
        assert!(there[0].headers.iter().all(|(_, value)| !value.contains("cAn4ry")), "{method}: {there:?}");
        assert!(there[0].header("authorization").is_none() && there[0].header("referer").is_none());
    }
}

#[test]
fn a_secret_without_a_value_keeps_its_connection_offline() {
    let api = Api::start(|_| Reply::json(200, "[]"));
    let keys = format!("[auth.token]\ntoken = \"{{{{connection.secrets.key}}}}\"\n{SECRETS}");
    let project = project(&api, &keys, FLOW);
    let ended = run(project.dir(), &["check"]).expect_code(0);
    assert!(ended.stdout.contains("CANARY") || ended.stderr.contains("CANARY"), "the warning names the variable");
    run(project.dir(), &["check", "--deny-warnings"]).expect_code(78);
    let ended = run(project.dir(), &["run", "copy"]).expect_code(77);
    assert!(ended.stderr.contains("key"), "{}", ended.stderr);
    assert!(api.requests().is_empty());
}

#[test]
fn a_secret_file_that_others_may_read_is_refused_and_never_shown() {
    let api = Api::start(|_| Reply::json(200, "[]"));
    let keys = "[auth.token]\ntoken = { file = \"secrets/key\" }\n";
    let project = project(&api, keys, FLOW);
    project.write("secrets/key", &format!("{CANARY}\n"));
    let mode = |mode| std::fs::set_permissions(project.path("secrets/key"), PermissionsExt::from_mode(mode)).unwrap();
    for (bits, code) in [(0o600, 0), (0o400, 0), (0o604, 78), (0o644, 78)] {
        mode(bits);
        let ended = run(project.dir(), &["check"]).expect_code(code);
        expect_hidden(&ended, CANARY);
        assert_eq!(code == 78, ended.stderr.contains("chmod") || ended.stdout.contains("chmod"));
    }
    mode(0o600);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(api.requests()[0].header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    // Behind a link as Kubernetes mounts them: the file counts, not the link.
    std::fs::rename(project.path("secrets/key"), project.path("secrets/real")).unwrap();
    symlink("real", project.path("secrets/key")).unwrap();
    run(project.dir(), &["check"]).expect_code(0);
    std::fs::set_permissions(project.path("secrets/real"), PermissionsExt::from_mode(0o644)).unwrap();
    run(project.dir(), &["check"]).expect_code(78);
}

#[test]
fn a_credential_written_into_a_file_is_an_error_that_does_not_repeat_it() {
    let project = Project::new();
    let literal = "lit3ral-token-value";
    for keys in [
        format!("[auth.token]\ntoken = \"{literal}\"\n"),
        format!("[auth.basic]\nusername = \"me\"\npassword = \"{literal}\"\n"),
        format!("[secrets]\nkey = \"{literal}\"\n"),
    ] {
        project.connection("api", "http://127.0.0.1:9", &keys);
        for format in ["text", "json", "github"] {
            let ended = run(project.dir(), &["check", "--format", format]).expect_code(78);
            expect_hidden(&ended, literal);
        }
    }
}

#[test]
fn a_secret_may_come_from_a_command_that_check_does_not_run() {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, "[{\"id\":1}]"),
        _ => Reply::json(201, "{}"),
    });
    let keys = "[auth.token]\ntoken = { command = [\"sh\", \"-c\", \"touch ran; echo given-by-a-command\"] }\n";
    let project = project(&api, keys, FLOW);
    let ended = run(project.dir(), &["check", "--deny-warnings"]).expect_code(0);
    assert!(!project.path("ran").exists(), "{}", ended.stdout);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert!(project.path("ran").exists());
    let sent = Some("Bearer given-by-a-command");
    assert!(api.requests().iter().all(|request| request.header("authorization") == sent));
    project.connection("api", &api.base(), &keys.replace("touch ran", "exit 3"));
    let ended = run(project.dir(), &["run", "copy"]).expect_code(77);
    assert!(ended.stderr.contains("command `sh` failed (exit status: 3)"), "{}", ended.stderr);
}

#[test]
fn a_key_that_cannot_sign_is_a_configuration_error() {
    for (auth, code) in [
        ("[auth.jwt]\nalgorithm = \"RS256\"\nkey = { env = \"KEY\" }\n", "bad-key"),
        (
            "[auth.oauth1]\nconsumer_key = \"a\"\nsignature_method = \"RSA-SHA256\"\nprivate_key = { env = \"KEY\" }\n",
            "bad-key",
        ),
        ("[auth.basic]\nusername = \"a:b\"\npassword = { env = \"KEY\" }\n", "bad-value"),
        ("media_type = \"xml\"\n[auth.token]\ntoken = { env = \"KEY\" }\nlocation = \"body\"\n", "conflicting-keys"),
    ] {
        let project = Project::new();
        project.connection("api", "http://127.0.0.1:9", auth);
        let mut command = flowgate(project.dir());
        command.arg("check").env("KEY", "no-key-at-all");
        let ended = finish(command, PATIENCE).expect_code(78);
        assert!(ended.stdout.contains(code) && !ended.stdout.contains("no-key-at-all"), "{}", ended.stdout);
        // Without a value it is a warning, as for every source.
        let mut command = flowgate(project.dir());
        command.arg("check").env_remove("KEY");
        let without = finish(command, PATIENCE);
        assert_eq!(without.code, Some(if code == "bad-key" { 0 } else { 78 }), "{}", without.stdout);
    }
}

#[test]
fn a_token_joins_a_form_and_accept_follows_the_media_type() {
    let api = Api::start(|_| Reply::json(200, "[{\"id\":1}]"));
    let keys = "media_type = \"form\"\nsuccess_media_type = \"json\"\n[auth.token]\ntoken = { env = \"PATH\" }\nlocation = \"body\"\n";
    let flow = "[export]\nconnection = \"api\"\nmethod = \"POST\"\nrelative_uri = \"/records\"\nbody = { x = 1 }\n";
    copy(&api, keys, flow, &[]).expect_code(0);
    assert!(api.requests()[0].body.starts_with("x=1&api_key="), "{}", api.requests()[0].body);
    let xml = Api::start(|_| Reply::raw(200, "<r><i>1</i></r>").header("content-type", "application/xml"));
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"/r/i\"\n";
    copy(&xml, "media_type = \"xml\"\n", flow, &[]).expect_code(0);
    copy(&xml, "media_type = \"xml\"\nheaders = { Accept = \"text/plain\" }\n", flow, &[]).expect_code(0);
    let asked: Vec<_> = xml.requests().iter().map(|request| request.header("accept").map(str::to_owned)).collect();
    assert!(asked[0].as_deref().is_some_and(|accept| accept.starts_with("application/xml, text/xml")), "{asked:?}");
    assert_eq!(asked[1].as_deref(), Some("text/plain"));
}

#[test]
fn fields_of_bodies_may_have_any_name() {
    let project = Project::new();
    let auth = "[auth.oauth2]\ngrant = \"client_credentials\"\ntoken_uri = \"https://a.example/t\"\nclient_id = \"c\"\nclient_secret = { env = \"PATH\" }\n[auth.oauth2.extra]\nproxy = \"x\"\n";
    project.connection("one", "http://127.0.0.1:9", auth);
    let auth = "[auth.custom.body]\ntitle = \"x\"\nauth = { k = \"{{connection.secrets.t}}\" }\n[secrets]\nt = { env = \"PATH\" }\n";
    project.connection("two", "http://127.0.0.1:9", auth);
    run(project.dir(), &["check"]).expect_code(0);
}
