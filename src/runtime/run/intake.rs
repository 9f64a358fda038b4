//! The side of a run where pages arrive: read just now, from before a restart, or made of error records.

use super::errors::{self, Fault};
use super::feed::{Known, intents_of, record_hash};
use super::journal::Stored;
use super::once;
use super::report::{Ending, RunError};
use super::state::Resolution;
use super::supply::{Fresh, Supplied};
use super::{MOST_CRASHES, Run};
use crate::model::flow::Durability;
use crate::observe::event;
use crate::runtime::export::cursor::without;
use crate::runtime::export::delta::Judged;
use crate::runtime::export::fan::Trouble;
use crate::runtime::export::page::Page;
use crate::runtime::import::{Group, Item};
use crate::store::{ErrorRow, Mark, Marks, PageRow, PageWrite, Write};
use crate::value::document::Document;
use std::collections::HashMap;
use std::sync::Arc;

impl Run<'_> {
    /// Something that was asked for is here, or why it is not.
    pub(super) fn take_landed(&mut self, landed: Result<Supplied, Trouble>) {
        self.books.state.landed();
        match landed {
            Ok(supplied) => self.take_supplied(supplied),
            Err(trouble) if trouble.error.is_cancelled() => self.scope.stop.drain.cancel(),
            Err(Trouble { place, error }) => {
                let (place, text) = (self.books.masked(&place), self.books.masked(&error.to_string()));
                let ending = if error.is_auth() { Ending::Offline } else { Ending::ExportFailed };
                self.failed.get_or_insert(ending(RunError { place, text }));
            }
        }
    }

    pub(super) fn take_supplied(&mut self, supplied: Supplied) {
        match supplied {
            Supplied::Nothing => {}
            Supplied::Fresh(fresh) => {
                self.books.pages = fresh.page.number;
                self.take_fresh(fresh);
            }
            Supplied::Changed(fresh, row) => {
                self.books.state.recount(|counts| without(counts, &row));
                self.take_fresh(fresh);
            }
            Supplied::Known(page, row) => self.take_known(page, *row),
            Supplied::Retry(page, errors) => {
                self.books.state.page_read(page.number, page.bytes, count(&page));
                self.journal.known(page.number, false);
                if errors.iter().any(|error| error.step == once::STEP) {
                    self.tell_again(&page, errors);
                } else {
                    self.held.push_back((page, Known::Errors(errors)));
                }
            }
        }
    }

    /// Records that were delivered, and whose source is to be told: nothing else is done again.
    fn tell_again(&mut self, page: &Page, errors: Vec<ErrorRow>) {
        for ((index, record), error) in page.records.iter().enumerate().zip(errors) {
            let item = Item::new(page.number, &page.origin, index as u64 + 1, record.clone());
            self.books.state.taken(page.number);
            let group = (error.members > 0).then(|| Arc::new(Group::again(&error)));
            self.books.telling.push_back(Item { error: Some(Box::new(error)), group, ..item });
        }
    }

    pub(super) fn take_fresh(&mut self, fresh: Fresh) {
        let Fresh { page, cursor, head, judged } = fresh;
        let (number, records) = (page.number, count(&page));
        event::page_read(&self.scope.flow.id, &self.scope.run, number, page.records.len(), page.bytes);
        self.books.state.page_read(number, page.bytes, records);
        let full = self.scope.flow.durability == Durability::Full;
        let body = page.body.as_ref().filter(|_| full).map(Document::bytes);
        let run = self.scope.run.clone();
        let write = Write::Page(Box::new(PageWrite { run, number, records, cursor, head, body }));
        let known = self.judge(&page, judged);
        self.held.push_back((page, known));
        // The page comes before its marks: a page without records is finished at once.
        self.store_page(number, write);
    }

    /// What a delta says of records settles them at once: old ones are left out, and one whose time of change cannot be
    /// read must not be passed without a word.
    fn judge(&mut self, page: &Page, judged: Judged) -> Known {
        if judged.is_empty() {
            return Known::Nothing;
        }
        let mut marks = Marks::new(count(page));
        let item = |index: u32| {
            let record = page.records.get(index as usize)?.clone();
            Some(Item::new(page.number, &page.origin, u64::from(index) + 1, record))
        };
        for item in judged.old.iter().filter_map(|index| item(*index)) {
            self.books.resolve(&item, Resolution::Filtered);
            marks.set(item.index(), Mark::Filtered);
        }
        for (index, text) in judged.faults {
            let Some(item) = item(index) else { continue };
            self.books.fail(&item, &Fault { step: "delta", class: "record", text, failure: None });
            marks.set(index, Mark::Failed);
        }
        Known::Before(marks, HashMap::new())
    }

    pub(super) fn store_page(&mut self, number: u64, write: Write) {
        let (writes, errors) = self.books.take_writes();
        let stored = Stored {
            page: Some(number),
            errors,
            counts: self.books.state.counts(),
            pages: self.books.pages,
            ..Stored::default()
        };
        let tally = self.books.write_tally();
        self.journal.commit(stored, std::iter::once(write).chain(writes).chain([tally]).collect());
    }

    pub(super) fn take_known(&mut self, page: Page, row: PageRow) {
        let number = page.number;
        event::page_resumed(&self.scope.flow.id, &self.scope.run, number, row.marks.in_flight());
        self.books.state.page_resumed(number, page.bytes, row.marks.clone());
        if row.crashes >= MOST_CRASHES {
            return self.quarantine(page, row);
        }
        let intents = intents_of(&page, &mut self.intents);
        let known = Known::Before(row.marks, intents);
        self.held.push_back((page, known));
        self.journal.known(number, row.crashes > 0);
    }

    /// A page that was in flight whenever the process died is not tried once more.
    fn quarantine(&mut self, page: Page, row: PageRow) {
        event::page_quarantined(&self.scope.flow.id, &self.scope.run, page.number, row.crashes);
        if !page.origin.export.group_by.is_empty() {
            return self.quarantine_groups(page, row);
        }
        let mut intents = intents_of(&page, &mut self.intents);
        for (at, record) in page.records.iter().enumerate() {
            let item = Item::new(page.number, &page.origin, at as u64 + 1, record.clone());
            let item = Item { hash: record_hash(record), ..item };
            let text = errors::quarantined(row.crashes);
            let sent = intents.remove(&item.index());
            self.books.park(&item, sent, Fault { step: "transform", class: "quarantined", text, failure: None });
        }
    }

    /// Its groups, which may begin before it and end behind it, are parked whole. Should the process die of taking them
    /// apart, the run is held: no part of a group may be taken for the group.
    fn quarantine_groups(&mut self, page: Page, row: PageRow) {
        if row.crashes >= MOST_CRASHES * 3 {
            let place = format!("export page {}", page.number);
            let text = format!(
                "{}, not even to find its groups; give the run up with `flowgate run {} --fresh`",
                errors::quarantined(row.crashes),
                self.scope.flow.id
            );
            self.failed.get_or_insert(Ending::Fault(RunError { place, text }));
            return;
        }
        self.journal.known(page.number, true);
        let intents = intents_of(&page, &mut self.intents);
        self.held.push_back((page, Known::Parked(row.marks, row.crashes, intents)));
    }
}

fn count(page: &Page) -> u32 {
    u32::try_from(page.records.len()).unwrap_or(u32::MAX)
}
