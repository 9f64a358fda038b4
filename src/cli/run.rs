//! `flowgate run FLOW…`: flows now, side by side in one process; ends when they end.

use super::names::near;
use super::owner::Owner;
use super::progress::Bars;
use super::stages::Written;
use super::{Exit, Globals, summary};
use crate::app::run::{
    Asked, Ending, Finished, Options, Started, Stopped, Supervisor, TriggerKind, WhenRefused, to_the_end,
};
use crate::app::state::NoState;
use crate::app::{Host, Signal, State, agent};
use crate::model::flow::Flow;
use crate::model::snapshot::Snapshot;
use crate::store::socket::{Ask, RunAsk, ValueAsk};
use crate::store::{Space, StateError, StoreError};
use crate::value::id::FlowId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
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
    let named = named(&snapshot, flows).and_then(|ids| has_exports(&snapshot, ids, &options.exports));
    match named.and_then(|ids| has_deltas(&snapshot, ids, &options)) {
        Ok(ids) => match state(globals, host, &snapshot, &ids, options.clone()).await {
            Ok(state) => carry(globals, host, snapshot, &ids, options, state).await,
            Err(NoState::Directory(owned @ StateError::Owned { .. })) => {
                beside(globals, host, snapshot, &ids, options, owned).await
            }
            Err(error) => no_state(globals, &error),
        },
        Err(text) => {
            globals.complain(&text);
            Exit::Usage
        }
    }
}

/// Runs flows to their end and tells how it went.
pub async fn carry(
    globals: &Globals,
    host: &Host,
    snapshot: Arc<Snapshot>,
    ids: &[FlowId],
    options: Options,
    state: State,
) -> Exit {
    let bars = Bars::start(globals, host.clock.clone());
    match here(globals, host, snapshot, ids, options.clone(), state, &bars).await {
        Ok(ran) => ran.tell(globals, &bars, &options),
        Err(exit) => exit,
    }
}

/// Another process owns the state: it runs what leaves something behind, and is followed to the end. What only writes
/// to standard output runs here at the same time.
async fn beside(
    globals: &Globals,
    host: &Host,
    snapshot: Arc<Snapshot>,
    ids: &[FlowId],
    options: Options,
    owned: StateError,
) -> Exit {
    let lasts = |id: &&FlowId| snapshot.flows.get(*id).is_some_and(|flow| flow.has_import());
    let (there, passing): (Vec<&FlowId>, Vec<&FlowId>) = ids.iter().partition(lasts);
    let flows = there.into_iter().cloned().collect();
    let Options { limit, exports, fresh, asked: Asked { since, until }, .. } = options.clone();
    let ask = RunAsk { flows, limit, exports, since, until, fresh };
    let mut owner = match Owner::of(globals, owned) {
        Ok(owner) => owner,
        Err(exit) => return exit,
    };
    let begun = match owner.run(globals, ask) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let bars = Bars::start(globals, host.clock.clone());
    let passing: Vec<FlowId> = passing.into_iter().cloned().collect();
    let nothing_here = passing.is_empty();
    let here_state = match State::with_marks_of(&path(globals, &snapshot)).await {
        Ok(state) => state,
        Err(error) => return no_state(globals, &error),
    };
    let (ours, theirs) = tokio::join!(
        async {
            if nothing_here {
                return Ok(Ran::default());
            }
            here(globals, host, snapshot, &passing, options.clone(), here_state, &bars).await
        },
        owner.follow(globals, host, begun, &bars)
    );
    match ours {
        Ok(mut ran) => {
            ran.finished.add(theirs);
            for (key, value) in std::mem::take(&mut ran.marks) {
                let set = ValueAsk { space: Space::Mark.name().to_owned(), key, value: Some(value) };
                if let Err(exit) = owner.ask::<serde_json::Value>(globals, Ask::Set(set)) {
                    return exit;
                }
            }
            ran.tell(globals, &bars, &options)
        }
        Err(exit) => exit,
    }
}

/// What was run by this process.
#[derive(Default)]
struct Ran {
    finished: Finished,
    output: Option<Written>,
    /// Marks of delta exports that moved while another process owns the state.
    marks: Vec<(String, String)>,
}

async fn here(
    globals: &Globals,
    host: &Host,
    snapshot: Arc<Snapshot>,
    ids: &[FlowId],
    options: Options,
    state: State,
    bars: &Bars,
) -> Result<Ran, Exit> {
    let timeout = snapshot.settings.shutdown_timeout;
    let exports_only = ids.iter().filter_map(|id| snapshot.flows.get(id)).any(|flow| !flow.has_import());
    let output = Written::new(globals, ids, &options);
    if exports_only || options.dry_run {
        globals.streams();
    }
    let supervisor = host.supervise(snapshot, output.output(), &state, WhenRefused::GiveUp).map_err(|error| {
        globals.complain(&error.to_string());
        Exit::Config
    })?;
    let door = agent::for_flows(&supervisor, ids).await.map_err(|error| {
        globals.complain(&error.to_string());
        Exit::Unavailable
    })?;
    look_back(globals, &supervisor, ids, options.clone()).await?;
    let marks_before = marks_of(&state).await;
    let watch = |id: &FlowId, started: &Started| bars.watch(id, started.progress.clone());
    let mut left = Some(ids);
    let ran = RefCell::new(BTreeMap::new());
    let start = |id: &FlowId| (id.clone(), supervisor.start(id, TriggerKind::Manual, options.clone()));
    let rounds = async || {
        if let Some(ids) = left.take() {
            return ids.iter().map(start).collect();
        }
        // Payloads of a webhook wait in several runs: each one's turn comes, unless the one before left records.
        let waits = |id: &&FlowId| ran.borrow().get(*id).is_some_and(|run: &String| supervisor.has_payloads(id, run));
        ids.iter().filter(waits).map(start).collect()
    };
    let watch = |id: &FlowId, started: &Started| {
        ran.borrow_mut().insert(id.clone(), started.run.clone());
        watch(id, started);
    };
    let finished = to_the_end(&supervisor, rounds, timeout, watch, |how| stopped(how).code()).await;
    door.close(host).await;
    let mut marks = marks_of(&state).await;
    marks.retain(|mark| !marks_before.contains(mark));
    state.close(host).await;
    let finished = finished.map_err(|error| {
        globals.complain(&format!("signals cannot be handled: {error}"));
        Exit::Temporary
    })?;
    let output = (options.dry_run || exports_only).then_some(output);
    Ok(Ran { finished, output, marks })
}

/// What a passing state knows of delta exports.
async fn marks_of(state: &State) -> Vec<(String, String)> {
    match state.dir {
        None => state.store.values(Space::Mark).await.unwrap_or_default(),
        Some(_) => Vec::new(),
    }
}

impl Ran {
    fn tell(self, globals: &Globals, bars: &Bars, options: &Options) -> Exit {
        bars.finish();
        let Self { finished, output, .. } = self;
        if let Some(now @ Stopped::Now(_)) = finished.stopped {
            return stopped(now);
        }
        if let Some(exit) = output.as_ref().and_then(|output| unwritten(globals, output.finish())) {
            return exit;
        }
        summary::print(globals, &finished.reports, options, output.is_some());
        exit(&finished, output.is_some_and(|output| output.reader_left()))
    }
}

/// Standard output took not everything; a reader that went away wanted no more.
pub(super) fn unwritten(globals: &Globals, finished: std::io::Result<()>) -> Option<Exit> {
    let error = finished.err().filter(|error| error.kind() != std::io::ErrorKind::BrokenPipe)?;
    globals.complain(&format!("stdout: {error}"));
    Some(Exit::Temporary)
}

/// The state directory; none is needed for what leaves nothing behind.
pub(super) async fn state(
    globals: &Globals,
    host: &Host,
    snapshot: &Snapshot,
    ids: &[FlowId],
    options: Options,
) -> Result<State, NoState> {
    let flows = || ids.iter().filter_map(|id| snapshot.flows.get(id));
    let marked = flows().any(|flow| has_delta(flow));
    let lasting = !options.dry_run && (marked || flows().any(|flow| flow.has_import()));
    let used = flows().flat_map(|flow| flow.connections());
    // A token that rotates exists once: who renews it keeps it.
    let renewable =
        used.filter_map(|id| snapshot.connections.get(id)).any(|connection| connection.http.auth.is_renewable());
    let path = path(globals, snapshot);
    match lasting || renewable {
        true => State::open(host, &path),
        // What would be asked for now is shown as it would be.
        false if marked => State::with_marks_of(&path).await,
        false => Ok(State::in_memory()),
    }
}

/// Where the state is.
pub fn path(globals: &Globals, snapshot: &Snapshot) -> PathBuf {
    globals.state.clone().unwrap_or_else(|| snapshot.settings.state.clone())
}

/// The state directory cannot be used.
pub fn no_state(globals: &Globals, error: &NoState) -> Exit {
    globals.complain(&error.to_string());
    if error.is_passing() { Exit::Temporary } else { Exit::Config }
}

/// Runs that did not end go on, and are given up with `--fresh`; both are said.
async fn look_back(globals: &Globals, supervisor: &Supervisor, ids: &[FlowId], options: Options) -> Result<(), Exit> {
    let failed = |error: StoreError| {
        globals.complain(&error.to_string());
        Exit::Temporary
    };
    supervisor.look_back().await.map_err(failed)?;
    for id in ids {
        let Some(row) = supervisor.unfinished(id) else { continue };
        let tally = row.tally;
        let left = tally.exported - tally.delivered - tally.filtered - tally.failed;
        let run = format!(
            "run {} of {} ({} pages read, {left} records in flight)",
            row.id,
            row.started.format("%F %T UTC"),
            tally.pages
        );
        if options.fresh {
            supervisor.give_up(id).await.map_err(failed)?;
            globals.warn(&format!("{id}: gave up {run}; its records in flight count as dismissed"));
        } else if !options.dry_run {
            globals.note(&format!("{id}: resuming {run}; `--fresh` would give it up"));
        }
    }
    Ok(())
}

/// Whether all these flows have the exports that are asked for.
pub(super) fn has_exports(snapshot: &Snapshot, ids: Vec<FlowId>, names: &[String]) -> Result<Vec<FlowId>, String> {
    for flow in ids.iter().filter_map(|id| snapshot.flows.get(id)) {
        let known: Vec<&str> = flow.exports.iter().map(|export| export.name.as_str()).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("flow `{}` has no export `{name}`; it has: {}", flow.id, known.join(", ")));
        }
    }
    Ok(ids)
}

/// A time asked for by hand means something to exports with a delta only.
fn has_deltas(snapshot: &Snapshot, ids: Vec<FlowId>, options: &Options) -> Result<Vec<FlowId>, String> {
    if options.asked.is_nothing() {
        return Ok(ids);
    }
    let without = ids.iter().filter_map(|id| snapshot.flows.get(id)).find(|flow| !has_delta(flow));
    match without {
        Some(flow) => Err(format!(
            "flow `{}` has no `[export.delta]`: nothing in it says how to ask for a time, so `--since` and `--until` \
             mean nothing to it",
            flow.id
        )),
        None => Ok(ids),
    }
}

/// Whether a flow remembers until when it exported.
fn has_delta(flow: &Flow) -> bool {
    flow.exports.iter().any(|export| export.any_delta().is_some())
}

/// The ids typed, checked against the snapshot.
pub fn named(snapshot: &Snapshot, typed: &[String]) -> Result<Vec<FlowId>, String> {
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

/// What is said of a flow that is not there.
pub(super) fn no_flow(snapshot: &Snapshot, text: &str) -> String {
    let known: Vec<&str> = snapshot.flows.keys().map(FlowId::as_str).collect();
    match near(text, known.iter().copied()) {
        Some(near) => format!("there is no flow `{text}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no flow `{text}`: flows/ holds none"),
        None => format!("there is no flow `{text}`; there are: {}", known.join(", ")),
    }
}

/// The code of an end by signal.
pub fn stopped(how: Stopped) -> Exit {
    match how {
        Stopped::Cut => Exit::Temporary,
        Stopped::Whole(Signal::Interrupt) | Stopped::Now(Signal::Interrupt) => Exit::Interrupted,
        Stopped::Whole(_) | Stopped::Now(_) => Exit::Terminated,
    }
}

/// The gravest ending decides. A run ended because nobody reads its output any more (`| head`) did what was wanted.
pub fn exit(finished: &Finished, reader_left: bool) -> Exit {
    if let Some(how) = finished.stopped {
        return stopped(how);
    }
    let any = |test: fn(&Ending) -> bool| finished.reports.iter().any(|report| test(&report.ending));
    // What was refused has no run.
    let ran = |test: fn(&Ending) -> bool| {
        finished.reports.iter().any(|report| !report.run.is_empty() && test(&report.ending))
    };
    if any(|ending| matches!(ending, Ending::Fault(_))) {
        Exit::Internal
    } else if any(|ending| matches!(ending, Ending::Offline(_))) {
        Exit::Auth
    } else if finished.refused {
        Exit::Config
    } else if ran(|ending| matches!(ending, Ending::ExportFailed(_))) {
        Exit::Unavailable
    } else if finished.later || (!reader_left && any(|ending| matches!(ending, Ending::Cancelled))) {
        Exit::Temporary
    } else if any(|ending| matches!(ending, Ending::WithErrors | Ending::Stopped(_))) {
        Exit::No
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::run::{Counts, Report, RunError, refusal};
    use std::time::Duration;

    fn finished(endings: impl IntoIterator<Item = Ending>) -> Finished {
        let report = |ending| Report {
            flow: FlowId::parse("orders").unwrap(),
            run: "r".to_owned(),
            ending,
            counts: Counts::default(),
            pages: 0,
            requests: 0,
            took: Duration::ZERO,
            errors: Vec::new(),
            passed: Vec::new(),
            steps: Vec::new(),
        };
        Finished { reports: endings.into_iter().map(report).collect(), ..Finished::default() }
    }

    fn cause() -> RunError {
        RunError { place: "run".to_owned(), text: "no".to_owned() }
    }

    #[test]
    fn a_fault_inside_is_70_before_anything_else() {
        let all = [Ending::Offline(cause()), Ending::Fault(cause()), Ending::ExportFailed(cause())];
        assert_eq!(exit(&finished(all), false), Exit::Internal);
    }

    #[test]
    fn a_run_that_stopped_by_itself_is_not_done_unless_its_reader_left() {
        assert_eq!(exit(&finished([Ending::Cancelled]), false), Exit::Temporary);
        assert_eq!(exit(&finished([Ending::Succeeded, Ending::Cancelled]), true), Exit::Done);
    }

    #[test]
    fn what_may_start_later_is_worth_another_try_unless_something_graver_happened() {
        let later = |endings: Vec<Ending>| {
            let mut finished = Finished { later: true, ..finished(endings) };
            finished.reports.push(refusal(&FlowId::parse("other").unwrap(), "still running".to_owned()));
            finished
        };
        assert_eq!(exit(&later(vec![Ending::Succeeded]), false), Exit::Temporary);
        assert_eq!(exit(&later(vec![Ending::ExportFailed(cause())]), false), Exit::Unavailable);
    }

    #[test]
    fn a_closed_terminal_ends_like_a_termination() {
        for how in [Stopped::Whole(Signal::Reload), Stopped::Now(Signal::Reload), Stopped::Now(Signal::Terminate)] {
            assert_eq!(stopped(how), Exit::Terminated);
        }
        assert_eq!(stopped(Stopped::Now(Signal::Interrupt)), Exit::Interrupted);
        assert_eq!(stopped(Stopped::Cut), Exit::Temporary);
    }
}
