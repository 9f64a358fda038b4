//! Where records go.

use crate::http::request::RequestSpec;
use crate::value::id::ConnectionId;
use crate::value::template::Template;
use std::num::NonZeroU32;

/// `[import]`
#[derive(Debug, Clone)]
pub struct Import {
    /// `connection`
    pub connection: ConnectionId,
    /// The request; its `body` absent = the record itself.
    pub request: RequestSpec,
    /// `batch_size`
    pub batch_size: NonZeroU32,
    /// `wrap`
    pub wrap: Option<String>,
    /// `idempotency_key`
    pub idempotency_key: Option<Template>,
    /// `idempotency_header`
    pub idempotency_header: String,
}
