//! `/agent`: where agents come in. Each brings its own token; what it is for is decided in `agent`.

use super::gate::PeerAddress;
use super::{Doors, refuse};
use crate::agent::{Hub, NAME_HEADER, PATH, PROTOCOL};
use crate::model::agent::AgentToken;
use crate::observe::meters::{DoorMeters, Refused};
use crate::observe::{event, task};
use crate::value::time::SharedClock;
use crate::value::token;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer to a wrong token takes: with the cap on connections, this bounds guessing.
const WRONG_TOKEN_DELAY: Duration = Duration::from_millis(500);

struct Agents {
    known: Vec<AgentToken>,
    hub: Arc<Hub>,
    clock: SharedClock,
    meters: DoorMeters,
}

/// The route, where there are agents at all.
pub(super) fn router(doors: &Doors, hub: Arc<Hub>, clock: SharedClock) -> Router {
    if doors.agents.is_empty() {
        return Router::new();
    }
    let known = doors.agents.clone();
    Router::new().route(PATH, get(enter)).with_state(Arc::new(Agents { known, hub, clock, meters: DoorMeters::take() }))
}

async fn enter(State(agents): State<Arc<Agents>>, mut request: Request) -> Response {
    let from = request.extensions().get::<PeerAddress>().copied();
    let Some(PeerAddress(from)) = from else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "the caller has no address");
    };
    let Some(name) = agents.recognise(request.headers()) else {
        agents.meters.refused(Refused::AgentToken);
        event::agent_refused(&from.to_string(), "a token that no agent has");
        agents.clock.sleep_until(agents.clock.mono().plus(WRONG_TOKEN_DELAY)).await;
        return refuse(StatusCode::UNAUTHORIZED, "the token is that of no agent in `flowgate.toml`");
    };
    let asks = |header| request.headers().get(header).and_then(|value| value.to_str().ok());
    if !asks(header::UPGRADE).is_some_and(|asked| asked.eq_ignore_ascii_case(PROTOCOL)) {
        let mut response = refuse(StatusCode::UPGRADE_REQUIRED, "only `flowgate agent` comes in here");
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
        return response;
    }
    let (Some(place), Ok(shown)) = (agents.hub.place(&name), HeaderValue::from_str(&name)) else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "this agent is connected as often as it may be");
    };
    let hub = agents.hub.clone();
    let upgrade = hyper::upgrade::on(&mut request);
    task::spawn("agent", async move {
        if let Ok(io) = upgrade.await {
            hub.attach(&name, TokioIo::new(io), from, place).await;
        }
    });
    let answer = [
        (header::CONNECTION.as_str(), HeaderValue::from_static("upgrade")),
        (header::UPGRADE.as_str(), HeaderValue::from_static(PROTOCOL)),
        (NAME_HEADER, shown),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, answer, Body::empty()).into_response()
}

impl Agents {
    /// All tokens are compared, so that the time tells nothing.
    fn recognise(&self, headers: &HeaderMap) -> Option<String> {
        let said = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (_, guess) = said.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))?;
        let mut found = None;
        for AgentToken { name, token } in &self.known {
            if token.as_ref().is_ok_and(|token| token::same(guess.trim(), token)) {
                found = Some(name.clone());
            }
        }
        found
    }
}
