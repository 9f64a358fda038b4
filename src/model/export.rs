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
    /// `connection`
    pub connection: ConnectionId,
    /// The request of each page.
    pub request: RequestSpec,
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
