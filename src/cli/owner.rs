//! The process that owns the state, seen from another command: asked over its socket, and followed while it runs what
//! was asked for.

use super::progress::Bars;
use super::run::no_state;
use super::{Exit, Globals};
use crate::app::owner::{KnownRun, LiveRun, report_of};
use crate::app::run::{Ending, Finished, Progress, Report, RunError, Stopped, refusal};
use crate::app::{Host, Signal, Signals, hangup_ends};
use crate::store::socket::{Ask, AskError, RunAsk, StartedRun, ask};
use crate::store::{Phase, StateError};
use crate::value::id::FlowId;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often a run is asked about.
const POLL: Duration = Duration::from_millis(200);
/// Silences in a row after which the owner counts as gone.
const PATIENCE: u32 = 3;

/// Who owns the state.
pub struct Owner {
    state: PathBuf,
    owned: StateError,
    /// And whether a closed terminal ends the command; once it has something to follow.
    signals: Option<(Signals, bool)>,
}

impl Owner {
    /// From the refusal to hand the state over.
    pub fn of(globals: &Globals, owned: StateError) -> Result<Self, Exit> {
        match &owned {
            StateError::Owned { path, .. } => Ok(Self { state: path.clone(), owned, signals: None }),
            _ => Err(no_state(globals, &owned.into())),
        }
    }

    /// Asks, and complains when there is no answer.
    pub fn ask<T: DeserializeOwned>(&self, globals: &Globals, question: Ask) -> Result<T, Exit> {
        let answer = ask(&self.state, question).map_err(|error| self.refused(globals, &error))?;
        serde_json::from_value(answer).map_err(|error| self.refused(globals, &AskError::Unclear(error.to_string())))
    }

    fn refused(&self, globals: &Globals, error: &AskError) -> Exit {
        match error {
            // A `run`, or a `serve` that is starting or ending.
            AskError::NotRunning(_) => {
                globals.complain(&self.owned.to_string());
                Exit::Temporary
            }
            AskError::Refused(text) | AskError::Unknown(text) => {
                globals.complain(text);
                Exit::Temporary
            }
            _ => {
                globals.complain(&error.to_string());
                Exit::Unavailable
            }
        }
    }

    /// From here on a signal ends the following: to be called before anything is begun that is to be followed.
    pub fn listen(&mut self, globals: &Globals) -> Result<(), Exit> {
        let hangup = hangup_ends();
        let signals = Signals::listen().map_err(|error| {
            globals.complain(&format!("signals cannot be handled: {error}"));
            Exit::Temporary
        })?;
        self.signals = Some((signals, hangup));
        Ok(())
    }

    /// Has flows run, on the files as they are now.
    pub fn run(&mut self, globals: &Globals, run: RunAsk) -> Result<Vec<StartedRun>, Exit> {
        self.listen(globals)?;
        let config: Value = self.ask(globals, Ask::Reload)?;
        if config["rejected"].is_object() {
            let first = config["rejected"]["first"][0].as_str().unwrap_or_default();
            globals.warn(&format!("the running flowgate has older files in force: these were rejected there: {first}"));
        }
        self.ask(globals, Ask::Run(run))
    }

    /// Follows runs to their end. A signal ends the following, not the runs.
    pub async fn follow(&mut self, globals: &Globals, host: &Host, begun: Vec<StartedRun>, bars: &Bars) -> Finished {
        let mut followed = Followed::new(begun, bars);
        for flow in followed.open.iter().filter(|open| open.resumed).map(|open| &open.flow) {
            globals.note(&format!("{flow}: resuming a run that did not end; `--fresh` would give it up"));
        }
        let mut silences = 0;
        while !followed.open.is_empty() {
            let answer = async {
                host.clock.sleep_until(host.clock.mono().plus(POLL)).await;
                known(&self.state, &followed).await
            };
            let known = tokio::select! {
                signal = ending(&mut self.signals) => {
                    followed.left(globals, signal);
                    break;
                }
                known = answer => known,
            };
            match known {
                Ok(known) => {
                    silences = 0;
                    followed.take(known);
                }
                Err(AskError::Silent) if silences < PATIENCE => silences += 1,
                Err(error) => {
                    followed.lost(globals, &error);
                    break;
                }
            }
        }
        followed.finished
    }
}

async fn known(state: &Path, followed: &Followed) -> Result<Vec<KnownRun>, AskError> {
    let ids = followed.open.iter().map(|open| open.run.clone()).collect();
    let state = state.to_path_buf();
    // A terminal's Ctrl-C must not wait for an owner that is slow to answer.
    let answer = tokio::task::spawn_blocking(move || ask(&state, Ask::Runs(ids))).await;
    let answer = answer.map_err(|error| AskError::Unclear(error.to_string()))??;
    serde_json::from_value(answer).map_err(|error| AskError::Unclear(error.to_string()))
}

async fn ending(signals: &mut Option<(Signals, bool)>) -> Signal {
    match signals {
        Some((signals, hangup)) => signals.ending(*hangup).await,
        None => std::future::pending().await,
    }
}

/// Runs of another process that are waited for.
struct Followed {
    open: Vec<Open>,
    finished: Finished,
}

struct Open {
    flow: FlowId,
    run: String,
    resumed: bool,
    progress: Arc<Progress>,
}

/// A run that waits at its owner for a connection to come back: whoever asked for it does not wait with it.
fn held(open: &Open, live: &LiveRun, why: &str) -> Report {
    let text = format!("{why}; run {} waits for it at the running flowgate and goes on by itself", open.run);
    let ending = Ending::Offline(RunError { place: "run".to_owned(), text });
    let (run, counts, pages) = (open.run.clone(), live.counts, live.pages);
    Report { run, ending, counts, pages, ..refusal(&open.flow, String::new()) }
}

impl Followed {
    fn new(begun: Vec<StartedRun>, bars: &Bars) -> Self {
        let mut followed = Self { open: Vec::new(), finished: Finished::default() };
        for StartedRun { flow, run, resumed, refused, later, .. } in begun {
            if let Some(run) = run {
                let progress = Arc::new(Progress::default());
                bars.watch(&flow, progress.clone());
                followed.open.push(Open { flow, run, resumed, progress });
            } else {
                followed.finished.refused |= !later;
                followed.finished.later |= later;
                followed.finished.reports.push(refusal(&flow, refused.unwrap_or_default()));
            }
        }
        followed
    }

    fn take(&mut self, known: Vec<KnownRun>) {
        for KnownRun { run, waits, live, report, row } in known {
            let Some(at) = self.open.iter().position(|open| open.run == run) else { continue };
            if let Some(why) = waits.filter(|_| report.is_none()) {
                let open = self.open.remove(at);
                self.finished.reports.push(held(&open, &live.unwrap_or_default(), &why));
                continue;
            }
            let progress = &self.open[at].progress;
            if let Some(live) = live {
                // Between its end and its report a run shows no figures.
                if live.counts.exported >= progress.counts().exported {
                    progress.publish(live.counts, live.pages);
                    progress.expect_total(live.total.unwrap_or(0));
                }
                continue;
            }
            let over = row.filter(|row| row.phase != Phase::Running).map(|row| report_of(&row));
            if let Some(report) = report.or(over) {
                progress.publish(report.counts, report.pages);
                self.finished.reports.push(report);
                self.open.remove(at);
            } else {
                // Neither under way nor stored: it came to nothing, and nobody kept why.
                let open = self.open.remove(at);
                let why = format!("the running flowgate does not know run {run} any more: see its log");
                self.finished.reports.push(refusal(&open.flow, why));
            }
        }
    }

    fn left(&mut self, globals: &Globals, signal: Signal) {
        for open in &self.open {
            globals.note(&format!(
                "{}: run {} goes on at the running flowgate; `flowgate status` shows it",
                open.flow, open.run
            ));
        }
        self.finished.stopped = Some(Stopped::Whole(signal));
    }

    fn lost(&mut self, globals: &Globals, error: &AskError) {
        for open in &self.open {
            globals.warn(&format!(
                "{}: run {} is not followed any more ({error}); a run that did not end goes on when flowgate starts again",
                open.flow, open.run
            ));
        }
        self.finished.later = true;
    }
}
