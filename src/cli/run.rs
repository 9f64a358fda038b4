//! `flowgate run FLOW…`: flows now, side by side in one process; ends when they end.

use super::progress::Bars;
use super::{Exit, Globals, summary};
use crate::app::output::Stdout;
use crate::app::run::{Ending, Finished, Options, Stopped, to_the_end};
use crate::app::{Host, Signal};
use crate::model::snapshot::Snapshot;
use crate::value::id::FlowId;
use std::sync::Arc;

/// Runs the flows named on the command line.
pub async fn run(globals: &Globals, host: &Host, flows: &[String], options: Options) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, true) {
        return exit;
    }
    match named(&snapshot, flows) {
        Ok(ids) => carry(globals, host, snapshot, &ids, options).await,
        Err(text) => {
            globals.complain(&text);
            Exit::Usage
        }
    }
}

/// Runs flows to their end and tells how it went.
pub async fn carry(globals: &Globals, host: &Host, snapshot: Arc<Snapshot>, ids: &[FlowId], options: Options) -> Exit {
    let timeout = snapshot.settings.shutdown_timeout;
    let output = Arc::new(Stdout::new());
    let supervisor = match host.supervise(snapshot, output.clone()) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            globals.complain(&error.to_string());
            return Exit::Config;
        }
    };
    let bars = Bars::start(globals, host.clock.clone());
    let finished = to_the_end(&supervisor, ids, options, timeout, |id, progress| {
        bars.watch(id, progress);
    })
    .await;
    bars.finish();
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => {
            globals.complain(&format!("signals cannot be handled: {error}"));
            return Exit::Temporary;
        }
    };
    if let Err(error) = output.finish()
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        globals.complain(&format!("stdout: {error}"));
        return Exit::Temporary;
    }
    summary::print(globals, &finished.reports, options);
    exit(&finished)
}

/// The ids typed, checked against the snapshot.
fn named(snapshot: &Snapshot, typed: &[String]) -> Result<Vec<FlowId>, String> {
    let mut ids: Vec<FlowId> = Vec::new();
    for text in typed {
        let Some(id) = FlowId::parse(text).ok().filter(|id| snapshot.flows.contains_key(id)) else {
            return Err(no_flow(snapshot, text));
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn no_flow(snapshot: &Snapshot, text: &str) -> String {
    let known: Vec<&str> = snapshot.flows.keys().map(FlowId::as_str).collect();
    let near = known.iter().max_by(|a, b| strsim::jaro(a, text).total_cmp(&strsim::jaro(b, text)));
    match near.filter(|near| strsim::jaro(near, text) > 0.7) {
        Some(near) => format!("there is no flow `{text}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no flow `{text}`: flows/ holds none"),
        None => format!("there is no flow `{text}`; there are: {}", known.join(", ")),
    }
}

/// The gravest ending decides.
fn exit(finished: &Finished) -> Exit {
    match finished.stopped {
        Some(Stopped::Cut) => return Exit::Temporary,
        Some(Stopped::Whole(Signal::Terminate)) => return Exit::Terminated,
        Some(Stopped::Whole(_)) => return Exit::Interrupted,
        None => {}
    }
    let any = |test: fn(&Ending) -> bool| finished.reports.iter().any(|report| test(&report.ending));
    if any(|ending| matches!(ending, Ending::Offline(_))) {
        Exit::Auth
    } else if finished.refused {
        Exit::Config
    } else if any(|ending| matches!(ending, Ending::ExportFailed(_))) {
        Exit::Unavailable
    } else if any(|ending| matches!(ending, Ending::WithErrors)) {
        Exit::No
    } else {
        Exit::Done
    }
}
