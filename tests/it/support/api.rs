//! A scripted API on loopback: a closure answers each request; every request is remembered with its time.
//!
//! A thread for each connection, plain HTTP/1.1 with `content-length`: small enough to misbehave at will.

use super::{PATIENCE, now};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// From 1, over all paths.
    pub number: usize,
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Since the API's start.
    pub arrived: Duration,
    /// When its answer began to be written; none while it is in flight.
    pub answered: Option<Duration>,
}

impl Request {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What to answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
    stalls: bool,
    gate: Option<Gate>,
}

impl Reply {
    /// A JSON answer, as this text.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".into(), "application/json".into())];
        Self { status, headers, body: body.into().into_bytes(), ..Self::default() }
    }
    /// Any other answer.
    pub fn raw(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    /// Announces the whole body, sends this many bytes of it, and hangs up.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }
    /// Announces the whole body, sends this many bytes of it, and then nothing, with the connection held open.
    #[must_use]
    pub fn stall_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self.stalls = true;
        self
    }
    /// Answers once the gate is open.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
    /// Closes the connection without a byte.
    pub fn hang_up() -> Self {
        Self::default()
    }
}

/// Holds answers back until a test opens it.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
    fn pass(&self) {
        let (open, changed) = &*self.0;
        let waited = changed.wait_timeout_while(open.lock().unwrap(), PATIENCE, |open| !*open).unwrap();
        assert!(!waited.1.timed_out(), "a gate was never opened");
    }
}

/// A gate for each answer, in the order the answers were asked for; none is open until a test says so.
#[derive(Debug, Clone, Default)]
pub struct Gates(Arc<Mutex<(Vec<Gate>, usize)>>);

impl Gates {
    /// The gate of one more answer.
    pub fn next(&self) -> Gate {
        let mut inside = self.0.lock().unwrap();
        let gate = Gate::default();
        if inside.0.len() < inside.1 {
            gate.open();
        }
        inside.0.push(gate.clone());
        gate
    }
    /// Lets so many more answers go, the oldest first; also ones nobody has asked for yet.
    pub fn open(&self, count: usize) {
        let mut inside = self.0.lock().unwrap();
        inside.1 = inside.1.saturating_add(count);
        inside.0.iter().take(inside.1).for_each(Gate::open);
    }
    /// Lets all answers go from now on.
    pub fn open_all(&self) {
        self.open(usize::MAX);
    }
}

/// How many of these are not answered yet.
pub fn in_flight(requests: &[Request]) -> usize {
    requests.iter().filter(|request| request.answered.is_none()).count()
}

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

struct Shared {
    script: Mutex<Script>,
    start: Instant,
    book: Mutex<Book>,
    changed: Condvar,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Book {
    requests: Vec<Request>,
    in_flight: usize,
    most_in_flight: usize,
    streams: Vec<TcpStream>,
}

/// A running API; it ends with this.
pub struct Api {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Api {
    /// Answers by a closure, called one request at a time in order of arrival.
    pub fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            start: now(),
            book: Mutex::default(),
            changed: Condvar::new(),
            is_over: AtomicBool::new(false),
        });
        let inside = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if inside.is_over.load(Ordering::SeqCst) {
                    break;
                }
                inside.book.lock().unwrap().streams.extend(stream.try_clone());
                let shared = Arc::clone(&inside);
                // Errors are the client's going away.
                std::thread::spawn(move || shared.converse(&stream));
            }
        });
        Self { addr, shared }
    }

    /// Answers by lists: each `"METHOD /path"` has its answers in order, and its last one from then on.
    pub fn scripted<const N: usize>(routes: [(&'static str, Vec<Reply>); N]) -> Self {
        let mut routes = routes.map(|(route, replies)| (route, replies, 0));
        Self::start(move |request| {
            let asked = format!("{} {}", request.method, request.path());
            let Some((_, replies, next)) = routes.iter_mut().find(|(route, ..)| *route == asked) else {
                return Reply::json(404, format!("{{\"error\":\"{asked} is not scripted\"}}"));
            };
            let reply = replies[(*next).min(replies.len() - 1)].clone();
            *next += 1;
            reply
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
    /// Without a slash at the end.
    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }
    /// All requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.book.lock().unwrap().requests.clone()
    }
    /// Those whose path is this one.
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|r| r.path() == path).collect()
    }
    pub fn most_in_flight(&self) -> usize {
        self.shared.book.lock().unwrap().most_in_flight
    }
    /// Waits until `found` is true of the requests so far; looks after each arrival and answer.
    #[track_caller]
    pub fn wait_until(&self, found: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        self.wait_until_within(1, found)
    }
    /// As `wait_until`, for so many times as long.
    #[track_caller]
    pub fn wait_until_within(&self, times: u32, found: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let book = self.shared.book.lock().unwrap();
        let (book, waited) =
            self.shared.changed.wait_timeout_while(book, PATIENCE * times, |book| !found(&book.requests)).unwrap();
        if waited.timed_out() {
            let (count, last) = (book.requests.len(), book.requests.iter().rev().take(20).collect::<Vec<_>>());
            panic!("it never came to that; {count} requests, the last ones: {last:#?}");
        }
        book.requests.clone()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the listener; it then sees that it is over.
        let _ = TcpStream::connect(self.addr);
        if let Ok(book) = self.shared.book.lock() {
            for stream in &book.streams {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Shared {
    fn converse(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some((request, closes)) = self.read(&mut reader)? {
            let (request, reply) = self.enter(request);
            if let Some(gate) = &reply.gate {
                gate.pass();
            }
            self.note_answer(request.number);
            write(stream, &reply)?;
            if reply.stalls {
                // Until the client goes away, or the API ends.
                reader.read_to_end(&mut Vec::new())?;
            }
            if closes || reply.status == 0 || reply.cut.is_some() {
                stream.shutdown(Shutdown::Both)?;
                break;
            }
        }
        Ok(())
    }

    /// Enters a request in the book once its answer is decided: whoever sees it there may open its gate.
    fn enter(&self, request: Request) -> (Request, Reply) {
        let mut script = self.script.lock().unwrap();
        // Nobody else enters one meanwhile.
        let request = Request { number: self.book.lock().unwrap().requests.len() + 1, ..request };
        let reply = script(&request);
        let mut book = self.book.lock().unwrap();
        book.requests.push(request.clone());
        book.in_flight += 1;
        book.most_in_flight = book.most_in_flight.max(book.in_flight);
        drop(book);
        self.changed.notify_all();
        (request, reply)
    }

    /// The next request of a connection, and whether it is the connection's last.
    fn read(&self, reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(Request, bool)>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let arrived = now() - self.start;
        let mut first = line.split_whitespace().map(str::to_owned);
        let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let named = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let mut body = vec![0; named("content-length").and_then(|n| n.parse().ok()).unwrap_or(0)];
        let closes = named("connection") == Some("close");
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Some((Request { number: 0, method, target, headers, body, arrived, answered: None }, closes)))
    }

    fn note_answer(&self, number: usize) {
        let mut book = self.book.lock().unwrap();
        book.requests[number - 1].answered = Some(now() - self.start);
        book.in_flight -= 1;
        drop(book);
        self.changed.notify_all();
    }
}

fn write(mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
    if reply.status == 0 {
        return Ok(());
    }
    let mut answer = Vec::new();
    write!(answer, "HTTP/1.1 {} Scripted\r\ncontent-length: {}\r\n", reply.status, reply.body.len())?;
    for (name, value) in &reply.headers {
        write!(answer, "{name}: {value}\r\n")?;
    }
    answer.extend_from_slice(b"\r\n");
    let shown = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
    answer.extend_from_slice(&reply.body[..shown]);
    stream.write_all(&answer)
}

#[cfg(test)]
mod tests {
    use super::super::client;
    use super::*;

    #[test]
    fn answers_come_in_order_and_requests_are_remembered() {
        let api = Api::scripted([("GET /a", vec![Reply::json(500, "{}"), Reply::json(200, "[1]").header("x", "y")])]);
        assert_eq!(client::get(api.addr(), "/a?n=1").status, 500);
        for _ in 0..2 {
            let got = client::get(api.addr(), "/a");
            assert_eq!((got.status, got.body.as_str(), got.head.contains("x: y")), (200, "[1]", true));
        }
        assert_eq!(client::send(api.addr(), "POST", "/b", "", "{\"k\":1}").status, 404);
        let seen = api.requests();
        assert_eq!((seen.len(), seen[0].target.as_str(), seen[3].json()["k"].as_u64()), (4, "/a?n=1", Some(1)));
        assert!(seen.windows(2).all(|two| two[0].arrived <= two[1].arrived));
    }

    #[test]
    fn an_answer_waits_behind_a_gate_and_is_in_flight_meanwhile() {
        let gate = Gate::default();
        let api = Api::scripted([("GET /a", vec![Reply::json(200, "{}").behind(&gate)])]);
        std::thread::scope(|scope| {
            let both = [scope.spawn(|| client::get(api.addr(), "/a")), scope.spawn(|| client::get(api.addr(), "/a"))];
            api.wait_until(|seen| seen.len() == 2);
            assert!(api.requests().iter().all(|r| r.answered.is_none()));
            gate.open();
            for one in both {
                assert_eq!(one.join().unwrap().status, 200);
            }
        });
        assert_eq!(api.most_in_flight(), 2);
    }

    #[test]
    fn a_connection_is_cut_in_the_body_or_before_it() {
        let replies = vec![Reply::json(200, "[1,2,3]").cut_after(3), Reply::hang_up()];
        let api = Api::scripted([("GET /a", replies)]);
        let answer = client::exchange(api.addr(), "GET", "/a", "", "").unwrap();
        assert!(answer.contains("content-length: 7") && answer.ends_with("[1,"), "{answer}");
        assert_eq!(client::exchange(api.addr(), "GET", "/a", "", "").unwrap_or_default(), "");
    }
}
