//! `errors retry`: at the owner, followed to the end; or right here, as `run` does it.

use super::super::owner::Owner;
use super::super::progress::Bars;
use super::super::run::{exit, stopped};
use super::super::{Exit, Globals, summary};
use super::Place;
use crate::app::errors::{Retried, retry as begin};
use crate::app::output::Stdout;
use crate::app::run::{Finished, Options, Refused, Started, Stopped, WhenRefused, to_the_end};
use crate::app::{Host, State, agent};
use crate::store::ErrorFilter;
use crate::store::socket::{Ask, RetryBegun};
use crate::value::id::FlowId;
use std::sync::Arc;

/// Tries what matches again, page by page, and tells what came of it.
pub async fn retry(globals: &Globals, host: &Host, place: Place, filter: ErrorFilter) -> Exit {
    let named = filter.ids.len();
    let retried = match place {
        Place::Owner(owner) => there(globals, host, owner, filter).await,
        Place::Here(state) => here(globals, host, state, filter).await,
    };
    let Tried { finished, records } = match retried {
        Ok(retried) => retried,
        Err(exit) => return exit,
    };
    if let Some(now @ Stopped::Now(_)) = finished.stopped {
        return stopped(now);
    }
    if globals.json() || !finished.reports.is_empty() {
        summary::print(globals, &finished.reports, &Options::default(), false);
    }
    if finished.reports.is_empty() {
        globals.note("no open error record matches");
    }
    match exit(&finished, false) {
        Exit::Done if records < named as u64 => {
            globals.complain(&format!("of {named} error records named only {records} were there and open"));
            Exit::No
        }
        exit => exit,
    }
}

struct Tried {
    finished: Finished,
    records: u64,
}

async fn there(globals: &Globals, host: &Host, mut owner: Owner, mut filter: ErrorFilter) -> Result<Tried, Exit> {
    owner.listen(globals)?;
    let mut retried = Tried { finished: Finished::default(), records: 0 };
    let bars = Bars::start(globals, host.clock.clone());
    loop {
        let RetryBegun { runs, next } = owner.ask(globals, Ask::Retry(filter.clone()))?;
        retried.records += runs.iter().map(|run| run.errors).sum::<u64>();
        retried.finished.add(owner.follow(globals, host, runs, &bars).await);
        filter.below = next;
        if next.is_none() || retried.finished.stopped.is_some() || retried.finished.later {
            bars.finish();
            return Ok(retried);
        }
    }
}

async fn here(globals: &Globals, host: &Host, state: State, filter: ErrorFilter) -> Result<Tried, Exit> {
    let snapshot = super::super::load(globals, host)?;
    super::super::install_logs(globals, &snapshot, host, true)?;
    let timeout = snapshot.settings.shutdown_timeout;
    let failed = |text: String, exit: Exit| {
        globals.complain(&text);
        exit
    };
    let supervisor = host.supervise(snapshot, Arc::new(Stdout::new()), &state, WhenRefused::GiveUp);
    let supervisor = supervisor.map_err(|error| failed(error.to_string(), Exit::Config))?;
    supervisor.look_back().await.map_err(|error| failed(error.to_string(), Exit::Temporary))?;
    let flows: Vec<FlowId> = supervisor.snapshot().iter().flat_map(|all| all.flows.keys().cloned()).collect();
    let door = agent::for_flows(&supervisor, &flows).await;
    let door = door.map_err(|error| failed(error.to_string(), Exit::Unavailable))?;
    let bars = Bars::start(globals, host.clock.clone());
    let watch = |id: &FlowId, started: &Started| bars.watch(id, started.progress.clone());
    let (mut next, mut records, mut unreadable) = (Some(filter), 0, None);
    let rounds = async || {
        let Some(filter) = next.take() else { return Vec::new() };
        match begin(&supervisor, filter.clone()).await {
            Ok(Retried { flows, .. }) if flows.iter().all(|(.., begun)| matches!(begun, Err(Refused::Draining))) => {
                Vec::new()
            }
            Ok(Retried { flows, next: below }) => {
                next = below.map(|below| ErrorFilter { below: Some(below), ..filter });
                records += flows.iter().map(|(_, count, _)| count).sum::<u64>();
                flows.into_iter().map(|(flow, _, begun)| (flow, begun)).collect()
            }
            Err(error) => {
                unreadable = Some(error);
                Vec::new()
            }
        }
    };
    let finished = to_the_end(&supervisor, rounds, timeout, watch, |how| stopped(how).code()).await;
    bars.finish();
    door.close(host).await;
    state.close(host).await;
    if let Some(error) = unreadable {
        return Err(failed(error.to_string(), Exit::Temporary));
    }
    let finished = finished.map_err(|error| failed(format!("signals cannot be handled: {error}"), Exit::Temporary))?;
    Ok(Tried { finished, records })
}
