//! A server that means harm: it answers with whatever bytes it was told to, as slowly as it was told to.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A request it was sent.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its number, from 1.
    pub number: u64,
    pub method: String,
    pub target: String,
    /// The whole head as text.
    pub head: String,
}

/// What it sends.
#[derive(Clone)]
pub enum Act {
    /// These bytes.
    Send(Vec<u8>),
    /// These bytes one by one.
    Trickle(Vec<u8>, Duration),
    /// These bytes again and again, for as long as somebody reads.
    Endless(Vec<u8>),
    /// Nothing, for a long while.
    Hang,
}

/// The server; it ends with its owner.
pub struct Villain {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

/// What it answers a request with.
type Behave = dyn Fn(&Asked) -> Vec<Act> + Send + Sync;

struct Shared {
    behave: Box<Behave>,
    requests: AtomicU64,
    over: Mutex<bool>,
    ended: Condvar,
}

impl Villain {
    /// Listens on a free port; answers with the acts that `behave` says.
    pub fn start(behave: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behave: Box::new(behave),
            requests: AtomicU64::new(0),
            over: Mutex::new(false),
            ended: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.is_over() {
                    break;
                }
                let shared = Arc::clone(&serving);
                // A connection that breaks has nobody left to tell.
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Ok(Self { addr, shared })
    }

    /// `http://127.0.0.1:<port>`
    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Requests it was sent.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Villain {
    fn drop(&mut self) {
        *self.shared.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.ended.notify_all();
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, or less when it is over.
    fn wait(&self, time: Duration) {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        // Neither outcome matters: whoever waits writes next and finds out.
        drop(self.ended.wait_timeout_while(over, time, |over| !*over));
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_mins(2)))?;
        // One answer a connection: what was sent may be anything but a whole one.
        let Some(asked) = self.read(&mut stream)? else { return Ok(()) };
        for act in (self.behave)(&asked) {
            match act {
                Act::Send(bytes) => stream.write_all(&bytes)?,
                Act::Trickle(bytes, every) => {
                    for byte in bytes {
                        stream.write_all(&[byte])?;
                        self.wait(every);
                    }
                }
                Act::Endless(bytes) => {
                    while !self.is_over() {
                        stream.write_all(&bytes)?;
                    }
                }
                Act::Hang => self.wait(Duration::from_mins(10)),
            }
        }
        Ok(())
    }

    fn read(&self, stream: &mut TcpStream) -> io::Result<Option<Asked>> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut chunk)? {
                0 => return Ok(None),
                n => bytes.extend_from_slice(&chunk[..n]),
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut left = length.unwrap_or(0_usize).saturating_sub(bytes.len() - head_end);
        while left > 0 {
            match stream.read(&mut chunk)? {
                0 => break,
                n => left = left.saturating_sub(n),
            }
        }
        let mut words = head.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Some(Asked { number, method, target, head }))
    }
}

/// A whole answer with a JSON body.
pub fn json(status: u16, body: &str) -> Vec<Act> {
    vec![Act::Send(answer(status, "content-type: application/json\r\n", body.as_bytes()))]
}

/// A whole answer; `headers` end with line breaks.
pub fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = head(status, headers, body.len());
    bytes.extend_from_slice(body);
    bytes
}

/// The head of an answer of so many bytes.
pub fn head(status: u16, headers: &str, length: usize) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n").into_bytes()
}
