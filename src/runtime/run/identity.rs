//! What a run is called, and what templates see of it.

use crate::observe::meters::TriggerKind;
use crate::value::json::Json;
use chrono::{DateTime, Utc};

/// Sortable by time, unique over restarts: `20261123T220850Z-1-7f3a9c`.
pub(in crate::runtime) fn run_id(started: DateTime<Utc>, count: u64, chance: u64) -> String {
    format!("{}-{count}-{:06x}", started.format("%Y%m%dT%H%M%SZ"), chance & 0x00ff_ffff)
}

/// The `run` root: `{"id", "started_at", "trigger"}`.
pub(in crate::runtime) fn run_json(id: &str, started: DateTime<Utc>, trigger: TriggerKind) -> Json {
    let started = started.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    Json::from_value(&serde_json::json!({ "id": id, "started_at": started, "trigger": trigger.label() }))
}
