//! What became of the records of one batch: each has an outcome of its own.

use crate::http::exchange::{Failure, FailureClass};
use crate::value::json::Json;
use smallvec::SmallVec;
use std::sync::Arc;

/// What became of one record's write.
#[derive(Clone)]
pub enum Outcome {
    /// The destination took it, and perhaps said this of it.
    Taken(Option<Json>),
    /// A rule says that there is nothing to take, and that this is fine.
    Skipped,
    /// It did not.
    Failed(Arc<Failure>),
    /// It may or may not have arrived, and nobody can say: a person looks.
    Unknown(Arc<Failure>),
    /// It never left: still in flight for whoever takes the run up.
    Unsent,
    /// It may have arrived, and nobody could be asked: still in flight, and unknown to whoever takes the run up.
    Unasked,
}

impl Outcome {
    /// As a request failed that carried nothing but what is judged by it.
    pub(super) fn of(failure: Failure) -> Self {
        if failure.is_nothing() {
            return Self::Skipped;
        }
        match failure.class {
            FailureClass::Unknown => Self::Unknown(Arc::new(failure)),
            FailureClass::Cancelled | FailureClass::Auth => Self::Unsent,
            FailureClass::Rejected | FailureClass::Unreachable | FailureClass::Unreadable => {
                Self::Failed(Arc::new(failure))
            }
        }
    }
}

/// One for each record, in the order sent.
pub type Outcomes = SmallVec<[Outcome; 1]>;

/// How a batch was delivered.
pub struct Delivered {
    /// What became of its records.
    pub outcomes: Outcomes,
    /// Import requests it took.
    pub requests: u64,
    /// Why nothing more can be sent on this road.
    pub halted: Option<Halted>,
}

/// Why nothing more can be sent on a road.
pub enum Halted {
    /// The connection's credentials are refused or missing.
    Offline(Failure),
    /// A rule ends the run.
    Failed(Failure),
    /// The queue closed, or the run was told to send nothing more.
    Closed,
}
