//! What an answer means: FORMAT.md's order of judgement over the one rule matcher.

use crate::value::path::Path;
use crate::value::rule::Rule;
use std::time::Duration;

/// `response = { success, failure, error_path }`
#[derive(Debug, Clone, Default)]
pub struct ResponseRules {
    /// `success`
    pub success: Option<Rule>,
    /// `failure`
    pub failure: Option<Rule>,
    /// `error_path`
    pub error_path: Option<Path>,
}

/// `[rate_limit]`
#[derive(Debug, Clone)]
pub struct RateLimit {
    /// Statuses, path, values beside 429 and 503 with Retry-After.
    pub rule: Option<Rule>,
    /// Looked at before `Retry-After`.
    pub retry_after_header: Option<String>,
    /// How its number reads.
    pub retry_after_unit: RetryAfterUnit,
    /// Longest pause.
    pub max_pause: Duration,
    /// Shortest pause.
    pub min_pause: Duration,
    /// Who waits.
    pub scope: crate::queue::limits::PauseScope,
}

/// `retry_after_unit`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryAfterUnit {
    /// Seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Millis,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
}

/// `[auth_failure]`
#[derive(Debug, Clone)]
pub struct AuthFailure {
    /// The rule beside 401.
    pub rule: Option<Rule>,
    /// `count_401`
    pub count_401: bool,
}
