//! The error records of a run: the first ones with their details, all of them counted.

use super::report::{KEPT_ERRORS, RecordError};
use crate::http::exchange::Failure;
use crate::observe::event;
use crate::runtime::import::{Item, class_name};
use crate::runtime::scope::Scope;
use crate::value::issue::EvalError;

/// Most characters of a record shown with its error.
const EXCERPT: usize = 200;

/// Kept in memory until the run's report.
#[derive(Debug, Default)]
pub(super) struct Errors {
    kept: Vec<RecordError>,
    count: u64,
}

impl Errors {
    /// A request failed for this record.
    pub(super) fn add(&mut self, scope: &Scope, item: &Item, failure: &Failure) {
        self.keep(scope, item, |error| {
            "import".clone_into(&mut error.step);
            error.class = class_name(failure.class);
            error.text.clone_from(&failure.message);
            error.status = failure.status;
            error.attempts = failure.attempts;
            error.request.clone_from(&failure.request);
        });
    }

    /// A record could not be shaped or rendered.
    pub(super) fn add_eval(&mut self, scope: &Scope, item: &Item, step: &str, cause: &EvalError) {
        self.keep(scope, item, |error| {
            step.clone_into(&mut error.step);
            error.class = "record";
            error.text = cause.to_string();
        });
    }

    /// All details, for the report.
    pub(super) fn take(&mut self) -> Vec<RecordError> {
        std::mem::take(&mut self.kept)
    }

    fn keep(&mut self, scope: &Scope, item: &Item, fill: impl FnOnce(&mut RecordError)) {
        self.count += 1;
        if self.kept.len() >= KEPT_ERRORS {
            return;
        }
        let mut error = RecordError {
            step: String::new(),
            page: item.page,
            record: item.position,
            class: "record",
            text: String::new(),
            status: None,
            attempts: 0,
            request: String::new(),
            excerpt: excerpt(item.record.json().text()),
        };
        fill(&mut error);
        event::record_failed(&scope.flow.id, &scope.run, &error.summary(), self.count == 1);
        self.kept.push(error);
    }
}

fn excerpt(text: &str) -> String {
    let mut cut: String = text.chars().take(EXCERPT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
