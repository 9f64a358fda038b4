//! Nothing: this build has no traces.

use super::{Attempted, Happening, Purpose};
use crate::observe::event::RunSummary;
use crate::value::id::FlowId;
use crate::value::time::{SharedClock, SharedRng};
use std::fmt::Display;

/// Where traces begin.
#[derive(Clone, Default)]
pub struct Traces;

impl Traces {
    /// A run begins.
    pub fn begin(&self, _: &SharedClock, _: &SharedRng, _: &FlowId, _: &str, _: &'static str) -> Trace {
        Trace
    }
}

/// A run's trace.
#[derive(Clone, Default)]
pub struct Trace;

impl Trace {
    /// A request, from before its ticket to its end.
    pub async fn request<T, E: Display>(
        &self,
        _: Purpose<'_>,
        sending: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        sending.await
    }

    /// The run ended.
    pub fn end(&self, _: &RunSummary<'_>) {}
}

/// A wait in line.
pub struct Waiting;

/// The request that is polled now waits in line until this is dropped.
pub fn waiting() -> Waiting {
    Waiting
}

/// The request that is polled now was attempted.
pub fn attempted(_: impl FnOnce() -> Attempted) {}

/// Something became of the request that is polled now.
pub fn happened(_: Happening<'_>) {}
