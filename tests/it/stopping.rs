//! How one-off commands end when told to, whatever keeps them busy.

use crate::support::api::{Api, Gates, Reply};
use crate::support::command::{flowgate, run};
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::support::{PATIENCE, now};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::Read;

const EXPORT: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n";

/// Two pages' worth of gates in front of imports; the export answers at once.
fn held() -> (Api, Project, Gates) {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2}]}"),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1").copy_flow("copy", "", "");
    (api, project, gates)
}

#[test]
fn a_run_cut_short_still_gives_its_account() {
    let (api, project, _gates) = held();
    project.settings("[shutdown]\ntimeout = \"300ms\"");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let running = Serving::start(command);
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    running.signal(Signal::TERM);
    let (ended, lines) = running.wait_for_end();
    assert_eq!(ended, Some(75), "{lines:#?}");
    let told = lines.join("\n");
    assert!(told.contains("copy  cancelled"), "{told}");
    assert!(told.contains("copy: read and neither delivered nor refused: 2"), "{told}");
}

#[test]
fn a_run_cut_short_leaves_unknown_only_what_was_in_flight() {
    let (api, project, gates) = held();
    project.settings("[shutdown]\ntimeout = \"300ms\"");
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let running = Serving::start(command);
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    running.signal(Signal::TERM);
    assert_eq!(running.wait_for_end().0, Some(75));
    gates.open_all();
    let ended = run(project.dir(), &["run", "copy", "--json"]).expect_code(1);
    let run: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    let records = &run["runs"][0]["records"];
    assert_eq!((&records["delivered"], &records["failed"]), (&1.into(), &1.into()), "{run}");
    let sent = api.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(sent, 2, "the one in flight is parked, the other is sent");
}

#[test]
fn a_serve_cut_short_says_how_its_runs_ended() {
    let (api, project, _gates) = held();
    project.settings("[shutdown]\ntimeout = \"300ms\"").copy_flow("copy", "schedule = \"* * * * * *\"", "");
    let serving = Serving::of(&project);
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    serving.signal(Signal::TERM);
    let (ended, lines) = serving.wait_for_end();
    assert_eq!(ended, Some(75), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("run finished") && line.contains("cancelled")), "{lines:#?}");
}

#[test]
fn a_closed_terminal_ends_a_run() {
    let (api, project, gates) = held();
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--log-level", "info"]);
    let mut running = Serving::start(command);
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    running.signal(Signal::HUP);
    running.wait_for("drain started");
    gates.open_all();
    let (ended, lines) = running.wait_for_end();
    assert_eq!(ended, Some(143), "{lines:#?}");
}

#[test]
fn a_second_signal_ends_a_run_that_is_stuck_in_a_pipe_nobody_reads() {
    let records: Vec<String> = (0..40_000).map(|id| format!("{{\"id\":{id},\"name\":\"record\"}}")).collect();
    let body = format!("{{\"data\":[{}]}}", records.join(","));
    let api = Api::start(move |_| Reply::json(200, body.clone()));
    let project = Project::new();
    project.connection("api", &api.base(), "").write("flows/dump.toml", EXPORT);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut command = flowgate(project.dir());
        command.args(["run", "dump"]);
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        // Something arrived: its writer has filled the pipe, or is about to.
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 1]).unwrap();
        let until = now() + PATIENCE;
        let mut ended = None;
        // Sent until it takes effect: two of them that arrive together count as one.
        while ended.is_none() && now() < until {
            kill_process(pid, signal).unwrap();
            std::thread::yield_now();
            ended = child.try_wait().unwrap();
        }
        let _ = child.kill();
        child.wait().unwrap();
        assert_eq!(ended.and_then(|status| status.code()), Some(code));
    }
}

#[test]
fn standard_output_is_either_records_or_the_account() {
    let api = Api::scripted([
        ("GET /records", vec![Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2}]}")]),
        ("POST /taken", vec![Reply::json(201, "{}")]),
    ]);
    let project = Project::new();
    project.connection("api", &api.base(), "").write("flows/dump.toml", EXPORT).copy_flow("copy", "", "");
    for args in [&["run", "dump", "--json"][..], &["run", "copy", "--dry-run", "--json"]] {
        let ended = run(project.dir(), args).expect_code(0);
        assert!(!ended.stdout.contains("\"runs\""), "{}", ended.stdout);
        let shown = ["\"id\":1}", "\"id\":2}"].map(|id| ended.stdout.contains(id));
        assert_eq!(shown, [true, true], "{}", ended.stdout);
        let account = ended.stderr.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
        assert_eq!(account.unwrap()["format"], 1, "{}", ended.stderr);
    }
}
