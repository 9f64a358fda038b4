//! `flowgate auth login`: a person grants access once, with PKCE and a state nobody can guess, on loopback.

use crate::support::api::{Api, Reply, Request};
use crate::support::client;
use crate::support::command::{flowgate, run};
use crate::support::flow::{QUICK, TAKE, project};
use crate::support::project::Project;
use crate::support::serving::Serving;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Child;
use url::Url;

const AUTH: &str = "[auth.oauth2]\ngrant = \"authorization_code\"\ntoken_uri = \"/token\"\n\
    authorize_uri = \"https://login.example/authorize?prompt=consent\"\nclient_id = \"app\"\nscopes = [\"read\", \"offline\"]\n";

/// A login under way: the address it printed, taken apart.
struct Begun {
    child: Child,
    asked: HashMap<String, String>,
    url: Url,
}

impl Begun {
    fn start(project: &Project) -> Self {
        let mut child = flowgate(project.dir()).args(["auth", "login", "api"]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = Url::parse(line.trim()).unwrap_or_else(|_| panic!("no address in {line:?}"));
        let asked = url.query_pairs().into_owned().collect();
        Self { child, asked, url }
    }

    /// The browser comes back with this query.
    fn back(&self, query: &str) -> u16 {
        let redirect = Url::parse(&self.asked["redirect_uri"]).unwrap();
        let addr: SocketAddr = format!("127.0.0.1:{}", redirect.port().unwrap()).parse().unwrap();
        client::get(addr, &format!("{}?{query}", redirect.path())).status
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code(), text)
    }
}

fn form(request: &Request) -> HashMap<String, String> {
    url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect()
}

/// An API behind a login; the code it gives out is `c0de+1`.
fn behind_login() -> Api {
    let mut read = false;
    Api::start(move |request| match (request.path(), request.header("authorization")) {
        ("/token", _) if form(request).get("code").is_some_and(|code| code == "c0de+1") => {
            let body = "{\"access_token\":\"t0ken-of-login\",\"refresh_token\":\"gr4nt-of-login\",\"expires_in\":3600}";
            Reply::json(200, body)
        }
        ("/token", _) => Reply::json(400, "{\"error\":\"invalid_grant\",\"error_description\":\"no such code\"}"),
        (_, Some("Bearer t0ken-of-login")) if request.path() == "/records" => {
            let body = if std::mem::replace(&mut read, true) { "[]" } else { "[{\"id\":1}]" };
            Reply::json(200, body)
        }
        (_, Some("Bearer t0ken-of-login")) => Reply::json(201, "{}"),
        _ => Reply::json(401, "{}"),
    })
}

#[test]
fn a_login_brings_an_offline_connection_of_a_running_serve_back() {
    let api = behind_login();
    let flow =
        format!("schedule = \"* * * * * *\"\n[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n{TAKE}");
    let project = project(&api, &format!("{QUICK}{AUTH}"), &flow);
    let mut serving = Serving::of(&project);
    let offline = serving.wait_for("connection offline");
    assert!(offline["cause"].as_str().unwrap().contains("flowgate auth login api"), "{offline}");

    let begun = Begun::start(&project);
    let asked = |name: &str| begun.asked[name].as_str();
    assert_eq!(begun.url.host_str(), Some("login.example"));
    for (name, value) in [
        ("prompt", "consent"),
        ("response_type", "code"),
        ("client_id", "app"),
        ("scope", "read offline"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked(name), value);
    }
    assert!(asked("state").len() >= 43 && asked("code_challenge").len() == 43);
    // Anything but the answer to this very login is turned away, and the login still waits.
    assert_eq!(begun.back("code=stolen&state=guessed"), 400);
    assert_eq!(begun.back("code=stolen"), 400);
    assert_eq!(begun.back(&format!("code=c0de%2B1&state={}", asked("state"))), 200);
    let challenge = asked("code_challenge").to_owned();
    let redirect = asked("redirect_uri").to_owned();
    let (code, text) = begun.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("logged in to `api`, the token holds until 20"), "{text}");
    for secret in ["c0de", "t0ken", "gr4nt"] {
        assert!(!text.contains(secret), "{text}");
    }

    let traded = form(&api.requests_to("/token")[0]);
    assert_eq!(traded["grant_type"], "authorization_code");
    assert_eq!((traded["redirect_uri"].as_str(), traded["client_id"].as_str()), (redirect.as_str(), "app"));
    assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(traded["code_verifier"].as_bytes())), challenge);
    serving.wait_for("connection online");
    serving.wait_for_one("run finished", |line| line["delivered"] == 1);
    // The running process answers for the connection now, and what it keeps can be looked at.
    run(project.dir(), &["ping", "api"]).expect_code(0);
    let shown = run(project.dir(), &["auth", "status"]).expect_code(0).stdout;
    assert!(shown.contains("kept, generation 1") && shown.contains("20") && !shown.contains("gr4nt"), "{shown}");
    let shown = run(project.dir(), &["auth", "status", "--json"]).expect_code(0).stdout;
    let document: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(document["connections"][0]["token"]["renewable"], true, "{shown}");
    assert!(document["connections"][0]["offline"].is_null(), "{shown}");
}

#[test]
fn a_refused_login_says_why() {
    let api = behind_login();
    let project = project(&api, AUTH, "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n");
    let begun = Begun::start(&project);
    assert_eq!(
        begun.back(&format!("error=access_denied&error_description=not+you&state={}", begun.asked["state"])),
        200
    );
    let (code, text) = begun.end();
    assert_eq!((code, text.contains("access_denied: not you")), (Some(77), true), "{text}");
    let begun = Begun::start(&project);
    assert_eq!(begun.back(&format!("code=wrong&state={}", begun.asked["state"])), 200);
    let (code, text) = begun.end();
    assert_eq!((code, text.contains("no such code")), (Some(77), true), "{text}");
}

#[test]
fn connections_that_need_no_person_say_so() {
    let api = Api::start(|_| Reply::json(200, "[]"));
    let project = project(&api, "", "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n");
    let ended = run(project.dir(), &["auth", "login", "api"]).expect_code(78);
    assert!(ended.stderr.contains("needs no login"), "{}", ended.stderr);
    let ended = run(project.dir(), &["auth", "login", "apj"]).expect_code(64);
    assert!(ended.stderr.contains("did you mean `api`"), "{}", ended.stderr);
    run(project.dir(), &["auth", "status", "--json"]).expect_code(0);
}
