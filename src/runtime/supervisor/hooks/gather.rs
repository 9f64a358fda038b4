//! A payload becomes the next page of the run that waits for it.

use super::Hook;
use crate::model::flow::Flow;
use crate::observe::event;
use crate::observe::meters::TriggerKind;
use crate::runtime::export::cursor::{Cursor, Head};
use crate::runtime::run::identity::run_id;
use crate::runtime::supervisor::{Inner, Supervisor};
use crate::runtime::webhook::Payload;
use crate::store::{PageWrite, Phase, RunKind, RunRow, Space, Tally, Write};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use url::Url;

/// Most payloads of one run: each one more makes the next a little slower to write.
const MOST_PAGES: u64 = 100;

impl Supervisor {
    /// The payload as a page of the run that waits for it, begun where there is none.
    pub(super) fn gather(&self, inner: &mut Inner, hook: &Hook, payload: &Payload, now: DateTime<Utc>) -> Vec<Write> {
        let flow = &hook.flow;
        let mut writes = Vec::new();
        let Inner { unfinished, hooks, next_run, .. } = inner;
        let newest = unfinished.last_mut(&flow.id);
        let open = newest.as_ref().is_some_and(|row| {
            hooks.gathering.contains(&row.id) && row.meaning == flow.hash && row.tally.pages < MOST_PAGES
        });
        if !open {
            // Younger than those before it, whatever the clock says.
            let after = newest.map(|row| row.started + TimeDelta::milliseconds(1));
            let started = after.map_or(now, |after| after.max(now));
            *next_run += 1;
            let id = run_id(started, *next_run, self.services.rng.next_u64());
            let row = waiting_run(id, flow, started, self.services.epoch);
            let meaning = json!({ "text": flow.text.as_ref() }).to_string();
            writes.push(Write::Put { space: Space::Meaning, key: flow.hash.clone(), value: meaning });
            writes.push(Write::Begin(Box::new(row.clone())));
            hooks.gathering.insert(row.id.clone());
            unfinished.add(row);
        }
        let Some(row) = unfinished.last_mut(&flow.id) else { return writes };
        row.tally.pages += 1;
        row.tally.exported += u64::from(payload.records);
        let (run, number) = (row.id.clone(), row.tally.pages);
        event::webhook_taken(&flow.id, &run, number, payload.records, payload.document.text().len());
        let cursor = Cursor::at(None, row.tally.exported, None).text();
        let page = PageWrite {
            run: run.clone(),
            number,
            records: payload.records,
            cursor,
            head: head(payload, &hook.client.settings().base_uri),
            body: Some(payload.document.bytes()),
        };
        writes.push(Write::Page(Box::new(page)));
        writes.push(Write::Tally { run, tally: row.tally, steps: Vec::new() });
        writes
    }
}

/// Held from its beginning: it goes on like any run that was stopped in order.
fn waiting_run(id: String, flow: &Flow, started: DateTime<Utc>, epoch: u64) -> RunRow {
    RunRow {
        id,
        flow: flow.id.clone(),
        kind: RunKind::Export,
        trigger: TriggerKind::Webhook.label().to_owned(),
        occurrence: None,
        started,
        ended: None,
        phase: Phase::Held,
        outcome: None,
        cause: None,
        meaning: flow.hash.clone(),
        limit: None,
        exports: Vec::new(),
        since: None,
        until: None,
        epoch,
        crashes: 0,
        tally: Tally::default(),
        steps: Vec::new(),
    }
}

/// What is stored beside the body. Nobody asks a webhook for anything, so the address is the connection's.
fn head(payload: &Payload, url: &Url) -> String {
    Head::of_payload(&payload.document, url).text()
}
