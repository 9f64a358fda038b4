//! Everything the API answers, as a table: the router, the guard and the OpenAPI document are made of it.
//!
//! Reads are resources, and an id may have slashes: it is the end of its path. Changes are actions with a JSON body.

use crate::store::socket::{
    Act, Ask, CancelAsk, Denied, ErrorAsk, ErrorsAsk, FlowsAsk, RunAsk, RunsAsk, Subject, SubjectKind, View,
};
use crate::store::{ErrorFilter, Phase};
use crate::value::id::FlowId;
use axum::http::Uri;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Most parameters of one request.
const MOST_PARAMETERS: usize = 32;

/// What a route does.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// The OpenAPI document.
    Document,
    /// Live events.
    Events,
    /// A look.
    Read(fn(&Asked) -> Result<Ask, Denied>),
    /// A change.
    Change(fn(&[u8]) -> Result<Ask, Denied>),
}

/// A query parameter.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `string`, `integer`, `boolean`
    pub(super) shape: &'static str,
    pub(super) about: &'static str,
}

/// One route.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) query: &'static [Parameter],
    /// Schema of the body of a change.
    pub(super) body: Option<&'static str>,
    /// Schema of the answer.
    pub(super) answer: &'static str,
    /// Shows records, or changes something: never without a token.
    pub(super) private: bool,
    pub(super) kind: Kind,
}

/// What a request names.
pub(super) struct Asked {
    /// The end of the path, where the route has one; else empty.
    pub(super) id: String,
    given: Vec<(String, String)>,
}

const fn read(
    path: &'static str,
    about: &'static str,
    answer: &'static str,
    ask: fn(&Asked) -> Result<Ask, Denied>,
) -> Route {
    Route { path, about, query: &[], body: None, answer, private: false, kind: Kind::Read(ask) }
}

const fn change(
    path: &'static str,
    about: &'static str,
    body: &'static str,
    answer: &'static str,
    ask: fn(&[u8]) -> Result<Ask, Denied>,
) -> Route {
    Route { path, about, query: &[], body: Some(body), answer, private: true, kind: Kind::Change(ask) }
}

const fn p(name: &'static str, shape: &'static str, about: &'static str) -> Parameter {
    Parameter { name, shape, about }
}

const LIMIT: Parameter = p("limit", "integer", "At most so many");
const FLOW: Parameter = p("flow", "string", "Of this flow");

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    Route {
        kind: Kind::Document,
        ..read("/api/openapi.json", "This document", "OpenApi", |_| Err(Denied::invalid("")))
    },
    read("/api/v1/snapshot", "The process, and the configuration in force", "Snapshot", |_| view(View::Snapshot)),
    read("/api/v1/reloads", "What became of the files, the newest first", "Reloads", |_| view(View::Reloads)),
    read("/api/v1/reloads/{id}", "One reload, resource by resource", "Reload", |asked| {
        view(View::Reload(asked.id.clone()))
    }),
    Route {
        query: &[
            p("q", "string", "Whose id or title has this in it"),
            p(
                "state",
                "string",
                "Whose `health` is this word, or one of these with commas between them; `overdue` and `attention` too",
            ),
            p("after", "string", "Behind this id: `next` of the page before"),
            LIMIT,
        ],
        ..read("/api/v1/flows", "Flows by id, and how many there are in each state", "Flows", flows)
    },
    read("/api/v1/flows/{id}", "One flow", "Flow", |asked| view(View::Flow(asked.id.clone()))),
    Route {
        query: &[
            FLOW,
            p("phase", "string", "`running`, `held`, `ended` or `dismissed`"),
            p("before", "string", "That began before this instant: `next` of the page before"),
            LIMIT,
        ],
        ..read("/api/v1/runs", "Runs, the newest first", "Runs", runs)
    },
    read("/api/v1/runs/{id}", "One run with its pages", "Run", |asked| view(View::Run(asked.id.clone()))),
    read("/api/v1/logs/{id}", "The log lines of one run", "RunLog", |asked| view(View::RunLog(asked.id.clone()))),
    read("/api/v1/queues", "Every pool, its lines, and what each flow has in them", "Queues", |_| view(View::Queues)),
    read("/api/v1/connections", "Every connection", "Connections", |_| view(View::Connections)),
    read("/api/v1/connections/{id}", "One connection with its queue", "Connection", |asked| {
        view(View::Connection(asked.id.clone()))
    }),
    Route {
        query: &[
            FLOW,
            p("run", "string", "Of this run"),
            p("class", "string", "Of this class"),
            p("fingerprint", "string", "With this fingerprint, or one that begins so"),
            p("open", "boolean", "Open ones only; so when nothing is said"),
            p("group", "boolean", "By what they have in common; in place of `errors` there are `groups`"),
            p("below", "integer", "With a lower number: `next` of the page before"),
            LIMIT,
        ],
        ..read("/api/v1/errors", "Error records, the newest first, without their payload", "Errors", errors)
    },
    Route {
        private: true,
        ..read("/api/v1/errors/{id}", "One error record with its payload, request and answer", "Error", error)
    },
    read("/api/v1/explain/run/{id}", "Why a run waits", "Explained", |asked| explain(SubjectKind::Run, asked)),
    read("/api/v1/explain/flow/{id}", "Why a flow waits", "Explained", |asked| explain(SubjectKind::Flow, asked)),
    read("/api/v1/explain/connection/{id}", "Why requests of a connection wait", "Explained", |asked| {
        explain(SubjectKind::Connection, asked)
    }),
    Route {
        kind: Kind::Events,
        ..read("/api/v1/events", "Live events, as server-sent events", "Event", |_| Err(Denied::invalid("")))
    },
    change("/api/v1/actions/run", "Run flows now", "RunBody", "Started", |body| Ok(Ask::Run(parsed::<RunAsk>(body)?))),
    change(
        "/api/v1/actions/cancel",
        "Stop a run: what is left goes on with the flow's next one",
        "CancelBody",
        "Cancelled",
        |body| Ok(Ask::Act(Act::Cancel(parsed::<CancelAsk>(body)?))),
    ),
    change("/api/v1/actions/pause", "Flows start nothing more, also after a restart", "FlowsBody", "Paused", |body| {
        Ok(Ask::Act(Act::Pause(parsed::<FlowsBody>(body)?.flows)))
    }),
    change("/api/v1/actions/resume", "Paused flows may start again", "FlowsBody", "Paused", |body| {
        Ok(Ask::Act(Act::Resume(parsed::<FlowsBody>(body)?.flows)))
    }),
    change("/api/v1/actions/ping", "Ask an API whether its connection works", "PingBody", "Pinged", |body| {
        Ok(Ask::Ping(parsed::<PingBody>(body)?.connection))
    }),
    change("/api/v1/actions/reload", "Look at the files now", "ReloadBody", "Reloaded", |body| {
        let wait = parsed::<ReloadBody>(body)?.wait;
        Ok(if wait { Ask::Reload } else { Ask::Act(Act::Look) })
    }),
    change("/api/v1/actions/drain", "Finish what is in flight, and end the process", "EmptyBody", "Draining", |body| {
        parsed::<EmptyBody>(body).map(|_| Ask::Act(Act::Drain))
    }),
    change("/api/v1/actions/errors/retry", "Try open error records again", "ErrorsBody", "Retried", |body| {
        let ErrorsBody { open, .. } = parsed(body)?;
        if open {
            return Err(Denied::invalid("`open` is for purge: only open ones are tried again"));
        }
        Ok(Ask::Retry(which(body)?))
    }),
    change("/api/v1/actions/errors/resolve", "Settle open error records by hand", "ErrorsBody", "Resolved", |body| {
        let ErrorsBody { open, .. } = parsed(body)?;
        if open {
            return Err(Denied::invalid("`open` is for purge: only open ones are resolved"));
        }
        Ok(Ask::Errors(ErrorAsk::Resolve { filter: which(body)? }))
    }),
    change(
        "/api/v1/actions/errors/purge",
        "Let settled error records go; open ones too when it is said",
        "ErrorsBody",
        "Purged",
        |body| {
            let ErrorsBody { open, .. } = parsed(body)?;
            Ok(Ask::Errors(ErrorAsk::Purge { filter: which(body)?, open }))
        },
    ),
];

impl Route {
    /// Whether a request's path is this route's.
    pub(super) fn is_at(&self, path: &str) -> bool {
        match self.path.split_once('{') {
            Some((before, _)) => path.len() > before.len() && path.starts_with(before),
            None => path == self.path,
        }
    }

    /// What a request names: the id at the end of its path, and parameters this route knows.
    pub(super) fn named(&self, uri: &Uri) -> Result<Asked, Denied> {
        let before = self.path.split_once('{').map_or(self.path, |(before, _)| before);
        let id = uri.path().strip_prefix(before).unwrap_or_default();
        let id =
            percent_decode_str(id).decode_utf8().map_err(|_| Denied::invalid("the path is no UTF-8"))?.into_owned();
        let mut given: Vec<(String, String)> = Vec::new();
        for (name, value) in
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).take(MOST_PARAMETERS + 1)
        {
            if self.query.iter().all(|known| known.name != name) {
                let known: Vec<&str> = self.query.iter().map(|known| known.name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Denied::invalid(format!("there is no such parameter here; there are: {known}")));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(Denied::invalid(format!("`{name}` is given twice")));
            }
            given.push((name.into_owned(), value.into_owned()));
        }
        Ok(Asked { id, given })
    }
}

impl Asked {
    fn text(&self, name: &str) -> Option<String> {
        self.given.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn value<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Denied> {
        let bad = |_| Denied::invalid(format!("`{name}` is not what it should be"));
        self.text(name).map(|text| text.parse::<T>().map_err(bad)).transpose()
    }

    fn flow(&self) -> Result<Option<FlowId>, Denied> {
        let parse = |text: String| FlowId::parse(&text).map_err(|error| Denied::invalid(format!("`flow`: {error}")));
        self.text("flow").map(parse).transpose()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as the table wants it")]
fn view(view: View) -> Result<Ask, Denied> {
    Ok(Ask::View(view))
}

fn flows(asked: &Asked) -> Result<Ask, Denied> {
    let (q, state, after) = (asked.text("q"), asked.text("state"), asked.text("after"));
    view(View::Flows(FlowsAsk { q, state, after, limit: asked.value("limit")? }))
}

fn runs(asked: &Asked) -> Result<Ask, Denied> {
    let phase = match asked.text("phase").as_deref() {
        None => None,
        Some("running") => Some(Phase::Running),
        Some("held") => Some(Phase::Held),
        Some("ended") => Some(Phase::Ended),
        Some("dismissed") => Some(Phase::Dismissed),
        Some(_) => return Err(Denied::invalid("`phase` is `running`, `held`, `ended` or `dismissed`")),
    };
    let before: Option<DateTime<Utc>> = asked.value("before")?;
    view(View::Runs(RunsAsk { flow: asked.flow()?, phase, before, limit: asked.value("limit")? }))
}

fn errors(asked: &Asked) -> Result<Ask, Denied> {
    let filter = ErrorFilter {
        flow: asked.flow()?,
        run: asked.text("run"),
        class: asked.text("class"),
        fingerprint: asked.text("fingerprint"),
        open_only: asked.value("open")?.unwrap_or(true),
        below: asked.value("below")?,
        limit: asked.value("limit")?,
        ..ErrorFilter::default()
    };
    view(View::Errors(ErrorsAsk { filter, groups: asked.value("group")?.unwrap_or(false) }))
}

fn error(asked: &Asked) -> Result<Ask, Denied> {
    let id = asked.id.parse().map_err(|_| Denied::unknown("error records go by numbers"))?;
    view(View::Error(id))
}

fn explain(kind: SubjectKind, asked: &Asked) -> Result<Ask, Denied> {
    view(View::Explain(Subject { kind: Some(kind), id: asked.id.clone() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowsBody {
    flows: Vec<FlowId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PingBody {
    connection: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadBody {
    #[serde(default)]
    wait: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyBody {}

/// Which error records: nothing is taken for all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorsBody {
    #[serde(default)]
    ids: Vec<u64>,
    flow: Option<FlowId>,
    run: Option<String>,
    class: Option<String>,
    fingerprint: Option<String>,
    before: Option<DateTime<Utc>>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    open: bool,
}

fn which(body: &[u8]) -> Result<ErrorFilter, Denied> {
    let ErrorsBody { ids, flow, run, class, fingerprint, before, all, .. } = parsed(body)?;
    let filter = ErrorFilter { ids, flow, run, class, fingerprint, before, ..ErrorFilter::default() };
    match (filter == ErrorFilter::default(), all) {
        (true, false) => Err(Denied::invalid(
            "say which: `ids`, `flow`, `run`, `class`, `fingerprint` or `before`, or `\"all\": true`",
        )),
        (false, true) => Err(Denied::invalid("`all` goes with nothing else")),
        _ => Ok(filter),
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Denied> {
    serde_json::from_slice(body).map_err(|error| Denied::invalid(format!("the body: {error}")))
}
