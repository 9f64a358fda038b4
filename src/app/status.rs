//! What `status` tells: one JSON document, the same over the socket and for `--json`.

use crate::agent::Presence;
use crate::http::client::OfflineView;
use crate::model::flow::Flow;
use crate::model::snapshot::Snapshot;
use crate::queue::{AllowanceView, LineView, PoolView};
use crate::runtime::run::state::Counts;
use crate::runtime::supervisor::Supervisor;
use crate::runtime::view::{FlowView, LastRun, RunView};
use crate::store::{Damage, FlowTally, Health, Phase, RunRow, StepTally, Store, StoreError, Usage};
use crate::value::id::FlowId;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

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

/// What the store says of itself and of every flow.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    health: Health,
    usage: Usage,
    damage: Vec<Damage>,
    tallies: HashMap<FlowId, FlowTally>,
    /// What could not be read.
    unreadable: Option<String>,
}

impl Stored {
    /// Asks the store.
    pub async fn read(store: &dyn Store) -> Self {
        let mut stored = Self { health: store.health().borrow().clone(), damage: store.damage(), ..Self::default() };
        let read = async {
            stored.usage = store.usage().await?;
            stored.tallies = store.tallies().await?.into_iter().map(|tally| (tally.flow.clone(), tally)).collect();
            Ok::<(), StoreError>(())
        };
        if let Err(error) = read.await {
            stored.unreadable = Some(error.to_string());
        }
        stored
    }

    pub(super) fn document(&self) -> Value {
        let (since, cause) = match &self.health {
            Health::Good => (None, None),
            Health::Failing { since, cause } => (Some(time(*since)), Some(cause)),
        };
        let damage = self.damage.iter().map(|found| json!({ "flow": found.flow, "text": found.text }));
        json!({
            "health": if cause.is_some() { "failing" } else { "good" },
            "since": since,
            "cause": cause,
            "database_bytes": self.usage.database,
            "pages_bytes": self.usage.pages,
            "damage": damage.collect::<Vec<_>>(),
            "unreadable": self.unreadable,
        })
    }
}

/// What every flow and connection is looked at with, read once.
pub(super) struct Sight {
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) now: DateTime<Utc>,
    pub(super) unfinished: HashMap<FlowId, RunRow>,
    /// Connections whose requests wait, by id.
    pub(super) offline: HashMap<String, OfflineView>,
    /// Connections with `tls.verify = false`.
    unverified: HashSet<String>,
}

impl Sight {
    pub(super) fn of(supervisor: &Supervisor) -> Self {
        let snapshot = supervisor.snapshot();
        let connections = snapshot.iter().flat_map(|snapshot| snapshot.connections.values());
        Self {
            unverified: connections.filter(|one| !one.http.tls.verify).map(|one| one.id.to_string()).collect(),
            offline: supervisor.offline(),
            unfinished: supervisor.all_unfinished(),
            now: supervisor.services().clock.utc(),
            snapshot,
        }
    }
}

/// Builds the document.
pub fn document(
    supervisor: &Supervisor,
    config: &ConfigState,
    stored: &Stored,
    started: DateTime<Utc>,
    draining: bool,
) -> Value {
    let mut views = supervisor.view();
    add_removed(&mut views, &stored.tallies);
    let sight = Sight::of(supervisor);
    let flows: Vec<Value> = views.iter().map(|view| flow(view, &sight, stored.tallies.get(&view.id))).collect();
    let pools = supervisor.services().queue.view();
    let pools: Vec<Value> = pools.iter().map(|view| pool(view, &sight)).collect();
    json!({
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started": time(started),
        "draining": draining,
        "config": self::config(config),
        "store": stored.document(),
        "flows": flows,
        "pools": pools,
        "agents": agents(supervisor),
    })
}

/// A removed flow is shown as long as something of it is open.
pub(super) fn add_removed(views: &mut Vec<FlowView>, tallies: &HashMap<FlowId, FlowTally>) {
    let known: HashSet<&FlowId> = views.iter().map(|view| &view.id).collect();
    let left = tallies.values().filter(|tally| tally.open + tally.in_flight > 0 && !known.contains(&tally.flow));
    let left: Vec<FlowId> = left.map(|tally| tally.flow.clone()).collect();
    views.extend(left.into_iter().map(FlowView::unknown));
    views.sort_by(|a, b| a.id.cmp(&b.id));
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

pub(super) fn flow(view: &FlowView, sight: &Sight, tally: Option<&FlowTally>) -> Value {
    let flow = sight.snapshot.as_ref().and_then(|snapshot| snapshot.flows.get(&view.id));
    let next = flow
        .filter(|flow| flow.enabled)
        .and_then(|flow| flow.schedule.as_ref())
        .and_then(|schedule| schedule.next_after(sight.now));
    json!({
        "id": view.id.as_str(),
        "title": flow.and_then(|flow| flow.title.clone()),
        "state": match flow { None => "removed", Some(flow) if !flow.enabled => "disabled", Some(_) => "enabled" },
        "paused": view.paused.map(time),
        "next_run": next.map(time),
        "queued": view.queued,
        "waits": view.running.as_ref().and(flow).and_then(|flow| waits(flow, &sight.offline)),
        "last_success": view.last_success.map(time),
        "running": view.running.as_ref().map(running),
        "last": view.last.as_ref().map(last),
        "unfinished": sight.unfinished.get(&view.id).map(unfinished),
        "errors": tally.map(|tally| errors(tally, sight.now)),
        "totals": tally.map(totals),
    })
}

/// A run under way.
pub(super) fn running(run: &RunView) -> Value {
    json!({
        "run": run.run,
        "started": time(run.started),
        "pages": run.pages,
        "total": run.total,
        "begun": run.begun,
        "stopping": run.stopping,
        "records": counts(&run.counts),
    })
}

/// The last run that ended.
pub(super) fn last(last: &LastRun) -> Value {
    json!({
        "run": last.run,
        "ended": time(last.ended),
        "outcome": last.ending.outcome().label(),
        "error": last.ending.error().map(ToString::to_string),
        "records": counts(&last.counts),
    })
}

/// A run that waits to go on, and why it does.
pub(super) fn unfinished(row: &RunRow) -> Value {
    json!({
        "run": row.id,
        "started": time(row.started),
        "held": row.phase == Phase::Held,
        "crashes": row.crashes,
        "pages": row.tally.pages,
        "cause": row.cause,
        "records": counts(&Counts::from(row.tally)),
    })
}

fn errors(tally: &FlowTally, now: DateTime<Utc>) -> Value {
    let age = tally.oldest_open.map(|since| (now - since).num_seconds().max(0));
    json!({ "open": tally.open, "oldest": tally.oldest_open.map(time), "oldest_seconds": age })
}

/// Over all stored runs: `exported = delivered + filtered + open_errors + dismissed + in_flight`.
fn totals(tally: &FlowTally) -> Value {
    json!({
        "exported": tally.exported,
        "delivered": tally.delivered,
        "filtered": tally.filtered,
        "open_errors": tally.open,
        "dismissed": tally.dismissed,
        "in_flight": tally.in_flight,
    })
}

/// Why a run of this flow does not go on, if a connection it uses is offline.
pub(super) fn waits(flow: &Flow, offline: &HashMap<String, OfflineView>) -> Option<String> {
    let mut used = flow.connections();
    used.find_map(|id| Some(format!("connection `{id}` is offline: {}", offline.get(id.as_str())?.reason)))
}

/// A run as it counted itself: `exported = delivered + filtered + open_errors + dismissed + in_flight`. `failed` is the
/// older name of `open_errors`.
pub fn counts(counts: &Counts) -> Value {
    let known = counts.delivered + counts.filtered + counts.failed + counts.in_flight;
    json!({
        "exported": counts.exported,
        "delivered": counts.delivered,
        "filtered": counts.filtered,
        "failed": counts.failed,
        "open_errors": counts.failed,
        "dismissed": counts.exported.saturating_sub(known),
        "in_flight": counts.in_flight,
    })
}

/// What went into each place of a flow and out of it, as far as records are settled: from where they ended. `out` went on to
/// the next place, `delivered` is what ended here and arrived: at the last import, or because an import before took it.
pub fn steps(ended: &[StepTally]) -> Vec<Value> {
    let mut behind = 0_u64;
    let mut steps: Vec<Value> = Vec::with_capacity(ended.len());
    for step in ended.iter().rev() {
        let out = behind;
        let ended = [step.delivered, step.filtered, step.failed];
        behind = ended.into_iter().fold(out, u64::saturating_add);
        if !step.name.is_empty() {
            steps.push(json!({
                "step": step.name, "in": behind, "out": out, "delivered": step.delivered, "filtered": step.filtered,
                "failed": step.failed,
            }));
        }
    }
    steps.reverse();
    steps
}

/// A pool with its lines.
pub(super) fn pool(view: &PoolView, sight: &Sight) -> Value {
    let line = |line: &LineView| {
        let id = line.id.to_string();
        json!({
            "connection": id,
            "queued": line.depth,
            "oldest_seconds": line.oldest.map(|age| age.as_secs_f64()),
            "in_flight": line.in_flight,
            "paused_seconds": line.paused_for.map(|pause| pause.as_secs_f64()),
            "closing": line.closing,
            "tls_verify": !sight.unverified.contains(&id),
            "offline": sight.offline.get(&id).map(offline),
            "rate_limit": line.allowance.map(allowance),
        })
    };
    json!({
        "pool": view.id.to_string(),
        "level": view.level,
        "max_level": view.most,
        "in_flight": view.in_flight,
        "paused_seconds": view.paused_for.map(|pause| pause.as_secs_f64()),
        "lines": view.lines.iter().map(line).collect::<Vec<_>>(),
    })
}

/// Why a connection's requests wait.
pub(super) fn offline(offline: &OfflineView) -> Value {
    json!({
        "reason": offline.reason,
        "since": time(offline.since),
        "login": offline.login,
        "next_try_seconds": offline.next_try.as_secs_f64(),
    })
}

/// What a server said of its own limit.
pub(super) fn allowance(told: AllowanceView) -> Value {
    json!({
        "limit": told.limit,
        "remaining": told.remaining,
        "resets_in_seconds": told.resets_in.map(|left| left.as_secs_f64()),
    })
}

pub(super) fn agents(supervisor: &Supervisor) -> Value {
    let agents = supervisor.services().agents.presence();
    let one = |(name, there): (&str, Presence)| json!({ "agent": name, "connected": there.connected, "since": time(there.since) });
    agents.map(one).collect()
}

/// As it is written in documents.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
