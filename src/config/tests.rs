//! What loading a project gives, from texts in memory and small directories.

use super::files::{Source, Tree};
use super::{Env, Loaded, hash, load, load_dir};
use crate::queue::limits::Level;
use crate::value::id::{ConnectionId, FlowId};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

struct Variables(&'static [(&'static str, &'static str)]);

impl Env for Variables {
    fn var(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }
}

const NOTHING: Variables = Variables(&[]);

fn tree(files: &[(&str, &str)]) -> Tree {
    let file = |(path, text): &(&str, &str)| {
        (PathBuf::from(path), Ok(Source { text: (*text).into(), hash: hash(text.as_bytes()) }))
    };
    Tree { root: PathBuf::from("/nonexistent"), files: files.iter().map(file).collect(), hash: String::new() }
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.diagnostics.iter().map(|finding| finding.code).collect()
}

fn connection(id: &str) -> ConnectionId {
    ConnectionId::parse(id).unwrap()
}

#[test]
fn a_borrower_sends_at_its_lenders_level_and_others_at_the_burst_cap() {
    let loaded = load(
        &tree(&[
            ("flowgate.toml", "[limits]\nburst = 7"),
            ("connections/a.toml", "base_uri = 'https://a.example'\nconcurrency_level = 3"),
            ("connections/b.toml", "base_uri = 'https://b.example'\nborrow_concurrency_from = 'a'"),
            ("connections/c.toml", "base_uri = 'https://c.example'"),
        ]),
        &NOTHING,
    );
    let snapshot = loaded.snapshot.unwrap();
    let of = |id: &str| &snapshot.connections[&connection(id)];
    assert_eq!([of("a").http.level, of("b").http.level, of("c").http.level], [3, 3, 7]);
    assert_eq!(of("b").limits.level, Level::Borrow(connection("a")));
    assert!(matches!(of("c").limits.level, Level::Burst(burst) if burst.get() == 7));
}

#[test]
fn missed_is_a_word_or_a_table_and_has_defaults() {
    use crate::model::schedule::{MakeUp, Missed};
    use std::time::Duration;
    let read = |missed: &str| {
        let flow =
            format!("schedule = {{ cron = '@daily'{missed} }}\nexport.connection = 'a'\nimport.connection = 'a'");
        let loaded =
            load(&tree(&[("connections/a.toml", "base_uri = 'https://a.example'"), ("flows/f.toml", &flow)]), &NOTHING);
        let flow = loaded.snapshot.unwrap().flows.into_values().next().unwrap();
        flow.schedule.as_ref().unwrap().missed
    };
    let day = Duration::from_hours(24);
    let one = Missed { run: MakeUp::One, window: day, jitter: Duration::ZERO, max: 1_440 };
    assert_eq!(read(""), one);
    assert_eq!(read(", missed = 'none'"), Missed { run: MakeUp::None, ..one });
    assert_eq!(read(", missed = 'all'"), Missed { run: MakeUp::All, ..one });
    assert_eq!(read(", missed = { window = '7d' }"), Missed { window: 7 * day, ..one });
    let all = Missed { run: MakeUp::All, window: day / 24, jitter: Duration::from_secs(30), max: 5 };
    assert_eq!(read(", missed = { run = 'all', window = '1h', jitter = '30s', max = 5 }"), all);
}

#[test]
fn numbers_are_computed_over_variables_at_load() {
    let loaded = load(
        &tree(&[
            (
                "connections/a.toml",
                "base_uri = 'https://a.example'\nvars.size = 20\nconcurrency_level = '= connection.vars.size / 5'",
            ),
            (
                "flows/f.toml",
                "vars.n = 3\nexport.connection = 'a'\nimport.connection = 'a'\nimport.batch_size = '= flow.vars.n * connection.vars.size'",
            ),
        ]),
        &NOTHING,
    );
    assert_eq!(codes(&loaded), [""; 0]);
    let snapshot = loaded.snapshot.unwrap();
    assert_eq!(snapshot.connections[&connection("a")].http.level, 4);
    let flow = &snapshot.flows[&FlowId::parse("f").unwrap()];
    assert_eq!(flow.import.as_ref().unwrap().batch_size.get(), 60);
    assert_eq!(flow.context.text(), r#"{"id":"f","vars":{"n":3}}"#);
}

#[test]
fn a_table_from_a_csv_file_is_named_watched_and_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("connections/a.toml", "base_uri = 'https://a.example'");
    let flow = "[export]\nconnection = 'a'\n[tables.states]\nfile = 'maps/states.csv'\ndelimiter = ';'\nkey = 'name'\n\
                value = 'code'\n[tables.more]\nmap = { 1 = [2.50], x = true }\ndefault = { none = 1 }";
    write("flows/f.toml", flow);
    write("maps/states.csv", "code;name\nCA;California\n");
    let loaded = load_dir(dir.path(), &NOTHING).unwrap();
    assert_eq!(codes(&loaded), [""; 0]);
    assert_eq!(loaded.named_files, [dir.path().canonicalize().unwrap().join("maps/states.csv")]);
    let before = loaded.snapshot.unwrap().flows[&FlowId::parse("f").unwrap()].clone();
    let row = |name: &str, key: &str| before.tables[name].get(key).map(|row| row.text().to_owned());
    assert_eq!(row("states", "California").as_deref(), Some("\"CA\""));
    assert_eq!(row("states", "Utah"), None);
    assert_eq!([row("more", "1"), row("more", "x")].map(Option::unwrap), ["[2.5]", "true"]);
    assert_eq!(row("more", "y").as_deref(), Some("{\"none\":1}"));

    write("maps/states.csv", "code;name\nCA;California\nUT;Utah\n");
    let after = load_dir(dir.path(), &NOTHING).unwrap().snapshot.unwrap();
    let after = &after.flows[&FlowId::parse("f").unwrap()];
    assert_ne!(before.hash, after.hash);
    assert!(after.tables["states"].get("Utah").is_some());

    write("maps/states.csv", "code;name\nCA\n");
    let loaded = load_dir(dir.path(), &NOTHING).unwrap();
    assert_eq!(codes(&loaded), ["bad-table"]);
    assert!(
        loaded.diagnostics[0].message.contains("maps/states.csv") && loaded.diagnostics[0].message.contains("line 2")
    );
}

#[test]
fn a_secret_file_is_named_watched_and_refused_when_everybody_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("connections")).unwrap();
    let text = "base_uri = 'https://a.example'\nsecrets.token = { file = 'token' }";
    fs::write(at("connections/a.toml"), text).unwrap();
    fs::write(at("token"), "hunter2\n").unwrap();
    let mode = |mode| fs::set_permissions(at("token"), fs::Permissions::from_mode(mode)).unwrap();

    mode(0o644);
    let loaded = load_dir(dir.path(), &NOTHING).unwrap();
    assert_eq!(codes(&loaded), ["secret-file-mode"]);
    assert_eq!(loaded.named_files, [dir.path().canonicalize().unwrap().join("token")]);

    mode(0o640);
    let before = load_dir(dir.path(), &NOTHING).unwrap().snapshot.unwrap();
    let a = connection("a");
    let secret = before.connections[&a].http.secrets[0].1.clone();
    assert_eq!(secret.map(|secret| secret.reveal().to_owned()), Ok("hunter2".to_owned()));

    fs::write(at("token"), "hunter3\n").unwrap();
    let after = load_dir(dir.path(), &NOTHING).unwrap().snapshot.unwrap();
    assert_ne!(before.connections[&a].hash, after.connections[&a].hash);
    assert_ne!(before.revision, after.revision);
}

#[test]
fn an_unresolved_source_is_a_warning_and_the_connection_knows_why_it_is_offline() {
    let text = "base_uri = 'https://{{connection.vars.x}}.example'\nvars.x = { env = 'X' }\nsecrets.y = { env = 'Y' }";
    let files = [("connections/a.toml", text)];
    let loaded = load(&tree(&files), &NOTHING);
    assert_eq!(codes(&loaded), ["unresolved-source"; 2]);
    let a = connection("a");
    let found = loaded.snapshot.unwrap().connections[&a].http.unresolved.clone();
    assert_eq!(found, ["vars.x: environment variable `X` is not set"], "secrets carry their own reason");
    let loaded = load(&tree(&files), &Variables(&[("X", "x"), ("Y", "y")]));
    let found = &loaded.snapshot.unwrap().connections[&a];
    assert_eq!((found.http.unresolved.len(), found.http.base_uri.as_str()), (0, "https://x.example/"));
}

#[test]
fn a_flow_knows_which_of_its_variables_have_no_value_yet() {
    let flow = "vars.region = { env = 'NOPE' }\nvars.size = 3\nexport.connection = 'a'\nexport.keep = 'record.id == flow.vars.region'";
    let files = [("connections/a.toml", "base_uri = 'https://a.example'"), ("flows/f.toml", flow)];
    let unresolved = |env| {
        let loaded = load(&tree(&files), env);
        loaded.snapshot.unwrap().flows[&FlowId::parse("f").unwrap()].unresolved.clone()
    };
    assert_eq!(unresolved(&NOTHING), ["vars.region: environment variable `NOPE` is not set"]);
    assert_eq!(unresolved(&Variables(&[("NOPE", "eu")])), [""; 0]);
}

#[test]
fn a_server_token_that_does_not_resolve_is_not_the_same_as_none() {
    let settings = |text| load(&tree(&[("flowgate.toml", text)]), &NOTHING).snapshot.unwrap().settings;
    let asked = settings("[server]\nlisten = '0.0.0.0:1'\ntoken = { env = 'T' }");
    assert!(matches!(asked.token, Some(Err(_))));
    assert!(settings("").token.is_none());
}

#[test]
fn an_environment_value_never_becomes_configuration() {
    let text = "base_uri = 'https://a.example'\nvars.x = { env = 'X' }\nheaders.X = '{{connection.vars.x}}'";
    let hostile = Variables(&[("X", "\"\n[auth.basic]\nusername = \"{{connection.secrets}}\"")]);
    let loaded = load(&tree(&[("connections/a.toml", text)]), &hostile);
    assert_eq!(codes(&loaded), [""; 0]);
    let snapshot = loaded.snapshot.unwrap();
    assert!(matches!(snapshot.connections[&connection("a")].http.auth, crate::http::auth::Auth::None));
}

#[test]
fn a_megabyte_of_mistakes_on_one_line_is_reported_in_bounds() {
    let keys: Vec<String> = (0..60_000).map(|n| format!("k{n} = 1")).collect();
    let text = format!("base_uri = 'https://a.example'\nretry = {{ {} }}", keys.join(", "));
    let loaded = load(&tree(&[("connections/a.toml", &text)]), &NOTHING);
    assert_eq!(loaded.diagnostics.len(), 5_001);
    assert!(loaded.diagnostics.iter().all(|one| one.source_line.as_ref().is_none_or(|line| line.len() < 1_000)));
    assert_eq!(loaded.diagnostics[5_000].message, "55000 more findings in this file");
}

/// Pieces of which hostile files are made.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "base_uri",
        "=",
        "\"https://a.example\"",
        "\n",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ".",
        ",",
        "export",
        "import",
        "step",
        "auth",
        "token",
        "basic",
        "vars",
        "secrets",
        "paging",
        "page",
        "skip",
        "schedule",
        "'",
        "\"",
        "\"\"\"",
        "$.a[*]",
        "= record.a",
        "{{record.a}}",
        "{{#each",
        "pick",
        "each",
        "literal",
        "concat",
        "body",
        "headers",
        "query",
        "retry",
        "rate_limit",
        "values",
        "status",
        "1",
        "-1",
        "true",
        "\u{1b}",
        "é",
        "\\u0041",
        "1979-05-27",
        "nan",
        "1e999",
        "99999999999999999999",
        "#",
        "connection",
        "\"a\"",
        "response",
        "success",
        "wait_time",
        "\"1s\"",
        "server",
        "listen",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from), 1 => " *[a-z]{1,6} *"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_every_place_lies_in_its_file(pieces in prop::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        let files = [("flowgate.toml", text.as_str()), ("connections/a.toml", text.as_str()), ("flows/f.toml", text.as_str())];
        let loaded = load(&tree(&files), &NOTHING);
        let lines: Vec<&str> = text.split('\n').collect();
        for one in &loaded.diagnostics {
            prop_assert!(one.line >= 1 && one.line <= lines.len(), "{one:?}");
            prop_assert!(one.column >= 1 && one.column <= lines[one.line - 1].chars().count() + 1, "{one:?}");
            prop_assert!(one.file != Path::new(""));
        }
        let _printed = super::render::text(&loaded.diagnostics, true);
        prop_assert_eq!(loaded.snapshot.is_none(), loaded.diagnostics.iter().any(|one| one.severity == super::diagnostic::Severity::Error));
    }

    #[test]
    fn no_change_of_a_sound_file_panics(at in 0usize..2_000, cut in 0usize..40, piece in piece()) {
        let sound = include_str!("../../tests/config/valid/flow-whole/flows/sales/orders.toml");
        let floor = |mut at: usize| { at = at.min(sound.len()); while !sound.is_char_boundary(at) { at -= 1; } at };
        let text = format!("{}{piece}{}", &sound[..floor(at)], &sound[floor(at + cut)..]);
        let shop = ("connections/shop.toml", "base_uri = 'https://a.example'");
        let erp = ("connections/erp.toml", "base_uri = 'https://a.example'\nvars.size = 1");
        let loaded = load(&tree(&[shop, erp, ("flows/f.toml", &text)]), &NOTHING);
        let _printed = super::render::json(&loaded.diagnostics);
    }
}
