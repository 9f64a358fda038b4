//! The part of the feed for exports with `group_by`: records are shaped, and those one after the other that are equal in
//! the keys become one item. A group is as long as its place goes on with it, also over pages: its rows are copied, so
//! that no page is kept for it, and all its records are settled at once.

use super::{Feed, Known, Next, Pending};
use crate::runtime::export::group::{Rows, shaped};
use crate::runtime::export::origin::Origin;
use crate::runtime::export::track::Coming;
use crate::runtime::import::{Group, Item, Member, Trace};
use crate::runtime::run::books::Books;
use crate::runtime::run::errors::{Fault, quarantined};
use crate::runtime::run::state::Resolution;
use crate::runtime::stage;
use crate::runtime::walk::Passed;
use crate::store::{IntentRow, Mark};
use crate::value::context::Context;
use crate::value::record::Record;
use std::sync::Arc;

/// Most bytes of one group.
const MOST_BYTES: usize = 8 << 20;
/// Most records of one group.
const MOST_RECORDS: usize = 100_000;
/// Bytes of all groups whose end has not been seen above which only one place is read on.
const MANY_BYTES: usize = 32 << 20;
/// The place of an export's `keep` on the way of its records.
const KEEP: u16 = 1;
/// Where what is wrong with a group stands.
const STEP: &str = "group_by";
/// Error records of one record before it came into its group.
const BEFORE: [&str; 5] = ["transform", "keep", STEP, "delta", "trace_key"];

/// A group whose end has not been seen.
struct Open {
    /// The first of its records, in whose place it stands.
    first: Item,
    key: String,
    /// What became of it before a restart; in flight unless it was settled then.
    mark: Mark,
    rows: Rows,
    group: Group,
    /// What was intended for its records before a restart, when it was for all of them.
    intent: Option<IntentRow>,
    /// Why none of it is sent.
    flaw: Option<Flaw>,
}

/// Why a group is an error record as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Flaw {
    /// What still comes of it is no group of its own.
    TooLarge,
    /// The export failed before its end.
    Lost,
    /// The trace key of a record of it cannot be said.
    Untraced(String),
    /// A page it has records on was in flight at so many unclean exits.
    Parked(u32),
}

/// The groups whose end has not been seen: one for each place at most.
#[derive(Default)]
pub(super) struct Groups {
    open: Vec<Open>,
    bytes: usize,
}

/// A record that is kept, as it comes into its group.
struct Kept {
    /// As it was exported.
    item: Item,
    record: Record,
    key: String,
    mark: Mark,
    intent: Option<IntentRow>,
    /// What is wrong with any group that it comes into.
    flaw: Option<Flaw>,
}

impl Open {
    fn of(kept: Kept, flaw: Option<Flaw>) -> Self {
        let (first, key, mark, intent) = (kept.item.clone(), kept.key.clone(), kept.mark, kept.intent.clone());
        let (rows, group) = (Rows::default(), Group::default());
        let mut open = Self { first, key, mark, rows, group, intent, flaw };
        open.push(kept);
        open
    }

    fn push(&mut self, kept: Kept) {
        let Kept { mut item, record, intent, flaw, .. } = kept;
        if self.flaw.is_none() || matches!(flaw, Some(Flaw::Parked(_))) {
            self.flaw = flaw.or(self.flaw.take());
        }
        self.rows.push(&record);
        self.group.members.push(Member { page: item.page, index: item.index(), hash: item.hash });
        self.group.count += 1;
        self.group.exported.extend(item.exported.take());
        self.group.traces.extend(item.trace.and_then(|trace| trace.key));
        self.intent = self.intent.take().filter(|_| intent.is_some());
    }

    /// The group as one item, on the line where it ended.
    fn close(self, line: u64) -> (Item, Option<IntentRow>) {
        let Self { first, rows, mut group, intent, .. } = self;
        let record = rows.close();
        group.bytes = record.json().text().len();
        let hashes: Vec<u8> = group.members.iter().flat_map(|member| member.hash.to_be_bytes()).collect();
        let hash = if first.hash == 0 { 0 } else { super::lasting_hash(&hashes) };
        let link = first.trace.as_ref().and_then(|trace| trace.link.clone());
        let trace = first.trace.as_ref().map(|_| Box::new(Trace { key: trace_of(&group.traces), link }));
        let item = Item { record, line, hash, trace, exported: None, group: Some(Arc::new(group)), ..first };
        (item, intent)
    }
}

/// The trace key of a group: what it overtakes is a group of the very same records.
fn trace_of(traces: &[String]) -> Option<String> {
    let first = traces.first()?;
    if traces.iter().all(|trace| trace == first) {
        return Some(first.clone());
    }
    let all: String =
        traces.iter().flat_map(|trace| [trace.len().to_string(), ":".to_owned(), trace.clone()]).collect();
    Some(format!("{first} +{} #{:016x}", traces.len() - 1, super::lasting_hash(all.as_bytes())))
}

impl Groups {
    fn at(&self, origin: &Origin) -> Option<usize> {
        self.open.iter().position(|open| open.first.origin.is_at(origin))
    }

    fn take(&mut self, at: usize) -> Open {
        let open = self.open.swap_remove(at);
        self.bytes -= open.rows.bytes();
        open
    }

    fn put(&mut self, open: Open) {
        self.bytes += open.rows.bytes();
        self.open.push(open);
    }

    /// Whether they are so large that only what ends one of them should be read.
    pub(super) fn are_many(&self) -> bool {
        self.bytes > MANY_BYTES
    }

    /// A record comes. `goes_on` says that it may belong to the group before it. Gives the group that it ends, if any.
    fn join(&mut self, kept: Kept, goes_on: bool) -> Option<Open> {
        let Some(at) = self.at(&kept.item.origin) else {
            self.put(Open::of(kept, None));
            return None;
        };
        let open = &self.open[at];
        if !goes_on || open.key != kept.key || (open.mark != kept.mark && kept.mark == Mark::InFlight) {
            let before = self.take(at);
            self.put(Open::of(kept, None));
            return Some(before);
        }
        if open.mark != kept.mark {
            // An old one that its delta left out.
            return None;
        }
        let too_large = open.rows.bytes() + kept.record.json().text().len() > MOST_BYTES;
        let mut open = self.take(at);
        if too_large || open.group.members.len() >= MOST_RECORDS {
            open.flaw.get_or_insert(Flaw::TooLarge);
            self.put(Open::of(kept, open.flaw.clone()));
            return Some(open);
        }
        open.push(kept);
        self.put(open);
        None
    }
}

impl Flaw {
    fn fault(&self) -> Fault<'static> {
        let fault = |text: String| Fault { step: STEP, class: "record", text, failure: None };
        match self {
            Self::TooLarge => fault(format!(
                "the group is larger than {} MiB or {MOST_RECORDS} records: make groups smaller by one more key, or their \
                 records with `transform`; a retry sends this part of it by itself",
                MOST_BYTES >> 20,
            )),
            Self::Lost => fault(
                "the export failed before the end of this group was seen: it may not be whole; a retry sends it as it is".to_owned(),
            ),
            Self::Untraced(text) => Fault { step: "trace_key", ..fault(text.clone()) },
            Self::Parked(crashes) => Fault { class: "quarantined", ..fault(quarantined(*crashes)) },
        }
    }
}

impl<'r> Feed<'r> {
    /// The next record, or group, of the page.
    pub(super) fn next_of_page(&mut self, ctx: &Context<'_>, books: &mut Books<'r>) -> Option<Next> {
        let page = self.pages.front()?;
        let is_grouped = !page.origin.export.group_by.is_empty() && !matches!(page.known, Known::Group(_));
        if !is_grouped {
            return self.next_item(books);
        }
        let parked = match page.known {
            Known::Parked(_, crashes, _) => Some(Flaw::Parked(crashes)),
            _ => None,
        };
        match self.next_item(books)? {
            Next::Open(item, _) if item.error.is_some() => Some(self.again(item, ctx, books)),
            Next::Open(item, intent) => {
                stage::exported(self.scope, &item);
                let Some((mut item, record, key)) = self.shape(item, ctx, books) else { return Some(Next::Gone) };
                // A group without one of its records is not the group: what is wrong with one is wrong with all.
                let untraced = match Self::trace(&item.origin.export, &item.record, ctx) {
                    Ok(trace) => {
                        item.trace = trace;
                        None
                    }
                    Err(error) => Some(Flaw::Untraced(error.to_string())),
                };
                books.state.collected(item.page);
                let flaw = parked.or(untraced);
                Some(self.joined(Kept { item, record, key, mark: Mark::InFlight, intent, flaw }, books))
            }
            Next::Settled(item, mark) => match shaped(&item.origin.export, &item.record, ctx) {
                Ok(Some((record, key))) => {
                    Some(self.joined(Kept { item, record, key, mark, intent: None, flaw: None }, books))
                }
                _ => Some(Next::Gone),
            },
            Next::Gone => Some(Next::Gone),
        }
    }

    /// Whether the groups whose end has not been seen are so large that only what ends one of them should be read.
    pub(in crate::runtime::run) fn holds_many(&self) -> bool {
        self.groups.are_many()
    }

    /// What its export does to a record by itself.
    fn shape(&self, mut item: Item, ctx: &Context<'_>, books: &mut Books<'r>) -> Option<(Item, Record, String)> {
        let origin = item.origin.clone();
        let export = &origin.export;
        let name = if export.keep.is_some() { "keep" } else { "transform" };
        match shaped(export, &item.record, ctx) {
            Ok(Some((record, key))) => {
                if export.keep.is_some() || export.transform.is_some() {
                    stage::passed(self.scope, &item, name, &Passed::As(record.json().clone()));
                }
                Some((item, record, key))
            }
            Ok(None) => {
                item.place = KEEP;
                stage::passed(self.scope, &item, "keep", &Passed::Left);
                books.resolve(&item, Resolution::Filtered);
                None
            }
            Err((step, error)) => {
                let error = if step == STEP { error.at(STEP) } else { error };
                item.place = if step == "transform" { 0 } else { KEEP };
                stage::passed(self.scope, &item, step, &Passed::Failed(error.to_string()));
                books.fail(&item, &Fault::eval(step, &error));
                None
            }
        }
    }

    /// An error record: what failed as a group is one already, what failed before becomes one of its own.
    fn again(&self, item: Item, ctx: &Context<'_>, books: &mut Books<'r>) -> Next {
        let Some(error) = &item.error else { return Next::Gone };
        if error.members > 0 {
            let group = Some(Arc::new(Group::again(error)));
            return Next::Open(Item { group, ..item }, None);
        }
        // One from before there were groups goes on as it is.
        if !BEFORE.contains(&error.step.as_str()) {
            return Next::Open(item, None);
        }
        let Some((item, record, _)) = self.shape(item, ctx, books) else { return Next::Gone };
        let mut rows = Rows::default();
        rows.push(&record);
        let group = Group { count: 1, exported: item.exported.iter().cloned().collect(), ..Group::default() };
        Next::Open(Item { record: rows.close(), group: Some(Arc::new(group)), ..item }, None)
    }

    /// A record comes into its group.
    fn joined(&mut self, kept: Kept, books: &mut Books<'r>) -> Next {
        let Some(page) = self.pages.front_mut() else { return Next::Gone };
        let goes_on = page.met || page.joins;
        page.met = true;
        let line = page.line;
        match self.groups.join(kept, goes_on) {
            Some(open) => self.ended(open, line, books),
            None => Next::Gone,
        }
    }

    fn ended(&self, open: Open, line: u64, books: &mut Books<'r>) -> Next {
        let (mark, flaw) = (open.mark, open.flaw.clone());
        let (item, intent) = open.close(line);
        if mark != Mark::InFlight {
            return Next::Settled(item, mark);
        }
        if let Some(group) = &item.group {
            books.state.completed(group.members.iter().map(|member| member.page), group.bytes);
        }
        if let Some(flaw) = flaw {
            books.park(&item, intent, flaw.fault());
            return Next::Gone;
        }
        stage::passed(self.scope, &item, STEP, &Passed::As(item.record.json().clone()));
        Next::Open(item, intent)
    }

    /// Groups whose place is over are complete: each is a page of its own, whenever that becomes known, so that batches
    /// are the same after a restart. True when there is more to work on.
    pub(in crate::runtime::run) fn end_groups(
        &mut self,
        coming: impl Fn(&Origin) -> Coming,
        books: &mut Books<'r>,
    ) -> bool {
        let mut any = false;
        while let Some((at, coming)) = self.over(&coming) {
            let mut open = self.groups.take(at);
            let (line, origin) = (self.next_line(), open.first.origin.clone());
            if coming == Coming::Lost {
                open.flaw.get_or_insert(Flaw::Lost);
            }
            if let Next::Open(item, intent) = self.ended(open, line, books) {
                let known = Known::Group(Some(Box::new((item, intent))));
                let records: Arc<[Record]> = Arc::from([]);
                self.pages.push_back(Pending {
                    line,
                    number: 0,
                    origin,
                    position: 0,
                    records,
                    known,
                    joins: false,
                    met: false,
                });
            }
            any = true;
        }
        any
    }

    fn over(&self, coming: &impl Fn(&Origin) -> Coming) -> Option<(usize, Coming)> {
        let ends = |open: &Open| {
            let origin = &open.first.origin;
            let waits =
                self.pages.iter().any(|page| page.origin.is_at(origin) && !matches!(page.known, Known::Group(_)));
            if waits { Coming::More } else { coming(origin) }
        };
        let all = self.groups.open.iter().enumerate().map(|(at, open)| (at, ends(open)));
        all.into_iter().find(|(_, coming)| *coming != Coming::More)
    }
}

#[cfg(test)]
mod tests;
