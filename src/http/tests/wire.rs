//! The real wire against hostile servers on loopback sockets.

use crate::http::client::ClientSettings;
use crate::http::exchange::{Answer, Failure, FailureClass};
use crate::http::request::{Method, Prepared};
use crate::http::testing::{Bench, Reply, Server, request, settings};
use bytes::Bytes;
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::time::Duration;

fn once(base: &str) -> ClientSettings {
    let mut settings = settings(base);
    settings.retry.max_attempts = NonZeroU32::MIN;
    settings.timeout = Duration::from_secs(10);
    settings
}

async fn send(settings: ClientSettings, request: &Prepared) -> Result<Answer, Failure> {
    let bench = Bench::real(settings);
    let result = bench.client.exchange(bench.permit().await, request, None, true).await;
    assert_eq!(bench.free().await, 4, "the permit is back");
    result
}

async fn get(server: &Server) -> Result<Answer, Failure> {
    send(once(&server.base), &request(Method::Get, &server.base)).await
}

async fn failure(reply: Reply) -> Failure {
    get(&Server::start(move |_| reply.clone()).await).await.err().unwrap()
}

/// 512 MiB of zeros as half a megabyte of gzip.
fn bomb() -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0_u8; 1024 * 1024];
    for _ in 0..512 {
        gzip.write_all(&zeros).unwrap();
    }
    gzip.finish().unwrap()
}

#[tokio::test]
async fn a_write_to_a_host_that_never_connects_is_unreachable_however_short_the_timeout() {
    // The kernel accepts; the TLS handshake is never answered, so no byte of a request can leave.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let mut settings = settings(&base);
    settings.timeout = Duration::from_secs(1);
    settings.retry.max_attempts = std::num::NonZeroU32::MIN;
    let bench = Bench::real(settings);
    // The first request builds the client, which takes its time.
    for method in [Method::Get, Method::Post] {
        let failure = bench.client.exchange(bench.permit().await, &request(method, &base), None, false).await;
        assert_eq!(failure.err().unwrap().class, FailureClass::Unreachable);
    }
}

#[tokio::test]
async fn a_plain_answer_arrives_with_headers_and_json() {
    let server = Server::start(|_| Reply::text("200 OK\r\nX-Page: 2", b"{\"a\": [1, 2]}")).await;
    let answer = get(&server).await.unwrap();
    assert_eq!(answer.document.unwrap().text(), "{\"a\": [1, 2]}");
    assert_eq!(answer.headers["x-page"], "2");
    assert_eq!(answer.url.as_str(), format!("{}/", server.base));
    let sent = server.requests()[0].to_lowercase();
    assert!(sent.contains("accept-encoding: ") && sent.contains("user-agent: flowgate/"), "{sent}");
    assert!(!sent.contains("referer"), "{sent}");
}

#[tokio::test]
async fn a_gzip_bomb_stops_at_the_cap() {
    let bomb = bomb();
    assert!(bomb.len() < 1024 * 1024);
    let mut head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n".to_vec();
    head.extend_from_slice(&bomb);
    let failure = failure(Reply::raw(head)).await;
    assert_eq!(failure.class, FailureClass::Unreadable);
    assert!(failure.message.contains("max_response"), "{failure}");
}

#[tokio::test]
async fn a_body_cut_off_is_unreachable_and_never_a_shorter_page() {
    let cut = failure(Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[1,2,3]")).await;
    assert_eq!(cut.class, FailureClass::Unreachable);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\n[1,2,3]\r\n";
    assert_eq!(failure(Reply::raw(chunked)).await.class, FailureClass::Unreachable);
    assert_eq!(failure(Reply::Close).await.class, FailureClass::Unreachable);
}

#[tokio::test]
async fn a_write_whose_answer_is_cut_off_is_unknown() {
    let server = Server::start(|_| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")).await;
    let mut post = request(Method::Post, &server.base);
    post.body = Some(Bytes::from_static(b"{\"id\":1}"));
    let failure = send(settings(&server.base), &post).await.err().unwrap();
    assert_eq!((failure.class, failure.attempts), (FailureClass::Unknown, 1));
    assert_eq!(server.requests().len(), 1);
    assert!(server.requests()[0].to_lowercase().contains("content-type: application/json"));
}

#[tokio::test]
async fn a_slow_body_runs_into_the_timeout() {
    let stall = Reply::Stall(Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n["));
    let server = Server::start(move |_| stall.clone()).await;
    let hurried = Prepared { timeout: Some(Duration::from_millis(150)), ..request(Method::Get, &server.base) };
    let failure = send(once(&server.base), &hurried).await.err().unwrap();
    assert_eq!((failure.class, failure.status), (FailureClass::Unreachable, Some(200)));
    assert!(failure.message.contains("150ms"), "{failure}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_says_no_query() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let secret = request(Method::Get, &format!("{base}/orders?token=hunter2"));
    let failure = send(once(&base), &secret).await.err().unwrap();
    assert_eq!(failure.class, FailureClass::Unreachable);
    assert!(failure.to_string().contains("cannot connect"), "{failure}");
    assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure:?}");
}

#[tokio::test]
async fn garbage_and_floods_of_headers_are_errors() {
    let mut flood = String::from("HTTP/1.1 200 OK\r\n");
    for n in 0..10_000 {
        write!(flood, "x-{n}: y\r\n").unwrap();
    }
    flood.push_str("content-length: 0\r\n\r\n");
    assert_eq!(failure(Reply::raw(flood)).await.class, FailureClass::Unreachable);
    let large = format!("HTTP/1.1 200 OK\r\nx-big: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(70_000));
    assert_eq!(failure(Reply::raw(large)).await.class, FailureClass::Unreadable);
    assert_eq!(failure(Reply::raw("SSH-2.0-OpenSSH\r\n\r\n")).await.class, FailureClass::Unreachable);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for n in 0..1000_u32 {
        packed.write_all(&n.wrapping_mul(2_654_435_761).to_be_bytes()).unwrap();
    }
    let packed = packed.finish().unwrap();
    let mut short = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 300\r\n\r\n".to_vec();
    short.extend_from_slice(&packed[..300]);
    let ended = failure(Reply::raw(short.clone())).await;
    assert!(ended.message.contains("is packed (content-encoding) and ends too early"), "{ended}");
    let broken = failure(Reply::raw(short[..200].to_vec())).await;
    assert!(broken.message.contains("the connection broke within the answer"), "{broken}");
    let lie = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 7\r\n\r\nnotgzip";
    assert_eq!(failure(Reply::raw(lie)).await.class, FailureClass::Unreadable);
}

#[tokio::test]
async fn a_redirect_on_the_same_origin_is_followed() {
    let server = Server::start(|head| {
        if head.starts_with("GET /new") {
            Reply::text("200 OK", b"[]")
        } else {
            Reply::text("302 Found\r\nLocation: /new?page=1", b"")
        }
    })
    .await;
    let answer = get(&server).await.unwrap();
    assert_eq!(answer.url.as_str(), format!("{}/new?page=1", server.base));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = Server::start(|_| Reply::text("302 Found\r\nLocation: /again", b"")).await;
    let failure = get(&server).await.err().unwrap();
    assert_eq!(failure.class, FailureClass::Rejected);
    assert!(failure.message.contains("more than 5"), "{failure}");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn nothing_leaves_for_another_origin() {
    let evil = Server::start(|_| Reply::text("200 OK", b"[]")).await;
    let location = format!("{}/steal", evil.base);
    let server =
        Server::start(move |_| Reply::text(&format!("307 Temporary Redirect\r\nLocation: {location}"), b"")).await;
    for method in [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete] {
        let mut request = request(method, &format!("{}/?key=hunter2", server.base));
        request.set_header("X-Api-Key", "hunter2").unwrap();
        request.body = (method == Method::Post).then(|| Bytes::from_static(b"{\"id\":1}"));
        let failure = send(once(&server.base), &request).await.err().unwrap();
        assert_eq!(failure.class, FailureClass::Rejected);
        assert!(failure.message.contains("redirect"), "{failure}");
    }
    assert!(evil.requests().is_empty());
}

#[tokio::test]
async fn link_local_addresses_are_refused_unless_they_are_the_base() {
    let request = request(Method::Get, "http://169.254.169.254/latest/meta-data");
    let failure = send(once("http://127.0.0.1:9/"), &request).await.err().unwrap();
    assert!(failure.message.contains("link-local"), "{failure}");
}
