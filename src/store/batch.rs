//! What can be written. One batch is one step of the state: all of it holds, or none.

use super::rows::{ErrorRow, ErrorState, IntentRow, Marks, Phase, RunRow, Space, StepTally, Tally};
use crate::value::id::{ConnectionId, FlowId};
use bytes::Bytes;
use chrono::{DateTime, Utc};

/// One change.
#[derive(Debug, Clone)]
pub enum Write {
    /// A run begins. Refused when its occurrence has had a run.
    Begin(Box<RunRow>),
    /// A page was read: it, and the cursor that follows it. One that is there already is read anew: its records are in
    /// flight again, what it intended and the unclean exits it saw stay. Refused when the run is over.
    Page(Box<PageWrite>),
    /// A page, as its records stand now. When all of them are resolved the page is finished: its row, its body and its
    /// intents are let go, but the row of a run's last page is kept until another follows. A page that is gone already
    /// changes nothing.
    Marks {
        /// Which run.
        run: String,
        /// Which page.
        page: u64,
        /// One mark a record.
        marks: Marks,
    },
    /// These records are about to be sent.
    Intend {
        /// Which run.
        run: String,
        /// One entry a record.
        records: Vec<IntentRow>,
    },
    /// Nothing of what a run intended is on its way any more: what is not settled did not arrive.
    Withdraw {
        /// Which run.
        run: String,
    },
    /// Work on a page begins (written while a run is careful: after an unclean exit).
    StartPage {
        /// Which run.
        run: String,
        /// Which page.
        page: u64,
    },
    /// A run was found cut off by an unclean exit: counted for the run and for the pages that were worked on. No page of
    /// it counts as started any more.
    Interrupted {
        /// Which run.
        run: String,
        /// Pages counted as in flight.
        pages: Vec<u64>,
        /// The epoch that goes on with it.
        epoch: u64,
    },
    /// The figures of a run as they stand now. The counts of later retries (`Tally::redelivered` and the two after it)
    /// are the store's own and not taken from here. The figures of a run that is over stand: write these before its end.
    Tally {
        /// Which run.
        run: String,
        /// Its figures.
        tally: Tally,
        /// Where its records ended; none leaves what is there.
        steps: Vec<StepTally>,
    },
    /// A run ends, or is held. Ended and dismissed runs keep no pages, bodies or intents, and records still in flight
    /// count as dismissed. The first end stands.
    Phase {
        /// Which run.
        run: String,
        /// From now on.
        phase: Phase,
        /// `succeeded`, `errors`, `failed`, `cancelled`
        outcome: Option<String>,
        /// What ended or holds it.
        cause: Option<String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// A record failed: a new error record (id 0; the receipt names the one given), or the new text of an old one, whose
    /// flow, run, state and time of opening stay. An unknown id changes nothing.
    Error(Box<ErrorRow>),
    /// An error record changes its state; the figures of the run it came from follow. An unknown id, or one that is not
    /// open, changes nothing.
    ErrorState {
        /// Which.
        id: u64,
        /// From now on.
        state: ErrorState,
        /// By what: `retry`, `resolved by hand`, a run.
        by: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// An error record that is not open any more is let go; the figures of its run stay. An open or unknown one changes
    /// nothing: it is to be dismissed first, in the same batch if need be.
    DropError {
        /// Which.
        id: u64,
    },
    /// Open error records of a flow with one of these trace keys were overtaken by a later delivery.
    Overtaken {
        /// Which flow.
        flow: FlowId,
        /// Trace keys delivered.
        traces: Vec<String>,
        /// The run that delivered them.
        run: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// A value.
    Put {
        /// Where.
        space: Space,
        /// Under what.
        key: String,
        /// What.
        value: String,
    },
    /// No value.
    Delete {
        /// Where.
        space: Space,
        /// Under what.
        key: String,
    },
    /// Everything of a flow goes by a new name. What already stands under the new one stays.
    RenameFlow {
        /// The former name.
        from: FlowId,
        /// The new one.
        to: FlowId,
    },
    /// Everything of a connection goes by a new name. What already stands under the new one stays.
    RenameConnection {
        /// The former name.
        from: ConnectionId,
        /// The new one.
        to: ConnectionId,
    },
    /// Lets go what is older than its retention. An open error record is never dropped without a word: it is dismissed,
    /// counted in the receipt, and dropped by the next one. A text must be written in the batch of the run that refers to
    /// it, or it counts as one nobody refers to.
    Prune {
        /// Ended runs without open errors that ended before, and texts of flows nobody refers to any more.
        runs_before: DateTime<Utc>,
        /// Error records opened before.
        errors_before: DateTime<Utc>,
        /// Now.
        at: DateTime<Utc>,
    },
}

/// A page as it was read.
#[derive(Debug, Clone)]
pub struct PageWrite {
    /// Which run.
    pub run: String,
    /// From 1.
    pub number: u64,
    /// How many records it has.
    pub records: u32,
    /// The cursor that leads to the next page, or says that none follows: JSON, the run engine's own.
    pub cursor: String,
    /// Status, headers and URL of the answer: JSON, the run engine's own.
    pub head: String,
    /// The answer's body; none under `durability = "checkpoint"`.
    pub body: Option<Bytes>,
}

/// Why a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The occurrence has had its run.
    #[error("run `{run}` was started for this occurrence already")]
    SeenOccurrence {
        /// That run.
        run: String,
    },
    /// A write names a run that is not there.
    #[error("there is no run `{0}`")]
    NoRun(String),
    /// The value has the wrong shape for its space, or a name is too long.
    #[error("{0}")]
    Unfit(String),
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Ids of new error records, in the order of their writes.
    pub errors: Vec<u64>,
    /// Error records that were overtaken or changed their state.
    pub changed: u64,
    /// What was let go.
    pub pruned: Pruned,
}

/// What pruning let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Runs.
    pub runs: u64,
    /// Error records that were not open.
    pub errors: u64,
    /// Open error records, dismissed because of their age.
    pub dismissed: u64,
}
