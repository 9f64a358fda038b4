//! Rules of runs: begun once per occurrence, figures that add up, an end that stands.

use super::{Ruled, fit, pages};
use crate::store::batch::Refusal;
use crate::store::figures::{Figures, is_over, left};
use crate::store::rows::{Mark, PageRow, Phase, RunKind, RunRow, Space, StepTally, Tally};
use crate::store::tables::{Body, Stop, Tables};
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};

/// The run, which a write presumes.
pub(super) fn known<T: Tables>(tables: &mut T, id: &str) -> Ruled<RunRow, T::Fault> {
    let run = tables.run(id).map_err(Stop::Fault)?;
    run.ok_or_else(|| Refusal::NoRun(id.to_owned()).into())
}

/// Stores a run and what it changes in its flow's figures.
pub(super) fn save<T: Tables>(tables: &mut T, old: Option<&RunRow>, new: &RunRow) -> Ruled<(), T::Fault> {
    let before = old.map(Figures::of_run).unwrap_or_default();
    change_figures(tables, &new.flow, before, Figures::of_run(new))?;
    tables.put_run(new).map_err(Stop::Fault)
}

/// Moves a flow's figures from what something added before to what it adds now.
pub(super) fn change_figures<T: Tables>(
    tables: &mut T,
    flow: &FlowId,
    before: Figures,
    after: Figures,
) -> Ruled<(), T::Fault> {
    if before == after {
        return Ok(());
    }
    let figures = tables.figures(flow).map_err(Stop::Fault)?;
    tables.put_figures(flow, &figures.plus(after).less(before)).map_err(Stop::Fault)
}

pub(super) fn begin<T: Tables>(tables: &mut T, row: &RunRow) -> Ruled<(), T::Fault> {
    fit::run(&row.id)?;
    if tables.run(&row.id).map_err(Stop::Fault)?.is_some() {
        return Err(Refusal::Unfit(format!("there is a run `{}` already", row.id)).into());
    }
    if let Some(occurrence) = row.occurrence
        && let Some(run) = tables.run_of(&row.flow, occurrence).map_err(Stop::Fault)?
    {
        return Err(Refusal::SeenOccurrence { run }.into());
    }
    save(tables, None, row)
}

/// An unclean exit. What had been started counts as not started again.
pub(super) fn interrupted<T: Tables>(tables: &mut T, id: &str, pages: &[u64], epoch: u64) -> Ruled<(), T::Fault> {
    let mut run = known(tables, id)?;
    if is_over(run.phase) {
        return Ok(());
    }
    run.crashes = run.crashes.saturating_add(1);
    run.epoch = epoch;
    tables.put_run(&run).map_err(Stop::Fault)?;
    for mut page in tables.pages(id).map_err(Stop::Fault)? {
        let counted = pages.contains(&page.number);
        if counted || page.started {
            page.crashes = page.crashes.saturating_add(u32::from(counted));
            page.started = false;
            tables.put_page(id, &page, Body::Keep).map_err(Stop::Fault)?;
        }
    }
    Ok(())
}

/// Figures of a run that is over stand: what was left of it has been accounted for.
pub(super) fn tally<T: Tables>(tables: &mut T, id: &str, tally: &Tally, steps: &[StepTally]) -> Ruled<(), T::Fault> {
    let old = known(tables, id)?;
    if is_over(old.phase) {
        return Ok(());
    }
    let Tally { redelivered, refiltered, dismissed, .. } = old.tally;
    let mut run = RunRow { tally: Tally { redelivered, refiltered, dismissed, ..*tally }, ..old.clone() };
    if !steps.is_empty() {
        run.steps = steps.to_vec();
    }
    save(tables, Some(&old), &run)
}

/// The first end stands. Records that are left then count as dismissed, so that no figure forgets them.
pub(super) fn phase<T: Tables>(
    tables: &mut T,
    id: &str,
    phase: Phase,
    (outcome, cause): (Option<&str>, Option<&str>),
    at: DateTime<Utc>,
) -> Ruled<(), T::Fault> {
    let old = known(tables, id)?;
    if is_over(old.phase) {
        return Ok(());
    }
    let mut run = old.clone();
    run.phase = phase;
    run.outcome = outcome.map(str::to_owned);
    run.cause = cause.map(str::to_owned);
    run.ended = (phase != Phase::Running).then_some(at);
    if is_over(phase) {
        if run.kind == RunKind::Export {
            run.tally.dismissed = run.tally.dismissed.saturating_add(left(&run));
        }
        let pages = tables.pages(id).map_err(Stop::Fault)?;
        waypoints(tables, id, &pages)?;
        for page in pages {
            pages::release(tables, &old, page.number)?;
        }
        tables.drop_intents(id, None).map_err(Stop::Fault)?;
    }
    save(tables, Some(&old), &run)
}

/// What was taken of records that are given up is nobody's business any more. That of records that failed stays with
/// their error records.
fn waypoints<T: Tables>(tables: &mut T, id: &str, pages: &[PageRow]) -> Ruled<(), T::Fault> {
    for key in tables.keys(Space::Waypoint).map_err(Stop::Fault)? {
        let place = key.strip_prefix(id).and_then(|rest| rest.strip_prefix(' ')?.split_once(' '));
        let Some((page, record)) = place.and_then(|(page, record)| Some((page.parse().ok()?, record.parse().ok()?)))
        else {
            continue;
        };
        let (page, record): (u64, u32) = (page, record);
        let marks = pages.iter().find(|row| row.number == page).map(|row| &row.marks);
        if marks.is_some_and(|marks| record > 0 && record <= marks.len() && marks.get(record - 1) == Mark::InFlight) {
            tables.drop_value(Space::Waypoint, &key).map_err(Stop::Fault)?;
        }
    }
    Ok(())
}
