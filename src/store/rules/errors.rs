//! Rules of error records: an open one leaves that state once, and the figures of its run follow.

use super::{Ruled, runs};
use crate::store::batch::{Receipt, Refusal};
use crate::store::figures::Figures;
use crate::store::rows::{ErrorRow, ErrorState, Space, waypoint_key};
use crate::store::tables::{Stop, Tables};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};

/// A new record, or the new text of one that is there. What it belongs to and where it stands is not text.
pub(super) fn error<T: Tables>(tables: &mut T, row: &ErrorRow, receipt: &mut Receipt) -> Ruled<(), T::Fault> {
    if row.id != 0 {
        let Some(old) = tables.error(row.id).map_err(Stop::Fault)? else { return Ok(()) };
        // The figures know how many records it stands for: one by itself may become a group of one, and no more.
        let members = if old.weight() == row.weight() { row.members } else { old.members };
        let ErrorRow { flow, run, state, opened, .. } = old;
        return tables.put_error(&ErrorRow { flow, run, members, state, opened, ..row.clone() }).map_err(Stop::Fault);
    }
    let run = runs::known(tables, &row.run)?;
    if run.flow != row.flow {
        let what = format!("run `{}` is of flow `{}`, not `{}`", run.id, run.flow, row.flow);
        return Err(Refusal::Unfit(what).into());
    }
    let id = tables.next_error().map_err(Stop::Fault)?;
    let row = ErrorRow { id, state: ErrorState::Open, ..row.clone() };
    runs::change_figures(tables, &row.flow, Figures::default(), Figures::of_error(&row))?;
    tables.put_error(&row).map_err(Stop::Fault)?;
    receipt.errors.push(id);
    Ok(())
}

pub(super) fn state<T: Tables>(
    tables: &mut T,
    id: u64,
    state: ErrorState,
    by: &str,
    at: DateTime<Utc>,
    receipt: &mut Receipt,
) -> Ruled<(), T::Fault> {
    receipt.changed += u64::from(leave(tables, id, state, by, at)?);
    Ok(())
}

/// Moves an open record to where it stays. Says whether it was open.
pub(super) fn leave<T: Tables>(
    tables: &mut T,
    id: u64,
    state: ErrorState,
    by: &str,
    at: DateTime<Utc>,
) -> Ruled<bool, T::Fault> {
    let Some(old) = tables.error(id).map_err(Stop::Fault)? else { return Ok(false) };
    if old.state != ErrorState::Open || state == ErrorState::Open {
        return Ok(false);
    }
    let row = ErrorRow { state, changed: at, by: Some(by.to_owned()), next_retry: None, ..old.clone() };
    runs::change_figures(tables, &row.flow, Figures::of_error(&old), Figures::of_error(&row))?;
    tables.put_error(&row).map_err(Stop::Fault)?;
    tables.drop_value(Space::Waypoint, &waypoint_key(&row.run, row.page, row.record)).map_err(Stop::Fault)?;
    let Some(from) = tables.run(&row.run).map_err(Stop::Fault)? else { return Ok(true) };
    let mut run = from.clone();
    let count = match state {
        ErrorState::Redelivered => &mut run.tally.redelivered,
        ErrorState::Refiltered => &mut run.tally.refiltered,
        ErrorState::Dismissed | ErrorState::Open => &mut run.tally.dismissed,
    };
    *count = count.saturating_add(old.weight());
    runs::save(tables, Some(&from), &run)?;
    Ok(true)
}

/// Lets a settled record go. Open ones stay, whatever was asked.
pub(super) fn let_go<T: Tables>(tables: &mut T, id: u64, receipt: &mut Receipt) -> Ruled<(), T::Fault> {
    let Some(row) = tables.error(id).map_err(Stop::Fault)? else { return Ok(()) };
    if row.state == ErrorState::Open {
        return Ok(());
    }
    runs::change_figures(tables, &row.flow, Figures::of_error(&row), Figures::default())?;
    tables.drop_error(id).map_err(Stop::Fault)?;
    receipt.pruned.errors += 1;
    Ok(())
}

pub(super) fn overtaken<T: Tables>(
    tables: &mut T,
    flow: &FlowId,
    traces: &[String],
    run: &str,
    at: DateTime<Utc>,
    receipt: &mut Receipt,
) -> Ruled<(), T::Fault> {
    for trace in traces {
        for id in tables.open_errors_traced(flow, trace).map_err(Stop::Fault)? {
            receipt.changed += u64::from(leave(tables, id, ErrorState::Redelivered, run, at)?);
        }
    }
    Ok(())
}
