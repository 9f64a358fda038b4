//! How fresh a flow's data is against its own schedule: when a success was due after the last one, and since when two were
//! missed. Worked out once a success, because a schedule takes its time.

use crate::app::status;
use crate::model::flow::Flow;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Flows kept; when there are more, all are worked out anew.
const MOST: usize = 20_000;

/// Shared by all views.
#[derive(Clone, Default)]
pub(in crate::app) struct Freshness(Arc<Mutex<HashMap<FlowId, Kept>>>);

struct Kept {
    /// Of the flow's text.
    hash: String,
    success: DateTime<Utc>,
    /// The two occurrences after it.
    due: Option<[DateTime<Utc>; 2]>,
}

impl Freshness {
    /// None where nothing is due: no schedule, no success yet, disabled.
    pub(super) fn of(&self, flow: &Flow, success: Option<DateTime<Utc>>) -> Option<Value> {
        let success = success.filter(|_| flow.enabled && flow.schedule.is_some())?;
        let [due, stale] = self.due(flow, success)?;
        Some(json!({
            "due": status::time(due),
            "stale_after": status::time(stale),
            "interval_seconds": (stale - due).num_milliseconds() / 1_000,
        }))
    }

    /// Whether two of its times have passed since its last success.
    pub(super) fn is_overdue(&self, flow: &Flow, success: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        let success = success.filter(|_| flow.enabled && flow.schedule.is_some());
        success.and_then(|success| self.due(flow, success)).is_some_and(|[_, stale]| stale < now)
    }

    fn due(&self, flow: &Flow, success: DateTime<Utc>) -> Option<[DateTime<Utc>; 2]> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&flow.id).filter(|known| known.success == success && known.hash == flow.hash) {
            return known.due;
        }
        if kept.len() >= MOST {
            kept.clear();
        }
        let schedule = flow.schedule.as_ref()?;
        let first = schedule.next_after(success);
        let due = first.and_then(|first| Some([first, schedule.next_after(first)?]));
        kept.insert(flow.id.clone(), Kept { hash: flow.hash.clone(), success, due });
        due
    }
}
