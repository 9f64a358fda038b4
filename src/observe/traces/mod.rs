//! Traces: a span for each run, its steps, their pages, the requests of these, their attempts and their waits in line.
//!
//! What runs says where it is; nobody passes spans around: a request's own is known to everything that is polled within
//! it, also to the queue and to what sends. Ended spans go to a bounded `buffer`, from where `app` takes and sends them.
//! Without the feature `otlp` nothing of this is there (`off`), and what is called does nothing.

#[cfg(feature = "otlp")]
mod buffer;
#[cfg(feature = "otlp")]
pub mod encode;
#[cfg(feature = "otlp")]
mod live;
#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod places;
#[cfg(feature = "otlp")]
mod span;
#[cfg(feature = "otlp")]
#[cfg(test)]
mod tests;

#[cfg(feature = "otlp")]
pub use buffer::Buffer;
#[cfg(feature = "otlp")]
pub use live::{Trace, Traces, Waiting, attempted, happened, waiting};
#[cfg(not(feature = "otlp"))]
pub use off::{Trace, Traces, Waiting, attempted, happened, waiting};

use crate::value::id::ConnectionId;
use crate::value::time::Mono;
use std::time::Duration;

/// What a request of a run is for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// The step it belongs to: an export's, a lookup's or an import's name.
    pub step: &'a str,
    /// `read` (exports and lookups), `order` (a report), `write`, `check` or `tell`.
    pub act: &'static str,
    /// Whom it asks.
    pub connection: &'a ConnectionId,
    /// The page it reads, or that its records are of.
    pub page: Option<u64>,
    /// Place of its first record in the page.
    pub record: Option<u64>,
    /// How many records it carries.
    pub records: usize,
}

/// An attempt that ended. Its texts are free of secrets.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// Which one of its request, from 1.
    pub attempt: u32,
    /// When it left.
    pub started: Mono,
    /// Until it was judged.
    pub took: Duration,
    /// Method and URL.
    pub request: String,
    /// Of the answer.
    pub status: Option<u16>,
    /// The verdict in a word.
    pub outcome: &'static str,
    /// What is wrong; empty for a success.
    pub message: String,
}

/// What becomes of a request between two attempts.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'a> {
    /// The API limits us: it waits so long with all others of its pool.
    Limited(Duration),
    /// It failed, and another attempt follows after so long.
    Retried(Duration, &'a str),
    /// Its credential was refused.
    Refused,
}
