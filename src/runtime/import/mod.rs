//! Writing: records become request bodies, one or a batch at a time, each sent through the connection's queue, and
//! each record gets an outcome of its own. Knows nothing of pages, counts and error records.

mod admit;
mod answers;
mod batch;
pub mod body;
mod check;
mod deliver;
mod group;
pub mod locks;
mod outcome;

pub use batch::{Batch, Batcher};
pub use deliver::CUT_OFF;
pub use group::{Group, Member};
pub use outcome::{Delivered, Halted, Outcome, Outcomes};

use crate::http::exchange::FailureClass;
use crate::model::import::{Check, Import, UnknownOutcome, Way};
use crate::observe::traces::Purpose;
use crate::runtime::export::origin::Origin;
use crate::runtime::scope::{Lane, Scope};
use crate::runtime::step::{Lookups, merge, with_record};
use crate::store::ErrorRow;
use crate::value::context::{Context, Root, Slot};
use crate::value::id::ConnectionId;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef};
use crate::value::record::Record;
use smallvec::SmallVec;
use std::sync::Arc;

/// One import of a flow on its way: the lanes that its requests take.
#[derive(Clone, Copy)]
pub struct Road<'r> {
    /// The run.
    pub scope: &'r Scope,
    /// What is written and how.
    pub import: &'r Import,
    /// Where its requests stand in line.
    pub lane: &'r Lane,
    /// Where it is asked what became of a write.
    pub check: Option<(&'r Lane, &'r Check)>,
}

impl<'r> Road<'r> {
    /// The way of an import in this run; or the connection that is not part of it.
    pub fn of(scope: &'r Scope, import: &'r Import) -> Result<Self, &'r ConnectionId> {
        let lane = |id: &'r ConnectionId| scope.lane(id).ok_or(id);
        let check = import.check().map(|check| Ok((lane(&check.connection)?, check))).transpose()?;
        Ok(Self { scope, import, lane: lane(&import.connection)?, check })
    }

    /// The step's name in error records.
    pub fn name(&self) -> &'r str {
        &self.import.name
    }

    /// What a request for these records is for.
    fn purpose(&self, act: &'static str, items: &[Item]) -> Purpose<'r> {
        let (first, records) = (items.first(), items.len());
        let (page, record) = first.map(|item| (item.page, item.position)).unzip();
        Purpose { step: self.name(), act, connection: &self.import.connection, page, record, records }
    }

    /// What becomes of a record whose write may or may not have arrived.
    pub fn unknown(&self, way: Way) -> &'r UnknownOutcome {
        self.import.unknown_of(way)
    }

    /// The record with what its import merges into it, from what the destination answered.
    pub fn merged(&self, item: &Item, answer: Option<&Json>, ctx: &Context<'_>) -> Result<Option<Record>, EvalError> {
        let Some(tree) = &self.import.merge else { return Ok(None) };
        let answer = answer.map_or(JsonRef::trusted("null"), Json::as_ref);
        let ctx = self.lane.client.context(*ctx);
        merge(&item.record, answer, tree, &item.offer(&ctx)).map(Some)
    }

    /// The step in error records of a record that was taken, but whose `merge` failed: tried again it goes on behind
    /// the import.
    pub fn behind(&self) -> String {
        format!("{}.merge", self.import.name)
    }
}

/// A record on its way into a batch.
#[derive(Clone)]
pub struct Item {
    /// Page it came from.
    pub page: u64,
    /// Where that came from.
    pub origin: Arc<Origin>,
    /// Position in the page, from 1.
    pub position: u64,
    /// Which records it travels with: batches end where that changes. Its page, or for a group the one it ended on.
    pub line: u64,
    /// What it is made of, when it is a group; it stands in the place of the first one.
    pub group: Option<Arc<Group>>,
    /// As it reaches the import.
    pub record: Record,
    /// The record it is a part of, under `many`.
    pub parent: Option<Record>,
    /// Which part of it, from 0.
    pub part: Option<u32>,
    /// What was looked up for it and not merged.
    pub lookups: Lookups,
    /// Whether an import on the way took it.
    pub taken: bool,
    /// How far it came, as its walk counts.
    pub place: u16,
    /// As it was exported, where the source is to be told of it.
    pub exported: Option<Record>,
    /// Idempotency key: rendered once, or the one it had before.
    pub key: Option<Box<str>>,
    /// `lock_key`, rendered once; none where nothing is locked.
    pub lock: Option<Arc<str>>,
    /// How it is written.
    pub way: Way,
    /// What tells it apart, rendered from the record as it was exported.
    pub trace: Option<Box<Trace>>,
    /// What tells the exported record from another one at its place; 0 where nobody asks.
    pub hash: u64,
    /// The error record that is tried again with it.
    pub error: Option<Box<ErrorRow>>,
}

/// `trace_key` and `link` of a record.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// `trace_key`
    pub key: Option<String>,
    /// `link`
    pub link: Option<String>,
}

impl Item {
    /// A record of a page, by its position from 1.
    pub fn new(page: u64, origin: &Arc<Origin>, position: u64, record: Record) -> Self {
        Self {
            page,
            origin: origin.clone(),
            position,
            line: page,
            group: None,
            exported: origin.export.once.as_ref().map(|_| record.clone()),
            record,
            parent: None,
            part: None,
            lookups: Lookups::default(),
            taken: false,
            place: 0,
            key: None,
            lock: None,
            way: Way::Create,
            trace: None,
            hash: 0,
            error: None,
        }
    }

    /// Offers what texts see of it.
    pub fn offer<'a>(&'a self, ctx: &Context<'a>) -> Context<'a> {
        let ctx = self.lookups.offer(with_record(ctx, &self.record));
        let ctx = self.part.map_or(ctx, |index| ctx.with(Root::Index, Slot::Number(index.into())));
        match &self.parent {
            Some(parent) => ctx.with(Root::Parent, Slot::Record(parent)),
            None => ctx,
        }
    }

    /// Its position from 0.
    pub fn index(&self) -> u32 {
        u32::try_from(self.position.saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

/// Records that travel in one request.
pub type Items = SmallVec<[Item; 1]>;

/// The word for a failure's class in error records.
pub fn class_name(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Rejected => "rejected",
        FailureClass::Unreachable => "unreachable",
        FailureClass::Unknown => "unknown",
        FailureClass::Auth => "auth",
        FailureClass::Unreadable => "unreadable",
        FailureClass::Cancelled => "cancelled",
    }
}
