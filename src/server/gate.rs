//! Who may ask: only those who name us by a name we know, and bring the token where one is needed.
//!
//! The names keep out web pages that point their own name at our address; the token keeps out everybody else.

use super::refusals::Refusals;
use super::{Doors, api, dashboard, hooks, refuse};
use crate::model::settings::Public;
use crate::observe::meters::Refused;
use crate::value::secret::Secret;
use crate::value::time::SharedClock;
use crate::value::token;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header, uri::Authority};
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
    own_token: Option<Secret>,
    public: Vec<Public>,
    hosts: Vec<String>,
    clock: SharedClock,
    refusals: Refusals,
}

impl Gate {
    pub(super) fn new(doors: &Doors, clock: SharedClock) -> Self {
        Self {
            token: doors.token.clone(),
            own_token: doors.own_token.clone(),
            public: doors.public.clone(),
            hosts: doors.hosts.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect(),
            refusals: Refusals::new(clock.clone()),
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

    /// Whether this request is open to everybody the gate knows by name.
    fn open(&self, request: &Request) -> bool {
        let needed = match request.uri().path() {
            "/metrics" => Public::Metrics,
            "/healthz" | "/readyz" => Public::Health,
            // Agents bring tokens of their own, which are asked for there.
            crate::agent::PATH => return true,
            path if path.starts_with(hooks::ROOT) => Public::Webhooks,
            path if dashboard::is_asset(request.method(), path) => return true,
            // Changes and records are open to nobody without a token, wherever this listens.
            _ => return self.token.is_none() && api::key_of(request) != Some(api::Key::Change),
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
        let known = self.token.as_ref().or(self.own_token.as_ref());
        matches!((bearer, known), (Some(bearer), Some(token)) if token::same(bearer, token))
    }
}

/// What every answer says of itself: not to be guessed at, framed, or used by pages of other sites.
const MARKS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];
/// Nothing is kept. An answer that may be says so itself.
const FRESH: &str = "no-store";
/// Nothing in an answer is to be run, loaded or framed. An answer that is a page says what it needs itself.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Lets through, or refuses.
pub(super) async fn keep(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let mut response = judge(&gate, request, next).await;
    let headers = response.headers_mut();
    for (name, value) in MARKS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(FRESH));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    response
}

async fn judge(gate: &Gate, request: Request, next: Next) -> Response {
    let local = request.extensions().get::<LocalAddress>().map(|local| local.0.ip());
    let from = request.extensions().get::<PeerAddress>().map(|peer| peer.0.ip());
    if !named_host(&request).is_some_and(|host| gate.knows(&host, local)) {
        gate.refusals.count(Refused::Host, from);
        let reason = "this server is not known by that name: add it to `[server] hosts`";
        return refuse(StatusCode::MISDIRECTED_REQUEST, reason);
    }
    let key = api::key_of(&request);
    if let Some((why, refusal)) = key.and_then(|_| api::refuse_foreign(&request)) {
        gate.refusals.count(why, from);
        return refusal;
    }
    if gate.open(&request) || gate.admits(&request) {
        return next.run(request).await;
    }
    let guessed = request.headers().contains_key(header::AUTHORIZATION);
    gate.refusals.count(if guessed { Refused::WrongToken } else { Refused::NoToken }, from);
    gate.clock.sleep_until(gate.clock.mono().plus(WRONG_TOKEN_DELAY)).await;
    let reason = if gate.token.is_some() {
        "the token of `[server] token` is needed"
    } else {
        "a token is needed: `[server] token`, or the one in the file `api-token` of the state directory"
    };
    let mut response = refuse(StatusCode::UNAUTHORIZED, reason);
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
