//! What a playground serves and how badly it behaves; the same keys in code and in `/reset?…`.

use base64::Engine as _;
use std::time::Duration;

/// The most records one playground holds: bounds the ledger's memory at about 25 MB per destination.
pub const MOST_RECORDS: u64 = 100_000_000;
/// The largest record the source writes.
pub const LARGEST_RECORD: usize = 1 << 20;

/// Everything that can be chosen about a playground. Start from `Settings::default()` or [`Settings::demo`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The loopback port; 0 takes a free one.
    pub port: u16,
    /// Orders the source holds, ids from 1.
    pub records: u64,
    /// Bytes of one order, reached by a longer note; 0 writes the shortest.
    pub record_size: usize,
    /// Customers the shop holds, ids from 1.
    pub customers: u64,
    /// New orders and customers that appear in `/shop/…` once all earlier ones are delivered.
    pub fresh: u64,
    /// How the source answers.
    pub source: Faults,
    /// How the destinations answer.
    pub sink: Faults,
    /// The credential every request of source and destination must carry.
    pub auth: Option<Auth>,
    /// How much of each delivered record is compared.
    pub verify: Verify,
    /// Every k-th id is refused with 422; 0 refuses none.
    pub reject_every: u64,
    /// A batch with a refused record is refused whole; otherwise each record has its own result.
    pub reject_whole_batch: bool,
    /// The most requests the destinations, all together, are said to bear at once.
    pub limit: Option<u64>,
    /// Answer 429 above `limit` instead of only noting it.
    pub refuse_over_limit: bool,
    /// Keep an account of each request, and recognise idempotency keys: a repeated one has no effect.
    pub watch: bool,
}

/// How one side misbehaves. Requests are counted from 1; a refused one counts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Time from a request's arrival to its answer, at least; 401 and 429 come at once.
    pub latency: Duration,
    /// Every k-th request is answered 429; 0 never.
    pub limit_every: u64,
    /// This one request is answered 429; 0 none.
    pub limit_at: u64,
    /// The seconds of the `Retry-After` a 429 carries; 0 sends none.
    pub retry_after: u64,
    /// Every k-th request is answered 500 and not recorded; 0 never.
    pub fail_every: u64,
}

/// A credential to demand.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    header: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(***)")
    }
}

impl Auth {
    /// `Authorization: Bearer <token>`
    pub fn bearer(token: &str) -> Self {
        Self { header: format!("Bearer {token}") }
    }
    /// `Authorization: Basic …`
    pub fn basic(username: &str, password: &str) -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        Self { header: format!("Basic {pair}") }
    }
    /// As the header that carries it.
    pub(super) fn header(&self) -> &str {
        &self.header
    }
    /// Whether a request's `Authorization` value is the demanded one.
    pub(super) fn admits(&self, given: Option<&[u8]>) -> bool {
        given == Some(self.header.as_bytes())
    }
}

/// How much of each delivered record is compared with what the mapping should have given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Every field of every record.
    #[default]
    All,
    /// Every field of one record in 64, the ids of all.
    Some,
    /// Ids only, taken from `ext_id` or `id`; other fields may be anything.
    Ids,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            records: 1_000,
            record_size: 0,
            customers: 300,
            fresh: 0,
            source: Faults::default(),
            sink: Faults::default(),
            auth: None,
            verify: Verify::All,
            reject_every: 0,
            reject_whole_batch: false,
            limit: None,
            refuse_over_limit: false,
            watch: false,
        }
    }
}

impl Settings {
    /// What `flowgate demo` shows: a shop with orders, an ERP that bears four requests at once.
    pub fn demo() -> Self {
        let quick = |millis| Faults { latency: Duration::from_millis(millis), ..Faults::default() };
        Self { records: 1_200, fresh: 40, source: quick(20), sink: quick(5), limit: Some(4), ..Self::default() }
    }

    /// Changes what a query string such as `n=500&limit=4&sink_latency_ms=5` names; all or nothing.
    pub fn apply(&mut self, query: &str) -> Result<(), String> {
        let mut next = self.clone();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            next.set(&key, &value)?;
        }
        *self = next;
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "n" => self.records = number(key, value)?.min(MOST_RECORDS),
            "size" => self.record_size = small(key, value)?.min(LARGEST_RECORD),
            "customers" => self.customers = number(key, value)?.min(MOST_RECORDS),
            "fresh" => self.fresh = number(key, value)?.min(MOST_RECORDS),
            "verify" => self.verify = verify(value)?,
            "reject_every" => self.reject_every = number(key, value)?,
            "reject_whole_batch" => self.reject_whole_batch = value == "1",
            "limit" => self.limit = Some(number(key, value)?).filter(|l| *l > 0),
            "refuse_over_limit" => self.refuse_over_limit = value == "1",
            "bearer" => self.auth = Some(Auth::bearer(value)),
            "basic" => {
                let (user, password) = value.split_once(':').ok_or("basic: write user:password")?;
                self.auth = Some(Auth::basic(user, password));
            }
            _ => match key.split_once('_') {
                Some(("source", rest)) => self.source.set(rest, value)?,
                Some(("sink", rest)) => self.sink.set(rest, value)?,
                _ => return Err(format!("{key}: no such setting; `GET /` lists them")),
            },
        }
        Ok(())
    }
}

impl Faults {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "latency_ms" => self.latency = Duration::from_millis(number(key, value)?.min(600_000)),
            "limit_every" => self.limit_every = number(key, value)?,
            "limit_at" => self.limit_at = number(key, value)?,
            "retry_after" => self.retry_after = number(key, value)?,
            "fail_every" => self.fail_every = number(key, value)?,
            _ => return Err(format!("{key}: no such fault; `GET /` lists them")),
        }
        Ok(())
    }
}

fn number(key: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{key}: {value:?} is not a whole number"))
}

fn small(key: &str, value: &str) -> Result<usize, String> {
    value.parse().map_err(|_| format!("{key}: {value:?} is not a whole number"))
}

fn verify(value: &str) -> Result<Verify, String> {
    match value {
        "all" => Ok(Verify::All),
        "some" => Ok(Verify::Some),
        "ids" => Ok(Verify::Ids),
        other => Err(format!("verify: {other:?} is none of all, some, ids")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_changes_only_what_it_names() {
        let mut settings = Settings::default();
        settings.apply("n=7&sink_latency_ms=5&source_limit_every=3&limit=4&verify=ids").unwrap();
        assert_eq!((settings.records, settings.customers), (7, 300));
        assert_eq!(settings.sink.latency, Duration::from_millis(5));
        assert_eq!((settings.source.limit_every, settings.limit, settings.verify), (3, Some(4), Verify::Ids));
    }

    #[test]
    fn a_wrong_query_changes_nothing_and_names_the_key() {
        let mut settings = Settings::default();
        assert!(settings.apply("n=7&colour=red").unwrap_err().contains("colour"));
        assert!(settings.apply("n=many").unwrap_err().contains("n:"));
        assert!(settings.apply("sink_colour=1").is_err());
        assert!(settings.apply("verify=most").is_err());
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn absurd_sizes_are_capped() {
        let mut settings = Settings::default();
        settings.apply("n=999999999999&size=999999999").unwrap();
        assert_eq!((settings.records, settings.record_size), (MOST_RECORDS, LARGEST_RECORD));
    }

    #[test]
    fn a_credential_does_not_show_itself() {
        assert_eq!(format!("{:?}", Auth::bearer("s3cret")), "Auth(***)");
    }
}
