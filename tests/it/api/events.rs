//! Live events: what happens is told as it happens, to few readers at a time.

use super::{Door, api, gated_api, served};
use crate::support::PATIENCE;
use crate::support::client;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

struct Follower(BufReader<TcpStream>);

impl Follower {
    fn of(door: &Door) -> Self {
        let mut stream = TcpStream::connect(door.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n\r\n", door.addr).unwrap();
        let mut follower = Self(BufReader::new(stream));
        assert_eq!(follower.wait_for("hello")["format"], 1);
        follower
    }

    /// Reads up to the next event of this kind; its data.
    #[track_caller]
    fn wait_for(&mut self, kind: &str) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "ended before {kind}");
            if line.trim_end() == format!("event: {kind}") {
                line.clear();
                self.0.read_line(&mut line).unwrap();
                return serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
            }
        }
    }
}

#[test]
fn what_happens_is_told_as_it_happens() {
    let (api, gate) = gated_api();
    let door = served(&api, "concurrency_level = 2\n");
    let mut follower = Follower::of(&door);
    door.done("run", &json!({ "flows": ["copy"] }));
    let started = follower.wait_for("run_started");
    assert_eq!((&started["flow"], &started["trigger"]), (&json!("copy"), &json!("manual")));
    let progress = follower.wait_for("run_progress");
    assert_eq!((&progress["flow"], &progress["running"]["run"]), (&json!("copy"), &started["run"]));
    loop {
        let queue = follower.wait_for("queue");
        if queue["in_flight"] == 2 {
            assert_eq!(
                (&queue["pool"], &queue["level"], &queue["lines"][0]["queued"]),
                (&json!("api"), &json!(2), &json!(1))
            );
            break;
        }
    }
    gate.open();
    let ended = follower.wait_for("run_ended");
    assert_eq!((&ended["outcome"], &ended["records"]["delivered"]), (&json!("succeeded"), &json!(3)), "{ended}");
    door.done("pause", &json!({ "flows": ["copy"] }));
    assert_eq!(follower.wait_for("flow_paused")["flow"], "copy");
    door.done("resume", &json!({ "flows": ["copy"] }));
    assert_eq!(follower.wait_for("flow_resumed")["flow"], "copy");
    door.project.write("flows/bad.toml", "export = 7\n");
    door.done("reload", &json!({ "wait": true }));
    assert_eq!(follower.wait_for("reload")["verdict"], "rejected");
}

#[test]
fn followers_are_few_and_a_place_is_free_again_when_one_leaves() {
    let door = served(&api(), "");
    let mut followers: Vec<Follower> = (0..16).map(|_| Follower::of(&door)).collect();
    let refused = client::get(door.addr, "/api/v1/events");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(door.get("/api/v1/snapshot").status, 200, "others are served all the same");
    followers.clear();
    let until = crate::support::now() + PATIENCE;
    while client_status(&door) == 503 {
        assert!(crate::support::now() < until, "no place became free");
    }
}

/// Of a stream that is left at once.
fn client_status(door: &Door) -> u16 {
    let mut stream = TcpStream::connect(door.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n\r\n", door.addr).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line[9..12].parse().unwrap()
}
