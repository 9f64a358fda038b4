//! The long-running process: who may ask it, who may stand beside it, and how it ends.

use crate::support::api::{Api, Gates, Reply, in_flight};
use crate::support::client;
use crate::support::command::{flowgate, run};
use crate::support::now;
use crate::support::project::Project;
use crate::support::serving::{Serving, status, status_until};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const EACH_SECOND: &str = "schedule = \"* * * * * *\"";

/// Ten records, taken gate by gate, in a project that copies them each second at level 2.
fn gated(settings: &str) -> (Api, Gates, Project) {
    let gates = Gates::default();
    let held = gates.clone();
    let records: Vec<String> = (1..=10).map(|id| format!("{{\"id\":{id}}}")).collect();
    let page = format!("{{\"data\":[{}]}}", records.join(","));
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, page.clone()),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    let project = Project::new();
    project.settings(settings).connection("api", &api.base(), "concurrency_level = 2");
    project.copy_flow("copy", EACH_SECOND, "");
    (api, gates, project)
}

/// A project in which nothing is scheduled.
fn idle() -> Project {
    let project = Project::new();
    project.settings("").connection("api", "http://127.0.0.1:1", "").copy_flow("copy", "", "");
    project
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_is_healthy_and_ready_and_while_it_drains_healthy_only() {
    let (api, gates, project) = gated("");
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    assert_eq!(client::get(addr, "/healthz").status, 200);
    assert_eq!(client::get(addr, "/readyz").status, 200);
    assert_eq!(client::get(addr, "/nothing").status, 404);
    assert_eq!(client::send(addr, "POST", "/metrics", "", "").status, 405);
    api.wait_until(|seen| in_flight(seen) == 2);
    serving.signal(Signal::TERM);
    serving.wait_for("drain started");
    assert_eq!(client::get(addr, "/readyz").status, 503);
    assert_eq!(client::get(addr, "/healthz").status, 200);
    let told = status(&project);
    assert_eq!(told["draining"], true);
    assert!(run(project.dir(), &["status"]).expect_code(0).stdout.contains("draining"), "{told:#}");
    gates.open_all();
    let (code, lines) = serving.wait_for_end();
    assert_eq!(code, Some(0), "{lines:#?}");
}

#[test]
fn a_drain_lets_requests_in_flight_finish_and_sends_no_others() {
    let (api, gates, project) = gated("");
    let mut serving = Serving::of(&project);
    api.wait_until(|seen| in_flight(seen) == 2);
    serving.signal(Signal::TERM);
    serving.wait_for("drain started");
    gates.open_all();
    let end = serving.wait_for_flow("run finished", "copy");
    assert_eq!((end["outcome"].as_str(), end["delivered"].as_u64()), (Some("cancelled"), Some(2)), "{end}");
    assert_eq!(end["in_flight"], 8, "{end}");
    let (code, lines) = serving.wait_for_end();
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(api.requests().len(), 3, "one page, the two in flight, nothing more");
    assert_eq!(in_flight(&api.requests()), 0);
    assert!(!project.path("state/flowgate.sock").exists(), "the socket is gone with its owner");
}

#[test]
fn sigint_drains_as_well() {
    let project = idle();
    let serving = Serving::of(&project);
    serving.signal(Signal::INT);
    assert_eq!(serving.wait_for_end().0, Some(0));
}

#[test]
fn a_hung_api_keeps_it_no_longer_than_the_timeout_and_ends_it_with_75() {
    let (api, _gates, project) = gated("[shutdown]\ntimeout = \"1s\"");
    let mut serving = Serving::of(&project);
    api.wait_until(|seen| in_flight(seen) == 2);
    let begun = now();
    serving.signal(Signal::TERM);
    serving.wait_for("drain started");
    let (code, lines) = serving.wait_for_end();
    let took = now() - begun;
    assert_eq!(code, Some(75), "{lines:#?}");
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (second, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (api, _gates, project) = gated("");
        let mut serving = Serving::of(&project);
        api.wait_until(|seen| in_flight(seen) == 2);
        serving.signal(Signal::TERM);
        serving.wait_for("drain started");
        let begun = now();
        serving.signal(second);
        let (ended, lines) = serving.wait_for_end();
        assert_eq!(ended, Some(code), "{lines:#?}");
        assert!(now() - begun < Duration::from_secs(5), "the drain had 30 s");
    }
}

#[test]
fn a_second_one_on_the_same_state_is_refused_and_told_whom_to_stop() {
    let project = idle();
    let serving = Serving::of(&project);
    let ended = run(project.dir(), &["serve"]).expect_code(78);
    let pid = format!("(pid {}, since ", serving.pid());
    assert!(ended.stderr.contains(&pid) && ended.stderr.contains("--state"), "{}", ended.stderr);
    assert_eq!(status(&project)["pid"], serving.pid(), "the first one is undisturbed");
    let elsewhere = project.path("elsewhere");
    let second = Serving::with(&project, &["--state", elsewhere.to_str().unwrap()]);
    assert_ne!(second.pid(), serving.pid());
    assert_eq!(status(&project)["pid"], serving.pid());
}

#[test]
fn what_a_killed_one_left_behind_never_blocks_the_next() {
    let project = idle();
    for _ in 0..3 {
        let serving = Serving::of(&project);
        serving.signal(Signal::KILL);
        assert_eq!(serving.wait_for_end().0, None, "killed");
        assert!(project.path("state/flowgate.lock").exists() && project.path("state/flowgate.sock").exists());
        run(project.dir(), &["status"]).expect_code(69);
    }
    let serving = Serving::of(&project);
    assert_eq!(status(&project)["pid"], serving.pid());
}

#[test]
fn state_and_socket_are_private_and_a_loose_state_directory_is_refused() {
    let project = idle();
    let serving = Serving::of(&project);
    assert_eq!(mode(&project.path("state")), 0o700);
    assert_eq!(mode(&project.path("state/flowgate.sock")), 0o600);
    assert_eq!(mode(&project.path("state/flowgate.lock")), 0o600);
    drop(serving);
    std::fs::set_permissions(project.path("state"), PermissionsExt::from_mode(0o755)).unwrap();
    let ended = run(project.dir(), &["serve"]).expect_code(78);
    assert!(ended.stderr.contains("0755") && ended.stderr.contains("chmod 700"), "{}", ended.stderr);
}

#[test]
fn status_tells_flows_queues_and_what_is_in_force() {
    let (api, gates, project) = gated("");
    project.copy_flow("off", "enabled = false", "");
    let serving = Serving::of(&project);
    api.wait_until(|seen| in_flight(seen) == 2);
    let told = status_until(&project, |told| told["pools"][0]["lines"][0]["queued"].as_u64() > Some(0));
    assert_eq!((told["format"].as_u64(), &told["draining"]), (Some(1), &serde_json::Value::Bool(false)));
    assert_eq!(told["flows"][0]["id"], "copy");
    assert!(told["flows"][0]["running"]["records"]["exported"] == 10, "{told:#}");
    assert!(told["flows"][0]["next_run"].is_string(), "{told:#}");
    assert_eq!(told["flows"][1]["state"], "disabled");
    let pool = &told["pools"][0];
    assert_eq!((&pool["pool"], &pool["level"], &pool["in_flight"]), (&"api".into(), &2.into(), &2.into()));
    let human = run(project.dir(), &["status"]).expect_code(0).stdout;
    for word in [&format!("pid {}", serving.pid()), "copy", "running", "off", "disabled", "api", "in force since"] {
        assert!(human.contains(word), "no {word:?} in\n{human}");
    }
    gates.open_all();
    let told = status_until(&project, |told| told["flows"][0]["last"].is_object());
    assert_eq!(told["flows"][0]["last"]["outcome"], "succeeded");
    assert!(told["flows"][0]["last_success"].is_string());
}

#[test]
fn a_taken_port_is_said_and_nothing_is_left_running() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let project = idle();
    project.write("flowgate.toml", &format!("[server]\nlisten = \"{addr}\"\n"));
    let ended = run(project.dir(), &["serve"]).expect_code(78);
    assert!(ended.stderr.contains(&addr.to_string()) && ended.stderr.contains("[server] listen"), "{}", ended.stderr);
    assert!(!project.path("state/flowgate.sock").exists());
}

#[test]
fn an_address_open_to_others_needs_a_token() {
    let project = idle();
    project.write("flowgate.toml", "[server]\nlisten = \"0.0.0.0:0\"\n");
    let ended = run(project.dir(), &["serve"]).expect_code(78);
    assert!(ended.stderr.contains("[server]") && ended.stderr.contains("token"), "{}", ended.stderr);

    let token = "listen = \"127.0.0.1:0\"\ntoken = { env = \"GATE_TOKEN\" }\npublic = [\"health\"]";
    project.write("flowgate.toml", &format!("[server]\n{token}\n"));
    let mut command = flowgate(project.dir());
    command.arg("serve").env("GATE_TOKEN", "sesame");
    let mut serving = Serving::start(command);
    let addr = serving.wait_until_listening();
    assert_eq!(client::get(addr, "/healthz").status, 200);
    assert_eq!(client::get(addr, "/metrics").status, 401);
    let with = |token: &str| client::send(addr, "GET", "/metrics", &format!("authorization: Bearer {token}\r\n"), "");
    assert_eq!(with("Sesame").status, 401);
    assert_eq!(with("sesame").status, 200);
}

#[test]
fn it_answers_only_to_names_it_has() {
    let project = idle();
    project.write("flowgate.toml", "[server]\nlisten = \"127.0.0.1:0\"\nhosts = [\"flows.example\"]\n");
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1", 200),
        ("flows.example:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ] {
        assert_eq!(client::get_as(addr, host, "/metrics"), status, "{host}");
    }
}

#[test]
fn a_state_directory_the_system_cannot_give_is_no_mistake_in_a_file() {
    let project = Project::new();
    project.write("taken", "a file, so that no directory can be made below it");
    let state = project.path("taken/state");
    let ended = run(project.dir(), &["--state".as_ref(), state.as_os_str(), "serve".as_ref()]).expect_code(75);
    assert!(ended.stderr.contains("taken/state"), "{}", ended.stderr);
}

#[test]
fn a_demo_that_stays_up_says_where_people_look_and_what_lets_them_act() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let project = Project::new();
    project.write("flowgate.toml", &format!("[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    project.connection("api", "http://127.0.0.1:9", "").copy_flow("copy", "enabled = false\n", "");
    let mut command = flowgate(project.dir());
    command.args(["demo", "--serve"]);
    let mut serving = Serving::start(command);
    let told = serving.wait_for_line("dashboard");
    assert!(told.contains(&format!("http://127.0.0.1:{port}/")) && told.contains("state/api-token"), "{told}");
    serving.wait_for_line("\"message\":\"listening\"");
    let page = client::get(std::net::SocketAddr::from(([127, 0, 0, 1], port)), "/");
    assert!(page.status == 200 && page.body.contains("<title>flowgate</title>"), "{}", page.body);
}

#[test]
fn connections_that_never_send_a_request_keep_nobody_out() {
    let project = idle();
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let mut half_open = Vec::new();
    for round in 0..3 {
        while half_open.len() < 400 * (round + 1) {
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            // Some say nothing at all.
            if half_open.len() % 2 == 0 {
                let _ = std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n");
            }
            half_open.push(stream);
        }
        for target in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(client::get(addr, target).status, 200, "{target}");
        }
    }
    let told = serving.wait_for("server is full");
    assert_eq!((told["level"].as_str(), &told["most"]), (Some("warn"), &128.into()), "{told}");
    assert!(serving.lines_of("server is full").len() < 10, "once a minute, not once a connection");
}
