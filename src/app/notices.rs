//! `[notify]`: tells people over a connection and its queue what deserves a look. Each matter once within a while, with
//! secrets masked, a few at a time; what cannot be sent is logged and never told in turn.

use super::errors::Masks;
use super::status;
use crate::model::notify::{Notify, Occasion};
use crate::observe::event;
use crate::observe::meters::{NoticeMeters, NoticeOutcome, RunOutcome};
use crate::runtime::happening::Happening;
use crate::runtime::supervisor::Supervisor;
use crate::value::context::{Context, Root, Slot};
use crate::value::id::FlowId;
use crate::value::json::Json;
use crate::value::time::Mono;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Within this time a matter is told once.
const ONCE_IN: Duration = Duration::from_mins(10);
/// Notices that wait to be sent; further ones are dropped.
const ROOM: usize = 100;
/// Time for one notice, its wait in line and its retries included.
const PATIENCE: Duration = Duration::from_mins(2);
/// Longest summary, in characters.
const LONGEST: usize = 1_000;

/// What is to be told.
struct Notice {
    occasion: Occasion,
    /// The flow or connection it is about.
    subject: String,
    event: Value,
}

/// Told not long ago.
#[derive(Default)]
struct Told {
    last: HashMap<(Occasion, String), (Mono, u64)>,
}

impl Told {
    /// How many of its kind were held back since the last one; none when this one is held back too.
    fn may(&mut self, occasion: Occasion, subject: &str, now: Mono) -> Option<u64> {
        self.last.retain(|_, (at, held)| *held > 0 || now.since(*at) < ONCE_IN);
        let key = (occasion, subject.to_owned());
        match self.last.get_mut(&key) {
            Some((at, held)) if now.since(*at) < ONCE_IN => {
                *held += 1;
                None
            }
            Some((at, held)) => {
                *at = now;
                Some(std::mem::take(held))
            }
            None => {
                self.last.insert(key, (now, 0));
                Some(0)
            }
        }
    }
}

/// Tells until `stop`.
pub(super) async fn notify(supervisor: Supervisor, notify: Arc<Notify>, stop: CancellationToken) {
    let (sender, receiver) = mpsc::channel(ROOM);
    let meters = NoticeMeters::take();
    tokio::select! {
        () = collect(&supervisor, &notify, sender, &meters) => {}
        () = send_all(&supervisor, &notify, receiver, &meters) => {}
        () = stop.cancelled() => {}
    }
}

async fn collect(supervisor: &Supervisor, notify: &Notify, sender: mpsc::Sender<Notice>, meters: &NoticeMeters) {
    let mut happenings = supervisor.happenings().listen();
    let mut told = Told::default();
    loop {
        let happening = match happenings.recv().await {
            Ok(happening) => happening,
            Err(RecvError::Lagged(count)) => {
                event::notices_missed(count);
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let Some(mut notice) = notice_of(&happening, notify) else { continue };
        let now = supervisor.services().clock.mono();
        let Some(held) = told.may(notice.occasion, &notice.subject, now) else {
            meters.count(NoticeOutcome::Suppressed);
            continue;
        };
        notice.event["suppressed"] = json!(held);
        if sender.try_send(notice).is_err() {
            meters.count(NoticeOutcome::Dropped);
            event::notice_failed("too many notices wait to be sent");
        }
    }
}

/// What a happening is told as; none when it is none of the occasions, or would be told over what it is about.
fn notice_of(happening: &Happening, notify: &Notify) -> Option<Notice> {
    let (occasion, subject, event) = match happening {
        Happening::RunEnded { report, at } if report.ending.outcome() == RunOutcome::Failed => {
            let error = report.ending.error().map(ToString::to_string).unwrap_or_default();
            let event = json!({
                "flow": report.flow.as_str(),
                "run": report.run,
                "summary": format!("run {} failed: {error}", report.run),
                "error": error,
                "records": status::counts(&report.counts),
                "at": status::time(*at),
            });
            (Occasion::RunFailed, report.flow.to_string(), event)
        }
        Happening::FirstError { flow, open } => {
            let records = if *open == 1 { "record".to_owned() } else { "records".to_owned() };
            let event = json!({
                "flow": flow.as_str(),
                "summary": format!("{open} error {records} opened, the first after none: `flowgate errors list --flow {flow}`"),
                "open": open,
            });
            (Occasion::FirstError, flow.to_string(), event)
        }
        Happening::Offline { connection, reason, since } if *connection != notify.connection.as_str() => {
            let event = json!({
                "flow": connection,
                "connection": connection,
                "summary": format!("connection `{connection}` is offline: {reason}"),
                "error": reason,
                "at": status::time(*since),
            });
            (Occasion::Offline, connection.clone(), event)
        }
        _ => return None,
    };
    if !notify.on.contains(&occasion) {
        return None;
    }
    Some(Notice { occasion, subject, event })
}

async fn send_all(
    supervisor: &Supervisor,
    notify: &Notify,
    mut notices: mpsc::Receiver<Notice>,
    meters: &NoticeMeters,
) {
    let clock = supervisor.services().clock.clone();
    while let Some(notice) = notices.recv().await {
        let sent = tokio::select! {
            sent = send(supervisor, notify, &notice) => sent,
            () = clock.sleep_until(clock.mono().plus(PATIENCE)) => Err("it could not be sent in time".to_owned()),
        };
        match sent {
            Ok(()) => {
                meters.count(NoticeOutcome::Sent);
                event::notice_sent(notice.occasion.word(), &notice.subject);
            }
            Err(cause) => {
                meters.count(NoticeOutcome::Failed);
                event::notice_failed(&cause);
            }
        }
    }
}

async fn send(supervisor: &Supervisor, notify: &Notify, notice: &Notice) -> Result<(), String> {
    let services = supervisor.services();
    let lane = supervisor.lane(&notify.connection).ok_or_else(|| "its connection is gone".to_owned())?;
    if let Some(offline) = lane.client.waits() {
        return Err(format!("connection `{}` is offline: {}", notify.connection, offline.reason));
    }
    let masks = supervisor.lanes().map(|lanes| Masks::of_lanes(&lanes));
    let event = Json::from_value(&fit(notice, masks.as_ref()));
    let now = status::time(services.clock.utc());
    let ctx = Context::new()
        .with_missing_as_empty(true)
        .with(Root::Event, Slot::Json(event.as_ref()))
        .with(Root::Now, Slot::Text(&now));
    let ctx = lane.client.context(ctx);
    let bad = |error: crate::value::issue::EvalError| lane.client.clean(&error.to_string());
    let mut prepared = notify.request.prepare(&ctx, &lane.client).map_err(bad)?;
    if notify.request.body.is_none() {
        let text = json!({ "text": format!("{}: {}", notice.subject, summary(&event)) });
        prepared.carry_value(text.to_string().into_bytes(), &lane.client.settings().media).map_err(bad)?;
    }
    let by = FlowId::parse("notify").map_err(|error| error.to_string())?;
    let permit = services.queue.acquire(&lane.line, &by, NonZeroU32::MIN).await;
    let permit = permit.map_err(|error| error.to_string())?;
    let answer = lane.client.exchange(permit, &prepared, notify.request.response.as_ref(), false).await;
    answer.map(drop).map_err(|failure| failure.message)
}

fn summary(event: &Json) -> String {
    serde_json::from_str::<Value>(event.text())
        .ok()
        .and_then(|event| Some(event["summary"].as_str()?.to_owned()))
        .unwrap_or_default()
}

/// What templates see: every field there is, texts masked and cut.
fn fit(notice: &Notice, masks: Option<&Masks>) -> Value {
    let mut event = json!({
        "kind": notice.occasion.word(),
        "subject": notice.subject,
        "flow": "", "connection": "", "run": "", "summary": "", "error": "", "records": null, "open": 0, "at": "",
        "suppressed": 0,
    });
    for (name, value) in notice.event.as_object().into_iter().flatten() {
        event[name] = match value.as_str() {
            Some(text) => {
                let text = masks.map_or_else(|| text.to_owned(), |masks| masks.text(text));
                json!(text.chars().take(LONGEST).collect::<String>())
            }
            None => value.clone(),
        };
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matter_is_told_once_in_a_while_and_says_how_often_it_was_held_back() {
        let mut told = Told::default();
        let at = |minutes: u64| Mono(Duration::from_mins(minutes));
        assert_eq!(told.may(Occasion::RunFailed, "a", at(0)), Some(0));
        assert_eq!(told.may(Occasion::RunFailed, "a", at(1)), None);
        assert_eq!(told.may(Occasion::RunFailed, "a", at(9)), None);
        assert_eq!(told.may(Occasion::FirstError, "a", at(9)), Some(0), "another matter");
        assert_eq!(told.may(Occasion::RunFailed, "b", at(9)), Some(0), "another flow");
        assert_eq!(told.may(Occasion::RunFailed, "a", at(10)), Some(2));
        assert_eq!(told.may(Occasion::RunFailed, "a", at(30)), Some(0));
        assert_eq!(told.may(Occasion::RunFailed, "c", at(300)), Some(0));
        assert_eq!(told.last.len(), 1, "what is long past is forgotten");
    }
}
