//! Built-in APIs for `demo`, docs, tests and benchmarks: a paged source, and strict destinations that keep a
//! ledger of what they were given and when. It judges by that ledger alone and knows nothing of the runner.
//!
//! It runs on a thread of its own, so it can be started from anywhere and never waits for the judged.

mod desk;
mod graph;
mod ledger;
mod media;
mod record;
mod report;
mod serve;
mod settings;
mod sink;
mod soap;
mod source;
mod tally;
mod traffic;
mod watch;

pub use record::{Customer, Kind, Order};
pub use report::{Delivered, Destination, Report, Verdict};
pub use settings::{Auth, Faults, LARGEST_RECORD, MOST_RECORDS, Settings, Verify};
pub use traffic::TrafficReport;
pub use watch::{Effect, MARK, MOST_WATCHED, Page, Watched, Write};

use crate::value::time::SystemClock;
use serve::Shared;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// What `GET /` answers.
const HELP: &str = "\
flowgate playground

source        GET /page?page=&per_page=       {data, page, pages, total}
              GET /offset?offset=&limit=      {data, offset, pages, total}
              GET /cursor?cursor=&limit=      {data, next_cursor, pages, total}
              GET /next?page=&per_page=       {data, next_url, pages, total}
              GET /link?page=&per_page=       a list, and a Link header
              POST /graphql                   orders(first, after) with Relay cursors
the shop      GET /shop/orders?page=&per_page=       orders not yet delivered
              GET /shop/customers?cursor=&limit=     customers not yet delivered
              GET /shop/customers/<id>/orders?page=&per_page=      the orders of one customer
              GET /shop/orders.csv?page=             all orders as a sheet, a hundred a page
              GET /shop/history?after=&until=&page=&per_page=      all orders by the time they were made
the ERP       GET /erp/customers?email=       the account of whoever ordered with this address
              GET /erp/orders?ext_id=         the order, when the ERP has it: every second one
a SOAP service POST /soap    ListCustomers (Page, Size) and PutCustomer (Customer) of urn:playground
media types   GET and POST /media/<type>?page=       csv form json multipart ndjson text xml; n pages, wanted back
                                                     byte for byte
destinations  POST /orders, /erp/orders, /erp/reports/customers, /sink/<name>; PUT /erp/orders/<id>
              one record, a list, or {\"<key>\": [...]}
the judge     GET /ledger      what was delivered, how many at once, and the gaps, as JSON
              GET /reset?...   forgets it all; settings hold until the next reset:
                n size customers fresh verify=all|some|ids limit refuse_over_limit=1
                reject_every reject_whole_batch=1 bearer=TOKEN basic=USER:PASSWORD
                {source,sink}_{latency_ms,limit_every,limit_at,retry_after,fail_every}
";

/// A running playground. Dropping it stops it.
pub struct Playground {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Playground {
    /// Listens on 127.0.0.1 and serves from a thread of its own; ready when this returns.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            ledger: ledger::Ledger::new(settings.clone()),
            settings: RwLock::new(Arc::new(settings.clone())),
            first: settings,
            clock: SystemClock::start(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let serving = serve::serve(listener, Arc::clone(&shared), stopped);
        let thread = std::thread::Builder::new().name("playground".into()).spawn(move || runtime.block_on(serving))?;
        Ok(Self { addr, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn base_uri(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> Report {
        self.shared.ledger.report()
    }

    /// Every request so far, when [`Settings::watch`] is on.
    pub fn watched(&self) -> Watched {
        self.shared.ledger.watched()
    }

    /// Time since its start, by the clock the accounts use.
    pub fn now(&self) -> Duration {
        self.shared.clock.mono().0
    }

    /// Blocks until `found` is true of the ledger; looks after each arrival and answer, for at most `patience`.
    /// The error is the ledger as it last stood. Neither copy carries the lists of instants.
    pub fn wait_until(&self, patience: Duration, found: impl Fn(&Report) -> bool) -> Result<Report, Box<Report>> {
        self.shared.ledger.wait_until(patience, found)
    }

    /// Forgets everything seen and goes on with these settings (the port stays).
    pub fn reset(&self, settings: Settings) {
        self.shared.reset(settings);
    }

    /// Behaves by these settings from now on and forgets nothing; the number of records stays as it was.
    pub fn behave(&self, settings: Settings) {
        self.shared.behave(settings);
    }

    /// Stops serving, cuts off what is in flight, and gives the final ledger.
    pub fn stop(mut self) -> Report {
        self.end();
        self.shared.ledger.report()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
