//! Where records come from.

use crate::http::request::RequestSpec;
use crate::runtime::export::paging::Paging;
use crate::value::document::BodyPath;
use crate::value::expression::Expression;
use crate::value::id::ConnectionId;
use crate::value::template::Template;
use crate::value::tree::Tree;

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
    /// `limit`
    pub limit: Option<u64>,
    /// `[export.paging]`
    pub paging: Paging,
    /// `transform.create`
    pub create: Option<Tree>,
    /// `keep`
    pub keep: Option<Expression>,
    /// `trace_key`: the same whenever the record is exported again.
    pub trace_key: Option<Template>,
    /// `link`: where people find the record.
    pub link: Option<Template>,
    /// Whether a request of this export reads `previous`: then a cursor must carry it.
    pub reads_previous: bool,
}

impl Export {
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
