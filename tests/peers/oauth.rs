//! OAuth 2 against oidc-provider, which checks client authentication, PKCE and scopes, rotates refresh tokens, and takes a
//! grant away when one of them is spent twice.

use crate::browser::browse;
use crate::{Project, peer};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// A client's secret: ASCII only, as the RFC has it, with everything that form encoding changes.
const SECRET: &str = "p%ss\"w rd+/=&:'~";

/// Reads sixty records and writes them one by one.
const COPY: &str = "relative_uri = \"/records\"\n[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n";
/// For some three seconds. This server counts in whole seconds: a token may end before its time is over.
const SLOWLY: &str = "concurrency_level = 4\nrate = [\"20/1s\"]\n";

/// None where there is no Node for it. Access tokens live for so many seconds.
fn provider(life: u32) -> Option<peer::Server> {
    let (node, modules) = peer::node()?;
    let mut command = Command::new(node);
    command.arg(peer::script("oidc.mjs")).env("PEER_MODULES", modules).env("PEER_SECRET", SECRET);
    Some(peer::Server::start(command.env("PEER_LIFE", life.to_string()).stderr(Stdio::null())))
}

fn oauth2(grant: &str, client: &str, more: &str) -> String {
    format!("[auth.oauth2]\ngrant = \"{grant}\"\ntoken_uri = \"/token\"\nclient_id = \"{client}\"\n{more}\n")
}

const CLIENT_SECRET: &str = "client_secret = { env = \"SECRET\" }\n";

#[test]
fn oidc_provider_takes_client_credentials_form_encoded_in_the_header_and_in_the_body() {
    let Some(provider) = provider(60) else { return };
    let scoped = "relative_uri = \"/records?scope=read%20write\"\n";
    let keys = oauth2("client_credentials", "in header", &format!("{CLIENT_SECRET}scopes = [\"read\", \"write\"]"));
    let project = Project::new(&provider.base, &keys, scoped);
    project.expect(SECRET, 0);
    assert_eq!(provider.seen()["issued"], 1);
    project.expect("another", 77);

    let body = |scope: &str| {
        let more = format!("{CLIENT_SECRET}credentials_in = \"body\"\nscopes = [\"{scope}\"]");
        oauth2("client_credentials", "in body", &more)
    };
    Project::new(&provider.base, &body("read"), "relative_uri = \"/records?scope=read\"\n").expect(SECRET, 0);
    let shown = Project::new(&provider.base, &body("write"), "relative_uri = \"/records\"\n").expect(SECRET, 77);
    assert!(shown.contains("invalid_scope"), "the server's own word: {shown}");
    assert_eq!((provider.seen()["issued"].as_u64(), provider.seen()["refused"].as_u64()), (Some(2), Some(0)));
}

#[test]
fn oidc_provider_sees_every_refresh_token_spent_once_and_revokes_the_grant_of_one_spent_twice() {
    let Some(provider) = provider(1) else { return };
    let keys = oauth2("refresh_token", "rotating", &format!("{CLIENT_SECRET}refresh_token = {{ file = \"grant\" }}"));
    let seed = provider.text("/seed");
    let project = |keys: &str| {
        let project = Project::new(&provider.base, keys, COPY);
        project.write("grant", &seed);
        project
    };
    let first = project(&format!("{SLOWLY}{keys}"));
    first.expect(SECRET, 0);
    let seen = provider.seen();
    let rotated = seen["rotated"].as_u64().unwrap();
    assert!((3..=8).contains(&rotated), "a token a second for three seconds: {seen}");
    assert_eq!(seen["issued"].as_u64(), Some(rotated), "{seen}");
    // What was kept goes on; the spent one in the file does not count.
    first.expect(SECRET, 0);
    let seen = provider.seen();
    assert_eq!((seen["revoked"].as_u64(), seen["errors"].as_array().unwrap().len()), (Some(0), 0), "{seen}");
    // Somebody else begins with the spent one: the server takes all of it away, and both are told what to do.
    let shown = project(&keys).expect(SECRET, 77);
    assert!(shown.contains("log in again"), "{shown}");
    assert_eq!(provider.seen()["revoked"], 1);
    let shown = first.expect(SECRET, 77);
    assert!(shown.contains("log in again"), "{shown}");
}

#[test]
fn oidc_provider_gives_a_person_s_password_a_grant_that_is_refreshed() {
    let Some(provider) = provider(1) else { return };
    let more = format!("{CLIENT_SECRET}username = \"jürgen\"\npassword = {{ env = \"SECRET\" }}");
    let project = Project::new(&provider.base, &format!("{SLOWLY}{}", oauth2("password", "of a person", &more)), COPY);
    project.expect(SECRET, 0);
    let seen = provider.seen();
    let rotated = seen["rotated"].as_u64().unwrap();
    assert!(rotated >= 2 && seen["issued"].as_u64() == Some(rotated + 1), "the password once: {seen}");
    assert_eq!((seen["revoked"].as_u64(), seen["errors"].as_array().unwrap().len()), (Some(0), 0), "{seen}");
    let other = more.replace("jürgen", "jurgen");
    let shown = Project::new(&provider.base, &oauth2("password", "of a person", &other), COPY).expect(SECRET, 77);
    assert!(shown.contains("no such person"), "{shown}");
}

/// `flowgate auth login`, with a person who is there: what the browser ends at, exit code, and what was said.
fn log_in(project: &Project, agrees: bool) -> (u16, Option<i32>, String) {
    let mut command = project.command(&["auth", "login", "api"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let page = browse(line.trim(), |url| {
        if url.path().starts_with("/interaction/") && !agrees {
            url.set_query(Some("no"));
        }
    });
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (page.status, child.wait().unwrap().code(), text)
}

#[test]
fn oidc_provider_lets_a_person_log_in_with_pkce_on_loopback_and_refreshes_what_that_gave() {
    let Some(provider) = provider(1) else { return };
    let more = "authorize_uri = \"/auth\"\nscopes = [\"read\", \"offline_access\"]";
    let keys = format!("{SLOWLY}{}", oauth2("authorization_code", "native", more));
    let project = Project::new(&provider.base, &keys, COPY);
    let shown = project.expect("", 77);
    assert!(shown.contains("flowgate auth login api"), "{shown}");

    let (page, code, text) = log_in(&project, false);
    assert_eq!((page, code), (200, Some(77)), "{text}");
    assert!(text.contains("access_denied: not today"), "{text}");
    let (page, code, text) = log_in(&project, true);
    assert_eq!((page, code), (200, Some(0)), "{text}");
    assert!(text.contains("logged in to `api`"), "{text}");
    let status = project.command(&["auth", "status"]).output().unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains("kept, generation 1"));

    project.expect("", 0);
    project.expect("", 0);
    let seen = provider.seen();
    assert_eq!(seen["pkce"], serde_json::json!(["S256", "S256"]), "the server demands it: {seen}");
    assert!(seen["rotated"].as_u64().unwrap() >= 4, "{seen}");
    assert_eq!((seen["revoked"].as_u64(), seen["errors"].as_array().unwrap().len()), (Some(0), 0), "{seen}");
}
