//! `flowgate preview FLOW`: each stage of a flow on a few records. Exports and lookups are sent, imports are shown; nothing
//! is left in the state and no mark moves.

use super::args::PreviewArgs;
use super::stages::Stages;
use super::{Exit, Globals, run, summary};
use crate::app::run::{Asked, Options, TriggerKind, WhenRefused, to_the_end};
use crate::app::{Host, agent};
use crate::value::id::FlowId;
use serde_json::json;
use std::sync::Arc;

/// Shows a flow.
pub async fn preview(globals: &Globals, host: &Host, args: &PreviewArgs) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, true) {
        return exit;
    }
    let flows = [args.flow.clone()];
    let ids = match run::named(&snapshot, &flows).and_then(|ids| run::has_exports(&snapshot, ids, &args.exports)) {
        Ok(ids) => ids,
        Err(text) => {
            globals.complain(&text);
            return Exit::Usage;
        }
    };
    // As a dry run: what it does leaves nothing behind.
    let options = Options {
        limit: Some(args.limit),
        exports: args.exports.clone(),
        dry_run: true,
        asked: Asked::default(),
        fresh: false,
        occurrence: None,
    };
    let state = match run::state(globals, host, &snapshot, &ids, options.clone()).await {
        Ok(state) => state,
        Err(error) => return run::no_state(globals, &error),
    };
    let timeout = snapshot.settings.shutdown_timeout;
    let stages = Arc::new(Stages::new(globals, false));
    let supervisor = match host.supervise(snapshot, stages.clone(), &state, WhenRefused::GiveUp) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            globals.complain(&error.to_string());
            return Exit::Config;
        }
    };
    let door = match agent::for_flows(&supervisor, &ids).await {
        Ok(door) => door,
        Err(error) => {
            globals.complain(&error.to_string());
            return Exit::Unavailable;
        }
    };
    globals.streams();
    stages.begin(&json!({ "format": 1, "flow": args.flow, "limit": args.limit }));
    let mut left = Some(&ids);
    let start = |id: &FlowId| (id.clone(), supervisor.start(id, TriggerKind::Manual, options.clone()));
    let rounds = async || left.take().map(|ids| ids.iter().map(start).collect()).unwrap_or_default();
    let finished = to_the_end(&supervisor, rounds, timeout, |_, _| {}, |how| run::stopped(how).code()).await;
    door.close(host).await;
    state.close(host).await;
    match finished {
        Ok(finished) => {
            if let Some(exit) = run::unwritten(globals, stages.finish()) {
                return exit;
            }
            summary::print(globals, &finished.reports, &options, true);
            run::exit(&finished, stages.reader_left())
        }
        Err(error) => {
            globals.complain(&format!("signals cannot be handled: {error}"));
            Exit::Temporary
        }
    }
}
