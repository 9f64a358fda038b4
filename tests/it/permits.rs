//! What is no record takes a permit all the same: logins, pings and notices stand in their connection's line.

use crate::steering::{serve, start, until_explained};
use crate::support::PATIENCE;
use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::command::{finish, flowgate, run};
use crate::support::flow::TAKE;
use crate::support::project::Project;
use crate::support::serving::Serving;

const READ: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";

#[test]
fn a_login_counts_against_the_level_with_records_of_two_flows_at_once() {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| {
        let reply = match (request.path(), request.header("cookie")) {
            ("/login", _) => Reply::json(200, "{}").header("set-cookie", "sid=7; Path=/"),
            (_, Some("sid=7")) if request.method == "GET" => Reply::json(200, "[{\"id\":1},{\"id\":2},{\"id\":3}]"),
            (_, Some("sid=7")) => Reply::json(201, "{}"),
            _ => Reply::json(401, "{}"),
        };
        reply.behind(&held.next())
    });
    let keys = "concurrency_level = 1\n[auth.cookie.login]\nrelative_uri = \"/login\"\nbody = { user = \"me\" }\n";
    let project = Project::new();
    project.settings("").connection("api", &api.base(), keys);
    for flow in ["copy", "other"] {
        project.write(&format!("flows/{flow}.toml"), &format!("{READ}{TAKE}"));
    }
    let mut serving = Serving::of(&project);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "other"]);
    let running = Serving::start(command);
    // Each answer is held until somebody is known to wait behind it, or nobody is left to: whatever could go
    // beside it has had its chance.
    for number in 1..=9 {
        api.wait_until(|seen| seen.len() == number && in_flight(seen) == 1);
        if number < 8 {
            let until = crate::support::now() + PATIENCE;
            while serving.sample("flowgate_queue_depth{connection=\"api\"}") < 1.0 {
                assert!(crate::support::now() < until, "nobody waits behind request {number}");
            }
        }
        gates.open(1);
    }
    assert_eq!(running.wait_for_end().0, Some(0));
    serving.wait_for_flow("run finished", "other");
    let seen = api.requests();
    assert_eq!((seen[0].path(), seen.len(), api.requests_to("/login").len()), ("/login", 9, 1));
    assert_eq!(api.requests_to("/taken").len(), 6);
    assert_eq!(api.most_in_flight(), 1, "the login too");
}

/// One record whose delivery waits behind a gate; anything else is answered at once.
fn holding() -> (Api, Gates) {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request: &Request| match request.path() {
        "/records" => Reply::json(200, "{\"data\":[{\"id\":1}]}"),
        "/taken" => Reply::json(201, "{}").behind(&held.next()),
        _ => Reply::json(200, "{}"),
    });
    (api, gates)
}

#[test]
fn a_ping_waits_until_the_permit_is_free() {
    let (api, gates) = holding();
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1\n[ping]\nrelative_uri = \"/me\"\n");
    project.copy_flow("copy", "", "");
    let _serving = serve(&project);
    start(&project, "copy");
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken"));
    let mut command = flowgate(project.dir());
    command.args(["ping", "api", "--json"]);
    let ping = std::thread::spawn(move || finish(command, PATIENCE));
    // One record only: whoever waits is the ping.
    let told = until_explained(&project, "api", |told| told["pools"][0]["waiting"][0].is_object());
    assert_eq!(told["pools"][0]["holders"][0]["flow"], "copy", "{told:#}");
    assert!(api.requests_to("/me").is_empty(), "it waits");
    gates.open_all();
    ping.join().unwrap().expect_code(0);
    assert_eq!((api.requests_to("/me").len(), api.most_in_flight()), (1, 1));
}

#[test]
fn a_notice_waits_in_the_line_of_its_connection() {
    let (api, gates) = holding();
    let broken = Api::start(|_| Reply::json(400, "{}"));
    let project = Project::new();
    project.connection("api", &api.base(), "concurrency_level = 1\n").copy_flow("copy", "", "");
    project.connection("shop", &broken.base(), "");
    project.write("flows/fails.toml", &format!("{READ}{TAKE}").replace("\"api\"", "\"shop\""));
    let mut serving = {
        let told = "[notify]\nconnection = \"api\"\nrelative_uri = \"/hooks/ops\"\non = [\"run_failed\"]\n";
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        project.write("flowgate.toml", &format!("[server]\nlisten = \"127.0.0.1:{port}\"\n{told}"));
        Serving::of(&project)
    };
    start(&project, "copy");
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken"));
    start(&project, "fails");
    serving.wait_for_flow("run finished", "fails");
    let told = until_explained(&project, "api", |told| told["pools"][0]["waiting"][0].is_object());
    assert_eq!(told["pools"][0]["waiting"][0]["flow"], "notify", "{told:#}");
    assert!(api.requests_to("/hooks/ops").is_empty(), "it waits");
    gates.open_all();
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/hooks/ops"));
    assert_eq!(api.most_in_flight(), 1);
    run(project.dir(), &["drain"]).expect_code(0);
}
