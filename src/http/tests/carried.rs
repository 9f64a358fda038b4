//! Requests that leave through an agent, while none is there.

use crate::agent::Hub;
use crate::http::client::{Client, Means};
use crate::http::exchange::{Failure, FailureClass};
use crate::http::request::Method;
use crate::http::testing::{Bench, Play, answer, request, settings};
use crate::http::tokens::{MemoryTokens, Tokens, WhenRefused};
use crate::http::transport::{BoxFuture, Phase, Transport, WireAnswer, WireError, WireRequest};
use crate::observe::meters::ConnectionMeters;
use crate::value::id::ConnectionId;
use crate::value::time::SeededRng;
use std::sync::Arc;
use std::time::Duration;

const BASE: &str = "https://erp.internal/";

/// A script behind an agent that is not there.
struct Behind(Arc<dyn Transport>, crate::agent::Route);

impl Transport for Behind {
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireAnswer, WireError>> {
        self.0.send(request)
    }
    fn route(&self) -> Option<&crate::agent::Route> {
        Some(&self.1)
    }
}

fn behind(bench: &Bench, when_refused: WhenRefused) -> Arc<Client> {
    let rng = SeededRng::seeded(7);
    let route = Hub::open(["warehouse".to_owned()], &bench.clock, &rng).route("warehouse");
    let means = Means {
        clock: bench.clock.clone(),
        rng,
        tokens: Tokens::new(Arc::new(MemoryTokens::default()), when_refused),
        sharing: Vec::new(),
        former: Vec::new(),
        route: None,
    };
    let transport = Arc::new(Behind(bench.script.clone(), route));
    let (id, meters) = (ConnectionId::parse("shop").unwrap(), Arc::new(ConnectionMeters::silent()));
    Arc::new(Client::with_transport(&id, Arc::new(settings(BASE)), meters, means, transport).unwrap())
}

async fn ask(bench: &Bench, client: &Arc<Client>) -> Result<u16, Failure> {
    let request = request(Method::Get, BASE);
    client.exchange(bench.permit().await, &request, None, false).await.map(|answer| answer.status)
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_a_minute_for_an_agent_and_then_says_so_at_once() {
    let bench = Bench::new(settings(BASE), [answer(200, "")]);
    let client = behind(&bench, WhenRefused::GiveUp);
    for _ in 0..2 {
        let failure = ask(&bench, &client).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unreachable);
        assert_eq!(failure.message, "no agent `warehouse` is connected");
        assert_eq!(bench.clock.mono().0.as_secs(), 60, "one minute for all of them together");
    }
    assert_eq!((bench.script.count(), bench.free().await), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn a_serve_waits_for_as_long_as_it_takes_and_lets_others_pass() {
    let bench = Bench::new(settings(BASE), [answer(200, "")]);
    let client = behind(&bench, WhenRefused::Hold);
    let hour = bench.clock.sleep_until(bench.clock.mono().plus(Duration::from_hours(1)));
    let waits = async {
        hour.await;
        assert_eq!(bench.free().await, 4, "who waits holds no permit");
        client.waits().map(|waits| waits.reason)
    };
    tokio::select! {
        answer = ask(&bench, &client) => panic!("{answer:?}"),
        reason = waits => assert_eq!(reason.as_deref(), Some("no agent `warehouse` is connected")),
    }
    let pong = client.ping(bench.permit().await).await;
    assert_eq!(pong.failure.unwrap().message, "no agent `warehouse` is connected");
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_does_not_allow_is_not_tried_again() {
    let barred = Play::Fail(WireError::new(Phase::Barred, "agent `warehouse` does not allow erp.internal:443"));
    let bench = Bench::new(settings(BASE), [barred]);
    let failure = ask(&bench, &bench.client).await.unwrap_err();
    assert_eq!((failure.class, failure.attempts), (FailureClass::Rejected, 1));
    assert_eq!((bench.script.count(), bench.clock.mono().0), (1, Duration::ZERO));
}
