//! `[tls]` where no server is needed: what `check` says of keys, what is shown of `verify = false`, and certificates
//! that are replaced under a running `serve`. Against servers: `tests/peers/tls.rs`.

use crate::support::command::run;
use crate::support::project::Project;
use crate::support::serving::{Serving, status, status_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const CHAIN: &str = include_str!("../../src/value/pki/testing/chain.pem");
const FORMS: &str = include_str!("../../src/value/pki/testing/forms.pem");
const HEAD: &str = "base_uri = \"https://127.0.0.1:9\"\n[tls]\nclient_certificate = { file = \"client.pem\" }\n";

/// A key file by its name in `forms.pem`.
fn form(name: &str) -> &'static str {
    let (_, rest) = FORMS.split_once(&format!("# {name}\n")).unwrap();
    rest.split("\n# ").next().unwrap()
}

fn closed(project: &Project, name: &str, text: &str) {
    project.write(name, text);
    fs::set_permissions(project.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// A connection with a client certificate; `keys` follow below `[tls]`.
fn project(key: &str, passphrase: &str, keys: &str) -> Project {
    let project = Project::new();
    project.write("connections/api.toml", &format!("{HEAD}{keys}")).write("client.pem", CHAIN);
    closed(&project, "client.key", form(key));
    closed(&project, "passphrase", passphrase);
    project
}

const KEY: &str = "client_key = { file = \"client.key\" }\n";
const PASSPHRASE: &str = "passphrase = { file = \"passphrase\" }\n";

#[test]
fn check_names_file_line_and_key_of_whatever_is_wrong_with_a_client_key() {
    let both = format!("{KEY}{PASSPHRASE}");
    for (key, passphrase, keys, found) in [
        ("scrypt", "hunter2\n", both.as_str(), ""),
        ("sec1", "hunter2", both.as_str(), ""),
        ("sec1", "hunter2", KEY, ""),
        ("aes256", "another", &both, "connections/api.toml:5:14 wrong-passphrase"),
        ("legacy-des3", "another", &both, "connections/api.toml:5:14 wrong-passphrase"),
        ("aes256", "hunter2", KEY, "connections/api.toml:4:14 missing-passphrase"),
        ("other", "hunter2", KEY, "connections/api.toml:4:14 key-mismatch"),
        ("p521", "hunter2", KEY, "connections/api.toml:4:14 bad-key"),
        ("pbes1", "hunter2", &both, "connections/api.toml:4:14 bad-key"),
    ] {
        let project = project(key, passphrase, keys);
        let code = if found.is_empty() { 0 } else { 78 };
        let ended = run(project.dir(), &["check", "--json"]).expect_code(code);
        let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        let findings: Vec<String> = document["findings"].as_array().unwrap().iter().map(place).collect();
        assert_eq!(findings, found.split_terminator('\0').collect::<Vec<_>>(), "{key}: {}", ended.stdout);
        assert!(!ended.stdout.contains("hunter2") && !ended.stdout.contains("another"), "{}", ended.stdout);
    }
}

fn place(finding: &serde_json::Value) -> String {
    let text = |name: &str| finding[name].to_string().trim_matches('"').to_owned();
    format!("{}:{}:{} {}", text("file"), text("line"), text("column"), text("code"))
}

#[test]
fn a_key_that_everybody_may_read_is_refused_wherever_it_stands() {
    let project = project("pkcs8", "", KEY);
    fs::set_permissions(project.path("client.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let ended = run(project.dir(), &["check"]).expect_code(78);
    assert!(ended.stdout.contains("[secret-file-mode]") && ended.stdout.contains("tls.client_key"), "{}", ended.stdout);
    project.write("connections/api.toml", HEAD);
    project.write("client.pem", &format!("{CHAIN}{}", form("pkcs8")));
    fs::set_permissions(project.path("client.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let ended = run(project.dir(), &["check"]).expect_code(78);
    assert!(
        ended.stdout.contains("[secret-file-mode]") && ended.stdout.contains("tls.client_cert"),
        "{}",
        ended.stdout
    );
    fs::set_permissions(project.path("client.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    run(project.dir(), &["check"]).expect_code(0);
}

#[test]
fn a_missing_certificate_takes_its_connection_offline_and_says_which() {
    let project = project("pkcs8", "", KEY);
    fs::remove_file(project.path("client.pem")).unwrap();
    run(project.dir(), &["check"]).expect_code(0);
    let ended = run(project.dir(), &["ping", "api"]).expect_code(77);
    assert!(ended.stdout.contains("tls.client_certificate: file `client.pem` does not exist"), "{}", ended.stdout);
}

#[test]
fn a_connection_that_verifies_nobody_says_so_in_check_log_metric_and_status() {
    let project = Project::new();
    project.settings("").connection("blind", "https://127.0.0.1:9", "[tls]\nverify = false");
    project.connection("api", "https://127.0.0.1:9", "");
    let ended = run(project.dir(), &["check"]).expect_code(0);
    assert!(ended.stdout.contains("connections/blind.toml:3:10"), "{}", ended.stdout);
    assert!(ended.stdout.contains("[tls-not-verified]"), "{}", ended.stdout);
    run(project.dir(), &["check", "--deny-warnings"]).expect_code(78);
    let mut serving = Serving::start({
        let mut command = crate::support::command::flowgate(project.dir());
        command.arg("serve");
        command
    });
    assert_eq!(serving.wait_for("server not verified")["connection"], "blind");
    serving.wait_until_listening();
    assert_eq!(serving.sample("flowgate_connection_tls_unverified{connection=\"blind\"}"), 1.0);
    assert_eq!(serving.sample("flowgate_connection_tls_unverified{connection=\"api\"}"), 0.0);
    let status = status(&project);
    let lines: Vec<_> =
        status["pools"].as_array().unwrap().iter().flat_map(|pool| pool["lines"].as_array().unwrap()).collect();
    let blind = lines.iter().find(|line| line["connection"] == "blind").unwrap();
    let api = lines.iter().find(|line| line["connection"] == "api").unwrap();
    assert_eq!((&blind["tls_verify"], &api["tls_verify"]), (&false.into(), &true.into()));
    let shown = run(project.dir(), &["status"]).expect_code(0).stdout;
    assert!(shown.contains("blind (TLS NOT VERIFIED)") && !shown.contains("api (TLS"), "{shown}");
    project.connection("blind", "https://127.0.0.1:9", "");
    serving.wait_for("reload applied");
    assert_eq!(serving.sample("flowgate_connection_tls_unverified{connection=\"blind\"}"), 0.0);
}

#[test]
fn garbage_in_place_of_a_certificate_keeps_the_old_one_in_force_until_a_good_one_comes() {
    let project = project("pkcs8", "", KEY);
    project.settings("");
    let mut serving = Serving::of(&project);
    let before = status(&project)["config"]["revision"].clone();
    project.write("client.pem", "<html>not found</html>");
    let rejected = serving.wait_for("reload rejected");
    assert!(rejected.to_string().contains("connections/api.toml:3:22"), "{rejected}");
    assert!(rejected.to_string().contains("holds no certificate"), "{rejected}");
    let shown = status(&project)["config"].clone();
    assert_eq!(shown["revision"], before);
    assert!(shown["rejected"]["first"][0].as_str().unwrap().contains("bad-certificate"), "{shown}");
    // The key comes before the certificate that belongs to it.
    project.write("client.pem", CHAIN);
    status_until(&project, |status| status["config"]["rejected"].is_null());
    closed(&project, "client.key", form("other"));
    assert!(serving.wait_for("reload rejected").to_string().contains("key-mismatch"));
    closed(&project, "client.key", form("sec1"));
    serving.wait_for("reload applied");
    assert_ne!(status(&project)["config"]["revision"], before);
}
