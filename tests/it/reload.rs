//! Files that change under a running `serve`: every way they change in practice, and what must not be disturbed.
//!
//! What is in force is judged by what arrives at the API: each record carries a mark written in the flow's file.

use crate::support::PATIENCE;
use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::now;
use crate::support::project::{Project, copy_flow};
use crate::support::serving::{Serving, status, status_until};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const EACH_SECOND: &str = "schedule = \"* * * * * *\"";

fn marked(mark: &str) -> String {
    copy_flow(EACH_SECOND, &format!("[import.body]\nid = \"$.id\"\nmark = \"{mark}\""))
}

fn mark_of(request: &Request) -> String {
    request.json()["mark"].as_str().unwrap_or_default().to_owned()
}

/// Serves `records` records, takes them at once.
fn api_with(records: usize) -> Api {
    let page = page(records);
    Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, page.clone()),
        _ => Reply::json(201, "{}"),
    })
}

/// The same; what is taken is answered gate by gate.
fn gated_api_with(records: usize) -> (Api, Gates) {
    let (gates, page) = (Gates::default(), page(records));
    let held = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, page.clone()),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    (api, gates)
}

fn page(records: usize) -> String {
    let records: Vec<String> = (1..=records).map(|id| format!("{{\"id\":{id}}}")).collect();
    format!("{{\"data\":[{}]}}", records.join(","))
}

fn arrives_marked(api: &Api, mark: &str) {
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST" && mark_of(request) == mark));
}

fn git(dir: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").current_dir(dir).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_git_checkout_puts_the_other_branch_in_force_as_one_change() {
    let api = api_with(1);
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "").write("flows/copy.toml", &marked("first"));
    project.write(".gitignore", "state/\n");
    let git = |arguments: &[&str]| git(project.dir(), arguments);
    git(&["init", "-q", "-b", "first"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    git(&["checkout", "-q", "-b", "second"]);
    project.write("flows/copy.toml", &marked("second"));
    project.connection("other", &api.base(), "").write("flows/sub/more.toml", &copy_flow("enabled = false", ""));
    git(&["add", "."]);
    git(&["commit", "-qm", "second"]);
    git(&["checkout", "-q", "first"]);

    let mut serving = Serving::of(&project);
    arrives_marked(&api, "first");
    git(&["checkout", "-q", "second"]);
    let applied = serving.wait_for("reload applied");
    assert_eq!((applied["changed"].as_u64(), applied["added"].as_u64()), (Some(1), Some(2)), "{applied}");
    arrives_marked(&api, "second");
    git(&["checkout", "-q", "first"]);
    let applied = serving.wait_for("reload applied");
    assert_eq!((applied["changed"].as_u64(), applied["removed"].as_u64()), (Some(1), Some(2)), "{applied}");
    assert_eq!(serving.sample("flowgate_config_reloads_total{outcome=\"applied\"}"), 2.0);
    assert_eq!(serving.sample("flowgate_config_reloads_total{outcome=\"rejected\"}"), 0.0);
}

#[test]
fn an_editors_save_by_rename_is_applied_each_time() {
    let api = api_with(1);
    let project = Project::new();
    project.connection("api", &api.base(), "").write("flows/copy.toml", &marked("0"));
    let mut serving = Serving::of(&project);
    for mark in ["1", "2", "3"] {
        project.write("flows/.copy.toml.swp", &marked(mark));
        fs::rename(project.path("flows/copy.toml"), project.path("flows/copy.toml~")).unwrap();
        fs::rename(project.path("flows/.copy.toml.swp"), project.path("flows/copy.toml")).unwrap();
        let applied = serving.wait_for("reload applied");
        assert_eq!(applied["changed"], 1, "not seen as removed and added: {applied}");
        arrives_marked(&api, mark);
    }
}

#[test]
fn the_swap_of_mounted_config_maps_is_applied_each_time() {
    let api = api_with(1);
    let project = Project::new();
    // As a kubelet mounts them: `..data` leads to a dated folder, each file is a link through it.
    let connection = format!("base_uri = \"{}\"\n", api.base());
    let mount = |folder: &str, name: &str, version: &str, text: &str| {
        project.write(&format!("{folder}/..{version}/{name}"), text);
        symlink(format!("..{version}"), project.path(&format!("{folder}/..data_tmp"))).unwrap();
        fs::rename(project.path(&format!("{folder}/..data_tmp")), project.path(&format!("{folder}/..data"))).unwrap();
    };
    mount("connections", "api.toml", "v0", &connection);
    mount("flows", "copy.toml", "v0", &marked("v0"));
    symlink("..data/api.toml", project.path("connections/api.toml")).unwrap();
    symlink("..data/copy.toml", project.path("flows/copy.toml")).unwrap();

    let mut serving = Serving::of(&project);
    arrives_marked(&api, "v0");
    for (before, after) in [("v0", "v1"), ("v1", "v2")] {
        mount("flows", "copy.toml", after, &marked(after));
        fs::remove_dir_all(project.path(&format!("flows/..{before}"))).unwrap();
        serving.wait_for("reload applied");
        arrives_marked(&api, after);
    }
    mount("connections", "api.toml", "v1", &format!("{connection}concurrency_level = 2\n"));
    serving.wait_for("reload applied");
    assert_eq!(serving.sample("flowgate_connection_concurrency_limit{connection=\"api\"}"), 2.0);
}

#[test]
fn a_removed_flow_starts_no_run_and_finishes_the_one_it_has() {
    let (api, gates) = gated_api_with(3);
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1").write("flows/copy.toml", &marked("x"));
    let mut serving = Serving::of(&project);
    api.wait_until(|seen| seen.len() == 2);
    fs::remove_file(project.path("flows/copy.toml")).unwrap();
    assert_eq!(serving.wait_for("reload applied")["removed"], 1);
    let told = status(&project);
    let flow = &told["flows"][0];
    assert_eq!((flow["state"].as_str(), flow["running"].is_object()), (Some("removed"), true), "{told:#}");
    gates.open_all();
    let end = serving.wait_for_flow("run finished", "copy");
    assert_eq!((end["outcome"].as_str(), end["delivered"].as_u64()), (Some("succeeded"), Some(3)), "{end}");
    // Another flow keeps the time: three seconds later the removed one has not been seen again.
    project.write("flows/other.toml", &marked("other"));
    serving.wait_for("reload applied");
    for _ in 0..3 {
        serving.wait_for_flow("run finished", "other");
    }
    assert_eq!(api.requests_to("/taken").iter().filter(|request| mark_of(request) == "x").count(), 3);
    assert!(!serving.metrics().contains("flow=\"copy\""), "series of a removed flow are not shown");
}

#[test]
fn a_flow_whose_connection_is_removed_with_it_still_finishes() {
    let (api, gates) = gated_api_with(5);
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1").write("flows/copy.toml", &marked("x"));
    let mut serving = Serving::of(&project);
    api.wait_until(|seen| seen.len() == 2);
    fs::remove_dir_all(project.path("flows")).unwrap();
    fs::remove_file(project.path("connections/api.toml")).unwrap();
    serving.wait_for_one("reload applied", |line| line["connections"] == 0 && line["flows"] == 0);
    gates.open_all();
    let end = serving.wait_for_flow("run finished", "copy");
    assert_eq!((end["outcome"].as_str(), end["delivered"].as_u64()), (Some("succeeded"), Some(5)), "{end}");
    assert_eq!(api.most_in_flight(), 1, "its level held to the end");
}

#[test]
fn a_truncated_file_is_rejected_and_told_and_the_refilled_one_is_applied() {
    let api = api_with(1);
    let project = Project::new();
    project.connection("api", &api.base(), "").write("flows/copy.toml", &marked("old"));
    let mut serving = Serving::of(&project);
    arrives_marked(&api, "old");
    let revision = status(&project)["config"]["revision"].clone();
    fs::File::create(project.path("flows/copy.toml")).unwrap();
    let rejected = serving.wait_for("reload rejected");
    assert!(rejected["first"].as_str().unwrap().starts_with("flows/copy.toml:1:1: "), "{rejected}");
    assert_eq!(serving.sample("flowgate_config_reloads_total{outcome=\"rejected\"}"), 1.0);
    assert_eq!(serving.sample("flowgate_config_valid"), 0.0);
    let told = status(&project);
    assert_eq!(told["config"]["revision"], revision);
    assert!(told["config"]["rejected"]["first"][0].as_str().unwrap().starts_with("flows/copy.toml:1:1: "), "{told:#}");
    let human = crate::support::command::run(project.dir(), &["status"]).expect_code(0).stdout;
    assert!(human.contains("NOT in force") && human.contains("flows/copy.toml:1:1"), "{human}");

    // What was in force goes on.
    let before = api.requests().len();
    let more = api.wait_until(|seen| seen.len() >= before + 4);
    assert!(more.iter().filter(|request| request.method == "POST").all(|request| mark_of(request) == "old"));

    project.write("flows/copy.toml", &marked("new"));
    serving.wait_for("reload applied");
    arrives_marked(&api, "new");
    assert_eq!(serving.sample("flowgate_config_valid"), 1.0);
    assert_eq!(serving.sample("flowgate_config_reloads_total{outcome=\"applied\"}"), 1.0);
    assert!(status(&project)["config"]["rejected"].is_null());
}

#[test]
fn a_mistake_taken_back_is_no_reload_but_the_files_are_in_force_again() {
    let api = api_with(1);
    let project = Project::new();
    project.connection("api", &api.base(), "").write("flows/copy.toml", &marked("old"));
    let mut serving = Serving::of(&project);
    project.write("flows/copy.toml", "nonsense = 1");
    serving.wait_for("reload rejected");
    project.write("flows/copy.toml", &marked("old"));
    serving.wait_for("reload reverted");
    assert!(status(&project)["config"]["rejected"].is_null());
    assert_eq!(serving.sample("flowgate_config_valid"), 1.0);
    assert_eq!(serving.sample("flowgate_config_reloads_total{outcome=\"applied\"}"), 0.0);
}

#[test]
fn a_changed_level_holds_at_once_for_requests_that_wait() {
    let (api, gates) = gated_api_with(40);
    let project = Project::new();
    let level = |level: &str| {
        project.connection("api", &api.base(), &format!("concurrency_level = {level}"));
    };
    level("4");
    project.write("flows/copy.toml", &marked("x"));
    let mut serving = Serving::of(&project);
    let posts = |seen: &[Request]| seen.iter().filter(|request| request.method == "POST").count();
    api.wait_until(|seen| posts(seen) == 4 && in_flight(seen) == 4);

    level("1");
    serving.wait_for("reload applied");
    gates.open(3);
    api.wait_until(|seen| in_flight(seen) <= 1);
    // One is left of the four. Each answer lets exactly one more go.
    for sent in 5..=10 {
        assert_eq!(posts(&api.requests()), sent - 1, "above the level of 1");
        gates.open(1);
        let seen = api.wait_until(|seen| posts(seen) >= sent);
        assert_eq!((posts(&seen), in_flight(&seen)), (sent, 1), "above the level of 1");
    }
    level("8");
    // Without any answer: the seven more leave because the level rose.
    let seen = api.wait_until(|seen| in_flight(seen) == 8);
    assert_eq!(posts(&seen), 17);
    assert_eq!(serving.sample("flowgate_connection_in_flight{connection=\"api\"}"), 8.0);
    gates.open_all();
    let end = serving.wait_for_flow("run finished", "copy");
    assert_eq!(end["delivered"], 40, "{end}");
    assert_eq!(api.most_in_flight(), 8);
}

#[test]
fn a_run_ends_on_the_snapshot_it_began_with() {
    let (api, gates) = gated_api_with(12);
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 2").write("flows/copy.toml", &marked("old"));
    let mut serving = Serving::of(&project);
    api.wait_until(|seen| in_flight(seen) == 2 && seen.len() == 3);
    project.write("flows/copy.toml", &marked("new"));
    // The connection too: another base of the same API would be seen at once if the run looked at it.
    project.connection("api", &api.base(), "concurrency_level = 2\nheaders = { X-Mark = \"new\" }");
    serving.wait_for_one("reload applied", |_| true);
    gates.open_all();
    serving.wait_for_flow("run finished", "copy");
    arrives_marked(&api, "new");
    let taken = api.requests_to("/taken");
    let marks: Vec<(String, bool)> =
        taken.iter().map(|request| (mark_of(request), request.header("x-mark").is_some())).collect();
    assert!(marks[..12].iter().all(|mark| *mark == ("old".to_owned(), false)), "{marks:?}");
    assert!(marks[12..].iter().all(|mark| *mark == ("new".to_owned(), true)), "{marks:?}");
}

#[test]
fn a_reload_disturbs_no_other_flow() {
    let (api, gates) = gated_api_with(4);
    let quick = api_with(1);
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1").write("flows/long.toml", &marked("long"));
    project.connection("quick", &quick.base(), "");
    let other = |mark: &str| {
        let text = copy_flow("schedule = \"0 0 4 * * *\"", &format!("[import.body]\nmark = \"{mark}\""));
        project.write("flows/nightly.toml", &text.replace("\"api\"", "\"quick\""));
    };
    other("0");
    let mut serving = Serving::of(&project);
    let run = serving.wait_for_flow("run started", "long")["run"].clone();
    api.wait_until(|seen| in_flight(seen) == 1 && seen.len() == 2);
    let nightly = |told: &serde_json::Value| told["flows"][1]["next_run"].clone();
    let (before, told) = (nightly(&status(&project)), status(&project));
    assert_eq!(told["flows"][0]["running"]["run"], run, "{told:#}");
    for round in 1..=3 {
        other(&round.to_string());
        serving.wait_for("reload applied");
    }
    project.connection("third", &quick.base(), "");
    serving.wait_for("reload applied");
    let told = status(&project);
    assert_eq!(told["flows"][0]["running"]["run"], run, "{told:#}");
    assert_eq!(nightly(&told), before);
    assert_eq!(api.requests().len(), 2, "nothing was sent again");
    gates.open_all();
    let end = serving.wait_for_flow("run finished", "long");
    assert_eq!((&end["run"], end["delivered"].as_u64()), (&run, Some(4)));
    // Its seconds went on being counted all the while.
    let due: Vec<String> = serving
        .lines_of("schedule due")
        .iter()
        .filter(|line| line["flow"] == "long")
        .map(|line| line["occurrence"].as_str().unwrap().to_owned())
        .collect();
    let mut distinct = due.clone();
    distinct.dedup();
    assert_eq!(due, distinct, "no instant fires twice over a reload");
}

#[test]
fn sighup_looks_at_files_whose_change_nothing_announced() {
    let (api, outside) = (api_with(1), tempfile::tempdir().unwrap());
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "").write("flows/copy.toml", &marked("0"));
    let mut serving = Serving::of(&project);
    // A second name of the same file, in a folder nobody watches.
    fs::hard_link(project.path("flows/copy.toml"), outside.path().join("copy.toml")).unwrap();
    arrives_marked(&api, "0");
    fs::write(outside.path().join("copy.toml"), marked("1")).unwrap();
    let asked = now();
    serving.signal(Signal::HUP);
    serving.wait_for("reload applied");
    assert!(now() - asked < Duration::from_secs(20), "it was the signal, not the look every half minute");
    arrives_marked(&api, "1");
}

#[test]
fn the_log_level_applies_at_once_and_the_rest_of_the_settings_needs_a_restart() {
    let api = api_with(1);
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "").write("flows/copy.toml", &marked("x"));
    let mut serving = Serving::of(&project);
    project.settings("[log]\nlevel = \"debug\"");
    serving.wait_for("reload applied");
    serving.wait_for_flow("page read", "copy");
    assert_eq!(status(&project)["config"]["restart_needed"], false);
    project.settings("[log]\nlevel = \"debug\"\n[limits]\nmax_runs = 3");
    serving.wait_for("restart needed");
    let told = status_until(&project, |told| told["config"]["restart_needed"] == true);
    assert!(told["config"]["rejected"].is_null());
    let human = crate::support::command::run(project.dir(), &["status"]).expect_code(0).stdout;
    assert!(human.contains("restart `flowgate serve`"), "{human}");
}

#[test]
fn a_lost_project_directory_changes_nothing_and_comes_back() {
    let api = api_with(1);
    let project = Project::new();
    let real = |name: &str| project.path(name);
    project.settings("").connection("api", &api.base(), "").write("flows/copy.toml", &marked("x"));
    let mut serving = Serving::of(&project);
    fs::rename(real("flows"), real("elsewhere")).unwrap();
    serving.wait_for("reload applied");
    fs::rename(real("elsewhere"), real("flows")).unwrap();
    assert_eq!(serving.wait_for("reload applied")["added"], 1);
    let begun = now();
    serving.wait_for_flow("run finished", "copy");
    assert!(now() - begun < PATIENCE);
}
