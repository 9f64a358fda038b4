//! The error records of a run: what is stored of each, and the first ones for the report.

use super::report::{KEPT_ERRORS, RecordError};
use crate::http::client::Client;
use crate::http::exchange::Failure;
use crate::observe::event;
use crate::runtime::import::{Item, class_name};
use crate::runtime::scope::Scope;
use crate::runtime::walk::Trouble;
use crate::store::{ErrorRow, ErrorState};
use crate::value::issue::EvalError;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// Most characters of a record shown with its error.
const EXCERPT: usize = 200;
/// Most bytes of a record looked at for that: masking comes before cutting, so more than is shown.
const LOOKED_AT: usize = 16 << 10;
/// In place of a record that may hold what cannot be masked.
const UNSHOWN: &str = "(not shown: it was read in an earlier session)";
/// When a record that could not be reached is tried again by itself, counted from the last try.
const AGAIN_AFTER: [TimeDelta; 5] =
    [TimeDelta::minutes(1), TimeDelta::minutes(10), TimeDelta::hours(1), TimeDelta::hours(6), TimeDelta::hours(24)];

/// What went wrong with a record.
pub(super) struct Fault<'a> {
    /// Where: `transform`, `keep`, a step's name, `import`.
    pub(super) step: &'a str,
    /// Which kind.
    pub(super) class: &'static str,
    /// What.
    pub(super) text: String,
    /// The request that failed, when there was one.
    pub(super) failure: Option<&'a Failure>,
}

impl<'a> Fault<'a> {
    /// A request failed.
    pub(super) fn of(step: &'a str, failure: &'a Failure) -> Self {
        Self { step, class: class_name(failure.class), text: failure.message.clone(), failure: Some(failure) }
    }

    /// A step failed.
    pub(super) fn step(step: &'a str, trouble: &'a Trouble) -> Self {
        let Trouble { class, text, failure, .. } = trouble;
        Self { step, class, text: text.clone(), failure: failure.as_deref() }
    }

    /// A record could not be shaped or rendered.
    pub(super) fn eval(step: &'a str, cause: &EvalError) -> Self {
        Self { step, class: "record", text: cause.to_string(), failure: None }
    }

    /// It may or may not have arrived.
    pub(super) fn unknown(step: &'a str, text: String) -> Self {
        Self { step, class: "unknown", text, failure: None }
    }
}

/// What is said of records of a page that was in flight whenever the process died.
pub(super) fn quarantined(crashes: u32) -> String {
    format!("this page was in flight at {crashes} unclean exits of flowgate and is not tried by itself")
}

/// Those not given to the store yet, and the first ones for the report.
pub(super) struct Errors {
    /// Those whose secrets a record or a message of this flow may hold: APIs echo what they are sent.
    clients: Vec<Arc<Client>>,
    /// Records were read by an earlier process whose session nobody knows any more: an echo of it cannot be masked.
    blind: bool,
    kept: Vec<RecordError>,
    /// How many of the kept ones have their id.
    named: usize,
    count: u64,
}

impl Errors {
    pub(super) fn new(scope: &Scope) -> Self {
        let clients = scope.flow.connections().filter_map(|id| scope.lane(id)).map(|lane| Arc::clone(&lane.client));
        let clients: Vec<_> = clients.collect();
        let blind = scope.work.is_taken_up() && clients.iter().any(|client| client.forgets_sessions());
        Self { clients, blind, kept: Vec::new(), named: 0, count: 0 }
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

    /// How many there were in this run.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// A record failed: what is to be stored of it.
    pub(super) fn add(&mut self, scope: &Scope, item: &Item, fault: &Fault<'_>) -> ErrorRow {
        self.count += 1;
        let now = scope.clock.utc();
        let text = self.masked(&fault.text);
        let failure = fault.failure;
        let mut row = ErrorRow {
            id: 0,
            flow: scope.flow.id.clone(),
            run: scope.run.clone(),
            export: item.origin.export.name.clone(),
            each: item.origin.of_each().and_then(|kin| serde_json::to_string(&kin).ok()),
            time: item.origin.of_time(),
            members: item.group.as_ref().map_or(0, |group| group.count),
            step: fault.step.to_owned(),
            page: item.page,
            record: item.position,
            class: fault.class.to_owned(),
            status: failure.and_then(|failure| failure.status),
            attempts: failure.map_or(0, |failure| failure.attempts),
            request: failure.map(|failure| failure.request.clone()).filter(|request| !request.is_empty()),
            response: failure.and_then(|failure| failure.excerpt.clone()),
            payload: item.record.json().text().to_owned(),
            exported: item.as_exported().map(|record| record.json().text().to_owned()),
            trace_key: item.trace.as_ref().and_then(|trace| trace.key.clone()),
            link: item.trace.as_ref().and_then(|trace| trace.link.clone()),
            key: item.key.as_deref().map(str::to_owned),
            fingerprint: String::new(),
            state: ErrorState::Open,
            opened: now,
            changed: now,
            by: None,
            retries: 0,
            next_retry: None,
            message: text,
        };
        row.exported.take_if(|exported| *exported == row.payload);
        row.fingerprint = fingerprint(&row);
        if let Some(before) = &item.error {
            row = again(before, row, &scope.run);
        }
        row.next_retry = next_retry(&row, now);
        self.keep(scope, item, &row);
        row
    }

    /// The store gave ids to the next new ones, in order.
    pub(super) fn named(&mut self, ids: &[u64]) {
        for id in ids {
            if let Some(error) = self.kept.get_mut(self.named) {
                error.id = Some(*id);
                self.named += 1;
            }
        }
    }

    /// All details, for the report.
    pub(super) fn take(&mut self) -> Vec<RecordError> {
        std::mem::take(&mut self.kept)
    }

    fn keep(&mut self, scope: &Scope, item: &Item, row: &ErrorRow) {
        if self.kept.len() >= KEPT_ERRORS {
            return;
        }
        let error = RecordError {
            id: Some(row.id).filter(|id| *id > 0),
            step: row.step.clone(),
            page: row.page,
            record: row.record,
            class: row.class.clone(),
            text: row.message.clone(),
            status: row.status,
            attempts: row.attempts,
            request: row.request.clone().unwrap_or_default(),
            excerpt: self.excerpt(item.record.json().text()),
        };
        event::record_failed(&scope.flow.id, &scope.run, &error.summary(), self.count == 1);
        self.kept.push(error);
    }

    fn excerpt(&self, text: &str) -> String {
        if self.blind {
            return UNSHOWN.to_owned();
        }
        let masked = self.masked(&text[..text.floor_char_boundary(LOOKED_AT)]);
        let mut cut: String = masked.chars().take(EXCERPT).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if cut.len() < masked.len() {
            cut.push('…');
        }
        cut
    }
}

/// An error record that was tried again and failed again: what it is stays, what went wrong is new.
fn again(before: &ErrorRow, now: ErrorRow, run: &str) -> ErrorRow {
    ErrorRow {
        id: before.id,
        run: before.run.clone(),
        export: before.export.clone(),
        each: before.each.clone(),
        time: before.time.clone(),
        page: before.page,
        record: before.record,
        trace_key: before.trace_key.clone(),
        link: before.link.clone(),
        exported: before.exported.clone().or(now.exported),
        opened: before.opened,
        attempts: before.attempts.saturating_add(now.attempts),
        retries: before.retries.saturating_add(1),
        by: Some(run.to_owned()),
        ..now
    }
}

/// Only what may pass by itself is tried again by itself.
fn next_retry(row: &ErrorRow, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let after = AGAIN_AFTER.get(row.retries as usize)?;
    (row.class == "unreachable").then(|| now + *after)
}

/// The same for faults of one kind: digits and quoted parts of the message, which tell records apart, do not count.
fn fingerprint(row: &ErrorRow) -> String {
    let mut digest = Sha256::new();
    let status = row.status.map(|status| status.to_string()).unwrap_or_default();
    for part in [row.flow.as_str(), &row.step, &row.class, &status, &gist(&row.message)] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().take(4).fold(String::with_capacity(8), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn gist(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut quote = None;
    for c in message.chars().take(500) {
        match quote {
            Some(open) => {
                if c == open {
                    quote = None;
                }
            }
            None if matches!(c, '"' | '`') => {
                quote = Some(c);
                out.push('…');
            }
            None if c.is_ascii_digit() => {
                if !out.ends_with('#') {
                    out.push('#');
                }
            }
            None => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gist_of_a_message_leaves_out_what_tells_records_apart() {
        assert_eq!(gist("order 4711: `A-17` is no sku (field \"sku\")"), "order #: … is no sku (field …)");
        assert_eq!(gist("order 1: `x` is no sku (field \"b\")"), gist("order 22: `y` is no sku (field \"a\")"));
        assert_ne!(gist("customer is missing"), gist("address is missing"));
    }
}
