//! `refresh` under a method: the request that renews a token, and how its answer reads.

use super::errand::Errand;
use crate::value::document::BodyPath;
use crate::value::rule::Rule;
use crate::value::template::Template;
use std::time::Duration;

/// `[auth.<method>.refresh]`
#[derive(Debug, Clone)]
pub struct Refresh {
    /// The request.
    pub errand: Errand,
    /// `refresh_token`: the first one; a rotated one is kept.
    pub refresh_token: Option<Template>,
    /// How the answer reads.
    pub answer: TokenPaths,
}

/// Where things are in the answer to a token request.
#[derive(Debug, Clone)]
pub struct TokenPaths {
    /// `token_path`
    pub token: BodyPath,
    /// `refresh_token_path`
    pub refresh_token: BodyPath,
    /// `expires_in_path`, in seconds.
    pub expires_in: BodyPath,
    /// `expires_in`: the life when the answer tells none.
    pub life: Option<Duration>,
    /// `rejected`: the refresh token is worth nothing any more.
    pub rejected: Option<Rule>,
}
