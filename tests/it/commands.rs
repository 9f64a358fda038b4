//! Every command there is, by the pages of `flowgate man`: those that tell something tell it as JSON with a version too.
//! And `top` on a terminal.

use crate::support::api::{Api, Reply};
use crate::support::command::{finish, flowgate, run};
use crate::support::project::Project;
use crate::support::serving::{Serving, status_until};
use crate::support::{PATIENCE, now};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// Commands that act, or go on until they are ended; what they say with `--json` is shown elsewhere.
const ACT: &[&str] = &[
    "demo",
    "serve",
    "agent",
    "backfill",
    "drain",
    "auth-login",
    "errors-edit",
    "errors-retry",
    "errors-resolve",
    "errors-purge",
    "runs-cancel",
    "state-repair",
    "state-set",
    "state-export",
    "state-import",
];

/// Those that only lead to others.
const LEAD: &[&str] = &["flowgate", "flowgate-auth", "flowgate-errors", "flowgate-runs", "flowgate-state"];

/// How each of the others is asked. `$RUN` is a run, `$ERROR` an error record.
const ASK: &[(&str, &str)] = &[
    ("check", "check"),
    ("ping", "ping"),
    ("auth-status", "auth status"),
    ("run", "run copy"),
    ("preview", "preview copy"),
    ("status", "status"),
    ("top", "top"),
    ("runs-list", "runs list"),
    ("runs-show", "runs show $RUN"),
    ("runs-logs", "runs logs $RUN"),
    ("explain", "explain copy"),
    ("pause", "pause copy"),
    ("resume", "resume copy"),
    ("reload", "reload"),
    ("errors-list", "errors list"),
    ("errors-show", "errors show $ERROR"),
    ("state-show", "state show"),
    ("state-check", "state check"),
    ("graph", "graph"),
    ("schema", "schema"),
    ("completions", "completions bash"),
    ("man", "man"),
    ("init", "init"),
];

fn parsed(text: &str) -> Value {
    // A preview is a document a line; the first one has the version.
    serde_json::from_str(text.trim())
        .or_else(|_| serde_json::from_str(text.lines().next().unwrap_or("")))
        .unwrap_or_default()
}

#[test]
fn every_command_that_tells_something_tells_it_as_json_with_a_version() {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2}]}"),
        _ if request.json()["id"] == 1 => Reply::json(201, "{}"),
        _ => Reply::json(422, "{}"),
    });
    let project = Project::new();
    project
        .settings("")
        .connection("api", &api.base(), "[ping]\nrelative_uri = \"/records\"\n")
        .copy_flow("copy", "", "");
    run(project.dir(), &["run", "copy"]).expect_code(1);
    let listed = parsed(&run(project.dir(), &["runs", "--json"]).expect_code(0).stdout);
    let id = listed["runs"][0]["run"].as_str().unwrap().to_owned();

    let pages = run(project.dir(), &["man", project.path("man").to_str().unwrap(), "--json"]).expect_code(0);
    let pages = parsed(&pages.stdout);
    let pages = pages["written"].as_array().unwrap();
    let leaves: Vec<&str> = pages.iter().map(|page| page.as_str().unwrap().trim_end_matches(".1")).collect();
    assert!(leaves.len() > 30, "{leaves:?}");
    let leaves: Vec<&str> = leaves.into_iter().filter(|page| !LEAD.contains(page)).collect();

    let serving = Serving::of(&project);
    for page in &leaves {
        let name = page.strip_prefix("flowgate-").unwrap();
        if ACT.contains(&name) {
            continue;
        }
        let (_, line) = ASK
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("`{page}` is new: say in this test how it is asked for JSON, or that it acts"));
        let line = line.replace("$RUN", &id).replace("$ERROR", "1");
        let mut words: Vec<&str> = line.split(' ').collect();
        let fresh = project.path("fresh");
        if name == "init" {
            words.extend(["-C", fresh.to_str().unwrap()]);
        }
        words.push("--json");
        let ended = run(project.dir(), &words);
        assert!(matches!(ended.code, Some(0 | 1 | 65 | 75)), "{line}: {ended:?}");
        let said = parsed(&ended.stdout);
        assert_eq!(said["format"], 1, "{line}: no version in:\n{}\n{}", ended.stdout, ended.stderr);
    }
    drop(serving);
    for (name, _) in ASK {
        assert!(leaves.contains(&format!("flowgate-{name}").as_str()), "`{name}` is no command any more");
    }
}

/// Reads until what was read fits.
fn read_until(output: &mpsc::Receiver<Vec<u8>>, seen: &mut String, fits: impl Fn(&str) -> bool) {
    let until = now() + PATIENCE;
    while !fits(seen) {
        let left = until.saturating_duration_since(now());
        let Ok(bytes) = output.recv_timeout(left) else { panic!("it never came to that: {seen:?}") };
        seen.push_str(&String::from_utf8_lossy(&bytes));
    }
}

/// Runs `flowgate top` on a terminal that util-linux's `script` makes, types keys, and gives all it drew and its exit code.
fn on_a_terminal(project: &Project, keys: &[u8]) -> (String, Option<i32>) {
    let line = format!("{} -C '{}' top", env!("CARGO_BIN_EXE_flowgate"), project.dir().display());
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (sender, output) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = screen.read(&mut chunk) {
            if sender.send(chunk[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut seen = String::new();
    read_until(&output, &mut seen, |seen| seen.contains("q quits") && seen.contains("copy"));
    keyboard.write_all(keys).unwrap();
    keyboard.flush().unwrap();
    read_until(&output, &mut seen, |seen| seen.contains("\u{1b}[?1049l"));
    drop(keyboard);
    let code = child.wait().unwrap().code();
    reader.join().unwrap();
    (seen, code)
}

#[test]
fn top_draws_on_a_terminal_until_q_and_gives_it_back_and_prints_one_look_elsewhere() {
    let api = Api::start(|_| Reply::json(200, "{\"data\":[]}"));
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "").copy_flow("copy", "", "");
    let ended = run(project.dir(), &["top"]).expect_code(69);
    assert!(ended.stderr.contains("flowgate serve"), "{}", ended.stderr);
    let serving = Serving::of(&project);
    status_until(&project, |status| status["flows"][0]["id"] == "copy");
    let mut plain = flowgate(project.dir());
    plain.arg("top");
    let plain = finish(plain, PATIENCE).expect_code(0);
    assert!(plain.stdout.starts_with("flowgate ") && plain.stdout.contains("copy"), "{}", plain.stdout);
    assert!(!plain.stdout.contains('\u{1b}'), "{:?}", plain.stdout);
    for keys in [&b"xq"[..], b"\x03"] {
        let (seen, code) = on_a_terminal(&project, keys);
        assert_eq!(code, Some(0), "{seen:?}");
        let (enter, leave) = (seen.find("\u{1b}[?1049h").unwrap(), seen.rfind("\u{1b}[?1049l").unwrap());
        assert!(enter < leave && seen.contains("\u{1b}[?25l") && seen.ends_with("\u{1b}[?1049l"), "{seen:?}");
    }
    drop(serving);
}
