//! Named tasks: a panic ends its task only; the log line it leaves carries the name (see `logs`).

use std::future::Future;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Spawns the task of a run: every line told in it says which.
#[expect(clippy::disallowed_methods, reason = "the one place tasks are spawned")]
pub fn spawn_run<F>(run: &str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::error_span!("task", task = "run", run)))
}

/// Spawns a task under a name.
#[expect(clippy::disallowed_methods, reason = "the one place tasks are spawned")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::error_span!("task", task = name)))
}
