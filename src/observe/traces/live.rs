//! Spans while they last. A run's spans hang together by one trace; what is polled within a request finds its span in a
//! variable of the task.

use super::buffer::Buffer;
use super::places::{Over, Places};
use super::span::{Attributes, Event, Kind, MOST_EVENTS, Span, short};
use super::{Attempted, Happening, Purpose};
use crate::observe::event::RunSummary;
use crate::observe::meters::RunOutcome;
use crate::value::id::FlowId;
use crate::value::time::{Mono, SharedClock, SharedRng};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

tokio::task_local! {
    /// The request that is polled.
    static CURRENT: Arc<Request>;
}

/// Where traces begin: nowhere, unless somebody sends them.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Buffer>>);

impl Traces {
    /// Into this buffer.
    pub fn into_buffer(buffer: Arc<Buffer>) -> Self {
        Self(Some(buffer))
    }

    /// A run begins.
    pub fn begin(
        &self,
        clock: &SharedClock,
        rng: &SharedRng,
        flow: &FlowId,
        run: &str,
        trigger: &'static str,
    ) -> Trace {
        let Some(buffer) = self.0.clone() else { return Trace(None) };
        let trace = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()) | 1;
        let started = clock.mono();
        let attributes = vec![
            ("flowgate.flow", flow.as_str().into()),
            ("flowgate.run", run.into()),
            ("flowgate.trigger", trigger.into()),
        ];
        Trace(Some(Arc::new(Run {
            buffer,
            clock: clock.clone(),
            rng: rng.clone(),
            trace,
            id: rng.next_u64() | 1,
            name: format!("run {flow}"),
            attributes,
            started,
            began: u64::try_from(clock.utc().timestamp_nanos_opt().unwrap_or_default()).unwrap_or_default(),
            places: Mutex::new(Some(Places::default())),
        })))
    }
}

/// A run's trace.
#[derive(Clone, Default)]
pub struct Trace(Option<Arc<Run>>);

struct Run {
    buffer: Arc<Buffer>,
    clock: SharedClock,
    rng: SharedRng,
    trace: u128,
    id: u64,
    name: String,
    attributes: Attributes,
    started: Mono,
    /// When that was, in nanoseconds since 1970: civil time may jump, and spans must not.
    began: u64,
    /// None once the run is over.
    places: Mutex<Option<Places>>,
}

impl Run {
    fn at(&self, mono: Mono) -> u64 {
        self.began.saturating_add(u64::try_from(mono.since(self.started).as_nanos()).unwrap_or(u64::MAX))
    }

    fn new_id(&self) -> u64 {
        // 0 would be none.
        self.rng.next_u64() | 1
    }

    fn places(&self) -> MutexGuard<'_, Option<Places>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn span(&self, (id, parent): (u64, Option<u64>), name: String, (start, end): (Mono, Mono)) -> Span {
        Span {
            trace: self.trace,
            id,
            parent,
            name,
            kind: Kind::Internal,
            start: self.at(start),
            end: self.at(end),
            attributes: Vec::new(),
            events: Vec::new(),
            events_lost: 0,
            error: None,
        }
    }

    fn over(&self, over: Over) {
        let Over { lasted, parent, name, mut attributes } = over;
        attributes.push(("flowgate.requests", lasted.requests.into()));
        let parent = parent.unwrap_or(self.id);
        let span = self.span((lasted.id, Some(parent)), name, (lasted.start, lasted.end));
        self.buffer.add(Span { attributes, ..span }, true);
    }

    /// Everything of it is over. Only the first time counts.
    fn end(&self, and: Attributes, error: Option<String>) {
        let Some(places) = self.places().take() else { return };
        let now = self.clock.mono();
        places.close(now, |over| self.over(over));
        let mut attributes = self.attributes.clone();
        attributes.extend(and);
        let span = self.span((self.id, None), self.name.clone(), (self.started, now));
        self.buffer.add(Span { attributes, error, ..span }, true);
    }
}

impl Drop for Run {
    /// A run that nobody ended was cut off.
    fn drop(&mut self) {
        self.end(vec![("flowgate.outcome", "cut off".into())], Some("the run was cut off".to_owned()));
    }
}

impl Trace {
    /// A request, from before its ticket to its end.
    pub async fn request<T, E: Display>(
        &self,
        purpose: Purpose<'_>,
        sending: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(request) = self.0.as_ref().and_then(|run| Request::begin(run, purpose)) else {
            return sending.await;
        };
        let open = Open(Some(request.clone()));
        let result = CURRENT.scope(request, sending).await;
        open.end(result.as_ref().err().map(ToString::to_string));
        result
    }

    /// The run ended. What it still had under way is over too.
    pub fn end(&self, end: &RunSummary<'_>) {
        let Some(run) = &self.0 else { return };
        let attributes = vec![
            ("flowgate.outcome", end.outcome.label().into()),
            ("flowgate.records.exported", end.exported.into()),
            ("flowgate.records.delivered", end.delivered.into()),
            ("flowgate.records.filtered", end.filtered.into()),
            ("flowgate.records.failed", end.failed.into()),
            ("flowgate.pages", end.pages.into()),
            ("flowgate.requests", end.requests.into()),
        ];
        let why = || end.cause.clone().unwrap_or_else(|| format!("{} records failed", end.failed));
        run.end(attributes, (end.outcome != RunOutcome::Succeeded).then(|| short(&why())));
    }
}

/// A request under way.
struct Request {
    run: Arc<Run>,
    id: u64,
    parent: u64,
    step: String,
    page: Option<u64>,
    started: Mono,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    attributes: Attributes,
    attempts: u32,
    events: Vec<Event>,
    events_lost: u32,
}

impl Request {
    fn begin(run: &Arc<Run>, purpose: Purpose<'_>) -> Option<Arc<Self>> {
        let Purpose { step, act, connection, page, record, records } = purpose;
        let started = run.clock.mono();
        let parent = run.places().as_mut()?.enter(step, page, started, || run.new_id(), |over| run.over(over));
        let mut attributes: Attributes = vec![
            ("flowgate.step", step.into()),
            ("flowgate.request", act.into()),
            ("flowgate.connection", connection.as_str().into()),
        ];
        attributes.extend(page.map(|page| ("flowgate.page", page.into())));
        attributes.extend(record.map(|record| ("flowgate.record", record.into())));
        if records > 0 {
            attributes.push(("flowgate.records", (records as u64).into()));
        }
        let noted = Mutex::new(Noted { attributes, ..Noted::default() });
        let (run, step, id) = (run.clone(), step.to_owned(), run.new_id());
        Some(Arc::new(Self { run, id, parent, step, page, started, noted }))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A span within it.
    fn part(&self, name: &str, (start, end): (Mono, Mono)) -> Span {
        self.run.span((self.run.new_id(), Some(self.id)), name.to_owned(), (start, end))
    }

    fn end(&self, error: Option<String>) {
        let now = self.run.clock.mono();
        let Noted { mut attributes, attempts, events, events_lost } = std::mem::take(&mut *self.noted());
        attributes.push(("flowgate.attempts", u64::from(attempts).into()));
        let span = self.run.span((self.id, Some(self.parent)), "request".to_owned(), (self.started, now));
        self.run.buffer.add(Span { attributes, events, events_lost, error, ..span }, false);
        if let Some(places) = self.run.places().as_mut() {
            places.leave(&self.step, self.page, now);
        }
    }
}

/// Ends the request's span also where its future is dropped.
struct Open(Option<Arc<Request>>);

impl Open {
    fn end(mut self, error: Option<String>) {
        if let Some(request) = self.0.take() {
            request.end(error.map(|error| short(&error)));
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(request) = self.0.take() {
            request.end(Some("given up before its end".to_owned()));
        }
    }
}

/// A wait in line: ends when dropped.
pub struct Waiting(Option<(Arc<Request>, Mono)>);

/// The request that is polled now waits in line until this is dropped.
pub fn waiting() -> Waiting {
    let current = CURRENT.try_with(Arc::clone).ok();
    Waiting(current.map(|request| {
        let now = request.run.clock.mono();
        (request, now)
    }))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some((request, since)) = self.0.take() else { return };
        let span = request.part("queue", (since, request.run.clock.mono()));
        request.run.buffer.add(span, false);
    }
}

/// The request that is polled now was attempted.
pub fn attempted(tell: impl FnOnce() -> Attempted) {
    let _ = CURRENT.try_with(|request| {
        let Attempted { attempt, started, took, request: asked, status, outcome, message } = tell();
        request.noted().attempts += 1;
        let (method, url) = asked.split_once(' ').unwrap_or(("request", &asked));
        let mut attributes: Attributes = vec![
            ("flowgate.attempt", u64::from(attempt).into()),
            ("flowgate.outcome", outcome.into()),
            ("http.request.method", method.into()),
            ("url.full", url.into()),
        ];
        attributes.extend(status.map(|status| ("http.response.status_code", u64::from(status).into())));
        let span = request.part(method, (started, started.plus(took)));
        let error = (!message.is_empty()).then(|| short(&message));
        request.run.buffer.add(Span { kind: Kind::Client, attributes, error, ..span }, false);
    });
}

/// Something became of the request that is polled now.
pub fn happened(what: Happening<'_>) {
    let _ = CURRENT.try_with(|request| {
        let (name, attributes) = match what {
            Happening::Limited(wait) => ("limited", vec![("flowgate.wait_seconds", seconds(wait))]),
            Happening::Retried(wait, cause) => {
                ("retry", vec![("flowgate.wait_seconds", seconds(wait)), ("flowgate.cause", cause.into())])
            }
            Happening::Refused => ("credential refused", Vec::new()),
        };
        let at = request.run.at(request.run.clock.mono());
        let mut noted = request.noted();
        if noted.events.len() < MOST_EVENTS {
            noted.events.push(Event { name, at, attributes });
        } else {
            noted.events_lost = noted.events_lost.saturating_add(1);
        }
    });
}

fn seconds(wait: std::time::Duration) -> super::span::Value {
    super::span::Value::Seconds(wait.as_secs_f64())
}
