//! What the heap is told and what it answers.

use super::mark::Mark;
use crate::model::schedule::Schedule;
use crate::observe::meters::SkipReason;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};

/// A flow with a schedule, as the snapshot in force has it.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    /// Which flow.
    pub flow: &'a FlowId,
    /// `formerly`: a flow that is new here goes on where these left off.
    pub formerly: &'a [FlowId],
    /// When.
    pub schedule: &'a Schedule,
}

/// What a look at the clock gave.
#[derive(Debug, Default)]
pub struct Wake {
    /// Flows whose time has come, in order of instant and name, each at most once.
    pub due: Vec<Due>,
    /// Occurrences that are handed out no more.
    pub passed: Vec<Passed>,
    /// Marks that were not believed.
    pub distrusted: Vec<Distrusted>,
}

/// A flow whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which flow.
    pub flow: FlowId,
    /// The scheduled instant: with the flow, the identity of this run. Not later than now.
    pub instant: DateTime<Utc>,
    /// It was missed, and is made up for.
    pub late: bool,
    /// To be made durable in one step with the run's begin, or by itself when no run begins.
    pub mark: Mark,
}

/// Occurrences of a flow that are handed out no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Which flow.
    pub flow: FlowId,
    /// The newest occurrence that was handled: one of these, or the one handed out in their stead.
    pub newest: DateTime<Utc>,
    /// How many; at least so many, when there are too many to count.
    pub count: u64,
    /// Why.
    pub reason: SkipReason,
}

/// A mark that lies so far ahead that the clock must have been wrong; the flow goes on from now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrusted {
    /// Which flow.
    pub flow: FlowId,
    /// What the mark said.
    pub done: DateTime<Utc>,
}
