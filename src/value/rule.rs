//! The one matcher of FORMAT.md section 0, used by response, rate limit, auth failure and paging stops.

use super::context::Context;
use super::expression::Expression;
use super::issue::EvalError;
use super::json::JsonRef;
use super::path::Path;

/// `{ status, path, values, text, when }`; all given tests must hold.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Accepted statuses; empty = any.
    pub status: Vec<StatusRange>,
    /// Where to look in the body.
    pub path: Option<Path>,
    /// Accepted values as exact text; empty with a path = present and truthy.
    pub values: Vec<String>,
    /// Must occur in the body text.
    pub text: Option<String>,
    /// A condition.
    pub when: Option<Expression>,
}

/// `404`, or `"5xx"` as 500..=599.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// First status.
    pub from: u16,
    /// Last status.
    pub to: u16,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// The response status.
    pub status: u16,
    /// The body when it is JSON.
    pub json: Option<JsonRef<'a>>,
    /// The body as text (lossless when UTF-8).
    pub text: &'a str,
}

impl Rule {
    /// Whether all tests hold. Missing paths are "no match"; other evaluation errors are returned.
    pub fn matches(&self, _answer: Judged<'_>, _ctx: &Context<'_>) -> Result<bool, EvalError> {
        todo!()
    }
}
