//! The part of the feed for exports with `group_by`: records are shaped, and those one after the other that are equal in
//! the keys become one item. A group is as long as its place goes on with it, also over pages: its rows are copied, so
//! that no page is kept for it, and all its records are settled at once.

use super::{Feed, Known, Next, Pending};
use crate::runtime::export::group::{Rows, shaped};
use crate::runtime::export::origin::Origin;
use crate::runtime::export::track::Coming;
use crate::runtime::import::{Group, Item, Member, Trace};
use crate::runtime::run::books::Books;
use crate::runtime::run::errors::Fault;
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
/// Most bytes of all groups whose end has not been seen.
const MOST_HELD: usize = 32 << 20;
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
    /// It was too large: what still comes of it is no group of its own.
    broken: bool,
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
}

impl Open {
    fn of(kept: Kept, broken: bool) -> Self {
        let (first, key, mark, intent) = (kept.item.clone(), kept.key.clone(), kept.mark, kept.intent.clone());
        let (rows, group) = (Rows::default(), Group::default());
        let mut open = Self { first, key, mark, rows, group, intent, broken };
        open.push(kept);
        open
    }

    fn push(&mut self, kept: Kept) {
        let Kept { mut item, record, intent, .. } = kept;
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

    /// A record comes. `goes_on` says that it may belong to the group before it. Gives the group that it ends, if any.
    fn join(&mut self, kept: Kept, goes_on: bool) -> Option<(Open, Ended)> {
        let Some(at) = self.at(&kept.item.origin) else {
            self.put(Open::of(kept, false));
            return None;
        };
        let open = &self.open[at];
        if !goes_on || open.key != kept.key || (open.mark != kept.mark && kept.mark == Mark::InFlight) {
            let before = self.take(at);
            self.put(Open::of(kept, false));
            let ended = if before.broken { Ended::TooLarge } else { Ended::Whole };
            return Some((before, ended));
        }
        if open.mark != kept.mark {
            // An old one that its delta left out.
            return None;
        }
        let bytes = kept.record.json().text().len();
        let too_large = open.rows.bytes() + bytes > MOST_BYTES || self.bytes + bytes > MOST_HELD;
        if too_large || open.group.members.len() >= MOST_RECORDS {
            let before = self.take(at);
            self.put(Open::of(kept, true));
            return Some((before, Ended::TooLarge));
        }
        let mut open = self.take(at);
        open.push(kept);
        self.put(open);
        None
    }
}

/// How a group ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    TooLarge,
    /// The export failed before.
    Lost,
}

impl Ended {
    fn fault(self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::TooLarge => Some(format!(
                "the group is larger than {} MiB or {MOST_RECORDS} records, or all groups that are open at once than {} MiB: \
                 make groups smaller by one more key, or their records with `transform`; a retry sends this part of it by itself",
                MOST_BYTES >> 20,
                MOST_HELD >> 20
            )),
            Self::Lost => Some(
                "the export failed before the end of this group was seen: it may not be whole; a retry sends it as it is".to_owned(),
            ),
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
        match self.next_item(books)? {
            Next::Open(item, _) if item.error.is_some() => Some(self.again(item, ctx, books)),
            Next::Open(item, intent) => {
                let Some(item) = self.traced(item, ctx, books) else { return Some(Next::Gone) };
                let Some((item, record, key)) = self.shape(item, ctx, books) else { return Some(Next::Gone) };
                books.state.collected(item.page);
                Some(self.joined(Kept { item, record, key, mark: Mark::InFlight, intent }, books))
            }
            Next::Settled(item, mark) => match shaped(&item.origin.export, &item.record, ctx) {
                Ok(Some((record, key))) => Some(self.joined(Kept { item, record, key, mark, intent: None }, books)),
                _ => Some(Next::Gone),
            },
            Next::Gone => Some(Next::Gone),
        }
    }

    /// With its trace key; none when that cannot be said.
    fn traced(&self, mut item: Item, ctx: &Context<'_>, books: &mut Books<'r>) -> Option<Item> {
        stage::exported(self.scope, &item);
        self.sets_out(&mut item, ctx, books).then_some(item)
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
            let group = Some(Arc::new(Group::again(error.members)));
            return Next::Open(Item { group, ..item }, None);
        }
        // One from before there were groups goes on as it is.
        if !BEFORE.contains(&error.step.as_str()) {
            return Next::Open(item, None);
        }
        let Some((item, record, _)) = self.shape(item, ctx, books) else { return Next::Gone };
        let mut rows = Rows::default();
        rows.push(&record);
        Next::Open(Item { record: rows.close(), group: Some(Arc::new(Group::again(1))), ..item }, None)
    }

    /// A record comes into its group.
    fn joined(&mut self, kept: Kept, books: &mut Books<'r>) -> Next {
        let Some(page) = self.pages.front_mut() else { return Next::Gone };
        let goes_on = page.met || page.joins;
        page.met = true;
        let line = page.line;
        match self.groups.join(kept, goes_on) {
            Some((open, ended)) => self.ended(open, ended, line, books),
            None => Next::Gone,
        }
    }

    fn ended(&self, open: Open, ended: Ended, line: u64, books: &mut Books<'r>) -> Next {
        let mark = open.mark;
        let (item, intent) = open.close(line);
        if mark != Mark::InFlight {
            return Next::Settled(item, mark);
        }
        if let Some(group) = &item.group {
            books.state.completed(group.members.iter().map(|member| member.page), group.bytes);
        }
        if let Some(text) = ended.fault() {
            books.fail(&item, &Fault { step: STEP, class: "record", text, failure: None });
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
            let open = self.groups.take(at);
            let (line, origin) = (self.next_line(), open.first.origin.clone());
            let ended = match coming {
                _ if open.broken => Ended::TooLarge,
                Coming::Lost => Ended::Lost,
                Coming::Nothing | Coming::More => Ended::Whole,
            };
            if let Next::Open(item, intent) = self.ended(open, ended, line, books) {
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
