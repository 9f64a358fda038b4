//! Secrets as a type: no Display, no Serialize, a Debug that says nothing. And the one redactor every text that
//! leaves the process passes.

use std::fmt;
use std::sync::Arc;

/// What stands in place of a secret, always the same width.
pub const MASK: &str = "[secret]";

/// A value that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }
    /// The value itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}
