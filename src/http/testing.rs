//! Stand-ins for tests of this layer: a wire that plays a script, a loopback server that sends exact bytes, and
//! clients with short settings.

use super::auth::Auth;
use super::client::{Client, ClientSettings, Means};
use super::media::{MediaSettings, MediaTypes};
use super::on::OnRules;
use super::request::{Method, Prepared};
use super::retry::Retry;
use super::tokens::{MemoryTokens, Tokens, WhenRefused};
use super::transport::{BoxFuture, Transport, WireAnswer, WireError, WireRequest};
use super::verdict::{AuthFailure, RateLimit, ResponseRules, RetryAfterUnit};
use crate::observe::meters::ConnectionMeters;
use crate::observe::task;
use crate::queue::limits::{Level, Limits, LineId, LineSpec, Order, PauseScope};
use crate::queue::{Permit, Queue};
use crate::value::id::{ConnectionId, FlowId};
use crate::value::json::Json;
use crate::value::time::{Mono, SeededRng, SharedClock, SystemClock};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What the scripted wire does with one request.
#[derive(Clone)]
pub(super) enum Play {
    /// Answers.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
    /// Answers with an empty body, after a while.
    Late(Duration, u16),
    /// Answers 200 with this, after a while.
    Slow(Duration, &'static str),
    /// Fails.
    Fail(WireError),
    /// Never answers.
    Hang,
    /// Answers, then the body never ends.
    Stall(u16),
}

/// An answer without headers.
pub(super) fn answer(status: u16, body: &'static str) -> Play {
    Play::Answer(status, Vec::new(), body)
}

/// An answer with one header.
pub(super) fn with_header(status: u16, name: &'static str, value: impl Into<String>) -> Play {
    Play::Answer(status, vec![(name, value.into())], "")
}

/// A request as it left.
pub(super) struct Seen {
    pub at: Mono,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
}

/// A wire that plays its script and then repeats the last line.
pub(super) struct Script {
    plays: Mutex<VecDeque<Play>>,
    seen: Mutex<Vec<Seen>>,
    clock: SharedClock,
}

impl Script {
    /// How many requests left.
    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    async fn after(&self, wait: Duration, play: Play) -> Play {
        self.clock.sleep_until(self.clock.mono().plus(wait)).await;
        play
    }

    /// When each request left.
    fn times(&self) -> Vec<Duration> {
        self.seen.lock().unwrap().iter().map(|seen| seen.at.0).collect()
    }

    /// Time between the starts of one request and the next.
    pub(super) fn gap(&self, n: usize) -> Duration {
        let times = self.times();
        times[n + 1].saturating_sub(times[n])
    }

    /// Time since the first request left, for each.
    pub(super) fn since_first(&self) -> Vec<Duration> {
        let times = self.times();
        times.iter().map(|at| at.saturating_sub(times[0])).collect()
    }

    /// Looks at one request.
    pub(super) fn see<T>(&self, n: usize, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap()[n])
    }
}

impl Transport for Script {
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireAnswer, WireError>> {
        let WireRequest { url, headers, body, .. } = request;
        self.seen.lock().unwrap().push(Seen { at: self.clock.mono(), url, headers, body });
        let mut plays = self.plays.lock().unwrap();
        let play = if plays.len() > 1 { plays.pop_front().unwrap() } else { plays[0].clone() };
        Box::pin(async move {
            let play = match play {
                Play::Late(after, status) => self.after(after, answer(status, "")).await,
                Play::Slow(after, body) => self.after(after, answer(200, body)).await,
                play => play,
            };
            let head = |status, headers: Vec<(&'static str, String)>| {
                let headers = headers
                    .into_iter()
                    .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(&v).unwrap()))
                    .collect();
                WireAnswer { status, headers, length: None, body: stream::empty().boxed() }
            };
            match play {
                Play::Answer(status, headers, body) => {
                    let body = stream::iter([Ok(Bytes::from_static(body.as_bytes()))]).boxed();
                    Ok(WireAnswer { body, ..head(status, headers) })
                }
                Play::Fail(error) => Err(error),
                Play::Hang | Play::Late(..) | Play::Slow(..) => std::future::pending().await,
                Play::Stall(status) => Ok(WireAnswer { body: stream::pending().boxed(), ..head(status, Vec::new()) }),
            }
        })
    }
}

/// Settings as FORMAT.md's defaults, but with short times.
pub(super) fn settings(base: &str) -> ClientSettings {
    ClientSettings {
        base_uri: Url::parse(base).unwrap(),
        headers: Vec::new(),
        query: Vec::new(),
        timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(10),
        max_response: 1024 * 1024,
        follow_redirects: true,
        allowed_origins: Vec::new(),
        proxy: super::client::Proxy::None,
        tls: super::client::Tls::default(),
        auth: Auth::None,
        response: ResponseRules::default(),
        rate_limit: RateLimit {
            rule: None,
            retry_after_header: None,
            retry_after_unit: RetryAfterUnit::Seconds,
            max_pause: Duration::from_mins(5),
            min_pause: Duration::ZERO,
            scope: PauseScope::Pool,
            remaining_header: None,
            reset_header: None,
        },
        media: MediaSettings::default(),
        auth_failure: AuthFailure { rule: None, count_401: true },
        retry: Retry {
            max_attempts: NonZeroU32::new(4).unwrap(),
            initial: Duration::from_secs(1),
            max: Duration::from_mins(1),
            unsafe_methods: false,
        },
        on: OnRules::default(),
        ping: None,
        level: 4,
        vars: Json::parse("{\"account\":\"acme\"}").unwrap(),
        unresolved: Vec::new(),
        secrets: Vec::new(),
    }
}

/// A client with a queue of its own and, unless it is real, a scripted wire.
pub(super) struct Bench {
    pub client: Arc<Client>,
    pub script: Arc<Script>,
    pub clock: SharedClock,
    queue: Queue,
}

fn id() -> ConnectionId {
    ConnectionId::parse("shop").unwrap()
}

impl Bench {
    /// Plays a script.
    pub(super) fn new(settings: ClientSettings, plays: impl IntoIterator<Item = Play>) -> Self {
        Self::build(settings, plays.into_iter().collect(), false)
    }

    /// Uses the network.
    pub(super) fn real(settings: ClientSettings) -> Self {
        Self::build(settings, VecDeque::from([Play::Hang]), true)
    }

    fn build(settings: ClientSettings, plays: VecDeque<Play>, real: bool) -> Self {
        let clock = SystemClock::start();
        let script = Arc::new(Script { plays: Mutex::new(plays), seen: Mutex::default(), clock: clock.clone() });
        let (settings, meters, rng) = (Arc::new(settings), Arc::new(ConnectionMeters::silent()), SeededRng::seeded(7));
        let tokens = Tokens::new(Arc::new(MemoryTokens::default()), WhenRefused::GiveUp);
        let means = Means { clock: clock.clone(), rng, tokens, sharing: Vec::new(), former: Vec::new(), route: None };
        let client = if real {
            Client::new(&id(), settings, meters, means)
        } else {
            Client::with_transport(&id(), settings, meters, means, script.clone())
        };
        let queue = Queue::start(clock.clone());
        queue.apply(vec![LineSpec {
            id: LineId::Connection(id()),
            limits: Limits {
                level: Level::Fixed(NonZeroU32::new(4).unwrap()),
                wait_time: Duration::ZERO,
                rate: Vec::new(),
                order: Order::Fifo,
            },
            meters: Arc::new(ConnectionMeters::silent()),
        }]);
        Self { client: Arc::new(client.unwrap()), script, clock, queue }
    }

    /// The right to send.
    pub(super) async fn permit(&self) -> Permit {
        let flow = FlowId::parse("sync").unwrap();
        self.queue.acquire(&LineId::Connection(id()), &flow, NonZeroU32::MIN).await.unwrap()
    }

    /// Permits that could be had at once: all are back when it is the level.
    pub(super) async fn free(&self) -> usize {
        let mut held = Vec::new();
        while held.len() < 4 {
            let wait = tokio::time::timeout(Duration::from_secs(1), self.permit());
            let Ok(permit) = wait.await else { break };
            held.push(permit);
        }
        held.len()
    }
}

/// A rendered request.
pub(super) fn request(method: Method, url: &str) -> Prepared {
    Prepared {
        derived: super::request::Derived::default(),
        method,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        secret_query: Vec::new(),
        signing: Vec::new(),
        body: None,
        timeout: None,
        safe: false,
        keyed: false,
        bare: false,
        types: MediaTypes::default(),
        on: OnRules::default(),
        flow: None,
        alone: false,
        decode: None,
        repeat: None,
    }
}

/// What the loopback server does with a connection once a request has arrived.
#[derive(Clone)]
pub(super) enum Reply {
    /// These bytes, then the connection closes.
    Bytes(Bytes),
    /// These bytes, then nothing more, with the connection open.
    Stall(Bytes),
    /// Nothing, and the connection closes.
    Close,
}

impl Reply {
    /// A whole answer.
    pub(super) fn text(head: &str, body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        Self::Bytes(bytes.into())
    }

    /// Exactly this.
    pub(super) fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// A loopback server that writes exact bytes and records what it was sent.
pub(super) struct Server {
    pub base: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers every request with what the function says for its head.
    pub(super) async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (reply, record) = (Arc::new(reply), requests.clone());
        task::spawn("test-server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reply, record) = (reply.clone(), record.clone());
                task::spawn("test-connection", async move { serve(stream, &*reply, &record).await });
            }
        });
        Self { base, requests }
    }

    /// Head and body of each request, as received.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, reply: &(dyn Fn(&str) -> Reply + Send + Sync), record: &Mutex<Vec<String>>) {
    let mut buffer = Vec::new();
    let whole = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        (body.len() >= length.unwrap_or(0)).then(|| text.clone())
    };
    let request = loop {
        if let Some(request) = whole(&buffer) {
            break request;
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    };
    let reply = reply(&request);
    record.lock().unwrap().push(request);
    match reply {
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Reply::Stall(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // Until the client goes away.
            let _ = stream.read_buf(&mut Vec::new()).await;
        }
        Reply::Close => {}
    }
}
