//! Real sockets on port 0, raw requests.

use super::*;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::time::{SeededRng, SystemClock};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Process(Mutex<Readiness>);

impl StatusSource for Process {
    fn readiness(&self) -> Readiness {
        self.0.lock().unwrap().clone()
    }
    fn live(&self) -> Live {
        Live::of(&[FlowId::parse("orders").unwrap()], &Vec::<ConnectionId>::new())
    }
}

fn doors() -> Doors {
    Doors {
        listen: "127.0.0.1:0".parse().unwrap(),
        token: None,
        own_token: None,
        public: Vec::new(),
        hosts: Vec::new(),
        tls: None,
        agents: Vec::new(),
    }
}

async fn start(doors: Doors) -> (ServerHandle, Arc<Process>, SharedClock) {
    let (process, clock) = (Arc::new(Process(Mutex::new(Readiness::Ready))), SystemClock::start());
    crate::observe::meters::ProcessMeters::started(clock.utc());
    let hub = Hub::open([], &clock, &SeededRng::from_system());
    (Server::bind(doors).await.unwrap().start(process.clone(), hub, clock.clone()), process, clock)
}

/// The whole answer as text.
async fn raw(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn ask(at: SocketAddr, path: &str, host: &str, more: &str) -> String {
    raw(at, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n")).await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn metrics_come_as_exposition_text_of_live_flows() {
    let (server, ..) = start(doors()).await;
    for id in ["orders", "gone"] {
        crate::observe::meters::FlowMeters::of(&FlowId::parse(id).unwrap());
    }
    let answer = ask(server.address(), "/metrics", "localhost:9380", "").await;
    assert_eq!(status(&answer), 200);
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(lower.contains("x-content-type-options: nosniff") && lower.contains("cache-control: no-store"), "{answer}");
    assert!(answer.contains("flowgate_process_start_time_seconds ") && answer.contains("flow=\"orders\""), "{answer}");
    assert!(!answer.contains("flow=\"gone\""), "{answer}");
}

#[tokio::test]
async fn ready_only_with_a_snapshot_and_while_not_draining() {
    let (server, process, _) = start(doors()).await;
    let failing = Readiness::Failing("No space left on device".to_owned());
    let others = [(Readiness::Starting, 503), (Readiness::Draining, 503), (failing, 503)];
    for (state, code) in [(Readiness::Ready, 200)].into_iter().chain(others) {
        *process.0.lock().unwrap() = state.clone();
        let answer = ask(server.address(), "/readyz", "127.0.0.1", "").await;
        assert_eq!(status(&answer), code, "{state:?}");
        assert_eq!(answer.contains("\"reason\":"), code == 503);
        assert_eq!(answer.contains("No space left"), matches!(state, Readiness::Failing(_)), "{answer}");
        assert_eq!(status(&ask(server.address(), "/healthz", "127.0.0.1", "").await), 200, "alive in any state");
    }
}

#[tokio::test]
async fn names_we_do_not_know_are_misdirected() {
    let (server, ..) = start(Doors { hosts: vec!["Flows.example".to_owned()], ..doors() }).await;
    let at = server.address();
    for good in ["localhost", "LOCALHOST:1", "127.0.0.1:9380", "[::1]:9380", "flows.example", "flows.example.:80"] {
        assert_eq!(status(&ask(at, "/healthz", good, "").await), 200, "{good}");
    }
    for bad in
        ["evil.test", "evil.test:9380", "localhost.evil.test", "169.254.169.254", "", "x@localhost", "127.0.0.1, x"]
    {
        let answer = ask(at, "/metrics", bad, "").await;
        assert!(matches!(status(&answer), 421 | 400), "{bad}: {answer}");
        assert!(!answer.contains("flowgate_build_info"), "{bad}");
    }
    assert_eq!(status(&raw(at, "GET /healthz HTTP/1.0\r\n\r\n").await), 421, "no name at all");
    let two = ask(at, "/healthz", "localhost", "Host: evil.test\r\n").await;
    assert!(matches!(status(&two), 421 | 400), "{two}");
    let absolute = ask(at, "http://evil.test/healthz", "localhost", "").await;
    assert_eq!(status(&absolute), 421);
}

#[tokio::test]
async fn with_a_token_only_what_is_public_goes_without() {
    let token = Some(Secret::new("s3cret"));
    let (server, ..) = start(Doors { token, public: vec![Public::Health], ..doors() }).await;
    let at = server.address();
    assert_eq!(status(&ask(at, "/healthz", "localhost", "").await), 200);
    assert_eq!(status(&ask(at, "/readyz", "localhost", "").await), 200);
    for wrong in ["", "Authorization: Bearer wrong\r\n", "Authorization: s3cret\r\n", "Authorization: Basic s3cret\r\n"]
    {
        let answer = ask(at, "/metrics", "localhost", wrong).await;
        assert_eq!(status(&answer), 401, "{wrong}");
        assert!(answer.to_ascii_lowercase().contains("www-authenticate: bearer") && !answer.contains("s3cret"));
    }
    assert_eq!(status(&ask(at, "/nothing", "localhost", "").await), 401, "not even what there is");
    assert_eq!(status(&ask(at, "/metrics", "localhost", "Authorization: Bearer s3cret\r\n").await), 200);
    assert_eq!(status(&ask(at, "/metrics", "evil.test", "Authorization: Bearer s3cret\r\n").await), 421);
}

#[tokio::test]
async fn open_to_other_machines_only_with_a_token() {
    let listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(Server::bind(Doors { listen, ..doors() }).await, Err(BindError::TokenNeeded(_))));
    let token = Some(Secret::new("s3cret"));
    let (server, ..) = start(Doors { listen, token, ..doors() }).await;
    let at = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
    assert_eq!(status(&ask(at, "/metrics", "localhost", "").await), 401, "loopback peers are no exception");
}

#[tokio::test]
async fn only_reads_are_answered() {
    let (server, ..) = start(doors()).await;
    let answer = raw(
        server.address(),
        "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(status(&answer.await), 405);
    assert_eq!(status(&ask(server.address(), "/config", "localhost", "").await), 404);
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let (server, ..) = start(doors()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    assert_eq!(status(&ask(server.address(), "/healthz", "localhost", "").await), 200);
}

#[tokio::test]
async fn stopping_closes_the_door_and_idle_connections() {
    let (server, _, clock) = start(doors()).await;
    let at = server.address();
    let mut idle = TcpStream::connect(at).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    server.stop(&clock, Duration::from_secs(30)).await;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(at).await.is_err());
}

#[tokio::test]
async fn a_busy_address_is_named() {
    let (server, ..) = start(doors()).await;
    let text = Server::bind(Doors { listen: server.address(), ..doors() }).await.err().unwrap().to_string();
    assert!(text.contains(&server.address().to_string()) && text.contains("[server] listen"), "{text}");
}
