//! The GraphQL example against graphql-yoga: a server that reads the query, checks the types of its variables, and tells
//! what is wrong under status 200.

use crate::peer;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// None where there is no Node for it.
fn yoga(refuse: &str) -> Option<peer::Server> {
    let (node, modules) = peer::node()?;
    let mut command = Command::new(node);
    command.arg(peer::script("graphql.mjs")).env("PEER_MODULES", modules).env("PEER_REFUSE", refuse);
    Some(peer::Server::start(&mut command))
}

/// Runs the example; exit code and all that was said.
fn example(server: &peer::Server) -> (Option<i32>, String) {
    let state = tempfile::tempdir().unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/graphql");
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    command.arg("-C").arg(project).arg("--state").arg(state.path().join("state")).args(["run", "orders"]);
    let Output { status, stderr, .. } = command.env("FLOWGATE_PLAYGROUND", &server.base).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn yoga_s_cursors_lead_through_all_orders_and_stay_text() {
    let Some(server) = yoga("0") else { return };
    let (code, told) = example(&server);
    assert_eq!(code, Some(0), "{told}");
    let seen = server.seen();
    let cursors: Vec<Option<&str>> = seen["cursors"].as_array().unwrap().iter().map(Value::as_str).collect();
    assert_eq!(cursors, [None, Some("100"), Some("200")]);
    let mut taken: Vec<&Value> = seen["taken"].as_array().unwrap().iter().collect();
    taken.sort_by_key(|order| order["ext_id"].as_u64());
    let ids: Vec<u64> = taken.iter().map(|order| order["ext_id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=250).collect::<Vec<_>>());
    assert_eq!(
        (&taken[7]["full_name"], &taken[7]["total_cents"], &taken[7]["city"]),
        (&"Ada L\"8".into(), &995.into(), &"Köln".into())
    );
}

#[test]
fn what_yoga_says_under_200_fails_the_export_after_what_was_read() {
    let Some(server) = yoga("200") else { return };
    let (code, told) = example(&server);
    assert_eq!(code, Some(69), "{told}");
    assert!(told.contains("no access behind order 200"), "{told}");
    assert_eq!(server.seen()["taken"].as_array().unwrap().len(), 200, "two pages were delivered");
}
