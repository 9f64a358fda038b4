//! Where an export is, as it is stored with every page: enough to ask for the next one after a restart, or for this
//! one again.

use super::origin::{Kin, Origin};
use super::page::Page;
use super::paging::Place;
use super::{delta, job};
use crate::runtime::run::state::Counts;
use crate::store::PageRow;
use crate::value::document::{Document, Kind};
use crate::value::record::Record;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// Version of the stored form.
const FORMAT: u32 = 1;
/// Largest body kept with a cursor whose next request reads `previous`.
pub const MOST_KEPT: usize = 256 << 10;

/// The place before a page is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    format: u32,
    /// Where the next page is; none when the export is over.
    pub next: Option<Place>,
    /// Why no page can follow, when that is no proper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<String>,
    /// Records taken so far.
    pub taken: u64,
    /// Records that may still be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// The page before, when the next request reads it and it is stored nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<Kept>>,
    /// Of a delta export: the time it covers, and what it has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Box<delta::Place>>,
    /// Of a report: how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<job::Place>>,
    /// Of an export with `group_by`: the key of the last record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A page kept with a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    number: u64,
    head: Head,
    body: Option<String>,
}

/// Names and values.
pub type Headers = Vec<(String, String)>;

/// What is stored of an answer beside its body.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    /// Status.
    pub status: u16,
    /// Response headers that the next request may read, names in lower case, secrets masked.
    pub headers: Vec<(String, String)>,
    /// Where it came from.
    pub url: String,
    /// The place before it: to ask for it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Cursor>,
    /// Its export, where the flow has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// For which of the `each` it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kin: Option<Kin>,
    /// Its number in what it was read by, where that is not its number in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// Its first group goes on with the last one of the page before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joins: bool,
    /// What its body is stored as.
    #[serde(default, skip_serializing_if = "Kind::is_json")]
    pub kind: Kind,
    /// Hash of the body, when that is not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<u64>,
}

impl Cursor {
    /// A place.
    pub fn at(next: Option<Place>, taken: u64, left: Option<u64>) -> Self {
        Self { format: FORMAT, next, stuck: None, taken, left, previous: None, delta: None, job: None, group: None }
    }

    /// Whether nothing follows.
    pub fn is_over(&self) -> bool {
        self.next.is_none() && self.stuck.is_none()
    }

    /// Reads what was stored.
    pub fn read(text: &str) -> Result<Self, String> {
        let cursor: Self = serde_json::from_str(text).map_err(|error| format!("the stored cursor: {error}"))?;
        if cursor.format == FORMAT {
            Ok(cursor)
        } else {
            Err(format!("the stored cursor has format {}, this version knows {FORMAT}", cursor.format))
        }
    }

    /// What is stored.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes a page along for the next request. One that is too large is left out: the request then misses it and
    /// says so.
    pub fn carry(&mut self, page: &Page, headers: Headers) {
        if page.bytes <= MOST_KEPT {
            self.previous = Some(Box::new(Kept::of(page, headers)));
        }
    }
}

impl Kept {
    /// Of a page.
    pub fn of(page: &Page, headers: Headers) -> Self {
        let body = page.body.as_ref().map(|body| body.text().to_owned());
        Self { number: page.place, head: Head::of(page, headers), body }
    }

    /// The page, as `reopen` reads it.
    pub fn page(self, origin: Arc<Origin>, reopen: &Reopen<'_>) -> Result<Page, String> {
        restore((self.number, self.number), origin, None, self.head, self.body.map(String::into_bytes), reopen)
    }
}

impl Head {
    fn of(page: &Page, headers: Headers) -> Self {
        let kind = page.body.as_ref().map(Document::kind).unwrap_or_default();
        let joins = page.joins;
        Self { status: page.status, headers, url: page.url.to_string(), kind, joins, ..Self::default() }
    }

    /// Of a page that was just read.
    pub fn with(page: &Page, headers: Headers, before: Cursor, hash: Option<u64>) -> Self {
        Self { before: Some(before), hash, ..Self::of(page, headers) }
    }

    /// Of a body that nobody asked for.
    pub fn of_payload(body: &Document, url: &Url) -> Self {
        Self { status: 200, headers: Vec::new(), url: url.to_string(), kind: body.kind(), ..Self::default() }
    }

    /// What is stored.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what was stored.
    pub fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("the stored page: {error}"))
    }
}

/// How a stored body is read and cut into records.
pub type Reopen<'a> = dyn Fn(u64, Kind, Option<Vec<u8>>) -> Result<(Option<Document>, Vec<Record>), String> + 'a;

/// A page as it was read before a restart.
pub fn stored(row: &PageRow, origin: Arc<Origin>, body: Option<Vec<u8>>, reopen: &Reopen<'_>) -> Result<Page, String> {
    let head = Head::read(&row.head)?;
    restore((row.number, head.page.unwrap_or(row.number)), origin, Some(row.marks.len()), head, body, reopen)
}

fn restore(
    (number, place): (u64, u64),
    origin: Arc<Origin>,
    records: Option<u32>,
    head: Head,
    body: Option<Vec<u8>>,
    reopen: &Reopen<'_>,
) -> Result<Page, String> {
    let bytes = body.as_ref().map_or(0, Vec::len);
    let (body, mut found) =
        reopen(place, head.kind, body).map_err(|error| format!("the stored page {number}: {error}"))?;
    if let Some(records) = records {
        let expected = records as usize;
        if found.len() < expected {
            return Err(format!("the stored page {number} has {} records where {expected} were counted", found.len()));
        }
        found.truncate(expected);
    }
    let joins = head.joins;
    let url = head.url.parse().map_err(|error| format!("the stored page {number}: its URL: {error}"))?;
    Ok(Page {
        number,
        place,
        origin,
        body,
        records: found.into(),
        status: head.status,
        headers: head.headers,
        url,
        bytes,
        joins,
    })
}

/// A hash that means the same in every version and on every machine (XXH3, 64 bits).
pub fn lasting_hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// The counts of a run without the pages that are read again.
#[must_use]
pub fn without(mut counts: Counts, page: &PageRow) -> Counts {
    let in_flight = u64::from(page.marks.in_flight());
    counts.exported = counts.exported.saturating_sub(in_flight);
    counts.in_flight = counts.in_flight.saturating_sub(in_flight);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written_and_a_newer_one_is_refused() {
        let cursor = Cursor { stuck: Some("in a circle".to_owned()), ..Cursor::at(None, 7, Some(3)) };
        assert_eq!(Cursor::read(&cursor.text()), Ok(cursor.clone()));
        let newer = Cursor { format: 2, ..cursor };
        assert!(Cursor::read(&newer.text()).unwrap_err().contains("format 2"));
        assert!(Cursor::read("{").is_err());
    }

    #[test]
    fn the_lasting_hash_is_the_published_one() {
        // Vectors of the FNV authors' page.
        assert_eq!(lasting_hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(lasting_hash(b"a"), 0xe6c6_32b6_1e96_4e1f);
        assert_eq!(lasting_hash(b"abc"), 0x78af_5f94_892f_3950);
    }
}
