//! Asking for a record: what a lookup's request is known by, and all pages of its answer.

use super::cache::Key;
use super::found::{Found, MOST_BYTES};
use super::pass::Trouble;
use crate::http::exchange::{Failure, FailureClass};
use crate::http::on::Ruling;
use crate::model::export::Export;
use crate::model::step::Lookup;
use crate::runtime::export::origin::{Beside, Origin};
use crate::runtime::export::paging::{Method, TokenSource};
use crate::runtime::export::quota::Quota;
use crate::runtime::export::{Course, ReadError, Reader};
use crate::runtime::scope::{Lane, Scope};
use crate::runtime::step::Ground;
use crate::value::context::Context;
use crate::value::record::Record;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why there is no answer.
pub enum Unanswered {
    /// The record's own fault, or the answer's.
    Trouble(Trouble),
    /// The connection's credentials are refused: no record can be asked for.
    Offline(String),
    /// The run is being stopped.
    Cancelled,
}

impl Unanswered {
    /// Whether a rule ends the run with this, and what it says.
    pub fn ends_the_run(&self) -> Option<String> {
        let Self::Trouble(trouble) = self else { return None };
        let failure = trouble.failure.as_ref().filter(|failure| failure.ruling == Some(Ruling::Fail))?;
        Some(failure.to_string())
    }
}

impl Beside for Ground {
    fn offer<'a>(&'a self, ctx: Context<'a>) -> Context<'a> {
        Self::offer(self, ctx)
    }
}

/// What is asked, where, and for whom.
#[derive(Clone)]
pub struct Question<'r> {
    /// The run.
    pub scope: &'r Scope,
    /// The connection that is asked.
    pub lane: &'r Lane,
    /// The lookup.
    pub lookup: &'r Lookup,
    /// The export the record came from.
    pub origin: Arc<Origin>,
    /// The record.
    pub ground: Ground,
}

impl Question<'_> {
    fn reader(&self) -> Reader<'_> {
        let Self { scope, lane, lookup, origin, ground } = self;
        let export = &lookup.export;
        let (origin, quota) = (origin.clone(), Quota::of(export.limit));
        Reader::new(Course { scope, lane, export, origin, beside: Some(ground), quota, is_all: false, block: None })
    }

    /// What tells it from others: its request as it leaves, and the record where later requests look at that.
    pub fn key(&self) -> Result<Key, Trouble> {
        let prepared = self.reader().first().map_err(|error| match error {
            ReadError::Eval(error) => Trouble::eval(&error),
            error => Trouble { class: "record", text: error.to_string(), failure: None, key: None },
        })?;
        let mut digest = Sha256::new();
        digest.update(prepared.fingerprint());
        if looks_again(&self.lookup.export) {
            part(&mut digest, self.ground.record.json().text().as_bytes());
            if let Some(parent) = &self.ground.parent {
                part(&mut digest, parent.json().text().as_bytes());
            }
            if let Some(index) = self.ground.index {
                part(&mut digest, &index.to_be_bytes());
            }
        }
        Ok(digest.finalize().into())
    }

    /// Asks, page by page, each through the queue. With `halt` nothing more is sent.
    pub async fn ask(self, halt: CancellationToken) -> Result<Found, Unanswered> {
        tokio::select! {
            biased;
            () = halt.cancelled() => Err(Unanswered::Cancelled),
            found = self.read() => found,
        }
    }

    async fn read(&self) -> Result<Found, Unanswered> {
        let mut reader = self.reader();
        let mut records: Vec<Record> = Vec::new();
        let (mut status, mut headers, mut bytes) = (0, Vec::new(), 0);
        while let Some(arrived) = reader.next().await.map_err(unanswered)? {
            let page = arrived.page;
            bytes += page.records.iter().map(|record| record.json().text().len()).sum::<usize>();
            if bytes > MOST_BYTES {
                let most = MOST_BYTES >> 20;
                let text = format!("the answer is larger than {most} MiB in all; ask for less, or set `limit`");
                return Err(Unanswered::Trouble(Trouble { class: "record", text, failure: None, key: None }));
            }
            records.extend(page.records.iter().cloned());
            (status, headers) = (page.status, page.headers);
        }
        Ok(Found::new(&records, reader.ended_at().unwrap_or(status), headers))
    }
}

/// Whether what is asked after the first page, or whether it is, may depend on the record.
fn looks_again(export: &Export) -> bool {
    let paging = &export.paging;
    let computed = matches!(&paging.method, Method::Token(token) if matches!(token.from, TokenSource::From(_)));
    export.job.is_some() || export.later.is_some() || paging.stop_when.is_some() || paging.stop.is_some() || computed
}

/// With its length, so that no two lists of parts are alike.
fn part(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}

fn unanswered(error: ReadError) -> Unanswered {
    match error {
        ReadError::Request(failure) => match failure.class {
            FailureClass::Auth => Unanswered::Offline(failure.to_string()),
            FailureClass::Cancelled => Unanswered::Cancelled,
            // It reads: nothing can have been written by it, whatever became of the request.
            FailureClass::Unknown => trouble(Failure { class: FailureClass::Unreachable, ..*failure }),
            _ => trouble(*failure),
        },
        ReadError::Eval(error) => Unanswered::Trouble(Trouble::eval(&error)),
        error => Unanswered::Trouble(Trouble { class: "record", text: error.to_string(), failure: None, key: None }),
    }
}

fn trouble(failure: Failure) -> Unanswered {
    Unanswered::Trouble(Trouble::request(failure))
}
