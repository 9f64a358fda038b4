//! Agents: the real binary on both sides. The judge is the API behind the agent, and its ledger.

use crate::support::api::{Api, Gates, Reply, in_flight};
use crate::support::command::{Ended, finish, flowgate, run};
use crate::support::peer::works;
use crate::support::project::{Project, copy_flow};
use crate::support::serving::{Serving, status_until};
use crate::support::tls::{Recorder, certificates, in_front_of};
use crate::support::{PATIENCE, client, now};
use flowgate::playground::{Faults, Playground, Settings};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

const TOKEN: &str = "4ab0c5f0be0ec2b4a5b0d7c8d1e6f3a2";
/// The last lines of a connection behind the agent.
const THROUGH: &str =
    "[retry]\nmax_attempts = 20\nbackoff = { initial = \"1ms\", max = \"20ms\" }\n[agent]\nname = \"warehouse\"\n";

/// A project whose server knows one agent.
fn project(listen: &str, more: &str) -> Project {
    let project = Project::new();
    secret(&project, "secrets/warehouse", TOKEN);
    let text = format!(
        "[server]\nlisten = \"{listen}\"\n{more}\n[agents.warehouse]\ntoken = {{ file = \"secrets/warehouse\" }}\n"
    );
    project.write("flowgate.toml", &text);
    project
}

fn secret(project: &Project, name: &str, text: &str) {
    project.write(name, text);
    std::fs::set_permissions(project.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn dialling(project: &Project, server: &str, allow: &[SocketAddr]) -> Command {
    let mut command = flowgate(project.dir());
    command.args(["agent", "--server", server, "--token-file"]).arg(project.path("secrets/warehouse"));
    for target in allow {
        command.args(["--allow", &target.to_string()]);
    }
    command
}

/// An agent that the server has let in.
#[track_caller]
fn agent(project: &Project, serving: &mut Serving, allow: &[SocketAddr]) -> Serving {
    let server = format!("http://{}", serving.wait_until_listening());
    let mut agent = Serving::start(dialling(project, &server, allow));
    agent.wait_for("connected");
    serving.wait_for("agent connected");
    agent
}

fn running(project: &Project, flow: &str) -> Serving {
    let mut command = flowgate(project.dir());
    command.args(["run", flow]);
    Serving::start(command)
}

/// Eight records, each import behind a gate.
fn gated() -> (Api, Gates) {
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(
            200,
            "{\"data\":[{\"id\":1},{\"id\":2},{\"id\":3},{\"id\":4},{\"id\":5},{\"id\":6},{\"id\":7},{\"id\":8}]}",
        ),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    (api, gates)
}

const KEYED: &str = "idempotency_key = \"{{record.id}}\"";

#[test]
fn an_agent_killed_fifty_times_loses_nothing_and_exceeds_nothing() {
    let sink = Faults { latency: Duration::from_millis(4), ..Faults::default() };
    let settings = Settings { records: 6_000, sink, limit: Some(4), watch: true, ..Settings::default() };
    let playground = Playground::start(settings).unwrap();
    let project = project("127.0.0.1:0", "");
    project.connection("shop", &playground.base_uri(), &format!("concurrency_level = 1\n{THROUGH}"));
    project.connection("erp", &playground.base_uri(), &format!("concurrency_level = 4\n{THROUGH}"));
    project.orders_flow("orders", "erp", "/orders", KEYED);
    let mut serving = Serving::of(&project);
    let mut carrier = agent(&project, &mut serving, &[playground.addr()]);
    let run = running(&project, "orders");
    for _ in 0..50 {
        let seen = playground.ledger().sinks.requests;
        playground.wait_until(PATIENCE, |ledger| ledger.sinks.requests >= seen + 40).unwrap();
        carrier.signal(Signal::KILL);
        serving.wait_for("agent lost");
        carrier = agent(&project, &mut serving, &[playground.addr()]);
    }
    let (code, lines) = run.wait_for_end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let ledger = playground.ledger();
    let orders = &ledger.destinations[0].records;
    assert_eq!((orders.expected, orders.once, orders.missing, orders.duplicates), (6_000, 6_000, 0, 0), "{ledger}");
    assert!(ledger.verdict().holds() && ledger.over_limit == 0, "{ledger}");
    assert_eq!(serving.lines_of("agent lost").len(), 50);
    let retries = serving.sample("flowgate_http_retries_total{connection=\"erp\"}");
    assert!(retries >= 25.0, "the kills met {retries} requests only");
    assert_eq!(serving.sample("flowgate_agents_connected{agent=\"warehouse\"}"), 1.0);
}

/// Open TCP connections of a process to an address.
fn connections(pid: u32, to: SocketAddr) -> usize {
    let SocketAddr::V4(to) = to else { panic!("{to}") };
    let address = format!("{:08X}:{:04X}", u32::from_le_bytes(to.ip().octets()), to.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let inodes: Vec<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.get(2) == Some(&address.as_str()) && words.get(3) == Some(&"01"))
        .map(|words| format!("socket:[{}]", words[9]))
        .collect();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    open.filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
        .count()
}

/// TCP ports that a process listens on.
fn listening(pid: u32) -> usize {
    let tables =
        ["tcp", "tcp6"].map(|name| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    let inodes: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines())
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.get(3) == Some(&"0A"))
        .map(|words| format!("socket:[{}]", words[9]))
        .collect();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    open.filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
        .count()
}

#[test]
fn an_agent_dials_out_and_listens_on_no_port() {
    let (api, gates) = gated();
    let project = project("127.0.0.1:0", "");
    project.connection("api", &api.base(), THROUGH).copy_flow("copy", "", KEYED);
    let mut serving = Serving::of(&project);
    let carrier = agent(&project, &mut serving, &[api.addr()]);
    assert_eq!(listening(carrier.pid()), 0);
    let run = running(&project, "copy");
    api.wait_until(|seen| seen.iter().any(|request| request.method == "POST"));
    assert_eq!(listening(carrier.pid()), 0, "nor while it carries");
    assert!(listening(serving.pid()) >= 1, "the server does, and is seen to");
    gates.open_all();
    assert_eq!(run.wait_for_end().0, Some(0));
}

#[test]
fn several_agents_of_one_name_share_the_load() {
    let (api, gates) = gated();
    let project = project("127.0.0.1:0", "");
    project.connection("api", &api.base(), &format!("concurrency_level = 8\n{THROUGH}")).copy_flow("copy", "", KEYED);
    let mut serving = Serving::of(&project);
    let agents = [agent(&project, &mut serving, &[api.addr()]), agent(&project, &mut serving, &[api.addr()])];
    assert_eq!(serving.sample("flowgate_agents_connected{agent=\"warehouse\"}"), 2.0);
    let run = running(&project, "copy");
    api.wait_until(|seen| in_flight(seen) == 8);
    let shares = agents.each_ref().map(|agent| connections(agent.pid(), api.addr()));
    assert!(shares.iter().all(|share| (3..=6).contains(share)), "{shares:?}");
    assert_eq!(connections(serving.pid(), api.addr()), 0, "the server goes there itself");
    gates.open_all();
    assert_eq!(run.wait_for_end().0, Some(0));
}

#[test]
fn the_queue_holds_while_no_agent_is_there_and_says_so() {
    let (api, gates) = gated();
    gates.open_all();
    let project = project("127.0.0.1:0", "");
    project.connection("api", &api.base(), &format!("concurrency_level = 2\n{THROUGH}")).copy_flow("copy", "", KEYED);
    let mut serving = Serving::of(&project);
    let run_ = running(&project, "copy");
    let status = status_until(&project, |status| status["flows"][0]["waits"].is_string());
    let reason = "no agent `warehouse` is connected";
    assert_eq!(status["flows"][0]["waits"], format!("connection `api` is offline: {reason}"));
    assert_eq!(status["pools"][0]["lines"][0]["offline"]["reason"], reason);
    assert_eq!((&status["agents"][0]["agent"], &status["agents"][0]["connected"]), (&"warehouse".into(), &0.into()));
    let shown = run(project.dir(), &["status"]).expect_code(0);
    assert!(shown.stdout.contains("agent warehouse: 0 connected since 20"), "{}", shown.stdout);
    let pinged = run(project.dir(), &["ping", "api"]).expect_code(69);
    assert!(pinged.stdout.contains(reason), "{}", pinged.stdout);
    assert_eq!(serving.sample("flowgate_agents_connected{agent=\"warehouse\"}"), 0.0);
    assert_eq!(api.requests().len(), 0);
    let _agent = agent(&project, &mut serving, &[api.addr()]);
    assert_eq!(run_.wait_for_end().0, Some(0));
    assert_eq!(api.requests_to("/taken").len(), 8);
    run(project.dir(), &["ping", "api"]).expect_code(0);
}

#[test]
fn a_wrong_token_is_refused_for_good_slowly_and_without_a_flood_of_lines() {
    let project = project("127.0.0.1:0", "");
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    secret(&project, "secrets/wrong", "another token altogether");
    let mut wrong = flowgate(project.dir());
    wrong.args(["agent", "--server", &format!("http://{addr}"), "--allow", "127.0.0.1:9", "--token-file"]);
    wrong.arg(project.path("secrets/wrong"));
    let ended = finish(wrong, PATIENCE).expect_code(77);
    assert!(ended.stderr.contains("the server refuses this agent: the token is that of no agent"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("another token"), "{}", ended.stderr);
    let refused = serving.wait_for("agent refused");
    assert_eq!(refused["cause"], "a token that no agent has");
    let begun = now();
    for token in ["", "4ab0", "4ab0c5f0be0ec2b4a5b0d7c8d1e6f3a", "4ab0c5f0be0ec2b4a5b0d7c8d1e6f3a2x"] {
        let headers = format!("authorization: Bearer {token}\r\nupgrade: flowgate-agent\r\n");
        let got = client::send(addr, "GET", "/agent", &headers, "");
        assert_eq!(got.status, 401, "{token}: {}", got.body);
    }
    assert!(now() - begun >= Duration::from_secs(2), "guessing costs time");
    let without = client::get(addr, "/agent");
    assert_eq!(without.status, 401);
    let got = client::send(addr, "GET", "/agent", &format!("authorization: Bearer {TOKEN}\r\n"), "");
    assert_eq!((got.status, got.body.contains("flowgate agent")), (426, true));
    assert_eq!(client::get_as(addr, "evil.test", "/agent"), 421);
    serving.signal(Signal::TERM);
    let (_, lines) = serving.wait_for_end();
    assert_eq!(lines.iter().filter(|line| line.contains("agent refused")).count(), 1, "{lines:#?}");
}

#[test]
fn a_host_the_agent_does_not_allow_is_refused_once_and_for_good() {
    let (api, _) = gated();
    let project = project("127.0.0.1:0", "");
    project.connection("api", &api.base(), THROUGH).copy_flow("copy", "", KEYED);
    let mut serving = Serving::of(&project);
    let mut carrier = agent(&project, &mut serving, &["127.0.0.1:9".parse().unwrap()]);
    let ended: Ended = run(project.dir(), &["run", "copy"]).expect_code(69);
    let told = format!("agent `warehouse` does not allow {}: add it to `allow`", api.addr());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert_eq!(carrier.wait_for("not allowed")["asked"], api.addr().to_string());
    assert_eq!(serving.sample("flowgate_http_requests_total{connection=\"api\",outcome=\"rejected\"}"), 1.0);
    assert_eq!(serving.sample("flowgate_http_retries_total{connection=\"api\"}"), 0.0);
    assert_eq!(api.requests().len(), 0);
}

#[test]
fn a_half_open_tunnel_is_noticed_and_its_requests_go_another_way() {
    let (api, gates) = gated();
    let project = project("127.0.0.1:0", "");
    project.connection("api", &api.base(), &format!("concurrency_level = 1\n{THROUGH}")).copy_flow("copy", "", KEYED);
    let mut serving = Serving::of(&project);
    let stopped = agent(&project, &mut serving, &[api.addr()]);
    let run = running(&project, "copy");
    api.wait_until(|seen| in_flight(seen) == 1);
    stopped.signal(Signal::STOP);
    let begun = now();
    let _second = agent(&project, &mut serving, &[api.addr()]);
    gates.open_all();
    let lost = serving.wait_for("agent lost");
    assert!(lost["cause"].as_str().unwrap().starts_with("no heartbeat"), "{lost}");
    assert!(now() - begun < Duration::from_secs(20));
    let (code, lines) = run.wait_for_end();
    assert_eq!(code, Some(0), "{lines:#?}");
    // It has missed all that, finds the line dead, and comes back.
    stopped.signal(Signal::CONT);
    serving.wait_for("agent connected");
    assert_eq!(api.most_in_flight(), 1);
}

#[test]
fn an_agent_told_to_end_finishes_its_requests_and_takes_no_more() {
    let (api, gates) = gated();
    let project = project("127.0.0.1:0", "");
    project.connection("api", &api.base(), &format!("concurrency_level = 2\n{THROUGH}")).copy_flow("copy", "", KEYED);
    let mut serving = Serving::of(&project);
    let leaving = agent(&project, &mut serving, &[api.addr()]);
    let run = running(&project, "copy");
    api.wait_until(|seen| in_flight(seen) == 2);
    leaving.signal(Signal::TERM);
    let _second = agent(&project, &mut serving, &[api.addr()]);
    let sample = |serving: &Serving| serving.sample("flowgate_agents_connected{agent=\"warehouse\"}");
    let until = now() + PATIENCE;
    while sample(&serving) > 1.0 {
        assert!(now() < until, "it is still asked");
    }
    gates.open_all();
    let (code, lines) = leaving.wait_for_end();
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(run.wait_for_end().0, Some(0));
    assert_eq!(serving.sample("flowgate_http_retries_total{connection=\"api\"}"), 0.0, "nothing was cut off");
    assert_eq!(api.requests_to("/taken").len(), 8);
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_run_without_a_serve_lets_the_agent_in_by_itself() {
    let (api, gates) = gated();
    gates.open_all();
    let at = free_port();
    let project = project(&at.to_string(), "");
    project.connection("api", &api.base(), THROUGH).copy_flow("copy", "", KEYED);
    let mut carrier = Serving::start(dialling(&project, &format!("http://{at}"), &[api.addr()]));
    carrier.wait_for("cannot connect; trying again");
    let ended = run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(api.requests_to("/taken").len(), 8, "{}", ended.stderr);
    carrier.wait_for("connected");
    carrier.wait_for("connection lost");
    let pinged = run(project.dir(), &["ping", "api"]).expect_code(0);
    assert!(pinged.stdout.contains("ok"), "{}", pinged.stdout);
    carrier.signal(Signal::TERM);
    assert_eq!(carrier.wait_for_end().0, Some(0));
}

#[test]
fn what_the_agent_carries_shows_nothing_of_what_is_said() {
    let canary = "cAnArY-7d1f2b";
    let (api, gates) = gated();
    gates.open_all();
    let project = project("127.0.0.1:0", "");
    certificates(&project, "IP:127.0.0.1");
    let tls = Recorder::before(in_front_of(&project, api.addr()));
    let plain = Recorder::before(api.addr());
    let keys = format!("headers = {{ X-Canary = \"{canary}\" }}\n[tls]\nca = {{ file = \"certs/ca.pem\" }}\n{THROUGH}");
    project.connection("api", &format!("https://{}", tls.addr), &keys).copy_flow("copy", "", KEYED);
    project.connection("open", &format!("http://{}", plain.addr), &keys);
    let mut serving = Serving::of(&project);
    let tunnel = Recorder::before(serving.wait_until_listening());
    let server = format!("http://{}", tunnel.addr);
    let mut carrier = Serving::start(dialling(&project, &server, &[tls.addr, plain.addr]));
    carrier.wait_for("connected");
    let ended = run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(api.requests_to("/taken").len(), 8, "{}", ended.stderr);
    assert!(api.requests().iter().all(|request| request.header("x-canary") == Some(canary)));
    for recorder in [&tls, &tunnel] {
        let (heard, bytes) = recorder.heard(canary);
        assert!(!heard && bytes > 4_000, "{heard} in {bytes} bytes");
    }
    // The same without TLS: the recorders do hear.
    run(project.dir(), &["ping", "open"]);
    assert!(plain.heard(canary).0 && tunnel.heard(canary).0);
}

/// Comes in as an agent with the right token, by hand.
fn come_in(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET /agent HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\nconnection: upgrade\r\n\
         upgrade: flowgate-agent\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn frame_bombs_end_their_own_tunnel_and_cost_no_memory() {
    let (api, gates) = gated();
    gates.open_all();
    let project = project("127.0.0.1:0", "");
    project.connection("api", &api.base(), THROUGH).copy_flow("copy", "", KEYED);
    let mut serving = Serving::of(&project);
    let addr = serving.wait_until_listening();
    let _agent = agent(&project, &mut serving, &[api.addr()]);
    let before = resident_kib(serving.pid());
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let bombs: [Vec<u8>; 5] = [
        [&settings[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat(),
        [&settings[..], &ping.repeat(200_000)].concat(),
        settings.repeat(300_000),
        vec![0xff; 8_000_000],
        [&settings[..], &[&[0, 0x40, 0, 9, 0, 0, 0, 0, 1][..], &[0x40; 16_384]].concat().repeat(300)].concat(),
    ];
    for bomb in &bombs {
        for _ in 0..3 {
            let mut stream = come_in(addr);
            stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
            // Cut off while it is still being said, or not read on: either ends it.
            let _ = stream.write_all(bomb);
        }
    }
    assert_eq!(client::get(addr, "/healthz").status, 200);
    let grown = resident_kib(serving.pid()).saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB more");
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(api.requests_to("/taken").len(), 8);
}

#[test]
fn the_agent_verifies_the_server_and_says_what_is_wrong() {
    let tls = "[server.tls]\ncertificate = { file = \"certs/server.pem\" }\nkey = { file = \"secrets/server.key\" }\n";
    let (api, gates) = gated();
    gates.open_all();
    let project = project("127.0.0.1:0", tls);
    certificates(&project, "IP:127.0.0.1");
    project.connection("api", &api.base(), THROUGH).copy_flow("copy", "", KEYED);
    let mut command = flowgate(project.dir());
    command.arg("serve");
    let mut serving = Serving::start(command);
    let addr = serving.wait_until_listening();
    let mut distrustful = Serving::start(dialling(&project, &format!("https://{addr}"), &[api.addr()]));
    let line = distrustful.wait_for("cannot connect; trying again");
    assert!(line["cause"].as_str().unwrap().contains("certificate"), "{line}");
    let mut command = flowgate(project.dir());
    command.arg("agent");
    project.write(
        "agent.toml",
        &format!(
            "server = \"https://{addr}\"\ntoken = {{ file = \"secrets/warehouse\" }}\nallow = [\"{}\"]\nca = {{ file = \"certs/ca.pem\" }}\n",
            api.addr()
        ),
    );
    let mut trusting = Serving::start(command);
    assert_eq!(trusting.wait_for("connected")["agent"], "warehouse");
    run(project.dir(), &["run", "copy"]).expect_code(0);
    // What speaks no TLS is not answered.
    assert!(client::exchange(addr, "GET", "/healthz", "", "").map_or(true, |answer| !answer.contains("200")));
}

#[test]
fn a_renewed_server_certificate_is_shown_without_a_restart_and_one_that_does_not_fit_is_not() {
    let tls = "[server.tls]\ncertificate = { file = \"certs/server.pem\" }\nkey = { file = \"secrets/server.key\" }\n";
    let project = project("127.0.0.1:0", tls);
    let renewed = Project::new();
    certificates(&project, "IP:127.0.0.1");
    certificates(&renewed, "IP:127.0.0.1");
    let mut command = flowgate(project.dir());
    command.arg("serve");
    let mut serving = Serving::start(command);
    let server = format!("https://{}", serving.wait_until_listening());
    let connects = |ca: std::path::PathBuf, line: &str| {
        let mut command = dialling(&project, &server, &["127.0.0.1:1".parse().unwrap()]);
        command.arg("--ca").arg(ca);
        Serving::start(command).wait_for(line)
    };
    connects(project.path("certs/ca.pem"), "connected");
    let copy = |name: &str| std::fs::copy(renewed.path(name), project.path(name)).unwrap();
    let old = std::fs::read(project.path("secrets/server.key")).unwrap();
    copy("secrets/server.key");
    copy("certs/server.pem");
    serving.wait_for("server certificate renewed");
    connects(renewed.path("certs/ca.pem"), "connected");
    connects(project.path("certs/ca.pem"), "cannot connect; trying again");
    std::fs::write(project.path("secrets/server.key"), old).unwrap();
    let line = serving.wait_for("reload rejected");
    assert!(line["first"].as_str().unwrap().contains("does not belong"), "{line}");
    connects(renewed.path("certs/ca.pem"), "connected");
    let ended = run(project.dir(), &["check"]).expect_code(78);
    assert!(ended.stdout.contains("does not belong") || ended.stderr.contains("does not belong"), "{}", ended.stdout);
}

#[test]
fn an_agent_without_orders_it_can_follow_does_not_start() {
    let project = project("127.0.0.1:0", "");
    let starts = |text: &str, more: &[&str]| {
        project.write("agent.toml", text);
        run(project.dir(), &[&["agent"], more].concat())
    };
    let good = "server = \"http://127.0.0.1:1\"\ntoken = { file = \"secrets/warehouse\" }\nallow = [\"erp:443\"]\n";
    for (text, code, told) in [
        (String::new(), 78, "nothing says what stands in `allow"),
        (good.replace("127.0.0.1:1", "flows.example"), 78, "the token would travel in the clear"),
        (good.replace("erp:443", "*:443"), 78, "there are no patterns"),
        (good.replace("{ file = \"secrets/warehouse\" }", "\"plainly\""), 78, "agent.toml:2:"),
        (good.replace("secrets/warehouse", "nowhere"), 78, "does not exist"),
        (format!("{good}alow = []\n"), 78, "did you mean `allow`?"),
    ] {
        let ended = starts(&text, &[]).expect_code(code);
        assert!(ended.stderr.contains(told) && !ended.stderr.contains("plainly"), "{told}: {}", ended.stderr);
    }
    project.write("secrets/open", TOKEN);
    std::fs::set_permissions(project.path("secrets/open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = project.path("secrets/open");
    let ended = starts(good, &["--token-file", open.to_str().unwrap()]).expect_code(78);
    assert!(ended.stderr.contains("readable by everybody"), "{}", ended.stderr);
    run(project.dir(), &["agent", "--loud"]).expect_code(64);
    run(project.dir(), &["agent", "nowhere.toml"]).expect_code(78);
}

/// A network of its own, joined to this one by a cable; gone with the test.
struct Namespace(String);

impl Namespace {
    /// None where this is not permitted.
    fn new() -> Option<(Self, String, String)> {
        let name = format!("fg{}", std::process::id());
        let third = std::process::id() % 250 + 1;
        let (here, there) = (format!("10.231.{third}.1"), format!("10.231.{third}.2"));
        if !works("ip", &["netns", "add", &name]) {
            return None;
        }
        let namespace = Self(name.clone());
        let joined = works(
            "sh",
            &[
                "-ec",
                &format!(
                    "ip link add {name}a type veth peer name {name}b; ip link set {name}b netns {name}; \
             ip addr add {here}/24 dev {name}a; ip link set {name}a up; \
             ip netns exec {name} sh -ec 'ip link set lo up; ip addr add {there}/24 dev {name}b; ip link set {name}b up'"
                ),
            ],
        );
        joined.then_some((namespace, here, there))
    }

    /// A command inside.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.0]).arg(command.get_program()).args(command.get_args());
        inside.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        inside.stdin(std::process::Stdio::null());
        inside.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        inside
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

#[test]
fn an_api_in_another_network_is_reached_through_its_agent_only() {
    let Some((namespace, here, there)) = Namespace::new() else { return };
    let settings = Settings { records: 500, limit: Some(4), ..Settings::default() };
    let playground = Playground::start(settings).unwrap();
    let tls = "token = { file = \"secrets/warehouse\" }\n[server.tls]\ncertificate = { file = \"certs/server.pem\" }\nkey = { file = \"secrets/server.key\" }\n";
    let project = project(&format!("{there}:0"), tls);
    certificates(&project, &format!("IP:{there},IP:{here}"));
    project.connection("direct", &playground.base_uri(), "concurrency_level = 1\n[retry]\nmax_attempts = 1\n");
    project.connection("shop", &playground.base_uri(), &format!("concurrency_level = 1\n{THROUGH}"));
    project.connection("erp", &playground.base_uri(), &format!("concurrency_level = 4\n{THROUGH}"));
    project.orders_flow("orders", "erp", "/orders", KEYED);
    let mut command = flowgate(project.dir());
    command.arg("serve");
    let mut serving = Serving::start(namespace.inside(&command));
    let line = serving.wait_for("listening");
    let server = format!("https://{}", line["address"].as_str().unwrap());
    let mut carrier = dialling(&project, &server, &[playground.addr()]);
    carrier.arg("--ca").arg(project.path("certs/ca.pem"));
    let mut carrier = Serving::start(carrier);
    carrier.wait_for("connected");
    // The control: without the agent there is no way.
    let direct = run(project.dir(), &["ping", "direct"]).expect_code(69);
    assert!(direct.stdout.contains("cannot connect"), "{}", direct.stdout);
    run(project.dir(), &["run", "orders"]).expect_code(0);
    let ledger = playground.ledger();
    assert!(ledger.verdict().holds() && ledger.destinations[0].records.once == 500, "{ledger}");
}

#[test]
fn requests_of_other_connections_do_not_wait_for_an_agent() {
    let (api, gates) = gated();
    gates.open_all();
    let project = project("127.0.0.1:0", "");
    project.connection("far", &api.base(), THROUGH);
    project.connection("api", &api.base(), "").copy_flow("copy", "", KEYED);
    project.write("flows/far.toml", &copy_flow("", KEYED).replace("\"api\"", "\"far\""));
    let _serving = Serving::of(&project);
    let waiting = running(&project, "far");
    status_until(&project, |status| status["flows"].as_array().unwrap().iter().any(|flow| flow["waits"].is_string()));
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(api.requests_to("/taken").len(), 8);
    drop(waiting);
}
