//! The log lines of a run: those stored with it, or kept of it so far, between its beginning and its end as its row has them.

use super::runs::{Shelf, live};
use super::{short, unreadable};
use crate::app::status::time;
use crate::observe::logs::kept;
use crate::store::socket::Denied;
use crate::store::{Phase, RunRow, Space};
use serde_json::{Map, Value, json};

impl Shelf<'_> {
    pub(super) async fn log(&self, id: &str) -> Result<Value, Denied> {
        let row = self.store.run(id).await.map_err(unreadable)?;
        let under_way = live(&self.active, id);
        let flow = match (&row, under_way) {
            (Some(row), _) => row.flow.to_string(),
            (None, Some((flow, _))) => flow.id.to_string(),
            (None, None) => return Err(Denied::unknown(format!("there is no run `{}`", short(id)))),
        };
        let now = under_way.and_then(|_| kept::text(id));
        let text = match now {
            Some(text) => Some(text),
            None => self.store.value(Space::Log, id).await.map_err(unreadable)?,
        };
        let mut lines: Vec<Value> = row.iter().map(begun).collect();
        let between: Vec<Value> = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        lines.extend(between.into_iter().map(|line| self.masked(line)));
        if under_way.is_none() {
            lines.extend(row.as_ref().and_then(ended).map(|line| self.masked(line)));
        }
        Ok(json!({ "run": id, "flow": flow, "under_way": under_way.is_some(), "lines": lines }))
    }

    /// Events tell no secrets; should one do so by a text of an API, it is not shown again.
    fn masked(&self, line: Value) -> Value {
        let Value::Object(fields) = line else { return line };
        let mask = |value: Value| match value {
            Value::String(text) => Value::String(self.masks.text(&text)),
            other => other,
        };
        Value::Object(fields.into_iter().map(|(name, value)| (name, mask(value))).collect::<Map<_, _>>())
    }
}

fn begun(row: &RunRow) -> Value {
    json!({ "time": time(row.started), "level": "info", "message": "run started", "trigger": row.trigger })
}

/// None while it is held: that is a line of its own.
fn ended(row: &RunRow) -> Option<Value> {
    let at = row.ended.filter(|_| matches!(row.phase, Phase::Ended | Phase::Dismissed))?;
    let outcome = row.outcome.as_deref().unwrap_or("ended");
    let level = match outcome {
        "succeeded" => "info",
        "failed" => "error",
        _ => "warn",
    };
    let mut line = json!({
        "time": time(at),
        "level": level,
        "message": if row.phase == Phase::Dismissed { "run given up" } else { "run finished" },
        "outcome": outcome,
        "exported": row.tally.exported,
        "delivered": row.tally.delivered,
        "filtered": row.tally.filtered,
        "failed": row.tally.failed,
        "pages": row.tally.pages,
        "requests": row.tally.requests,
    });
    if let Some(cause) = &row.cause {
        line["cause"] = json!(cause);
    }
    Some(line)
}
