//! `flowgate run FLOW…`: several flows side by side in one process; ends when they end.

use super::progress::Bars;
use super::summary;
use super::{Exit, Globals};
use crate::app::{Host, Signal, Signals};
use crate::model::snapshot::Snapshot;
use crate::observe::meters::TriggerKind;
use crate::runtime::run::report::{Ending, Report};
use crate::runtime::supervisor::{Options, Refused, Started, Supervisor};
use crate::value::id::FlowId;
use std::sync::Arc;
use std::time::Duration;

/// What `run` was asked for.
#[derive(Debug, Clone)]
pub struct RunArgs {
    /// Flow ids as typed.
    pub flows: Vec<String>,
    /// Runs options.
    pub options: Options,
}

/// Runs flows to their end and tells how it went.
pub async fn run(globals: &Globals, host: &Host, args: &RunArgs) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, true) {
        return exit;
    }
    let ids = match flows(&snapshot, &args.flows) {
        Ok(ids) => ids,
        Err(text) => {
            globals.complain(&text);
            return Exit::Usage;
        }
    };
    let timeout = snapshot.settings.shutdown_timeout;
    let output = Arc::new(super::output::Stdout::new());
    let supervisor = match host.supervise(snapshot, output.clone()) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            globals.complain(&error.to_string());
            return Exit::Config;
        }
    };
    let (reports, stopped) = carry(globals, &supervisor, &ids, args.options, timeout).await;
    if let Err(error) = output.finish()
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        globals.complain(&format!("stdout: {error}"));
        return Exit::Temporary;
    }
    summary::print(globals, &reports, args.options);
    exit(&reports, stopped)
}

/// How a run of flows was stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// A signal; everything in flight finished.
    Whole(Signal),
    /// A signal; requests in flight were cut short.
    Cut,
}

/// Starts the flows, shows their progress, drains at the first signal, ends at the second.
pub async fn carry(
    globals: &Globals,
    supervisor: &Supervisor,
    ids: &[FlowId],
    options: Options,
    timeout: Duration,
) -> (Vec<Report>, Option<Stopped>) {
    let bars = Bars::start(globals, supervisor.services().clock.clone());
    let mut waiting = Vec::new();
    let mut reports = Vec::new();
    for id in ids {
        match supervisor.start(id, TriggerKind::Manual, options) {
            Ok(Started { progress, report }) => {
                bars.watch(id, progress);
                waiting.push(report);
            }
            Err(refused) => reports.push(refusal(id, &refused)),
        }
    }
    let ended = async {
        let mut ended = Vec::new();
        for report in waiting {
            ended.extend(report.await);
        }
        ended
    };
    tokio::pin!(ended);
    let stopped = match Signals::listen() {
        Ok(mut signals) => tokio::select! {
            all = &mut ended => { reports.extend(all); None }
            signal = signals.ending() => {
                globals.note(&format!("{}: finishing what is in flight (again: stop now)", signal.name()));
                let whole = tokio::select! {
                    whole = supervisor.drain(timeout) => whole,
                    _ = signals.ending() => false,
                };
                if whole {
                    reports.extend((&mut ended).await);
                }
                Some(if whole { Stopped::Whole(signal) } else { Stopped::Cut })
            }
        },
        Err(error) => {
            globals.complain(&format!("signals cannot be handled: {error}"));
            reports.extend((&mut ended).await);
            None
        }
    };
    bars.finish();
    (reports, stopped)
}

/// The ids typed, checked against the snapshot.
fn flows(snapshot: &Snapshot, typed: &[String]) -> Result<Vec<FlowId>, String> {
    let mut ids: Vec<FlowId> = Vec::new();
    for text in typed {
        let id = FlowId::parse(text).ok().filter(|id| snapshot.flows.contains_key(id));
        let Some(id) = id else {
            let known: Vec<&str> = snapshot.flows.keys().map(FlowId::as_str).collect();
            let near = known.iter().max_by(|a, b| strsim::jaro(a, text).total_cmp(&strsim::jaro(b, text)));
            let near = near.filter(|near| strsim::jaro(near, text) > 0.7);
            return Err(match near {
                Some(near) => format!("there is no flow `{text}`; did you mean `{near}`?"),
                None if known.is_empty() => format!("there is no flow `{text}`: flows/ holds none"),
                None => format!("there is no flow `{text}`; there are: {}", known.join(", ")),
            });
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn refusal(id: &FlowId, refused: &Refused) -> Report {
    use crate::runtime::run::report::RunError;
    Report {
        flow: id.clone(),
        run: String::new(),
        ending: Ending::ExportFailed(RunError { place: "start".to_owned(), text: refused.to_string() }),
        counts: crate::runtime::run::state::Counts::default(),
        pages: 0,
        requests: 0,
        took: Duration::ZERO,
        errors: Vec::new(),
    }
}

/// The gravest of all endings decides.
pub fn exit(reports: &[Report], stopped: Option<Stopped>) -> Exit {
    match stopped {
        Some(Stopped::Cut) => return Exit::Temporary,
        Some(Stopped::Whole(Signal::Terminate)) => return Exit::Terminated,
        Some(Stopped::Whole(_)) => return Exit::Interrupted,
        None => {}
    }
    let any = |test: fn(&Ending) -> bool| reports.iter().any(|report| test(&report.ending));
    if any(|ending| matches!(ending, Ending::Offline(_))) {
        Exit::Auth
    } else if any(|ending| matches!(ending, Ending::ExportFailed(_))) {
        Exit::Unavailable
    } else if any(|ending| matches!(ending, Ending::WithErrors)) {
        Exit::No
    } else {
        Exit::Done
    }
}
