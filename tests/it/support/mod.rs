//! What behaviour tests stand on: a project on disk, the real binary, scripted APIs, a plain HTTP client.
//!
//! Nothing here waits for a fixed time. Waiting is for an event (a log line, a request that arrived, a
//! process that ended) and has an end, [`PATIENCE`], after which the test fails with what was seen.

// Each test file uses its own part of this.

pub mod api;
pub mod client;
pub mod command;
pub mod flow;
pub mod monitoring;
pub mod peer;
pub mod project;
pub mod serving;
pub mod tls;

use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once or soon.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The machine's time: tests measure what the program really does.
#[expect(clippy::disallowed_methods, reason = "tests measure real time")]
pub fn now() -> Instant {
    Instant::now()
}
