//! Spans on their way to a collector: gathered for a moment, sent a batch at a time, tried again where that may help, given
//! up and counted where it does not. Nothing waits for it; while a collector is slow the buffer fills and drops.

use super::settings::Settings;
use crate::http::request::Method;
use crate::http::transport::{Proxy, ReqwestTransport, Tls, Transport, WireRequest, Wiring};
use crate::observe::traces::{Buffer, Traces, encode};
use crate::observe::{event, task};
use crate::value::time::{SharedClock, show_duration};
use futures_util::StreamExt;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long spans wait for more.
const GATHERING: Duration = Duration::from_secs(1);
/// Most spans of one request.
const MOST_SPANS: usize = 2_048;
/// Waits before a batch is tried again.
const AGAIN: &[Duration] = &[Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(3)];
/// For what is left at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Most of an answer that is read.
const MOST_ANSWER: usize = 64 << 10;

/// Sends until it is ended.
pub struct Exporter {
    buffer: Arc<Buffer>,
    clock: SharedClock,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporter {
    pub fn start(settings: Settings, clock: SharedClock) -> Self {
        let (buffer, stop) = (Arc::new(Buffer::default()), CancellationToken::new());
        let way = Way::new(settings, clock.clone());
        let task = task::spawn("traces", keep(way, buffer.clone(), stop.clone()));
        Self { buffer, clock, stop, task }
    }

    pub fn traces(&self) -> Traces {
        Traces::into_buffer(self.buffer.clone())
    }

    /// Sends what is left; what does not get away in a moment is counted as failed.
    pub async fn end(self) {
        self.stop.cancel();
        let mut task = self.task;
        tokio::select! {
            _ = &mut task => {}
            () = self.clock.sleep_until(self.clock.mono().plus(LAST_WORDS)) => {
                task.abort();
                // Until it is gone, so that nothing is counted twice.
                let _ = task.await;
            }
        }
        self.buffer.give_up();
    }
}

async fn keep(mut way: Way, buffer: Arc<Buffer>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => {}
            () = buffer.enough() => {}
            () = way.clock.sleep_until(way.clock.mono().plus(GATHERING)) => {}
        }
        loop {
            let spans = buffer.take(MOST_SPANS);
            if spans.is_empty() {
                break;
            }
            let refused = way.send(encode::body(&way.settings.resource, &spans), &stop).await;
            let refused = refused.map_or(spans.len(), |refused| refused.min(spans.len()));
            buffer.sent(spans.len() - refused, true);
            buffer.sent(refused, false);
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

/// The way to the collector.
struct Way {
    settings: Settings,
    headers: HeaderMap,
    transport: ReqwestTransport,
    clock: SharedClock,
    /// Whether the last batch got lost, which was told.
    failing: bool,
}

/// Why a batch did not arrive.
struct Lost {
    why: String,
    /// Whether it may arrive when it is sent again.
    may_pass: bool,
}

impl Way {
    fn new(settings: Settings, clock: SharedClock) -> Self {
        let transport = ReqwestTransport::new(Wiring {
            connect_timeout: settings.timeout / 2,
            idle: 1,
            tls_occurs: settings.endpoint.scheme() == "https",
            tls: Tls::default(),
            proxy: Proxy::None,
            base: settings.endpoint.clone(),
            allowed: Vec::new(),
        });
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let name = HeaderName::try_from(name.as_str());
            if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(value.reveal())) {
                value.set_sensitive(true);
                headers.insert(name, value);
            } else {
                event::traces_off("OTEL_EXPORTER_OTLP_HEADERS: one of them cannot be sent, and is left out");
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { settings, headers, transport, clock, failing: false }
    }

    /// Sends a batch; how many spans of it were refused, or none when it did not arrive at all.
    async fn send(&mut self, body: Vec<u8>, stop: &CancellationToken) -> Option<usize> {
        let body = bytes::Bytes::from(body);
        let mut waits = AGAIN.iter();
        loop {
            let lost = match self.once(body.clone()).await {
                Ok(refused) => {
                    if std::mem::take(&mut self.failing) {
                        event::traces_on_again();
                    }
                    return Some(refused);
                }
                Err(lost) => lost,
            };
            let wait = waits.next().filter(|_| lost.may_pass && !stop.is_cancelled());
            let Some(wait) = wait else {
                // Told once, until one arrives: whatever was done wrong, each second is too often to hear of it.
                if !std::mem::replace(&mut self.failing, true) {
                    event::traces_lost(&lost.why);
                }
                return None;
            };
            tokio::select! {
                () = self.clock.sleep_until(self.clock.mono().plus(*wait)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn once(&self, body: bytes::Bytes) -> Result<usize, Lost> {
        let request = WireRequest {
            method: Method::Post,
            url: self.settings.endpoint.clone(),
            headers: self.headers.clone(),
            body: Some(body),
        };
        let asked = async {
            let answer = self.transport.send(request).await;
            let mut answer = answer.map_err(|error| Lost { why: error.message, may_pass: true })?;
            let mut said = Vec::new();
            while let Some(Ok(chunk)) = answer.body.next().await {
                if said.len() + chunk.len() > MOST_ANSWER {
                    break;
                }
                said.extend_from_slice(&chunk);
            }
            match answer.status {
                200..=299 => Ok(refused(&said)),
                status => Err(Lost {
                    why: format!("the collector answers {status}"),
                    may_pass: matches!(status, 429 | 502 | 503 | 504),
                }),
            }
        };
        tokio::select! {
            done = asked => done,
            () = self.clock.sleep_until(self.clock.mono().plus(self.settings.timeout)) => {
                let why = format!("no answer within {}", show_duration(self.settings.timeout));
                Err(Lost { why, may_pass: true })
            }
        }
    }
}

/// How many spans an answer says were not taken.
fn refused(answer: &[u8]) -> usize {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let count = &answer["partialSuccess"]["rejectedSpans"];
    count.as_str().and_then(|count| count.parse().ok()).or(count.as_u64()).and_then(|n| n.try_into().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::recorder::{self, Live};
    use crate::value::id::FlowId;
    use crate::value::time::{SeededRng, SystemClock};

    #[tokio::test]
    async fn what_does_not_get_away_at_the_end_is_counted_as_failed() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = Settings {
            endpoint: url::Url::parse(&format!("http://{}/v1/traces", silent.local_addr().unwrap())).unwrap(),
            headers: Vec::new(),
            timeout: Duration::from_mins(1),
            resource: Vec::new(),
        };
        let clock = SystemClock::start();
        let exporter = Exporter::start(settings, clock.clone());
        let flow = FlowId::parse("copy").unwrap();
        let trace = |run| exporter.traces().begin(&clock, &SeededRng::seeded(7), &flow, run, "manual");
        // The first one is on its way to who never answers when the second one comes.
        drop(trace("r1"));
        let _never_answered = silent.accept().await.unwrap();
        drop(trace("r2"));
        exporter.end().await;
        let text = recorder::render(&Live::default()).concat();
        assert!(text.contains("flowgate_trace_spans_total{outcome=\"failed\"} 2\n"), "{text}");
    }

    #[test]
    fn a_collector_may_refuse_some() {
        assert_eq!(refused(b"{}"), 0);
        assert_eq!(refused(b""), 0);
        assert_eq!(refused(br#"{"partialSuccess":{"rejectedSpans":"7","errorMessage":"x"}}"#), 7);
        assert_eq!(refused(br#"{"partialSuccess":{"rejectedSpans":3}}"#), 3);
    }
}
