//! Credentials with a life: renewed once for everybody, given up when the server says so.

use crate::support::PATIENCE;
use crate::support::api::{Api, Gate, Reply, Request};
use crate::support::command::{Ended, finish, flowgate, run};
use crate::support::flow::{QUICK, TAKE, project, taken};
use crate::support::project::Project;
use std::collections::HashSet;
use std::fmt::Write as _;

const READ: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";

/// A first token and a first refresh token, both from the environment.
const FIRST: &str =
    "[auth.token]\ntoken = { env = \"FIRST\" }\n[auth.token.refresh]\nrefresh_token = { env = \"GRANT\" }\n";

/// The usual refresh: form, default paths.
fn refresh_at(uri: &str) -> String {
    format!("{FIRST}relative_uri = \"{uri}\"\n")
}

fn go(project: &Project) -> Ended {
    let mut command = flowgate(project.dir());
    command.args(["--log-level", "trace", "run", "copy"]).env("FIRST", "t1-first-token").env("GRANT", "r1-first-grant");
    finish(command, PATIENCE)
}

fn records(count: usize) -> Reply {
    let ids: Vec<String> = (1..=count).map(|id| format!("{{\"id\":{id}}}")).collect();
    Reply::json(200, format!("[{}]", ids.join(",")))
}

fn bearer(request: &Request) -> &str {
    request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

fn form(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect()
}

fn field(request: &Request, name: &str) -> String {
    form(request).into_iter().find(|(n, _)| n == name).map(|(_, value)| value).unwrap_or_default()
}

fn token(token: &str, more: &str) -> Reply {
    Reply::json(200, format!("{{\"access_token\":\"{token}\"{more}}}"))
}

/// An API whose records and taker want this token; how its token endpoint answers is the caller's.
fn wants(wanted: &'static str, mut endpoint: impl FnMut(&Request) -> Reply + Send + 'static) -> Api {
    Api::start(move |request| match (request.path(), bearer(request) == wanted) {
        ("/token", _) => endpoint(request),
        (_, false) => Reply::json(401, "{\"error\":\"expired\"}"),
        ("/records", true) => records(3),
        (_, true) => Reply::json(201, "{}"),
    })
}

#[test]
fn a_refused_token_is_renewed_once_and_the_request_sent_again() {
    let api = wants("t2-second-token", |_| token("t2-second-token", ""));
    go(&project(&api, &refresh_at("/token"), &format!("{READ}{TAKE}"))).expect_code(0);
    assert_eq!(taken(&api), [1, 2, 3]);
    let asked = api.requests_to("/token");
    assert_eq!(asked.len(), 1);
    assert_eq!(field(&asked[0], "grant_type"), "refresh_token");
    assert_eq!(field(&asked[0], "refresh_token"), "r1-first-grant");
    assert!(asked[0].header("authorization").is_none(), "a refresh carries its own keys only");
    assert_eq!(api.requests_to("/records").len(), 2, "refused, and sent again");
}

#[test]
fn a_thousand_refused_together_ask_for_one_token() {
    let gate = Gate::default();
    let (held, mut refused) = (gate.clone(), 0);
    let api = Api::start(move |request| match (request.path(), bearer(request)) {
        ("/token", _) => token("t2-second-token", ""),
        ("/records", _) => records(1000),
        (_, "t2-second-token") => Reply::json(201, "{}"),
        _ => {
            refused += 1;
            if refused == 1000 {
                held.open();
            }
            Reply::json(401, "{}").behind(&held)
        }
    });
    let project = project(&api, &refresh_at("/token"), &format!("{READ}{TAKE}"));
    project.settings("[limits]\nburst = 1000\n");
    go(&project).expect_code(0);
    assert_eq!(api.requests_to("/token").len(), 1);
    assert_eq!(api.requests_to("/taken").len(), 2000, "each refused once and taken once");
    let distinct: HashSet<String> = api.requests_to("/taken").into_iter().map(|request| request.body).collect();
    assert_eq!(distinct.len(), 1000);
}

#[test]
fn at_level_one_the_renewal_goes_under_the_requests_own_permit_and_keeps_the_wait() {
    let keys = "concurrency_level = 1\nwait_time = \"30ms\"\n";
    // Nothing to begin with; at home, so that the token request needs a permit too. Every token is good for two.
    let mut uses = 0;
    let api = Api::start(move |request| match request.path() {
        "/token" => {
            uses = 0;
            token("good-for-two", "")
        }
        _ if bearer(request) != "good-for-two" || uses == 2 => Reply::json(401, "{}"),
        path => {
            uses += 1;
            if path == "/records" { records(5) } else { Reply::json(201, "{}") }
        }
    });
    let auth = "[auth.token.refresh]\nrelative_uri = \"/token\"\nbody = { grant_type = \"password\" }\n";
    go(&project(&api, &format!("{keys}{auth}"), &format!("{READ}{TAKE}"))).expect_code(0);
    let seen = api.requests();
    let paths: String = seen.iter().map(|request| if request.path() == "/token" { 'T' } else { 'r' }).collect();
    assert_eq!(paths, "TrrrTrrrTrr", "a token; two uses and a refusal; …");
    assert_eq!(api.most_in_flight(), 1);
    for two in seen.windows(2) {
        let gap = two[1].arrived.saturating_sub(two[0].answered.unwrap());
        assert!(gap.as_millis() >= 30, "{} after {}: {gap:?}", two[1].path(), two[0].path());
    }
}

#[test]
fn a_token_endpoint_elsewhere_needs_no_permit_and_gets_nothing_of_the_connection() {
    let tokens = Api::start(|_| token("t2-second-token", ""));
    let api = wants("t2-second-token", |_| Reply::json(404, "{}"));
    let keys = format!(
        "headers = {{ X-Own = \"1\" }}\nquery = {{ v = \"1\" }}\nconcurrency_level = 1\n{}",
        refresh_at(&format!("{}/elsewhere", tokens.base()))
    );
    go(&project(&api, &keys, &format!("{READ}{TAKE}"))).expect_code(0);
    let asked = tokens.requests();
    assert_eq!((asked.len(), asked[0].target.as_str()), (1, "/elsewhere"));
    assert!(asked[0].header("x-own").is_none());
}

#[test]
fn a_token_whose_life_is_known_is_renewed_before_its_end() {
    let started = crate::support::now();
    let mut ends = None;
    let mut issued = 0;
    let api = Api::start(move |request| match request.path() {
        "/token" => {
            issued += 1;
            ends = Some(started.elapsed() + std::time::Duration::from_secs(1));
            token(&format!("token-number-{issued}"), ",\"expires_in\":\"1\"")
        }
        _ if bearer(request) != format!("token-number-{issued}") || ends.is_none_or(|at| started.elapsed() > at) => {
            Reply::json(401, "{}")
        }
        "/records" => records(25),
        _ => Reply::json(201, "{}"),
    });
    let keys = "concurrency_level = 1\nwait_time = \"100ms\"\n[auth.token.refresh]\nrelative_uri = \"/token\"\n";
    go(&project(&api, keys, &format!("{READ}{TAKE}"))).expect_code(0);
    let answered = api.requests();
    let tokens = api.requests_to("/token").len();
    assert!((3..=6).contains(&tokens), "{tokens} tokens in two and a half seconds");
    assert_eq!(answered.len(), tokens + 26, "nothing was refused and sent again");
}

#[test]
fn a_spent_grant_says_log_in_again_and_is_asked_once() {
    let api = wants("never", |_| Reply::json(400, "{\"error\":\"invalid_grant\",\"error_description\":\"used up\"}"));
    let ended = go(&project(&api, &refresh_at("/token"), &format!("{READ}{TAKE}"))).expect_code(77);
    assert!(ended.stderr.contains("log in again") && ended.stderr.contains("used up"), "{}", ended.stderr);
    assert_eq!(api.requests_to("/token").len(), 1);
}

#[test]
fn the_rejected_rule_tells_a_spent_grant_from_a_fault() {
    let rule = "rejected = { status = 403, path = \"code\", values = [\"17\"] }\n";
    let api = wants("never", |_| Reply::json(403, "{\"code\":17}"));
    let keys = format!("{}{rule}", refresh_at("/token"));
    let ended = go(&project(&api, &keys, READ)).expect_code(77);
    assert!(ended.stderr.contains("log in again"), "{}", ended.stderr);
}

#[test]
fn an_error_with_a_good_status_is_no_token() {
    let api =
        wants("never", |_| Reply::json(200, "{\"error\":\"invalid_client\",\"error_description\":\"no such app\"}"));
    let ended = go(&project(&api, &refresh_at("/token"), READ)).expect_code(77);
    assert!(ended.stderr.contains("no such app") && !ended.stderr.contains("log in"), "{}", ended.stderr);
    let api = wants("never", |_| Reply::json(200, "{\"secret_token_elsewhere\":\"hunter2-token\"}"));
    let ended = go(&project(&api, &refresh_at("/token"), READ)).expect_code(77);
    assert!(ended.stderr.contains("no token at `access_token`"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "an answer that may hold tokens is not shown: {}", ended.stderr);
}

#[test]
fn the_same_token_again_ends_after_one_renewal() {
    let api = wants("never", |_| token("t1-first-token", ""));
    go(&project(&api, &refresh_at("/token"), READ)).expect_code(77);
    assert_eq!((api.requests_to("/records").len(), api.requests_to("/token").len()), (2, 1));
}

#[test]
fn a_refusal_for_want_of_a_permission_does_not_loop() {
    let api = Api::start(|request| match (request.path(), bearer(request)) {
        ("/token", _) => token("t2-second-token", ""),
        ("/records", _) => records(1),
        _ => Reply::json(401, "{\"error\":\"not yours\"}"),
    });
    let ended = go(&project(&api, &refresh_at("/token"), &format!("{READ}{TAKE}"))).expect_code(77);
    assert!(ended.stderr.contains("not yours"), "{}", ended.stderr);
    assert_eq!((api.requests_to("/taken").len(), api.requests_to("/token").len()), (2, 1));
}

#[test]
fn a_token_that_ends_while_the_api_pauses_is_renewed_again() {
    let mut sent = 0;
    let api = Api::start(move |request| {
        if request.path() == "/token" {
            return token("t2-second-token", "");
        }
        sent += 1;
        match sent {
            1 | 3 => Reply::json(401, "{}"),
            2 => Reply::json(429, "{}"),
            _ => records(1),
        }
    });
    go(&project(&api, &format!("{QUICK}{}", refresh_at("/token")), READ)).expect_code(0);
    assert_eq!((api.requests_to("/records").len(), api.requests_to("/token").len()), (4, 2));
}

#[test]
fn a_token_endpoint_that_fails_is_asked_again_later_by_one() {
    let mut answers =
        vec![token("t2-second-token", "").cut_after(20), Reply::json(503, "{}"), Reply::hang_up()].into_iter();
    let api = wants("t2-second-token", move |_| answers.next().unwrap_or_else(|| token("t2-second-token", "")));
    let keys = format!(
        "[retry]\nmax_attempts = 9\nbackoff = {{ initial = \"1ms\", max = \"4ms\" }}\n{}",
        refresh_at("/token")
    );
    go(&project(&api, &keys, &format!("{READ}{TAKE}"))).expect_code(0);
    assert_eq!(api.requests_to("/token").len(), 4);
    assert_eq!(taken(&api), [1, 2, 3]);
}

#[test]
fn a_token_endpoint_that_stays_down_makes_the_connection_unreachable_without_a_storm() {
    let api = Api::start(|request| match (request.path(), bearer(request)) {
        ("/token", _) => Reply::json(500, "{}"),
        ("/records", "t1-first-token") => records(200),
        _ => Reply::json(401, "{}"),
    });
    let keys = format!("{QUICK}{}", refresh_at("/token"));
    let ended = go(&project(&api, &keys, &format!("{READ}{TAKE}"))).expect_code(1);
    assert!(ended.stderr.contains("token refresh failed"), "{}", ended.stderr);
    let asked = api.requests_to("/token").len();
    assert!(asked <= 30, "{asked} token requests for 200 records that wait for each other");
}

#[test]
fn a_redirecting_token_endpoint_is_not_followed() {
    for status in [302, 307, 308] {
        let elsewhere = Api::start(|_| token("stolen", ""));
        let target = format!("{}/steal", elsewhere.base());
        let api = wants("never", move |_| Reply::json(status, "{}").header("location", &target));
        let ended = go(&project(&api, &refresh_at("/token"), READ)).expect_code(77);
        assert!(ended.stderr.contains("redirects to"), "{}", ended.stderr);
        assert!(elsewhere.requests().is_empty());
    }
}

#[test]
fn a_slow_token_endpoint_is_waited_for_by_everybody() {
    let gate = Gate::default();
    let held = gate.clone();
    let api = wants("t2-second-token", move |_| token("t2-second-token", "").behind(&held));
    let project = project(&api, &refresh_at("/token"), &format!("{READ}{TAKE}"));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| go(&project));
        api.wait_until(|seen| seen.iter().any(|request| request.path() == "/token"));
        gate.open();
        running.join().unwrap().expect_code(0);
    });
    assert_eq!(api.requests_to("/token").len(), 1);
}

#[test]
fn what_a_server_echoes_of_a_renewed_token_is_hidden() {
    let second = "S3cond/Tok+en=é9";
    let api = Api::start(move |request| match (request.path(), request.header("authorization")) {
        ("/token", _) => {
            Reply::json(200, format!("{{\"access_token\":\"{second}\",\"refresh_token\":\"gr4nt-two-secret\"}}"))
        }
        ("/records", Some(value)) if value.contains("S3cond") => records(2),
        ("/records", _) => {
            Reply::json(401, format!("{{\"error\":\"bad {}\"}}", request.header("authorization").unwrap()))
        }
        _ => {
            let echo = serde_json::to_string(&format!("{:?} gr4nt-two-secret", request.headers)).unwrap();
            Reply::json(422, format!("{{\"error\":{echo}}}"))
        }
    });
    let keys = format!("response = {{ error_path = \"error\" }}\n{}", refresh_at("/token"));
    let ended = go(&project(&api, &keys, &format!("{READ}{TAKE}"))).expect_code(1);
    for text in [&ended.stdout, &ended.stderr] {
        for secret in ["S3cond", "gr4nt", "t1-first-token", "r1-first-grant"] {
            assert!(!text.contains(secret), "{secret} shows in {text}");
        }
    }
    assert!(ended.stderr.contains("[secret]"));
}

#[test]
fn a_refresh_can_be_a_get_with_headers_or_json_or_xml_text() {
    type Case = (&'static str, fn(&Request) -> bool);
    let cases: [Case; 4] = [
        (
            "method = \"GET\"\nrelative_uri = \"/token?old={{auth.refresh_token}}\"\nheaders = { X-App = \"one\" }\n",
            |r| r.method == "GET" && r.target == "/token?old=r1-first%2Bgrant" && r.header("x-app") == Some("one"),
        ),
        ("relative_uri = \"token\"\nmedia_type = \"json\"\nbody = { refresh = \"{{auth.refresh_token}}\" }\n", |r| {
            r.json() == serde_json::json!({"refresh": "r1-first+grant"})
        }),
        (
            "relative_uri = \"/token\"\nmethod = \"PUT\"\nmedia_type = \"xml\"\n\
             body = \"<r>{{auth.refresh_token}}&amp;{{auth.token}}</r>\"\n",
            |r| {
                r.method == "PUT"
                    && r.body == "<r>r1-first+grant&amp;t1&lt;old</r>"
                    && r.header("content-type") == Some("application/xml")
            },
        ),
        (
            "relative_uri = \"/token\"\nbody = \"grant_type=refresh_token&refresh_token={{auth.refresh_token}}\"\n",
            |r| field(r, "refresh_token") == "r1-first+grant" && r.body.contains("r1-first%2Bgrant"),
        ),
    ];
    for (refresh, fits) in cases {
        let api = wants("t2-second-token", |_| Reply::json(200, "{\"data\":{\"t\":\"t2-second-token\"}}"));
        let keys = format!("{FIRST}{refresh}token_path = \"data.t\"\n");
        let project = project(&api, &keys, READ);
        let mut command = flowgate(project.dir());
        command.args(["run", "copy"]).env("FIRST", "t1<old").env("GRANT", "r1-first+grant");
        finish(command, PATIENCE).expect_code(0);
        let asked = api.requests_to("/token");
        assert!(asked.len() == 1 && fits(&asked[0]), "{refresh}: {asked:#?}");
    }
}

#[test]
fn the_seeds_failure_rule_renews_and_its_neighbour_does_not() {
    let rule = "[auth_failure]\nstatus = 200\npath = \"reason\"\nvalues = [\"Authentication\"]\n";
    let answer = |reason: &str| Reply::json(200, format!("{{\"status\":\"failed\",\"reason\":\"{reason}\"}}"));
    let (refused, busy) = (answer("Authentication"), answer("Service_Unavailable"));
    let api = Api::start(move |request| match (request.path(), bearer(request)) {
        ("/token", _) => token("t2-second-token", ""),
        ("/records", "t2-second-token") => records(1),
        ("/records", _) => refused.clone(),
        _ => busy.clone(),
    });
    let failed = "[response]\nfailure = { path = \"status\", values = [\"failed\"] }\n";
    let keys = format!("{rule}{failed}{}", refresh_at("/token"));
    go(&project(&api, &keys, &format!("{READ}{TAKE}"))).expect_code(1);
    let count = |path: &str| api.requests_to(path).len();
    assert_eq!(
        (count("/records"), count("/token"), count("/taken")),
        (2, 1, 1),
        "one refresh, one retry; none for busy"
    );
}

/// `[auth.oauth2]` with this grant and these further keys.
fn oauth2(uri: &str, grant: &str, more: &str) -> String {
    format!(
        "[auth.oauth2]\ngrant = \"{grant}\"\ntoken_uri = \"{uri}\"\nclient_id = \"app one\"\n\
         client_secret = {{ env = \"GRANT\" }}\n{more}\n"
    )
}

#[test]
fn client_credentials_travel_form_encoded_inside_basic_or_in_the_body() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let api = wants("t2-second-token", |_| token("t2-second-token", ",\"expires_in\":3600"));
    let more = "scopes = [\"read\", \"write:all\"]\nextra = { audience = \"https://api\" }\n";
    let project = project(&api, &oauth2("/token", "client_credentials", more), READ);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]).env("GRANT", "s:cr%t &é");
    finish(command, PATIENCE).expect_code(0);
    let asked = &api.requests_to("/token")[0];
    let basic = STANDARD.encode("app+one:s%3Acr%25t+%26%C3%A9");
    assert_eq!(asked.header("authorization"), Some(format!("Basic {basic}").as_str()));
    let expected = [("grant_type", "client_credentials"), ("scope", "read write:all"), ("audience", "https://api")];
    assert_eq!(form(asked), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));

    let more = "credentials_in = \"body\"\nnames = { client_id = \"app_id\", grant_type = \"kind\" }\n\
                scopes = [\"a\", \"b\"]\nscope_delimiter = \",\"\nmedia_type = \"json\"\n";
    project.connection("api", &api.base(), &oauth2("/token", "client_credentials", more));
    go(&project).expect_code(0);
    let asked = &api.requests_to("/token")[1];
    assert!(asked.header("authorization").is_none());
    let expected = serde_json::json!({
        "kind": "client_credentials", "scope": "a,b", "app_id": "app one", "client_secret": "r1-first-grant",
    });
    assert_eq!(asked.json(), expected);
}

#[test]
fn the_password_grant_renews_with_its_refresh_token_and_falls_back_to_the_password() {
    let mut asked = 0;
    let api = Api::start(move |request| match request.path() {
        "/token" => {
            asked += 1;
            match (asked, field(request, "grant_type").as_str()) {
                (1, "password") => token("token-1", ",\"refresh_token\":\"again-1\""),
                (2, "refresh_token") => Reply::json(400, "{\"error\":\"invalid_grant\"}"),
                (3, "password") => token("token-3", ""),
                _ => Reply::json(500, "{}"),
            }
        }
        "/records" if bearer(request) == "token-1" => records(2),
        _ if bearer(request) == "token-3" => Reply::json(201, "{}"),
        _ => Reply::json(401, "{}"),
    });
    let more = "username = \"me\"\npassword = { env = \"FIRST\" }\n";
    let keys = format!("concurrency_level = 1\n{}", oauth2("/token", "password", more));
    go(&project(&api, &keys, &format!("{READ}{TAKE}"))).expect_code(0);
    let asked = api.requests_to("/token");
    assert_eq!((field(&asked[0], "username"), field(&asked[0], "password")), ("me".into(), "t1-first-token".into()));
    assert_eq!((asked.len(), field(&asked[1], "refresh_token").as_str()), (3, "again-1"));
}

#[test]
fn nobody_logged_in_yet_names_the_command() {
    let api = wants("never", |_| Reply::json(500, "{}"));
    let more = "authorize_uri = \"https://login.example/authorize\"\n";
    let ended = go(&project(&api, &oauth2("/token", "authorization_code", more), READ)).expect_code(77);
    assert!(ended.stderr.contains("flowgate auth login api"), "{}", ended.stderr);
    assert!(api.requests().is_empty());
}

#[test]
fn a_session_is_kept_renewed_and_logged_in_again_when_it_ends() {
    let mut logins = 0;
    let mut uses = 0;
    let api = Api::start(move |request| {
        let cookie = request.header("cookie").unwrap_or_default().to_owned();
        match request.path() {
            "/login" if request.json() == serde_json::json!({"user": "me", "password": "t1-first-token"}) => {
                logins += 1;
                uses = 0;
                Reply::json(302, "{}")
                    .header("location", "/home")
                    .header("set-cookie", &format!("session=number-{logins}; Path=/; HttpOnly"))
                    .header("set-cookie", "wide=1; Domain=example; Path=/")
            }
            "/login" => Reply::json(200, "{\"error\":\"wrong\"}"),
            _ if !cookie.contains(&format!("session=number-{logins}")) || uses == 3 => Reply::json(401, "{}"),
            path => {
                uses += 1;
                let reply = if path == "/records" { records(4) } else { Reply::json(201, "{}") };
                // A renewed session: the same login, another cookie.
                reply.header("set-cookie", &format!("seen={uses}; Path=/"))
            }
        }
    });
    let keys = "concurrency_level = 1\n[auth.cookie.login]\nrelative_uri = \"/login\"\n\
                body = { user = \"me\", password = \"{{connection.secrets.first}}\" }\n\
                [secrets]\nfirst = { env = \"FIRST\" }\n";
    go(&project(&api, keys, &format!("{READ}{TAKE}"))).expect_code(0);
    let seen: Vec<String> = api.requests().iter().map(|request| request.path().to_owned()).collect();
    let expected = ["/login", "/records", "/taken", "/taken", "/taken", "/login", "/taken", "/taken"];
    assert_eq!(seen, expected, "three uses, then refused and logged in again");
    let cookies: Vec<_> = api.requests_to("/taken").iter().map(|r| r.header("cookie").unwrap().to_owned()).collect();
    assert!(cookies[0].contains("session=number-1") && cookies[0].contains("seen=1"), "{cookies:?}");
    assert!(cookies[3].contains("session=number-2"), "{cookies:?}");
}

#[test]
fn a_login_that_is_refused_is_not_tried_again_and_again() {
    let keys = "[auth.cookie.login]\nrelative_uri = \"/login\"\nmedia_type = \"form\"\nbody = { u = \"me\" }\n\
                success_status = 204\nresponse = { error_path = \"error\" }\n";
    let api = Api::start(|_| Reply::json(200, "{\"error\":\"wrong password\"}").header("set-cookie", "s=1"));
    let ended = go(&project(&api, keys, READ)).expect_code(77);
    assert!(ended.stderr.contains("wrong password"), "{}", ended.stderr);
    assert_eq!(api.requests().len(), 1);
    let api = Api::start(|_| Reply::json(204, ""));
    let ended = go(&project(&api, keys, READ)).expect_code(77);
    assert!(ended.stderr.contains("sets no cookie"), "{}", ended.stderr);
}

#[test]
fn custom_credentials_join_headers_query_and_body() {
    let api = Api::start(|request| match request.path() {
        "/records" => records(1),
        _ => Reply::json(201, "{}"),
    });
    let keys = "[vars]\nemail = \"me@x.example\"\n[secrets]\nkey = { env = \"FIRST\" }\n\
                [auth.custom]\nheaders = { X-Key = \"k {{connection.secrets.key}}\" }\n\
                query = { user = \"{{connection.vars.email}}\" }\n\
                body = { auth = { key = \"{{connection.secrets.key}}\", n = 1 }, id = 9 }\n";
    go(&project(&api, keys, &format!("{READ}{TAKE}"))).expect_code(0);
    let read = &api.requests_to("/records")[0];
    assert_eq!(read.header("x-key"), Some("k t1-first-token"));
    assert_eq!((read.target.as_str(), read.body.as_str()), ("/records?user=me%40x.example", ""));
    let sent = api.requests_to("/taken")[0].json();
    assert_eq!(sent, serde_json::json!({"id": 9, "auth": {"key": "t1-first-token", "n": 1}}));
}

#[test]
fn a_custom_credential_may_be_made_of_what_its_refresh_gives() {
    let api = Api::start(|request| match (request.path(), request.header("x-session")) {
        ("/open", _) => Reply::json(200, "{\"Session\":{\"Id\":4711}}"),
        (_, Some("4711/app")) => records(1),
        _ => Reply::json(401, "{}"),
    });
    let keys = "[auth.custom]\nheaders = { X-Session = \"{{auth.token}}/app\" }\n[auth.custom.refresh]\n\
                relative_uri = \"/open\"\nmedia_type = \"json\"\nbody = { app = \"x\" }\ntoken_path = \"Session.Id\"\n";
    go(&project(&api, keys, READ)).expect_code(0);
    assert_eq!(api.requests().len(), 2);
}

#[test]
fn a_signed_assertion_is_traded_for_a_token() {
    let api = wants("t2-second-token", |_| token("t2-second-token", ",\"expires_in\":3600"));
    let keys = "[auth.jwt]\nalgorithm = \"HS256\"\nkey = { env = \"FIRST\" }\nas = \"assertion\"\n\
                claims = { iss = \"me\", aud = \"them\" }\n[auth.jwt.refresh]\nrelative_uri = \"/token\"\n";
    let project = project(&api, keys, READ);
    go(&project).expect_code(0);
    let asked = api.requests_to("/token");
    assert_eq!(
        (asked.len(), field(&asked[0], "grant_type").as_str()),
        (1, "urn:ietf:params:oauth:grant-type:jwt-bearer")
    );
    assert_eq!(field(&asked[0], "assertion").split('.').count(), 3);
    go(&project).expect_code(0);
    assert_eq!(api.requests_to("/token").len(), 1, "kept");
    let body = "media_type = \"json\"\nbody = { jwt = \"{{auth.assertion}}\" }\n";
    let keys = keys.replace("\"them\"", "\"others\"");
    project.connection("api", &api.base(), &format!("{keys}{body}"));
    go(&project).expect_code(0);
    assert_eq!(api.requests_to("/token")[1].json()["jwt"].as_str().unwrap().split('.').count(), 3);
}

#[test]
fn a_get_refresh_with_a_body_is_found_at_load() {
    let project = Project::new();
    let mut keys = String::from("[auth.token.refresh]\nrelative_uri = \"/t\"\nmethod = \"GET\"\n");
    let _ = writeln!(keys, "body = {{ a = \"b\" }}");
    project.connection("api", "http://127.0.0.1:9", &keys);
    let ended = run(project.dir(), &["check"]).expect_code(78);
    assert!(ended.stdout.contains("has no body") || ended.stderr.contains("has no body"), "{}", ended.stderr);
}
