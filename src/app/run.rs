//! Flows run once, side by side, to their end: what `run` and `demo` do.

use super::signals::{self, LastResort, Signal, Signals};
use crate::observe::event;
use crate::value::id::FlowId;
use std::time::Duration;

// What commands may know of runs: names from below, so that `cli` stands on `app` alone.
pub use crate::http::tokens::WhenRefused;
pub use crate::observe::meters::TriggerKind;
pub use crate::runtime::export::delta::Asked;
pub use crate::runtime::run::report::{Ending, Progress, RecordError, Report, RunError};
pub use crate::runtime::run::state::Counts;
pub use crate::runtime::scope::Output;
pub use crate::runtime::supervisor::{Options, Refused, Started, Supervisor};

/// Time for runs cut short to give their account: they end at once.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(400);

/// How runs were stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// By a signal; everything in flight finished.
    Whole(Signal),
    /// By a signal; requests in flight were cut short.
    Cut,
    /// By a second signal.
    Now(Signal),
}

/// Runs to be started together: by flow, what was started or why not.
pub type Round = Vec<(FlowId, Result<Started, Refused>)>;

/// What came of it.
#[derive(Debug, Default)]
pub struct Finished {
    /// Reports of runs, in the order the flows were named. None after a second signal.
    pub reports: Vec<Report>,
    /// Whether a flow could not start.
    pub refused: bool,
    /// Whether a flow could not start now, but may later.
    pub later: bool,
    /// Whether a signal ended it.
    pub stopped: Option<Stopped>,
}

impl Finished {
    /// With what others came to.
    pub fn add(&mut self, other: Self) {
        self.reports.extend(other.reports);
        self.refused |= other.refused;
        self.later |= other.later;
        self.stopped = self.stopped.or(other.stopped);
    }
}

/// Starts round after round, until one is empty, and waits for all runs of each. The first signal drains, the second
/// ends at once. When even that cannot be done in order (standard output is a pipe nobody reads), the process ends with
/// what `code` says.
pub async fn to_the_end(
    supervisor: &Supervisor,
    rounds: impl AsyncFnMut() -> Round,
    timeout: Duration,
    watch: impl Fn(&FlowId, &Started),
    code: fn(Stopped) -> u8,
) -> std::io::Result<Finished> {
    let hangup = signals::hangup_ends();
    let mut signals = Signals::listen()?;
    LastResort { clock: supervisor.services().clock.clone(), timeout: timeout + LAST_WORDS, hangup, code }
        .stand_by()?;
    let mut finished = Finished::default();
    let ended = all(rounds, watch);
    tokio::pin!(ended);
    let signal = tokio::select! {
        ended = &mut ended => return Ok(ended),
        signal = signals.ending(hangup) => signal,
    };
    let runs = *supervisor.running().borrow();
    supervisor.begin_drain();
    event::drain_started(signal.name(), runs, timeout);
    let whole = tokio::select! {
        whole = supervisor.drain(timeout) => whole,
        second = signals.ending(hangup) => {
            event::second_signal(second.name());
            finished.stopped = Some(Stopped::Now(second));
            return Ok(finished);
        }
    };
    event::drain_finished(whole);
    let clock = &supervisor.services().clock;
    tokio::select! {
        ended = &mut ended => finished = ended,
        () = clock.sleep_until(clock.mono().plus(LAST_WORDS)) => {}
    }
    finished.stopped = Some(if whole { Stopped::Whole(signal) } else { Stopped::Cut });
    Ok(finished)
}

async fn all(mut rounds: impl AsyncFnMut() -> Round, watch: impl Fn(&FlowId, &Started)) -> Finished {
    let mut finished = Finished::default();
    loop {
        let round = rounds().await;
        if round.is_empty() {
            return finished;
        }
        let mut waiting = Vec::new();
        for (id, started) in round {
            match started {
                Ok(started) => {
                    watch(&id, &started);
                    waiting.push(started.report);
                }
                Err(why) => {
                    finished.refused = true;
                    finished.reports.push(refusal(&id, why.to_string()));
                }
            }
        }
        for report in waiting {
            finished.reports.extend(report.await);
        }
    }
}

/// A flow that did not start is part of the account too.
pub fn refusal(id: &FlowId, why: String) -> Report {
    let cause = RunError { place: "start".to_owned(), text: why };
    Report {
        flow: id.clone(),
        run: String::new(),
        ending: Ending::ExportFailed(cause),
        counts: Counts::default(),
        pages: 0,
        requests: 0,
        took: Duration::ZERO,
        errors: Vec::new(),
        passed: Vec::new(),
        steps: Vec::new(),
    }
}
