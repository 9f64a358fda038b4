//! One flow named `copy` on one connection named `api`, run once: what most behaviour tests need.

use super::api::{Api, Request};
use super::command::{Ended, run};
use super::project::Project;
use serde_json::Value;

/// Short back-offs, so that retries cost a test no time.
pub const QUICK: &str = "[retry]\nmax_attempts = 3\nbackoff = { initial = \"1ms\", max = \"4ms\" }\n";

/// An import of the record as it is.
pub const TAKE: &str = "\n[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n";

/// A project with this flow; `keys` are further keys of the connection.
pub fn project(api: &Api, keys: &str, flow: &str) -> Project {
    let project = Project::new();
    project.connection("api", &api.base(), keys).write("flows/copy.toml", flow);
    project
}

/// Runs it, with further arguments.
pub fn copy(api: &Api, keys: &str, flow: &str, args: &[&str]) -> Ended {
    run(project(api, keys, flow).dir(), &[&["run", "copy"], args].concat())
}

/// The records an export-only flow wrote.
pub fn lines(ended: &Ended) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    ended.stdout.lines().map(line).collect()
}

/// `id` of each record.
pub fn ids<'v>(records: impl IntoIterator<Item = &'v Value>) -> Vec<u64> {
    records.into_iter().map(|record| record["id"].as_u64().unwrap()).collect()
}

/// `id` of each record that arrived at a path, one a request, sorted.
pub fn taken(api: &Api) -> Vec<u64> {
    let bodies: Vec<Value> = api.requests_to("/taken").iter().map(Request::json).collect();
    let mut ids = ids(&bodies);
    ids.sort_unstable();
    ids
}

/// The account of the first run in a `--json` document, whose counts balance.
#[track_caller]
pub fn account(ended: &Ended) -> Value {
    let document: Value = serde_json::from_str(ended.stdout.lines().last().unwrap_or_default()).unwrap();
    let run = document["runs"][0].clone();
    let count = |name: &str| run["records"][name].as_u64().unwrap();
    let resolved = count("delivered") + count("filtered") + count("failed") + count("in_flight");
    assert_eq!(count("exported"), resolved, "{run}");
    run
}
