//! The judge's book: one account of traffic for sources, destinations and both, one tally for each
//! destination. Only requests change it.

use super::record::Kind;
use super::report::{Destination, Report};
use super::settings::Settings;
use super::tally::Tally;
use super::traffic::{Answered, Traffic, TrafficReport};
use super::watch::{self, Carried, Watch, Watched};
use crate::value::time::Mono;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most destinations one playground has; further names are refused.
const MOST_DESTINATIONS: usize = 64;

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    /// The destination's place in the book.
    Sink(usize),
}

impl Side {
    fn destination(self) -> Option<usize> {
        match self {
            Self::Source => None,
            Self::Sink(at) => Some(at),
        }
    }
}

/// A request that has arrived, to be ended with the same ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived {
    pub(super) side: Side,
    /// Its number on its side, from 1.
    pub(super) number: u64,
    /// Whether it found the destinations above their limit.
    pub(super) over_limit: bool,
    /// Requests in flight on its side, itself included.
    pub(super) in_flight: u64,
    epoch: u64,
}

/// The account of one destination.
struct Account {
    name: String,
    kind: Kind,
    tally: Tally,
    traffic: Traffic,
}

/// What changes with every request.
struct Book {
    epoch: u64,
    settings: Settings,
    sources: Traffic,
    sinks: Traffic,
    all: Traffic,
    over_limit: u64,
    accounts: Vec<Account>,
    watch: Option<Watch>,
    orders: Feed,
    customers: Feed,
}

/// The records `/shop/…` shows: those not delivered yet, fixed when a first page is asked for.
#[derive(Default)]
struct Feed {
    known: u64,
    open: Vec<u64>,
}

/// The book behind its lock; readers may wait for what they look for.
pub(super) struct Ledger {
    book: Mutex<Book>,
    changed: Condvar,
}

impl Ledger {
    pub(super) fn new(settings: Settings) -> Self {
        Self { book: Mutex::new(Book::new(settings, 0)), changed: Condvar::new() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything and goes on with these settings; requests still in flight are not counted.
    pub(super) fn reset(&self, settings: Settings) {
        let mut book = self.book();
        *book = Book::new(settings, book.epoch + 1);
    }

    /// The place of a destination, opened on its first request; none when there are too many.
    pub(super) fn destination(&self, name: &str, kind: Kind) -> Option<Side> {
        let mut book = self.book();
        if let Some(at) = book.accounts.iter().position(|a| a.name == name) {
            return Some(Side::Sink(at));
        }
        if book.accounts.len() >= MOST_DESTINATIONS {
            return None;
        }
        let account = Account { name: name.to_owned(), kind, tally: Tally::new(), traffic: Traffic::default() };
        book.accounts.push(account);
        Some(Side::Sink(book.accounts.len() - 1))
    }

    /// Notes an arrival.
    pub(super) fn arrive(&self, side: Side, now: Mono) -> Arrived {
        let mut book = self.book();
        let epoch = book.epoch;
        book.all.arrive(now);
        let (number, in_flight, over_limit) = match side {
            Side::Source => {
                let (number, in_flight) = book.sources.arrive(now);
                (number, in_flight, false)
            }
            Side::Sink(at) => {
                let (number, in_flight) = book.sinks.arrive(now);
                if let Some(account) = book.accounts.get_mut(at) {
                    account.traffic.arrive(now);
                }
                (number, in_flight, book.settings.limit.is_some_and(|limit| in_flight > limit))
            }
        };
        book.over_limit += u64::from(over_limit);
        let arrived = Arrived { side, number, over_limit, in_flight, epoch };
        if let Some(watch) = &mut book.watch {
            watch.arrive(arrived, side.destination(), now);
        }
        drop(book);
        self.changed.notify_all();
        arrived
    }

    /// Notes that a request has been answered, or given up by its sender.
    pub(super) fn end(&self, arrived: Arrived, now: Mono, answered: Answered) {
        let mut book = self.book();
        if book.epoch != arrived.epoch {
            return;
        }
        book.all.end(now, answered);
        if let Some(watch) = &mut book.watch {
            watch.end(arrived.number, arrived.side != Side::Source, now);
        }
        match arrived.side {
            Side::Source => book.sources.end(now, answered),
            Side::Sink(at) => {
                book.sinks.end(now, answered);
                if let Some(account) = book.accounts.get_mut(at) {
                    account.traffic.end(now, answered);
                }
            }
        }
        drop(book);
        self.changed.notify_all();
    }

    /// Enters what a write carried: `take` is given the tally it belongs to and the highest id the source has shown,
    /// unless the write is recognised by its key. None when the ledger was reset under the request.
    pub(super) fn take(
        &self,
        arrived: Arrived,
        carried: Carried<'_>,
        take: impl FnOnce(&mut Tally, u64) -> watch::Answered,
    ) -> Option<watch::Answered> {
        let mut book = self.book();
        let at = arrived.side.destination()?;
        if book.epoch != arrived.epoch {
            return None;
        }
        let known = book.accounts.get(at).map(|a| book.known(a))?;
        let Book { accounts, watch, .. } = &mut *book;
        let tally = &mut accounts.get_mut(at)?.tally;
        Some(match watch {
            Some(watch) => watch.take(arrived, carried, || take(tally, known)),
            None => take(tally, known),
        })
    }

    /// Notes what a page showed.
    pub(super) fn show(&self, arrived: Arrived, ids: &[u64]) {
        let mut book = self.book();
        if book.epoch == arrived.epoch
            && let Some(watch) = &mut book.watch
        {
            watch.show(arrived.number, ids);
        }
    }

    /// The account of each request, when it is kept.
    pub(super) fn watched(&self) -> Watched {
        self.book().watch.as_ref().map(Watch::seen).unwrap_or_default()
    }

    /// The open records of the shop from `from` on, at most `most`; a first page looks anew, and when all
    /// is delivered brings fresh ones. Also the number of open records.
    pub(super) fn open_records(&self, kind: Kind, from: u64, most: u64) -> (Vec<u64>, u64) {
        let mut book = self.book();
        if from == 0 {
            book.look_anew(kind);
        }
        let open = &book.feed(kind).open;
        let begin = usize::try_from(from).unwrap_or(usize::MAX).min(open.len());
        let end = begin.saturating_add(usize::try_from(most).unwrap_or(usize::MAX)).min(open.len());
        (open[begin..end].to_vec(), open.len() as u64)
    }

    /// A copy of the book.
    pub(super) fn report(&self) -> Report {
        self.book().report(Traffic::report)
    }

    /// Waits until `found` is true of the book, for at most `patience`; the last copy either way.
    /// The copies carry counts, not the lists of instants.
    pub(super) fn wait_until(
        &self,
        patience: Duration,
        found: impl Fn(&Report) -> bool,
    ) -> Result<Report, Box<Report>> {
        let guard = self.book();
        let waited = self.changed.wait_timeout_while(guard, patience, |book| !found(&book.report(Traffic::counts)));
        let (book, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let last = book.report(Traffic::counts);
        if found(&last) { Ok(last) } else { Err(Box::new(last)) }
    }
}

impl Book {
    fn new(settings: Settings, epoch: u64) -> Self {
        let orders = Feed { known: settings.records, open: Vec::new() };
        let customers = Feed { known: settings.customers, open: Vec::new() };
        let watch = settings.watch.then(Watch::default);
        Self {
            epoch,
            settings,
            watch,
            sources: Traffic::default(),
            sinks: Traffic::default(),
            all: Traffic::default(),
            over_limit: 0,
            accounts: Vec::new(),
            orders,
            customers,
        }
    }

    fn feed(&self, kind: Kind) -> &Feed {
        match kind {
            Kind::Order => &self.orders,
            Kind::Customer => &self.customers,
        }
    }

    /// The shop's own destinations grow with it; any other expects the records there were at the start.
    fn known(&self, account: &Account) -> u64 {
        match (account.name.as_str(), account.kind) {
            ("orders", kind @ Kind::Order) | (_, kind @ Kind::Customer) => self.feed(kind).known,
            (_, Kind::Order) => self.settings.records,
        }
    }

    fn look_anew(&mut self, kind: Kind) {
        let name = if kind == Kind::Order { "orders" } else { "customers" };
        let account = self.accounts.iter().find(|a| a.name == name);
        let known = self.feed(kind).known;
        let is_open = |id: &u64| account.is_none_or(|a| !a.tally.is_settled(*id));
        let mut open: Vec<u64> = (1..=known).filter(is_open).collect();
        let mut grown = known;
        if open.is_empty() {
            grown = known.saturating_add(self.settings.fresh).min(super::settings::MOST_RECORDS);
            open = (known + 1..=grown).collect();
        }
        let feed = if kind == Kind::Order { &mut self.orders } else { &mut self.customers };
        *feed = Feed { known: grown, open };
    }

    fn report(&self, read: impl Fn(&Traffic) -> TrafficReport) -> Report {
        let destination = |account: &Account| Destination {
            name: account.name.clone(),
            records: account.tally.report(self.known(account)),
            traffic: read(&account.traffic),
        };
        Report {
            version: 1,
            limit: self.settings.limit,
            over_limit: self.over_limit,
            sources: read(&self.sources),
            sinks: read(&self.sinks),
            all: read(&self.all),
            destinations: self.accounts.iter().map(destination).collect(),
        }
    }
}
