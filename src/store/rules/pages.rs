//! Rules of pages: kept while a record of them is in flight, and the last one until another follows.

use super::{Ruled, runs};
use crate::store::batch::{PageWrite, Refusal};
use crate::store::figures::{Figures, is_over};
use crate::store::rows::{IntentRow, Marks, PageRow, RunRow};
use crate::store::tables::{Body, Stop, Tables};

/// Most records of a page: what a body of the largest allowed size could hold.
const MOST_RECORDS: u32 = 1 << 26;

pub(super) fn page<T: Tables>(tables: &mut T, write: &PageWrite) -> Ruled<(), T::Fault> {
    let id = &write.run;
    let run = runs::known(tables, id)?;
    if is_over(run.phase) {
        return Err(Refusal::Unfit(format!("run `{id}` is over and takes no more pages")).into());
    }
    if write.number == 0 || i64::try_from(write.number).is_err() || write.records > MOST_RECORDS {
        let what = format!("run `{id}`: page {} with {} records cannot be stored", write.number, write.records);
        return Err(Refusal::Unfit(what).into());
    }
    let old = tables.page(id, write.number).map_err(Stop::Fault)?;
    if old.is_none() {
        runs::change_figures(tables, &run.flow, Figures::default(), Figures::of_page())?;
    }
    let row = PageRow {
        number: write.number,
        marks: Marks::new(write.records),
        cursor: write.cursor.clone(),
        head: write.head.clone(),
        has_body: write.body.is_some(),
        crashes: old.map_or(0, |old| old.crashes),
        started: false,
    };
    let body = match &write.body {
        // A page without records is finished as it comes.
        Some(body) if !row.marks.is_done() => Body::New(body.clone()),
        _ => Body::Drop,
    };
    tables.put_page(id, &row, body).map_err(Stop::Fault)?;
    sweep(tables, &run)
}

/// A page that is gone was finished; a late word about it changes nothing.
pub(super) fn marks<T: Tables>(tables: &mut T, id: &str, number: u64, marks: &Marks) -> Ruled<(), T::Fault> {
    let run = runs::known(tables, id)?;
    let Some(mut page) = tables.page(id, number).map_err(Stop::Fault)? else { return Ok(()) };
    if page.marks.len() != marks.len() {
        let (has, given) = (page.marks.len(), marks.len());
        return Err(Refusal::Unfit(format!("run `{id}`: page {number} has {has} records, not {given}")).into());
    }
    page.marks.clone_from(marks);
    if !marks.is_done() {
        return tables.put_page(id, &page, Body::Keep).map_err(Stop::Fault);
    }
    page.started = false;
    tables.put_page(id, &page, Body::Drop).map_err(Stop::Fault)?;
    tables.drop_intents(id, Some(number)).map_err(Stop::Fault)?;
    sweep(tables, &run)
}

/// Lets finished pages go that are not the last.
fn sweep<T: Tables>(tables: &mut T, run: &RunRow) -> Ruled<(), T::Fault> {
    let id = &run.id;
    let pages = tables.pages(id).map_err(Stop::Fault)?;
    let Some((_, earlier)) = pages.split_last() else { return Ok(()) };
    for page in earlier.iter().filter(|page| page.marks.is_done()) {
        release(tables, run, page.number)?;
        tables.drop_intents(id, Some(page.number)).map_err(Stop::Fault)?;
    }
    Ok(())
}

/// Lets a page go.
pub(super) fn release<T: Tables>(tables: &mut T, run: &RunRow, number: u64) -> Ruled<(), T::Fault> {
    runs::change_figures(tables, &run.flow, Figures::of_page(), Figures::default())?;
    tables.drop_page(&run.id, number).map_err(Stop::Fault)
}

/// An intent lives with its page: without one it would never be let go.
pub(super) fn intend<T: Tables>(tables: &mut T, id: &str, records: &[IntentRow]) -> Ruled<(), T::Fault> {
    runs::known(tables, id)?;
    for window in records.chunk_by(|one, next| one.page == next.page) {
        let Some(&IntentRow { page: number, .. }) = window.first() else { continue };
        let has = tables.page(id, number).map_err(Stop::Fault)?.map_or(0, |page| page.marks.len());
        if let Some(IntentRow { record, .. }) = window.iter().find(|intent| intent.record >= has) {
            return Err(Refusal::Unfit(format!("run `{id}` has no record {record} on page {number}")).into());
        }
        tables.put_intents(id, number, window).map_err(Stop::Fault)?;
    }
    Ok(())
}

pub(super) fn start<T: Tables>(tables: &mut T, id: &str, number: u64) -> Ruled<(), T::Fault> {
    runs::known(tables, id)?;
    let Some(mut page) = tables.page(id, number).map_err(Stop::Fault)? else { return Ok(()) };
    if page.started || page.marks.is_done() {
        return Ok(());
    }
    page.started = true;
    tables.put_page(id, &page, Body::Keep).map_err(Stop::Fault)
}
