//! Runs: those under way with live figures, and those that are stored.

use super::{Views, short, unreadable, versioned};
use crate::app::errors::Masks;
use crate::app::run::Counts;
use crate::app::status;
use crate::app::trends::Trends;
use crate::runtime::view::{FlowView, RunView};
use crate::store::socket::{Denied, RunsAsk, View};
use crate::store::{ErrorFilter, PageRow, RunFilter, RunRow, Store};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Runs on one page, and the most there can be.
const PAGE: u32 = 100;
const MOST: u32 = 1_000;
/// Pages told of one run, the last ones.
const MOST_PAGES: usize = 200;
/// Error records looked at to tell where a run's records failed.
const MOST_ERRORS: u32 = 5_000;

/// Where runs are looked up: the store, and those under way where this process is the one that runs them.
pub(super) struct Shelf<'s> {
    pub(super) store: &'s dyn Store,
    pub(super) active: Vec<FlowView>,
    pub(super) masks: Masks,
    /// How runs went over time, where somebody looked on.
    pub(super) trends: Option<&'s Trends>,
}

impl Views {
    pub(super) fn shelf(&self) -> Shelf<'_> {
        let store = self.supervisor.services().store.as_ref();
        Shelf { store, active: self.supervisor.active(), masks: self.masks(), trends: Some(&self.trends) }
    }
}

/// Looks at runs in a store that no process of ours serves now.
pub async fn look_at_runs(store: &dyn Store, masks: Masks, view: View) -> Result<Value, Denied> {
    let shelf = Shelf { store, active: Vec::new(), masks, trends: None };
    let document = match view {
        View::Runs(ask) => shelf.runs(ask).await?,
        View::Run(id) => shelf.run(&id).await?,
        View::RunLog(id) => shelf.log(&id).await?,
        _ => return Err(Denied::invalid("only runs can be looked at without a running `flowgate serve`")),
    };
    Ok(versioned(document))
}

impl Shelf<'_> {
    pub(super) async fn runs(&self, ask: RunsAsk) -> Result<Value, Denied> {
        let most = ask.limit.unwrap_or(PAGE).clamp(1, MOST);
        let RunsAsk { flow, phase, before, .. } = ask;
        let filter = RunFilter { flow, phases: phase.into_iter().collect(), before, limit: Some(most + 1) };
        let mut rows = self.store.runs(filter).await.map_err(unreadable)?;
        let next = cut(&mut rows, most as usize).map(exact);
        let mask = |text: &str| self.masks.text(text);
        let runs: Vec<Value> = rows.iter().map(|row| stored(row, live(&self.active, &row.id), &mask)).collect();
        Ok(json!({ "runs": runs, "next": next }))
    }

    pub(super) async fn run(&self, id: &str) -> Result<Value, Denied> {
        let row = self.store.run(id).await.map_err(unreadable)?;
        let mut document = match (&row, live(&self.active, id)) {
            (Some(row), live) => stored(row, live, &|text| self.masks.text(text)),
            // Only shown: a dry run, an export without an import.
            (None, Some((flow, run))) => passing(flow, run),
            (None, None) => return Err(Denied::unknown(format!("there is no run `{}`", short(id)))),
        };
        let pages = self.store.pages(id).await.map_err(unreadable)?;
        let shown = pages.iter().rev().take(MOST_PAGES);
        document["open_pages"] = json!(pages.iter().filter(|page| !page.marks.is_done()).count());
        document["pages_shown"] = shown.map(page).collect();
        document["timeline"] = json!(self.trends.and_then(|trends| trends.run(id)));
        document["failed_by_step"] = json!(self.failed_by_step(id).await?);
        document["steps"] = json!(status::steps(row.as_ref().map_or(&[], |row| &row.steps)));
        Ok(document)
    }

    /// Error records of a run by the step that met them.
    async fn failed_by_step(&self, run: &str) -> Result<BTreeMap<String, u64>, Denied> {
        let filter = ErrorFilter { run: Some(run.to_owned()), limit: Some(MOST_ERRORS), ..ErrorFilter::default() };
        let rows = self.store.errors(filter).await.map_err(unreadable)?;
        let mut steps = BTreeMap::new();
        for row in rows {
            *steps.entry(row.step).or_default() += 1;
        }
        Ok(steps)
    }
}

/// Cuts a page off between two instants: what began at one is on one page. When the page ends, if more follow.
fn cut(rows: &mut Vec<RunRow>, most: usize) -> Option<DateTime<Utc>> {
    let behind = rows.get(most)?.started;
    rows.truncate(most);
    if rows.iter().any(|row| row.started != behind) {
        rows.retain(|row| row.started != behind);
    }
    rows.last().map(|row| row.started)
}

fn exact(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

pub(super) fn live<'v>(active: &'v [FlowView], run: &str) -> Option<(&'v FlowView, &'v RunView)> {
    active.iter().find_map(|view| Some((view, view.running.as_ref().filter(|running| running.run == run)?)))
}

fn stored(row: &RunRow, live: Option<(&FlowView, &RunView)>, mask: &dyn Fn(&str) -> String) -> Value {
    let counts = live.map_or_else(|| Counts::from(row.tally), |(_, run)| run.counts);
    let pages = live.map_or(row.tally.pages, |(_, run)| run.pages);
    let took = row.ended.map(|ended| (ended - row.started).num_milliseconds().max(0));
    json!({
        "run": row.id,
        "flow": row.flow.as_str(),
        "kind": row.kind,
        "trigger": row.trigger,
        "occurrence": row.occurrence.map(status::time),
        "started": status::time(row.started),
        "ended": row.ended.map(status::time),
        "took_ms": took,
        "phase": row.phase,
        "outcome": row.outcome,
        "cause": row.cause.as_deref().map(mask),
        "live": live.map(|(_, run)| status::running(run)),
        "records": status::counts(&counts),
        "redelivered": row.tally.redelivered,
        "refiltered": row.tally.refiltered,
        "dismissed": row.tally.dismissed,
        "pages": pages,
        "requests": row.tally.requests,
        "limit": row.limit,
        "crashes": row.crashes,
    })
}

fn passing(flow: &FlowView, run: &RunView) -> Value {
    json!({
        "run": run.run,
        "flow": flow.id.as_str(),
        "kind": "export",
        "trigger": null,
        "occurrence": null,
        "started": status::time(run.started),
        "ended": null,
        "took_ms": null,
        "phase": "running",
        "outcome": null,
        "cause": null,
        "live": status::running(run),
        "records": status::counts(&run.counts),
        "redelivered": 0,
        "refiltered": 0,
        "dismissed": 0,
        "pages": run.pages,
        "requests": 0,
        "limit": null,
        "crashes": 0,
    })
}

fn page(page: &PageRow) -> Value {
    json!({
        "page": page.number,
        "records": page.marks.len(),
        "in_flight": page.marks.in_flight(),
        "stored": page.has_body,
        "crashes": page.crashes,
    })
}
