//! From pages to requests: takes records in order, shapes them, and fills batches. A batch never spans pages.
// size: one feed, and all that is known of its pages.

mod groups;
mod walks;

use super::books::Books;
use super::door::Admitted;
use super::errors::Fault;
use super::lineup::{Lineup, Ready};
use super::state::Resolution;
use crate::model::export::Export;
use crate::runtime::export::cursor::lasting_hash;
use crate::runtime::export::origin::Origin;
use crate::runtime::export::page::Page;
use crate::runtime::import::{Batch, Batcher, Item, Road, Trace};
use crate::runtime::scope::{Lane, Scope};
use crate::runtime::stage;
use crate::runtime::step::with_record;
use crate::runtime::walk::{Walk, Way};
use crate::store::{ErrorRow, IntentRow, Mark, Marks};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::record::Record;
use groups::Groups;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use walks::ended;

/// What the feed did.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on the stack of the loop that takes it")]
pub(super) enum Fed {
    /// A request is ready to be sent.
    Batch(Batch),
    /// Records were settled without a request.
    Progress,
    /// Whoever read the output is gone.
    OutputClosed,
}

/// Records worked on before others get a turn.
const STRETCH: usize = 1_000;

/// What is known of a page's records beforehand.
pub(super) enum Known {
    /// Nothing: it was read just now.
    Nothing,
    /// What became of them before a restart, and which were about to be sent.
    Before(Marks, HashMap<u32, IntentRow>),
    /// The same, and that the process died while it was in flight, that often: it is taken apart into its groups, and
    /// none of them is sent.
    Parked(Marks, u32, HashMap<u32, IntentRow>),
    /// They are error records.
    Errors(Vec<ErrorRow>),
    /// It is no page but a group that ended with its place.
    Group(Option<Box<(Item, Option<IntentRow>)>>),
}

struct Pending {
    /// What tells it from other pages here, growing.
    line: u64,
    number: u64,
    origin: Arc<Origin>,
    position: u64,
    records: Arc<[Record]>,
    known: Known,
    /// Its first group goes on with the last one of the page before it.
    joins: bool,
    /// A record of a group was met on it.
    met: bool,
}

/// A record of the page at hand.
enum Next {
    /// To be worked on; with what was intended for it before a restart.
    Open(Item, Option<IntentRow>),
    /// Settled before a restart.
    Settled(Item, Mark),
    /// It was settled just now, or waits in its group.
    Gone,
}

/// The pages waiting to be worked on.
pub(super) struct Feed<'r> {
    pub(super) scope: &'r Scope,
    pub(super) import: Option<Road<'r>>,
    pub(super) batcher: Option<Batcher<'r>>,
    /// Whether records must be known again after a restart.
    hashed: bool,
    pages: VecDeque<Pending>,
    /// Pages so far.
    lines: u64,
    groups: Groups,
    /// Records on their way, in flows whose steps ask somebody.
    lineup: Option<Lineup>,
    /// The places of all steps, by name, in the order of the flow.
    orders: HashMap<&'r str, usize>,
    /// An admitted record that found no room in the batch before.
    held: Option<Item>,
}

impl<'r> Feed<'r> {
    pub(super) fn new(scope: &'r Scope, import: Option<Road<'r>>) -> Self {
        let hashed = scope.flow.writes_on_the_way() || import.is_some_and(|road| road.import.needs_intents());
        let lineup = scope.flow.asks_on_the_way().then(Lineup::default);
        let batcher = import.map(Batcher::new);
        let mut orders = HashMap::new();
        for step in &scope.flow.steps {
            step.each(&mut |step| {
                orders.insert(step.name.as_str(), orders.len() + 1);
            });
        }
        Self {
            scope,
            import,
            batcher,
            hashed,
            pages: VecDeque::new(),
            lines: 0,
            groups: Groups::default(),
            lineup,
            orders,
            held: None,
        }
    }

    pub(super) fn push(&mut self, page: Page, known: Known) {
        let line = self.next_line();
        self.pages.push_back(Pending {
            line,
            number: page.number,
            origin: page.origin,
            position: 0,
            records: page.records,
            known,
            joins: page.joins,
            met: false,
        });
    }

    fn next_line(&mut self) -> u64 {
        self.lines += 1;
        self.lines
    }

    /// The lane of an export.
    fn lane(&self, origin: &Origin) -> Option<&'r Lane> {
        self.scope.lane(&origin.export.connection)
    }

    /// Whether records wait for work.
    pub(super) fn has_more(&self) -> bool {
        self.lineup.as_ref().map_or(!self.pages.is_empty(), Lineup::is_ready)
    }

    /// Works on records until a request is full, its page is over, a stretch of work is done, or nothing is left.
    pub(super) fn next(&mut self, books: &mut Books<'r>) -> Option<Fed> {
        let now = self.scope.now();
        let origin = match &self.lineup {
            Some(lineup) => lineup.origin()?,
            None => self.pages.front()?.origin.clone(),
        };
        let base = self.scope.context(&now, &origin);
        let outer = self.lane(&origin)?.client.context(base);
        for _ in 0..STRETCH {
            let item = if let Some(admitted) = self.held.take() {
                admitted
            } else {
                let (item, intent) = match self.ready(&outer, books)? {
                    Ready::Item(item, intent) => (item, intent),
                    Ready::PageEnd => return Some(self.close(&base, books)),
                    Ready::Settled(item, mark) => {
                        if self.divides(item, mark, &outer, &base) {
                            return Some(self.close(&base, books));
                        }
                        continue;
                    }
                    Ready::Gone => continue,
                };
                match self.admitted(item, intent, &base, books) {
                    Admitted::Here(item) => item,
                    Admitted::Asked(fed) => return Some(fed),
                    Admitted::Gone => continue,
                }
            };
            let Some(batcher) = &mut self.batcher else {
                if self.scope.flow.writes_on_the_way() {
                    // Its imports were on the way; where none took it, all were skipped.
                    books.resolve(&item, Resolution::Filtered);
                    continue;
                }
                if self.scope.output.record(item.record.json()).is_err() {
                    return Some(Fed::OutputClosed);
                }
                books.resolve(&item, Resolution::Delivered);
                continue;
            };
            if !batcher.takes(&item) {
                self.held = Some(item);
                return Some(self.close(&base, books));
            }
            if let Err((item, error)) = batcher.add(item, &base) {
                if matches!(error, EvalError::Limit(_)) && !batcher.is_empty() {
                    // It may be the batch that is too large, not the record: it gets a request of its own.
                    self.held = Some(item);
                    return Some(self.close(&base, books));
                }
                self.refuse(&item, &error, books);
            } else if batcher.is_full() {
                return Some(self.close(&base, books));
            }
        }
        Some(Fed::Progress)
    }

    /// The next record of the page.
    fn next_item(&mut self, books: &mut Books<'r>) -> Option<Next> {
        let import = self.import;
        let page = self.pages.front_mut()?;
        if let Known::Group(group) = &mut page.known {
            return group.take().map(|group| Next::Open(group.0, group.1));
        }
        let at = page.position;
        let record = page.records.get(usize::try_from(at).ok()?)?.clone();
        page.position += 1;
        let hash = if self.hashed { record_hash(&record) } else { 0 };
        let mut item = Item { hash, line: page.line, ..Item::new(page.number, &page.origin, page.position, record) };
        let mut intent = None;
        match &mut page.known {
            Known::Nothing | Known::Group(_) => {}
            Known::Before(marks, intents) | Known::Parked(marks, _, intents) => {
                let index = item.index();
                let mark = marks.get(index);
                if mark != Mark::InFlight {
                    return Some(Next::Settled(item, mark));
                }
                intent = intents.remove(&index);
            }
            Known::Errors(errors) => {
                let error = usize::try_from(at).ok().and_then(|at| errors.get(at)).cloned();
                // The key of a write on the way is not the key of this one.
                let own = error.as_ref().filter(|error| import.is_some_and(|road| road.name() == error.step));
                item.key = own.and_then(|error| error.key.clone()).map(String::into_boxed_str);
                if let Some(exported) = error.as_ref().and_then(ErrorRow::as_exported) {
                    item.exported = Some(Record::new(exported));
                }
                item.error = error.map(Box::new);
            }
        }
        books.state.taken(item.page);
        Some(Next::Open(item, intent))
    }

    /// What is next for the import; none before an answer is there.
    fn ready(&mut self, ctx: &Context<'_>, books: &mut Books<'r>) -> Option<Ready> {
        if let Some(lineup) = &mut self.lineup {
            return lineup.next();
        }
        let (mut item, intent) = match self.next_of_page(ctx, books) {
            Some(Next::Open(item, intent)) => (item, intent),
            Some(Next::Settled(item, mark)) => return Some(Ready::Settled(item, mark)),
            Some(Next::Gone) => return Some(Ready::Gone),
            None => {
                self.pages.pop_front();
                return Some(Ready::PageEnd);
            }
        };
        if !self.sets_out(&mut item, ctx, books) {
            return Some(Ready::Gone);
        }
        let mut walk = self.walk(&item);
        let origin = item.origin.clone();
        let advance =
            walk.advance(Way { flow: &self.scope.flow, export: &origin.export, dry_run: self.scope.dry_run }, ctx);
        self.show(&item, &mut walk);
        let arrived = ended((item, intent), walk, advance, books);
        Some(arrived.map_or(Ready::Gone, |(item, intent)| Ready::Item(item, intent)))
    }

    /// A record sets out.
    fn walk(&self, item: &Item) -> Walk {
        let from = item.error.as_ref().map(|error| error.step.as_str());
        let walk = Walk::new(item.record.clone(), from).watched(self.scope.output.shows_stages());
        if item.group.is_some() {
            return walk.behind_its_export();
        }
        stage::exported(self.scope, item);
        walk
    }

    /// Tells what became of a record on its way, where somebody looks on.
    fn show(&self, item: &Item, walk: &mut Walk) {
        for (name, passed) in walk.take_trail() {
            stage::passed(self.scope, item, &name, &passed);
        }
    }

    /// Notes what tells a record apart. False when it goes nowhere: that cannot be said, or nothing is left to do.
    fn sets_out(&self, item: &mut Item, ctx: &Context<'_>, books: &mut Books<'r>) -> bool {
        if let Some(error) = &item.error {
            let is_behind = self.import.is_some_and(|road| error.step == road.behind());
            if is_behind {
                // The destination took it before.
                books.resolve(item, Resolution::Delivered);
            }
            return !is_behind;
        }
        if item.group.is_some() {
            return true;
        }
        match Self::trace(&item.origin.export, &item.record, ctx) {
            Ok(trace) => item.trace = trace,
            Err(error) => {
                books.fail(item, &Fault::eval("trace_key", &error));
                return false;
            }
        }
        true
    }

    fn trace(export: &Export, record: &Record, ctx: &Context<'_>) -> Result<Option<Box<Trace>>, EvalError> {
        if export.trace_key.is_none() && export.link.is_none() {
            return Ok(None);
        }
        let ctx = with_record(ctx, record);
        let render = |template: &Option<crate::value::template::Template>| {
            let mut text = String::new();
            let rendered = template.as_ref().map(|template| template.render(&ctx, &mut text)).transpose();
            rendered.map(|given| given.map(|()| text))
        };
        let key = render(&export.trace_key).map_err(|error| error.at("trace_key"))?;
        // A link that cannot be made is no reason to lose the record.
        let link = render(&export.link).unwrap_or_default();
        Ok(Some(Box::new(Trace { key: key.filter(|key| !key.is_empty()), link })))
    }

    /// Closes the batch under construction: a request to send, or nothing when there is none.
    fn close(&mut self, base: &Context<'_>, books: &mut Books<'r>) -> Fed {
        let Some(batcher) = self.batcher.as_mut().filter(|batcher| !batcher.is_empty()) else { return Fed::Progress };
        match batcher.take(base) {
            Ok(batch) if self.scope.dry_run => {
                let told = |road: Road<'_>| stage::unsent(self.scope, &road.lane.client, road.name(), &batch).is_err();
                let closed = self.import.is_some_and(told);
                for item in &batch.items {
                    books.resolve(item, Resolution::Delivered);
                }
                if closed { Fed::OutputClosed } else { Fed::Progress }
            }
            Ok(batch) => Fed::Batch(batch),
            Err((items, error)) => self.refuse_all(&items, &error, books),
        }
    }
}

/// What was intended for the records of a page, by position. On a page that was read again a record is known by its
/// content: one that changed was not the one that was sent.
pub(super) fn intents_of(page: &Page, all: &mut Vec<IntentRow>) -> HashMap<u32, IntentRow> {
    let (here, rest) = std::mem::take(all).into_iter().partition(|intent: &IntentRow| intent.page == page.number);
    *all = rest;
    let here: Vec<IntentRow> = here;
    here.into_iter()
        .filter(|intent| {
            let record = page.records.get(intent.record as usize);
            record.is_some_and(|record| record_hash(record) == intent.hash)
        })
        .map(|intent| (intent.record, intent))
        .collect()
}

/// What tells an exported record from another one at its place.
pub(super) fn record_hash(record: &Record) -> u64 {
    lasting_hash(record.json().text().as_bytes())
}
