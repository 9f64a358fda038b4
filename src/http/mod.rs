//! One request, one answer. Nothing here sends without a `Permit`.

pub mod auth;
pub mod body;
pub mod client;
pub mod exchange;
pub mod request;
pub mod retry;
pub mod retry_after;
pub mod transport;
pub mod verdict;
