//! A delta export on its way: which time it covers, the newest change it has seen, and the mark it leaves behind.
//!
//! All of it travels in the cursor, so that a run that goes on after a restart asks for the same time and loses
//! nothing it has seen. What is stored as the mark is written when the run ends, and only then.

mod reading;
mod roots;

pub use roots::Roots;

use super::ReadError;
use super::cursor::lasting_hash;
use crate::model::delta::format::usual;
use crate::model::delta::step::{FIRST, LAST};
use crate::model::delta::windows::{Span, Windows};
use crate::model::delta::{Bound, Delta};
use crate::store::{Space, Store, Write};
use crate::value::context::Context;
use crate::value::id::FlowId;
use crate::value::record::Record;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most records of one instant that are known again by what they hold.
const MOST_KNOWN: usize = 100;
/// Most marks of values of `each` that are stored with a page.
const MOST_CARRIED: usize = 200;
/// Longest key of a value of `each` that stands in a mark's key as it is.
const LONGEST_KEY: usize = 200;

/// What is stored of a delta export: everything up to here was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The newest change seen, or until when was asked.
    pub at: DateTime<Utc>,
    /// Hashes of the records that changed at that very instant, where old ones are told apart here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    known: Vec<u64>,
}

impl Mark {
    /// An instant alone.
    pub fn at(at: DateTime<Utc>) -> Self {
        Self { at, known: Vec::new() }
    }

    /// Reads what is stored; a time as a plain string is what people set by hand.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Ok(mark) = serde_json::from_str(text) {
            return Ok(mark);
        }
        let by_hand = serde_json::from_str::<String>(text).ok().and_then(|text| usual(&text));
        by_hand
            .map(Self::at)
            .ok_or_else(|| format!("it holds no time: `{{\"at\":\"2026-01-31T08:00:00Z\"}}` is one, not {text}"))
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The later one. Of two at one instant what either knows is known.
    #[must_use]
    fn max(self, other: Self) -> Self {
        match self.at.cmp(&other.at) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => {
                let mut known = self.known;
                known.extend(other.known.into_iter().filter(|hash| !known.contains(hash)).collect::<Vec<_>>());
                known.truncate(MOST_KNOWN);
                Self { at: self.at, known }
            }
        }
    }
}

/// Under what a mark is stored: the flow, the export, and the value of `each` it is for.
pub fn mark_key(flow: &FlowId, export: &str, each: Option<&str>) -> String {
    match each {
        None => format!("{flow} {export}"),
        Some(each) if each.len() <= LONGEST_KEY => format!("{flow} {export} {each}"),
        Some(each) => format!("{flow} {export} #{:016x}", lasting_hash(each.as_bytes())),
    }
}

/// The marks of one run: those of before are read here, those that moved are gathered until it ends.
pub struct Marks {
    store: Arc<dyn Store>,
    moved: Mutex<BTreeMap<String, Mark>>,
}

impl Marks {
    /// Of what is stored there.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, moved: Mutex::default() }
    }

    /// A mark as it is stored.
    pub async fn read(&self, key: &str) -> Result<Option<Mark>, ReadError> {
        let stored = self.store.value(Space::Mark, key).await;
        let stored = stored.map_err(|error| ReadError::Stored(format!("mark `{key}`: {error}")))?;
        let mark = stored.map(|text| Mark::read(&text)).transpose();
        mark.map_err(|error| {
            ReadError::Stored(format!("mark `{key}`: {error}; set it with `flowgate state set mark '{key}' …`"))
        })
    }

    /// Those that moved so far, to be stored with a page: as many as are worth it. One that is not is read again.
    pub fn moved(&self) -> BTreeMap<String, Mark> {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.iter().take(MOST_CARRIED).map(|(key, mark)| (key.clone(), mark.clone())).collect()
    }

    /// Those that moved before a restart.
    pub fn recall(&self, moved: &BTreeMap<String, Mark>) {
        for (key, mark) in moved {
            self.ended(key.clone(), mark.clone());
        }
    }

    /// An export ended by itself.
    fn ended(&self, key: String, mark: Mark) {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        // With `scope = "flow"` all values of `each` share one.
        let mark = match moved.remove(&key) {
            Some(other) => other.max(mark),
            None => mark,
        };
        moved.insert(key, mark);
    }

    /// What is to be stored now that the run has ended well. A mark never goes back.
    pub async fn writes(&self) -> Vec<Write> {
        let moved = std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner));
        let mut writes = Vec::with_capacity(moved.len());
        for (key, mark) in moved {
            let before = self.read(&key).await.ok().flatten();
            let after = match before.clone() {
                Some(before) => before.max(mark),
                None => mark,
            };
            if before.as_ref() != Some(&after) {
                writes.push(Write::Put { space: Space::Mark, key, value: after.text() });
            }
        }
        writes
    }
}

/// Where a delta export is, as it travels in the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From `last_export` to `this_export`.
    span: Span,
    /// Which window of it, from 0.
    #[serde(default)]
    window: u32,
    /// The newest change seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<Mark>,
    /// Records at the mark that were exported before, by their hashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    known: Vec<u64>,
}

/// What the delta says of the records of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Positions, from 0, of records that are left out: they are old.
    pub old: Vec<u32>,
    /// Positions of records whose time of change cannot be read, and why.
    pub faults: Vec<(u32, String)>,
}

impl Judged {
    /// Whether it has nothing to say.
    pub fn is_empty(&self) -> bool {
        self.old.is_empty() && self.faults.is_empty()
    }
}

/// What was asked for by hand: `--since` and `--until`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// From then.
    pub since: Option<DateTime<Utc>>,
    /// Until then.
    pub until: Option<DateTime<Utc>>,
}

impl Asked {
    /// Whether nothing was.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// The end of a span that the flow's file gives.
fn bound(
    bound: Option<&Bound>,
    delta: &Delta,
    started: DateTime<Utc>,
    ctx: &Context<'_>,
    name: &str,
) -> Result<Option<DateTime<Utc>>, ReadError> {
    let at = bound.map(|bound| bound.instant(started, &delta.format, ctx)).transpose();
    let at = at.map_err(|error| ReadError::Eval(error.at("delta").at(name)))?;
    Ok(at.map(|at| at.clamp(FIRST, LAST)))
}

/// Follows one export, or one value of its `each`.
pub struct Watch<'r> {
    delta: &'r Delta,
    place: Place,
}

impl<'r> Watch<'r> {
    /// At the beginning of a run that began `started`.
    pub fn begin(
        delta: &'r Delta,
        mark: Option<Mark>,
        asked: Asked,
        started: DateTime<Utc>,
        ctx: &Context<'_>,
    ) -> Result<Self, ReadError> {
        let end = bound(delta.end.as_ref(), delta, started, ctx, "end")?;
        let since = match (asked.since, &mark) {
            (Some(since), _) => since,
            (None, Some(mark)) => delta.lookback.before(mark.at),
            (None, None) => bound(delta.start.as_ref(), delta, started, ctx, "start")?.unwrap_or(FIRST),
        };
        let until = asked.until.or(end).unwrap_or(started);
        let at_the_mark = asked.since.is_none() && delta.lookback.is_zero();
        let known = mark.filter(|_| at_the_mark).map(|mark| mark.known).unwrap_or_default();
        Ok(Self { delta, place: Place { span: Span::new(since, until), window: 0, newest: None, known } })
    }

    /// Where a run was before a restart.
    pub fn resume(delta: &'r Delta, place: Place) -> Self {
        Self { delta, place }
    }

    /// For the cursor.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The time that is asked for now.
    pub fn window(&self) -> Span {
        self.windows().get(self.place.window).unwrap_or(self.place.span)
    }

    fn windows(&self) -> Windows {
        self.place.span.windows(self.delta.step, self.delta.granularity)
    }

    /// Whether there may be several windows.
    pub fn has_windows(&self) -> bool {
        self.delta.step.is_some()
    }

    /// Goes on to the next window; false when there is none.
    pub fn advance(&mut self) -> bool {
        let next = self.place.window.saturating_add(1);
        let is_there = self.windows().get(next).is_some();
        if is_there {
            self.place.window = next;
        }
        is_there
    }

    /// Looks at the records of a page. True when paging need not go on in this window: what follows is old.
    pub fn look(&mut self, records: &[Record]) -> (Judged, bool) {
        let (mut judged, mut any_old) = (Judged::default(), false);
        let tells = self.delta.client || self.delta.stop_at_old;
        let since = self.window().since;
        for (index, record) in records.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            match self.delta.changed(record) {
                None => break,
                Some(Err(error)) => judged.faults.push((index, error.to_string())),
                Some(Ok(at)) if tells && at < since => {
                    any_old = true;
                    judged.old.push(index);
                }
                Some(Ok(at)) => {
                    let hash = if tells { lasting_hash(record.json().text().as_bytes()) } else { 0 };
                    if at == self.place.span.since && tells && self.place.known.contains(&hash) {
                        any_old = true;
                        judged.old.push(index);
                    }
                    self.seen(at, tells.then_some(hash));
                }
            }
        }
        (judged, any_old && self.delta.stop_at_old)
    }

    /// A change. What changed at the newest instant is known again next time, unless that is too much to remember: then
    /// all of it comes again.
    fn seen(&mut self, at: DateTime<Utc>, hash: Option<u64>) {
        let newest = self.place.newest.get_or_insert_with(|| Mark::at(at));
        if at > newest.at {
            *newest = Mark::at(at);
        }
        if at == newest.at
            && let Some(hash) = hash
            && newest.known.len() < MOST_KNOWN
            && !newest.known.contains(&hash)
        {
            newest.known.push(hash);
        }
    }

    /// The export ended by itself: what its mark may become. A clock of the source that is ahead does not make it pass
    /// what is still to come.
    pub fn ended(&self, marks: &Marks, key: String, started: DateTime<Utc>) {
        let reach = self.place.span.until.max(started);
        let mark = match (&self.delta.field, &self.place.newest) {
            (None, _) => Some(Mark::at(self.delta.lag.before(self.place.span.until.min(started)))),
            (Some(_), Some(newest)) if newest.at > reach => Some(Mark::at(reach)),
            (Some(_), newest) => newest.clone(),
        };
        if let Some(mark) = mark {
            marks.ended(key, mark);
        }
    }

    /// What templates see of it.
    pub fn roots(&self) -> Roots {
        let Span { since, until } = self.place.span;
        let window = self.window();
        Roots::of(&self.delta.format, [since, until, window.since, window.until])
    }
}

#[cfg(test)]
mod tests;
