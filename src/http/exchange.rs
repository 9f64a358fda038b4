//! One request from first attempt to final outcome: send, judge, pause or back off, send again with the same
//! ticket.

use super::client::Client;
use super::request::Prepared;
use super::verdict::ResponseRules;
use crate::queue::Permit;
use crate::value::json::Json;
use bytes::Bytes;
use url::Url;

/// A successful answer.
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Response headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as received (decoded).
    pub body: Bytes,
    /// The body as checked JSON when the media type or the rules need it; an empty body is none.
    pub json: Option<Json>,
    /// The final URL after redirects, without credentials.
    pub url: Url,
    /// Attempts it took.
    pub attempts: u32,
}

/// How a request failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The server refused it; never retried by itself.
    Rejected,
    /// Connect errors, timeouts, server faults, attempts used up; nothing was taken.
    Unreachable,
    /// A write that may or may not have arrived.
    Unknown,
    /// Authentication refused.
    Auth,
    /// The answer could not be read: not JSON, too large, cut off.
    Unreadable,
    /// The queue closed.
    Cancelled,
}

/// A failed request, with what a person needs to see.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Class.
    pub class: FailureClass,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// `error_path`'s text or a capped, redacted excerpt; never a URL with credentials.
    pub message: String,
    /// Method and redacted URL.
    pub request: String,
    /// Attempts made.
    pub attempts: u32,
}

impl Client {
    /// Sends until the outcome is final. The permit is given back when this returns.
    pub async fn exchange(
        &self,
        _permit: Permit,
        _request: &Prepared,
        _rules: Option<&ResponseRules>,
        _want_json: bool,
    ) -> Result<Answer, Failure> {
        todo!()
    }
}
