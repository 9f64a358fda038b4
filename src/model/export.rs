//! Where records come from.

use super::delta::Delta;
use super::report::Report;
use super::step::Transform;
use crate::http::request::RequestSpec;
use crate::runtime::export::paging::Paging;
use crate::value::document::BodyPath;
use crate::value::expression::Expression;
use crate::value::id::ConnectionId;
use crate::value::json::Json;
use crate::value::path::Path;
use crate::value::template::Template;
use std::num::NonZeroU32;

/// `[export]`
#[derive(Debug, Clone)]
pub struct Export {
    /// `name`: unique in its flow; `export` where there is one without.
    pub name: String,
    /// `connection`
    pub connection: ConnectionId,
    /// The request of each page.
    pub request: RequestSpec,
    /// The request from page 2 on, where `[export.paging.next]` makes it another.
    pub later: Option<Box<RequestSpec>>,
    /// `records`; none = the body.
    pub records: Option<BodyPath>,
    /// `records_optional`: an absent path is an empty page, not an error.
    pub records_optional: bool,
    /// `[[export.each]]`, in order; none = it is read once, not for each of something.
    pub each: Vec<Each>,
    /// `limit`: over all that is read of it.
    pub limit: Option<u64>,
    /// `[export.paging]`
    pub paging: Paging,
    /// `[export.delta]`
    pub delta: Option<Delta>,
    /// `[export.job]`: instead of a request per page.
    pub job: Option<Box<Report>>,
    /// `[export.once]`: tells the source of each record that was delivered.
    pub once: Option<RequestSpec>,
    /// `transform`
    pub transform: Option<Transform>,
    /// `keep`
    pub keep: Option<Expression>,
    /// `group_by`: records one after the other in which these are equal become one; empty = none do.
    pub group_by: Vec<Path>,
    /// `trace_key`: the same whenever the record is exported again.
    pub trace_key: Option<Template>,
    /// `link`: where people find the record.
    pub link: Option<Template>,
    /// Whether a request of this export reads `previous`: then a cursor must carry it.
    pub reads_previous: bool,
}

/// `[[export.each]]`: the export is read once for each of these.
#[derive(Debug, Clone)]
pub struct Each {
    /// `name`
    pub name: String,
    /// Where its keys come from.
    pub from: EachFrom,
    /// `batch`: so many keys at a time.
    pub batch: Option<NonZeroU32>,
    /// The blocks before it that it reads, by position: it is read anew for each of theirs.
    pub reads: Vec<usize>,
    /// Whether it reads `export.name`.
    pub reads_name: bool,
    /// Whether anything reads its records, not only their keys.
    pub whole: bool,
}

/// Where the keys of an `each` come from.
#[derive(Debug, Clone)]
pub enum EachFrom {
    /// `values`: a list.
    Values(Vec<Json>),
    /// `values`: an expression.
    Computed(Expression),
    /// A parent request, read like an export.
    Request {
        /// The request, its pages and records.
        parent: Box<Export>,
        /// `key`; none = `id`, or the record itself where that is no object.
        key: Option<Path>,
    },
}

impl Export {
    /// The connections it asks: its own, and those of its parents.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionId> {
        let parents = self.each.iter().filter_map(|each| match &each.from {
            EachFrom::Request { parent, .. } => Some(&parent.connection),
            EachFrom::Values(_) | EachFrom::Computed(_) => None,
        });
        std::iter::once(&self.connection).chain(parents)
    }

    /// Its delta, or one of its parents'.
    pub fn any_delta(&self) -> Option<&Delta> {
        let of_parents = self.each.iter().find_map(|each| match &each.from {
            EachFrom::Request { parent, .. } => parent.delta.as_ref(),
            EachFrom::Values(_) | EachFrom::Computed(_) => None,
        });
        self.delta.as_ref().or(of_parents)
    }

    /// The request of a page, numbered from 1.
    pub fn request_of(&self, page: u64) -> &RequestSpec {
        self.later.as_deref().filter(|_| page > 1).unwrap_or(&self.request)
    }

    /// Where the records of a page are; none = the body.
    pub fn records_of(&self, page: u64) -> Option<&BodyPath> {
        let next = self.paging.next.as_ref().filter(|_| page > 1);
        next.and_then(|next| next.records.as_ref()).or(self.records.as_ref())
    }
}
