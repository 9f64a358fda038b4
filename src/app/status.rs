//! What `status` tells: one JSON document, the same over the socket and for `--json`.

use crate::http::client::OfflineView;
use crate::model::flow::Flow;
use crate::queue::PoolView;
use crate::runtime::supervisor::Supervisor;
use crate::runtime::view::FlowView;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Connections whose requests wait, by id.
type Offline = HashMap<String, OfflineView>;

/// Version of the document.
pub const FORMAT: u32 = 1;

/// The configuration as last looked at.
#[derive(Debug, Clone, Default)]
pub struct ConfigState {
    /// Revision of the snapshot in force.
    pub revision: String,
    /// When it came in force.
    pub since: Option<DateTime<Utc>>,
    /// When files were last rejected, and why; none while the files agree with the snapshot in force.
    pub rejected: Option<Rejected>,
    /// `flowgate.toml` changed in a way that needs a restart.
    pub restart_needed: bool,
}

/// A tree that was not applied.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// When.
    pub at: DateTime<Utc>,
    /// Number of errors.
    pub errors: usize,
    /// The first ones, as `file:line:column: text`.
    pub first: Vec<String>,
}

/// Shared between the reload loop, which writes it, and whoever shows it.
#[derive(Debug, Clone, Default)]
pub struct SharedConfigState {
    state: Arc<Mutex<ConfigState>>,
    judged: Arc<watch::Sender<u64>>,
}

impl SharedConfigState {
    /// As it is now.
    pub fn get(&self) -> ConfigState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it.
    pub fn update(&self, change: impl FnOnce(&mut ConfigState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A scan that was asked for was judged, whatever came of it.
    pub fn judged(&self) {
        self.judged.send_modify(|count| *count += 1);
    }

    /// Changes with every scan that was asked for, once it was judged. One that files set off may be older than the
    /// question.
    pub fn judgements(&self) -> watch::Receiver<u64> {
        self.judged.subscribe()
    }
}

/// Builds the document.
pub fn document(supervisor: &Supervisor, config: &ConfigState, started: DateTime<Utc>, draining: bool) -> Value {
    let flows: Vec<Value> = supervisor.view().iter().map(|view| flow(view, supervisor)).collect();
    let offline = supervisor.offline();
    let pools: Vec<Value> = supervisor.services().queue.view().iter().map(|view| pool(view, &offline)).collect();
    json!({
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started": time(started),
        "draining": draining,
        "config": self::config(config),
        "flows": flows,
        "pools": pools,
    })
}

/// The part about files and snapshot; also the answer to `reload`.
pub fn config(config: &ConfigState) -> Value {
    json!({
        "revision": config.revision,
        "since": config.since.map(time),
        "restart_needed": config.restart_needed,
        "rejected": config.rejected.as_ref().map(|rejected| json!({
            "at": time(rejected.at), "errors": rejected.errors, "first": rejected.first,
        })),
    })
}

fn flow(view: &FlowView, supervisor: &Supervisor) -> Value {
    let snapshot = supervisor.snapshot();
    let flow = snapshot.as_ref().and_then(|snapshot| snapshot.flows.get(&view.id));
    let next = flow
        .filter(|flow| flow.enabled)
        .and_then(|flow| flow.schedule.as_ref())
        .and_then(|schedule| schedule.next_after(supervisor.services().clock.utc()));
    json!({
        "id": view.id.as_str(),
        "title": flow.and_then(|flow| flow.title.clone()),
        "state": match flow { None => "removed", Some(flow) if !flow.enabled => "disabled", Some(_) => "enabled" },
        "next_run": next.map(time),
        "queued": view.queued,
        "waits": view.running.as_ref().and(flow).and_then(|flow| waits(flow, &supervisor.offline())),
        "last_success": view.last_success.map(time),
        "running": view.running.as_ref().map(|run| json!({
            "run": run.run, "started": time(run.started), "pages": run.pages, "records": counts(&run.counts),
        })),
        "last": view.last.as_ref().map(|last| json!({
            "run": last.run,
            "ended": time(last.ended),
            "outcome": last.ending.outcome().label(),
            "error": last.ending.error().map(ToString::to_string),
            "records": counts(&last.counts),
        })),
    })
}

/// Why a run of this flow does not go on, if a connection it uses is offline.
fn waits(flow: &Flow, offline: &Offline) -> Option<String> {
    let import = flow.import.as_ref().map(|import| &import.connection);
    let mut used = std::iter::once(&flow.export.connection).chain(import);
    used.find_map(|id| Some(format!("connection `{id}` is offline: {}", offline.get(id.as_str())?.reason)))
}

fn counts(counts: &crate::runtime::run::state::Counts) -> Value {
    json!({
        "exported": counts.exported,
        "delivered": counts.delivered,
        "filtered": counts.filtered,
        "failed": counts.failed,
        "in_flight": counts.in_flight,
    })
}

fn pool(view: &PoolView, offline: &Offline) -> Value {
    let lines: Vec<Value> = view
        .lines
        .iter()
        .map(|line| {
            json!({
                "connection": line.id.to_string(),
                "queued": line.depth,
                "oldest_seconds": line.oldest.map(|age| age.as_secs_f64()),
                "in_flight": line.in_flight,
                "paused_seconds": line.paused_for.map(|pause| pause.as_secs_f64()),
                "closing": line.closing,
                "offline": offline.get(line.id.to_string().as_str()).map(|offline| json!({
                    "reason": offline.reason,
                    "since": time(offline.since),
                    "login": offline.login,
                    "next_try_seconds": offline.next_try.as_secs_f64(),
                })),
                "rate_limit": line.allowance.map(|told| json!({
                    "limit": told.limit,
                    "remaining": told.remaining,
                    "resets_in_seconds": told.resets_in.map(|left| left.as_secs_f64()),
                })),
            })
        })
        .collect();
    json!({
        "pool": view.id.to_string(),
        "level": view.level,
        "max_level": view.most,
        "in_flight": view.in_flight,
        "paused_seconds": view.paused_for.map(|pause| pause.as_secs_f64()),
        "lines": lines,
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
