//! Every command there is, by the pages of `flowgate man`: what it tells it tells as JSON with a version too, also that it
//! failed. `top` on a terminal; words that bash completes.

use crate::support::api::{Api, Reply};
use crate::support::command::{finish, flowgate, run};
use crate::support::project::Project;
use crate::support::serving::{Serving, status_until};
use crate::support::{PATIENCE, now};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// Commands that go on until they are ended, or wait for a person.
const GO_ON: &[&str] = &["demo", "serve", "agent", "auth-login"];

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
    ("backfill", "backfill dated --since 2026-01-01 --until 2026-01-02 --step 1d"),
    ("errors-edit", "errors edit 1 --set id=3"),
    ("errors-retry", "errors retry 1"),
    ("errors-resolve", "errors resolve 2"),
    ("errors-purge", "errors purge 2"),
    ("runs-cancel", "runs cancel $RUN"),
    ("drain", "drain"),
    // From here on nothing serves.
    ("state-repair", "state repair"),
    ("state-set", "state set mark k \"v\""),
    ("state-set", "state set mark k"),
    ("state-export", "state export"),
    ("state-import", "state import exported --state other"),
];

/// How each of them fails, in a project where nothing serves, and with which code. `completions` cannot.
const FAIL: &[(&str, &str, i32)] = &[
    ("demo", "demo -C broken", 78),
    ("init", "init", 65),
    ("check", "check -C nowhere", 78),
    ("ping", "ping nobody", 64),
    ("auth-login", "auth login api", 78),
    ("auth-status", "auth status -C nowhere", 78),
    ("run", "run bad -C broken", 78),
    ("backfill", "backfill none --since 2026-01-01", 64),
    ("preview", "preview none", 64),
    ("serve", "serve -C nowhere", 78),
    ("agent", "agent", 78),
    ("status", "status", 69),
    ("explain", "explain copy", 69),
    ("top", "top", 69),
    ("drain", "drain", 69),
    ("reload", "reload", 69),
    ("pause", "pause none", 64),
    ("resume", "resume none", 64),
    ("graph", "graph none", 64),
    ("schema", "schema --write flowgate.toml/x", 65),
    ("man", "man flowgate.toml/x", 65),
    ("runs-list", "runs list --state flowgate.toml", 75),
    ("runs-show", "runs show 20200101T000000Z-1-000000", 64),
    ("runs-logs", "runs logs 20200101T000000Z-1-000000", 64),
    ("runs-cancel", "runs cancel copy", 69),
    ("errors-list", "errors list --state flowgate.toml", 75),
    ("errors-show", "errors show 1 --state flowgate.toml", 75),
    ("errors-edit", "errors edit 1 --state flowgate.toml", 78),
    ("errors-retry", "errors retry", 64),
    ("errors-resolve", "errors resolve", 64),
    ("errors-purge", "errors purge", 64),
    ("state-check", "state check --state absent", 69),
    ("state-repair", "state repair --state absent", 69),
    ("state-show", "state show nothing", 64),
    ("state-set", "state set mark k v --state absent", 69),
    ("state-export", "state export --state absent", 69),
    ("state-import", "state import nowhere.json --state other", 65),
];

/// Those that do it once, or do another thing the second time.
const ACT_ONCE: &[&str] = &["init", "drain", "state-import"];

/// What cannot be written, for want of room on the disk, is told and no success.
#[track_caller]
fn expect_lost_output_told(project: &Project, words: &[&str]) {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = flowgate(project.dir());
    let ended = command.args(words).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(75), "{words:?}: {said}");
    let told =
        said.lines().filter(|line| line.starts_with("error: ") && line.contains("stdout: No space left on device"));
    assert_eq!(told.count(), 1, "{words:?}: {said}");
}

fn parsed(text: &str) -> Value {
    // A preview is a document a line; the first one has the version.
    serde_json::from_str(text.trim())
        .or_else(|_| serde_json::from_str(text.lines().next().unwrap_or("")))
        .unwrap_or_default()
}

/// The commands that do something, by the pages.
fn leaves(project: &Project) -> Vec<String> {
    let pages = run(project.dir(), &["man", project.path("man").to_str().unwrap(), "--json"]).expect_code(0);
    let pages = parsed(&pages.stdout);
    let pages = pages["written"].as_array().unwrap().iter().map(|page| page.as_str().unwrap().trim_end_matches(".1"));
    let leaves: Vec<String> =
        pages.filter(|page| !LEAD.contains(page)).map(|page| page["flowgate-".len()..].to_owned()).collect();
    assert!(leaves.len() > 30, "{leaves:?}");
    leaves
}

/// Each command is in the list or among the others, and the list has no others.
fn expect_all<'l>(leaves: &[String], listed: impl Iterator<Item = &'l str> + Clone, others: &[&str]) {
    for leaf in leaves {
        let known = listed.clone().any(|name| name == leaf) || others.contains(&leaf.as_str());
        assert!(known, "`{leaf}` is new: say in this test how it is asked and how it fails");
    }
    for name in listed {
        assert!(leaves.iter().any(|leaf| leaf == name), "`{name}` is no command any more");
    }
}

#[test]
fn every_command_that_tells_something_tells_it_as_json_with_a_version() {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3}]}"),
        _ if request.json()["id"] == 1 => Reply::json(201, "{}"),
        _ => Reply::json(422, "{}"),
    });
    let project = Project::new();
    project
        .settings("")
        .connection("api", &api.base(), "[ping]\nrelative_uri = \"/records\"\n")
        .copy_flow("copy", "", "");
    let dated = "[export]\nconnection = \"api\"\nrelative_uri = \"/records?since={{last_export}}\"\n\
                 records = \"$.data[*]\"\n[export.delta]\n\
                 [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n";
    project.write("flows/dated.toml", dated);
    run(project.dir(), &["run", "copy"]).expect_code(1);
    let listed = parsed(&run(project.dir(), &["runs", "--json"]).expect_code(0).stdout);
    let id = listed["runs"][0]["run"].as_str().unwrap().to_owned();
    expect_all(&leaves(&project), ASK.iter().map(|(name, _)| *name), GO_ON);

    let mut serving = Some(Serving::of(&project));
    for (name, line) in ASK {
        let line = line.replace("$RUN", &id).replace("$ERROR", "1");
        let mut words: Vec<&str> = line.split(' ').collect();
        let (fresh, exported, other) = (project.path("fresh"), project.path("exported"), project.path("other"));
        for word in &mut words {
            match *word {
                "exported" => *word = exported.to_str().unwrap(),
                "other" => *word = other.to_str().unwrap(),
                _ => {}
            }
        }
        if *name == "init" {
            words.extend(["-C", fresh.to_str().unwrap()]);
        }
        words.push("--json");
        let ended = run(project.dir(), &words);
        assert!(matches!(ended.code, Some(0 | 1 | 65 | 75)), "{line}: {ended:?}");
        let said = parsed(&ended.stdout);
        assert_eq!(said["format"], 1, "{line}: no version in:\n{}\n{}", ended.stdout, ended.stderr);
        // It ran long ago.
        let refused = if *name == "runs-cancel" { 1.into() } else { Value::Null };
        assert_eq!(said["error"]["code"], refused, "{line}: {said:#}");
        if !ACT_ONCE.contains(name) {
            expect_lost_output_told(&project, &words);
            words.pop();
            if !run(project.dir(), &words).stdout.is_empty() {
                expect_lost_output_told(&project, &words);
            }
        }
        if *name == "drain" {
            assert_eq!(serving.take().unwrap().wait_for_end().0, Some(0));
        } else if *name == "state-export" {
            project.write("exported", &ended.stdout);
        }
    }
}

#[test]
fn help_that_cannot_be_written_is_told() {
    let project = Project::new();
    expect_lost_output_told(&project, &["--help"]);
    expect_lost_output_told(&project, &["--version"]);
}

#[test]
fn every_command_that_fails_says_so_to_programs_too() {
    let project = Project::new();
    project.connection("api", "http://127.0.0.1:9", "").copy_flow("copy", "", "").copy_flow("orders", "", "");
    project.write("flowgate.toml", "").write("broken/flows/bad.toml", "export = 7\n");
    expect_all(&leaves(&project), FAIL.iter().map(|(name, ..)| *name), &["completions"]);
    for (_, line, code) in FAIL {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
        command.current_dir(project.dir()).args(line.split(' ')).arg("--json");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = finish(command, PATIENCE);
        assert_eq!(ended.code, Some(*code), "{line}: {ended:?}");
        let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|why| panic!("{line}: {why}: {ended:?}"));
        assert_eq!((&said["format"], &said["error"]["code"]), (&1.into(), &(*code).into()), "{line}: {said:#}");
        let text = said["error"]["text"].as_str().unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(!first.is_empty() && ended.stderr.contains(first), "{line}: {text:?} is not in {:?}", ended.stderr);
    }
}

#[test]
fn bash_completes_commands_their_words_and_their_flags() {
    let project = Project::new();
    let script = project.path("flowgate.bash");
    std::fs::write(&script, run(project.dir(), &["completions", "bash"]).expect_code(0).stdout).unwrap();
    // As readline calls it: by the function that `complete` has for the name.
    let ask = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_LINE=\"$*\"; COMP_POINT=${#COMP_LINE}; \
               entry=$(complete -p flowgate); function=${entry#*-F }; function=${function%% *}; \
               \"$function\" flowgate \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let completed = |words: &[&str]| -> Vec<String> {
        let mut command = Command::new("bash");
        command.args(["--norc", "-c", ask, "bash"]).arg(&script).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = finish(command, PATIENCE).expect_code(0);
        assert_eq!(ended.stderr, "", "{words:?}");
        ended.stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(completed(&["flowgate", "prev"]), ["preview"]);
    assert_eq!(completed(&["flowgate", "errors", "re"]), ["retry", "resolve"]);
    assert_eq!(completed(&["flowgate", "check", "--format", "sa"]), ["sarif"]);
    assert_eq!(completed(&["flowgate", "run", "--dry"]), ["--dry-run"]);
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
