//! How far a backfill is: windows of time, each a run, the oldest first; stored after each, so that a backfill that was
//! cut off goes on where it was.

use super::run::Asked;
use crate::model::delta::from_words;
use crate::model::delta::step::Step;
use crate::model::delta::windows::{Span, Windows};
use crate::model::flow::Flow;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Most windows of one backfill.
const MOST_WINDOWS: u32 = 100_000;

/// A step when neither the command nor the flow names one.
const USUAL_STEP: &str = "1mo";

/// As typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typed {
    /// `--since`
    pub since: String,
    /// `--until`
    pub until: Option<String>,
    /// `--step`
    pub step: Option<String>,
}

/// A backfill of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    typed: Typed,
    span: Span,
    /// Windows that are done.
    pub done: u32,
}

/// Why a backfill cannot begin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBackfill {
    /// What was typed means nothing.
    #[error("{0}")]
    Typed(String),
    /// The flow cannot be asked for a time.
    #[error(
        "flow `{0}` has no `[export.delta]`: nothing in it says how to ask for a time, so there is nothing to fill window \
         by window"
    )]
    NoDelta(String),
    /// Another one is under way.
    #[error(
        "a backfill of `{flow}` since {} stopped after {} windows: run it again as it was typed, or give it up with \
         `--fresh`", .before.typed.since, .before.done
    )]
    Other {
        /// Of which flow.
        flow: String,
        /// That one.
        before: Box<Backfill>,
    },
}

impl Backfill {
    /// The one that was typed: `before` goes on when it is the same.
    pub fn of(flow: &Flow, typed: Typed, before: Option<Self>, now: DateTime<Utc>) -> Result<Self, NoBackfill> {
        if flow.exports.iter().all(|export| export.any_delta().is_none()) {
            return Err(NoBackfill::NoDelta(flow.id.to_string()));
        }
        if let Some(before) = before {
            return if before.typed == typed {
                Ok(before)
            } else {
                Err(NoBackfill::Other { flow: flow.id.to_string(), before: Box::new(before) })
            };
        }
        let time = |flag: &str, text: &str| {
            from_words(text, now).map_err(|error| NoBackfill::Typed(format!("{flag}: {error}")))
        };
        let since = time("--since", &typed.since)?;
        let until = typed.until.as_deref().map_or(Ok(now), |until| time("--until", until))?;
        if since > until {
            return Err(NoBackfill::Typed("--since is later than --until".to_owned()));
        }
        let backfill = Self { typed, span: Span::new(since, until), done: 0 };
        if backfill.windows(flow)?.count(MOST_WINDOWS + 1) > MOST_WINDOWS {
            return Err(NoBackfill::Typed(format!("--step: these are more than {MOST_WINDOWS} windows")));
        }
        Ok(backfill)
    }

    /// Its windows.
    pub fn windows(&self, flow: &Flow) -> Result<Windows, NoBackfill> {
        let delta = flow.exports.iter().find_map(|export| export.any_delta());
        let granularity = delta.map(|delta| delta.granularity).unwrap_or_default();
        let typed = self.typed.step.as_deref();
        let own = delta.and_then(|delta| delta.step).filter(|_| typed.is_none());
        let step = own.map_or_else(|| Step::parse(typed.unwrap_or(USUAL_STEP)), Ok);
        let step = step.map_err(|error| NoBackfill::Typed(format!("--step: {error}")))?;
        if !granularity.is_shorter_than(step) {
            return Err(NoBackfill::Typed("--step: it is not longer than the delta's `granularity`".to_owned()));
        }
        Ok(self.span.windows(Some(step), granularity))
    }

    /// How many windows there are.
    pub fn count(&self, flow: &Flow) -> u32 {
        self.windows(flow).map_or(0, |windows| windows.count(MOST_WINDOWS))
    }

    /// What the next run is asked for; none when all are done.
    pub fn next(&self, flow: &Flow) -> Option<Asked> {
        let Span { since, until } = self.windows(flow).ok()?.get(self.done)?;
        Some(Asked { since: Some(since), until: Some(until) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_again() {
        let typed = Typed { since: "2024-01-01".to_owned(), until: None, step: Some("1w".to_owned()) };
        let span = Span::new(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH);
        let backfill = Backfill { typed, span, done: 3 };
        let text = serde_json::to_string(&backfill).unwrap();
        assert_eq!(serde_json::from_str::<Backfill>(&text).unwrap(), backfill);
    }
}
