//! HTTP for the playground: plain hyper on one thread, cheap enough to judge benchmarks.
// size: the routes and what each answers stand side by side

use super::desk::Ask;
use super::graph;
use super::ledger::{Arrived, Ledger, Side};
use super::media::Media;
use super::record::Kind;
use super::settings::{Faults, Settings};
use super::sink;
use super::soap::{self, Asked};
use super::source::{self, Shelf, Style};
use super::traffic::Answered;
use super::watch::{Carried, MARK};
use crate::value::time::{Mono, SharedClock};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The largest body a destination reads.
const LARGEST_BODY: usize = 16 << 20;
/// The most connections at once; more are closed at once.
const MOST_CONNECTIONS: usize = 4_096;

/// By what a repeated write is recognised.
const KEY: &str = "idempotency-key";

type Answer = Response<Full<Bytes>>;

/// What every request shares.
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    /// The settings in force; replaced whole by `/reset`.
    pub(super) settings: RwLock<Arc<Settings>>,
    /// What `/reset` begins from.
    pub(super) first: Settings,
    pub(super) clock: SharedClock,
}

impl Shared {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with these settings and the same ledger.
    pub(super) fn behave(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Empties the ledger and goes on with these settings.
    pub(super) fn reset(&self, settings: Settings) {
        self.ledger.reset(settings.clone());
        self.behave(settings);
    }
}

/// Serves until `stop` is sent or dropped; requests in flight are cut off.
pub(super) async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>, mut stop: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MOST_CONNECTIONS => {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                Ok(_) => {}
                // Out of descriptors, most likely: let some close.
                Err(_) => shared.clock.sleep_until(shared.clock.mono().plus(Duration::from_millis(20))).await,
            }
        }
    }
    connections.shutdown().await;
}

async fn connection(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    // Without it small answers may wait for an acknowledgement; nothing else depends on it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    // A connection that breaks has no one left to tell.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Where a path leads.
enum Place<'a> {
    Pages(Style),
    Shop(Style, Kind),
    Desk(Ask),
    Graph,
    Media(Media),
    Sink(&'a str, Kind),
    Soap,
    Ledger,
    Reset,
    Help,
    Nowhere,
}

fn place(path: &str) -> Place<'_> {
    match path {
        "/page" => Place::Pages(Style::Page),
        "/offset" => Place::Pages(Style::Offset),
        "/cursor" => Place::Pages(Style::Cursor),
        "/next" => Place::Pages(Style::NextUrl),
        "/link" => Place::Pages(Style::Link),
        "/graphql" => Place::Graph,
        "/shop/orders" => Place::Shop(Style::Page, Kind::Order),
        "/shop/customers" => Place::Shop(Style::Cursor, Kind::Customer),
        // One account for all that were there already.
        _ if path.strip_prefix("/erp/orders/").is_some_and(|id| !id.contains('/')) => {
            Place::Sink("updated", Kind::Order)
        }
        "/orders" | "/erp/orders" => Place::Sink("orders", Kind::Order),
        "/erp/reports/customers" => Place::Sink("customers", Kind::Customer),
        "/soap" => Place::Soap,
        "/ledger" => Place::Ledger,
        "/reset" => Place::Reset,
        "/" => Place::Help,
        _ => match path.strip_prefix("/sink/") {
            None => path.strip_prefix("/media/").and_then(Media::named).map_or(Place::Nowhere, Place::Media),
            Some(name) if !name.is_empty() && name.len() <= 64 && !name.contains('/') => Place::Sink(name, Kind::Order),
            _ => Place::Nowhere,
        },
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    let now = shared.clock.mono();
    let (head, body) = request.into_parts();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or(""));
    let asked = Ask::of(path).filter(|_| head.method == Method::GET);
    match asked.map_or_else(|| place(path), Place::Desk) {
        Place::Desk(ask) => from_desk(shared, &head, ask, now).await,
        Place::Pages(style) => from_source(shared, &head, style, None, now).await,
        Place::Shop(style, kind) => from_source(shared, &head, style, Some(kind), now).await,
        Place::Graph => from_graph(shared, &head, body, now).await,
        Place::Media(media) if head.method == Method::GET => from_media(shared, &head, media, now).await,
        Place::Media(media) => to_destination(shared, &media.account(), What::Page(media), &head, body, now).await,
        Place::Sink(name, kind) => to_destination(shared, name, What::Records(kind), &head, body, now).await,
        Place::Soap => to_soap(shared, &head, body, now).await,
        Place::Ledger => match serde_json::to_vec(&shared.ledger.report()) {
            Ok(json) => reply(StatusCode::OK, json),
            Err(e) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()),
        },
        Place::Reset => {
            let mut settings = shared.first.clone();
            match settings.apply(query) {
                Ok(()) => {
                    shared.reset(settings);
                    reply(StatusCode::OK, b"{\"reset\":true}".to_vec())
                }
                Err(why) => refuse(StatusCode::BAD_REQUEST, &why),
            }
        }
        Place::Help => {
            let mut help = reply(StatusCode::OK, super::HELP.as_bytes().to_vec());
            help.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            help
        }
        Place::Nowhere => refuse(StatusCode::NOT_FOUND, "no such path; `GET /` lists them"),
    }
}

/// A request on its way: leaves the book when it is dropped, answered or not.
struct Flight<'a> {
    shared: &'a Shared,
    arrived: Arrived,
    since: Mono,
    answered: Answered,
}

impl<'a> Flight<'a> {
    fn begin(shared: &'a Shared, side: Side, now: Mono) -> Self {
        let arrived = shared.ledger.arrive(side, now);
        Self { shared, arrived, since: now, answered: Answered::Never }
    }

    /// What stands in the way of an answer, if anything.
    fn obstacle(&self, settings: &Settings, faults: &Faults, headers: &HeaderMap) -> Option<(Answered, Answer)> {
        let is_every = |k: u64| k > 0 && self.arrived.number.is_multiple_of(k);
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if settings.auth.as_ref().is_some_and(|auth| !auth.admits(given)) {
            let mut answer = refuse(StatusCode::UNAUTHORIZED, "who are you?");
            answer
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer, Basic realm=\"playground\""));
            return Some((Answered::Unauthorized, answer));
        }
        let is_too_much = self.arrived.over_limit && settings.refuse_over_limit;
        if is_too_much || is_every(faults.limit_every) || self.arrived.number == faults.limit_at {
            let mut answer = refuse(StatusCode::TOO_MANY_REQUESTS, "slow down");
            if faults.retry_after > 0 {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(faults.retry_after));
            }
            return Some((Answered::Limited(Duration::from_secs(faults.retry_after)), answer));
        }
        is_every(faults.fail_every)
            .then(|| (Answered::Failed, refuse(StatusCode::INTERNAL_SERVER_ERROR, "something broke, as you wished")))
    }

    /// Waits out the latency and ends the flight with this answer.
    async fn land(mut self, latency: Duration, answered: Answered, answer: Answer) -> Answer {
        if !latency.is_zero() {
            self.shared.clock.sleep_until(self.since.plus(latency)).await;
        }
        self.answered = answered;
        answer
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.shared.ledger.end(self.arrived, self.shared.clock.mono(), self.answered);
    }
}

async fn from_source(
    shared: &Shared,
    head: &hyper::http::request::Parts,
    style: Style,
    shop: Option<Kind>,
    now: Mono,
) -> Answer {
    if !matches!(head.method, Method::GET | Method::POST) {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "a source takes GET and POST");
    }
    let settings = shared.settings();
    let flight = Flight::begin(shared, Side::Source, now);
    if let Some((answered, answer)) = flight.obstacle(&settings, &settings.source, &head.headers) {
        return flight.land(obstacle_latency(answered, settings.source.latency), answered, answer).await;
    }
    let shelf = match shop {
        None => Shelf::All(&settings),
        Some(kind) => Shelf::Open(&shared.ledger, &settings, kind),
    };
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or(""));
    let answer = match source::page(&shelf, style, path, query, host(&head.headers)) {
        Ok(page) => {
            shared.ledger.show(flight.arrived, &page.ids);
            let mut answer = reply(StatusCode::OK, page.body);
            if let Some(link) = page.link.and_then(|link| HeaderValue::try_from(link).ok()) {
                answer.headers_mut().insert(LINK, link);
            }
            answer
        }
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why),
    };
    flight.land(settings.source.latency, Answered::Normally, answer).await
}

/// What examples ask beside feeds: a list in pages, or one answer.
async fn from_desk(shared: &Shared, head: &hyper::http::request::Parts, ask: Ask, now: Mono) -> Answer {
    let settings = shared.settings();
    let flight = Flight::begin(shared, Side::Source, now);
    if let Some((answered, answer)) = flight.obstacle(&settings, &settings.source, &head.headers) {
        return flight.land(obstacle_latency(answered, settings.source.latency), answered, answer).await;
    }
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or(""));
    let page = |shelf| source::page(&shelf, Style::Page, path, query, host(&head.headers));
    let body = match ask.shelf(&settings, query) {
        Ok(Some(shelf)) => page(shelf).map(|page| {
            shared.ledger.show(flight.arrived, &page.ids);
            page.body
        }),
        Ok(None) => ask.answer(&settings, query),
        Err(why) => Err(why),
    };
    let answer = match body {
        Ok(body) => {
            let mut answer = reply(StatusCode::OK, body);
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(ask.content_type()));
            answer
        }
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why),
    };
    flight.land(settings.source.latency, Answered::Normally, answer).await
}

async fn from_graph(shared: &Shared, head: &hyper::http::request::Parts, body: Incoming, now: Mono) -> Answer {
    if head.method != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "GraphQL takes POST");
    }
    let settings = shared.settings();
    let flight = Flight::begin(shared, Side::Source, now);
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) => {
            let answer = refuse(StatusCode::PAYLOAD_TOO_LARGE, &e.to_string());
            return flight.land(Duration::ZERO, Answered::Normally, answer).await;
        }
    };
    if let Some((answered, answer)) = flight.obstacle(&settings, &settings.source, &head.headers) {
        return flight.land(obstacle_latency(answered, settings.source.latency), answered, answer).await;
    }
    let (body, ids) = graph::answer(&settings, &body);
    shared.ledger.show(flight.arrived, &ids);
    flight.land(settings.source.latency, Answered::Normally, reply(StatusCode::OK, body)).await
}

/// A page of a media type, or 404 behind the last.
async fn from_media(shared: &Shared, head: &hyper::http::request::Parts, media: Media, now: Mono) -> Answer {
    let settings = shared.settings();
    let flight = Flight::begin(shared, Side::Source, now);
    let query = head.uri.query().unwrap_or("");
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "page");
    let number = asked.map_or(Ok(1), |(_, number)| number.parse::<u64>());
    let answer = match number {
        Ok(number) if (1..=settings.records).contains(&number) => {
            shared.ledger.show(flight.arrived, &[number]);
            let mut answer = reply(StatusCode::OK, media.page(number));
            if let Ok(told) = HeaderValue::try_from(media.content_type()) {
                answer.headers_mut().insert(CONTENT_TYPE, told);
            }
            answer
        }
        Ok(_) => refuse(StatusCode::NOT_FOUND, "there are no more pages"),
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why.to_string()),
    };
    flight.land(settings.source.latency, Answered::Normally, answer).await
}

/// What a destination takes.
#[derive(Clone, Copy)]
enum What {
    Records(Kind),
    Page(Media),
}

async fn to_destination(
    shared: &Shared,
    name: &str,
    what: What,
    head: &hyper::http::request::Parts,
    body: Incoming,
    now: Mono,
) -> Answer {
    if !matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "a destination takes POST, PUT and PATCH");
    }
    let kind = if let What::Records(kind) = what { kind } else { Kind::Order };
    match shared.ledger.destination(name, kind) {
        None => refuse(StatusCode::INSUFFICIENT_STORAGE, "too many destinations"),
        Some(side) => to_sink(shared, side, what, &head.headers, body, now).await,
    }
}

async fn to_sink(shared: &Shared, side: Side, what: What, headers: &HeaderMap, body: Incoming, now: Mono) -> Answer {
    let settings = shared.settings();
    let flight = Flight::begin(shared, side, now);
    // Read even when refused: an unread body would cost the connection.
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) => {
            let answer = refuse(StatusCode::PAYLOAD_TOO_LARGE, &e.to_string());
            return flight.land(Duration::ZERO, Answered::Normally, answer).await;
        }
    };
    if let Some((answered, answer)) = flight.obstacle(&settings, &settings.sink, headers) {
        return flight.land(obstacle_latency(answered, settings.sink.latency), answered, answer).await;
    }
    let carried = Carried { key: headers.get(KEY).map(HeaderValue::as_bytes), marks: marks(headers), body: &body };
    let told = headers.get(CONTENT_TYPE).and_then(|told| told.to_str().ok()).unwrap_or_default();
    let taken = shared.ledger.take(flight.arrived, carried, |tally, known| match what {
        What::Records(kind) => sink::take(&settings, kind, &body, tally, known),
        What::Page(media) => media.take(told, &body, tally, known),
    });
    let answer = match taken {
        Some(answered) => reply(answered.status, answered.body),
        None => refuse(StatusCode::CONFLICT, "the playground was reset under this request"),
    };
    flight.land(settings.sink.latency, Answered::Normally, answer).await
}

/// The SOAP service: the customers of the shop, and the destination `customers`.
async fn to_soap(shared: &Shared, head: &hyper::http::request::Parts, body: Incoming, now: Mono) -> Answer {
    let settings = shared.settings();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return xml(StatusCode::PAYLOAD_TOO_LARGE, soap::fault("too large"));
    };
    let action = head.headers.get("soapaction").and_then(|action| action.to_str().ok());
    let envelope = match soap::read(action, &body.to_bytes()) {
        Ok(envelope) => envelope,
        Err(why) => return xml(StatusCode::INTERNAL_SERVER_ERROR, soap::fault(&why)),
    };
    // Credentials stand in the envelope; for the rest they are those of a header.
    let mut headers = head.headers.clone();
    headers.remove(AUTHORIZATION);
    if let Some(value) = envelope.auth.and_then(|auth| HeaderValue::from_str(auth.header()).ok()) {
        headers.insert(AUTHORIZATION, value);
    }
    let (side, faults) = match envelope.asked {
        Asked::List { .. } => (Some(Side::Source), &settings.source),
        Asked::Put(_) => (shared.ledger.destination("customers", Kind::Customer), &settings.sink),
    };
    let Some(side) = side else { return refuse(StatusCode::INSUFFICIENT_STORAGE, "too many destinations") };
    let flight = Flight::begin(shared, side, now);
    if let Some((answered, answer)) = flight.obstacle(&settings, faults, &headers) {
        return flight.land(obstacle_latency(answered, faults.latency), answered, answer).await;
    }
    let answer = match envelope.asked {
        Asked::List { page, size } => {
            let (body, ids) = soap::list(&settings, page, size);
            shared.ledger.show(flight.arrived, &ids);
            xml(StatusCode::OK, body)
        }
        Asked::Put(body) => {
            let carried = Carried { key: None, marks: marks(&head.headers), body: &body };
            let take = |tally: &mut _, known| sink::take(&settings, Kind::Customer, &body, tally, known);
            match shared.ledger.take(flight.arrived, carried, take) {
                Some(answered) if answered.status.is_success() => xml(StatusCode::OK, soap::taken(&answered.body)),
                Some(answered) => {
                    xml(StatusCode::INTERNAL_SERVER_ERROR, soap::fault(&String::from_utf8_lossy(&answered.body)))
                }
                None => refuse(StatusCode::CONFLICT, "the playground was reset under this request"),
            }
        }
    };
    flight.land(faults.latency, Answered::Normally, answer).await
}

fn xml(status: StatusCode, body: Vec<u8>) -> Answer {
    let mut answer = reply(status, body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    answer
}

/// The headers a judge wants to see.
fn marks(headers: &HeaderMap) -> Vec<(String, String)> {
    let marked = |(name, value): (&HeaderName, &HeaderValue)| {
        let name = name.as_str().strip_prefix(MARK)?;
        Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    };
    headers.iter().filter_map(marked).collect()
}

/// Who is turned away at the door is turned away at once; what breaks has taken its time.
fn obstacle_latency(answered: Answered, latency: Duration) -> Duration {
    if answered == Answered::Failed { latency } else { Duration::ZERO }
}

/// The name the sender knows this server by, when it can stand in a URL.
fn host(headers: &HeaderMap) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    named.filter(|host| host.chars().all(is_plain)).unwrap_or("127.0.0.1")
}

fn reply(status: StatusCode, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn refuse(status: StatusCode, why: &str) -> Answer {
    reply(status, sink::refusal(why))
}
