//! `flowgate backfill FLOW`: a stretch of the past, window by window, each a run; goes on where it was cut off. No mark
//! moves.

use super::owner::Owner;
use super::progress::Bars;
use super::run::{exit, named, no_state, path, stopped};
use super::run_args::BackfillArgs;
use super::{Exit, Globals, summary};
use crate::app::backfill::{Backfill, NoBackfill, Typed};
use crate::app::output::Stdout;
use crate::app::run::{
    Asked, Ending, Finished, Options, Report, Started, Stopped, TriggerKind, WhenRefused, to_the_end,
};
use crate::app::state::NoState;
use crate::app::{Host, State, agent};
use crate::model::flow::Flow;
use crate::store::socket::{Ask, RunAsk, StartedRun, ValueAsk};
use crate::store::{self, Space, StateError, Store, StoreError, Write};
use std::cell::RefCell;
use std::sync::Arc;

/// Carries out the command.
pub async fn backfill(globals: &Globals, host: &Host, args: &BackfillArgs) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, true) {
        return exit;
    }
    let flow = match named(&snapshot, std::slice::from_ref(&args.flow)) {
        Ok(ids) => ids.first().and_then(|id| snapshot.flows.get(id)).cloned(),
        Err(text) => {
            globals.complain(&text);
            return Exit::Usage;
        }
    };
    let Some(flow) = flow else { return Exit::Usage };
    let dir = path(globals, &snapshot);
    let done = match State::open(host, &dir) {
        Ok(state) => here(globals, host, snapshot.clone(), &flow, args, state).await,
        Err(NoState::Directory(owned @ StateError::Owned { .. })) => {
            let stored = stored(store::open_read_only(&dir).ok(), &flow).await;
            there(globals, host, &flow, args, stored, owned).await
        }
        Err(error) => return no_state(globals, &error),
    };
    match done {
        Ok(finished) => tell(globals, finished),
        Err(exit) => exit,
    }
}

/// What is stored of a backfill of the flow.
async fn stored(store: Option<Arc<dyn Store>>, flow: &Flow) -> Option<Backfill> {
    let value = store?.value(Space::Backfill, flow.id.as_str()).await.ok()??;
    serde_json::from_str(&value).ok()
}

fn begin(
    globals: &Globals,
    host: &Host,
    flow: &Flow,
    args: &BackfillArgs,
    before: Option<Backfill>,
) -> Result<Backfill, Exit> {
    let typed = Typed { since: args.since.clone(), until: args.until.clone(), step: args.step.clone() };
    let before = before.filter(|_| !args.fresh);
    let begun = Backfill::of(flow, typed, before, host.clock.utc()).map_err(|error| {
        globals.complain(&error.to_string());
        if matches!(error, NoBackfill::Other { .. }) { Exit::Temporary } else { Exit::Usage }
    })?;
    if begun.done > 0 {
        let (done, count) = (begun.done, begun.count(flow));
        globals.note(&format!("{}: {done} of {count} windows are done; going on", flow.id));
    }
    Ok(begun)
}

fn announce(globals: &Globals, flow: &Flow, backfill: &Backfill, asked: Asked) {
    let shown =
        |at: Option<chrono::DateTime<chrono::Utc>>| at.map(|at| at.format("%F %T").to_string()).unwrap_or_default();
    let (number, count) = (backfill.done + 1, backfill.count(flow));
    let (since, until) = (shown(asked.since), shown(asked.until));
    globals.note(&format!("{}: window {number} of {count}: {since} to {until}", flow.id));
}

fn value_of(backfill: &Backfill) -> String {
    serde_json::to_string(backfill).unwrap_or_default()
}

/// The store is this process's.
async fn here(
    globals: &Globals,
    host: &Host,
    snapshot: Arc<crate::model::snapshot::Snapshot>,
    flow: &Arc<Flow>,
    args: &BackfillArgs,
    state: State,
) -> Result<Finished, Exit> {
    let failed = |text: String, exit: Exit| {
        globals.complain(&text);
        exit
    };
    let broken = |error: StoreError| failed(error.to_string(), Exit::Temporary);
    let mut backfill = begin(globals, host, flow, args, stored(Some(state.store.clone()), flow).await)?;
    let timeout = snapshot.settings.shutdown_timeout;
    let output = Arc::new(Stdout::new());
    let supervisor = host.supervise(snapshot, output.clone(), &state, WhenRefused::GiveUp);
    let supervisor = supervisor.map_err(|error| failed(error.to_string(), Exit::Config))?;
    supervisor.look_back().await.map_err(broken)?;
    if args.fresh {
        supervisor.give_up(&flow.id).await.map_err(broken)?;
    }
    let door = agent::for_flows(&supervisor, std::slice::from_ref(&flow.id)).await;
    let door = door.map_err(|error| failed(error.to_string(), Exit::Unavailable))?;
    let bars = Bars::start(globals, host.clock.clone());
    let began = RefCell::new(None);
    let watch = |id: &crate::value::id::FlowId, started: &Started| {
        began.replace(Some(started.run.clone()));
        bars.watch(id, started.progress.clone());
    };
    let (mut is_ours, mut unwritten) = (false, None);
    let rounds = async || {
        if let Some(run) = began.take() {
            let last = supervisor.view().into_iter().find(|view| view.id == flow.id).and_then(|view| view.last);
            if !last.is_some_and(|last| last.run == run && is_done(&last.ending)) {
                return Vec::new();
            }
            backfill.done += u32::from(is_ours);
        }
        let asked = backfill.next(flow);
        let (space, key) = (Space::Backfill, flow.id.to_string());
        let write = match asked {
            Some(_) => Write::Put { space, key, value: value_of(&backfill) },
            None => Write::Delete { space, key },
        };
        if let Err(error) = state.store.commit(vec![write]).await {
            unwritten = Some(error);
            return Vec::new();
        }
        let Some(asked) = asked else { return Vec::new() };
        // A run that did not end goes on first, whatever it was.
        let before = supervisor.unfinished(&flow.id).map(|row| Asked { since: row.since, until: row.until });
        is_ours = before.is_none_or(|before| before == asked);
        announce(globals, flow, &backfill, asked);
        let options = Options { asked, ..Options::default() };
        vec![(flow.id.clone(), supervisor.start(&flow.id, TriggerKind::Manual, options))]
    };
    let finished = to_the_end(&supervisor, rounds, timeout, watch, |how| stopped(how).code()).await;
    bars.finish();
    door.close(host).await;
    state.close(host).await;
    if let Some(error) = unwritten {
        return Err(broken(error));
    }
    if output.finish().is_err() {
        return Err(Exit::Temporary);
    }
    finished.map_err(|error| failed(format!("signals cannot be handled: {error}"), Exit::Temporary))
}

/// Another process owns the state: each window runs there.
async fn there(
    globals: &Globals,
    host: &Host,
    flow: &Flow,
    args: &BackfillArgs,
    stored: Option<Backfill>,
    owned: StateError,
) -> Result<Finished, Exit> {
    if !flow.has_import() {
        globals
            .complain(&format!("{owned}; a flow that writes to standard output is filled by the owner of the state"));
        return Err(Exit::Temporary);
    }
    let mut owner = Owner::of(globals, owned)?;
    let mut backfill = begin(globals, host, flow, args, stored)?;
    let bars = Bars::start(globals, host.clock.clone());
    let mut all = Finished::default();
    let mut fresh = args.fresh;
    loop {
        let asked = backfill.next(flow);
        let value = asked.map(|_| value_of(&backfill));
        let set = ValueAsk { space: Space::Backfill.name().to_owned(), key: flow.id.to_string(), value };
        owner.ask::<serde_json::Value>(globals, Ask::Set(set))?;
        let Some(Asked { since, until }) = asked else { break };
        announce(globals, flow, &backfill, Asked { since, until });
        let ask = RunAsk {
            flows: vec![flow.id.clone()],
            limit: None,
            exports: Vec::new(),
            since,
            until,
            fresh: std::mem::take(&mut fresh),
        };
        let begun: Vec<StartedRun> = owner.run(globals, ask)?;
        let is_ours = begun.iter().all(|run| !run.resumed);
        let finished = owner.follow(globals, host, begun, &bars).await;
        let done = !finished.reports.is_empty() && finished.reports.iter().all(|report| is_done(&report.ending));
        let goes_on = done && finished.stopped.is_none() && !finished.later && !finished.refused;
        all.add(finished);
        if !goes_on {
            break;
        }
        backfill.done += u32::from(is_ours);
    }
    bars.finish();
    Ok(all)
}

/// Whether a window was read to its end; records that failed have their error records.
fn is_done(ending: &Ending) -> bool {
    matches!(ending, Ending::Succeeded | Ending::WithErrors)
}

fn tell(globals: &Globals, mut finished: Finished) -> Exit {
    if let Some(now @ Stopped::Now(_)) = finished.stopped {
        return stopped(now);
    }
    let code = exit(&finished, false);
    if !globals.json() {
        finished.reports = together(finished.reports);
    }
    if globals.json() || !finished.reports.is_empty() {
        summary::print(globals, &finished.reports, &Options::default(), false);
    }
    code
}

/// One account of all windows, with the worst end: the last one where one stopped it, errors where any had some.
fn together(reports: Vec<Report>) -> Vec<Report> {
    let mut all: Option<Report> = None;
    for report in reports {
        let Some(sum) = &mut all else {
            all = Some(report);
            continue;
        };
        let counts = &mut sum.counts;
        counts.exported += report.counts.exported;
        counts.delivered += report.counts.delivered;
        counts.filtered += report.counts.filtered;
        counts.failed += report.counts.failed;
        counts.in_flight += report.counts.in_flight;
        sum.pages += report.pages;
        sum.requests += report.requests;
        sum.took += report.took;
        sum.errors.extend(report.errors);
        if report.ending != Ending::Succeeded {
            sum.ending = report.ending;
        }
    }
    all.into_iter().collect()
}
