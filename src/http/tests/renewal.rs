//! The life of a credential where time counts: pauses between tries, tokens at their end, stores that fail.

use crate::http::auth::{Auth, Errand, Location, Media, Refresh, Token, TokenPaths};
use crate::http::client::{Client, ClientSettings, Means};
use crate::http::exchange::FailureClass;
use crate::http::media::MediaTypes;
use crate::http::media::xml::XmlSettings;
use crate::http::on::{Act, OnRule, OnRules, Wait};
use crate::http::request::Method;
use crate::http::testing::{Bench, Play, answer, request, settings};
use crate::http::tokens::{
    Kept, MemoryTokens, OfflineMark, TokenRecord, TokenStore, TokenStoreError, Tokens, WhenRefused,
};
use crate::http::transport::BoxFuture;
use crate::http::verdict::ResponseRules;
use crate::value::document::BodyPath;
use crate::value::id::ConnectionId;
use crate::value::rule::{Rule, StatusRange};
use crate::value::secret::Secret;
use crate::value::template::{Place, Template};
use crate::value::uri::UriTemplate;
use chrono::TimeDelta;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const BASE: &str = "https://api.example/v1";

fn renewable(at: &str) -> ClientSettings {
    let path = |text: &str| BodyPath::compile(text).unwrap();
    let template = |text: &str| Some(Template::compile(text, Place::Plain).unwrap());
    let errand = Errand {
        method: Method::Post,
        uri: UriTemplate::compile(at).unwrap(),
        headers: Vec::new(),
        query: Vec::new(),
        body: None,
        media: Media::Form,
        types: MediaTypes::default(),
        xml: XmlSettings::default(),
        timeout: None,
        response: ResponseRules::default(),
        on: OnRules::default(),
    };
    let answer = TokenPaths {
        token: path("access_token"),
        refresh_token: path("refresh_token"),
        expires_in: path("expires_in"),
        life: None,
        rejected: None,
    };
    let refresh = Refresh { errand, refresh_token: template("{{connection.secrets.grant}}"), answer };
    let token = Token {
        token: None,
        location: Location::Header,
        name: "Authorization".to_owned(),
        scheme: "Bearer".to_owned(),
        refresh: Some(refresh),
    };
    let grant = ("grant".to_owned(), Ok(Secret::new("first-grant")));
    ClientSettings { auth: Auth::Token(Box::new(token)), secrets: vec![grant], ..settings(BASE) }
}

fn token(body: &'static str) -> Play {
    answer(200, body)
}

async fn get(bench: &Bench) -> Result<(), FailureClass> {
    let done = bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await;
    done.map(drop).map_err(|failure| failure.class)
}

fn bearer(bench: &Bench, n: usize) -> String {
    bench.script.see(n, |seen| {
        seen.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_known_life_is_used_to_its_last_tenth() {
    let plays = [token("{\"access_token\":\"one\",\"expires_in\":100}"), answer(200, "")];
    let bench = Bench::new(renewable("/token"), plays);
    get(&bench).await.unwrap();
    let later = |seconds| bench.clock.sleep_until(bench.clock.mono().plus(std::time::Duration::from_secs(seconds)));
    later(85).await;
    get(&bench).await.unwrap();
    assert_eq!((bench.script.count(), bearer(&bench, 2).as_str()), (3, "Bearer one"));
    later(10).await;
    // The script's last answer holds no token: what matters is that it was asked for.
    assert!(get(&bench).await.is_err());
    assert!(bearer(&bench, 3).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_is_remembered_and_asked_again_only_later() {
    let bench = Bench::new(renewable("https://login.example/token"), [answer(500, "")]);
    let (one, two) = tokio::join!(get(&bench), get(&bench));
    assert_eq!((one, two), (Err(FailureClass::Unreachable), Err(FailureClass::Unreachable)));
    assert_eq!(bench.script.count(), 4, "as many as one request may try, for both together");
    let times = bench.script.since_first();
    assert!(times[3] > times[1] && times[1].as_millis() >= 500, "later and later: {times:?}");
    assert_eq!(bench.free().await, 4);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_does_not_take_the_renewal_along() {
    let bench = Bench::new(renewable("/token"), [token("{\"access_token\":\"one\"}"), answer(200, "")]);
    let mut sending = Box::pin(get(&bench));
    // Polled until the renewal's task is there, then dropped.
    for _ in 0..3 {
        assert!(futures_util::FutureExt::now_or_never(&mut sending).is_none());
    }
    drop(sending);
    assert_eq!(bench.free().await, 4, "the renewal ended and gave the permit back");
    get(&bench).await.unwrap();
    assert_eq!(bench.script.count(), 2, "one token request, one request");
}

#[tokio::test(start_paused = true)]
async fn absurd_lives_are_as_good_as_unknown_and_never_a_storm() {
    for life in ["0", "-5", "\"soon\"", "null", "1e300", "\"1e400\"", "[]"] {
        let body: &'static str = format!("{{\"access_token\":\"one\",\"expires_in\":{life}}}").leak();
        let bench = Bench::new(renewable("/token"), [token(body), answer(200, "")]);
        for _ in 0..3 {
            get(&bench).await.unwrap();
        }
        assert_eq!(bench.script.count(), 4, "{life}: one token for three requests");
    }
}

/// A store that can fail, and that notes what it was asked.
#[derive(Default)]
struct Flaky {
    inner: MemoryTokens,
    broken: AtomicBool,
    saved: Mutex<Vec<u64>>,
}

impl TokenStore for Flaky {
    fn load<'a>(&'a self, connection: &'a ConnectionId) -> BoxFuture<'a, Result<Kept, TokenStoreError>> {
        self.inner.load(connection)
    }
    fn save<'a>(
        &'a self,
        connection: &'a ConnectionId,
        record: TokenRecord,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        if self.broken.swap(false, Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(TokenStoreError("the disk is full".to_owned()))));
        }
        self.saved.lock().unwrap().push(record.generation);
        self.inner.save(connection, record)
    }
    fn mark<'a>(
        &'a self,
        connection: &'a ConnectionId,
        mark: Option<OfflineMark>,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        self.inner.mark(connection, mark)
    }
}

fn over(store: Arc<Flaky>, bench: &Bench) -> Arc<Client> {
    let means = Means {
        clock: bench.clock.clone(),
        rng: crate::value::time::SeededRng::seeded(7),
        tokens: Tokens::new(store, WhenRefused::GiveUp),
        sharing: Vec::new(),
        former: vec![ConnectionId::parse("old/shop").unwrap()],
        route: None,
    };
    let meters = Arc::new(crate::observe::meters::ConnectionMeters::silent());
    let id = ConnectionId::parse("shop").unwrap();
    let settings = Arc::new(renewable("/token"));
    Arc::new(Client::with_transport(&id, settings, meters, means, bench.script.clone()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_rotated_grant_that_cannot_be_saved_is_saved_before_it_is_used_and_not_asked_for_again() {
    let plays = [token("{\"access_token\":\"one\",\"refresh_token\":\"second\"}"), answer(200, "")];
    let bench = Bench::new(renewable("/token"), plays);
    let store = Arc::new(Flaky::default());
    store.broken.store(true, Ordering::SeqCst);
    let client = over(store.clone(), &bench);
    client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await.unwrap();
    assert_eq!(*store.saved.lock().unwrap(), [1]);
    assert_eq!(bench.script.count(), 2, "one token request, though the first save failed");
    assert_eq!(bearer(&bench, 1), "Bearer one");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_used_until_its_source_changes() {
    let bench = Bench::new(renewable("/token"), [answer(200, "{\"access_token\":\"fetched\"}")]);
    let store = Arc::new(Flaky::default());
    let fingerprint = over(store.clone(), &bench).session.fingerprint.clone();
    let shop = ConnectionId::parse("shop").unwrap();
    let kept = |fingerprint: &str, ends: Option<i64>| TokenRecord {
        fingerprint: fingerprint.to_owned(),
        generation: 41,
        access_token: Secret::new("kept"),
        refresh_token: Some(Secret::new("kept-grant")),
        expires: ends.map(|seconds| bench.clock.utc() + TimeDelta::seconds(seconds)),
    };
    let sent = async |record: TokenRecord| {
        store.inner.save(&shop, record).await.unwrap();
        let client = over(store.clone(), &bench);
        client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await.unwrap();
        bearer(&bench, bench.script.count() - 1)
    };
    assert_eq!(sent(kept(&fingerprint, Some(3600))).await, "Bearer kept");
    assert_eq!(bench.script.count(), 1);
    assert_eq!(sent(kept("of another source", Some(3600))).await, "Bearer fetched");
    let grant = bench.script.see(1, |seen| String::from_utf8_lossy(seen.body.as_deref().unwrap()).into_owned());
    assert!(grant.contains("first-grant"), "the configured one counts again: {grant}");
    assert_eq!(sent(kept(&fingerprint, Some(-5))).await, "Bearer fetched", "what has ended is renewed");
    let grant = bench.script.see(3, |seen| String::from_utf8_lossy(seen.body.as_deref().unwrap()).into_owned());
    assert!(grant.contains("kept-grant"), "{grant}");
    assert_eq!(store.saved.lock().unwrap().last(), Some(&42));
}

#[tokio::test(start_paused = true)]
async fn a_renamed_connection_keeps_its_tokens() {
    let bench = Bench::new(renewable("/token"), [answer(200, "{}")]);
    let store = Arc::new(Flaky::default());
    let client = over(store.clone(), &bench);
    let record = TokenRecord {
        fingerprint: client.session.fingerprint.clone(),
        generation: 3,
        access_token: Secret::new("of the old name"),
        refresh_token: None,
        expires: None,
    };
    store.inner.save(&ConnectionId::parse("old/shop").unwrap(), record).await.unwrap();
    client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await.unwrap();
    assert_eq!((bench.script.count(), bearer(&bench, 0).as_str()), (1, "Bearer of the old name"));
}

#[tokio::test(start_paused = true)]
async fn two_clients_of_one_connection_spend_a_grant_once() {
    let plays = [token("{\"access_token\":\"one\",\"refresh_token\":\"second\"}"), answer(200, "")];
    let bench = Bench::new(renewable("/token"), plays);
    let store = Arc::new(Flaky::default());
    let first = over(store.clone(), &bench);
    // A reload makes another client beside the one of a run that goes on; both share what the process keeps.
    let means = Means {
        clock: bench.clock.clone(),
        rng: crate::value::time::SeededRng::seeded(8),
        tokens: first.tokens.clone(),
        sharing: Vec::new(),
        former: Vec::new(),
        route: None,
    };
    let meters = Arc::new(crate::observe::meters::ConnectionMeters::silent());
    let settings = Arc::new(renewable("/token"));
    let second = Client::with_transport(first.id(), settings, meters, means, bench.script.clone()).unwrap();
    let second = Arc::new(second);
    let send = async |client: &Arc<Client>| {
        client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await.map(drop)
    };
    let (one, two) = tokio::join!(send(&first), send(&second));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(*store.saved.lock().unwrap(), [1], "one renewal for both");
}

#[tokio::test(start_paused = true)]
async fn a_late_refusal_of_an_old_token_renews_nothing() {
    let bench = Bench::new(renewable("/token"), [answer(200, "{\"access_token\":\"one\"}")]);
    get(&bench).await.unwrap();
    let session = &bench.client.session;
    assert_eq!(session.generation(), 1);
    assert_eq!(session.refused(1, true), crate::http::session::Refused::Renew);
    get(&bench).await.unwrap();
    assert_eq!(session.generation(), 2);
    assert_eq!(session.refused(1, true), crate::http::session::Refused::Stale);
    let before = bench.script.count();
    get(&bench).await.unwrap();
    assert_eq!(bench.script.count(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_token_that_another_request_has_renewed_already_is_not_the_end() {
    let late = |seconds, status| Play::Late(std::time::Duration::from_secs(seconds), status);
    let plays = [
        token("{\"access_token\":\"one\"}"),
        answer(200, ""),
        // Both are sent with the first token; the one that hears of its end first has the second fetched, and is slow with it.
        late(1, 401),
        late(3, 401),
        token("{\"access_token\":\"two\"}"),
        late(4, 401),
        // The other comes late, and finds the second at its end too: the third is on its way when the first one hears it.
        answer(401, ""),
        Play::Slow(std::time::Duration::from_secs(10), "{\"access_token\":\"three\"}"),
        answer(200, ""),
    ];
    let bench = Bench::new(renewable("https://login.example/token"), plays);
    get(&bench).await.unwrap();
    let (one, two) = tokio::join!(get(&bench), get(&bench));
    assert_eq!((one, two), (Ok(()), Ok(())));
    assert_eq!(bench.script.count(), 10);
    assert_eq!(
        [bearer(&bench, 5), bearer(&bench, 8), bearer(&bench, 9)],
        ["Bearer two", "Bearer three", "Bearer three"]
    );
}

/// A connection whose refresh has these rules.
fn ruled(on: Vec<OnRule>, response: ResponseRules) -> ClientSettings {
    let mut settings = renewable("/token");
    let Auth::Token(token) = &mut settings.auth else { unreachable!() };
    let refresh = token.refresh.as_mut().unwrap();
    refresh.errand.on = on.into();
    refresh.errand.response = response;
    settings
}

fn on(status: u16, act: Act, wait: Option<Wait>) -> OnRule {
    let rule = Rule { status: vec![StatusRange::one(status)], ..Rule::default() };
    let message = Template::compile("{{response.status}} by rule", Place::Plain).ok();
    OnRule { rule, act, max_attempts: None, wait, message }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_has_rules_of_its_own() {
    let good = "{\"access_token\":\"t1\"}";
    let send = |settings: ClientSettings, plays: Vec<Play>| async move {
        let bench = Bench::new(settings, plays);
        let sent = bench.client.exchange(bench.permit().await, &request(Method::Get, BASE), None, false).await;
        (sent, bench)
    };
    let none = ResponseRules::default;
    let (sent, bench) =
        send(ruled(vec![on(418, Act::Success, None)], none()), vec![answer(418, good), answer(200, "")]).await;
    assert!(sent.is_ok(), "good whatever the status");
    assert_eq!(bench.script.count(), 2);
    let (sent, bench) = send(ruled(vec![on(503, Act::Fail, None)], none()), vec![answer(503, "")]).await;
    let failure = sent.err().unwrap();
    assert_eq!((failure.class, bench.script.count()), (FailureClass::Auth, 1), "{failure}");
    assert!(failure.message.contains("503 by rule"), "{failure}");
    for act in [Act::Retry, Act::Limited] {
        let wait = Some(Wait::For(std::time::Duration::from_secs(40)));
        let rules = ruled(vec![on(400, act, wait)], none());
        let (sent, bench) =
            send(rules, vec![answer(400, "{\"error\":\"busy\"}"), answer(200, good), answer(200, "")]).await;
        assert!(sent.is_ok());
        assert!(bench.script.gap(0).as_secs() >= 40, "{act:?}");
    }
    let rule = |path: &str| Rule { path: Some(BodyPath::compile(path).unwrap()), ..Rule::default() };
    let failure = ResponseRules {
        failure: Some(rule("fault")),
        error_path: Some(BodyPath::compile("fault.text").unwrap()),
        success: None,
    };
    let body = "{\"access_token\":\"t1\",\"fault\":{\"text\":\"locked out\"}}";
    let (sent, bench) = send(ruled(vec![], failure), vec![answer(200, body)]).await;
    let failed = sent.err().unwrap();
    assert_eq!((failed.class, bench.script.count()), (FailureClass::Auth, 1));
    assert!(failed.message.contains("locked out") && !failed.message.contains("t1"), "{failed}");
    let success = ResponseRules { success: Some(rule("ok")), ..none() };
    let (sent, _) = send(ruled(vec![], success), vec![answer(200, good)]).await;
    let failed = sent.err().unwrap();
    assert!(failed.message.contains("says no") && !failed.message.contains("access_token"), "{failed}");
}
