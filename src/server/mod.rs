//! `/metrics`, `/healthz`, `/readyz`: what monitoring asks, reads only; `/api/…`: what people and their pages ask; `/`: the
//! page they ask it with; `/agent`: where agents come in; `/hooks/…`: where payloads do.
//!
//! `gate` decides who may ask, `accept` keeps the door, this file says what there is.

mod accept;
mod agents;
mod api;
mod dashboard;
mod gate;
mod hall;
mod hooks;
mod refusals;
mod tls;

pub use accept::{BindError, Server, ServerHandle};
pub use tls::Shown;

use crate::agent::Hub;
use crate::model::agent::AgentToken;
use crate::model::settings::{Public, ServerTls, Settings};
use crate::observe::recorder::{self, Live};
use crate::runtime::supervisor::Supervisor;
use crate::store::socket::Answers;
use crate::value::secret::Secret;
use crate::value::time::SharedClock;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::stream;
use gate::Gate;
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{Semaphore, broadcast};

/// Where the server listens and who may ask what.
#[derive(Debug, Clone)]
pub struct Doors {
    /// `[server] listen`
    pub listen: SocketAddr,
    /// `[server] token`; asked of everybody once it is set, but for `public`.
    pub token: Option<Secret>,
    /// Opens what always needs a token, where none is configured: this process made it.
    pub own_token: Option<Secret>,
    /// `[server] public`
    pub public: Vec<Public>,
    /// `[server] hosts`
    pub hosts: Vec<String>,
    /// `[server.tls]`
    pub tls: Option<ServerTls>,
    /// `[agents.<name>]`: each brings a token of its own.
    pub agents: Vec<AgentToken>,
}

impl TryFrom<&Settings> for Doors {
    type Error = BindError;

    /// A token that is asked for but cannot be read opens no door.
    fn try_from(settings: &Settings) -> Result<Self, BindError> {
        let token = settings.token.clone().transpose().map_err(BindError::TokenUnreadable)?;
        Ok(Self {
            listen: settings.listen,
            token,
            own_token: None,
            public: settings.public.clone(),
            hosts: settings.hosts.clone(),
            tls: settings.tls.clone(),
            agents: settings.agents.clone(),
        })
    }
}

/// Whether new work is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// A snapshot is in force.
    Ready,
    /// None yet.
    Starting,
    /// On the way out.
    Draining,
    /// The state takes no writes, and why: runs wait.
    Failing(String),
}

/// One thing that happened, as it is told to those who follow.
#[derive(Debug, Clone)]
pub struct LiveEvent {
    /// Its kind: one word.
    pub kind: &'static str,
    /// JSON on one line.
    pub data: Arc<str>,
}

/// Where events come from.
pub type Feed = broadcast::Receiver<LiveEvent>;

/// What the server asks the running process.
pub trait StatusSource: Send + Sync + 'static {
    /// For `/readyz`.
    fn readiness(&self) -> Readiness;
    /// Whose series `/metrics` shows.
    fn live(&self) -> Live;
    /// Who takes what comes to webhooks.
    fn supervisor(&self) -> Option<Supervisor> {
        None
    }
    /// Who answers the questions of the API.
    fn answers(&self) -> Option<&dyn Answers> {
        None
    }
    /// What happens, from now on.
    fn feed(&self) -> Option<Feed> {
        None
    }
    /// Sets gauges that nobody keeps current by itself, such as ages.
    fn before_scrape(&self) {}
}

#[derive(Clone)]
struct App {
    source: Arc<dyn StatusSource>,
    clock: SharedClock,
    /// Memory for bodies on their way in.
    room: Arc<Semaphore>,
    /// Places for those who follow events.
    seats: Arc<Semaphore>,
}

fn router(doors: &Doors, source: Arc<dyn StatusSource>, hub: Arc<Hub>, clock: SharedClock) -> Router {
    let gate = Arc::new(Gate::new(doors, clock.clone()));
    let agents = agents::router(doors, hub, clock.clone());
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/hooks/{*path}", any(hooks::call))
        .merge(api::router())
        .merge(dashboard::router())
        .fallback(nothing)
        .method_not_allowed_fallback(reads_only)
        .with_state(App { source, clock, room: hooks::room(), seats: api::seats() })
        .merge(agents)
        .layer(axum::middleware::from_fn_with_state(gate, gate::keep))
}

/// For agents only.
fn agents_only(doors: &Doors, hub: Arc<Hub>, clock: SharedClock) -> Router {
    let gate = Arc::new(Gate::new(doors, clock.clone()));
    agents::router(doors, hub, clock)
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "this is `flowgate run`: only agents come in here") })
        .layer(axum::middleware::from_fn_with_state(gate, gate::keep))
}

async fn metrics(State(app): State<App>) -> Response {
    app.source.before_scrape();
    let families = recorder::render(&app.source.live());
    let length = families.iter().map(String::len).sum::<usize>();
    // Sent as they are: with many flows they are too long to be copied into one text.
    let body = Body::from_stream(stream::iter(families.into_iter().map(Ok::<_, Infallible>)));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, length.into())], body).into_response()
}

async fn health() -> Response {
    axum::Json(json!({ "status": "ok" })).into_response()
}

async fn ready(State(app): State<App>) -> Response {
    match app.source.readiness() {
        Readiness::Ready => axum::Json(json!({ "status": "ready" })).into_response(),
        Readiness::Starting => refuse(StatusCode::SERVICE_UNAVAILABLE, "no snapshot is in force yet"),
        Readiness::Draining => refuse(StatusCode::SERVICE_UNAVAILABLE, "draining: no new runs are started"),
        Readiness::Failing(why) => refuse(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

async fn nothing() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "there is / for people, /metrics, /healthz, /readyz, and what /api/openapi.json lists",
    )
}

async fn reads_only() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "this method is not answered here: see the header `allow`")
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, axum::Json(json!({ "status": "refused", "reason": reason }))).into_response()
}

#[cfg(test)]
mod tests;
