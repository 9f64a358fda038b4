//! Retention. An open error record is dismissed first, and seen as such until the next time.

use super::{Ruled, errors, runs};
use crate::store::batch::Receipt;
use crate::store::figures::Figures;
use crate::store::rows::{ErrorState, Space};
use crate::store::tables::{Stop, Tables};
use chrono::{DateTime, Utc};

/// Who dismissed an error record that grew too old.
const AGE: &str = "age";

pub(super) fn prune<T: Tables>(
    tables: &mut T,
    runs_before: DateTime<Utc>,
    errors_before: DateTime<Utc>,
    at: DateTime<Utc>,
    receipt: &mut Receipt,
) -> Ruled<(), T::Fault> {
    for id in tables.errors_opened_before(errors_before).map_err(Stop::Fault)? {
        if errors::leave(tables, id, ErrorState::Dismissed, AGE, at)? {
            receipt.pruned.dismissed += 1;
        } else {
            errors::let_go(tables, id, receipt)?;
        }
    }
    for run in tables.runs_over_before(runs_before).map_err(Stop::Fault)? {
        if !tables.has_open_errors(&run.id).map_err(Stop::Fault)? {
            runs::change_figures(tables, &run.flow, Figures::of_run(&run), Figures::default())?;
            tables.drop_value(Space::Log, &run.id).map_err(Stop::Fault)?;
            tables.drop_run(&run.id).map_err(Stop::Fault)?;
            receipt.pruned.runs += 1;
        }
    }
    for key in tables.unused_meanings().map_err(Stop::Fault)? {
        tables.drop_value(Space::Meaning, &key).map_err(Stop::Fault)?;
    }
    Ok(())
}
