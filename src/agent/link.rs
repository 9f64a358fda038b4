//! The agent's way to the server: an HTTP request that becomes a tunnel. Outbound only; the server's certificate is
//! verified like any other, or against the agent's own authority.

use super::keep::Orders;
use super::{NAME_HEADER, PATH, PROTOCOL, shown};
use crate::value::time::SharedClock;
use reqwest::header::{CONNECTION, HeaderValue, UPGRADE};
use reqwest::{Certificate, Client, StatusCode, Upgraded};
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
/// From the first packet to the tunnel.
const WHOLE: Duration = Duration::from_secs(20);
/// Most bytes of a refusal that are read.
const MOST_BODY: usize = 4 * 1024;

/// Why there is no tunnel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoLink {
    /// The server does not know the token.
    Token(String),
    /// May be otherwise later.
    Passing(String),
}

/// A tunnel, and who the server took us for.
pub(super) struct Link {
    pub(super) io: Upgraded,
    pub(super) name: String,
}

/// Dials the server.
pub(super) async fn dial(orders: &Orders, clock: &SharedClock) -> Result<Link, NoLink> {
    let deadline = clock.sleep_until(clock.mono().plus(WHOLE));
    tokio::select! {
        link = ask(orders) => link,
        () = deadline => Err(NoLink::Passing(format!("no answer within {} s", WHOLE.as_secs()))),
    }
}

async fn ask(orders: &Orders) -> Result<Link, NoLink> {
    let passing = |error: reqwest::Error| NoLink::Passing(chain(&error.without_url()));
    let mut url = orders.server.clone();
    url.set_path(&format!("{}{PATH}", url.path().trim_end_matches('/')));
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", orders.token.reveal()))
        .map_err(|_| NoLink::Passing("the token holds characters that cannot be sent".to_owned()))?;
    bearer.set_sensitive(true);
    let request = client(orders)?.get(url).header(CONNECTION, "upgrade").header(UPGRADE, PROTOCOL);
    let mut answer = request.header(reqwest::header::AUTHORIZATION, bearer).send().await.map_err(passing)?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let name = answer.headers().get(NAME_HEADER).and_then(|name| name.to_str().ok()).map(shown);
        return Ok(Link { io: answer.upgrade().await.map_err(passing)?, name: name.unwrap_or_default() });
    }
    let status = answer.status();
    let told = reason(&mut answer).await;
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => NoLink::Token(told),
        StatusCode::NOT_FOUND => NoLink::Passing("there is no flowgate that knows agents (404)".to_owned()),
        status => NoLink::Passing(format!("{status}: {told}")),
    })
}

fn client(orders: &Orders) -> Result<Client, NoLink> {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("flowgate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT);
    if let Some(ca) = &orders.ca {
        let trusted = Certificate::from_pem_bundle(ca.as_bytes());
        let trusted = trusted.map_err(|error| NoLink::Passing(format!("`ca` cannot be used: {}", chain(&error))))?;
        builder = builder.tls_certs_only(trusted);
    }
    builder.build().map_err(|error| NoLink::Passing(chain(&error)))
}

/// The server's own words.
async fn reason(answer: &mut reqwest::Response) -> String {
    let mut body = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "capped right here")]
    while let Ok(Some(part)) = answer.chunk().await {
        body.extend_from_slice(&part);
        if body.len() > MOST_BODY {
            break;
        }
    }
    let said = serde_json::from_slice::<serde_json::Value>(&body).ok();
    shown(said.as_ref().and_then(|said| said["reason"].as_str()).unwrap_or("no reason given"))
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text
}
