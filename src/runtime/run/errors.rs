//! The error records of a run: the first ones with their details, all of them counted.

use super::report::{KEPT_ERRORS, RecordError};
use crate::http::client::Client;
use crate::http::exchange::Failure;
use crate::observe::event;
use crate::runtime::import::{Item, class_name};
use crate::runtime::scope::Scope;
use crate::value::issue::EvalError;
use std::borrow::Cow;
use std::sync::Arc;

/// Most characters of a record shown with its error.
const EXCERPT: usize = 200;
/// Most bytes of a record looked at for that: masking comes before cutting, so more than is shown.
const LOOKED_AT: usize = 16 << 10;

/// Kept in memory until the run's report.
pub(super) struct Errors {
    /// Those whose secrets a record or a message of this flow may hold: APIs echo what they are sent.
    clients: Vec<Arc<Client>>,
    kept: Vec<RecordError>,
    count: u64,
}

impl Errors {
    pub(super) fn new(scope: &Scope) -> Self {
        let flow = &scope.flow;
        let used = std::iter::once(&flow.export.connection).chain(flow.import.iter().map(|import| &import.connection));
        let clients = used.filter_map(|id| scope.lane(id)).map(|lane| Arc::clone(&lane.client)).collect();
        Self { clients, kept: Vec::new(), count: 0 }
    }

    /// A text without the secrets of the connections in use.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for client in &self.clients {
            if let Cow::Owned(masked) = client.redact(&text) {
                text = Cow::Owned(masked);
            }
        }
        text.into_owned()
    }

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
            excerpt: self.excerpt(item.record.json().text()),
        };
        fill(&mut error);
        error.text = self.masked(&error.text);
        event::record_failed(&scope.flow.id, &scope.run, &error.summary(), self.count == 1);
        self.kept.push(error);
    }

    fn excerpt(&self, text: &str) -> String {
        let masked = self.masked(&text[..text.floor_char_boundary(LOOKED_AT)]);
        let mut cut: String = masked.chars().take(EXCERPT).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if cut.len() < masked.len() {
            cut.push('…');
        }
        cut
    }
}
