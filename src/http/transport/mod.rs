//! The wire, behind a trait so that tests and simulations can stand in. One call is one HTTP request: no
//! redirects, no retries, no credentials of its own.

mod failure;
mod network;
mod proxy;
mod resolve;
mod tls;

pub use network::{ReqwestTransport, Wiring};
pub use proxy::{Exempt, Proxy, ProxyServer};
pub use tls::Tls;

use super::request::Method;
use crate::agent::Route;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use reqwest::header::HeaderMap;
use std::future::Future;
use std::pin::Pin;
use url::Url;

/// A boxed future, so that transports can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends one request and gives back its answer with the body still on the wire.
pub trait Transport: Send + Sync + 'static {
    /// Sends. Dropping the future, or the answer's body, closes the connection it used.
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireAnswer, WireError>>;

    /// The agent that carries the requests, where they do not leave from here.
    fn route(&self) -> Option<&Route> {
        None
    }

    /// The version of TLS the last answer came over, where there was one.
    fn tls(&self) -> Option<&'static str> {
        None
    }
}

/// Exactly what leaves: credentials included. No Debug, so that it cannot be logged.
pub struct WireRequest {
    /// Method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// All headers but those the transport must write itself.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
}

/// Status and headers, with the body to come.
pub struct WireAnswer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// How many bytes the server promised, when it did and they are not encoded.
    pub length: Option<u64>,
    /// The decoded body.
    pub body: BoxStream<'static, Result<Bytes, WireError>>,
}

/// What the wire could not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// When it happened.
    pub phase: Phase,
    /// What happened; never a URL.
    pub message: String,
}

/// How far a request got before the wire failed: decides whether it may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No byte of the request left.
    Connect,
    /// No byte left, and none will until somebody changes a file.
    Barred,
    /// Some bytes may have left.
    Sent,
    /// The answer's body broke off.
    Body,
    /// The answer's body cannot be decoded as its headers say.
    Decode,
}

impl WireError {
    /// An error of a phase.
    pub fn new(phase: Phase, message: impl Into<String>) -> Self {
        Self { phase, message: message.into() }
    }
}
