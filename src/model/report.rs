//! `[export.job]`: a report that is ordered, waited for, and fetched.

use crate::http::request::RequestSpec;
use crate::value::document::BodyPath;
use crate::value::tree::Tree;
use std::time::Duration;

/// A valid `[export.job]`.
#[derive(Debug, Clone)]
pub struct Report {
    /// `create`: orders it. Its answer is `previous` in `poll`.
    pub create: RequestSpec,
    /// `poll`: asks how far it is.
    pub poll: RequestSpec,
    /// `download`; none = the answer that says it is done holds the records.
    pub download: Option<Download>,
    /// `status`: where a poll's answer says how far it is.
    pub status: BodyPath,
    /// `done`: its values when the report is there.
    pub done: Vec<String>,
    /// `failed`: its values when the report will never be there.
    pub failed: Vec<String>,
    /// `every`: between two polls.
    pub every: Duration,
    /// `timeout`: how long a report may take.
    pub timeout: Duration,
}

/// `[export.job.download]`
#[derive(Debug, Clone)]
pub struct Download {
    /// The request of each file.
    pub request: RequestSpec,
    /// `uri`: one, or a list, found in the answer of the last poll; none = `relative_uri`.
    pub uri: Option<Tree>,
    /// `auth = "none"`: credentials stay here.
    pub bare: bool,
}
