//! Named tasks: a panic ends its task only; the log line it leaves carries the name (see `logs`).

use std::future::Future;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Spawns a task under a name; the only place that does.
#[expect(clippy::disallowed_methods, reason = "the one place tasks are spawned")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::error_span!("task", task = name)))
}
