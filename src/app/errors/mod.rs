//! What people do with error records: look, settle, let go, edit, try again. The same whether a running `serve` owns
//! the state or the command itself does.

pub mod amend;
mod masks;
mod retry;

pub use masks::Masks;
pub use retry::{Retried, retry, told};

use crate::store::socket::{ErrorAsk, MOST_RECORD};
use crate::store::{ErrorFilter, ErrorRow, ErrorState, Store, StoreError, Write};
use crate::value::id::FlowId;
use crate::value::json::Json;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Rows looked at in one step.
const STEP: u32 = 200;
/// Rows on one page of a list.
const PAGE: usize = 500;
/// Bytes of records on one page; one record is always allowed.
const PAGE_BYTES: usize = 16 << 20;
/// Most groups told; more are only counted.
const MOST_GROUPS: usize = 10_000;
/// Who settled what a person settled.
const BY_HAND: &str = "resolved by hand";

/// A page of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Page {
    /// The newest first. Without request, response and record unless they were asked for.
    pub errors: Vec<ErrorRow>,
    /// The lowest id, when more may follow.
    pub next: Option<u64>,
}

/// Error records that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Their fingerprint.
    pub fingerprint: String,
    /// Of which flow.
    pub flow: FlowId,
    /// Where.
    pub step: String,
    /// Which class.
    pub class: String,
    /// Status of the answer.
    pub status: Option<u16>,
    /// What the newest one says.
    pub message: String,
    /// The newest one.
    pub newest_id: u64,
    /// How many.
    pub count: u64,
    /// Of these: open.
    pub open: u64,
    /// When the newest was opened.
    pub newest: DateTime<Utc>,
    /// When the oldest was opened.
    pub oldest: DateTime<Utc>,
}

/// All groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// The one with the newest record first.
    pub groups: Vec<Group>,
    /// Records of further groups.
    pub more: u64,
}

/// What purging let go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// Error records let go.
    pub purged: u64,
    /// Of these: open before, counted as dismissed now.
    pub dismissed: u64,
    /// Open ones that stay.
    pub open: u64,
}

/// What resolving settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Error records that were open.
    pub resolved: u64,
}

/// Answers a question about error records. Writes are durable when it returns.
pub async fn answer(store: &dyn Store, ask: ErrorAsk, now: DateTime<Utc>) -> Result<Value, String> {
    let value = match ask {
        ErrorAsk::List { filter, whole } => serde_json::to_value(list(store, filter, whole).await.map_err(text)?),
        ErrorAsk::Groups { filter } => serde_json::to_value(groups(store, filter).await.map_err(text)?),
        ErrorAsk::Resolve { filter } => serde_json::to_value(resolve(store, filter, now).await.map_err(text)?),
        ErrorAsk::Purge { filter, open } => serde_json::to_value(purge(store, filter, open, now).await.map_err(text)?),
        ErrorAsk::Edit { id, seen, payload } => serde_json::to_value(edit(store, id, seen, payload, now).await?),
    };
    value.map_err(|error| error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn text(error: StoreError) -> String {
    error.to_string()
}

/// What matches, the newest first, step by step.
struct Walk<'s> {
    store: &'s dyn Store,
    filter: ErrorFilter,
    left: u32,
}

impl<'s> Walk<'s> {
    fn new(store: &'s dyn Store, filter: ErrorFilter) -> Self {
        let left = filter.limit.unwrap_or(u32::MAX);
        Self { store, filter, left }
    }

    /// The next ones; none when all were given.
    async fn next(&mut self) -> Result<Option<Vec<ErrorRow>>, StoreError> {
        let step = self.left.min(STEP);
        if step == 0 {
            return Ok(None);
        }
        self.filter.limit = Some(step);
        let rows = self.store.errors(self.filter.clone()).await?;
        self.left -= step;
        self.filter.below = rows.last().map(|row| row.id).or(self.filter.below);
        if (rows.len() as u64) < u64::from(step) {
            self.left = 0;
        }
        Ok(Some(rows).filter(|rows| !rows.is_empty()))
    }
}

async fn list(store: &dyn Store, filter: ErrorFilter, whole: bool) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let (mut walk, mut bytes) = (Walk::new(store, filter), 0);
    while let Some(rows) = walk.next().await? {
        for mut row in rows {
            if !whole {
                (row.payload, row.request, row.response, row.exported) = (String::new(), None, None, None);
            }
            if page.errors.len() >= PAGE || (bytes > 0 && bytes + row.bytes() > PAGE_BYTES) {
                page.next = page.errors.last().map(|row| row.id);
                return Ok(page);
            }
            bytes += row.bytes();
            page.errors.push(row);
        }
    }
    Ok(page)
}

async fn groups(store: &dyn Store, filter: ErrorFilter) -> Result<Groups, StoreError> {
    let mut found: BTreeMap<(FlowId, String), Group> = BTreeMap::new();
    let (mut walk, mut more) = (Walk::new(store, filter), 0);
    while let Some(rows) = walk.next().await? {
        for row in rows {
            let key = (row.flow.clone(), row.fingerprint.clone());
            let open = u64::from(row.state == ErrorState::Open);
            if let Some(group) = found.get_mut(&key) {
                group.count += 1;
                group.open += open;
                group.newest = group.newest.max(row.opened);
                group.oldest = group.oldest.min(row.opened);
            } else if found.len() < MOST_GROUPS {
                found.insert(key, group_of(row, open));
            } else {
                more += 1;
            }
        }
    }
    let mut groups: Vec<Group> = found.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.newest_id));
    Ok(Groups { groups, more })
}

fn group_of(row: ErrorRow, open: u64) -> Group {
    Group {
        fingerprint: row.fingerprint,
        flow: row.flow,
        step: row.step,
        class: row.class,
        status: row.status,
        message: row.message,
        newest_id: row.id,
        count: 1,
        open,
        newest: row.opened,
        oldest: row.opened,
    }
}

async fn resolve(store: &dyn Store, filter: ErrorFilter, now: DateTime<Utc>) -> Result<Resolved, StoreError> {
    let mut resolved = 0;
    let mut walk = Walk::new(store, ErrorFilter { open_only: true, ..filter });
    while let Some(rows) = walk.next().await? {
        let writes = rows.iter().map(|row| dismissal(row.id, now)).collect();
        resolved += store.commit(writes).await?.changed;
    }
    Ok(Resolved { resolved })
}

fn dismissal(id: u64, at: DateTime<Utc>) -> Write {
    Write::ErrorState { id, state: ErrorState::Dismissed, by: BY_HAND.to_owned(), at }
}

async fn purge(store: &dyn Store, filter: ErrorFilter, open: bool, now: DateTime<Utc>) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    let mut walk = Walk::new(store, filter);
    while let Some(rows) = walk.next().await? {
        let mut writes = Vec::new();
        for row in &rows {
            let is_open = row.state == ErrorState::Open;
            if is_open && !open {
                purged.open += 1;
                continue;
            }
            if is_open {
                writes.push(dismissal(row.id, now));
            }
            writes.push(Write::DropError { id: row.id });
        }
        let receipt = store.commit(writes).await?;
        purged.purged += receipt.pruned.errors;
        purged.dismissed += receipt.changed;
    }
    Ok(purged)
}

/// Puts another record in the place of the one stored. What it was refused for belongs to the old one: a key that went
/// with that is rendered anew. Where the old one may have arrived the key stays, so that the receiver can tell.
async fn edit(
    store: &dyn Store,
    id: u64,
    seen: DateTime<Utc>,
    payload: String,
    now: DateTime<Utc>,
) -> Result<ErrorRow, String> {
    if payload.len() > MOST_RECORD {
        return Err(format!("the record has {} bytes; {MOST_RECORD} are allowed", payload.len()));
    }
    let payload = Json::parse(payload).map_err(|error| format!("the record is no JSON: {error}"))?;
    let filter = ErrorFilter { ids: vec![id], ..ErrorFilter::default() };
    let row =
        store.errors(filter).await.map_err(text)?.pop().ok_or_else(|| format!("there is no error record {id}"))?;
    if row.state != ErrorState::Open {
        return Err(format!("error record {id} is not open any more"));
    }
    if row.changed != seen {
        return Err(format!("error record {id} changed meanwhile: look at it again with `flowgate errors show {id}`"));
    }
    let key = if matches!(row.class.as_str(), "rejected" | "record") { None } else { row.key.clone() };
    let by = Some("edited by hand".to_owned());
    let row = ErrorRow { payload: payload.text().to_owned(), key, changed: now, by, ..row };
    store.commit(vec![Write::Error(Box::new(row.clone()))]).await.map_err(text)?;
    Ok(row)
}

#[cfg(test)]
mod tests;
