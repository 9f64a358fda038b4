//! Requests into networks that cannot be reached from here: an agent inside such a network dials out to the server and
//! carries TCP streams for it. Both ends are here.
//!
//! Server side: `hub` knows which agents are there and opens streams through them (`tunnel`), `door` lets the HTTP
//! client in. Agent side: `keep` stays connected (`link`), `tend` answers what is asked (the allow-list holds there).
//! Between them is HTTP/2 with `CONNECT`; `carry` moves the bytes, `beat` notices a dead line. Nothing here looks into
//! what is carried: TLS and credentials are between the HTTP client and the API.

mod beat;
mod carry;
mod door;
mod hub;
pub mod keep;
mod link;
mod socks;
mod tend;
mod tunnel;

#[cfg(test)]
mod tests;

pub use hub::{Absence, Hub, NotOpened, Presence, Route};

/// Where an agent comes in.
pub const PATH: &str = "/agent";
/// What it asks to speak.
pub const PROTOCOL: &str = "flowgate-agent";
/// Says which agent the server took it for.
pub const NAME_HEADER: &str = "flowgate-agent";

/// Streams of one tunnel at once.
const MOST_STREAMS: u32 = 256;
/// What may be on its way unread, of one stream.
const STREAM_WINDOW: u32 = 256 * 1024;
/// And of a tunnel: no stream that is not read from can stop the others.
const TUNNEL_WINDOW: u32 = MOST_STREAMS * STREAM_WINDOW;
/// The largest frame taken; a larger one ends the tunnel.
const MOST_FRAME: u32 = 16 * 1024;
/// The largest head of a request or answer within a tunnel.
const MOST_HEAD: u32 = 8 * 1024;
/// Carries the reason of a refusal.
const REASON_HEADER: &str = "flowgate-reason";
/// Longest reason given, in characters.
const MOST_REASON: usize = 300;

/// A reason as it is shown: the other end may be anybody's.
fn shown(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(MOST_REASON).collect()
}
