//! Who may ask: only those who name us by a name we know, and bring the token where one is needed.
//!
//! The names keep out web pages that point their own name at our address; the token keeps out everybody else.

use super::{Doors, hooks, refuse};
use crate::model::settings::Public;
use crate::value::secret::Secret;
use crate::value::time::SharedClock;
use crate::value::token;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header, uri::Authority};
use axum::middleware::Next;
use axum::response::Response;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer to a wrong token takes: with the cap on connections, this bounds guessing.
const WRONG_TOKEN_DELAY: Duration = Duration::from_millis(250);

/// The address a request came in at, put there by `accept`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalAddress(pub(super) SocketAddr);

/// The address it came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerAddress(pub(super) SocketAddr);

pub(super) struct Gate {
    token: Option<Secret>,
    public: Vec<Public>,
    hosts: Vec<String>,
    clock: SharedClock,
}

impl Gate {
    pub(super) fn new(doors: &Doors, clock: SharedClock) -> Self {
        Self {
            token: doors.token.clone(),
            public: doors.public.clone(),
            hosts: doors.hosts.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect(),
            clock,
        }
    }

    /// Loopback, the very address the request came in at, or a configured name; the port plays no part.
    fn knows(&self, host: &str, local: Option<IpAddr>) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        match literal {
            Some(ip) if ip.is_loopback() || Some(ip) == local => true,
            _ => host == "localhost" || self.hosts.contains(&host),
        }
    }

    /// Whether this path is open to everybody the gate knows by name.
    fn open(&self, path: &str) -> bool {
        let needed = match path {
            "/metrics" => Public::Metrics,
            "/healthz" | "/readyz" => Public::Health,
            // Agents bring tokens of their own, which are asked for there.
            crate::agent::PATH => return true,
            path if path.starts_with(hooks::ROOT) => Public::Webhooks,
            _ => return self.token.is_none(),
        };
        self.token.is_none() || self.public.contains(&needed)
    }

    fn admits(&self, request: &Request) -> bool {
        let bearer = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        matches!((bearer, &self.token), (Some(bearer), Some(token)) if token::same(bearer, token))
    }
}

/// Lets through, or refuses; marks every answer as not to be guessed at or kept.
pub(super) async fn keep(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let mut response = judge(&gate, request, next).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn judge(gate: &Gate, request: Request, next: Next) -> Response {
    let local = request.extensions().get::<LocalAddress>().map(|local| local.0.ip());
    if !named_host(&request).is_some_and(|host| gate.knows(&host, local)) {
        let reason = "this server is not known by that name: add it to `[server] hosts`";
        return refuse(StatusCode::MISDIRECTED_REQUEST, reason);
    }
    if gate.open(request.uri().path()) || gate.admits(&request) {
        return next.run(request).await;
    }
    gate.clock.sleep_until(gate.clock.mono().plus(WRONG_TOKEN_DELAY)).await;
    let mut response = refuse(StatusCode::UNAUTHORIZED, "the token of `[server] token` is needed");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// The one host the request names; none when it names none, several, or no host at all.
fn named_host(request: &Request) -> Option<String> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next()?.to_str().ok()?, hosts.next());
    if more.is_some() {
        return None;
    }
    let named = host.parse::<Authority>().ok().filter(|authority| !authority.as_str().contains('@'))?;
    // An absolute target overrides the header: both must be the same.
    match Uri::host(request.uri()) {
        Some(target) if !target.eq_ignore_ascii_case(named.host()) => None,
        _ => Some(named.host().to_owned()),
    }
}
