//! What one run pins at its start and uses to its end: the snapshot's flow, its clients, the queue, the clock.

use super::export::delta::{Asked, Marks};
use super::export::origin::Origin;
use super::run::Resume;
use super::run::report::Progress;
use super::walk::cache::Caches;
use crate::http::client::Client;
use crate::model::export::Export;
use crate::model::flow::Flow;
use crate::model::snapshot::Snapshot;
use crate::observe::meters::{FlowMeters, TriggerKind};
use crate::observe::traces::Trace;
use crate::queue::{KeepOpen, Queue};
use crate::store::{ErrorRow, StepTally, Store};
use crate::value::context::{Context, Root, Slot};
use crate::value::id::ConnectionId;
use crate::value::json::Json;
use crate::value::time::SharedClock;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A connection's client and the line its requests stand in.
#[derive(Clone)]
pub struct Lane {
    /// Sends.
    pub client: Arc<Client>,
    /// Where tickets are drawn.
    pub line: crate::queue::limits::LineId,
}

/// All connections of one generation.
pub type Lanes = HashMap<ConnectionId, Lane>;

/// How a run is asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Read and start nothing new; finish what is in flight.
    pub drain: CancellationToken,
    /// Stop now.
    pub abort: CancellationToken,
}

/// Where an export-only flow's records go, and what is shown of a flow's stages.
pub trait Output: Send + Sync {
    /// One record.
    fn record(&self, record: &Json) -> std::io::Result<()>;
    /// Whether each stage is to be told.
    fn shows_stages(&self) -> bool {
        false
    }
    /// One stage of a preview or dry run, as a JSON object fit to be shown.
    fn stage(&self, _shown: &str) -> std::io::Result<()> {
        Ok(())
    }
    /// Everything written has arrived.
    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a run works on.
pub enum Work {
    /// The flow's export; from where it was cut off, when it was.
    Export(Option<Resume>),
    /// Open error records.
    Retry(Vec<ErrorRow>),
}

impl Work {
    /// Whether an earlier process may have read some of its records.
    pub fn is_taken_up(&self) -> bool {
        !matches!(self, Self::Export(None))
    }

    /// Where the records of an earlier stretch ended.
    pub fn steps(&self) -> &[StepTally] {
        if let Self::Export(Some(resume)) = self { &resume.steps } else { &[] }
    }
}

/// What a run pins.
pub struct Scope {
    /// The flow as it was when the run began.
    pub flow: Arc<Flow>,
    /// The connections as they were when the run began.
    pub lanes: Arc<Lanes>,
    /// All pools.
    pub queue: Queue,
    /// Time.
    pub clock: SharedClock,
    /// Identity of the run.
    pub run: String,
    /// When it began; a run that goes on keeps it.
    pub started: DateTime<Utc>,
    /// Why it runs.
    pub trigger: TriggerKind,
    /// `run` root: `{"id", "started_at", "trigger"}`.
    pub run_json: Json,
    /// At most so many records are exported.
    pub limit: Option<u64>,
    /// The names of the exports it reads; none = all.
    pub exports: Vec<String>,
    /// Of delta exports: from when and until when, where that was asked for by hand.
    pub asked: Asked,
    /// Of delta exports: until when each was exported.
    pub marks: Marks,
    /// Requests are rendered, imports are not sent.
    pub dry_run: bool,
    /// What it works on.
    pub work: Work,
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// Where records go that no import takes.
    pub output: Arc<dyn Output>,
    /// Live figures.
    pub progress: Arc<Progress>,
    /// Its trace.
    pub trace: Trace,
    /// The flow's series.
    pub meters: Arc<FlowMeters>,
    /// Answers of the flow's lookups.
    pub caches: Arc<Caches>,
    /// Keeps the lines of this run open over reloads.
    pub kept: Vec<KeepOpen>,
    /// How to stop.
    pub stop: Stop,
    /// Changes when another snapshot came in force: this run keeps its own, but limits may be others now.
    pub reloads: watch::Receiver<Option<Arc<Snapshot>>>,
}

impl Scope {
    /// The exports it reads.
    pub fn exports(&self) -> impl Iterator<Item = &Arc<Export>> {
        let chosen = |export: &&Arc<Export>| self.exports.is_empty() || self.exports.contains(&export.name);
        self.flow.exports.iter().filter(chosen)
    }

    /// A connection of this run.
    pub fn lane(&self, id: &ConnectionId) -> Option<&Lane> {
        self.lanes.get(id)
    }

    /// The roots every place offers: flow, run, now, and what is known of where records come from. `now` outlives the
    /// context.
    pub fn context<'a>(&'a self, now: &'a str, origin: &'a Origin) -> Context<'a> {
        let ctx = Context::new()
            .with_missing_as_empty(self.flow.missing_is_empty)
            .with_tables(&self.flow.tables)
            .with(Root::Flow, Slot::Json(self.flow.context.as_ref()))
            .with(Root::Run, Slot::Json(self.run_json.as_ref()))
            .with(Root::Now, Slot::Text(now));
        origin.offer(ctx)
    }

    /// The time as templates see it.
    pub fn now(&self) -> String {
        self.clock.utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }
}
