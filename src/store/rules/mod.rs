//! What each write means, once for all backends: pure over [`Tables`], so that memory and disk cannot disagree.
//!
//! Rules never half-apply a batch by themselves: when one stops, the backend takes the whole batch back.

mod errors;
mod fit;
mod names;
mod pages;
mod prune;
mod runs;

use super::batch::{Receipt, Write};
use super::tables::{Stop, Tables};

/// Outcome of a rule.
type Ruled<T, F> = Result<T, Stop<F>>;

/// Carries out a batch.
pub(super) fn apply<T: Tables>(tables: &mut T, batch: &[Write]) -> Ruled<Receipt, T::Fault> {
    let mut receipt = Receipt::default();
    for write in batch {
        one(tables, write, &mut receipt)?;
    }
    Ok(receipt)
}

fn one<T: Tables>(tables: &mut T, write: &Write, receipt: &mut Receipt) -> Ruled<(), T::Fault> {
    match write {
        Write::Begin(row) => runs::begin(tables, row),
        Write::Page(page) => pages::page(tables, page),
        Write::Marks { run, page, marks } => pages::marks(tables, run, *page, marks),
        Write::Intend { run, records } => pages::intend(tables, run, records),
        Write::Withdraw { run } => {
            runs::known(tables, run)?;
            tables.drop_intents(run, None).map_err(Stop::Fault)
        }
        Write::StartPage { run, page } => pages::start(tables, run, *page),
        Write::Interrupted { run, pages, epoch } => runs::interrupted(tables, run, pages, *epoch),
        Write::Tally { run, tally, steps } => runs::tally(tables, run, tally, steps),
        Write::Phase { run, phase, outcome, cause, at } => {
            runs::phase(tables, run, *phase, (outcome.as_deref(), cause.as_deref()), *at)
        }
        Write::Error(row) => errors::error(tables, row, receipt),
        Write::ErrorState { id, state, by, at } => errors::state(tables, *id, *state, by, *at, receipt),
        Write::DropError { id } => errors::let_go(tables, *id, receipt),
        Write::Overtaken { flow, traces, run, at } => errors::overtaken(tables, flow, traces, run, *at, receipt),
        Write::Put { space, key, value } => {
            fit::value(*space, key, value)?;
            tables.put_value(*space, key, value).map_err(Stop::Fault)
        }
        Write::Delete { space, key } => tables.drop_value(*space, key).map_err(Stop::Fault),
        Write::RenameFlow { from, to } => names::flow(tables, from, to),
        Write::RenameConnection { from, to } => names::connection(tables, from, to),
        Write::Prune { runs_before, errors_before, at } => {
            prune::prune(tables, *runs_before, *errors_before, *at, receipt)
        }
    }
}

#[cfg(test)]
pub(super) use fit::{MOST_KEY, MOST_NAME};
