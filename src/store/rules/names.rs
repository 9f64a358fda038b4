//! Renames: history, schedules and marks follow a flow, credentials follow a connection.

use super::Ruled;
use crate::store::figures::Figures;
use crate::store::rows::{ErrorRow, RunRow, Space};
use crate::store::tables::{Stop, Tables};
use crate::value::id::{ConnectionId, FlowId};

pub(super) fn flow<T: Tables>(tables: &mut T, from: &FlowId, to: &FlowId) -> Ruled<(), T::Fault> {
    if from == to {
        return Ok(());
    }
    for run in tables.runs_of(from).map_err(Stop::Fault)? {
        tables.put_run(&RunRow { flow: to.clone(), ..run }).map_err(Stop::Fault)?;
    }
    for id in tables.errors_of(from).map_err(Stop::Fault)? {
        if let Some(error) = tables.error(id).map_err(Stop::Fault)? {
            tables.put_error(&ErrorRow { flow: to.clone(), ..error }).map_err(Stop::Fault)?;
        }
    }
    let (there, here) = (tables.figures(from).map_err(Stop::Fault)?, tables.figures(to).map_err(Stop::Fault)?);
    tables.put_figures(from, &Figures::default()).map_err(Stop::Fault)?;
    tables.put_figures(to, &here.plus(there)).map_err(Stop::Fault)?;
    for space in [Space::Schedule, Space::Mark, Space::Webhook, Space::After, Space::Backfill, Space::Pause] {
        values(tables, space, from.as_str(), to.as_str())?;
    }
    Ok(())
}

pub(super) fn connection<T: Tables>(tables: &mut T, from: &ConnectionId, to: &ConnectionId) -> Ruled<(), T::Fault> {
    if from == to {
        return Ok(());
    }
    for space in [Space::Token, Space::Offline] {
        values(tables, space, from.as_str(), to.as_str())?;
    }
    Ok(())
}

/// Moves values whose key is the name, or begins with it and a space. What stands at the new place stays.
fn values<T: Tables>(tables: &mut T, space: Space, from: &str, to: &str) -> Ruled<(), T::Fault> {
    for key in tables.keys(space).map_err(Stop::Fault)? {
        let Some(rest) = key.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with(' ')) else {
            continue;
        };
        let place = format!("{to}{rest}");
        if tables.value(space, &place).map_err(Stop::Fault)?.is_none()
            && let Some(value) = tables.value(space, &key).map_err(Stop::Fault)?
        {
            tables.put_value(space, &place, &value).map_err(Stop::Fault)?;
        }
        tables.drop_value(space, &key).map_err(Stop::Fault)?;
    }
    Ok(())
}
