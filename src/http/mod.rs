//! One request, one answer. Nothing here sends without a `Permit`.
//!
//! `request` renders, `auth` proves, `transport` sends, `body` reads, `verdict` judges; `attempt` does one round of
//! that and `exchange` repeats it until the outcome is final.

mod allowance;
mod attempt;
pub mod auth;
mod body;
mod budget;
mod carried;
pub mod client;
mod credentials;
mod excerpt;
pub mod exchange;
mod headers;
pub mod login;
pub mod media;
pub mod on;
pub mod outward;
mod pauses;
pub mod ping;
mod query;
mod redirect;
pub mod request;
pub mod retry;
mod retry_after;
mod ruled;
mod session;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod transport;
pub mod verdict;

/// Reads a `Retry-After` of any bytes in every unit, for fuzzing.
#[cfg(feature = "torture")]
pub(crate) fn fuzz_retry_after(data: &[u8]) {
    retry_after::fuzz(data);
}

/// Reads any bytes as an answer in every media type, packed and not, and writes what was read, for fuzzing.
#[cfg(feature = "torture")]
pub(crate) fn fuzz_media(data: &[u8]) {
    media::fuzz::fuzz(data);
}
