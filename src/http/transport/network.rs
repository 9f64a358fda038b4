//! The real wire: one `reqwest::Client` per connection, built at its first request.

use super::failure::{Sent, chain};
use super::proxy::{Proxy, ProxyServer};
use super::resolve::{Guarded, is_link_local};
use super::tls::Tls;
use super::{BoxFuture, Phase, Transport, WireAnswer, WireError, WireRequest};
use crate::agent::Route;
use crate::http::client::ClientSettings;
use crate::http::request::Method;
use crate::value::uri::{OriginPattern, credentials_may_go};
use futures_util::StreamExt;
use reqwest::tls::{TlsInfo, Version};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Whether TLS can occur at all.
    pub tls_occurs: bool,
    /// `[tls]`
    pub tls: Tls,
    /// `proxy`
    pub proxy: Proxy,
    /// Where requests go; its literal host may be a link-local address.
    pub base: Url,
    /// Where else data may lead them.
    pub allowed: Vec<OriginPattern>,
}

impl Wiring {
    /// As a connection's settings say.
    pub fn of(settings: &ClientSettings) -> Self {
        // Names of other origins need TLS unless they say http; where a token endpoint is, is known only later.
        let foreign_tls = settings.auth.renewal().is_some()
            || settings.allowed_origins.iter().any(|origin| !origin.source.starts_with("http://"));
        Self {
            connect_timeout: connect_within(settings),
            idle: usize::try_from(settings.level).unwrap_or(usize::MAX),
            tls_occurs: foreign_tls || settings.base_uri.scheme() == "https",
            tls: settings.tls.clone(),
            proxy: settings.proxy.clone(),
            base: settings.base_uri.clone(),
            allowed: settings.allowed_origins.clone(),
        }
    }

    /// Whether a URL leads to strangers: to an origin that data may lead to and credentials may not. Token endpoints
    /// are none, they stand in the configuration.
    fn is_strange(&self, url: &Url) -> bool {
        !credentials_may_go(url, &self.base, &self.allowed) && self.allowed.iter().any(|origin| origin.matches(url))
    }
}

/// Longest time for a connection to come about: always well before the whole attempt is given up, because only then
/// it is known that no byte of the request left.
fn connect_within(settings: &ClientSettings) -> Duration {
    settings.connect_timeout.min(settings.timeout / 5 * 4)
}

/// A client, and the agents it was built for.
type Kept = Mutex<Option<(u64, Result<reqwest::Client, String>)>>;

/// One HTTP client with its own connections.
pub struct ReqwestTransport {
    wiring: Arc<Wiring>,
    client: Kept,
    /// The same without a client certificate, for strangers.
    nameless: Kept,
    /// The agent that carries the requests.
    route: Option<Route>,
    /// Version of TLS of the last answer.
    tls: Mutex<Option<&'static str>>,
}

impl ReqwestTransport {
    /// Prepares; nothing is opened or loaded before the first request.
    pub fn new(wiring: Wiring) -> Self {
        let (client, nameless) = (Kept::default(), Kept::default());
        Self { wiring: Arc::new(wiring), client, nameless, route: None, tls: Mutex::default() }
    }

    /// The same through an agent.
    #[must_use]
    pub fn through(self, route: Option<Route>) -> Self {
        Self { route, ..self }
    }

    /// When an agent comes or goes, connections made before are let go, each with the request it carries: they may
    /// lead through one that is leaving, and pass by one that is new.
    fn client(&self, url: &Url) -> Result<reqwest::Client, WireError> {
        let nameless = self.wiring.tls.identity.is_some() && self.wiring.is_strange(url);
        let kept = if nameless { &self.nameless } else { &self.client };
        let epoch = self.route.as_ref().map_or(0, Route::epoch);
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let built = match kept.take() {
            Some((of, built)) if of == epoch => built,
            _ if nameless => {
                let tls = Tls { identity: None, ..self.wiring.tls.clone() };
                build(&self.wiring, &tls, self.route.as_ref())
            }
            _ => build(&self.wiring, &self.wiring.tls, self.route.as_ref()),
        };
        kept.insert((epoch, built)).1.clone().map_err(|message| WireError::new(Phase::Connect, message))
    }

    /// A client whose agent cannot reach the server only sees that it is so.
    fn explained(&self, error: WireError, url: &Url) -> WireError {
        let (Phase::Connect, Some(route)) = (error.phase, &self.route) else { return error };
        let why = url.host_str().zip(url.port_or_known_default()).and_then(|(host, port)| route.why(host, port));
        match why {
            Some(why) => WireError::new(if why.lasting { Phase::Barred } else { Phase::Connect }, why.text),
            None => error,
        }
    }

    /// Names are guarded when they resolve; an address written as such never resolves.
    fn check_literal(&self, url: &Url) -> Result<(), WireError> {
        let host = url.host().map(|h| h.to_owned());
        let ip = match &host {
            Some(Host::Ipv4(ip)) => (*ip).into(),
            Some(Host::Ipv6(ip)) => (*ip).into(),
            _ => return Ok(()),
        };
        if is_link_local(ip) && host.as_ref() != self.wiring.base.host().map(|host| host.to_owned()).as_ref() {
            return Err(WireError::new(Phase::Connect, format!("the link-local address {ip} is refused")));
        }
        Ok(())
    }
}

fn build(wiring: &Wiring, tls: &Tls, route: Option<&Route>) -> Result<reqwest::Client, String> {
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
        .dns_resolver(Arc::new(Guarded))
        .tls_backend_preconfigured(tls.config(wiring.tls_occurs)?);
    if let Some(route) = route {
        let way = reqwest::Proxy::all(route.proxy()?).map_err(|_| "the way to the agent cannot be used")?;
        builder = builder.proxy(way);
    } else if !matches!(wiring.proxy, Proxy::None) {
        // The client asks a proxy for every request, so none is none.
        let proxy = wiring.proxy.clone();
        builder = builder.proxy(reqwest::Proxy::custom(move |url| proxy.of(url).map(ProxyServer::with_login)));
    }
    builder.build().map_err(|error| format!("no HTTP client could be built: {}", chain(&error)))
}

impl Transport for ReqwestTransport {
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireAnswer, WireError>> {
        Box::pin(async move {
            self.check_literal(&request.url)?;
            let wiring = self.wiring.clone();
            let proxy = wiring.proxy.of(&request.url).filter(|_| self.route.is_none()).cloned();
            let forwarded = proxy.as_ref().is_some_and(ProxyServer::forwards) && request.url.scheme() == "http";
            let url = request.url.clone();
            let client = self.client(&url)?;
            let mut wire = reqwest::Request::new(method(request.method), request.url);
            *wire.headers_mut() = request.headers;
            *wire.body_mut() = request.body.map(reqwest::Body::from);
            let sent = Sent { wiring, proxy };
            let answer = client.execute(wire).await;
            let answer = answer.map_err(|error| self.explained(sent.explain(error, Phase::Sent), &url))?;
            if forwarded && answer.status() == reqwest::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                return Err(sent.wants_login());
            }
            let version = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::version).map(version);
            *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = version;
            Ok(WireAnswer {
                status: answer.status().as_u16(),
                headers: answer.headers().clone(),
                length: answer.content_length(),
                body: answer
                    .bytes_stream()
                    .map(move |part| part.map_err(|error| sent.explain(error, Phase::Body)))
                    .boxed(),
            })
        })
    }

    fn route(&self) -> Option<&Route> {
        self.route.as_ref()
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
