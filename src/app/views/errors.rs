//! Error records, masked: an API may have given back what it was asked with.

use super::{Views, unreadable};
use crate::app::errors::{Groups, Page, answer};
use crate::app::status;
use crate::store::ErrorFilter;
use crate::store::ErrorRow;
use crate::store::socket::{Denied, ErrorAsk, ErrorsAsk, MOST_NAMED};
use serde_json::{Value, json};

/// Records on one page, and the most there can be.
const PAGE: u32 = 100;
const MOST: u32 = 500;

impl Views {
    pub(super) async fn errors(&self, ask: ErrorsAsk) -> Result<Value, Denied> {
        let ErrorsAsk { mut filter, groups } = ask;
        if filter.ids.len() > MOST_NAMED {
            return Err(Denied::invalid(format!("at most {MOST_NAMED} error records can be named at once")));
        }
        let (store, now) = (&self.supervisor.services().store, self.now());
        let masks = self.masks();
        if groups {
            let found = answer(store.as_ref(), ErrorAsk::Groups { filter }, now).await?;
            let found: Groups = serde_json::from_value(found).map_err(|error| error.to_string())?;
            let groups: Vec<Value> = found
                .groups
                .iter()
                .map(|group| {
                    json!({
                        "fingerprint": group.fingerprint,
                        "flow": group.flow.as_str(),
                        "step": group.step,
                        "class": group.class,
                        "status": group.status,
                        "message": masks.text(&group.message),
                        "newest_id": group.newest_id,
                        "count": group.count,
                        "open": group.open,
                        "newest": status::time(group.newest),
                        "oldest": status::time(group.oldest),
                    })
                })
                .collect();
            return Ok(json!({ "groups": groups, "more": found.more }));
        }
        filter.limit = Some(filter.limit.unwrap_or(PAGE).clamp(1, MOST) + 1);
        let most = filter.limit.unwrap_or(MOST) as usize - 1;
        let page = answer(store.as_ref(), ErrorAsk::List { filter, whole: false }, now).await?;
        let Page { mut errors, .. } = serde_json::from_value(page).map_err(|error| error.to_string())?;
        let more = errors.len() > most;
        errors.truncate(most);
        let next = errors.last().filter(|_| more).map(|row| row.id);
        let rows: Vec<Value> = errors.into_iter().map(|row| head(&masks.mask(row))).collect();
        Ok(json!({ "errors": rows, "next": next }))
    }

    pub(super) async fn error(&self, id: u64) -> Result<Value, Denied> {
        let filter = ErrorFilter { ids: vec![id], ..ErrorFilter::default() };
        let rows = self.supervisor.services().store.errors(filter).await.map_err(unreadable)?;
        let row = rows.into_iter().next().ok_or_else(|| Denied::unknown(format!("there is no error record {id}")))?;
        let row = self.masks().mask(row);
        let mut document = head(&row);
        // The text as it is stored: numbers and order of a record are its own.
        document["payload"] = json!(row.payload);
        document["request"] = json!(row.request);
        document["response"] = json!(row.response);
        document["key"] = json!(row.key);
        Ok(document)
    }
}

fn head(row: &ErrorRow) -> Value {
    json!({
        "id": row.id,
        "flow": row.flow.as_str(),
        "run": row.run,
        "export": row.export,
        "step": row.step,
        "page": row.page,
        "record": row.record,
        "class": row.class,
        "message": row.message,
        "status": row.status,
        "attempts": row.attempts,
        "trace_key": row.trace_key,
        "link": row.link,
        "fingerprint": row.fingerprint,
        "state": row.state,
        "opened": status::time(row.opened),
        "changed": status::time(row.changed),
        "by": row.by,
        "retries": row.retries,
        "next_retry": row.next_retry.map(status::time),
    })
}
