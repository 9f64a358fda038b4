//! Moving the few pages that keep a nearly empty part alive: held runs would otherwise hold on to megabytes each.

use super::code;
use super::fault::Fault;
use super::row::PAGES;
use super::segments::{self, Segments};
use super::tables::select;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// Parts smaller than this are left alone.
const SMALL: u64 = 1 << 20;
/// A part is nearly empty when so little of it is still needed: a quarter.
const SPARSE: u64 = 4;

/// Moves what is left in nearly empty parts to a new one. Nothing is changed when it fails.
pub(super) fn gather(connection: &Connection, segments: &mut Segments, dir: &Path) -> Result<(), Fault> {
    let place = |row: &rusqlite::Row<'_>| {
        let run = code::string(row, 0)?;
        code::read_page(row).map(|(page, place)| (run, page, place))
    };
    let pages = select(connection, &PAGES, "WHERE part IS NOT NULL ORDER BY run, number", [], place)?;
    let mut needed: BTreeMap<u64, u64> = BTreeMap::new();
    for (_, _, place) in &pages {
        if let Some(place) = place {
            *needed.entry(place.part).or_default() += place.length;
        }
    }
    let sizes = segments::list(dir).map_err(Fault::file("look into the directory of page bodies"))?;
    let sparse = |part: u64| {
        let size = sizes.get(&part).copied().unwrap_or(0);
        size > SMALL && needed.get(&part).is_some_and(|needed| needed.saturating_mul(SPARSE) < size)
    };
    if !needed.keys().any(|part| sparse(*part)) {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    let moved = (|| {
        for (run, page, place) in &pages {
            let Some(old) = place.filter(|place| sparse(place.part)) else { continue };
            // A damaged body stays where it is, for whoever repairs it.
            let Ok(body) = segments::read(dir, run, page.number, old) else { continue };
            let new = segments.append(run, page.number, &body)?;
            segments.drop(old);
            PAGES.put(&transaction, code::page(run, page, Some(new)))?;
        }
        segments.sync()
    })();
    let done = moved.and_then(|()| Ok(transaction.commit()?));
    match &done {
        Ok(()) => segments.settle(),
        Err(_) => segments.go_back(0),
    }
    done
}
