//! The real wire: one `reqwest::Client` per connection, built at its first request.

use super::resolve::{Guarded, is_link_local};
use super::{BoxFuture, Phase, Transport, WireAnswer, WireError, WireRequest};
use crate::http::request::Method;
use futures_util::StreamExt;
use reqwest::tls::{TlsInfo, Version};
use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use url::{Host, Url};

/// Servers commonly drop idle connections after five seconds; a request written to one that is just being
/// dropped may or may not have arrived, so ours go first.
const IDLE: Duration = Duration::from_secs(4);
/// More headers than this in an answer are refused.
const MAX_HEADERS: usize = 256;

/// How a connection reaches the network.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// `connect_timeout`
    pub connect_timeout: Duration,
    /// Idle connections worth keeping: the pool's level.
    pub idle: usize,
    /// Whether TLS can occur at all. Without it the system's roots are not loaded, which is most of the time a
    /// client takes to build.
    pub tls: bool,
    /// A link-local address the configuration itself names, as the base's literal host.
    pub link_local: Option<Host<String>>,
}

/// One HTTP client with its own connections.
pub struct ReqwestTransport {
    wiring: Wiring,
    client: OnceLock<Result<reqwest::Client, String>>,
    /// Version of TLS of the last answer.
    tls: Mutex<Option<&'static str>>,
}

impl ReqwestTransport {
    /// Prepares; nothing is opened or loaded before the first request.
    pub fn new(base: &Url, foreign_tls: bool, connect_timeout: Duration, level: u32) -> Self {
        let wiring = Wiring {
            connect_timeout,
            idle: usize::try_from(level).unwrap_or(usize::MAX),
            tls: foreign_tls || base.scheme() == "https",
            link_local: base.host().map(|h| h.to_owned()),
        };
        Self { wiring, client: OnceLock::new(), tls: Mutex::default() }
    }

    fn client(&self) -> Result<&reqwest::Client, WireError> {
        self.client
            .get_or_init(|| build(&self.wiring))
            .as_ref()
            .map_err(|message| WireError::new(Phase::Connect, message.clone()))
    }

    /// Names are guarded when they resolve; an address written as such never resolves.
    fn check_literal(&self, url: &Url) -> Result<(), WireError> {
        let host = url.host().map(|h| h.to_owned());
        let ip = match &host {
            Some(Host::Ipv4(ip)) => (*ip).into(),
            Some(Host::Ipv6(ip)) => (*ip).into(),
            _ => return Ok(()),
        };
        if is_link_local(ip) && host != self.wiring.link_local {
            return Err(WireError::new(Phase::Connect, format!("the link-local address {ip} is refused")));
        }
        Ok(())
    }
}

/// The process-wide TLS provider, installed once: building a client without one panics.
fn install_provider() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // An error means that somebody installed one before us, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn build(wiring: &Wiring) -> Result<reqwest::Client, String> {
    install_provider();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("flowgate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .tcp_nodelay(true)
        .tls_info(true)
        .connect_timeout(wiring.connect_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(wiring.idle)
        .dns_resolver(std::sync::Arc::new(Guarded));
    if !wiring.tls {
        builder = builder.tls_certs_only(std::iter::empty());
    }
    builder.build().map_err(|error| format!("no HTTP client could be built: {}", chain(&error)))
}

impl Transport for ReqwestTransport {
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireAnswer, WireError>> {
        Box::pin(async move {
            self.check_literal(&request.url)?;
            let mut wire = reqwest::Request::new(method(request.method), request.url);
            *wire.headers_mut() = request.headers;
            *wire.body_mut() = request.body.map(reqwest::Body::from);
            let answer = self.client()?.execute(wire).await.map_err(|e| wire_error(e, Phase::Sent))?;
            let version = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::version).map(version);
            *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = version;
            Ok(WireAnswer {
                status: answer.status().as_u16(),
                headers: answer.headers().clone(),
                length: answer.content_length(),
                body: answer.bytes_stream().map(|part| part.map_err(|e| wire_error(e, Phase::Body))).boxed(),
            })
        })
    }

    fn tls(&self) -> Option<&'static str> {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::TLS_1_3 => "1.3",
        Version::TLS_1_2 => "1.2",
        _ => "older than 1.2",
    }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// The one place where reqwest's errors become text: they carry the whole URL, query credentials included.
fn wire_error(error: reqwest::Error, phase: Phase) -> WireError {
    let phase = match phase {
        Phase::Sent if error.is_connect() || error.is_builder() => Phase::Connect,
        Phase::Body if bad_encoding(&error) => Phase::Decode,
        other => other,
    };
    let what = match phase {
        Phase::Connect => "cannot connect",
        Phase::Sent => "the connection broke before the answer",
        Phase::Body => "the connection broke within the answer",
        Phase::Decode => "the answer is not encoded as its content-encoding says",
    };
    let error = error.without_url();
    let causes = error.source().map(chain).unwrap_or_default();
    WireError::new(phase, if causes.is_empty() { what.to_owned() } else { format!("{what}: {causes}") })
}

fn bad_encoding(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput))
    })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// All causes: the first alone says nothing about TLS failures.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        let _ = write!(text, "{}{cause}", if text.is_empty() { "" } else { ": " });
    }
    text
}
