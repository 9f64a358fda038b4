//! `flowgate state …` on what runs leave behind.

use crate::support::api::{Api, Reply};
use crate::support::command::{flowgate, run};
use crate::support::project::Project;
use crate::support::serving::Serving;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A project of which one flow ran: one record taken, one refused.
fn after_a_run() -> (Api, Project) {
    let api = Api::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, r#"{"data":[{"id":1},{"id":2}]}"#),
        _ if request.json()["id"] == 2 => Reply::json(422, r#"{"error":"no"}"#),
        _ => Reply::json(201, "{}"),
    });
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "").copy_flow("copy", "", "");
    run(project.dir(), &["run", "copy"]).expect_code(1);
    (api, project)
}

fn database(project: &Project) -> PathBuf {
    project.path("state/state.db")
}

fn checked(project: &Project, code: i32) -> Value {
    let ended = run(project.dir(), &["state", "check", "--json"]).expect_code(code);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn a_sound_state_is_said_to_be_sound() {
    let (_api, project) = after_a_run();
    let verdict = checked(&project, 0);
    assert_eq!((&verdict["format"], &verdict["sound"]), (&1.into(), &true.into()), "{verdict}");
    assert_eq!((&verdict["rows"]["runs"], &verdict["rows"]["errors"]), (&1.into(), &1.into()), "{verdict}");
    let text = run(project.dir(), &["state", "check"]).expect_code(0).stdout;
    assert!(text.contains("1 runs") && text.contains("the state is sound"), "{text}");
    let text = run(project.dir(), &["state", "repair"]).expect_code(0).stdout;
    assert!(text.contains("nothing to repair"), "{text}");
    let nowhere = run(project.dir(), &["state", "check", "--state", "nowhere"]).expect_code(69);
    assert!(nowhere.stderr.contains("there is no state"), "{}", nowhere.stderr);
    assert!(!project.path("nowhere").exists());
}

#[test]
fn a_flipped_byte_is_told_and_repaired() {
    let (_api, project) = after_a_run();
    let mut bytes = fs::read(database(&project)).unwrap();
    // In the error record, and in the line of the run's log that tells of it.
    let told = b"\"class\":\"rejected\"";
    let places: Vec<usize> = (0..bytes.len() - told.len()).filter(|at| bytes[*at..].starts_with(told)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 10] ^= 1;
    }
    fs::write(database(&project), bytes).unwrap();
    let verdict = checked(&project, 1);
    assert!(verdict["damage"].as_array().unwrap().iter().any(|found| found["flow"] == "copy"), "{verdict}");
    let told = run(project.dir(), &["state", "repair"]).expect_code(0).stdout;
    assert!(told.contains("1 open error records of run") && told.contains("count as dismissed"), "{told}");
    assert_eq!(checked(&project, 0)["damage"], Value::Array(vec![]));
}

#[test]
fn what_is_no_database_or_too_new_is_unusable() {
    let (_api, project) = after_a_run();
    let whole = fs::read(database(&project)).unwrap();
    let mut broken = whole.clone();
    broken[..16].fill(b'x');
    fs::write(database(&project), &broken).unwrap();
    let ended = run(project.dir(), &["state", "check"]).expect_code(65);
    assert!(ended.stderr.contains("state repair"), "{}", ended.stderr);
    let told = run(project.dir(), &["state", "repair"]).expect_code(0).stdout;
    assert!(told.contains("`state.db.damaged-1`"), "{told}");
    let verdict = checked(&project, 0);
    assert_eq!(verdict["rows"]["errors"], 1, "everything was saved: {verdict}");
    assert_eq!(fs::read(project.path("state/state.db.damaged-1")).unwrap(), broken);
    assert!(verdict["notes"][0].as_str().unwrap().contains("damaged-1"), "{verdict}");
}

#[test]
fn values_are_shown_and_changed_while_nobody_owns_the_state() {
    let (_api, project) = after_a_run();
    let set = |words: &[&str]| run(project.dir(), &[&["state", "set"], words].concat());
    set(&["mark", "copy main", "{\"at\":7}"]).expect_code(0);
    let shown = run(project.dir(), &["state", "show", "mark", "--json"]).expect_code(0).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["values"][0]["value"], "{\"at\":7}", "{shown}");
    assert!(set(&["mark", "copy main", "{"]).expect_code(65).stderr.contains("no JSON"));
    assert!(set(&["nothing", "a", "b"]).expect_code(64).stderr.contains("there are: schedule"));
    set(&["token", "api", "{\"refresh\":\"s3cret\"}"]).expect_code(0);
    let show = |words: &[&str]| run(project.dir(), &[&["state", "show"], words].concat()).expect_code(0).stdout;
    assert!(show(&[]).contains("hidden") && !show(&[]).contains("s3cret"));
    assert!(show(&["token", "--tokens"]).contains("s3cret"));
    set(&["mark", "copy main"]).expect_code(0);
    assert!(!show(&["mark"]).contains("copy main"));
}

#[test]
fn a_running_serve_is_looked_at_and_asked_to_write() {
    let (_api, project) = after_a_run();
    let serving = Serving::of(&project);
    assert_eq!(checked(&project, 0)["sound"], true);
    let said = run(project.dir(), &["state", "set", "mark", "copy main", "{\"at\":9}"]).expect_code(0).stderr;
    assert!(said.contains("by the running flowgate"), "{said}");
    assert!(run(project.dir(), &["state", "show", "mark"]).expect_code(0).stdout.contains("{\"at\":9}"));
    run(project.dir(), &["state", "set", "mark", "copy main", "{"]).expect_code(65);
    let ended = run(project.dir(), &["state", "repair"]).expect_code(69);
    assert!(ended.stderr.contains("belongs to a running flowgate"), "{}", ended.stderr);
    serving.signal(Signal::TERM);
    assert_eq!(serving.wait_for_end().0, Some(0));
}

#[test]
fn an_export_goes_into_an_empty_state_only() {
    let (_api, project) = after_a_run();
    let ended = run(project.dir(), &["state", "export"]).expect_code(0);
    assert!(ended.stderr.contains("left out"), "{}", ended.stderr);
    project.write("export.ndjson", &ended.stdout);
    let file = project.path("export.ndjson");
    let import = |state: &str| {
        let mut command = flowgate(project.dir());
        command.args(["state", "import", "--state"]).arg(project.path(state)).arg(&file);
        crate::support::command::finish(command, crate::support::PATIENCE)
    };
    assert!(import("state").expect_code(65).stderr.contains("not empty"));
    import("other").expect_code(0);
    let other = project.path("other");
    let again = run(project.dir(), &["state", "export", "--state", other.to_str().unwrap()]).expect_code(0);
    let rows = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&again.stdout), rows(&ended.stdout));
}

#[test]
fn a_database_that_was_cut_off_is_named_with_what_looks_into_it_and_what_mends_it() {
    let (_api, project) = after_a_run();
    let database = std::fs::File::options().write(true).open(project.path("state/state.db")).unwrap();
    database.set_len(database.metadata().unwrap().len() / 2).unwrap();
    for line in [["runs", "list"], ["errors", "list"]] {
        let ended = run(project.dir(), &line);
        assert_ne!(ended.code, Some(0));
        for remedy in ["`flowgate state check`", "`flowgate state repair`"] {
            assert!(ended.stderr.contains(remedy), "{line:?}: {}", ended.stderr);
        }
    }
}
