//! Names of flows as typed. One that neither the project nor the state knows is a slip, and an empty list would hide it.

use super::run::no_flow;
use super::{Exit, Globals};
use crate::app::Host;
use crate::config::Loaded;
use crate::model::snapshot::Snapshot;
use crate::store::{self, ErrorFilter, OpenError, RunFilter};
use crate::value::id::{ConnectionId, FlowId};

/// Refuses a flow that nobody knows.
pub(super) async fn known(globals: &Globals, host: &Host, flow: Option<&FlowId>) -> Result<(), Exit> {
    let Some(flow) = flow else { return Ok(()) };
    // Of a project with errors nobody knows all names.
    let Some(snapshot) = project(host) else { return Ok(()) };
    let formerly = || snapshot.flows.values().any(|one| one.formerly.contains(flow));
    if snapshot.flows.contains_key(flow) || formerly() || is_stored(globals, flow).await {
        return Ok(());
    }
    globals.complain(&no_flow(&snapshot, flow.as_str()));
    Err(Exit::Usage)
}

/// What was said of a name that nobody knows, with one that is near: of a flow, or of a connection too.
pub(super) fn with_near(host: &Host, text: &str, typed: &str, connections: bool) -> String {
    let Some(snapshot) = project(host) else { return text.to_owned() };
    let flows = snapshot.flows.keys().map(FlowId::as_str);
    let ids = snapshot.connections.keys().map(ConnectionId::as_str).filter(|_| connections);
    match near(typed, flows.chain(ids)) {
        Some(near) => format!("{text}; did you mean `{near}`?"),
        None => text.to_owned(),
    }
}

/// The name that was probably meant.
pub(super) fn near<'n>(typed: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let likeness = |known: &str| strsim::jaro(known, typed);
    let near = known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    near.filter(|near| likeness(near) > 0.7)
}

fn project(host: &Host) -> Option<Snapshot> {
    match host.load() {
        Ok((_, Loaded { snapshot, .. })) => snapshot,
        Err(_) => None,
    }
}

/// Whether something is left of a flow: of one that was deleted there may be.
async fn is_stored(globals: &Globals, flow: &FlowId) -> bool {
    let store = match store::open_read_only(&globals.state_dir()) {
        Ok(store) => store,
        Err(OpenError::Absent(_)) => return false,
        // Whoever looks next says what is wrong.
        Err(_) => return true,
    };
    let runs = RunFilter { flow: Some(flow.clone()), limit: Some(1), ..RunFilter::default() };
    let errors = ErrorFilter { flow: Some(flow.clone()), limit: Some(1), ..ErrorFilter::default() };
    !store.runs(runs).await.is_ok_and(|runs| runs.is_empty())
        || !store.errors(errors).await.is_ok_and(|errors| errors.is_empty())
}
