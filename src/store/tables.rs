//! What a backend offers to the rules: rows that can be looked up, put and dropped, all within one batch that the
//! backend can take back. No rule stands here, and no rule knows how rows lie.

use super::batch::Refusal;
use super::figures::Figures;
use super::rows::{ErrorRow, IntentRow, PageRow, RunRow, Space};
use crate::value::id::FlowId;
use bytes::Bytes;
use chrono::{DateTime, Utc};

/// Why a batch went no further.
#[derive(Debug)]
pub(super) enum Stop<E> {
    /// It contradicts what is stored.
    Refused(Refusal),
    /// The backend could not.
    Fault(E),
}

impl<E> From<Refusal> for Stop<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What becomes of a page's body when its row is put.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing.
    Keep,
    /// It is let go, if there was one.
    Drop,
    /// This is it from now on.
    New(Bytes),
}

/// One backend's rows.
pub(super) trait Tables {
    /// What can go wrong in it.
    type Fault;

    fn run(&mut self, id: &str) -> Result<Option<RunRow>, Self::Fault>;
    /// New runs come last in order; known ones keep their place.
    fn put_run(&mut self, row: &RunRow) -> Result<(), Self::Fault>;
    fn drop_run(&mut self, id: &str) -> Result<(), Self::Fault>;
    /// The oldest run of an occurrence.
    fn run_of(&mut self, flow: &FlowId, occurrence: DateTime<Utc>) -> Result<Option<String>, Self::Fault>;
    fn runs_of(&mut self, flow: &FlowId) -> Result<Vec<RunRow>, Self::Fault>;
    /// Runs that are over and ended before.
    fn runs_over_before(&mut self, at: DateTime<Utc>) -> Result<Vec<RunRow>, Self::Fault>;
    /// Keys of `Space::Meaning` that no run refers to.
    fn unused_meanings(&mut self) -> Result<Vec<String>, Self::Fault>;

    fn page(&mut self, run: &str, number: u64) -> Result<Option<PageRow>, Self::Fault>;
    /// By number.
    fn pages(&mut self, run: &str) -> Result<Vec<PageRow>, Self::Fault>;
    /// `row.has_body` is the backend's to know: it follows from `body`.
    fn put_page(&mut self, run: &str, row: &PageRow, body: Body) -> Result<(), Self::Fault>;
    fn drop_page(&mut self, run: &str, number: u64) -> Result<(), Self::Fault>;

    /// Of one page. What was said of a record before no longer holds.
    fn put_intents(&mut self, run: &str, page: u64, rows: &[IntentRow]) -> Result<(), Self::Fault>;
    /// Of one page, or of the whole run.
    fn drop_intents(&mut self, run: &str, page: Option<u64>) -> Result<(), Self::Fault>;

    fn error(&mut self, id: u64) -> Result<Option<ErrorRow>, Self::Fault>;
    /// Never the same one twice, whatever was dropped meanwhile.
    fn next_error(&mut self) -> Result<u64, Self::Fault>;
    fn put_error(&mut self, row: &ErrorRow) -> Result<(), Self::Fault>;
    fn drop_error(&mut self, id: u64) -> Result<(), Self::Fault>;
    fn errors_of(&mut self, flow: &FlowId) -> Result<Vec<u64>, Self::Fault>;
    fn errors_opened_before(&mut self, at: DateTime<Utc>) -> Result<Vec<u64>, Self::Fault>;
    fn open_errors_traced(&mut self, flow: &FlowId, trace: &str) -> Result<Vec<u64>, Self::Fault>;
    fn has_open_errors(&mut self, run: &str) -> Result<bool, Self::Fault>;

    fn value(&mut self, space: Space, key: &str) -> Result<Option<String>, Self::Fault>;
    fn keys(&mut self, space: Space) -> Result<Vec<String>, Self::Fault>;
    fn put_value(&mut self, space: Space, key: &str, value: &str) -> Result<(), Self::Fault>;
    fn drop_value(&mut self, space: Space, key: &str) -> Result<(), Self::Fault>;

    /// All zero when nothing is stored.
    fn figures(&mut self, flow: &FlowId) -> Result<Figures, Self::Fault>;
    /// All zero lets the row go.
    fn put_figures(&mut self, flow: &FlowId, figures: &Figures) -> Result<(), Self::Fault>;
}
