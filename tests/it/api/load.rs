//! Ten thousand flows: what looking at them costs.

use super::Door;
use crate::support::command::flowgate;
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::support::{PATIENCE, client, now};
use std::net::{SocketAddr, TcpListener, TcpStream};

const FLOWS: usize = 10_000;
const LOOKS: u32 = 10;

/// CPU time of a process in milliseconds, from its own account at the system.
fn cpu_ms(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // Linux counts in hundredths of a second here, whatever its own tick is.
    ticks * 10.0
}

/// A build for tests on a busy machine takes its time to read ten thousand files.
fn patiently(project: Project) -> Door {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    project.write("flowgate.toml", &format!("[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    let mut command = flowgate(project.dir());
    command.arg("serve");
    let serving = Serving::start(command);
    let (addr, until) = (SocketAddr::from(([127, 0, 0, 1], port)), now() + PATIENCE * 5);
    while TcpStream::connect(addr).is_err() {
        assert!(now() < until, "it does not listen");
        std::thread::yield_now();
    }
    Door { serving, project, addr }
}

#[test]
fn ten_thousand_flows_are_overlooked_in_a_tenth_of_a_second() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let project = Project::new();
    project.connection("api", "http://127.0.0.1:9", "");
    for number in 0..FLOWS {
        project.copy_flow(&format!("group{}/flow{number}", number % 100), "schedule = \"0 4 1 1 *\"\n", "");
    }
    let door = patiently(project);
    let cost = |target: &str| {
        let first = client::get(door.addr, target);
        assert_eq!(first.status, 200, "{}", first.body);
        let before = cpu_ms(door.serving.pid());
        for _ in 0..LOOKS {
            assert_eq!(client::get(door.addr, target).status, 200);
        }
        let each = (cpu_ms(door.serving.pid()) - before) / f64::from(LOOKS);
        println!("{target}: {each:.1} ms of CPU, {} bytes", first.body.len());
        each
    };
    // A build for tests is several times slower than what people run.
    let bound = if cfg!(debug_assertions) { 1_000.0 } else { 100.0 };
    for target in
        ["/metrics", "/api/v1/snapshot", "/api/v1/flows", "/api/v1/flows?limit=200&state=never_ran", "/api/v1/queues"]
    {
        let each = cost(target);
        assert!(each < bound, "{target}: {each:.1} ms");
    }
    let all = door.json("/api/v1/flows?limit=1");
    assert_eq!(all["total"], FLOWS);
    let _ = door.project.dir();
}
